//! A homeserver as a process on loopback, for as long as a test needs it.
use super::client::Client;
use reqwest::Method;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it answers: it makes its database first, and the machine may be busy.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Runs the arguments as a program until standard input ends: the test holds the other end of the pipe, so the
/// server ends with the test, however that ends.
const UNTIL_INPUT_ENDS: &str = r#"exec 3<&0; "$@" </dev/null & server=$!; { cat <&3 >/dev/null; kill -9 "$server"; } & wait "$server""#;

/// A homeserver that runs. It ends when this value is dropped, and also when the test program ends.
pub struct ServerProcess {
    name: String,
    url: String,
    child: Child,
    folder: TempDir,
}

impl ServerProcess {
    /// Starts a server in a new folder on a free port, and waits until it answers. `command` writes what the server needs
    /// into the folder and gives the program.
    ///
    /// # Panics
    /// If it does not come up. Its log follows, as after any panic while it runs.
    pub fn start(name: &str, command: impl Fn(&Path, u16) -> Command) -> ServerProcess {
        // Between looking for a free port and taking it somebody else may have taken it.
        for _ in 0..3 {
            let mut server = ServerProcess::spawn(name, &command);
            match server.wait_ready() {
                Ok(()) => return server,
                Err(why) if server.log().to_lowercase().contains("address already in use") => {
                    super::say(&format!("{name}: {why}; once more on another port"));
                }
                Err(why) => panic!("{name} {why}"),
            }
        }
        panic!("{name} found no port")
    }

    fn spawn(name: &str, command: &impl Fn(&Path, u16) -> Command) -> ServerProcess {
        let folder = tempfile::tempdir().unwrap();
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let log = File::create(folder.path().join("server.log")).unwrap();
        let child = held(&command(folder.path(), port))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        ServerProcess {
            name: name.to_owned(),
            url: format!("http://127.0.0.1:{port}"),
            child,
            folder,
        }
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let (client, started) = (self.client(), Instant::now());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("ended with {status}"));
            }
            let answer = client.try_call(Method::GET, "/_matrix/client/versions", None, None);
            match answer {
                Ok((200, _)) => return Ok(()),
                _ if started.elapsed() > READY_WITHIN => {
                    return Err(format!("did not answer within {READY_WITHIN:?}"));
                }
                // There is nothing to await: the port answers when it does.
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Its base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client for it.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// The folder that it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

/// The same program, which ends with the standard input of what is given.
fn held(command: &Command) -> Command {
    let mut held = Command::new("sh");
    held.args(["-c", UNTIL_INPUT_ENDS, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => held.env(name, value),
            None => held.env_remove(name),
        };
    }
    held
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("The end of the log of {}:\n{end}", self.name);
        }
    }
}
