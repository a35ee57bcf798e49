//! `errorfile`: a file with a whole HTTP response, read when the configuration is (configuration.txt section 4.2).

use crate::config::model::Page;
use crate::proto::http1::head::HeadLimits;
use crate::proto::http1::message::Message;
use crate::proto::http1::response_head::{ResponseError, ResponseHeadParser};
use std::fs::File;
use std::io::Read;

/// The most that is read of a file: above any sensible `tune.bufsize`, which the result is compared with later.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads a file up to [`FILE_BYTES_MAX`].
/// # Errors
/// What is wrong with it.
pub fn read(path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("error opening file '{path}': {error}."))?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("error reading file '{path}': {error}."))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("'{path}' is larger than {FILE_BYTES_MAX} bytes."));
    }
    Ok(bytes)
}

/// Reads a whole response. An empty file is the wish to close without a word.
/// # Errors
/// What is wrong with it.
pub fn page(path: &str) -> Result<Page, String> {
    let bytes = read(path)?;
    parse(&bytes).map_err(|problem| format!("'{path}': {problem}."))
}

/// Makes a page of a response as it would stand on the wire.
fn parse(bytes: &[u8]) -> Result<Page, String> {
    if bytes.is_empty() {
        return Ok(Page { is_silent: true, ..Page::default() });
    }
    // People write such files with the line ends of their editor.
    let limits = HeadLimits { head_bytes_max: bytes.len() * 2 + 2, ..HeadLimits::default() };
    let mut parser = ResponseHeadParser::new(limits);
    let mut message = Message::default();
    let with_line_ends = with_carriage_returns(bytes);
    let length = match parser.advance_into(&with_line_ends.head, &mut message) {
        Ok(Some(length)) => length,
        Ok(None) => return Err("the headers have no end: an empty line must follow them".into()),
        Err(ResponseError::TooLarge) => return Err("too many headers".into()),
        Err(_) => return Err("unable to parse headers: it must be a whole HTTP response, status line first".into()),
    };
    debug_assert_eq!(length, with_line_ends.head.len());
    page_of(&message, with_line_ends.body)
}

struct Split<'b> {
    head: Vec<u8>,
    body: &'b [u8],
}

/// The head with CRLF at the end of every line, up to and with the empty one, and what follows it.
fn with_carriage_returns(bytes: &[u8]) -> Split<'_> {
    let mut head = Vec::with_capacity(512);
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        rest = &rest[end + 1..];
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
        if line.is_empty() {
            return Split { head, body: rest };
        }
    }
    head.extend_from_slice(rest);
    Split { head, body: b"" }
}

fn page_of(message: &Message, body: &[u8]) -> Result<Page, String> {
    let status = message.status();
    if status < 200 {
        return Err(format!("invalid http status code for an error message ({status})"));
    }
    if message.has(b"transfer-encoding") {
        return Err("chunk-encoded payload not supported".into());
    }
    if matches!(status, 204 | 304) && !body.is_empty() {
        return Err("message payload not expected".into());
    }
    for announced in message.values(b"content-length") {
        if announced != body.len().to_string().as_bytes() {
            let announced = String::from_utf8_lossy(announced);
            let length = body.len();
            return Err(format!("payload size does not match the announced content-length ({length} != {announced})"));
        }
    }
    let mut page = Page::new(status, None, body.into());
    page.reason = message.reason().into();
    for (name, value) in message.headers() {
        // The length is the page's own; what is said about the connection is said for each one.
        if !OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            page.headers.push((name.into(), value.into()));
        }
    }
    Ok(page)
}

const OWN_HEADERS: [&[u8]; 4] = [b"content-length", b"connection", b"proxy-connection", b"keep-alive"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> String {
        parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_response_becomes_a_page() {
        for end in ["\r\n", "\n"] {
            let text =
                ["HTTP/1.0 503 Sorry", "Connection: close", "Content-Type: text/html", "A: 1", "A: 2", "", "<p>\n"]
                    .join(end);
            let page = parse(text.as_bytes()).expect("a page");
            assert_eq!((page.status, &*page.reason, &*page.body), (503, &b"Sorry"[..], &b"<p>\n"[..]));
            let names: Vec<_> = page.headers.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
            assert_eq!(names, ["content-length", "Content-Type", "A", "A"]);
        }
        assert!(parse(b"").expect("an empty page").is_silent);
        assert!(
            parse(b"HTTP/1.1 404\r\n\r\n").is_ok() && parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").is_ok()
        );
    }

    #[test]
    fn what_haproxy_refuses() {
        assert!(problem("hello").contains("no end"));
        assert!(problem("hello\n\n").contains("unable to parse"));
        assert!(problem("HTTP/1.1 503 X\r\nA b: c\r\n\r\n").contains("unable to parse"));
        assert!(problem("HTTP/1.1 103 X\r\n\r\n").contains("(103)"));
        assert!(problem("HTTP/1.1 204 X\r\n\r\nbody").contains("not expected"));
        assert!(problem("HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").contains("chunk"));
        assert!(problem("HTTP/1.1 503 X\r\nContent-Length: 5\r\n\r\nhi").contains("(2 != 5)"));
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(HTTP/1.[01] [0-9]{1,3} )?[a-zA-Z:\r\n -]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
