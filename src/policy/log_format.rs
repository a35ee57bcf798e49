//! One session → one log line, byte for byte as HAProxy writes it (configuration.txt section 8.2).

use super::log_date;
use crate::config::model::{LogFormat, LogFormatKind, LogItem, LogTag, ProxyMode};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// One end of a connection, as the log names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoint {
    Ip(SocketAddr),
    /// A unix socket: printed as `unix`, with the listener's id for a port.
    Unix,
    /// Not connected, or not known: printed as `-`.
    #[default]
    None,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Endpoint::Ip(address)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerName<'a> {
    /// `<NOSRV>`
    #[default]
    None,
    /// `<STATS>`
    Stats,
    Named(&'a str),
}

/// How long each phase took, in milliseconds; -1: not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `%Th`: PROXY header, TLS.
    pub handshake_ms: i64,
    /// `%Ti`: before the first byte of a request. 0 in TCP.
    pub idle_ms: i64,
    /// `%TR`: the request's head. 0 in TCP.
    pub request_ms: i64,
    /// `%Tw`
    pub queue_ms: i64,
    /// `%Tc`
    pub connect_ms: i64,
    /// `%Tr`: HTTP only.
    pub response_ms: i64,
    /// `%Tt`: since accept. Never -1.
    pub total_ms: i64,
}

impl Default for Times {
    fn default() -> Self {
        Times { handshake_ms: 0, idle_ms: 0, request_ms: 0, queue_ms: -1, connect_ms: -1, response_ms: -1, total_ms: 0 }
    }
}

/// All that a log line may tell of one session.
#[derive(Clone, Debug, Default)]
pub struct SessionFacts<'a> {
    pub mode: ProxyMode,
    pub client: Endpoint,
    /// Where the client connected to.
    pub frontend_address: Endpoint,
    /// Where the connection to the server came from.
    pub source_address: Endpoint,
    pub server_address: Endpoint,
    /// [`Listener::lid`](crate::config::model::Listener::lid): a unix client's "port".
    pub listener_id: u32,
    /// The date of accept, microseconds since the Unix epoch.
    pub accept_wall_us: u64,
    pub frontend_name: &'a str,
    /// The frontend's name gets a `~` in `%ft`.
    pub is_tls: bool,
    pub backend_name: &'a str,
    pub server: ServerName<'a>,
    /// From server to client, and the other way.
    pub bytes_read: u64,
    pub bytes_uploaded: u64,
    pub times: Times,
    /// The two letters; `-` for none.
    pub termination: [u8; 2],
    /// The two cookie letters of `%tsc`; `--` in TCP.
    pub termination_cookie: Option<[u8; 2]>,
    /// Connections open when the line is written: process, frontend, backend, server.
    pub active_connections: u32,
    pub frontend_connections: u32,
    pub backend_connections: u32,
    pub server_connections: u32,
    pub retries: u32,
    pub redispatched: bool,
    pub server_queue: u32,
    pub backend_queue: u32,
    /// Written before the end (`option logasap`): totals get a `+`.
    pub as_soon_as_possible: bool,
    pub pid: u32,
    /// `%lc`: lines this frontend has logged before.
    pub log_counter: u64,
    /// `%rt`
    pub request_counter: u64,
    pub hostname: &'a str,
    pub unique_id: Option<&'a str>,
    pub http: Option<HttpFacts<'a>>,
}

/// What HTTP adds. `None` for a request that could not be parsed prints `<BADREQ>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpFacts<'a> {
    /// 0: none was sent.
    pub status: u16,
    pub request: Option<RequestFacts<'a>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFacts<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    /// `HTTP/1.1`
    pub version: &'a [u8],
}

impl<'a> RequestFacts<'a> {
    /// The URI up to its query.
    fn path_with_host(&self) -> &'a [u8] {
        let end = memchr::memchr(b'?', self.uri).unwrap_or(self.uri.len());
        &self.uri[..end]
    }

    /// The path alone, also of an absolute URI (RFC 9112 section 3.2.2); `*` has none.
    fn path(&self) -> &'a [u8] {
        let path = self.path_with_host();
        if path.starts_with(b"/") {
            return path;
        }
        let Some(scheme_end) = memchr::memmem::find(path, b"://") else { return b"" };
        let authority = &path[scheme_end + 3..];
        match memchr::memchr(b'/', authority) {
            Some(slash) => &authority[slash..],
            None => b"/",
        }
    }

    /// From `?` on.
    fn query(&self) -> &'a [u8] {
        let start = memchr::memchr(b'?', self.uri).unwrap_or(self.uri.len());
        &self.uri[start..]
    }
}

/// Appends the line of `facts` to `out`, without an end of line.
pub fn render(format: &LogFormat, facts: &SessionFacts, out: &mut Vec<u8>) {
    if format.kind == LogFormatKind::Default {
        return render_default(facts, out);
    }
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
            LogItem::Tag { tag, quote, hexadecimal, escape } => {
                let mut writer =
                    TagWriter { facts, quote: *quote, hexadecimal: *hexadecimal, escape: *escape, out: &mut *out };
                writer.tag(*tag);
                ends_in_space &= is_capture(*tag);
            }
        }
    }
}

/// Prints nothing while nothing is captured, not even a second space; other tags always stand for something.
fn is_capture(tag: LogTag) -> bool {
    use LogTag::*;
    matches!(
        tag,
        CapturedRequestHeaders | CapturedResponseHeaders | CapturedRequestHeaderList | CapturedResponseHeaderList
    )
}

/// Without a format, a line is written at accept.
fn render_default(facts: &SessionFacts, out: &mut Vec<u8>) {
    let mode = if facts.mode == ProxyMode::Http { "HTTP" } else { "TCP" };
    let name = facts.frontend_name;
    let _ = match (facts.client, facts.frontend_address) {
        (Endpoint::Ip(from), Endpoint::Ip(to)) => write!(
            out,
            "Connect from {}:{} to {}:{} ({name}/{mode})",
            IpText(from.ip()),
            from.port(),
            IpText(to.ip()),
            to.port()
        ),
        (Endpoint::Unix, _) | (_, Endpoint::Unix) => {
            write!(out, "Connect to unix:{} ({name}/{mode})", facts.listener_id)
        }
        _ => write!(out, "Connect from unknown source to listener {} ({name}/{mode})", facts.listener_id),
    };
}

struct TagWriter<'a, 'f> {
    facts: &'a SessionFacts<'f>,
    quote: bool,
    hexadecimal: bool,
    escape: bool,
    out: &'a mut Vec<u8>,
}

impl TagWriter<'_, '_> {
    fn tag(&mut self, tag: LogTag) {
        use LogTag::*;
        let facts = self.facts;
        let times = &facts.times;
        match tag {
            BytesRead => self.early_total(facts.bytes_read),
            // HAProxy marks the uploaded bytes only in lines that have both.
            BytesUploaded => self.number(facts.bytes_uploaded),
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
                self::ServerName::None => b"<NOSRV>",
                self::ServerName::Stats => b"<STATS>",
                self::ServerName::Named(name) => name.as_bytes(),
            }),
            ActiveConnections => self.number(facts.active_connections),
            FrontendConnections => self.number(facts.frontend_connections),
            BackendConnections => self.number(facts.backend_connections),
            ServerConnections => self.number(facts.server_connections),
            Retries => {
                if facts.redispatched {
                    self.out.push(b'+');
                }
                self.number(facts.retries)
            }
            ServerQueue => self.number(facts.server_queue),
            BackendQueue => self.number(facts.backend_queue),
            TimeHandshake => self.number(times.handshake_ms),
            TimeIdle => self.number(times.idle_ms),
            TimeRequest => self.number(times.request_ms),
            TimeClientRequest => self.number(if times.request_ms < 0 {
                -1
            } else {
                times.handshake_ms.max(0) + times.idle_ms.max(0) + times.request_ms
            }),
            TimeQueue => self.number(times.queue_ms),
            TimeConnect => self.number(times.connect_ms),
            TimeResponse => self.number(times.response_ms),
            TimeDownload => self.number(self.download_ms()),
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
            AcceptTimestamp if self.hexadecimal => self.print(format_args!("{:04X}", facts.accept_wall_us / 1_000_000)),
            AcceptTimestamp => self.number(facts.accept_wall_us / 1_000_000),
            Milliseconds => {
                let milliseconds = facts.accept_wall_us / 1000 % 1000;
                if self.hexadecimal {
                    self.print(format_args!("{milliseconds:02X}"))
                } else {
                    self.print(format_args!("{milliseconds:03}"))
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
            StatusCode => self.number(facts.http.map_or(0, |http| http.status)),
            // Cookies and TLS are not read: nothing was captured.
            CapturedRequestCookie | CapturedResponseCookie | SslCiphers | SslVersion => self.text(b""),
            // Nor are headers, and a list of none is nothing at all.
            CapturedRequestHeaders
            | CapturedResponseHeaders
            | CapturedRequestHeaderList
            | CapturedResponseHeaderList => {}
            RequestLine => self.request(|request| [request.method, request.uri, request.version].join(&b' ')),
            HttpMethod => self.request(|request| request.method.to_vec()),
            HttpUri => self.request(|request| request.uri.to_vec()),
            HttpPath => self.request(|request| request.path_with_host().to_vec()),
            HttpPathOnly => self.request(|request| request.path().to_vec()),
            HttpQuery => self.request(|request| request.query().to_vec()),
            HttpVersion => self.request(|request| request.version.to_vec()),
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

    fn number(&mut self, number: impl std::fmt::Display) {
        self.print(format_args!("{number}"));
    }

    /// A total that is not final gets a sign.
    fn early_total(&mut self, number: impl std::fmt::Display) {
        if self.facts.as_soon_as_possible {
            self.out.push(b'+');
        }
        self.number(number);
    }

    fn counter(&mut self, number: u64) {
        if self.hexadecimal { self.print(format_args!("{number:04X}")) } else { self.number(number) }
    }

    fn ip(&mut self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Ip(address) if self.hexadecimal => match address.ip() {
                IpAddr::V4(ip) => self.text(format!("{:08X}", ip.to_bits()).as_bytes()),
                IpAddr::V6(ip) => self.text(format!("{:032X}", ip.to_bits()).as_bytes()),
            },
            Endpoint::Ip(address) => self.text(IpText(address.ip()).to_string().as_bytes()),
            Endpoint::Unix => self.text(b"unix"),
            Endpoint::None => self.text(b""),
        }
    }

    fn port(&mut self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Ip(address) if self.hexadecimal => self.print(format_args!("{:04X}", address.port())),
            Endpoint::Ip(address) => self.number(address.port()),
            Endpoint::Unix => self.number(self.facts.listener_id),
            Endpoint::None => self.text(b""),
        }
    }

    fn date_with_milliseconds(&mut self, wall_us: u64) {
        log_date::local(wall_us, |second| {
            self.print(format_args!("{}.{:03}", second.slashed, wall_us / 1000 % 1000));
        })
    }

    fn date_local(&mut self, wall_us: u64) {
        log_date::local(wall_us, |second| self.print(format_args!("{} {}", second.slashed, second.offset)))
    }

    fn date_utc(&mut self, wall_us: u64) {
        log_date::utc(wall_us, |second| self.print(format_args!("{} +0000", second.slashed)))
    }

    /// A string; nothing is `-`, or `""` with +Q. What is ours (names, addresses) is printed as it is, but for bytes
    /// that would break the line.
    fn text(&mut self, text: &[u8]) {
        if self.quote {
            self.out.push(b'"');
        } else if text.is_empty() {
            self.out.push(b'-');
        }
        for &byte in text {
            match byte {
                b'"' | b'\\' | b']' if self.escape => self.out.extend_from_slice(&[b'\\', byte]),
                0..=31 | 127 => self.print(format_args!("#{byte:02X}")),
                _ => self.out.push(byte),
            }
        }
        if self.quote {
            self.out.push(b'"');
        }
    }

    /// A client's string: bytes outside 32..126, `"` and `#` as `#XX` (section 8.6).
    fn request(&mut self, part: impl FnOnce(&RequestFacts) -> Vec<u8>) {
        let text = match self.facts.http.and_then(|http| http.request) {
            Some(request) => part(&request),
            None => b"<BADREQ>".to_vec(),
        };
        if self.quote {
            self.out.push(b'"');
        }
        for byte in text {
            match byte {
                b'"' | b'\\' | b']' if self.escape => self.out.extend_from_slice(&[b'\\', byte]),
                b'"' | b'#' | 0..=31 | 127.. => self.print(format_args!("#{byte:02X}")),
                _ => self.out.push(byte),
            }
        }
        if self.quote {
            self.out.push(b'"');
        }
    }
}

/// An address as inet_ntop(3) prints it.
struct IpText(IpAddr);

impl std::fmt::Display for IpText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
