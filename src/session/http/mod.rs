//! HTTP/1 between clients and servers: a client connection with its exchanges, one after the other.
//!
//! A client connection ([`HttpSession`]) lives in a slot of the worker; connections to servers have places of their own
//! ([`servers`]) and go from session to session. While an exchange is under way its state is in a [`work::Work`], which
//! an idle connection does not have.
//!
//! The way of a request: [`request`] reads the head and asks the rules, [`connect`] finds a server and a connection,
//! [`exchange`] moves bytes both ways, [`response`] reads the answer's head, [`retry`] knows what may go out twice,
//! [`answer`] is for answers made here, and [`finish`] writes the log line and goes on to the next request. [`deadline`]
//! knows what is waited for and how long.

mod answer;
mod cached;
mod connect;
mod connection;
mod deadline;
mod exchange;
mod finish;
mod held_response;
mod policies;
mod request;
mod response;
mod retry;
pub mod servers;
pub mod state;
mod statistics;
mod tcp_rules;
mod transfer;
mod work;

use super::surroundings::Surroundings;
use super::tcp::{Accepted, ClientAddress, Step};
use super::termination::{Cause, Phase, Termination};
use super::token::{Operation, ServerOperation, SlotKey};
use crate::config::model::{ListenerId, ProxyId, ServerId};
use crate::io::{Completion, Driver, Socket};
use crate::policy::assign::Ticket;
use crate::policy::exchange::Client;
use crate::policy::log_format::Endpoint;
use crate::policy::reply::Reply;
use crate::shared::mailbox::SessionKill;
use connection::{Connection, Received, Sent, Side};
use work::Work;

/// Where a stopped evaluation of rules goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resume {
    /// The frontend's http-request rules, from this one.
    Frontend(usize),
    Backend(usize),
    /// The form of the statistics page of this proxy.
    Statistics(ProxyId),
    /// All rules were run; the body was waited for (`option http-buffer-request`, `balance url_param check_post`).
    Server,
}

const NO_KEY: SlotKey = SlotKey { slot: u32::MAX, generation: 0 };

/// What the session is doing.
enum Stage {
    /// Between requests: nothing of the next one has come.
    Idle,
    /// A request's head is coming.
    Head,
    /// Rules want to see the body, until this time.
    Body {
        resume: Resume,
        until_us: u64,
        at_least_bytes: usize,
    },
    /// `http-request tarpit`, until this time.
    Tarpit {
        until_us: u64,
        reply: Box<Reply>,
    },
    /// Waiting for a server's slot.
    Queued(Ticket),
    Connecting,
    /// The connect timed out: its cancellation is awaited before the next attempt.
    Abandoning,
    /// Waiting before the next attempt on the same server (HAProxy's turn-around).
    TurnAround,
    /// The request goes to the server; no final response has begun.
    Response,
    /// Rules wait for the response's body.
    HoldingResponse,
    /// The response's head has gone out; bodies are on their way, or a tunnel is open.
    Bodies,
    /// An answer made here is going out.
    Answering,
    /// The last answer is out: the client is heard out for a moment, so that no reset overtakes it.
    Lingering {
        since_us: u64,
        bytes: u64,
    },
    /// Over; operations in flight are awaited.
    Closing,
}

/// One client connection in HTTP mode. Kept small: most are idle most of the time.
pub struct HttpSession {
    stage: Stage,
    accepted: Accepted,
    client: Connection,
    facts: Client,
    /// Of the connection: what a request's rules change is that request's.
    source: Endpoint,
    destination: Option<Endpoint>,
    work: Option<Box<Work>>,
    /// Connections that stay this client's between requests (`http-reuse never`).
    kept_servers: Vec<SlotKey>,
    /// Where the last request went.
    last_server: Option<ServerId>,
    /// The last answer was 401 or 407: authentication that belongs to the connection goes on there.
    is_authenticating: bool,
    /// When the wait for the next request began, monotonic and wall clock.
    idle_since_us: u64,
    idle_since_wall_us: u64,
    /// Nothing more of the client is used: its next requests would be read out of step.
    is_input_spoiled: bool,
}

impl HttpSession {
    pub fn new(accepted: Accepted) -> Self {
        let source = accepted.address.endpoint();
        let facts = Client {
            frontend: Some(accepted.frontend),
            listener: Some(accepted.listener),
            source,
            accept_wall_us: accepted.wall_us,
            accept_monotonic_us: accepted.monotonic_us,
            sequence: accepted.sequence,
            ..Client::default()
        };
        HttpSession {
            stage: Stage::Idle,
            client: Connection::new(accepted.client, Side::Client, NO_KEY, accepted.monotonic_us),
            facts,
            source,
            destination: None,
            work: None,
            kept_servers: Vec::new(),
            last_server: None,
            is_authenticating: false,
            idle_since_us: accepted.monotonic_us,
            idle_since_wall_us: accepted.wall_us,
            is_input_spoiled: false,
            accepted,
        }
    }

    pub fn frontend(&self) -> ProxyId {
        self.accepted.frontend
    }
    pub fn listener(&self) -> ListenerId {
        self.accepted.listener
    }
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }
    pub fn client(&self) -> Socket {
        self.accepted.client
    }
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Closing)
    }
    /// Between two requests: may be closed when the process drains.
    pub fn is_between_requests(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }
    /// The server whose slot this session holds.
    pub fn server_in_use(&self) -> Option<ServerId> {
        self.work.as_ref().and_then(|work| work.lease.as_ref()).map(|lease| lease.server())
    }
    pub fn backend(&self) -> Option<ProxyId> {
        self.work.as_ref().and_then(|work| work.exchange.backend)
    }
    fn client_ip(&self) -> Option<std::net::IpAddr> {
        match (&self.facts.source, &self.accepted.address) {
            (Endpoint::Ip(address), _) | (_, ClientAddress::Ip(address)) => Some(address.ip()),
            _ => None,
        }
    }

    /// An operation on the client's socket completed.
    pub fn completed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        operation: Operation,
        completion: &Completion,
    ) -> Step {
        let now_us = around.now.monotonic_us;
        if matches!(self.stage, Stage::Closing) {
            self.client.settle(around.driver, as_connection_operation(operation), completion);
            return Step::Continue;
        }
        match operation {
            Operation::Receive(_) => {
                let received = self.client.received(around.driver, completion, now_us);
                self.client_received(around, received)
            }
            Operation::Send(_) => {
                let sent = self.client.sent(around.driver, completion.result, now_us);
                self.client_sent(around, sent)
            }
            Operation::Readable(_) => {
                let received = self.client.readable(completion.result);
                self.client_received(around, received)
            }
            Operation::Writable(_) => {
                let sent = self.client.writable(around.driver, completion.result);
                self.client_sent(around, sent)
            }
            Operation::Connect | Operation::Accept | Operation::Mailbox | Operation::Server(_) => Step::Continue,
        }
    }

    fn client_received<D: Driver>(&mut self, around: &mut Surroundings<D>, received: Received) -> Step {
        if let Received::Failed(_) = received {
            return self.client_failed(around);
        }
        match self.stage {
            Stage::Idle | Stage::Head => self.read_request(around),
            Stage::Body { .. } => self.hold_body(around),
            Stage::Queued(_) | Stage::Connecting | Stage::Abandoning | Stage::TurnAround | Stage::Tarpit { .. } => {
                if self.client.waiting_segments() >= connection::WAITING_SEGMENTS_MAX {
                    self.client.pause(around.driver);
                }
                self.client.detach_input(around.driver);
                if received == Received::End { self.client_half_closed(around) } else { Step::Continue }
            }
            Stage::Response | Stage::HoldingResponse | Stage::Bodies => {
                if received == Received::End && !matches!(self.stage, Stage::Bodies) {
                    let step = self.client_half_closed(around);
                    if step == Step::Over {
                        return step;
                    }
                }
                self.advance(around)
            }
            Stage::Answering => self.answering_received(around),
            Stage::Lingering { .. } => self.lingering_received(around, received),
            Stage::Closing => Step::Continue,
        }
    }

    fn client_sent<D: Driver>(&mut self, around: &mut Surroundings<D>, sent: Sent) -> Step {
        if let Sent::Failed(_) = sent {
            return self.client_failed(around);
        }
        match self.stage {
            Stage::Response | Stage::HoldingResponse | Stage::Bodies => self.advance(around),
            Stage::Answering if self.client.is_drained() => self.answered(around),
            _ => Step::Continue,
        }
    }

    /// An operation on the server's connection completed.
    pub fn server_completed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        key: SlotKey,
        operation: ServerOperation,
        completion: &Completion,
    ) -> Step {
        let now_us = around.now.monotonic_us;
        let Some(server) = around.http.servers.get(key) else {
            if completion.buffer.is_some() {
                around.driver.release(completion.buffer);
            }
            return Step::Continue;
        };
        let connection = &mut server.connection;
        match operation {
            ServerOperation::Connect => {
                server.connect_armed = false;
                return self.connect_completed(around, key, completion.result);
            }
            ServerOperation::Receive => match connection.received(around.driver, completion, now_us) {
                Received::Failed(errno) => return self.server_failed(around, key, errno),
                Received::Bytes | Received::End | Received::Paused => {}
            },
            ServerOperation::Send => match connection.sent(around.driver, completion.result, now_us) {
                Sent::Failed(errno) => return self.server_send_failed(around, key, errno),
                Sent::Progress | Sent::Blocked => {}
            },
            ServerOperation::Readable => {
                if let Received::Failed(errno) = connection.readable(completion.result) {
                    return self.server_failed(around, key, errno);
                }
            }
            ServerOperation::Writable => {
                if let Sent::Failed(errno) = connection.writable(around.driver, completion.result) {
                    return self.server_send_failed(around, key, errno);
                }
            }
        }
        if self.kept_servers.contains(&key) && self.work.as_ref().is_none_or(|work| work.server != Some(key)) {
            return self.kept_server_moved(around, key);
        }
        match self.stage {
            Stage::Response | Stage::HoldingResponse | Stage::Bodies => self.advance(around),
            _ => Step::Continue,
        }
    }

    /// A kept connection that nobody uses now said something: it has ended, or it is out of step.
    fn kept_server_moved<D: Driver>(&mut self, around: &mut Surroundings<D>, key: SlotKey) -> Step {
        if let Some(server) = around.http.servers.get(key)
            && (server.connection.has_input() || server.connection.end_of_stream())
        {
            self.kept_servers.retain(|kept| *kept != key);
            around.http.servers.close(around.driver, key);
        }
        Step::Continue
    }

    /// An administrator, or a server's change of state, ends the session.
    pub fn kill<D: Driver>(&mut self, around: &mut Surroundings<D>, why: SessionKill) -> Step {
        let cause = match why {
            SessionKill::Down => Cause::Down,
            SessionKill::Killed => Cause::Killed,
            SessionKill::BackupReplaced => Cause::BackupReplaced,
        };
        let Some(mut work) = self.work.take() else { return self.over(around) };
        let phase = match self.stage {
            Stage::Queued(_) => Phase::Queue,
            Stage::Connecting | Stage::Abandoning | Stage::TurnAround => Phase::Connect,
            Stage::Tarpit { .. } => Phase::Tarpit,
            Stage::Response | Stage::HoldingResponse => Phase::Headers,
            Stage::Bodies => Phase::Data,
            Stage::Answering => Phase::Last,
            _ => Phase::Finished,
        };
        work.termination.get_or_insert(Termination::new(cause, phase));
        let step = match phase {
            // As when the server itself had gone: the client is told while that is possible.
            Phase::Headers => {
                work.client_keeps_alive = false;
                self.drop_server(around, &mut work);
                work.exchange.response.clear();
                self.error_answer(around, &mut work, 502)
            }
            _ => self.end_without_answer(around, &mut work),
        };
        self.keep(around, work, step)
    }

    /// Nothing in flight: [`HttpSession::close`] may be called.
    pub fn is_idle(&self) -> bool {
        self.client.is_idle()
    }

    /// Gives the places under the limits back.
    pub fn leave(&mut self) {
        self.accepted.places = None;
    }

    pub fn close<D: Driver>(&mut self, driver: &mut D) {
        driver.close(self.accepted.client);
    }
}

fn as_connection_operation(operation: Operation) -> ServerOperation {
    match operation {
        Operation::Receive(_) => ServerOperation::Receive,
        Operation::Send(_) => ServerOperation::Send,
        Operation::Readable(_) => ServerOperation::Readable,
        Operation::Writable(_) => ServerOperation::Writable,
        _ => ServerOperation::Connect,
    }
}

#[cfg(test)]
mod tests {
    /// Idle keep-alive clients are many: what one costs is this, its slot, and nothing else.
    #[test]
    fn an_idle_session_is_small() {
        let bytes = std::mem::size_of::<super::HttpSession>();
        assert!(bytes <= 520, "{bytes}");
    }
}
