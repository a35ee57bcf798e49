//! Parameters of the query and of a posted form (configuration.txt section 7.3.6, `urlp`, `req.body_param`).

use super::headers::{self, Visitor};
use super::{Outcome, Sample, cast};
use crate::config::model::ParameterFetch;
use crate::policy::exchange::Scope;
use std::ops::ControlFlow;

/// The value of every parameter of this name, in order.
fn each_value<'a>(of: &ParameterFetch, text: &'a [u8], visit: &mut dyn FnMut(&'a [u8]) -> ControlFlow<()>) {
    let is_end = |byte: &u8| match of.is_in_body {
        true => *byte == b'&',
        false => *byte == b'&' || *byte == b';' || *byte == of.delimiter,
    };
    for item in text.split(is_end) {
        let Some(equals) = memchr::memchr(b'=', item) else { continue };
        let (name, value) = item.split_at(equals);
        if of.name.as_ref().is_some_and(|wanted| **wanted != *name) {
            continue;
        }
        if visit(value.get(1..).unwrap_or_default()).is_break() {
            return;
        }
    }
}

/// Where the parameters are; `None`: there are none.
fn text_of<'a>(of: &ParameterFetch, scope: &'a Scope) -> Outcome<&'a [u8]> {
    match headers::request(scope) {
        Outcome::Found(_) if of.is_in_body => Outcome::Found(&scope.exchange.request_body),
        Outcome::Found(request) => {
            let target = request.target();
            let start = memchr::memchr(of.delimiter, target);
            Outcome::of(start.and_then(|start| target.get(start + 1..)))
        }
        Outcome::Missing => Outcome::Missing,
        Outcome::NotYet => Outcome::NotYet,
    }
}

fn asked<'a>(of: &ParameterFetch, value: &'a [u8]) -> Sample<'a> {
    match of.is_integer {
        true => Sample::Integer(cast::leading_integer(value).unwrap_or(0)),
        false => Sample::text(value),
    }
}

/// The first one.
pub fn fetch<'a>(of: &ParameterFetch, scope: &'a Scope) -> Outcome<Sample<'a>> {
    let text = match text_of(of, scope) {
        Outcome::Found(text) => text,
        Outcome::Missing => return Outcome::Missing,
        Outcome::NotYet => return Outcome::NotYet,
    };
    let mut first = None;
    each_value(of, text, &mut |value| {
        first = Some(value);
        ControlFlow::Break(())
    });
    Outcome::of(first.map(|value| asked(of, value)))
}

/// Visits each; true when there was a text to look through.
pub fn each<'a>(of: &ParameterFetch, scope: &'a Scope, visit: &mut Visitor<'_, 'a>) -> bool {
    let Outcome::Found(text) = text_of(of, scope) else { return false };
    each_value(of, text, &mut |value| visit(asked(of, value)));
    true
}
