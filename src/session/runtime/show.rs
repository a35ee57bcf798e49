//! Commands that read, and `clear counters`.

use super::{Answer, RuntimeSession, names};
use crate::config::model::{Config, ListenAddress, ProxyId, RuntimeLevel, Server, ServerAddress, ServerId};
use crate::session::local_context::LocalContext;
use crate::session::stats::check_numbers::{result_number, state_file_number};
use crate::session::stats::figures::Snapshot;
use crate::session::stats::process::{InfoFormat, write_info};
use crate::session::stats::selection::Selection;
use crate::session::stats::{RowFormat, product, write_rows};
use crate::shared::server::{CheckStatus, admin};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

fn snapshot<'a>(context: &LocalContext<'a>) -> Snapshot<'a> {
    Snapshot { shared: context.shared, now_us: context.now_us, wall_us: context.wall_us }
}

pub fn version(_: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    Answer::Dump(format!("{}\n", product::VERSION))
}

pub fn info(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let format = match words {
        _ if words.contains(&"json") => InfoFormat::Json,
        _ if words.contains(&"typed") => InfoFormat::Typed,
        _ => InfoFormat::Plain,
    };
    let mut text = String::new();
    write_info(snapshot(context), context.pid, context.hostname, format, words.contains(&"desc"), &mut text);
    Answer::Dump(text)
}

/// `show stat [domain proxy] [{<iid>|<proxy>} <type> <sid>] [typed|json|desc|up|no-maint]*`
pub fn stat(session: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let words = match words {
        ["domain", "proxy", rest @ ..] => rest,
        ["domain", ..] => return Answer::error("Invalid statistics domain."),
        words => words,
    };
    let mut selection = Selection {
        up_only: words.contains(&"up"),
        no_maintenance: words.contains(&"no-maint"),
        details: session.level >= RuntimeLevel::Operator,
        ..Default::default()
    };
    if let [proxy, kinds, service, ..] = words
        && let (Ok(kinds), Ok(service)) = (kinds.parse(), service.parse())
    {
        match proxies_called(&context.shared.config, proxy) {
            Some(found) => selection.proxies = found,
            None => return Answer::error("No such proxy."),
        }
        (selection.kinds, selection.service_number) = (kinds, service);
    }
    let format = match words {
        _ if words.contains(&"json") => RowFormat::Json,
        _ if words.contains(&"typed") => RowFormat::Typed { with_description: words.contains(&"desc") },
        _ => RowFormat::Csv,
    };
    let mut text = String::new();
    write_rows(snapshot(context), &selection, format, &mut text);
    Answer::Dump(text)
}

/// A name, an `iid`, `#iid`, or -1 for all (`Some(None)`).
fn proxies_called(config: &Config, given: &str) -> Option<Option<Vec<ProxyId>>> {
    let number: Option<i64> = given.strip_prefix('#').unwrap_or(given).parse().ok();
    if number.is_some_and(|number| number < 0) {
        return Some(None);
    }
    let matching = config.proxy_ids().filter(|id| {
        let proxy = config.proxy(*id);
        proxy.name == given || number == Some(i64::from(proxy.iid))
    });
    let found: Vec<ProxyId> = matching.collect();
    (!found.is_empty()).then_some(Some(found))
}

pub fn backends(_: &mut RuntimeSession, _: &[&str], context: &mut LocalContext) -> Answer {
    let mut text = "# name\n".to_string();
    for proxy in context.shared.config.proxies.iter().filter(|proxy| proxy.backend.is_some() && !proxy.disabled) {
        let _ = writeln!(text, "{}", proxy.name);
    }
    Answer::Dump(text)
}

fn level_name(level: RuntimeLevel) -> &'static str {
    match level {
        RuntimeLevel::User => "user",
        RuntimeLevel::Operator => "operator",
        RuntimeLevel::Admin => "admin",
    }
}

pub fn level(session: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    Answer::Dump(format!("{}\n", level_name(session.level)))
}

pub fn sockets(_: &mut RuntimeSession, _: &[&str], context: &mut LocalContext) -> Answer {
    let mut text = "# socket lvl processes\n".to_string();
    for socket in &context.shared.config.global.runtime_sockets {
        let address = match &socket.address {
            ListenAddress::Ip { address, .. } if address.is_ipv4() => format!("ipv4@{address}"),
            ListenAddress::Ip { address, .. } => format!("ipv6@{address}"),
            ListenAddress::Unix(path) => format!("unix@{}", path.display()),
            ListenAddress::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
            ListenAddress::Inherited(descriptor) => format!("fd@{descriptor}"),
        };
        let _ = writeln!(text, "{address} {} all", level_name(socket.level));
    }
    Answer::Dump(text)
}

/// The process's variables as the configuration has left them.
pub fn environment(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let mut variables = context.shared.config.environment.iter();
    match words.first() {
        None => Answer::Dump(variables.map(|(name, value)| format!("{name}={value}\n")).collect()),
        Some(wanted) => match variables.find(|(name, _)| name == wanted) {
            Some((name, value)) => Answer::Dump(format!("{name}={value}\n")),
            None => Answer::error("Variable not found"),
        },
    }
}

/// The backends a command is about: one by name, or all.
fn backends_called(words: &[&str], context: &LocalContext) -> Result<Vec<ProxyId>, Answer> {
    let config = &context.shared.config;
    match words.first() {
        Some(name) => names::backend(config, name).map(|id| vec![id]).ok_or(Answer::error("Can't find backend.")),
        None => Ok(config.proxy_ids().collect()),
    }
}

fn servers_of(config: &Config, backends: &[ProxyId]) -> Vec<ServerId> {
    backends.iter().flat_map(|id| config.proxy(*id).backend.iter().flat_map(|half| half.servers.clone())).collect()
}

/// Address and port as two words, `-` and 0 where there are none.
fn address_words(server: &Server) -> (String, u16) {
    match &server.address {
        Some(ServerAddress::Ip(address)) => (address.ip().to_string(), address.port()),
        Some(ServerAddress::Unix(_) | ServerAddress::Abstract(_)) | None => ("-".to_string(), 0),
    }
}

/// `show servers state`: the server state file, version 1 (management.txt section 9.3).
pub fn server_states(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let backends = match backends_called(words, context) {
        Ok(backends) => backends,
        Err(answer) => return answer,
    };
    let mut text = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                    srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
                    srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                    srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
        .to_string();
    for id in servers_of(&context.shared.config, &backends) {
        write_server_state(id, context, &mut text);
    }
    Answer::Dump(text)
}

fn write_server_state(id: ServerId, context: &LocalContext, text: &mut String) {
    let (config, state) = (&context.shared.config, context.shared.server(id));
    let server = config.server(id);
    let proxy = config.proxy(server.backend);
    let (address, port) = address_words(server);
    let administrative = state.admin_state();
    // HAProxy marks a server that is `disabled` in the configuration as forced, too.
    let forced = if administrative & admin::CONFIGURED_MAINT != 0 { admin::FORCED_MAINT } else { 0 };
    let status = CheckStatus::from_number(state.check_status.load(Relaxed));
    let in_maintenance = administrative & admin::MAINT != 0;
    let (check_status, check_health, check_state) = match &server.check {
        Some(_) => {
            let enabled = state.check_enabled.load(Relaxed);
            let bits = u32::from(state.check_in_progress.load(Relaxed)) | 2 | u32::from(enabled) << 2;
            let health = if in_maintenance { 0 } else { state.health.load(Relaxed) };
            (state_file_number(status), health, bits | u32::from(in_maintenance) << 3)
        }
        None => (state_file_number(CheckStatus::Initializing), 2, 0),
    };
    let position = proxy.backend.iter().flat_map(|half| &half.servers).position(|other| *other == id).unwrap_or(0);
    let has_own_number = u32::from(server.sid as usize != position + 1);
    let host = server.written_host.trim_matches(['[', ']']);
    let is_name = port != 0 && !host.is_empty() && host.parse::<IpAddr>().is_err();
    let (check_port, check_address) = match &server.check {
        Some(check) => (check.port.unwrap_or(0), check.address.map_or("-".to_string(), |address| address.to_string())),
        None => (0, "-".to_string()),
    };
    let _ = writeln!(
        text,
        "{} {} {} {} {address} {} {} {} {} {} {check_status} {} {check_health} {check_state} 0 0 {has_own_number} {} \
         {port} - 0 {check_port} {check_address} - 0",
        proxy.iid,
        proxy.name,
        server.sid,
        server.name,
        state.run_state() as u8,
        administrative | forced,
        state.user_weight.load(Relaxed),
        server.weight,
        snapshot(context).seconds_since(state.last_change_us.load(Relaxed)),
        if server.check.is_some() { result_number(status) } else { 0 },
        if is_name { host } else { "-" },
    );
}

/// `show servers conn`. No connection outlives its session, so nothing is idle.
pub fn server_connections(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let backends = match backends_called(words, context) {
        Ok(backends) => backends,
        Err(answer) => return answer,
    };
    let workers = context.shared.workers.len().saturating_sub(1);
    let mut text = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim \
         idle_cur idle_per_thr[{workers}]\n"
    );
    let config = &context.shared.config;
    for id in servers_of(config, &backends) {
        let (server, state) = (config.server(id), context.shared.server(id));
        let proxy = config.proxy(server.backend);
        let (address, port) = address_words(server);
        let (used, most) = (state.served.load(Relaxed), state.served_max.load(Relaxed));
        let _ = writeln!(
            text,
            "{}/{} {}/{} {address} {port} - 0 {used} {most} {used} 0 0 0 0{}",
            proxy.name,
            server.name,
            proxy.iid,
            server.sid,
            " 0".repeat(workers)
        );
    }
    Answer::Dump(text)
}

/// `clear counters [all]`: the maxima, or with `all` every counter; `all` needs level admin.
pub fn clear_counters(session: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let all = words.first() == Some(&"all");
    if all && session.level < RuntimeLevel::Admin {
        return Answer::error("Permission denied");
    }
    clear_maxima(context);
    if all {
        for worker in &context.shared.workers {
            worker.proxies.iter().for_each(|counters| counters.clear());
            worker.servers.iter().for_each(|counters| counters.clear());
            worker.listeners.iter().for_each(|counters| counters.clear());
        }
        for server in &context.shared.servers {
            for counter in [&server.check_failures, &server.down_transitions, &server.health_analysis_failures] {
                counter.store(0, Relaxed);
            }
        }
    }
    Answer::Nothing
}

/// A maximum starts again from what is now, not from 0: it is never below the present value.
fn clear_maxima(context: &LocalContext) {
    let shared = context.shared;
    let restart = |maximum: &AtomicU32, now: &AtomicU32| maximum.store(now.load(Relaxed), Relaxed);
    restart(&shared.process.connections_max, &shared.process.connections);
    shared.process.connection_rate.clear_maximum();
    shared.process.session_rate.clear_maximum();
    for proxy in &shared.proxies {
        restart(&proxy.frontend_connections_max, &proxy.frontend_connections);
        restart(&proxy.backend_connections_max, &proxy.backend_connections);
        restart(&proxy.queued_max, &proxy.queued);
        for rate in [
            &proxy.frontend_connection_rate,
            &proxy.frontend_session_rate,
            &proxy.frontend_request_rate,
            &proxy.backend_session_rate,
        ] {
            rate.clear_maximum();
        }
        proxy.session_times.clear_maxima();
    }
    for server in &shared.servers {
        restart(&server.served_max, &server.served);
        restart(&server.queued_max, &server.queued);
        server.session_rate.clear_maximum();
        server.session_times.clear_maxima();
    }
    for listener in &shared.listeners {
        restart(&listener.connections_max, &listener.connections);
    }
}

/// What `show info json` and `show stat json` look like.
pub fn schema(_: &mut RuntimeSession, _: &[&str], _: &mut LocalContext) -> Answer {
    Answer::Dump(include_str!("schema.json").to_string())
}
