//! A headless Chromium, driven over a pair of pipes by its DevTools protocol: messages in JSON, each
//! ended by a zero byte.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::openssl::Scratch;

/// A page of a browser. The browser ends with this value.
pub struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    next: u64,
    session: Option<String>,
    /// What the page wrote to its console, and what it threw.
    pub said: Vec<String>,
    _scratch: Scratch,
}

impl Browser {
    /// Opens a page. None where there is no Chromium.
    pub fn open(url: &str, width: u32, height: u32) -> Result<Option<Self>, Box<dyn Error>> {
        let program = "chromium";
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("SKIPPED: no chromium here");
            return Ok(None);
        }
        let scratch = Scratch::new()?;
        for pipe in ["to", "from"] {
            Command::new("mkfifo").arg(scratch.path().join(pipe)).status()?;
        }
        // The shell opens what the browser has as its third and fourth file.
        let line = format!(
            "exec {program} --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars \
             --remote-debugging-pipe --user-data-dir=profile --window-size={width},{height} \
             about:blank 3<to 4>from"
        );
        let child = Command::new("sh")
            .args(["-c", &line])
            .current_dir(scratch.path())
            .env("HOME", scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let open = |name: &str, write: bool| {
            let path: &Path = &scratch.path().join(name);
            OpenOptions::new().read(!write).write(write).open(path)
        };
        let (to, from) = (open("to", true)?, BufReader::new(open("from", false)?));
        let (session, said) = (None, Vec::new());
        let mut browser = Self { child, to, from, next: 1, session, said, _scratch: scratch };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", &attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.ask("Runtime.enable", &json!({}))?;
        browser.ask("Log.enable", &json!({}))?;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.ask("Emulation.setDeviceMetricsOverride", &size)?;
        browser.ask("Page.navigate", &json!({ "url": url }))?;
        let there = "location.href !== 'about:blank' && document.readyState === 'complete'";
        browser.wait(there)?;
        Ok(Some(browser))
    }

    /// A command of the protocol, and its result.
    pub fn ask(&mut self, method: &str, params: &Value) -> Result<Value, Box<dyn Error>> {
        let id = self.next;
        self.next += 1;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes())?;
        loop {
            let mut text = Vec::new();
            if self.from.read_until(0, &mut text)? == 0 {
                return Err("the browser has ended".into());
            }
            text.pop();
            let answer: Value = serde_json::from_slice(&text)?;
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => {
                    self.said.push(answer["params"].to_string());
                }
                _ if answer["id"] == id && !answer["error"].is_null() => {
                    return Err(format!("{method}: {}", answer["error"]).into());
                }
                _ if answer["id"] == id => return Ok(answer["result"].clone()),
                _ => {}
            }
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Result<Value, Box<dyn Error>> {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", &params)?;
        if answer["exceptionDetails"].is_null() {
            return Ok(answer["result"]["value"].clone());
        }
        Err(format!("{expression}: {}", answer["exceptionDetails"]).into())
    }

    /// Waits until an expression is true, twenty seconds at most.
    pub fn wait(&mut self, expression: &str) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if self.value(expression)? == true {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let text = self.value("document.documentElement.innerText")?;
        Err(format!("not within 20 s: {expression}\n{text}\n{:?}", self.said).into())
    }

    /// The picture of the page, as PNG in base64.
    pub fn screenshot(&mut self) -> Result<String, Box<dyn Error>> {
        let answer = self.ask("Page.captureScreenshot", &json!({ "format": "png" }))?;
        Ok(answer["data"].as_str().unwrap_or_default().to_owned())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
