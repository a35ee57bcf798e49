//! One server's change of state with everything that follows from it: the backend's counts and downtime, balancing,
//! queues, sessions, tracking servers, log lines. The order of effects and lines is HAProxy's.

use super::message::{self, Cause, Situation};
use super::{ALERT, EMERGENCY, NOTICE, weight};
use crate::config::model::{ProxyId, ServerId};
use crate::policy::balance;
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::mailbox::{Message, SessionKill};
use crate::shared::server::{RunState, admin};
use std::sync::atomic::Ordering;

/// A change under way; exists only while the administration lock is held.
pub(super) struct Change<'a> {
    pub shared: &'a Shared,
    pub now_us: u64,
    logs: Vec<StateLog>,
    /// Lines are kept back while the process starts.
    starting: bool,
}

impl<'a> Change<'a> {
    /// Runs `what` with the administration lock held and returns its log lines.
    pub fn with(shared: &'a Shared, now_us: u64, what: impl FnOnce(&mut Change<'a>)) -> Vec<StateLog> {
        // A panic elsewhere must not freeze the states of all servers for ever: the data behind this lock are atomics,
        // each valid by itself.
        let _held = shared.administration.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut change = Change { shared, now_us, logs: Vec::new(), starting: false };
        what(&mut change);
        change.logs
    }

    pub fn log(&mut self, proxy: ProxyId, level: u8, text: String) {
        if !self.starting {
            self.logs.push(StateLog { proxy, level, text });
        }
    }

    /// The first arrangement: servers in maintenance by configuration, those that track them, and all counts.
    pub fn start(&mut self) {
        self.starting = true;
        let config = &self.shared.config;
        for number in 0..config.servers.len() as u32 {
            let id = ServerId(number);
            let bits = self.shared.server(id).admin_state();
            if bits & admin::MAINT != 0 {
                self.tell_trackers(id, |change, tracker| change.add_admin(tracker, admin::INHERITED_MAINT));
            }
        }
        balance::rebuild_all(self.shared);
    }

    // Run states.

    /// Down, unless it is already or an administrator holds it.
    pub fn stop(&mut self, id: ServerId, cause: Cause) {
        let state = self.shared.server(id);
        if state.admin_state() & admin::MAINT != 0 || state.run_state() == RunState::Stopped {
            return;
        }
        self.apply_run_state(id, RunState::Stopped, cause);
        self.tell_trackers(id, |change, tracker| change.stop(tracker, Cause::Tracked));
    }

    /// Up (through slow start where configured), unless it is already or an administrator holds it.
    pub fn run(&mut self, id: ServerId, cause: Cause) {
        let state = self.shared.server(id);
        if state.admin_state() & admin::MAINT != 0
            || matches!(state.run_state(), RunState::Running | RunState::Starting)
        {
            return;
        }
        let next = self.first_up_state(id);
        self.apply_run_state(id, next, cause);
        self.tell_trackers(id, |change, tracker| change.run(tracker, Cause::Tracked));
    }

    /// No new connections (NOLB), those there go on.
    pub fn stopping(&mut self, id: ServerId, cause: Cause) {
        let state = self.shared.server(id);
        if state.admin_state() & admin::MAINT != 0 || state.run_state() == RunState::Stopping {
            return;
        }
        self.apply_run_state(id, RunState::Stopping, cause);
        self.tell_trackers(id, |change, tracker| change.stopping(tracker, Cause::Tracked));
    }

    /// One step of slow start for every server that warms up.
    pub fn slowstart_tick(&mut self) {
        for number in 0..self.shared.config.servers.len() as u32 {
            let id = ServerId(number);
            let state = self.shared.server(id);
            if state.run_state() != RunState::Starting {
                continue;
            }
            let slowstart = self.shared.config.server(id).slowstart.unwrap_or_default();
            let since = state.slowstart_since_us.load(Ordering::Relaxed);
            if u128::from(self.now_us.saturating_sub(since)) >= slowstart.as_micros() {
                self.apply_run_state(id, RunState::Running, Cause::Unsaid);
            } else {
                self.apply_weight(id);
            }
        }
    }

    fn first_up_state(&self, id: ServerId) -> RunState {
        match self.shared.config.server(id).slowstart {
            Some(time) if !time.is_zero() && !self.starting => RunState::Starting,
            _ => RunState::Running,
        }
    }

    fn apply_run_state(&mut self, id: ServerId, next: RunState, cause: Cause) {
        let config = &self.shared.config;
        let (server, state) = (config.server(id), self.shared.server(id));
        let before = state.run_state();
        let paused = self.was_paused(id);
        let usable_before = self.usable_servers(server.backend);
        self.store_run_state(id, next);
        self.compute_weight(id);
        let requeued = self.rebuild(id);
        if next == RunState::Stopped && server.on_marked_down_shutdown_sessions {
            self.shut_sessions_down(id);
        }
        if matches!(next, RunState::Starting | RunState::Running) {
            self.shut_backup_sessions_down(id);
        }
        let title = message::server_title(config, id);
        let situation = self.situation(id, requeued);
        let text = format!(
            "{title} is {}{}{}",
            message::run_state_word(next),
            message::cause(config, server, cause),
            message::situation(&situation)
        );
        let level = if next == RunState::Stopped && !paused { ALERT } else { NOTICE };
        self.log(server.backend, level, text);
        if next == RunState::Stopped && before != RunState::Stopped {
            state.down_transitions.fetch_add(1, Ordering::Relaxed);
        }
        self.account_backend(server.backend, usable_before);
        self.remind_of_drain(id);
    }

    /// A change of weight alone, by an administrator or by slow start.
    pub fn apply_weight(&mut self, id: ServerId) {
        let server = self.shared.config.server(id);
        let usable_before = self.usable_servers(server.backend);
        let before = self.shared.server(id).effective_weight.load(Ordering::Relaxed);
        let now = self.compute_weight(id);
        if now == before {
            return;
        }
        self.rebuild(id);
        if before == 0 {
            self.shut_backup_sessions_down(id);
        }
        self.account_backend(server.backend, usable_before);
        self.remind_of_drain(id);
    }

    // Administrative states.

    /// Sets a bit of [`admin`]; tracking servers inherit it. A server that has the bit already stays untouched.
    pub fn add_admin(&mut self, id: ServerId, bit: u8) {
        let before = self.shared.server(id).admin_state();
        if before & bit != 0 {
            return;
        }
        self.apply_admin(id, before | bit);
        for kind in [admin::MAINT, admin::DRAIN] {
            // An equal state was there already (forced or inherited): trackers know.
            if bit & kind != 0 && before & kind == 0 {
                let inherited = if kind == admin::MAINT { admin::INHERITED_MAINT } else { admin::INHERITED_DRAIN };
                self.tell_trackers(id, |change, tracker| change.add_admin(tracker, inherited));
            }
        }
    }

    /// Clears a bit of [`admin`], for trackers too unless the other reason for the same state remains.
    pub fn remove_admin(&mut self, id: ServerId, bit: u8) {
        let before = self.shared.server(id).admin_state();
        if before & bit == 0 {
            return;
        }
        let after = before & !bit;
        self.apply_admin(id, after);
        for kind in [admin::MAINT, admin::DRAIN] {
            if bit & kind != 0 && after & kind == 0 {
                let inherited = if kind == admin::MAINT { admin::INHERITED_MAINT } else { admin::INHERITED_DRAIN };
                self.tell_trackers(id, |change, tracker| change.remove_admin(tracker, inherited));
            }
        }
    }

    fn apply_admin(&mut self, id: ServerId, after: u8) {
        let before = self.shared.server(id).admin_state();
        match (before & admin::MAINT != 0, after & admin::MAINT != 0) {
            (false, true) => self.enter_maintenance(id, after),
            (true, false) => self.leave_maintenance(id, before, after),
            (true, true) => self.stay_in_maintenance(id, before, after),
            (false, false) => {}
        }
        if after & admin::MAINT == 0 {
            // Drain is told only where it has effect: not under maintenance, but also right after it.
            let drained = before & admin::MAINT == 0 && before & admin::DRAIN != 0;
            match (drained, after & admin::DRAIN != 0) {
                (false, true) if before & admin::DRAIN == 0 => self.enter_drain(id, after),
                (true, false) => self.leave_drain(id, after),
                (_, true) => {
                    self.store_admin(id, after);
                    self.remind_of_drain(id);
                }
                (_, false) => {}
            }
        }
        self.store_admin(id, after);
    }

    fn enter_maintenance(&mut self, id: ServerId, after: u8) {
        let config = &self.shared.config;
        let (server, state) = (config.server(id), self.shared.server(id));
        let title = message::server_title(config, id);
        let via = if after & admin::FORCED_MAINT != 0 { String::new() } else { message::via(config, server) };
        if state.run_state() == RunState::Stopped {
            self.store_admin(id, after);
            return self.log(server.backend, NOTICE, format!("{title} was DOWN and now enters maintenance{via}."));
        }
        let usable_before = self.usable_servers(server.backend);
        let level = if self.was_paused(id) { NOTICE } else { ALERT };
        self.store_admin(id, after);
        state.health.store(0, Ordering::Relaxed);
        self.store_run_state(id, RunState::Stopped);
        let requeued = self.rebuild(id);
        if server.on_marked_down_shutdown_sessions {
            self.shut_sessions_down(id);
        }
        let situation = self.situation(id, requeued);
        let text = format!("{title} is going DOWN for maintenance{via}{}", message::situation(&situation));
        self.log(server.backend, level, text);
        state.down_transitions.fetch_add(1, Ordering::Relaxed);
        self.account_backend(server.backend, usable_before);
    }

    fn leave_maintenance(&mut self, id: ServerId, before: u8, after: u8) {
        let config = &self.shared.config;
        let (server, state) = (config.server(id), self.shared.server(id));
        let usable_before = self.usable_servers(server.backend);
        self.store_admin(id, after);
        if let Some(check) = &server.check
            && state.check_enabled.load(Ordering::Relaxed)
        {
            // Up again, but the next result decides.
            state.health.store(check.rise, Ordering::Relaxed);
        }
        let next = match server.track.map(|tracked| self.shared.server(tracked).run_state()) {
            Some(RunState::Stopped) => RunState::Stopped,
            Some(RunState::Stopping) => RunState::Stopping,
            _ => self.first_up_state(id),
        };
        self.store_run_state(id, next);
        self.compute_weight(id);
        self.rebuild(id);
        let (up, ready) = (
            if next == RunState::Stopped { "DOWN" } else { "UP" },
            if after & admin::DRAIN != 0 { "DRAIN" } else { "READY" },
        );
        let leaving = match before {
            bits if bits & admin::FORCED_MAINT != 0 => "leaving forced maintenance",
            bits if bits & admin::RESOLUTION_MAINT != 0 => "resolves again",
            _ => "leaving maintenance",
        };
        let title = message::server_title(config, id);
        self.log(server.backend, NOTICE, format!("{title} is {up}/{ready} ({leaving})."));
        self.account_backend(server.backend, usable_before);
        self.shut_backup_sessions_down(id);
    }

    fn stay_in_maintenance(&mut self, id: ServerId, before: u8, after: u8) {
        let config = &self.shared.config;
        let server = config.server(id);
        let gone = before & !after;
        let title = message::server_title(config, id);
        if gone & admin::FORCED_MAINT != 0 {
            let via = message::via(config, server);
            let text = format!("{title} is leaving forced maintenance but remains in maintenance{via}.");
            self.log(server.backend, NOTICE, text);
        } else if gone & admin::INHERITED_MAINT != 0 {
            self.log(server.backend, NOTICE, format!("{title} remains in forced maintenance."));
        }
        self.store_admin(id, after);
    }

    fn enter_drain(&mut self, id: ServerId, after: u8) {
        let config = &self.shared.config;
        let server = config.server(id);
        let usable_before = self.usable_servers(server.backend);
        self.store_admin(id, after);
        self.touch_last_change(id);
        let requeued = self.rebuild(id);
        let via = if after & admin::FORCED_DRAIN != 0 { String::new() } else { message::via(config, server) };
        let situation = self.situation(id, requeued);
        let title = message::server_title(config, id);
        let text = format!("{title} enters drain state{via}{}", message::situation(&situation));
        self.log(server.backend, NOTICE, text);
        self.account_backend(server.backend, usable_before);
    }

    fn leave_drain(&mut self, id: ServerId, after: u8) {
        let config = &self.shared.config;
        let (server, state) = (config.server(id), self.shared.server(id));
        let usable_before = self.usable_servers(server.backend);
        self.store_admin(id, after);
        self.touch_last_change(id);
        self.compute_weight(id);
        self.rebuild(id);
        let up = if state.run_state() == RunState::Stopped { "DOWN" } else { "UP" };
        let title = message::server_title(config, id);
        self.log(server.backend, NOTICE, format!("{title} is {up} (leaving forced drain)."));
        self.account_backend(server.backend, usable_before);
        self.shut_backup_sessions_down(id);
    }

    /// HAProxy repeats that a server drains whenever anything else about it changes.
    fn remind_of_drain(&mut self, id: ServerId) {
        let config = &self.shared.config;
        let server = config.server(id);
        let bits = self.shared.server(id).admin_state();
        if bits & admin::MAINT != 0 || bits & admin::DRAIN == 0 {
            return;
        }
        let title = message::server_title(config, id);
        let text = match bits & admin::FORCED_DRAIN != 0 {
            true => format!("{title} remains in forced drain mode."),
            false => {
                format!("{title} is leaving forced drain but remains in drain mode{}.", message::via(config, server))
            }
        };
        self.log(server.backend, NOTICE, text);
    }

    // Pieces.

    fn tell_trackers(&mut self, id: ServerId, tell: impl Fn(&mut Self, ServerId)) {
        for number in 0..self.shared.config.servers.len() as u32 {
            if self.shared.config.servers[number as usize].track == Some(id) && number != id.0 {
                tell(self, ServerId(number));
            }
        }
    }

    fn was_paused(&self, id: ServerId) -> bool {
        let state = self.shared.server(id);
        state.run_state() == RunState::Stopping || state.admin_state() & admin::DRAIN != 0
    }

    fn store_admin(&mut self, id: ServerId, bits: u8) {
        self.shared.server(id).admin_state.store(bits, Ordering::Relaxed);
    }

    fn touch_last_change(&mut self, id: ServerId) {
        self.shared.server(id).last_change_us.store(self.now_us, Ordering::Relaxed);
    }

    fn store_run_state(&mut self, id: ServerId, next: RunState) {
        let state = self.shared.server(id);
        let before = state.run_state();
        if before == next {
            return;
        }
        if before == RunState::Stopped {
            let down_us = self.now_us.saturating_sub(state.last_change_us.load(Ordering::Relaxed));
            state.downtime_ms.fetch_add(down_us / 1000, Ordering::Relaxed);
        }
        state.run_state.store(next as u8, Ordering::Relaxed);
        let warming = next == RunState::Starting;
        state.slowstart_since_us.store(if warming { self.now_us.max(1) } else { 0 }, Ordering::Relaxed);
        self.touch_last_change(id);
    }

    /// Stores and returns the effective weight for the present state.
    fn compute_weight(&mut self, id: ServerId) -> u32 {
        let config = &self.shared.config;
        let (server, state) = (config.server(id), self.shared.server(id));
        let dynamic = config.proxy(server.backend).backend.as_ref().is_some_and(weight::is_dynamic);
        let warmed_us = self.now_us.saturating_sub(state.slowstart_since_us.load(Ordering::Relaxed));
        let user_weight = state.user_weight.load(Ordering::Relaxed);
        let effective = weight::effective(user_weight, state.run_state(), server.slowstart, warmed_us, dynamic);
        state.effective_weight.store(effective, Ordering::Relaxed);
        effective
    }

    fn usable_servers(&self, backend: ProxyId) -> (u32, u32) {
        let state = self.shared.proxy(backend);
        (state.active_servers.load(Ordering::Relaxed), state.backup_servers.load(Ordering::Relaxed))
    }

    /// Lets balancing see the new picture: it counts the usable servers, empties the queues of unusable ones and serves
    /// those of the others. Returns how many connections left the queue they waited in because of it.
    fn rebuild(&mut self, id: ServerId) -> u32 {
        let backend = self.shared.config.server(id).backend;
        let (state, proxy) = (self.shared.server(id), self.shared.proxy(backend));
        let queued = if state.is_usable() { &proxy.queued } else { &state.queued };
        let before = queued.load(Ordering::SeqCst);
        balance::rebuild(self.shared, backend);
        before.saturating_sub(queued.load(Ordering::SeqCst))
    }

    /// A backend that lost its last usable server, or got one again.
    fn account_backend(&mut self, backend: ProxyId, before: (u32, u32)) {
        let state = self.shared.proxy(backend);
        let (was_up, is_up) = (before != (0, 0), self.usable_servers(backend) != (0, 0));
        if was_up && !is_up {
            state.last_change_us.store(self.now_us, Ordering::Relaxed);
            state.down_transitions.fetch_add(1, Ordering::Relaxed);
            let proxy = self.shared.config.proxy(backend);
            let text = format!("{} {} has no server available!", message::proxy_kind(proxy), proxy.name);
            self.log(backend, EMERGENCY, text);
        } else if !was_up && is_up {
            let down_us = self.now_us.saturating_sub(state.last_change_us.load(Ordering::Relaxed));
            state.downtime_ms.fetch_add(down_us / 1000, Ordering::Relaxed);
            state.last_change_us.store(self.now_us, Ordering::Relaxed);
        }
    }

    fn situation(&self, id: ServerId, requeued: u32) -> Situation {
        let state = self.shared.server(id);
        let (active_servers, backup_servers) = self.usable_servers(self.shared.config.server(id).backend);
        Situation {
            active_servers,
            backup_servers,
            sessions: state.served.load(Ordering::Relaxed),
            requeued,
            queued: state.queued.load(Ordering::Relaxed),
            stopped: state.run_state() == RunState::Stopped,
        }
    }

    fn shut_sessions_down(&mut self, id: ServerId) {
        self.broadcast(Message::ShutdownServerSessions { server: id, why: SessionKill::Down });
    }

    /// `on-marked-up shutdown-backup-sessions`: only for an active server that can take connections.
    fn shut_backup_sessions_down(&mut self, id: ServerId) {
        let server = self.shared.config.server(id);
        if server.on_marked_up_shutdown_backup_sessions && !server.backup && self.shared.server(id).is_usable() {
            self.broadcast(Message::ShutdownBackupSessions { backend: server.backend });
        }
    }

    fn broadcast(&mut self, message: Message) {
        if self.starting {
            return;
        }
        // The last one is the control thread's, which has no sessions.
        let workers = self.shared.workers.len().saturating_sub(1);
        for worker in self.shared.workers.iter().take(workers) {
            worker.mailbox.send(message.clone());
        }
    }
}
