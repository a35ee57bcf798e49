//! A TCP session: accepted, given a server, connected, relayed, over.
//!
//! This file has the life of the session and its events; `tcp_connect` gets it to a server; `tcp_deadline` knows what
//! it waits for and how long; `tcp_facts` tells the log about it.

use super::relay::{Flow, Relay, RelayError};
use super::surroundings::Surroundings;
use super::tcp_inspect::Inspection;
use super::termination::{Cause, Phase, Termination};
use super::token::{Direction, Operation};
use crate::config::model::{ListenerId, ProxyId, ServerId, SpliceSettings};
use crate::io::{Completion, Driver, Socket, SocketOption};
use crate::policy::assign::{self, BackendEntry, Lease, QueuePosition, Ticket};
use crate::shared::mailbox::SessionKill;
use crate::shared::places::Places;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

pub(super) const NO_SOCKET: Socket = Socket(-1);

/// What the session is doing.
#[derive(Debug)]
pub(super) enum State {
    /// Rules look at what the client sends; there is no backend yet.
    Inspecting,
    /// Waiting for a server's slot.
    Queued(Ticket),
    /// connect() under way.
    Connecting,
    /// The connect timed out: its cancellation is awaited before the next attempt.
    Abandoning,
    /// Waiting before the next attempt on the same server (HAProxy's turn-around).
    TurnAround,
    Established,
    /// Over; operations in flight are awaited.
    Closing,
}

/// What the slot does after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Continue,
    /// The session is over: [`TcpSession::termination`] is set.
    Over,
}

/// Who is connected, as far as anybody will ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// Nobody will: no log, no source hash.
    NotAsked,
    Ip(SocketAddr),
    Unix,
}

/// What an accepted connection starts with.
#[derive(Debug)]
pub struct Accepted {
    pub client: Socket,
    pub address: ClientAddress,
    pub listener: ListenerId,
    pub frontend: ProxyId,
    /// `%rt`: sessions of this process before it.
    pub sequence: u64,
    /// Its places under the limits, until the session is over.
    pub places: Option<Places>,
    /// The accept's time: monotonic and wall clock, microseconds.
    pub monotonic_us: u64,
    pub wall_us: u64,
}

/// One client connection in TCP mode. Kept small: there may be a million idle ones.
pub struct TcpSession {
    pub(super) state: State,
    pub(super) accepted: Accepted,
    pub(super) backend: Option<ProxyId>,
    pub(super) server: Socket,
    /// The server whose slot is held, from assignment to the end.
    pub(super) lease: Option<Lease>,
    /// The last server chosen, also after its lease is gone: for the log.
    pub(super) chosen: Option<ServerId>,
    pub(super) request: Relay,
    pub(super) response: Relay,
    pub(super) connect_armed: bool,
    pub(super) termination: Option<Termination>,
    pub(super) retries: u16,
    pub(super) redispatched: bool,
    /// Milliseconds after the accept; -1 = not reached.
    pub(super) queued_ms: i32,
    pub(super) connected_ms: i32,
    pub(super) queue_position: Option<QueuePosition>,
    /// Counts the session in its backend while it lives.
    pub(super) entry: Option<BackendEntry>,
    /// When the present wait (queue, connect, turn-around) began, and the last activity of each side.
    pub(super) since_us: u64,
    pub(super) client_active_us: u64,
    pub(super) server_active_us: u64,
    /// What is waited for has changed: the slot's timer is to be set again.
    pub(super) deadline_changed: bool,
    /// The server's other connections when this one's slot was given up (`%sc`): before anyone in a queue got it.
    pub(super) left_behind: u32,
    /// Ports of `source …:first-last` that turned out to be in use by a connection to the same server.
    pub(super) source_ports_tried: u16,
    independent_streams: bool,
    /// Present where rules look at the session.
    pub(super) inspection: Option<Box<Inspection>>,
    /// The log line was written.
    pub(super) logged: bool,
    /// Bytes already added to the counters (`option contstats`).
    pub(super) booked_request: u64,
    pub(super) booked_response: u64,
}

impl TcpSession {
    /// A session for an accepted connection; [`TcpSession::begin`] sets it going.
    pub fn new(accepted: Accepted, backend: Option<ProxyId>, splice: SpliceSettings) -> Self {
        TcpSession {
            state: State::TurnAround,
            backend,
            server: NO_SOCKET,
            lease: None,
            chosen: None,
            request: Relay::new(splice.request),
            response: Relay::new(splice.response),
            connect_armed: false,
            termination: None,
            retries: 0,
            redispatched: false,
            queued_ms: -1,
            connected_ms: -1,
            queue_position: None,
            entry: None,
            since_us: accepted.monotonic_us,
            client_active_us: accepted.monotonic_us,
            server_active_us: accepted.monotonic_us,
            deadline_changed: true,
            left_behind: 0,
            source_ports_tried: 0,
            independent_streams: false,
            inspection: None,
            logged: false,
            booked_request: 0,
            booked_response: 0,
            accepted,
        }
    }

    /// Set once the session is over.
    pub fn termination(&self) -> Option<Termination> {
        self.termination
    }
    pub fn frontend(&self) -> ProxyId {
        self.accepted.frontend
    }
    pub fn listener(&self) -> ListenerId {
        self.accepted.listener
    }
    /// The server it was sent to, also when its slot has been given back.
    pub fn chosen_server(&self) -> Option<ServerId> {
        self.chosen
    }
    pub fn backend(&self) -> Option<ProxyId> {
        self.backend
    }
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }
    pub fn client(&self) -> Socket {
        self.accepted.client
    }
    /// The server whose slot this session holds.
    pub fn server_in_use(&self) -> Option<ServerId> {
        self.lease.as_ref().map(|lease| lease.server())
    }

    /// Starts to listen to the client and to look for a server.
    pub fn begin<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.request.set_inspected(self.inspection.is_some());
        let mut wire = around.wire(Direction::Request, self.accepted.client, self.server);
        self.request.start_receiving(&mut wire);
        self.independent_streams = around.config().proxy(self.accepted.frontend).options.independent_streams;
        if self.inspection.is_some() {
            self.state = State::Inspecting;
            return self.inspect_request(around);
        }
        self.entry = self.backend.map(|backend| assign::enter_backend(around.shared, backend));
        self.choose_server(around, None, None)
    }

    /// An operation of this session completed.
    pub fn completed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        operation: Operation,
        completion: &Completion,
    ) -> Step {
        if matches!(self.state, State::Closing) {
            self.settle(around, operation, completion);
            return Step::Continue;
        }
        let direction = match operation {
            Operation::Receive(direction)
            | Operation::Send(direction)
            | Operation::Readable(direction)
            | Operation::Writable(direction) => direction,
            Operation::Connect => {
                self.connect_armed = false;
                return self.connect_completed(around, completion.result);
            }
            Operation::Accept | Operation::Mailbox | Operation::Server(_) => return Step::Continue,
        };
        self.note_activity(around.now.monotonic_us, operation, completion);
        let (client, server) = (self.accepted.client, self.server);
        let relay = match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        };
        let mut wire = around.wire(direction, client, server);
        let flow = match operation {
            Operation::Receive(_) => relay.received(&mut wire, completion),
            Operation::Send(_) => relay.sent(&mut wire, completion.result),
            Operation::Readable(_) => relay.readable(&mut wire, completion.result),
            _ => relay.writable(&mut wire, completion.result),
        };
        // A paused direction that goes on has its time-out again.
        self.deadline_changed |= completion.result == 0 || matches!(operation, Operation::Writable(_));
        if self.inspects(direction) && flow.is_ok() && matches!(operation, Operation::Receive(_)) {
            return match direction {
                Direction::Request => self.inspect_request(around),
                Direction::Response => self.inspect_response(around),
            };
        }
        self.flowed(around, direction, flow)
    }

    /// The slot has something to do after an event: set the timer, or finish the session.
    pub fn wants_attention(&self) -> bool {
        self.deadline_changed || self.termination.is_some()
    }
    /// The slot has asked for the deadline.
    pub fn deadline_is_set(&mut self) {
        self.deadline_changed = false;
    }

    /// Acts on what a relay reports.
    pub(super) fn flowed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        direction: Direction,
        flow: Result<Flow, RelayError>,
    ) -> Step {
        match flow {
            Ok(Flow::Running) => {
                if !matches!(self.state, State::Established) && self.request.end_of_stream() {
                    return self.client_left_early(around);
                }
                Step::Continue
            }
            Ok(Flow::Ended) => {
                self.deadline_changed = true;
                if self.request.ended() && self.response.ended() {
                    return self.over(around, Termination::NORMAL);
                }
                let to = match direction {
                    Direction::Request => self.server,
                    Direction::Response => self.accepted.client,
                };
                around.driver.shutdown_write(to);
                Step::Continue
            }
            Err(error) => {
                let client_failed = matches!((direction, error), (Direction::Request, RelayError::From(_)))
                    || matches!((direction, error), (Direction::Response, RelayError::To(_)));
                self.peer_failed(around, client_failed)
            }
        }
    }

    /// One side reset the connection: the other side gets a reset too.
    fn peer_failed<D: Driver>(&mut self, around: &mut Surroundings<D>, client_failed: bool) -> Step {
        let other = if client_failed { self.server } else { self.accepted.client };
        if other != NO_SOCKET {
            let _ = around.driver.set_option(other, &SocketOption::LingerZero);
        }
        let cause = if client_failed { Cause::Client } else { Cause::Server };
        self.count_abort(around, client_failed);
        if !client_failed {
            self.count_response_error(around);
        }
        // HAProxy says D here even when there is no server yet (seen with 2.6).
        self.over(around, Termination::new(cause, Phase::Data))
    }

    fn count_response_error<D: Driver>(&self, around: &Surroundings<D>) {
        if let Some(backend) = self.backend {
            around.proxy_counters(backend).backend_response_errors.increment();
        }
        if let Some(server) = self.server_in_use() {
            around.server_counters(server).response_errors.increment();
        }
    }

    pub(super) fn count_abort<D: Driver>(&self, around: &Surroundings<D>, by_client: bool) {
        if let Some(backend) = self.backend {
            let counters = around.proxy_counters(backend);
            if by_client {
                counters.backend_client_aborts.increment()
            } else {
                counters.backend_server_aborts.increment()
            }
        }
        if let Some(server) = self.server_in_use() {
            let counters = around.server_counters(server);
            if by_client { counters.client_aborts.increment() } else { counters.server_aborts.increment() }
        }
    }

    /// The client sent its end of stream before there was a server. `option abortonclose` makes that an abort.
    pub(super) fn client_left_early<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let abort = self.backend.is_some_and(|backend| around.config().proxy(backend).options.abortonclose);
        if !abort {
            return Step::Continue;
        }
        let phase = self.phase();
        self.count_abort(around, true);
        self.over(around, Termination::new(Cause::Client, phase))
    }

    /// The letter for what the session is doing now.
    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Inspecting => Phase::Request,
            State::Queued(_) => Phase::Queue,
            State::Connecting | State::Abandoning | State::TurnAround => Phase::Connect,
            State::Established | State::Closing => Phase::Data,
        }
    }

    /// Bytes moved: the sides concerned are alive. `option independent-streams`: what is sent to a side says nothing of
    /// that side, unless it is all that is waited for.
    fn note_activity(&mut self, now_us: u64, operation: Operation, completion: &Completion) {
        if completion.result <= 0 {
            return;
        }
        match operation {
            Operation::Send(Direction::Response) if self.independent_streams && self.request.is_receiving() => return,
            Operation::Send(Direction::Request) if self.independent_streams && self.response.is_receiving() => return,
            _ => {}
        }
        match operation {
            Operation::Receive(Direction::Request) | Operation::Send(Direction::Response) => {
                self.client_active_us = now_us
            }
            Operation::Receive(Direction::Response) | Operation::Send(Direction::Request) => {
                self.server_active_us = now_us
            }
            // A splice step reads from one side and writes to the other.
            _ => (self.client_active_us, self.server_active_us) = (now_us, now_us),
        }
    }

    /// An administrator, or a server's change of state, ends the session.
    pub fn kill<D: Driver>(&mut self, around: &mut Surroundings<D>, why: SessionKill) -> Step {
        let cause = match why {
            SessionKill::Down => Cause::Down,
            SessionKill::Killed => Cause::Killed,
            SessionKill::BackupReplaced => Cause::BackupReplaced,
        };
        // As in HAProxy, nobody notes what the session was doing: the second letter stays `-`.
        self.over(around, Termination::new(cause, Phase::Finished))
    }

    /// Ends the session: operations in flight are cancelled. The first end counts. The server's slot stays taken until
    /// [`TcpSession::close`]: whoever is next in its queue must not be there before this connection is gone.
    pub(super) fn over<D: Driver>(&mut self, around: &mut Surroundings<D>, termination: Termination) -> Step {
        if matches!(self.state, State::Closing) {
            return Step::Continue;
        }
        if matches!(self.state, State::Queued(_)) && self.queued_ms < 0 {
            self.queued_ms = self.elapsed_ms(around.now.monotonic_us);
        }
        self.note_queue_position();
        self.reset_at_close(around);
        self.termination = Some(termination);
        self.state = State::Closing; // drops a ticket
        if let Some(lease) = &self.lease {
            let served = around.shared.server(lease.server()).served.load(Ordering::Relaxed);
            self.left_behind = served.saturating_sub(1);
        }
        self.entry = None;
        let (client, server) = (self.accepted.client, self.server);
        self.request.cancel(&mut around.wire(Direction::Request, client, server));
        self.response.cancel(&mut around.wire(Direction::Response, client, server));
        if self.connect_armed {
            around.driver.cancel(server, around.key.token(Operation::Connect));
        }
        Step::Over
    }

    /// `option nolinger`: the kernel keeps nothing of a closed connection, unsent bytes included (the manual warns).
    fn reset_at_close<D: Driver>(&self, around: &mut Surroundings<D>) {
        let config = around.config();
        let client = config.proxy(self.accepted.frontend).options.nolinger.then_some(self.accepted.client);
        let server = self.backend.filter(|backend| config.proxy(*backend).options.nolinger).map(|_| self.server);
        for socket in [client, server].into_iter().flatten().filter(|socket| *socket != NO_SOCKET) {
            let _ = around.driver.set_option(socket, &SocketOption::LingerZero);
        }
    }

    /// `%sq` and `%bq` of a session that ends in a queue.
    fn note_queue_position(&mut self) {
        if let State::Queued(ticket) = &self.state {
            self.queue_position = Some(ticket.queue_position());
        }
    }

    /// While closing: books completions.
    fn settle<D: Driver>(&mut self, around: &mut Surroundings<D>, operation: Operation, completion: &Completion) {
        match operation {
            Operation::Connect => self.connect_armed = false,
            Operation::Receive(direction)
            | Operation::Send(direction)
            | Operation::Readable(direction)
            | Operation::Writable(direction) => {
                let relay = match direction {
                    Direction::Request => &mut self.request,
                    Direction::Response => &mut self.response,
                };
                relay.settle(around.driver, operation, completion);
            }
            Operation::Accept | Operation::Mailbox | Operation::Server(_) => {}
        }
    }

    /// Nothing in flight: [`TcpSession::close`] may be called.
    pub fn is_idle(&self) -> bool {
        !self.connect_armed && self.request.is_idle() && self.response.is_idle()
    }

    /// Gives the places under the limits back, once the log line is written.
    pub fn leave(&mut self) {
        self.accepted.places = None;
    }

    /// Closes the sockets; then the server's slot is free.
    pub fn close<D: Driver>(&mut self, driver: &mut D) {
        if self.server != NO_SOCKET {
            driver.close(self.server);
            self.server = NO_SOCKET;
        }
        self.lease = None;
        driver.close(self.accepted.client);
    }
}
