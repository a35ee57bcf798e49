//! A server for the request: persistence, balancing, the queue, an idle connection or a new one, retries
//! (configuration.txt section 4.2 `http-reuse`, `retries`, `option redispatch`, `timeout queue`).

use super::request::milliseconds;
use super::servers::Idle;
use super::transfer::Encoding;
use super::work::Work;
use super::{HttpSession, Stage};
use crate::config::model::{HttpReuse, HttpSettings, Persistence, ProxyId, ServerId};
use crate::io::Driver;
use crate::policy::assign::{AssignRequest, Assignment, Lease, assign};
use crate::policy::cookie::{self, Selection};
use crate::policy::log_format::Endpoint;
use crate::policy::{health, switching};
use crate::proto::http1::exchange_framing::finish_request;
use crate::proto::http1::response_head::ResponseHeadParser;
use crate::session::server_socket::{Failure, Opening, has_next_source_port, may_redispatch, proxy_header};
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};
use crate::session::token::{Operation, ServerOperation, SlotKey};
use std::sync::atomic::Ordering;

impl HttpSession {
    /// All rules have passed: the request gets what the proxy adds to it, and a server.
    pub(super) fn find_server<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        backend: ProxyId,
    ) -> Step {
        self.ask(around, work, backend, crate::policy::forwarding::apply);
        self.ask(around, work, backend, crate::policy::compression::read_request);
        let selection = self.ask(around, work, backend, |scope| {
            let persistence = switching::persistence(scope);
            Selection {
                server: switching::choose_server(scope),
                is_persistence_ignored: persistence == Persistence::Ignored,
                is_persistence_forced: persistence == Persistence::Forced,
            }
        });
        let persistent = self.ask(around, work, backend, |scope| cookie::read_request(scope, selection));
        work.is_persistent = persistent.is_some();
        work.is_persistence_forced = selection.is_persistence_forced;
        work.wanted_server = persistent.or_else(|| self.last_server_if_preferred(around, backend));
        work.since_us = around.now.monotonic_us;
        self.choose_server(around, work)
    }

    /// `option prefer-last-server`, or in the middle of an authentication: the server of the last request, while its
    /// queue is not longer than `max-keep-alive-queue`. 2.6 has forgotten it as soon as the connection is in the common
    /// pool, which is nearly always; here the option does what its text says.
    fn last_server_if_preferred<D: Driver>(&mut self, around: &Surroundings<D>, backend: ProxyId) -> Option<ServerId> {
        let last = self.last_server?;
        let config = around.config();
        let settings = &config.proxy(backend).http;
        let preferred = settings.prefer_last_server || self.is_authenticating;
        let state = around.shared.server(last);
        let queued = state.queued.load(Ordering::Relaxed);
        let queue_allows = settings.max_keep_alive_queue.is_none_or(|max| queued <= max);
        (preferred && config.server(last).backend == backend && state.is_usable() && queue_allows).then_some(last)
    }

    pub(super) fn choose_server<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let Some(backend) = work.exchange.backend else {
            return self.no_server(around, work, self.accepted.frontend);
        };
        let key = self.ask(around, work, backend, |scope| crate::policy::balance_key::of(scope));
        let request = AssignRequest {
            shared: around.shared,
            backend,
            client_ip: self.client_ip(),
            waiter: around.waiter(),
            keep: work.wanted_server.take(),
            keep_whatever_state: std::mem::take(&mut work.is_persistent),
            avoid: work.avoid_server.take(),
            priority: work.exchange.queue_priority,
            key,
            now_us: around.now.monotonic_us,
        };
        match assign(&request) {
            Assignment::Server(lease) => self.assigned(around, work, lease),
            Assignment::Queued(ticket) => {
                self.client.detach_input(around.driver);
                work.since_us = around.now.monotonic_us;
                self.stage = Stage::Queued(ticket);
                Step::Continue
            }
            Assignment::NoServer => self.no_server(around, work, backend),
            Assignment::QueueFull(server) => {
                work.exchange.server = Some(server);
                around.proxy_counters(backend).backend_connection_errors.increment();
                work.termination = Some(Termination::new(Cause::Server, Phase::Queue));
                self.error_answer(around, work, 503)
            }
        }
    }

    /// Nobody can serve the request.
    pub(super) fn no_server<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
    ) -> Step {
        around.proxy_counters(proxy).backend_connection_errors.increment();
        work.termination = Some(Termination::new(Cause::Server, Phase::Connect));
        self.error_answer(around, work, 503)
    }

    /// The queue handed a server's slot over. `None`: this session does not wait any more, the slot goes back.
    pub fn granted<D: Driver>(&mut self, around: &mut Surroundings<D>, server: ServerId) -> Option<Step> {
        if !matches!(self.stage, Stage::Queued(_)) {
            return None;
        }
        let Stage::Queued(ticket) = std::mem::replace(&mut self.stage, Stage::TurnAround) else { return None };
        let mut work = self.work.take()?;
        work.note_queue_position(&ticket);
        let lease = ticket.accept(server);
        let step = self.assigned(around, &mut work, lease);
        Some(self.keep(around, work, step))
    }

    /// The server waited for went away: choose again.
    pub fn queue_retry<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if !matches!(self.stage, Stage::Queued(_)) {
            return Step::Continue;
        }
        self.stage = Stage::TurnAround; // leaves the queue
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = self.choose_server(around, &mut work);
        self.keep(around, work, step)
    }

    fn assigned<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, lease: Lease) -> Step {
        let (server, now_us) = (lease.server(), around.now.monotonic_us);
        if work.exchange.times.queue_ms < 0 {
            work.exchange.times.queue_ms = milliseconds(now_us.saturating_sub(work.head_us));
        }
        work.queued_us = now_us;
        self.count_second_choice(around, work, server);
        work.exchange.server = Some(server);
        cookie::assigned(&mut work.exchange, server);
        work.lease = Some(lease);
        let (state, now) = (around.shared.server(server), around.now);
        state.session_rate.count(now.monotonic_us);
        state.last_session_wall_s.store(now.wall_us / 1_000_000, Ordering::Relaxed);
        around.server_counters(server).sessions.increment();
        self.reuse_or_connect(around, work, server)
    }

    /// A choice after a failed attempt is a redispatch, or a retry if it fell on the same server.
    fn count_second_choice<D: Driver>(&mut self, around: &Surroundings<D>, work: &mut Work, server: ServerId) {
        let (Some(before), Some(backend)) =
            (work.exchange.server.filter(|_| work.exchange.retries > 0), work.exchange.backend)
        else {
            return;
        };
        if before == server {
            around.server_counters(server).retries.increment();
            around.proxy_counters(backend).backend_retries.increment();
        } else {
            work.exchange.is_redispatched = true;
            around.server_counters(before).redispatches.increment();
            around.proxy_counters(backend).backend_redispatches.increment();
        }
    }

    /// The client's own connection if it leads there, an idle one if `http-reuse` allows, a new one otherwise.
    fn reuse_or_connect<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, server: ServerId) -> Step {
        let header = self.proxy_header(around, server);
        let fits = |kept: &SlotKey| {
            around.http.servers.get(*kept).is_some_and(|kept| {
                kept.server == server
                    && kept.proxy_header == header
                    && !kept.connection.end_of_stream()
                    && !kept.connection.has_input()
            })
        };
        if let Some(index) = self.kept_servers.iter().position(fits) {
            let key = self.kept_servers.swap_remove(index);
            return self.use_connection(around, work, key);
        }
        // A connection that has announced a client is nobody else's.
        let idle = self.may_reuse(around, work).filter(|_| header.is_none());
        let idle = idle.and_then(|which| around.http.servers.take_idle(server, around.key, which));
        match idle {
            Some(key) => {
                around.server_counters(server).reuses.increment();
                if let Some(backend) = work.exchange.backend {
                    around.proxy_counters(backend).backend_reuses.increment();
                }
                self.use_connection(around, work, key)
            }
            None => self.connect(around, work, server),
        }
    }

    /// What a connection to `server` begins with (`send-proxy`).
    fn proxy_header<D: Driver>(&self, around: &Surroundings<D>, server: ServerId) -> Option<Box<[u8]>> {
        let server = around.shared.config.server(server);
        server.sends_proxy?;
        let ip = |endpoint: &Endpoint| match endpoint {
            Endpoint::Ip(address) => Some(*address),
            _ => None,
        };
        let (source, destination) = (ip(&self.facts.source), self.facts.destination.as_ref().and_then(ip));
        proxy_header(&*around.driver, server, self.client.socket, source, destination).map(Vec::into_boxed_slice)
    }

    /// Which idle connections the request may use. `safe`: a client's first request goes over a connection of its own,
    /// since only a client whose connection was kept expects that it may be closed without an answer; `aggressive`: its
    /// first goes over one that was reused before, so that the server has shown that it can; `always`: over any.
    fn may_reuse<D: Driver>(&self, around: &Surroundings<D>, work: &Work) -> Option<Idle> {
        let backend = work.exchange.backend?;
        if work.framing.upgrade.is_some() || work.framing.is_connect {
            return None;
        }
        let is_first = self.facts.exchanges <= 1;
        match around.config().proxy(backend).http.reuse {
            HttpReuse::Never => None,
            HttpReuse::Safe if is_first => None,
            HttpReuse::Aggressive if is_first => Some(Idle::Proven),
            HttpReuse::Safe | HttpReuse::Aggressive | HttpReuse::Always => Some(Idle::Any),
        }
    }

    fn use_connection<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, key: SlotKey) -> Step {
        self.hold_repeatable_body(around, work);
        if let Some(server) = around.http.servers.get(key) {
            server.owner = Some(around.key);
            server.exchanges = server.exchanges.saturating_add(1);
            server.connection.active_us = around.now.monotonic_us;
        }
        work.exchange.is_server_connection_reused = true;
        work.exchange.times.connect_ms = 0;
        work.connected_us = around.now.monotonic_us;
        work.server = Some(key);
        self.send_request(around, work, key)
    }

    pub(super) fn connect<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        server: ServerId,
    ) -> Step {
        around.server_counters(server).connects.increment();
        if let Some(backend) = work.exchange.backend {
            around.proxy_counters(backend).backend_connects.increment();
        }
        work.since_us = around.now.monotonic_us;
        work.source_ports_tried = 0;
        work.exchange.is_server_connection_reused = false;
        self.open_and_connect(around, work, server)
    }

    fn open_and_connect<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, server: ServerId) -> Step {
        let config = around.config().clone();
        let opening = Opening {
            client: self.client.socket,
            client_address: &self.accepted.address,
            destination: match self.facts.destination {
                Some(crate::policy::log_format::Endpoint::Ip(address)) => Some(address),
                _ => None,
            },
            seed: self.accepted.monotonic_us / 7 + self.accepted.client.0 as u64 * 31 + u64::from(self.facts.exchanges),
            source_ports_tried: work.source_ports_tried,
        };
        match opening.open(around, &config, server) {
            Ok((socket, address)) => {
                let key = around.http.servers.insert(socket, server, around.key, around.now.monotonic_us);
                if let Some(connection) = around.http.servers.get(key) {
                    connection.connect_armed = true;
                }
                work.server = Some(key);
                self.stage = Stage::Connecting;
                around.driver.connect(socket, &address, key.token(Operation::Server(ServerOperation::Connect)));
                Step::Continue
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::ENOBUFS);
                let failure = Failure::from_errno(errno);
                if failure == Failure::Shortage {
                    *around.shortage = Some(errno);
                    // Idle connections hold what is short.
                    around.http.servers.close_idle(around.driver);
                }
                self.attempt_failed(around, work, failure, false)
            }
        }
    }

    /// connect() completed with 0 or `-errno`.
    pub(super) fn connect_completed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        key: SlotKey,
        result: i32,
    ) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = self.connected(around, &mut work, key, result);
        self.keep(around, work, step)
    }

    fn connected<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        key: SlotKey,
        result: i32,
    ) -> Step {
        let abandoned = matches!(self.stage, Stage::Abandoning);
        if abandoned || result < 0 {
            self.drop_server(around, work);
            if abandoned {
                return self.attempt_failed(around, work, Failure::TimedOut, false);
            }
            let errno = -result;
            work.source_ports_tried += 1;
            if let Some(server) = work.exchange.server
                && has_next_source_port(around.config(), server, errno, work.source_ports_tried)
            {
                return self.open_and_connect(around, work, server);
            }
            return self.attempt_failed(around, work, Failure::from_errno(errno), true);
        }
        let now_us = around.now.monotonic_us;
        let header = work.exchange.server.and_then(|server| self.proxy_header(around, server));
        if let Some(server) = around.http.servers.get(key) {
            server.state = super::servers::ServerState::InUse;
            server.connection.active_us = now_us;
            if let Some(header) = header {
                server.connection.push_bytes(around.driver, &header);
                server.proxy_header = Some(header);
            }
        }
        work.connected_us = now_us;
        work.exchange.times.connect_ms = milliseconds(now_us.saturating_sub(work.queued_us));
        if let Some(server) = work.exchange.server {
            self.observe_connect(around, server, true);
        }
        self.send_request(around, work, key)
    }

    fn observe_connect<D: Driver>(&self, around: &mut Surroundings<D>, server: ServerId, worked: bool) {
        if around.config().server(server).observe == crate::config::model::Observe::Layer4 {
            let now_us = around.now.monotonic_us;
            let logs = match worked {
                true => health::observe_success(around.shared, server, now_us),
                false => health::observe_error(around.shared, server, now_us),
            };
            around.state_logs.extend(logs);
        }
    }

    /// `observe layer7`: what the server answered tells of its health, too.
    pub(super) fn observe_response<D: Driver>(&self, around: &mut Surroundings<D>, server: ServerId, worked: bool) {
        if around.config().server(server).observe == crate::config::model::Observe::Layer7 {
            let now_us = around.now.monotonic_us;
            let logs = match worked {
                true => health::observe_success(around.shared, server, now_us),
                false => health::observe_error(around.shared, server, now_us),
            };
            around.state_logs.extend(logs);
        }
    }

    pub(super) fn connect_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let key = self.work.as_ref().and_then(|work| work.server);
        if let Some(key) = key
            && let Some(server) = around.http.servers.get(key)
        {
            self.stage = Stage::Abandoning;
            let token = key.token(Operation::Server(ServerOperation::Connect));
            around.driver.cancel(server.connection.socket, token);
        }
        Step::Continue
    }

    /// One attempt failed; `at_once`: the network said so, so that the same server would most likely say it again.
    fn attempt_failed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        failure: Failure,
        at_once: bool,
    ) -> Step {
        let (Some(backend_id), Some(server)) = (work.exchange.backend, work.exchange.server) else {
            work.termination = Some(Termination::new(Cause::Internal, Phase::Connect));
            return self.error_answer(around, work, 500);
        };
        if !matches!(failure, Failure::Resource | Failure::Shortage) {
            self.observe_connect(around, server, false);
        }
        let config = around.config().clone();
        let retries = config.proxy(backend_id).backend.as_ref().map_or(0, |backend| backend.retries);
        let retried = config.proxy(backend_id).http.retry_on.connection_failure;
        if work.exchange.retries >= retries || !retried {
            around.proxy_counters(backend_id).backend_connection_errors.increment();
            around.server_counters(server).connection_errors.increment();
            work.termination = Some(Termination::new(failure.cause(), Phase::Connect));
            return self.error_answer(around, work, 503);
        }
        work.exchange.retries += 1;
        if failure != Failure::Shortage
            && !work.is_persistence_forced
            && may_redispatch(around.shared, backend_id, work.exchange.retries as i32, server)
        {
            work.lease = None;
            work.avoid_server = Some(server);
            return self.choose_server(around, work);
        }
        around.proxy_counters(backend_id).backend_retries.increment();
        around.server_counters(server).retries.increment();
        // A short wait lets a restarting server come back. After a time-out there was one already.
        if at_once || failure == Failure::Shortage {
            self.stage = Stage::TurnAround;
            work.since_us = around.now.monotonic_us;
            return Step::Continue;
        }
        self.connect(around, work, server)
    }

    /// The turn-around is over.
    pub(super) fn try_again<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = match work.exchange.server.filter(|_| work.lease.is_some()) {
            Some(server) => self.connect(around, &mut work, server),
            None => self.choose_server(around, &mut work),
        };
        self.keep(around, work, step)
    }

    /// Closes the exchange's server connection.
    pub(super) fn drop_server<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        work.request_body.return_pipe(around.driver);
        work.response_body.return_pipe(around.driver);
        if let Some(key) = work.server.take() {
            around.http.servers.close(around.driver, key);
        }
    }

    /// The exchange is over and its connection sound: to the pool, to this client, or closed.
    pub(super) fn release_server<D: Driver>(&mut self, around: &mut Surroundings<D>, key: SlotKey) {
        let config = around.config().clone();
        let now_us = around.now.monotonic_us;
        around.http.servers.make_idle(around.driver, &config, key, now_us);
    }

    /// The request's head, with what of its body is here, to the server.
    fn send_request<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, key: SlotKey) -> Step {
        let Some(backend) = work.exchange.backend else {
            return self.no_server(around, work, self.accepted.frontend);
        };
        self.ask(around, work, backend, crate::policy::forwarding::apply_for_server);
        let config = around.config().clone();
        let (frontend, proxy) = (config.proxy(self.accepted.frontend), config.proxy(backend));
        let closes = HttpSettings::closes_server(&frontend.http, &proxy.http);
        work.server_keeps_alive = !closes;
        let mut head = std::mem::take(&mut around.http.scratch);
        head.clear();
        let announced = !closes || proxy.http.pretend_keepalive;
        let request = &mut work.exchange.request;
        let body = work.framing.body;
        work.server_keeps_alive &= finish_request(request, &mut work.framing, body, announced);
        match proxy.http.adjust_case_bogus_server {
            true => request.write_adjusted(&config.global.header_spellings, &mut head),
            false => request.write_to(&mut head),
        }
        work.is_request_sent = true;
        work.head_bytes.clear();
        if proxy.http.accept_invalid_response {
            work.response_parser = ResponseHeadParser::new_lenient(work.limits);
        }
        self.stage = Stage::Response;
        let now_us = around.now.monotonic_us;
        work.since_us = now_us;
        if let Some(server) = around.http.servers.get(key) {
            server.connection.push_bytes(around.driver, &head);
            if !work.exchange.request_body.is_empty() {
                let held = std::mem::take(&mut work.exchange.request_body);
                let complete = work.exchange.is_request_body_complete;
                work.request_body.send_held(around.driver, &mut server.connection, &held, complete);
                work.exchange.request_body = held;
            } else if work.exchange.is_request_body_complete && work.request_body.encoding() == Encoding::Chunked {
                work.request_body.send_held(around.driver, &mut server.connection, &[], true);
            }
            server.connection.receive(around.driver);
        }
        around.http.scratch = head;
        self.advance_with(around, work)
    }
}

impl Work {
    pub(super) fn note_queue_position(&mut self, ticket: &crate::policy::assign::Ticket) {
        let position = ticket.queue_position();
        match position.is_server_queue {
            true => self.exchange.server_queue_position = position.position,
            false => self.exchange.backend_queue_position = position.position,
        }
    }
}
