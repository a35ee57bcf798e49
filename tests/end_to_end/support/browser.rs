//! Debian's Chromium, driven as a person would use it, over the WebDriver protocol (w3.org/TR/webdriver2).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{eventually, ports};

/// The key under which WebDriver gives an element's reference (its section 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// No command takes longer, or something is wrong; the browser's start on a busy machine is the slowest.
const COMMAND: Duration = Duration::from_secs(30);

/// One browser with a fresh profile; ended, with all its processes, when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let profile = TempDir::new().expect("a directory");
        // It takes a port for both IPv4 and IPv6, and ends when it cannot have one of them.
        let (driver, port) =
            (0..10).find_map(|_| start_driver()).expect("chromedriver starts (scripts/test installs it)");
        let mut browser = Browser { driver, port, session: String::new(), profile };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1600,1200",
            &format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let created = browser.request("POST", "/session", Some(&wanted)).expect("a browser");
        browser.session = created["sessionId"].as_str().expect("a session").to_string();
        browser
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, address: &str) {
        self.command("POST", "/url", Some(&json!({"url": address})))
            .unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    pub fn address(&self) -> String {
        let address = self.command("GET", "/url", None).expect("an address");
        address.as_str().expect("text").to_string()
    }

    /// All elements that an XPath finds, in the page's order.
    pub fn all(&self, xpath: &str) -> Vec<Element<'_>> {
        let found = self.command("POST", "/elements", Some(&json!({"using": "xpath", "value": xpath}))).expect(xpath);
        let references = found.as_array().expect("a list").iter();
        references
            .map(|one| Element { browser: self, reference: one[ELEMENT].as_str().expect("an element").to_string() })
            .collect()
    }

    /// The only element that an XPath finds.
    pub fn one(&self, xpath: &str) -> Element<'_> {
        let mut found = self.all(xpath);
        assert_eq!(found.len(), 1, "{xpath} on {}", self.address());
        found.remove(0)
    }

    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.request(method, &format!("/session/{}{path}", self.session), body)
    }

    /// The answer's `value`, or its error.
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        ));
        let (head, body) = answer.map_err(|error| format!("{method} {path}: {error}"))?;
        let value: Value = serde_json::from_slice(&body).map_err(|error| format!("{error}: {body:?}"))?;
        if head.starts_with("HTTP/1.1 200 ") { Ok(value["value"].clone()) } else { Err(value["value"].to_string()) }
    }

    /// Head and body of an answer; chromedriver keeps connections whatever it is told, so the length decides.
    fn exchange(&self, request: &str) -> std::io::Result<(String, Vec<u8>)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(COMMAND))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok((head, body))
    }
}

/// The driver and its port; `None` when it ended instead. Of the ports that the kernel would choose, other tests use so
/// many for connections that it could find none ten times over.
fn start_driver() -> Option<(Child, u16)> {
    let mut driver = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "chromedriver", &format!("--port={}", ports::free_port())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed (scripts/test does)");
    let lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        line.strip_prefix("ChromeDriver was started successfully on port ")?.strip_suffix('.')?.parse().ok()
    });
    match port {
        Some(port) => Some((driver, port)),
        None => {
            let _ = driver.kill();
            let _ = driver.wait();
            None
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.command("DELETE", "", None);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // Whatever of the browser outlives its driver has our profile's directory on its command line.
        let profile = self.profile.path().display().to_string();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            if fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&profile))
            {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// An element of the page that was open when it was found.
pub struct Element<'a> {
    browser: &'a Browser,
    reference: String,
}

impl Element<'_> {
    /// What a person reads of it.
    pub fn text(&self) -> String {
        self.ask("text").expect("text").as_str().expect("text").to_string()
    }

    /// Whether its page is still the one that is shown.
    pub fn is_there(&self) -> bool {
        match self.ask("name") {
            Ok(_) => true,
            Err(error) => {
                assert!(error.contains("stale element reference"), "{error}");
                false
            }
        }
    }

    pub fn is_checked(&self) -> bool {
        self.ask("selected").expect("its state").as_bool().expect("yes or no")
    }

    /// Scrolls to it and clicks in its middle; fails when something else is there.
    pub fn click(&self) {
        let path = format!("/element/{}/click", self.reference);
        self.browser.command("POST", &path, Some(&json!({}))).expect("it can be clicked");
    }

    /// Clicks what leads to another page, and waits until that has come.
    pub fn click_away(&self) {
        self.click();
        eventually(30, "another page", || if self.is_there() { Err(self.browser.address()) } else { Ok(()) });
    }

    fn ask(&self, what: &str) -> Result<Value, String> {
        self.browser.command("GET", &format!("/element/{}/{what}", self.reference), None)
    }
}
