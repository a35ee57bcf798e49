//! Prints what is wrong with a configuration, and the verdicts of `-c`, as HAProxy words them.

use super::messages::{self, Level};
use crate::config::diagnostics::{Diagnostics, Severity};
use crate::config::model::{Config, Listener};

/// Prints the messages of a load in their order; those of `-dD` only where that was given.
pub fn print(diagnostics: &Diagnostics, diagnostic_mode: bool) {
    for spoken in diagnostics.spoken(diagnostic_mode) {
        let level = match spoken.severity {
            Severity::Diagnostic => Level::Diagnostic,
            Severity::Notice => Level::Notice,
            Severity::Warning => Level::Warning,
            Severity::Alert => Level::Alert,
        };
        messages::say(level, &spoken.text);
    }
}

/// Whether anything would be bound. As with HAProxy a `stats socket` is enough, which is all that Debian's stock file has.
pub fn has_listener(config: &Config) -> bool {
    let serves = |listener: &Listener| !config.proxy(listener.frontend).disabled;
    !config.global.runtime_sockets.is_empty() || config.listeners.iter().any(serves)
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
