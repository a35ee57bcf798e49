//! Where the driver meets the sessions: one event loop per core.
//!
//! A worker owns its driver, its listeners and its sessions; with other threads it shares only [`Shared`]'s atomics
//! and its mailbox.

mod accept;
mod events;
pub mod handover;
mod idle;
pub mod log_sink;
mod mail;
mod proxy_header;
mod room;
mod session_log;
mod slots;
pub mod timer;

use crate::config::model::ListenerId;
use crate::io::PipeCounts;
use crate::io::{Completion, Driver, Socket};
use crate::policy::state_log::StateLog;
use crate::session::http::state::HttpState;
use crate::session::source_ports::SourcePorts;
use crate::session::surroundings::Surroundings;
use crate::session::token::{Operation, SlotKey};
use crate::shared::room::WorkerRoom;
use crate::shared::{Shared, ThreadShared};
use crate::sys::handover::HandoverChannel;
use accept::Acceptor;
use idle::IdleMeter;
use log_sink::LogSink;
use room::Parked;
use slots::Slots;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use timer::TimerWheel;

/// What a worker is made of.
pub struct Setup {
    /// Counted from 0.
    pub number: u16,
    pub shared: Arc<Shared>,
    /// Its own listening sockets, non-blocking.
    pub listeners: Vec<(ListenerId, Socket)>,
    pub log_sink: LogSink,
    /// How many client connections this worker's descriptors can carry.
    pub connections_max: u32,
    /// By worker number: the ways into other workers' tables; empty: there are none.
    pub channels: Arc<[HandoverChannel]>,
    pub hostname: String,
    pub source_ports: SourcePorts,
}

/// One worker; see the module's text.
pub struct Worker<D: Driver> {
    core: Core<D>,
    slots: Slots,
    timers: TimerWheel,
    acceptors: Vec<Acceptor>,
    parked: VecDeque<Parked>,
    /// When accepting is tried again after a shortage, monotonic microseconds.
    accept_again_us: Option<u64>,
    /// Until then a shortage of descriptors or memory lets nobody in.
    resting_until_us: Option<u64>,
    shortage_reported_us: Option<u64>,
    channels: Arc<[HandoverChannel]>,
    idle: IdleMeter,
    pipes_published: PipeCounts,
    stage: Stage,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Listeners closed, sessions are let finish.
    Draining,
    /// Everything is being closed.
    Closing,
}

/// What sessions are given, apart from themselves.
struct Core<D> {
    driver: D,
    shared: ThreadShared,
    number: u16,
    state_logs: Vec<StateLog>,
    shortage: Option<i32>,
    http: HttpState,
    source_ports: SourcePorts,
    log: LogSink,
    hostname: String,
    pid: u32,
}

impl<D: Driver> Core<D> {
    fn surroundings(&mut self, key: SlotKey) -> Surroundings<'_, D> {
        Surroundings {
            now: self.driver.now(),
            driver: &mut self.driver,
            shared: &self.shared,
            worker: self.number,
            key,
            state_logs: &mut self.state_logs,
            shortage: &mut self.shortage,
            http: &mut self.http,
            source_ports: &mut self.source_ports,
        }
    }

    fn now_us(&self) -> u64 {
        self.driver.now().monotonic_us
    }
}

const MAILBOX: SlotKey = SlotKey { slot: 0, generation: 0 };

/// Runs a worker until [`Message::HardStop`], or until [`Message::SoftStop`] and the end of its last session.
/// An error is one of the driver itself: the worker cannot go on.
pub fn run<D: Driver>(driver: D, setup: Setup) -> io::Result<()> {
    let mut worker = Worker::new(driver, setup)?;
    let mut completions = Vec::with_capacity(1024);
    while worker.turn(&mut completions)? {}
    Ok(())
}

impl<D: Driver> Worker<D> {
    /// Attaches the mailbox and begins to accept.
    pub fn new(mut driver: D, setup: Setup) -> io::Result<Self> {
        let waker = driver.waker(MAILBOX.token(Operation::Mailbox))?;
        let now = driver.refresh_now();
        let state = &setup.shared.workers[setup.number as usize];
        state.room.start(setup.connections_max);
        state.mailbox.attach(waker);
        let mut worker = Worker {
            timers: TimerWheel::new(now.monotonic_us / 1000),
            slots: Slots::default(),
            acceptors: setup.listeners.into_iter().map(|(id, socket)| Acceptor::new(id, socket)).collect(),
            parked: VecDeque::new(),
            accept_again_us: None,
            resting_until_us: None,
            shortage_reported_us: None,
            channels: setup.channels,
            idle: IdleMeter::new(now.monotonic_us),
            pipes_published: PipeCounts::default(),
            stage: Stage::Serving,
            core: Core {
                driver,
                shared: Rc::new(setup.shared),
                number: setup.number,
                state_logs: Vec::new(),
                shortage: None,
                http: HttpState::new(setup.hostname.clone()),
                source_ports: setup.source_ports,
                log: setup.log_sink,
                hostname: setup.hostname,
                pid: std::process::id(),
            },
        };
        worker.follow_frontends();
        worker.arm_acceptors();
        // What was sent before the waker was there.
        worker.read_mailbox();
        Ok(worker)
    }

    /// How many sessions there are, closing ones included.
    pub fn sessions(&self) -> u32 {
        self.slots.used()
    }

    /// The places of this worker's descriptor table.
    fn room(&self) -> &WorkerRoom {
        &self.core.shared.workers[self.core.number as usize].room
    }

    /// Whether others may hand connections over: not to one that stops, and not to one without descriptors.
    fn set_open(&self, open: bool) {
        self.room().set_open(open && self.stage == Stage::Serving && self.resting_until_us.is_none());
    }

    /// The driver, for a simulation that moves its world between turns.
    pub fn driver(&mut self) -> &mut D {
        &mut self.core.driver
    }

    /// Waits once and handles what came. `false`: the worker has finished.
    pub fn turn(&mut self, completions: &mut Vec<Completion>) -> io::Result<bool> {
        self.write_state_logs();
        self.core.log.flush();
        if self.stage != Stage::Serving && self.is_done() {
            return Ok(false);
        }
        let timeout_us = self.timeout_us();
        completions.clear();
        self.idle.sleep(self.core.driver.refresh_now().monotonic_us);
        self.core.driver.wait(timeout_us, completions)?;
        let now_us = self.core.now_us();
        if let Some(percent) = self.idle.wake(now_us) {
            let state = &self.core.shared.workers[self.core.number as usize];
            state.idle_percent.store(percent, Ordering::Relaxed);
        }
        for completion in completions.iter() {
            self.dispatch(completion);
        }
        self.fire_timers(now_us);
        if let Some(errno) = self.core.shortage.take() {
            self.rest(errno, accept::SERVER_SHORTAGE_PAUSE_US);
        }
        self.publish_pipes();
        Ok(true)
    }

    /// For the stats page; a write only when there is news.
    fn publish_pipes(&mut self) {
        let counts = self.core.driver.pipe_counts();
        if counts != self.pipes_published {
            self.pipes_published = counts;
            let state = &self.core.shared.workers[self.core.number as usize];
            state.pipes_used.store(counts.used, Ordering::Relaxed);
            state.pipes_free.store(counts.free, Ordering::Relaxed);
        }
    }

    fn timeout_us(&self) -> Option<u64> {
        let now_us = self.core.now_us();
        let timer_us = self.timers.next_ms().map(|ms| ms.saturating_mul(1000));
        let others_us = [self.accept_again_us, self.core.http.servers.next_purge_us()];
        let next_us = others_us.into_iter().flatten().chain(timer_us).min();
        next_us.map(|next_us| next_us.saturating_sub(now_us))
    }

    fn is_done(&self) -> bool {
        self.slots.used() == 0
            && self.room().used() == 0
            && self.core.http.servers.used() == 0
            && self.parked.is_empty()
            && self.acceptors.iter().all(|acceptor| !acceptor.is_armed())
    }

    fn dispatch(&mut self, completion: &Completion) {
        let Some((key, operation)) = SlotKey::parse(completion.token) else { return };
        match operation {
            Operation::Mailbox => self.read_mailbox(),
            Operation::Accept => self.accepted(key.slot as usize, completion),
            Operation::Server(operation) => self.server_event(key, operation, completion),
            _ => self.session_event(key, operation, completion),
        }
    }

    fn read_mailbox(&mut self) {
        while let Some(message) = self.core.shared.clone().workers[self.core.number as usize].mailbox.take() {
            self.handle_message(message);
        }
    }

    fn fire_timers(&mut self, now_us: u64) {
        let mut due = Vec::new();
        self.timers.expire(now_us / 1000, |slot| due.push(slot));
        for slot in due {
            if let Some(key) = self.slots.key_of(slot) {
                self.timer_event(key);
            }
        }
        let Core { driver, http, shared, .. } = &mut self.core;
        http.servers.purge(driver, &shared.config, now_us);
        if self.accept_again_us.is_some_and(|at_us| at_us <= now_us) {
            (self.accept_again_us, self.resting_until_us) = (None, None);
            self.set_open(true);
            self.room_freed();
        }
    }

    fn write_state_logs(&mut self) {
        for log in std::mem::take(&mut self.core.state_logs) {
            session_log::write_state(&mut self.core, &log);
        }
    }
}
