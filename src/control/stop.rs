//! When the process ends: SIGUSR1 drains (`grace`, `hard-stop-after`), SIGTERM and SIGINT end it at once
//! (configuration.txt section 3.1, management.txt section 4). Time is an argument; what to do comes out as orders.

use std::time::Duration;

/// What the supervisor carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Close the listeners, serve what is there.
    CloseListeners,
    /// Close everything.
    CloseConnections,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// SIGUSR1 came; listeners stay open until the time given, so that a load balancer in front can notice.
    Grace {
        until_us: u64,
    },
    /// Listeners are closed; what is still open at the time given is closed.
    Draining {
        until_us: Option<u64>,
    },
    Closing,
}

/// The state of the stop.
#[derive(Clone, Debug)]
pub struct Stop {
    phase: Phase,
    grace: Option<Duration>,
    hard_stop_after: Option<Duration>,
}

impl Stop {
    /// `grace` and `hard-stop-after` as configured.
    pub fn new(grace: Option<Duration>, hard_stop_after: Option<Duration>) -> Stop {
        Stop { phase: Phase::Running, grace, hard_stop_after }
    }

    /// SIGUSR1. A second one changes nothing.
    pub fn soft(&mut self, now_us: u64) -> Option<Order> {
        if self.phase != Phase::Running {
            return None;
        }
        match self.grace {
            Some(grace) if !grace.is_zero() => {
                self.phase = Phase::Grace { until_us: after(now_us, grace) };
                None
            }
            _ => Some(self.drain(now_us)),
        }
    }

    /// SIGTERM, SIGINT.
    pub fn hard(&mut self) -> Option<Order> {
        (self.phase != Phase::Closing).then(|| self.close())
    }

    /// What is due at `now_us`.
    pub fn tick(&mut self, now_us: u64) -> Option<Order> {
        match self.phase {
            Phase::Grace { until_us } if until_us <= now_us => Some(self.drain(now_us)),
            Phase::Draining { until_us: Some(until_us) } if until_us <= now_us => Some(self.close()),
            _ => None,
        }
    }

    /// When [`Stop::tick`] has something to do.
    pub fn deadline_us(&self) -> Option<u64> {
        match self.phase {
            Phase::Grace { until_us } => Some(until_us),
            Phase::Draining { until_us } => until_us,
            Phase::Running | Phase::Closing => None,
        }
    }

    /// A worker that ends now ends because it was told to.
    pub fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. } | Phase::Closing)
    }

    fn drain(&mut self, now_us: u64) -> Order {
        self.phase = Phase::Draining { until_us: self.hard_stop_after.map(|limit| after(now_us, limit)) };
        Order::CloseListeners
    }

    fn close(&mut self) -> Order {
        self.phase = Phase::Closing;
        Order::CloseConnections
    }
}

fn after(now_us: u64, duration: Duration) -> u64 {
    now_us.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn drains_for_ever_without_a_limit() {
        let mut stop = Stop::new(None, None);
        assert_eq!((stop.tick(5), stop.deadline_us(), stop.is_under_way()), (None, None, false));
        assert_eq!(stop.soft(5), Some(Order::CloseListeners));
        assert!(stop.is_under_way());
        assert_eq!(stop.soft(6), None);
        assert_eq!((stop.tick(u64::MAX), stop.deadline_us()), (None, None));
        assert_eq!(stop.hard(), Some(Order::CloseConnections));
        assert_eq!(stop.hard(), None);
    }

    #[test]
    fn grace_then_drain_then_the_end() {
        let mut stop = Stop::new(Some(Duration::from_secs(2)), Some(Duration::from_secs(10)));
        assert_eq!(stop.soft(SECOND), None);
        assert!(!stop.is_under_way());
        assert_eq!(stop.soft(2 * SECOND), None, "a second signal does not begin the grace anew");
        assert_eq!(stop.deadline_us(), Some(3 * SECOND));
        assert_eq!(stop.tick(3 * SECOND - 1), None);
        assert_eq!(stop.tick(3 * SECOND), Some(Order::CloseListeners));
        assert_eq!(stop.deadline_us(), Some(13 * SECOND));
        assert_eq!(stop.tick(12 * SECOND), None);
        assert_eq!(stop.tick(14 * SECOND), Some(Order::CloseConnections));
        assert_eq!((stop.tick(15 * SECOND), stop.deadline_us()), (None, None));
    }

    #[test]
    fn a_hard_stop_does_not_wait_for_the_grace() {
        let mut stop = Stop::new(Some(Duration::from_secs(60)), None);
        stop.soft(0);
        assert_eq!(stop.hard(), Some(Order::CloseConnections));
        assert_eq!(stop.tick(u64::MAX), None);
    }

    #[test]
    fn huge_durations_do_not_wrap() {
        let mut stop = Stop::new(Some(Duration::MAX), None);
        stop.soft(SECOND);
        assert_eq!(stop.deadline_us(), Some(u64::MAX));
    }
}
