//! The rise/fall counter of one server (configuration.txt 5.2 `rise`, `fall`).
//!
//! One number says it all, as `show servers state` prints it: `0..rise` is down, `rise..rise + fall` is up. The ends
//! are sticky: a failure that leaves the upper range goes straight to 0, a success that enters it goes straight to
//! the top, so it takes `fall` failures in a row to go down and `rise` successes in a row to come up.

/// What a check result did to the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The counter now.
    pub health: u32,
    /// It moved (a server already at its end of the scale stays there, and nothing is reported).
    pub moved: bool,
}

/// The counter's highest value: fully up. At least 1 whatever the numbers.
pub fn full(rise: u32, fall: u32) -> u32 {
    rise.max(1).saturating_add(fall.max(1)) - 1
}

/// One more failed check.
pub fn failed(health: u32, rise: u32) -> Step {
    if health == 0 {
        return Step { health: 0, moved: false };
    }
    let lower = health - 1;
    Step { health: if lower < rise { 0 } else { lower }, moved: true }
}

/// One more passed (or conditionally passed) check.
pub fn passed(health: u32, rise: u32, fall: u32) -> Step {
    let full = full(rise, fall);
    if health >= full {
        return Step { health, moved: false };
    }
    let higher = health + 1;
    Step { health: if higher >= rise { full } else { higher }, moved: true }
}

/// `N/M` of the status texts: passed checks towards `rise` when down, checks left before `fall` when up.
pub fn progress(health: u32, rise: u32, fall: u32) -> (u32, u32) {
    if health >= rise { (health - rise + 1, fall) } else { (health, rise) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The manual's words: so many results of one kind in a row turn the state, anything else starts the row again.
    struct Naive {
        up: bool,
        row: u32,
        rise: u32,
        fall: u32,
    }

    impl Naive {
        fn result(&mut self, good: bool) {
            if good == self.up {
                self.row = 0;
                return;
            }
            self.row += 1;
            if self.row >= if self.up { self.fall } else { self.rise } {
                self.up = good;
                self.row = 0;
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_counting_in_a_row(
            rise in 1u32..8,
            fall in 1u32..8,
            up in any::<bool>(),
            results in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut naive = Naive { up, row: 0, rise, fall };
            let mut health = if up { full(rise, fall) } else { 0 };
            for good in results {
                naive.result(good);
                health = if good { passed(health, rise, fall) } else { failed(health, rise) }.health;
                prop_assert_eq!(health >= rise, naive.up);
                prop_assert!(health <= full(rise, fall));
            }
        }

        #[test]
        fn never_overflows(health in any::<u32>(), rise in any::<u32>(), fall in any::<u32>()) {
            failed(health, rise);
            passed(health, rise, fall);
            progress(health, rise, fall);
        }
    }

    #[test]
    fn first_result_after_the_start_decides() {
        // HAProxy 2.6 shows `UP 1/3` at start for `rise 2 fall 3`: health 2.
        assert_eq!(progress(2, 2, 3), (1, 3));
        assert_eq!(failed(2, 2), Step { health: 0, moved: true });
        assert_eq!(passed(2, 2, 3), Step { health: 4, moved: true });
    }
}
