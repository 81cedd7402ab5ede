//! A browser for tests: Debian's Chromium, driven through chromedriver by the WebDriver protocol (W3C), with a client just large enough.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Longest wait for any one command.
const ANSWER_S_MAX: u64 = 120;
/// How long a page is watched before it is asked anew: a script that waits in a page which is left meanwhile never answers.
const WATCH_MS: u64 = 5_000;
/// How often a page is asked.
const WATCHES_MAX: usize = 24;

/// Looks for an element that a page change took away.
const STALE_TRIES_MAX: usize = 50;

/// A running browser; ended when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Kept open: the driver would end on writing to a closed pipe.
    _said: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
}

/// Starts a browser; `None`, said loudly, where there is none.
pub fn start() -> Option<Browser> {
    let binaries = ["/usr/bin/chromium", "/usr/bin/chromedriver"];
    if let Some(missing) = binaries.into_iter().find(|b| !Path::new(b).exists()) {
        eprintln!(
            "SKIPPED: {missing} is not installed (Debian packages chromium and chromium-driver); nothing of the browser was tested"
        );
        return None;
    }
    let mut driver = Command::new(binaries[1])
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver starts");
    let mut said = BufReader::new(driver.stdout.take().unwrap());
    let port = said
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok())
        .expect("chromedriver says its port");
    let profile = tempfile::tempdir().unwrap();
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--lang=en-GB",
        "--window-size=1280,900",
    ];
    let mut args: Vec<String> = args.map(str::to_owned).into();
    args.push(format!("--user-data-dir={}", profile.path().display()));
    let mut browser = Browser { driver, port, session: String::new(), _said: said, _profile: profile };
    let wanted = json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "timeouts": { "script": WATCH_MS, "implicit": 10_000 },
        "goog:chromeOptions": { "binary": binaries[0], "args": args },
    } } });
    let made = browser.call("POST", "/session", &wanted).expect("a browser session");
    browser.session = made["sessionId"].as_str().unwrap().to_owned();
    Some(browser)
}

impl Browser {
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "GET" || method == "DELETE" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_S_MAX))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.port,
            body.len()
        );
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .map_err(|e| e.to_string())?;
        let mut answer = Vec::new();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).map_err(|e| e.to_string())? == 0 || line == "\r\n" {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().map_err(|_| "no length".to_owned())?;
            }
        }
        reader.take(length).read_to_end(&mut answer).map_err(|e| e.to_string())?;
        let value: Value = serde_json::from_slice(&answer).map_err(|e| e.to_string())?;
        match value["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["value"]["message"])),
            None => Ok(value["value"].clone()),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session)
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.call("POST", &self.at("/url"), &json!({ "url": url })).unwrap();
    }

    /// Runs the body of a function in the page.
    pub fn run(&self, script: &str) -> Value {
        self.call("POST", &self.at("/execute/sync"), &json!({ "script": script, "args": [] })).unwrap()
    }

    /// Waits until an expression holds, by watching the page change; panics with `what` if it never does.
    pub fn until(&self, what: &str, expression: &str) {
        let script = format!(
            "const done = arguments[0]; const holds = () => {expression};
             if (holds()) return done(true);
             const watch = new MutationObserver(() => {{ if (holds()) {{ watch.disconnect(); done(true); }} }});
             watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});"
        );
        let mut answer = Err(String::new());
        for _ in 0..WATCHES_MAX {
            answer = self.call("POST", &self.at("/execute/async"), &json!({ "script": script, "args": [] }));
            if answer.as_ref().ok() == Some(&Value::Bool(true)) {
                return;
            }
        }
        panic!("never happened: {what} ({answer:?})");
    }

    /// Presses keys where the focus is; WebDriver's private-use characters name special keys.
    pub fn press(&self, keys: &[char]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|k| ["keyDown", "keyUp"].map(|t| json!({ "type": t, "value": k.to_string() })))
            .collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.call("POST", &self.at("/actions"), &body).unwrap();
    }

    fn find(&self, css: &str) -> String {
        let body = json!({ "using": "css selector", "value": css });
        let element = self.call("POST", &self.at("/element"), &body).unwrap_or_else(|e| panic!("{css}: {e}"));
        element.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Clicks as a person would; works without script in the page.
    pub fn click(&self, css: &str) {
        let id = self.find(css);
        self.call("POST", &self.at(&format!("/element/{id}/click")), &json!({}))
            .unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// Gives a file to a file field.
    pub fn attach(&self, css: &str, file: &Path) {
        let id = self.find(css);
        let body = json!({ "text": file.to_str().unwrap() });
        self.call("POST", &self.at(&format!("/element/{id}/value")), &body)
            .unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// A picture of the window, PNG in Base64.
    pub fn picture(&self) -> String {
        self.call("GET", &self.at("/screenshot"), &json!({})).unwrap().as_str().unwrap().to_owned()
    }

    /// Looks until the text of an element holds `part`: a page that a form asked for may still be on its way.
    pub fn says(&self, css: &str, part: &str) -> bool {
        /// Looks; each is a round trip of some milliseconds, so that all are a few seconds.
        const LOOKS_MAX: usize = 500;
        (0..LOOKS_MAX).any(|_| self.text(css).contains(part))
    }

    /// The visible text; works without script in the page. A page that is being replaced may take an element away
    /// between finding and reading it: then it is looked for again, a bounded number of times.
    pub fn text(&self, css: &str) -> String {
        let mut last = String::new();
        for _ in 0..STALE_TRIES_MAX {
            let id = self.find(css);
            match self.call("GET", &self.at(&format!("/element/{id}/text")), &json!({})) {
                Ok(text) => return text.as_str().unwrap().to_owned(),
                Err(error) => last = error,
            }
        }
        panic!("{css}: {last}")
    }

    /// Sends a command of the Chrome DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.call("POST", &self.at("/goog/cdp/execute"), &json!({ "cmd": command, "params": parameters }))
            .unwrap()
    }

    /// Width of the window, colour scheme of the person.
    pub fn look(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// What the browser complained about since the last call: script errors, refused resources, broken policy.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", &self.at("/se/log"), &json!({ "type": "browser" })).unwrap();
        log.as_array()
            .unwrap()
            .iter()
            .filter(|e| e["level"] != "INFO")
            .map(|e| e["message"].to_string())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call("DELETE", &self.at(""), &json!({}));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
