//! Several rounds in three figures.

use serde::{Deserialize, Serialize};

/// The middle of some values, and how far apart they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values.get(middle - 1)? + values.get(middle)?) / 2.0,
            _ => *values.get(middle)?,
        };
        Some(Spread { median, min, max })
    }

    /// Round by round: what `ours` is of `theirs`. Rounds that one of them lacks are left out.
    pub fn of_ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Spread> {
        Spread::of(ours.iter().zip(theirs).filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn medians() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let ratios =
            Spread::of_ratios(&[Some(1.0), None, Some(9.0), Some(4.0)], &[Some(2.0), Some(1.0), Some(9.0), None]);
        assert_eq!(ratios, Some(Spread { median: 0.75, min: 0.5, max: 1.0 }));
        assert_eq!(Spread::of_ratios(&[Some(1.0)], &[Some(0.0)]), None, "nothing is a ratio of nothing");
    }

    proptest! {
        #[test]
        fn the_median_has_as_many_below_as_above(values in prop::collection::vec(-1e9f64..1e9, 1..40)) {
            let spread = Spread::of(values.clone()).expect("some values");
            let below = values.iter().filter(|value| **value < spread.median).count();
            let above = values.iter().filter(|value| **value > spread.median).count();
            prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
            prop_assert!(spread.min <= spread.median && spread.median <= spread.max);
        }
    }
}
