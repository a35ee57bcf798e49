//! The state of servers: what checks, `observe` and administrators change, and what the log says about it.
//!
//! Every function takes [`Shared::administration`] for its duration, so changes of one backend never interleave;
//! callers must not hold it. What comes back is to be logged by the caller; sessions that must end and connections
//! that must leave a queue are told through the mailboxes.

mod admin;
mod change;
pub mod counter;
#[cfg(test)]
pub(crate) mod fixture;
pub mod message;
mod observe;
pub mod status;
#[cfg(test)]
mod tests;
pub mod weight;

pub use admin::AdminChange;

use crate::config::model::{ProxyId, ServerId};
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::server::{CheckStatus, RunState, admin as admin_bits};
use change::Change;
use message::Cause;
use status::Outcome;
use std::sync::atomic::Ordering;

/// Syslog levels of the lines made here.
pub const EMERGENCY: u8 = 0;
pub const ALERT: u8 = 1;
pub const NOTICE: u8 = 5;

/// What a finished check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    pub status: CheckStatus,
    /// HTTP status, 0 for others.
    pub code: u16,
    /// From the start of the check; `None` where no check ran (`observe`).
    pub duration_ms: Option<u64>,
    /// What the server or the kernel said; empty when there is nothing to add.
    pub description: String,
}

/// Puts the state of all servers in order before the first connection: tracked maintenance, counts of usable servers,
/// balancing. Logs nothing, as HAProxy at its start.
pub fn start(shared: &Shared, now_us: u64) {
    Change::with(shared, now_us, Change::start);
}

/// A check has ended with a verdict on the server.
pub fn check_finished(shared: &Shared, server: ServerId, report: CheckReport, now_us: u64) -> Vec<StateLog> {
    Change::with(shared, now_us, |change| change.check_finished(server, &report))
}

/// A check could not be made for want of our own resources (descriptors, ports, memory): shown as a socket error, but
/// it says nothing about the server, so its state stays.
pub fn check_impossible(shared: &Shared, server: ServerId, report: CheckReport, now_us: u64) -> Vec<StateLog> {
    Change::with(shared, now_us, |change| change.check_impossible(server, &report))
}

/// `observe layer4`: a connection to the server failed.
pub fn observe_error(shared: &Shared, server: ServerId, now_us: u64) -> Vec<StateLog> {
    observe::error(shared, server, now_us)
}

/// `observe layer4`: a connection to the server succeeded. Cheap when nothing was counted: no lock.
pub fn observe_success(shared: &Shared, server: ServerId, now_us: u64) -> Vec<StateLog> {
    observe::success(shared, server, now_us)
}

/// What the runtime socket or the stats page asks for. `by` ends the sentence of a forced health change, as in
/// `Server b/s is DOWN, changed from CLI`. The error is HAProxy's answer.
pub fn set_admin(
    shared: &Shared,
    server: ServerId,
    asked: AdminChange,
    now_us: u64,
    by: &str,
) -> Result<Vec<StateLog>, String> {
    admin::set(shared, server, asked, now_us, by)
}

/// Moves servers that warm up one step on and ends the warm-up of those that are done. Call it about once a second.
/// Returns also whether any server is still warming up.
pub fn slowstart_tick(shared: &Shared, now_us: u64) -> (Vec<StateLog>, bool) {
    // The common case must not take the lock once a second for nothing.
    if !shared.servers.iter().any(|state| state.run_state() == RunState::Starting) {
        return (Vec::new(), false);
    }
    let logs = Change::with(shared, now_us, Change::slowstart_tick);
    (logs, shared.servers.iter().any(|state| state.run_state() == RunState::Starting))
}

/// Milliseconds the server has been down in all, the present downtime included (`downtime` is this in seconds).
pub fn server_downtime_ms(shared: &Shared, server: ServerId, now_us: u64) -> u64 {
    let state = shared.server(server);
    let now = match state.run_state() {
        RunState::Stopped => now_us.saturating_sub(state.last_change_us.load(Ordering::Relaxed)) / 1000,
        _ => 0,
    };
    state.downtime_ms.load(Ordering::Relaxed).saturating_add(now)
}

/// The same for a whole backend, which is down while it has servers and none is usable.
pub fn backend_downtime_ms(shared: &Shared, backend: ProxyId, now_us: u64) -> u64 {
    let state = shared.proxy(backend);
    let now = match backend_is_up(shared, backend) {
        true => 0,
        false => now_us.saturating_sub(state.last_change_us.load(Ordering::Relaxed)) / 1000,
    };
    state.downtime_ms.load(Ordering::Relaxed).saturating_add(now)
}

/// Some server is usable, or there is none to be down (HAProxy shows such a backend UP).
pub fn backend_is_up(shared: &Shared, backend: ProxyId) -> bool {
    let state = shared.proxy(backend);
    let usable = state.active_servers.load(Ordering::Relaxed) + state.backup_servers.load(Ordering::Relaxed) > 0;
    usable || shared.config.proxy(backend).backend.as_ref().is_none_or(|backend| backend.servers.is_empty())
}

/// Whether checks of this server are to be made now: configured, enabled, and not in maintenance.
pub fn is_checked_now(shared: &Shared, server: ServerId) -> bool {
    let state = shared.server(server);
    shared.config.server(server).check.is_some()
        && state.check_enabled.load(Ordering::Relaxed)
        && state.admin_state() & admin_bits::MAINT == 0
}

impl Change<'_> {
    fn check_finished(&mut self, id: ServerId, report: &CheckReport) {
        let Some(check) = &self.shared.config.server(id).check else { return };
        // Maintenance began while the check was under way, or somebody switched checks off: the result is void.
        if !is_checked_now(self.shared, id) {
            return;
        }
        let (rise, fall) = (check.rise, check.fall);
        let state = self.shared.server(id);
        let result = outcome_of(report);
        let health = state.health.load(Ordering::Relaxed);
        let step = match result {
            Outcome::Neutral => return,
            Outcome::Failed => counter::failed(health, rise),
            Outcome::Passed | Outcome::PassedConditionally => counter::passed(health, rise, fall),
        };
        self.note_result(id, report, result, step);
        self.act_on_health(id, report, result);
    }

    fn check_impossible(&mut self, id: ServerId, report: &CheckReport) {
        let before = self.shared.server(id).check_status.load(Ordering::Relaxed);
        self.store_report(id, report);
        if before != report.status as u8 {
            let config = &self.shared.config;
            let server = config.server(id);
            let text = format!(
                "Health check for {} could not run{}.",
                message::qualified_name(config, server),
                message::reason(report)
            );
            self.log(server.backend, NOTICE, text);
        }
    }

    /// Stores the result and the counter, and writes the `option log-health-checks` line.
    fn note_result(&mut self, id: ServerId, report: &CheckReport, result: Outcome, step: counter::Step) {
        let config = &self.shared.config;
        let server = config.server(id);
        let Some(check) = &server.check else { return };
        let state = self.shared.server(id);
        let previous = state.check_status.load(Ordering::Relaxed);
        self.store_report(id, report);
        state.health.store(step.health, Ordering::Relaxed);
        match result {
            Outcome::Failed if step.moved => {
                state.check_failures.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Passed | Outcome::PassedConditionally => state.consecutive_errors.store(0, Ordering::Relaxed),
            _ => {}
        }
        if config.proxy(server.backend).options.log_health_checks && (step.moved || previous != report.status as u8) {
            let text = message::health_check(
                config,
                id,
                report,
                step.health >= check.rise,
                counter::progress(step.health, check.rise, check.fall),
                state.user_weight.load(Ordering::Relaxed) == 0,
            );
            self.log(server.backend, NOTICE, text);
        }
    }

    fn store_report(&mut self, id: ServerId, report: &CheckReport) {
        let state = self.shared.server(id);
        state.check_status.store(report.status as u8, Ordering::Relaxed);
        state.check_code.store(report.code, Ordering::Relaxed);
        state.check_duration_ms.store(report.duration_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut description = state.check_description.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        description.clone_from(&report.description);
    }

    /// Turns the server when its counter has reached an end.
    fn act_on_health(&mut self, id: ServerId, report: &CheckReport, result: Outcome) {
        let config = &self.shared.config;
        let server = config.server(id);
        let Some(check) = &server.check else { return };
        let state = self.shared.server(id);
        let health = state.health.load(Ordering::Relaxed);
        // The check's own line has said why already.
        let cause = match config.proxy(server.backend).options.log_health_checks {
            true => Cause::Unsaid,
            false => Cause::Check(report),
        };
        match (result, state.run_state()) {
            (Outcome::Failed, _) if health == 0 => self.stop(id, cause),
            (Outcome::Passed, RunState::Stopped | RunState::Stopping) if health >= check.rise => self.run(id, cause),
            (Outcome::PassedConditionally, RunState::Starting | RunState::Running) => self.stopping(id, cause),
            _ => {}
        }
    }
}

fn outcome_of(report: &CheckReport) -> Outcome {
    status::outcome(report.status)
}
