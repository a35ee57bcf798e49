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
