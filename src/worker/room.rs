//! Is there room for one more connection? Limits of the process, the frontend, the listener, this worker's
//! descriptors, and the rate limits; exact across workers, since each takes its place in the shared count first.
//!
//! A connection that finds none waits, accepted but unread, and its listener stops accepting: the kernel's backlog
//! holds the rest, as in HAProxy.

use super::{Stage, Worker};
use crate::config::model::{ListenerId, ProxyId};
use crate::io::{Driver, Socket};
use crate::shared::places::Places;
use crate::shared::{FrontendStatus, raise_maximum};
use std::sync::atomic::Ordering;

/// An accepted connection that waits for room.
pub(super) struct Parked {
    /// Index into the worker's acceptors.
    pub acceptor: usize,
    pub socket: Socket,
    pub monotonic_us: u64,
    pub wall_us: u64,
}

/// Whether there is room.
enum Admission {
    Admitted(Places),
    /// Not in this worker's descriptor table.
    TableFull,
    /// Not under the limits of process, frontend or listener.
    Wait,
}

/// While a rate limit holds connections back, it is looked at again this often.
const RATE_PAUSE_US: u64 = 10_000;

impl<D: Driver> Worker<D> {
    /// Takes the places of one connection on `listener`, all or none.
    fn admit(&mut self, listener: ListenerId) -> Admission {
        let frontend = self.core.shared.config.listener(listener).frontend;
        if self.rate_limited(frontend) {
            return Admission::Wait;
        }
        if !self.room().take() {
            return Admission::TableFull;
        }
        let places = Places::take(&self.core.shared, listener);
        places.map_or_else(
            || {
                self.room().give_back();
                Admission::Wait
            },
            Admission::Admitted,
        )
    }

    /// Serves a connection, or lets another worker do so when this one's descriptors are all in use. One that has to wait
    /// comes back.
    pub(super) fn place(&mut self, parked: Parked) -> Option<Parked> {
        match self.admit(self.acceptors[parked.acceptor].listener) {
            Admission::Admitted(places) => self.serve(parked, places),
            Admission::TableFull if self.hand_over(&parked) => {}
            Admission::TableFull | Admission::Wait => return Some(parked),
        }
        None
    }

    fn rate_limited(&mut self, frontend: ProxyId) -> bool {
        let shared = self.core.shared.clone();
        let now_us = self.core.now_us();
        let over = |limit: u32, rate: &crate::shared::rate::Rate| limit != 0 && rate.per_second(now_us) >= limit;
        let global = &shared.config.global;
        let session_limit = shared.config.proxy(frontend).frontend.as_ref().map_or(0, |f| f.session_rate_limit);
        let limited = over(global.maxconnrate, &shared.process.connection_rate)
            || over(global.maxsessrate, &shared.process.session_rate)
            || over(session_limit, &shared.proxy(frontend).frontend_session_rate);
        if limited {
            self.accept_again_us = Some(now_us + RATE_PAUSE_US);
        }
        limited
    }

    /// Counts an admitted connection: totals, maxima, rates.
    pub(super) fn count_accepted(&mut self, listener: ListenerId, frontend: ProxyId) {
        self.count_connection(listener, frontend);
        self.count_session(listener, frontend);
    }

    /// A connection, which rules may still refuse to make a session.
    pub(super) fn count_connection(&mut self, listener: ListenerId, frontend: ProxyId) {
        let shared = &self.core.shared;
        let now_us = self.core.now_us();
        let (process, proxy, state) = (&shared.process, shared.proxy(frontend), shared.listener(listener));
        raise_maximum(&process.connections_max, process.connections.load(Ordering::Relaxed));
        raise_maximum(&proxy.frontend_connections_max, proxy.frontend_connections.load(Ordering::Relaxed));
        raise_maximum(&state.connections_max, state.connections.load(Ordering::Relaxed));
        process.connection_rate.count(now_us);
        proxy.frontend_connection_rate.count(now_us);
        let counters = &shared.workers[self.core.number as usize];
        counters.proxies[frontend.index()].frontend_connections.increment();
        counters.listeners[listener.index()].connections.increment();
    }

    pub(super) fn count_session(&mut self, listener: ListenerId, frontend: ProxyId) {
        let shared = &self.core.shared;
        let now_us = self.core.now_us();
        shared.process.session_rate.count(now_us);
        shared.proxy(frontend).frontend_session_rate.count(now_us);
        let counters = &shared.workers[self.core.number as usize];
        counters.proxies[frontend.index()].frontend_sessions.increment();
        counters.listeners[listener.index()].sessions.increment();
    }

    pub(super) fn count_backend_session(&mut self, backend: Option<ProxyId>) {
        let Some(backend) = backend else { return };
        let now = self.core.driver.now();
        let shared = &self.core.shared;
        let proxy = shared.proxy(backend);
        proxy.backend_session_rate.count(now.monotonic_us);
        proxy.last_session_wall_s.store(now.wall_us / 1_000_000, Ordering::Relaxed);
        shared.workers[self.core.number as usize].proxies[backend.index()].backend_sessions.increment();
    }

    /// Tells the other workers that this one waits for room, then looks once more: it may have come in between.
    pub(super) fn announce_wait(&mut self) {
        let bit = 1u64 << (self.core.number as usize % 64);
        let before = self.core.shared.process.workers_waiting.fetch_or(bit, Ordering::AcqRel);
        if before & bit == 0 {
            self.room_freed();
        }
    }

    /// Serves waiting connections as far as there is room, then accepts again.
    pub(super) fn room_freed(&mut self) {
        if self.stage == Stage::Closing || self.resting_until_us.is_some() {
            return;
        }
        // Each listener's connections in their order; one full frontend does not hold up another's.
        let mut full = Vec::new();
        for _ in 0..self.parked.len() {
            let Some(parked) = self.parked.pop_front() else { break };
            let waits = if full.contains(&parked.acceptor) { Some(parked) } else { self.place(parked) };
            if let Some(parked) = waits {
                full.push(parked.acceptor);
                self.parked.push_back(parked);
            }
        }
        if !self.parked.is_empty() {
            let bit = 1u64 << (self.core.number as usize % 64);
            self.core.shared.process.workers_waiting.fetch_or(bit, Ordering::AcqRel);
            // A place given back between the last look and this announcement would be missed: a late look is cheap.
            self.accept_again_us.get_or_insert(self.core.now_us() + RATE_PAUSE_US * 10);
        }
        self.arm_acceptors();
    }

    pub(super) fn is_stopped(&self, listener: ListenerId) -> bool {
        let frontend = self.core.shared.config.listener(listener).frontend;
        let status = self.core.shared.proxy(frontend).frontend_status.load(Ordering::Relaxed);
        status == FrontendStatus::Stopped as u8
    }
}
