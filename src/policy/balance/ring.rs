//! The ring of consistent hashes (HAProxy's chash tree).

use super::hash::avalanche;

/// A server owns this many consecutive node numbers, so that weights can change without moving other servers' nodes.
const NODES_PER_SERVER: u32 = 4096;

/// `servers`: (id, effective weight). A server has as many nodes as its effective weight; result: (key, index of the
/// server) by key.
pub fn nodes(servers: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut ring = Vec::new();
    for (index, (id, weight)) in servers.enumerate() {
        let first = id.wrapping_mul(NODES_PER_SERVER);
        ring.extend((0..weight).map(|node| (avalanche(first.wrapping_add(node)), index as u32)));
    }
    // Stable: nodes that collide stay in file order.
    ring.sort_by_key(|&(key, _)| key);
    ring
}

/// Where `hash` lands: the place on the ring of the nearest node, the one before winning a tie. `None` on an empty ring.
pub fn nearest(ring: &[(u32, u32)], hash: u32) -> Option<usize> {
    if ring.is_empty() {
        return None;
    }
    let after = ring.partition_point(|&(key, _)| key < hash) % ring.len();
    let before = (after + ring.len() - 1) % ring.len();
    let distance_before = hash.wrapping_sub(ring[before].0);
    let distance_after = ring[after].0.wrapping_sub(hash);
    Some(if distance_before <= distance_after { before } else { after })
}

/// How many connections a server of a bounded ring may have (`hash-balance-factor`): its share of `factor_percent`
/// of the average, remainders spread by cumulative weight, never less than one.
pub fn slots(served_total: u64, factor_percent: u32, weight: u32, cumulative_weight: u64, total_weight: u64) -> u64 {
    if total_weight == 0 {
        return 1;
    }
    let all = ((served_total + 1) * u64::from(factor_percent)).div_ceil(100);
    let (per_weight, rest) = (all / total_weight, all % total_weight);
    let weight = u64::from(weight);
    let of_rest = (cumulative_weight + weight) * rest / total_weight - cumulative_weight * rest / total_weight;
    (weight * per_weight + of_rest).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a look at every node: the one with the least distance around the circle, downwards on a tie.
        #[test]
        fn nearest_agrees_with_a_naive_twin(weights in prop::collection::vec(0u32..40, 1..5), hash in any::<u32>()) {
            let ring = nodes((1..).zip(weights.iter().copied()));
            prop_assert_eq!(ring.len(), weights.iter().sum::<u32>() as usize);
            let twin = ring.iter().map(|&(key, _)| {
                let (below, above) = (hash.wrapping_sub(key), key.wrapping_sub(hash));
                (below.min(above), below > above, key)
            });
            let expected = twin.min().map(|(.., key)| key);
            prop_assert_eq!(nearest(&ring, hash).map(|place| ring[place].0), expected);
        }

        /// What a server loses when it goes is all that moves.
        #[test]
        fn only_the_lost_servers_keys_move(hashes in prop::collection::vec(any::<u32>(), 50)) {
            let all = nodes([(1, 64), (2, 64), (3, 64)].into_iter());
            let fewer = nodes([(1, 64), (2, 0), (3, 64)].into_iter());
            for hash in hashes {
                let (before, after) = (all[nearest(&all, hash).unwrap()].1, fewer[nearest(&fewer, hash).unwrap()].1);
                prop_assert!(before == after || before == 1);
            }
        }

        /// The bounded shares always hold one connection more than there are, or nobody could take it.
        #[test]
        fn shares_are_enough_for_all(weights in prop::collection::vec(1u32..4096, 1..6), served in 0u64..100_000, factor in 101u32..400) {
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            let mut cumulative = 0;
            let mut sum = 0;
            for &weight in &weights {
                sum += slots(served, factor, weight, cumulative, total);
                cumulative += u64::from(weight);
            }
            prop_assert!(sum > served);
        }
    }
}
