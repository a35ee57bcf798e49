//! When to give the memory of a burst back: once it is quiet, and not before.

/// How long it must have been quiet.
const INTERVAL_US: u64 = 500_000;
/// Receives in one interval that count as quiet whatever the number of buffers.
const QUIET_RECEIVES: u32 = 64;

#[derive(Default)]
pub(super) struct TrimClock {
    receives: u32,
    receives_at_check: u32,
    wanted: bool,
    checked_at_us: u64,
}

impl TrimClock {
    pub(super) fn received(&mut self) {
        self.receives = self.receives.wrapping_add(1);
    }

    /// Asked before a sleep of `timeout_us`: how long to sleep at most, and whether to trim first. `buffers` have been in
    /// use so far: far fewer receives than that in an interval do not need them all.
    pub(super) fn before_sleep(&mut self, now_us: u64, timeout_us: Option<u64>, buffers: u32) -> (Option<u64>, bool) {
        let quiet = QUIET_RECEIVES.max(buffers / 4);
        let recent = self.receives.wrapping_sub(self.receives_at_check);
        if !self.wanted && recent <= quiet {
            return (timeout_us, false);
        }
        self.wanted = true;
        let mut trim = false;
        if now_us.saturating_sub(self.checked_at_us) >= INTERVAL_US {
            trim = recent <= quiet;
            self.wanted = !trim;
            self.receives_at_check = self.receives;
            self.checked_at_us = now_us;
        }
        (Some(timeout_us.map_or(INTERVAL_US, |us| us.min(INTERVAL_US))), trim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trim_follows_a_burst_when_it_is_quiet() {
        let mut clock = TrimClock::default();
        assert_eq!(clock.before_sleep(10_000_000, None, 0), (None, false));
        for _ in 0..1000 {
            clock.received();
        }
        assert_eq!(clock.before_sleep(11_000_000, None, 0), (Some(INTERVAL_US), false));
        assert_eq!(clock.before_sleep(11_100_000, Some(5), 0), (Some(5), false));
        assert_eq!(clock.before_sleep(11_500_000, None, 0), (Some(INTERVAL_US), true));
        assert_eq!(clock.before_sleep(12_000_000, None, 0), (None, false));
    }
}
