//! Runs `tcp-request` and `tcp-response` rules (configuration.txt section 4.2). No I/O: the caller holds the bytes,
//! watches the time, and does what the verdict says.

use super::condition::{self, Verdict};
use super::exchange::{RuleReference, RuleSet, Scope};
use super::http_rules::addresses;
use super::log_facts;
use super::queue_priority;
use super::sample::{self, Outcome};
use super::stick_tables;
use super::variables;
use crate::config::model::{Proxy, TcpAction, TcpRule};
use crate::shared::ThreadShared;
use std::time::Duration;

/// What becomes of a connection after its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpVerdict {
    Accept,
    /// Close it; counted as denied.
    Reject,
    /// Forget it so that the client is not told.
    SilentDrop,
    /// `tcp-response content close`: end the server's side.
    Close,
    /// Bytes are missing. Call again from rule `resume` when more have come, when no more will, or when the inspect
    /// delay `at_most` (counted from the first call; `None`: there is none) is over; with `is_payload_complete` in the
    /// last two cases.
    Wait {
        at_most: Option<Duration>,
        resume: usize,
    },
}

/// `tcp-request connection` of `scope.proxy`, at the accept.
pub fn connection(scope: &mut Scope) -> TcpVerdict {
    let shared = scope.shared;
    of_proxy(shared, scope)
        .map_or(TcpVerdict::Accept, |proxy| run(RuleSet::TcpConnection, &proxy.tcp_rules.connection, scope, 0, None))
}

/// `tcp-request session`, after the connection's handshakes.
pub fn session(scope: &mut Scope) -> TcpVerdict {
    let shared = scope.shared;
    of_proxy(shared, scope)
        .map_or(TcpVerdict::Accept, |proxy| run(RuleSet::TcpSession, &proxy.tcp_rules.session, scope, 0, None))
}

/// `tcp-request content` from rule `from` on, on `scope.payload`.
pub fn content(scope: &mut Scope, from: usize) -> TcpVerdict {
    let shared = scope.shared;
    of_proxy(shared, scope).map_or(TcpVerdict::Accept, |proxy| {
        run(RuleSet::TcpRequest, &proxy.tcp_rules.request, scope, from, proxy.tcp_rules.request_inspect_delay)
    })
}

/// `tcp-response content` from rule `from` on, on `scope.payload`.
pub fn response_content(scope: &mut Scope, from: usize) -> TcpVerdict {
    let shared = scope.shared;
    of_proxy(shared, scope).map_or(TcpVerdict::Accept, |proxy| {
        run(RuleSet::TcpResponse, &proxy.tcp_rules.response, scope, from, proxy.tcp_rules.response_inspect_delay)
    })
}

fn of_proxy<'a>(shared: &'a ThreadShared, scope: &Scope) -> Option<&'a Proxy> {
    shared.config.proxies.get(scope.proxy.index())
}

/// The first final rule decides; without one the connection is accepted.
fn run(set: RuleSet, rules: &[TcpRule], scope: &mut Scope, from: usize, at_most: Option<Duration>) -> TcpVerdict {
    for (index, rule) in rules.iter().enumerate().skip(from) {
        let wait = TcpVerdict::Wait { at_most, resume: index };
        match rule.condition.as_ref().map_or(Verdict::Yes, |condition| condition::holds(condition, scope)) {
            Verdict::Yes => {}
            Verdict::No => continue,
            Verdict::NotYet => return wait,
        }
        match act(&rule.action, set, scope) {
            Acted::Next => {}
            Acted::NotYet => return wait,
            Acted::Final(verdict) => {
                scope.exchange.last_rule = Some(RuleReference { proxy: scope.proxy, set, index });
                return verdict;
            }
        }
    }
    TcpVerdict::Accept
}

enum Acted {
    Next,
    /// What the action needs may still come.
    NotYet,
    Final(TcpVerdict),
}

fn act(action: &TcpAction, set: RuleSet, scope: &mut Scope) -> Acted {
    match action {
        TcpAction::Table(action) => {
            let is_of_connection = matches!(set, RuleSet::TcpConnection | RuleSet::TcpSession);
            if !stick_tables::act(action, is_of_connection, scope) {
                return Acted::NotYet;
            }
        }
        TcpAction::Accept => return Acted::Final(TcpVerdict::Accept),
        TcpAction::Reject => return Acted::Final(TcpVerdict::Reject),
        TcpAction::SilentDrop => return Acted::Final(TcpVerdict::SilentDrop),
        TcpAction::Close => return Acted::Final(TcpVerdict::Close),
        TcpAction::ExpectProxy => scope.client.expects_proxy_header = true,
        TcpAction::SetVariable { name, value } => match sample::fetch(value, scope) {
            Outcome::Found(sample) => variables::set(name, &sample, scope),
            Outcome::NotYet if !scope.is_payload_complete => return Acted::NotYet,
            Outcome::NotYet | Outcome::Missing => {}
        },
        TcpAction::SetVariableFormat { name, value } => {
            let mut text = Vec::new();
            log_facts::render(value, scope, &mut text);
            variables::set_text(name, &text, scope);
        }
        TcpAction::UnsetVariable(name) => variables::unset(name, scope),
        TcpAction::Capture { value, slot, length_bytes } => {
            let captured = match sample::fetch(value, scope) {
                Outcome::Found(sample) => sample.into_text().map(|text| text.into_owned()),
                Outcome::NotYet if !scope.is_payload_complete => return Acted::NotYet,
                Outcome::NotYet | Outcome::Missing => None,
            };
            if let Some(mut text) = captured {
                text.truncate(*length_bytes as usize);
                let captures = &mut scope.exchange.request_captures;
                if captures.len() <= *slot {
                    captures.resize(*slot + 1, None);
                }
                if let Some(place) = captures.get_mut(*slot) {
                    *place = Some(text);
                }
            }
        }
        TcpAction::SetSource(value) => addresses::set_source(scope, value),
        TcpAction::SetSourcePort(value) => addresses::set_source_port(scope, value),
        TcpAction::SetDestination(value) => addresses::set_destination(scope, value),
        TcpAction::SetDestinationPort(value) => addresses::set_destination_port(scope, value),
        TcpAction::SetLogLevel(level) => scope.exchange.log_level = Some(*level),
        TcpAction::SetMark(mark) => scope.exchange.socket_marks.mark = Some(*mark),
        TcpAction::SetTos(tos) => scope.exchange.socket_marks.tos = Some(*tos),
        TcpAction::SetPriorityClass(value) => queue_priority::set_class(scope, value),
        TcpAction::SetPriorityOffset(value) => queue_priority::set_offset(scope, value),
    }
    Acted::Next
}
