//! Request heads (RFC 9112 sections 2–5).

use super::line_reader::{Fault, Leniency, LineReader, Progress, offset_within};
use super::message::Message;
use super::{is_token, trim_blanks};

/// Bounds on a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// First line and headers together, up to and with the blank line. HAProxy's is `tune.bufsize` less
    /// `tune.maxrewrite`.
    pub head_bytes_max: usize,
    /// HAProxy's `tune.http.maxhdr`: headers, the first line counted as one.
    pub headers_max: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits { head_bytes_max: 16384 - 1024, headers_max: 101 }
    }
}

/// Why a request is refused. The connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// 400; also for more headers than `tune.http.maxhdr`, as HAProxy's manual says.
    Malformed,
    /// 413: a body where HTTP/1.0 clients and servers disagree about its end.
    UnexpectedBody,
    /// 414: the request line alone is over the limit.
    TargetTooLong,
    /// 431: the headers are too long.
    HeadersTooLarge,
}

impl RequestError {
    /// The status to answer with.
    pub fn status(self) -> u16 {
        match self {
            RequestError::Malformed => 400,
            RequestError::UnexpectedBody => 413,
            RequestError::TargetTooLong => 414,
            RequestError::HeadersTooLarge => 431,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    /// 1.1, and any later 1.x (RFC 9110 section 2.5).
    Http11,
}

/// A part of the buffer that was parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: usize,
    end: usize,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }
    pub(super) fn start(self) -> usize {
        self.start
    }
    pub(super) fn is_empty(self) -> bool {
        self.start >= self.end
    }
    pub(super) fn end(self) -> usize {
        self.end
    }
    /// The bytes, out of the buffer that was parsed.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start..self.end).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderField {
    pub name: Span,
    /// Without the blanks around it.
    pub value: Span,
}

/// A complete head. The spans point into the buffer it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Span,
    pub target: Span,
    /// The version as written (`HTTP/1.1`).
    pub version_written: Span,
    pub version: Version,
    pub headers: Vec<HeaderField>,
    /// Bytes of the buffer up to and with the blank line.
    pub length_bytes: usize,
}

impl RequestHead {
    /// All values of a header, in order.
    pub fn values<'a>(&'a self, name: &'a str, buffer: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |field| field.name.of(buffer).eq_ignore_ascii_case(name.as_bytes()))
            .map(move |field| field.value.of(buffer))
    }
    /// Whether a comma-separated header holds a token (ASCII case ignored).
    pub fn has_token(&self, name: &str, token: &str, buffer: &[u8]) -> bool {
        self.values(name, buffer)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| trim_blanks(item).eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Reads a head out of a buffer that only grows. Each byte is looked at once.
#[derive(Clone, Debug, Default)]
pub struct HeadParser {
    lines: LineReader,
    is_lenient: bool,
    request_line: Option<RequestLine>,
}

/// The parts of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RequestLine {
    method: Span,
    target: Span,
    version_written: Span,
    version: Version,
}

impl HeadParser {
    /// Refuses whatever two readers could understand differently.
    pub fn new(limits: HeadLimits) -> HeadParser {
        HeadParser { lines: LineReader::new(limits, Leniency::default()), ..Default::default() }
    }

    /// `option accept-invalid-http-request`: several blanks in the request line, any visible byte in target and header
    /// names, fragments, user information, other protocols and versions, HTTP/0.9, folded values. What is written
    /// after that is canonical all the same.
    pub fn new_lenient(limits: HeadLimits) -> HeadParser {
        let leniency = Leniency { joins_folds: true, any_name: true };
        HeadParser { lines: LineReader::new(limits, leniency), is_lenient: true, ..Default::default() }
    }

    /// Ready for the next request, which starts at the front of a buffer again. Keeps the memory.
    pub fn restart(&mut self) {
        self.lines.restart();
        self.request_line = None;
    }

    /// Whether anything of a request line has arrived.
    pub fn has_begun(&self, buffer: &[u8]) -> bool {
        self.lines.has_begun(buffer)
    }

    /// Whether `buffer` holds nothing that has not been looked at: only more bytes can complete the head.
    pub fn has_seen_all(&self, buffer: &[u8]) -> bool {
        self.lines.has_seen_all(buffer)
    }

    /// Looks at what is new in `buffer`, which must be the previous call's with more bytes appended.
    /// `None`: the head is not complete yet.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Option<RequestHead>, RequestError> {
        let Some((line, length_bytes)) = self.read(buffer)? else { return Ok(None) };
        let headers = std::mem::take(&mut self.lines.headers);
        let RequestLine { method, target, version_written, version } = line;
        Ok(Some(RequestHead { method, target, version_written, version, headers, length_bytes }))
    }

    /// The same, straight into `message` (its old content is gone only when the head is complete): the head's length in
    /// bytes, empty lines before it included. The parser is ready for the next request then. Allocates nothing once
    /// both have grown to the connection's size.
    pub fn advance_into(&mut self, buffer: &[u8], message: &mut Message) -> Result<Option<usize>, RequestError> {
        let Some((line, length_bytes)) = self.read(buffer)? else { return Ok(None) };
        let head = Span::new(self.lines.head_start(), length_bytes);
        let protocol = protocol_to_keep(line.version_written.of(buffer));
        message.load_request(buffer, head, (line.method, line.target, line.version), protocol, &self.lines.headers);
        if self.lines.has_folds {
            message.clean_values();
        }
        self.restart();
        Ok(Some(length_bytes))
    }

    fn read(&mut self, buffer: &[u8]) -> Result<Option<(RequestLine, usize)>, RequestError> {
        loop {
            match self.lines.advance(buffer)? {
                Progress::More => return Ok(None),
                Progress::FirstLine(line) if self.is_lenient => {
                    let parsed = parse_odd_request_line(buffer, line).ok_or(RequestError::Malformed)?;
                    if parsed.version_written.is_empty() {
                        return Ok(Some((parsed, self.lines.line_start())));
                    }
                    self.request_line = Some(parsed);
                }
                Progress::FirstLine(line) => {
                    self.request_line = Some(parse_request_line(buffer, line).ok_or(RequestError::Malformed)?);
                }
                Progress::Complete { length_bytes } => {
                    return Ok(self.request_line.take().map(|line| (line, length_bytes)));
                }
            }
        }
    }
}

impl From<Fault> for RequestError {
    fn from(fault: Fault) -> RequestError {
        match fault {
            Fault::Malformed => RequestError::Malformed,
            Fault::FirstLineTooLong => RequestError::TargetTooLong,
            Fault::HeadTooLong => RequestError::HeadersTooLarge,
        }
    }
}

/// The number behind `HTTP/`; the strict forms only.
pub(super) fn parse_version(text: &[u8]) -> Option<Version> {
    match text {
        b"HTTP/1.0" => Some(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Some(Version::Http11),
        _ => None,
    }
}

/// Any protocol name, and numbers of several digits; what is before 1.1 is 1.0.
pub(super) fn parse_odd_version(text: &[u8]) -> Option<Version> {
    let slash = memchr::memchr(b'/', text)?;
    let (protocol, number) = text.split_at_checked(slash)?;
    let number = number.get(1..)?;
    let dot = memchr::memchr(b'.', number)?;
    let (major, minor) = (number.get(..dot)?, number.get(dot + 1..)?);
    let digits = |part: &[u8]| !part.is_empty() && part.len() <= 9 && part.iter().all(u8::is_ascii_digit);
    if protocol.is_empty() || !protocol.iter().all(u8::is_ascii_uppercase) || !digits(major) || !digits(minor) {
        return None;
    }
    let is_nonzero = |part: &[u8]| part.iter().any(|digit| *digit != b'0');
    let (last_major, before) = major.split_last()?;
    let above_one = *last_major > b'1' || is_nonzero(before);
    let from_1_1 = above_one || (*last_major == b'1' && is_nonzero(minor));
    Some(if from_1_1 { Version::Http11 } else { Version::Http10 })
}

/// A protocol other than HTTP is written as it came; of HTTP only the versions that are spoken here.
fn protocol_to_keep(version_written: &[u8]) -> &[u8] {
    if version_written.starts_with(b"HTTP/") { b"" } else { version_written }
}

/// Method, target and version of a request line without its end.
pub(super) fn split_request_line(text: &[u8]) -> Option<(&[u8], &[u8], Version)> {
    let line = parse_request_line(text, Span::new(0, text.len()))?;
    Some((line.method.of(text), line.target.of(text), line.version))
}

/// Method, target and version between single spaces (RFC 9112 section 3).
fn parse_request_line(buffer: &[u8], line: Span) -> Option<RequestLine> {
    let text = line.of(buffer);
    let mut blanks = memchr::memchr_iter(b' ', text);
    let (first, second) = (blanks.next()?, blanks.next()?);
    if blanks.next().is_some() {
        return None;
    }
    let (method, target, version) = (text.get(..first)?, text.get(first + 1..second)?, text.get(second + 1..)?);
    if !is_token(method) || !is_target(method, target) {
        return None;
    }
    Some(RequestLine {
        method: Span::new(line.start, line.start + first),
        target: Span::new(line.start + first + 1, line.start + second),
        version_written: Span::new(line.start + second + 1, line.end),
        version: parse_version(version)?,
    })
}

/// The same with any run of blanks between, and none or an odd version: a method and a target alone are HTTP/0.9.
fn parse_odd_request_line(buffer: &[u8], line: Span) -> Option<RequestLine> {
    let text = line.of(buffer);
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let (method, target, version) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() || text.starts_with(b" ") || text.starts_with(b"\t") || !is_token(method) {
        return None;
    }
    let sound = match (method, target) {
        (b"CONNECT", _) => is_authority(target),
        (_, [b'/', ..]) => true,
        (_, b"*") => method == b"OPTIONS",
        _ => odd_absolute_form(target),
    };
    let version = match version {
        Some(text) => text,
        None if method == b"GET" => &[],
        None => return None,
    };
    let span = |word: &[u8]| {
        let start = line.start + offset_within(text, word);
        Span::new(start, start + word.len())
    };
    sound.then_some(())?;
    Some(RequestLine {
        method: span(method),
        target: span(target),
        version_written: if version.is_empty() { Span::new(line.end, line.end) } else { span(version) },
        version: if version.is_empty() { Version::Http10 } else { parse_odd_version(version)? },
    })
}

/// The four forms of RFC 9112 section 3.2. A fragment never travels, and bytes above ASCII must be escaped.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return false;
    }
    if method == b"CONNECT" {
        return is_authority(target);
    }
    match target {
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => absolute_form_path(target).is_some(),
    }
}

/// `host:port` without user information.
fn is_authority(authority: &[u8]) -> bool {
    let Some(colon) = authority.iter().rposition(|byte| *byte == b':') else { return false };
    let (host, port) = authority.split_at(colon);
    let port = port.get(1..).unwrap_or_default();
    !host.is_empty()
        && !host.iter().any(|byte| b"/?@,\\".contains(byte))
        && (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
}

/// The path of `http://host/path` (or `https`): from the first slash after the host; empty when there is none.
/// `None` when the target is not in absolute form.
pub fn absolute_form_path(target: &[u8]) -> Option<&[u8]> {
    let lower_scheme = |scheme: &str| {
        target.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme.as_bytes())).map(|_| scheme.len())
    };
    let after_scheme = target.get(lower_scheme("http://").or_else(|| lower_scheme("https://"))?..)?;
    let host_end = after_scheme.iter().position(|byte| b"/?".contains(byte)).unwrap_or(after_scheme.len());
    let (host, path) = after_scheme.split_at(host_end);
    let sound = !host.is_empty() && !host.iter().any(|byte| b"@,\\".contains(byte));
    sound.then_some(path)
}

/// `scheme://host…` of any scheme, user information included.
fn odd_absolute_form(target: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', target) else { return false };
    let (scheme, rest) = target.split_at_checked(colon).unwrap_or_default();
    let scheme_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(scheme_byte)
        && rest.strip_prefix(b"://").is_some_and(|host| !matches!(host, [] | [b'/' | b'?' | b'#', ..]))
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
