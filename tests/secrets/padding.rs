//! A server in front of another that makes tokens as long as a JWT, on loopback.
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A message: its first line and its headers without the length of the body, and the body.
struct Message {
    head: String,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Option<Message> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        match lower.strip_prefix("content-length:") {
            Some(value) => length = value.trim().parse().ok()?,
            None if line.trim().is_empty() => break,
            None if lower.starts_with("connection:") => {}
            None => head += &line,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Message { head, body })
}

fn write(mut stream: &TcpStream, message: &Message) -> Option<()> {
    let length = message.body.len();
    let head = format!("{}connection: close\r\ncontent-length: {length}\r\n\r\n", message.head);
    stream.write_all(&[head.as_bytes(), &message.body].concat()).ok()
}

/// Listens in front of `upstream` (`http://ADDRESS`); what stands behind each token that it gives is
/// `pad`. Its URL; it ends with the test.
pub fn padding(upstream: &str, pad: &str) -> String {
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::new((upstream, pad.to_owned()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = shared.clone();
            std::thread::spawn(move || pass(&stream, &shared.0, &shared.1));
        }
    });
    url
}

fn pass(stream: &TcpStream, upstream: &str, pad: &str) -> Option<()> {
    let asked = read(stream)?;
    let behind = TcpStream::connect(upstream).ok()?;
    let body = String::from_utf8(asked.body.clone()).map(|text| text.replace(pad, "").into_bytes());
    let body = body.unwrap_or(asked.body);
    let is_head = asked.head.starts_with("HEAD ");
    write(&behind, &Message { head: asked.head.replace(pad, ""), body })?;
    if is_head {
        return write(stream, &Message { head: read(&behind)?.head, body: Vec::new() });
    }
    let mut answer = read(&behind)?;
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(&answer.body) {
        for name in ["access_token", "refresh_token"] {
            if let Some(Value::String(token)) = members.get_mut(name) {
                token.push_str(pad);
            }
        }
        answer.body = Value::Object(members).to_string().into_bytes();
    }
    write(stream, &answer)
}
