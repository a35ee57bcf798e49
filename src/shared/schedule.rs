//! What the balancer keeps per backend: an immutable table of who may be chosen, and positions in it.
//!
//! Built by `policy::balance` under the administration lock, read by all workers without one.

use crate::config::model::ServerId;
use arc_swap::ArcSwap;
use std::sync::atomic::AtomicU64;

/// A server that takes new connections now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub server: ServerId,
    /// Effective weight, 1–4096 and more after `set weight` above the configured one.
    pub weight: u32,
    /// The weights of the candidates before this one.
    pub cumulative_weight: u64,
}

/// Made anew whenever a server's usability or weight changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// False until the first build.
    pub is_built: bool,
    /// Who may be chosen: the usable active servers, or the backups that stand in for them. In file order; for
    /// `balance first` by server id.
    pub candidates: Vec<Candidate>,
    pub total_weight: u64,
    pub table: Table,
    /// `fullconn`, or HAProxy's default for it; 0 = no dynamic limit.
    pub fullconn: u32,
}

impl Schedule {
    pub fn contains(&self, server: ServerId) -> bool {
        self.candidates.iter().any(|candidate| candidate.server == server)
    }
}

/// Indexes into [`Schedule::candidates`].
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Table {
    /// The algorithm looks at the candidates themselves.
    #[default]
    None,
    /// roundrobin: one period. static-rr and map-based hashes: HAProxy's server map.
    Sequence(Box<[u32]>),
    /// Consistent hashes: (key, candidate) by key.
    Ring(Box<[(u32, u32)]>),
}

/// Part of a backend's shared state.
#[derive(Default)]
pub struct BalanceState {
    pub schedule: ArcSwap<Schedule>,
    /// Next place in the sequence; grows for ever.
    pub position: AtomicU64,
    /// leastconn: numbers each change of a server's count.
    pub moves: AtomicU64,
    /// Arrival order of waiting connections.
    pub arrivals: AtomicU64,
    /// The time of the last of them, monotonic milliseconds: the clocks of workers differ by what one event takes, and
    /// who came later must not stand before who came earlier.
    pub arrived_ms: AtomicU64,
}
