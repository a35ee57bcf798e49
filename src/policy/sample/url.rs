//! Of the request's target and host (configuration.txt section 7.3.6). The path begins with the first slash behind the
//! authority; `*` has none.

use super::{Outcome, Sample, cast, headers};
use crate::config::model::UrlPart;
use crate::policy::balance::hash;
use crate::policy::exchange::Scope;
use crate::policy::log_format::Endpoint;
use std::borrow::Cow;
use std::net::IpAddr;

/// A target without scheme and authority; `None` when nothing is left.
pub fn path_and_query(target: &[u8]) -> Option<&[u8]> {
    if target.first() == Some(&b'/') {
        return Some(target);
    }
    let scheme = memchr::memmem::find(target, b"://")?;
    let authority = target.get(scheme + 3..)?;
    let slash = memchr::memchr2(b'/', b'?', authority).filter(|at| authority.get(*at) == Some(&b'/'))?;
    authority.get(slash..)
}

fn without_query(text: &[u8]) -> &[u8] {
    memchr::memchr(b'?', text).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// What follows the first question mark.
pub fn query(target: &[u8]) -> Option<&[u8]> {
    target.get(memchr::memchr(b'?', target)? + 1..)
}

pub fn fetch<'a>(part: UrlPart, scope: &'a Scope) -> Outcome<Sample<'a>> {
    let request = match headers::request(scope) {
        Outcome::Found(request) => request,
        Outcome::Missing => return Outcome::Missing,
        Outcome::NotYet => return Outcome::NotYet,
    };
    let target = request.target();
    let host = || headers::first_value(request, b"host").unwrap_or_default();
    let base = |path: Option<&'a [u8]>| -> Option<Cow<'a, [u8]>> {
        match (headers::first_value(request, b"host"), path) {
            (None, None) => None,
            (None, Some(path)) => Some(Cow::Borrowed(path)),
            (Some(host), None) => Some(Cow::Borrowed(host)),
            (Some(host), Some(path)) => Some(Cow::Owned([host, path].concat())),
        }
    };
    let path = || path_and_query(target).map(without_query);
    let with_source = |number: u32| match scope.client.source {
        Endpoint::Ip(address) => {
            let mut bytes = number.to_be_bytes().to_vec();
            match address.ip().to_canonical() {
                IpAddr::V4(four) => bytes.extend_from_slice(&four.octets()),
                IpAddr::V6(six) => bytes.extend_from_slice(&six.octets()),
            }
            Some(Sample::Binary(Cow::Owned(bytes)))
        }
        Endpoint::Unix | Endpoint::None => None,
    };
    let base32 = || hash::avalanche(hash::sdbm(&base(path()).unwrap_or_default()));
    let url32 = || hash::avalanche(hash::sdbm(&[host(), path_and_query(target).unwrap_or_default()].concat()));
    Outcome::of(match part {
        UrlPart::Url => Some(Sample::text(target)),
        UrlPart::Path => path().map(Sample::text),
        UrlPart::PathAndQuery => path_and_query(target).map(Sample::text),
        UrlPart::Query => query(target).map(Sample::text),
        UrlPart::Base => base(path()).map(Sample::Text),
        UrlPart::BaseAndQuery => base(path_and_query(target)).map(Sample::Text),
        UrlPart::Base32 => Some(Sample::Integer(i64::from(base32()))),
        UrlPart::Base32AndSource => with_source(base32()),
        UrlPart::Url32 => Some(Sample::Integer(i64::from(url32()))),
        UrlPart::Url32AndSource => with_source(url32()),
        UrlPart::Address => authority(target).map(|(address, _)| Sample::Address(address)),
        UrlPart::Port => authority(target).map(|(_, port)| Sample::Integer(i64::from(port))),
    })
}

/// Address and port of a target that names its host by address; 80 without a port.
fn authority(target: &[u8]) -> Option<(IpAddr, u16)> {
    let start = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
    let rest = target.get(start..)?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, 80),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = cast::address_of_text(host.as_bytes())?;
    Some((address, port))
}
