//! `tcp-request` and `tcp-response` (configuration.txt section 4.2).

use super::acl::parse_condition;
use super::expression;
use super::keywords::Modifier;
use super::log_format::{self, FormatPlace};
use super::model::*;
use super::rules::{settings, table_actions};
use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_time, parse_u32};
use super::written::{SectionKind, WrittenProxy};

macro_rules! rules {
    ($($set:literal $which:ident: $($action:literal)*;)*) => {
        &[
            ("tcp-request inspect-delay", |s, p| inspect_delay(s, |p| &mut p.settings.tcp_rules.request_inspect_delay, p)),
            ("tcp-response inspect-delay", |s, p| inspect_delay(s, |p| &mut p.settings.tcp_rules.response_inspect_delay, p)),
            $($((concat!($set, " ", $action), |s, p| rule(s, p, Set::$which)),)*)*
        ]
    };
}

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = rules! {
    "tcp-request connection" Connection: "accept" "reject" "silent-drop" "set-var" "set-var-fmt" "unset-var" "set-src"
        "set-src-port" "set-dst" "set-dst-port" "set-mark" "set-tos" "track-sc0" "track-sc1" "track-sc2"
        "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0"
        "expect-proxy layer4";
    "tcp-request session" Session: "accept" "reject" "silent-drop" "set-var" "set-var-fmt" "unset-var" "set-src"
        "set-src-port" "set-dst" "set-dst-port" "set-mark" "set-tos" "track-sc0" "track-sc1" "track-sc2"
        "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0";
    "tcp-request content" Request: "accept" "reject" "silent-drop" "capture" "set-var" "set-var-fmt" "unset-var"
        "set-src" "set-src-port" "set-dst" "set-dst-port" "set-log-level" "set-mark" "set-tos" "set-priority-class"
        "set-priority-offset" "track-sc0" "track-sc1" "track-sc2"
        "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0";
    "tcp-response content" Response: "accept" "reject" "close" "silent-drop" "set-var" "set-var-fmt" "unset-var"
        "set-log-level" "set-mark" "set-tos" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0";
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Connection,
    Session,
    Request,
    Response,
}

impl Set {
    fn place(self, kind: SectionKind) -> Place {
        // Rules of `defaults` may go to either half.
        let (frontend, backend) = (kind != SectionKind::Backend, kind != SectionKind::Frontend);
        match self {
            Set::Connection => Place::TCP_REQUEST_CONNECTION,
            Set::Session => Place::TCP_REQUEST_SESSION,
            Set::Request => Place::tcp_request_content(frontend, backend),
            Set::Response => Place::tcp_response_content(frontend, backend),
        }
    }
}

/// The word after the delay is dropped, as HAProxy does, but not in silence.
fn inspect_delay(
    statement: &mut Statement,
    delay: fn(&mut WrittenProxy) -> &mut Option<std::time::Duration>,
    proxy: &mut WrittenProxy,
) {
    if is_anonymous_defaults(statement, proxy) {
        return;
    }
    let Some(text) = statement.required(0, "a positive delay in milliseconds") else { return };
    let time = parse_time(text, DefaultUnit::Milliseconds, statement.keyword);
    if let Some(time) = statement.accept(0, time) {
        *delay(proxy) = Some(time);
        statement.ignores_after(1);
    }
}

/// Rules in `defaults` without a name would reach proxies that do not expect them.
fn is_anonymous_defaults(statement: &mut Statement, proxy: &WrittenProxy) -> bool {
    let anonymous = proxy.kind == SectionKind::Defaults && proxy.name.is_empty();
    if anonymous {
        let keyword = statement.keyword;
        statement.error(
            usize::MAX,
            format!("'{keyword}' is not allowed in an anonymous 'defaults' section; give it a name: defaults tcp."),
        );
    }
    anonymous
}

fn rule(statement: &mut Statement, proxy: &mut WrittenProxy, set: Set) {
    if is_anonymous_defaults(statement, proxy) || statement.modifier != Modifier::None {
        return;
    }
    let place = set.place(proxy.kind);
    let Some((action, used)) = action(statement, proxy, place) else { return };
    let Some(condition) = parse_condition(statement, used, &proxy.acls, place) else { return };
    let rule = TcpRule { action, condition, location: statement.location() };
    let rules = &mut proxy.settings.tcp_rules;
    match set {
        Set::Connection => rules.connection.push(rule),
        Set::Session => rules.session.push(rule),
        Set::Request => rules.request.push(rule),
        Set::Response => rules.response.push(rule),
    }
}

/// The action, and how many arguments it took. `None` if an error was reported.
fn action(statement: &mut Statement, proxy: &mut WrittenProxy, place: Place) -> Option<(TcpAction, usize)> {
    let name = statement.keyword.rsplit(' ').next().unwrap_or_default();
    Some(match name {
        "accept" => (TcpAction::Accept, 0),
        "reject" => (TcpAction::Reject, 0),
        "close" => (TcpAction::Close, 0),
        "silent-drop" => (TcpAction::SilentDrop, 0),
        // The last word of 'expect-proxy layer4'.
        "layer4" => (TcpAction::ExpectProxy, 0),
        "set-var" => {
            let name = variable(statement)?;
            let (value, next) = expression::parse_words(statement, 0, place)?;
            (TcpAction::SetVariable { name, value }, next)
        }
        "set-var-fmt" => {
            let name = variable(statement)?;
            let text =
                statement.required(0, "a format, such as: tcp-request content set-var-fmt(txn.client) %[src]")?;
            match log_format::compile(text, FormatPlace::Plain(place)) {
                Ok(value) => (TcpAction::SetVariableFormat { name, value }, 1),
                Err(error) => {
                    statement.error(0, format!("failed to parse the format '{text}' : {}.", error.message));
                    return None;
                }
            }
        }
        "unset-var" => (TcpAction::UnsetVariable(variable(statement)?), 0),
        "set-src" => (TcpAction::SetSource(expression::parse_at(statement, 0, Place::ANY)?), 1),
        "set-src-port" => (TcpAction::SetSourcePort(expression::parse_at(statement, 0, Place::ANY)?), 1),
        "set-dst" => (TcpAction::SetDestination(expression::parse_at(statement, 0, Place::ANY)?), 1),
        "set-dst-port" => (TcpAction::SetDestinationPort(expression::parse_at(statement, 0, Place::ANY)?), 1),
        "set-log-level" => (TcpAction::SetLogLevel(log_level(statement)?), 1),
        "set-mark" => (TcpAction::SetMark(settings::mark(statement)?), 1),
        "set-tos" => (TcpAction::SetTos(settings::tos(statement)?), 1),
        "set-priority-class" => {
            let (value, next) = expression::parse_words(statement, 0, place)?;
            (TcpAction::SetPriorityClass(value), next)
        }
        "set-priority-offset" => {
            let (value, next) = expression::parse_words(statement, 0, place)?;
            (TcpAction::SetPriorityOffset(value), next)
        }
        "capture" => {
            let (value, next) = expression::parse_words(statement, 0, place)?;
            if statement.text(next) != "len" {
                statement.error(next, "'tcp-request content capture' : a positive 'len' argument is mandatory.");
                return None;
            }
            let length = parse_u32(statement.text(next + 1), 1, i32::MAX as u32, "len");
            let length_bytes = statement.accept(next + 1, length)?;
            let slot = proxy.settings.captures.request.len();
            proxy.settings.captures.request.push(HeaderCapture { name: None, length_max: length_bytes });
            (TcpAction::Capture { value, slot, length_bytes }, next + 2)
        }
        name if table_actions::is_one(name) => {
            let (action, next) = table_actions::action(statement, place)?;
            (TcpAction::Table(Box::new(action)), next)
        }
        other => {
            statement.error(usize::MAX, format!("'{other}' is no action here."));
            return None;
        }
    })
}

/// The name in the parentheses of the keyword's last word.
fn variable(statement: &mut Statement) -> Option<VariableName> {
    let words = &statement.line.words;
    let word = words.len().checked_sub(statement.arguments.len() + 1).and_then(|index| words.get(index));
    let written = word.map_or("", |word| word.as_str());
    let name = written.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let Some(name) = name else {
        let text = format!(
            "invalid or incomplete action '{written}'. Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or \
             'unset-var(<var-name>)'."
        );
        statement.error(usize::MAX, text);
        return None;
    };
    statement.accept(usize::MAX, expression::variable_name(name))
}

fn log_level(statement: &mut Statement) -> Option<u8> {
    const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "silent"];
    let level = LEVELS.iter().position(|level| *level == statement.text(0));
    if level.is_none() {
        let keyword = statement.keyword;
        statement.error(0, format!("'{keyword}' expects a log level ({}).", LEVELS.join(", ")));
    }
    level.and_then(|level| u8::try_from(level).ok())
}
