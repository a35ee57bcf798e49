//! Rules on a request's target: set, replace and normalize.

use super::text::{self, Scratch};
use super::{RewriteFailed, Step, normalize, uri};
use crate::config::model::{Normalizer, Replacement, TextFormat};
use crate::policy::exchange::Scope;
use crate::policy::reply;
use crate::proto::http1::message::Message;

/// The part of a target that `replace-…` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Path,
    PathAndQuery,
    Whole,
}

/// Gives the request the target that `with(old, text)` makes; false if it cannot be one.
pub fn set(scope: &mut Scope, text: &TextFormat, with: fn(&[u8], &[u8], &mut Vec<u8>)) -> bool {
    let text = text::render(text, scope);
    let mut target = Vec::with_capacity(64);
    with(scope.exchange.request.target(), &text, &mut target);
    put(&mut scope.exchange.request, &target)
}

/// `replace-path`, `replace-pathq`, `replace-uri`: the part is replaced whole where the pattern matches.
pub fn replace(scope: &mut Scope, replacement: &Replacement, part: Part) -> bool {
    let target = scope.exchange.request.target();
    if target == b"*" && part != Part::Whole {
        return true; // a target without a path: nothing matches, as in HAProxy
    }
    let old = match part {
        Part::Path => uri::path(target),
        Part::PathAndQuery => uri::path_and_query(target),
        Part::Whole => target,
    };
    let Some(captures) = replacement.pattern.captures(old) else { return true };
    let template = text::render(&replacement.with, scope);
    let mut new = Vec::with_capacity(64);
    if text::expand(&template, &captures, &mut new).is_none() {
        return false;
    }
    let mut changed = Vec::with_capacity(64);
    match part {
        Part::Path => uri::with_path(target, &new, &mut changed),
        Part::PathAndQuery => uri::with_path_and_query(target, &new, &mut changed),
        Part::Whole => changed = new,
    }
    put(&mut scope.exchange.request, &changed)
}

/// `normalize-uri`; a target that `strict` does not allow is a 400.
pub fn normalize(scope: &mut Scope, normalizer: Normalizer) -> Result<Step, RewriteFailed> {
    let mut normalized = Scratch::take();
    match normalize::target(scope.exchange.request.target(), normalizer, &mut normalized) {
        normalize::Outcome::Unchanged => Ok(Step::Next),
        normalize::Outcome::Changed => match scope.exchange.request.set_target(&normalized) {
            true => Ok(Step::Next),
            false => Err(RewriteFailed),
        },
        normalize::Outcome::Invalid => {
            Ok(Step::Answer(reply::error_page(scope, 400).with_termination(super::termination(scope, b'P'))))
        }
    }
}

/// Sets the target; one with an authority, or that is one, changes Host with it (RFC 9112 section 3.2.2).
fn put(request: &mut Message, target: &[u8]) -> bool {
    if !request.set_target(target) {
        return false;
    }
    let alone = || (!matches!(target.first(), Some(b'/' | b'*'))).then_some(0..target.len());
    if let Some(authority) = uri::authority(target).or_else(alone) {
        let authority = target.get(authority).unwrap_or_default();
        // A user before the host is no part of Host.
        let host = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        set_host(request, authority.get(host..).unwrap_or_default());
    }
    true
}

/// Changes Host where it stands.
fn set_host(request: &mut Message, host: &[u8]) {
    let position = request.headers().position(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    if let Some(position) = position
        && request.header(position).1 != host
    {
        request.replace_value(position, host);
    }
}
