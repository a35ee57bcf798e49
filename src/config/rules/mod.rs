//! What `http-request`, `http-response`, `http-after-response`, `redirect` and `http-error` lines are made of.

pub mod answers;
pub mod cache;
pub mod condition;
pub mod edits;
pub mod format;
pub mod page_file;
pub mod redirect;
pub mod reply;
pub mod settings;
pub mod table_actions;
pub mod variables;

use crate::config::statement::Statement;
use crate::proto::http1::is_token;

/// Argument `index` as a header's name.
pub fn header_name(statement: &mut Statement, index: usize) -> Option<Box<[u8]>> {
    let name = statement.text(index);
    if is_token(name.as_bytes()) {
        return Some(name.as_bytes().into());
    }
    statement
        .error(index, format!("'{name}' is no header name: letters, digits and - _ . are, blanks and colons are not."));
    None
}

/// `<name> <fmt>` as the first two arguments; gives the name.
fn name_and_value(statement: &mut Statement) -> Option<Box<[u8]>> {
    if statement.text(0).is_empty() || statement.text(1).is_empty() {
        statement.error(usize::MAX, "expects exactly 2 arguments, <name> and <fmt>.");
        return None;
    }
    header_name(statement, 0)
}
