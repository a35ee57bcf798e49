//! Figures of proxies and servers (configuration.txt sections 7.3.2, 7.3.3).

use super::Sample;
use crate::config::model::{
    BackendFigure, FrontendFigure, ProxyId, ProxyReference, ServerFigure, ServerId, ServerReference,
};
use crate::policy::exchange::Scope;
use crate::shared::server::{WEIGHT_SCALE, admin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn load(of: &AtomicU32) -> i64 {
    i64::from(of.load(Ordering::Relaxed))
}

fn milliseconds(time: Option<Duration>) -> i64 {
    time.map_or(0, |time| time.as_millis() as i64)
}

pub fn frontend<'a>(figure: FrontendFigure, reference: &ProxyReference, scope: &'a Scope) -> Option<Sample<'a>> {
    let config = &scope.shared.config;
    let named = |name: &String| {
        let of = |id: &ProxyId| config.proxy(*id).frontend.is_some() && config.proxy(*id).name == *name;
        *reference.found.get_or_init(|| config.proxy_ids().find(of))
    };
    let id = match &reference.name {
        Some(name) => named(name)?,
        None => scope.client.frontend.unwrap_or(scope.proxy),
    };
    let (proxy, state) = (config.proxy(id), scope.shared.proxy(id));
    let number = match figure {
        FrontendFigure::Name => return Some(Sample::text(proxy.name.as_bytes())),
        FrontendFigure::DefaultBackend => {
            let backend = proxy.frontend.as_ref()?.default_backend?;
            return Some(Sample::text(config.proxy(backend).name.as_bytes()));
        }
        FrontendFigure::Connections => load(&state.frontend_connections),
        FrontendFigure::RequestRate => i64::from(state.frontend_request_rate.per_second(scope.monotonic_us)),
        FrontendFigure::SessionRate => i64::from(state.frontend_session_rate.per_second(scope.monotonic_us)),
        FrontendFigure::Id => i64::from(proxy.iid),
        FrontendFigure::ClientTimeout => milliseconds(proxy.timeouts.client),
    };
    Some(Sample::Integer(number))
}

pub fn backend<'a>(figure: BackendFigure, reference: &ProxyReference, scope: &'a Scope) -> Option<Sample<'a>> {
    let config = &scope.shared.config;
    let id = match (&reference.name, figure) {
        (Some(name), _) => (*reference.found.get_or_init(|| config.backend_named(name)))?,
        // Of the backend that the exchange goes to; in a frontend's log, none when none was chosen.
        (
            None,
            BackendFigure::Id | BackendFigure::Name | BackendFigure::ServerTimeout | BackendFigure::TunnelTimeout,
        ) => scope.exchange.backend.or_else(|| config.proxy(scope.proxy).backend.is_some().then_some(scope.proxy))?,
        (None, _) => scope.proxy,
    };
    let (proxy, state) = (config.proxy(id), scope.shared.proxy(id));
    let number = match figure {
        BackendFigure::Name => return Some(Sample::text(proxy.name.as_bytes())),
        BackendFigure::Id => i64::from(proxy.iid),
        BackendFigure::Connections => load(&state.backend_connections),
        BackendFigure::SessionRate => i64::from(state.backend_session_rate.per_second(scope.monotonic_us)),
        BackendFigure::Queue => queued(id, scope),
        BackendFigure::AverageQueue => {
            let (queued, servers) = (queued(id, scope), usable_servers(id, scope));
            if servers > 0 { (queued + servers - 1) / servers } else { queued.saturating_mul(2) }
        }
        BackendFigure::UsableServers => usable_servers(id, scope),
        BackendFigure::FreeConnections => slots(id, scope, false),
        BackendFigure::ConnectionSlots => slots(id, scope, true),
        BackendFigure::ServerTimeout => milliseconds(proxy.timeouts.server),
        BackendFigure::TunnelTimeout => milliseconds(proxy.timeouts.tunnel),
    };
    Some(Sample::Integer(number))
}

fn servers_of<'a>(backend: ProxyId, scope: &'a Scope) -> &'a [ServerId] {
    scope.shared.config.proxy(backend).backend.as_ref().map_or(&[], |backend| &backend.servers)
}

/// Waiting for the backend or for one of its servers.
fn queued(backend: ProxyId, scope: &Scope) -> i64 {
    let of_servers: i64 = servers_of(backend, scope).iter().map(|id| load(&scope.shared.server(*id).queued)).sum();
    load(&scope.shared.proxy(backend).queued) + of_servers
}

/// Active ones; backups count when no active one is left (`option allbackups`: all, else the first).
pub fn usable_servers(backend: ProxyId, scope: &Scope) -> i64 {
    let config = &scope.shared.config;
    let usable = |id: &&ServerId| scope.shared.server(**id).is_usable();
    let (backups, active): (Vec<&ServerId>, Vec<&ServerId>) =
        servers_of(backend, scope).iter().filter(usable).partition(|id| config.server(**id).backup);
    match active.len() {
        0 if config.proxy(backend).options.allbackups => backups.len() as i64,
        0 => backups.len().min(1) as i64,
        count => count as i64,
    }
}

/// Free connections (and places in queues) of usable servers; -1 when one has no limit.
fn slots(backend: ProxyId, scope: &Scope, with_queues: bool) -> i64 {
    let config = &scope.shared.config;
    let has_active =
        servers_of(backend, scope).iter().any(|id| !config.server(*id).backup && scope.shared.server(*id).is_usable());
    let mut total = 0;
    for id in servers_of(backend, scope) {
        let (server, state) = (config.server(*id), scope.shared.server(*id));
        if !state.is_usable() || (server.backup && has_active) {
            continue;
        }
        let (most, most_queued) = (load(&state.maxconn), i64::from(server.maxqueue));
        if most == 0 || (with_queues && most_queued == 0) {
            return -1;
        }
        total += (most - load(&state.served)).max(0);
        if with_queues {
            total += (most_queued - load(&state.queued)).max(0);
        }
    }
    total
}

/// The server's id, by a name that may be `backend/server`; without a backend, in the proxy whose rules are run.
pub fn server_named(backend: Option<&str>, server: &str, scope: &Scope) -> Option<ServerId> {
    let config = &scope.shared.config;
    let backend = match backend {
        Some(name) => config.backend_named(name)?,
        None => scope.proxy,
    };
    let servers = servers_of(backend, scope);
    servers.iter().copied().find(|id| config.server(*id).name == server)
}

pub fn server<'a>(figure: ServerFigure, reference: &ServerReference, scope: &'a Scope) -> Option<Sample<'a>> {
    let find = || server_named(reference.backend.as_deref(), &reference.server, scope);
    let id = (*reference.found.get_or_init(find))?;
    let state = scope.shared.server(id);
    let number = match figure {
        ServerFigure::IsUp => {
            let runs = state.run_state() != crate::shared::server::RunState::Stopped;
            return Some(Sample::Bool(runs && state.admin_state() & admin::MAINT == 0));
        }
        ServerFigure::Connections => load(&state.served),
        ServerFigure::FreeConnections => match load(&state.maxconn) {
            0 => -1,
            most => (most - load(&state.served)).max(0),
        },
        ServerFigure::Queue => load(&state.queued),
        ServerFigure::SessionRate => i64::from(state.session_rate.per_second(scope.monotonic_us)),
        ServerFigure::InitialWeight => i64::from(scope.shared.config.server(id).weight),
        ServerFigure::UserWeight => load(&state.user_weight),
        ServerFigure::Weight => {
            let scale = i64::from(WEIGHT_SCALE);
            (load(&state.effective_weight) + scale - 1) / scale
        }
    };
    Some(Sample::Integer(number))
}
