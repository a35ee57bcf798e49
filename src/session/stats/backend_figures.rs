//! The lines of servers and backends.

use super::check_numbers::is_finished;
use super::columns::Column;
use super::figures::{Snapshot, set_protocol_zeroes, start_row};
use super::row::{Row, RowKind};
use super::selection::Selection;
use super::server_status::full_name;
use crate::config::model::{
    BalanceAlgorithm, Config, Observe, ProxyId, ProxyMode, Server, ServerAddress, ServerCheck, ServerId,
};
use crate::policy::health::{backend_downtime_ms, server_downtime_ms, status};
use crate::shared::Shared;
use crate::shared::averages::SessionTimes;
use crate::shared::counters::{ProxyCounters, ServerCounters};
use crate::shared::server::{CheckStatus, RunState, ServerState, WEIGHT_SCALE, admin};
use std::sync::atomic::Ordering::Relaxed;

/// The `algo` column.
pub fn algorithm_name(algorithm: &BalanceAlgorithm) -> &'static str {
    match algorithm {
        BalanceAlgorithm::RoundRobin => "roundrobin",
        BalanceAlgorithm::StaticRoundRobin => "static-rr",
        BalanceAlgorithm::LeastConnections => "leastconn",
        BalanceAlgorithm::First => "first",
        BalanceAlgorithm::Source => "source",
        BalanceAlgorithm::Random { .. } => "random",
        BalanceAlgorithm::Uri(_) => "uri",
        BalanceAlgorithm::UrlParameter { .. } => "url_param",
        BalanceAlgorithm::Header { .. } => "hdr",
        BalanceAlgorithm::RdpCookie { .. } => "rdp-cookie",
        BalanceAlgorithm::Hash(_) => "hash",
    }
}

/// `addr:port`, `unix`, or nothing for a server without an address.
pub fn server_address(server: &Server) -> String {
    match &server.address {
        Some(ServerAddress::Ip(address)) => address.to_string(),
        Some(ServerAddress::Unix(_) | ServerAddress::Abstract(_)) => "unix".to_string(),
        None => String::new(),
    }
}

/// Milliseconds as whole seconds.
fn whole_seconds(duration_ms: u64) -> u32 {
    (duration_ms / 1000).min(u64::from(u32::MAX)) as u32
}

fn set_times(row: &mut Row, times: &SessionTimes) {
    row.set(Column::QueueTime, times.queue.mean());
    row.set(Column::ConnectTime, times.connect.mean());
    row.set(Column::ResponseTime, times.response.mean());
    row.set(Column::TotalTime, times.total.mean());
    row.set(Column::QueueTimeMaximum, times.queue.maximum());
    row.set(Column::ConnectTimeMaximum, times.connect.maximum());
    row.set(Column::ResponseTimeMaximum, times.response.maximum());
    row.set(Column::TotalTimeMaximum, times.total.maximum());
}

/// Scaled weight to the one shown: rounded up, so that a server warming up never shows 0.
fn shown_weight(scaled: u32) -> u32 {
    scaled.div_ceil(WEIGHT_SCALE)
}

/// A server's line. `status` is its state in words.
pub fn server_row(snapshot: Snapshot, id: ServerId, status: String, selection: &Selection) -> Row {
    let shared = snapshot.shared;
    let (server, state) = (shared.config.server(id), shared.server(id));
    let proxy = shared.config.proxy(server.backend);
    let sum = |counter: fn(&ServerCounters) -> u64| shared.server_sum(id, counter);
    let mut row = start_row(RowKind::Server, proxy, &server.name, server.sid);
    row.set(Column::QueueCurrent, state.queued.load(Relaxed));
    row.set(Column::QueueMaximum, state.queued_max.load(Relaxed));
    row.set(Column::SessionsCurrent, state.served.load(Relaxed));
    row.set(Column::SessionsMaximum, state.served_max.load(Relaxed));
    if let limit @ 1.. = state.maxconn.load(Relaxed) {
        row.set(Column::SessionsLimit, limit);
    }
    row.set(Column::SessionsTotal, sum(|c| c.sessions.get()));
    row.set(Column::BytesIn, sum(|c| c.bytes_in.get()));
    row.set(Column::BytesOut, sum(|c| c.bytes_out.get()));
    row.set(Column::DeniedResponses, sum(|c| c.denied_responses.get()));
    row.set(Column::ConnectionErrors, sum(|c| c.connection_errors.get()));
    row.set(Column::ResponseErrors, sum(|c| c.response_errors.get()));
    row.set(Column::Retries, sum(|c| c.retries.get()));
    row.set(Column::Redispatches, sum(|c| c.redispatches.get()));
    row.set(Column::Connects, sum(|c| c.connects.get()));
    row.set(Column::Reuses, sum(|c| c.reuses.get()));
    row.set(Column::Status, status);
    row.set(Column::Weight, shown_weight(state.effective_weight.load(Relaxed)));
    row.set(Column::UserWeight, state.user_weight.load(Relaxed));
    row.set(Column::Active, u32::from(!server.backup));
    row.set(Column::Backup, u32::from(server.backup));
    row.set(Column::LastChange, snapshot.seconds_since(state.last_change_us.load(Relaxed)));
    if server.maxqueue > 0 {
        row.set(Column::QueueLimit, server.maxqueue);
    }
    set_throttle(&mut row, state);
    row.set(Column::Selected, sum(|c| c.selected.get()));
    if let Some(tracked) = server.track {
        row.set(Column::Tracked, full_name(shared, tracked));
    }
    row.set(Column::Rate, state.session_rate.per_second(snapshot.now_us));
    row.set(Column::RateMaximum, state.session_rate.maximum());
    if let Some(check) = server.check.as_ref().filter(|_| state.check_enabled.load(Relaxed)) {
        set_check(&mut row, snapshot, id, check);
    }
    if proxy.mode == ProxyMode::Http {
        row.set(Column::Http1xx, sum(|c| c.http_1xx.get()));
        row.set(Column::Http2xx, sum(|c| c.http_2xx.get()));
        row.set(Column::Http3xx, sum(|c| c.http_3xx.get()));
        row.set(Column::Http4xx, sum(|c| c.http_4xx.get()));
        row.set(Column::Http5xx, sum(|c| c.http_5xx.get()));
        row.set(Column::HttpOther, sum(|c| c.http_other.get()));
        row.set(Column::RequestsTotal, sum(|c| c.requests.get()));
    }
    if server.observe != Observe::None {
        row.set(Column::HealthAnalysisFailures, state.health_analysis_failures.load(Relaxed));
    }
    row.set(Column::ClientAborts, sum(|c| c.client_aborts.get()));
    row.set(Column::ServerAborts, sum(|c| c.server_aborts.get()));
    row.set(Column::LastSession, snapshot.seconds_since_wall(state.last_session_wall_s.load(Relaxed)));
    set_times(&mut row, &state.session_times);
    row.set(Column::InternalErrors, sum(|c| c.internal_errors.get()));
    for column in [Column::IdleConnections, Column::IdleUnsafe, Column::IdleSafe] {
        row.set(column, 0u32);
    }
    // No connection is kept for reuse: those in use are those that are needed.
    for column in [Column::ConnectionsUsed, Column::ConnectionsNeeded] {
        row.set(column, state.served.load(Relaxed));
    }
    if selection.details {
        row.set(Column::Address, server_address(server));
        if let Some(cookie) = &server.cookie {
            row.set(Column::Cookie, cookie.as_str());
        }
    }
    row
}

/// Percent of the weight that a server which warms up (`slowstart`) has reached.
fn set_throttle(row: &mut Row, state: &ServerState) {
    let full = state.user_weight.load(Relaxed).saturating_mul(WEIGHT_SCALE);
    if state.run_state() == RunState::Starting && full > 0 && state.admin_state() & admin::DRAIN == 0 {
        let reached = u64::from(state.effective_weight.load(Relaxed)) * 100 / u64::from(full);
        row.set(Column::Throttle, reached.min(100) as u32);
    }
}

/// What checks found. Results are not shown in maintenance, where checks are paused.
fn set_check(row: &mut Row, snapshot: Snapshot, id: ServerId, check: &ServerCheck) {
    let state = snapshot.shared.server(id);
    row.set(Column::CheckFailures, state.check_failures.load(Relaxed));
    row.set(Column::DownTransitions, state.down_transitions.load(Relaxed));
    row.set(Column::Downtime, whole_seconds(server_downtime_ms(snapshot.shared, id, snapshot.now_us)));
    if state.admin_state() & admin::MAINT != 0 {
        return;
    }
    let result = CheckStatus::from_number(state.check_status.load(Relaxed));
    let running = if state.check_in_progress.load(Relaxed) { "* " } else { "" };
    row.set(Column::CheckStatus, format!("{running}{}", status::name(result)));
    if status::has_code(result) {
        row.set(Column::CheckCode, u32::from(state.check_code.load(Relaxed)));
    }
    if is_finished(result) {
        row.set(Column::CheckDuration, state.check_duration_ms.load(Relaxed));
    }
    row.set(Column::LastCheck, state.check_description.lock().map(|text| text.clone()).unwrap_or_default());
    row.set(Column::CheckDescription, status::description(result));
    row.set(Column::CheckRise, check.rise);
    row.set(Column::CheckFall, check.fall);
    row.set(Column::CheckHealth, state.health.load(Relaxed));
}

/// Usable servers of a backend, and the weights that count now: the active ones', or, when none is usable, those of
/// the backups that stand in (the first, or all with `option allbackups`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsableServers {
    pub active: u32,
    pub backup: u32,
    pub weight: u32,
    pub user_weight: u32,
}

pub fn usable_servers(shared: &Shared, id: ProxyId) -> UsableServers {
    let proxy = shared.config.proxy(id);
    let mut counts = UsableServers::default();
    let (mut active, mut backup) = ((0u32, 0u32), (0u32, 0u32));
    for server in proxy.backend.iter().flat_map(|backend| &backend.servers) {
        let state = shared.server(*server);
        if !state.is_usable() {
            continue;
        }
        let is_backup = shared.config.server(*server).backup;
        let (count, weights) =
            if is_backup { (&mut counts.backup, &mut backup) } else { (&mut counts.active, &mut active) };
        if !is_backup || *count == 0 || proxy.options.allbackups {
            weights.0 = weights.0.saturating_add(state.effective_weight.load(Relaxed));
            weights.1 = weights.1.saturating_add(state.user_weight.load(Relaxed));
        }
        *count += 1;
    }
    let (scaled, user_weight) = if counts.active > 0 { active } else { backup };
    UsableServers { weight: shown_weight(scaled), user_weight, ..counts }
}

/// `fullconn`: as written, or a tenth of what the frontends that lead here may bring.
pub fn full_connections(config: &Config, id: ProxyId, process_maxconn: u32) -> u32 {
    let written = config.proxy(id).backend.as_ref().and_then(|backend| backend.fullconn);
    written.unwrap_or_else(|| {
        let leads_here = |(own, proxy): (usize, &crate::config::model::Proxy)| {
            let frontend = proxy.frontend.as_ref()?;
            let chosen = frontend.default_backend.unwrap_or(ProxyId(own as u32));
            (chosen == id).then(|| u64::from(frontend.maxconn.unwrap_or(process_maxconn)))
        };
        let connections: u64 = config.proxies.iter().enumerate().filter_map(leads_here).sum();
        connections.div_ceil(10).clamp(1, u64::from(u32::MAX)) as u32
    })
}

/// A backend's line.
pub fn backend_row(snapshot: Snapshot, id: ProxyId, selection: &Selection) -> Row {
    let shared = snapshot.shared;
    let (proxy, state) = (shared.config.proxy(id), shared.proxy(id));
    let sum = |counter: fn(&ProxyCounters) -> u64| shared.proxy_sum(id, counter);
    let has_servers = proxy.backend.as_ref().is_some_and(|backend| !backend.servers.is_empty());
    let usable = usable_servers(shared, id);
    let is_up = !has_servers || usable.weight > 0;
    let mut row = start_row(RowKind::Backend, proxy, "BACKEND", 0);
    set_protocol_zeroes(&mut row);
    row.set(Column::QueueCurrent, state.queued.load(Relaxed));
    row.set(Column::QueueMaximum, state.queued_max.load(Relaxed));
    row.set(Column::SessionsCurrent, state.backend_connections.load(Relaxed));
    row.set(Column::SessionsMaximum, state.backend_connections_max.load(Relaxed));
    row.set(Column::SessionsLimit, full_connections(&shared.config, id, shared.process.maxconn.load(Relaxed)));
    row.set(Column::SessionsTotal, sum(|c| c.backend_sessions.get()));
    row.set(Column::BytesIn, sum(|c| c.backend_bytes_in.get()));
    row.set(Column::BytesOut, sum(|c| c.backend_bytes_out.get()));
    row.set(Column::DeniedRequests, sum(|c| c.backend_denied_requests.get()));
    row.set(Column::DeniedResponses, sum(|c| c.backend_denied_responses.get()));
    row.set(Column::ConnectionErrors, sum(|c| c.backend_connection_errors.get()));
    row.set(Column::ResponseErrors, sum(|c| c.backend_response_errors.get()));
    row.set(Column::Retries, sum(|c| c.backend_retries.get()));
    row.set(Column::Redispatches, sum(|c| c.backend_redispatches.get()));
    row.set(Column::Status, if is_up { "UP" } else { "DOWN" });
    row.set(Column::Weight, usable.weight);
    row.set(Column::UserWeight, usable.user_weight);
    row.set(Column::Active, usable.active);
    row.set(Column::Backup, usable.backup);
    row.set(Column::DownTransitions, u64::from(state.down_transitions.load(Relaxed)));
    row.set(Column::LastChange, snapshot.seconds_since(state.last_change_us.load(Relaxed)));
    if has_servers {
        row.set(Column::Downtime, whole_seconds(backend_downtime_ms(shared, id, snapshot.now_us)));
    }
    row.set(Column::Selected, sum(|c| c.backend_selected.get()));
    row.set(Column::Rate, state.backend_session_rate.per_second(snapshot.now_us));
    row.set(Column::RateMaximum, state.backend_session_rate.maximum());
    if proxy.mode == ProxyMode::Http {
        row.set(Column::Http1xx, sum(|c| c.backend_http_1xx.get()));
        row.set(Column::Http2xx, sum(|c| c.backend_http_2xx.get()));
        row.set(Column::Http3xx, sum(|c| c.backend_http_3xx.get()));
        row.set(Column::Http4xx, sum(|c| c.backend_http_4xx.get()));
        row.set(Column::Http5xx, sum(|c| c.backend_http_5xx.get()));
        row.set(Column::HttpOther, sum(|c| c.backend_http_other.get()));
        row.set(Column::RequestsTotal, sum(|c| c.backend_requests.get()));
        row.set(Column::CacheLookups, sum(|c| c.backend_cache_lookups.get()));
        row.set(Column::CacheHits, sum(|c| c.backend_cache_hits.get()));
    }
    row.set(Column::ClientAborts, sum(|c| c.backend_client_aborts.get()));
    row.set(Column::ServerAborts, sum(|c| c.backend_server_aborts.get()));
    row.set(Column::LastSession, snapshot.seconds_since_wall(state.last_session_wall_s.load(Relaxed)));
    set_times(&mut row, &state.session_times);
    row.set(Column::Connects, sum(|c| c.backend_connects.get()));
    row.set(Column::Reuses, sum(|c| c.backend_reuses.get()));
    row.set(Column::InternalErrors, sum(|c| c.backend_internal_errors.get()));
    // HAProxy fills these three for its Prometheus exporter only and prints 0 here.
    for column in [Column::AggregatedServerStatus, Column::AggregatedServerCheckStatus, Column::AggregatedCheckStatus] {
        row.set(column, 0u32);
    }
    if let Some(backend) = proxy.backend.as_ref().filter(|_| selection.details) {
        row.set(Column::Algorithm, algorithm_name(&backend.balance));
    }
    row
}
