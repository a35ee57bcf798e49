//! Accepting: one multishot accept per listener, paused at a limit or a shortage and resumed when there is room.

use super::room::Parked;
use super::slots::Tenant;
use super::{Stage, Worker, session_log};
use crate::config::model::{BalanceAlgorithm, Config, ListenAddress, ListenerId, Proxy, ProxyMode};
use crate::io::{Completion, Driver, Socket, SocketAddress, SocketOption};
use crate::session::http::HttpSession;
use crate::session::local_session::LocalSession;
use crate::session::tcp::{Accepted, ClientAddress, Step, TcpSession};
use crate::session::tcp_inspect;
use crate::session::token::{Operation, SlotKey};
use crate::shared::FrontendStatus;
use crate::shared::places::Places;
use std::sync::atomic::Ordering;

/// How long accepting rests after EMFILE and its kin.
pub(super) const SHORTAGE_PAUSE_US: u64 = 100_000;
/// The same when a server's socket could not be had: as long as its session waits before it tries again, so that those
/// let in meanwhile do not take what it needs.
pub(super) const SERVER_SHORTAGE_PAUSE_US: u64 = 1_000_000;
/// At most one message about a shortage in this time.
const SHORTAGE_REPORT_US: u64 = 10_000_000;

/// Connections that may wait to be accepted where the configuration says nothing.
const BACKLOG_DEFAULT: u32 = 4096;

/// One listening socket of this worker.
pub(super) struct Acceptor {
    pub listener: ListenerId,
    pub socket: Socket,
    armed: bool,
    cancelled: bool,
    /// Not to accept: an administrator's pause.
    paused: bool,
    /// While paused the socket does not even listen, so that clients are refused rather than kept waiting, and another
    /// process may have the port.
    listening: bool,
    closed: bool,
}

impl Acceptor {
    pub fn new(listener: ListenerId, socket: Socket) -> Self {
        Acceptor { listener, socket, armed: false, cancelled: false, paused: false, listening: true, closed: false }
    }
    pub fn is_armed(&self) -> bool {
        self.armed
    }
}

fn key(index: usize) -> SlotKey {
    SlotKey { slot: index as u32, generation: 0 }
}

fn is_monitor(proxy: &Proxy, address: &ClientAddress) -> bool {
    let network = proxy.frontend.as_ref().and_then(|frontend| frontend.monitor_network);
    match (network, address) {
        (Some(network), ClientAddress::Ip(address)) => network.contains(address.ip().to_canonical()),
        _ => false,
    }
}

impl<D: Driver> Worker<D> {
    /// Starts to accept wherever nothing speaks against it.
    pub(super) fn arm_acceptors(&mut self) {
        if self.resting_until_us.is_some() {
            return;
        }
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

    /// Stops accepting until [`Worker::resume_acceptor`]; once its accept has ended the socket refuses connections.
    /// A unix socket by path goes on as if nothing had happened, as in HAProxy 2.6: there is no port to give away.
    pub(super) fn pause_acceptor(&mut self, index: usize) {
        if let ListenAddress::Unix(_) = self.core.shared.config.listener(self.acceptors[index].listener).address {
            return;
        }
        self.acceptors[index].paused = true;
        self.disarm_acceptor(index);
        self.stop_listening_if_ended(index);
    }

    /// Only for TCP sockets of our own: clients of an inherited one, which is its owner's too, wait, as in HAProxy 2.6.
    /// With `-dR` the workers share one socket, and the last to hear of a pause may reset who came right after its end.
    fn stop_listening_if_ended(&mut self, index: usize) {
        let acceptor = &mut self.acceptors[index];
        if !acceptor.paused || acceptor.armed || acceptor.closed || !acceptor.listening {
            return;
        }
        if let ListenAddress::Ip { .. } = self.core.shared.config.listener(acceptor.listener).address {
            acceptor.listening = false;
            self.core.driver.stop_listening(acceptor.socket);
        }
    }

    /// Ends a pause. When the port was taken meanwhile the frontend is paused again, as with HAProxy, and the log says so.
    pub(super) fn resume_acceptor(&mut self, index: usize) {
        let shared = self.core.shared.clone();
        let acceptor = &mut self.acceptors[index];
        let listener = shared.config.listener(acceptor.listener);
        if acceptor.closed {
            return;
        }
        if !acceptor.listening {
            let backlog = shared.config.backlog_of(listener).unwrap_or(BACKLOG_DEFAULT);
            if let Err(error) = self.core.driver.listen_again(acceptor.socket, backlog) {
                let status = &shared.proxy(listener.frontend).frontend_status;
                status.store(FrontendStatus::Paused as u8, Ordering::Relaxed);
                return session_log::write_resume_failure(&mut self.core, acceptor.listener, &error);
            }
            acceptor.listening = true;
        }
        acceptor.paused = false;
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
        self.stop_listening_if_ended(index);
        match -completion.result {
            // Another worker has paused the socket that they share; this one's own message is under way.
            libc::EINVAL if !self.acceptors[index].cancelled => self.acceptors[index].paused = true,
            error if error > 0 && !matches!(error, libc::ECANCELED | libc::EINVAL) => {
                self.rest(error, SHORTAGE_PAUSE_US)
            }
            _ => self.arm_acceptors(),
        }
    }

    /// EMFILE, ENFILE, ENOBUFS …, of an accept or of a server's socket: nobody is let in for a moment. Said
    /// once in a while.
    pub(super) fn rest(&mut self, errno: i32, pause_us: u64) {
        let now_us = self.core.now_us();
        (self.accept_again_us, self.resting_until_us) = (Some(now_us + pause_us), Some(now_us + pause_us));
        self.set_open(false);
        for index in 0..self.acceptors.len() {
            self.disarm_acceptor(index);
        }
        let reported = self.shortage_reported_us.is_some_and(|at_us| now_us < at_us + SHORTAGE_REPORT_US);
        if let Some(acceptor) = self.acceptors.first().filter(|_| !reported) {
            self.shortage_reported_us = Some(now_us);
            session_log::write_shortage(&mut self.core, acceptor.listener, errno);
        }
    }

    /// Serves a connection if every limit allows, else keeps it waiting and accepts no more from its listener.
    pub(super) fn admit_or_park(&mut self, parked: Parked) {
        // Accepted before a soft stop took effect: it is served like those that were there.
        if self.stage == Stage::Closing {
            self.core.driver.close(parked.socket);
            return;
        }
        let waiting = self.parked.iter().any(|other| other.acceptor == parked.acceptor);
        let waits = if waiting { Some(parked) } else { self.place(parked) };
        if let Some(parked) = waits {
            let index = parked.acceptor;
            self.parked.push_back(parked);
            self.disarm_acceptor(index);
            self.announce_wait();
        }
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
            sequence: shared.process.connection_sequence.fetch_add(1, Ordering::Relaxed),
            places: Some(places),
            monotonic_us: parked.monotonic_us,
            wall_us: parked.wall_us,
        };
        if is_monitor(proxy, &accepted.address) {
            return self.answer_monitor(proxy, accepted);
        }
        let accepts_proxy = config.listener(listener_id).accepts_proxy;
        if proxy.mode == ProxyMode::Tcp && (accepts_proxy || tcp_inspect::has_rules(config, proxy)) {
            return self.serve_ruled(config, proxy, accepted, accepts_proxy);
        }
        self.count_accepted(listener_id, frontend);
        if proxy.mode == ProxyMode::Http {
            let key = self.slots.insert(Tenant::Http(Box::new(HttpSession::new(accepted))));
            let Some(Tenant::Http(session)) = self.slots.get(key) else { return };
            let step = session.admit(&mut self.core.surroundings(key));
            if step == Step::Over {
                return self.after_event(key, step);
            }
            return match accepts_proxy || session.expects_proxy_header() {
                true => self.await_proxy_header(key, proxy),
                false => self.begin(key),
            };
        }
        if proxy.mode != ProxyMode::Tcp {
            let key = self.slots.insert(Tenant::Local(Box::new(LocalSession::new(accepted, config))));
            return match accepts_proxy {
                true => self.await_proxy_header(key, proxy),
                false => self.begin(key),
            };
        }
        let backend = if proxy.backend.is_some() {
            Some(frontend)
        } else {
            proxy.frontend.as_ref().and_then(|frontend| frontend.default_backend)
        };
        self.count_backend_session(backend);
        let splice = tcp_inspect::splice_settings(config, proxy, backend);
        let key = self.slots.insert(Tenant::Tcp(TcpSession::new(accepted, backend, splice)));
        let Some(Tenant::Tcp(session)) = self.slots.get(key) else { return };
        session_log::write_accepted(&mut self.core, session);
        let step: Step = session.begin(&mut self.core.surroundings(key));
        self.after_event(key, step)
    }

    /// `monitor-net`: a network's connections only ask whether this process lives. In TCP mode they are closed at once,
    /// otherwise they get an answer without being asked for anything; none is logged.
    fn answer_monitor(&mut self, proxy: &Proxy, accepted: Accepted) {
        self.count_accepted(accepted.listener, accepted.frontend);
        if proxy.mode == ProxyMode::Tcp {
            return self.core.driver.close(accepted.client);
        }
        let key = self.slots.insert(Tenant::Local(Box::new(LocalSession::for_monitor(accepted))));
        let Some(Tenant::Local(session)) = self.slots.get(key) else { return };
        let step = session.begin(&mut self.core.surroundings(key));
        self.after_event(key, step)
    }

    /// As [`Worker::serve`] for TCP, where rules decide whether there is a session, and which backend it goes to, or
    /// where a header says whose it is.
    fn serve_ruled(&mut self, config: &Config, proxy: &Proxy, accepted: Accepted, accepts_proxy: bool) {
        let (listener, frontend) = (accepted.listener, accepted.frontend);
        self.count_connection(listener, frontend);
        // A `listen` counts the bytes of those it refuses, too.
        let backend = proxy.backend.is_some().then_some(frontend);
        let splice = tcp_inspect::splice_settings(config, proxy, backend);
        let key = self.slots.insert(Tenant::Tcp(TcpSession::new(accepted, backend, splice)));
        let Some(Tenant::Tcp(session)) = self.slots.get(key) else { return };
        session.inspect_with_rules();
        if !session.admit_connection(&mut self.core.surroundings(key)) {
            return self.after_event(key, Step::Over);
        }
        match accepts_proxy || session.expects_proxy_header() {
            true => self.await_proxy_header(key, proxy),
            false => self.begin(key),
        }
    }

    /// All that comes before the session is over: it begins, if its own rules let it.
    pub(super) fn begin(&mut self, key: SlotKey) {
        let step = match self.slots.get(key) {
            Some(Tenant::Tcp(session)) => {
                let (listener, frontend) = (session.listener(), session.frontend());
                if !session.admit_session(&mut self.core.surroundings(key)) {
                    return self.after_event(key, Step::Over);
                }
                self.count_session(listener, frontend);
                let Some(Tenant::Tcp(session)) = self.slots.get(key) else { return };
                session_log::write_accepted(&mut self.core, session);
                session.begin(&mut self.core.surroundings(key))
            }
            Some(Tenant::Http(session)) => session.begin(&mut self.core.surroundings(key)),
            Some(Tenant::Local(session)) => session.begin(&mut self.core.surroundings(key)),
            Some(Tenant::ProxyHeader(_) | Tenant::Nobody) | None => return,
        };
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
        let monitored = proxy.frontend.as_ref().is_some_and(|frontend| frontend.monitor_network.is_some());
        let ruled = monitored || tcp_inspect::has_rules(config, proxy);
        if proxy.log.targets.is_empty() && !hashed && !ruled && proxy.mode == ProxyMode::Tcp {
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
