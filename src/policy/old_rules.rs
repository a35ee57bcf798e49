//! Runs the `req*` and `rsp*` rules of HAProxy 1.8 on a head.
//!
//! A rule's expression is searched in the first line and, unless it was found there, in each header line. What a rule
//! replaces is read again as strictly as what a client sends: no rule can make two messages out of one, or a message
//! that is none.

use super::condition::applies;
use super::exchange::{Exchange, Scope};
use crate::config::model::{OldAction, OldAddition, OldRule};
use crate::proto::http1::message::Message;
use crate::proto::http1::split_field_line;

/// What the rules say about a request or a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldVerdict {
    Continue,
    /// A request is answered with 403, a response becomes a 502.
    Deny,
    /// A replaced line is none that HTTP knows: 400 for a request, 502 for a response.
    BadRequest,
    /// `reqtarpit`: 500 after `timeout tarpit`.
    Tarpit,
}

/// The request rules of the scope's proxy, then its `reqadd`. A `reqsetbe` that is found sets the exchange's backend,
/// unless it has one.
pub fn request(scope: &mut Scope) -> OldVerdict {
    let shared = scope.shared;
    let rules = &shared.config.proxy(scope.proxy).old_rules;
    if rules.request.is_empty() && rules.request_additions.is_empty() {
        return OldVerdict::Continue;
    }
    let verdict = run(scope, &rules.request, |exchange| &mut exchange.request);
    if verdict == OldVerdict::Continue {
        add(scope, &rules.request_additions, |exchange| &mut exchange.request);
    }
    verdict
}

/// The response rules of the scope's proxy, then its `rspadd`, which leaves interim responses alone.
pub fn response(scope: &mut Scope) -> OldVerdict {
    let shared = scope.shared;
    let rules = &shared.config.proxy(scope.proxy).old_rules;
    if rules.response.is_empty() && rules.response_additions.is_empty() {
        return OldVerdict::Continue;
    }
    let verdict = run(scope, &rules.response, |exchange| &mut exchange.response);
    let status = scope.exchange.response.status();
    if verdict == OldVerdict::Continue && (status >= 200 || status == 101) {
        add(scope, &rules.response_additions, |exchange| &mut exchange.response);
    }
    verdict
}

fn add(scope: &mut Scope, additions: &[OldAddition], message: fn(&mut Exchange) -> &mut Message) {
    for addition in additions {
        if applies(addition.condition.as_ref(), scope) {
            for (name, value) in &addition.headers {
                message(scope.exchange).add_header(name, value);
            }
        }
    }
}

fn run(scope: &mut Scope, rules: &[OldRule], message: fn(&mut Exchange) -> &mut Message) -> OldVerdict {
    let mut lines = Lines::default();
    for rule in rules {
        let is_verdict =
            matches!(rule.action, OldAction::Allow | OldAction::Deny | OldAction::Tarpit | OldAction::Pass);
        if (is_verdict && scope.exchange.is_allowed_by_old_rules) || !applies(rule.condition.as_ref(), scope) {
            continue;
        }
        let found = match &rule.action {
            OldAction::Delete => {
                lines.delete(rule, message(scope.exchange));
                continue;
            }
            OldAction::Replace(_) => match lines.replace(rule, message(scope.exchange)) {
                Ok(()) => continue,
                Err(NoLine) => return OldVerdict::BadRequest,
            },
            _ => lines.contain(rule, message(scope.exchange)),
        };
        match &rule.action {
            _ if !found => {}
            OldAction::Allow => scope.exchange.is_allowed_by_old_rules = true,
            OldAction::Deny => return OldVerdict::Deny,
            OldAction::Tarpit => return OldVerdict::Tarpit,
            OldAction::Pass => break,
            // No second jump.
            OldAction::SetBackend(backend) => {
                scope.exchange.backend.get_or_insert(*backend);
            }
            OldAction::Delete | OldAction::Replace(_) => {}
        }
    }
    OldVerdict::Continue
}

/// A replacement is not what its place asks for.
struct NoLine;

/// One line of a message after the other, as the expressions see them.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    replaced: Vec<u8>,
}

impl Lines {
    fn first(&mut self, message: &Message) -> &[u8] {
        self.line.clear();
        message.write_first_line_to(&mut self.line);
        &self.line
    }

    fn header(&mut self, message: &Message, index: usize) -> &[u8] {
        self.line.clear();
        let (name, value) = message.header(index);
        for part in [name, b": ", value] {
            self.line.extend_from_slice(part);
        }
        &self.line
    }

    fn contain(&mut self, rule: &OldRule, message: &Message) -> bool {
        rule.pattern.is_match(self.first(message))
            || (0..message.header_count()).any(|index| rule.pattern.is_match(self.header(message, index)))
    }

    fn delete(&mut self, rule: &OldRule, message: &mut Message) {
        let mut index = 0;
        while index < message.header_count() {
            if rule.pattern.is_match(self.header(message, index)) {
                message.remove_header_at(index);
            } else {
                index += 1;
            }
        }
    }

    /// A first line that was replaced ends the rule: its expression is not searched in the headers.
    fn replace(&mut self, rule: &OldRule, message: &mut Message) -> Result<(), NoLine> {
        self.first(message);
        if self.make(rule) {
            let first = self.take_replaced_line();
            if !message.set_first_line(&first) {
                return Err(NoLine);
            }
            return self.add_rest(message);
        }
        for index in 0..message.header_count() {
            self.header(message, index);
            if self.make(rule) {
                let line = self.take_replaced_line();
                let (name_bytes, value) = split_field_line(&line).ok_or(NoLine)?;
                let name = line.get(..name_bytes).unwrap_or_default();
                if !message.replace_header(index, name, value) {
                    return Err(NoLine);
                }
                self.add_rest(message)?;
            }
        }
        Ok(())
    }

    /// Whether the rule's expression is in the line, and what replaces that then.
    fn make(&mut self, rule: &OldRule) -> bool {
        let OldAction::Replace(template) = &rule.action else { return false };
        let Some(captures) = rule.pattern.captures(&self.line) else { return false };
        self.replaced.clear();
        template.expand(&captures, &mut self.replaced);
        true
    }

    /// The first of the lines that replace one; the others stay.
    fn take_replaced_line(&mut self) -> Vec<u8> {
        let end = memchr::memchr(b'\n', &self.replaced).map_or(self.replaced.len(), |end| end + 1);
        let mut line: Vec<u8> = self.replaced.drain(..end).collect();
        for ending in [b'\n', b'\r'] {
            line.pop_if(|last| *last == ending);
        }
        line
    }

    /// A replacement with line ends in it adds headers.
    fn add_rest(&mut self, message: &mut Message) -> Result<(), NoLine> {
        while !self.replaced.is_empty() {
            let line = self.take_replaced_line();
            let (name_bytes, value) = split_field_line(&line).ok_or(NoLine)?;
            message.add_header(line.get(..name_bytes).unwrap_or_default(), value);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "old_rules_tests.rs"]
mod tests;
