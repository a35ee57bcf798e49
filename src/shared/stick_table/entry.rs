//! One entry of a stick table: numbers that any thread may change without a lock.

use crate::config::model::TableSlot;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// See the module's text. Its key never changes.
pub struct Entry {
    key: Box<[u8]>,
    pub(super) hash: u64,
    values: Box<[AtomicU64]>,
    trackers: AtomicU32,
    /// Milliseconds of the monotonic clock.
    touched_ms: AtomicU64,
}

/// The period's beginning, in milliseconds that may wrap, and the events since then.
fn unpack(current: u64) -> (u32, u32) {
    ((current >> 32) as u32, current as u32)
}

fn pack(began_ms: u32, count: u32) -> u64 {
    u64::from(began_ms) << 32 | u64::from(count)
}

impl Entry {
    pub(super) fn new(key: &[u8], hash: u64, slots: usize, now_ms: u64) -> Entry {
        Entry {
            key: key.into(),
            hash,
            values: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            trackers: AtomicU32::new(0),
            touched_ms: AtomicU64::new(now_ms),
        }
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }
    /// Streams and connections that count on this entry now.
    pub fn trackers(&self) -> u32 {
        self.trackers.load(Ordering::Acquire)
    }
    pub(super) fn add_tracker(&self) {
        self.trackers.fetch_add(1, Ordering::AcqRel);
    }
    pub(super) fn remove_tracker(&self) {
        self.trackers.fetch_sub(1, Ordering::AcqRel);
    }
    pub fn touched_ms(&self) -> u64 {
        self.touched_ms.load(Ordering::Relaxed)
    }
    pub(super) fn touch(&self, now_ms: u64) {
        self.touched_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    fn value(&self, index: u32) -> Option<&AtomicU64> {
        self.values.get(index as usize)
    }

    /// A number, or the events of the last period.
    pub fn get(&self, slot: TableSlot, now_ms: u64) -> u64 {
        match slot.period_ms {
            Some(period_ms) => self.rate(slot.index, period_ms, now_ms),
            None => {
                let number = self.value(slot.index).map_or(0, |value| value.load(Ordering::Relaxed));
                if slot.is_wide { number } else { number & 0xffff_ffff }
            }
        }
    }

    /// Adds to a number or counts events; gives what [`Entry::get`] gives then.
    pub fn add(&self, slot: TableSlot, amount: u64, now_ms: u64) -> u64 {
        match slot.period_ms {
            Some(period_ms) => self.count(slot.index, period_ms, amount, now_ms),
            None => {
                if let Some(value) = self.value(slot.index) {
                    value.fetch_add(amount, Ordering::Relaxed);
                }
            }
        }
        self.get(slot, now_ms)
    }

    /// One less, but not less than none: `set table` may have changed it meanwhile.
    pub fn decrement(&self, slot: TableSlot) {
        if let Some(value) = self.value(slot.index) {
            let _ = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| number.checked_sub(1));
        }
    }

    /// Sets a number; a rate is set as if so many events had come just now.
    pub fn set(&self, slot: TableSlot, number: u64, now_ms: u64) {
        let (Some(value), next) = (self.value(slot.index), self.value(slot.index + 1)) else { return };
        match (slot.period_ms, next) {
            (Some(_), Some(previous)) => {
                value.store(pack(now_ms as u32, number as u32), Ordering::Relaxed);
                previous.store(0, Ordering::Relaxed);
            }
            (None, _) if !slot.is_wide => value.store(number & 0xffff_ffff, Ordering::Relaxed),
            _ => value.store(number, Ordering::Relaxed),
        }
    }

    /// Sets to zero and gives what was there.
    pub fn take(&self, slot: TableSlot, now_ms: u64) -> u64 {
        let before = self.get(slot, now_ms);
        self.set(slot, 0, now_ms);
        before
    }

    /// Periods follow each other without a gap as long as events come in each: what is reported is this period's
    /// events and the share of the last one's that still lies within one period's time.
    fn count(&self, index: u32, period_ms: u32, amount: u64, now_ms: u64) {
        let (Some(current), Some(previous)) = (self.value(index), self.value(index + 1)) else { return };
        let (now_ms, period_ms) = (now_ms as u32, period_ms.max(1));
        let amount = u32::try_from(amount).unwrap_or(u32::MAX);
        let mut seen = current.load(Ordering::Relaxed);
        loop {
            let (began_ms, count) = unpack(seen);
            // Another thread's clock may be a little ahead.
            let elapsed_ms = now_ms.wrapping_sub(began_ms) as i32;
            let (next, ended) =
                if elapsed_ms >= 0 && elapsed_ms.unsigned_abs() < period_ms || elapsed_ms < 0 && elapsed_ms > -10_000 {
                    (pack(began_ms, count.saturating_add(amount)), None)
                } else if elapsed_ms >= 0 && elapsed_ms.unsigned_abs() < period_ms.saturating_mul(2) {
                    (pack(began_ms.wrapping_add(period_ms), amount), Some(count))
                } else {
                    (pack(now_ms, amount), Some(0))
                };
            match current.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if let Some(ended) = ended {
                        previous.store(u64::from(ended), Ordering::Relaxed);
                    }
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    fn rate(&self, index: u32, period_ms: u32, now_ms: u64) -> u64 {
        let (Some(current), Some(previous)) = (self.value(index), self.value(index + 1)) else { return 0 };
        let (began_ms, count) = unpack(current.load(Ordering::Relaxed));
        let (mut now, mut last) = (u64::from(count), previous.load(Ordering::Relaxed));
        let period_ms = u64::from(period_ms.max(1));
        let elapsed_ms = i64::from((now_ms as u32).wrapping_sub(began_ms) as i32);
        let mut left_ms = i64::try_from(period_ms).unwrap_or(i64::MAX).saturating_sub(elapsed_ms.max(0));
        if left_ms < 0 || elapsed_ms < -10_000 {
            // This period is over: it is the last one now, if that.
            left_ms = left_ms.saturating_add(period_ms as i64);
            last = if left_ms >= 0 && elapsed_ms >= 0 { now } else { 0 };
            now = 0;
        }
        // One event does not fade: it was there within the period, or it was not.
        if now == 0 && last <= 1 {
            return last;
        }
        now.saturating_add(last.saturating_mul(left_ms.max(0) as u64) / period_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: TableSlot = TableSlot { index: 0, period_ms: Some(10_000), is_wide: false };
    const COUNT: TableSlot = TableSlot { index: 2, period_ms: None, is_wide: false };
    const BYTES: TableSlot = TableSlot { index: 3, period_ms: None, is_wide: true };

    fn entry() -> Entry {
        Entry::new(b"key", 0, 4, 0)
    }

    #[test]
    fn rates_slide() {
        let entry = entry();
        for at_ms in 0..10 {
            entry.add(RATE, 1, 1_000_000 + at_ms);
        }
        assert_eq!(entry.get(RATE, 1_000_009), 10);
        assert_eq!(entry.get(RATE, 1_009_999), 10);
        assert_eq!(entry.get(RATE, 1_015_000), 5);
        assert_eq!(entry.get(RATE, 1_020_000), 0);
        assert_eq!(entry.add(RATE, 1, 1_015_000), 6);
        assert_eq!(entry.get(RATE, 5_000_000), 0);
    }

    #[test]
    fn one_event_stays_until_its_period_is_over() {
        let entry = entry();
        entry.add(RATE, 1, 1_000_000);
        assert_eq!(entry.get(RATE, 1_019_999), 1);
        assert_eq!(entry.get(RATE, 1_020_001), 0);
    }

    #[test]
    fn numbers_are_as_wide_as_they_are() {
        let entry = entry();
        entry.set(COUNT, 99_999_999_999, 0);
        assert_eq!(entry.get(COUNT, 0), 1_215_752_191);
        entry.set(BYTES, 99_999_999_999, 0);
        assert_eq!(entry.get(BYTES, 0), 99_999_999_999);
        entry.set(COUNT, 0, 0);
        entry.decrement(COUNT);
        assert_eq!(entry.get(COUNT, 0), 0);
        entry.set(RATE, 4, 7_000);
        assert_eq!(entry.get(RATE, 7_000), 4);
        assert_eq!(entry.take(RATE, 7_000), 4);
        assert_eq!(entry.get(RATE, 7_000), 0);
    }

    proptest! {
        /// Never more than all events of two periods, never less than none; whatever the clock does.
        #[test]
        fn rates_are_bounded(events in proptest::collection::vec((0u64..30_000, 0u64..5), 1..60), start in any::<u64>()) {
            let entry = entry();
            let mut now_ms = start;
            let mut total = 0;
            for (step_ms, amount) in events {
                now_ms = now_ms.wrapping_add(step_ms);
                entry.add(RATE, amount, now_ms);
                total += amount;
                prop_assert!(entry.get(RATE, now_ms) >= amount);
                prop_assert!(entry.get(RATE, now_ms) <= total);
            }
            prop_assert_eq!(entry.get(RATE, now_ms.wrapping_add(40_000)), 0);
        }
    }
}
