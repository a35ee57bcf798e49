//! Getting a TCP session to a server: choice, queue, connect, retries, redispatch (configuration.txt section 4.2
//! `retries`, `option redispatch`, `timeout queue`).

use super::server_socket::{Failure, Opening, has_next_source_port, may_redispatch, proxy_header};
use super::surroundings::Surroundings;
use super::tcp::{ClientAddress, NO_SOCKET, State, Step, TcpSession};
use super::termination::{Cause, Phase, Termination};
use super::token::{Direction, Operation};
use crate::config::model::ServerId;
use crate::io::Driver;
use crate::policy::assign::{AssignRequest, Assignment, Lease, assign};
use crate::policy::health;
use std::sync::atomic::Ordering;

impl TcpSession {
    /// Asks for a server, keeping or avoiding one, and connects or queues.
    pub(super) fn choose_server<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        keep: Option<ServerId>,
        avoid: Option<ServerId>,
    ) -> Step {
        let Some(backend) = self.backend else {
            return self.over(around, Termination::new(Cause::Server, Phase::Connect));
        };
        let client_ip = match &self.accepted.address {
            ClientAddress::Ip(address) => Some(address.ip()),
            _ => None,
        };
        let request = AssignRequest {
            shared: around.shared,
            backend,
            client_ip,
            key: self.balance_key(),
            waiter: around.waiter(),
            keep,
            keep_whatever_state: self.take_persistent(),
            avoid,
            priority: self.queue_priority(),
            now_us: around.now.monotonic_us,
        };
        match assign(&request) {
            Assignment::Server(lease) => self.assigned(around, lease),
            Assignment::Queued(ticket) => {
                self.request.detach(around.driver);
                self.since_us = around.now.monotonic_us;
                self.state = State::Queued(ticket);
                self.deadline_changed = true;
                Step::Continue
            }
            Assignment::NoServer => {
                around.proxy_counters(backend).backend_connection_errors.increment();
                self.over(around, Termination::new(Cause::Server, Phase::Connect))
            }
            Assignment::QueueFull(server) => {
                self.chosen = Some(server);
                self.left_behind = around.shared.server(server).served.load(Ordering::Relaxed);
                around.proxy_counters(backend).backend_connection_errors.increment();
                self.over(around, Termination::new(Cause::Server, Phase::Queue))
            }
        }
    }

    /// The queue handed a server's slot over. False: this session does not wait any more, the slot goes back.
    pub fn granted<D: Driver>(&mut self, around: &mut Surroundings<D>, server: ServerId) -> Option<Step> {
        if !matches!(self.state, State::Queued(_)) {
            return None;
        }
        let State::Queued(ticket) = std::mem::replace(&mut self.state, State::TurnAround) else { return None };
        self.queue_position = Some(ticket.queue_position());
        let lease = ticket.accept(server);
        Some(self.assigned(around, lease))
    }

    /// The server waited for went away: choose again.
    pub fn queue_retry<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if !matches!(self.state, State::Queued(_)) {
            return Step::Continue;
        }
        self.state = State::TurnAround; // leaves the queue
        self.choose_server(around, None, None)
    }

    pub(super) fn queue_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if let Some(backend) = self.backend {
            around.proxy_counters(backend).backend_connection_errors.increment();
        }
        self.over(around, Termination::new(Cause::ServerTimeout, Phase::Queue))
    }

    pub(super) fn elapsed_ms(&self, now_us: u64) -> i32 {
        let elapsed_ms = now_us.saturating_sub(self.accepted.monotonic_us) / 1000;
        elapsed_ms.min(i32::MAX as u64) as i32
    }

    fn assigned<D: Driver>(&mut self, around: &mut Surroundings<D>, lease: Lease) -> Step {
        let server = lease.server();
        if self.queued_ms < 0 {
            self.queued_ms = self.elapsed_ms(around.now.monotonic_us);
        }
        self.count_second_choice(around, server);
        self.chosen = Some(server);
        self.lease = Some(lease);
        self.connect(around, server)
    }

    /// A choice after a failed attempt is a redispatch, or a retry if it fell on the same server.
    fn count_second_choice<D: Driver>(&mut self, around: &Surroundings<D>, server: ServerId) {
        let (Some(before), Some(backend)) = (self.chosen.filter(|_| self.retries > 0), self.backend) else { return };
        if before == server {
            around.server_counters(server).retries.increment();
            around.proxy_counters(backend).backend_retries.increment();
        } else {
            self.redispatched = true;
            around.server_counters(before).redispatches.increment();
            around.proxy_counters(backend).backend_redispatches.increment();
        }
    }

    fn connect<D: Driver>(&mut self, around: &mut Surroundings<D>, server: ServerId) -> Step {
        // HAProxy counts every attempt as a session of the server.
        let (state, now) = (around.shared.server(server), around.now);
        state.session_rate.count(now.monotonic_us);
        state.last_session_wall_s.store(now.wall_us / 1_000_000, Ordering::Relaxed);
        around.server_counters(server).sessions.increment();
        around.server_counters(server).connects.increment();
        if let Some(backend) = self.backend {
            around.proxy_counters(backend).backend_connects.increment();
        }
        self.since_us = around.now.monotonic_us;
        self.deadline_changed = true;
        self.source_ports_tried = 0;
        self.open_and_connect(around, server)
    }

    fn open_and_connect<D: Driver>(&mut self, around: &mut Surroundings<D>, server: ServerId) -> Step {
        let config = around.config().clone();
        let opening = self.opening();
        match opening.open(around, &config, server) {
            Ok((socket, address)) => {
                self.server = socket;
                self.state = State::Connecting;
                self.connect_armed = true;
                around.driver.connect(socket, &address, around.key.token(Operation::Connect));
                Step::Continue
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::ENOBUFS);
                let failure = Failure::from_errno(errno);
                if failure == Failure::Shortage {
                    *around.shortage = Some(errno);
                }
                self.attempt_failed(around, failure, false)
            }
        }
    }

    /// connect() completed with 0 or `-errno`.
    pub(super) fn connect_completed<D: Driver>(&mut self, around: &mut Surroundings<D>, result: i32) -> Step {
        if matches!(self.state, State::Abandoning) {
            self.close_server(around.driver);
            return self.attempt_failed(around, Failure::TimedOut, false);
        }
        if result < 0 {
            self.close_server(around.driver);
            if let Some(server) = self.next_source_port(around, -result) {
                return self.open_and_connect(around, server);
            }
            return self.attempt_failed(around, Failure::from_errno(-result), true);
        }
        if !self.announce_client(around) {
            self.close_server(around.driver);
            return self.attempt_failed(around, Failure::Refused, true);
        }
        self.established(around)
    }

    /// `send-proxy`: a fresh socket has room for a header. False: the server is gone already.
    fn announce_client<D: Driver>(&self, around: &mut Surroundings<D>) -> bool {
        let Some(server) = self.chosen.filter(|id| around.shared.config.server(*id).sends_proxy.is_some()) else {
            return true;
        };
        let source = match self.accepted.address {
            ClientAddress::Ip(address) => Some(address),
            _ => None,
        };
        let server = around.shared.config.server(server);
        let destination = self.destination_by_rule();
        let header = proxy_header(&*around.driver, server, self.accepted.client, source, destination);
        header.is_none_or(|header| around.driver.send_now(self.server, &header).is_ok_and(|sent| sent == header.len()))
    }

    /// What the server's socket takes from this session.
    fn opening(&self) -> Opening<'_> {
        Opening {
            client: self.accepted.client,
            client_address: &self.accepted.address,
            destination: self.destination_by_rule(),
            seed: self.accepted.monotonic_us / 7 + self.accepted.client.0 as u64 * 31,
            source_ports_tried: self.source_ports_tried,
        }
    }

    fn next_source_port<D: Driver>(&mut self, around: &Surroundings<D>, errno: i32) -> Option<ServerId> {
        let server = self.chosen?;
        self.source_ports_tried += 1;
        has_next_source_port(around.config(), server, errno, self.source_ports_tried).then_some(server)
    }

    fn established<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let now_us = around.now.monotonic_us;
        self.state = State::Established;
        self.deadline_changed = true;
        self.connected_ms = self.elapsed_ms(now_us);
        (self.since_us, self.client_active_us, self.server_active_us) = (now_us, now_us, now_us);
        if let Some(server) = self.chosen {
            self.observe_success(around, server);
        }
        let (client, server) = (self.accepted.client, self.server);
        if self.inspects(Direction::Response) {
            self.response.set_inspected(true);
            self.response.start_receiving(&mut around.wire(Direction::Response, client, server));
            if self.inspect_response(around) == Step::Over {
                return Step::Over;
            }
        } else {
            let flow = self.response.open(&mut around.wire(Direction::Response, client, server));
            if self.flowed(around, Direction::Response, flow) == Step::Over {
                return Step::Over;
            }
        }
        let flow = self.request.open(&mut around.wire(Direction::Request, client, server));
        self.flowed(around, Direction::Request, flow)
    }

    fn observe_success<D: Driver>(&self, around: &mut Surroundings<D>, server: ServerId) {
        if around.config().server(server).observe == crate::config::model::Observe::Layer4 {
            let logs = health::observe_success(around.shared, server, around.now.monotonic_us);
            around.state_logs.extend(logs);
        }
    }

    fn observe_error<D: Driver>(&self, around: &mut Surroundings<D>, server: ServerId) {
        if around.config().server(server).observe == crate::config::model::Observe::Layer4 {
            let logs = health::observe_error(around.shared, server, around.now.monotonic_us);
            around.state_logs.extend(logs);
        }
    }

    pub(super) fn connect_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.state = State::Abandoning;
        around.driver.cancel(self.server, around.key.token(Operation::Connect));
        Step::Continue
    }

    fn close_server<D: Driver>(&mut self, driver: &mut D) {
        if self.server != NO_SOCKET {
            driver.close(self.server);
            self.server = NO_SOCKET;
        }
    }

    /// One attempt failed; `at_once`: the network said so, so that the same server would most likely say it again.
    fn attempt_failed<D: Driver>(&mut self, around: &mut Surroundings<D>, failure: Failure, at_once: bool) -> Step {
        let (Some(backend_id), Some(server)) = (self.backend, self.chosen) else {
            return self.over(around, Termination::new(Cause::Internal, Phase::Connect));
        };
        let config = around.config().clone();
        let Some(backend) = &config.proxy(backend_id).backend else {
            return self.over(around, Termination::new(Cause::Internal, Phase::Connect));
        };
        if !matches!(failure, Failure::Resource | Failure::Shortage) {
            self.observe_error(around, server);
        }
        if u32::from(self.retries) >= backend.retries {
            around.proxy_counters(backend_id).backend_connection_errors.increment();
            around.server_counters(server).connection_errors.increment();
            return self.over(around, Termination::new(failure.cause(), Phase::Connect));
        }
        self.retries += 1;
        if failure != Failure::Shortage && may_redispatch(around.shared, backend_id, i32::from(self.retries), server) {
            self.lease = None;
            return self.choose_server(around, None, Some(server));
        }
        around.proxy_counters(backend_id).backend_retries.increment();
        around.server_counters(server).retries.increment();
        // A short wait lets a restarting server come back. After a time-out there was one already.
        if at_once || failure == Failure::Shortage {
            self.state = State::TurnAround;
            self.deadline_changed = true;
            self.since_us = around.now.monotonic_us;
            return Step::Continue;
        }
        self.connect(around, server)
    }

    /// The turn-around is over.
    pub(super) fn try_again<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        match self.chosen.filter(|_| self.lease.is_some()) {
            Some(server) => self.connect(around, server),
            None => self.choose_server(around, None, None),
        }
    }
}
