//! What administrators may ask for: runtime socket (management.txt 9.3 `set server`) and stats page.

use super::change::Change;
use super::message::Cause;
use super::{counter, weight};
use crate::config::model::ServerId;
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::server::{RunState, admin};
use std::sync::atomic::Ordering;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminChange {
    /// Out of maintenance and drain (`set server … state ready`, `enable server`).
    Ready,
    /// No new connections, checks go on.
    Drain,
    /// Down, checks pause (`set server … state maint`, `disable server`).
    Maint,
    /// Forced check states; the next checks may change them again.
    HealthUp,
    HealthStopping,
    HealthDown,
    EnableChecks,
    DisableChecks,
    /// `N` (0–256) or `N%` of the configured weight, as written.
    Weight(String),
}

pub(super) fn set(
    shared: &Shared,
    id: ServerId,
    asked: AdminChange,
    now_us: u64,
    by: &str,
) -> Result<Vec<StateLog>, String> {
    let server = shared.config.server(id);
    let state = shared.server(id);
    let health = matches!(asked, AdminChange::HealthUp | AdminChange::HealthStopping | AdminChange::HealthDown);
    if health && server.track.is_some() {
        return Err("cannot change health on a tracking server.".to_string());
    }
    if matches!(asked, AdminChange::EnableChecks) && server.check.is_none() {
        return Err("Health check was not configured on this server, cannot enable.".to_string());
    }
    let new_weight = match &asked {
        AdminChange::Weight(text) => Some(weight::parse(text, server.weight)?),
        _ => None,
    };
    let logs = Change::with(shared, now_us, |change| match asked {
        AdminChange::Ready => {
            change.remove_admin(id, admin::FORCED_DRAIN);
            change.remove_admin(id, admin::FORCED_MAINT);
        }
        AdminChange::Drain => {
            change.add_admin(id, admin::FORCED_DRAIN);
            change.remove_admin(id, admin::FORCED_MAINT);
        }
        AdminChange::Maint => {
            change.add_admin(id, admin::FORCED_MAINT);
            change.remove_admin(id, admin::FORCED_DRAIN);
        }
        AdminChange::HealthUp => {
            change.force_health(id, RunState::Running);
            change.run(id, Cause::Asked(by));
        }
        AdminChange::HealthStopping => {
            change.force_health(id, RunState::Stopping);
            change.stopping(id, Cause::Asked(by));
        }
        AdminChange::HealthDown => {
            change.force_health(id, RunState::Stopped);
            change.stop(id, Cause::Asked(by));
        }
        AdminChange::EnableChecks => state.check_enabled.store(true, Ordering::Relaxed),
        AdminChange::DisableChecks => state.check_enabled.store(false, Ordering::Relaxed),
        AdminChange::Weight(_) => {
            if let Some(weight) = new_weight {
                state.user_weight.store(weight, Ordering::Relaxed);
                change.apply_weight(id);
            }
        }
    });
    Ok(logs)
}

impl Change<'_> {
    /// Moves the counter to the end that belongs to the forced state, so that checks go on from there.
    fn force_health(&mut self, id: ServerId, to: RunState) {
        let state = self.shared.server(id);
        if let Some(check) = &self.shared.config.server(id).check
            && state.check_enabled.load(Ordering::Relaxed)
        {
            let health = if to == RunState::Stopped { 0 } else { counter::full(check.rise, check.fall) };
            state.health.store(health, Ordering::Relaxed);
        }
    }
}
