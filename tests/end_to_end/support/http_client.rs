//! A client that sends what it is told and reads answers strictly.

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::http_wire::{Body, Framing, Head, Wire, framing};
use super::{connect, connect_from};

pub struct HttpClient {
    pub wire: Wire,
    /// Gone when the client is: the kernel learns of it later, if another thread starts a process just then, which
    /// has a copy of the socket until it runs its own program.
    pub presence: Arc<()>,
}

/// An answer, read to its own end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub framing: Option<Framing>,
    pub body: Body,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    /// Who answered, as [`super::HttpOrigin::named`] says it.
    pub fn server(&self) -> &str {
        self.header("x-server").unwrap_or_default()
    }
}

impl HttpClient {
    pub fn of(stream: TcpStream) -> HttpClient {
        HttpClient { wire: Wire::new(stream), presence: Arc::default() }
    }

    pub fn connect(port: u16) -> HttpClient {
        HttpClient::of(connect(port))
    }

    pub fn connect_from(source: Ipv4Addr, port: u16) -> HttpClient {
        HttpClient::of(connect_from(source, port))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.stream.write_all(bytes.as_ref()).expect("the proxy takes the request");
    }

    /// As `send`, when the proxy may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// One segment for each byte.
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        for byte in bytes.as_ref() {
            if !self.try_send([*byte]) {
                return;
            }
            thread::sleep(pause);
        }
    }

    pub fn half_close(&mut self) {
        let _ = self.wire.stream.shutdown(Shutdown::Write);
    }

    /// The next answer to a request of `method`, 1xx answers included as such.
    pub fn try_response(&mut self, method: &str) -> Result<Response, String> {
        let head = self.wire.head()?.ok_or("the connection ended instead of an answer")?;
        let mut words = head.start.splitn(3, ' ');
        let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !matches!(version, "HTTP/1.0" | "HTTP/1.1") || status.len() != 3 {
            return Err(format!("not a status line: {:?}", head.start));
        }
        let status: u16 = status.parse().map_err(|_| format!("not a status: {:?}", head.start))?;
        let framing = match status {
            100..200 | 204 | 304 => Framing::None,
            200..300 if method == "CONNECT" => Framing::None,
            _ if method == "HEAD" => Framing::None,
            _ => framing(&head, Framing::Close)?,
        };
        let body = self.wire.body(framing)?;
        Ok(Response { status, head, framing: Some(framing), body })
    }

    pub fn response(&mut self, method: &str) -> Response {
        self.try_response(method).unwrap_or_else(|problem| {
            panic!("no answer: {problem}; all that came: {:?}", String::from_utf8_lossy(&self.wire.received))
        })
    }

    /// Sends one request and reads its answer, past 1xx ones.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        let request = request.as_ref();
        self.send(request);
        let method = String::from_utf8_lossy(request.split(|&byte| byte == b' ').next().unwrap_or_default());
        loop {
            let response = self.response(&method);
            if response.status >= 200 || response.status == 101 {
                return response;
            }
        }
    }

    /// `GET target` with `Host: test`, on this connection.
    pub fn get(&mut self, target: &str) -> Response {
        self.ask(get(target))
    }

    /// Nothing more came, and the proxy has closed.
    pub fn expect_end(&mut self) {
        match self.wire.fill() {
            Ok(false) => {}
            Err(problem) if problem.contains("reset") => {}
            other => panic!("not the end: {other:?}, {:?}", String::from_utf8_lossy(&self.wire.pending)),
        }
        assert!(self.wire.pending.is_empty(), "more came: {:?}", String::from_utf8_lossy(&self.wire.pending));
    }

    /// Whether the proxy closes after this answer: for sure when it says so, and at once when it does not say.
    pub fn is_closed_after(&mut self, response: &Response) -> bool {
        let announced = response.framing == Some(Framing::Close) || response.head.has_token("connection", "close");
        self.is_closed_within(Duration::from_millis(if announced { 20_000 } else { 300 }))
    }

    /// Whether the proxy closes within a time (without sending anything more).
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        self.wire.stream.set_read_timeout(Some(time)).expect("a timeout");
        let ended = match self.wire.fill() {
            Ok(more) => !more,
            Err(problem) => problem.contains("reset"),
        };
        self.wire.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        ended
    }
}

/// A whole GET request.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// One request on a connection of its own.
pub fn ask(port: u16, request: impl AsRef<[u8]>) -> Response {
    HttpClient::connect(port).ask(request)
}
