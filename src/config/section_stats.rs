//! `stats …` of a proxy (configuration.txt section 4.2).

use super::acl;
use super::model::*;
use super::rules::{answers, format};
use super::section_http_rules::{self, ActionParser, Context, RuleSet};
use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_time};
use super::written::{SectionKind, WrittenProxy};

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("stats enable", |s, p| flag(s, p, |_| ())),
    ("stats hide-version", |s, p| flag(s, p, |stats| stats.hide_version = true)),
    ("stats show-version", |s, p| flag(s, p, |stats| stats.hide_version = false)),
    ("stats show-legends", |s, p| flag(s, p, |stats| stats.show_legends = true)),
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

/// What the page calls itself where a password is asked for.
pub const DEFAULT_REALM: &str = "HAProxy Statistics";

impl Default for StatsSettings {
    fn default() -> Self {
        StatsSettings {
            uri: "/haproxy?stats".to_owned(),
            refresh: None,
            realm: DEFAULT_REALM.to_owned(),
            auth: Vec::new(),
            hide_version: false,
            admin: Vec::new(),
            scope: Vec::new(),
            show_legends: false,
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
    statement.ignores_after(0);
    set(settings(proxy));
}

fn uri(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(uri) = statement.required(0, "a URI prefix") {
        settings(proxy).uri = uri.to_owned();
        statement.ignores_after(1);
    }
}

fn refresh(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a time such as 30s (without a unit: seconds)") else { return };
    let time = parse_time(text, DefaultUnit::Seconds, "stats refresh");
    if let Some(time) = statement.accept(0, time) {
        settings(proxy).refresh = Some(time);
        statement.ignores_after(1);
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
    statement.ignores_after(1);
}

fn scope(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(name) = statement.required(0, "a proxy name or '.'") {
        settings(proxy).scope.push(name.to_owned());
        statement.ignores_after(1);
    }
}

fn show_node(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(character) = super::section_header::bad_character(statement.text(0)) {
        return statement
            .error(0, format!("'stats show-node' : character '{character}' is not permitted in a node name."));
    }
    settings(proxy).show_node = Some(statement.text(0).to_owned());
    statement.ignores_after(1);
}

fn show_desc(statement: &mut Statement, proxy: &mut WrittenProxy) {
    settings(proxy).show_desc = Some(statement.joined(0));
}

/// `stats admin { if | unless } <condition>`; several lines: any of them grants.
fn admin(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !matches!(statement.text(0), "if" | "unless") {
        return statement.error(0, "'stats admin' requires either 'if' or 'unless' followed by a condition.");
    }
    let place = format::place(RuleSet::Request, proxy.kind);
    if let Some(Some(condition)) = acl::parse_condition(statement, 0, &proxy.acls, place) {
        settings(proxy).admin.push(condition);
    }
}

/// `stats http-request { allow | deny | auth [realm <realm>] } [ { if | unless } <condition> ]`
fn http_request(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let parser: ActionParser = match statement.text(0) {
        "allow" => answers::allow,
        "deny" => answers::deny,
        "auth" => statistics_auth,
        _ => {
            let text = "'stats http-request' expects 'allow', 'deny' or 'auth'. For another action write an \
                        'http-request' rule with the page's address as its condition, such as: \
                        http-request redirect location / if { path_beg /stats }";
            return statement.error(0, text);
        }
    };
    let mut action = Statement {
        line: statement.line,
        keyword: statement.keyword,
        modifier: statement.modifier,
        arguments: statement.rest(1),
        label: statement.label,
        diagnostics: &mut *statement.diagnostics,
        names: statement.names,
    };
    let Some(rule) = section_http_rules::rule(&mut action, proxy, RuleSet::Request, parser) else { return };
    settings(proxy);
    let rules = &mut proxy.settings.http_rules.statistics;
    if rules.last().is_some_and(|last| last.condition.is_none()) {
        let text = "previous 'stats http-request' has no condition attached, further entries are never reached.";
        statement.warning(usize::MAX, text);
    }
    rules.push(rule);
}

/// Without a realm it is the page's own name.
fn statistics_auth(statement: &mut Statement, context: &mut Context) -> Option<(HttpAction, usize)> {
    if statement.text(0) == "realm" {
        return answers::auth(statement, context);
    }
    Some((HttpAction::Auth { challenge: answers::challenge(DEFAULT_REALM) }, 0))
}
