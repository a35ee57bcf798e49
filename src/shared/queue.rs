//! Connections that wait for a server slot, first come first served, whichever worker they belong to.
//!
//! A lock-free ordered map rather than a plain queue: a connection that gives up (queue timeout, client gone) leaves
//! from the middle at once, so that a server that stays full for hours does not collect the dead. An entry's
//! fate belongs to whoever claims it first, the one who grants a slot or the one who leaves; the map's own word on who
//! removed it is not enough (under contention two threads were told so).

use super::mailbox::Waiter;
use crossbeam_skiplist::SkipMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

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

impl Waiting {}

impl Waiting {
    fn claim(&self) -> bool {
        !self.is_claimed.swap(true, Ordering::SeqCst)
    }
}

/// See the module's text. The key is the order of arrival in the whole backend, so that the heads of a server's queue
/// and of its backend's queue can be compared.
#[derive(Default)]
pub struct WaitQueue {
    entries: SkipMap<u64, Arc<Waiting>>,
    granted: AtomicU64,
}

impl WaitQueue {
    /// Appends `waiter` under `sequence`, which must grow from call to call and be used once.
    pub fn push(&self, sequence: u64, waiter: Waiter) -> Arc<Waiting> {
        let waiting = Arc::new(Waiting {
            waiter,
            granted_before: self.granted.load(Ordering::Relaxed),
            is_claimed: AtomicBool::new(false),
            position: AtomicU32::new(0),
        });
        self.entries.insert(sequence, waiting.clone());
        waiting
    }

    /// The arrival order of whoever is first.
    pub fn first(&self) -> Option<u64> {
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
    pub fn remove(&self, sequence: u64, waiting: &Waiting) -> bool {
        let is_mine = waiting.claim();
        if is_mine {
            self.entries.remove(&sequence);
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

    #[test]
    fn serves_in_order_and_counts_those_ahead() {
        let queue = WaitQueue::default();
        let tickets: Vec<_> = (0..4).map(|slot| queue.push(u64::from(slot), waiter(slot))).collect();
        assert!(queue.remove(1, &tickets[1]), "the second gives up");
        assert!(!queue.remove(1, &tickets[1]));
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
        let tickets: Vec<_> = (0..total).map(|sequence| queue.push(sequence, waiter(sequence as u32))).collect();
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
                        if queue.remove(sequence, &tickets[sequence as usize]) {
                            left.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner() + left.into_inner(), total);
    }
}
