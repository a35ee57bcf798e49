//! Ranges of integers (configuration.txt section 7.1.2).

use super::PatternEntry;
use super::sharded::Change;
use std::sync::Arc;

/// Inclusive bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerRange {
    pub minimum: i64,
    pub maximum: i64,
}

impl IntegerRange {
    pub const ALL: IntegerRange = IntegerRange { minimum: i64::MIN, maximum: i64::MAX };

    /// Reads `5`, `5:9`, `5:`, `:9`, and `5-9`, which HAProxy takes, too.
    pub fn parse(text: &str) -> Result<IntegerRange, String> {
        let wrong = || format!("'{text}' is not a number");
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        // The first character may be a sign.
        let separator = text.char_indices().find(|(at, character)| *character == ':' || (*character == '-' && *at > 0));
        let Some((at, _)) = separator else {
            return number(text).map(|number| IntegerRange { minimum: number, maximum: number });
        };
        let (low, high) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        let range = IntegerRange {
            minimum: if low.is_empty() { i64::MIN } else { number(low)? },
            maximum: if high.is_empty() { i64::MAX } else { number(high)? },
        };
        if range.minimum > range.maximum || text.len() == 1 {
            return Err(format!("'{text}' is not a valid number range"));
        }
        Ok(range)
    }

    /// As HAProxy writes a range that an operator made: `5`, `5:9`, `5:`, `:9`.
    pub fn text(self) -> String {
        match (self.minimum, self.maximum) {
            (minimum, maximum) if minimum == maximum => minimum.to_string(),
            (i64::MIN, maximum) => format!(":{maximum}"),
            (minimum, i64::MAX) => format!("{minimum}:"),
            (minimum, maximum) => format!("{minimum}:{maximum}"),
        }
    }

    pub fn contains(self, number: i64) -> bool {
        (self.minimum..=self.maximum).contains(&number)
    }
}

/// Ranges in the order of the lines.
#[derive(Clone, Debug, Default)]
pub struct IntegerList {
    ranges: Arc<Vec<(IntegerRange, Arc<PatternEntry>)>>,
    /// The single numbers, sorted, with their place in `ranges`: when every entry is one, a long list is searched here.
    numbers: Arc<Vec<(i64, usize)>>,
}

impl IntegerList {
    pub fn insert(&mut self, range: IntegerRange, entry: Arc<PatternEntry>) {
        Arc::make_mut(&mut self.ranges).push((range, entry));
    }

    pub fn finish(&mut self) {
        let singles = self.ranges.iter().all(|(range, _)| range.minimum == range.maximum);
        let mut numbers = Vec::new();
        if singles && self.ranges.len() > 8 {
            numbers.extend(self.ranges.iter().enumerate().map(|(at, (range, _))| (range.minimum, at)));
            numbers.sort_unstable();
        }
        self.numbers = Arc::new(numbers);
    }

    /// Changes the entries of the list; how many were. [`IntegerList::finish`] must follow.
    pub fn change(&mut self, change: &mut Change) -> usize {
        super::change_list(&mut self.ranges, |(_, entry)| entry, change)
    }

    pub fn find(&self, number: i64) -> Option<&PatternEntry> {
        let at = if self.numbers.is_empty() {
            self.ranges.iter().position(|(range, _)| range.contains(number))?
        } else {
            let first = self.numbers.partition_point(|(other, _)| *other < number);
            self.numbers.get(first).filter(|(other, _)| *other == number)?.1
        };
        self.ranges.get(at).map(|(_, entry)| &**entry)
    }

    pub fn entries(&self) -> impl Iterator<Item = &PatternEntry> {
        self.ranges.iter().map(|(_, entry)| &**entry)
    }
}
