//! Events a second over a sliding second, as HAProxy's `rate` and `rate_max` columns show them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A sliding one-second counter that any thread may update: the current second's count, and the previous one's
/// scaled by how much of it is still within the last second.
#[derive(Default)]
pub struct Rate {
    /// High 32 bits: the second (monotonic); low 32 bits: events in it.
    current: AtomicU64,
    previous: AtomicU64,
    maximum: AtomicU32,
}

impl Rate {
    /// Counts one event at `now_us` (monotonic) and raises the maximum.
    pub fn count(&self, now_us: u64) {
        let second = now_us / 1_000_000;
        let mut seen = self.current.load(Ordering::Relaxed);
        loop {
            let next = if seen >> 32 == second & 0xffff_ffff { seen + 1 } else { (second << 32) | 1 };
            match self.current.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if seen >> 32 != second & 0xffff_ffff {
                        self.previous.store(seen, Ordering::Relaxed);
                    }
                    break;
                }
                Err(now) => seen = now,
            }
        }
        super::raise_maximum(&self.maximum, self.per_second(now_us));
    }

    /// Events in the second that ends at `now_us`.
    pub fn per_second(&self, now_us: u64) -> u32 {
        let second = (now_us / 1_000_000) & 0xffff_ffff;
        let into_us = now_us % 1_000_000;
        let (current, previous) = (self.current.load(Ordering::Relaxed), self.previous.load(Ordering::Relaxed));
        let (this, last) = if current >> 32 == second {
            let last = if (previous >> 32) + 1 == second { previous & 0xffff_ffff } else { 0 };
            (current & 0xffff_ffff, last)
        } else if (current >> 32) + 1 == second {
            (0, current & 0xffff_ffff)
        } else {
            (0, 0)
        };
        (this + last * (1_000_000 - into_us) / 1_000_000) as u32
    }

    pub fn maximum(&self) -> u32 {
        self.maximum.load(Ordering::Relaxed)
    }
    pub fn clear_maximum(&self) {
        self.maximum.store(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_over_the_second() {
        let rate = Rate::default();
        for i in 0..100 {
            rate.count(10_000_000 + i * 10_000);
        }
        assert_eq!(rate.per_second(10_999_999), 100);
        assert_eq!(rate.per_second(11_500_000), 50);
        assert_eq!(rate.per_second(12_000_000), 0);
        assert_eq!(rate.maximum(), 100);
    }
}
