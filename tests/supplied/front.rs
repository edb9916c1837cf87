//! A homeserver's front that changes what passes: names, tokens, and answers that end too early. It keeps a log.
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `POST /_matrix/…`.
    pub what: String,
    /// The JSON body as the client sent it, null if it is none.
    pub sent: Value,
    /// The status that the homeserver or the front gave.
    pub status: u16,
    /// The JSON body of the answer.
    pub got: Value,
}

impl Seen {
    /// Whether it is a login.
    pub fn is_login(&self) -> bool {
        self.what.starts_with("POST") && self.what.ends_with("/login")
    }

    /// Whether it asks for an account.
    pub fn is_registration(&self) -> bool {
        self.what.starts_with("POST") && self.what.ends_with("/register")
    }

    /// The name and the password that it sends, at login or in interactive auth.
    pub fn password_of(&self) -> Option<(&str, &str)> {
        let auth = if self.sent["auth"].is_object() { &self.sent["auth"] } else { &self.sent };
        let user = auth["identifier"]["user"].as_str().or(auth["user"].as_str())?;
        Some((user, auth["password"].as_str()?))
    }

    /// Whether the password was taken: a stage that is completed was taken too.
    pub fn is_taken(&self) -> bool {
        let completed = self.got["completed"].as_array();
        let has_stage = completed.is_some_and(|done| done.contains(&json!("m.login.password")));
        self.status < 300 || has_stage
    }
}

/// What the front does.
#[derive(Default)]
pub struct Manners {
    /// The user who is known here by another name at login: that name, and the localpart.
    pub alias: Option<(&'static str, &'static str)>,
    /// Of which login answers, counted from 1, only the first half comes.
    pub cut: Option<fn(usize) -> bool>,
    /// Of which registrations that are done, counted from 1, only the first half comes.
    pub cut_registration: Option<fn(usize) -> bool>,
    /// The tokens of which logins, counted from 1, are refused from the start.
    pub dead: Option<fn(usize) -> bool>,
    /// Whether the list of devices is refused.
    pub no_list: bool,
}

#[derive(Default)]
struct State {
    log: Vec<Seen>,
    logins: usize,
    registrations: usize,
    dead: Vec<String>,
}

/// A front that runs as long as the test program.
pub struct Front {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Front {
    /// Listens in front of the homeserver at this address.
    pub fn start(good: SocketAddr, manners: Manners) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let (shared, manners) = (state.clone(), Arc::new(manners));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, manners) = (shared.clone(), manners.clone());
                std::thread::spawn(move || serve(stream, good, &manners, &shared));
            }
        });
        Front { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What passed so far.
    pub fn log(&self) -> Vec<Seen> {
        self.state.lock().unwrap().log.clone()
    }
}

/// One request on a connection, and its end.
fn serve(mut stream: TcpStream, good: SocketAddr, manners: &Manners, state: &Mutex<State>) {
    let Some((head, body)) = read(&mut stream) else { return };
    let what = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut seen = Seen { what, sent, status: 0, got: Value::Null };
    let refusal = refusal(&head, &seen, manners, &state.lock().unwrap().dead);
    let body = renamed(body, &seen, manners);
    let mut answer = match refusal {
        Some((status, body)) => whole(status, &body),
        None => ask(good, &head, &body),
    };
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (answer_head, answer_body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    seen.status = answer_head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    seen.got = serde_json::from_str(answer_body).unwrap_or_default();
    let mut state = state.lock().unwrap();
    if seen.is_login() && seen.status == 200 {
        state.logins += 1;
        if manners.dead.is_some_and(|dead| dead(state.logins)) {
            state.dead.extend(seen.got["access_token"].as_str().map(str::to_owned));
        }
        if manners.cut.is_some_and(|cut| cut(state.logins)) {
            answer.truncate(answer.len() - answer_body.len() / 2);
        }
    }
    if seen.is_registration() && seen.status == 200 {
        state.registrations += 1;
        if manners.cut_registration.is_some_and(|cut| cut(state.registrations)) {
            answer.truncate(answer.len() - answer_body.len() / 2);
        }
    }
    state.log.push(seen);
    drop(state);
    let _ = stream.write_all(&answer);
}

/// What the front itself refuses.
fn refusal(head: &str, seen: &Seen, manners: &Manners, dead: &[String]) -> Option<(u16, Value)> {
    let names_token = |token: &String| head.contains(token.as_str());
    if dead.iter().any(names_token) {
        return Some((401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "no such token"})));
    }
    if manners.no_list && seen.what.starts_with("GET") && seen.what.ends_with("/devices") {
        return Some((403, json!({"errcode": "M_FORBIDDEN", "error": "not here"})));
    }
    let (alias, localpart) = manners.alias?;
    let (user, _) = seen.password_of()?;
    let own = [localpart.to_owned(), format!("@{localpart}:reference.localhost")];
    let status = if seen.is_login() { 403 } else { 401 };
    (user != alias && own.contains(&user.to_owned()))
        .then(|| (status, json!({"errcode": "M_FORBIDDEN", "error": "no such user"})))
}

/// The body with the localpart in place of the name that logs in.
fn renamed(body: Vec<u8>, seen: &Seen, manners: &Manners) -> Vec<u8> {
    let Some((alias, localpart)) = manners.alias else { return body };
    if seen.password_of().is_none_or(|(user, _)| user != alias) {
        return body;
    }
    let (from, to) = (format!("\"user\":\"{alias}\""), format!("\"user\":\"{localpart}\""));
    String::from_utf8(body).unwrap().replace(&from, &to).into_bytes()
}

fn whole(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The head of a request without the blank line, and its body.
fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut request, mut some) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap_or(0));
            if request.len() >= end + 4 + length {
                return Some((head, request[end + 4..].to_vec()));
            }
        }
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return None,
            Ok(n) => request.extend_from_slice(&some[..n]),
        }
    }
}

/// What the homeserver answers to a request; it hangs up afterwards.
fn ask(good: SocketAddr, head: &str, body: &[u8]) -> Vec<u8> {
    let lines =
        head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length"));
    let head = lines.collect::<Vec<_>>().join("\r\n");
    let length = body.len();
    let head = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(good) {
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        if sent.is_ok() {
            let _ = stream.read_to_end(&mut answer);
        }
    }
    answer
}
