//! HTTP/1 (RFC 9112), strict: what two readers could understand differently is refused with 400 and a close.
//!
//! [`head`] finds and reads a request head, [`framing`] says where its body ends, [`chunked`] and [`body`] read that
//! body, [`response`] writes answers. Everything works on bytes in any pieces: fed byte by byte or at once, the
//! outcome is the same.

pub mod body;
pub mod chunked;
pub mod framing;
pub mod head;
pub mod message;
pub mod response;

/// `tchar` of RFC 9110 section 5.6.2: what a method or a header name is made of.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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
