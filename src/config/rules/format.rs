//! Log-format strings in rules.

use crate::config::log_format::{self, FormatPlace};
use crate::config::model::{LogItem, Place, TextFormat};
use crate::config::section_http_rules::{Context, RuleSet};
use crate::config::statement::Statement;
use crate::config::written::SectionKind;

/// What can be asked for in a rule of `proxy`.
pub fn place_of(context: &Context) -> Place {
    place(context.set, context.proxy.kind)
}

/// What can be asked for in a rule of this set in a section of this kind. Rules of `defaults` may go to either.
pub fn place(set: RuleSet, kind: SectionKind) -> Place {
    let frontend = kind != SectionKind::Backend;
    let backend = kind != SectionKind::Frontend;
    if set.is_response() { Place::http_response(frontend, backend) } else { Place::http_request(frontend, backend) }
}

/// Argument `index` as the text of a header, a target or a location. `None` if an error was reported.
pub fn head(statement: &mut Statement, index: usize, place: Place) -> Option<TextFormat> {
    let word = statement.rest(index).first()?;
    if !word.as_bytes().contains(&b'%') {
        return Some(TextFormat::Constant(word.as_bytes().into()));
    }
    compiled(statement, index, word.as_str(), FormatPlace::Head(place))
}

/// `text`, which argument `index` names or is, as a body or a variable's value.
pub fn body(statement: &mut Statement, index: usize, text: &str, place: Place) -> Option<TextFormat> {
    if !text.contains('%') {
        return Some(TextFormat::Constant(text.as_bytes().into()));
    }
    compiled(statement, index, text, FormatPlace::Plain(place))
}

fn compiled(statement: &mut Statement, index: usize, text: &str, place: FormatPlace) -> Option<TextFormat> {
    let format = log_format::compile(text, place)
        .map_err(|error| format!("failed to parse the log-format string '{text}' : {}.", error.message));
    let format = statement.accept(index, format)?;
    // `100%%` says the same every time.
    let constant: Option<String> = format.items.iter().map(constant_part).collect();
    Some(match constant {
        Some(text) => TextFormat::Constant(text.into_bytes().into()),
        None => TextFormat::Format(Box::new(format)),
    })
}

fn constant_part(item: &LogItem) -> Option<&str> {
    match item {
        LogItem::Text(text) => Some(text),
        _ => None,
    }
}
