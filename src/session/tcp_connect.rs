//! Getting a TCP session to a server: choice, queue, connect, retries, redispatch (configuration.txt section 4.2
//! `retries`, `option redispatch`, `timeout queue`).

use super::surroundings::Surroundings;
use super::tcp::{ClientAddress, NO_SOCKET, State, Step, TcpSession};
use super::termination::{Cause, Phase, Termination};
use super::token::{Direction, Operation};
use crate::config::model::{
    Backend, BalanceAlgorithm, KeepaliveSettings, Proxy, ProxyId, Server, ServerAddress, ServerId, SourceAddress,
    UseSource,
};
use crate::io::{Driver, Socket, SocketAddress, SocketOption};
use crate::policy::assign::{AssignRequest, Assignment, Lease, assign};
use crate::policy::health;
use crate::shared::server::RunState;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

/// Source ports tried for one connection before it fails.
const SOURCE_PORT_ATTEMPTS: u32 = 64;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Refused, unreachable, reset.
    Refused,
    TimedOut,
    /// No source port here.
    Resource,
    /// No descriptor or memory here: one is free when a connection has ended.
    Shortage,
}

impl Failure {
    fn cause(self) -> Cause {
        match self {
            Failure::Refused => Cause::Server,
            Failure::TimedOut => Cause::ServerTimeout,
            Failure::Resource | Failure::Shortage => Cause::Resource,
        }
    }

    fn from_errno(errno: i32) -> Failure {
        match errno {
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => Failure::Shortage,
            libc::EADDRNOTAVAIL | libc::EADDRINUSE | libc::EAGAIN => Failure::Resource,
            libc::ETIMEDOUT => Failure::TimedOut,
            _ => Failure::Refused,
        }
    }
}

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
            waiter: around.waiter(),
            keep,
            avoid,
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
        match self.open_server_socket(around, &config, server) {
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

    /// A socket with the server's options set, and where to connect it.
    fn open_server_socket<D: Driver>(
        &self,
        around: &mut Surroundings<D>,
        config: &crate::config::model::Config,
        id: ServerId,
    ) -> io::Result<(Socket, SocketAddress)> {
        let server = config.server(id);
        let proxy = config.proxy(server.backend);
        let address = self.server_address(around.driver, server)?;
        let socket = around.driver.open_stream(&address)?;
        let prepared = match address {
            SocketAddress::Ip(ip) => self.prepare(around, socket, ip, server, proxy),
            _ => Ok(()),
        };
        match prepared {
            Ok(()) => Ok((socket, address)),
            Err(error) => {
                around.driver.close(socket);
                Err(error)
            }
        }
    }

    fn server_address<D: Driver>(&self, driver: &D, server: &Server) -> io::Result<SocketAddress> {
        match &server.address {
            Some(ServerAddress::Ip(address)) => {
                let mut address = *address;
                if let Some(offset) = server.port_offset_from_client
                    && let SocketAddress::Ip(local) = driver.local_address(self.accepted.client)?
                {
                    address.set_port((local.port() as i32 + offset).clamp(0, u16::MAX as i32) as u16);
                }
                Ok(SocketAddress::Ip(address))
            }
            Some(ServerAddress::Unix(path)) => Ok(SocketAddress::Unix(path.clone())),
            Some(ServerAddress::Abstract(name)) => Ok(SocketAddress::Abstract(name.clone())),
            None => Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH)),
        }
    }

    fn prepare<D: Driver>(
        &self,
        around: &mut Surroundings<D>,
        socket: Socket,
        to: SocketAddr,
        server: &Server,
        proxy: &Proxy,
    ) -> io::Result<()> {
        let driver = &mut *around.driver;
        driver.set_option(socket, &SocketOption::NoDelay(true))?;
        set_keepalive(driver, socket, &proxy.server_keepalive)?;
        if let Some(timeout) = server.tcp_user_timeout {
            driver
                .set_option(socket, &SocketOption::UserTimeoutMs(timeout.as_millis().min(u32::MAX as u128) as u32))?;
        }
        let global = &around.shared.config.global;
        if let Some(bytes) = global.rcvbuf_server_bytes {
            driver.set_option(socket, &SocketOption::ReceiveBufferBytes(bytes))?;
        }
        if let Some(bytes) = global.sndbuf_server_bytes {
            driver.set_option(socket, &SocketOption::SendBufferBytes(bytes))?;
        }
        if proxy.options.tcp_smart_connect {
            // The acknowledgement of the handshake travels with the client's first bytes.
            driver.set_option(socket, &SocketOption::QuickAck(false))?;
        }
        if server.tfo {
            driver.set_option(socket, &SocketOption::FastOpenConnect)?;
        }
        let source = server.source.as_ref().or(proxy.backend.as_ref().and_then(|backend| backend.source.as_ref()));
        match source {
            Some(source) => self.bind_source(driver, socket, to, source),
            None => Ok(()),
        }
    }

    /// `source …`: the address and port that the server sees.
    fn bind_source<D: Driver>(
        &self,
        driver: &mut D,
        socket: Socket,
        to: SocketAddr,
        source: &SourceAddress,
    ) -> io::Result<()> {
        if let Some(interface) = &source.interface {
            driver.set_option(socket, &SocketOption::BindToDevice(interface.clone()))?;
        }
        let client = match &self.accepted.address {
            ClientAddress::Ip(address) => Some(*address),
            _ => None,
        };
        let transparent = match (source.use_client, client) {
            (UseSource::Client, client) => client,
            (UseSource::ClientIp, Some(client)) => Some(SocketAddr::new(client.ip(), 0)),
            (UseSource::Address(address), _) => Some(address),
            _ => None,
        };
        if let Some(address) = transparent {
            driver.set_option(socket, &SocketOption::Transparent)?;
            return driver.set_option(socket, &SocketOption::BindSource(address));
        }
        if source.address.is_ipv4() != to.is_ipv4() && !is_any(source.address) {
            return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
        }
        let Some((first, last)) = source.ports.filter(|(first, last)| first <= last) else {
            if is_any(source.address) {
                return Ok(());
            }
            return driver.set_option(socket, &SocketOption::BindSource(SocketAddr::new(source.address, 0)));
        };
        let span = u32::from(last - first) + 1;
        // Where the last search ended does not matter much: start anywhere, take the first that is free.
        let start = (self.accepted.monotonic_us / 7
            + self.accepted.client.0 as u64 * 31
            + u64::from(self.source_ports_tried)) as u32
            % span;
        let mut failure = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
        for attempt in 0..span.min(SOURCE_PORT_ATTEMPTS) {
            let port = first + ((start + attempt) % span) as u16;
            match driver.set_option(socket, &SocketOption::BindSource(SocketAddr::new(source.address, port))) {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
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
        self.established(around)
    }

    /// A bound port may be some other connection's to the same server, which only connect() finds out: then the server
    /// to try again with the next port, as long as the range has one.
    fn next_source_port<D: Driver>(&mut self, around: &Surroundings<D>, errno: i32) -> Option<ServerId> {
        let id = self.chosen.filter(|_| matches!(errno, libc::EADDRNOTAVAIL | libc::EADDRINUSE))?;
        let server = around.config().server(id);
        let backend = around.config().proxy(server.backend).backend.as_ref();
        let source = server.source.as_ref().or(backend.and_then(|backend| backend.source.as_ref()))?;
        let (first, last) = source.ports?;
        self.source_ports_tried += 1;
        let tried = u32::from(self.source_ports_tried);
        (tried <= u32::from(last.saturating_sub(first)) && tried < SOURCE_PORT_ATTEMPTS).then_some(id)
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
        let flow = self.response.open(&mut around.wire(Direction::Response, client, server));
        if self.flowed(around, Direction::Response, flow) == Step::Over {
            return Step::Over;
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
        let (proxy, Some(backend)) = (config.proxy(backend_id), &config.proxy(backend_id).backend) else {
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
        if failure != Failure::Shortage && self.may_redispatch(around, backend_id, proxy, backend, server) {
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

    /// HAProxy's rule: the server is down, or it is the retry that `option redispatch <interval>` names, or any other
    /// server is as good (a round robin with more than one of them).
    fn may_redispatch<D: Driver>(
        &self,
        around: &Surroundings<D>,
        backend_id: ProxyId,
        proxy: &Proxy,
        backend: &Backend,
        server: ServerId,
    ) -> bool {
        let Some(interval) = proxy.options.redispatch_interval else { return false };
        let retries = i32::from(self.retries);
        let at_interval = match interval {
            0 => false,
            every if every > 0 => retries % every == 0,
            from_last => {
                let period = backend.retries as i32 + 1 + from_last;
                period > 0 && retries % period == 0
            }
        };
        let active = around.shared.proxy(backend_id).active_servers.load(Ordering::Relaxed);
        let round_robin = matches!(
            backend.balance,
            BalanceAlgorithm::RoundRobin | BalanceAlgorithm::StaticRoundRobin | BalanceAlgorithm::Random { .. }
        );
        let running = matches!(around.shared.server(server).run_state(), RunState::Running);
        !running || at_interval || (round_robin && active > 1)
    }

    /// The turn-around is over.
    pub(super) fn try_again<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        match self.chosen.filter(|_| self.lease.is_some()) {
            Some(server) => self.connect(around, server),
            None => self.choose_server(around, None, None),
        }
    }
}

fn is_any(address: IpAddr) -> bool {
    address.is_unspecified()
}

/// `option srvtcpka` and its numbers.
fn set_keepalive<D: Driver>(driver: &mut D, socket: Socket, settings: &KeepaliveSettings) -> io::Result<()> {
    if !settings.enabled {
        return Ok(());
    }
    driver.set_option(socket, &SocketOption::Keepalive(true))?;
    if let Some(count) = settings.count {
        driver.set_option(socket, &SocketOption::KeepaliveCount(count))?;
    }
    if let Some(idle) = settings.idle {
        driver.set_option(socket, &SocketOption::KeepaliveIdleSeconds(idle.as_secs().min(u32::MAX as u64) as u32))?;
    }
    if let Some(interval) = settings.interval {
        let seconds = interval.as_secs().min(u32::MAX as u64) as u32;
        driver.set_option(socket, &SocketOption::KeepaliveIntervalSeconds(seconds))?;
    }
    Ok(())
}
