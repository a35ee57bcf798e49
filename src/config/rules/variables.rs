//! `set-var`, `set-var-fmt`, `unset-var`, `capture`, and changes of maps and ACL lists.

use super::format;
use crate::config::expression;
use crate::config::model::*;
use crate::config::pattern_files;
use crate::config::section_http_rules::{Context, RuleSet};
use crate::config::statement::Statement;
use crate::config::values::parse_u32;
use crate::config::written::SectionKind;

type Parsed = Option<(HttpAction, usize)>;

/// What stands in the parentheses of the keyword's last word; `None` if an error was reported.
fn parenthesis<'a>(statement: &mut Statement<'a>, expected: &str) -> Option<&'a str> {
    let words = &statement.line.words;
    let word = words.len().checked_sub(statement.arguments.len() + 1).and_then(|index| words.get(index));
    let written = word.map_or("", |word| word.as_str());
    let inside = written.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).filter(|name| !name.is_empty());
    if inside.is_none() {
        statement.error(usize::MAX, format!("'{written}' expects {expected} in parentheses."));
    }
    inside
}

/// `(<name>[,<condition>…])`
fn name_and_conditions(statement: &mut Statement) -> Option<(VariableName, SetConditions)> {
    let written = parenthesis(statement, "a variable's name")?;
    let mut parts = written.split(',');
    let name = expression::variable_name(parts.next().unwrap_or_default());
    let name = statement.accept(usize::MAX, name)?;
    let mut conditions = SetConditions::default();
    for word in parts {
        let flag = match word.trim() {
            "ifexists" => &mut conditions.if_exists,
            "ifnotexists" => &mut conditions.if_not_exists,
            "ifempty" => &mut conditions.if_empty,
            "ifnotempty" => &mut conditions.if_not_empty,
            "ifset" => &mut conditions.if_set,
            "ifnotset" => &mut conditions.if_not_set,
            "ifgt" => &mut conditions.if_greater,
            "iflt" => &mut conditions.if_less,
            other => {
                statement.error(
                    usize::MAX,
                    format!(
                        "unknown condition '{other}'; expected ifexists, ifnotexists, ifempty, ifnotempty, ifset, \
                         ifnotset, ifgt or iflt."
                    ),
                );
                return None;
            }
        };
        *flag = true;
    }
    Some((name, conditions))
}

/// `set-var(<name>[,<condition>…]) <expression>`
pub fn set_variable(statement: &mut Statement, context: &mut Context) -> Parsed {
    let (name, conditions) = name_and_conditions(statement)?;
    let (sample, end) = expression::parse_words(statement, 0, format::place_of(context))?;
    Some((HttpAction::SetVariable { name, value: VariableValue::Sample(sample), conditions }, end))
}

/// `set-var-fmt(<name>[,<condition>…]) <format>`
pub fn set_variable_format(statement: &mut Statement, context: &mut Context) -> Parsed {
    let (name, conditions) = name_and_conditions(statement)?;
    let text = statement.required(0, "a log-format string")?;
    let text = format::body(statement, 0, text, format::place_of(context))?;
    Some((HttpAction::SetVariable { name, value: VariableValue::Text(text), conditions }, 1))
}

/// `unset-var(<name>)`
pub fn unset_variable(statement: &mut Statement, _: &mut Context) -> Parsed {
    let written = parenthesis(statement, "a variable's name")?;
    let name = statement.accept(usize::MAX, expression::variable_name(written))?;
    Some((HttpAction::UnsetVariable(name), 0))
}

/// `capture <sample> { len <length> | id <slot> }`: `len` makes a new slot, which only a frontend's request has.
pub fn capture(statement: &mut Statement, context: &mut Context) -> Parsed {
    let (sample, next) = expression::parse_words(statement, 0, format::place_of(context))?;
    let number = statement.text(next + 1);
    match statement.text(next) {
        "len" if context.set == RuleSet::Request => {
            if context.proxy.kind == SectionKind::Backend {
                let name = &context.proxy.name;
                let text =
                    format!("proxy '{name}' has no frontend capability: only 'id' and a slot of the frontend's.");
                statement.error(next, text);
                return None;
            }
            let length_max = statement.accept(next + 1, parse_u32(number, 1, i32::MAX as u32, "len"))?;
            let slots = &mut context.proxy.settings.captures.request;
            slots.push(HeaderCapture { name: None, length_max });
            Some((HttpAction::Capture { sample, slot: slots.len() - 1 }, next + 2))
        }
        "id" => {
            let slot = statement.accept(next + 1, parse_u32(number, 0, i32::MAX as u32, "id"))?;
            Some((HttpAction::Capture { sample, slot: slot as usize }, next + 2))
        }
        other => {
            let expected = if context.set == RuleSet::Request { "'len' or 'id'" } else { "'id'" };
            statement.error(next, format!("expects {expected} after the sample, not '{other}'."));
            None
        }
    }
}

pub fn add_acl(statement: &mut Statement, context: &mut Context) -> Parsed {
    change(statement, context, PatternChangeKind::AddAcl)
}

pub fn del_acl(statement: &mut Statement, context: &mut Context) -> Parsed {
    change(statement, context, PatternChangeKind::DeleteAcl)
}

pub fn del_map(statement: &mut Statement, context: &mut Context) -> Parsed {
    change(statement, context, PatternChangeKind::DeleteMap)
}

/// `set-map(<file>) <key> <value>`
pub fn set_map(statement: &mut Statement, context: &mut Context) -> Parsed {
    if statement.text(1).is_empty() {
        statement.error(usize::MAX, "expects exactly 2 arguments (<key fmt> <value fmt>).");
        return None;
    }
    let value = statement.text(1);
    let value = format::body(statement, 1, value, format::place_of(context))?;
    change(statement, context, PatternChangeKind::SetMap(value))
}

/// `…(<file>) <key>`
fn change(statement: &mut Statement, context: &mut Context, kind: PatternChangeKind) -> Parsed {
    let file_name = parenthesis(statement, "the file of an ACL or a map")?;
    let key = statement.required(0, "a key (log-format string)")?;
    let key = format::body(statement, 0, key, format::place_of(context))?;
    let end = if matches!(kind, PatternChangeKind::SetMap(_)) { 2 } else { 1 };
    let file = pattern_files::reference(file_name);
    let change = PatternChange { kind, file, file_name: file_name.to_owned(), key };
    Some((HttpAction::ChangePatterns(Box::new(change)), end))
}
