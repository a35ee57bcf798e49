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
