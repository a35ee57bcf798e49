//! `redirect` (configuration.txt section 4.2).

use super::text::{self, Scratch};
use super::{termination, uri};
use crate::config::model::{Redirect, RedirectKind};
use crate::policy::exchange::Scope;
use crate::policy::reply::Reply;
use std::borrow::Cow;

/// The redirection; `None` where an empty target makes the rule void (`ignore-empty`).
pub fn answer(rule: &Redirect, scope: &Scope) -> Option<Reply> {
    let mut location = Scratch::take();
    let request = &scope.exchange.request;
    match rule.kind {
        RedirectKind::Location => location.extend_from_slice(&text::render(&rule.target, scope)),
        RedirectKind::Prefix => {
            location.extend_from_slice(&text::render(&rule.target, scope));
            push_path(rule, request.target(), &mut location);
        }
        RedirectKind::Scheme => {
            location.extend_from_slice(&text::render(&rule.target, scope));
            location.extend_from_slice(b"://");
            location.extend_from_slice(request.value(b"host").unwrap_or_default());
            push_path(rule, request.target(), &mut location);
        }
    }
    if location.is_empty() && rule.ignore_empty && rule.kind == RedirectKind::Location {
        return None;
    }
    let mut reply = Reply::of(rule.page.clone()).with_termination(termination(scope, b'L'));
    reply.headers.push((Cow::Borrowed(b"location"), location.as_slice().into()));
    if let Some(cookie) = &rule.set_cookie {
        reply.headers.push((Cow::Borrowed(b"set-cookie"), (**cookie).into()));
    }
    Some(reply)
}

/// Appends the path that was asked for, with what the rule's options make of it.
fn push_path(rule: &Redirect, target: &[u8], location: &mut Vec<u8>) {
    let path = if rule.drop_query { uri::path(target) } else { uri::path_and_query(target) };
    // Neither `*` nor an authority has a path.
    location.extend_from_slice(if path.is_empty() { b"/" } else { path });
    if rule.append_slash && location.last() != Some(&b'/') {
        location.push(b'/');
    }
}
