//! A compiled format and what is known → text: log lines byte for byte as HAProxy writes them (configuration.txt
//! section 8.2), and the texts that rules make.

use super::exchange::Scope;
use super::log_date;
pub use super::log_session::*;
use super::log_text::{self, CAPTURED, CONTROL, URI, line_text, number, padded};
use super::sample;
use crate::config::model::ProxyMode;
use crate::config::model::{Expression, LogFormat, LogFormatKind, LogFormatPurpose, LogItem, LogItemFlags, LogTag};
use std::io::Write;
use std::net::IpAddr;

/// Appends what `format` makes of `facts`, without an end of line. Samples are asked of `scope`; without one they
/// have no value.
pub fn render(format: &LogFormat, facts: &SessionFacts, scope: Option<&Scope>, out: &mut Vec<u8>) {
    if format.kind == LogFormatKind::Default {
        return render_default(facts, out);
    }
    let is_line = format.purpose == LogFormatPurpose::LogLine;
    let mut ends_in_space = true;
    for item in &format.items {
        match item {
            LogItem::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                ends_in_space = false;
            }
            LogItem::Space => {
                // Captures of nothing do not leave two spaces.
                if !ends_in_space {
                    out.push(b' ');
                    ends_in_space = true;
                }
            }
            LogItem::Tag { tag, flags } => {
                let before = out.len();
                TagWriter { facts, flags: *flags, is_line, out: &mut *out }.tag(*tag);
                ends_in_space &= is_capture(*tag) && out.len() == before;
            }
            LogItem::Expression { expression, flags } => {
                render_expression(format.purpose, expression, *flags, scope, out);
                ends_in_space = false;
            }
        }
    }
}

/// Prints nothing while no capture is declared, not even a second space; other tags always stand for something.
fn is_capture(tag: LogTag) -> bool {
    use LogTag::*;
    matches!(
        tag,
        CapturedRequestHeaders | CapturedResponseHeaders | CapturedRequestHeaderList | CapturedResponseHeaderList
    )
}

fn render_expression(
    purpose: LogFormatPurpose,
    expression: &Expression,
    flags: LogItemFlags,
    scope: Option<&Scope>,
    out: &mut Vec<u8>,
) {
    let mut show = |value: &[u8]| match purpose {
        LogFormatPurpose::LogLine => line_text(value, CONTROL, flags, out),
        // HAProxy quotes none of these.
        LogFormatPurpose::Head => log_text::encode(value, log_text::HEAD, b'%', flags.escape, out),
        LogFormatPurpose::Plain => log_text::plain(value, flags, out),
    };
    match scope.and_then(|scope| sample::fetch_text(expression, scope)) {
        Some(value) => show(&value),
        None => show(b""),
    }
}

/// Without a format, a line is written at accept.
fn render_default(facts: &SessionFacts, out: &mut Vec<u8>) {
    let mode = if facts.mode == ProxyMode::Http { "HTTP" } else { "TCP" };
    let name = facts.frontend_name;
    let _ = match (facts.client, facts.frontend_address) {
        (Endpoint::Ip(from), Endpoint::Ip(to)) => {
            write!(out, "Connect from {}:{} to {}:{} ({name}/{mode})", from.ip(), from.port(), to.ip(), to.port())
        }
        (Endpoint::Unix, _) | (_, Endpoint::Unix) => {
            write!(out, "Connect to unix:{} ({name}/{mode})", facts.listener_id)
        }
        _ => write!(out, "Connect from unknown source to listener {} ({name}/{mode})", facts.listener_id),
    };
}

struct TagWriter<'a, 'f> {
    facts: &'a SessionFacts<'f>,
    flags: LogItemFlags,
    /// A log line: nothing is `-`.
    is_line: bool,
    out: &'a mut Vec<u8>,
}

impl TagWriter<'_, '_> {
    fn tag(&mut self, tag: LogTag) {
        use LogTag::*;
        let facts = self.facts;
        let times = &facts.times;
        match tag {
            BytesRead => self.early_total(facts.bytes_read as i64),
            // HAProxy marks the uploaded bytes only in lines that have both.
            BytesUploaded => number(facts.bytes_uploaded, self.out),
            ClientIp => self.ip(facts.client),
            ClientPort => self.port(facts.client),
            FrontendIp => self.ip(facts.frontend_address),
            FrontendPort => self.port(facts.frontend_address),
            BackendSourceIp => self.ip(facts.source_address),
            BackendSourcePort => self.port(facts.source_address),
            ServerIp => self.ip(facts.server_address),
            ServerPort => self.port(facts.server_address),
            FrontendName => self.text(facts.frontend_name.as_bytes()),
            FrontendNameTransport if facts.is_tls => self.text(format!("{}~", facts.frontend_name).as_bytes()),
            FrontendNameTransport => self.text(facts.frontend_name.as_bytes()),
            BackendName => self.text(facts.backend_name.as_bytes()),
            ServerName => self.text(match facts.server {
                super::log_session::ServerName::None => b"<NOSRV>",
                super::log_session::ServerName::Cache => b"<CACHE>",
                super::log_session::ServerName::Stats => b"<STATS>",
                super::log_session::ServerName::Named(name) => name.as_bytes(),
            }),
            ActiveConnections => number(facts.active_connections, self.out),
            FrontendConnections => number(facts.frontend_connections, self.out),
            BackendConnections => number(facts.backend_connections, self.out),
            ServerConnections => number(facts.server_connections, self.out),
            Retries => {
                if facts.redispatched {
                    self.out.push(b'+');
                }
                number(facts.retries, self.out)
            }
            ServerQueue => number(facts.server_queue, self.out),
            BackendQueue => number(facts.backend_queue, self.out),
            TimeHandshake => number(times.handshake_ms, self.out),
            TimeIdle => number(times.idle_ms, self.out),
            TimeRequest => number(times.request_ms, self.out),
            TimeClientRequest => {
                let total = times.handshake_ms.max(0) + times.idle_ms.max(0) + times.request_ms;
                number(if times.request_ms < 0 { -1 } else { total }, self.out)
            }
            TimeQueue => number(times.queue_ms, self.out),
            TimeConnect => number(times.connect_ms, self.out),
            TimeResponse => number(times.response_ms, self.out),
            TimeDownload => number(self.download_ms(), self.out),
            TimeActive => {
                let before = if times.idle_ms >= 0 { times.idle_ms + times.handshake_ms.max(0) } else { 0 };
                self.early_total(times.total_ms - before)
            }
            TimeTotal => self.early_total(times.total_ms),
            TimeUser => self.early_total(times.total_ms - times.idle_ms.max(0)),
            AcceptDate => self.date_with_milliseconds(facts.accept_wall_us),
            AcceptDateGmt => self.date_utc(facts.accept_wall_us),
            AcceptDateLocal => self.date_local(facts.accept_wall_us),
            RequestDate => self.date_with_milliseconds(self.request_wall_us()),
            RequestDateGmt => self.date_utc(self.request_wall_us()),
            RequestDateLocal => self.date_local(self.request_wall_us()),
            AcceptTimestamp => self.counter(facts.accept_wall_us / 1_000_000),
            Milliseconds => {
                let milliseconds = facts.accept_wall_us / 1000 % 1000;
                if self.flags.hexadecimal {
                    self.print(format_args!("{milliseconds:02X}"))
                } else {
                    padded(milliseconds, 3, self.out)
                }
            }
            TerminationState => self.out.extend_from_slice(&facts.termination),
            TerminationStateCookie => {
                self.out.extend_from_slice(&facts.termination);
                self.out.extend_from_slice(&facts.termination_cookie.unwrap_or(*b"--"));
            }
            RequestCounter => self.counter(facts.request_counter),
            LogCounter => self.counter(facts.log_counter),
            Pid => self.counter(facts.pid.into()),
            Hostname => self.text(facts.hostname.as_bytes()),
            UniqueId => self.text(facts.unique_id.unwrap_or("").as_bytes()),
            StatusCode => number(facts.http.map_or(0, |http| http.status), self.out),
            CapturedRequestCookie => self.text(facts.http.and_then(|http| http.request_cookie).unwrap_or_default()),
            CapturedResponseCookie => self.text(facts.http.and_then(|http| http.response_cookie).unwrap_or_default()),
            // Connections are not encrypted.
            SslCiphers | SslVersion => self.text(b""),
            CapturedRequestHeaders => self.captures(facts.http.map(|http| http.request_captures)),
            CapturedResponseHeaders => self.captures(facts.http.map(|http| http.response_captures)),
            CapturedRequestHeaderList => self.capture_list(facts.http.map(|http| http.request_captures)),
            CapturedResponseHeaderList => self.capture_list(facts.http.map(|http| http.response_captures)),
            RequestLine => self.request(|request| [request.method, request.uri, request.version]),
            HttpMethod => self.request(|request| [request.method, b"", b""]),
            HttpUri => self.request(|request| [request.uri, b"", b""]),
            HttpPath => self.request(|request| [request.path_with_host(), b"", b""]),
            HttpPathOnly => self.request(|request| [request.path(), b"", b""]),
            HttpQuery => self.request(|request| [request.query(), b"", b""]),
            HttpVersion => self.request(|request| [request.version, b"", b""]),
        }
    }

    fn request_wall_us(&self) -> u64 {
        let times = &self.facts.times;
        let before_ms = times.idle_ms.max(0) + times.handshake_ms.max(0);
        self.facts.accept_wall_us.saturating_add_signed(before_ms.saturating_mul(1000))
    }

    /// `%Td`: from the first byte of the answer (HTTP) or from the connection to the server (TCP) to the end.
    fn download_ms(&self) -> i64 {
        let times = &self.facts.times;
        let phases = [times.handshake_ms, times.idle_ms, times.request_ms, times.queue_ms, times.connect_ms];
        let mut before: i64 = phases.iter().map(|&ms| ms.max(0)).sum();
        let last = if self.facts.mode == ProxyMode::Http {
            before += times.response_ms.max(0);
            times.response_ms
        } else {
            times.connect_ms
        };
        if last < 0 { -1 } else { (times.total_ms - before).max(0) }
    }

    fn print(&mut self, arguments: std::fmt::Arguments) {
        let _ = self.out.write_fmt(arguments);
    }

    /// A total that is not final gets a sign.
    fn early_total(&mut self, total: i64) {
        if self.facts.as_soon_as_possible {
            self.out.push(b'+');
        }
        number(total, self.out);
    }

    fn counter(&mut self, count: u64) {
        if self.flags.hexadecimal { self.print(format_args!("{count:04X}")) } else { number(count, self.out) }
    }

    fn ip(&mut self, endpoint: Endpoint) {
        let Endpoint::Ip(address) = endpoint else {
            return self.text(if endpoint == Endpoint::Unix { b"unix" } else { b"" });
        };
        if self.flags.quote {
            self.out.push(b'"');
        }
        match address.ip() {
            IpAddr::V4(ip) if self.flags.hexadecimal => self.print(format_args!("{:08X}", ip.to_bits())),
            IpAddr::V6(ip) if self.flags.hexadecimal => self.print(format_args!("{:032X}", ip.to_bits())),
            IpAddr::V4(ip) => log_text::ipv4(ip, self.out),
            IpAddr::V6(ip) => self.print(format_args!("{ip}")),
        }
        if self.flags.quote {
            self.out.push(b'"');
        }
    }

    fn port(&mut self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Ip(address) => self.counter(address.port().into()),
            Endpoint::Unix => number(self.facts.listener_id, self.out),
            Endpoint::None => self.text(b""),
        }
    }

    fn date_with_milliseconds(&mut self, wall_us: u64) {
        log_date::local(wall_us, |second| self.out.extend_from_slice(second.slashed.as_bytes()));
        self.out.push(b'.');
        padded(wall_us / 1000 % 1000, 3, self.out);
    }

    fn date_local(&mut self, wall_us: u64) {
        log_date::local(wall_us, |second| {
            self.out.extend_from_slice(second.slashed.as_bytes());
            self.out.push(b' ');
            self.out.extend_from_slice(second.offset.as_bytes());
        })
    }

    fn date_utc(&mut self, wall_us: u64) {
        log_date::utc(wall_us, |second| self.out.extend_from_slice(second.slashed.as_bytes()));
        self.out.extend_from_slice(b" +0000");
    }

    /// What is ours (names, addresses), and cookies: printed as it is, but for bytes that would break the line.
    fn text(&mut self, text: &[u8]) {
        if self.is_line || self.flags.quote || !text.is_empty() {
            line_text(text, CONTROL, self.flags, self.out);
        }
    }

    /// `{a||c}`
    fn captures(&mut self, captures: Option<Captures>) {
        let Some(captures) = captures.filter(|captures| captures.slots > 0) else { return };
        self.out.extend_from_slice(if self.flags.quote { b"\"{" } else { b"{" });
        for slot in 0..captures.slots {
            if slot > 0 {
                self.out.push(b'|');
            }
            let value = captures.get(slot).unwrap_or_default();
            log_text::encode(value, CAPTURED, b'#', self.flags.escape, self.out);
        }
        self.out.extend_from_slice(if self.flags.quote { b"}\"" } else { b"}" });
    }

    /// `a - c`, with quotes `"a" "" "c"`
    fn capture_list(&mut self, captures: Option<Captures>) {
        let Some(captures) = captures else { return };
        for slot in 0..captures.slots {
            if slot > 0 {
                self.out.push(b' ');
            }
            line_text(captures.get(slot).unwrap_or_default(), CAPTURED, self.flags, self.out);
        }
    }

    /// Parts of the client's request line, blanks between those that are not empty.
    fn request<'s>(&'s mut self, parts: impl FnOnce(&RequestFacts<'s>) -> [&'s [u8]; 3]) {
        if self.flags.quote {
            self.out.push(b'"');
        }
        match self.facts.http.filter(|http| !http.request.method.is_empty()) {
            None => self.out.extend_from_slice(b"<BADREQ>"),
            Some(http) => {
                for (index, part) in parts(&http.request).into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
                    if index > 0 {
                        self.out.push(b' ');
                    }
                    log_text::encode(part, URI, b'#', self.flags.escape, self.out);
                }
            }
        }
        if self.flags.quote {
            self.out.push(b'"');
        }
    }
}
