//! `option …`, `no option …`, `default option …` (configuration.txt section 4.2).

use super::keywords::Modifier;
use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::parse_integer;
use super::written::*;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("option abortonclose", |s, p| switch(s, p, "abortonclose")),
    ("option allbackups", |s, p| switch(s, p, "allbackups")),
    ("option contstats", |s, p| switch(s, p, "contstats")),
    ("option dontlognull", |s, p| switch(s, p, "dontlognull")),
    ("option dontlog-normal", |s, p| switch(s, p, "dontlog-normal")),
    ("option logasap", |s, p| switch(s, p, "logasap")),
    ("option log-health-checks", |s, p| switch(s, p, "log-health-checks")),
    ("option log-separate-errors", |s, p| switch(s, p, "log-separate-errors")),
    ("option nolinger", |s, p| switch(s, p, "nolinger")),
    ("option tcp-smart-accept", |s, p| switch(s, p, "tcp-smart-accept")),
    ("option tcp-smart-connect", |s, p| switch(s, p, "tcp-smart-connect")),
    ("option socket-stats", |s, p| switch(s, p, "socket-stats")),
    ("option independent-streams", |s, p| switch(s, p, "independent-streams")),
    ("option independant-streams", |s, p| switch(s, p, "independent-streams")),
    ("option splice-auto", |s, p| switch(s, p, "splice-auto")),
    ("option splice-request", |s, p| switch(s, p, "splice-request")),
    ("option splice-response", |s, p| switch(s, p, "splice-response")),
    ("option clitcpka", |s, p| switch(s, p, "clitcpka")),
    ("option srvtcpka", |s, p| switch(s, p, "srvtcpka")),
    ("option tcpka", both_keepalives),
    ("option redispatch", redispatch),
    ("option tcplog", tcplog),
    ("option httplog", httplog),
];

/// The `option` names that [`options_of`] and [`splice_of`] read back.
fn switch(statement: &mut Statement, proxy: &mut WrittenProxy, name: &'static str) {
    if !statement.at_most(0) {
        return;
    }
    set(statement.modifier, proxy, name);
}

fn set(modifier: Modifier, proxy: &mut WrittenProxy, name: &'static str) {
    let options = &mut proxy.settings.options;
    match modifier {
        Modifier::None => options.insert(name, true),
        Modifier::No => options.insert(name, false),
        Modifier::Default => options.remove(name),
    };
}

/// `option tcpka`: both sides.
fn both_keepalives(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.at_most(0) {
        set(statement.modifier, proxy, "clitcpka");
        set(statement.modifier, proxy, "srvtcpka");
    }
}

/// `option redispatch [<interval>]`: without an interval, only the last retry goes elsewhere (-1).
fn redispatch(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let mut interval = -1;
    if statement.modifier == Modifier::None && !statement.arguments.is_empty() {
        let parsed = parse_integer(statement.text(0), i64::from(i32::MIN), i64::from(i32::MAX), "option redispatch");
        let Some(number) = statement.accept(0, parsed) else { return };
        interval = number as i32;
    }
    if statement.at_most(1) {
        proxy.settings.redispatch_interval = interval;
        set(statement.modifier, proxy, "redispatch");
    }
}

fn tcplog(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(clf) = common_log_format(statement) {
        choose_log(statement, proxy, LogFormatChoice::Tcp { clf });
    }
}

fn httplog(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(clf) = common_log_format(statement) {
        choose_log(statement, proxy, LogFormatChoice::Http { clf });
    }
}

/// Whether `clf` follows; `None` if an error was reported.
fn common_log_format(statement: &mut Statement) -> Option<bool> {
    match statement.text(0) {
        "" => Some(false),
        "clf" => statement.at_most(1).then_some(true),
        other => {
            let keyword = statement.keyword;
            statement.error(0, format!("'{keyword}' only supports the option 'clf', not '{other}'."));
            None
        }
    }
}

fn choose_log(statement: &mut Statement, proxy: &mut WrittenProxy, choice: LogFormatChoice) {
    if proxy.kind == SectionKind::Backend {
        let text = format!("{} : '{}' directive is ignored in backends.", proxy.title(), statement.keyword);
        return statement.warning(usize::MAX, text);
    }
    let choice = if statement.modifier == Modifier::None { choice } else { LogFormatChoice::Default };
    proxy.settings.log_format = WrittenLogFormat { choice, location: statement.location(), excerpt: None };
}

/// The plain switches as the model has them.
pub fn options_of(settings: &ProxySettings) -> ProxyOptions {
    let on = |name: &str| settings.options.get(name).copied().unwrap_or(false);
    ProxyOptions {
        abortonclose: on("abortonclose"),
        allbackups: on("allbackups"),
        contstats: on("contstats"),
        dontlognull: on("dontlognull"),
        dontlog_normal: on("dontlog-normal"),
        logasap: on("logasap"),
        log_health_checks: on("log-health-checks"),
        log_separate_errors: on("log-separate-errors"),
        nolinger: on("nolinger"),
        httpclose: settings.http.connection_mode == ConnectionMode::Close,
        tcp_smart_accept: settings.options.get("tcp-smart-accept").copied(),
        tcp_smart_connect: on("tcp-smart-connect"),
        socket_stats: on("socket-stats"),
        independent_streams: on("independent-streams"),
        redispatch_interval: (on("redispatch") && settings.redispatch_interval != 0)
            .then_some(settings.redispatch_interval),
    }
}

/// What the three `splice` options add up to in each direction: one that asks wins over one that forbids.
pub fn splice_of(settings: &ProxySettings) -> SpliceSettings {
    let written = |name: &str| settings.options.get(name).copied();
    let choice = |direction: &str| match (written(direction), written("splice-auto")) {
        (Some(true), _) | (_, Some(true)) => SpliceChoice::Always,
        (Some(false), _) | (_, Some(false)) => SpliceChoice::Never,
        (None, None) => SpliceChoice::Adaptive,
    };
    SpliceSettings { request: choice("splice-request"), response: choice("splice-response") }
}

/// Whether `option name` holds.
pub fn is_on(settings: &ProxySettings, name: &str) -> bool {
    settings.options.get(name).copied().unwrap_or(false)
}
