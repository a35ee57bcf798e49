//! `use_backend`, `use-server`, `force-persist` and `ignore-persist` (configuration.txt section 4.2).

use super::acl::parse_condition;
use super::log_format::{self, FormatPlace};
use super::model::*;
use super::statement::{LineParser, Statement};
use super::written::{SectionKind, WrittenProxy};

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("use_backend", use_backend),
    ("use-server", use_server),
    ("force-persist", |s, p| persistence(s, p, Persistence::Forced)),
    ("ignore-persist", |s, p| persistence(s, p, Persistence::Ignored)),
];

/// A rule whose target is still a name.
#[derive(Clone, Debug)]
pub struct WrittenSwitch {
    pub target: WrittenTarget,
    pub condition: Option<Condition>,
    pub location: Location,
}

#[derive(Clone, Debug)]
pub enum WrittenTarget {
    Name(String),
    Format(LogFormat),
}

/// The rules of one section.
#[derive(Clone, Debug, Default)]
pub struct WrittenSwitching {
    pub backends: Vec<WrittenSwitch>,
    pub servers: Vec<WrittenSwitch>,
    pub persistence: Vec<PersistenceRule>,
}

/// A name without `%` is one; anything else is a format.
fn target(statement: &mut Statement, text: &str, place: Place) -> Option<WrittenTarget> {
    if !text.contains('%') {
        return Some(WrittenTarget::Name(text.to_owned()));
    }
    match log_format::compile(text, FormatPlace::Plain(place)) {
        Ok(format) => Some(WrittenTarget::Format(format)),
        Err(error) => {
            let keyword = statement.keyword;
            statement.error(0, format!("failed to parse {keyword} rule '{text}' : {}.", error.message));
            None
        }
    }
}

fn use_backend(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a backend name") else { return };
    let target = target(statement, text, Place::USE_BACKEND);
    let condition = parse_condition(statement, 1, &proxy.acls, Place::USE_BACKEND);
    if let (Some(target), Some(condition)) = (target, condition) {
        proxy.switching.backends.push(WrittenSwitch { target, condition, location: statement.location() });
    }
}

fn use_server(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a server name") else { return };
    let target = target(statement, text, Place::USE_SERVER);
    if !matches!(statement.text(1), "if" | "unless") {
        return statement.error(1, "'use-server' requires either 'if' or 'unless' followed by a condition.");
    }
    let condition = parse_condition(statement, 1, &proxy.acls, Place::USE_SERVER);
    if let (Some(target), Some(condition)) = (target, condition) {
        proxy.switching.servers.push(WrittenSwitch { target, condition, location: statement.location() });
    }
}

fn persistence(statement: &mut Statement, proxy: &mut WrittenProxy, persistence: Persistence) {
    if !matches!(statement.text(0), "if" | "unless") {
        let keyword = statement.keyword;
        let text = format!("'{keyword}' requires either 'if' or 'unless' followed by a condition.");
        return statement.error(0, text);
    }
    let place = Place::http_request(proxy.kind == SectionKind::Listen, true);
    if let Some(condition) = parse_condition(statement, 0, &proxy.acls, place) {
        proxy.switching.persistence.push(PersistenceRule { persistence, condition });
    }
}
