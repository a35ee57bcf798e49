//! Lists of substrings, path and domain parts, and regular expressions: searched all at once.

use super::sharded::Change;
use super::{MatchMethod, PatternEntry};
use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::borrow::Cow;
use std::sync::Arc;

/// From this many expressions on, one automaton for all finds out which ones match.
const REGEX_SET_MINIMUM: usize = 8;

/// `text` in lower case if case is to be ignored; borrowed where nothing changes.
pub fn folded(text: &[u8], ignore_case: bool) -> Cow<'_, [u8]> {
    if ignore_case && text.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The bytes that pairs of hexadecimal digits stand for.
pub fn parse_hexadecimal(text: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = || format!("'{}' is not an even number of hexadecimal digits", String::from_utf8_lossy(text));
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    if !text.len().is_multiple_of(2) {
        return Err(wrong());
    }
    text.chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

/// Compiles an expression as ACLs mean it: bytes, no Unicode classes.
pub fn compile_regex(text: &[u8], ignore_case: bool) -> Result<Regex, String> {
    let text = std::str::from_utf8(text).map_err(|_| "an expression must be UTF-8".to_owned())?;
    RegexBuilder::new(text).unicode(false).case_insensitive(ignore_case).build().map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("regex '{text}' is invalid: {reason}")
    })
}

/// How many patterns there are of each length, longest first.
#[derive(Clone, Debug, Default)]
pub struct Lengths(Vec<(usize, usize)>);

impl Lengths {
    pub fn add(&mut self, length: usize) {
        let at = self.0.partition_point(|(other, _)| *other > length);
        match self.0.get_mut(at) {
            Some((other, count)) if *other == length => *count += 1,
            _ => self.0.insert(at, (length, 1)),
        }
    }

    pub fn remove(&mut self, length: usize) {
        if let Some(at) = self.0.iter().position(|(other, _)| *other == length) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The lengths that fit into `length`, longest first.
    pub fn at_most(&self, length: usize) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(other, _)| *other).filter(move |other| *other <= length)
    }
}

#[derive(Clone, Debug)]
pub struct TextList {
    method: MatchMethod,
    ignore_case: bool,
    items: Arc<Vec<Item>>,
    search: Search,
}

#[derive(Clone, Debug)]
struct Item {
    entry: Arc<PatternEntry>,
    /// Without the delimiters around it.
    needle: Box<[u8]>,
    regex: Option<Regex>,
}

#[derive(Clone, Debug)]
enum Search {
    OneByOne,
    Automaton(Arc<AhoCorasick>),
    Set(Arc<RegexSet>),
}

impl TextList {
    pub fn new(method: MatchMethod, ignore_case: bool) -> Self {
        TextList { method, ignore_case, items: Arc::default(), search: Search::OneByOne }
    }

    /// What ends a part.
    fn delimiters(&self) -> &'static [u8] {
        match self.method {
            MatchMethod::Directory => b"/?",
            MatchMethod::Domain => b"/?.:",
            _ => b"",
        }
    }

    pub fn insert(&mut self, entry: Arc<PatternEntry>) -> Result<(), String> {
        let regex = match self.method {
            MatchMethod::Regex => Some(compile_regex(&entry.pattern, self.ignore_case)?),
            _ => None,
        };
        let mut needle = &*entry.pattern;
        while let [first, rest @ ..] = needle
            && self.delimiters().contains(first)
        {
            needle = rest;
        }
        while let [rest @ .., last] = needle
            && self.delimiters().contains(last)
        {
            needle = rest;
        }
        let needle = needle.into();
        Arc::make_mut(&mut self.items).push(Item { entry, needle, regex });
        self.search = Search::OneByOne;
        Ok(())
    }

    /// Changes the entries of the list; how many were. [`TextList::finish`] must follow.
    pub fn change(&mut self, change: &mut Change) -> usize {
        self.search = Search::OneByOne;
        super::change_list(&mut self.items, |item| &mut item.entry, change)
    }

    pub fn finish(&mut self) -> Result<(), String> {
        self.search = match self.method {
            MatchMethod::Regex if self.items.len() >= REGEX_SET_MINIMUM => {
                let texts = self.items.iter().filter_map(|item| std::str::from_utf8(&item.entry.pattern).ok());
                let set = RegexSetBuilder::new(texts).unicode(false).case_insensitive(self.ignore_case).build();
                // Too large for one automaton: each has its own.
                set.map_or(Search::OneByOne, |set| Search::Set(Arc::new(set)))
            }
            // A single one is searched for directly.
            MatchMethod::Substring | MatchMethod::Directory | MatchMethod::Domain
                if self.items.len() > 1 || self.ignore_case =>
            {
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .ascii_case_insensitive(self.ignore_case)
                    .build(self.items.iter().map(|item| &item.needle))
                    .map(|automaton| Search::Automaton(Arc::new(automaton)))
                    .map_err(|error| error.to_string())?
            }
            _ => Search::OneByOne,
        };
        Ok(())
    }

    /// The first match in the order of the lines.
    pub fn find(&self, sample: &[u8]) -> Option<&PatternEntry> {
        let at = match &self.search {
            Search::OneByOne => self.items.iter().position(|item| self.matches(item, sample))?,
            Search::Set(set) => set.matches(sample).iter().next()?,
            Search::Automaton(automaton) => automaton
                .find_overlapping_iter(sample)
                .filter(|found| self.is_part(sample, found.start(), found.end()))
                .map(|found| found.pattern().as_usize())
                .min()?,
        };
        self.items.get(at).map(|item| &*item.entry)
    }

    fn matches(&self, item: &Item, sample: &[u8]) -> bool {
        if let Some(regex) = &item.regex {
            return regex.is_match(sample);
        }
        let needle = &*item.needle;
        let mut from = 0;
        // Matches may overlap: `a/a` stands twice in `xa/a/a`, and only the second is a part.
        while let Some(at) = sample.get(from..).and_then(|rest| memchr::memmem::find(rest, needle)) {
            if self.is_part(sample, from + at, from + at + needle.len()) {
                return true;
            }
            from += at + 1;
        }
        false
    }

    /// Whether what stands from `start` to `end` is a whole part between delimiters, or any text where none count.
    fn is_part(&self, sample: &[u8], start: usize, end: usize) -> bool {
        let delimiters = self.delimiters();
        if start == end {
            return false;
        }
        let ends = |byte: Option<&u8>| byte.is_none_or(|byte| delimiters.contains(byte));
        delimiters.is_empty()
            || (ends(start.checked_sub(1).and_then(|before| sample.get(before))) && ends(sample.get(end)))
    }

    pub fn regex_of(&self, entry: &PatternEntry) -> Option<&Regex> {
        self.items.iter().find(|item| std::ptr::eq(&*item.entry, entry))?.regex.as_ref()
    }

    pub fn entries(&self) -> impl Iterator<Item = &PatternEntry> {
        self.items.iter().map(|item| &*item.entry)
    }
}
