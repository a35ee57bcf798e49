//! What the conductor tells the executors, and they tell it: phases one way, events the other.

use super::tally::Tally;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where a run stands. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connections are opened; each does its first exchange.
    Ramp,
    /// All are at work; nothing counts yet.
    Warmup,
    Measure,
    /// Counts are final.
    Stop,
}

impl Phase {
    pub const ALL: [Phase; 4] = [Phase::Ramp, Phase::Warmup, Phase::Measure, Phase::Stop];

    pub fn name(self) -> &'static str {
        match self {
            Phase::Ramp => "ramp",
            Phase::Warmup => "warmup",
            Phase::Measure => "measure",
            Phase::Stop => "stop",
        }
    }
}

/// The phase, as all executors of a process see it: read with every operation, hence an atomic and no message.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<AtomicU8>);

impl Orders {
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    pub fn phase(&self) -> Phase {
        Phase::ALL.get(usize::from(self.0.load(Ordering::Acquire))).copied().unwrap_or(Phase::Stop)
    }
}

/// One executor's part of the work.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// This one, of how many.
    pub number: u64,
    pub of: u64,
    /// The connections are numbered over all shares; these are this one's.
    pub first: u64,
    pub connections: u64,
    /// All shares' connections.
    pub total: u64,
    /// The CPU to stay on.
    pub core: Option<usize>,
    /// Connections that this share may be opening at once.
    pub window: u64,
    /// Connections that this share may open a second.
    pub ramp_rate: Option<f64>,
}

impl Share {
    /// The `number`th of `of` equal parts.
    pub fn new(number: u64, of: u64, total: u64, core: Option<usize>, window: u64, ramp_rate: Option<f64>) -> Self {
        let border = |number: u64| (u128::from(total) * u128::from(number) / u128::from(of.max(1))) as u64;
        let first = border(number);
        Share {
            number,
            of,
            first,
            connections: border(number + 1) - first,
            total,
            core,
            window: (window / of.max(1)).max(1),
            ramp_rate: ramp_rate.map(|rate| rate / of.max(1) as f64),
        }
    }
}

/// What an executor reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Counts so far.
    Progress { share: u64, connected: u64, operations: u64, errors: u64 },
    /// All its connections have been opened.
    Ready { share: u64 },
    /// It has stopped.
    Done { share: u64, tally: Box<Tally> },
    /// It can't go on.
    Failed { share: u64, error: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_cover_all_connections_once(of in 1u64..64, total in 0u64..100_000) {
            let shares: Vec<Share> = (0..of).map(|number| Share::new(number, of, total, None, 100, None)).collect();
            let mut next = 0;
            for share in &shares {
                prop_assert_eq!(share.first, next);
                prop_assert!(share.connections.abs_diff(total / of) <= 1);
                next += share.connections;
            }
            prop_assert_eq!(next, total);
        }
    }
}
