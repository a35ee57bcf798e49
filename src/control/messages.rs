//! What the process says on stderr, in HAProxy's form: `[LEVEL]   (pid) : text` (operations.md section 2).
//!
//! Everything in `control` may speak, from whichever thread: whether it is heard (`-q`, `quiet`, `-V`, a daemon that has
//! left its terminal) is decided here. Lines that belong into syslog too go there through the log sink of the thread.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// How bad it is. The padded words are what tools match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Diagnostic,
    Notice,
    Warning,
    Alert,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Diagnostic => "[DIAG]",
            Level::Notice => "[NOTICE]",
            Level::Warning => "[WARNING]",
            Level::Alert => "[ALERT]",
        }
    }

    /// The level of a syslog line's number (0 emerg – 7 debug), as HAProxy pairs them on stderr.
    pub fn of_syslog(level: u8) -> Level {
        match level {
            0..=1 => Level::Alert,
            2..=4 => Level::Warning,
            _ => Level::Notice,
        }
    }
}

/// `-q` and `quiet`; a daemon becomes quiet once it has left its terminal.
static QUIET: AtomicBool = AtomicBool::new(false);
/// The two lines that say who is speaking were printed.
static INTRODUCED: AtomicBool = AtomicBool::new(false);

/// Where the program's file is, found out once: after chroot there is no way to.
pub fn executable() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        std::env::current_exe().map_or_else(|_| "unknown".to_owned(), |path| path.display().to_string())
    })
}

/// Nothing more is printed (or, with `false`, everything is again).
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Says `text` (without a final newline; several lines are continued as HAProxy continues them).
pub fn say(level: Level, text: &str) {
    if is_quiet() {
        return;
    }
    let mut lines = String::new();
    // HAProxy introduces itself before the first warning or alert; a mere notice is no reason to.
    if level >= Level::Warning && !INTRODUCED.swap(true, Ordering::Relaxed) {
        let path = executable();
        append(&mut lines, Level::Notice, std::process::id(), &format!("path to executable is {path}"));
    }
    append(&mut lines, level, std::process::id(), text);
    // One write for one message: messages of several threads don't mix. A closed stderr is nobody's problem.
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// Prints `text` on stdout unless quiet, as HAProxy's verdict lines are.
pub fn tell(text: &str) {
    if !is_quiet() {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

pub fn alert(text: &str) {
    say(Level::Alert, text)
}

pub fn warning(text: &str) {
    say(Level::Warning, text)
}

pub fn notice(text: &str) {
    say(Level::Notice, text)
}

fn append(lines: &mut String, level: Level, pid: u32, text: &str) {
    let mut parts = text.trim_end_matches('\n').split('\n');
    let first = parts.next().unwrap_or_default();
    let _ = writeln!(lines, "{:<10} ({pid}) : {first}", level.word());
    for part in parts {
        // Text that was formatted for a terminal already (an excerpt with its caret) brings its own bar.
        if part.starts_with("   |") {
            let _ = writeln!(lines, "{part}");
        } else {
            let _ = writeln!(lines, "   | {part}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(level: Level, text: &str) -> String {
        let mut lines = String::new();
        append(&mut lines, level, 29657, text);
        lines
    }

    #[test]
    fn haproxys_form() {
        assert_eq!(formatted(Level::Notice, "a"), "[NOTICE]   (29657) : a\n");
        assert_eq!(formatted(Level::Alert, "a"), "[ALERT]    (29657) : a\n");
        assert_eq!(formatted(Level::Warning, "a"), "[WARNING]  (29657) : a\n");
    }

    #[test]
    fn continued_lines() {
        assert_eq!(formatted(Level::Warning, "a\nb\n   | c\n"), "[WARNING]  (29657) : a\n   | b\n   | c\n");
    }

    #[test]
    fn levels_of_syslog() {
        assert_eq!(Level::of_syslog(0), Level::Alert);
        assert_eq!(Level::of_syslog(4), Level::Warning);
        assert_eq!(Level::of_syslog(5), Level::Notice);
    }
}
