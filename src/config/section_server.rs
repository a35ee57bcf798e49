//! `server`, `default-server` and `server-template` lines (configuration.txt section 5.2).

use super::addresses::{parse_ip, parse_server};
use super::keywords::Section;
use super::model::*;
use super::options::parse_options;
use super::section_proxy::parse_source_options;
use super::statement::{LineParser, OptionParser, Statement};
use super::values::{DefaultUnit, parse_integer, parse_port, parse_time, parse_u32};
use super::written::*;
use super::written_server::*;
use std::time::Duration;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] =
    &[("server", server), ("default-server", default_server), ("server-template", server_template)];

pub const OPTIONS: &[(&str, OptionParser<ServerSettings>)] = &[
    ("id", |s, o| optional_count(s, &mut o.id, 1)),
    ("weight", weight),
    ("backup", |_, o| set(&mut o.backup, true)),
    ("no-backup", |_, o| set(&mut o.backup, false)),
    ("disabled", |_, o| set(&mut o.disabled, true)),
    ("enabled", |_, o| set(&mut o.disabled, false)),
    ("maxconn", |s, o| count(s, &mut o.maxconn, 0)),
    ("minconn", |s, o| count(s, &mut o.minconn, 0)),
    ("maxqueue", |s, o| count(s, &mut o.maxqueue, 0)),
    ("slowstart", slowstart),
    ("check", |_, o| set(&mut o.check, true)),
    ("no-check", |_, o| set(&mut o.check, false)),
    ("inter", |s, o| check_time(s, &mut o.inter)),
    ("fastinter", |s, o| check_time(s, &mut o.fastinter)),
    ("downinter", |s, o| check_time(s, &mut o.downinter)),
    ("rise", |s, o| count(s, &mut o.rise, 1)),
    ("fall", |s, o| count(s, &mut o.fall, 1)),
    ("port", port),
    ("addr", addr),
    ("track", track),
    ("on-marked-down", on_marked_down),
    ("on-marked-up", on_marked_up),
    ("observe", observe),
    ("error-limit", |s, o| count(s, &mut o.error_limit, 1)),
    ("on-error", on_error),
    ("source", source),
    ("tcp-ut", tcp_user_timeout),
    ("tfo", |_, o| set(&mut o.tfo, true)),
    ("no-tfo", |_, o| set(&mut o.tfo, false)),
    ("send-proxy", |_, o| set(&mut o.send_proxy, true)),
    ("no-send-proxy", |_, o| set(&mut o.send_proxy, false)),
    ("send-proxy-v2", |_, o| set(&mut o.send_proxy_v2, true)),
    ("no-send-proxy-v2", |_, o| set(&mut o.send_proxy_v2, false)),
    ("check-send-proxy", |_, o| set(&mut o.check_send_proxy, true)),
    ("no-check-send-proxy", |_, o| set(&mut o.check_send_proxy, false)),
    ("cookie", cookie),
    ("init-addr", init_addr),
    ("max-reuse", |s, o| limit(s, &mut o.pool.max_reuse)),
    ("pool-max-conn", |s, o| limit(s, &mut o.pool.max_connections)),
    ("pool-low-conn", |s, o| count(s, &mut o.pool.low_connections, 0)),
    ("pool-purge-delay", pool_purge_delay),
];

/// More servers than this in one template are a typing error: each costs memory, checks and a statistics line.
const TEMPLATE_SERVERS_MAX: u32 = 65_535;

fn allowed(statement: &mut Statement, proxy: &WrittenProxy) -> bool {
    if proxy.kind.has_servers() {
        return true;
    }
    let (keyword, title) = (statement.keyword, proxy.title());
    let why = match proxy.kind {
        SectionKind::Defaults => "a 'defaults' section has none; did you mean 'default-server'?".to_owned(),
        _ => format!("{title} has no backend capability; move it to a 'backend', or make this a 'listen'."),
    };
    statement.error(usize::MAX, format!("'{keyword}' not allowed here: {why}"));
    false
}

fn server(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !allowed(statement, proxy) {
        return;
    }
    let expected = "<name> and <addr>[:<port>] as arguments";
    let Some(name) = statement.required(0, expected) else { return };
    if !check_name(statement, 0, name) {
        return;
    }
    let label = format!("'server {}/{name}' : ", proxy.name);
    let Some(address) = statement.required(1, expected) else { return };
    let address = parse_server(address).map_err(|why| format!("{label}{why}"));
    let address = statement.accept(1, address);
    let mut settings = proxy.settings.default_server.clone();
    parse_options(statement, 2, Section::Server, OPTIONS, &label, &mut settings);
    let Some((host, port)) = address else { return };
    let server = WrittenServer { name: name.to_owned(), location: statement.location(), host, port, settings };
    proxy.servers.push(server);
}

fn default_server(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let mut settings = proxy.settings.default_server.clone();
    if statement.arguments.iter().any(|word| word.text == "id") {
        statement.error(0, "'default-server' : 'id' belongs to one server and is not accepted here.");
        return;
    }
    parse_options(statement, 0, Section::Server, OPTIONS, "'default-server' : ", &mut settings);
    proxy.settings.default_server = settings;
}

fn server_template(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !allowed(statement, proxy) {
        return;
    }
    let expected = "<prefix>, <number or range> and <addr>[:<port>] as arguments";
    let Some(prefix) = statement.required(0, expected) else { return };
    if !check_name(statement, 0, prefix) {
        return;
    }
    let label = format!("'server-template {}/{prefix}' : ", proxy.name);
    let Some(range) = statement.required(1, expected) else { return };
    let range = template_range(range).map_err(|why| format!("{label}{why}"));
    let range = statement.accept(1, range);
    let Some(address) = statement.required(2, expected) else { return };
    let address = parse_server(address).map_err(|why| format!("{label}{why}"));
    let address = statement.accept(2, address);
    let mut settings = proxy.settings.default_server.clone();
    parse_options(statement, 3, Section::Server, OPTIONS, &label, &mut settings);
    let (Some((first, last)), Some((host, port))) = (range, address) else { return };
    if settings.id.is_some() && first != last {
        return statement.error(0, format!("{label}'id' belongs to one server; it cannot stand in a template."));
    }
    for number in first..=last {
        proxy.servers.push(WrittenServer {
            name: format!("{prefix}{number}"),
            location: statement.location(),
            host: host.clone(),
            port,
            settings: settings.clone(),
        });
    }
}

/// `3` is 1 to 3; `5-7` is as written.
fn template_range(text: &str) -> Result<(u32, u32), String> {
    let number = |part: &str| {
        parse_u32(part, 1, i32::MAX as u32, "server-template")
            .map_err(|_| format!("'{text}' is not a number of servers or a range such as 1-3"))
    };
    let (first, last) = match text.split_once('-') {
        None => (1, number(text)?),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if first > last {
        return Err(format!("the range '{text}' is empty"));
    }
    if last - first >= TEMPLATE_SERVERS_MAX {
        return Err(format!("'{text}' makes more than {TEMPLATE_SERVERS_MAX} servers"));
    }
    Ok((first, last))
}

/// Names of servers and proxies: letters, digits, and `-_.:` (configuration.txt section 4).
fn check_name(statement: &mut Statement, index: usize, name: &str) -> bool {
    match super::section_header::bad_character(name) {
        None => true,
        Some(character) => {
            let keyword = statement.keyword;
            statement.error(index, format!("character '{character}' is not permitted in '{keyword}' name '{name}'."));
            false
        }
    }
}

fn set(field: &mut bool, value: bool) -> usize {
    *field = value;
    0
}

fn count(statement: &mut Statement, field: &mut u32, minimum: u32) -> usize {
    if let Some(text) = statement.required(0, "a number") {
        let number = parse_u32(text, minimum, i32::MAX as u32, statement.keyword);
        if let Some(number) = statement.accept(0, number) {
            *field = number;
        }
    }
    1
}

/// A number, or -1 for no limit.
fn limit(statement: &mut Statement, field: &mut Option<u32>) -> usize {
    if let Some(text) = statement.required(0, "a number, or -1 for no limit") {
        let number = parse_integer(text, -1, i32::MAX.into(), statement.keyword);
        if let Some(number) = statement.accept(0, number) {
            *field = u32::try_from(number).ok();
        }
    }
    1
}

fn pool_purge_delay(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(delay) = time(statement, DefaultUnit::Milliseconds) {
        settings.pool.purge_delay = delay;
    }
    1
}

fn optional_count(statement: &mut Statement, field: &mut Option<u32>, minimum: u32) -> usize {
    let mut number = 0;
    count(statement, &mut number, minimum);
    *field = (number >= minimum).then_some(number);
    1
}

fn weight(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(text) = statement.required(0, "a number from 0 to 256") {
        let weight = parse_u32(text, 0, 256, "weight")
            .map_err(|_| format!("weight of a server is not within 0 and 256 ({text})."));
        if let Some(weight) = statement.accept(0, weight) {
            settings.weight = weight;
        }
    }
    1
}

fn time(statement: &mut Statement, default_unit: DefaultUnit) -> Option<Duration> {
    let text = statement.required(0, "a time such as 2s")?;
    let time = parse_time(text, default_unit, statement.keyword);
    statement.accept(0, time)
}

fn check_time(statement: &mut Statement, field: &mut Option<Duration>) -> usize {
    if let Some(value) = time(statement, DefaultUnit::Milliseconds) {
        if value.is_zero() {
            let keyword = statement.keyword;
            statement.error(0, format!("invalid value 0 for argument '{keyword}'; a check needs a pause."));
        } else {
            *field = Some(value);
        }
    }
    1
}

fn slowstart(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(value) = time(statement, DefaultUnit::Milliseconds) {
        settings.slowstart = (!value.is_zero()).then_some(value);
    }
    1
}

fn tcp_user_timeout(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(value) = time(statement, DefaultUnit::Milliseconds) {
        settings.tcp_user_timeout = (!value.is_zero()).then_some(value);
    }
    1
}

fn port(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(text) = statement.required(0, "a port for checks") {
        let port = parse_port(text, false, "port");
        settings.check_port = statement.accept(0, port);
    }
    1
}

fn addr(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(text) = statement.required(0, "an address for checks") {
        let address = parse_ip(text, statement.names);
        if let Some((address, port)) = statement.accept(0, address) {
            settings.check_address = Some(address);
            settings.check_port = port.or(settings.check_port);
        }
    }
    1
}

fn track(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(text) = statement.required(0, "[<proxy>/]<server>") {
        settings.track = Some(text.to_owned());
    }
    1
}

fn on_marked_down(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    match statement.text(0) {
        "shutdown-sessions" => settings.on_marked_down_shutdown_sessions = true,
        _ => statement.error(0, "'on-marked-down' expects 'shutdown-sessions'."),
    }
    1
}

fn on_marked_up(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    match statement.text(0) {
        "shutdown-backup-sessions" => settings.on_marked_up_shutdown_backup_sessions = true,
        _ => statement.error(0, "'on-marked-up' expects 'shutdown-backup-sessions'."),
    }
    1
}

fn observe(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    match statement.text(0) {
        "none" => settings.observe = Observe::None,
        "layer4" => settings.observe = Observe::Layer4,
        "layer7" => settings.observe = Observe::Layer7,
        _ => statement.error(0, "'observe' expects 'none', 'layer4' or 'layer7'."),
    }
    1
}

fn on_error(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    match statement.text(0) {
        "fastinter" => settings.on_error = OnError::Fastinter,
        "fail-check" => settings.on_error = OnError::FailCheck,
        "sudden-death" => settings.on_error = OnError::SuddenDeath,
        "mark-down" => settings.on_error = OnError::MarkDown,
        _ => statement.error(0, "'on-error' expects 'fastinter', 'fail-check', 'sudden-death' or 'mark-down'."),
    }
    1
}

fn source(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    let (source, taken) = parse_source_options(statement, true);
    if source.is_some() {
        settings.source = source;
    }
    taken
}

fn cookie(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    if let Some(value) = statement.required(0, "a value") {
        if value.bytes().any(|byte| byte.is_ascii_control() || matches!(byte, b';' | b',')) {
            statement.error(0, format!("'cookie' : '{value}' would end where clients see ';' or ','."));
            return 1;
        }
        settings.cookie = Some(value.to_owned());
    }
    1
}

fn init_addr(statement: &mut Statement, settings: &mut ServerSettings) -> usize {
    let Some(text) = statement.required(0, "a list of 'last', 'libc', 'none' or addresses") else { return 1 };
    let mut methods = Vec::new();
    for method in text.split(',') {
        methods.push(match method {
            "last" => InitialAddress::Last,
            "libc" => InitialAddress::Libc,
            "none" => InitialAddress::None,
            _ => match method.parse() {
                Ok(address) => InitialAddress::Ip(address),
                Err(_) => {
                    statement.error(0, format!("'init-addr' : unknown method '{method}'; expected 'last', 'libc', 'none' or an address."));
                    return 1;
                }
            },
        });
    }
    settings.initial_address = methods;
    1
}
