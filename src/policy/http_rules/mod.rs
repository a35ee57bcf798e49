//! Runs the http-request, http-response and http-after-response rules of one proxy on the exchange's messages
//! (configuration.txt section 4.2).
//!
//! A request meets, in this order: the frontend's [`request`], its old regular expression rules, its statistics page,
//! its [`redirects`]; then the same of the backend, where that is another proxy. `allow` ends one rule set only.

pub(super) mod addresses;
mod headers;
mod normalize;
mod redirect;
mod target;
pub(super) mod text;
pub mod uri;

use super::cache;
use super::condition;
use super::exchange::{RuleReference, RuleSet, Scope, Stage};
use super::queue_priority;
use super::reply::{self, Reply};
use super::sample::{self, Sample};
use super::stick_tables;
use super::variables;
use crate::config::model::*;
use crate::proto::http1::head::Version;
use crate::proto::http1::message::Message;
use crate::proto::http1::response;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a request after its rules.
#[derive(Debug)]
pub enum RequestVerdict {
    /// On to the next step.
    Continue,
    /// Send this to the client; no server is asked.
    Answer(Reply),
    /// The same after `timeout tarpit`.
    Tarpit(Reply),
    /// Close the client's connection without an answer.
    Reject,
    /// Forget the client's connection so that it is not told.
    SilentDrop,
    /// Collect the body until one of the limits, then call again from rule `resume`.
    WaitForBody { time: Duration, at_least_bytes: u64, resume: usize },
    /// Send this 103 at once (to an HTTP/1.1 client), and call again from rule `resume`.
    EarlyHint { hint: Box<Message>, resume: usize },
}

/// What becomes of a response after its rules.
#[derive(Debug)]
pub enum ResponseVerdict {
    Continue,
    /// Send this in its place; the server's connection is closed.
    Answer(Reply),
    SilentDrop,
    WaitForBody {
        time: Duration,
        at_least_bytes: u64,
        resume: usize,
    },
}

/// In a `resume` index: `strict-mode off` was in force there.
const LENIENT: usize = 1 << (usize::BITS - 1);

/// Runs the http-request rules of `scope.proxy` from rule `from`: 0, or what a verdict said.
pub fn request(scope: &mut Scope, from: usize) -> RequestVerdict {
    run_request(RuleSet::HttpRequest, scope, from)
}

/// Runs the `stats http-request` rules of `scope.proxy`: the request is for its page.
pub fn statistics(scope: &mut Scope) -> RequestVerdict {
    run_request(RuleSet::Statistics, scope, 0)
}

fn run_request(set: RuleSet, scope: &mut Scope, from: usize) -> RequestVerdict {
    let shared = scope.shared;
    let Some(proxy) = shared.config.proxies.get(scope.proxy.index()) else { return RequestVerdict::Continue };
    let rules = if set == RuleSet::Statistics { &proxy.rules.statistics } else { &proxy.rules.request };
    match run(set, rules, scope, from) {
        Step::Next | Step::Allow => RequestVerdict::Continue,
        Step::Answer(reply) => RequestVerdict::Answer(reply),
        Step::Tarpit(reply) => RequestVerdict::Tarpit(reply),
        Step::Reject => RequestVerdict::Reject,
        Step::SilentDrop => RequestVerdict::SilentDrop,
        Step::WaitForBody { time, at_least_bytes, resume } => {
            RequestVerdict::WaitForBody { time, at_least_bytes, resume }
        }
        Step::EarlyHint { hint, resume } => RequestVerdict::EarlyHint { hint, resume },
    }
}

/// The first `redirect` line of `scope.proxy` that applies. Asked after [`request`], the old rules and the statistics.
pub fn redirects(scope: &mut Scope) -> Option<Reply> {
    let shared = scope.shared;
    let proxy = shared.config.proxies.get(scope.proxy.index())?;
    match run(RuleSet::Redirects, &proxy.rules.redirects, scope, 0) {
        Step::Answer(reply) => Some(reply),
        _ => None,
    }
}

/// Runs the http-response rules of `scope.proxy` from rule `from`. A response meets the backend's rules before the
/// frontend's.
pub fn response(scope: &mut Scope, from: usize) -> ResponseVerdict {
    let shared = scope.shared;
    let Some(proxy) = shared.config.proxies.get(scope.proxy.index()) else { return ResponseVerdict::Continue };
    match run(RuleSet::HttpResponse, &proxy.rules.response, scope, from) {
        Step::Answer(reply) | Step::Tarpit(reply) => ResponseVerdict::Answer(reply),
        Step::SilentDrop | Step::Reject => ResponseVerdict::SilentDrop,
        Step::WaitForBody { time, at_least_bytes, resume } => {
            ResponseVerdict::WaitForBody { time, at_least_bytes, resume }
        }
        Step::Next | Step::Allow | Step::EarlyHint { .. } => ResponseVerdict::Continue,
    }
}

/// Runs the http-after-response rules of `scope.proxy` on a response, a server's or our own. False: a rewrite failed
/// in strict mode, and the client gets the page of 500 instead, without these rules.
pub fn after_response(scope: &mut Scope) -> bool {
    let shared = scope.shared;
    let Some(proxy) = shared.config.proxies.get(scope.proxy.index()) else { return true };
    !matches!(run(RuleSet::HttpAfterResponse, &proxy.rules.after_response, scope, 0), Step::Answer(_))
}

/// What one rule leads to.
enum Step {
    Next,
    /// The rest of this rule set is passed over.
    Allow,
    Answer(Reply),
    Tarpit(Reply),
    Reject,
    SilentDrop,
    WaitForBody {
        time: Duration,
        at_least_bytes: u64,
        resume: usize,
    },
    EarlyHint {
        hint: Box<Message>,
        resume: usize,
    },
}

/// Whether a condition holds for what is known now.
pub(super) fn holds(condition: &Condition, scope: &Scope) -> bool {
    condition::applies(Some(condition), scope)
}

fn run(set: RuleSet, rules: &[HttpRule], scope: &mut Scope, from: usize) -> Step {
    let mut is_strict = from & LENIENT == 0;
    let first = from & !LENIENT;
    for (index, rule) in rules.iter().enumerate().skip(first) {
        if rule.condition.as_ref().is_some_and(|condition| !holds(condition, scope)) {
            continue;
        }
        let resume = (index + 1) | if is_strict { 0 } else { LENIENT };
        let step = match &rule.action {
            HttpAction::StrictMode(on) => {
                is_strict = *on;
                Step::Next
            }
            action => match apply(action, scope, resume) {
                Ok(step) => step,
                Err(RewriteFailed) if is_strict => Step::Answer(internal_error(scope)),
                Err(RewriteFailed) => Step::Next,
            },
        };
        match step {
            Step::Next => {}
            Step::WaitForBody { .. } | Step::EarlyHint { .. } => return step,
            _ => {
                // A `redirect` line is none of those that HAProxy remembers.
                if set != RuleSet::Redirects {
                    scope.exchange.last_rule = Some(RuleReference { proxy: scope.proxy, set, index });
                }
                return step;
            }
        }
    }
    Step::Next
}

/// A rewrite could not be done: its result cannot stand in a message.
struct RewriteFailed;

fn done(success: bool) -> Result<Step, RewriteFailed> {
    if success { Ok(Step::Next) } else { Err(RewriteFailed) }
}

/// The first letter of the termination state with the place where the exchange stands.
fn termination(scope: &Scope, why: u8) -> [u8; 2] {
    [why, if scope.stage == Stage::Request { b'R' } else { b'H' }]
}

fn internal_error(scope: &Scope) -> Reply {
    reply::error_page(scope, 500).with_termination(termination(scope, b'I'))
}

fn apply(action: &HttpAction, scope: &mut Scope, resume: usize) -> Result<Step, RewriteFailed> {
    match action {
        HttpAction::Allow => return Ok(Step::Allow),
        HttpAction::Deny(source) => {
            let reply = reply::from_source(source, scope).with_termination(termination(scope, b'P'));
            return Ok(Step::Answer(reply));
        }
        HttpAction::Tarpit(source) => {
            return Ok(Step::Tarpit(reply::from_source(source, scope).with_termination(*b"PT")));
        }
        HttpAction::Return(source) => {
            let reply = reply::from_source(source, scope).with_termination(termination(scope, b'L'));
            return Ok(Step::Answer(reply));
        }
        HttpAction::Reject => return Ok(Step::Reject),
        HttpAction::SilentDrop => return Ok(Step::SilentDrop),
        HttpAction::Redirect(rule) => return Ok(redirect::answer(rule, scope).map_or(Step::Next, Step::Answer)),
        HttpAction::Auth { challenge } => return Ok(Step::Answer(ask_for_password(challenge, scope))),
        HttpAction::WaitForBody { time, at_least_bytes } => {
            return Ok(match is_enough_body(scope, *at_least_bytes) {
                true => Step::Next,
                false => Step::WaitForBody { time: *time, at_least_bytes: *at_least_bytes, resume },
            });
        }
        HttpAction::EarlyHint { name, value } => {
            let mut hint = Box::new(Message::default());
            hint.start_response(Version::Http11, 103, response::reason(103).as_bytes());
            let added = hint.add_header(name, &text::render(value, scope));
            return if added { Ok(Step::EarlyHint { hint, resume }) } else { Err(RewriteFailed) };
        }
        HttpAction::AddHeader { name, value } => return done(headers::add(scope, name, value)),
        HttpAction::SetHeader { name, value } => return done(headers::set(scope, name, value)),
        HttpAction::DeleteHeaders(which) => headers::delete(headers::message(scope), which),
        HttpAction::ReplaceHeader { name, replacement } => {
            return done(headers::replace(scope, name, replacement, headers::Unit::Line));
        }
        HttpAction::ReplaceValue { name, replacement } => {
            return done(headers::replace(scope, name, replacement, headers::Unit::ListItem));
        }
        HttpAction::SetMethod(method) => {
            let method = text::render(method, scope);
            return done(scope.exchange.request.set_method(&method));
        }
        HttpAction::SetPath(path) => return done(target::set(scope, path, uri::with_path)),
        HttpAction::SetPathAndQuery(path) => return done(target::set(scope, path, uri::with_path_and_query)),
        HttpAction::SetQuery(query) => return done(target::set(scope, query, uri::with_query)),
        HttpAction::SetUri(uri) => return done(target::set(scope, uri, uri::whole)),
        HttpAction::ReplacePath(replacement) => return done(target::replace(scope, replacement, target::Part::Path)),
        HttpAction::ReplacePathAndQuery(replacement) => {
            return done(target::replace(scope, replacement, target::Part::PathAndQuery));
        }
        HttpAction::ReplaceUri(replacement) => return done(target::replace(scope, replacement, target::Part::Whole)),
        HttpAction::NormalizeUri(normalizer) => return target::normalize(scope, *normalizer),
        HttpAction::SetStatus { status, reason } => {
            let own = response::reason(*status).as_bytes();
            scope.exchange.response.set_status(*status);
            scope.exchange.response.set_reason(reason.as_deref().unwrap_or(own));
        }
        HttpAction::SetLogLevel(level) => scope.exchange.log_level = Some(*level),
        HttpAction::SetSource(expression) => addresses::set_source(scope, expression),
        HttpAction::SetSourcePort(expression) => addresses::set_source_port(scope, expression),
        HttpAction::SetDestination(expression) => addresses::set_destination(scope, expression),
        HttpAction::SetDestinationPort(expression) => addresses::set_destination_port(scope, expression),
        HttpAction::DisableL7Retry => scope.exchange.is_l7_retry_disabled = true,
        HttpAction::SetTimeout { which, value } => set_timeout(scope, *which, value),
        HttpAction::SetVariable { name, value, conditions } => set_variable(scope, name, value, *conditions),
        HttpAction::UnsetVariable(name) => variables::unset(name, scope),
        HttpAction::Capture { sample, slot } => capture(scope, sample, *slot),
        HttpAction::ChangePatterns(change) => change_patterns(scope, change),
        HttpAction::Table(action) => {
            stick_tables::act(action, false, scope);
        }
        HttpAction::SetMark(mark) => scope.exchange.socket_marks.mark = Some(*mark),
        HttpAction::SetTos(tos) => scope.exchange.socket_marks.tos = Some(*tos),
        HttpAction::SetPriorityClass(value) => queue_priority::set_class(scope, value),
        HttpAction::SetPriorityOffset(value) => queue_priority::set_offset(scope, value),
        HttpAction::CacheUse(reference) => cache::look_up(scope, reference.id),
        HttpAction::CacheStore(reference) => cache::store(scope, reference.id),
        HttpAction::StrictMode(_) => {}
    }
    Ok(Step::Next)
}

/// Without a sample nothing changes.
fn set_variable(scope: &Scope, name: &VariableName, value: &VariableValue, conditions: SetConditions) {
    let keep = |sample: Sample| {
        if sample::may_set(name, &sample, conditions, scope) {
            variables::set(name, &sample, scope);
        }
    };
    match value {
        VariableValue::Sample(expression) => {
            if let Some(sample) = sample::fetch(expression, scope).found() {
                keep(sample);
            }
        }
        VariableValue::Text(text) => keep(Sample::Text(Cow::Borrowed(&text::render(text, scope)))),
    }
}

/// Keeps a sample's text in a slot of the frontend's, which may have fewer than a backend's rule asks for.
fn capture(scope: &mut Scope, sample: &Expression, slot: usize) {
    let config = &scope.shared.config;
    let frontend = scope.client.frontend.and_then(|id| config.proxies.get(id.index())?.frontend.as_ref());
    let Some(frontend) = frontend else { return };
    let is_request = scope.stage == Stage::Request;
    let slots = if is_request { &frontend.captures.request } else { &frontend.captures.response };
    let Some(length_max) = slots.get(slot).map(|slot| slot.length_max as usize) else { return };
    let Some(text) = sample::fetch_text(sample, scope) else { return };
    let text = text.get(..length_max).unwrap_or(&text).to_vec();
    let kept = if is_request { &mut scope.exchange.request_captures } else { &mut scope.exchange.response_captures };
    if kept.len() < slots.len() {
        kept.resize(slots.len(), None);
    }
    if let Some(kept) = kept.get_mut(slot) {
        *kept = Some(text);
    }
}

/// A key that is no pattern of the file's kind changes nothing, as in HAProxy.
fn change_patterns(scope: &Scope, change: &PatternChange) {
    let Some(file) = scope.shared.pattern_files.get(change.file.0 as usize) else { return };
    let key = text::render(&change.key, scope);
    match &change.kind {
        PatternChangeKind::AddAcl => {
            let _ = file.add_new(&key);
        }
        PatternChangeKind::SetMap(value) => {
            let _ = file.set(&key, &text::render(value, scope));
        }
        PatternChangeKind::DeleteAcl | PatternChangeKind::DeleteMap => {
            file.remove(EntrySelection::Pattern(&key));
        }
    }
}

/// `auth`: 401, or 407 from who was asked as a proxy (`option http-use-proxy-header`).
fn ask_for_password(challenge: &Arc<[u8]>, scope: &Scope) -> Reply {
    let target = scope.exchange.request.target();
    let frontend = scope.client.frontend.and_then(|id| scope.shared.config.proxies.get(id.index()));
    let as_proxy = frontend.is_some_and(|frontend| frontend.http.use_proxy_header)
        && !matches!(target.first(), None | Some(b'/' | b'*'));
    let (status, header): (u16, &'static [u8]) =
        if as_proxy { (407, b"proxy-authenticate") } else { (401, b"www-authenticate") };
    let mut reply = reply::error_page(scope, status).with_termination(*b"LR");
    reply.headers.push((Cow::Borrowed(header), challenge.clone()));
    reply
}

/// Whether there is nothing to wait for.
fn is_enough_body(scope: &Scope, at_least_bytes: u64) -> bool {
    let exchange = &scope.exchange;
    let (length, is_complete) = match scope.stage {
        Stage::Request => (exchange.request_body.len(), exchange.is_request_body_complete),
        Stage::Response | Stage::Log => (exchange.response_body.len(), exchange.is_response_body_complete),
    };
    is_complete || (at_least_bytes > 0 && length as u64 >= at_least_bytes)
}

fn set_timeout(scope: &mut Scope, which: TimeoutKind, value: &TimeoutValue) {
    let time = match value {
        TimeoutValue::Constant(time) => Some(*time),
        TimeoutValue::Expression(expression) => {
            let milliseconds = sample::fetch_integer(expression, scope).and_then(|number| u64::try_from(number).ok());
            // 0 would mean that nothing ever times out; HAProxy leaves the old time there, too.
            milliseconds.filter(|number| *number > 0).map(Duration::from_millis)
        }
    };
    let timeouts = &mut scope.exchange.timeouts;
    let slot = match which {
        TimeoutKind::Client => &mut timeouts.client,
        TimeoutKind::Server => &mut timeouts.server,
        TimeoutKind::Tunnel => &mut timeouts.tunnel,
    };
    *slot = time.or(*slot);
}

#[cfg(test)]
mod tests;
