//! When servers are checked, and the sockets of the checks (configuration.txt 5.2 `check`, `inter`, `fastinter`,
//! `downinter`, `port`, `addr`; 4.2 `timeout check`; 3.2 `spread-checks`, `max-spread-checks`).
//!
//! One check per server at a time. A check ends with a plain close: HAProxy resets the connection, which fills the logs
//! of brokers; a FIN costs a TIME_WAIT on this side instead, for a minute, of which there are few.

use super::connection::{Connection, Happened};
use super::server_state;
use crate::config::model::{Proxy, ProxyVersion, Server, ServerAddress, ServerCheck, ServerId};
use crate::io::{Completion, Driver, SocketAddress, SocketOption};
use crate::policy::health::{self, CheckReport};
use crate::policy::state_log::StateLog;
use crate::proto::proxy_protocol::{self, Announced};
use crate::session::probe::{Command, Context, Event, Probe, Script, Target};
use crate::shared::Shared;
use crate::shared::server::RunState;
use crate::worker::timer::TimerWheel;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Checks with a shorter interval do not decide over how long the first checks of all servers are spread.
const SPREADING_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// All checks of the process.
pub struct Checks {
    shared: Arc<Shared>,
    hostname: String,
    /// Low three bits 0, bits 3..35 are the index into `slots`.
    token_base: u64,
    slots: Vec<Slot>,
    /// By index into `slots`: when a check begins, or when the one under way has taken too long.
    timers: TimerWheel,
    random: u64,
}

struct Slot {
    server: ServerId,
    script: Arc<Script>,
    running: Option<Running>,
}

struct Running {
    probe: Probe,
    /// `None` only while none could be opened.
    connection: Option<Connection>,
    /// What to do when the connection is closed.
    then: Then,
}

enum Then {
    /// It is not to be closed.
    Nothing,
    Reconnect(Target),
    Finish,
}

impl Checks {
    /// Plans the first check of every checked server. The error lists regular expressions that do not compile.
    pub fn new(shared: Arc<Shared>, hostname: &str, token_base: u64, now_us: u64) -> Result<Checks, Vec<String>> {
        let config = shared.config.clone();
        let (mut slots, mut errors) = (Vec::new(), Vec::new());
        for proxy in config.proxies.iter().filter(|proxy| !proxy.disabled) {
            let Some(backend) = &proxy.backend else { continue };
            let checked: Vec<ServerId> =
                backend.servers.iter().copied().filter(|id| config.server(*id).check.is_some()).collect();
            if checked.is_empty() {
                continue;
            }
            match Script::compile(&backend.check) {
                Ok(script) => {
                    let script = Arc::new(script);
                    slots.extend(checked.iter().map(|server| Slot {
                        server: *server,
                        script: script.clone(),
                        running: None,
                    }));
                }
                Err(error) => errors.push(format!("Backend '{}': {error}", proxy.name)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut checks = Checks {
            hostname: hostname.to_string(),
            token_base,
            timers: TimerWheel::new(now_us / 1000),
            random: now_us ^ 0x9e37_79b9_7f4a_7c15,
            slots,
            shared,
        };
        checks.spread_first_checks(now_us);
        Ok(checks)
    }

    fn spread_first_checks(&mut self, now_us: u64) {
        let config = self.shared.config.clone();
        let shortest = self
            .slots
            .iter()
            .filter_map(|slot| Some(interval(&self.shared, slot.server, config.server(slot.server).check.as_ref()?)))
            .filter(|time| *time >= SPREADING_INTERVAL_MIN)
            .min()
            .unwrap_or_default();
        let count = self.slots.len() as u128;
        for index in 0..self.slots.len() {
            let server = self.slots[index].server;
            let Some(check) = &config.server(server).check else { continue };
            let mut span = interval(&self.shared, server, check).max(shortest);
            if let Some(limit) = config.global.max_spread_checks.filter(|limit| !limit.is_zero()) {
                span = span.min(limit);
            }
            let offset_ms = span.as_millis() * index as u128 / count;
            self.timers.set(index as u32, now_us / 1000 + u64::try_from(offset_ms).unwrap_or(u64::MAX / 4));
        }
    }

    /// Monotonic microseconds of the next thing to do.
    pub fn deadline_us(&self) -> Option<u64> {
        self.timers.next_ms().map(|ms| ms.saturating_mul(1000))
    }

    /// Starts checks that are due and ends those that took too long.
    pub fn tick<D: Driver>(&mut self, driver: &mut D, logs: &mut Vec<StateLog>) {
        let now_us = driver.now().monotonic_us;
        let mut due = Vec::new();
        self.timers.expire(now_us / 1000, |slot| due.push(slot as usize));
        for index in due {
            match self.slots.get(index).map(|slot| slot.running.is_some()) {
                Some(true) => self.event(driver, index, Event::Timeout, logs),
                Some(false) => self.begin(driver, index, logs),
                None => {}
            }
        }
    }

    /// `observe` saw too many errors: the next check is due after `fastinter` at the latest.
    pub fn check_soon(&mut self, server: ServerId, now_us: u64) {
        let Some(fastinter) = self.shared.config.server(server).check.as_ref().and_then(|check| check.fastinter) else {
            return;
        };
        let Some(index) = self.slots.iter().position(|slot| slot.server == server) else { return };
        let at_ms = after_ms(now_us, fastinter);
        let later = self.timers.deadline_ms(index as u32).is_some_and(|deadline_ms| deadline_ms > at_ms);
        if self.slots[index].running.is_none() && later {
            self.timers.set(index as u32, at_ms);
        }
    }

    /// A completion whose token has this object's base.
    pub fn complete<D: Driver>(&mut self, driver: &mut D, completion: &Completion, logs: &mut Vec<StateLog>) {
        let index = ((Connection::base_of(completion.token) & !self.token_base) >> 3) as usize;
        let connection = self
            .slots
            .get_mut(index)
            .and_then(|slot| slot.running.as_mut())
            .and_then(|running| running.connection.as_mut());
        let Some(connection) = connection else {
            if completion.buffer.is_some() {
                driver.release(completion.buffer);
            }
            return;
        };
        match connection.complete(driver, completion) {
            Happened::Nothing => {}
            Happened::Connected => match self.announce(driver, index) {
                Ok(()) => self.event(driver, index, Event::Connected, logs),
                Err(errno) => self.event(driver, index, Event::Failed(errno), logs),
            },
            Happened::Written => self.event(driver, index, Event::Sent, logs),
            Happened::EndOfInput => self.event(driver, index, Event::EndOfInput, logs),
            Happened::Failed(errno) => self.event(driver, index, Event::Failed(errno), logs),
            Happened::Received { buffer, length } => {
                // The verdict may close the connection, which needs the driver: the bytes must be out of it first.
                let bytes = driver.bytes(buffer).get(..length).unwrap_or_default().to_vec();
                driver.release(buffer);
                self.event(driver, index, Event::Received(&bytes), logs);
                if let Some(connection) = self.slots[index].running.as_mut().and_then(|it| it.connection.as_mut()) {
                    // A receive may end without an end of input (it ran out of turns): go on.
                    connection.receive(driver);
                }
            }
            Happened::Closed => self.closed(driver, index, logs),
        }
    }

    /// `check-send-proxy`: nobody's connection but our own. Version 1 has no word for that, and says the ends of the
    /// check's connection, as in HAProxy.
    fn announce<D: Driver>(&mut self, driver: &mut D, index: usize) -> Result<(), i32> {
        let config = self.shared.config.clone();
        let server = config.server(self.slots[index].server);
        let version = server.check.as_ref().and_then(|check| check.sends_proxy);
        let (Some(version), Some(connection)) = (version, self.connection(index)) else { return Ok(()) };
        let socket = connection.socket();
        let header = match version {
            ProxyVersion::V2 => proxy_protocol::v2_header(None),
            ProxyVersion::V1 => match (driver.local_address(socket), driver.peer_address(socket)) {
                (Ok(SocketAddress::Ip(source)), Ok(SocketAddress::Ip(destination))) => {
                    proxy_protocol::v1_header(Some(Announced { source, destination }))
                }
                _ => proxy_protocol::v1_header(None),
            },
        };
        match driver.send_now(socket, &header) {
            Ok(sent) if sent == header.len() => Ok(()),
            Ok(_) => Err(libc::EPIPE),
            Err(error) => Err(error.raw_os_error().unwrap_or(libc::EPIPE)),
        }
    }

    fn begin<D: Driver>(&mut self, driver: &mut D, index: usize, logs: &mut Vec<StateLog>) {
        let now_us = driver.now().monotonic_us;
        let server = self.slots[index].server;
        if !health::is_checked_now(&self.shared, server) {
            return self.plan_next(index, now_us);
        }
        let state = self.shared.server(server);
        let script = self.slots[index].script.clone();
        let context = Context {
            server_is_up: state.run_state() != RunState::Stopped,
            server_state: script.sends_state().then(|| server_state::header(&self.shared, server, &self.hostname)),
        };
        state.check_in_progress.store(true, Ordering::Relaxed);
        let (probe, command) = Probe::start(script, context, now_us);
        self.slots[index].running = Some(Running { probe, connection: None, then: Then::Nothing });
        self.obey(driver, index, command, logs);
    }

    /// Hands an event to the probe and does what it says.
    fn event<D: Driver>(&mut self, driver: &mut D, index: usize, event: Event, logs: &mut Vec<StateLog>) {
        let now_us = driver.now().monotonic_us;
        let Some(running) = self.slots.get_mut(index).and_then(|slot| slot.running.as_mut()) else { return };
        if !matches!(running.then, Then::Nothing) {
            return;
        }
        let was_connected = running.probe.is_connected();
        let command = running.probe.on(event, now_us);
        if running.probe.is_connected() && !was_connected {
            let config = self.shared.config.clone();
            let proxy = config.proxy(config.server(self.slots[index].server).backend);
            // Without `timeout check`, `inter` bounds the whole check and has been set already.
            if let Some(timeout) = proxy.timeouts.check {
                self.timers.set(index as u32, after_ms(now_us, timeout));
            }
        }
        self.obey(driver, index, command, logs);
    }

    fn obey<D: Driver>(&mut self, driver: &mut D, index: usize, command: Command, logs: &mut Vec<StateLog>) {
        match command {
            Command::Connect(target) => self.close_then(driver, index, Then::Reconnect(target), logs),
            Command::Send(bytes) => match self.connection(index) {
                // An empty send would never complete.
                Some(_) if bytes.is_empty() => self.event(driver, index, Event::Sent, logs),
                Some(connection) => connection.write(driver, &bytes),
                None => {}
            },
            Command::Receive => {
                if let Some(connection) = self.connection(index) {
                    connection.receive(driver);
                }
            }
            Command::Done(report) => self.verdict(driver, index, report, true, logs),
            Command::Impossible(report) => self.verdict(driver, index, report, false, logs),
        }
    }

    fn connection(&mut self, index: usize) -> Option<&mut Connection> {
        self.slots.get_mut(index)?.running.as_mut()?.connection.as_mut()
    }

    fn verdict<D: Driver>(
        &mut self,
        driver: &mut D,
        index: usize,
        report: CheckReport,
        about_server: bool,
        logs: &mut Vec<StateLog>,
    ) {
        let now_us = driver.now().monotonic_us;
        let server = self.slots[index].server;
        self.shared.server(server).check_in_progress.store(false, Ordering::Relaxed);
        logs.extend(match about_server {
            true => health::check_finished(&self.shared, server, report, now_us),
            false => health::check_impossible(&self.shared, server, report, now_us),
        });
        self.timers.clear(index as u32);
        self.close_then(driver, index, Then::Finish, logs);
    }

    fn close_then<D: Driver>(&mut self, driver: &mut D, index: usize, then: Then, logs: &mut Vec<StateLog>) {
        let Some(running) = self.slots.get_mut(index).and_then(|slot| slot.running.as_mut()) else { return };
        running.then = then;
        let closed = running.connection.as_mut().is_none_or(|connection| connection.close(driver));
        if closed {
            self.closed(driver, index, logs);
        }
    }

    fn closed<D: Driver>(&mut self, driver: &mut D, index: usize, logs: &mut Vec<StateLog>) {
        let Some(running) = self.slots.get_mut(index).and_then(|slot| slot.running.as_mut()) else { return };
        running.connection = None;
        match std::mem::replace(&mut running.then, Then::Nothing) {
            Then::Nothing => {}
            Then::Reconnect(target) => self.open(driver, index, target, logs),
            Then::Finish => {
                self.slots[index].running = None;
                self.plan_next(index, driver.now().monotonic_us);
            }
        }
    }

    fn open<D: Driver>(&mut self, driver: &mut D, index: usize, target: Target, logs: &mut Vec<StateLog>) {
        let now_us = driver.now().monotonic_us;
        let config = self.shared.config.clone();
        let server = config.server(self.slots[index].server);
        let proxy = config.proxy(server.backend);
        let Some(check) = &server.check else { return };
        self.timers.set(index as u32, after_ms(now_us, connect_timeout(proxy, check)));
        let Some(address) = destination(server, check, target) else {
            return self.event(driver, index, Event::Failed(libc::EADDRNOTAVAIL), logs);
        };
        let socket = match driver.open_stream(&address) {
            Ok(socket) => socket,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EMFILE);
                return self.event(driver, index, Event::Failed(errno), logs);
            }
        };
        for option in options(proxy, server, &address) {
            if let Err(error) = driver.set_option(socket, &option) {
                driver.close(socket);
                let errno = error.raw_os_error().unwrap_or(libc::EADDRNOTAVAIL);
                return self.event(driver, index, Event::Failed(errno), logs);
            }
        }
        let mut connection = Connection::new(socket, self.token_base | (index as u64) << 3);
        connection.connect(driver, &address);
        if let Some(running) = self.slots[index].running.as_mut() {
            running.connection = Some(connection);
        }
    }

    /// The next check: an interval after the end of this one, give or take `spread-checks` percent.
    fn plan_next(&mut self, index: usize, now_us: u64) {
        let config = self.shared.config.clone();
        let server = self.slots[index].server;
        let Some(check) = &config.server(server).check else { return };
        let interval = interval(&self.shared, server, check);
        let spread_ms = interval.as_millis() as u64 * u64::from(config.global.spread_checks_percent.min(50)) / 100;
        let random = self.next_random();
        let shift_ms = if spread_ms == 0 { 0 } else { random % (2 * spread_ms + 1) };
        let at_ms = after_ms(now_us, interval).saturating_sub(spread_ms).saturating_add(shift_ms);
        self.timers.set(index as u32, at_ms);
    }

    /// xorshift64: spreading needs no better.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// `inter` when fully up, `downinter` when fully down, `fastinter` in between or unchecked; `inter` for what is not set.
pub fn interval(shared: &Shared, server: ServerId, check: &ServerCheck) -> Duration {
    let state = shared.server(server);
    let health = state.health.load(Ordering::Relaxed);
    let chosen = if health >= health::counter::full(check.rise, check.fall) {
        None
    } else if health == 0 && state.run_state() == RunState::Stopped {
        check.downinter
    } else {
        check.fastinter
    };
    // An interval of 0 would check in an endless loop.
    chosen.unwrap_or(check.inter).max(Duration::from_millis(1))
}

/// `inter` for the whole check; with `timeout check`, connecting alone takes at most `timeout connect` and `inter`.
fn connect_timeout(proxy: &Proxy, check: &ServerCheck) -> Duration {
    match (proxy.timeouts.check, proxy.timeouts.connect) {
        (Some(_), Some(connect)) => connect.min(check.inter),
        _ => check.inter,
    }
}

fn after_ms(now_us: u64, time: Duration) -> u64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
    // Never early: the wheel counts whole milliseconds.
    now_us.div_ceil(1000).saturating_add(ms)
}

/// Where to connect: the rule's address and port, else the `check` ones, else the server's own.
fn destination(server: &Server, check: &ServerCheck, target: Target) -> Option<SocketAddress> {
    let own = match &server.address {
        Some(ServerAddress::Ip(address)) => Some(*address),
        _ => None,
    };
    let ip = target.address.map(|address| address.ip()).or(check.address).or(own.map(|address| address.ip()));
    let rule_port = target.port.or(target.address.map(|address| address.port()).filter(|port| *port != 0));
    let written_port = rule_port.or(check.port);
    let is_ip = target.address.is_some() || check.address.is_some() || own.is_some();
    if is_ip {
        let port = written_port.or(own.map(|address| address.port()))?;
        return Some(SocketAddress::Ip(SocketAddr::new(ip?, port)));
    }
    match &server.address {
        Some(ServerAddress::Unix(path)) => Some(SocketAddress::Unix(path.clone())),
        Some(ServerAddress::Abstract(name)) => Some(SocketAddress::Abstract(name.clone())),
        _ => None,
    }
}

/// `source` holds for checks too, but for its port range and the client's address, which a check has none of.
fn options(proxy: &Proxy, server: &Server, address: &SocketAddress) -> Vec<SocketOption> {
    let SocketAddress::Ip(destination) = address else { return Vec::new() };
    let mut options = vec![SocketOption::NoDelay(true)];
    let backend_source = proxy.backend.as_ref().and_then(|backend| backend.source.as_ref());
    if let Some(source) = server.source.as_ref().or(backend_source) {
        if let Some(interface) = &source.interface {
            options.push(SocketOption::BindToDevice(interface.clone()));
        }
        if source.address.is_ipv4() == destination.is_ipv4() && !source.address.is_unspecified() {
            options.push(SocketOption::BindSource(SocketAddr::new(source.address, 0)));
        }
    }
    options
}
