//! FIX messages (Financial Information eXchange): `tag=value` fields, each ended by a byte 1.

const END: u8 = 1;
/// Of the shortest message: version, body length, one letter of type, check sum.
const LENGTH_MIN: usize = 26;
const BEGIN_STRING: u64 = 8;
const BODY_LENGTH: u64 = 9;
const CHECK_SUM: u64 = 10;
const MESSAGE_TYPE: u64 = 35;

const VERSIONS: [&[u8]; 6] = [b"FIX.4.0", b"FIX.4.1", b"FIX.4.2", b"FIX.4.3", b"FIX.4.4", b"FIXT.1.1"];

/// A field and how many bytes it takes with its end. The outer `None`: its end has not come; the inner: it is none.
fn field(bytes: &[u8]) -> Option<Option<(u64, &[u8], usize)>> {
    let end = memchr::memchr(END, bytes)?;
    let text = bytes.get(..end).unwrap_or_default();
    let split = || {
        let equals = memchr::memchr(b'=', text)?;
        let (tag, value) = (text.get(..equals)?, text.get(equals + 1..)?);
        let is_tag = !tag.is_empty() && tag.iter().all(u8::is_ascii_digit);
        let tag = std::str::from_utf8(tag).ok().filter(|_| is_tag)?.parse().ok()?;
        (!value.is_empty()).then_some((tag, value, end + 1))
    };
    Some(split())
}

/// Whether one whole valid message stands at the start. `None`: it has not come whole.
pub fn is_valid(bytes: &[u8]) -> Option<bool> {
    if bytes.len() < LENGTH_MIN {
        return None;
    }
    let (mut at, mut index, mut body_end) = (0, 0, usize::MAX);
    loop {
        let Some((tag, value, length)) = field(bytes.get(at..).unwrap_or_default())? else { return Some(false) };
        let is_expected = match index {
            0 => tag == BEGIN_STRING && VERSIONS.contains(&value),
            1 => {
                let text = std::str::from_utf8(value).ok();
                let body = text.and_then(|text| text.parse::<usize>().ok()).filter(|_| tag == BODY_LENGTH);
                body_end = body.map_or(usize::MAX, |body| body.saturating_add(at + length));
                body.is_some()
            }
            2 => tag == MESSAGE_TYPE,
            _ => true,
        };
        if !is_expected {
            return Some(false);
        }
        if index > 2 && tag == CHECK_SUM {
            let sum = bytes.iter().take(at).fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            return Some(at == body_end && value == format!("{sum:03}").as_bytes());
        }
        if index > 1 && at >= body_end {
            return Some(false);
        }
        at += length;
        index += 1;
    }
}

/// The value of the first field of this tag.
pub fn tag_value(bytes: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let (tag, value, length) = field(bytes.get(at..)?)??;
        if tag == wanted {
            return Some(value);
        }
        at += length;
    }
}
