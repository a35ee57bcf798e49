//! Sample expressions at work: a fetch gives a sample, converters change it (configuration.txt section 7.3).
//!
//! A sample borrows from the exchange wherever the bytes are there already; only what a converter makes is owned.

mod authorization;
mod bytes;
mod cast;
mod connections;
mod convert;
mod cookies;
mod digests;
mod figures;
mod fix;
mod headers;
mod internal;
mod json;
mod maps;
mod mqtt;
mod parameters;
mod payload;
mod stick_tables;
mod texts;
mod time;
mod tls_hello;
mod url;

pub use convert::may_set;

use super::exchange::Scope;
use crate::config::model::{Expression, Fetch, SampleType, Value};
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::ControlFlow;

/// What an expression gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample<'a> {
    Bool(bool),
    Integer(i64),
    Address(IpAddr),
    Text(Cow<'a, [u8]>),
    Binary(Cow<'a, [u8]>),
    Method(Cow<'a, [u8]>),
}

/// What became of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<S> {
    Found(S),
    /// There is none, and there will not be.
    Missing,
    /// More payload may bring it.
    NotYet,
}

impl<S> Outcome<S> {
    pub fn found(self) -> Option<S> {
        match self {
            Outcome::Found(sample) => Some(sample),
            Outcome::Missing | Outcome::NotYet => None,
        }
    }
    fn of(found: Option<S>) -> Outcome<S> {
        found.map_or(Outcome::Missing, Outcome::Found)
    }
    fn map<T>(self, change: impl FnOnce(S) -> T) -> Outcome<T> {
        match self {
            Outcome::Found(sample) => Outcome::Found(change(sample)),
            Outcome::Missing => Outcome::Missing,
            Outcome::NotYet => Outcome::NotYet,
        }
    }
}

/// What became of a visit of all occurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visited {
    /// The visitor broke off: for an ACL, a match.
    pub is_stopped: bool,
    /// At least one sample was there.
    pub is_found: bool,
    /// More payload may bring other samples: without a match, ask again.
    pub may_change: bool,
}

impl<'a> Sample<'a> {
    pub fn text(text: &'a [u8]) -> Self {
        Sample::Text(Cow::Borrowed(text))
    }
    fn owned_text(text: impl Into<Vec<u8>>) -> Self {
        Sample::Text(Cow::Owned(text.into()))
    }
    fn of_value(value: &'a Value) -> Self {
        match value {
            Value::Bool(truth) => Sample::Bool(*truth),
            Value::Integer(number) => Sample::Integer(*number),
            Value::Address(address) => Sample::Address(*address),
            Value::Text(bytes) => Sample::Text(Cow::Borrowed(bytes)),
            Value::Binary(bytes) => Sample::Binary(Cow::Borrowed(bytes)),
            Value::Method(bytes) => Sample::Method(Cow::Borrowed(bytes)),
        }
    }
    /// A copy to keep.
    pub fn to_value(&self) -> Value {
        match self {
            Sample::Bool(truth) => Value::Bool(*truth),
            Sample::Integer(number) => Value::Integer(*number),
            Sample::Address(address) => Value::Address(*address),
            Sample::Text(bytes) => Value::Text((&**bytes).into()),
            Sample::Binary(bytes) => Value::Binary((&**bytes).into()),
            Sample::Method(bytes) => Value::Method((&**bytes).into()),
        }
    }
    /// The same without a borrow.
    pub fn into_owned(self) -> Sample<'static> {
        let own = |bytes: Cow<[u8]>| Cow::Owned(bytes.into_owned());
        match self {
            Sample::Bool(truth) => Sample::Bool(truth),
            Sample::Integer(number) => Sample::Integer(number),
            Sample::Address(address) => Sample::Address(address),
            Sample::Text(bytes) => Sample::Text(own(bytes)),
            Sample::Binary(bytes) => Sample::Binary(own(bytes)),
            Sample::Method(bytes) => Sample::Method(own(bytes)),
        }
    }
}

/// Evaluates an expression once: of several occurrences the one that HAProxy takes outside ACLs (the last header).
pub fn fetch<'a>(expression: &'a Expression, scope: &'a Scope) -> Outcome<Sample<'a>> {
    match first(expression, scope) {
        Outcome::Found(sample) => Outcome::of(convert::all(sample, &expression.converters, scope)),
        other => other,
    }
}

/// As [`fetch`], as text: what a header or a log line gets. `None`: no sample.
pub fn fetch_text<'a>(expression: &'a Expression, scope: &'a Scope) -> Option<Cow<'a, [u8]>> {
    fetch(expression, scope).found()?.into_text()
}

/// As [`fetch`], as an integer.
pub fn fetch_integer(expression: &Expression, scope: &Scope) -> Option<i64> {
    fetch(expression, scope).found()?.as_integer()
}

/// As [`fetch`], as an address.
pub fn fetch_address(expression: &Expression, scope: &Scope) -> Option<IpAddr> {
    match fetch(expression, scope).found()?.cast(SampleType::Address)? {
        Sample::Address(address) => Some(address),
        _ => None,
    }
}

/// Evaluates an expression for each occurrence (`req.hdr(x)` of each value) until `visit` breaks off: what ACLs do.
pub fn for_each<'a>(
    expression: &'a Expression,
    scope: &'a Scope,
    visit: &mut dyn FnMut(Sample<'a>) -> ControlFlow<()>,
) -> Visited {
    let mut visited = Visited::default();
    let mut converted = |sample: Sample<'a>, visited: &mut Visited| {
        let Some(sample) = convert::all(sample, &expression.converters, scope) else {
            return ControlFlow::Continue(());
        };
        visited.is_found = true;
        let flow = visit(sample);
        visited.is_stopped |= flow.is_break();
        flow
    };
    let is_visited = match &expression.fetch {
        Fetch::Header(of) => headers::each(of, scope, &mut |sample| converted(sample, &mut visited)),
        Fetch::Cookie(of) => cookies::each(of, scope, &mut |sample| converted(sample, &mut visited)),
        Fetch::Parameter(of) => parameters::each(of, scope, &mut |sample| converted(sample, &mut visited)),
        _ => false,
    };
    if !is_visited {
        match first(expression, scope) {
            Outcome::Found(sample) => {
                let _ = converted(sample, &mut visited);
                visited.may_change = payload::may_change(&expression.fetch, scope);
            }
            Outcome::Missing => {}
            Outcome::NotYet => visited.may_change = true,
        }
    }
    visited
}

/// The sample before converters.
fn first<'a>(expression: &'a Expression, scope: &'a Scope) -> Outcome<Sample<'a>> {
    match &expression.fetch {
        Fetch::Constant(value) => Outcome::Found(Sample::of_value(value)),
        Fetch::Environment { name } => {
            Outcome::of(scope.shared.config.environment.get(name).map(|value| Sample::text(value.as_bytes())))
        }
        Fetch::Variable { name, default } => Outcome::of(internal::variable(name, default.as_ref(), scope)),
        Fetch::Process(of) => Outcome::Found(internal::process(of, scope)),
        Fetch::Connection(of) => Outcome::of(connections::fetch(*of, scope)),
        Fetch::Frontend(figure, reference) => Outcome::of(figures::frontend(*figure, reference, scope)),
        Fetch::Backend(figure, reference) => Outcome::of(figures::backend(*figure, reference, scope)),
        Fetch::Server(figure, reference) => Outcome::of(figures::server(*figure, reference, scope)),
        Fetch::Exchange(of) => Outcome::of(internal::exchange(*of, scope)),
        Fetch::Payload(of) => payload::fetch(of, scope),
        Fetch::Url(part) => url::fetch(*part, scope),
        Fetch::Message(side, part) => headers::message(*side, *part, scope),
        Fetch::Header(of) => headers::fetch(of, scope),
        Fetch::Cookie(of) => cookies::fetch(of, scope),
        Fetch::Parameter(of) => parameters::fetch(of, scope),
        Fetch::Authorization(of) => Outcome::of(authorization::fetch(of, scope)),
        Fetch::Table(of) => Outcome::of(stick_tables::fetch(of, scope)),
    }
}

#[cfg(test)]
pub(super) mod fixture_tests;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod sample_tests;
