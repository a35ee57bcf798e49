//! Takes a head apart into its first line and its header fields, out of a buffer that only grows (RFC 9112 sections 2
//! and 5). What the first line means is for [`super::head`] and [`super::response_head`].

use super::head::{HeadLimits, HeaderField, Span};
use super::{is_token_byte, trim_blanks};

/// Empty lines tolerated before the first line, bytes (RFC 9112 section 2.2).
const LEADING_EMPTY_LINES_BYTES: usize = 16;

/// How much is forgiven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leniency {
    /// A line that starts with a blank goes on with the value before (RFC 9112 section 5.2).
    pub joins_folds: bool,
    /// Visible bytes that no token may hold are let through in names, and blanks between a name and its colon.
    pub any_name: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Malformed,
    /// Over [`HeadLimits::head_bytes_max`] before the first line ended.
    FirstLineTooLong,
    /// Over it later.
    HeadTooLong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The buffer's end was reached.
    More,
    /// The first line has ended; it is never empty, and holds no control bytes but tabs.
    FirstLine(Span),
    /// The blank line has been read; the head ends here.
    Complete { length_bytes: usize },
}

#[derive(Clone, Debug, Default)]
pub(super) struct LineReader {
    limits: HeadLimits,
    leniency: Leniency,
    /// Where the unfinished line starts, and how much of the buffer has been looked at.
    line_start: usize,
    scanned: usize,
    /// Where the first line starts.
    head_start: usize,
    first_line_seen: bool,
    /// The fields so far. Whoever takes them out empties them for the next head.
    pub headers: Vec<HeaderField>,
    /// Some value goes over several lines: the line ends and blanks within it are one blank's worth.
    pub has_folds: bool,
}

impl LineReader {
    pub fn new(limits: HeadLimits, leniency: Leniency) -> LineReader {
        LineReader { limits, leniency, ..Default::default() }
    }

    /// Ready for the next head, which starts at the front of a buffer again. Keeps the memory.
    pub fn restart(&mut self) {
        (self.line_start, self.scanned, self.head_start) = (0, 0, 0);
        (self.first_line_seen, self.has_folds) = (false, false);
        self.headers.clear();
    }

    /// Whether anything of a first line has arrived.
    pub fn has_begun(&self, buffer: &[u8]) -> bool {
        self.first_line_seen || buffer.get(self.line_start..).is_some_and(|line| !matches!(line, [] | [b'\r']))
    }

    /// Whether only more bytes can bring progress.
    pub fn has_seen_all(&self, buffer: &[u8]) -> bool {
        let trailing_return = usize::from(buffer.last() == Some(&b'\r'));
        self.scanned + trailing_return >= buffer.len()
    }

    /// Where the first line starts in the buffer.
    pub fn head_start(&self) -> usize {
        self.head_start
    }
    /// Where the line after the last complete one starts.
    pub fn line_start(&self) -> usize {
        self.line_start
    }

    /// Reads on in `buffer`, which must be the previous call's with more bytes appended. The outcome does not depend
    /// on how the bytes were cut: nothing beyond the size limit is looked at.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Progress, Fault> {
        loop {
            let limit = self.head_start.saturating_add(self.limits.head_bytes_max);
            let visible = buffer.get(..limit).unwrap_or(buffer);
            let fresh = visible.get(self.scanned..).unwrap_or_default();
            let Some(line_end) = memchr::memchr(b'\n', fresh) else {
                return self.pause(buffer, fresh);
            };
            let (text, _) = fresh.split_at_checked(line_end).unwrap_or_default();
            if has_control_bytes(text.strip_suffix(b"\r").unwrap_or(text)) {
                return Err(Fault::Malformed);
            }
            let end = self.scanned + line_end;
            let line = Span::new(self.line_start, end);
            let line = match line.of(buffer) {
                [.., b'\r'] => Span::new(line.start(), end - 1),
                _ => line,
            };
            (self.line_start, self.scanned) = (end + 1, end + 1);
            if let Some(progress) = self.take_line(buffer, line)? {
                return Ok(progress);
            }
        }
    }

    /// No line end in `fresh`. Control bytes are refused where they stand, whatever follows; a carriage return that is
    /// last is looked at again when its successor is known.
    fn pause(&mut self, buffer: &[u8], fresh: &[u8]) -> Result<Progress, Fault> {
        let settled = fresh.strip_suffix(b"\r").unwrap_or(fresh);
        if has_control_bytes(settled) {
            return Err(Fault::Malformed);
        }
        let visible_end = self.scanned + fresh.len();
        self.scanned += settled.len();
        if buffer.len() <= visible_end {
            Ok(Progress::More)
        } else if self.first_line_seen {
            Err(Fault::HeadTooLong)
        } else {
            Err(Fault::FirstLineTooLong)
        }
    }

    fn take_line(&mut self, buffer: &[u8], line: Span) -> Result<Option<Progress>, Fault> {
        let text = line.of(buffer);
        if !self.first_line_seen {
            if !text.is_empty() {
                self.first_line_seen = true;
                return Ok(Some(Progress::FirstLine(line)));
            }
            if self.line_start > LEADING_EMPTY_LINES_BYTES {
                return Err(Fault::Malformed);
            }
            self.head_start = self.line_start;
            return Ok(None);
        }
        match text {
            [] => return Ok(Some(Progress::Complete { length_bytes: self.line_start })),
            [b' ' | b'\t', ..] if self.leniency.joins_folds => self.join_fold(text, line)?,
            _ => self.take_field(text, line)?,
        }
        Ok(None)
    }

    fn take_field(&mut self, text: &[u8], line: Span) -> Result<(), Fault> {
        // HAProxy counts the first line among them.
        if self.headers.len() + 1 >= self.limits.headers_max {
            return Err(Fault::Malformed);
        }
        let (name_bytes, value) = match split_field_line(text) {
            Some(parts) => parts,
            None if self.leniency.any_name => split_odd_field_line(text).ok_or(Fault::Malformed)?,
            None => return Err(Fault::Malformed),
        };
        let value_start = line.start() + offset_within(text, value);
        self.headers.push(HeaderField {
            name: Span::new(line.start(), line.start() + name_bytes),
            value: Span::new(value_start, value_start + value.len()),
        });
        Ok(())
    }

    fn join_fold(&mut self, text: &[u8], line: Span) -> Result<(), Fault> {
        let last = self.headers.last_mut().ok_or(Fault::Malformed)?;
        let more = trim_blanks(text);
        if more.is_empty() {
            return Ok(());
        }
        let start = line.start() + offset_within(text, more);
        let end = start + more.len();
        let first = if last.value.is_empty() { start } else { last.value.start() };
        last.value = Span::new(first, end);
        self.has_folds = true;
        Ok(())
    }
}

/// Whether there is a control byte but a tab. Without a branch per byte: it runs over each header at each request.
fn has_control_bytes(text: &[u8]) -> bool {
    let found = text
        .iter()
        .fold(0u8, |found, byte| found | u8::from(*byte < b' ') & u8::from(*byte != b'\t') | u8::from(*byte == 0x7f));
    found != 0
}

/// Where `part` starts in `whole`; `part` is a subslice, or empty.
pub(super) fn offset_within(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

/// A field line's name length and trimmed value; `None` when it is not one: an empty name, white space before the
/// colon or at the start (an obsolete fold), a byte that no name may hold (RFC 9112 section 5.1).
pub fn split_field_line(line: &[u8]) -> Option<(usize, &[u8])> {
    let name_bytes = line.iter().position(|byte| !is_token_byte(*byte))?;
    let (_, rest) = line.split_at_checked(name_bytes)?;
    match rest {
        [b':', value @ ..] if name_bytes > 0 => Some((name_bytes, trim_blanks(value))),
        _ => None,
    }
}

/// The same, for who asked for it: any visible byte in a name, and blanks before the colon, which are dropped. Blanks
/// within a name stay refused: some readers end the name there.
fn split_odd_field_line(line: &[u8]) -> Option<(usize, &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, rest) = line.split_at_checked(colon)?;
    let blanks = name.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let name = name.get(..colon - blanks)?;
    let visible = !name.is_empty() && !name.iter().any(|byte| matches!(byte, b' ' | b'\t'));
    visible.then_some((name.len(), trim_blanks(rest.get(1..).unwrap_or_default())))
}
