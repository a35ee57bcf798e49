//! The keywords of `defaults`, `listen`, `frontend` and `backend` that are about the proxy itself (configuration.txt
//! section 4.2). Groups of keywords with a file of their own: options, timeouts, balance, logs, stats, checks, bind,
//! server.

use super::addresses::{parse_ip, parse_source};
use super::keywords::Modifier;
use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_time, parse_u32};
use super::worker_set::parse_worker_set;
use super::written::*;
use std::net::SocketAddr;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("mode", mode),
    ("id", id),
    ("description", description),
    ("disabled", disabled),
    ("enabled", enabled),
    ("maxconn", maxconn),
    ("fullconn", fullconn),
    ("backlog", backlog),
    ("retries", retries),
    ("redispatch", redispatch),
    ("redisp", redispatch),
    ("rate-limit sessions", rate_limit_sessions),
    ("bind-process", bind_process),
    ("grace", grace),
    ("default_backend", default_backend),
    ("source", source),
];

fn mode(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(mode) = statement.required(0, "'tcp', 'http' or 'health'") else { return };
    proxy.settings.mode = match mode {
        "tcp" => ProxyMode::Tcp,
        "http" => ProxyMode::Http,
        "health" => ProxyMode::Health,
        _ => return statement.error(0, format!("unknown proxy mode '{mode}'; expected 'tcp', 'http' or 'health'.")),
    };
    statement.at_most(1);
}

fn id(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if proxy.kind == SectionKind::Defaults {
        return statement.error(0, "'id' is not allowed in a 'defaults' section.");
    }
    let Some(text) = statement.required(0, "a number above 0") else { return };
    let number = parse_u32(text, 1, i32::MAX as u32, "id");
    if let Some(number) = statement.accept(0, number) {
        proxy.id = Some(number);
        statement.at_most(1);
    }
}

fn description(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if proxy.kind == SectionKind::Defaults {
        return statement.error(usize::MAX, "'description' is not allowed in a 'defaults' section.");
    }
    if statement.required(0, "a text").is_some() {
        proxy.description = Some(statement.joined(0));
    }
}

fn disabled(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.at_most(0) {
        proxy.settings.disabled = true;
    }
}

fn enabled(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.at_most(0) {
        proxy.settings.disabled = false;
    }
}

/// Reads the only argument as a number from `minimum`.
fn number(statement: &mut Statement, minimum: u32) -> Option<u32> {
    let text = statement.required(0, "an integer argument")?;
    let number = parse_u32(text, minimum, i32::MAX as u32, statement.keyword);
    let number = statement.accept(0, number)?;
    statement.at_most(1).then_some(number)
}

fn maxconn(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(number) = number(statement, 0) {
        // 0 is the manual's way to ask for the default, the global maxconn.
        proxy.settings.maxconn = (number > 0).then_some(number);
    }
}

fn fullconn(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(number) = number(statement, 0) {
        proxy.settings.fullconn = (number > 0).then_some(number);
    }
}

fn backlog(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(number) = number(statement, 0) {
        proxy.settings.backlog = (number > 0).then_some(number);
    }
}

fn retries(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(number) = number(statement, 0) {
        proxy.settings.retries = Some(number);
    }
}

/// `redispatch` or `redisp` alone: the spellings of `option redispatch` before HAProxy 1.3.
fn redispatch(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.at_most(0) {
        proxy.settings.options.insert("redispatch", true);
        proxy.settings.redispatch_interval = -1;
    }
}

fn rate_limit_sessions(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(number) = number(statement, 0) {
        proxy.settings.session_rate_limit = number;
    }
}

fn bind_process(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.required(0, "'all', 'odd', 'even', a number or a range").is_none() {
        return;
    }
    let mut sets = Vec::new();
    for index in 0..statement.arguments.len() {
        let set = parse_worker_set(statement.text(index));
        let Some(set) = statement.accept(index, set) else { return };
        sets.push(set);
    }
    proxy.settings.workers = Some(sets);
}

/// HAProxy 1.8's delay between SIGUSR1 and the end of listening; one value for all: the longest.
fn grace(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a time in milliseconds") else { return };
    let time = parse_time(text, DefaultUnit::Milliseconds, "grace");
    if let Some(time) = statement.accept(0, time) {
        proxy.settings.grace = Some(time);
        statement.at_most(1);
    }
}

fn default_backend(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(name) = statement.required(0, "a backend name") else { return };
    proxy.settings.default_backend = Some((name.to_owned(), statement.location()));
    statement.at_most(1);
}

fn source(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.modifier == Modifier::No {
        proxy.settings.source = None;
        return;
    }
    let (source, taken) = parse_source_options(statement, false);
    if source.is_some() {
        proxy.settings.source = source;
        statement.at_most(taken);
    }
}

/// Reads `<addr>[:<port>[-<port>]] [usesrc …] [interface <name>]`; gives the number of arguments it took. `None` if
/// an error was reported.
pub fn parse_source_options(statement: &mut Statement, ranges: bool) -> (Option<SourceAddress>, usize) {
    let Some(text) = statement.required(0, "<addr>[:<port>]") else { return (None, 0) };
    let address = parse_source(text, ranges, statement.names);
    let Some(mut source) = statement.accept(0, address) else { return (None, 1) };
    let mut index = 1;
    loop {
        match statement.text(index) {
            "interface" => match statement.text(index + 1) {
                "" => {
                    statement.error(index, "'interface' expects a network interface's name.");
                    return (None, index + 1);
                }
                name => source.interface = Some(name.to_owned()),
            },
            "usesrc" => {
                source.use_client = match statement.text(index + 1) {
                    "client" => UseSource::Client,
                    "clientip" => UseSource::ClientIp,
                    "" => {
                        statement.error(index, "'usesrc' expects <addr>[:<port>], 'client' or 'clientip'.");
                        return (None, index + 1);
                    }
                    text if text.starts_with("hdr_ip(") => {
                        statement.error(
                            index + 1,
                            "'usesrc hdr_ip()' comes with HTTP mode; use 'client' or 'clientip' meanwhile.",
                        );
                        return (None, index + 2);
                    }
                    text => {
                        let address = parse_ip(text, statement.names);
                        let Some((ip, port)) = statement.accept(index + 1, address) else { return (None, index + 2) };
                        UseSource::Address(SocketAddr::new(ip, port.unwrap_or(0)))
                    }
                };
            }
            _ => return (Some(source), index),
        }
        index += 2;
    }
}

/// Reads an octal file mode such as `660`.
pub fn parse_file_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err(format!("'mode' expects an octal file mode such as 660, not '{text}'")),
    }
}
