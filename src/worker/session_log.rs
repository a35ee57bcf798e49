//! What the log says of a session, and of what happens to servers and listeners.

use super::Core;
use crate::config::model::{ListenerId, LogFormatKind};
use crate::io::Driver;
use crate::policy::exchange::{Scope, Sockets, Stage};
use crate::policy::log_date;
use crate::policy::log_format::{self, Captures, Endpoint, HttpFacts};
use crate::policy::state_log::StateLog;
use crate::session::tcp::{Accepted, TcpSession};
use std::sync::atomic::Ordering;

const LEVEL_ERROR: u8 = 3;
const LEVEL_INFO: u8 = 6;
/// From here on: no line (`set-log-level silent`).
const LEVEL_SILENT: u8 = 8;

/// A server's or backend's change of state, to the log targets of its proxy.
pub(super) fn write_state<D: Driver>(core: &mut Core<D>, log: &StateLog) {
    let config = core.shared.config.clone();
    let Some(proxy) = config.proxies.get(log.proxy.index()) else { return };
    let tag = proxy.log_tag.as_deref().unwrap_or(&config.global.log_tag);
    let wall_us = core.driver.now().wall_us;
    core.log.send(&proxy.log.targets, tag, log.level, log.text.as_bytes(), wall_us);
}

/// Descriptors, memory or buffers have run out: accepting rests.
pub(super) fn write_shortage<D: Driver>(core: &mut Core<D>, listener: ListenerId, errno: i32) {
    let config = core.shared.config.clone();
    let proxy = config.listener(listener).frontend;
    let text = format!(
        "Proxy {} cannot accept connections for now: {}; accepting goes on as connections end.",
        config.proxy(proxy).name,
        std::io::Error::from_raw_os_error(errno)
    );
    write_state(core, &StateLog { proxy, level: 1, text });
}

/// A paused listener cannot listen again.
pub(super) fn write_resume_failure<D: Driver>(core: &mut Core<D>, listener: ListenerId, error: &std::io::Error) {
    let config = core.shared.config.clone();
    let listener = config.listener(listener);
    let name = &config.proxy(listener.frontend).name;
    let text = format!("Cannot resume frontend {name} on [{}]: {error}; it is paused again.", listener.written);
    write_state(core, &StateLog { proxy: listener.frontend, level: 1, text });
}

/// A connection that was no session yet when it ended (`error-log-format` has no part in it: there is nothing to tell).
pub(super) fn write_handshake_failure<D: Driver>(core: &mut Core<D>, accepted: &Accepted, why: &str) {
    let config = core.shared.config.clone();
    let (proxy, listener) = (config.proxy(accepted.frontend), config.listener(accepted.listener));
    let name = listener.name.clone().unwrap_or_else(|| listener.lid.to_string());
    let client = match accepted.address.endpoint() {
        Endpoint::Ip(address) => format!("{}:{}", address.ip(), address.port()),
        _ => "unix".to_owned(),
    };
    let milliseconds = accepted.wall_us / 1000 % 1000;
    let date = log_date::local(accepted.wall_us, |second| format!("{}.{milliseconds:03}", second.slashed));
    let text = format!("{client} [{date}] {}/{name}: {why}", proxy.name);
    let level = if proxy.options.log_separate_errors { LEVEL_ERROR } else { LEVEL_INFO };
    write_state(core, &StateLog { proxy: accepted.frontend, level, text });
}

/// A new connection, where the frontend has no format of its own: HAProxy's default line is written at accept.
pub(super) fn write_accepted<D: Driver>(core: &mut Core<D>, session: &mut TcpSession) {
    let proxy = core.shared.config.proxy(session.frontend());
    if proxy.log_format.kind == LogFormatKind::Default && !proxy.log.targets.is_empty() {
        write_facts(core, session, LEVEL_INFO);
    }
}

/// A TCP session, when its line is due (at the end, or with `option logasap` when it is connected).
pub(super) fn write_tcp<D: Driver>(core: &mut Core<D>, session: &mut TcpSession) {
    let config = core.shared.config.clone();
    let proxy = config.proxy(session.frontend());
    if proxy.log.targets.is_empty() || proxy.log_format.kind == LogFormatKind::Default || !session.log_is_due(&config) {
        return;
    }
    let options = &proxy.options;
    if options.dontlognull && session.is_null() || options.dontlog_normal && !session.went_wrong() {
        return;
    }
    let level = if options.log_separate_errors && session.went_wrong() { LEVEL_ERROR } else { LEVEL_INFO };
    let level = session.log_level().unwrap_or(level);
    if level < LEVEL_SILENT {
        write_facts(core, session, level);
    }
}

/// Of a TCP session: what was asked of its sockets beforehand.
struct KnownAddresses {
    frontend: Endpoint,
    source: Endpoint,
}

impl Sockets for KnownAddresses {
    fn frontend_address(&self) -> Endpoint {
        self.frontend
    }
    fn source_address(&self) -> Endpoint {
        self.source
    }
    fn round_trip_us(&self, _of_server: bool) -> Option<(u32, u32)> {
        None
    }
}

fn write_facts<D: Driver>(core: &mut Core<D>, session: &mut TcpSession, level: u8) {
    let shared = core.shared.clone();
    let frontend = session.frontend();
    let proxy = shared.config.proxy(frontend);
    let now = core.driver.now();
    let mut needs = proxy.log_format.needs;
    needs.frontend_address |= proxy.log_format.kind == LogFormatKind::Default;
    if let Some(structured) = &proxy.structured_log_format {
        needs = needs.and(structured.needs);
    }
    if needs.samples {
        (needs.frontend_address, needs.source_address) = (true, true);
    }
    let mut facts = session.facts(&core.driver, &shared, needs, now.monotonic_us);
    facts.log_counter = shared.proxy(frontend).log_lines.fetch_add(1, Ordering::Relaxed);
    (facts.pid, facts.hostname) = (core.pid, &core.hostname);
    // What rules have kept of the session: variables and captures.
    let (mut client, mut exchange) = session.inspected();
    let captured = std::mem::take(&mut exchange.request_captures);
    if !captured.is_empty() {
        let slots = proxy.frontend.as_ref().map_or(0, |half| half.captures.request.len());
        let request_captures = Captures { slots, values: &captured };
        facts.http = Some(HttpFacts { request_captures, ..HttpFacts::default() });
    }
    let mut line = Vec::with_capacity(256);
    let mut write = |scope: Option<&Scope>| {
        if let Some(structured) = &proxy.structured_log_format {
            log_format::render(structured, &facts, scope, &mut line);
        }
        let structured_bytes = line.len();
        log_format::render(&proxy.log_format, &facts, scope, &mut line);
        structured_bytes
    };
    let structured_bytes = if needs.samples {
        (client.frontend, client.listener, client.source) = (Some(frontend), Some(session.listener()), facts.client);
        (client.accept_wall_us, client.sequence) = (facts.accept_wall_us, facts.request_counter);
        (exchange.backend, exchange.server) = (session.backend(), session.chosen_server());
        (exchange.bytes_in, exchange.bytes_out) = (facts.bytes_uploaded, facts.bytes_read);
        exchange.request_captures = captured.clone();
        write(Some(&Scope {
            shared: &core.shared,
            worker: core.number,
            monotonic_us: now.monotonic_us,
            wall_us: now.wall_us,
            stage: Stage::Log,
            proxy: frontend,
            client: &mut client,
            exchange: &mut exchange,
            sockets: &KnownAddresses { frontend: facts.frontend_address, source: facts.source_address },
            payload: &[],
            is_payload_complete: true,
            hostname: &core.hostname,
        }))
    } else {
        write(None)
    };
    session.keep_tracked(client, exchange);
    let (structured, text) = line.split_at(structured_bytes);
    let tag = proxy.log_tag.as_deref().unwrap_or(&shared.config.global.log_tag);
    core.log.send_structured(&proxy.log.targets, tag, level, structured, text, now.wall_us);
}

/// The lines of the HTTP exchanges that ended since the last time.
pub(super) fn write_http<D: Driver>(core: &mut Core<D>) {
    if core.http.lines.is_empty() {
        return;
    }
    let (shared, wall_us) = (core.shared.clone(), core.driver.now().wall_us);
    for line in std::mem::take(&mut core.http.lines) {
        let proxy = shared.config.proxy(line.frontend);
        let tag = proxy.log_tag.as_deref().unwrap_or(&shared.config.global.log_tag);
        let (structured, text) = line.text.split_at(line.structured_bytes.min(line.text.len()));
        core.log.send_structured(&proxy.log.targets, tag, line.level, structured, text, wall_us);
    }
}
