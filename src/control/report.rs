//! Prints what is wrong with a configuration, and the verdicts of `-c`, as HAProxy words them.

use super::messages::{self, Level};
use crate::config::diagnostics::{Diagnostics, Message, Severity};
use crate::config::model::Config;

/// Prints the messages of a load in their order; those of `-dD` only where that was given.
pub fn print(diagnostics: &Diagnostics, show_suspicions: bool) {
    for message in &diagnostics.messages {
        let level = match message.severity {
            Severity::Diagnostic if !show_suspicions => continue,
            Severity::Diagnostic => Level::Diagnostic,
            Severity::Notice => Level::Notice,
            Severity::Warning => Level::Warning,
            Severity::Alert => Level::Alert,
        };
        messages::say(level, &text_of(message));
    }
}

/// `config : parsing [file:line] : text`, then the line with a caret under the word.
fn text_of(message: &Message) -> String {
    let mut text = match (&message.location, &message.excerpt) {
        (Some(location), Some(_)) => format!("config : parsing [{location}] : {}", message.text),
        (Some(location), None) => format!("config : [{location}] : {}", message.text),
        (None, _) => format!("config : {}", message.text),
    };
    if let Some((line, column)) = &message.excerpt {
        let before = line.chars().take((*column as usize).saturating_sub(1));
        // Tabs stay tabs, and what a terminal draws two cells wide takes two blanks: the caret stands under its word.
        let blanks: String = before.map(|letter| if letter == '\t' { "\t" } else { blanks_under(letter) }).collect();
        let line: String =
            line.chars().map(|letter| if letter.is_control() && letter != '\t' { ' ' } else { letter }).collect();
        text.push_str(&format!("\n   | {}\n   | {blanks}^", line.trim_end()));
    }
    text
}

/// As many blanks as a terminal gives `letter` cells: two for East Asian wide and full-width ones (UAX #11, by range).
fn blanks_under(letter: char) -> &'static str {
    match letter as u32 {
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => "  ",
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => "  ",
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => "",
        _ => " ",
    }
}

/// Whether anything would be bound.
pub fn has_listener(config: &Config) -> bool {
    config.listeners.iter().any(|listener| !config.proxy(listener.frontend).disabled)
}

/// The verdict of `-c` on a configuration without errors, said on stdout; the exit code.
pub fn verdict(config: &Config, warned: bool) -> i32 {
    if warned {
        messages::tell("Warnings were found.");
    }
    if has_listener(config) {
        messages::tell("Configuration file is valid");
        0
    } else {
        messages::tell("Configuration file has no error but will not start (no listener) => exit(2).");
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Location;

    fn message(excerpt: Option<(&str, u32)>) -> Message {
        Message {
            severity: Severity::Alert,
            text: "no".to_owned(),
            location: Some(Location { file: "a.cfg".to_owned(), line: 7 }),
            excerpt: excerpt.map(|(line, column)| (line.to_owned(), column)),
        }
    }

    #[test]
    fn the_caret_stands_under_the_word() {
        assert_eq!(
            text_of(&message(Some(("  bind  *:80x", 9)))),
            "config : parsing [a.cfg:7] : no\n   |   bind  *:80x\n   |         ^"
        );
        assert_eq!(
            text_of(&message(Some(("\tmode，tcp x", 11)))).lines().last(),
            // A tab, four letters, a wide comma, three letters, a blank.
            Some("   | \t          ^")
        );
        assert_eq!(text_of(&message(None)), "config : [a.cfg:7] : no");
    }

    #[test]
    fn columns_beyond_the_line_do_not_panic() {
        assert!(text_of(&message(Some(("x", u32::MAX)))).ends_with("|  ^"));
        assert!(text_of(&message(Some(("", 0)))).ends_with("| ^"));
    }
}
