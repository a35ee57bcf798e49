//! Log-format strings in rules.

use crate::config::model::TextFormat;
use crate::config::statement::Statement;
use crate::config::written::SectionKind;

/// Which rule set a format stands in.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub is_response: bool,
    pub kind: SectionKind,
}

impl Place {
    pub fn of_request(kind: SectionKind) -> Place {
        Place { is_response: false, kind }
    }
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
