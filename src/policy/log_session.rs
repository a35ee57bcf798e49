//! What a log line may tell of one session or exchange (configuration.txt section 8.2).

use crate::config::model::ProxyMode;
use std::net::SocketAddr;

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
    /// A cache answered.
    Cache,
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

/// What HTTP adds.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpFacts<'a> {
    /// -1: a request was read and nothing sent; 0: no request either.
    pub status: i32,
    /// Empty for a request that could not be read: prints `<BADREQ>`.
    pub request: RequestFacts<'a>,
    /// By slot of `capture request header`; empty when there is none.
    pub request_captures: Captures<'a>,
    pub response_captures: Captures<'a>,
    /// `capture cookie`, as seen by the client and by the server.
    pub request_cookie: Option<&'a [u8]>,
    pub response_cookie: Option<&'a [u8]>,
}

/// The captured headers of one message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Captures<'a> {
    /// How many are declared: a message that never came has none of them.
    pub slots: usize,
    pub values: &'a [Option<Vec<u8>>],
}

impl<'a> Captures<'a> {
    pub fn get(&self, slot: usize) -> Option<&'a [u8]> {
        self.values.get(slot)?.as_deref()
    }
}

/// The parts of a request line.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFacts<'a> {
    pub method: &'a [u8],
    pub uri: &'a [u8],
    /// `HTTP/1.1`; empty when the line is cut before it.
    pub version: &'a [u8],
}

impl<'a> RequestFacts<'a> {
    /// Splits a request line of which no more than `length_bytes` are told.
    pub fn of_line(line: &'a [u8], length_bytes: usize) -> RequestFacts<'a> {
        let line = &line[..line.len().min(length_bytes)];
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let mut next = || parts.next().unwrap_or_default();
        RequestFacts { method: next(), uri: next(), version: next() }
    }

    /// The URI up to its query.
    pub fn path_with_host(&self) -> &'a [u8] {
        let end = memchr::memchr(b'?', self.uri).unwrap_or(self.uri.len());
        &self.uri[..end]
    }

    /// The path alone, also of an absolute URI (RFC 9112 section 3.2.2); `*` has none.
    pub fn path(&self) -> &'a [u8] {
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
    pub fn query(&self) -> &'a [u8] {
        let start = memchr::memchr(b'?', self.uri).unwrap_or(self.uri.len());
        &self.uri[start..]
    }
}
