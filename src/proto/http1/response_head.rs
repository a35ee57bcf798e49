//! Response heads (RFC 9112 section 4), as strict as request heads. Folded values are joined, as a proxy must (section
//! 5.2): what goes on to the client is written anew.

use super::head::{HeadLimits, Span, Version, parse_odd_version, parse_version};
use super::line_reader::{Fault, Leniency, LineReader, Progress};
use super::message::Message;

/// Why a response is not passed on: the client gets 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    Malformed,
    /// Over the limits on heads.
    TooLarge,
    /// `101` to a request that had not asked for it.
    UnrequestedUpgrade,
}

impl From<Fault> for ResponseError {
    fn from(fault: Fault) -> ResponseError {
        match fault {
            Fault::Malformed => ResponseError::Malformed,
            Fault::FirstLineTooLong | Fault::HeadTooLong => ResponseError::TooLarge,
        }
    }
}

/// Reads response heads out of a buffer that only grows, one after another.
#[derive(Clone, Debug, Default)]
pub struct ResponseHeadParser {
    lines: LineReader,
    is_lenient: bool,
    status_line: Option<(Version, u16, Span)>,
}

impl ResponseHeadParser {
    pub fn new(limits: HeadLimits) -> ResponseHeadParser {
        let leniency = Leniency { joins_folds: true, any_name: false };
        ResponseHeadParser { lines: LineReader::new(limits, leniency), ..Default::default() }
    }

    /// `option accept-invalid-http-response`: any visible byte in header names, versions of several digits.
    pub fn new_lenient(limits: HeadLimits) -> ResponseHeadParser {
        let leniency = Leniency { joins_folds: true, any_name: true };
        ResponseHeadParser { lines: LineReader::new(limits, leniency), is_lenient: true, ..Default::default() }
    }

    /// Ready for the next response, which starts at the front of a buffer again. Keeps the memory.
    pub fn restart(&mut self) {
        self.lines.restart();
        self.status_line = None;
    }

    /// Whether anything of a status line has arrived.
    pub fn has_begun(&self, buffer: &[u8]) -> bool {
        self.lines.has_begun(buffer)
    }

    /// Looks at what is new in `buffer`, which must be the previous call's with more bytes appended. `None`: not
    /// complete yet. Otherwise `message` holds the response (interim ones too), the value is the head's length in
    /// bytes, and the parser is ready for the next.
    pub fn advance_into(&mut self, buffer: &[u8], message: &mut Message) -> Result<Option<usize>, ResponseError> {
        loop {
            match self.lines.advance(buffer)? {
                Progress::More => return Ok(None),
                Progress::FirstLine(line) => {
                    let parsed = parse_status_line(buffer, line, self.is_lenient);
                    self.status_line = Some(parsed.ok_or(ResponseError::Malformed)?);
                }
                Progress::Complete { length_bytes } => {
                    let Some(line) = self.status_line.take() else { return Err(ResponseError::Malformed) };
                    let head = Span::new(self.lines.head_start(), length_bytes);
                    message.load_response(buffer, head, line, &self.lines.headers);
                    if self.lines.has_folds {
                        message.clean_values();
                    }
                    self.restart();
                    return Ok(Some(length_bytes));
                }
            }
        }
    }
}

/// Version, status and reason of a status line without its end.
pub(super) fn split_status_line(text: &[u8]) -> Option<(Version, u16, &[u8])> {
    let (version, status, reason) = parse_status_line(text, Span::new(0, text.len()), false)?;
    Some((version, status, reason.of(text)))
}

/// `HTTP/1.x`, one space, three digits, and a reason that may be missing with its space.
fn parse_status_line(buffer: &[u8], line: Span, is_lenient: bool) -> Option<(Version, u16, Span)> {
    let text = line.of(buffer);
    let space = memchr::memchr(b' ', text)?;
    let (version_written, rest) = text.split_at_checked(space)?;
    let version = match parse_version(version_written) {
        None if is_lenient && version_written.starts_with(b"HTTP/") => parse_odd_version(version_written)?,
        version => version?,
    };
    let (status, reason) = rest.get(1..)?.split_at_checked(3)?;
    let [b'1'..=b'9', ..] = status else { return None };
    if !status.iter().all(u8::is_ascii_digit) || !matches!(reason, [] | [b' ', ..]) {
        return None;
    }
    let number = status.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason_start = line.end() - reason.len() + usize::from(!reason.is_empty());
    Some((version, number, Span::new(reason_start, line.end())))
}

#[cfg(test)]
#[path = "response_head_tests.rs"]
mod tests;
