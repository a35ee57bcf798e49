//! `userlist` sections: users, their passwords and groups (configuration.txt section 3.4).

use super::diagnostics::{Diagnostics, Severity};
use super::model::{Location, Password, User, Userlist};
use super::section_header::bad_character;
use super::statement::{LineParser, Statement};

/// A section as written: groups may name users that come later, and users groups.
#[derive(Clone, Debug, Default)]
pub struct WrittenUserlist {
    pub name: String,
    users: Vec<WrittenUser>,
    groups: Vec<WrittenGroup>,
}

#[derive(Clone, Debug)]
struct WrittenUser {
    name: String,
    password: Password,
    groups: Vec<String>,
    location: Location,
}

#[derive(Clone, Debug)]
struct WrittenGroup {
    name: String,
    users: Vec<String>,
    location: Location,
}

pub const KEYWORDS: &[(&str, LineParser<WrittenUserlist>)] = &[("group", group), ("user", user)];

/// Opens the section. A second one of a name is read and dropped with a warning, as HAProxy does.
pub fn open(statement: &mut Statement, others: &[WrittenUserlist]) -> WrittenUserlist {
    let name = name(statement).unwrap_or_default();
    statement.at_most(1);
    if others.iter().any(|other| other.name == name) {
        statement.warning(0, format!("ignoring duplicated userlist '{name}'."));
    }
    WrittenUserlist { name: name.to_owned(), ..WrittenUserlist::default() }
}

fn name<'a>(statement: &mut Statement<'a>) -> Option<&'a str> {
    let name = statement.required(0, "a name")?;
    if let Some(character) = bad_character(name) {
        let keyword = statement.keyword;
        statement.error(0, format!("character '{character}' is not permitted in '{keyword}' name '{name}'."));
        return None;
    }
    Some(name)
}

/// `group <name> [users <user>,…]`
fn group(statement: &mut Statement, list: &mut WrittenUserlist) {
    let Some(name) = name(statement) else { return };
    let mut users = Vec::new();
    let mut index = 1;
    while index < statement.arguments.len() {
        if statement.text(index) != "users" {
            return statement.error(index, "'group' only supports 'users' option.");
        }
        users = names(statement.text(index + 1));
        index += 2;
    }
    if list.groups.iter().any(|other| other.name == name) {
        return statement.warning(0, format!("ignoring duplicated group '{name}' in userlist '{}'.", list.name));
    }
    list.groups.push(WrittenGroup { name: name.to_owned(), users, location: statement.location() });
}

/// `user <name> [password|insecure-password <password>] [groups <group>,…]`
fn user(statement: &mut Statement, list: &mut WrittenUserlist) {
    let Some(name) = statement.required(0, "a name") else { return };
    let mut user = WrittenUser {
        name: name.to_owned(),
        password: Password::None,
        groups: Vec::new(),
        location: statement.location(),
    };
    let mut index = 1;
    while index < statement.arguments.len() {
        let value = statement.text(index + 1);
        match statement.text(index) {
            "password" if is_known_hash(value) => user.password = Password::Hashed(value.to_owned()),
            "password" => {
                return statement.error(
                    index + 1,
                    "'password' expects a crypt(3) hash of one of the kinds $1$, $5$, $6$, $2a$, $2b$, $2y$ or DES, \
                     such as 'openssl passwd -6' prints; a password that is not hashed follows 'insecure-password'.",
                );
            }
            "insecure-password" => user.password = Password::Plain(value.to_owned()),
            "groups" => user.groups = names(value),
            _ => {
                return statement
                    .error(index, "'user' only supports 'password', 'insecure-password' and 'groups' options.");
            }
        }
        index += 2;
    }
    if list.users.iter().any(|other| other.name == name) {
        return statement.warning(0, format!("ignoring duplicated user '{name}' in userlist '{}'.", list.name));
    }
    list.users.push(user);
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Whether some password may have this hash: its kind is known, and its length is that kind's.
fn is_known_hash(hash: &str) -> bool {
    let is_crypt_text =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    let digest = hash.rsplit('$').next().unwrap_or_default();
    let length = match hash {
        _ if hash.starts_with("$1$") => 22,
        _ if hash.starts_with("$5$") => 43,
        _ if hash.starts_with("$6$") => 86,
        _ if ["$2a$", "$2b$", "$2y$"].iter().any(|kind| hash.starts_with(kind)) => 53,
        // Two characters of salt and eleven of hash, or the longer form of BSD.
        _ if hash.starts_with('_') => return hash.len() == 20 && is_crypt_text(&hash[1..]),
        _ => 13,
    };
    digest.len() == length && is_crypt_text(digest)
}

/// The lists with groups and users put together; names that are not there are errors.
pub fn resolve(lists: &[WrittenUserlist], diagnostics: &mut Diagnostics) -> Vec<Userlist> {
    let mut resolved: Vec<Userlist> = Vec::new();
    for list in lists {
        if !resolved.iter().any(|other| other.name == list.name) {
            resolved.push(resolve_one(list, diagnostics));
        }
    }
    resolved
}

fn resolve_one(list: &WrittenUserlist, diagnostics: &mut Diagnostics) -> Userlist {
    let name = &list.name;
    for user in &list.users {
        for group in user.groups.iter().filter(|group| !list.groups.iter().any(|known| known.name == **group)) {
            let text = format!("userlist '{name}': no such group '{group}' specified in user '{}'.", user.name);
            diagnostics.about(Severity::Alert, &user.location, text);
        }
    }
    for group in &list.groups {
        for user in group.users.iter().filter(|user| !list.users.iter().any(|known| known.name == **user)) {
            let text = format!("userlist '{name}': no such user '{user}' specified in group '{}'.", group.name);
            diagnostics.about(Severity::Alert, &group.location, text);
        }
    }
    let users = list.users.iter().map(|user| {
        let through_groups = list.groups.iter().filter(|group| group.users.contains(&user.name));
        let mut groups: Vec<String> =
            user.groups.iter().chain(through_groups.map(|group| &group.name)).cloned().collect();
        groups.sort();
        groups.dedup();
        User { name: user.name.clone(), password: user.password.clone(), groups }
    });
    Userlist { name: name.clone(), users: users.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_known_by_kind_and_length() {
        for hash in [
            "$1$abc$Kh2bmTSKrDYWgQi8xsBvP1",
            "$5$abc$FxRsW7drXACPBTR5qc7pSQLZHJ0VDREYVx2hyhaAfh8",
            "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe",
            "aaqPiZY5xR5l.",
        ] {
            assert!(is_known_hash(hash), "{hash}");
        }
        for text in ["", "junk", "$6$abc$def", "$y$j9T$abc$def", "$9$x$y", "secret password", "äääääää", "_"] {
            assert!(!is_known_hash(text), "{text}");
        }
    }
}
