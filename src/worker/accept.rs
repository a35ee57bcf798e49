//! Accepting: one multishot accept per listener, paused at a limit or a shortage and resumed when there is room.

use super::room::Parked;
use super::slots::Tenant;
use super::{Stage, Worker, session_log};
use crate::config::model::{BalanceAlgorithm, Config, ListenerId, Proxy, ProxyMode};
use crate::io::{Completion, Driver, Socket, SocketAddress, SocketOption};
use crate::session::local_session::LocalSession;
use crate::session::tcp::{Accepted, ClientAddress, Step, TcpSession};
use crate::session::token::{Operation, SlotKey};
use crate::shared::places::Places;

/// How long accepting rests after EMFILE and its kin, unless a connection ends before.
const SHORTAGE_PAUSE_US: u64 = 100_000;
/// At most one message about a shortage in this time.
const SHORTAGE_REPORT_US: u64 = 10_000_000;

/// One listening socket of this worker.
pub(super) struct Acceptor {
    pub listener: ListenerId,
    pub socket: Socket,
    armed: bool,
    cancelled: bool,
    /// Not to accept: an administrator's pause.
    pub paused: bool,
    closed: bool,
}

impl Acceptor {
    pub fn new(listener: ListenerId, socket: Socket) -> Self {
        Acceptor { listener, socket, armed: false, cancelled: false, paused: false, closed: false }
    }
    pub fn is_armed(&self) -> bool {
        self.armed
    }
}

fn key(index: usize) -> SlotKey {
    SlotKey { slot: index as u32, generation: 0 }
}

impl<D: Driver> Worker<D> {
    /// Starts to accept wherever nothing speaks against it.
    pub(super) fn arm_acceptors(&mut self) {
        for index in 0..self.acceptors.len() {
            let waiting = self.parked.iter().any(|parked| parked.acceptor == index);
            let acceptor = &mut self.acceptors[index];
            if self.stage != Stage::Serving || acceptor.armed || acceptor.paused || acceptor.closed || waiting {
                continue;
            }
            acceptor.armed = true;
            acceptor.cancelled = false;
            self.core.driver.accept(acceptor.socket, key(index).token(Operation::Accept));
        }
    }

    pub(super) fn disarm_acceptor(&mut self, index: usize) {
        let acceptor = &mut self.acceptors[index];
        if acceptor.armed && !acceptor.cancelled {
            acceptor.cancelled = true;
            self.core.driver.cancel(acceptor.socket, key(index).token(Operation::Accept));
        }
    }

    /// Stops accepting for good; the socket is closed when its accept has ended.
    pub(super) fn close_acceptor(&mut self, index: usize) {
        self.acceptors[index].paused = true;
        self.disarm_acceptor(index);
        self.close_if_ended(index);
    }

    fn close_if_ended(&mut self, index: usize) {
        let stopping = self.stage != Stage::Serving || self.is_stopped(self.acceptors[index].listener);
        let acceptor = &mut self.acceptors[index];
        if !acceptor.armed && !acceptor.closed && stopping {
            acceptor.closed = true;
            self.core.driver.close(acceptor.socket);
        }
    }

    /// An accept completed: a new connection, or the end of accepting.
    pub(super) fn accepted(&mut self, index: usize, completion: &Completion) {
        if index >= self.acceptors.len() {
            return;
        }
        if completion.result >= 0 {
            let socket = Socket(completion.result);
            let now = self.core.driver.now();
            self.admit_or_park(Parked {
                acceptor: index,
                socket,
                monotonic_us: now.monotonic_us,
                wall_us: now.wall_us,
            });
        }
        if completion.more {
            return;
        }
        self.acceptors[index].armed = false;
        self.close_if_ended(index);
        let error = -completion.result;
        if completion.result < 0 && error != libc::ECANCELED {
            self.shortage(index, error);
        } else {
            self.arm_acceptors();
        }
    }

    /// EMFILE, ENFILE, ENOBUFS …: rest, say so once, go on.
    fn shortage(&mut self, index: usize, errno: i32) {
        let now_us = self.core.now_us();
        self.accept_again_us = Some(now_us + SHORTAGE_PAUSE_US);
        let reported = self.shortage_reported_us.is_some_and(|at_us| now_us < at_us + SHORTAGE_REPORT_US);
        if !reported {
            self.shortage_reported_us = Some(now_us);
            session_log::write_shortage(&mut self.core, self.acceptors[index].listener, errno);
        }
    }

    /// Serves a connection if every limit allows, else keeps it waiting and accepts no more from its listener.
    fn admit_or_park(&mut self, parked: Parked) {
        if self.stage != Stage::Serving {
            self.core.driver.close(parked.socket);
            return;
        }
        let waiting = self.parked.iter().any(|other| other.acceptor == parked.acceptor);
        let places = if waiting { None } else { self.admit(self.acceptors[parked.acceptor].listener) };
        let Some(places) = places else {
            let index = parked.acceptor;
            self.parked.push_back(parked);
            self.disarm_acceptor(index);
            return self.announce_wait();
        };
        self.serve(parked, places);
    }

    /// Begins the session of an admitted connection.
    pub(super) fn serve(&mut self, parked: Parked, places: Places) {
        let shared = self.core.shared.clone();
        let config: &Config = &shared.config;
        let listener_id = self.acceptors[parked.acceptor].listener;
        let frontend = config.listener(listener_id).frontend;
        let proxy = config.proxy(frontend);
        if proxy.options.tcp_smart_accept == Some(true) {
            // The acknowledgement of the client's first bytes travels with the answer.
            let _ = self.core.driver.set_option(parked.socket, &SocketOption::QuickAck(false));
        }
        let address = self.client_address(config, proxy, parked.socket);
        let accepted = Accepted {
            client: parked.socket,
            address,
            listener: listener_id,
            frontend,
            places: Some(places),
            monotonic_us: parked.monotonic_us,
            wall_us: parked.wall_us,
        };
        self.count_accepted(listener_id, frontend);
        if proxy.mode != ProxyMode::Tcp {
            let key = self.slots.insert(Tenant::Local(Box::new(LocalSession::new(accepted, config))));
            let Some(Tenant::Local(session)) = self.slots.get(key) else { return };
            let step = session.begin(&mut self.core.surroundings(key));
            return self.after_event(key, step);
        }
        let backend = if proxy.backend.is_some() {
            Some(frontend)
        } else {
            proxy.frontend.as_ref().and_then(|frontend| frontend.default_backend)
        };
        self.count_backend_session(backend);
        let splice = self.splice_settings(config, proxy, backend);
        let key = self.slots.insert(Tenant::Tcp(TcpSession::new(accepted, backend, splice)));
        let Some(Tenant::Tcp(session)) = self.slots.get(key) else { return };
        session_log::write_accepted(&mut self.core, session);
        let step: Step = session.begin(&mut self.core.surroundings(key));
        self.after_event(key, step)
    }

    /// getpeername() only where somebody will read it.
    fn client_address(&self, config: &Config, proxy: &Proxy, socket: Socket) -> ClientAddress {
        let backend = proxy.backend.as_ref().or_else(|| {
            let backend = proxy.frontend.as_ref()?.default_backend?;
            config.proxy(backend).backend.as_ref()
        });
        let hashed = backend.is_some_and(|backend| {
            let from_client =
                |source: &crate::config::model::SourceAddress| source.use_client != crate::config::model::UseSource::No;
            backend.balance == BalanceAlgorithm::Source
                || backend.source.as_ref().is_some_and(from_client)
                || backend.servers.iter().any(|id| config.server(*id).source.as_ref().is_some_and(from_client))
        });
        if proxy.log.targets.is_empty() && !hashed && proxy.mode == ProxyMode::Tcp {
            return ClientAddress::NotAsked;
        }
        match self.core.driver.peer_address(socket) {
            Ok(SocketAddress::Ip(address)) => ClientAddress::Ip(address),
            Ok(_) => ClientAddress::Unix,
            // Gone already: the session finds out.
            Err(_) => ClientAddress::NotAsked,
        }
    }
}
