//! How much of its time a worker sleeps: `Idle_pct` of `show info`, and the stats page.

/// Measured over about a second at a time.
pub struct IdleMeter {
    since_us: u64,
    slept_us: u64,
    asleep_us: u64,
}

impl IdleMeter {
    pub fn new(now_us: u64) -> Self {
        IdleMeter { since_us: now_us, slept_us: 0, asleep_us: now_us }
    }

    /// The worker is about to wait.
    pub fn sleep(&mut self, now_us: u64) {
        self.asleep_us = now_us;
    }

    /// The wait is over. Once a second: the percentage of the time spent waiting.
    pub fn wake(&mut self, now_us: u64) -> Option<u8> {
        self.slept_us += now_us.saturating_sub(self.asleep_us);
        let total_us = now_us.saturating_sub(self.since_us);
        if total_us < 1_000_000 {
            return None;
        }
        let percent = (self.slept_us * 100 / total_us).min(100) as u8;
        (self.since_us, self.slept_us) = (now_us, 0);
        Some(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_asleep_is_fifty_percent() {
        let mut meter = IdleMeter::new(0);
        meter.sleep(500_000);
        assert_eq!(meter.wake(1_000_000), Some(50));
        meter.sleep(1_000_000);
        assert_eq!(meter.wake(2_000_000), Some(100));
    }
}
