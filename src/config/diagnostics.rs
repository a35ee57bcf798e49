//! What is wrong with a configuration, collected so that one run names everything.

use super::excerpt;
use super::lex::{Line, Word};
use super::model::Location;
use std::collections::HashMap;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A message ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    pub severity: Severity,
    /// What follows `[LEVEL] (pid) : `. Further lines of the text are bare; the source line and its caret carry
    /// HAProxy's bar (`   | `) already. No line feed at the end.
    pub text: String,
}

/// How many messages of the same words are shown with their lines; the others are summed up.
const REPEATS_SHOWN: usize = 3;
/// How many further places a summary names.
const PLACES_NAMED: usize = 10;
/// How many messages with a place are shown in all.
const SHOWN_MAX: usize = 200;

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

    /// Ends a load: after errors, HAProxy's two closing lines, which name every file that has one.
    pub fn conclude(&mut self) {
        if !self.has_errors() {
            return;
        }
        let errors = self.messages.iter().filter(|message| message.severity == Severity::Alert);
        let mut files: Vec<String> = Vec::new();
        for location in errors.filter_map(|message| message.location.as_ref()) {
            if !files.contains(&location.file) {
                files.push(location.file.clone());
            }
        }
        for file in files {
            self.general(Severity::Alert, format!("Error(s) found in configuration file : {file}"));
        }
        self.general(Severity::Alert, "Fatal errors found in configuration.");
    }

    /// The messages as they are printed, in order: `config : parsing [file:line] : text`, then the source line with a
    /// caret under the word. `.diag` and other [`Severity::Diagnostic`] ones only in `diagnostic_mode` (`-dD`).
    ///
    /// A message that comes back with the same words is shown three times and then summed up in one line; control
    /// bytes are escaped and passwords left out.
    pub fn spoken(&self, diagnostic_mode: bool) -> Vec<Spoken> {
        let heard = |message: &&Message| diagnostic_mode || message.severity > Severity::Diagnostic;
        let mut repeats = self.repeats();
        let (mut spoken, mut shown, mut left_out) = (Vec::new(), 0, 0);
        for message in self.messages.iter().filter(heard) {
            let repeat = repeats.get_mut(&(message.severity, message.text.as_str()));
            let mut summary = String::new();
            if let (Some(repeat), Some(_)) = (repeat, &message.location) {
                repeat.shown += 1;
                if repeat.shown > REPEATS_SHOWN {
                    continue;
                }
                if repeat.shown == REPEATS_SHOWN {
                    summary = repeat.summary();
                }
            }
            if message.location.is_some() {
                if shown == SHOWN_MAX {
                    left_out += 1;
                    continue;
                }
                shown += 1;
            } else if left_out > 0 {
                spoken.push(not_shown(std::mem::take(&mut left_out)));
            }
            spoken.push(Spoken { severity: message.severity, text: message.printed() + &summary });
        }
        if left_out > 0 {
            spoken.push(not_shown(left_out));
        }
        spoken
    }

    /// Where each text stands, by severity and text.
    fn repeats(&self) -> HashMap<(Severity, &str), Repeat<'_>> {
        let mut repeats: HashMap<_, Repeat<'_>> = HashMap::new();
        for message in &self.messages {
            if let Some(location) = &message.location {
                let repeat = repeats.entry((message.severity, message.text.as_str())).or_default();
                repeat.locations.push(location);
            }
        }
        repeats
    }
}

#[derive(Default)]
struct Repeat<'a> {
    locations: Vec<&'a Location>,
    shown: usize,
}

impl Repeat<'_> {
    /// A further line that names the places which are not shown, or nothing.
    fn summary(&self) -> String {
        let others = self.locations.get(REPEATS_SHOWN..).unwrap_or(&[]);
        let Some(first) = others.first() else { return String::new() };
        let named = |location: &&&Location| match location.file == first.file {
            true => location.line.to_string(),
            false => excerpt::escaped(&location.to_string()),
        };
        let places: Vec<String> = others.iter().take(PLACES_NAMED).map(|place| named(&place)).collect();
        let more = if others.len() > PLACES_NAMED { ", ..." } else { "" };
        format!("\nthe same on {} more line(s): {}{more}", others.len(), places.join(", "))
    }
}

fn not_shown(count: usize) -> Spoken {
    Spoken { severity: Severity::Warning, text: format!("config : {count} more message(s) are not shown") }
}

impl Message {
    /// The whole message but for `[LEVEL] (pid) : `.
    fn printed(&self) -> String {
        let secrets = self.excerpt.as_ref().map(|(raw, _)| excerpt::secrets_of(raw)).unwrap_or_default();
        let text = excerpt::shortened(excerpt::escaped(&excerpt::without(&self.text, &secrets)));
        let place = match (&self.location, &self.excerpt) {
            (Some(location), Some(_)) => format!("parsing [{}] : ", excerpt::escaped(&location.to_string())),
            (Some(location), None) if location.line > 0 => {
                format!("[{}] : ", excerpt::escaped(&location.to_string()))
            }
            _ => String::new(),
        };
        let source = match &self.excerpt {
            Some((raw, column)) if !raw.trim().is_empty() => excerpt::with_caret(raw, *column),
            _ => String::new(),
        };
        format!("config : {place}{text}{source}")
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Diagnostic => "[DIAG]",
            Severity::Notice => "[NOTICE]",
            Severity::Warning => "[WARNING]",
            Severity::Alert => "[ALERT]",
        })
    }
}

impl fmt::Display for Diagnostics {
    /// One message a line, as printed but for the process number: for tests and logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for spoken in self.spoken(true) {
            writeln!(f, "{:<10} {}", spoken.severity.to_string(), spoken.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "diagnostics_tests.rs"]
mod tests;
