//! An HTTP server that a test scripts, and that keeps what it was sent.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http_wire::{Body, Framing, Head, Wire, framing};
use super::origin::listener;
use super::{Origin, eventually, reset};

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Keep,
    Close,
    Reset,
}

/// A request that arrived whole.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Counts the origin's connections from 0.
    pub connection: usize,
    pub head: Head,
    pub body: Body,
}

#[derive(Default)]
struct Record {
    seen: Mutex<Vec<Seen>>,
    /// All bytes of each connection, complete requests or not.
    raw: Mutex<Vec<Vec<u8>>>,
    violations: Mutex<Vec<String>>,
    open: AtomicUsize,
}

pub struct HttpOrigin {
    origin: Origin,
    record: Arc<Record>,
}

/// One request while it is being answered.
pub struct Exchange<'a> {
    pub connection: usize,
    pub head: Head,
    wire: &'a mut Wire,
    body: Option<Body>,
    record: &'a Record,
    is_noted: bool,
}

impl Exchange<'_> {
    /// The request's body, waited for.
    pub fn body(&mut self) -> Result<&Body, String> {
        if self.body.is_none() {
            // A request that is cut off has not arrived, whatever becomes of it.
            let was_noted = std::mem::replace(&mut self.is_noted, true);
            self.body = Some(self.wire.body(framing(&self.head, Framing::None)?)?);
            self.is_noted = was_noted;
            self.note();
        }
        self.body.as_ref().ok_or_else(String::new)
    }

    /// Before the answer, so that who has the answer finds the request among those seen.
    fn note(&mut self) {
        if !std::mem::replace(&mut self.is_noted, true) {
            let (head, body) = (self.head.clone(), self.body.clone().unwrap_or_default());
            self.record.seen.lock().expect("requests").push(Seen { connection: self.connection, head, body });
        }
    }

    pub fn method(&self) -> &str {
        self.head.word(0)
    }

    pub fn target(&self) -> &str {
        self.head.word(1)
    }

    /// A value of the target's query.
    pub fn query(&self, name: &str) -> Option<&str> {
        let query = self.target().split_once('?')?.1;
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(found, _)| *found == name).map(|(_, v)| v))
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.query(name)?.parse().ok()
    }

    /// Sends bytes as they are; whether the proxy still takes them is its own affair.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if self.body.is_none() && matches!(framing(&self.head, Framing::None), Ok(Framing::None)) {
            // It is all there.
            self.note();
        }
        let _ = self.wire.stream.write_all(bytes.as_ref());
    }

    /// Sends a whole answer with a Content-Length; `headers` are lines with CRLF.
    pub fn answer(&mut self, status: &str, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        self.send([head.as_bytes(), body].concat());
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.wire.stream
    }

    /// Sends back everything that comes, from now to the end: a tunnel's far end.
    pub fn echo_all(&mut self) -> Next {
        loop {
            let bytes = std::mem::take(&mut self.wire.pending);
            self.send(&bytes);
            if !matches!(self.wire.fill(), Ok(true)) {
                return Next::Close;
            }
        }
    }
}

impl HttpOrigin {
    /// Runs `serve` for each request.
    pub fn start(serve: impl Fn(&mut Exchange) -> Next + Send + Sync + 'static) -> HttpOrigin {
        HttpOrigin::start_listening(listener(), serve)
    }

    pub fn start_on(address: SocketAddr, serve: impl Fn(&mut Exchange) -> Next + Send + Sync + 'static) -> HttpOrigin {
        HttpOrigin::start_listening(TcpListener::bind(address).expect("the origin listens"), serve)
    }

    fn start_listening(
        listener: TcpListener,
        serve: impl Fn(&mut Exchange) -> Next + Send + Sync + 'static,
    ) -> HttpOrigin {
        let record = Arc::new(Record::default());
        let shared = Arc::clone(&record);
        let origin = Origin::start_listening(listener, move |stream| {
            shared.open.fetch_add(1, Ordering::Relaxed);
            connection(stream, &shared, &serve);
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
        HttpOrigin { origin, record }
    }

    /// Answers as the request asks it to (see [`as_asked`]) and says its name in `X-Server`.
    pub fn named(name: &str) -> HttpOrigin {
        let name = name.to_string();
        HttpOrigin::start(move |exchange| as_asked(&name, exchange))
    }

    pub fn named_on(address: SocketAddr, name: &str) -> HttpOrigin {
        let name = name.to_string();
        HttpOrigin::start_on(address, move |exchange| as_asked(&name, exchange))
    }

    pub fn address(&self) -> SocketAddr {
        self.origin.address()
    }

    /// The requests that have arrived whole, in the order of their answers; a strict reader found nothing wrong.
    pub fn seen(&self) -> Vec<Seen> {
        let violations = self.record.violations.lock().expect("violations").clone();
        assert!(violations.is_empty(), "what the origin was sent: {violations:#?}");
        self.record.seen.lock().expect("requests").clone()
    }

    pub fn wait_for_requests(&self, seconds: u64, count: usize) -> Vec<Seen> {
        eventually(seconds, &format!("{count} requests"), || {
            let seen = self.seen();
            if seen.len() >= count { Ok(seen) } else { Err(format!("{seen:#?}")) }
        })
    }

    /// All bytes of each connection that has ended or answered.
    pub fn raw(&self) -> Vec<Vec<u8>> {
        self.record.raw.lock().expect("bytes").clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.record.raw.lock().expect("bytes").len()
    }

    pub fn open_connections(&self) -> usize {
        self.record.open.load(Ordering::Relaxed)
    }
}

fn connection(stream: TcpStream, record: &Record, serve: &impl Fn(&mut Exchange) -> Next) {
    let index = {
        let mut raw = record.raw.lock().expect("bytes");
        raw.push(Vec::new());
        raw.len() - 1
    };
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::new(stream);
    let end = loop {
        let next = exchange(index, &mut wire, record, serve);
        record.raw.lock().expect("bytes")[index] = wire.received.clone();
        match next {
            Ok(Some(Next::Keep)) => {}
            Ok(Some(next)) => break next,
            Ok(None) => break Next::Close,
            Err(problem) => {
                // A stream that is cut off is the proxy's right (its client may have left); other things are not.
                if !wire.ended && !problem.contains("reset by peer") {
                    record.violations.lock().expect("violations").push(problem);
                }
                break Next::Close;
            }
        }
    };
    if end == Next::Reset {
        reset(wire.stream);
    }
}

fn exchange(
    connection: usize,
    wire: &mut Wire,
    record: &Record,
    serve: &impl Fn(&mut Exchange) -> Next,
) -> Result<Option<Next>, String> {
    let Some(head) = wire.head()? else { return Ok(None) };
    record.raw.lock().expect("bytes")[connection] = wire.received.clone();
    let mut exchange = Exchange { connection, head, wire, body: None, record, is_noted: false };
    let next = serve(&mut exchange);
    // Who answers early still reads what was announced, before the next request.
    if next == Next::Keep {
        exchange.body()?;
    }
    exchange.note();
    Ok(Some(next))
}

/// The answer that a target's query describes:
/// `status` (200), `size` of the body (its name and a newline unless given), `framing` length/chunked/close,
/// `delay` in ms before the head, `stall` in ms between head and body, `close=1` after it, `cookie=value` to set.
pub fn as_asked(name: &str, exchange: &mut Exchange) -> Next {
    if exchange.body().is_err() {
        return Next::Close;
    }
    let status = exchange.query("status").unwrap_or("200").to_string();
    let size = exchange.number("size").and_then(|size| usize::try_from(size).ok());
    let body = size.map_or_else(|| format!("{name}\n").into_bytes(), pattern);
    let is_bodiless = exchange.method() == "HEAD" || status == "204" || status == "304" || status.starts_with('1');
    let framing = exchange.query("framing").unwrap_or("length").to_string();
    pause(exchange.number("delay"));
    let mut head = format!("HTTP/1.1 {status} {}\r\nX-Server: {name}\r\n", reason(&status));
    let mut next = Next::Keep;
    match framing.as_str() {
        "chunked" => head.push_str("Transfer-Encoding: chunked\r\n"),
        "close" => next = Next::Close,
        _ if status == "204" => {}
        _ => head.push_str(&format!("Content-Length: {}\r\n", body.len())),
    }
    if exchange.query("close").is_some() {
        head.push_str("Connection: close\r\n");
        next = Next::Close;
    }
    if let Some(cookie) = exchange.query("cookie") {
        head.push_str(&format!("Set-Cookie: {}\r\n", cookie.replace(':', "=")));
    }
    head.push_str("\r\n");
    let stall = exchange.number("stall");
    if stall.is_some() {
        exchange.send(&head);
        head.clear();
        pause(stall);
    }
    let mut bytes = head.into_bytes();
    if !is_bodiless {
        match framing.as_str() {
            "chunked" => bytes.extend(chunked(&body, 1000, &[])),
            _ => bytes.extend(body),
        }
    }
    exchange.send(bytes);
    next
}

fn pause(ms: Option<u64>) {
    if let Some(ms) = ms {
        thread::sleep(Duration::from_millis(ms));
    }
}

fn reason(status: &str) -> &'static str {
    let known: HashMap<&str, &str> = [
        ("200", "OK"),
        ("204", "No Content"),
        ("304", "Not Modified"),
        ("404", "Not Found"),
        ("500", "Internal Server Error"),
        ("503", "Service Unavailable"),
    ]
    .into();
    known.get(status).copied().unwrap_or("Test")
}

/// `size` bytes that are not all alike, the same each time.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| b"abcdefghijklmnopqrstuvwxyz012345"[(index * 7 + index / 32) % 32]).collect()
}

/// A body in chunks of `size`, then trailers.
pub fn chunked(body: &[u8], size: usize, trailers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
