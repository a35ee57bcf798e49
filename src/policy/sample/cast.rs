//! Casts between sample types, as HAProxy 2.6 makes them.

use super::Sample;
use crate::config::model::SampleType;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl<'a> Sample<'a> {
    /// The sample as `wanted`; `None` when it cannot be one.
    pub fn cast(self, wanted: SampleType) -> Option<Sample<'a>> {
        match wanted {
            SampleType::Any => Some(self),
            SampleType::Bool => self.as_bool().map(Sample::Bool),
            SampleType::Integer => self.as_integer().map(Sample::Integer),
            SampleType::Address => self.as_address().map(Sample::Address),
            SampleType::Ipv4 => match self.as_address()? {
                IpAddr::V6(address) => Some(Sample::Address(address.to_ipv4_mapped()?.into())),
                four => Some(Sample::Address(four)),
            },
            SampleType::Ipv6 => match self.as_address()? {
                IpAddr::V4(address) => Some(Sample::Address(address.to_ipv6_mapped().into())),
                six => Some(Sample::Address(six)),
            },
            SampleType::Text => self.into_text().map(Sample::Text),
            SampleType::Binary => Some(Sample::Binary(self.into_binary())),
            SampleType::Method => self.into_text().map(Sample::Method),
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Sample::Bool(truth) => Some(*truth),
            Sample::Integer(number) => Some(*number != 0),
            Sample::Text(text) => leading_integer(text).map(|number| number != 0),
            _ => None,
        }
    }

    /// Texts count as far as they are digits; an empty one is no number.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Sample::Bool(truth) => Some(i64::from(*truth)),
            Sample::Integer(number) => Some(*number),
            Sample::Address(IpAddr::V4(address)) => Some(i64::from(address.to_bits())),
            Sample::Text(text) => leading_integer(text),
            _ => None,
        }
    }

    pub fn as_address(&self) -> Option<IpAddr> {
        match self {
            Sample::Address(address) => Some(*address),
            Sample::Integer(number) => Some(Ipv4Addr::from_bits(*number as u32).into()),
            Sample::Text(text) => address_of_text(text),
            _ => None,
        }
    }

    /// The sample as text: booleans as 1 and 0, binary data up to its first NUL.
    pub fn into_text(self) -> Option<Cow<'a, [u8]>> {
        Some(match self {
            Sample::Bool(truth) => Cow::Borrowed(if truth { b"1" } else { b"0" }),
            Sample::Integer(number) => Cow::Owned(decimal(number)),
            Sample::Address(address) => Cow::Owned(address_text(address).into_bytes()),
            Sample::Text(text) | Sample::Method(text) => text,
            Sample::Binary(bytes) => match (memchr::memchr(0, &bytes), bytes) {
                (None, bytes) => bytes,
                (Some(end), Cow::Borrowed(bytes)) => Cow::Borrowed(bytes.get(..end).unwrap_or_default()),
                (Some(end), Cow::Owned(mut bytes)) => {
                    bytes.truncate(end);
                    Cow::Owned(bytes)
                }
            },
        })
    }

    /// Numbers as eight bytes, most significant first; addresses as their bytes.
    pub fn into_binary(self) -> Cow<'a, [u8]> {
        match self {
            Sample::Bool(truth) => Cow::Owned(i64::from(truth).to_be_bytes().to_vec()),
            Sample::Integer(number) => Cow::Owned(number.to_be_bytes().to_vec()),
            Sample::Address(IpAddr::V4(address)) => Cow::Owned(address.octets().to_vec()),
            Sample::Address(IpAddr::V6(address)) => Cow::Owned(address.octets().to_vec()),
            Sample::Text(bytes) | Sample::Binary(bytes) | Sample::Method(bytes) => bytes,
        }
    }
}

/// An address as inet_ntop(3) writes it: a mapped IPv4 address keeps its `::ffff:`.
pub fn address_text(address: IpAddr) -> String {
    address.to_string()
}

pub fn decimal(number: i64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The number at the start of a text, bounded to 64 bits; 0 when there is none; `None` for the empty text.
pub fn leading_integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [] => return None,
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut number: i64 = 0;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        let next = number.checked_mul(10);
        let next = next.and_then(|next| if is_negative { next.checked_sub(digit) } else { next.checked_add(digit) });
        match next {
            Some(next) => number = next,
            None => return Some(if is_negative { i64::MIN } else { i64::MAX }),
        }
    }
    Some(number)
}

/// An IPv4 address, with what follows it (a port) dropped, or an IPv6 address.
pub fn address_of_text(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(address.into());
    }
    let end = text.find(|character: char| !(character.is_ascii_digit() || character == '.')).unwrap_or(text.len());
    text.get(..end)?.parse::<Ipv4Addr>().ok().map(IpAddr::from)
}
