//! How texts and numbers stand in a log line: HAProxy's escapes (configuration.txt section 8.6), and one more rule:
//! no control byte from anywhere reaches a line, so that nobody forges one.

use crate::config::model::LogItemFlags;
use std::net::Ipv4Addr;

/// Which bytes a kind of text may not have.
pub type Forbidden = [bool; 256];

const fn forbidden(more: &[u8], above_ascii: bool) -> Forbidden {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte < 32 || byte == 127 || (above_ascii && byte > 127);
        byte += 1;
    }
    let mut index = 0;
    while index < more.len() {
        table[more[index] as usize] = true;
        index += 1;
    }
    table
}

/// Names, addresses, samples: what HAProxy prints as it is.
pub const CONTROL: &Forbidden = &forbidden(b"", false);
/// Parts of a request line.
pub const URI: &Forbidden = &forbidden(b"\"#", true);
/// Captured headers, which stand between braces and bars.
pub const CAPTURED: &Forbidden = &forbidden(b"\"#{|}", true);
/// In a message's head: all that may not stand in a field's value (RFC 9110 section 5.5).
pub const HEAD: &Forbidden = &{
    let mut table = forbidden(b"", false);
    table[b'\t' as usize] = false;
    table
};

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` with each forbidden byte as `prefix` and two hexadecimal digits, and with `E` a backslash before
/// what structured data reserves.
pub fn encode(text: &[u8], forbidden: &Forbidden, prefix: u8, escape: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    let special = |byte: &u8| forbidden[usize::from(*byte)] || (escape && matches!(byte, b'"' | b'\\' | b']'));
    while let Some(at) = rest.iter().position(special) {
        let (clean, tail) = rest.split_at(at);
        out.extend_from_slice(clean);
        let byte = tail[0];
        if forbidden[usize::from(byte)] {
            out.extend_from_slice(&[prefix, DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            out.extend_from_slice(&[b'\\', byte]);
        }
        rest = &tail[1..];
    }
    out.extend_from_slice(rest);
}

/// A string of a log line; nothing is `-`, or `""` with `Q`.
pub fn line_text(text: &[u8], forbidden: &Forbidden, flags: LogItemFlags, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    } else if text.is_empty() {
        return out.push(b'-');
    }
    encode(text, forbidden, b'#', flags.escape, out);
    if flags.quote {
        out.push(b'"');
    }
}

/// A string that is no part of a line: as it is, nothing is nothing.
pub fn plain(text: &[u8], flags: LogItemFlags, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    }
    encode(text, &[false; 256], b'#', flags.escape, out);
    if flags.quote {
        out.push(b'"');
    }
}

/// Appends an address in its dotted form.
pub fn ipv4(address: Ipv4Addr, out: &mut Vec<u8>) {
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        number(octet, out);
    }
}

/// Appends a number in decimal.
pub fn number(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// At least `digits` digits, zeros in front.
pub fn padded(number: u64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let shown = |text: &[u8], forbidden, escape| {
            let mut out = Vec::new();
            encode(text, forbidden, b'#', escape, &mut out);
            String::from_utf8(out).unwrap()
        };
        // As HAProxy 2.6 wrote them: what is forbidden is encoded also under E.
        assert_eq!(shown(b"/p]a;x?q=1\"\\]{|}", URI, true), "/p\\]a;x?q=1#22\\\\\\]{|}");
        assert_eq!(shown(b"a\"#{b}|\\]c", CAPTURED, false), "a#22#23#7Bb#7D#7C\\]c");
        assert_eq!(shown(b"x\ty \"\x80\xff", CAPTURED, true), "x#09y #22#80#FF");
        assert_eq!(shown(b"v\"]\\#\n\x7f", CONTROL, true), "v\\\"\\]\\\\##0A#7F");
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        number(-1, &mut out);
        padded(7, 3, &mut out);
        padded(1234, 3, &mut out);
        assert_eq!(out, b"-10071234");
    }
}
