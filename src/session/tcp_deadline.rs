//! What a TCP session waits for, and how long (configuration.txt section 4.2 `timeout …`).
//!
//! Activity only notes a time; the slot's timer asks here when it fires.

use super::surroundings::Surroundings;
use super::tcp::{State, Step, TcpSession};
use super::termination::{Cause, Phase, Termination};
use crate::config::model::Config;
use crate::io::Driver;
use std::time::Duration;

/// HAProxy's turn-around delay before the same server is tried again.
const TURN_AROUND: Duration = Duration::from_secs(1);
/// How often `option contstats` brings the byte counters up to date.
const CONTSTATS_US: u64 = 5_000_000;

fn after(since_us: u64, timeout: Option<Duration>) -> Option<u64> {
    timeout.map(|timeout| since_us.saturating_add(timeout.as_micros().min(u64::MAX as u128) as u64))
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl TcpSession {
    /// When the present wait is over, monotonic microseconds; `None`: never.
    pub fn deadline_us(&self, config: &Config) -> Option<u64> {
        let backend = self.backend.map(|backend| config.proxy(backend).timeouts).unwrap_or_default();
        let client_us = self.client_deadline_us(config);
        match self.state {
            State::Inspecting => earlier(client_us, self.inspection_deadline_us()),
            State::Queued(_) => earlier(client_us, after(self.since_us, backend.queue.or(backend.connect))),
            State::Connecting => earlier(client_us, after(self.since_us, backend.connect)),
            State::TurnAround => {
                let delay = backend.connect.map_or(TURN_AROUND, |connect| connect.min(TURN_AROUND));
                earlier(client_us, after(self.since_us, Some(delay)))
            }
            State::Abandoning | State::Closing => None,
            State::Established => {
                let both = earlier(client_us, self.server_deadline_us(config));
                let both = earlier(both, self.inspection_deadline_us());
                match config.proxy(self.accepted.frontend).options.contstats {
                    true => earlier(both, Some(self.since_us + CONTSTATS_US)),
                    false => both,
                }
            }
        }
    }

    /// The client's inactivity: it owes us bytes, or does not take ours.
    fn client_deadline_us(&self, config: &Config) -> Option<u64> {
        if !self.request.is_receiving() && !self.response.has_pending() {
            return None;
        }
        let timeouts = &config.proxy(self.accepted.frontend).timeouts;
        let tunnel = self
            .backend
            .filter(|_| matches!(self.state, State::Established))
            .and_then(|backend| config.proxy(backend).timeouts.tunnel);
        // Half-closed towards the client: client-fin, where it is set, replaces the others.
        let half_closed = if self.response.ended() { timeouts.client_fin } else { None };
        self.side_deadline_us(self.client_active_us, half_closed, tunnel, timeouts.client)
    }

    fn server_deadline_us(&self, config: &Config) -> Option<u64> {
        if !self.response.is_receiving() && !self.request.has_pending() {
            return None;
        }
        let timeouts = self.backend.map(|backend| config.proxy(backend).timeouts).unwrap_or_default();
        let half_closed = if self.request.ended() { timeouts.server_fin } else { None };
        self.side_deadline_us(self.server_active_us, half_closed, timeouts.tunnel, timeouts.server)
    }

    /// One side's deadline. A tunnel is inactive only when both directions are (4.2 `timeout tunnel`), so that
    /// time-out counts from the last activity of either side; the others are about one side alone.
    fn side_deadline_us(
        &self,
        active_us: u64,
        half_closed: Option<Duration>,
        tunnel: Option<Duration>,
        alone: Option<Duration>,
    ) -> Option<u64> {
        match (half_closed, tunnel) {
            (None, Some(tunnel)) => after(self.client_active_us.max(self.server_active_us), Some(tunnel)),
            (half_closed, _) => after(active_us, half_closed.or(alone)),
        }
    }

    /// The slot's timer fired.
    pub fn timer_fired<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let now_us = around.now.monotonic_us;
        let config = around.config().clone();
        if self.deadline_us(&config).is_none_or(|deadline_us| deadline_us > now_us) {
            return Step::Continue; // there was activity since it was set
        }
        let over = |deadline: Option<u64>| deadline.is_some_and(|deadline_us| deadline_us <= now_us);
        if !matches!(self.state, State::Abandoning | State::Closing) && over(self.client_deadline_us(&config)) {
            self.count_abort(around, true);
            let phase = self.phase();
            return self.over(around, Termination::new(Cause::ClientTimeout, phase));
        }
        match self.state {
            State::Inspecting => self.inspect_request(around),
            State::Queued(_) => self.queue_timed_out(around),
            State::Connecting => self.connect_timed_out(around),
            State::TurnAround => self.try_again(around),
            State::Abandoning | State::Closing => Step::Continue,
            State::Established => {
                if over(self.server_deadline_us(&config)) {
                    self.count_abort(around, false);
                    self.over(around, Termination::new(Cause::ServerTimeout, Phase::Data))
                } else if over(self.inspection_deadline_us()) {
                    self.inspect_response(around)
                } else {
                    self.since_us = now_us;
                    self.book_bytes(around);
                    Step::Continue
                }
            }
        }
    }
}
