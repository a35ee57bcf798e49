//! Whether a response may be stored, and for how long (RFC 9111 sections 3 to 5, as HAProxy reads them).

use super::date;
use crate::proto::http1::message::Message;
use crate::proto::http1::trim_blanks;

/// RFC 9111 section 1.2.2: what an age that is larger is taken for.
pub const AGE_MAX_S: u64 = 1 << 31;

/// What a request says about caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// It wants a fresh answer.
    pub is_delivery_unwanted: bool,
    /// Its answer is not to be kept, unless that says `public`.
    pub is_storing_unwanted: bool,
}

pub fn wishes_of(request: &Message) -> Wishes {
    let mut wishes = Wishes::default();
    if request.has(b"authorization") {
        wishes = Wishes { is_delivery_unwanted: true, is_storing_unwanted: true };
    }
    let mut has_directives = false;
    for directive in items(request, b"cache-control") {
        has_directives = true;
        let starts = |name: &[u8]| directive.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if starts(b"max-age") || starts(b"no-cache") || starts(b"max-stale") || starts(b"min-fresh") {
            wishes.is_delivery_unwanted = true;
        }
        wishes.is_storing_unwanted |= starts(b"no-store");
    }
    // Pragma is for those that know no Cache-Control (RFC 9111 section 5.4).
    wishes.is_delivery_unwanted |=
        !has_directives && items(request, b"pragma").any(|item| item.eq_ignore_ascii_case(b"no-cache"));
    wishes
}

fn items<'a>(message: &'a Message, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    message.values(name).flat_map(|value| value.split(|byte| *byte == b',')).map(trim_blanks)
}

/// How long a response may be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub seconds: u32,
    /// How old it is already.
    pub age_s: u32,
}

/// `None`: it must not be stored. `unwanted`: the request would rather not, which `public` overrules. `age_max_s` is
/// the cache's own bound.
pub fn lifetime(response: &Message, unwanted: bool, now_s: i64, age_max_s: u32) -> Option<Lifetime> {
    let mut is_public = false;
    let (mut shared_age, mut private_age) = (None, None);
    for directive in items(response, b"cache-control") {
        let is = |name: &[u8]| directive.eq_ignore_ascii_case(name);
        if is(b"private") || is(b"no-cache") || is(b"no-store") {
            return None;
        }
        let starts = |name: &[u8]| directive.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        // Without a list of fields these would forbid it; with one, there may be fields that must not be kept.
        if starts(b"no-cache=") || starts(b"private=") {
            return None;
        }
        is_public |= is(b"public");
        if let Some(value) = value_of(directive, b"s-maxage") {
            shared_age = Some(value?);
        } else if let Some(value) = value_of(directive, b"max-age") {
            private_age = Some(value?);
            // HAProxy takes it for a prohibition, whatever s-maxage says: who wrote it wants nothing kept.
            if private_age == Some(0) {
                return None;
            }
        }
    }
    // RFC 9111 section 5.4 gives Pragma no meaning here; HAProxy heeds it, also beside Cache-Control.
    let forbids = items(response, b"pragma").any(|item| item.eq_ignore_ascii_case(b"no-cache"));
    if forbids || unwanted && !is_public {
        return None;
    }
    let expires = || {
        let value = response.value(b"expires")?;
        // What is no date lies in the past (RFC 9111 section 5.3).
        Some(date::parse(value).map_or(0, |at| u32::try_from(at.saturating_sub(now_s)).unwrap_or(0)))
    };
    let announced = shared_age.or(private_age).or_else(expires);
    if announced.is_none() && !response.has(b"etag") && !response.has(b"last-modified") {
        return None;
    }
    let age_s = match response.value(b"age") {
        Some(value) => number(value)?,
        None => 0,
    };
    // What it has lived elsewhere counts.
    let left = match announced {
        Some(announced) => announced.saturating_sub(age_s),
        None if age_s > 0 => 0,
        None => age_max_s,
    };
    let seconds = left.min(age_max_s);
    (seconds > 0).then_some(Lifetime { seconds, age_s })
}

/// The number behind `name=`; the inner `None`: there is none, which makes the response stale.
fn value_of(directive: &[u8], name: &[u8]) -> Option<Option<u32>> {
    let start = directive.get(..name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    match directive.get(name.len()..)? {
        [b'=', value @ ..] => {
            Some(number(value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value)))
        }
        [] => Some(None),
        // Another name that begins with this one.
        _ => None,
    }
}

/// Digits; more than fit are the largest.
fn number(text: &[u8]) -> Option<u32> {
    let text = trim_blanks(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let largest = AGE_MAX_S as u32;
    Some(
        text.iter()
            .fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
            .min(largest),
    )
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
