//! The one table of every keyword that HAProxy 1.8 or 3.4 knows, and what Ringway does with each.
//!
//! The parser asks it before it looks at a word ([`admit`]), the README's support matrix is printed from it, and so
//! are the answers to a word that is refused, comes later or is misspelled. Adding a keyword touches a row here, a
//! field in the model and a line in the parser; a test holds rows and parsers to each other.

mod admit;
mod bind;
mod global;
mod options;
mod proxy;
mod row;
mod rules;
mod sections;
mod server;
mod status;
mod tuning;

pub use admit::{Admitted, admit};
pub use row::{Modifier, Row, Section, Sections, Status};

use super::suggest;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The parts of the table, in the order the support matrix prints them.
const PARTS: &[&[Row]] = &[
    sections::HEADERS,
    global::ROWS,
    tuning::ROWS,
    proxy::ROWS,
    options::ROWS,
    rules::ROWS,
    rules::OLD_ROWS,
    bind::ROWS,
    server::ROWS,
    sections::ROWS,
];

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    PARTS.iter().copied().flatten()
}

/// The rows of one section.
pub fn rows_of(section: Section) -> impl Iterator<Item = &'static Row> {
    rows().filter(move |row| row.sections.contains(section))
}

/// What the table says of the words at the start of a line (or of one option of a `bind` or `server` line).
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// The longest row that fits.
    Found {
        row: &'static Row,
        /// How many words it took, a leading `no` or `default` included.
        words: usize,
        modifier: Modifier,
    },
    /// `no` or `default` before a keyword that has no such form.
    NotNegatable { row: &'static Row },
    /// A keyword, but not of this section.
    Misplaced { row: &'static Row, words: usize },
    /// Not a keyword of HAProxy's.
    Unknown {
        /// Which of the words nobody knows: 1 in `option htplog`.
        word: usize,
        did_you_mean: Option<&'static str>,
    },
}

/// Finds the row for `words` in `section`: the longest that matches, so that `option tcp-check` wins over a row
/// `option`. For [`Section::Bind`], [`Section::Server`] and [`Section::StatsSocket`] the words start at the option.
pub fn lookup(section: Section, words: &[&str]) -> Lookup {
    if let Some(row) = longest(candidates(section, words), words) {
        return Lookup::Found { row, words: row.words(), modifier: Modifier::None };
    }
    let modifier = match words.first() {
        Some(&"no") => Modifier::No,
        Some(&"default") => Modifier::Default,
        _ => return elsewhere(section, words, 0),
    };
    let rest = words.get(1..).unwrap_or(&[]);
    match longest(candidates(section, rest), rest) {
        Some(row) if row.negatable => Lookup::Found { row, words: row.words() + 1, modifier },
        Some(row) => Lookup::NotNegatable { row },
        None => elsewhere(section, rest, 1),
    }
}

/// Whether `word` opens a section, known or refused: cheaper than [`lookup`], and asked of every line.
pub fn opens_section(word: &str) -> bool {
    longest(candidates(Section::Header, &[word]), &[word]).is_some()
}

/// The rows of `section` that can match `words`, by their first word: a file with thousands of servers asks tens of
/// thousands of times.
fn candidates(section: Section, words: &[&str]) -> impl Iterator<Item = &'static Row> + use<> {
    static BY_FIRST_WORD: LazyLock<HashMap<&'static str, Vec<&'static Row>>> = LazyLock::new(|| {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows() {
            index.entry(row.keyword().split(' ').next().unwrap_or_default()).or_default().push(row);
        }
        index
    });
    // `word(argument)` is found under `word`.
    let first = words.first().and_then(|word| word.split('(').next()).unwrap_or_default();
    let rows = BY_FIRST_WORD.get(first).map(Vec::as_slice).unwrap_or_default();
    rows.iter().copied().filter(move |row| row.sections.contains(section))
}

fn longest<'a>(rows: impl Iterator<Item = &'static Row>, words: &'a [&'a str]) -> Option<&'static Row> {
    rows.filter(|row| row.matches(words)).max_by_key(|row| row.words())
}

/// For words that `section` does not know; `skipped` words stood before them.
fn elsewhere(section: Section, words: &[&str], skipped: usize) -> Lookup {
    let misplaced = neighbours_of(section).iter().flat_map(|section| candidates(*section, words));
    if let Some(row) = longest(misplaced, words) {
        return Lookup::Misplaced { row, words: row.words() + skipped };
    }
    let word = known_words(section, words);
    let headers = if word == 0 && is_line(section) { keywords_of(Section::Header) } else { &[] };
    let did_you_mean = suggest::word(words, word, keywords_of(section).iter().chain(headers).copied());
    Lookup::Unknown { word: word + skipped, did_you_mean }
}

/// How many leading words start some row: 1 for `option htplog`.
fn known_words(section: Section, words: &[&str]) -> usize {
    let shared = |keyword: &&str| keyword.split(' ').zip(words).take_while(|(wanted, given)| wanted == *given).count();
    keywords_of(section).iter().map(shared).max().unwrap_or(0)
}

/// The keywords of a section, kept because a file may have very many lines that nobody knows.
fn keywords_of(section: Section) -> &'static [&'static str] {
    static BY_SECTION: LazyLock<HashMap<Section, Vec<&'static str>>> = LazyLock::new(|| {
        Section::ALL.into_iter().map(|section| (section, rows_of(section).map(Row::keyword).collect())).collect()
    });
    BY_SECTION.get(&section).map(Vec::as_slice).unwrap_or_default()
}

/// Whether the section's keywords start lines, rather than follow an address.
fn is_line(section: Section) -> bool {
    !matches!(section, Section::Bind | Section::Server | Section::StatsSocket | Section::Header | Section::CrtList)
}

/// The sections whose keywords people write into `section` by mistake.
fn neighbours_of(section: Section) -> &'static [Section] {
    const LINES: &[Section] =
        &[Section::Global, Section::Defaults, Section::Frontend, Section::Listen, Section::Backend];
    const OPTIONS: &[Section] = &[Section::Bind, Section::Server, Section::StatsSocket];
    match section {
        Section::Bind | Section::Server | Section::StatsSocket => OPTIONS,
        _ if LINES.contains(&section) => LINES,
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
