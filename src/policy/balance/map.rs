//! The server map of static-rr and of map-based hashes, in HAProxy's order: a hash lands on the same server in both.

use super::rotation::fit;

/// One period for `weights` (already divided by what they have in common): how often each index appears is its
/// weight, the first declared comes first. Empty for no weights.
///
/// Each turn every server gains its weight in points; the winner is the first with the most whole totals, and pays
/// one total.
pub fn sequence(weights: &[u32]) -> Vec<u32> {
    let weights = fit(weights);
    let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
    let mut points = vec![0i64; weights.len()];
    let mut map = Vec::with_capacity(total as usize);
    for _ in 0..total {
        let (mut best, mut most) = (0, -1);
        for (index, points) in points.iter_mut().enumerate() {
            *points += i64::from(weights[index]);
            let whole = (*points + total) / total;
            if whole > most {
                (best, most) = (index, whole);
            }
        }
        points[best] -= total;
        map.push(best as u32);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_declared_comes_first() {
        assert_eq!(sequence(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(sequence(&[1, 2]), [0, 1, 1]);
        assert!(sequence(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn each_appears_as_often_as_it_weighs(weights in prop::collection::vec(1u32..60, 1..7)) {
            let (map, reduced) = (sequence(&weights), fit(&weights));
            for (index, &weight) in reduced.iter().enumerate() {
                prop_assert_eq!(map.iter().filter(|&&entry| entry as usize == index).count(), weight as usize);
            }
        }
    }
}
