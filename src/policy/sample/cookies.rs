//! Cookies of `Cookie` and `Set-Cookie` headers (configuration.txt section 7.3.6, `req.cook`; RFC 6265).

use super::headers::{self, Visitor};
use super::{Outcome, Sample, cast};
use crate::config::model::{Asked, CookieFetch, MessageSide};
use crate::policy::exchange::{Scope, Stage};
use crate::proto::http1::message::Message;
use crate::proto::http1::trim_blanks;
use std::ops::ControlFlow;

/// The value of every cookie of this name, in order; a quoted value keeps its quotes.
fn each_value<'a>(
    of: &CookieFetch,
    is_response: bool,
    message: &'a Message,
    visit: &mut dyn FnMut(&'a [u8]) -> ControlFlow<()>,
) {
    let header: &[u8] = if is_response { b"set-cookie" } else { b"cookie" };
    for (name, line) in message.headers() {
        if !name.eq_ignore_ascii_case(header) {
            continue;
        }
        let mut rest = Some(line);
        while let Some(text) = rest {
            // HAProxy looks for a name, `=` and at least one more byte: `a=` at the end of the line is not seen.
            if text.len() <= of.name.as_ref().map_or(0, |name| name.len()) + 1 {
                break;
            }
            let end = cookie_end(text);
            let cookie = text.get(..end).unwrap_or_default();
            // What follows a response's cookie are its attributes.
            rest = if is_response { None } else { text.get(end + 1..) };
            let (given, value) = cookie.split_at(memchr::memchr(b'=', cookie).unwrap_or(cookie.len()));
            let given = trim_blanks(given);
            // `$Version` and the like are of no cookie (RFC 2109).
            if given.starts_with(b"$") || of.name.as_ref().is_some_and(|wanted| **wanted != *given) {
                continue;
            }
            if visit(trim_blanks(value.get(1..).unwrap_or_default())).is_break() {
                return;
            }
        }
    }
}

/// Where a cookie ends: at a semicolon outside of quotes.
fn cookie_end(text: &[u8]) -> usize {
    let mut is_quoted = false;
    let end = text.iter().position(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == b';' && !is_quoted
    });
    end.or_else(|| memchr::memchr(b';', text)).unwrap_or(text.len())
}

fn is_response(of: &CookieFetch, scope: &Scope) -> bool {
    match of.side {
        MessageSide::Request => false,
        MessageSide::Response => true,
        MessageSide::Current => scope.stage != Stage::Request,
    }
}

fn asked<'a>(of: &CookieFetch, value: &'a [u8]) -> Sample<'a> {
    match of.asked {
        Asked::Integer => Sample::Integer(cast::leading_integer(value).unwrap_or(0)),
        _ => Sample::text(value),
    }
}

pub fn fetch<'a>(of: &CookieFetch, scope: &'a Scope) -> Outcome<Sample<'a>> {
    let message = match headers::side_of(of.side, scope) {
        Outcome::Found(message) => message,
        Outcome::Missing => return Outcome::Missing,
        Outcome::NotYet => return Outcome::NotYet,
    };
    let (mut count, mut chosen) = (0, None);
    each_value(of, is_response(of, scope), message, &mut |value| {
        count += 1;
        chosen = Some(value);
        // Without a name the first is meant, with one the last.
        if of.name.is_none() && of.asked != Asked::Count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if of.asked == Asked::Count {
        return Outcome::Found(Sample::Integer(count));
    }
    Outcome::of(chosen.map(|value| asked(of, value)))
}

/// Visits each value; false for a count.
pub fn each<'a>(of: &CookieFetch, scope: &'a Scope, visit: &mut Visitor<'_, 'a>) -> bool {
    if of.asked == Asked::Count {
        return false;
    }
    let Outcome::Found(message) = headers::side_of(of.side, scope) else { return false };
    each_value(of, is_response(of, scope), message, &mut |value| visit(asked(of, value)));
    true
}
