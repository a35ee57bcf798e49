//! Users and groups in a configuration. Names must exist when it is read: found out at start, with the listeners open,
//! it could not be said with a line and a caret.

use super::model::UserOrGroup;
use super::statement::Statement;
use super::values::parse_integer;
use nix::unistd::{Group, User};

/// The first argument as a user's name; `None` if an error was reported.
pub fn user(statement: &mut Statement) -> Option<UserOrGroup> {
    let name = statement.required(0, "a user's name")?;
    known(statement, name, "user", matches!(User::from_name(name), Ok(Some(_))))
}

/// The first argument as a group's name; `None` if an error was reported.
pub fn group(statement: &mut Statement) -> Option<UserOrGroup> {
    let name = statement.required(0, "a group's name")?;
    known(statement, name, "group", matches!(Group::from_name(name), Ok(Some(_))))
}

fn known(statement: &mut Statement, name: &str, what: &str, found: bool) -> Option<UserOrGroup> {
    if !found {
        statement.error(0, format!("cannot find {what} id for '{name}': there is no such {what} here."));
    }
    found.then(|| UserOrGroup::Name(name.to_owned()))
}

/// Reads a numeric user or group.
/// # Errors
/// What is wrong with `text`.
pub fn parse_id(text: &str, keyword: &str) -> Result<UserOrGroup, String> {
    parse_integer(text, 0, i64::from(u32::MAX), keyword).map(|id| UserOrGroup::Id(id.unsigned_abs() as u32))
}
