//! From the table's answer to what the parser does, and what the user is told.

use super::super::diagnostics::Diagnostics;
use super::super::lex::{Line, Word};
use super::{Lookup, Modifier, Row, Section, Status, lookup, rows_of};

/// What to do with a keyword, its messages already written.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// Parse it: `row.keyword()` is the name to dispatch on; its arguments start at word `first + words`.
    Parse { row: &'static Row, words: usize, modifier: Modifier },
    /// Skip `words` words (keyword and arguments; at least one, never more than there are): it is known and does
    /// nothing, or an error was reported. For a whole line: skip the line.
    Skip { words: usize },
}

/// Looks up the words of `line` from index `first` on and reports what the user has to know: the modern name of an old
/// spelling, why a word is refused, in which release it comes, or what may have been meant.
pub fn admit(section: Section, line: &Line, first: usize, diagnostics: &mut Diagnostics) -> Admitted {
    let given = line.words.get(first..).unwrap_or(&[]);
    let words: Vec<&str> = given.iter().map(Word::as_str).collect();
    let mut report = Report { section, line, given, diagnostics };
    let skip = |words: usize| Admitted::Skip { words: words.clamp(1, given.len().max(1)) };
    match lookup(section, &words) {
        Lookup::Found { row, words, modifier } => {
            if report.found(row, words, modifier) {
                let (row, words) = if row.value { parent_of(section, row, words) } else { (row, words) };
                Admitted::Parse { row, words, modifier }
            } else {
                skip(words + row.arguments())
            }
        }
        Lookup::NotNegatable { row } => {
            report.not_negatable(row);
            skip(given.len())
        }
        Lookup::Misplaced { row, words } => {
            report.misplaced(row);
            skip(words + row.arguments())
        }
        Lookup::Unknown { word, did_you_mean } => {
            report.unknown(word, did_you_mean);
            skip(word + 1)
        }
    }
}

/// The keyword that `row` is an argument of.
fn parent_of(section: Section, row: &'static Row, words: usize) -> (&'static Row, usize) {
    let keyword = row.keyword().rsplit_once(' ').map_or("", |(keyword, _)| keyword);
    match rows_of(section).find(|other| other.keyword() == keyword) {
        Some(parent) => (parent, words.saturating_sub(1)),
        None => (row, words),
    }
}

struct Report<'a> {
    section: Section,
    line: &'a Line,
    /// The words from the keyword on.
    given: &'a [Word],
    diagnostics: &'a mut Diagnostics,
}

impl Report<'_> {
    /// Says what the row's status calls for; true if the keyword is to be parsed.
    fn found(&mut self, row: &Row, words: usize, modifier: Modifier) -> bool {
        let keyword = row.keyword();
        // The last word of an option or argument is the one that matters; a first word is all there is.
        let place = if row.value { words.saturating_sub(1) } else { usize::from(modifier != Modifier::None) };
        match row.status {
            Status::Supported => true,
            Status::OldSpelling { modern } => {
                let text = format!("'{keyword}' is an old spelling; it still works, the modern one is: {modern}.");
                self.warning(place, text);
                true
            }
            Status::Accepted { .. } => false,
            // Turning off what is not there leaves nothing to do.
            Status::Refused { .. } | Status::Later { .. } if modifier != Modifier::None => false,
            Status::Refused { reason, instead } => {
                let text = format!("'{keyword}' is not supported: {reason}; instead: {instead}.");
                self.error(place, text);
                false
            }
            Status::Later { what, meanwhile } => {
                let text = format!("'{keyword}' is not supported yet: it comes with {what}; until then, {meanwhile}.");
                self.error(place, text);
                false
            }
        }
    }

    fn not_negatable(&mut self, row: &Row) {
        let keyword = row.keyword();
        let text = match keyword.strip_prefix("option ") {
            Some(option) => format!("negation/default is not supported for option '{option}'."),
            None => format!("negation/default is not supported for '{keyword}'."),
        };
        self.error(0, text);
    }

    fn misplaced(&mut self, row: &Row) {
        let (keyword, sections) = (row.keyword(), row.sections);
        let text = match self.section {
            Section::Bind | Section::Server | Section::StatsSocket => {
                format!("unknown keyword '{keyword}' on a '{}' line; it belongs on a {sections} line", self.section)
            }
            Section::Defaults => format!("'{keyword}' not allowed in 'defaults' section; it belongs in {sections}"),
            section => format!("'{keyword}' not allowed in '{section}' section; it belongs in {sections}"),
        };
        self.error(0, text);
    }

    fn unknown(&mut self, word: usize, did_you_mean: Option<&'static str>) {
        let written = |index: usize| self.given.get(index).map_or("", Word::as_str);
        let (unknown, before) = (written(word), word.checked_sub(1).map(written));
        let suggestion = did_you_mean.map(|meant| format!("; did you mean '{meant}' maybe ?")).unwrap_or_default();
        let before = before.filter(|before| !matches!(*before, "no" | "default"));
        let text = match (self.section, before) {
            _ if unknown.is_empty() => {
                format!("'{}' expects a keyword after it", written(word.saturating_sub(1)))
            }
            (_, Some("option")) => format!("unknown option '{unknown}'{suggestion}"),
            (_, Some(before)) => format!("unknown keyword '{unknown}' after '{before}'{suggestion}"),
            (Section::Bind | Section::Server | Section::StatsSocket, None) => {
                format!("unknown keyword '{unknown}'{suggestion}")
            }
            (Section::Header, None) => format!("unknown keyword '{unknown}' out of section{suggestion}"),
            (section, None) => format!("unknown keyword '{unknown}' in '{section}' section{suggestion}"),
        };
        self.error(word.min(self.given.len().saturating_sub(1)), text);
    }

    fn error(&mut self, word: usize, text: String) {
        self.diagnostics.error(self.line, self.given.get(word), text);
    }

    fn warning(&mut self, word: usize, text: String) {
        self.diagnostics.warning(self.line, self.given.get(word), text);
    }
}
