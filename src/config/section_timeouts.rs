//! `timeout …`, the keep-alive times, and their names before HAProxy 1.3.14.

use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_time, parse_u32};
use super::written::WrittenProxy;
use std::time::Duration;

/// The kernel's MAX_TCP_KEEPCNT (tcp(7) TCP_KEEPCNT).
const KEEPALIVE_COUNT_MAX: u32 = 127;
/// The kernel's MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL; both count whole seconds.
const KEEPALIVE_SECONDS_MAX: u64 = 32_767;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("timeout client", |s, p| timeout(s, p, "client")),
    ("timeout server", |s, p| timeout(s, p, "server")),
    ("timeout connect", |s, p| timeout(s, p, "connect")),
    ("timeout check", |s, p| timeout(s, p, "check")),
    ("timeout queue", |s, p| timeout(s, p, "queue")),
    ("timeout tunnel", |s, p| timeout(s, p, "tunnel")),
    ("timeout client-fin", |s, p| timeout(s, p, "client-fin")),
    ("timeout server-fin", |s, p| timeout(s, p, "server-fin")),
    ("timeout http-request", |s, p| timeout(s, p, "http-request")),
    ("timeout http-keep-alive", |s, p| timeout(s, p, "http-keep-alive")),
    ("timeout tarpit", |s, p| timeout(s, p, "tarpit")),
    ("timeout clitimeout", |s, p| timeout(s, p, "client")),
    ("timeout srvtimeout", |s, p| timeout(s, p, "server")),
    ("timeout contimeout", |s, p| timeout(s, p, "connect")),
    ("clitimeout", |s, p| timeout(s, p, "client")),
    ("srvtimeout", |s, p| timeout(s, p, "server")),
    ("contimeout", |s, p| timeout(s, p, "connect")),
    ("clitcpka-cnt", |s, p| keepalive_count(s, &mut p.settings.client_keepalive.count)),
    ("clitcpka-idle", |s, p| keepalive_time(s, &mut p.settings.client_keepalive.idle)),
    ("clitcpka-intvl", |s, p| keepalive_time(s, &mut p.settings.client_keepalive.interval)),
    ("srvtcpka-cnt", |s, p| keepalive_count(s, &mut p.settings.server_keepalive.count)),
    ("srvtcpka-idle", |s, p| keepalive_time(s, &mut p.settings.server_keepalive.idle)),
    ("srvtcpka-intvl", |s, p| keepalive_time(s, &mut p.settings.server_keepalive.interval)),
];

fn timeout(statement: &mut Statement, proxy: &mut WrittenProxy, name: &'static str) {
    let keyword = statement.keyword;
    let Some(text) = statement.required(0, "a time such as 30s (without a unit: milliseconds)") else { return };
    let time = parse_time(text, DefaultUnit::Milliseconds, keyword);
    let Some(time) = statement.accept(0, time) else { return };
    if statement.arguments.len() > 1 {
        let surplus = statement.text(1);
        return statement
            .error(1, format!("'{keyword}' : unexpected extra argument '{surplus}' after value '{text}'."));
    }
    if proxy.own.timeouts.contains(&name) {
        statement.warning(0, format!("overwriting 'timeout {name}' which was already specified"));
    }
    proxy.own.timeouts.push(name);
    let timeouts = &mut proxy.settings.timeouts;
    let field = match name {
        "client" => &mut timeouts.client,
        "server" => &mut timeouts.server,
        "connect" => &mut timeouts.connect,
        "check" => &mut timeouts.check,
        "queue" => &mut timeouts.queue,
        "tunnel" => &mut timeouts.tunnel,
        "client-fin" => &mut timeouts.client_fin,
        "server-fin" => &mut timeouts.server_fin,
        "http-request" => &mut timeouts.http_request,
        "http-keep-alive" => &mut timeouts.http_keep_alive,
        _ => &mut timeouts.tarpit,
    };
    // 0 is how a file says "no limit".
    *field = (time > Duration::ZERO).then_some(time);
}

fn keepalive_count(statement: &mut Statement, field: &mut Option<u32>) {
    let Some(text) = statement.required(0, "a number of probes") else { return };
    let count = parse_u32(text, 0, i32::MAX as u32, statement.keyword);
    let Some(count) = statement.accept(0, count) else { return };
    if count > KEEPALIVE_COUNT_MAX {
        let keyword = statement.keyword;
        let text = format!("'{keyword}' is at most {KEEPALIVE_COUNT_MAX} for the kernel, and that is what is set.");
        statement.warning(0, text);
    }
    // 0 leaves the kernel's own.
    *field = (count > 0).then_some(count.min(KEEPALIVE_COUNT_MAX));
    statement.at_most(1);
}

fn keepalive_time(statement: &mut Statement, field: &mut Option<Duration>) {
    let Some(text) = statement.required(0, "a time such as 30s (without a unit: seconds)") else { return };
    let time = parse_time(text, DefaultUnit::Seconds, statement.keyword);
    if let Some(time) = statement.accept(0, time) {
        let seconds = time.as_millis().div_ceil(1_000) as u64;
        if seconds > KEEPALIVE_SECONDS_MAX {
            let keyword = statement.keyword;
            let text =
                format!("'{keyword}' is at most {KEEPALIVE_SECONDS_MAX}s for the kernel, and that is what is set.");
            statement.warning(0, text);
        }
        *field = (seconds > 0).then(|| Duration::from_secs(seconds.min(KEEPALIVE_SECONDS_MAX)));
        statement.at_most(1);
    }
}
