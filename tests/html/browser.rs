//! Chromium without a window, driven by its DevTools protocol over a pair of pipes.
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Within which Chromium has to answer; the machine may be busy.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// The names under which Chromium is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where Chromium is, if it is installed.
pub fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let files = |folder: PathBuf| NAMES.map(|name| folder.join(name));
    std::env::split_paths(&path).flat_map(files).find(|file| file.is_file())
}

/// A browser with one page in it, which ends with this value.
pub struct Browser {
    child: Child,
    /// None once it has been told to end.
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    /// What happened unasked, in the order in which it did.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with an empty page of 1280 × 900.
    pub fn start(chromium: &Path) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // It reads from descriptor 3 and writes to 4, which only a shell can give it without unsafe code.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#])
            .arg(chromium)
            .args(["--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"])
            // Without a sandbox, as it does not start as root with one; it opens nothing but our own files.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let events = Vec::new();
        let mut browser =
            Browser { child, to, from, session: None, sent: 0, events, _profile: profile };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let page = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", attach);
        self.session = session["sessionId"].as_str().map(String::from);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
        self.width(1280);
    }

    /// What a method of the protocol gives.
    ///
    /// # Panics
    /// If it gives an error, or nothing in time.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().unwrap();
        to.write_all(format!("{message}\0").as_bytes()).unwrap();
        to.flush().unwrap();
        loop {
            let mut message = self.next();
            if message["id"] == self.sent {
                assert_eq!(message.get("error"), None, "{method}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn next(&mut self) -> Value {
        self.from.recv_timeout(ANSWERS_WITHIN).expect("Chromium does not answer")
    }

    /// Opens a file as a page of its own, with a fragment, and waits until it is there.
    pub fn open(&mut self, file: &Path, fragment: &str) {
        // By another page in between, or a new fragment would not load the file again.
        self.go("about:blank");
        self.events.clear();
        self.go(&format!("file://{}#{fragment}", file.display()));
    }

    fn go(&mut self, url: &str) {
        let seen = self.events.len();
        self.call("Page.navigate", json!({ "url": url }));
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().skip(seen).any(loaded) {
            let event = self.next();
            self.events.push(event);
        }
    }

    /// The value of a JavaScript expression in the page; of a promise what it becomes.
    ///
    /// # Panics
    /// If the expression throws.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({
            "expression": expression,
            "returnByValue": true,
            "awaitPromise": true,
            "userGesture": true,
        });
        let mut result = self.call("Runtime.evaluate", params);
        assert_eq!(result.get("exceptionDetails"), None, "{expression}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) {
        let started = Instant::now();
        while self.value(expression) != true {
            assert!(started.elapsed() < ANSWERS_WITHIN, "never true: {expression}");
            self.frame();
        }
    }

    /// Clicks into the middle of the first element that the selector names, as a mouse does.
    pub fn click(&mut self, selector: &str) {
        let place = self.value(&format!(
            "{{ const element = document.querySelector({selector:?});
                element.scrollIntoView({{ block: 'center' }});
                const box = element.getBoundingClientRect();
                [box.x + Math.min(box.width, 200) / 2, box.y + box.height / 2] }}"
        ));
        for event in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&place[0], &place[1]);
            let params =
                json!({ "type": event, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Presses a key: its name, and the text that it types, if any.
    pub fn press(&mut self, key: &str, text: &str) {
        let code = if key == "Tab" { 9 } else { 0 };
        let down =
            json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", up);
    }

    /// Makes the window so many CSS pixels wide; below 600 it is a telephone's.
    pub fn width(&mut self, width: u32) {
        let mobile = width < 600;
        let params =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// Makes the page one for `screen` or `print`, for a reader who prefers `light` or `dark`.
    pub fn media(&mut self, media: &str, scheme: &str) {
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": media, "features": scheme }));
        // What is folded is looked at anew with the next frame.
        self.frame();
    }

    /// Waits until the page has been laid out.
    pub fn frame(&mut self) {
        self.value("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when it has nobody to listen to, and tidies up; so long its profile must stay.
        drop(self.to.take());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            let _ = self.from.recv_timeout(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
