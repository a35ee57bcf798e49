//! The end of an exchange: counters, log line, the connections' next use; and the end of the session.

use super::request::milliseconds;
use super::work::Work;
use super::{HttpSession, Stage};
use crate::config::model::HttpReuse;
use crate::io::{Driver, SocketOption};
use crate::policy::exchange::Stage as Asking;
use crate::policy::log_facts::{self, LogDecision};
use crate::policy::stick_tables;
use crate::session::http::state::LogLine;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

/// Connections of its own that a client may keep, where `max-session-srv-conns` says nothing.
const KEPT_SERVERS_MAX: u32 = 5;

impl HttpSession {
    /// Both messages are through: the line is written, and the connection goes on or ends.
    pub(super) fn finish<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let keeps_alive = work.client_keeps_alive && !work.is_tunnel;
        self.conclude(around, work);
        if !keeps_alive {
            self.close_kept(around);
            return self.linger(around);
        }
        let now = around.now;
        (self.idle_since_us, self.idle_since_wall_us) = (now.monotonic_us, now.wall_us);
        self.stage = Stage::Idle;
        if around.http.is_stopping && !self.client.has_input() {
            return self.over(around);
        }
        self.read_request(around)
    }

    /// Ends the session without another byte to the client.
    pub(super) fn end_without_answer<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        self.drop_server(around, work);
        self.conclude(around, work);
        self.over(around)
    }

    /// Books the exchange: whatever happens to the connections, it is over.
    fn conclude<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        let now_us = around.now.monotonic_us;
        work.request_body.return_pipe(around.driver);
        work.response_body.return_pipe(around.driver);
        work.exchange.times.active_ms = milliseconds(now_us.saturating_sub(work.begun_us));
        work.exchange.is_answered_by_stats = work.by_stats;
        work.exchange.termination = work.termination.unwrap_or(Termination::NORMAL).letters();
        self.note_bytes(work);
        self.book_bytes(around, work);
        self.book_status(around, work);
        self.book_times(around, work);
        self.release_or_close(around, work);
        // The line counts who is left (`%bc`, `%sc`), not who is leaving.
        work.lease = None;
        work.entry = None;
        if work.is_unreadable {
            work.exchange.bytes_out = 0;
        }
        self.write_log(around, work, false);
        // A work waits for its next use: what it has of caches does not.
        work.exchange.cache = None;
        work.response_body.let_go_of_caches();
        work.exchange.tracked.clear();
    }

    /// Heads included, as in HAProxy's log.
    pub(super) fn note_bytes(&self, work: &mut Work) {
        work.exchange.bytes_in = self.client.received_bytes.saturating_sub(work.client_bytes_before);
        work.exchange.bytes_out = self.client.sent_bytes.saturating_sub(work.client_sent_before);
    }

    fn release_or_close<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        self.last_server = work.exchange.server;
        self.is_authenticating = matches!(work.exchange.status, 401 | 407);
        let Some(key) = work.server.take() else { return };
        let sound = work.server_keeps_alive
            && !work.is_tunnel
            && work.request_body.is_done()
            && work.response_body.is_done()
            && work.termination.is_none();
        if !sound {
            return around.http.servers.close(around.driver, key);
        }
        let reuse =
            work.exchange.backend.map_or(HttpReuse::Safe, |backend| around.shared.config.proxy(backend).http.reuse);
        let is_announced = around.http.servers.get(key).is_some_and(|server| server.proxy_header.is_some());
        let stays_ours = (reuse == HttpReuse::Never || is_announced) && work.client_keeps_alive;
        if is_announced && !stays_ours {
            return around.http.servers.close(around.driver, key);
        }
        if !stays_ours {
            return self.release_server(around, key);
        }
        if let Some(server) = around.http.servers.get(key) {
            if server.connection.end_of_stream() || server.connection.has_input() {
                return around.http.servers.close(around.driver, key);
            }
            server.connection.receive(around.driver);
        }
        let settings = &around.shared.config.proxy(self.accepted.frontend).http;
        let kept_max = settings.kept_servers_max.unwrap_or(KEPT_SERVERS_MAX) as usize;
        // Those that are kept stay: the one too many goes, as with HAProxy.
        if self.kept_servers.len() >= kept_max {
            return around.http.servers.close(around.driver, key);
        }
        self.kept_servers.push(key);
    }

    fn close_kept<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        for key in std::mem::take(&mut self.kept_servers) {
            around.http.servers.close(around.driver, key);
        }
    }

    /// Adds the bytes since the last time to the counters of frontend, listener, backend and server.
    pub(super) fn book_bytes<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        let bytes_in = work.exchange.bytes_in.saturating_sub(work.booked_in);
        let bytes_out = work.exchange.bytes_out.saturating_sub(work.booked_out);
        (work.booked_in, work.booked_out) = (work.exchange.bytes_in, work.exchange.bytes_out);
        if !work.is_unreadable {
            let now_us = around.now.monotonic_us;
            stick_tables::count_bytes(&self.facts, &work.exchange, bytes_in, bytes_out, now_us);
        }
        let frontend = around.proxy_counters(self.accepted.frontend);
        frontend.frontend_bytes_in.add(bytes_in);
        frontend.frontend_bytes_out.add(bytes_out);
        let listener = around.listener_counters(self.accepted.listener);
        listener.bytes_in.add(bytes_in);
        listener.bytes_out.add(bytes_out);
        if let Some(backend) = work.exchange.backend {
            let backend = around.proxy_counters(backend);
            backend.backend_bytes_in.add(bytes_in);
            backend.backend_bytes_out.add(bytes_out);
        }
        if let Some(server) = work.exchange.server {
            let server = around.server_counters(server);
            server.bytes_in.add(bytes_in);
            server.bytes_out.add(bytes_out);
        }
    }

    fn book_status<D: Driver>(&mut self, around: &Surroundings<D>, work: &Work) {
        let status = work.exchange.status;
        if status == 0 || work.by_stats && work.is_unlogged {
            return;
        }
        let frontend = around.proxy_counters(self.accepted.frontend);
        match status / 100 {
            1 => frontend.frontend_http_1xx.increment(),
            2 => frontend.frontend_http_2xx.increment(),
            3 => frontend.frontend_http_3xx.increment(),
            4 => frontend.frontend_http_4xx.increment(),
            5 => frontend.frontend_http_5xx.increment(),
            _ => frontend.frontend_http_other.increment(),
        }
        let Some(backend) = work.exchange.backend else { return };
        let backend = around.proxy_counters(backend);
        match status / 100 {
            1 => backend.backend_http_1xx.increment(),
            2 => backend.backend_http_2xx.increment(),
            3 => backend.backend_http_3xx.increment(),
            4 => backend.backend_http_4xx.increment(),
            5 => backend.backend_http_5xx.increment(),
            _ => backend.backend_http_other.increment(),
        }
    }

    /// The exchange's times for the means and maxima of server and backend, if it was answered by a server.
    fn book_times<D: Driver>(&self, around: &Surroundings<D>, work: &Work) {
        let (Some(backend), Some(server)) = (work.exchange.backend, work.exchange.server) else { return };
        let times = &work.exchange.times;
        if times.response_ms < 0 {
            return;
        }
        let positive = |value: i64| value.clamp(0, i64::from(u32::MAX)) as u32;
        for state in [&around.shared.proxy(backend).session_times, &around.shared.server(server).session_times] {
            state.record(
                positive(times.queue_ms),
                positive(times.connect_ms),
                positive(times.response_ms),
                positive(times.active_ms),
            );
        }
    }

    /// The exchange's line, once.
    pub(super) fn write_log<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, early: bool) {
        if work.is_logged || work.is_unlogged {
            return;
        }
        let frontend = self.accepted.frontend;
        if around.shared.config.proxy(frontend).log.targets.is_empty() {
            return;
        }
        let mut text = Vec::with_capacity(256);
        let decision =
            self.ask_at(around, work, frontend, Asking::Log, |scope| log_facts::http_line(scope, early, &mut text));
        work.is_logged = true;
        if let LogDecision::Write { level, structured_bytes } = decision {
            around.http.lines.push(LogLine { frontend, level, text, structured_bytes });
        }
    }

    /// An idle connection ended: nothing to answer. A client that never said anything may be worth a line.
    pub(super) fn idle_ended<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.facts.exchanges == 0 {
            self.log_silent_client(around, Termination::new(Cause::Client, Phase::Request), 400);
        }
        self.over(around)
    }

    /// `<BADREQ>` for a connection on which nothing came (unless `option dontlognull` or `http-ignore-probes`).
    pub(super) fn log_silent_client<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        termination: Termination,
        status: u16,
    ) {
        let proxy = around.shared.config.proxy(self.accepted.frontend);
        if proxy.options.dontlognull || proxy.http.ignore_probes {
            return;
        }
        around.proxy_counters(self.accepted.frontend).frontend_requests.increment();
        around.proxy_counters(self.accepted.frontend).frontend_request_errors.increment();
        stick_tables::count_request(&self.facts, around.now.monotonic_us);
        let mut work = around.http.take_work();
        work.begin(Default::default(), false, self.accepted.monotonic_us, self.accepted.wall_us);
        work.client_sent_before = self.client.sent_bytes;
        work.client_bytes_before = self.client.received_bytes;
        work.exchange.status = status;
        work.is_unreadable = true;
        work.termination = Some(termination);
        stick_tables::count_error(&self.facts, &work.exchange, around.now.monotonic_us);
        self.conclude(around, &mut work);
        around.http.give_back(work);
    }

    /// Ends the session: operations in flight are cancelled.
    pub fn over<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if matches!(self.stage, Stage::Closing) {
            return Step::Continue;
        }
        if let Some(mut work) = self.work.take() {
            self.drop_server(around, &mut work);
            if !work.is_logged {
                self.conclude(around, &mut work);
            }
            around.http.give_back(work);
        }
        self.close_kept(around);
        if around.config().proxy(self.accepted.frontend).options.nolinger {
            let _ = around.driver.set_option(self.client.socket, &SocketOption::LingerZero);
        }
        self.stage = Stage::Closing;
        self.client.cancel(around.driver);
        Step::Over
    }
}
