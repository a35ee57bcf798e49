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

fn admin(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(condition) = condition(statement, 0) {
        let stats = settings(proxy);
        // Several lines: any of them grants.
        stats.admin = Where::of(stats.admin).or(condition).admin();
    }
}

/// A condition made of TRUE, FALSE and LOCALHOST, as what it gives for the only two cases they can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Where {
    local: bool,
    remote: bool,
}

impl Where {
    const TRUE: Where = Where { local: true, remote: true };
    const FALSE: Where = Where { local: false, remote: false };

    fn of(admin: StatsAdmin) -> Self {
        match admin {
            StatsAdmin::Always => Where::TRUE,
            StatsAdmin::FromLocalhost(local) => Where { local, remote: !local },
            StatsAdmin::Never | StatsAdmin::Authenticated => Where::FALSE,
        }
    }
    fn admin(self) -> StatsAdmin {
        match (self.local, self.remote) {
            (true, true) => StatsAdmin::Always,
            (false, false) => StatsAdmin::Never,
            (local, _) => StatsAdmin::FromLocalhost(local),
        }
    }
    fn not(self) -> Self {
        Where { local: !self.local, remote: !self.remote }
    }
    fn and(self, other: Self) -> Self {
        Where { local: self.local && other.local, remote: self.remote && other.remote }
    }
    fn or(self, other: Self) -> Self {
        Where { local: self.local || other.local, remote: self.remote || other.remote }
    }
}

/// Reads `if <condition>` or `unless <condition>` from argument `at` on (configuration.txt section 7.2: names with
/// `!`, side by side for "and", `||` or `or` between). `None` if an error was reported.
fn condition(statement: &mut Statement, at: usize) -> Option<Where> {
    let unless = match statement.text(at) {
        "if" => false,
        "unless" => true,
        _ => {
            let keyword = statement.keyword;
            statement.error(at, format!("'{keyword}' expects 'if' or 'unless' followed by a condition."));
            return None;
        }
    };
    let (mut any, mut all) = (Where::FALSE, Where::TRUE);
    let (mut inverted, mut operand_missing) = (false, true);
    for index in at + 1..statement.arguments.len() {
        let mut word = statement.text(index);
        if (word == "||" || word == "or") && !operand_missing {
            (any, all) = (any.or(all), Where::TRUE);
            operand_missing = true;
            continue;
        }
        while let Some(rest) = word.strip_prefix('!') {
            inverted = !inverted;
            word = rest;
        }
        let operand = match word {
            "" => continue,
            "TRUE" => Where::TRUE,
            "FALSE" => Where::FALSE,
            "LOCALHOST" => Where { local: true, remote: false },
            _ => {
                let text = format!(
                    "condition '{word}' needs ACLs, which come with content rules; TRUE, FALSE and LOCALHOST (with \
                     '!' and '||') are understood meanwhile."
                );
                statement.error(index, text);
                return None;
            }
        };
        all = all.and(if inverted { operand.not() } else { operand });
        (inverted, operand_missing) = (false, false);
    }
    if operand_missing || inverted {
        statement.error(usize::MAX, "a condition is missing here.");
        return None;
    }
    let condition = any.or(all);
    Some(if unless { condition.not() } else { condition })
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
            Some(condition) => condition.admin(),
            None => return,
        }
    } else {
        StatsAdmin::Always
    };
    settings(proxy).http_request.push(StatsRule { action, condition });
}
