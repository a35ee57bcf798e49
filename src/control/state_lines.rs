//! The lines about proxies that signals make, in HAProxy's words: SIGHUP's dump, pauses, stops (management.txt
//! section 4). Each is said on stderr and sent to the proxy's own logs.

use crate::config::model::{Config, ProxyId};
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::server::RunState;
use std::sync::atomic::{AtomicU32, Ordering};

const SYSLOG_WARNING: u8 = 4;
const SYSLOG_NOTICE: u8 = 5;

fn line(proxy: ProxyId, level: u8, text: String) -> StateLog {
    StateLog { proxy, level, text }
}

fn load(count: &AtomicU32) -> u32 {
    count.load(Ordering::Relaxed)
}

/// `proxy`, `frontend` or `backend`: what HAProxy calls the thing in its pause lines.
fn kind(shared: &Shared, id: ProxyId) -> &'static str {
    let proxy = shared.config.proxy(id);
    match (&proxy.frontend, &proxy.backend) {
        (Some(_), None) => "frontend",
        (None, Some(_)) => "backend",
        _ => "proxy",
    }
}

/// `Proxy X started.`, as 1.8 logs it.
pub fn started(config: &Config, id: ProxyId) -> StateLog {
    line(id, SYSLOG_NOTICE, format!("Proxy {} started.", config.proxy(id).name))
}

/// `Proxy X stopped (…).`
pub fn stopped(shared: &Shared, id: ProxyId) -> StateLog {
    let name = &shared.config.proxy(id).name;
    let frontend = shared.proxy_sum(id, |counters| counters.frontend_connections.get());
    let backend = shared.proxy_sum(id, |counters| counters.backend_sessions.get());
    line(id, SYSLOG_WARNING, format!("Proxy {name} stopped (cumulated conns: FE: {frontend}, BE: {backend})."))
}

pub fn paused(shared: &Shared, id: ProxyId) -> StateLog {
    line(id, SYSLOG_WARNING, format!("Paused {} {}.", kind(shared, id), shared.config.proxy(id).name))
}

pub fn resumed(shared: &Shared, id: ProxyId) -> StateLog {
    line(id, SYSLOG_WARNING, format!("Resumed {} {}.", kind(shared, id), shared.config.proxy(id).name))
}

/// SIGHUP, for the proxy's log only: stderr has one such line for all.
pub fn dump_begins(shared: &Shared, id: ProxyId) -> StateLog {
    let name = &shared.config.proxy(id).name;
    line(id, SYSLOG_NOTICE, format!("SIGHUP received, dumping servers states for proxy {name}."))
}

/// SIGHUP: the servers of one proxy, then the proxy.
pub fn dump(shared: &Shared, id: ProxyId) -> Vec<StateLog> {
    let config = &shared.config;
    let proxy = config.proxy(id);
    let state = shared.proxy(id);
    let mut lines = Vec::new();
    let servers = proxy.backend.as_ref().map_or(&[][..], |backend| &backend.servers);
    for server_id in servers {
        let server = shared.server(*server_id);
        let status = if server.run_state() == RunState::Stopped { "DOWN" } else { "UP" };
        lines.push(line(
            id,
            SYSLOG_NOTICE,
            format!(
                "SIGHUP: Server {}/{} is {status}. Conn: {} act, {} pend, {} tot.",
                proxy.name,
                config.server(*server_id).name,
                load(&server.served),
                load(&server.queued),
                shared.server_sum(*server_id, |counters| counters.sessions.get()),
            ),
        ));
    }
    let (active, backup) = (load(&state.active_servers), load(&state.backup_servers));
    let unassigned = load(&state.queued);
    let pending =
        servers.iter().fold(unassigned, |sum, server| sum.saturating_add(load(&shared.server(*server).queued)));
    let connections = format!(
        "Conn: act(FE+BE): {}+{}, {pending} pend ({unassigned} unass), tot(FE+BE): {}+{}.",
        load(&state.frontend_connections),
        load(&state.backend_connections),
        shared.proxy_sum(id, |counters| counters.frontend_connections.get()),
        shared.proxy_sum(id, |counters| counters.backend_sessions.get()),
    );
    let availability = if servers.is_empty() {
        "has no servers.".to_owned()
    } else if active == 0 && backup == 0 {
        "has no server available !".to_owned()
    } else if active == 0 {
        "is running on backup servers !".to_owned()
    } else {
        format!("has {active} active servers and {backup} backup servers available.")
    };
    lines.push(line(id, SYSLOG_NOTICE, format!("SIGHUP: Proxy {} {availability} {connections}", proxy.name)));
    lines
}
