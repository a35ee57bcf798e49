//! `http-check send-state`: what a check tells a server about itself (configuration.txt 4.2).

use crate::config::model::{ServerAddress, ServerId};
use crate::policy::health::counter;
use crate::shared::Shared;
use crate::shared::server::{RunState, WEIGHT_SCALE};
use std::sync::atomic::Ordering;

/// `UP 1/3; address=127.0.0.1; port=80; name=b/s; node=host; weight=1/2; scur=0/0; qcur=0`
pub fn header(shared: &Shared, id: ServerId, hostname: &str) -> String {
    let config = &shared.config;
    let (server, state) = (config.server(id), shared.server(id));
    let proxy = config.proxy(server.backend);
    let (rise, fall) = server.check.as_ref().map_or((1, 1), |check| (check.rise, check.fall));
    let health = state.health.load(Ordering::Relaxed);
    let word = match state.run_state() {
        RunState::Stopped => "DOWN",
        RunState::Stopping => "NOLB",
        RunState::Starting | RunState::Running => "UP",
    };
    let in_between = health != 0 && health < counter::full(rise, fall);
    let (have, want) = counter::progress(health, rise, fall);
    let status = if in_between { format!("{word} {have}/{want}") } else { word.to_string() };
    let place = match &server.address {
        Some(ServerAddress::Ip(address)) => format!("address={}; port={}; ", address.ip(), address.port()),
        _ => String::new(),
    };
    let weight = |id: ServerId| shared.server(id).effective_weight.load(Ordering::Relaxed).div_ceil(WEIGHT_SCALE);
    let servers = proxy.backend.as_ref().map_or(&[][..], |backend| &backend.servers);
    let usable = servers.iter().filter(|other| shared.server(**other).is_usable());
    let total: u32 = usable.filter(|other| config.server(**other).backup == server.backup).map(|it| weight(*it)).sum();
    let backend = shared.proxy(server.backend);
    format!(
        "{status}; {place}name={}/{}; node={}; weight={}/{total}; scur={}/{}; qcur={}",
        proxy.name,
        server.name,
        config.global.node.as_deref().unwrap_or(hostname),
        weight(id),
        state.served.load(Ordering::Relaxed),
        backend.backend_connections.load(Ordering::Relaxed),
        state.queued.load(Ordering::Relaxed),
    )
}
