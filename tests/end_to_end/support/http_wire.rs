//! HTTP/1 as it is on the wire, read strictly: what the tests' clients and origins share.
//!
//! Nothing here is forgiving. A head or a body that could be read in two ways is an error, since the proxy is not
//! to send such a thing in either direction.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

/// A start line and its header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub start: String,
    /// Names in the case they came with.
    pub headers: Vec<(String, String)>,
    /// Byte for byte, with the empty line.
    pub raw: Vec<u8>,
}

impl Head {
    /// The value of the only header of that name, in any case; panics when there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "several {name} in {:?}", self.headers);
        values.first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// Whether a comma-separated header has a token, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
    }

    /// The start line's words.
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).unwrap_or_default()
    }

    fn parse(raw: Vec<u8>) -> Result<Head, String> {
        let text = latin_1(&raw);
        let mut lines = text.strip_suffix("\r\n\r\n").unwrap_or(&text).split("\r\n");
        let start = lines.next().unwrap_or_default().to_string();
        if start.contains(['\r', '\n', '\0']) {
            return Err(format!("a start line with control characters: {start:?}"));
        }
        let headers = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Head { start, headers, raw })
    }
}

/// One character for one byte.
pub fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// `Name: value`, RFC 9112 section 5.
fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("a header without colon: {line:?}"))?;
    let is_token = |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(format!("not a header's name: {name:?}"));
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(format!("a header's value with control characters: {value:?}"));
    }
    Ok((name.to_string(), value.trim_matches([' ', '\t']).to_string()))
}

/// How the end of a body is known, RFC 9112 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(usize),
    Chunked,
    /// Until the connection's end: responses only.
    Close,
}

/// The framing that a head announces; `otherwise` when it says nothing.
pub fn framing(head: &Head, otherwise: Framing) -> Result<Framing, String> {
    let (lengths, codings) = (head.all("content-length"), head.all("transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(otherwise),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Framing::Length(length.parse().map_err(|_| format!("a length of {length}"))?))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        _ => Err(format!("no clear framing: lengths {lengths:?}, codings {codings:?}")),
    }
}

/// Reads messages from a connection, keeping what came behind them.
pub struct Wire {
    pub stream: TcpStream,
    /// Received and not yet taken.
    pub pending: Vec<u8>,
    /// Everything ever received.
    pub received: Vec<u8>,
    pub ended: bool,
}

/// A body, and the trailer fields of a chunked one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Wire {
        Wire { stream, pending: Vec::new(), received: Vec::new(), ended: false }
    }

    /// Receives once more; false at the end of the stream.
    pub fn fill(&mut self) -> Result<bool, String> {
        let mut bytes = [0u8; 65_536];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(length) => {
                    self.pending.extend_from_slice(&bytes[..length]);
                    self.received.extend_from_slice(&bytes[..length]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Takes up to and with the next `end`; none when the stream ends before its first byte.
    fn take_until(&mut self, end: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let mut searched = 0;
        loop {
            let found = self.pending[searched..].windows(end.len()).position(|window| window == end);
            if let Some(position) = found {
                return Ok(Some(self.pending.drain(..searched + position + end.len()).collect()));
            }
            searched = self.pending.len().saturating_sub(end.len() - 1);
            if !self.fill()? {
                return match self.pending.is_empty() {
                    true => Ok(None),
                    false => Err(format!("the stream ends within {:?}", latin_1(&self.pending))),
                };
            }
        }
    }

    /// The next head; none when the stream ends before it begins.
    pub fn head(&mut self) -> Result<Option<Head>, String> {
        self.take_until(b"\r\n\r\n")?.map(Head::parse).transpose()
    }

    /// A line without its CRLF.
    fn line(&mut self) -> Result<String, String> {
        let line = self.take_until(b"\r\n")?.ok_or("the stream ends instead of a line")?;
        Ok(latin_1(&line[..line.len() - 2]))
    }

    pub fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.pending.len() < length {
            if !self.fill()? {
                return Err(format!("the stream ends {} bytes short of {length}", length - self.pending.len()));
            }
        }
        Ok(self.pending.drain(..length).collect())
    }

    pub fn body(&mut self, framing: Framing) -> Result<Body, String> {
        match framing {
            Framing::None => Ok(Body::default()),
            Framing::Length(length) => Ok(Body { bytes: self.exactly(length)?, trailers: Vec::new() }),
            Framing::Chunked => self.chunks(),
            Framing::Close => {
                while self.fill()? {}
                Ok(Body { bytes: std::mem::take(&mut self.pending), trailers: Vec::new() })
            }
        }
    }

    /// RFC 9112 section 7.1, without chunk extensions: the proxy's own canonical form has none.
    fn chunks(&mut self) -> Result<Body, String> {
        let mut body = Body::default();
        loop {
            let line = self.line()?;
            if line.is_empty() || line.len() > 16 || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!("not a chunk's size: {line:?}"));
            }
            let size = usize::from_str_radix(&line, 16).map_err(|error| error.to_string())?;
            if size == 0 {
                break;
            }
            body.bytes.extend(self.exactly(size)?);
            let end = self.line()?;
            if !end.is_empty() {
                return Err(format!("a chunk goes on after its size: {end:?}"));
            }
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(body);
            }
            body.trailers.push(field(&line)?);
        }
    }
}

/// `name: value` lines with names in lower case and sorted: HAProxy lower-cases names and Ringway doesn't, and
/// neither promises an order among different names.
pub fn sorted(headers: &[(String, String)]) -> String {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase())).collect();
    // Stable: the values of one name keep their order.
    lines.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
    lines.join("\n")
}
