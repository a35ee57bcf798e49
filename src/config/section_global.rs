//! The `global` section (configuration.txt section 3).

use super::environment::Environment;
use super::keywords::{Modifier, Section};
use super::model::*;
use super::options::parse_options;
use super::section_bind;
use super::section_log::parse_log_target;
use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_integer, parse_size, parse_time, parse_u32};
use super::worker_set::{parse_cpus, parse_worker_set};
use super::written::*;
use std::path::PathBuf;
use std::time::Duration;

pub const KEYWORDS: &[(&str, LineParser<WrittenGlobal>)] = &[
    ("daemon", |s, g| flag(s, &mut g.model.daemon)),
    ("debug", |s, g| flag(s, &mut g.model.debug)),
    ("quiet", |s, g| flag(s, &mut g.model.quiet)),
    ("nosplice", |s, g| flag(s, &mut g.model.nosplice)),
    ("master-worker", master_worker),
    ("nbproc", |s, g| workers(s, &mut g.nbproc)),
    ("nbthread", |s, g| workers(s, &mut g.nbthread)),
    ("cpu-map", cpu_map),
    ("ringway.engine", engine),
    ("default-path", default_path),
    ("h1-case-adjust", super::section_case_adjust::name),
    ("h1-case-adjust-file", super::section_case_adjust::file),
    ("maxconn", |s, g| positive(s, &mut g.model.maxconn)),
    ("maxconnrate", |s, g| number(s, &mut g.model.maxconnrate)),
    ("maxsessrate", |s, g| number(s, &mut g.model.maxsessrate)),
    ("maxpipes", |s, g| optional_number(s, &mut g.model.maxpipes)),
    ("ulimit-n", |s, g| descriptors(s, &mut g.model.ulimit_n)),
    ("fd-hard-limit", |s, g| descriptors(s, &mut g.model.fd_hard_limit)),
    ("strict-limits", strict_limits),
    ("pidfile", |s, g| path(s, &mut g.model.pidfile)),
    ("chroot", |s, g| path(s, &mut g.model.chroot)),
    ("user", user),
    ("group", group),
    ("uid", |s, g| numeric(s, &mut g.model.user)),
    ("gid", |s, g| numeric(s, &mut g.model.group)),
    ("grace", |s, g| time(s, &mut g.model.grace)),
    ("hard-stop-after", |s, g| time(s, &mut g.model.hard_stop_after)),
    ("log", log),
    ("log-tag", |s, g| word(s, &mut g.model.log_tag)),
    ("log-send-hostname", log_send_hostname),
    ("node", node),
    ("description", description),
    ("spread-checks", spread_checks),
    ("max-spread-checks", |s, g| time(s, &mut g.model.max_spread_checks)),
    ("stats socket", stats_socket),
    ("stats timeout", stats_timeout),
    ("stats maxconn", stats_maxconn),
    ("tune.bufsize", bufsize),
    ("maxzlibmem", compression_memory),
    ("tune.comp.maxlevel", compression_level),
    ("tune.maxrewrite", |s, g| number(s, &mut g.model.maxrewrite_bytes)),
    ("tune.http.maxhdr", http_header_lines),
    ("tune.http.cookielen", |s, g| number(s, &mut g.model.cookie_capture_length_max)),
    ("tune.http.logurilen", log_uri_length),
    ("tune.pipesize", |s, g| size(s, &mut g.model.pipesize_bytes)),
    ("tune.rcvbuf.client", |s, g| optional_size(s, &mut g.model.rcvbuf_client_bytes)),
    ("tune.sndbuf.client", |s, g| optional_size(s, &mut g.model.sndbuf_client_bytes)),
    ("tune.rcvbuf.server", |s, g| optional_size(s, &mut g.model.rcvbuf_server_bytes)),
    ("tune.sndbuf.server", |s, g| optional_size(s, &mut g.model.sndbuf_server_bytes)),
];

/// `setenv` and its kin change what the lines after them expand to.
pub const ENVIRONMENT_KEYWORDS: &[(&str, LineParser<Environment>)] =
    &[("setenv", setenv), ("presetenv", presetenv), ("unsetenv", unsetenv), ("resetenv", resetenv)];

/// What holds without a `global` section.
pub fn defaults() -> WrittenGlobal {
    WrittenGlobal {
        model: Global {
            nbproc: 1,
            // Only the written keyword makes a limit that cannot be met fatal: without it a file of 1.8's time starts.
            strict_limits: false,
            log_tag: "haproxy".to_owned(),
            bufsize_bytes: 16_384,
            maxrewrite_bytes: 1024,
            compression_level_max: 1,
            http_header_lines_max: 101,
            cookie_capture_length_max: 63,
            log_uri_length_max: 1023,
            stats_timeout: Some(Duration::from_secs(10)),
            stats_maxconn: 10,
            ..Global::default()
        },
        ..WrittenGlobal::default()
    }
}

fn flag(statement: &mut Statement, field: &mut bool) {
    if statement.at_most(0) {
        *field = statement.modifier == Modifier::None;
    }
}

fn master_worker(statement: &mut Statement, global: &mut WrittenGlobal) {
    match statement.text(0) {
        "" | "no-exit-on-failure" | "exit-on-failure" => {
            if statement.at_most(1) {
                global.model.master_worker = statement.modifier == Modifier::None;
            }
        }
        other => statement.error(0, format!("'master-worker' only supports 'no-exit-on-failure', not '{other}'.")),
    }
}

fn strict_limits(statement: &mut Statement, global: &mut WrittenGlobal) {
    if statement.at_most(0) {
        global.model.strict_limits = statement.modifier != Modifier::No;
    }
}

fn read_number(statement: &mut Statement, minimum: u32) -> Option<u32> {
    let text = statement.required(0, "an integer argument")?;
    let number = parse_u32(text, minimum, i32::MAX as u32, statement.keyword);
    let number = statement.accept(0, number)?;
    statement.at_most(1).then_some(number)
}

fn number(statement: &mut Statement, field: &mut u32) {
    if let Some(number) = read_number(statement, 0) {
        *field = number;
    }
}

fn optional_number(statement: &mut Statement, field: &mut Option<u32>) {
    *field = read_number(statement, 0).or(*field);
}

/// 0 asks for the computed value, as leaving the line out does.
fn positive(statement: &mut Statement, field: &mut Option<u32>) {
    if let Some(number) = read_number(statement, 0) {
        *field = (number > 0).then_some(number);
    }
}

fn descriptors(statement: &mut Statement, field: &mut Option<u64>) {
    if let Some(number) = read_number(statement, 0) {
        *field = (number > 0).then_some(number.into());
    }
}

/// `nbproc` and `nbthread`: the workers are their product.
fn workers(statement: &mut Statement, field: &mut Option<u32>) {
    let Some(text) = statement.required(0, "a number of workers") else { return };
    // HAProxy's limit: a bit in a machine word each.
    let number = parse_u32(text, 1, 64, statement.keyword);
    let Some(number) = statement.accept(0, number) else { return };
    if statement.at_most(1) {
        *field = Some(number);
    }
}

/// `cpu-map [auto:]<process-set>[/<thread-set>] <cpu-set>…`
fn cpu_map(statement: &mut Statement, global: &mut WrittenGlobal) {
    let expected = "[auto:]<process-set>[/<thread-set>] followed by CPU numbers or ranges";
    let Some(text) = statement.required(0, expected) else { return };
    let (sets, automatic) = match text.strip_prefix("auto:") {
        Some(sets) => (sets, true),
        None => (text, false),
    };
    let (processes, threads) = match sets.split_once('/') {
        Some((processes, threads)) => (processes, threads),
        None => (sets, "all"),
    };
    let processes = parse_worker_set(processes);
    let Some(processes) = statement.accept(0, processes) else { return };
    let threads = parse_worker_set(threads);
    let Some(threads) = statement.accept(0, threads) else { return };
    let mut cpus = Vec::new();
    if statement.required(1, expected).is_none() {
        return;
    }
    for index in 1..statement.arguments.len() {
        let parsed = parse_cpus(statement.text(index));
        let Some(parsed) = statement.accept(index, parsed) else { return };
        cpus.extend(parsed);
    }
    if automatic && set_size(&processes, &threads).is_some_and(|size| size != cpus.len()) {
        let text = "the set of processes and threads and the set of CPUs must have the same size with 'auto:'.";
        return statement.error(0, format!("'cpu-map' : {text}"));
    }
    global.cpu_maps.push(CpuMap { processes, threads, cpus, automatic });
}

/// How many workers two sets name together, if they say so themselves.
fn set_size(processes: &WorkerSet, threads: &WorkerSet) -> Option<usize> {
    let count = |set: &WorkerSet| match set {
        WorkerSet::Range(first, last) => Some((last - first + 1) as usize),
        _ => None,
    };
    match (processes, threads) {
        (processes, WorkerSet::All) => count(processes).filter(|count| *count > 1),
        (processes, threads) => count(processes).zip(count(threads)).map(|(one, other)| one * other),
    }
}

/// Ringway's own: `ringway.engine io_uring|epoll|automatic`.
fn engine(statement: &mut Statement, global: &mut WrittenGlobal) {
    global.model.engine = match statement.text(0) {
        "io_uring" => EngineChoice::IoUring,
        "epoll" => EngineChoice::Epoll,
        "automatic" => EngineChoice::Automatic,
        _ => return statement.error(0, "'ringway.engine' expects 'io_uring', 'epoll' or 'automatic'."),
    };
    statement.at_most(1);
}

/// `default-path current|config|parent|origin <path>`: where relative names of files that a configuration loads start
/// from. None of the keywords supported so far loads one, so being right about the syntax is all there is to do.
fn default_path(statement: &mut Statement, _global: &mut WrittenGlobal) {
    match (statement.text(0), statement.text(1)) {
        ("origin", "") => statement.error(0, "'default-path origin' expects a path."),
        ("origin", _) => {
            statement.at_most(2);
        }
        ("current" | "config" | "parent", _) => {
            statement.at_most(1);
        }
        _ => statement.error(0, "'default-path' expects 'current', 'config', 'parent' or 'origin <path>'."),
    }
}

fn path(statement: &mut Statement, field: &mut Option<PathBuf>) {
    if let Some(path) = statement.required(0, "a path")
        && statement.at_most(1)
    {
        *field = Some(PathBuf::from(path));
    }
}

fn user(statement: &mut Statement, global: &mut WrittenGlobal) {
    if let Some(user) = super::accounts::user(statement) {
        global.model.user = Some(user);
        statement.at_most(1);
    }
}

fn group(statement: &mut Statement, global: &mut WrittenGlobal) {
    if let Some(group) = super::accounts::group(statement) {
        global.model.group = Some(group);
        statement.at_most(1);
    }
}

fn numeric(statement: &mut Statement, field: &mut Option<UserOrGroup>) {
    if let Some(text) = statement.required(0, "a number") {
        let id = super::accounts::parse_id(text, statement.keyword);
        if let Some(id) = statement.accept(0, id) {
            statement.at_most(1);
            *field = Some(id);
        }
    }
}

fn time(statement: &mut Statement, field: &mut Option<Duration>) {
    let Some(text) = statement.required(0, "a time such as 30s (without a unit: milliseconds)") else { return };
    let time = parse_time(text, DefaultUnit::Milliseconds, statement.keyword);
    if let Some(time) = statement.accept(0, time)
        && statement.at_most(1)
    {
        *field = Some(time);
    }
}

fn word(statement: &mut Statement, field: &mut String) {
    if let Some(word) = statement.required(0, "a word")
        && statement.at_most(1)
    {
        *field = word.to_owned();
    }
}

fn bufsize(statement: &mut Statement, global: &mut WrittenGlobal) {
    let mut bytes = global.model.bufsize_bytes;
    size(statement, &mut bytes);
    if bytes == 0 {
        return statement.error(0, "'tune.bufsize' expects a positive size in bytes.");
    }
    global.model.bufsize_bytes = bytes;
}

/// `maxzlibmem <megabytes>`; 0: no limit.
fn compression_memory(statement: &mut Statement, global: &mut WrittenGlobal) {
    if let Some(megabytes) = read_number(statement, 0) {
        global.model.compression_memory_max_bytes = (megabytes > 0).then(|| u64::from(megabytes) << 20);
    }
}

/// 0 would be no compression at all: HAProxy takes it, and so does 'compression' left out.
fn compression_level(statement: &mut Statement, global: &mut WrittenGlobal) {
    let Some(text) = statement.required(0, "a level from 0 to 9") else { return };
    let level = parse_u32(text, 0, 9, "tune.comp.maxlevel");
    if let Some(level) = statement.accept(0, level)
        && statement.at_most(1)
    {
        global.model.compression_level_max = level;
    }
}

fn http_header_lines(statement: &mut Statement, global: &mut WrittenGlobal) {
    let Some(text) = statement.required(0, "a number of header lines from 1 to 32767") else { return };
    let lines = parse_u32(text, 1, 32_767, "tune.http.maxhdr");
    if let Some(lines) = statement.accept(0, lines)
        && statement.at_most(1)
    {
        global.model.http_header_lines_max = lines;
    }
}

fn log_uri_length(statement: &mut Statement, global: &mut WrittenGlobal) {
    if let Some(bytes) = read_number(statement, 1) {
        global.model.log_uri_length_max = bytes;
    }
}

fn size(statement: &mut Statement, field: &mut u32) {
    let mut value = None;
    optional_size(statement, &mut value);
    *field = value.unwrap_or(*field);
}

fn optional_size(statement: &mut Statement, field: &mut Option<u32>) {
    let Some(text) = statement.required(0, "a size in bytes") else { return };
    let size = parse_size(text, statement.keyword);
    if let Some(size) = statement.accept(0, size)
        && statement.at_most(1)
    {
        *field = Some(size);
    }
}

fn log(statement: &mut Statement, global: &mut WrittenGlobal) {
    if statement.modifier != Modifier::None {
        if statement.at_most(0) {
            global.log_targets.clear();
        }
        return;
    }
    if let Some(target) = parse_log_target(statement) {
        global.log_targets.push(target);
    }
}

fn log_send_hostname(statement: &mut Statement, global: &mut WrittenGlobal) {
    statement.ignores_after(1);
    global.model.log_send_hostname = Some(statement.text(0).to_owned());
}

fn node(statement: &mut Statement, global: &mut WrittenGlobal) {
    let Some(name) = statement.required(0, "a name") else { return };
    if let Some(character) = super::section_header::bad_character(name) {
        return statement.error(0, format!("'node' name '{name}' holds '{character}', which is not permitted."));
    }
    global.model.node = Some(name.to_owned());
    statement.at_most(1);
}

fn description(statement: &mut Statement, global: &mut WrittenGlobal) {
    if statement.required(0, "a text").is_some() {
        global.model.description = Some(statement.joined(0));
    }
}

fn spread_checks(statement: &mut Statement, global: &mut WrittenGlobal) {
    let Some(text) = statement.required(0, "a percentage from 0 to 50") else { return };
    let percent = parse_integer(text, 0, 50, "spread-checks");
    if let Some(percent) = statement.accept(0, percent) {
        global.model.spread_checks_percent = percent.unsigned_abs() as u32;
        statement.at_most(1);
    }
}

fn stats_timeout(statement: &mut Statement, global: &mut WrittenGlobal) {
    let mut value = None;
    time(statement, &mut value);
    match value {
        Some(Duration::ZERO) => statement.error(0, "'stats timeout' expects a positive value."),
        Some(_) => global.model.stats_timeout = value,
        None => {}
    }
}

fn stats_maxconn(statement: &mut Statement, global: &mut WrittenGlobal) {
    if let Some(number) = read_number(statement, 1) {
        global.model.stats_maxconn = number;
    }
}

/// `stats socket <address>[,<address>] [mode …] [level …]` (management.txt section 9.3).
fn stats_socket(statement: &mut Statement, global: &mut WrittenGlobal) {
    let Some(list) = statement.required(0, "a path or an address") else { return };
    let addresses =
        super::addresses::parse_bind(list, statement.names).map_err(|why| format!("'stats socket' : {why}"));
    let addresses = statement.accept(0, addresses);
    let mut settings = BindSettings::default();
    parse_options(statement, 1, Section::StatsSocket, section_bind::OPTIONS, "'stats socket' : ", &mut settings);
    for bind in addresses.unwrap_or_default() {
        global.model.runtime_sockets.push(RuntimeSocket {
            address: super::resolve_listeners::with_v6only(bind.address, &settings),
            level: settings.level.unwrap_or_default(),
            mode: settings.mode,
            user: settings.user.clone(),
            group: settings.group.clone(),
            backlog: settings.backlog,
            maxconn: settings.maxconn,
            name: settings.name.clone(),
            location: statement.location(),
        });
    }
}

fn setenv(statement: &mut Statement, environment: &mut Environment) {
    if let (Some(name), Some(_)) = (statement.required(0, "a name and a value"), statement.arguments.get(1)) {
        environment.set(name, statement.text(1));
        statement.at_most(2);
    } else if statement.arguments.len() == 1 {
        statement.error(0, "'setenv' expects a name and a value.");
    }
}

fn presetenv(statement: &mut Statement, environment: &mut Environment) {
    if let (Some(name), Some(_)) = (statement.required(0, "a name and a value"), statement.arguments.get(1)) {
        environment.set_if_absent(name, statement.text(1));
        statement.at_most(2);
    } else if statement.arguments.len() == 1 {
        statement.error(0, "'presetenv' expects a name and a value.");
    }
}

fn unsetenv(statement: &mut Statement, environment: &mut Environment) {
    if statement.required(0, "at least one name").is_some() {
        statement.arguments.iter().for_each(|name| environment.unset(name.as_str()));
    }
}

fn resetenv(statement: &mut Statement, environment: &mut Environment) {
    let names: Vec<&str> = statement.arguments.iter().map(|name| name.as_str()).collect();
    environment.keep_only(&names);
}
