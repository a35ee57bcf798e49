//! `reqadd`, `reqallow`, `reqdel`, `reqdeny`, `reqpass`, `reqrep`, `reqsetbe`, `reqtarpit`, `rspadd`, `rspdel`,
//! `rspdeny`, `rsprep` and their forms with an `i`, which ignore case (HAProxy 1.8's manual, section 4.2; dropped by
//! 2.1).

use super::acl::parse_condition;
use super::diagnostics::{Diagnostics, Severity};
use super::model::*;
use super::section_http::note_http;
use super::statement::{LineParser, Statement};
use super::written::{SectionKind, Written, WrittenProxy};
use crate::proto::http1::split_field_line;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("reqadd", |s, p| addition(s, p, request_place, |rules| &mut rules.compiled.request_additions)),
    ("reqallow", |s, p| request(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Allow)))),
    ("reqiallow", |s, p| request(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Allow)))),
    ("reqdel", |s, p| request(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Delete)))),
    ("reqidel", |s, p| request(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Delete)))),
    ("reqdeny", |s, p| request(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Deny)))),
    ("reqideny", |s, p| request(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Deny)))),
    ("reqpass", |s, p| request(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Pass)))),
    ("reqipass", |s, p| request(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Pass)))),
    ("reqrep", |s, p| request(s, p, false, replacement)),
    ("reqirep", |s, p| request(s, p, true, replacement)),
    ("reqsetbe", |s, p| request(s, p, false, backend)),
    ("reqisetbe", |s, p| request(s, p, true, backend)),
    ("reqtarpit", |s, p| request(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Tarpit)))),
    ("reqitarpit", |s, p| request(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Tarpit)))),
    ("rspadd", |s, p| addition(s, p, response_place, |rules| &mut rules.compiled.response_additions)),
    ("rspdel", |s, p| response(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Delete)))),
    ("rspidel", |s, p| response(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Delete)))),
    ("rspdeny", |s, p| response(s, p, false, |_| Some(WrittenAction::Compiled(OldAction::Deny)))),
    ("rspideny", |s, p| response(s, p, true, |_| Some(WrittenAction::Compiled(OldAction::Deny)))),
    ("rsprep", |s, p| response(s, p, false, replacement)),
    ("rspirep", |s, p| response(s, p, true, replacement)),
];

/// The rules of a section; those that name a backend wait for its number.
#[derive(Clone, Debug, Default)]
pub struct WrittenOldRules {
    request: Vec<WrittenOldRule>,
    /// All but the request's, which are in `request`.
    compiled: OldRules,
}

#[derive(Clone, Debug)]
struct WrittenOldRule {
    rule: OldRule,
    /// Replaces the rule's action.
    backend: Option<String>,
}

/// What a rule does, and how many arguments that took is known by its keyword.
enum WrittenAction {
    Compiled(OldAction),
    Replace(LineTemplate),
    Backend(String),
}

impl WrittenAction {
    /// Arguments from the search on.
    fn arguments(&self) -> usize {
        match self {
            WrittenAction::Compiled(_) => 1,
            WrittenAction::Replace(_) | WrittenAction::Backend(_) => 2,
        }
    }
}

type ActionParser = fn(&mut Statement) -> Option<WrittenAction>;

fn request(statement: &mut Statement, proxy: &mut WrittenProxy, ignore_case: bool, action: ActionParser) {
    if let Some(rule) = rule(statement, proxy, request_place(proxy), ignore_case, action) {
        proxy.old_rules.request.push(rule);
    }
}

fn response(statement: &mut Statement, proxy: &mut WrittenProxy, ignore_case: bool, action: ActionParser) {
    if let Some(written) = rule(statement, proxy, response_place(proxy), ignore_case, action) {
        proxy.old_rules.compiled.response.push(written.rule);
    }
}

fn request_place(proxy: &WrittenProxy) -> Place {
    Place::http_request(proxy.kind.accepts_connections(), proxy.kind.has_servers())
}

fn response_place(proxy: &WrittenProxy) -> Place {
    Place::http_response(proxy.kind.accepts_connections(), proxy.kind.has_servers())
}

/// `<search> [<text>] [if|unless <condition>]`
fn rule(
    statement: &mut Statement,
    proxy: &mut WrittenProxy,
    place: Place,
    ignore_case: bool,
    action: ActionParser,
) -> Option<WrittenOldRule> {
    note_http(statement, proxy);
    let search = statement.required(0, "a regular expression that is searched in the lines of the head")?;
    let pattern = statement.accept(0, compile_regex(search.as_bytes(), ignore_case))?;
    let action = action(statement)?;
    let condition = parse_condition(statement, action.arguments(), &proxy.acls, place)?;
    let location = statement.location();
    let (action, backend) = match action {
        WrittenAction::Compiled(action) => (action, None),
        WrittenAction::Replace(template) => (OldAction::Replace(template), None),
        WrittenAction::Backend(name) => (OldAction::Pass, Some(name)),
    };
    Some(WrittenOldRule { rule: OldRule { pattern, action, condition, location }, backend })
}

fn replacement(statement: &mut Statement) -> Option<WrittenAction> {
    let text = statement.required(1, "the line that replaces one in which the expression is found")?;
    let template = LineTemplate::parse(text.as_bytes());
    let template = template.map_err(|wrong| format!("invalid replacement '{text}': {wrong}."));
    statement.accept(1, template).map(WrittenAction::Replace)
}

fn backend(statement: &mut Statement) -> Option<WrittenAction> {
    statement.required(1, "the name of a backend").map(|name| WrittenAction::Backend(name.to_owned()))
}

/// `<text> [if|unless <condition>]`; the text is one header, or several with line ends (`\n`) between them.
fn addition(
    statement: &mut Statement,
    proxy: &mut WrittenProxy,
    place: fn(&WrittenProxy) -> Place,
    list: fn(&mut WrittenOldRules) -> &mut Vec<OldAddition>,
) {
    note_http(statement, proxy);
    let Some(text) = statement.required(0, "the header that is added, like 'X-Proto:\\ https'") else { return };
    let mut headers = Vec::new();
    for line in text.as_bytes().split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match split_field_line(line).and_then(|(bytes, value)| Some((line.get(..bytes)?, value))) {
            Some((name, value)) => headers.push((name.into(), value.into())),
            None => {
                let line = String::from_utf8_lossy(line);
                let text =
                    format!("'{line}' is no header; write a name, a colon and a value, like 'X-Proto:\\ https'.");
                return statement.error(0, text);
            }
        }
    }
    let Some(condition) = parse_condition(statement, 1, &proxy.acls, place(proxy)) else { return };
    list(&mut proxy.old_rules).push(OldAddition { headers, condition, location: statement.location() });
}

/// The rules with their backends found.
pub fn resolve(proxy: &WrittenProxy, written: &Written, diagnostics: &mut Diagnostics) -> OldRules {
    let mut rules = proxy.old_rules.compiled.clone();
    for WrittenOldRule { rule, backend } in &proxy.old_rules.request {
        let mut rule = rule.clone();
        if let Some(name) = backend {
            let is_it = |other: &WrittenProxy| {
                other.kind != SectionKind::Defaults && other.kind.has_servers() && other.name == *name
            };
            let Some(index) = written.proxies.iter().position(is_it) else {
                let text = format!("Proxy '{}': unable to find the backend '{name}' of a 'reqsetbe' rule.", proxy.name);
                diagnostics.about(Severity::Alert, &rule.location, text);
                continue;
            };
            let other = written.proxies.get(index).map(|other| other.settings.mode);
            if other != Some(ProxyMode::Http) {
                let text =
                    format!("Proxy '{}': the backend '{name}' of a 'reqsetbe' rule is not in HTTP mode.", proxy.name);
                diagnostics.about(Severity::Alert, &rule.location, text);
                continue;
            }
            rule.action = OldAction::SetBackend(ProxyId(index as u32));
        }
        rules.request.push(rule);
    }
    rules
}
