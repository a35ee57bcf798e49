//! `observe layer4`, `error-limit`, `on-error` (configuration.txt 5.2): connections of clients as a kind of check.

use super::change::Change;
use super::status::Outcome;
use super::{CheckReport, counter, is_checked_now};
use crate::config::model::{Observe, OnError, ServerId};
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::mailbox::Message;
use crate::shared::server::CheckStatus;
use std::sync::atomic::Ordering;

pub(super) fn success(shared: &Shared, id: ServerId, _now_us: u64) -> Vec<StateLog> {
    let errors = &shared.server(id).consecutive_errors;
    // A store only where it changes something: this runs for every connection of every worker.
    if shared.config.server(id).observe != Observe::None && errors.load(Ordering::Relaxed) != 0 {
        errors.store(0, Ordering::Relaxed);
    }
    Vec::new()
}

pub(super) fn error(shared: &Shared, id: ServerId, now_us: u64) -> Vec<StateLog> {
    let server = shared.config.server(id);
    if server.observe == Observe::None || !is_checked_now(shared, id) {
        return Vec::new();
    }
    let state = shared.server(id);
    let errors = state.consecutive_errors.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if errors < server.error_limit {
        return Vec::new();
    }
    Change::with(shared, now_us, |change| change.too_many_errors(id, errors))
}

impl Change<'_> {
    fn too_many_errors(&mut self, id: ServerId, errors: u32) {
        let server = self.shared.config.server(id);
        let Some(check) = &server.check else { return };
        let state = self.shared.server(id);
        // Another worker may have seen the same run of errors and acted on it while this one waited for the lock.
        if state.consecutive_errors.swap(0, Ordering::Relaxed) < server.error_limit {
            return;
        }
        let report = CheckReport {
            status: CheckStatus::HealthAnalysis,
            code: 0,
            duration_ms: None,
            description: format!("Detected {errors} consecutive errors, last one was: L4 unsuccessful connection"),
        };
        let health = state.health.load(Ordering::Relaxed);
        let from = match server.on_error {
            OnError::Fastinter => None,
            OnError::FailCheck => Some(health),
            // One more failed check takes it down.
            OnError::SuddenDeath => Some(health.min(check.rise.saturating_add(1))),
            OnError::MarkDown => Some(health.min(check.rise)),
        };
        if let Some(health) = from {
            self.note_result(id, &report, Outcome::Failed, counter::failed(health, check.rise));
            self.act_on_health(id, &report, Outcome::Failed);
        }
        state.health_analysis_failures.fetch_add(1, Ordering::Relaxed);
        // Every mode forces fastinter: the control thread looks at the server's schedule again.
        self.shared.control().mailbox.send(Message::CheckSoon { server: id });
    }
}
