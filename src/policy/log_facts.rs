//! What a format may tell of an HTTP exchange, gathered from where the rest of the program keeps it; and the line of
//! an exchange that is over (configuration.txt sections 8.2 to 8.5).
//!
//! Of an exchange, a line reads: the times (durations of the phases), `started_wall_us` (the first byte; when none
//! came, the moment at which waiting for it began), the request line (empty: it could not be read), status, bytes,
//! the letters, retries, queue positions and captures. Counts are those of the moment: HAProxy writes the line when
//! server and backend have been let go, with `option logasap` before that.

use super::exchange::{Exchange, Scope};
use super::log_format;
use super::log_session::{Captures, Endpoint, HttpFacts, RequestFacts, ServerName, SessionFacts, Times};
use crate::config::model::{LogFormat, LogFormatKind, LogFormatNeeds, Proxy, ProxyMode, ServerAddress};
use std::sync::atomic::{AtomicU32, Ordering};

/// RFC 5424's severities.
pub const LEVEL_ERROR: u8 = 3;
pub const LEVEL_INFO: u8 = 6;
/// [`Exchange::log_level`] from here on: no line.
pub const LEVEL_SILENT: u8 = 8;

/// Whether an exchange has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDecision {
    Skip,
    /// The line is what was appended, at a syslog level of 0 (emerg) to 7 (debug). Its first `structured_bytes` are the
    /// structured data of `log-format-sd`, for targets of format `rfc5424` alone.
    Write {
        level: u8,
        structured_bytes: usize,
    },
}

/// Appends what `format` makes of the exchange: for rules and log lines alike.
pub fn render(format: &LogFormat, scope: &Scope, out: &mut Vec<u8>) {
    render_at(format, scope, false, out);
}

fn render_at(format: &LogFormat, scope: &Scope, as_soon_as_possible: bool, out: &mut Vec<u8>) {
    let needs_facts = format.needs.tags || format.kind == LogFormatKind::Default;
    let mut facts = if needs_facts { facts(scope, format) } else { SessionFacts::default() };
    facts.as_soon_as_possible = as_soon_as_possible;
    log_format::render(format, &facts, Some(scope), out)
}

/// The line of an exchange that is over, or that has its response's head (`option logasap`).
pub fn http_line(scope: &Scope, as_soon_as_possible: bool, out: &mut Vec<u8>) -> LogDecision {
    let shared = &**scope.shared;
    let frontend = scope.client.frontend.unwrap_or(scope.proxy);
    let proxy = shared.config.proxy(frontend);
    let exchange = &*scope.exchange;
    let Some(level) = level(proxy, exchange) else { return LogDecision::Skip };
    // A connection that never made a request, or a broken one, is an error of the connection to HAProxy: only these
    // have the other format, whatever its manual says, and none is written without a format.
    let is_connection_error = exchange.request_line.is_empty();
    let format = match &proxy.error_log_format {
        Some(format) if is_connection_error => format,
        _ => &proxy.log_format,
    };
    if is_connection_error && format.kind == LogFormatKind::Default {
        return LogDecision::Skip;
    }
    let start = out.len();
    if let Some(structured) = &proxy.structured_log_format {
        render_at(structured, scope, as_soon_as_possible, out);
    }
    let structured_bytes = out.len() - start;
    render_at(format, scope, as_soon_as_possible, out);
    if out.len() == start + structured_bytes {
        // Nothing but captures, and none declared: HAProxy writes no empty line.
        return LogDecision::Skip;
    }
    shared.proxy(frontend).log_lines.fetch_add(1, Ordering::Relaxed);
    LogDecision::Write { level, structured_bytes }
}

/// The level of the exchange's line; `None`: it has none.
fn level(proxy: &Proxy, exchange: &Exchange) -> Option<u8> {
    let options = &proxy.options;
    let went_wrong = went_wrong(exchange);
    let is_null = exchange.request_line.is_empty() && exchange.bytes_in == 0;
    if proxy.log.targets.is_empty()
        || is_null && (options.dontlognull || proxy.http.ignore_probes)
        || options.dontlog_normal && !went_wrong
    {
        return None;
    }
    match exchange.log_level {
        Some(level) if level >= LEVEL_SILENT => None,
        Some(level) => Some(level),
        None if options.log_separate_errors && went_wrong => Some(LEVEL_ERROR),
        None => Some(LEVEL_INFO),
    }
}

/// HAProxy's idea of an exchange that went wrong (section 8.3.3): ended by anything but its normal end or an answer
/// made here, a retry, a redispatch, a status of 500 or more.
pub fn went_wrong(exchange: &Exchange) -> bool {
    let by_letter = match exchange.termination[0] {
        b'-' => exchange.retries > 0,
        b'L' => false,
        _ => true,
    };
    by_letter || exchange.is_redispatched || exchange.status >= 500
}

/// Everything that tags may ask. What costs a system call is asked for only when the format has it.
fn facts<'a>(scope: &'a Scope, format: &LogFormat) -> SessionFacts<'a> {
    let LogFormatNeeds { frontend_address, source_address, pid, .. } = format.needs;
    let shared = &**scope.shared;
    let config = &*shared.config;
    let (client, exchange) = (&*scope.client, &*scope.exchange);
    let frontend_id = client.frontend.unwrap_or(scope.proxy);
    let frontend = config.proxy(frontend_id);
    let backend = exchange.backend.map(|id| (config.proxy(id), shared.proxy(id)));
    let server = exchange.server.map(|id| (config.server(id), shared.server(id)));
    let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
    let times = &exchange.times;
    let idle_ms = times.idle_ms.max(0);
    let request_line = &exchange.request_line;
    // A request that could not be read has no captures at all.
    let captures = frontend.frontend.as_ref().map(|half| &half.captures).filter(|_| !request_line.is_empty());
    SessionFacts {
        mode: frontend.mode,
        client: client.source,
        frontend_address: match client.destination {
            Some(address) => address,
            None if frontend_address || format.kind == LogFormatKind::Default => scope.sockets.frontend_address(),
            None => Endpoint::None,
        },
        source_address: if source_address { scope.sockets.source_address() } else { Endpoint::None },
        server_address: match server.and_then(|(server, _)| server.address.as_ref()) {
            Some(ServerAddress::Ip(address)) => Endpoint::Ip(*address),
            Some(_) => Endpoint::Unix,
            None => Endpoint::None,
        },
        listener_id: client.listener.map_or(0, |listener| config.listener(listener).lid),
        // Each exchange of a connection counts from the end of the one before.
        accept_wall_us: match exchange.started_wall_us {
            0 => client.accept_wall_us,
            started => started.saturating_sub(idle_ms.unsigned_abs().saturating_mul(1000)),
        },
        frontend_name: &frontend.name,
        backend_name: backend.map_or(&frontend.name, |(backend, _)| &backend.name),
        server: match server {
            Some((server, _)) => ServerName::Named(&server.name),
            None if exchange.answering_cache().is_some() => ServerName::Cache,
            None if exchange.is_answered_by_stats => ServerName::Stats,
            None => ServerName::None,
        },
        bytes_read: exchange.bytes_out,
        bytes_uploaded: exchange.bytes_in,
        times: Times {
            handshake_ms: 0,
            idle_ms,
            request_ms: times.request_ms,
            queue_ms: times.queue_ms,
            connect_ms: times.connect_ms,
            response_ms: times.response_ms,
            total_ms: idle_ms.saturating_add(times.active_ms.max(0)),
        },
        termination: letters(exchange.termination),
        termination_cookie: Some(letters(exchange.cookie_states)),
        active_connections: count(&shared.process.connections),
        frontend_connections: count(&shared.proxy(frontend_id).frontend_connections),
        backend_connections: backend.map_or(0, |(_, state)| count(&state.backend_connections)),
        server_connections: server.map_or(0, |(_, state)| count(&state.served)),
        retries: exchange.retries,
        redispatched: exchange.is_redispatched,
        server_queue: exchange.server_queue_position,
        backend_queue: exchange.backend_queue_position,
        pid: if pid { std::process::id() } else { 0 },
        log_counter: shared.proxy(frontend_id).log_lines.load(Ordering::Relaxed),
        request_counter: client.sequence,
        hostname: scope.hostname,
        unique_id: exchange.unique_id.as_deref(),
        http: (frontend.mode == ProxyMode::Http).then(|| HttpFacts {
            // A request that got no answer at all.
            status: if exchange.status == 0 && !request_line.is_empty() { -1 } else { exchange.status.into() },
            request: RequestFacts::of_line(request_line, config.global.log_uri_length_max as usize),
            request_captures: captured(captures.map_or(0, |slots| slots.request.len()), &exchange.request_captures),
            response_captures: captured(captures.map_or(0, |slots| slots.response.len()), &exchange.response_captures),
            request_cookie: exchange.captured_request_cookie.as_deref(),
            response_cookie: exchange.captured_response_cookie.as_deref(),
        }),
        ..SessionFacts::default()
    }
}

fn captured(slots: usize, values: &[Option<Vec<u8>>]) -> Captures<'_> {
    Captures { slots, values }
}

/// Letters that were never set are none.
fn letters(written: [u8; 2]) -> [u8; 2] {
    written.map(|letter| if letter == 0 { b'-' } else { letter })
}

#[cfg(test)]
#[path = "log_facts_tests.rs"]
mod tests;
