//! The table of commands, `help`, and what is said to an unknown one.

use super::patterns::{self, Kind};
use super::{Answer, INFO, RuntimeSession, SeverityOutput, caches, frontends, servers, show, tables};
use crate::config::model::RuntimeLevel::{self, Admin, Operator, User};
use crate::session::local_context::LocalContext;
use std::time::Duration;

type Run = fn(&mut RuntimeSession, &[&str], &mut LocalContext) -> Answer;

struct Command {
    /// What a command starts with.
    words: &'static [&'static str],
    usage: &'static str,
    summary: &'static str,
    /// Lowest level that may run it.
    level: RuntimeLevel,
    /// Gets the words behind those.
    run: Run,
}

macro_rules! commands {
    ($($level:ident $words:tt $usage:literal $summary:literal => $run:expr;)*) => {
        &[$(Command {
            words: &$words, usage: $usage, summary: $summary, level: $level, run: $run,
        }),*]
    };
}

#[rustfmt::skip]
mod table {
use super::*;
pub(super) static COMMANDS: &[Command] = commands! {
    Operator ["add", "acl"] "add acl [@<ver>] <acl> <pattern>" "add a pattern to an ACL" => |s, w, c| patterns::add(s, Kind::Acl, w, c);
    Operator ["add", "map"] "add map [@<ver>] <map> <key> <val>" "add a key (or a payload of keys) to a map" => |s, w, c| patterns::add(s, Kind::Map, w, c);
    Operator ["clear", "acl"] "clear acl [@<ver>] <acl>" "take all patterns out of an ACL" => |_, w, c| patterns::clear(Kind::Acl, w, c);
    Operator ["clear", "counters"] "clear counters [all]" "forget maxima, or all counters" => show::clear_counters;
    Operator ["clear", "map"] "clear map [@<ver>] <map>" "take all keys out of a map" => |_, w, c| patterns::clear(Kind::Map, w, c);
    Operator ["clear", "table"] "clear table <table> [<filter>]*" "take entries out of a stick table" => tables::clear;
    Operator ["commit", "acl"] "commit acl @<ver> <acl>" "put a prepared version in place" => |_, w, c| patterns::commit(Kind::Acl, w, c);
    Operator ["commit", "map"] "commit map @<ver> <map>" "put a prepared version in place" => |_, w, c| patterns::commit(Kind::Map, w, c);
    Operator ["del", "acl"] "del acl <acl> [<key>|#<ref>]" "take a pattern out of an ACL" => |_, w, c| patterns::delete(Kind::Acl, w, c);
    Operator ["del", "map"] "del map <map> [<key>|#<ref>]" "take a key out of a map" => |_, w, c| patterns::delete(Kind::Map, w, c);
    Admin ["disable", "frontend"] "disable frontend <frontend>" "stop accepting on a frontend" => frontends::disable;
    Admin ["disable", "health"] "disable health <bk>/<srv>" "stop health checks of a server" => servers::disable_health;
    Admin ["disable", "server"] "disable server <bk>/<srv>" "put a server in maintenance" => servers::disable;
    Admin ["enable", "frontend"] "enable frontend <frontend>" "accept again on a frontend" => frontends::enable;
    Admin ["enable", "health"] "enable health <bk>/<srv>" "resume health checks of a server" => servers::enable_health;
    Admin ["enable", "server"] "enable server <bk>/<srv>" "take a server out of maintenance" => servers::enable;
    User ["get", "acl"] "get acl <acl> <value>" "show what a value matches in an ACL" => |_, w, c| patterns::get(Kind::Acl, w, c);
    User ["get", "map"] "get map <map> <value>" "show what a value finds in a map" => |_, w, c| patterns::get(Kind::Map, w, c);
    User ["get", "weight"] "get weight <bk>/<srv>" "show a server's weight" => servers::get_weight;
    Operator ["operator"] "operator" "lower this session's level to operator" => to_operator;
    Operator ["prepare", "acl"] "prepare acl <acl>" "begin a new version of an ACL" => |_, w, c| patterns::prepare(Kind::Acl, w, c);
    Operator ["prepare", "map"] "prepare map <map>" "begin a new version of a map" => |_, w, c| patterns::prepare(Kind::Map, w, c);
    Operator ["set", "map"] "set map <map> [<key>|#<ref>] <value>" "change a key's value" => |_, w, c| patterns::set(w, c);
    Admin ["set", "maxconn", "frontend"] "set maxconn frontend <frontend> <n>" "change a frontend's maxconn" => frontends::set_maxconn;
    Admin ["set", "maxconn", "global"] "set maxconn global <n>" "change the process's maxconn" => frontends::set_global_maxconn;
    Admin ["set", "maxconn", "server"] "set maxconn server <bk>/<srv> <n>" "change a server's maxconn" => servers::set_maxconn;
    Admin ["set", "server"] "set server <bk>/<srv> [opts]" "change a server's state, health or weight" => servers::set;
    User ["set", "severity-output"] "set severity-output [none|number|string]" "mark messages with their severity" => set_severity_output;
    Operator ["set", "table"] "set table <table> key <k> [data.* <v>]*" "add or change an entry of a stick table" => tables::set;
    User ["set", "timeout"] "set timeout cli <delay>" "change this session's time-out, seconds" => set_timeout;
    Admin ["set", "weight"] "set weight <bk>/<srv> <n>[%]" "change a server's weight" => servers::set_weight;
    User ["show", "acl"] "show acl [[@<ver>] <acl>]" "list ACLs or the patterns of one" => |_, w, c| patterns::show(Kind::Acl, w, c);
    User ["show", "backend"] "show backend" "list backends" => show::backends;
    Admin ["show", "cache"] "show cache" "list caches and what is stored in them" => caches::show;
    User ["show", "cli", "level"] "show cli level" "show this session's level" => show::level;
    User ["show", "cli", "sockets"] "show cli sockets" "list runtime sockets" => show::sockets;
    Operator ["show", "env"] "show env [var]" "list environment variables" => show::environment;
    User ["show", "info"] "show info [desc|json|typed]*" "figures of the process" => show::info;
    User ["show", "map"] "show map [[@<ver>] <map>]" "list maps or the keys of one" => |_, w, c| patterns::show(Kind::Map, w, c);
    User ["show", "schema", "json"] "show schema json" "schema of the JSON output" => show::schema;
    User ["show", "servers", "conn"] "show servers conn [<backend>]" "connections of servers" => show::server_connections;
    User ["show", "servers", "state"] "show servers state [<backend>]" "states of servers, to be kept over a restart" => show::server_states;
    User ["show", "stat"] "show stat [desc|json|no-maint|typed|up]*" "figures of proxies and servers" => show::stat;
    User ["show", "table"] "show table <table> [<filter>]*" "list stick tables or the entries of one" => |s, w, c| tables::show(s, w, c);
    User ["show", "version"] "show version" "version of this process" => show::version;
    Admin ["shutdown", "frontend"] "shutdown frontend <frontend>" "stop a frontend for good" => frontends::shutdown;
    Admin ["shutdown", "sessions", "server"] "shutdown sessions server <bk>/<srv>" "kill the sessions of a server" => servers::shutdown_sessions;
    User ["user"] "user" "lower this session's level to user" => to_user;
    User ["help"] "help [<command>]" "list matching or all commands" => help;
    User ["prompt"] "prompt" "toggle interactive mode" => prompt;
    User ["quit"] "quit" "disconnect" => quit;
};
}
use table::COMMANDS;

/// Commands of HAProxy that belong to features still to come, by how they start. They are named so that nobody takes
/// the answer for a spelling mistake.
const TO_COME: &[&str] = &[
    "abort ssl",
    "add server",
    "add ssl",
    "commit ssl",
    "debug dev",
    "del server",
    "del ssl",
    "disable agent",
    "disable dynamic-cookie",
    "dump stats-file",
    "enable agent",
    "enable dynamic-cookie",
    "experimental-mode",
    "expert-mode",
    "get var",
    "httpclient",
    "new ssl",
    "set dynamic-cookie-key",
    "set profiling",
    "set rate-limit",
    "set ssl",
    "set var",
    "show activity",
    "show errors",
    "show events",
    "show fd",
    "show libs",
    "show peers",
    "show pools",
    "show profiling",
    "show resolvers",
    "show sess",
    "show ssl",
    "show startup-logs",
    "show tasks",
    "show threads",
    "show tls-keys",
    "show trace",
    "shutdown session",
    "trace",
    "wait",
];

/// Runs one command.
pub fn run(session: &mut RuntimeSession, words: &[String], context: &mut LocalContext) -> Answer {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.is_empty() {
        let text =
            format!("Unknown command. Please enter one of the following commands only:\n{}", usage_of(all(session)));
        return Answer::Message(INFO, text);
    }
    match COMMANDS.iter().find(|command| words.starts_with(command.words)) {
        Some(command) if session.level < command.level => Answer::error("Permission denied"),
        Some(command) => (command.run)(session, words.get(command.words.len()..).unwrap_or_default(), context),
        None => unknown(session, &words),
    }
}

fn unknown(session: &RuntimeSession, words: &[&str]) -> Answer {
    let given = words.join(" ");
    let known_elsewhere = TO_COME
        .iter()
        .find(|command| given.strip_prefix(**command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
    if let Some(command) = known_elsewhere {
        return Answer::error(format!("Unknown command: '{command}' is not supported by this version."));
    }
    let text = format!(
        "Unknown command, but maybe one of the following ones is a better match:\n{}",
        usage_of(matching(session, words))
    );
    Answer::Message(INFO, text)
}

fn all(session: &RuntimeSession) -> Vec<&'static Command> {
    COMMANDS.iter().filter(|command| session.level >= command.level).collect()
}

/// Always offered, last.
fn is_general(command: &Command) -> bool {
    matches!(command.words, ["help"] | ["prompt"] | ["quit"])
}

/// Commands that start with most of the same words, or, failing any, those spelt most alike.
fn matching(session: &RuntimeSession, words: &[&str]) -> Vec<&'static Command> {
    let common = |command: &Command| command.words.iter().zip(words).take_while(|(one, other)| one == other).count();
    let available = all(session);
    let best = available.iter().map(|command| common(command)).max().unwrap_or(0);
    let mut chosen: Vec<&Command> = if best > 0 {
        available.iter().copied().filter(|command| common(command) == best && !is_general(command)).collect()
    } else {
        let given = words.iter().take(3).copied().collect::<Vec<_>>().join(" ");
        let mut by_distance: Vec<_> = available
            .iter()
            .copied()
            .filter(|command| !is_general(command))
            .map(|command| (strsim::damerau_levenshtein(&command.words.join(" "), &given), command))
            .collect();
        by_distance.sort_by_key(|(distance, _)| *distance);
        by_distance.into_iter().take(5).map(|(_, command)| command).collect()
    };
    chosen.extend(available.into_iter().filter(|command| is_general(command)));
    chosen
}

fn usage_of(commands: Vec<&Command>) -> String {
    commands.iter().map(|command| format!("  {:<40}: {}\n", command.usage, command.summary)).collect()
}

fn help(session: &mut RuntimeSession, words: &[&str], _: &mut LocalContext) -> Answer {
    let commands = if words.is_empty() { all(session) } else { matching(session, words) };
    Answer::Message(INFO, format!("The following commands are valid at this level:\n{}", usage_of(commands)))
}

fn prompt(session: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    session.interactive = !session.interactive;
    Answer::Nothing
}

fn quit(_: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    Answer::Quit
}

fn to_operator(session: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    session.level = session.level.min(Operator);
    Answer::Nothing
}

fn to_user(session: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    session.level = User;
    Answer::Nothing
}

fn set_severity_output(session: &mut RuntimeSession, words: &[&str], _: &mut LocalContext) -> Answer {
    session.severity_output = match words {
        ["none", ..] => SeverityOutput::None,
        ["number", ..] => SeverityOutput::Number,
        ["string", ..] => SeverityOutput::String,
        _ => return Answer::error("one of 'none', 'number', 'string' is a required argument"),
    };
    Answer::Nothing
}

fn set_timeout(session: &mut RuntimeSession, words: &[&str], _: &mut LocalContext) -> Answer {
    match words {
        ["cli"] => Answer::error("Expects an integer value."),
        ["cli", delay, ..] => match seconds(delay) {
            Some(delay) => {
                session.timeout = Some(delay);
                Answer::Nothing
            }
            None => Answer::error("Invalid timeout value."),
        },
        _ => Answer::error("'set timeout' only supports 'cli'."),
    }
}

/// A number of seconds, or with one of HAProxy's units; not 0.
fn seconds(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = number.checked_mul(match unit {
        "" | "s" => 1000,
        "ms" => 1,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })?;
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}
