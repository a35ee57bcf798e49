//! The lines of all proxies, in file order: frontend, its listeners, servers, backend. Every figure is the whole
//! machine's: gauges are shared, counters are summed over the workers.

use super::backend_figures::{backend_row, server_row};
use super::columns::Column;
use super::row::{Row, RowKind};
use super::selection::Selection;
use super::server_status::{ServerCondition, server_status};
use crate::config::model::{ListenAddress, ListenerId, Proxy, ProxyId, ProxyMode};
use crate::shared::counters::{ListenerCounters, ProxyCounters};
use crate::shared::server::RunState;
use crate::shared::{FrontendStatus, Shared};
use std::sync::atomic::Ordering::Relaxed;

/// The clocks and the state that figures are taken from.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    pub shared: &'a Shared,
    /// Monotonic, microseconds.
    pub now_us: u64,
    /// Since the Unix epoch, microseconds.
    pub wall_us: u64,
}

impl Snapshot<'_> {
    /// Whole seconds since a monotonic instant.
    pub fn seconds_since(&self, instant_us: u64) -> u32 {
        (self.now_us.saturating_sub(instant_us) / 1_000_000).min(u64::from(u32::MAX)) as u32
    }
    /// Whole seconds since a date, -1 for never (0).
    pub fn seconds_since_wall(&self, wall_s: u64) -> i32 {
        if wall_s == 0 { -1 } else { (self.wall_us / 1_000_000).saturating_sub(wall_s).min(i32::MAX as u64) as i32 }
    }
}

/// Calls `each` with every selected line. Disabled proxies have none.
pub fn for_each_row(snapshot: Snapshot, selection: &Selection, each: &mut dyn FnMut(Row)) {
    let config = &snapshot.shared.config;
    for id in config.proxy_ids().filter(|id| selection.has_proxy(*id) && !config.proxy(*id).disabled) {
        for_each_row_of(snapshot, selection, id, each);
    }
}

/// The selected lines of one proxy.
pub fn for_each_row_of(snapshot: Snapshot, selection: &Selection, id: ProxyId, each: &mut dyn FnMut(Row)) {
    let shared = snapshot.shared;
    let proxy = shared.config.proxy(id);
    if let Some(frontend) = &proxy.frontend {
        if selection.has_kind(1) && selection.has_number(0) {
            each(frontend_row(snapshot, id));
        }
        if proxy.options.socket_stats && selection.has_kind(8) {
            let listeners =
                frontend.listeners.iter().filter(|id| selection.has_number(shared.config.listener(**id).lid));
            listeners.for_each(|listener| each(listener_row(snapshot, *listener, selection)));
        }
    }
    if let Some(backend) = &proxy.backend {
        for server in backend.servers.iter().filter(|_| selection.has_kind(4)) {
            let (condition, status) = server_status(shared, *server);
            let hidden = (selection.up_only && shared.server(*server).run_state() == RunState::Stopped)
                || (selection.no_maintenance && condition == ServerCondition::Maintenance);
            if !hidden && selection.has_number(shared.config.server(*server).sid) {
                each(server_row(snapshot, *server, status, selection));
            }
        }
        if selection.has_kind(2) && selection.has_number(0) {
            each(backend_row(snapshot, id, selection));
        }
    }
}

/// The `mode` column.
pub fn mode_name(mode: ProxyMode) -> &'static str {
    match mode {
        ProxyMode::Tcp => "tcp",
        ProxyMode::Http => "http",
        ProxyMode::Health => "health",
    }
}

/// Names and numbers that every line starts with.
pub fn start_row(kind: RowKind, proxy: &Proxy, service_name: &str, service_number: u32) -> Row {
    let mut row = Row::new(kind, proxy.iid, service_number);
    row.set(Column::ProxyName, proxy.name.as_str());
    row.set(Column::ServiceName, service_name);
    row.set(Column::ProcessNumber, 1u32);
    row.set(Column::ProxyNumber, proxy.iid);
    row.set(Column::ServiceNumber, service_number);
    row.set(Column::Type, kind as u32);
    row.set(Column::Mode, mode_name(proxy.mode));
    row.set(Column::RewriteFailures, 0u64);
    row.set_all(&[Column::TlsSessions, Column::TlsReusedSessions, Column::TlsFailedHandshakes], 0);
    row
}

/// Columns of protocols and features that this program does not have on this side: a plain zero.
const NO_HTTP2: &[Column] = &[
    Column::H2HeadersReceived,
    Column::H2DataReceived,
    Column::H2SettingsReceived,
    Column::H2ResetsReceived,
    Column::H2GoawaysReceived,
    Column::H2ConnectionErrors,
    Column::H2StreamErrors,
    Column::H2ResetsSent,
    Column::H2GoawaysSent,
    Column::H2OpenConnections,
    Column::H2OpenStreams,
    Column::H2TotalConnections,
    Column::H2TotalStreams,
    Column::H1OpenConnections,
    Column::H1OpenStreams,
    Column::H1TotalConnections,
    Column::H1TotalStreams,
    Column::H1BytesIn,
    Column::H1BytesOut,
    Column::H1SplicedIn,
    Column::H1SplicedOut,
    Column::CompressionIn,
    Column::CompressionOut,
    Column::CompressionBypassed,
    Column::CompressedResponses,
];

/// Zeroes in what only a proxy that speaks more than we do could count.
pub fn set_protocol_zeroes(row: &mut Row) {
    row.set_all(NO_HTTP2, 0);
}

/// The frontend's session limit now: its own, or the process's.
pub fn frontend_limit(shared: &Shared, id: ProxyId) -> u32 {
    match shared.proxy(id).frontend_maxconn.load(Relaxed) {
        0 => shared.process.maxconn.load(Relaxed),
        own => own,
    }
}

/// The `status` column of a frontend.
pub fn frontend_status(shared: &Shared, id: ProxyId) -> &'static str {
    match shared.proxy(id).frontend_status.load(Relaxed) {
        status if status == FrontendStatus::Stopped as u8 => "STOP",
        status if status == FrontendStatus::Paused as u8 => "PAUSED",
        _ => "OPEN",
    }
}

fn frontend_row(snapshot: Snapshot, id: ProxyId) -> Row {
    let shared = snapshot.shared;
    let (proxy, state) = (shared.config.proxy(id), shared.proxy(id));
    let sum = |counter: fn(&ProxyCounters) -> u64| shared.proxy_sum(id, counter);
    let mut row = start_row(RowKind::Frontend, proxy, "FRONTEND", 0);
    set_protocol_zeroes(&mut row);
    row.set(Column::SessionsCurrent, state.frontend_connections.load(Relaxed));
    row.set(Column::SessionsMaximum, state.frontend_connections_max.load(Relaxed));
    row.set(Column::SessionsLimit, frontend_limit(shared, id));
    row.set(Column::SessionsTotal, sum(|c| c.frontend_sessions.get()));
    row.set(Column::BytesIn, sum(|c| c.frontend_bytes_in.get()));
    row.set(Column::BytesOut, sum(|c| c.frontend_bytes_out.get()));
    row.set(Column::DeniedRequests, sum(|c| c.frontend_denied_requests.get()));
    row.set(Column::DeniedResponses, sum(|c| c.frontend_denied_responses.get()));
    row.set(Column::RequestErrors, sum(|c| c.frontend_request_errors.get()));
    row.set(Column::DeniedConnections, sum(|c| c.frontend_denied_connections.get()));
    row.set(Column::DeniedSessions, sum(|c| c.frontend_denied_sessions.get()));
    row.set(Column::Status, frontend_status(shared, id));
    row.set(Column::Rate, state.frontend_session_rate.per_second(snapshot.now_us));
    row.set(Column::RateLimit, proxy.frontend.as_ref().map_or(0, |frontend| frontend.session_rate_limit));
    row.set(Column::RateMaximum, state.frontend_session_rate.maximum());
    row.set(Column::RequestRate, state.frontend_request_rate.per_second(snapshot.now_us));
    row.set(Column::RequestRateMaximum, state.frontend_request_rate.maximum());
    row.set(Column::RequestsTotal, sum(|c| c.frontend_requests.get()));
    row.set(Column::InternalErrors, sum(|c| c.frontend_internal_errors.get()));
    row.set(Column::ConnectionRate, state.frontend_connection_rate.per_second(snapshot.now_us));
    row.set(Column::ConnectionRateMaximum, state.frontend_connection_rate.maximum());
    row.set(Column::ConnectionsTotal, sum(|c| c.frontend_connections.get()));
    if proxy.mode == ProxyMode::Http {
        row.set(Column::Http1xx, sum(|c| c.frontend_http_1xx.get()));
        row.set(Column::Http2xx, sum(|c| c.frontend_http_2xx.get()));
        row.set(Column::Http3xx, sum(|c| c.frontend_http_3xx.get()));
        row.set(Column::Http4xx, sum(|c| c.frontend_http_4xx.get()));
        row.set(Column::Http5xx, sum(|c| c.frontend_http_5xx.get()));
        row.set(Column::HttpOther, sum(|c| c.frontend_http_other.get()));
        row.set(Column::Intercepted, sum(|c| c.frontend_intercepted.get()));
        row.set(Column::CacheLookups, sum(|c| c.frontend_cache_lookups.get()));
        row.set(Column::CacheHits, sum(|c| c.frontend_cache_hits.get()));
        row.set(Column::H1OpenConnections, u64::from(state.frontend_connections.load(Relaxed)));
        row.set(Column::H1TotalConnections, sum(|c| c.frontend_connections.get()));
        row.set(Column::H1TotalStreams, sum(|c| c.frontend_requests.get()));
        row.set(Column::H1BytesIn, sum(|c| c.frontend_bytes_in.get()));
        row.set(Column::H1BytesOut, sum(|c| c.frontend_bytes_out.get()));
    }
    row
}

/// The listener's name: its own, or HAProxy's `sock-N`.
fn listener_name(shared: &Shared, id: ListenerId) -> String {
    let listener = shared.config.listener(id);
    listener.name.clone().unwrap_or_else(|| {
        let siblings = shared.config.proxy(listener.frontend).frontend.as_ref().map(|f| f.listeners.as_slice());
        let position = siblings.unwrap_or_default().iter().position(|sibling| *sibling == id).unwrap_or(0);
        format!("sock-{}", position + 1)
    })
}

/// `addr:port`, or just `unix`.
pub fn listen_address(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Ip { address, .. } => address.to_string(),
        ListenAddress::Unix(_) | ListenAddress::Abstract(_) => "unix".to_string(),
        ListenAddress::Inherited(descriptor) => format!("fd@{descriptor}"),
    }
}

fn listener_row(snapshot: Snapshot, id: ListenerId, selection: &Selection) -> Row {
    let shared = snapshot.shared;
    let (listener, state) = (shared.config.listener(id), shared.listener(id));
    let sum = |counter: fn(&ListenerCounters) -> u64| shared.listener_sum(id, counter);
    let proxy = shared.config.proxy(listener.frontend);
    let mut row = start_row(RowKind::Listener, proxy, &listener_name(shared, id), listener.lid);
    let (connections, limit) = (state.connections.load(Relaxed), state.maxconn.load(Relaxed));
    row.set(Column::SessionsCurrent, connections);
    row.set(Column::SessionsMaximum, state.connections_max.load(Relaxed));
    row.set(Column::SessionsLimit, limit);
    row.set(Column::SessionsTotal, sum(|c| c.sessions.get()));
    row.set(Column::BytesIn, sum(|c| c.bytes_in.get()));
    row.set(Column::BytesOut, sum(|c| c.bytes_out.get()));
    row.set(Column::DeniedRequests, sum(|c| c.denied_requests.get()));
    row.set(Column::DeniedResponses, sum(|c| c.denied_responses.get()));
    row.set(Column::RequestErrors, sum(|c| c.request_errors.get()));
    row.set(Column::DeniedConnections, sum(|c| c.denied_connections.get()));
    row.set(Column::DeniedSessions, sum(|c| c.denied_sessions.get()));
    row.set(Column::InternalErrors, sum(|c| c.internal_errors.get()));
    row.set(Column::Status, if limit != 0 && connections >= limit { "FULL" } else { "OPEN" });
    if selection.details {
        row.set(Column::Address, listen_address(&listener.address));
    }
    row
}
