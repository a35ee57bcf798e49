//! Request heads (RFC 9112 sections 2–5).

use super::{is_token_byte, trim_blanks};

/// Bounds on a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Request line and headers together. HAProxy's is `tune.bufsize` less `tune.maxrewrite`.
    pub head_bytes_max: usize,
    /// HAProxy's `tune.http.maxhdr`.
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
    /// 400
    Malformed,
    /// 413: a body where HTTP/1.0 clients and servers disagree about its end.
    UnexpectedBody,
    /// 414: the request line alone is over the limit.
    TargetTooLong,
    /// 431: headers too many or too long.
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
    limits: HeadLimits,
    /// Where the unfinished line starts, and how much of it has been looked at.
    line_start: usize,
    scanned: usize,
    /// Where the request line started: empty lines before it are skipped (RFC 9112 section 2.2).
    head_start: usize,
    request_line: Option<(Span, Span, Span, Version)>,
    headers: Vec<HeaderField>,
}

/// Empty lines tolerated before a request line.
const LEADING_EMPTY_LINES_BYTES: usize = 16;

impl HeadParser {
    pub fn new(limits: HeadLimits) -> HeadParser {
        HeadParser { limits, ..Default::default() }
    }

    /// Whether anything of a request line has arrived.
    pub fn has_begun(&self, buffer: &[u8]) -> bool {
        self.request_line.is_some() || buffer.get(self.line_start..).is_some_and(|line| !matches!(line, [] | [b'\r']))
    }

    /// Whether `buffer` holds nothing that has not been looked at: only more bytes can complete the head.
    pub fn has_seen_all(&self, buffer: &[u8]) -> bool {
        let trailing_return = usize::from(buffer.last() == Some(&b'\r'));
        self.scanned + trailing_return >= buffer.len()
    }

    /// Looks at what is new in `buffer`, which must be the previous call's with more bytes appended.
    /// `None`: the head is not complete yet.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Option<RequestHead>, RequestError> {
        while let Some(fresh) = buffer.get(self.scanned..) {
            let line_end = fresh.iter().position(|byte| *byte == b'\n');
            let fresh_end = self.scanned + line_end.unwrap_or(fresh.len());
            self.scan(buffer, fresh_end, line_end.is_some())?;
            if line_end.is_none() {
                self.check_size(fresh_end)?;
                return Ok(None);
            }
            let line = Span { start: self.line_start, end: self.without_carriage_return(buffer, fresh_end) };
            self.check_size(fresh_end + 1)?;
            self.line_start = fresh_end + 1;
            self.scanned = self.line_start;
            if let Some(head) = self.take_line(buffer, line)? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Control bytes are refused where they stand, whatever follows; a carriage return only right before a line feed.
    fn scan(&mut self, buffer: &[u8], end: usize, line_complete: bool) -> Result<(), RequestError> {
        let text = Span { start: self.scanned, end }.of(buffer);
        let last = text.len().saturating_sub(1);
        for (index, byte) in text.iter().enumerate() {
            let allowed = match byte {
                b'\r' => index == last,
                b'\t' => true,
                0..=0x1f | 0x7f => false,
                _ => true,
            };
            if !allowed {
                return Err(RequestError::Malformed);
            }
        }
        // A carriage return at the end of an unfinished line is looked at again when its successor is known.
        self.scanned = if !line_complete && text.last() == Some(&b'\r') { end.saturating_sub(1) } else { end };
        Ok(())
    }

    fn without_carriage_return(&self, buffer: &[u8], end: usize) -> usize {
        let ends_with_it = end > self.line_start && buffer.get(end - 1) == Some(&b'\r');
        end - usize::from(ends_with_it)
    }

    fn check_size(&self, position: usize) -> Result<(), RequestError> {
        if position.saturating_sub(self.head_start) <= self.limits.head_bytes_max {
            Ok(())
        } else if self.request_line.is_none() {
            Err(RequestError::TargetTooLong)
        } else {
            Err(RequestError::HeadersTooLarge)
        }
    }

    fn take_line(&mut self, buffer: &[u8], line: Span) -> Result<Option<RequestHead>, RequestError> {
        let text = line.of(buffer);
        if self.request_line.is_none() {
            if !text.is_empty() {
                self.request_line = Some(parse_request_line(buffer, line)?);
            } else if self.line_start > LEADING_EMPTY_LINES_BYTES {
                return Err(RequestError::Malformed);
            } else {
                self.head_start = self.line_start;
            }
            return Ok(None);
        }
        if !text.is_empty() {
            if self.headers.len() >= self.limits.headers_max {
                return Err(RequestError::HeadersTooLarge);
            }
            let (name_bytes, value) = split_field_line(text).ok_or(RequestError::Malformed)?;
            let value_start = line.start + offset_within(text, value);
            self.headers.push(HeaderField {
                name: Span { start: line.start, end: line.start + name_bytes },
                value: Span { start: value_start, end: value_start + value.len() },
            });
            return Ok(None);
        }
        Ok(self.request_line.take().map(|(method, target, version_written, version)| RequestHead {
            method,
            target,
            version_written,
            version,
            headers: std::mem::take(&mut self.headers),
            length_bytes: self.line_start,
        }))
    }
}

/// Where `part` starts in `whole`; `part` is a subslice, or empty.
fn offset_within(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

/// A field line's name length and trimmed value; `None` when it is not one: an empty name, white space before the
/// colon or at the start (an obsolete fold), a byte that no name may hold (RFC 9112 section 5.1).
pub fn split_field_line(line: &[u8]) -> Option<(usize, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, rest) = line.split_at_checked(colon)?;
    if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
        return None;
    }
    Some((colon, trim_blanks(rest.get(1..).unwrap_or_default())))
}

/// Method, target and version between single spaces (RFC 9112 section 3).
fn parse_request_line(buffer: &[u8], line: Span) -> Result<(Span, Span, Span, Version), RequestError> {
    let text = line.of(buffer);
    let mut words = text.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(RequestError::Malformed);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token_byte(*byte)) || !is_target(method, target) {
        return Err(RequestError::Malformed);
    }
    let number = match version {
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Version::Http11,
        _ => return Err(RequestError::Malformed),
    };
    let target_start = line.start + method.len() + 1;
    let version_start = target_start + target.len() + 1;
    Ok((
        Span { start: line.start, end: line.start + method.len() },
        Span { start: target_start, end: target_start + target.len() },
        Span { start: version_start, end: line.end },
        number,
    ))
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

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
