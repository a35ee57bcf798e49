//! What an HTTP session waits for, and how long (configuration.txt section 4.2 `timeout …`).
//!
//! Activity only notes a time; the slot's timer asks here when it fires.

use super::answer::LINGER_US;
use super::work::Work;
use super::{HttpSession, Stage};
use crate::config::model::{Config, Timeouts};
use crate::io::Driver;
use crate::session::http::request::milliseconds;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};
use std::time::Duration;

/// HAProxy's turn-around delay before the same server is tried again.
const TURN_AROUND: Duration = Duration::from_secs(1);

fn after(since_us: u64, timeout: Option<Duration>) -> Option<u64> {
    timeout.map(|timeout| since_us.saturating_add(timeout.as_micros().min(u64::MAX as u128) as u64))
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Work {
    /// HAProxy tells a tarpit's time as that of a queue.
    pub(super) fn note_tarpit(&mut self, now_us: u64) {
        self.termination = Some(Termination::new(Cause::Proxy, Phase::Tarpit));
        self.exchange.times.request_ms = -1;
        self.exchange.times.queue_ms = milliseconds(now_us.saturating_sub(self.head_us));
    }
}

impl HttpSession {
    /// When the present wait is over, monotonic microseconds; `None`: never.
    pub fn deadline_us(&self, config: &Config) -> Option<u64> {
        let timeouts = &config.proxy(self.accepted.frontend).timeouts;
        match &self.stage {
            Stage::Closing | Stage::Abandoning => None,
            Stage::Lingering { since_us, .. } => Some(since_us + LINGER_US),
            Stage::Idle if self.facts.exchanges == 0 => {
                earlier(after(self.accepted.monotonic_us, timeouts.http_request), self.client_deadline(timeouts))
                    .or(after(self.accepted.monotonic_us, timeouts.http_keep_alive))
            }
            Stage::Idle => {
                let wait = timeouts.http_keep_alive.or(timeouts.http_request).or(timeouts.client);
                after(self.idle_since_us, wait)
            }
            _ => {
                let work = self.work.as_deref()?;
                self.exchange_deadline(config, timeouts, work)
            }
        }
    }

    fn client_deadline(&self, timeouts: &Timeouts) -> Option<u64> {
        after(self.client.active_us, timeouts.client)
    }

    fn exchange_deadline(&self, config: &Config, timeouts: &Timeouts, work: &Work) -> Option<u64> {
        let backend = work.exchange.backend.map(|backend| config.proxy(backend).timeouts).unwrap_or_default();
        match &self.stage {
            Stage::Head => {
                earlier(after(self.request_since_us(work), timeouts.http_request), self.client_deadline(timeouts))
            }
            Stage::Body { until_us, .. } => earlier(Some(*until_us), self.client_deadline(timeouts)),
            Stage::Tarpit { until_us, .. } => Some(*until_us),
            Stage::Queued(_) => after(work.since_us, backend.queue.or(backend.connect)),
            Stage::Connecting => after(work.since_us, backend.connect),
            Stage::TurnAround => {
                let delay = backend.connect.map_or(TURN_AROUND, |connect| connect.min(TURN_AROUND));
                after(work.since_us, Some(delay))
            }
            Stage::Response => earlier(self.upload_deadline(timeouts, work), self.server_deadline(&backend, work)),
            Stage::HoldingResponse => earlier(Some(work.held_response.until_us), self.server_deadline(&backend, work)),
            Stage::Bodies if work.is_tunnel => {
                let tunnel = work.exchange.timeouts.tunnel.or(backend.tunnel);
                let client = self.client_wait(timeouts, work);
                let half_closed = |fin: Option<Duration>, shut: bool| if shut { fin } else { None };
                let of_client = half_closed(timeouts.client_fin, work.is_response_shut).or(tunnel).or(client);
                let of_server = half_closed(backend.server_fin, work.is_request_shut)
                    .or(tunnel)
                    .or(self.server_wait(&backend, work));
                let last_us = self.client.active_us.max(work.server_active_us);
                earlier(after(last_us, of_client), after(last_us, of_server))
            }
            Stage::Bodies => {
                let client = match self.client_takes_all() && work.request_body.is_done() {
                    true => None,
                    false => after(self.client.active_us, self.client_wait(timeouts, work)),
                };
                let server = match work.response_body.is_done() || !self.client_takes_all() {
                    true => None,
                    false => after(work.server_active_us.max(work.since_us), self.server_wait(&backend, work)),
                };
                earlier(client, server)
            }
            Stage::Answering => self.client_deadline(timeouts),
            Stage::Idle | Stage::Lingering { .. } | Stage::Closing | Stage::Abandoning => None,
        }
    }

    /// The client is not behind: nothing waits for it to read.
    fn client_takes_all(&self) -> bool {
        self.client.is_drained() && !self.client.is_polling_writable()
    }

    /// A first request's time runs from the accept; a later one's from its first byte.
    fn request_since_us(&self, work: &Work) -> u64 {
        if self.facts.exchanges <= 1 { self.accepted.monotonic_us } else { work.begun_us }
    }

    fn client_wait(&self, timeouts: &Timeouts, work: &Work) -> Option<Duration> {
        work.exchange.timeouts.client.or(timeouts.client)
    }
    fn server_wait(&self, backend: &Timeouts, work: &Work) -> Option<Duration> {
        work.exchange.timeouts.server.or(backend.server)
    }

    /// While the client owes us its body.
    fn upload_deadline(&self, timeouts: &Timeouts, work: &Work) -> Option<u64> {
        let owes = !work.request_body.is_done() && self.client.is_receiving();
        if owes { after(self.client.active_us, self.client_wait(timeouts, work)) } else { None }
    }

    /// The server's time begins when it has the whole request (HAProxy: `timeout server` before the response).
    fn server_deadline(&self, backend: &Timeouts, work: &Work) -> Option<u64> {
        let has_all = work.request_body.is_done();
        let since_us = work.since_us.max(work.server_active_us);
        if has_all || !self.client.is_receiving() {
            after(since_us.max(self.client.active_us.min(since_us)), self.server_wait(backend, work))
        } else {
            None
        }
    }

    /// The slot's timer fired.
    pub fn timer_fired<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let now_us = around.now.monotonic_us;
        let config = around.config().clone();
        self.refresh_server_activity(around);
        if self.deadline_us(&config).is_none_or(|deadline_us| deadline_us > now_us) {
            return Step::Continue; // there was activity since it was set
        }
        match &self.stage {
            Stage::Idle if self.facts.exchanges == 0 => self.first_request_timed_out(around),
            Stage::Idle | Stage::Lingering { .. } => self.over(around),
            Stage::Closing | Stage::Abandoning => Step::Continue,
            Stage::Connecting => self.connect_timed_out(around),
            Stage::TurnAround => self.try_again(around),
            Stage::Response if !self.client_owes(around, now_us) => self.response_timed_out(around),
            _ => self.exchange_timed_out(around),
        }
    }

    /// The server's last activity is its connection's; the deadline, which sees only the session, has a copy.
    fn refresh_server_activity<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        if let Some(work) = &mut self.work
            && let Some(server) = work.server.and_then(|key| around.http.servers.get(key))
        {
            work.server_active_us = server.connection.active_us;
        }
    }

    fn client_owes<D: Driver>(&self, around: &Surroundings<D>, now_us: u64) -> bool {
        let timeouts = &around.shared.config.proxy(self.accepted.frontend).timeouts;
        self.work
            .as_deref()
            .and_then(|work| self.upload_deadline(timeouts, work))
            .is_some_and(|deadline_us| deadline_us <= now_us)
    }

    /// Nothing ever came: 408, unless probes are to be ignored.
    fn first_request_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let proxy = around.shared.config.proxy(self.accepted.frontend);
        if proxy.options.dontlognull || proxy.http.ignore_probes {
            // Browsers open connections ahead of their needs: one that was not used is closed without a word.
            return self.over(around);
        }
        let mut work = around.http.take_work();
        work.begin(Default::default(), false, self.accepted.monotonic_us, self.accepted.wall_us);
        self.facts.exchanges = 1;
        let step = self.request_timed_out(around, &mut work);
        self.keep(around, work, step)
    }

    fn request_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        crate::policy::stick_tables::count_request(&self.facts, around.now.monotonic_us);
        crate::policy::stick_tables::count_error(&self.facts, &work.exchange, around.now.monotonic_us);
        around.proxy_counters(self.accepted.frontend).frontend_requests.increment();
        around.proxy_counters(self.accepted.frontend).frontend_request_errors.increment();
        around.listener_counters(self.accepted.listener).request_errors.increment();
        work.exchange.times.request_ms = -1;
        work.termination = Some(Termination::new(Cause::ClientTimeout, Phase::Request));
        work.client_keeps_alive = false;
        if work.exchange.request_line.is_empty() {
            work.forget_request();
        }
        self.error_answer(around, work, 408)
    }

    fn exchange_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let now_us = around.now.monotonic_us;
        let Some(mut work) = self.work.take() else { return self.over(around) };
        let stage = std::mem::replace(&mut self.stage, Stage::Response);
        let step = match stage {
            Stage::Head => {
                self.stage = Stage::Head;
                self.request_timed_out(around, &mut work)
            }
            Stage::Body { .. } => {
                self.stage = Stage::Head;
                self.request_timed_out(around, &mut work)
            }
            Stage::HoldingResponse => self.held_response_timed_out(around, &mut work),
            Stage::Tarpit { reply, .. } => {
                work.note_tarpit(now_us);
                self.answer(around, &mut work, *reply)
            }
            Stage::Queued(ticket) => {
                if let Some(backend) = work.exchange.backend {
                    around.proxy_counters(backend).backend_connection_errors.increment();
                }
                work.exchange.times.queue_ms = milliseconds(now_us.saturating_sub(work.head_us));
                work.note_queue_position(&ticket);
                drop(ticket);
                work.termination = Some(Termination::new(Cause::ServerTimeout, Phase::Queue));
                self.error_answer(around, &mut work, 503)
            }
            // The client does not send its body.
            Stage::Response => {
                self.count_abort(around, &work, true);
                work.termination = Some(Termination::new(Cause::ClientTimeout, Phase::Data));
                work.client_keeps_alive = false;
                self.error_answer(around, &mut work, 408)
            }
            Stage::Bodies => {
                self.stage = Stage::Bodies;
                let by_client = match work.is_tunnel {
                    true => !work.is_request_shut,
                    false => !self.client_takes_all() || !work.request_body.is_done(),
                };
                self.count_abort(around, &work, by_client);
                let cause = if by_client { Cause::ClientTimeout } else { Cause::ServerTimeout };
                work.termination = Some(Termination::new(cause, Phase::Data));
                self.end_without_answer(around, &mut work)
            }
            stage => {
                self.stage = stage;
                work.termination.get_or_insert(Termination::new(Cause::ClientTimeout, Phase::Last));
                self.end_without_answer(around, &mut work)
            }
        };
        self.keep(around, work, step)
    }
}
