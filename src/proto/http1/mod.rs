//! HTTP/1 (RFC 9112), strict: what two readers could understand differently is refused with 400 and a close.
//!
//! [`head`] and [`response_head`] find and read heads, [`exchange_framing`] decides about bodies and
//! connections ([`framing`] for the pages served here), [`chunked`] and [`body`] read bodies, [`response`] writes answers. Everything works on bytes in any pieces: fed byte by byte or at once, the
//! outcome is the same.

pub mod authority;
pub mod body;
pub mod case_map;
pub mod chunked;
mod connection;
pub mod exchange_framing;
pub mod framing;
pub mod head;
mod known_headers;
mod line_reader;
pub mod message;
pub mod response;
pub mod response_head;
mod trailers;

pub use connection::Upgrade;
pub use line_reader::split_field_line;

/// `tchar` of RFC 9110 section 5.6.2: what a method or a header name is made of.
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

/// One token: at least one byte, all of them [`is_token_byte`].
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

static TOKEN_BYTES: [bool; 256] = token_bytes();

const fn token_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'#'..=b'\'' | b'*' | b'+'
            | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
}

/// Spaces and tabs off both ends; nothing else is white space in HTTP (RFC 9110 section 5.6.3).
pub fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod cases_tests;
