//! Converters of texts.

use regex::bytes::{Captures, Regex};
use std::borrow::Cow;

/// `text` between two positions; what was borrowed stays so.
pub fn cut(text: Cow<'_, [u8]>, start: usize, end: usize) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(start..end).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.truncate(end);
            text.drain(..start.min(text.len()));
            Cow::Owned(text)
        }
    }
}

/// `text` with each byte changed; without a copy when no byte `needs` it.
pub fn changed<'a>(text: Cow<'a, [u8]>, needs: fn(&u8) -> bool, change: fn(&u8) -> u8) -> Cow<'a, [u8]> {
    if !text.iter().any(needs) {
        return text;
    }
    let mut text = text.into_owned();
    text.iter_mut().for_each(|byte| *byte = change(byte));
    Cow::Owned(text)
}

/// Where the pieces `index` and `count` - 1 further are. `None`: there is no such piece.
pub fn piece(
    text: &[u8],
    index: i64,
    delimiters: &[u8],
    count: i64,
    are_delimiters_skipped: bool,
) -> Option<(usize, usize)> {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if is_delimiter(byte) {
            pieces.push((start, at));
            start = at + 1;
        }
    }
    pieces.push((start, text.len()));
    if are_delimiters_skipped {
        pieces.retain(|(start, end)| start < end);
    }
    let last = pieces.len().checked_sub(1)?;
    let first = match usize::try_from(index) {
        Ok(number) => number.checked_sub(1)?,
        Err(_) => pieces.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    let span = usize::try_from(count).ok()?;
    // Counting from the end goes towards the start.
    let (from, to) = match (index > 0, span) {
        (true, 0) => (first, last),
        (true, _) => (first, first.saturating_add(span - 1).min(last)),
        (false, 0) => (0, first),
        (false, _) => (first.saturating_sub(span - 1), first),
    };
    Some((pieces.get(from)?.0, pieces.get(to)?.1))
}

/// `concat`, and with a delimiter `add_item`.
pub fn concatenate(text: Cow<[u8]>, delimiter: Option<&[u8]>, [start, variable, end]: [&[u8]; 3]) -> Vec<u8> {
    let mut text = text.into_owned();
    if let Some(delimiter) = delimiter
        && !text.is_empty()
        && !(variable.is_empty() && end.is_empty())
    {
        text.extend_from_slice(delimiter);
    }
    for part in [start, variable, end] {
        text.extend_from_slice(part);
    }
    text
}

pub fn replace<'a>(text: Cow<'a, [u8]>, regex: &Regex, with: &[u8], is_global: bool) -> Cow<'a, [u8]> {
    let replacer = |captures: &Captures| {
        let mut replacement = Vec::with_capacity(with.len());
        expand(with, captures, &mut replacement);
        replacement
    };
    let replaced = regex.replacen(&text, if is_global { 0 } else { 1 }, replacer);
    match replaced {
        Cow::Borrowed(_) => text,
        Cow::Owned(changed) => Cow::Owned(changed),
    }
}

/// Writes `template` with `\0` to `\9` replaced by the groups, and `\x` by x.
pub fn expand(template: &[u8], captures: &Captures, output: &mut Vec<u8>) {
    let mut rest = template.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'\\' {
            output.push(*byte);
            continue;
        }
        match rest.next() {
            Some(digit @ b'0'..=b'9') => {
                let group = captures.get(usize::from(digit - b'0'));
                output.extend_from_slice(group.map_or(b"", |group| group.as_bytes()));
            }
            Some(other) => output.push(*other),
            None => output.push(b'\\'),
        }
    }
}

/// The difference of the first bytes that differ, else which one is longer (-1, 0, 1).
pub fn compare(left: &[u8], right: &[u8]) -> i64 {
    let differing = left.iter().zip(right).find(|(left, right)| left != right);
    match differing {
        Some((left, right)) => i64::from(*left) - i64::from(*right),
        None => left.len().cmp(&right.len()) as i64,
    }
}

/// `%XX` and, in a form or behind a `?`, `+`. `None`: a `%` without two digits.
pub fn url_decode(text: Cow<'_, [u8]>, is_form: bool) -> Option<Cow<'_, [u8]>> {
    if memchr::memchr2(b'%', b'+', &text).is_none() {
        return Some(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let (mut in_query, mut at) = (is_form, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'+' if in_query => decoded.push(b' '),
            b'?' => {
                in_query = true;
                decoded.push(b'?');
            }
            b'%' => {
                let digit = |at: usize| text.get(at).and_then(|byte| (*byte as char).to_digit(16));
                decoded.push((digit(at)? * 16 + digit(at + 1)?) as u8);
                at += 2;
            }
            other => decoded.push(*other),
        }
    }
    Some(Cow::Owned(decoded))
}

/// All but the unreserved characters of RFC 3986 as `%XX`.
pub fn url_encode(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    if text.iter().all(is_plain) {
        return text;
    }
    let mut encoded = Vec::with_capacity(text.len() * 3);
    for byte in text.iter() {
        match is_plain(byte) {
            true => encoded.push(*byte),
            false => {
                encoded.push(b'%');
                encoded.extend_from_slice(&super::bytes::hex(&[*byte]));
            }
        }
    }
    Cow::Owned(encoded)
}

/// The colon before a port, where there is one: outside of brackets, with digits only behind it.
fn port_colon(text: &[u8]) -> Option<usize> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let colon = text.len().checked_sub(digits + 1)?;
    (text.get(colon) == Some(&b':')).then_some(colon)
}

/// Where the host ends in a Host header's value.
pub fn host_end(text: &[u8]) -> usize {
    port_colon(text).unwrap_or(text.len())
}

/// The port of a Host header's value; 0 when there is none.
pub fn port(text: &[u8]) -> i64 {
    let digits = port_colon(text).and_then(|colon| text.get(colon + 1..)).unwrap_or_default();
    super::cast::leading_integer(digits).unwrap_or(0)
}

/// The value of `values` that an Accept-Language header likes best; the first of equals.
pub fn language<'v>(text: &[u8], values: &'v [Box<[u8]>]) -> Option<&'v [u8]> {
    let mut best: Option<(u32, &[u8])> = None;
    for item in text.split(|byte| *byte == b',') {
        let mut parts = item.split(|byte| *byte == b';').map(crate::proto::http1::trim_blanks);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=")).map_or(1000, weight_of);
        // A variant counts as its language where the list does not have it.
        let base = name.split(|byte| *byte == b'-').next().unwrap_or_default();
        let found = [name, base].iter().find_map(|name| values.iter().find(|value| ***value == **name));
        if let Some(value) = found
            && weight > 0
            && best.is_none_or(|(before, _)| weight > before)
        {
            best = Some((weight, value));
        }
    }
    best.map(|(_, value)| value)
}

/// Thousandths of a q-factor.
fn weight_of(text: &[u8]) -> u32 {
    let mut parts = text.split(|byte| *byte == b'.');
    let digit = |byte: Option<&u8>| byte.filter(|byte| byte.is_ascii_digit()).map_or(0, |byte| u32::from(byte - b'0'));
    let whole = digit(parts.next().and_then(<[u8]>::first));
    let fraction = parts.next().unwrap_or_default();
    let thousandths = [100, 10, 1].iter().zip(0..).map(|(unit, at)| unit * digit(fraction.get(at))).sum::<u32>();
    (whole * 1000 + thousandths).min(1000)
}
