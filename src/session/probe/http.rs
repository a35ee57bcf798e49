//! The request of an HTTP check and just enough of a response's grammar to judge it. More lenient than what forwards
//! traffic: nothing read here goes anywhere but into a verdict.

use crate::config::model::HttpCheck;

/// The request's bytes, with a place for the server state header.
#[derive(Debug)]
pub(super) struct Request {
    /// Request line and configured headers.
    head: Vec<u8>,
    /// Framing headers, end of head, body.
    rest: Vec<u8>,
}

impl Request {
    /// Header names in lower case, then `content-length` where there is (or by its method could be) a body, then
    /// `connection: close` for HTTP/1.1: the bytes that HAProxy 2.6 sends.
    pub fn new(check: &HttpCheck) -> Request {
        let mut head = format!("{} {} {}\r\n", check.method, check.uri, check.version).into_bytes();
        for (name, value) in &check.headers {
            // Both are the check's own business: HAProxy drops them too.
            if name.eq_ignore_ascii_case("connection") || name.eq_ignore_ascii_case("content-length") {
                continue;
            }
            head.extend_from_slice(name.to_ascii_lowercase().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let mut rest = Vec::new();
        let bodiless = ["GET", "HEAD", "OPTIONS", "DELETE", "CONNECT"].contains(&check.method.as_str());
        if !check.body.is_empty() || !bodiless {
            rest.extend_from_slice(format!("content-length: {}\r\n", check.body.len()).as_bytes());
        }
        if check.version.eq_ignore_ascii_case("HTTP/1.1") {
            rest.extend_from_slice(b"connection: close\r\n");
        }
        rest.extend_from_slice(b"\r\n");
        rest.extend_from_slice(&check.body);
        Request { head, rest }
    }

    pub fn bytes(&self, server_state: Option<&str>) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if let Some(state) = server_state {
            bytes.extend_from_slice(b"x-haproxy-server-state: ");
            bytes.extend_from_slice(state.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

pub(super) enum Parsed {
    /// The head is not all there.
    Incomplete,
    /// Not HTTP.
    Invalid,
    Response(Response),
}

pub(super) struct Response {
    pub status: u16,
    pub reason: Vec<u8>,
    /// As much of the decoded body as is there.
    pub body: Vec<u8>,
    /// The body is all there.
    pub complete: bool,
}

/// Reads the response from its first byte. `end_of_input`: nothing more will come.
pub(super) fn parse(bytes: &[u8], end_of_input: bool) -> Parsed {
    let is_prefix_of_http = bytes.iter().zip(b"HTTP/").all(|(have, want)| have == want);
    if !is_prefix_of_http {
        return Parsed::Invalid;
    }
    let Some(line_end) = memchr::memchr(b'\n', bytes) else { return Parsed::Incomplete };
    let Some((status, reason)) = status_line(&bytes[..line_end]) else { return Parsed::Invalid };
    let mut framing = Framing::UntilClose;
    let mut at = line_end + 1;
    loop {
        let Some(length) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) else {
            return Parsed::Incomplete;
        };
        let line = bytes[at..at + length].trim_ascii_end();
        at += length + 1;
        if line.is_empty() {
            break;
        }
        let Some(colon) = memchr::memchr(b':', line) else { return Parsed::Invalid };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") && framing != Framing::Chunked {
            let Some(length) = decimal(value) else { return Parsed::Invalid };
            framing = Framing::Length(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && value.to_ascii_lowercase().ends_with(b"chunked") {
            framing = Framing::Chunked;
        }
    }
    if (100..200).contains(&status) || status == 204 || status == 304 {
        framing = Framing::Length(0);
    }
    let rest = &bytes[at..];
    let (body, complete) = match framing {
        Framing::UntilClose => (rest.to_vec(), false),
        Framing::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            (rest[..rest.len().min(length)].to_vec(), rest.len() >= length)
        }
        Framing::Chunked => dechunk(rest),
    };
    Parsed::Response(Response { status, reason, body, complete: complete || end_of_input })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    UntilClose,
    Length(u64),
    Chunked,
}

/// `HTTP/1.1 200 OK` without its line end: status and reason.
fn status_line(line: &[u8]) -> Option<(u16, Vec<u8>)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let version_end = memchr::memchr(b' ', line)?;
    let version = line[..version_end].strip_prefix(b"HTTP/")?;
    if !version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') || version.is_empty() {
        return None;
    }
    let rest = line[version_end..].trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let status = u16::try_from(decimal(&rest[..digits])?).ok()?;
    match rest.get(digits) {
        None | Some(b' ') => Some((status, rest[digits..].trim_ascii().to_vec())),
        Some(_) => None,
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The data of the chunks that are there, and whether the last one was among them.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line_end) = memchr::memchr(b'\n', rest) else { return (body, false) };
        let digits = rest[..line_end].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&rest[..digits]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        rest = &rest[line_end + 1..];
        match size {
            // Trailers are of no interest. A size that is none ends what can be read.
            Some(0) | None => return (body, true),
            Some(size) => {
                body.extend_from_slice(&rest[..rest.len().min(size)]);
                let Some(after) = rest.get(size..) else { return (body, false) };
                let Some(data_end) = memchr::memchr(b'\n', after) else { return (body, false) };
                rest = &after[data_end + 1..];
            }
        }
    }
}
