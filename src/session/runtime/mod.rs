//! The stats socket's command language (management.txt section 9.3). One machine per connection.
//!
//! A line holds commands separated by `;`. Each is answered with its text and an empty line; outside of interactive
//! mode (`prompt`) the connection closes after the last one. [`line`] splits, [`commands`] is the table of commands.

mod caches;
mod commands;
mod frontends;
pub mod line;
mod names;
mod patterns;
mod servers;
mod show;
mod tables;
#[cfg(test)]
mod tests;

use super::local_context::{LocalContext, Verdict};
use crate::config::model::RuntimeLevel;
use std::time::Duration;

/// A line longer than this is not a command; HAProxy's bound is its buffer.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// What a command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Figures: never marked with a severity.
    Dump(String),
    /// A message with its syslog level.
    Message(u8, String),
    /// Success without words.
    Nothing,
    /// Close at once.
    Quit,
}

/// Syslog levels of messages.
pub const ERROR: u8 = 3;
pub const WARNING: u8 = 4;
pub const INFO: u8 = 6;

impl Answer {
    pub fn error(text: impl Into<String>) -> Answer {
        Answer::Message(ERROR, text.into())
    }
}

/// `set severity-output`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SeverityOutput {
    None,
    Number,
    String,
}

/// One connection to a `stats socket`.
pub struct RuntimeSession {
    level: RuntimeLevel,
    timeout: Option<Duration>,
    severity_output: SeverityOutput,
    interactive: bool,
    /// Received, up to the end of a line.
    input: Vec<u8>,
    /// A line that ended with `<<`: the lines that follow, to an empty one, belong to it.
    awaiting_payload: Option<String>,
    /// Those lines, each with its end; for the command once they are all there.
    payload_lines: String,
    payload: Option<String>,
    closed: bool,
}

impl RuntimeSession {
    /// `timeout` is `stats timeout`; `set timeout cli` changes this connection's.
    pub fn new(level: RuntimeLevel, timeout: Option<Duration>) -> RuntimeSession {
        RuntimeSession {
            level,
            timeout,
            severity_output: SeverityOutput::None,
            interactive: false,
            input: Vec::new(),
            awaiting_payload: None,
            payload_lines: String::new(),
            payload: None,
            closed: false,
        }
    }

    /// Takes bytes in any pieces. `end_of_input`: the client has shut down its side; everything received so far is
    /// answered all the same, a last line without an end of line included.
    pub fn receive(
        &mut self,
        input: &[u8],
        end_of_input: bool,
        context: &mut LocalContext,
        output: &mut Vec<u8>,
    ) -> Verdict {
        if self.closed {
            return Verdict::CloseAfterOutput;
        }
        self.input.extend_from_slice(input);
        if end_of_input && !self.input.is_empty() && !self.input.ends_with(b"\n") {
            self.input.push(b'\n');
        }
        let received = std::mem::take(&mut self.input);
        let mut rest = received.as_slice();
        let mut answered = false;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            answered |= self.take_line(line, context, output);
            if self.closed {
                return Verdict::CloseAfterOutput;
            }
        }
        if end_of_input && let Some(line) = self.awaiting_payload.take() {
            self.run_with_payload(&line, context, output);
            answered = true;
        }
        let too_long = rest.len() > LINE_BYTES_MAX;
        if too_long {
            output.extend_from_slice(b"Command line too long.\n\n");
        }
        if too_long || end_of_input || (answered && rest.is_empty() && !self.interactive && self.is_between_lines()) {
            self.closed = true;
            return Verdict::CloseAfterOutput;
        }
        self.input = rest.to_vec();
        Verdict::Continue
    }

    /// How long the connection may stay silent now.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn is_between_lines(&self) -> bool {
        self.awaiting_payload.is_none()
    }

    /// Returns whether commands were run.
    fn take_line(&mut self, line: String, context: &mut LocalContext, output: &mut Vec<u8>) -> bool {
        if let Some(command) = self.awaiting_payload.take() {
            if line.is_empty() {
                self.run_with_payload(&command, context, output);
                return true;
            }
            if self.payload_lines.len().saturating_add(line.len()) > LINE_BYTES_MAX {
                self.respond(Answer::error("The payload is too long."), output);
                self.closed = true;
                return true;
            }
            self.payload_lines.push_str(&line);
            self.payload_lines.push('\n');
            self.prompt_for_payload(output);
            self.awaiting_payload = Some(command);
            return false;
        }
        if let Some(command) = line.trim_end().strip_suffix("<<") {
            self.payload_lines.clear();
            self.awaiting_payload = Some(command.to_string());
            self.prompt_for_payload(output);
            return false;
        }
        self.run_line(&line, context, output);
        true
    }

    fn prompt_for_payload(&self, output: &mut Vec<u8>) {
        if self.interactive {
            output.extend_from_slice(b"+ ");
        }
    }

    fn run_with_payload(&mut self, line: &str, context: &mut LocalContext, output: &mut Vec<u8>) {
        self.payload = Some(std::mem::take(&mut self.payload_lines));
        self.run_line(line, context, output);
        self.payload = None;
    }

    fn run_line(&mut self, line: &str, context: &mut LocalContext, output: &mut Vec<u8>) {
        if self.interactive && line.trim().is_empty() {
            output.extend_from_slice(b"\n> ");
            return;
        }
        for words in line::split(line) {
            let answer = commands::run(self, &words, context);
            self.respond(answer, output);
            if self.closed {
                return;
            }
        }
    }

    /// The text, an empty line, and the prompt in interactive mode.
    fn respond(&mut self, answer: Answer, output: &mut Vec<u8>) {
        let text = match answer {
            Answer::Quit => {
                self.closed = true;
                return;
            }
            Answer::Nothing => String::new(),
            Answer::Dump(text) => text,
            Answer::Message(level, text) => match self.severity_output {
                SeverityOutput::None => text,
                SeverityOutput::Number => format!("[{level}]: {text}"),
                SeverityOutput::String => format!("[{}]: {text}", severity_name(level)),
            },
        };
        output.extend_from_slice(text.as_bytes());
        if !text.is_empty() && !text.ends_with('\n') {
            output.push(b'\n');
        }
        output.push(b'\n');
        if self.interactive {
            output.extend_from_slice(b"> ");
        }
    }
}

fn severity_name(level: u8) -> &'static str {
    match level {
        0 => "emerg",
        1 => "alert",
        2 => "crit",
        3 => "err",
        4 => "warning",
        5 => "notice",
        6 => "info",
        _ => "debug",
    }
}
