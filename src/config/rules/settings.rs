//! Actions that change how an exchange is treated: addresses, marks, priority, time-outs, log level, waiting for a body.

use super::format;
use crate::config::expression;
use crate::config::model::{Expression, HttpAction, TimeoutKind, TimeoutValue};
use crate::config::section_http_rules::Context;
use crate::config::statement::Statement;
use crate::config::values::{DefaultUnit, parse_size, parse_time};
use crate::config::written::SectionKind;

type Parsed = Option<(HttpAction, usize)>;

pub fn disable_l7_retry(_: &mut Statement, _: &mut Context) -> Parsed {
    Some((HttpAction::DisableL7Retry, 0))
}

pub fn strict_mode(statement: &mut Statement, _: &mut Context) -> Parsed {
    match statement.text(0) {
        "on" => Some((HttpAction::StrictMode(true), 1)),
        "off" => Some((HttpAction::StrictMode(false), 1)),
        other => {
            statement.error(0, format!("Unexpected value '{other}': 'strict-mode' expects 'on' or 'off'."));
            None
        }
    }
}

pub fn set_log_level(statement: &mut Statement, _: &mut Context) -> Parsed {
    const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "silent"];
    let text = statement.text(0);
    match LEVELS.iter().position(|level| *level == text) {
        Some(level) => Some((HttpAction::SetLogLevel(level as u8), 1)),
        None => {
            let levels = LEVELS.join(", ");
            statement.error(0, format!("expects exactly 1 argument (log level name or 'silent'): one of {levels}."));
            None
        }
    }
}

/// An action that takes one expression.
fn expression(statement: &mut Statement, context: &Context, action: fn(Expression) -> HttpAction) -> Parsed {
    let (expression, end) = expression::parse_words(statement, 0, format::place_of(context))?;
    Some((action(expression), end))
}

pub fn set_source(statement: &mut Statement, context: &mut Context) -> Parsed {
    expression(statement, context, HttpAction::SetSource)
}

pub fn set_source_port(statement: &mut Statement, context: &mut Context) -> Parsed {
    expression(statement, context, HttpAction::SetSourcePort)
}

pub fn set_destination(statement: &mut Statement, context: &mut Context) -> Parsed {
    expression(statement, context, HttpAction::SetDestination)
}

pub fn set_destination_port(statement: &mut Statement, context: &mut Context) -> Parsed {
    expression(statement, context, HttpAction::SetDestinationPort)
}

pub fn set_priority_class(statement: &mut Statement, context: &mut Context) -> Parsed {
    expression(statement, context, HttpAction::SetPriorityClass)
}

pub fn set_priority_offset(statement: &mut Statement, context: &mut Context) -> Parsed {
    expression(statement, context, HttpAction::SetPriorityOffset)
}

pub fn set_mark(statement: &mut Statement, _: &mut Context) -> Parsed {
    Some((HttpAction::SetMark(mark(statement)?), 1))
}

pub fn set_tos(statement: &mut Statement, _: &mut Context) -> Parsed {
    Some((HttpAction::SetTos(tos(statement)?), 1))
}

/// `set-mark <mark>`: 32 bits. `None` if an error was reported.
pub fn mark(statement: &mut Statement) -> Option<u32> {
    let number = decimal_or_hexadecimal(statement.text(0));
    statement.accept(0, number.ok_or("expects exactly 1 argument (integer/hex value).".to_owned()))
}

/// `set-tos <tos>`: 8 bits, the upper six of which are the DSCP. `None` if an error was reported.
pub fn tos(statement: &mut Statement) -> Option<u8> {
    let number = decimal_or_hexadecimal(statement.text(0)).and_then(|number| u8::try_from(number).ok());
    statement.accept(0, number.ok_or("expects exactly 1 argument (integer/hex value from 0 to 255).".to_owned()))
}

fn decimal_or_hexadecimal(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

/// `set-timeout { client | server | tunnel } { <time> | <expression> }`
pub fn set_timeout(statement: &mut Statement, context: &mut Context) -> Parsed {
    let which = match statement.text(0) {
        "client" => TimeoutKind::Client,
        "server" => TimeoutKind::Server,
        "tunnel" => TimeoutKind::Tunnel,
        other => {
            statement.error(0, format!("'{other}' is an unknown timeout; expected 'server', 'tunnel' or 'client'."));
            return None;
        }
    };
    let kind = context.proxy.kind;
    if which == TimeoutKind::Client && kind == SectionKind::Backend {
        statement.error(0, "timeout 'client' has no meaning in a backend: it belongs to the frontend's connection.");
        return None;
    }
    if which != TimeoutKind::Client && kind == SectionKind::Frontend {
        statement.error(0, "a frontend has no server side: write this rule into the backend, or into a 'listen'.");
        return None;
    }
    let text = statement.text(1);
    if text.is_empty() {
        statement.error(0, "expects 2 arguments: the time-out's name, and a time or an expression.");
        return None;
    }
    if !text.starts_with(|character: char| character.is_ascii_digit()) {
        let (expression, end) = expression::parse_words(statement, 1, format::place_of(context))?;
        return Some((HttpAction::SetTimeout { which, value: TimeoutValue::Expression(expression) }, end));
    }
    let time = statement.accept(1, parse_time(text, DefaultUnit::Milliseconds, "set-timeout"))?;
    if time.is_zero() {
        statement.error(1, "null value is not valid for a 'set-timeout' rule");
        return None;
    }
    Some((HttpAction::SetTimeout { which, value: TimeoutValue::Constant(time) }, 2))
}

/// `wait-for-body time <time> [at-least <bytes>]`
pub fn wait_for_body(statement: &mut Statement, _: &mut Context) -> Parsed {
    let (mut time, mut at_least_bytes) = (None, 0);
    let mut index = 0;
    loop {
        let value = statement.text(index + 1);
        match statement.text(index) {
            "time" => {
                time = Some(statement.accept(index + 1, parse_time(value, DefaultUnit::Milliseconds, "time"))?);
            }
            "at-least" => at_least_bytes = u64::from(statement.accept(index + 1, parse_size(value, "at-least"))?),
            _ => break,
        }
        index += 2;
    }
    let Some(time) = time else {
        statement.error(usize::MAX, "missing time value: write 'wait-for-body time <time> [at-least <bytes>]'.");
        return None;
    };
    Some((HttpAction::WaitForBody { time, at_least_bytes }, index))
}
