//! How a proxy treats HTTP connections (configuration.txt section 4.2).

use std::time::Duration;

/// What happens to the two connections after an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionMode {
    /// Both stay open.
    #[default]
    KeepAlive,
    /// `option http-server-close`: the server's is closed.
    ServerClose,
    /// `option httpclose`, `option forceclose`: both are.
    Close,
}

/// `http-reuse`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpReuse {
    Never,
    #[default]
    Safe,
    Aggressive,
    Always,
}

/// `retry-on`: which failures of a request may be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    pub connection_failure: bool,
    pub empty_response: bool,
    pub junk_response: bool,
    pub response_timeout: bool,
    pub zero_rtt_rejected: bool,
    /// Response statuses.
    pub statuses: Vec<u16>,
}

impl Default for RetryOn {
    /// `conn-failure`, as without the keyword.
    fn default() -> Self {
        RetryOn { connection_failure: true, ..RetryOn::none() }
    }
}

impl RetryOn {
    pub fn none() -> Self {
        RetryOn {
            connection_failure: false,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            zero_rtt_rejected: false,
            statuses: Vec::new(),
        }
    }

    /// Whether the whole request has to be kept for a second sending: a failed connection has sent nothing.
    pub fn needs_request(&self) -> bool {
        self.empty_response || self.junk_response || self.response_timeout || !self.statuses.is_empty()
    }
}

/// `option http-restrict-req-hdr-names`: what becomes of headers whose names have other characters than letters, digits
/// and `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OddHeaderNames {
    #[default]
    Preserve,
    Delete,
    /// The whole request is refused.
    Reject,
}

/// `max-keep-alive-queue`, `http-reuse` and the switches of HTTP connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    pub connection_mode: ConnectionMode,
    pub reuse: HttpReuse,
    pub prefer_last_server: bool,
    /// `None`: no limit (-1).
    pub max_keep_alive_queue: Option<u32>,
    /// `max-session-srv-conns`; `None`: 5.
    pub kept_servers_max: Option<u32>,
    pub pretend_keepalive: bool,
    pub ignore_probes: bool,
    pub use_proxy_header: bool,
    pub accept_invalid_request: bool,
    pub accept_invalid_response: bool,
    pub buffer_request: bool,
    /// `option checkcache`
    pub check_cacheable_cookies: bool,
    pub odd_header_names: OddHeaderNames,
    pub adjust_case_bogus_client: bool,
    pub adjust_case_bogus_server: bool,
    /// `http-send-name-header`
    pub send_name_header: Option<String>,
    pub retry_on: RetryOn,
}

impl HttpSettings {
    /// Whether the client's connection is closed after a response. Only the frontend is asked (2.6's manual, `option
    /// httpclose`).
    pub fn closes_client(frontend: &HttpSettings) -> bool {
        frontend.connection_mode == ConnectionMode::Close
    }

    /// Whether the server's connection is closed after a response: frontend or backend say so.
    pub fn closes_server(frontend: &HttpSettings, backend: &HttpSettings) -> bool {
        [frontend, backend].iter().any(|side| side.connection_mode != ConnectionMode::KeepAlive)
    }

    /// `option http-buffer-request`, in either.
    pub fn buffers_request(frontend: &HttpSettings, backend: &HttpSettings) -> bool {
        frontend.buffer_request || backend.buffer_request
    }
}

/// The idle connections a server may keep: `pool-max-conn`, `pool-low-conn`, `pool-purge-delay`, `max-reuse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPool {
    /// `None`: no limit (-1); 0: none are kept.
    pub max_connections: Option<u32>,
    pub low_connections: u32,
    pub purge_delay: Duration,
    /// `None`: no limit (-1).
    pub max_reuse: Option<u32>,
}

impl Default for ServerPool {
    fn default() -> Self {
        ServerPool { max_connections: None, low_connections: 0, purge_delay: Duration::from_secs(5), max_reuse: None }
    }
}
