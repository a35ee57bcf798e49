//! `http-request`, `http-response`, `http-after-response`, `redirect`, `block` and `monitor fail` (configuration.txt
//! section 4.2).

use super::model::{HttpAction, HttpRule, ReplySource};
use super::rules::{answers, cache, condition, edits, redirect, settings, table_actions, variables};
use super::statement::{LineParser, Statement};
use super::written::*;

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSet {
    Request,
    Response,
    AfterResponse,
    /// `redirect` and `block` lines.
    Bare,
}

impl RuleSet {
    pub fn is_response(self) -> bool {
        matches!(self, RuleSet::Response | RuleSet::AfterResponse)
    }
}

/// What an action's parser sees beside its line.
pub struct Context<'p> {
    pub set: RuleSet,
    pub proxy: &'p mut WrittenProxy,
}

/// Reads an action; gives it with the index of the argument after its own. `None` if an error was reported.
pub type ActionParser = fn(&mut Statement, &mut Context) -> Option<(HttpAction, usize)>;

/// The rules of one section so far.
#[derive(Clone, Debug, Default)]
pub struct WrittenHttpRules {
    pub blocks: Vec<HttpRule>,
    pub request: Vec<HttpRule>,
    /// `stats http-request`
    pub statistics: Vec<HttpRule>,
    pub redirects: Vec<HttpRule>,
    pub response: Vec<HttpRule>,
    pub after_response: Vec<HttpRule>,
}

/// Parsers of `<set> <action>` lines.
macro_rules! rules {
    ($($set:ident $prefix:literal { $($action:literal $parser:expr,)* })*) => {
        &[
            ("redirect", redirect_line),
            ("block", block),
            ("monitor fail", monitor_fail),
            $($((concat!($prefix, " ", $action), |statement, proxy| add(statement, proxy, RuleSet::$set, $parser)),)*)*
        ]
    };
}

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = rules! {
    Request "http-request" {
        "add-header" edits::add_header,
        "allow" answers::allow,
        "auth" answers::auth,
        "cache-use" cache::cache_use,
        "del-header" edits::del_header,
        "deny" answers::deny,
        "disable-l7-retry" settings::disable_l7_retry,
        "early-hint" answers::early_hint,
        "normalize-uri" edits::normalize_uri,
        "redirect" redirect::parse,
        "reject" answers::reject,
        "replace-header" edits::replace_header,
        "replace-path" edits::replace_path,
        "replace-pathq" edits::replace_path_and_query,
        "replace-uri" edits::replace_uri,
        "replace-value" edits::replace_value,
        "return" answers::return_answer,
        "set-dst" settings::set_destination,
        "set-dst-port" settings::set_destination_port,
        "set-header" edits::set_header,
        "set-log-level" settings::set_log_level,
        "set-mark" settings::set_mark,
        "set-method" edits::set_method,
        "set-path" edits::set_path,
        "set-pathq" edits::set_path_and_query,
        "set-priority-class" settings::set_priority_class,
        "set-priority-offset" settings::set_priority_offset,
        "set-query" edits::set_query,
        "set-src" settings::set_source,
        "set-src-port" settings::set_source_port,
        "set-timeout" settings::set_timeout,
        "set-tos" settings::set_tos,
        "set-uri" edits::set_uri,
        "silent-drop" answers::silent_drop,
        "strict-mode" settings::strict_mode,
        "tarpit" answers::tarpit,
        "wait-for-body" settings::wait_for_body,
        "set-var" variables::set_variable,
        "set-var-fmt" variables::set_variable_format,
        "unset-var" variables::unset_variable,
        "capture" variables::capture,
        "set-map" variables::set_map,
        "del-map" variables::del_map,
        "del-acl" variables::del_acl,
        "add-acl" variables::add_acl,
        "sc-add-gpc" table_actions::parse,
        "sc-inc-gpc" table_actions::parse,
        "sc-inc-gpc0" table_actions::parse,
        "sc-inc-gpc1" table_actions::parse,
        "sc-set-gpt" table_actions::parse,
        "sc-set-gpt0" table_actions::parse,
        "track-sc0" table_actions::parse,
        "track-sc1" table_actions::parse,
        "track-sc2" table_actions::parse,
    }
    Response "http-response" {
        "add-header" edits::add_header,
        "allow" answers::allow,
        "cache-store" cache::cache_store,
        "del-header" edits::del_header,
        "deny" answers::deny,
        "redirect" redirect::parse,
        "replace-header" edits::replace_header,
        "replace-value" edits::replace_value,
        "return" answers::return_answer,
        "set-header" edits::set_header,
        "set-log-level" settings::set_log_level,
        "set-mark" settings::set_mark,
        "set-tos" settings::set_tos,
        "wait-for-body" settings::wait_for_body,
        "set-status" edits::set_status,
        "silent-drop" answers::silent_drop,
        "strict-mode" settings::strict_mode,
        "set-var" variables::set_variable,
        "set-var-fmt" variables::set_variable_format,
        "unset-var" variables::unset_variable,
        "capture" variables::capture,
        "set-map" variables::set_map,
        "del-map" variables::del_map,
        "del-acl" variables::del_acl,
        "add-acl" variables::add_acl,
        "sc-add-gpc" table_actions::parse,
        "sc-inc-gpc" table_actions::parse,
        "sc-inc-gpc0" table_actions::parse,
        "sc-inc-gpc1" table_actions::parse,
        "sc-set-gpt" table_actions::parse,
        "sc-set-gpt0" table_actions::parse,
        "track-sc0" table_actions::parse,
        "track-sc1" table_actions::parse,
        "track-sc2" table_actions::parse,
    }
    AfterResponse "http-after-response" {
        "add-header" edits::add_header,
        "allow" answers::allow,
        "del-header" edits::del_header,
        "replace-header" edits::replace_header,
        "replace-value" edits::replace_value,
        "set-header" edits::set_header,
        "set-log-level" settings::set_log_level,
        "set-status" edits::set_status,
        "strict-mode" settings::strict_mode,
        "set-var" variables::set_variable,
        "set-var-fmt" variables::set_variable_format,
        "unset-var" variables::unset_variable,
        "capture" variables::capture,
        "set-map" variables::set_map,
        "del-map" variables::del_map,
        "del-acl" variables::del_acl,
        "sc-add-gpc" table_actions::parse,
        "sc-inc-gpc" table_actions::parse,
        "sc-inc-gpc0" table_actions::parse,
        "sc-inc-gpc1" table_actions::parse,
        "sc-set-gpt" table_actions::parse,
        "sc-set-gpt0" table_actions::parse,
    }
};

/// Reads one rule and its condition.
fn add(statement: &mut Statement, proxy: &mut WrittenProxy, set: RuleSet, parser: ActionParser) {
    if proxy.kind == SectionKind::Defaults && proxy.name.is_empty() {
        let keyword = statement.keyword;
        let text = format!(
            "'{keyword}' not allowed in anonymous 'defaults' section; give the section a name and write 'from <name>' \
             where it is to hold."
        );
        return statement.error(usize::MAX, text);
    }
    let Some(rule) = rule(statement, proxy, set, parser) else { return };
    let rules = &mut proxy.settings.http_rules;
    match set {
        RuleSet::Request => rules.request.push(rule),
        RuleSet::Response => rules.response.push(rule),
        RuleSet::AfterResponse => rules.after_response.push(rule),
        RuleSet::Bare => rules.redirects.push(rule),
    }
}

/// One rule whose action `parser` reads, with its condition. `None` if an error was reported.
pub fn rule(
    statement: &mut Statement,
    proxy: &mut WrittenProxy,
    set: RuleSet,
    parser: ActionParser,
) -> Option<HttpRule> {
    let (action, end) = parser(statement, &mut Context { set, proxy })?;
    let condition = condition::parse(statement, end, proxy, set)?;
    Some(HttpRule { action, condition, location: statement.location() })
}

fn redirect_line(statement: &mut Statement, proxy: &mut WrittenProxy) {
    add(statement, proxy, RuleSet::Bare, redirect::parse);
}

/// `block { if | unless } <condition>` of HAProxy 1.8: a 403 before all http-request rules.
fn block(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !matches!(statement.text(0), "if" | "unless") {
        return statement.error(0, "'block' requires either 'if' or 'unless' followed by a condition.");
    }
    let deny: ActionParser = |_, _| Some((HttpAction::Deny(ReplySource::ErrorPage(403)), 0));
    if let Some(rule) = rule(statement, proxy, RuleSet::Bare, deny) {
        proxy.settings.http_rules.blocks.push(rule);
    }
}

/// `monitor fail { if | unless } <condition>`
fn monitor_fail(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !matches!(statement.text(0), "if" | "unless") {
        return statement.error(0, "'monitor fail' requires either 'if' or 'unless' followed by a condition.");
    }
    if let Some(Some(condition)) = condition::parse(statement, 0, proxy, RuleSet::Bare) {
        proxy.settings.monitor_fail.push(condition);
    }
}
