//! The only memory that more than one thread writes: per-server atomics, counters, mailboxes.
//!
//! Nothing on the data path takes a lock. [`Shared::administration`] is a lock for whoever changes health, weights or
//! administrative states (checks, runtime socket, stats page): such changes are rare and must not interleave.

pub mod averages;
pub mod cache;
pub mod counters;
pub mod mailbox;
pub mod patterns;
pub mod places;
pub mod queue;
pub mod rate;
pub mod room;
pub mod schedule;
pub mod server;
pub mod stick_table;
pub mod variables;

use crate::config::model::{Config, ListenerId, ProxyId, ServerId};
use counters::{ListenerCounters, ProxyCounters, ServerCounters};
use crossbeam::utils::CachePadded;
use mailbox::Mailbox;
use rate::Rate;
use server::ServerState;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// One per process, behind an `Arc`.
pub struct Shared {
    pub config: Arc<Config>,
    pub process: CachePadded<ProcessState>,
    /// By [`ProxyId`].
    pub proxies: Vec<CachePadded<ProxyState>>,
    /// By [`ServerId`].
    pub servers: Vec<CachePadded<ServerState>>,
    /// By [`ListenerId`].
    pub listeners: Vec<CachePadded<ListenerState>>,
    /// By [`PatternFileId`](crate::config::model::PatternFileId).
    pub pattern_files: Vec<patterns::PatternFileState>,
    /// By [`CacheId`](crate::config::model::CacheId).
    pub caches: Vec<Arc<cache::Cache>>,
    /// By [`StickTableId`](crate::config::model::StickTableId).
    pub stick_tables: Vec<Arc<stick_table::StickTableState>>,
    /// By worker number. The last one is the control thread's (its checks and runtime sessions count there).
    pub workers: Vec<WorkerState>,
    /// Held while health, weight or administrative states change.
    pub administration: Mutex<()>,
    /// Variables of the scope `proc`.
    pub variables: variables::ProcessVariables,
}

/// How one thread hands [`Shared`] around: leases are made and dropped for every connection, and the inner count is one
/// that all threads would write.
#[allow(clippy::redundant_allocation, reason = "the outer count is not atomic, the inner one is contended")]
pub type ThreadShared = std::rc::Rc<Arc<Shared>>;

/// Whole-process figures.
#[derive(Default)]
pub struct ProcessState {
    /// Client connections open now (`CurrConns`, log tag `%ac`).
    pub connections: AtomicU32,
    pub connections_max: AtomicU32,
    /// The effective global maxconn, after the descriptor limit was taken into account. `set maxconn global` writes it.
    pub maxconn: AtomicU32,
    /// The highest that `set maxconn global` may set.
    pub maxconn_hard: AtomicU32,
    pub connection_rate: Rate,
    pub session_rate: Rate,
    /// Descriptor need computed at start (`Maxsock`).
    pub maxsock: AtomicU32,
    pub ulimit_n: AtomicU64,
    pub maxpipes: AtomicU32,
    pub dropped_logs: AtomicU64,
    /// Bit n % 64: worker n has connections that wait for room, or has stopped accepting for want of it.
    pub workers_waiting: AtomicU64,
    /// Soft stop under way (SIGUSR1).
    pub stopping: AtomicBool,
    /// Wall clock at start, microseconds since the Unix epoch.
    pub started_wall_us: AtomicU64,
    /// `%rt` of the next connection, or of the next request on a kept one.
    pub connection_sequence: AtomicU64,
    /// How the engine is called in messages: "io_uring" or "epoll"; 0 unknown, 1 io_uring, 2 epoll, 3 simulated.
    pub engine: AtomicU8,
}

/// What all workers share of one proxy. For a `listen`, both halves are in use.
#[derive(Default)]
pub struct ProxyState {
    /// Connections of the frontend half now (`%fc`, scur of FRONTEND).
    pub frontend_connections: AtomicU32,
    pub frontend_connections_max: AtomicU32,
    /// The frontend's maxconn; `set maxconn frontend` writes it.
    pub frontend_maxconn: AtomicU32,
    /// OPEN, paused or stopped: see [`FrontendStatus`].
    pub frontend_status: AtomicU8,
    pub frontend_connection_rate: Rate,
    pub frontend_session_rate: Rate,
    pub frontend_request_rate: Rate,
    /// Lines logged (`%lc`).
    pub log_lines: AtomicU64,
    /// Connections of the backend half now (`%bc`, scur of BACKEND).
    pub backend_connections: AtomicU32,
    pub backend_connections_max: AtomicU32,
    pub backend_session_rate: Rate,
    /// Connections waiting in the backend's own queue (`%bq`; qcur of BACKEND adds the servers').
    pub queued: AtomicU32,
    pub queued_max: AtomicU32,
    /// The waiting connections themselves; [`ProxyState::queued`] is their number.
    pub queue: queue::WaitQueue,
    /// What the balancer keeps between choices.
    pub balance: schedule::BalanceState,
    /// Usable active and backup servers now (act, bck).
    pub active_servers: AtomicU32,
    pub backup_servers: AtomicU32,
    /// Monotonic microseconds of the last UP/DOWN change of the whole backend, and accumulated downtime in ms.
    pub last_change_us: AtomicU64,
    pub downtime_ms: AtomicU64,
    pub down_transitions: AtomicU32,
    /// Wall clock seconds of the last session, 0 = never.
    pub last_session_wall_s: AtomicU64,
    /// Recorded by the worker when a session to a server of this backend ends.
    pub session_times: averages::SessionTimes,
}

/// Values of [`ProxyState::frontend_status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrontendStatus {
    Open = 0,
    Paused = 1,
    Stopped = 2,
}

#[derive(Default)]
pub struct ListenerState {
    pub connections: AtomicU32,
    pub connections_max: AtomicU32,
    pub maxconn: AtomicU32,
}

/// What one worker alone writes and others read.
pub struct WorkerState {
    pub mailbox: Mailbox,
    /// Others write it only when they hand a connection over.
    pub room: CachePadded<room::WorkerRoom>,
    /// By [`ProxyId`].
    pub proxies: Vec<CachePadded<ProxyCounters>>,
    /// By [`ServerId`].
    pub servers: Vec<CachePadded<ServerCounters>>,
    /// By [`ListenerId`].
    pub listeners: Vec<CachePadded<ListenerCounters>>,
    /// Busy and total microseconds of the last second, for Idle_pct.
    pub idle_percent: AtomicU8,
    /// Pipes that hold bytes between two of its turns, and pipes kept for use.
    pub pipes_used: AtomicU32,
    pub pipes_free: AtomicU32,
}

impl Shared {
    /// Fresh state for `config` with `workers` workers (plus one [`WorkerState`] for the control thread).
    /// `now_us` is the monotonic clock, `wall_us` the date.
    pub fn new(config: Arc<Config>, workers: usize, now_us: u64, wall_us: u64) -> Shared {
        let worker_state = |_| WorkerState {
            mailbox: Mailbox::default(),
            room: CachePadded::default(),
            proxies: config.proxies.iter().map(|_| Default::default()).collect(),
            servers: config.servers.iter().map(|_| Default::default()).collect(),
            listeners: config.listeners.iter().map(|_| Default::default()).collect(),
            idle_percent: AtomicU8::new(100),
            pipes_used: AtomicU32::new(0),
            pipes_free: AtomicU32::new(0),
        };
        let process = ProcessState { started_wall_us: AtomicU64::new(wall_us), ..Default::default() };
        let proxies = config
            .proxies
            .iter()
            .map(|proxy| {
                let maxconn = proxy.frontend.as_ref().and_then(|frontend| frontend.maxconn).unwrap_or(0);
                CachePadded::new(ProxyState {
                    frontend_maxconn: AtomicU32::new(maxconn),
                    last_change_us: AtomicU64::new(now_us),
                    ..Default::default()
                })
            })
            .collect();
        let listeners = config
            .listeners
            .iter()
            .map(|listener| {
                CachePadded::new(ListenerState {
                    maxconn: AtomicU32::new(listener.maxconn.unwrap_or(0)),
                    ..Default::default()
                })
            })
            .collect();
        Shared {
            process: CachePadded::new(process),
            proxies,
            servers: config.servers.iter().map(|server| CachePadded::new(ServerState::new(server, now_us))).collect(),
            listeners,
            pattern_files: config.pattern_files.iter().map(patterns::PatternFileState::new).collect(),
            caches: config.caches.iter().map(|settings| Arc::new(cache::Cache::new(settings))).collect(),
            stick_tables: (config.stick_tables.iter())
                .map(|table| Arc::new(stick_table::StickTableState::new(table, now_us)))
                .collect(),
            workers: (0..=workers).map(worker_state).collect(),
            administration: Mutex::new(()),
            variables: Default::default(),
            config,
        }
    }

    pub fn proxy(&self, id: ProxyId) -> &ProxyState {
        &self.proxies[id.index()]
    }
    pub fn server(&self, id: ServerId) -> &ServerState {
        &self.servers[id.index()]
    }
    pub fn listener(&self, id: ListenerId) -> &ListenerState {
        &self.listeners[id.index()]
    }
    /// The control thread's own slot in [`Shared::workers`].
    pub fn control(&self) -> &WorkerState {
        self.workers.last().expect("Shared::new makes one for the control thread")
    }
    /// Pipes of all workers: in use, and kept for use.
    pub fn pipes(&self) -> (u32, u32) {
        let sum = |of: fn(&WorkerState) -> &AtomicU32| {
            self.workers.iter().map(|worker| of(worker).load(Ordering::Relaxed)).sum()
        };
        (sum(|worker| &worker.pipes_used), sum(|worker| &worker.pipes_free))
    }
    /// Sums one counter over all workers.
    pub fn proxy_sum(&self, id: ProxyId, counter: impl Fn(&ProxyCounters) -> u64) -> u64 {
        self.workers.iter().map(|worker| counter(&worker.proxies[id.index()])).sum()
    }
    pub fn server_sum(&self, id: ServerId, counter: impl Fn(&ServerCounters) -> u64) -> u64 {
        self.workers.iter().map(|worker| counter(&worker.servers[id.index()])).sum()
    }
    pub fn listener_sum(&self, id: ListenerId, counter: impl Fn(&ListenerCounters) -> u64) -> u64 {
        self.workers.iter().map(|worker| counter(&worker.listeners[id.index()])).sum()
    }
}

/// Raises `maximum` to `value` if it is lower.
pub fn raise_maximum(maximum: &AtomicU32, value: u32) {
    if maximum.load(Ordering::Relaxed) < value {
        maximum.fetch_max(value, Ordering::Relaxed);
    }
}
