//! Converters between bytes and their written forms.

use crate::config::model::Grouping;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

pub fn hex(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(HEX.get(usize::from(digit)).copied().unwrap_or(b'0'));
        }
    }
    text
}

/// `None` when something is no hexadecimal digit.
pub fn hex_to_integer(text: &[u8]) -> Option<i64> {
    let mut number: u64 = 0;
    for byte in text {
        number = (number << 4) | u64::from((*byte as char).to_digit(16)?);
    }
    Some(number as i64)
}

/// The groups of `grouping`, with the separator between them.
fn grouped(bytes: &[u8], grouping: &Grouping, mut write: impl FnMut(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let size = if grouping.group_bytes == 0 { bytes.len().max(1) } else { grouping.group_bytes };
    let mut text = Vec::with_capacity(bytes.len() * 3);
    for (index, group) in bytes.chunks(size).enumerate() {
        if group.len() < size && grouping.is_truncated {
            break;
        }
        if index > 0 {
            text.extend_from_slice(&grouping.separator);
        }
        write(group, &mut text);
    }
    text
}

pub fn to_decimals(bytes: &[u8], grouping: &Grouping) -> Vec<u8> {
    grouped(bytes, grouping, |group, text| {
        let number = group.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        text.extend_from_slice(number.to_string().as_bytes());
    })
}

pub fn to_hex(bytes: &[u8], grouping: &Grouping) -> Vec<u8> {
    grouped(bytes, grouping, |group, text| text.extend_from_slice(&hex(group)))
}

pub fn base64(bytes: &[u8]) -> Vec<u8> {
    STANDARD.encode(bytes).into_bytes()
}

pub fn base64_url(bytes: &[u8]) -> Vec<u8> {
    URL_SAFE_NO_PAD.encode(bytes).into_bytes()
}

pub fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// With or without padding.
pub fn decode_base64_url(text: &[u8]) -> Option<Vec<u8>> {
    const EITHER: GeneralPurpose = GeneralPurpose::new(
        &alphabet::URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    EITHER.decode(text).ok()
}
