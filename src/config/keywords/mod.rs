//! The one table of every keyword that HAProxy 1.8 or 3.4 knows, and what Ringway does with each.
//!
//! The parser asks it before it looks at a word ([`admit`]), the README's support matrix is printed from it, and so
//! are the answers to a word that is refused, comes later or is misspelled. Adding a keyword touches a row here, a
//! field in the model and a line in the parser; a test holds rows and parsers to each other.

mod row;

pub use row::{Modifier, Row, Section, Sections, Status};

use super::diagnostics::Diagnostics;
use super::lex::Line;

/// The parts of the table, in the order the support matrix prints them.
const PARTS: &[&[Row]] = &[];

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    PARTS.iter().copied().flatten()
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
    Misplaced { row: &'static Row },
    /// Not a keyword of HAProxy's.
    Unknown { did_you_mean: Option<&'static str> },
}

/// Finds the row for `words` in `section`: the longest that matches, so that `option tcp-check` wins over a row
/// `option`. For [`Section::Bind`] and [`Section::Server`] the words start at the option.
pub fn lookup(section: Section, words: &[&str]) -> Lookup {
    let _ = (section, words);
    Lookup::Unknown { did_you_mean: None }
}

/// What to do with a keyword, its messages already written.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// Parse it: `row.keyword()` is the name to dispatch on; its arguments start at word `first + words`.
    Parse { row: &'static Row, words: usize, modifier: Modifier },
    /// Skip `words` words (keyword and arguments; never more than there are): it is known and does nothing, or an
    /// error was reported. For a whole line: skip the line.
    Skip { words: usize },
}

/// Looks up the words of `line` from index `first` on and reports what the user has to know: the modern name of an old
/// spelling, why a word is refused, in which release it comes, or what may have been meant.
pub fn admit(section: Section, line: &Line, first: usize, diagnostics: &mut Diagnostics) -> Admitted {
    let _ = (section, diagnostics);
    Admitted::Skip { words: line.words.len().saturating_sub(first) }
}
