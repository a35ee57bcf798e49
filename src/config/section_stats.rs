//! `stats …` of a proxy (configuration.txt section 4.2).

use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_time};
use super::written::{SectionKind, WrittenProxy};

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("stats enable", |s, p| flag(s, p, |_| ())),
    ("stats hide-version", |s, p| flag(s, p, |stats| stats.hide_version = true)),
    ("stats show-version", |s, p| flag(s, p, |stats| stats.hide_version = false)),
    ("stats show-legends", |s, p| flag(s, p, |stats| stats.show_legends = true)),
    ("stats show-modules", |s, p| flag(s, p, |stats| stats.show_modules = true)),
    ("stats uri", uri),
    ("stats refresh", refresh),
    ("stats realm", realm),
    ("stats auth", auth),
    ("stats scope", scope),
    ("stats admin", admin),
    ("stats http-request", http_request),
    ("stats show-node", show_node),
    ("stats show-desc", show_desc),
];

impl Default for StatsSettings {
    fn default() -> Self {
        StatsSettings {
            uri: "/haproxy?stats".to_owned(),
            refresh: None,
            realm: "HAProxy Statistics".to_owned(),
            auth: Vec::new(),
            hide_version: false,
            admin: StatsAdmin::Never,
            http_request: Vec::new(),
            scope: Vec::new(),
            show_legends: false,
            show_modules: false,
            show_node: None,
            show_desc: None,
        }
    }
}

/// The section's own settings: a `stats` line switches the page on, and the first one in a proxy lets go of what came
/// from its defaults.
fn settings(proxy: &mut WrittenProxy) -> &mut StatsSettings {
    if !proxy.own.stats {
        proxy.own.stats = true;
        if proxy.kind != SectionKind::Defaults {
            proxy.settings.stats = None;
        }
    }
    proxy.settings.stats.get_or_insert_default()
}

fn flag(statement: &mut Statement, proxy: &mut WrittenProxy, set: fn(&mut StatsSettings)) {
    if statement.at_most(0) {
        set(settings(proxy));
    }
}

fn uri(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(uri) = statement.required(0, "a URI prefix") {
        settings(proxy).uri = uri.to_owned();
        statement.at_most(1);
    }
}

fn refresh(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a time such as 30s (without a unit: seconds)") else { return };
    let time = parse_time(text, DefaultUnit::Seconds, "stats refresh");
    if let Some(time) = statement.accept(0, time) {
        settings(proxy).refresh = Some(time);
        statement.at_most(1);
    }
}

/// Only the first word counts, as in HAProxy, which drops the rest in silence: the tutorial writes
/// `stats realm Haproxy Manager` and gets the realm `Haproxy`.
fn realm(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(realm) = statement.required(0, "a realm") else { return };
    settings(proxy).realm = realm.to_owned();
    if statement.arguments.len() > 1 {
        let escaped = statement.joined(0).replace(' ', "\\ ");
        let ignored = statement.joined(1);
        statement.warning(
            1,
            format!("'stats realm' takes one word: the realm is '{realm}', and '{ignored}' is ignored. For all of it write: stats realm {escaped}"),
        );
    }
}

fn auth(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "<user>:<password>") else { return };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    if user.is_empty() {
        return statement.error(0, "'stats auth' expects <user>:<password>.");
    }
    let pair = (user.to_owned(), password.to_owned());
    if !text.contains(':') {
        statement.warning(0, "'stats auth' has no ':' and therefore an empty password.");
    }
    settings(proxy).auth.push(pair);
    statement.at_most(1);
}

fn scope(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(name) = statement.required(0, "a proxy name or '.'") {
        settings(proxy).scope.push(name.to_owned());
        statement.at_most(1);
    }
}

fn show_node(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(character) = super::section_header::bad_character(statement.text(0)) {
        return statement
            .error(0, format!("'stats show-node' : character '{character}' is not permitted in a node name."));
    }
    settings(proxy).show_node = Some(statement.text(0).to_owned());
    statement.at_most(1);
}

fn show_desc(statement: &mut Statement, proxy: &mut WrittenProxy) {
    settings(proxy).show_desc = Some(statement.joined(0));
}

fn admin(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if proxy.kind == SectionKind::Backend {
        // As in HAProxy: a rule of the frontend's side, refused where there is none.
        let title = proxy.title();
        return statement
            .error(usize::MAX, format!("'stats admin' belongs to a 'listen' or 'frontend', and this is {title}."));
    }
    if let Some(condition) = condition(statement, 0) {
        let stats = settings(proxy);
        stats.admin = either(stats.admin, condition);
    }
}

/// Several `stats admin` lines: any of them grants.
fn either(one: StatsAdmin, other: StatsAdmin) -> StatsAdmin {
    match (one, other) {
        (StatsAdmin::Always, _) | (_, StatsAdmin::Always) => StatsAdmin::Always,
        (StatsAdmin::Never, other) => other,
        (one, StatsAdmin::Never) => one,
        (StatsAdmin::FromLocalhost(one), StatsAdmin::FromLocalhost(other)) if one != other => StatsAdmin::Always,
        (_, other) => other,
    }
}

/// Reads `if <condition>` or `unless <condition>` from argument `at` on; `None` if an error was reported.
fn condition(statement: &mut Statement, at: usize) -> Option<StatsAdmin> {
    let negated = match statement.text(at) {
        "if" => false,
        "unless" => true,
        _ => {
            let keyword = statement.keyword;
            statement.error(at, format!("'{keyword}' expects 'if' or 'unless' followed by a condition."));
            return None;
        }
    };
    let words: Vec<&str> = statement.rest(at + 1).iter().map(|word| word.as_str()).collect();
    // `!` may stand apart from its name.
    let (name, inverted) = match words.as_slice() {
        ["!", name] => (*name, true),
        [name] => match name.strip_prefix('!') {
            Some(name) => (name, true),
            None => (*name, false),
        },
        [] => {
            statement.error(at, "a condition is missing here.");
            return None;
        }
        _ => return unknown_condition(statement, at + 1),
    };
    let wanted = negated == inverted;
    match name {
        "TRUE" => Some(if wanted { StatsAdmin::Always } else { StatsAdmin::Never }),
        "FALSE" => Some(if wanted { StatsAdmin::Never } else { StatsAdmin::Always }),
        "LOCALHOST" => Some(StatsAdmin::FromLocalhost(wanted)),
        _ => unknown_condition(statement, at + 1),
    }
}

fn unknown_condition(statement: &mut Statement, at: usize) -> Option<StatsAdmin> {
    let text = statement.joined(at);
    statement.error(
        at,
        format!("condition '{text}' needs ACLs, which come with content rules; here TRUE, FALSE and LOCALHOST (with '!') are understood meanwhile."),
    );
    None
}

fn http_request(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let mut next = 1;
    let action = match statement.text(0) {
        "allow" => StatsRuleAction::Allow,
        "deny" => StatsRuleAction::Deny,
        "auth" => {
            let realm = if statement.text(1) == "realm" {
                next = 3;
                match statement.text(2) {
                    "" => return statement.error(1, "'realm' expects a realm."),
                    realm => Some(realm.to_owned()),
                }
            } else {
                None
            };
            StatsRuleAction::Auth { realm }
        }
        _ => return statement.error(0, "'stats http-request' expects 'allow', 'deny' or 'auth'."),
    };
    let condition = if statement.arguments.len() > next {
        match condition(statement, next) {
            Some(condition) => condition,
            None => return,
        }
    } else {
        StatsAdmin::Always
    };
    settings(proxy).http_request.push(StatsRule { action, condition });
}
