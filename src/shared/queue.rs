//! Connections that wait for a server slot, whichever worker they belong to: by priority, then first come first served.
//!
//! A lock-free ordered map rather than a plain queue: a connection that gives up (queue timeout, client gone) leaves
//! from the middle at once, so that a server that stays full for hours does not collect the dead. An entry's
//! fate belongs to whoever claims it first, the one who grants a slot or the one who leaves; the map's own word on who
//! removed it is not enough (under contention two threads were told so).

use super::mailbox::Waiter;
use crossbeam_skiplist::SkipMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// `set-priority-class` and `set-priority-offset` of one connection: lower goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueuePriority {
    /// -2047 to 2047
    pub class: i16,
    /// -524287 to 524287: moves the time of arrival.
    pub offset_ms: i32,
}

/// A place in the order of all that wait in a backend. One that differs from all others: `sequence` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey {
    pub class: i16,
    /// Arrival, moved by the offset. Arrivals never go back from one `sequence` to the next.
    pub time_ms: i64,
    /// Order of arrival in the whole backend.
    pub sequence: u64,
}

impl QueueKey {
    /// For who arrived `sequence`th at `arrived_ms`.
    pub fn new(priority: QueuePriority, arrived_ms: u64, sequence: u64) -> Self {
        let arrived_ms = i64::try_from(arrived_ms).unwrap_or(i64::MAX);
        let time_ms = arrived_ms.saturating_add(i64::from(priority.offset_ms));
        QueueKey { class: priority.class, time_ms, sequence }
    }
}

/// One waiting connection, shared by its queue and its ticket.
#[derive(Debug)]
pub struct Waiting {
    pub waiter: Waiter,
    /// The queue's [`WaitQueue::granted`] when this one came.
    granted_before: u64,
    /// Whoever sets it owns this entry's fate and its part of the queue's count.
    is_claimed: AtomicBool,
    /// Set by the one who grants; 0 before.
    position: AtomicU32,
}

impl Waiting {
    fn claim(&self) -> bool {
        !self.is_claimed.swap(true, Ordering::SeqCst)
    }
}

/// See the module's text. The keys order the whole backend, so that the heads of a server's queue and of its backend's
/// queue can be compared.
#[derive(Default)]
pub struct WaitQueue {
    entries: SkipMap<QueueKey, Arc<Waiting>>,
    granted: AtomicU64,
}

impl WaitQueue {
    /// Adds `waiter` under `key`, which must be used once.
    pub fn push(&self, key: QueueKey, waiter: Waiter) -> Arc<Waiting> {
        let waiting = Arc::new(Waiting {
            waiter,
            granted_before: self.granted.load(Ordering::Relaxed),
            is_claimed: AtomicBool::new(false),
            position: AtomicU32::new(0),
        });
        self.entries.insert(key, waiting.clone());
        waiting
    }

    /// The key of whoever is first.
    pub fn first(&self) -> Option<QueueKey> {
        self.entries.front().map(|entry| *entry.key())
    }

    /// Removes the first because it gets a slot; fixes its position.
    pub fn pop_granted(&self) -> Option<Arc<Waiting>> {
        let waiting = self.pop_evicted()?;
        let granted = self.granted.fetch_add(1, Ordering::Relaxed);
        waiting.position.store(ahead(&waiting, granted), Ordering::Relaxed);
        Some(waiting)
    }

    /// The log's `%sq` or `%bq` of one that waits or waited here: how many were served from the queue until its own
    /// turn, or until now, itself included (HAProxy prints 1 for the first in line).
    pub fn position(&self, waiting: &Waiting) -> u32 {
        match waiting.position.load(Ordering::Relaxed) {
            0 => ahead(waiting, self.granted.load(Ordering::Relaxed)),
            position => position,
        }
    }

    /// Removes the first without a slot, to make it choose again.
    pub fn pop_evicted(&self) -> Option<Arc<Waiting>> {
        loop {
            let waiting = self.entries.pop_front()?.value().clone();
            if waiting.claim() {
                return Some(waiting);
            }
        }
    }

    /// Leaves. False: somebody removed it before.
    pub fn remove(&self, key: &QueueKey, waiting: &Waiting) -> bool {
        let is_mine = waiting.claim();
        if is_mine {
            self.entries.remove(key);
        }
        is_mine
    }
}

fn ahead(waiting: &Waiting, granted: u64) -> u32 {
    u32::try_from(granted.saturating_sub(waiting.granted_before)).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(slot: u32) -> Waiter {
        Waiter { worker: 0, slot, generation: 1 }
    }

    fn key(sequence: u64) -> QueueKey {
        QueueKey::new(QueuePriority::default(), 0, sequence)
    }

    #[test]
    fn serves_by_class_then_by_moved_time_then_by_arrival() {
        let queue = WaitQueue::default();
        let waiting = [(0, 0, 50), (0, 0, 50), (1, -9_999, 50), (0, -20, 60), (-1, 5_000, 70), (0, 20, 60), (0, 0, 65)];
        for (slot, (class, offset_ms, arrived_ms)) in waiting.into_iter().enumerate() {
            let key = QueueKey::new(QueuePriority { class, offset_ms }, arrived_ms, slot as u64);
            queue.push(key, waiter(slot as u32));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_granted()).map(|waiting| waiting.waiter.slot).collect();
        assert_eq!(order, [4, 3, 0, 1, 6, 5, 2]);
    }

    #[test]
    fn serves_in_order_and_counts_those_ahead() {
        let queue = WaitQueue::default();
        let tickets: Vec<_> = (0..4).map(|slot| queue.push(key(u64::from(slot)), waiter(slot))).collect();
        assert!(queue.remove(&key(1), &tickets[1]), "the second gives up");
        assert!(!queue.remove(&key(1), &tickets[1]));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_granted()).map(|waiting| waiting.waiter.slot).collect();
        assert_eq!(order, [0, 2, 3]);
        let positions: Vec<_> = tickets.iter().map(|waiting| queue.position(waiting)).collect();
        assert_eq!(positions[0], 1);
        assert_eq!(positions[2..], [2, 3], "who gave up was not served, so it does not count");
        assert_eq!(queue.first(), None);
    }

    #[test]
    fn a_removal_has_one_winner_among_threads() {
        let queue = WaitQueue::default();
        let (granted, left) = (AtomicU64::new(0), AtomicU64::new(0));
        let total = 20_000;
        let tickets: Vec<_> = (0..total).map(|sequence| queue.push(key(sequence), waiter(sequence as u32))).collect();
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (queue, granted, left, tickets) = (&queue, &granted, &left, &tickets);
                scope.spawn(move || {
                    while queue.pop_granted().is_some() {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                });
                scope.spawn(move || {
                    for sequence in (thread..total).rev().step_by(3) {
                        if queue.remove(&key(sequence), &tickets[sequence as usize]) {
                            left.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner() + left.into_inner(), total);
    }
}
