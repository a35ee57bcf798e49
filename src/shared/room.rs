//! How many connections a worker's descriptor table carries, and how many it has: written by the worker, and by others
//! that hand a connection over to it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// See the module's text. Closed until [`WorkerRoom::open`].
#[derive(Default)]
pub struct WorkerRoom {
    used: AtomicU32,
    limit: AtomicU32,
    /// Whether others may hand connections over.
    open: AtomicBool,
}

impl WorkerRoom {
    /// A worker begins, or begins anew after a failure: nothing is used.
    pub fn start(&self, limit: u32) {
        self.used.store(0, Ordering::SeqCst);
        self.limit.store(limit, Ordering::SeqCst);
        self.open.store(true, Ordering::SeqCst);
    }

    /// Lets others hand connections over, or no longer. One that takes its place at this very moment is still counted in
    /// [`WorkerRoom::used`], or sees that it is not wanted.
    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }

    /// Takes the place of a connection that the worker itself has accepted.
    pub fn take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        if self.used.fetch_add(1, Ordering::SeqCst) < limit {
            return true;
        }
        self.give_back();
        false
    }

    /// Takes the place of a connection that is to be handed over.
    pub fn reserve(&self) -> bool {
        if !self.take() {
            return false;
        }
        if self.open.load(Ordering::SeqCst) {
            return true;
        }
        self.give_back();
        false
    }

    /// A worker that was started anew has forgotten what was underway to it: never below 0.
    pub fn give_back(&self) {
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| used.checked_sub(1));
    }

    /// Connections, and places of those underway.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::SeqCst)
    }

    /// How many more others may hand over.
    pub fn free(&self) -> u32 {
        if !self.open.load(Ordering::Relaxed) {
            return 0;
        }
        self.limit.load(Ordering::Relaxed).saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let room = WorkerRoom::default();
        assert!(!room.take() && !room.reserve(), "not started");
        room.start(2);
        assert!(room.take() && room.reserve() && !room.take() && !room.reserve());
        assert_eq!((room.used(), room.free()), (2, 0));
        room.give_back();
        assert_eq!(room.free(), 1);
        room.set_open(false);
        assert!(room.free() == 0 && !room.reserve(), "closed for others");
        assert!(room.take(), "not for the worker itself");
        room.start(2);
        room.give_back();
        assert_eq!(room.used(), 0);
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let room = WorkerRoom::default();
        room.start(10);
        let taken: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..100).filter(|_| room.reserve()).count() as u32)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(taken <= 10, "{taken}");
        // Two that fail at once may both have seen the last place taken by the other; it is there afterwards.
        assert_eq!(room.used(), taken);
        assert!(taken == 10 || room.take());
    }
}
