//! `bind` lines (configuration.txt section 5.1), and their options that `stats socket` shares.

use super::addresses::parse_bind;
use super::model::{RuntimeLevel, UserOrGroup};
use super::section_proxy::parse_file_mode;
use super::statement::{LineParser, OptionParser, Statement};
use super::values::{DefaultUnit, parse_time, parse_u32};
use super::worker_set::parse_worker_set;
use super::written::*;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[("bind", bind)];

pub const OPTIONS: &[(&str, OptionParser<BindSettings>)] = &[
    ("name", |s, b| text(s, &mut b.name, "a name")),
    ("id", id),
    ("maxconn", |s, b| count(s, &mut b.maxconn)),
    ("backlog", |s, b| count(s, &mut b.backlog)),
    ("interface", |s, b| text(s, &mut b.interface, "a network interface's name")),
    ("transparent", |_, b| flag(&mut b.transparent)),
    ("tfo", |_, b| flag(&mut b.tfo)),
    ("defer-accept", |_, b| flag(&mut b.defer_accept)),
    ("mss", mss),
    ("tcp-ut", tcp_user_timeout),
    ("process", process),
    ("thread", thread),
    ("mode", mode),
    ("user", user),
    ("group", group),
    ("uid", |s, b| number_of(s, &mut b.user)),
    ("gid", |s, b| number_of(s, &mut b.group)),
    ("v4v6", |_, b| flag(&mut b.v4v6)),
    ("v6only", |_, b| flag(&mut b.v6only)),
    ("level", level),
    ("accept-proxy", |_, b| flag(&mut b.accept_proxy)),
];

fn bind(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !proxy.kind.accepts_connections() {
        let kind = proxy.kind.name();
        return statement.error(0, format!("'bind' is not allowed in a '{kind}' section."));
    }
    proxy.own.bind = true;
    let Some(list) = statement.required(0, "{<path>|[<address>]:<port>[-<port>]}[,…] as arguments") else { return };
    let addresses = parse_bind(list, statement.names).map_err(|why| format!("'bind' : {why}"));
    let addresses = statement.accept(0, addresses);
    let label = format!("'bind {list}' in section '{}' : ", proxy.kind.name());
    let mut settings = BindSettings::default();
    super::options::parse_options(statement, 1, super::keywords::Section::Bind, OPTIONS, &label, &mut settings);
    let Some(addresses) = addresses else { return };
    if settings.id.is_some() && addresses.len() > 1 {
        return statement.error(0, format!("{label}'id' can only be used with a single socket"));
    }
    proxy.binds.push(WrittenBind { addresses, location: statement.location(), settings });
}

fn flag(field: &mut bool) -> usize {
    *field = true;
    0
}

fn text(statement: &mut Statement, field: &mut Option<String>, expected: &str) -> usize {
    if let Some(text) = statement.required(0, expected) {
        *field = Some(text.to_owned());
    }
    1
}

fn count(statement: &mut Statement, field: &mut Option<u32>) -> usize {
    if let Some(text) = statement.required(0, "a number") {
        let number = parse_u32(text, 0, i32::MAX as u32, statement.keyword);
        // 0 asks for the default, as leaving it out does.
        *field = statement.accept(0, number).filter(|number| *number > 0);
    }
    1
}

fn id(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    if let Some(text) = statement.required(0, "a number above 0") {
        let number = parse_u32(text, 1, i32::MAX as u32, "id");
        bind.id = statement.accept(0, number);
    }
    1
}

fn mss(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    if let Some(text) = statement.required(0, "a segment size in bytes") {
        // A negative value is HAProxy's "the default minus"; Linux has no such thing.
        let bytes = parse_u32(text, 1, 65_535, "mss");
        bind.mss = statement.accept(0, bytes).and_then(|bytes| u16::try_from(bytes).ok());
    }
    1
}

fn tcp_user_timeout(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    if let Some(text) = statement.required(0, "a time such as 30s") {
        let time = parse_time(text, DefaultUnit::Milliseconds, "tcp-ut");
        bind.tcp_user_timeout = statement.accept(0, time);
    }
    1
}

/// `process <process-set>[/<thread-set>]`
fn process(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    if let Some(text) = statement.required(0, "a process set") {
        let (processes, threads) = match text.split_once('/') {
            Some((processes, threads)) => (processes, Some(threads)),
            None => (text, None),
        };
        let set = parse_worker_set(processes);
        bind.processes.extend(statement.accept(0, set));
        if let Some(threads) = threads {
            let set = parse_worker_set(threads);
            bind.threads.extend(statement.accept(0, set));
        }
    }
    1
}

/// `thread [<group>/]<thread-set>[,<thread-set>]`: there is one thread group.
fn thread(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    if let Some(text) = statement.required(0, "a thread set") {
        let sets = match text.split_once('/') {
            Some(("1", sets)) => sets,
            Some((group, _)) => {
                statement.error(0, format!("there is one thread group, 1, and '{text}' names group '{group}'."));
                return 1;
            }
            None => text,
        };
        for set in sets.split(',') {
            let set = parse_worker_set(set);
            bind.threads.extend(statement.accept(0, set));
        }
    }
    1
}

fn mode(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    if let Some(text) = statement.required(0, "an octal file mode such as 660") {
        let mode = parse_file_mode(text);
        bind.mode = statement.accept(0, mode);
    }
    1
}

fn user(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    bind.user = super::accounts::user(statement);
    1
}

fn group(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    bind.group = super::accounts::group(statement);
    1
}

fn number_of(statement: &mut Statement, field: &mut Option<UserOrGroup>) -> usize {
    if let Some(text) = statement.required(0, "a number") {
        let id = super::accounts::parse_id(text, statement.keyword);
        *field = statement.accept(0, id);
    }
    1
}

fn level(statement: &mut Statement, bind: &mut BindSettings) -> usize {
    match statement.text(0) {
        "user" => bind.level = Some(RuntimeLevel::User),
        "operator" => bind.level = Some(RuntimeLevel::Operator),
        "admin" => bind.level = Some(RuntimeLevel::Admin),
        _ => statement.error(0, "'level' only supports 'user', 'operator' and 'admin'."),
    }
    1
}
