//! Actions that answer or end: allow, deny, tarpit, return, reject, silent-drop, auth, early-hint.

use super::format;
use super::reply::{self, ReplyRules};
use crate::config::model::HttpAction;
use crate::config::section_http_rules::Context;
use crate::config::statement::Statement;
use std::sync::Arc;

type Parsed = Option<(HttpAction, usize)>;

pub fn allow(_: &mut Statement, _: &mut Context) -> Parsed {
    Some((HttpAction::Allow, 0))
}

pub fn reject(_: &mut Statement, _: &mut Context) -> Parsed {
    Some((HttpAction::Reject, 0))
}

pub fn silent_drop(statement: &mut Statement, _: &mut Context) -> Parsed {
    if statement.text(0) == "rst-ttl" {
        statement.error(0, "'rst-ttl' is not supported; write 'silent-drop' alone.");
        return None;
    }
    Some((HttpAction::SilentDrop, 0))
}

/// 403 for a request, 502 for a response.
pub fn deny(statement: &mut Statement, context: &mut Context) -> Parsed {
    let status = if context.set.is_response() { 502 } else { 403 };
    let parsed = answer(statement, context, status, true)?;
    Some((HttpAction::Deny(parsed.source), parsed.index))
}

pub fn tarpit(statement: &mut Statement, context: &mut Context) -> Parsed {
    let parsed = answer(statement, context, 500, true)?;
    Some((HttpAction::Tarpit(parsed.source), parsed.index))
}

pub fn return_answer(statement: &mut Statement, context: &mut Context) -> Parsed {
    let parsed = answer(statement, context, 200, false)?;
    Some((HttpAction::Return(parsed.source), parsed.index))
}

fn answer(
    statement: &mut Statement,
    context: &mut Context,
    status: u16,
    defaults_to_error_page: bool,
) -> Option<reply::ParsedReply> {
    let rules = ReplyRules { status, place: format::place_of(context), defaults_to_error_page };
    reply::parse(statement, 0, rules)
}

/// `auth [realm <realm>]`; without a realm it is the proxy's name, which is known when names are resolved.
pub fn auth(statement: &mut Statement, _: &mut Context) -> Parsed {
    if statement.text(0) != "realm" {
        return Some((HttpAction::Auth { challenge: Arc::default() }, 0));
    }
    let realm = statement.text(1);
    if realm.is_empty() {
        statement.error(0, "'realm' expects a text.");
        return None;
    }
    Some((HttpAction::Auth { challenge: challenge(realm) }, 2))
}

/// RFC 7617 section 2, with the realm as a quoted string (RFC 9110 section 5.6.4).
pub fn challenge(realm: &str) -> Arc<[u8]> {
    format!("Basic realm=\"{}\"", realm.replace('\\', "\\\\").replace('"', "\\\"")).into_bytes().into()
}

pub fn early_hint(statement: &mut Statement, context: &mut Context) -> Parsed {
    let name = super::name_and_value(statement)?;
    let value = format::head(statement, 1, format::place_of(context))?;
    Some((HttpAction::EarlyHint { name, value }, 2))
}
