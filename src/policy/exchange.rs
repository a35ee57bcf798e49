//! What rules, samples, cookies and logs know and may change of one HTTP exchange, and of the client connection it
//! belongs to. The session fills it as things happen; nothing here does I/O.

use super::log_format::Endpoint;
use crate::config::model::{Config, HttpRule, ListenerId, Location, ProxyId, ServerId, TcpRule};
use crate::proto::http1::message::Message;
use crate::shared::ThreadShared;
use crate::shared::queue::QueuePriority;
use crate::shared::stick_table::Tracked;
use crate::shared::variables::Variables;
use std::cell::RefCell;
use std::time::Duration;

/// One client connection.
#[derive(Debug, Default)]
pub struct Client {
    pub frontend: Option<ProxyId>,
    pub listener: Option<ListenerId>,
    /// As accepted, or as `set-src` changed it.
    pub source: Endpoint,
    /// As `set-dst` and `set-dst-port` changed it; `None`: ask [`Sockets::frontend_address`].
    pub destination: Option<Endpoint>,
    pub accept_wall_us: u64,
    pub accept_monotonic_us: u64,
    /// `%rt` of the present exchange.
    pub sequence: u64,
    /// Exchanges begun on this connection, the present one included.
    pub exchanges: u32,
    /// `expect-proxy`: a header of the PROXY protocol comes first.
    pub expects_proxy_header: bool,
    /// Entries of stick tables that the connection counts on.
    pub tracked: Tracked,
    /// The scope `sess`.
    pub variables: RefCell<Variables>,
}

/// `set-mark` and `set-tos`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketMarks {
    pub mark: Option<u32>,
    pub tos: Option<u8>,
}

/// How long each phase took, in milliseconds; -1: it did not come to its end. See configuration.txt section 8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeTimes {
    pub idle_ms: i64,
    pub request_ms: i64,
    pub queue_ms: i64,
    pub connect_ms: i64,
    pub response_ms: i64,
    /// `%Ta`, without the idle time.
    pub active_ms: i64,
}

impl Default for ExchangeTimes {
    fn default() -> Self {
        ExchangeTimes { idle_ms: 0, request_ms: -1, queue_ms: -1, connect_ms: -1, response_ms: -1, active_ms: 0 }
    }
}

/// What rules changed about time-outs (`http-request set-timeout`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    pub client: Option<Duration>,
    pub server: Option<Duration>,
    pub tunnel: Option<Duration>,
}

/// One rule of the configuration, by its place: cheaper to keep than where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleReference {
    pub proxy: ProxyId,
    pub set: RuleSet,
    pub index: usize,
}

/// The rule sets of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSet {
    TcpConnection,
    TcpSession,
    TcpRequest,
    TcpResponse,
    HttpRequest,
    HttpResponse,
    HttpAfterResponse,
    /// `stats http-request`
    Statistics,
    /// `redirect` lines.
    Redirects,
}

impl RuleReference {
    pub fn location<'config>(self, config: &'config Config) -> Option<&'config Location> {
        let proxy = config.proxies.get(self.proxy.index())?;
        let index = self.index;
        let tcp = |rules: &'config [TcpRule]| rules.get(index).map(|rule| &rule.location);
        let http = |rules: &'config [HttpRule]| rules.get(index).map(|rule| &rule.location);
        match self.set {
            RuleSet::TcpConnection => tcp(&proxy.tcp_rules.connection),
            RuleSet::TcpSession => tcp(&proxy.tcp_rules.session),
            RuleSet::TcpRequest => tcp(&proxy.tcp_rules.request),
            RuleSet::TcpResponse => tcp(&proxy.tcp_rules.response),
            RuleSet::HttpRequest => http(&proxy.rules.request),
            RuleSet::HttpResponse => http(&proxy.rules.response),
            RuleSet::HttpAfterResponse => http(&proxy.rules.after_response),
            RuleSet::Statistics => http(&proxy.rules.statistics),
            RuleSet::Redirects => http(&proxy.rules.redirects),
        }
    }
}

/// One request and its response. Used again for the connection's next one: see [`Exchange::clear`].
#[derive(Debug, Default)]
pub struct Exchange {
    /// As rules have left it; empty until a head was parsed.
    pub request: Message,
    /// Empty until a response's head was parsed or made here.
    pub response: Message,
    /// Method, target and version as they came, for `%r` and its parts: one line without its end.
    pub request_line: Vec<u8>,
    /// What is held of the request's body (decoded), for rules that wait for it.
    pub request_body: Vec<u8>,
    pub is_request_body_complete: bool,
    pub response_body: Vec<u8>,
    pub is_response_body_complete: bool,
    /// The body's length where it is known.
    pub request_content_length: Option<u64>,
    pub response_content_length: Option<u64>,

    pub backend: Option<ProxyId>,
    pub server: Option<ServerId>,
    /// The status sent to the client; 0: none.
    pub status: u16,
    /// The statistics page answered: `<STATS>`.
    pub is_answered_by_stats: bool,
    /// The two letters of `%ts`.
    pub termination: [u8; 2],
    /// The two letters of `%tsc` after those.
    pub cookie_states: [u8; 2],
    pub times: ExchangeTimes,
    /// Wall clock of the request's first byte.
    pub started_wall_us: u64,
    /// To the client and from it, heads included.
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub retries: u32,
    pub is_redispatched: bool,
    pub server_queue_position: u32,
    pub backend_queue_position: u32,
    /// The server's connection had served before (`bc_reused`).
    pub is_server_connection_reused: bool,

    /// A `reqallow` was found: rules of its kind that deny are passed over, in the backend too.
    pub is_allowed_by_old_rules: bool,

    /// What rules want of the client's socket: the session does it and takes the wish away.
    pub socket_marks: SocketMarks,
    /// `set-priority-class`, `set-priority-offset`
    pub queue_priority: QueuePriority,
    /// `set-log-level`; 8 or more: silent.
    pub log_level: Option<u8>,
    pub timeouts: TimeoutOverrides,
    /// `http-request disable-l7-retry`
    pub is_l7_retry_disabled: bool,
    /// What `unique-id-format` made for this request.
    pub unique_id: Option<String>,
    /// `capture request|response header`, by slot.
    pub request_captures: Vec<Option<Vec<u8>>>,
    pub response_captures: Vec<Option<Vec<u8>>>,
    /// `capture cookie`: `name=value` as seen.
    pub captured_request_cookie: Option<Vec<u8>>,
    pub captured_response_cookie: Option<Vec<u8>>,
    /// The last final rule that acted on the exchange (`last_rule_file`, `last_rule_line`).
    pub last_rule: Option<RuleReference>,
    /// Entries of stick tables that this exchange alone counts on.
    pub tracked: Tracked,
    /// The scopes `txn`, `req` and `res`.
    pub transaction_variables: RefCell<Variables>,
    pub request_variables: RefCell<Variables>,
    pub response_variables: RefCell<Variables>,
    pub persistence: super::cookie::Memory,
    /// There once a `cache-use` rule was met.
    pub cache: Option<Box<super::cache::CacheState>>,
    /// What the response may be compressed with.
    pub compression: Option<crate::config::model::CompressionAlgorithm>,
}

impl Exchange {
    /// Makes it ready for the next request; keeps the memory of its texts.
    pub fn clear(&mut self) {
        let request = std::mem::take(&mut self.request);
        let response = std::mem::take(&mut self.response);
        let request_line = std::mem::take(&mut self.request_line);
        *self = Exchange { request, response, request_line, ..Exchange::default() };
        self.request.clear();
        self.response.clear();
        self.request_line.clear();
        (self.termination, self.cookie_states) = (*b"--", *b"--");
    }
}

/// Questions that cost a system call each: asked only by who needs the answer.
pub trait Sockets {
    /// The address the client connected to.
    fn frontend_address(&self) -> Endpoint;
    /// The local address of the server's connection.
    fn source_address(&self) -> Endpoint;
    /// Round trip time and its variance in microseconds, of the client's or the server's connection.
    fn round_trip_us(&self, of_server: bool) -> Option<(u32, u32)>;
}

/// Which message is being worked on: it decides what samples may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Request,
    Response,
    /// When the line is written.
    Log,
}

/// All that one evaluation of rules may see and change.
pub struct Scope<'a> {
    pub shared: &'a ThreadShared,
    pub worker: u16,
    pub monotonic_us: u64,
    pub wall_us: u64,
    pub stage: Stage,
    /// Whose rules these are: `fe_id` and `be_id` come from the client and the exchange.
    pub proxy: ProxyId,
    pub client: &'a mut Client,
    pub exchange: &'a mut Exchange,
    pub sockets: &'a dyn Sockets,
    /// Raw bytes received but not consumed: `req.payload`, `req.len` in TCP content rules; empty in HTTP.
    pub payload: &'a [u8],
    /// No more of them will come.
    pub is_payload_complete: bool,
    pub hostname: &'a str,
}
