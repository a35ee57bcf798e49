//! `json` and `json_query`.

use super::{Sample, cast};
use crate::config::model::{JsonInput, JsonStep};
use serde_json::Value;

/// One character of the input and how many bytes it took; `Err`: no character, and the bytes to skip.
fn decode(bytes: &[u8], input: JsonInput) -> Result<(u32, usize), usize> {
    let first = bytes.first().copied().unwrap_or_default();
    let JsonInput::Utf8 { are_overlong_forms_read, .. } = input else { return Ok((u32::from(first), 1)) };
    let (length, bits, least) = match first {
        0..=0x7f => return Ok((u32::from(first), 1)),
        0xc0..=0xdf => (2, first & 0x1f, 0x80),
        0xe0..=0xef => (3, first & 0x0f, 0x800),
        0xf0..=0xf7 => (4, first & 0x07, 0x1_0000),
        _ => return Err(1),
    };
    let mut code = u32::from(bits);
    for at in 1..length {
        match bytes.get(at) {
            Some(byte) if byte & 0xc0 == 0x80 => code = (code << 6) | u32::from(byte & 0x3f),
            _ => return Err(at),
        }
    }
    let is_overlong = code < least && !are_overlong_forms_read;
    // What four hexadecimal digits cannot write is an error, too.
    let is_prohibited = (0xd800..=0xdfff).contains(&code) || code > 0xffff || matches!(code, 0xfffe | 0xffff);
    if is_overlong || is_prohibited { Err(length) } else { Ok((code, length)) }
}

/// The text with everything escaped that a JSON string must not hold. `None`: an error that is not to be skipped.
pub fn escape(text: &[u8], input: JsonInput) -> Option<Vec<u8>> {
    let is_skipped = matches!(input, JsonInput::Utf8 { are_errors_skipped: true, .. });
    let mut escaped = Vec::with_capacity(text.len() + 8);
    let mut rest = text;
    while !rest.is_empty() {
        let (code, length) = match decode(rest, input) {
            Ok((code, length)) => (Some(code), length),
            Err(length) if is_skipped => (None, length),
            Err(_) => return None,
        };
        rest = rest.get(length.max(1)..).unwrap_or_default();
        let Some(code) = code else { continue };
        match code {
            0x22 => escaped.extend_from_slice(b"\\\""),
            0x5c => escaped.extend_from_slice(b"\\\\"),
            0x2f => escaped.extend_from_slice(b"\\/"),
            0x08 => escaped.extend_from_slice(b"\\b"),
            0x0c => escaped.extend_from_slice(b"\\f"),
            0x0a => escaped.extend_from_slice(b"\\n"),
            0x0d => escaped.extend_from_slice(b"\\r"),
            0x09 => escaped.extend_from_slice(b"\\t"),
            0x20..=0x7e => escaped.push(code as u8),
            _ => escaped.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
        }
    }
    Some(escaped)
}

/// What the path leads to: strings and numbers, booleans, and lists as they are written.
pub fn query(text: &[u8], path: &[JsonStep], is_integer: bool) -> Option<Sample<'static>> {
    let document: Value = serde_json::from_slice(text).ok()?;
    let found = path.iter().try_fold(&document, |value, step| match step {
        JsonStep::Key(key) => value.get(key),
        JsonStep::Index(index) => value.get(index),
    })?;
    if is_integer {
        let number = match found {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
            Value::String(text) => cast::leading_integer(text.as_bytes()),
            _ => None,
        };
        return number.map(Sample::Integer);
    }
    match found {
        Value::String(text) => Some(Sample::owned_text(text.as_bytes())),
        Value::Bool(truth) => Some(Sample::Bool(*truth)),
        Value::Number(number) => Some(Sample::owned_text(number.to_string())),
        Value::Array(_) => Some(Sample::owned_text(found.to_string())),
        Value::Object(_) | Value::Null => None,
    }
}
