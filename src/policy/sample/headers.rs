//! Headers, and messages as a whole (configuration.txt section 7.3.6).

use super::{Outcome, Sample, cast};
use crate::config::model::{Asked, HeaderFetch, MessagePart, MessageSide};
use crate::policy::exchange::{Scope, Stage};
use crate::proto::http1::head::Version;
use crate::proto::http1::message::Message;
use crate::proto::http1::trim_blanks;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::ControlFlow;

/// Receives samples until it has seen enough.
pub type Visitor<'v, 'a> = dyn FnMut(Sample<'a>) -> ControlFlow<()> + 'v;

/// The request's head, once there is one.
pub fn request<'a>(scope: &'a Scope) -> Outcome<&'a Message> {
    match scope.exchange.request.is_empty() {
        false => Outcome::Found(&scope.exchange.request),
        true if scope.is_payload_complete || scope.stage != Stage::Request => Outcome::Missing,
        true => Outcome::NotYet,
    }
}

/// The head of the message that is meant, once there is one.
pub fn side_of<'a>(side: MessageSide, scope: &'a Scope) -> Outcome<&'a Message> {
    match (side, scope.stage) {
        (MessageSide::Request, _) | (MessageSide::Current, Stage::Request) => request(scope),
        (MessageSide::Response | MessageSide::Current, _) => match scope.exchange.response.is_empty() {
            false => Outcome::Found(&scope.exchange.response),
            true => Outcome::Missing,
        },
    }
}

/// The first comma-separated value of a header.
pub fn first_value<'a>(message: &'a Message, name: &[u8]) -> Option<&'a [u8]> {
    let line = message.value(name)?;
    Items(Some(line)).next()
}

/// The values of a line, at commas outside of quotes; an empty line has one, which is empty.
struct Items<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let end = item_end(text);
        self.0 = text.get(end + 1..);
        text.get(..end).map(trim_blanks)
    }
}

fn item_end(text: &[u8]) -> usize {
    // Few values have quotes: the quick search does for the rest.
    let comma = memchr::memchr(b',', text).unwrap_or(text.len());
    if memchr::memchr(b'"', text.get(..comma).unwrap_or_default()).is_none() {
        return comma;
    }
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = text.iter().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' => return !is_quoted,
            _ => {}
        }
        false
    });
    end.unwrap_or(text.len())
}

/// Calls `visit` with each value of the header, in order.
fn each_value<'a>(of: &HeaderFetch, message: &'a Message, visit: &mut dyn FnMut(&'a [u8]) -> ControlFlow<()>) {
    for (name, line) in message.headers() {
        if of.name.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(name)) {
            continue;
        }
        if of.is_whole_line {
            if visit(line).is_break() {
                return;
            }
            continue;
        }
        for item in Items(Some(line)) {
            if visit(item).is_break() {
                return;
            }
        }
    }
}

pub fn fetch<'a>(of: &HeaderFetch, scope: &'a Scope) -> Outcome<Sample<'a>> {
    let message = match side_of(of.side, scope) {
        Outcome::Found(message) => message,
        Outcome::Missing => return Outcome::Missing,
        Outcome::NotYet => return Outcome::NotYet,
    };
    if of.asked == Asked::Count {
        return Outcome::Found(Sample::Integer(count(of, message)));
    }
    Outcome::of(chosen(of, message).and_then(|value| asked(of.asked, value)))
}

fn count(of: &HeaderFetch, message: &Message) -> i64 {
    let mut count = 0;
    each_value(of, message, &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    });
    count
}

/// The value at the occurrence.
fn chosen<'a>(of: &HeaderFetch, message: &'a Message) -> Option<&'a [u8]> {
    let wanted = match of.occurrence {
        // Counted from the end: how many come before it.
        0 => count(of, message) - 1,
        behind @ ..0 => count(of, message) + behind,
        number => number - 1,
    };
    let (mut index, mut chosen) = (0, None);
    each_value(of, message, &mut |value| {
        if index == wanted {
            chosen = Some(value);
            return ControlFlow::Break(());
        }
        index += 1;
        ControlFlow::Continue(())
    });
    chosen
}

pub(super) fn asked<'a>(asked: Asked, value: &'a [u8]) -> Option<Sample<'a>> {
    match asked {
        Asked::Text | Asked::Count => Some(Sample::text(value)),
        Asked::Integer => Some(Sample::Integer(cast::leading_integer(value).unwrap_or(0))),
        Asked::Address => forwarded_address(value).map(Sample::Address),
    }
}

/// An IPv4 address with or without a port, or an IPv6 address with or without brackets.
fn forwarded_address(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        return rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address),
        Err(_) => {
            let colon = text.find(':')?;
            let (address, port) = text.split_at_checked(colon)?;
            if is_port(port) { address.parse().ok().map(IpAddr::V4) } else { None }
        }
    }
}

/// `:` and a number up to 65535.
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or_default();
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

/// Visits each value; false when the fetch is of one value only.
pub fn each<'a>(of: &HeaderFetch, scope: &'a Scope, visit: &mut Visitor<'_, 'a>) -> bool {
    if of.occurrence != 0 || of.asked == Asked::Count {
        return false;
    }
    let Outcome::Found(message) = side_of(of.side, scope) else { return false };
    each_value(of, message, &mut |value| match asked(of.asked, value) {
        Some(sample) => visit(sample),
        None => ControlFlow::Continue(()),
    });
    true
}

pub fn message<'a>(side: MessageSide, part: MessagePart, scope: &'a Scope) -> Outcome<Sample<'a>> {
    let message = match side_of(side, scope) {
        Outcome::Found(message) => message,
        Outcome::Missing => return Outcome::Missing,
        Outcome::NotYet => return Outcome::NotYet,
    };
    let exchange = &*scope.exchange;
    let (body, length) = match side {
        MessageSide::Response => (&exchange.response_body, exchange.response_content_length),
        MessageSide::Request | MessageSide::Current => (&exchange.request_body, exchange.request_content_length),
    };
    Outcome::Found(match part {
        MessagePart::Method => Sample::Method(Cow::Borrowed(message.method())),
        MessagePart::Status => Sample::Integer(i64::from(message.status())),
        MessagePart::Version => Sample::text(match message.version() {
            Version::Http10 => b"1.0",
            Version::Http11 => b"1.1",
        }),
        MessagePart::HeaderNames { delimiter } => {
            let names: Vec<&[u8]> = message.headers().map(|(name, _)| name).collect();
            Sample::owned_text(names.join(&delimiter))
        }
        MessagePart::Headers => {
            let mut text = Vec::new();
            for (name, value) in message.headers() {
                for part in [name, b": ", value, b"\r\n"] {
                    text.extend_from_slice(part);
                }
            }
            text.extend_from_slice(b"\r\n");
            Sample::Binary(Cow::Owned(text))
        }
        MessagePart::HeadersBinary => {
            let mut bytes = Vec::new();
            for text in message.headers().flat_map(|(name, value)| [name, value]) {
                write_length(text.len() as u64, &mut bytes);
                bytes.extend_from_slice(text);
            }
            bytes.extend_from_slice(&[0, 0]);
            Sample::Binary(Cow::Owned(bytes))
        }
        MessagePart::Body => Sample::Binary(Cow::Borrowed(body)),
        MessagePart::BodyLength => Sample::Integer(body.len() as i64),
        MessagePart::BodySize => Sample::Integer(length.map_or(body.len() as i64, |length| length as i64)),
    })
}

/// The variable-length integers of SPOE: below 240 one byte, then four bits and seven bits at a time.
fn write_length(mut number: u64, bytes: &mut Vec<u8>) {
    if number < 240 {
        bytes.push(number as u8);
        return;
    }
    bytes.push(number as u8 | 240);
    number = (number - 240) >> 4;
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number = (number - 128) >> 7;
    }
    bytes.push(number as u8);
}
