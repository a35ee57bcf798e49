//! The configuration as the running program sees it: flat vectors, typed ids, every default filled in, every name
//! resolved. Built once by `config::resolve`, then shared read-only behind an `Arc`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use super::model_acl::*;
pub use super::model_cache::*;
pub use super::model_check::*;
pub use super::model_compression::*;
pub use super::model_converter::*;
pub use super::model_cookie::*;
pub use super::model_forwarding::*;
pub use super::model_http::*;
pub use super::model_log::*;
pub use super::model_old_rules::*;
pub use super::model_patterns::*;
pub use super::model_place::*;
pub use super::model_rules::*;
pub use super::model_sample::*;
pub use super::model_stick_table::*;
pub use super::model_switching::*;
pub use super::model_tcp_rules::*;

/// Index into [`Config::proxies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u32);
/// Index into [`Config::servers`] (servers of all backends, in file order).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u32);
/// Index into [`Config::listeners`] (one per bound address, in file order).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

macro_rules! index_as_usize {
    ($($id:ident),*) => { $(impl $id {
        /// The index as a slice index.
        pub fn index(self) -> usize { self.0 as usize }
    })* };
}
index_as_usize!(ProxyId, ServerId, ListenerId);

/// Everything a configuration says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub global: Global,
    pub proxies: Vec<Proxy>,
    pub servers: Vec<Server>,
    pub listeners: Vec<Listener>,
    pub userlists: Vec<Userlist>,
    /// By [`CacheId`].
    pub caches: Vec<CacheSettings>,
    /// Files of patterns for ACLs and maps, by [`PatternFileId`].
    pub pattern_files: Vec<PatternFile>,
    /// By [`StickTableId`].
    pub stick_tables: Vec<StickTable>,
    /// As `setenv` and its like have left it: what `env()` and `show env` see.
    pub environment: super::environment::Environment,
    /// Proxies with a backend side by their names, for names made at run time.
    pub backends_by_name: std::collections::HashMap<Box<[u8]>, ProxyId>,
}

impl Config {
    pub fn proxy(&self, id: ProxyId) -> &Proxy {
        &self.proxies[id.index()]
    }
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.index()]
    }
    pub fn listener(&self, id: ListenerId) -> &Listener {
        &self.listeners[id.index()]
    }
    /// How many connections may wait to be accepted (configuration.txt, `backlog`: what the frontend serves at most,
    /// when nothing else is said); `None`: nothing says.
    pub fn backlog_of(&self, listener: &Listener) -> Option<u32> {
        let frontend = self.proxy(listener.frontend).frontend.as_ref();
        let of_frontend = frontend.and_then(|frontend| frontend.backlog.or(frontend.maxconn));
        listener.backlog.or(of_frontend).or(self.global.maxconn)
    }
    pub fn proxy_ids(&self) -> impl Iterator<Item = ProxyId> + use<> {
        (0..self.proxies.len() as u32).map(ProxyId)
    }
    /// Finds a proxy with a backend side by its name.
    pub fn backend_named(&self, name: &str) -> Option<ProxyId> {
        self.proxy_ids().find(|id| {
            let proxy = self.proxy(*id);
            proxy.backend.is_some() && proxy.name == name
        })
    }
}

/// The `global` section (configuration.txt section 3).
#[derive(Clone, Debug, Default)]
pub struct Global {
    pub daemon: bool,
    /// `h1-case-adjust` and the names of `h1-case-adjust-file`.
    pub header_spellings: crate::proto::http1::case_map::CaseMap,
    /// `master-worker`, `-W`, `-Ws`.
    pub master_worker: bool,
    /// `nbproc` × `nbthread` as written; `None`: one worker per CPU this process may use.
    pub workers: Option<u32>,
    /// `nbproc` as written (1 when absent), shown on the stats page.
    pub nbproc: u32,
    /// CPU sets from `cpu-map`, by worker number counted from 0. A missing worker gets the default pinning.
    pub cpu_map: BTreeMap<u32, Vec<u32>>,
    pub engine: EngineChoice,
    /// `maxconn`; `None`: computed from the descriptor limit at start.
    pub maxconn: Option<u32>,
    pub maxconnrate: u32,
    pub maxsessrate: u32,
    pub ulimit_n: Option<u64>,
    pub fd_hard_limit: Option<u64>,
    /// `strict-limits` is written: refuse to start with less. Absent, unlike HAProxy since 2.3: start with what there is.
    pub strict_limits: bool,
    pub maxpipes: Option<u32>,
    pub pidfile: Option<PathBuf>,
    pub chroot: Option<PathBuf>,
    pub user: Option<UserOrGroup>,
    pub group: Option<UserOrGroup>,
    pub grace: Option<Duration>,
    pub hard_stop_after: Option<Duration>,
    pub log: LogSettings,
    /// `log-tag`, default `haproxy` (rsyslog rules match on it: operations.md section 4).
    pub log_tag: String,
    /// `log-send-hostname`: `None` = off, `Some("")` = the host's own name.
    pub log_send_hostname: Option<String>,
    pub node: Option<String>,
    pub description: Option<String>,
    /// Percent, `spread-checks`.
    pub spread_checks_percent: u32,
    pub max_spread_checks: Option<Duration>,
    /// `nosplice`, `-dS`.
    pub nosplice: bool,
    /// `tune.bufsize` in bytes, default 16384.
    pub bufsize_bytes: u32,
    /// `tune.pipesize` in bytes, 0 = the engine's own choice.
    pub pipesize_bytes: u32,
    pub rcvbuf_client_bytes: Option<u32>,
    pub sndbuf_client_bytes: Option<u32>,
    pub rcvbuf_server_bytes: Option<u32>,
    pub sndbuf_server_bytes: Option<u32>,
    /// `tune.maxrewrite` in bytes, default 1024: a head may fill `bufsize_bytes` less this. At most half of the buffer.
    pub maxrewrite_bytes: u32,
    /// `tune.http.maxhdr`: lines of a head, the first one included; default 101.
    pub http_header_lines_max: u32,
    /// `tune.comp.maxlevel`, 1 to 9; default 1.
    pub compression_level_max: u32,
    /// `maxzlibmem`: what compressors may hold; `None`: no limit.
    pub compression_memory_max_bytes: Option<u64>,
    /// `tune.http.cookielen`: the longest `capture cookie`, with its end; default 63.
    pub cookie_capture_length_max: u32,
    /// `tune.http.logurilen`: the longest request line in a log, 1023 bytes without it.
    pub log_uri_length_max: u32,
    pub runtime_sockets: Vec<RuntimeSocket>,
    /// `stats timeout`, default 10 s.
    pub stats_timeout: Option<Duration>,
    /// `stats maxconn`, default 10.
    pub stats_maxconn: u32,
    /// `debug` / `-d`: stay in the foreground and trace.
    pub debug: bool,
    /// `quiet` / `-q`.
    pub quiet: bool,
}

/// Which I/O engine runs the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where the kernel allows it, epoll otherwise.
    #[default]
    Automatic,
    IoUring,
    Epoll,
}

/// `user`/`uid`, `group`/`gid`: a name resolved at start, or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserOrGroup {
    Name(String),
    Id(u32),
}

/// A `stats socket` line (management.txt section 9.3).
#[derive(Clone, Debug)]
pub struct RuntimeSocket {
    pub address: ListenAddress,
    pub level: RuntimeLevel,
    pub mode: Option<u32>,
    pub user: Option<UserOrGroup>,
    pub group: Option<UserOrGroup>,
    pub backlog: Option<u32>,
    pub maxconn: Option<u32>,
    pub name: Option<String>,
    pub location: Location,
}

/// What a runtime socket's user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeLevel {
    User,
    #[default]
    Operator,
    Admin,
}

/// Where a thing was written, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    pub file: String,
    /// Counted from 1; 0 = not from a file.
    pub line: u32,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A `listen`, `frontend` or `backend` section with its defaults applied.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub name: String,
    /// The numeric id (`id` keyword, or the next free one from 2 as HAProxy counts them): `iid` in the CSV.
    pub iid: u32,
    pub location: Location,
    pub mode: ProxyMode,
    pub disabled: bool,
    pub description: Option<String>,
    pub log: LogSettings,
    pub log_tag: Option<String>,
    /// `log-format`, `option tcplog`, `option httplog`, or the default format.
    pub log_format: LogFormat,
    /// `error-log-format`: of connections that never made a whole request.
    pub error_log_format: Option<LogFormat>,
    /// `log-format-sd`: before the message, for targets of format rfc5424.
    pub structured_log_format: Option<LogFormat>,
    pub options: ProxyOptions,
    pub splice: SpliceSettings,
    pub http: HttpSettings,
    pub forwarding: Forwarding,
    pub compression: Compression,
    /// `tcp-request`, `tcp-response`
    pub tcp_rules: TcpRules,
    pub rules: HttpRules,
    pub old_rules: OldRules,
    pub timeouts: Timeouts,
    pub client_keepalive: KeepaliveSettings,
    pub server_keepalive: KeepaliveSettings,
    /// `stats …`; present when any `stats` keyword that enables the page applies here.
    pub stats: Option<StatsSettings>,
    /// The accepting half: `frontend` and `listen`.
    pub frontend: Option<Frontend>,
    /// The forwarding half: `backend` and `listen`.
    pub backend: Option<Backend>,
}

impl Proxy {
    pub fn is_listen(&self) -> bool {
        self.frontend.is_some() && self.backend.is_some()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyMode {
    #[default]
    Tcp,
    Http,
    /// `mode health` (1.8): answers `OK` and closes.
    Health,
}

/// `option NAME` switches that are a plain yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyOptions {
    pub abortonclose: bool,
    pub allbackups: bool,
    pub contstats: bool,
    pub dontlognull: bool,
    pub dontlog_normal: bool,
    pub logasap: bool,
    pub log_health_checks: bool,
    pub log_separate_errors: bool,
    pub nolinger: bool,
    /// `option httpclose` and its old twin `forceclose`: an answered HTTP connection is closed.
    pub httpclose: bool,
    /// `None`: the keyword is absent (the kernel's and HAProxy's default for the mode applies).
    pub tcp_smart_accept: Option<bool>,
    pub tcp_smart_connect: bool,
    pub socket_stats: bool,
    pub independent_streams: bool,
    /// `None`: no redispatch. `Some(n)`: as the manual's `option redispatch <interval>`; the bare option is -1.
    pub redispatch_interval: Option<i32>,
}

/// `option splice-*` and `no option splice-*` (configuration.txt section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpliceSettings {
    pub request: SpliceChoice,
    pub response: SpliceChoice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpliceChoice {
    /// No keyword: copy small, splice bulk.
    #[default]
    Adaptive,
    /// `option splice-request|response|auto`: spliced from the first byte.
    Always,
    /// `no option splice-…`: copied always.
    Never,
}

/// `timeout …`; `None` is unlimited, as HAProxy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub client: Option<Duration>,
    pub server: Option<Duration>,
    pub client_fin: Option<Duration>,
    pub server_fin: Option<Duration>,
    pub tunnel: Option<Duration>,
    pub check: Option<Duration>,
    pub queue: Option<Duration>,
    pub http_request: Option<Duration>,
    pub http_keep_alive: Option<Duration>,
    pub tarpit: Option<Duration>,
}

/// `option clitcpka|srvtcpka|tcpka` and their `-cnt -idle -intvl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepaliveSettings {
    pub enabled: bool,
    pub count: Option<u32>,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
}

#[derive(Clone, Debug, Default)]
pub struct Frontend {
    pub listeners: Vec<ListenerId>,
    /// Already capped by the global maxconn; `None`: the global one.
    pub maxconn: Option<u32>,
    pub default_backend: Option<ProxyId>,
    /// `use_backend`, in order.
    pub backend_rules: Vec<BackendRule>,
    /// `rate-limit sessions`, sessions a second; 0 = none.
    pub session_rate_limit: u32,
    pub backlog: Option<u32>,
    pub captures: Captures,
    /// `unique-id-format`
    pub unique_id: Option<LogFormat>,
    pub unique_id_header: Option<String>,
    /// `monitor-net`
    pub monitor_network: Option<Network>,
}

#[derive(Clone, Debug, Default)]
pub struct Backend {
    /// In file order (templates expanded).
    pub servers: Vec<ServerId>,
    pub balance: BalanceAlgorithm,
    pub hash_type: HashType,
    /// `hash-balance-factor`, percent; 0 = off.
    pub hash_balance_factor: u32,
    /// `use-server`, in order.
    pub server_rules: Vec<ServerRule>,
    /// `force-persist`, `ignore-persist`, in order.
    pub persistence_rules: Vec<PersistenceRule>,
    pub retries: u32,
    /// `fullconn`, for `minconn`'s dynamic limit; `None`: 10 % of the maxconns of the frontends that come here.
    pub fullconn: Option<u32>,
    pub check: CheckMethod,
    /// `source` for servers that have none of their own.
    pub source: Option<SourceAddress>,
    pub cookie: Option<CookieSettings>,
    /// `option persist`: a cookie leads to its server even when that is down.
    pub persist_on_down_server: bool,
    /// `persist rdp-cookie`: the cookie's name.
    pub rdp_persistence: Option<String>,
}

/// `balance` (configuration.txt section 4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BalanceAlgorithm {
    #[default]
    RoundRobin,
    StaticRoundRobin,
    LeastConnections,
    First,
    Source,
    /// `random(draws)`, 2 by default.
    Random {
        draws: u32,
    },
    Uri(UriKey),
    /// `url_param <name> [check_post]`
    UrlParameter {
        name: String,
        /// Where the query has no such parameter, the body of a POST is searched: it has to be waited for.
        check_post: bool,
    },
    /// `hdr(<name>) [use_domain_only]`
    Header {
        name: String,
        use_domain_only: bool,
    },
    /// `rdp-cookie(<name>)`, without a name `mstshash`.
    RdpCookie {
        name: String,
    },
    /// `hash <expression>`
    Hash(Expression),
}

impl BalanceAlgorithm {
    /// A hash of the client or of what it asks for chooses; `hash-type` says how.
    pub fn is_hash(&self) -> bool {
        matches!(
            self,
            BalanceAlgorithm::Source
                | BalanceAlgorithm::Uri(_)
                | BalanceAlgorithm::UrlParameter { .. }
                | BalanceAlgorithm::Header { .. }
                | BalanceAlgorithm::RdpCookie { .. }
                | BalanceAlgorithm::Hash(_)
        )
    }

    /// Only a parsed request has what is hashed.
    pub fn needs_http(&self) -> bool {
        matches!(
            self,
            BalanceAlgorithm::Uri(_) | BalanceAlgorithm::UrlParameter { .. } | BalanceAlgorithm::Header { .. }
        )
    }
}

/// What of the URI `balance uri` hashes; without any of them, what is before the question mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UriKey {
    /// The query, too.
    pub whole: bool,
    /// Not the scheme and authority of an absolute URI.
    pub path_only: bool,
    /// At most so many bytes.
    pub length_max: Option<u32>,
    /// At most so many directories.
    pub depth_max: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashType {
    pub method: HashMethod,
    pub function: HashFunction,
    pub modifier: HashModifier,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashMethod {
    #[default]
    MapBased,
    Consistent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    #[default]
    Sdbm,
    Djb2,
    Wt6,
    Crc32,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashModifier {
    #[default]
    None,
    Avalanche,
}

/// A `server` line with `default-server` applied (configuration.txt section 5.2).
#[derive(Clone, Debug)]
pub struct Server {
    pub name: String,
    pub backend: ProxyId,
    /// `sid` in the CSV: the `id` keyword or the next free number from 1 within its backend.
    pub sid: u32,
    pub location: Location,
    /// `None`: the name did not resolve and `init-addr none` (or `last,libc,none`) lets it start without.
    pub address: Option<ServerAddress>,
    /// The host as written, for messages and `show servers state`.
    pub written_host: String,
    /// `port` was written relative (`+N`/`-N`) or left out: add the client's destination port.
    pub port_offset_from_client: Option<i32>,
    /// 0–256.
    pub weight: u32,
    pub backup: bool,
    pub disabled: bool,
    /// 0 = no limit.
    pub maxconn: u32,
    pub minconn: u32,
    /// 0 = no limit.
    pub maxqueue: u32,
    pub slowstart: Option<Duration>,
    pub check: Option<ServerCheck>,
    pub track: Option<ServerId>,
    pub on_marked_down_shutdown_sessions: bool,
    pub on_marked_up_shutdown_backup_sessions: bool,
    pub observe: Observe,
    pub error_limit: u32,
    pub on_error: OnError,
    pub source: Option<SourceAddress>,
    pub tcp_user_timeout: Option<Duration>,
    pub tfo: bool,
    /// `send-proxy`, `send-proxy-v2`
    pub sends_proxy: Option<ProxyVersion>,
    /// `cookie`, or what `cookie … dynamic` made of the address.
    pub cookie: Option<String>,
    pub pool: ServerPool,
}

/// The version of the PROXY protocol that a server is told the client's addresses in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    V1,
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    Ip(SocketAddr),
    /// A unix stream socket path.
    Unix(PathBuf),
    /// An abstract unix socket name.
    Abstract(Vec<u8>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observe {
    #[default]
    None,
    Layer4,
    Layer7,
}

/// `on-error`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    Fastinter,
    #[default]
    FailCheck,
    SuddenDeath,
    MarkDown,
}

/// `source <addr>[:<port>[-<port>]] [interface <name>]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAddress {
    pub address: IpAddr,
    /// Inclusive; `None`: the kernel chooses (IP_BIND_ADDRESS_NO_PORT).
    pub ports: Option<(u16, u16)>,
    pub interface: Option<String>,
    /// `usesrc client|clientip|addr` needs transparent proxying.
    pub use_client: UseSource,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UseSource {
    #[default]
    No,
    /// The client's address and port.
    Client,
    /// The client's address, any port.
    ClientIp,
    Address(SocketAddr),
}

/// One bound address: a `bind` with a port range or several addresses makes several.
#[derive(Clone, Debug)]
pub struct Listener {
    pub frontend: ProxyId,
    pub address: ListenAddress,
    /// As written, for messages.
    pub written: String,
    /// `name`, for the CSV (with `option socket-stats`) and logs; HAProxy's default is `sock-N`.
    pub name: Option<String>,
    /// `id`: `sid` of the listener line in the CSV.
    pub lid: u32,
    pub location: Location,
    pub maxconn: Option<u32>,
    pub backlog: Option<u32>,
    pub interface: Option<String>,
    pub transparent: bool,
    pub tfo: bool,
    /// `accept-proxy`: connections begin with a header of the PROXY protocol.
    pub accepts_proxy: bool,
    pub defer_accept: bool,
    pub mss: Option<u16>,
    pub tcp_user_timeout: Option<Duration>,
    /// Workers (from 0) that accept here; `None`: all.
    pub workers: Option<Vec<u32>>,
    pub mode: Option<u32>,
    pub user: Option<UserOrGroup>,
    pub group: Option<UserOrGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Ip {
        address: SocketAddr,
        /// IPV6_V6ONLY to set; `None` for IPv4.
        v6only: Option<bool>,
    },
    Unix(PathBuf),
    Abstract(Vec<u8>),
    /// An inherited, already listening descriptor.
    Inherited(i32),
}

/// `stats …` (configuration.txt section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsSettings {
    /// Prefix that opens the page, default `/haproxy?stats`.
    pub uri: String,
    pub refresh: Option<Duration>,
    pub realm: String,
    /// (user, password) pairs; empty = no authentication.
    pub auth: Vec<(String, String)>,
    pub hide_version: bool,
    /// `stats admin`: any of them lets change servers from the page. What may see it: [`HttpRules::statistics`].
    pub admin: Vec<Condition>,
    /// `stats scope`: proxy names shown; empty = all. `.` is the proxy itself.
    pub scope: Vec<String>,
    pub show_legends: bool,
    /// `Some("")`: the host name.
    pub show_node: Option<String>,
    /// `Some("")`: the global description.
    pub show_desc: Option<String>,
}
