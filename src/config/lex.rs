//! Words of a configuration line, with the place each came from.

use super::model::Location;
use std::sync::Arc;

/// One word of a line after quotes, escapes and environment variables were resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    /// Where the word starts in [`Line::raw`], in characters counted from 1.
    pub column: u32,
}

impl Word {
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// One logical line.
#[derive(Clone, Debug)]
pub struct Line {
    pub file: Arc<str>,
    /// Counted from 1.
    pub number: u32,
    /// The line as written, without its end of line; shown under messages.
    pub raw: Arc<str>,
    /// Never empty for a line handed to a section parser.
    pub words: Vec<Word>,
}

impl Line {
    pub fn location(&self) -> Location {
        Location { file: self.file.to_string(), line: self.number }
    }
}
