//! The control thread's loop: health checks, slow start, runtime sockets, and whatever [`Supervision`] watches.

use super::checks::Checks;
use super::messages;
use super::runtime_socket::RuntimeSockets;
use super::supervision::{Progress, Supervision};
use crate::io::{Completion, Driver, Socket, Token};
use crate::policy::health;
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::mailbox::Message;
use crate::worker::log_sink::LogSink;
use std::io;
use std::sync::Arc;

/// What a token of this loop names; bits 56 and up. Bits 3 to 55 are an index.
const WAKE: u64 = 1 << 56;
const SUPERVISION: u64 = 2 << 56;
const ACCEPT: u64 = 3 << 56;
const CHECK: u64 = 4 << 56;
const SESSION: u64 = 5 << 56;
const KIND_MASK: u64 = 0xff << 56;

/// Slow start moves in steps of this.
const SLOWSTART_STEP_US: u64 = 1_000_000;

/// What the loop is made of.
pub struct ControlSetup {
    pub shared: Arc<Shared>,
    /// Index into `global.runtime_sockets`, and the listening, non-blocking socket.
    pub runtime_listeners: Vec<(usize, Socket)>,
    pub log_sink: LogSink,
    pub hostname: String,
    /// For the proxies' logs, before anything else.
    pub first_logs: Vec<StateLog>,
}

/// Runs until [`Progress::End`]. An error is one of the driver itself, or of a configuration whose checks cannot be
/// made. Server states must have been put in order with [`health::start`] before the first worker ran.
pub fn run<D: Driver, S: Supervision + ?Sized>(driver: D, setup: ControlSetup, supervision: &mut S) -> io::Result<()> {
    let mut control = Control::new(driver, setup, &supervision.descriptors())?;
    let mut completions = Vec::with_capacity(256);
    while control.turn(supervision, &mut completions)? == Progress::Continue {}
    Ok(())
}

/// See the module's text.
pub struct Control<D: Driver> {
    driver: D,
    shared: Arc<Shared>,
    checks: Checks,
    runtime: RuntimeSockets,
    log: LogSink,
    /// Said nowhere yet.
    changes: Vec<StateLog>,
    watched: Vec<Socket>,
    /// Some server has `slowstart`: look once a second.
    slowstart_at_us: Option<u64>,
}

impl<D: Driver> Control<D> {
    /// Attaches the control mailbox, arms everything.
    pub fn new(mut driver: D, setup: ControlSetup, watched: &[Socket]) -> io::Result<Control<D>> {
        let waker = driver.waker(Token(WAKE))?;
        let now_us = driver.refresh_now().monotonic_us;
        let shared = setup.shared;
        shared.control().mailbox.attach(waker);
        let checks = Checks::new(shared.clone(), &setup.hostname, CHECK, now_us)
            .map_err(|errors| io::Error::new(io::ErrorKind::InvalidInput, errors.join("\n")))?;
        let mut runtime =
            RuntimeSockets::new(shared.clone(), &setup.hostname, setup.runtime_listeners, ACCEPT, SESSION);
        runtime.accept_more(&mut driver);
        let warms_up = shared.config.servers.iter().any(|server| server.slowstart.is_some_and(|time| !time.is_zero()));
        let mut control = Control {
            slowstart_at_us: warms_up.then_some(now_us.saturating_add(SLOWSTART_STEP_US)),
            driver,
            checks,
            runtime,
            log: setup.log_sink,
            changes: Vec::new(),
            watched: watched.to_vec(),
            shared,
        };
        for index in 0..control.watched.len() {
            control.watch(index);
        }
        for log in &setup.first_logs {
            control.write(log);
        }
        // What was sent before the waker was there.
        control.read_mailbox();
        Ok(control)
    }

    /// The driver, for a simulation that moves its world between turns.
    pub fn driver(&mut self) -> &mut D {
        &mut self.driver
    }

    /// For a daemon whose standard descriptors have been pointed to /dev/null: logs follow.
    pub fn leave_standard_descriptors(&mut self) {
        self.log.leave_standard_descriptors();
    }

    /// Runtime connections open now.
    pub fn runtime_sessions(&self) -> usize {
        self.runtime.open_sessions()
    }

    /// Bytes of runtime answers that wait for their readers.
    pub fn runtime_unsent_bytes(&self) -> usize {
        self.runtime.unsent_bytes()
    }

    /// Waits once and handles what came.
    pub fn turn<S: Supervision + ?Sized>(
        &mut self,
        supervision: &mut S,
        completions: &mut Vec<Completion>,
    ) -> io::Result<Progress> {
        self.say_changes();
        self.log.flush();
        let now_us = self.driver.refresh_now().monotonic_us;
        let deadlines =
            [self.checks.deadline_us(), self.runtime.deadline_us(), supervision.deadline_us(), self.slowstart_at_us];
        let timeout_us = deadlines.into_iter().flatten().min().map(|deadline_us| deadline_us.saturating_sub(now_us));
        completions.clear();
        self.driver.wait(timeout_us, completions)?;
        let mut readable = Vec::new();
        let overdue = supervision.deadline_us().is_some_and(|at_us| at_us <= self.driver.now().monotonic_us);
        for completion in completions.iter() {
            let index = ((completion.token.0 & !KIND_MASK) >> 3) as usize;
            match completion.token.0 & KIND_MASK {
                WAKE => self.read_mailbox(),
                ACCEPT => self.runtime.accepted(&mut self.driver, completion),
                CHECK => self.checks.complete(&mut self.driver, completion, &mut self.changes),
                SESSION => self.runtime.complete(&mut self.driver, completion, &mut self.changes),
                SUPERVISION => readable.push(index),
                _ => {}
            }
        }
        self.checks.tick(&mut self.driver, &mut self.changes);
        self.runtime.tick(&mut self.driver);
        self.step_slowstart();
        if readable.is_empty() && !overdue {
            return Ok(Progress::Continue);
        }
        let mut said = Vec::new();
        let progress = supervision.attend(self.driver.now(), &mut said);
        for index in readable {
            self.watch(index);
        }
        self.say_changes();
        for log in &said {
            self.write(log);
        }
        self.log.flush();
        Ok(progress)
    }

    fn watch(&mut self, index: usize) {
        if let Some(socket) = self.watched.get(index) {
            self.driver.poll_readable(*socket, Token(SUPERVISION | (index as u64) << 3));
        }
    }

    fn read_mailbox(&mut self) {
        let now_us = self.driver.now().monotonic_us;
        while let Some(message) = self.shared.control().mailbox.take() {
            // The others are for workers.
            if let Message::CheckSoon { server } = message {
                self.checks.check_soon(server, now_us);
            }
        }
    }

    fn step_slowstart(&mut self) {
        let now_us = self.driver.now().monotonic_us;
        if self.slowstart_at_us.is_some_and(|at_us| at_us <= now_us) {
            self.slowstart_at_us = Some(now_us.saturating_add(SLOWSTART_STEP_US));
            self.changes.extend(health::slowstart_tick(&self.shared, now_us).0);
        }
    }

    /// State changes go to the proxies' logs and, as HAProxy's, to standard error while there is one.
    fn say_changes(&mut self) {
        for log in std::mem::take(&mut self.changes) {
            match health::message::for_standard_error(&self.shared.config, &log) {
                ("ALERT", text) => messages::alert(&text),
                (_, text) => messages::warning(&text),
            }
            self.write(&log);
        }
    }

    fn write(&mut self, log: &StateLog) {
        let Some(proxy) = self.shared.config.proxies.get(log.proxy.index()) else { return };
        let tag = proxy.log_tag.as_deref().unwrap_or(&self.shared.config.global.log_tag);
        self.log.send(&proxy.log.targets, tag, log.level, log.text.as_bytes(), self.driver.now().wall_us);
    }
}
