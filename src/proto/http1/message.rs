//! One HTTP/1 head that can be changed: what was parsed, what rules see and edit, and the one form that is written.
//!
//! All text lives in one byte vector that the spans point into; an edit appends to it. A message is used again for the
//! next exchange, so that a steady connection allocates nothing.

use super::case_map::CaseMap;
use super::head::{HeaderField, Span, Version};
use super::is_token;

/// A part of the message's own bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    start: u32,
    end: u32,
}

impl Part {
    /// A part of the buffer, as a part of the message that has taken over `head`.
    fn moved(span: Span, head: Span) -> Part {
        let offset = |position: usize| position.saturating_sub(head.start()) as u32;
        Part { start: offset(span.start()), end: offset(span.end()) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    name: Part,
    value: Part,
}

/// A request's or a response's head. A request has method and target; a response has status and reason.
#[derive(Clone, Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
    method: Part,
    target: Part,
    reason: Part,
    status: u16,
    version: Option<Version>,
    /// Written in place of `HTTP/1.x` when it is not empty.
    protocol: Part,
    fields: Vec<Field>,
}

impl Message {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        (self.method, self.target, self.reason, self.protocol) = Default::default();
        (self.status, self.version) = (0, None);
    }

    /// Nothing was loaded since the last [`Message::clear`].
    pub fn is_empty(&self) -> bool {
        self.version.is_none()
    }

    /// Starts a request. The parts must be valid (token, no blanks or control bytes): they are written as they are.
    pub fn start_request(&mut self, method: &[u8], target: &[u8], version: Version) {
        self.clear();
        (self.method, self.target, self.version) = (self.keep(method), self.keep(target), Some(version));
    }

    /// Starts a response.
    pub fn start_response(&mut self, version: Version, status: u16, reason: &[u8]) {
        self.clear();
        (self.status, self.reason, self.version) = (status, self.keep(reason), Some(version));
    }

    /// Takes over a parsed request: `head` is the part of `buffer` from the request line to the blank line.
    /// `protocol`: written in place of `HTTP/1.x`; empty for HTTP.
    pub(super) fn load_request(
        &mut self,
        buffer: &[u8],
        head: Span,
        (method, target, version): (Span, Span, Version),
        protocol: &[u8],
        headers: &[HeaderField],
    ) {
        self.load(buffer, head, headers);
        let moved = |span: Span| Part::moved(span, head);
        (self.method, self.target, self.version) = (moved(method), moved(target), Some(version));
        if !protocol.is_empty() {
            self.protocol = self.keep(protocol);
        }
    }

    /// Takes over a parsed response.
    pub(super) fn load_response(
        &mut self,
        buffer: &[u8],
        head: Span,
        (version, status, reason): (Version, u16, Span),
        headers: &[HeaderField],
    ) {
        self.load(buffer, head, headers);
        (self.status, self.reason, self.version) = (status, Part::moved(reason, head), Some(version));
    }

    fn load(&mut self, buffer: &[u8], head: Span, headers: &[HeaderField]) {
        self.clear();
        self.bytes.extend_from_slice(head.of(buffer));
        let moved = |span: Span| Part::moved(span, head);
        let fields = headers.iter().map(|field| Field { name: moved(field.name), value: moved(field.value) });
        self.fields.extend(fields);
    }

    /// Line ends within values, which folded lines leave, become blanks.
    pub(super) fn clean_values(&mut self) {
        for field in &self.fields {
            if let Some(value) = self.bytes.get_mut(field.value.start as usize..field.value.end as usize) {
                clean_value(value);
            }
        }
    }

    fn keep(&mut self, text: &[u8]) -> Part {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        Part { start, end: self.bytes.len() as u32 }
    }

    /// A value as it may stand in a line: bytes that would end the line or the text become spaces (RFC 9110 section
    /// 5.5), so that no rule can make two lines out of one.
    fn keep_value(&mut self, value: &[u8]) -> Part {
        let part = self.keep(super::trim_blanks(value));
        if let Some(kept) = self.bytes.get_mut(part.start as usize..) {
            clean_value(kept);
        }
        part
    }

    fn text(&self, part: Part) -> &[u8] {
        self.bytes.get(part.start as usize..part.end as usize).unwrap_or_default()
    }

    pub fn method(&self) -> &[u8] {
        self.text(self.method)
    }
    pub fn target(&self) -> &[u8] {
        self.text(self.target)
    }
    /// 0 in a request.
    pub fn status(&self) -> u16 {
        self.status
    }
    pub fn reason(&self) -> &[u8] {
        self.text(self.reason)
    }
    pub fn version(&self) -> Version {
        self.version.unwrap_or(Version::Http11)
    }

    /// False, and nothing changed, when `method` is no token.
    pub fn set_method(&mut self, method: &[u8]) -> bool {
        let valid = is_token(method);
        if valid {
            self.method = self.keep(method);
        }
        valid
    }
    /// False, and nothing changed, when `target` is empty or has blanks or control bytes.
    pub fn set_target(&mut self, target: &[u8]) -> bool {
        let valid = !target.is_empty() && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
        if valid {
            self.target = self.keep(target);
        }
        valid
    }
    pub fn set_status(&mut self, status: u16) {
        self.status = status;
    }
    pub fn set_reason(&mut self, reason: &[u8]) {
        self.reason = self.keep_value(reason);
    }
    pub fn set_version(&mut self, version: Version) {
        (self.version, self.protocol) = (Some(version), Part::default());
    }

    pub fn header_count(&self) -> usize {
        self.fields.len()
    }
    /// Name and value of the header at `index`; empty when there is none.
    pub fn header(&self, index: usize) -> (&[u8], &[u8]) {
        self.fields.get(index).map_or((b"", b""), |field| (self.text(field.name), self.text(field.value)))
    }
    /// All headers in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.text(field.name), self.text(field.value)))
    }
    /// All values of one header (ASCII case ignored), whole lines, in order.
    pub fn values<'a>(&'a self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.headers().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
    pub fn has(&self, name: &[u8]) -> bool {
        self.value(name).is_some()
    }
    /// Whether a comma-separated header holds a token (ASCII case ignored).
    pub fn has_token(&self, name: &[u8], token: &[u8]) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| super::trim_blanks(item).eq_ignore_ascii_case(token))
    }

    /// Appends a header. False, and nothing changed, when `name` is no token.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) -> bool {
        let valid = is_token(name);
        if valid {
            let field = Field { name: self.keep(name), value: self.keep_value(value) };
            self.fields.push(field);
        }
        valid
    }
    /// The only header of this name from now on, at the end of the head.
    pub fn set_header(&mut self, name: &[u8], value: &[u8]) -> bool {
        // `value` may have been read from the message: it is kept before anything goes.
        let added = self.add_header(name, value);
        if added {
            let last = self.fields.len() - 1;
            self.retain_headers(|index, other, _| index == last || !other.eq_ignore_ascii_case(name));
        }
        added
    }
    /// Removes all headers of this name; how many there were.
    pub fn remove_headers(&mut self, name: &[u8]) -> usize {
        let before = self.fields.len();
        self.retain_headers(|_, other, _| !other.eq_ignore_ascii_case(name));
        before - self.fields.len()
    }
    /// Keeps the headers for which `keep(index, name, value)` holds.
    pub fn retain_headers(&mut self, mut keep: impl FnMut(usize, &[u8], &[u8]) -> bool) {
        let bytes = &self.bytes;
        let text = |part: Part| bytes.get(part.start as usize..part.end as usize).unwrap_or_default();
        let mut index = 0;
        self.fields.retain(|field| {
            index += 1;
            keep(index - 1, text(field.name), text(field.value))
        });
    }
    /// Gives the header at `index` another value.
    pub fn replace_value(&mut self, index: usize, value: &[u8]) {
        let value = self.keep_value(value);
        if let Some(field) = self.fields.get_mut(index) {
            field.value = value;
        }
    }
    pub fn remove_header_at(&mut self, index: usize) {
        if index < self.fields.len() {
            self.fields.remove(index);
        }
    }

    /// Gives the header at `index` another name and value. False, and nothing changed, when `name` is no token.
    pub fn replace_header(&mut self, index: usize, name: &[u8], value: &[u8]) -> bool {
        if !is_token(name) {
            return false;
        }
        let replaced = Field { name: self.keep(name), value: self.keep_value(value) };
        if let Some(field) = self.fields.get_mut(index) {
            *field = replaced;
        }
        true
    }

    /// Reads `text` as a request's or a response's first line, whichever the message is. False, and nothing changed,
    /// when a strict parser would refuse it.
    pub fn set_first_line(&mut self, text: &[u8]) -> bool {
        if self.status == 0 {
            let Some((method, target, version)) = super::head::split_request_line(text) else { return false };
            (self.method, self.target) = (self.keep(method), self.keep(target));
            self.set_version(version);
        } else {
            let Some((version, status, reason)) = super::response_head::split_status_line(text) else { return false };
            (self.status, self.reason) = (status, self.keep_value(reason));
            self.set_version(version);
        }
        true
    }

    /// Appends the request line or status line, without its end.
    pub fn write_first_line_to(&self, output: &mut Vec<u8>) {
        let version: &[u8] = match (self.text(self.protocol), self.version()) {
            (b"", Version::Http10) => b"HTTP/1.0",
            (b"", Version::Http11) => b"HTTP/1.1",
            (protocol, _) => protocol,
        };
        if self.status == 0 {
            for part in [self.method(), b" ", self.target(), b" ", version] {
                output.extend_from_slice(part);
            }
        } else {
            output.extend_from_slice(version);
            let digits = [b' ', digit(self.status / 100), digit(self.status / 10), digit(self.status), b' '];
            output.extend_from_slice(&digits);
            output.extend_from_slice(self.reason());
        }
    }

    /// Appends the head in its only form: single blanks, `Name: value`, CRLF, and the blank line.
    pub fn write_to(&self, output: &mut Vec<u8>) {
        self.write_with(output, |name| name);
    }

    /// The same with header names spelled as the map has them (`option h1-case-adjust-bogus-client`, `-server`).
    pub fn write_adjusted(&self, spellings: &CaseMap, output: &mut Vec<u8>) {
        self.write_with(output, |name| spellings.spelled(name));
    }

    fn write_with<'a>(&'a self, output: &mut Vec<u8>, spelled: impl Fn(&'a [u8]) -> &'a [u8]) {
        self.write_first_line_to(output);
        output.extend_from_slice(b"\r\n");
        for (name, value) in self.headers() {
            for part in [spelled(name), b": ", value, b"\r\n"] {
                output.extend_from_slice(part);
            }
        }
        output.extend_from_slice(b"\r\n");
    }
}

/// Bytes that would end a line or a text become blanks.
fn clean_value(value: &mut [u8]) {
    for byte in value {
        if (*byte < b' ' && *byte != b'\t') || *byte == 0x7f {
            *byte = b' ';
        }
    }
}

fn digit(number: u16) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_and_writes_one_form() {
        let mut message = Message::default();
        message.start_request(b"GET", b"/a", Version::Http11);
        message.add_header(b"Host", b"  x ");
        message.add_header(b"A", b"1");
        message.add_header(b"a", b"2\r\nEvil: 1");
        assert_eq!(message.values(b"A").collect::<Vec<_>>(), [&b"1"[..], b"2  Evil: 1"]);
        assert!(message.set_header(b"A", b"3") && !message.add_header(b"b c", b""));
        assert!(!message.set_target(b"/x y") && message.set_target(b"/b"));
        let mut output = Vec::new();
        message.write_to(&mut output);
        assert_eq!(output, b"GET /b HTTP/1.1\r\nHost: x\r\nA: 3\r\n\r\n");
        let mut spellings = CaseMap::default();
        spellings.add(b"host", b"HOST").unwrap();
        output.clear();
        message.write_adjusted(&spellings, &mut output);
        assert_eq!(output, b"GET /b HTTP/1.1\r\nHOST: x\r\nA: 3\r\n\r\n");
        message.start_response(Version::Http10, 404, b"Not Found");
        output.clear();
        message.write_to(&mut output);
        assert_eq!(output, b"HTTP/1.0 404 Not Found\r\n\r\n");
    }
}
