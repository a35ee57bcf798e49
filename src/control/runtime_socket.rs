//! The sockets of `stats socket` (configuration.txt 3.1, management.txt 9.3): accepting, bytes in, answers out. What
//! the bytes mean is [`RuntimeSession`]'s.

use super::connection::{Connection, Happened};
use crate::io::{Completion, Driver, Moment, Socket, SocketAddress, Token};
use crate::policy::state_log::StateLog;
use crate::session::local_context::{LocalContext, Verdict};
use crate::session::runtime::RuntimeSession;
use crate::shared::Shared;
use std::net::IpAddr;
use std::sync::Arc;

/// No command is read while so much of earlier answers waits for a slow reader.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// How long accepting rests after a shortage of descriptors or memory.
const SHORTAGE_PAUSE_US: u64 = 500_000;

/// All runtime sockets of the process.
pub struct RuntimeSockets {
    shared: Arc<Shared>,
    hostname: String,
    pid: u32,
    /// Low bits as in [`Connection`]; index bits are added.
    accept_base: u64,
    session_base: u64,
    listeners: Vec<Listener>,
    sessions: Vec<Option<Session>>,
    open: usize,
}

struct Listener {
    socket: Socket,
    /// Into `global.runtime_sockets`.
    settings: usize,
    accepting: bool,
    /// Sessions that came from here.
    open: usize,
    not_before_us: Option<u64>,
}

struct Session {
    connection: Connection,
    commands: RuntimeSession,
    listener: usize,
    client_ip: Option<IpAddr>,
    /// Received, not yet read as commands: the reader is slower than its answers.
    input: Vec<u8>,
    end_of_input: bool,
    /// Close when all is sent.
    finishing: bool,
    last_activity_us: u64,
}

impl RuntimeSockets {
    /// `listeners`: index into `global.runtime_sockets` and the listening, non-blocking socket.
    pub fn new(
        shared: Arc<Shared>,
        hostname: &str,
        listeners: Vec<(usize, Socket)>,
        accept_base: u64,
        session_base: u64,
    ) -> RuntimeSockets {
        RuntimeSockets {
            hostname: hostname.to_string(),
            pid: std::process::id(),
            accept_base,
            session_base,
            listeners: listeners
                .into_iter()
                .map(|(settings, socket)| Listener { socket, settings, accepting: false, open: 0, not_before_us: None })
                .collect(),
            sessions: Vec::new(),
            open: 0,
            shared,
        }
    }

    /// Accepts where there is room: `stats maxconn` for all together, a socket's own `maxconn` for itself.
    pub fn accept_more<D: Driver>(&mut self, driver: &mut D) {
        let now_us = driver.now().monotonic_us;
        for index in 0..self.listeners.len() {
            let has_room = self.has_room(index);
            let listener = &mut self.listeners[index];
            if listener.not_before_us.is_some_and(|at_us| at_us > now_us) {
                continue;
            }
            listener.not_before_us = None;
            let token = Token(self.accept_base | (index as u64) << 3);
            if has_room && !listener.accepting {
                listener.accepting = true;
                driver.accept(listener.socket, token);
            } else if !has_room && listener.accepting {
                driver.cancel(listener.socket, token);
            }
        }
    }

    fn has_room(&self, listener: usize) -> bool {
        let global = &self.shared.config.global;
        let own = global.runtime_sockets.get(self.listeners[listener].settings).and_then(|socket| socket.maxconn);
        self.open < global.stats_maxconn.max(1) as usize
            && own.is_none_or(|maxconn| maxconn == 0 || self.listeners[listener].open < maxconn as usize)
    }

    /// A completion of an accept.
    pub fn accepted<D: Driver>(&mut self, driver: &mut D, completion: &Completion) {
        let index = ((completion.token.0 & !self.accept_base) >> 3) as usize;
        let Some(listener) = self.listeners.get_mut(index) else { return };
        let now_us = driver.now().monotonic_us;
        if !completion.more {
            listener.accepting = false;
        }
        if completion.result < 0 {
            if -completion.result != libc::ECANCELED {
                // Out of descriptors or memory: the waiting connection stays in the backlog.
                listener.not_before_us = Some(now_us.saturating_add(SHORTAGE_PAUSE_US));
            }
        } else {
            self.add_session(driver, index, Socket(completion.result));
        }
        self.accept_more(driver);
    }

    fn add_session<D: Driver>(&mut self, driver: &mut D, listener: usize, socket: Socket) {
        let global = &self.shared.config.global;
        let Some(settings) = global.runtime_sockets.get(self.listeners[listener].settings) else {
            return driver.close(socket);
        };
        let client_ip = match driver.peer_address(socket) {
            Ok(SocketAddress::Ip(address)) => Some(address.ip()),
            _ => None,
        };
        let free = self.sessions.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        });
        let mut connection = Connection::new(socket, self.session_base | (index as u64) << 3);
        connection.receive(driver);
        self.sessions[index] = Some(Session {
            connection,
            commands: RuntimeSession::new(settings.level, global.stats_timeout),
            listener,
            client_ip,
            input: Vec::new(),
            end_of_input: false,
            finishing: false,
            last_activity_us: driver.now().monotonic_us,
        });
        self.open += 1;
        self.listeners[listener].open += 1;
    }

    /// A completion of a session's connection.
    pub fn complete<D: Driver>(&mut self, driver: &mut D, completion: &Completion, logs: &mut Vec<StateLog>) {
        let index = ((Connection::base_of(completion.token) & !self.session_base) >> 3) as usize;
        let Some(session) = self.sessions.get_mut(index).and_then(Option::as_mut) else {
            if completion.buffer.is_some() {
                driver.release(completion.buffer);
            }
            return;
        };
        let happened = session.connection.complete(driver, completion);
        if !matches!(happened, Happened::Nothing | Happened::Closed) {
            session.last_activity_us = driver.now().monotonic_us;
        }
        match happened {
            Happened::Received { buffer, length } => {
                session.input.extend_from_slice(driver.bytes(buffer).get(..length).unwrap_or_default());
                driver.release(buffer);
                self.read_commands(driver, index, logs);
            }
            Happened::EndOfInput => {
                session.end_of_input = true;
                self.read_commands(driver, index, logs);
            }
            Happened::Written => self.read_commands(driver, index, logs),
            Happened::Failed(_) => self.close(driver, index),
            Happened::Closed => self.forget(driver, index),
            Happened::Nothing => self.regulate(driver, index),
            Happened::Connected => {}
        }
    }

    /// Reads commands one after the other, as long as the answers find their way out.
    fn read_commands<D: Driver>(&mut self, driver: &mut D, index: usize, logs: &mut Vec<StateLog>) {
        let now = driver.now();
        loop {
            let Some(session) = self.sessions.get_mut(index).and_then(Option::as_mut) else { return };
            if session.finishing || session.connection.unsent_bytes() > UNSENT_BYTES_MAX {
                break;
            }
            let line_end = memchr::memchr(b'\n', &session.input).map_or(session.input.len(), |at| at + 1);
            let piece: Vec<u8> = session.input.drain(..line_end).collect();
            let last = session.end_of_input && session.input.is_empty();
            if piece.is_empty() && !last {
                break;
            }
            let mut output = Vec::new();
            let mut context = context(&self.shared, now, &self.hostname, self.pid, session.client_ip, logs);
            let verdict = session.commands.receive(&piece, last, &mut context, &mut output);
            // After the end of input nothing more can be asked.
            session.finishing = verdict == Verdict::CloseAfterOutput || last;
            session.connection.write(driver, &output);
        }
        self.regulate(driver, index);
    }

    /// Receives, or lets the client wait, or ends the session when its last answer is out.
    fn regulate<D: Driver>(&mut self, driver: &mut D, index: usize) {
        let Some(session) = self.sessions.get_mut(index).and_then(Option::as_mut) else { return };
        if session.finishing && session.connection.unsent_bytes() == 0 {
            return self.close(driver, index);
        }
        if session.finishing || session.connection.unsent_bytes() > UNSENT_BYTES_MAX {
            session.connection.pause_receiving(driver);
        } else {
            session.connection.receive(driver);
        }
    }

    fn close<D: Driver>(&mut self, driver: &mut D, index: usize) {
        let Some(session) = self.sessions.get_mut(index).and_then(Option::as_mut) else { return };
        if session.connection.close(driver) {
            self.forget(driver, index);
        }
    }

    fn forget<D: Driver>(&mut self, driver: &mut D, index: usize) {
        if let Some(session) = self.sessions.get_mut(index).and_then(Option::take) {
            self.open -= 1;
            self.listeners[session.listener].open -= 1;
            self.accept_more(driver);
        }
    }

    /// Monotonic microseconds of the next thing to do.
    pub fn deadline_us(&self) -> Option<u64> {
        let idle = self.sessions.iter().flatten().filter_map(Session::deadline_us);
        idle.chain(self.listeners.iter().filter_map(|listener| listener.not_before_us)).min()
    }

    /// Closes sessions that were silent for `stats timeout`, accepts again after a shortage.
    pub fn tick<D: Driver>(&mut self, driver: &mut D) {
        let now_us = driver.now().monotonic_us;
        for index in 0..self.sessions.len() {
            let session = self.sessions[index].as_ref();
            if session.and_then(Session::deadline_us).is_some_and(|deadline_us| deadline_us <= now_us) {
                self.close(driver, index);
            }
        }
        if self.listeners.iter().any(|listener| listener.not_before_us.is_some_and(|at_us| at_us <= now_us)) {
            self.accept_more(driver);
        }
    }

    /// Bytes of answers that wait for their readers.
    pub fn unsent_bytes(&self) -> usize {
        self.sessions.iter().flatten().map(|session| session.connection.unsent_bytes()).sum()
    }

    /// Sessions open now.
    pub fn open_sessions(&self) -> usize {
        self.open
    }
}

impl Session {
    fn deadline_us(&self) -> Option<u64> {
        if self.connection.is_closing() {
            return None;
        }
        let timeout = self.commands.idle_timeout().filter(|time| !time.is_zero())?;
        Some(self.last_activity_us.saturating_add(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX)))
    }
}

fn context<'a>(
    shared: &'a Shared,
    now: Moment,
    hostname: &'a str,
    pid: u32,
    client_ip: Option<IpAddr>,
    state_logs: &'a mut Vec<StateLog>,
) -> LocalContext<'a> {
    LocalContext {
        shared,
        // The control thread's own counters are the last.
        worker: shared.workers.len().saturating_sub(1),
        now_us: now.monotonic_us,
        wall_us: now.wall_us,
        pid,
        hostname,
        client_ip,
        state_logs,
    }
}
