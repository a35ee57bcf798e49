//! Of bytes that nobody has consumed (configuration.txt section 7.3.5).

use super::{Outcome, Sample, headers, tls_hello};
use crate::config::model::{Fetch, MessageSide, PayloadFetch, ProxyMode, ValueAt};
use crate::policy::exchange::{Scope, Stage};
use crate::policy::rdp_cookie::{self, RdpCookie};
use crate::proto::http1::head::{HeadLimits, HeadParser};
use std::borrow::Cow;

/// Whether a sample that is there now may be another when more bytes have come.
pub fn may_change(fetch: &Fetch, scope: &Scope) -> bool {
    let of_bytes = match fetch {
        Fetch::Payload(PayloadFetch::Length(_)) => true,
        Fetch::Payload(PayloadFetch::Bytes { length, .. }) => *length == 0,
        _ => false,
    };
    of_bytes && !scope.is_payload_complete
}

/// The bytes of the direction, when it is the one that is worked on.
fn bytes<'a>(side: MessageSide, scope: &'a Scope) -> Option<&'a [u8]> {
    let is_response = scope.stage != Stage::Request;
    let is_meant = match side {
        MessageSide::Request => !is_response,
        MessageSide::Response => is_response,
        MessageSide::Current => true,
    };
    is_meant.then_some(scope.payload)
}

/// What to say when the bytes that are needed are not there.
fn wait<S>(scope: &Scope) -> Outcome<S> {
    if scope.is_payload_complete { Outcome::Missing } else { Outcome::NotYet }
}

pub fn fetch<'a>(of: &PayloadFetch, scope: &'a Scope) -> Outcome<Sample<'a>> {
    match of {
        PayloadFetch::WaitEnd if scope.is_payload_complete => Outcome::Found(Sample::Bool(true)),
        PayloadFetch::WaitEnd => Outcome::NotYet,
        PayloadFetch::IsHttp => is_http(scope),
        PayloadFetch::Length(side) => Outcome::of(bytes(*side, scope).map(|bytes| Sample::Integer(bytes.len() as i64))),
        PayloadFetch::Bytes { side, offset, length } => match bytes(*side, scope) {
            Some(bytes) => part(bytes, *offset, *length, scope),
            None => Outcome::Missing,
        },
        PayloadFetch::LengthValue { side, length_at, length_bytes, value } => match bytes(*side, scope) {
            Some(bytes) => length_value(bytes, (*length_at, *length_bytes), *value, scope),
            None => Outcome::Missing,
        },
        PayloadFetch::RdpCookie { name, count } => {
            let found = match bytes(MessageSide::Request, scope) {
                Some(bytes) => rdp_cookie::find(bytes, name.as_deref().unwrap_or_default()),
                None => RdpCookie::Missing,
            };
            match found {
                RdpCookie::Found(_) if *count => Outcome::Found(Sample::Integer(1)),
                RdpCookie::Found(value) => Outcome::Found(Sample::text(value)),
                RdpCookie::Missing if *count => Outcome::Found(Sample::Integer(0)),
                RdpCookie::Missing => Outcome::Missing,
                RdpCookie::NotYet if scope.is_payload_complete && *count => Outcome::Found(Sample::Integer(0)),
                RdpCookie::NotYet => wait(scope),
            }
        }
        PayloadFetch::TlsHelloType(side) => match bytes(*side, scope) {
            Some(bytes) => settle(tls_hello::hello_type(bytes), scope).map(|kind| Sample::Integer(i64::from(kind))),
            None => Outcome::Missing,
        },
        PayloadFetch::TlsVersion => match bytes(MessageSide::Request, scope) {
            Some(bytes) => settle(tls_hello::version(bytes), scope).map(Sample::Integer),
            None => Outcome::Missing,
        },
        PayloadFetch::TlsServerName => hello(scope, |hello| hello.server_name().map(Sample::text)),
        PayloadFetch::TlsAlpn => hello(scope, |hello| hello.alpn().map(Sample::text)),
        PayloadFetch::TlsHasEllipticCurves => {
            hello(scope, |hello| hello.extension(tls_hello::SUPPORTED_GROUPS).map(|_| Sample::Bool(true)))
        }
        PayloadFetch::TlsSessionTicket => hello(scope, |hello| {
            Some(Sample::Integer(match hello.extension(tls_hello::SESSION_TICKET) {
                None => 0,
                Some([]) => 1,
                Some(_) => 2,
            }))
        }),
    }
}

fn settle<S>(outcome: Outcome<S>, scope: &Scope) -> Outcome<S> {
    match outcome {
        Outcome::NotYet => wait(scope),
        other => other,
    }
}

fn hello<'a>(
    scope: &'a Scope,
    ask: impl FnOnce(tls_hello::ClientHello<'a>) -> Option<Sample<'a>>,
) -> Outcome<Sample<'a>> {
    let Some(bytes) = bytes(MessageSide::Request, scope) else { return Outcome::Missing };
    match settle(tls_hello::client_hello(bytes), scope) {
        Outcome::Found(hello) => Outcome::of(ask(hello)),
        Outcome::Missing => Outcome::Missing,
        Outcome::NotYet => Outcome::NotYet,
    }
}

fn part<'a>(bytes: &'a [u8], offset: u64, length: u64, scope: &Scope) -> Outcome<Sample<'a>> {
    // More than a buffer holds never comes.
    let most = u64::from(scope.shared.config.global.bufsize_bytes);
    if offset.saturating_add(length) > most {
        return Outcome::Missing;
    }
    let start = offset as usize;
    let found = match length {
        0 => bytes.get(start..).filter(|part| !part.is_empty()),
        _ => bytes.get(start..start.saturating_add(length as usize)),
    };
    match found {
        Some(part) => Outcome::Found(Sample::Binary(Cow::Borrowed(part))),
        None => wait(scope),
    }
}

fn length_value<'a>(
    bytes: &'a [u8],
    (length_at, length_bytes): (u64, u64),
    value: ValueAt,
    scope: &Scope,
) -> Outcome<Sample<'a>> {
    let most = u64::from(scope.shared.config.global.bufsize_bytes);
    let end = length_at.saturating_add(length_bytes);
    if end > most {
        return Outcome::Missing;
    }
    let Some(digits) = bytes.get(length_at as usize..end as usize) else { return wait(scope) };
    let length = digits.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    let start = match value {
        ValueAt::Behind(distance) => end.checked_add_signed(distance),
        ValueAt::Offset(offset) => Some(offset),
    };
    match start {
        // A length of nothing is no value; of a part, 0 would mean all the rest.
        Some(start) if length != 0 => part(bytes, start, length, scope),
        _ => Outcome::Missing,
    }
}

/// Whether the request is one: in HTTP mode it has been read; in TCP mode the bytes are looked at.
fn is_http<'a>(scope: &Scope) -> Outcome<Sample<'a>> {
    if let Outcome::Found(_) = headers::request(scope) {
        return Outcome::Found(Sample::Bool(true));
    }
    if scope.shared.config.proxy(scope.proxy).mode == ProxyMode::Http || scope.stage != Stage::Request {
        return Outcome::Found(Sample::Bool(false));
    }
    match head_of(scope.payload, scope) {
        Outcome::NotYet => wait(scope),
        outcome => Outcome::Found(Sample::Bool(matches!(outcome, Outcome::Found(())))),
    }
}

/// Whether a whole HTTP/1 request head stands at the start of `bytes`.
fn head_of(bytes: &[u8], scope: &Scope) -> Outcome<()> {
    let limits = HeadLimits { head_bytes_max: scope.shared.config.global.bufsize_bytes as usize, headers_max: 101 };
    match HeadParser::new(limits).advance(bytes) {
        Ok(Some(_)) => Outcome::Found(()),
        Ok(None) => Outcome::NotYet,
        Err(_) => Outcome::Missing,
    }
}
