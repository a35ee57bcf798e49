//! Gives a connection its server, or a place in a queue, or neither.
//!
//! Counting: a [`Lease`] is one unit of [`ServerState::served`]; dropping it gives the unit back and lets the next in
//! line have it. Everything here may run on all workers at once and takes no lock. This module counts `served`,
//! `queued`, their maxima, `selected` (lbtot) of server and backend (not for who came through the backend's queue: nor
//! does HAProxy), and [`ProxyState::backend_connections`] through
//! [`enter_backend`]; everything else (sessions, rates, retries, errors) is the session's.
//!
//! [`ProxyState::backend_connections`]: crate::shared::ProxyState::backend_connections

use super::balance::{self, hash, ring};
use crate::config::model::{Backend, BalanceAlgorithm, HashMethod, ProxyId, ServerId};
use crate::shared::mailbox::{Message, Waiter};
use crate::shared::queue::{QueueKey, QueuePriority, Waiting};
use crate::shared::schedule::{Candidate, Schedule, Table};
use crate::shared::server::{RunState, ServerState, WEIGHT_SCALE};
use crate::shared::{Shared, ThreadShared, raise_maximum};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// One connection's count at a server. Belongs to its worker's thread; dropping it gives the count back and serves
/// the queues.
pub struct Lease {
    shared: ThreadShared,
    server: ServerId,
}

impl Lease {
    pub fn server(&self) -> ServerId {
        self.server
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        give_back(&self.shared, self.server);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({})", self.server.0)
    }
}

pub struct AssignRequest<'a> {
    pub shared: &'a ThreadShared,
    pub backend: ProxyId,
    /// For `balance source`. `None` (a unix client): takes turns instead.
    pub client_ip: Option<IpAddr>,
    /// What [`super::balance_key::of`] made of the request, for the algorithms that hash something in it. `None`: the
    /// request has none of that, and they take turns.
    pub key: Option<u32>,
    /// Who is told when a slot comes free. Its worker's counters count the choice.
    pub waiter: Waiter,
    /// A retry on the same server: it is taken whatever the algorithm says, unless it is gone.
    pub keep: Option<ServerId>,
    /// `keep` was chosen by a cookie, a `use-server` rule or `force-persist`: it is taken even while it drains or is
    /// down. Without it on the next try ([`Message::QueueRetry`] included), so that a redispatch may follow.
    pub keep_whatever_state: bool,
    /// A redispatch: any other server is better.
    pub avoid: Option<ServerId>,
    /// Where it stands among those that wait, if it has to.
    pub priority: QueuePriority,
    /// Monotonic clock.
    pub now_us: u64,
}

#[derive(Debug)]
pub enum Assignment {
    Server(Lease),
    /// Wait for [`Message::QueueGrant`] (then [`Ticket::accept`]) or [`Message::QueueRetry`] (then drop the ticket and
    /// ask again), as long as `timeout queue` allows.
    Queued(Ticket),
    /// No server is up (or none has a weight).
    NoServer,
    /// The chosen server's queue holds `maxqueue` already.
    QueueFull(ServerId),
}

/// Which queue, and the place in it as the log counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// The server's own queue (`%sq`), else the backend's (`%bq`).
    pub is_server_queue: bool,
    /// Connections served from the queue until this one's turn, itself included; as HAProxy counts, the first is 1.
    pub position: u32,
}

/// A place in a queue. Dropping it leaves the queue.
pub struct Ticket {
    shared: ThreadShared,
    backend: ProxyId,
    /// `Some`: that server's own queue.
    server: Option<ServerId>,
    key: QueueKey,
    waiting: Arc<Waiting>,
}

impl Ticket {
    /// Turns a grant of `server` into the lease that it is. The count is this connection's from now on.
    pub fn accept(self, server: ServerId) -> Lease {
        // Dropping `self` leaves the queue, in case the grant was for an earlier ticket of the same connection.
        Lease { shared: self.shared.clone(), server }
    }

    /// The log's `%sq` and `%bq`: final once a grant has come, and when giving up, what it would be now.
    pub fn queue_position(&self) -> QueuePosition {
        let queue = match self.server {
            Some(server) => &self.shared.server(server).queue,
            None => &self.shared.proxy(self.backend).queue,
        };
        QueuePosition { is_server_queue: self.server.is_some(), position: queue.position(&self.waiting) }
    }

    /// The server whose own queue this is; `None`: the backend's.
    pub fn server(&self) -> Option<ServerId> {
        self.server
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let is_removed = match self.server {
            Some(server) => self.shared.server(server).queue.remove(&self.key, &self.waiting),
            None => self.shared.proxy(self.backend).queue.remove(&self.key, &self.waiting),
        };
        if is_removed {
            count_dequeued(&self.shared, self.backend, self.server);
        }
        // Otherwise a grant or a retry is under way; a grant comes with the count, and `return_grant` gives it back.
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({:?})", self.waiting)
    }
}

/// Counts a connection in its backend (`%bc`, scur and smax of BACKEND) from when it gets there to when it ends,
/// queued or not.
pub struct BackendEntry {
    shared: ThreadShared,
    backend: ProxyId,
}

pub fn enter_backend(shared: &ThreadShared, backend: ProxyId) -> BackendEntry {
    let proxy = shared.proxy(backend);
    let connections = proxy.backend_connections.fetch_add(1, Ordering::Relaxed) + 1;
    raise_maximum(&proxy.backend_connections_max, connections);
    BackendEntry { shared: shared.clone(), backend }
}

impl Drop for BackendEntry {
    fn drop(&mut self) {
        self.shared.proxy(self.backend).backend_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Chooses. See [`Assignment`].
pub fn assign(request: &AssignRequest) -> Assignment {
    let shared = &**request.shared;
    let Some(settings) = &shared.config.proxy(request.backend).backend else { return Assignment::NoServer };
    let balance = &shared.proxy(request.backend).balance;
    let mut schedule = balance.schedule.load();
    if !schedule.is_built {
        // Once in a backend's life, when nobody called `balance::rebuild_all` at start.
        let _administration = shared.administration.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        balance::rebuild(shared, request.backend);
        schedule = balance.schedule.load();
    }
    if let Some(server) = request.keep
        && (request.keep_whatever_state || shared.server(server).is_usable())
    {
        return take_or_wait(request, &schedule, server);
    }
    let chooser = Chooser { shared, request, settings, schedule: &schedule };
    if schedule.candidates.is_empty() {
        return Assignment::NoServer;
    }
    match (&settings.balance, chooser.key()) {
        (_, Some(key)) => {
            let server = chooser.by_hash(key);
            count_selected(request, server);
            take_or_wait(request, &schedule, server)
        }
        (algorithm, None) => {
            // Nobody overtakes who already waits for any server.
            let is_queue_empty = shared.proxy(request.backend).queued.load(Ordering::SeqCst) == 0;
            let taken = is_queue_empty
                .then(|| match algorithm {
                    BalanceAlgorithm::LeastConnections => chooser.least_loaded(),
                    BalanceAlgorithm::First => chooser.first(),
                    BalanceAlgorithm::Random { draws } => chooser.random(*draws),
                    _ => chooser.in_turn(),
                })
                .flatten();
            match taken {
                Some(server) => {
                    count_selected(request, server);
                    Assignment::Server(Lease { shared: request.shared.clone(), server })
                }
                None => wait(request, None),
            }
        }
    }
}

/// Gives back the count that came with a [`Message::QueueGrant`] whose waiter is gone.
pub fn return_grant(shared: &ThreadShared, server: ServerId) {
    give_back(shared, server);
}

fn count_selected(request: &AssignRequest, server: ServerId) {
    if request.avoid == Some(server) {
        return; // HAProxy counts a choice only where it changes the server.
    }
    if let Some(worker) = request.shared.workers.get(usize::from(request.waiter.worker)) {
        worker.servers[server.index()].selected.increment();
        worker.proxies[request.backend.index()].backend_selected.increment();
    }
}

fn take_or_wait(request: &AssignRequest, schedule: &Schedule, server: ServerId) -> Assignment {
    let shared = &**request.shared;
    let state = shared.server(server);
    if state.queued.load(Ordering::SeqCst) == 0 && try_take(shared, request.backend, schedule.fullconn, server) {
        return Assignment::Server(Lease { shared: request.shared.clone(), server });
    }
    let maxqueue = shared.config.server(server).maxqueue;
    if maxqueue > 0 && state.queued.load(Ordering::Relaxed) >= maxqueue {
        return Assignment::QueueFull(server);
    }
    wait(request, Some(server))
}

/// Joins the queue of `server`, or of the backend.
fn wait(request: &AssignRequest, server: Option<ServerId>) -> Assignment {
    let shared = &**request.shared;
    let proxy = shared.proxy(request.backend);
    let (queue, queued, queued_max) = match server {
        Some(server) => {
            let state = shared.server(server);
            (&state.queue, &state.queued, &state.queued_max)
        }
        None => (&proxy.queue, &proxy.queued, &proxy.queued_max),
    };
    // The number before the entry: who removes the entry takes the number back, and it must not go below zero.
    raise_maximum(queued_max, queued.fetch_add(1, Ordering::SeqCst) + 1);
    let now_ms = request.now_us / 1000;
    let arrived_ms = proxy.balance.arrived_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms);
    let sequence = proxy.balance.arrivals.fetch_add(1, Ordering::Relaxed);
    let key = QueueKey::new(request.priority, arrived_ms, sequence);
    let waiting = queue.push(key, request.waiter);
    let ticket = Ticket { shared: request.shared.clone(), backend: request.backend, server, key, waiting };
    // A slot may have come free between the look at the servers and the push, with nobody in the queue to give it to.
    fence(Ordering::SeqCst);
    match server {
        Some(server) if !shared.server(server).is_usable() => evict_queue(shared, server),
        Some(server) => serve_queues(shared, server),
        None => {
            for candidate in &proxy.balance.schedule.load().candidates {
                serve_queues(shared, candidate.server);
            }
        }
    }
    Assignment::Queued(ticket)
}

fn count_dequeued(shared: &Shared, backend: ProxyId, server: Option<ServerId>) {
    match server {
        Some(server) => shared.server(server).queued.fetch_sub(1, Ordering::SeqCst),
        None => shared.proxy(backend).queued.fetch_sub(1, Ordering::SeqCst),
    };
}

/// How many connections the server may have now; `None`: no limit.
///
/// `minconn` lets the limit follow the backend's load up to `fullconn` (configuration.txt section 5.2), and slow start
/// lowers it in the proportion in which it lowers the weight.
fn limit(shared: &Shared, backend: ProxyId, fullconn: u32, server: ServerId) -> Option<u32> {
    let state = shared.server(server);
    let maxconn = state.maxconn.load(Ordering::Relaxed);
    if maxconn == 0 {
        return None;
    }
    let minconn = shared.config.server(server).minconn;
    let mut limit = maxconn;
    if minconn > 0 && minconn < maxconn && fullconn > 0 {
        let connections = shared.proxy(backend).backend_connections.load(Ordering::Relaxed);
        if connections < fullconn {
            let share = u64::from(connections) * u64::from(maxconn) / u64::from(fullconn);
            limit = minconn.max(share as u32);
        }
    }
    if state.run_state() == RunState::Starting {
        let full = u64::from(state.user_weight.load(Ordering::Relaxed)) * u64::from(WEIGHT_SCALE);
        let now = u64::from(state.effective_weight.load(Ordering::Relaxed));
        if now < full {
            limit = ((u64::from(limit) * now / full) as u32).max(1);
        }
    }
    Some(limit)
}

/// Adds one to the server's count unless that would go over its limit.
fn try_take(shared: &Shared, backend: ProxyId, fullconn: u32, server: ServerId) -> bool {
    let state = shared.server(server);
    let served = match limit(shared, backend, fullconn, server) {
        None => state.served.fetch_add(1, Ordering::SeqCst) + 1,
        Some(limit) => {
            let add = |served| (served < limit).then_some(served + 1);
            match state.served.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add) {
                Ok(before) => before + 1,
                Err(_) => return false,
            }
        }
    };
    note_taken(shared, backend, state, served);
    true
}

fn note_taken(shared: &Shared, backend: ProxyId, state: &ServerState, served: u32) {
    raise_maximum(&state.served_max, served);
    note_moved(shared, backend, state);
}

fn note_moved(shared: &Shared, backend: ProxyId, state: &ServerState) {
    let settings = shared.config.proxy(backend).backend.as_ref();
    if settings.is_some_and(|settings| settings.balance == BalanceAlgorithm::LeastConnections) {
        let number = shared.proxy(backend).balance.moves.fetch_add(1, Ordering::Relaxed) + 1;
        state.moved_sequence.store(number, Ordering::Relaxed);
    }
}

/// Ends one connection's count: hands it to the next in line, or takes it away.
fn give_back(shared: &Shared, server: ServerId) {
    let backend = shared.config.server(server).backend;
    let state = shared.server(server);
    if is_anyone_waiting(shared, backend, server) {
        let schedule = shared.proxy(backend).balance.schedule.load();
        let may_pass_on = match limit(shared, backend, schedule.fullconn, server) {
            None => true,
            Some(limit) => state.served.load(Ordering::SeqCst) <= limit,
        };
        if may_pass_on && let Some((waiting, queue)) = pop_next(shared, backend, &schedule, server) {
            note_moved(shared, backend, state);
            grant(shared, backend, queue, &waiting, server);
            return;
        }
    }
    state.served.fetch_sub(1, Ordering::SeqCst);
    note_moved(shared, backend, state);
    // Somebody may have queued after the look above and have found the server still full.
    fence(Ordering::SeqCst);
    serve_queues(shared, server);
}

fn is_anyone_waiting(shared: &Shared, backend: ProxyId, server: ServerId) -> bool {
    shared.server(server).queued.load(Ordering::SeqCst) > 0 || shared.proxy(backend).queued.load(Ordering::SeqCst) > 0
}

/// Gives the server's free slots to who waits: those in its own queue and in the backend's, by their keys.
pub fn serve_queues(shared: &Shared, server: ServerId) {
    let backend = shared.config.server(server).backend;
    let state = shared.server(server);
    loop {
        if !is_anyone_waiting(shared, backend, server) {
            return;
        }
        let schedule = shared.proxy(backend).balance.schedule.load();
        if !is_next(shared, backend, &schedule, server) || !try_take(shared, backend, schedule.fullconn, server) {
            return;
        }
        match pop_next(shared, backend, &schedule, server) {
            Some((waiting, queue)) => grant(shared, backend, queue, &waiting, server),
            None => {
                // Whoever was there has left, or was served by another thread. While this thread held the slot someone
                // else may have queued and found the server full: look again.
                state.served.fetch_sub(1, Ordering::SeqCst);
                fence(Ordering::SeqCst);
            }
        }
    }
}

/// The queue that a slot of `server` goes to: `Some(true)` its own, `Some(false)` the backend's.
fn next_queue(shared: &Shared, backend: ProxyId, schedule: &Schedule, server: ServerId) -> Option<bool> {
    let own = shared.server(server).queue.first();
    let common = match shared.proxy(backend).queue.first() {
        Some(first) if shared.server(server).is_usable() && schedule.contains(server) => Some(first),
        _ => None,
    };
    match (own, common) {
        (None, None) => None,
        (Some(own), Some(common)) => Some(own < common),
        (own, _) => Some(own.is_some()),
    }
}

fn is_next(shared: &Shared, backend: ProxyId, schedule: &Schedule, server: ServerId) -> bool {
    next_queue(shared, backend, schedule, server).is_some()
}

/// Takes the next in line for a slot of `server` out of its queue; with `Some(server)` for the server's own queue.
fn pop_next(
    shared: &Shared,
    backend: ProxyId,
    schedule: &Schedule,
    server: ServerId,
) -> Option<(Arc<Waiting>, Option<ServerId>)> {
    loop {
        let is_own = next_queue(shared, backend, schedule, server)?;
        let popped = if is_own {
            shared.server(server).queue.pop_granted().map(|waiting| (waiting, Some(server)))
        } else {
            shared.proxy(backend).queue.pop_granted().map(|waiting| (waiting, None))
        };
        if popped.is_some() {
            return popped;
        }
    }
}

fn grant(shared: &Shared, backend: ProxyId, queue: Option<ServerId>, waiting: &Waiting, server: ServerId) {
    count_dequeued(shared, backend, queue);
    send(shared, waiting.waiter, Message::QueueGrant { waiter: waiting.waiter, server });
}

/// Tells all who wait for this very server to choose again: it takes no new connections.
pub fn evict_queue(shared: &Shared, server: ServerId) {
    let backend = shared.config.server(server).backend;
    while let Some(waiting) = shared.server(server).queue.pop_evicted() {
        count_dequeued(shared, backend, Some(server));
        send(shared, waiting.waiter, Message::QueueRetry { waiter: waiting.waiter });
    }
}

fn send(shared: &Shared, waiter: Waiter, message: Message) {
    if let Some(worker) = shared.workers.get(usize::from(waiter.worker)) {
        worker.mailbox.send(message);
    }
}

/// The algorithms. Those that return an `Option` have already taken the server's count; `None`: all are full.
struct Chooser<'a> {
    shared: &'a Shared,
    request: &'a AssignRequest<'a>,
    settings: &'a Backend,
    schedule: &'a Schedule,
}

impl Chooser<'_> {
    fn avoids(&self, server: ServerId) -> bool {
        self.request.avoid == Some(server)
    }

    /// Whether there is room, without taking it. Who waits for a server goes before who comes.
    fn has_room(&self, server: ServerId) -> bool {
        let state = self.shared.server(server);
        match limit(self.shared, self.request.backend, self.schedule.fullconn, server) {
            None => true,
            Some(limit) => state.queued.load(Ordering::Relaxed) == 0 && state.served.load(Ordering::Relaxed) < limit,
        }
    }

    fn take(&self, server: ServerId) -> bool {
        self.has_room(server) && try_take(self.shared, self.request.backend, self.schedule.fullconn, server)
    }

    /// The one to avoid, when no other was to be had.
    fn take_avoided(&self) -> Option<ServerId> {
        let server = self.request.avoid?;
        (self.schedule.contains(server) && self.take(server)).then_some(server)
    }

    /// roundrobin and static-rr: each call takes the next turn of the whole machine. A server that is full loses its
    /// turn to whoever is next, and the one after that keeps its own.
    fn in_turn(&self) -> Option<ServerId> {
        let candidates = &self.schedule.candidates;
        let turns = 4 * candidates.len() + 16;
        for _ in 0..turns {
            let server = self.next_turn();
            if !self.avoids(server) && self.take(server) {
                return Some(server);
            }
            if !candidates.iter().any(|other| !self.avoids(other.server) && self.has_room(other.server)) {
                return self.take_avoided();
            }
        }
        // The turns of those that have room are too far away.
        self.least_loaded()
    }

    fn next_turn(&self) -> ServerId {
        let position = self.shared.proxy(self.request.backend).balance.position.fetch_add(1, Ordering::Relaxed);
        let candidates = &self.schedule.candidates;
        let index = match &self.schedule.table {
            Table::Sequence(sequence) if !sequence.is_empty() => {
                sequence[(position % sequence.len() as u64) as usize] as usize
            }
            Table::Ring(ring) if !ring.is_empty() => ring[(position % ring.len() as u64) as usize].1 as usize,
            _ => (position % candidates.len() as u64) as usize,
        };
        candidates[index].server
    }

    /// leastconn: the lowest (connections + 1) / weight, an idle server before all others, ties to whoever changed
    /// longest ago. The count is raised only from the value that was compared, so that two workers never raise the
    /// same server for the same reason: with equal weights no server gets a second connection before all have one.
    fn least_loaded(&self) -> Option<ServerId> {
        loop {
            let mut best: Option<(Candidate, u32, u64)> = None;
            for candidate in &self.schedule.candidates {
                if self.avoids(candidate.server) || !self.has_room(candidate.server) {
                    continue;
                }
                let state = self.shared.server(candidate.server);
                let served = state.served.load(Ordering::SeqCst);
                let moved = state.moved_sequence.load(Ordering::Relaxed);
                let is_better = best.is_none_or(|(other, other_served, other_moved)| {
                    let load = load_of(served, other.weight);
                    let other_load = load_of(other_served, candidate.weight);
                    (load, moved) < (other_load, other_moved)
                });
                if is_better {
                    best = Some((*candidate, served, moved));
                }
            }
            let Some((candidate, seen, _)) = best else { return self.take_avoided() };
            let state = self.shared.server(candidate.server);
            // A limit that shrank since is no harm: `seen` was below it when compared, a moment ago.
            if state.served.compare_exchange(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                note_taken(self.shared, self.request.backend, state, seen + 1);
                return Some(candidate.server);
            }
        }
    }

    /// first: the lowest id with room.
    fn first(&self) -> Option<ServerId> {
        let mut candidates = self.schedule.candidates.iter().map(|candidate| candidate.server);
        candidates.find(|&server| !self.avoids(server) && self.take(server)).or_else(|| self.take_avoided())
    }

    /// random(draws): the least loaded of some drawn by weight. A full one is not replaced by another: the queue is
    /// the answer, as in HAProxy.
    fn random(&self, draws: u32) -> Option<ServerId> {
        let mut best: Option<(Candidate, u32)> = None;
        for _ in 0..draws.max(1) {
            let candidate = self.draw();
            let served = self.shared.server(candidate.server).served.load(Ordering::Relaxed);
            let is_better = best.is_none_or(|(other, other_served)| {
                u64::from(served) * u64::from(other.weight) <= u64::from(other_served) * u64::from(candidate.weight)
            });
            if is_better {
                best = Some((candidate, served));
            }
        }
        best.map(|(candidate, _)| candidate.server).filter(|&server| self.take(server))
    }

    fn draw(&self) -> Candidate {
        let candidates = &self.schedule.candidates;
        let point = random_u64() % self.schedule.total_weight.max(1);
        let mut index = candidates.partition_point(|candidate| candidate.cumulative_weight <= point) - 1;
        if self.avoids(candidates[index].server) {
            index = (index + 1) % candidates.len();
        }
        candidates[index]
    }

    /// What is hashed, where the algorithm hashes and there is something to hash.
    fn key(&self) -> Option<u32> {
        match &self.settings.balance {
            BalanceAlgorithm::Source => {
                self.request.client_ip.map(|client| hash::source_key(&self.settings.hash_type, client))
            }
            algorithm => self.request.key.filter(|_| algorithm.is_hash()),
        }
    }

    /// The same key, the same server, as long as the servers stay the same.
    fn by_hash(&self, key: u32) -> ServerId {
        let candidates = &self.schedule.candidates;
        if let [only] = candidates.as_slice() {
            return only.server;
        }
        match (&self.schedule.table, self.settings.hash_type.method) {
            (Table::Sequence(map), HashMethod::MapBased) if !map.is_empty() => {
                candidates[map[key as usize % map.len()] as usize].server
            }
            (Table::Ring(nodes), _) => self.on_ring(nodes, key),
            _ => self.next_turn(),
        }
    }

    /// The nearest node's server; further along the ring while that is to be avoided or has more than
    /// `hash-balance-factor` allows.
    fn on_ring(&self, nodes: &[(u32, u32)], key: u32) -> ServerId {
        let candidates = &self.schedule.candidates;
        let Some(place) = ring::nearest(nodes, key) else { return candidates[0].server };
        let factor = self.settings.hash_balance_factor;
        let served =
            |candidate: &Candidate| u64::from(self.shared.server(candidate.server).served.load(Ordering::Relaxed));
        let served_total: u64 = if factor > 0 { candidates.iter().map(served).sum() } else { 0 };
        let is_eligible = |candidate: &Candidate| {
            let (weight, cumulative) = (candidate.weight, candidate.cumulative_weight);
            factor == 0
                || served(candidate) < ring::slots(served_total, factor, weight, cumulative, self.schedule.total_weight)
        };
        (0..nodes.len())
            .map(|step| &candidates[nodes[(place + step) % nodes.len()].1 as usize])
            .find(|candidate| !self.avoids(candidate.server) && is_eligible(candidate))
            .unwrap_or(&candidates[nodes[place].1 as usize])
            .server
    }
}

/// Connections plus one, over weight, multiplied out by the other's weight so that it is exact; idle is less than
/// anything.
fn load_of(served: u32, other_weight: u32) -> u64 {
    if served == 0 { 0 } else { (u64::from(served) + 1) * u64::from(other_weight) }
}

/// Of no use for secrets.
fn random_u64() -> u64 {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1);
    }
    // splitmix64
    STATE.with(|state| {
        let seed = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
