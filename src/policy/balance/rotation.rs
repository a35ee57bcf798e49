//! roundrobin: one period of a smooth weighted rotation, in the order in which HAProxy serves it.

use std::collections::{BTreeSet, VecDeque};

/// The longest period kept (1 MiB a backend). Longer ones are made to fit by scaling the weights down.
const PERIOD_MAX: u64 = 1 << 18;

pub fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `weights` divided by what they have in common, and scaled so that their sum stays within [`PERIOD_MAX`] (then
/// shares are exact to one part in `PERIOD_MAX`, and no server gets less than one turn).
pub fn fit(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let total: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
    let scale = |weight: u32| {
        let weight = u64::from(weight / divisor);
        if total <= PERIOD_MAX { weight as u32 } else { (weight * PERIOD_MAX / total).max(1) as u32 }
    };
    weights.iter().map(|&weight| scale(weight)).collect()
}

/// One period for `weights` (all above 0): each index appears as often as its reduced weight says, evenly spread.
///
/// Each server has a place in the rotation where it is due next. Who is due goes first; where nobody is due yet, the
/// heaviest who has not begun begins; failing that, whoever is due soonest.
pub fn sequence(weights: &[u32]) -> Vec<u32> {
    struct Turn {
        due: u64,
        remainder: u32,
        left: u32,
    }
    let weights = fit(weights);
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let mut turns: Vec<_> = weights.iter().map(|&left| Turn { due: 0, remainder: 0, left }).collect();
    let mut not_begun: Vec<usize> = (0..weights.len()).filter(|&index| weights[index] > 0).collect();
    not_begun.sort_by_key(|&index| std::cmp::Reverse(weights[index]));
    let mut not_begun = VecDeque::from(not_begun);
    // (due, how far the remainder is from the next whole place, who came first, index)
    let mut begun: BTreeSet<(u64, i64, u64, usize)> = BTreeSet::new();
    let mut order = Vec::with_capacity(total as usize);
    for place in 0..total {
        let is_due = begun.first().is_some_and(|&(due, ..)| due <= place);
        let index = match not_begun.pop_front() {
            Some(index) if !is_due => {
                turns[index].due = place;
                index
            }
            other => {
                if let Some(index) = other {
                    not_begun.push_front(index);
                }
                let Some((.., index)) = begun.pop_first() else { break };
                index
            }
        };
        order.push(index as u32);
        let (turn, weight) = (&mut turns[index], weights[index]);
        turn.left -= 1;
        turn.due += total / u64::from(weight);
        turn.remainder += (total % u64::from(weight)) as u32;
        if turn.remainder >= weight {
            turn.remainder -= weight;
            turn.due += 1;
        }
        if turn.left > 0 {
            begun.insert((turn.due, i64::from(turn.remainder) - i64::from(weight), place, index));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(order: &[u32], servers: usize) -> Vec<u32> {
        let mut counts = vec![0; servers];
        order.iter().for_each(|&index| counts[index as usize] += 1);
        counts
    }

    #[test]
    fn smooth_not_in_blocks() {
        assert_eq!(sequence(&[16, 16, 16]), [0, 1, 2]);
        assert_eq!(sequence(&[80, 16, 16]), [0, 0, 0, 1, 0, 0, 2]);
        // As HAProxy 2.6 served it.
        assert_eq!(sequence(&[48, 32, 32]), [0, 1, 0, 2, 1, 0, 2]);
        assert!(sequence(&[]).is_empty());
    }

    #[test]
    fn big_weights_stay_within_bounds() {
        let weights: Vec<u32> = (0..2_000).map(|index| 4_096 - index).collect();
        let order = sequence(&weights);
        assert!(order.len() as u64 <= PERIOD_MAX + 2_000);
        let counts = counts(&order, weights.len());
        assert!(counts.iter().all(|&count| count >= 1) && counts[0] > counts[1_999]);
    }

    proptest! {
        #[test]
        fn every_server_gets_its_weight_and_no_long_wait(weights in prop::collection::vec(1u32..257, 1..8)) {
            let reduced = fit(&weights);
            let order = sequence(&weights);
            prop_assert_eq!(&counts(&order, weights.len()), &reduced);
            // Smoothness: never behind its fair share by more than one turn per other server and its own.
            let total = order.len() as f64;
            let mut given = vec![0u32; weights.len()];
            for (place, &index) in order.iter().enumerate() {
                given[index as usize] += 1;
                for (server, &count) in given.iter().enumerate() {
                    let fair = f64::from(reduced[server]) * (place + 1) as f64 / total;
                    prop_assert!(fair - f64::from(count) <= weights.len() as f64 + 1.0, "server {} at {}", server, place);
                }
            }
        }

        #[test]
        fn the_divisor_divides(a in any::<u32>(), b in any::<u32>()) {
            let divisor = greatest_common_divisor(a, b);
            if divisor != 0 {
                prop_assert_eq!((a % divisor, b % divisor), (0, 0));
            } else {
                prop_assert_eq!((a, b), (0, 0));
            }
        }
    }
}
