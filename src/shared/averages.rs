//! Mean and longest times of a server's or backend's last sessions (CSV `qtime ctime rtime ttime` and `…_max`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Sessions that a mean looks back on (management.txt section 9.1, fields 58–61).
const SAMPLES: u64 = 1024;

/// A mean over about the last 1024 values, and their maximum since the last `clear counters`. Any thread may record.
#[derive(Default)]
pub struct SlidingMean {
    /// Holds close to `min(count, 1024)` times the mean.
    sum: AtomicU64,
    count: AtomicU64,
    maximum: AtomicU32,
}

impl SlidingMean {
    pub fn record(&self, value: u32) {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        // Until the window is full the sum just grows; from then on each value replaces one average one. Two threads
        // at once may lose one sample of 1024, which no reader can see.
        let sum = self.sum.load(Ordering::Relaxed);
        let kept = if before < SAMPLES { sum } else { sum - sum.div_ceil(SAMPLES) };
        self.sum.store(kept + u64::from(value), Ordering::Relaxed);
        super::raise_maximum(&self.maximum, value);
    }
    pub fn mean(&self) -> u32 {
        let window = self.count.load(Ordering::Relaxed).min(SAMPLES);
        if window == 0 { 0 } else { self.sum.load(Ordering::Relaxed).div_ceil(window).min(u64::from(u32::MAX)) as u32 }
    }
    pub fn maximum(&self) -> u32 {
        self.maximum.load(Ordering::Relaxed)
    }
    pub fn clear_maximum(&self) {
        self.maximum.store(0, Ordering::Relaxed)
    }
}

/// The four times of a session, milliseconds.
#[derive(Default)]
pub struct SessionTimes {
    pub queue: SlidingMean,
    pub connect: SlidingMean,
    /// Stays 0 in TCP.
    pub response: SlidingMean,
    pub total: SlidingMean,
}

impl SessionTimes {
    /// One finished session that had reached a server.
    pub fn record(&self, queue_ms: u32, connect_ms: u32, response_ms: u32, total_ms: u32) {
        self.queue.record(queue_ms);
        self.connect.record(connect_ms);
        self.response.record(response_ms);
        self.total.record(total_ms);
    }
    pub fn clear_maxima(&self) {
        for mean in [&self.queue, &self.connect, &self.response, &self.total] {
            mean.clear_maximum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_few_and_of_many() {
        let mean = SlidingMean::default();
        assert_eq!(mean.mean(), 0);
        for value in [10, 20, 30] {
            mean.record(value);
        }
        assert_eq!((mean.mean(), mean.maximum()), (20, 30));
        for _ in 0..20_000 {
            mean.record(7);
        }
        assert_eq!((mean.mean(), mean.maximum()), (7, 30));
        mean.clear_maximum();
        assert_eq!(mean.maximum(), 0);
    }
}
