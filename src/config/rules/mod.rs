//! What `http-request`, `http-response`, `http-after-response`, `redirect` and `http-error` lines are made of.

pub mod format;
pub mod page_file;
pub mod reply;

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
