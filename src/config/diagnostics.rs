//! What is wrong with a configuration, collected so that one run names everything.

use super::lex::{Line, Word};
use super::model::Location;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Diagnostic,
    Notice,
    Warning,
    Alert,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    pub severity: Severity,
    /// Without the place and without the final full stop's newline; may hold several lines.
    pub text: String,
    pub location: Option<Location>,
    /// The source line and the column (characters, from 1) for the caret.
    pub excerpt: Option<(String, u32)>,
}

/// The messages of one load.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub messages: Vec<Message>,
}

impl Diagnostics {
    /// An error at `word` (or at the whole line when `None`): the configuration will not start.
    pub fn error(&mut self, line: &Line, word: Option<&Word>, text: impl Into<String>) {
        self.at(Severity::Alert, line, word, text)
    }
    pub fn warning(&mut self, line: &Line, word: Option<&Word>, text: impl Into<String>) {
        self.at(Severity::Warning, line, word, text)
    }
    pub fn at(&mut self, severity: Severity, line: &Line, word: Option<&Word>, text: impl Into<String>) {
        let column = word.or(line.words.first()).map_or(1, |word| word.column);
        self.messages.push(Message {
            severity,
            text: text.into(),
            location: Some(line.location()),
            excerpt: Some((line.raw.to_string(), column)),
        });
    }
    /// A message about a thing that was written at `location`, found after parsing.
    pub fn about(&mut self, severity: Severity, location: &Location, text: impl Into<String>) {
        self.messages.push(Message { severity, text: text.into(), location: Some(location.clone()), excerpt: None });
    }
    /// A message about the whole.
    pub fn general(&mut self, severity: Severity, text: impl Into<String>) {
        self.messages.push(Message { severity, text: text.into(), location: None, excerpt: None });
    }
    pub fn has_errors(&self) -> bool {
        self.messages.iter().any(|message| message.severity == Severity::Alert)
    }
    pub fn has_warnings(&self) -> bool {
        self.messages.iter().any(|message| message.severity == Severity::Warning)
    }
}
