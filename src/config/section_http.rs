//! How HTTP connections are treated: the connection modes and switches, `http-reuse`, `retry-on` and their kin
//! (configuration.txt section 4.2).

use super::keywords::Modifier;
use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::{parse_integer, parse_u32};
use super::written::*;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("option http-keep-alive", |s, p| connection_mode(s, p, ConnectionMode::KeepAlive)),
    ("option http-server-close", |s, p| connection_mode(s, p, ConnectionMode::ServerClose)),
    ("option httpclose", |s, p| connection_mode(s, p, ConnectionMode::Close)),
    ("option forceclose", |s, p| connection_mode(s, p, ConnectionMode::Close)),
    ("option prefer-last-server", |s, p| switch(s, p, |http| &mut http.prefer_last_server)),
    ("option http-pretend-keepalive", |s, p| switch(s, p, |http| &mut http.pretend_keepalive)),
    ("option http-ignore-probes", |s, p| switch(s, p, |http| &mut http.ignore_probes)),
    ("option http-use-proxy-header", |s, p| switch(s, p, |http| &mut http.use_proxy_header)),
    ("option accept-invalid-http-request", |s, p| switch(s, p, |http| &mut http.accept_invalid_request)),
    ("option accept-invalid-http-response", |s, p| switch(s, p, |http| &mut http.accept_invalid_response)),
    ("option accept-unsafe-violations-in-http-request", |s, p| switch(s, p, |http| &mut http.accept_invalid_request)),
    ("option accept-unsafe-violations-in-http-response", |s, p| switch(s, p, |http| &mut http.accept_invalid_response)),
    ("option http-buffer-request", |s, p| switch(s, p, |http| &mut http.buffer_request)),
    ("option checkcache", |s, p| switch(s, p, |http| &mut http.check_cacheable_cookies)),
    ("option http-restrict-req-hdr-names", odd_header_names),
    ("option h1-case-adjust-bogus-client", |s, p| switch(s, p, |http| &mut http.adjust_case_bogus_client)),
    ("option h1-case-adjust-bogus-server", |s, p| switch(s, p, |http| &mut http.adjust_case_bogus_server)),
    ("http-reuse", reuse),
    ("http-send-name-header", send_name_header),
    ("max-keep-alive-queue", max_keep_alive_queue),
    ("max-session-srv-conns", kept_servers_max),
    ("retry-on", retry_on),
];

/// Headers that frame a message or belong to one connection: a server's name in them would break the request.
const FRAMING_HEADERS: &[&str] =
    &["connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive", "expect"];

/// Remembers that a keyword stands here that only acts in HTTP mode, whose absence is worth a warning.
pub fn note_http(statement: &Statement, proxy: &mut WrittenProxy) {
    if proxy.kind != SectionKind::Defaults && statement.modifier == Modifier::None {
        proxy.own.http.push((statement.keyword.to_owned(), statement.location()));
    }
}

fn switch(statement: &mut Statement, proxy: &mut WrittenProxy, field: fn(&mut HttpSettings) -> &mut bool) {
    if statement.at_most(0) {
        note_http(statement, proxy);
        *field(&mut proxy.settings.http) = statement.modifier == Modifier::None;
    }
}

/// The modes exclude each other: the last one written holds, and `no` only takes back its own.
fn connection_mode(statement: &mut Statement, proxy: &mut WrittenProxy, mode: ConnectionMode) {
    if !statement.at_most(0) {
        return;
    }
    let current = &mut proxy.settings.http.connection_mode;
    if statement.modifier == Modifier::None {
        *current = mode;
    } else if *current == mode {
        *current = ConnectionMode::KeepAlive;
    }
}

/// `option http-restrict-req-hdr-names { preserve | delete | reject }`
fn odd_header_names(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    proxy.settings.http.odd_header_names = match statement.text(0) {
        "preserve" => OddHeaderNames::Preserve,
        "delete" => OddHeaderNames::Delete,
        "reject" => OddHeaderNames::Reject,
        other => {
            let text = format!(
                "'option http-restrict-req-hdr-names' expects 'preserve', 'delete' or 'reject', not '{other}'."
            );
            return statement.error(0, text);
        }
    };
    statement.at_most(1);
}

fn reuse(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    proxy.settings.http.reuse = match statement.text(0) {
        "never" => HttpReuse::Never,
        "safe" => HttpReuse::Safe,
        "aggressive" => HttpReuse::Aggressive,
        "always" => HttpReuse::Always,
        _ => return statement.error(0, "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'."),
    };
    statement.at_most(1);
}

fn send_name_header(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    let Some(name) = statement.required(0, "a header name") else { return };
    if !is_header_name(name) {
        return statement.error(0, format!("'http-send-name-header' : '{name}' is not a header name."));
    }
    if FRAMING_HEADERS.iter().any(|framing| framing.eq_ignore_ascii_case(name)) {
        let text = format!("'http-send-name-header' : a server's name in '{name}' would break every request.");
        return statement.error(0, text);
    }
    proxy.settings.http.send_name_header = Some(name.to_owned());
    statement.at_most(1);
}

/// Whether `name` is a token, as header and cookie names are (RFC 9110 section 5.6.2).
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn max_keep_alive_queue(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    let Some(text) = statement.required(0, "a number of queued connections, or -1 for no limit") else { return };
    let number = parse_integer(text, -1, i32::MAX.into(), "max-keep-alive-queue");
    if let Some(number) = statement.accept(0, number)
        && statement.at_most(1)
    {
        proxy.settings.http.max_keep_alive_queue = u32::try_from(number).ok();
    }
}

/// `max-session-srv-conns <number>`
fn kept_servers_max(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    let Some(text) = statement.required(0, "a number of connections") else { return };
    let number = parse_u32(text, 0, i32::MAX as u32, "max-session-srv-conns");
    if let Some(number) = statement.accept(0, number)
        && statement.at_most(1)
    {
        proxy.settings.http.kept_servers_max = Some(number);
    }
}

/// The statuses that HAProxy 2.6 and 3.4 retry.
const RETRYABLE_STATUSES: &[u16] = &[401, 403, 404, 408, 421, 425, 429, 500, 501, 502, 503, 504];

/// `retry-on <keywords and statuses>`: replaces what was set before.
fn retry_on(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    if statement.required(0, "at least one kind of failure").is_none() {
        return;
    }
    let mut retry = RetryOn::none();
    for index in 0..statement.arguments.len() {
        match statement.text(index) {
            "none" if statement.arguments.len() == 1 => {}
            "none" => return statement.error(index, "'retry-on' : 'none' excludes all other keywords."),
            "conn-failure" => retry.connection_failure = true,
            "empty-response" => retry.empty_response = true,
            "junk-response" => retry.junk_response = true,
            "response-timeout" => retry.response_timeout = true,
            "0rtt-rejected" => retry.zero_rtt_rejected = true,
            "all-retryable-errors" => {
                retry.connection_failure = true;
                retry.empty_response = true;
                retry.junk_response = true;
                retry.response_timeout = true;
                retry.zero_rtt_rejected = true;
                retry.statuses.extend([500, 502, 503, 504]);
            }
            text => match text.parse().ok().filter(|status| RETRYABLE_STATUSES.contains(status)) {
                Some(status) => retry.statuses.push(status),
                None => return statement.error(index, format!("'retry-on' : unknown keyword or status '{text}'.")),
            },
        }
    }
    retry.statuses.sort_unstable();
    retry.statuses.dedup();
    proxy.settings.http.retry_on = retry;
}

#[cfg(test)]
mod tests {
    use super::super::load::load_text;
    use super::*;

    fn http_of(lines: &[&str]) -> HttpSettings {
        let text = format!("backend b\n mode http\n {}\n", lines.join("\n "));
        let loaded = load_text("t.cfg", &text);
        let Some(config) = loaded.config else { panic!("{:#?}", loaded.diagnostics) };
        config.proxies[0].http.clone()
    }

    #[test]
    fn the_last_connection_mode_holds() {
        let mode = |lines: &[&str]| http_of(lines).connection_mode;
        assert_eq!(mode(&[]), ConnectionMode::KeepAlive);
        assert_eq!(mode(&["option httpclose", "option http-server-close"]), ConnectionMode::ServerClose);
        assert_eq!(mode(&["option http-server-close", "option forceclose"]), ConnectionMode::Close);
        assert_eq!(mode(&["option httpclose", "no option http-server-close"]), ConnectionMode::Close);
        assert_eq!(mode(&["option httpclose", "no option httpclose"]), ConnectionMode::KeepAlive);
        assert_eq!(mode(&["option httpclose", "option http-keep-alive"]), ConnectionMode::KeepAlive);
    }

    #[test]
    fn either_side_closes_the_servers_connection_but_only_the_frontend_the_clients() {
        let keep = HttpSettings::default();
        let close = HttpSettings { connection_mode: ConnectionMode::Close, ..HttpSettings::default() };
        let server = HttpSettings { connection_mode: ConnectionMode::ServerClose, ..HttpSettings::default() };
        assert!(HttpSettings::closes_client(&close) && !HttpSettings::closes_client(&server));
        assert!(HttpSettings::closes_server(&keep, &close) && HttpSettings::closes_server(&server, &keep));
        assert!(!HttpSettings::closes_server(&keep, &keep));
    }

    #[test]
    fn retries_are_what_the_last_line_says() {
        assert_eq!(http_of(&[]).retry_on, RetryOn { connection_failure: true, ..RetryOn::none() });
        assert_eq!(http_of(&["retry-on 503", "retry-on none"]).retry_on, RetryOn::none());
        let retry = http_of(&["retry-on 503 empty-response 404 503"]).retry_on;
        assert_eq!(retry, RetryOn { empty_response: true, statuses: vec![404, 503], ..RetryOn::none() });
        assert_eq!(http_of(&["retry-on all-retryable-errors"]).retry_on.statuses, [500, 502, 503, 504]);
        for line in ["retry-on", "retry-on 200", "retry-on none 503", "retry-on foo"] {
            let loaded = load_text("t.cfg", &format!("backend b\n mode http\n {line}\n"));
            assert!(loaded.config.is_none(), "{line}");
        }
    }

    #[test]
    fn numbers_below_zero_lift_limits() {
        assert_eq!(http_of(&[]).max_keep_alive_queue, None);
        assert_eq!(http_of(&["max-keep-alive-queue 0"]).max_keep_alive_queue, Some(0));
        assert_eq!(http_of(&["max-keep-alive-queue 3", "max-keep-alive-queue -1"]).max_keep_alive_queue, None);
    }
}
