//! Log-format strings in rules.

use crate::config::model::{Expression, Place, TextFormat};
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
    let text = statement.text(index);
    body(statement, index, text, place)
}

/// `text`, which argument `index` names or is, as a body or a variable's value.
pub fn body(statement: &mut Statement, index: usize, text: &str, _place: Place) -> Option<TextFormat> {
    if !text.contains('%') {
        return Some(TextFormat::Constant(text.as_bytes().into()));
    }
    statement.error(index, "log-format tags and expressions are not supported here yet; write a text without '%'.");
    None
}

/// Argument `index` as an expression.
pub fn expression(statement: &mut Statement, index: usize, _place: Place) -> Option<Expression> {
    statement.error(index, "expressions come with HTTP mode.");
    None
}
