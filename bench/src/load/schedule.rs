//! The open loop's timetable: when each operation is due, whatever became of those before it.

use std::time::{Duration, Instant};

/// One connection's due times. All connections together make `rate` a second, evenly spaced, taking turns.
#[derive(Clone, Debug)]
pub struct Schedule {
    begin: Instant,
    interval_seconds: f64,
    /// Of the next operation, counted over all connections.
    turn: u64,
    total: u64,
}

impl Schedule {
    /// For connection `number` of `total`; `rate` is that of all together, operations a second.
    pub fn new(begin: Instant, rate: f64, number: u64, total: u64) -> Self {
        Schedule { begin, interval_seconds: 1.0 / rate, turn: number, total: total.max(1) }
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    /// Ends only where time does.
    fn next(&mut self) -> Option<Instant> {
        // From the beginning each time: no error adds up.
        let seconds = self.turn as f64 * self.interval_seconds;
        self.turn = self.turn.checked_add(self.total)?;
        self.begin.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Together the connections make the rate, none of them twice as often as another.
        #[test]
        fn all_connections_together_make_the_rate(rate in 1.0f64..100_000.0, total in 1u64..50) {
            let begin = Instant::now();
            let operations = 200;
            let mut due: Vec<Duration> = (0..total)
                .flat_map(|number| Schedule::new(begin, rate, number, total).take(operations))
                .map(|instant| instant - begin)
                .collect();
            due.sort();
            for (position, due) in due.iter().enumerate() {
                let expected = position as f64 / rate;
                prop_assert!((due.as_secs_f64() - expected).abs() < 1e-6 + expected * 1e-9, "{due:?} for {expected}");
            }
        }

        #[test]
        fn any_rate_ends_in_no_panic(rate in 0.001f64..1e9, number in any::<u64>(), total in any::<u64>()) {
            let _ = Schedule::new(Instant::now(), rate, number, total).take(3).count();
        }
    }

    #[test]
    fn a_late_operation_delays_none_after_it() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 10.0, 0, 1);
        assert_eq!(schedule.next(), Some(begin));
        // However long the caller takes here.
        assert_eq!(schedule.next(), Some(begin + Duration::from_millis(100)));
        assert_eq!(schedule.next(), Some(begin + Duration::from_millis(200)));
    }
}
