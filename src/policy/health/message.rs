//! The sentences that monitoring tools match on. Each was compared with what HAProxy 2.6 logs for the same event.

use super::CheckReport;
use super::status::{Outcome, description, has_code, outcome};
use crate::config::model::{Config, Proxy, Server, ServerId};
use crate::shared::server::RunState;
use std::fmt::Write;

/// Why a server changed its run state.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// Nothing to add (the check itself was logged, or slow start is over).
    Unsaid,
    /// The result of a check or of `observe`.
    Check(&'a CheckReport),
    /// Who asked for it: `changed from CLI`.
    Asked(&'a str),
    /// It follows a tracked server.
    Tracked,
}

/// Sessions and queue at the time of the change.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    pub active_servers: u32,
    pub backup_servers: u32,
    /// Sessions on the server.
    pub sessions: u32,
    /// Waiting connections that were moved by this change.
    pub requeued: u32,
    /// Still waiting for this server.
    pub queued: u32,
    /// The server is stopped after the change ("left" instead of "online").
    pub stopped: bool,
}

/// `Server b/s` or `Backup Server b/s`.
pub fn server_title(config: &Config, id: ServerId) -> String {
    let server = config.server(id);
    format!("{}Server {}", if server.backup { "Backup " } else { "" }, qualified_name(config, server))
}

/// `backend/server`
pub fn qualified_name(config: &Config, server: &Server) -> String {
    format!("{}/{}", config.proxy(server.backend).name, server.name)
}

/// ` via b/s` for a server that tracks another one.
pub fn via(config: &Config, server: &Server) -> String {
    match server.track {
        Some(tracked) => format!(" via {}", qualified_name(config, config.server(tracked))),
        None => String::new(),
    }
}

/// `, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms`
pub fn reason(report: &CheckReport) -> String {
    let mut text = format!(", reason: {}", description(report.status));
    if has_code(report.status) {
        let _ = write!(text, ", code: {}", report.code);
    }
    if !report.description.is_empty() {
        let _ = write!(text, ", info: \"{}\"", escape(&report.description));
    }
    if let Some(duration_ms) = report.duration_ms {
        let _ = write!(text, ", check duration: {duration_ms}ms");
    }
    text
}

/// What follows `is DOWN`: ` via b/s`, `, changed from CLI` or the reason.
pub fn cause(config: &Config, server: &Server, cause: Cause) -> String {
    match cause {
        Cause::Unsaid => String::new(),
        Cause::Check(report) => reason(report),
        Cause::Asked(by) => format!(", {by}"),
        Cause::Tracked => via(config, server),
    }
}

/// `. 1 active and 0 backup servers left. …`
pub fn situation(situation: &Situation) -> String {
    let Situation { active_servers, backup_servers, sessions, requeued, queued, stopped } = *situation;
    let on_backup = if active_servers == 0 && backup_servers > 0 { " Running on backup." } else { "" };
    if stopped {
        format!(
            ". {active_servers} active and {backup_servers} backup servers left.{on_backup} {sessions} sessions active, \
             {requeued} requeued, {queued} remaining in queue."
        )
    } else {
        format!(
            ". {active_servers} active and {backup_servers} backup servers online.{on_backup} {requeued} sessions \
             requeued, {queued} total in queue."
        )
    }
}

/// The run state's word in `Server b/s is …`.
pub fn run_state_word(state: RunState) -> &'static str {
    match state {
        RunState::Stopped => "DOWN",
        RunState::Stopping => "stopping",
        RunState::Starting | RunState::Running => "UP",
    }
}

/// `option log-health-checks`: the line for one check that changed something.
/// `progress` is the counter's, `draining` that the weight is 0.
pub fn health_check(
    config: &Config,
    id: ServerId,
    report: &CheckReport,
    up: bool,
    progress: (u32, u32),
    draining: bool,
) -> String {
    let server = config.server(id);
    let verdict = match outcome(report.status) {
        Outcome::Passed => "succeeded",
        Outcome::PassedConditionally => "conditionally succeeded",
        Outcome::Failed | Outcome::Neutral => "failed",
    };
    let state = match (up, draining) {
        (false, _) => "DOWN",
        (true, true) => "DRAIN",
        (true, false) => "UP",
    };
    format!(
        "Health check for {}server {} {verdict}{}, status: {}/{} {state}.",
        if server.backup { "backup " } else { "" },
        qualified_name(config, server),
        reason(report),
        progress.0,
        progress.1,
    )
}

/// `backend`, `proxy` (a `listen`) or `frontend`.
pub fn proxy_kind(proxy: &Proxy) -> &'static str {
    match (proxy.frontend.is_some(), proxy.backend.is_some()) {
        (true, true) => "proxy",
        (true, false) => "frontend",
        (false, _) => "backend",
    }
}

/// What a server said goes into a log line: nothing may end the line or the quotes early.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | 0..b' ' | 127.. => {
                let _ = write!(escaped, "<{byte:02X}>");
            }
            printable => escaped.push(char::from(printable)),
        }
    }
    escaped
}

/// The same event for standard error: HAProxy's label and its slightly other words.
pub fn for_standard_error(config: &Config, log: &crate::policy::state_log::StateLog) -> (&'static str, String) {
    if log.level == super::EMERGENCY {
        let proxy = config.proxy(log.proxy);
        return ("ALERT", format!("{} '{}' has no server available!", proxy_kind(proxy), proxy.name));
    }
    ("WARNING", log.text.clone())
}
