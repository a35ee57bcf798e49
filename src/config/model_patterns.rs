//! Compiled patterns: what ACLs compare samples with and what maps look keys up in (configuration.txt sections 7.1 and
//! 7.1.1 to 7.1.6).
//!
//! A set is built once and read by all workers. A copy shares almost all memory with its original, so that one entry
//! of a list of 100,000 can be changed at run time without a lock: the changed copy replaces the set.

mod addresses;
mod files;
mod integers;
mod sharded;
mod texts;

pub use addresses::{Network, parse_network};
pub use files::{PatternFile, PatternFileId, PatternView};
pub use integers::IntegerRange;
pub use texts::compile_regex;

use super::model_converter::MapOutput;
use addresses::Networks;
use sharded::{Change, Edit, ShardedMap};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use texts::TextList;

/// `-m`: how a sample is compared with the patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchMethod {
    /// `found`: the sample is there; takes no pattern.
    Found,
    /// `bool`: not 0; takes no pattern.
    Boolean,
    Integer,
    /// `ip`
    Address,
    /// `bin`: all bytes, written in hexadecimal.
    Binary,
    /// `len`: the number of bytes.
    Length,
    /// `str`: all of it.
    Exact,
    /// `beg`
    Begin,
    /// `sub`
    Substring,
    /// `end`
    End,
    /// `dir`: a part between slashes.
    Directory,
    /// `dom`: a part between dots (and slashes, colons, question marks).
    Domain,
    /// `reg`
    Regex,
}

impl MatchMethod {
    const NAMES: [(&'static str, MatchMethod); 13] = [
        ("found", MatchMethod::Found),
        ("bool", MatchMethod::Boolean),
        ("int", MatchMethod::Integer),
        ("ip", MatchMethod::Address),
        ("bin", MatchMethod::Binary),
        ("len", MatchMethod::Length),
        ("str", MatchMethod::Exact),
        ("beg", MatchMethod::Begin),
        ("sub", MatchMethod::Substring),
        ("end", MatchMethod::End),
        ("dir", MatchMethod::Directory),
        ("dom", MatchMethod::Domain),
        ("reg", MatchMethod::Regex),
    ];

    /// By the name that `-m` takes.
    pub fn named(name: &str) -> Option<MatchMethod> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, method)| *method)
    }
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, method)| *method == self).map_or("", |(name, _)| name)
    }
    /// Whether the method compares with nothing.
    pub fn takes_no_pattern(self) -> bool {
        matches!(self, MatchMethod::Found | MatchMethod::Boolean)
    }
    /// Whether patterns are numbers.
    pub fn is_numeric(self) -> bool {
        matches!(self, MatchMethod::Integer | MatchMethod::Length)
    }
}

/// One pattern as written, and what a map gives for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternEntry {
    pub pattern: Box<[u8]>,
    /// The second column of a map's line.
    pub value: Option<Box<[u8]>>,
    /// Counts up in the order the entries were added.
    order: u64,
}

impl PatternEntry {
    /// What the runtime socket calls the entry (`#0x1`): the same in every view of its file, and never 0.
    pub fn reference(&self) -> u64 {
        self.order.saturating_add(1)
    }
}

/// Which entries a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntrySelection<'a> {
    /// All that are written so.
    Pattern(&'a [u8]),
    /// The one with this [`PatternEntry::reference`], whose pattern must be given to find it.
    Reference(&'a [u8], u64),
}

impl<'a> EntrySelection<'a> {
    fn pattern(self) -> &'a [u8] {
        match self {
            EntrySelection::Pattern(pattern) | EntrySelection::Reference(pattern, _) => pattern,
        }
    }
    fn is_about(self, entry: &PatternEntry) -> bool {
        match self {
            EntrySelection::Pattern(pattern) => *entry.pattern == *pattern,
            EntrySelection::Reference(_, reference) => entry.reference() == reference,
        }
    }
}

/// One set of patterns with one way to compare.
#[derive(Clone, Debug)]
pub struct Patterns {
    method: MatchMethod,
    ignore_case: bool,
    /// What the values of a map must be; `None`: nobody looks at them.
    values: Option<MapOutput>,
    next_order: u64,
    index: Index,
}

#[derive(Clone, Debug)]
enum Index {
    /// `found` and `bool`: kept to be listed, compared with nothing.
    Unused(Arc<Vec<Arc<PatternEntry>>>),
    /// `str` and `bin`; the key is in lower case where case is ignored.
    Exact(ShardedMap<Box<[u8]>>),
    /// `beg` and `end`: one map for all; `lengths` are those of its keys, longest first.
    Edges {
        keys: ShardedMap<Box<[u8]>>,
        lengths: texts::Lengths,
    },
    Texts(TextList),
    Integers(integers::IntegerList),
    Addresses(Networks),
}

impl Patterns {
    /// An empty set.
    pub fn new(method: MatchMethod, ignore_case: bool) -> Patterns {
        let index = match method {
            MatchMethod::Found | MatchMethod::Boolean => Index::Unused(Arc::default()),
            MatchMethod::Exact | MatchMethod::Binary => Index::Exact(ShardedMap::default()),
            MatchMethod::Begin | MatchMethod::End => {
                Index::Edges { keys: ShardedMap::default(), lengths: Default::default() }
            }
            MatchMethod::Integer | MatchMethod::Length => Index::Integers(Default::default()),
            MatchMethod::Address => Index::Addresses(Networks::default()),
            MatchMethod::Substring | MatchMethod::Directory | MatchMethod::Domain | MatchMethod::Regex => {
                Index::Texts(TextList::new(method, ignore_case))
            }
        };
        let ignore_case = ignore_case && method != MatchMethod::Binary;
        Patterns { method, ignore_case, values: None, next_order: 0, index }
    }

    /// A set of `entries`: pattern and, in a map, value. The error names the entry and says what is wrong with it.
    pub fn build<'a>(
        method: MatchMethod,
        ignore_case: bool,
        entries: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<Patterns, (usize, String)> {
        let mut patterns = Patterns::new(method, ignore_case);
        for (index, (pattern, value)) in entries.into_iter().enumerate() {
            patterns.insert(pattern, value).map_err(|text| (index, text))?;
        }
        patterns.finish().map_err(|text| (0, text))?;
        Ok(patterns)
    }

    pub fn method(&self) -> MatchMethod {
        self.method
    }
    pub fn ignores_case(&self) -> bool {
        self.ignore_case
    }
    /// What the values of a map must be.
    pub fn values(&self) -> Option<MapOutput> {
        self.values
    }
    /// The same set, whose values must be of a kind from now on.
    pub fn with_values(self, values: Option<MapOutput>) -> Patterns {
        Patterns { values, ..self }
    }
    /// An empty set that compares as this one does.
    pub fn emptied(&self) -> Patterns {
        Patterns { next_order: self.next_order, ..Patterns::new(self.method, self.ignore_case) }
            .with_values(self.values)
    }
    /// Whether a lookup walks a list (HAProxy's `idx=list`) instead of a tree.
    pub fn is_searched_as_list(&self) -> bool {
        match self.method {
            MatchMethod::Address => false,
            MatchMethod::Exact | MatchMethod::Begin => self.ignore_case,
            _ => true,
        }
    }

    /// Why an entry could not be added.
    pub fn check(&self, pattern: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let text = || String::from_utf8_lossy(pattern);
        match self.method {
            MatchMethod::Binary => texts::parse_hexadecimal(pattern).map(|_| ())?,
            MatchMethod::Regex => texts::compile_regex(pattern, self.ignore_case).map(|_| ())?,
            MatchMethod::Integer | MatchMethod::Length => IntegerRange::parse(&text()).map(|_| ())?,
            MatchMethod::Address => parse_network(&text()).map(|_| ())?,
            _ => {}
        }
        self.check_value(value)
    }

    fn check_value(&self, value: Option<&[u8]>) -> Result<(), String> {
        let Some(value) = value else { return Ok(()) };
        let text = String::from_utf8_lossy(value);
        let is_right = match self.values {
            Some(MapOutput::Integer) => text.parse::<i64>().is_ok(),
            Some(MapOutput::Address) => text.parse::<IpAddr>().is_ok(),
            Some(MapOutput::Text) | None => true,
        };
        if is_right { Ok(()) } else { Err(format!("unable to parse '{text}'")) }
    }

    /// Adds a pattern; the error says why it is none. Of two equal ones the first counts. [`Patterns::finish`] must
    /// follow before anything is looked up.
    pub fn insert(&mut self, pattern: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        self.check_value(value)?;
        let entry =
            Arc::new(PatternEntry { pattern: pattern.into(), value: value.map(Into::into), order: self.next_order });
        self.next_order += 1;
        match &mut self.index {
            Index::Unused(list) => Arc::make_mut(list).push(entry),
            Index::Exact(map) => {
                let key = match self.method {
                    MatchMethod::Binary => texts::parse_hexadecimal(pattern)?,
                    _ => texts::folded(pattern, self.ignore_case).into_owned(),
                };
                map.insert(key.into(), entry);
            }
            Index::Edges { keys, lengths } => {
                if keys.insert(texts::folded(pattern, self.ignore_case).into_owned().into(), entry) {
                    lengths.add(pattern.len());
                }
            }
            Index::Texts(list) => list.insert(entry)?,
            Index::Integers(list) => list.insert(IntegerRange::parse(&String::from_utf8_lossy(pattern))?, entry),
            Index::Addresses(networks) => {
                networks.insert(parse_network(&String::from_utf8_lossy(pattern))?, entry);
            }
        }
        Ok(())
    }

    /// Adds a network that was resolved from a name.
    pub fn insert_network(&mut self, written: &str, network: Network) {
        let entry = Arc::new(PatternEntry { pattern: written.as_bytes().into(), value: None, order: self.next_order });
        self.next_order += 1;
        if let Index::Addresses(networks) = &mut self.index {
            networks.insert(network, entry);
        }
    }

    /// Adds a range of integers that an operator was applied to (`gt 5`).
    pub fn insert_range(&mut self, written: &str, range: IntegerRange) {
        let entry = Arc::new(PatternEntry { pattern: written.as_bytes().into(), value: None, order: self.next_order });
        self.next_order += 1;
        if let Index::Integers(list) = &mut self.index {
            list.insert(range, entry);
        }
    }

    /// Makes the automata that lists of substrings and expressions are searched with.
    pub fn finish(&mut self) -> Result<(), String> {
        match &mut self.index {
            Index::Texts(list) => list.finish(),
            Index::Integers(list) => {
                list.finish();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes entries out; how many there were. [`Patterns::finish`] must follow.
    pub fn remove(&mut self, which: EntrySelection) -> usize {
        self.change(which, &mut |entry| if which.is_about(entry) { Edit::Remove } else { Edit::Keep })
    }

    /// Gives entries of a map another value; how many there were. The error says why it cannot be one.
    pub fn set_value(&mut self, which: EntrySelection, value: &[u8]) -> Result<usize, String> {
        self.check_value(Some(value))?;
        Ok(self.change(which, &mut |entry| match which.is_about(entry) {
            true => Edit::Replace(Arc::new(PatternEntry { value: Some(value.into()), ..entry.clone() })),
            false => Edit::Keep,
        }))
    }

    /// Whether there is an entry written so.
    pub fn has(&self, pattern: &[u8]) -> bool {
        let key = self.key_of(pattern);
        let is_it = |entry: &PatternEntry| *entry.pattern == *pattern;
        match &self.index {
            Index::Exact(map) | Index::Edges { keys: map, .. } => map.has(&*key, pattern),
            Index::Unused(list) => list.iter().any(|entry| is_it(entry)),
            Index::Texts(list) => list.entries().any(is_it),
            Index::Integers(list) => list.entries().any(is_it),
            Index::Addresses(networks) => networks.has(pattern),
        }
    }

    /// What a pattern of one of the maps is found under.
    fn key_of<'p>(&self, pattern: &'p [u8]) -> Cow<'p, [u8]> {
        match self.method {
            MatchMethod::Binary => Cow::Owned(texts::parse_hexadecimal(pattern).unwrap_or_default()),
            _ => texts::folded(pattern, self.ignore_case),
        }
    }

    fn change(&mut self, which: EntrySelection, change: &mut Change) -> usize {
        let pattern = which.pattern();
        let key = self.key_of(pattern);
        match &mut self.index {
            Index::Unused(list) => change_list(list, |entry| entry, change),
            Index::Exact(map) => map.change(&key[..], change).0,
            Index::Edges { keys, lengths } => {
                let (count, is_gone) = keys.change(&key[..], change);
                if is_gone {
                    lengths.remove(pattern.len());
                }
                count
            }
            Index::Texts(list) => list.change(change),
            Index::Integers(list) => list.change(change),
            Index::Addresses(networks) => networks.change(pattern, change),
        }
    }

    /// Whether something matches a text. For [`MatchMethod::Length`] see [`Patterns::find_integer`].
    pub fn find_bytes(&self, sample: &[u8]) -> Option<&PatternEntry> {
        match &self.index {
            Index::Exact(map) if self.method == MatchMethod::Binary => map.get(sample),
            Index::Exact(map) => map.get_folded(sample, self.ignore_case),
            Index::Edges { keys, lengths } => {
                let sample = texts::folded(sample, self.ignore_case);
                let mut lengths = lengths.at_most(sample.len());
                if self.method == MatchMethod::Begin {
                    // The longest prefix wins, as in HAProxy's tree.
                    lengths.find_map(|length| keys.get(sample.get(..length)?))
                } else {
                    let found = lengths.filter_map(|length| keys.get(sample.get(sample.len() - length..)?));
                    found.min_by_key(|entry| entry.order)
                }
            }
            Index::Texts(list) => list.find(sample),
            _ => None,
        }
    }

    /// The range that holds `number`: the first in the order of the lines.
    pub fn find_integer(&self, number: i64) -> Option<&PatternEntry> {
        match &self.index {
            Index::Integers(list) => list.find(number),
            _ => None,
        }
    }

    /// The smallest network that holds `address`. An IPv4 address is looked for as `::ffff:a.b.c.d`, too, and the IPv6
    /// forms of an IPv4 address as that.
    pub fn find_address(&self, address: IpAddr) -> Option<&PatternEntry> {
        match &self.index {
            Index::Addresses(networks) => networks.find(address),
            _ => None,
        }
    }

    /// The compiled expression of an entry that [`Patterns::find_bytes`] gave, to fill the value's `\1`.
    pub fn regex_of(&self, entry: &PatternEntry) -> Option<&regex::bytes::Regex> {
        match &self.index {
            Index::Texts(list) => list.regex_of(entry),
            _ => None,
        }
    }

    /// All entries in the order they were added.
    pub fn entries(&self) -> Vec<&PatternEntry> {
        let mut entries: Vec<&PatternEntry> = match &self.index {
            Index::Unused(list) => list.iter().map(|entry| &**entry).collect(),
            Index::Exact(map) | Index::Edges { keys: map, .. } => map.values().collect(),
            Index::Texts(list) => list.entries().collect(),
            Index::Integers(list) => list.entries().collect(),
            Index::Addresses(networks) => networks.entries().collect(),
        };
        entries.sort_by_key(|entry| entry.order);
        entries
    }
}

/// Changes the entries of a list whose items hold one each; how many were. Nothing is copied when none is.
fn change_list<T: Clone>(
    list: &mut Arc<Vec<T>>,
    entry_of: fn(&mut T) -> &mut Arc<PatternEntry>,
    change: &mut Change,
) -> usize {
    let mut count = 0;
    let mut changed = Vec::with_capacity(list.len());
    for item in list.iter() {
        let mut item = item.clone();
        let entry = entry_of(&mut item);
        match change(entry) {
            Edit::Keep => changed.push(item),
            Edit::Replace(new) => {
                *entry = new;
                changed.push(item);
                count += 1;
            }
            Edit::Remove => count += 1,
        }
    }
    if count > 0 {
        *list = Arc::new(changed);
    }
    count
}

#[cfg(test)]
mod tests;
