//! A server's state in words, as the `status` column and the page show it.

use crate::config::model::ServerId;
use crate::shared::Shared;
use crate::shared::server::{RunState, admin};
use std::sync::atomic::Ordering::Relaxed;

/// What the colours of the page tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCondition {
    Up,
    /// Up, but checks have begun to fail.
    UpFailing,
    Down,
    /// Down, but checks have begun to pass.
    DownRecovering,
    NoLoadBalancing,
    Maintenance,
    Drain,
    NotChecked,
}

/// The condition and its text: `UP`, `UP 1/3`, `DOWN`, `DOWN 1/2`, `NOLB`, `DRAIN`, `MAINT`, `MAINT (via b/s)`,
/// `MAINT (resolution)`, `no check`.
pub fn server_status(shared: &Shared, id: ServerId) -> (ServerCondition, String) {
    let state = shared.server(id);
    let reference = checked_server(shared, id);
    let check = shared.config.server(reference).check.as_ref();
    let reference_state = shared.server(reference);
    let check = check.filter(|_| reference_state.check_enabled.load(Relaxed));
    let health = reference_state.health.load(Relaxed);
    let is_full = check.is_none_or(|check| health >= check.rise.saturating_add(check.fall).saturating_sub(1));

    let administrative = state.admin_state();
    if administrative & admin::RESOLUTION_MAINT != 0 {
        return (ServerCondition::Maintenance, "MAINT (resolution)".to_string());
    }
    if administrative & admin::INHERITED_MAINT != 0 {
        return (ServerCondition::Maintenance, format!("MAINT (via {})", full_name(shared, tracked(shared, id))));
    }
    if administrative & admin::MAINT != 0 {
        return (ServerCondition::Maintenance, "MAINT".to_string());
    }
    let condition = match state.run_state() {
        RunState::Running | RunState::Starting if administrative & admin::DRAIN != 0 => ServerCondition::Drain,
        RunState::Running | RunState::Starting if check.is_none() => ServerCondition::NotChecked,
        RunState::Running | RunState::Starting if is_full => ServerCondition::Up,
        RunState::Running | RunState::Starting => ServerCondition::UpFailing,
        RunState::Stopping => ServerCondition::NoLoadBalancing,
        RunState::Stopped if check.is_some() && health > 0 => ServerCondition::DownRecovering,
        RunState::Stopped => ServerCondition::Down,
    };
    let word = match condition {
        ServerCondition::Up | ServerCondition::UpFailing => "UP",
        ServerCondition::Down | ServerCondition::DownRecovering => "DOWN",
        ServerCondition::NoLoadBalancing => "NOLB",
        ServerCondition::Drain => "DRAIN",
        ServerCondition::Maintenance => "MAINT",
        ServerCondition::NotChecked => "no check",
    };
    let text = match (check, state.run_state()) {
        (Some(check), RunState::Stopped) if health > 0 => format!("{word} {health}/{}", check.rise),
        (Some(check), running) if running != RunState::Stopped && !is_full => {
            format!("{word} {}/{}", health.saturating_sub(check.rise).saturating_add(1), check.fall)
        }
        _ => word.to_string(),
    };
    (condition, text)
}

/// `backend/server`
pub fn full_name(shared: &Shared, id: ServerId) -> String {
    let server = shared.config.server(id);
    format!("{}/{}", shared.config.proxy(server.backend).name, server.name)
}

fn tracked(shared: &Shared, id: ServerId) -> ServerId {
    shared.config.server(id).track.unwrap_or(id)
}

/// The server whose checks decide this one's state: itself, or the end of its `track` chain.
pub fn checked_server(shared: &Shared, id: ServerId) -> ServerId {
    let mut at = id;
    // The configuration refuses cycles; the bound only keeps a mistake there from hanging a worker.
    for _ in 0..shared.config.servers.len() {
        match shared.config.server(at).track {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}
