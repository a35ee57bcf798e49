//! One keyword with its arguments on the way into a parser.

use super::diagnostics::Diagnostics;
use super::keywords::Modifier;
use super::lex::{Line, Word};
use super::model::Location;
use super::names::ResolveNames;

/// A keyword that the table admitted, and where to complain about it.
pub struct Statement<'a> {
    pub line: &'a Line,
    /// As in the table: `timeout client`, `option tcplog`, `weight`.
    pub keyword: &'a str,
    pub modifier: Modifier,
    /// What follows the keyword. For an option of a `bind` or `server` line: all that follows.
    pub arguments: &'a [Word],
    /// Stands before every message: empty, or `'server mqtt/emq1' : `.
    pub label: &'a str,
    pub diagnostics: &'a mut Diagnostics,
    pub names: &'a dyn ResolveNames,
}

impl<'a> Statement<'a> {
    /// The text of argument `index`, empty when there is none: an empty word and a missing one are the same to the
    /// language.
    pub fn text(&self, index: usize) -> &'a str {
        self.arguments.get(index).map_or("", |word| word.text.as_str())
    }

    /// The arguments from `index` on.
    pub fn rest(&self, index: usize) -> &'a [Word] {
        self.arguments.get(index..).unwrap_or(&[])
    }

    /// The arguments from `index` on, joined by single blanks.
    pub fn joined(&self, index: usize) -> String {
        self.rest(index).iter().map(Word::as_str).collect::<Vec<_>>().join(" ")
    }

    pub fn location(&self) -> Location {
        self.line.location()
    }

    /// An error with the caret under argument `index`, or under the keyword when there is none.
    pub fn error(&mut self, index: usize, text: impl AsRef<str>) {
        let word = self.word(index);
        self.diagnostics.error(self.line, word, format!("{}{}", self.label, text.as_ref()));
    }

    /// As [`Statement::error`], for what does not stop the start.
    pub fn warning(&mut self, index: usize, text: impl AsRef<str>) {
        let word = self.word(index);
        self.diagnostics.warning(self.line, word, format!("{}{}", self.label, text.as_ref()));
    }

    fn word(&self, index: usize) -> Option<&'a Word> {
        self.arguments.get(index).or_else(|| {
            // The keyword's own last word: the one before the arguments, found by its place in the line.
            let before = self.line.words.len().saturating_sub(self.arguments.len() + 1);
            self.line.words.get(before)
        })
    }

    /// Gives `result`'s value, or reports its error at argument `index`.
    pub fn accept<T>(&mut self, index: usize, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.error(index, text)).ok()
    }

    /// Argument `index`, or an error that says what was `expected`.
    pub fn required(&mut self, index: usize, expected: &str) -> Option<&'a str> {
        match self.text(index) {
            "" => {
                let keyword = self.keyword;
                self.error(index, format!("'{keyword}' expects {expected}."));
                None
            }
            text => Some(text),
        }
    }

    /// Warns of arguments after the first `count`, where HAProxy drops them without a word.
    pub fn ignores_after(&mut self, count: usize) {
        if self.arguments.len() > count {
            let (keyword, surplus) = (self.keyword, self.joined(count));
            self.warning(count, format!("'{keyword}' takes no more: '{surplus}' is ignored."));
        }
    }

    /// Refuses arguments after the first `count`.
    pub fn at_most(&mut self, count: usize) -> bool {
        if self.arguments.len() <= count {
            return true;
        }
        let (keyword, surplus) = (self.keyword, self.text(count));
        self.error(count, format!("'{keyword}' cannot handle unexpected argument '{surplus}'."));
        false
    }
}

/// A parser of a whole line: writes what it understood into `T`.
pub type LineParser<T> = fn(&mut Statement<'_>, &mut T);

/// A parser of one option of a line; gives the number of arguments it took.
pub type OptionParser<T> = fn(&mut Statement<'_>, &mut T) -> usize;
