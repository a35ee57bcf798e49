//! From a file's bytes to the lines that a configuration is made of: `.if` blocks chosen, messages of the file
//! itself (`.notice` …) collected (configuration.txt section 2.4).

use super::condition::evaluate_words;
use super::diagnostics::{Diagnostics, Severity};
use super::environment::Environment;
use super::expansion::expand_addresses;
use super::keywords;
use super::lex::{self, Hash, Line, Word};
use super::source::Source;
use std::borrow::Cow;
use std::sync::Arc;

/// As in HAProxy.
const NESTING_MAX: usize = 100;

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Finished,
    /// `.alert` or a broken `.if` stopped it: what follows, in this file and the next ones, was not meant to be read.
    Stopped,
}

/// Calls `handle` with every line of `source` that holds at least one word, in order.
///
/// A line is only split when the one before it was handled, because `setenv` in one changes what `"${NAME}"` in the
/// next expands to. A line that cannot be split is an error in `diagnostics` and skipped.
pub fn each_line(
    source: &Source,
    environment: &mut Environment,
    diagnostics: &mut Diagnostics,
    handle: &mut dyn FnMut(&Line, &mut Environment, &mut Diagnostics),
) -> Reading {
    let mut reader = Reader { file: source.name.clone(), section: String::new(), blocks: Vec::new() };
    let Some(text) = reader.decoded(source, diagnostics) else { return Reading::Finished };
    let mut lines = text.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, raw)) = lines.next() {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        if lines.peek().is_none() && !raw.is_empty() {
            reader.no_line_feed(number, raw, diagnostics);
        }
        let Some(mut line) = reader.split(number, raw, environment, diagnostics) else { continue };
        if line.words.first().is_some_and(|word| word.text.starts_with('.')) {
            if reader.directive(&line, environment, diagnostics) == Reading::Stopped {
                return Reading::Stopped;
            }
        } else if reader.is_active() {
            reader.remember_section(&line);
            if !expand_addresses(&mut line, environment, diagnostics) {
                continue;
            }
            handle(&line, environment, diagnostics);
        }
    }
    reader.finish(diagnostics)
}

/// An open `.if`.
struct Block {
    /// The line of the `.if`, for the message about a missing `.endif`.
    start: Line,
    state: State,
    else_seen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// These lines count.
    Taken,
    /// A branch before was taken: the others are passed over.
    Done,
    /// No branch was taken yet.
    Waiting,
    /// The block around is not taken: conditions in it are not even looked at.
    Dropped,
}

struct Reader {
    file: Arc<str>,
    /// The section's name, or its type if it has none, for `${.SECTION}`.
    section: String,
    blocks: Vec<Block>,
}

impl Reader {
    fn is_active(&self) -> bool {
        self.blocks.last().is_none_or(|block| block.state == State::Taken)
    }

    /// The bytes without a byte order mark; `None` for what is no text at all.
    fn decoded<'a>(&self, source: &'a Source, diagnostics: &mut Diagnostics) -> Option<&'a [u8]> {
        let bytes = source.bytes.as_slice();
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let line = self.line(1, Arc::from(""), Vec::new());
            diagnostics.error(&line, None, "the file is UTF-16 text; save it as UTF-8 (or ASCII)");
            return None;
        }
        Some(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
    }

    fn line(&self, number: u32, raw: Arc<str>, words: Vec<Word>) -> Line {
        Line { file: self.file.clone(), number, raw, words }
    }

    /// HAProxy refuses such a file since 2.5, and took it before; a truncated line can mean something else than the
    /// whole one, which is worth a warning, but a file that only lacks its last byte starts.
    fn no_line_feed(&self, number: u32, raw: &[u8], diagnostics: &mut Diagnostics) {
        let line = self.line(number, lex::text_of(raw).into(), Vec::new());
        let end = Word { text: String::new(), column: column_after(&line.raw), exact: None };
        diagnostics.warning(&line, Some(&end), "Missing LF on last line, the file might have been truncated here");
    }

    fn split(&self, number: u32, raw: &[u8], environment: &Environment, diagnostics: &mut Diagnostics) -> Option<Line> {
        let variables = |name: &str| match name {
            ".FILE" => Some(Cow::Borrowed(&*self.file)),
            ".LINE" => Some(Cow::Owned(number.to_string())),
            ".SECTION" => Some(Cow::Borrowed(self.section.as_str())),
            name => environment.get(name).map(Cow::Borrowed),
        };
        match lex::lex(raw, Hash::Comment, &variables) {
            Ok(words) if words.is_empty() => None,
            Ok(words) => Some(self.line(number, lex::text_of(raw).into(), words)),
            Err(errors) => {
                let line = self.line(number, lex::text_of(raw).into(), Vec::new());
                for error in errors {
                    let word = Word { text: String::new(), column: error.column, exact: None };
                    diagnostics.error(&line, Some(&word), error.text);
                }
                None
            }
        }
    }

    fn remember_section(&mut self, line: &Line) {
        let mut words = line.words.iter().map(Word::as_str);
        let first = words.next().unwrap_or("");
        if keywords::opens_section(first) {
            self.section = words.next().filter(|name| !name.is_empty()).unwrap_or(first).to_owned();
        }
    }

    /// A line whose first word starts with a dot.
    fn directive(&mut self, line: &Line, environment: &Environment, diagnostics: &mut Diagnostics) -> Reading {
        let name = line.words.first().map_or("", Word::as_str);
        match name {
            ".if" => self.open(line, environment, diagnostics),
            ".elif" => self.elif(line, environment, diagnostics),
            ".else" => self.otherwise(line, diagnostics),
            ".endif" => self.close(line, diagnostics),
            ".diag" => self.say(Severity::Diagnostic, line, diagnostics),
            ".notice" => self.say(Severity::Notice, line, diagnostics),
            ".warning" => self.say(Severity::Warning, line, diagnostics),
            ".alert" => self.say(Severity::Alert, line, diagnostics),
            _ => {
                if self.is_active() {
                    let known = [".if", ".elif", ".else", ".endif", ".diag", ".notice", ".warning", ".alert"];
                    let meant = super::suggest::nearest(name, known.into_iter());
                    let suggestion = meant.map(|meant| format!("; did you mean '{meant}' maybe ?")).unwrap_or_default();
                    diagnostics.error(line, None, format!("unknown directive '{name}'{suggestion}"));
                }
                Reading::Finished
            }
        }
    }

    fn open(&mut self, line: &Line, environment: &Environment, diagnostics: &mut Diagnostics) -> Reading {
        if self.blocks.len() >= NESTING_MAX {
            diagnostics.error(line, None, format!("too many nested '.if', max is {NESTING_MAX}"));
            return Reading::Stopped;
        }
        let state = if !self.is_active() {
            State::Dropped
        } else {
            match condition(line, environment, diagnostics) {
                Some(true) => State::Taken,
                Some(false) => State::Waiting,
                None => return Reading::Stopped,
            }
        };
        self.blocks.push(Block { start: line.clone(), state, else_seen: false });
        Reading::Finished
    }

    fn elif(&mut self, line: &Line, environment: &Environment, diagnostics: &mut Diagnostics) -> Reading {
        let Some(block) = self.block(line, diagnostics) else { return Reading::Stopped };
        if block.else_seen {
            diagnostics.error(line, None, "'.elif' after '.else' is not permitted");
            return Reading::Stopped;
        }
        block.state = match block.state {
            State::Waiting => match condition(line, environment, diagnostics) {
                Some(true) => State::Taken,
                Some(false) => State::Waiting,
                None => return Reading::Stopped,
            },
            State::Taken => State::Done,
            unchanged => unchanged,
        };
        Reading::Finished
    }

    fn otherwise(&mut self, line: &Line, diagnostics: &mut Diagnostics) -> Reading {
        if surplus(line, 1, diagnostics) {
            return Reading::Stopped;
        }
        let Some(block) = self.block(line, diagnostics) else { return Reading::Stopped };
        if block.else_seen {
            diagnostics.error(line, None, "'.else' after '.else' is not permitted");
            return Reading::Stopped;
        }
        block.else_seen = true;
        block.state = match block.state {
            State::Waiting => State::Taken,
            State::Taken => State::Done,
            unchanged => unchanged,
        };
        Reading::Finished
    }

    fn close(&mut self, line: &Line, diagnostics: &mut Diagnostics) -> Reading {
        if surplus(line, 1, diagnostics) || self.block(line, diagnostics).is_none() {
            return Reading::Stopped;
        }
        self.blocks.pop();
        Reading::Finished
    }

    /// The innermost open block, or an error.
    fn block(&mut self, line: &Line, diagnostics: &mut Diagnostics) -> Option<&mut Block> {
        if self.blocks.is_empty() {
            let name = line.words.first().map_or("", Word::as_str);
            diagnostics.error(line, None, format!("lone '{name}' with no matching '.if'"));
        }
        self.blocks.last_mut()
    }

    fn say(&self, severity: Severity, line: &Line, diagnostics: &mut Diagnostics) -> Reading {
        if !self.is_active() {
            return Reading::Finished;
        }
        if surplus(line, 2, diagnostics) {
            return Reading::Stopped;
        }
        let text = line.words.get(1).map_or("", Word::as_str);
        diagnostics.at(severity, line, line.words.get(1), format!("'{text}'"));
        if severity == Severity::Alert { Reading::Stopped } else { Reading::Finished }
    }

    fn finish(self, diagnostics: &mut Diagnostics) -> Reading {
        match self.blocks.last() {
            Some(block) => {
                diagnostics.error(&block.start, None, "non-terminated '.if' block");
                Reading::Stopped
            }
            None => Reading::Finished,
        }
    }
}

/// The value of the condition after `.if` or `.elif`; `None` after an error.
fn condition(line: &Line, environment: &Environment, diagnostics: &mut Diagnostics) -> Option<bool> {
    let words = line.words.get(1..).unwrap_or(&[]);
    match evaluate_words(words, environment) {
        Ok(value) => Some(value),
        Err(error) => {
            let name = line.words.first().map_or("", Word::as_str);
            let place = Word { text: String::new(), column: error.column, exact: None };
            diagnostics.error(line, Some(&place), format!("{} in '{name}'", error.text));
            None
        }
    }
}

/// Reports a word at `allowed` or after it, where none may stand.
fn surplus(line: &Line, allowed: usize, diagnostics: &mut Diagnostics) -> bool {
    // An empty word is as good as none, as everywhere in the language.
    let Some(word) = line.words.get(allowed).filter(|word| !word.text.is_empty()) else { return false };
    let name = line.words.first().map_or("", Word::as_str);
    let mut text = format!("Unexpected argument '{}' for '{name}'.", word.text);
    if allowed > 1 {
        text.push_str(" Use quotes if the message should contain spaces.");
    }
    diagnostics.error(line, Some(word), text);
    true
}

fn column_after(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
#[path = "preprocess_tests.rs"]
mod tests;
