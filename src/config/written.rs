//! What a configuration file says, before names are resolved: one struct per section, with the defaults of its
//! `defaults` section already copied in (HAProxy copies them when a section opens, so a later change of the defaults
//! does not reach back).

use super::model::*;
use super::section_cache::WrittenCache;
use super::section_errors::{HttpErrorsSection, WrittenErrorPages};
use super::section_http_rules::WrittenHttpRules;
use super::section_old_rules::WrittenOldRules;
use super::section_userlist::WrittenUserlist;
use super::written_server::{ServerSettings, WrittenServer};
use std::collections::BTreeMap;

/// All sections of all files, in order.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub global: WrittenGlobal,
    pub proxies: Vec<WrittenProxy>,
    pub userlists: Vec<WrittenUserlist>,
    pub http_errors: Vec<HttpErrorsSection>,
    pub caches: Vec<WrittenCache>,
}

/// The `global` section, as far as it is not the model's already.
#[derive(Clone, Debug, Default)]
pub struct WrittenGlobal {
    pub model: Global,
    pub nbproc: Option<u32>,
    pub nbthread: Option<u32>,
    /// `cpu-map` lines: which workers (from 1; `None` = all), which CPUs, whether one CPU each in turn.
    pub cpu_maps: Vec<CpuMap>,
    pub log_targets: Vec<LogTarget>,
    /// The last `h1-case-adjust-file`.
    pub header_spellings_file: Option<(String, Location)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuMap {
    pub processes: WorkerSet,
    pub threads: WorkerSet,
    pub cpus: Vec<u32>,
    /// `auto:`: the n-th worker of the set gets the n-th CPU.
    pub automatic: bool,
}

/// A set of processes or threads as `bind-process`, `process` and `cpu-map` write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerSet {
    All,
    Odd,
    Even,
    /// Inclusive, from 1.
    Range(u32, u32),
}

impl WorkerSet {
    /// Whether it holds `number`, counted from 1.
    pub fn contains(&self, number: u32) -> bool {
        match self {
            WorkerSet::All => true,
            WorkerSet::Odd => number % 2 == 1,
            WorkerSet::Even => number.is_multiple_of(2),
            WorkerSet::Range(first, last) => (*first..=*last).contains(&number),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    Defaults,
    Listen,
    Frontend,
    Backend,
}

impl SectionKind {
    pub fn name(self) -> &'static str {
        match self {
            SectionKind::Defaults => "defaults",
            SectionKind::Listen => "listen",
            SectionKind::Frontend => "frontend",
            SectionKind::Backend => "backend",
        }
    }
    pub fn accepts_connections(self) -> bool {
        matches!(self, SectionKind::Listen | SectionKind::Frontend)
    }
    pub fn has_servers(self) -> bool {
        matches!(self, SectionKind::Listen | SectionKind::Backend)
    }
}

/// A `defaults`, `listen`, `frontend` or `backend` section.
#[derive(Clone, Debug)]
pub struct WrittenProxy {
    pub kind: SectionKind,
    pub name: String,
    pub location: Location,
    pub id: Option<u32>,
    pub description: Option<String>,
    pub binds: Vec<WrittenBind>,
    pub servers: Vec<WrittenServer>,
    /// The ACLs so far; those of `defaults` are not inherited, only the rules that use them.
    pub acls: super::acl::AclTable,
    pub old_rules: WrittenOldRules,
    /// `use_backend`, `use-server`, `force-persist`, `ignore-persist`.
    pub switching: super::section_switching::WrittenSwitching,
    /// Each section has its own: `defaults` has none.
    pub stick_table: Option<super::section_stick_table::WrittenStickTable>,
    /// What a `defaults` section hands on.
    pub settings: ProxySettings,
    /// Which keywords were written in this very section (not inherited), to detect repetition and to let the
    /// section's own `tcp-check`, `http-check` and `stats` replace the inherited ones.
    pub own: OwnKeywords,
}

#[derive(Clone, Debug, Default)]
pub struct OwnKeywords {
    pub timeouts: Vec<&'static str>,
    pub stats: bool,
    pub tcp_check: bool,
    pub http_check: bool,
    pub http_send: bool,
    /// A `bind` line was there, right or wrong.
    pub bind: bool,
    /// Keywords that only act in HTTP mode, and where they stand.
    pub http: Vec<(String, Location)>,
}

impl WrittenProxy {
    pub fn new(kind: SectionKind, name: &str, location: Location, settings: ProxySettings) -> Self {
        WrittenProxy {
            kind,
            name: name.to_owned(),
            location,
            id: None,
            description: None,
            binds: Vec::new(),
            servers: Vec::new(),
            acls: Default::default(),
            old_rules: WrittenOldRules::default(),
            switching: Default::default(),
            stick_table: None,
            settings,
            own: OwnKeywords::default(),
        }
    }

    /// As messages call it: `listen 'mqtt'`.
    pub fn title(&self) -> String {
        format!("{} '{}'", self.kind.name(), self.name)
    }
}

/// The keywords that a proxy inherits from its defaults.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    pub mode: ProxyMode,
    pub disabled: bool,
    /// `option NAME` (true) and `no option NAME` (false); absent: the built-in default.
    pub options: BTreeMap<&'static str, bool>,
    pub redispatch_interval: i32,
    pub timeouts: Timeouts,
    pub client_keepalive: KeepaliveSettings,
    pub server_keepalive: KeepaliveSettings,
    pub log: Vec<WrittenLog>,
    pub log_tag: Option<String>,
    pub log_format: WrittenLogFormat,
    /// `error-log-format` and `log-format-sd`, with [`LogFormatChoice::Text`].
    pub error_log_format: Option<WrittenLogFormat>,
    pub structured_log_format: Option<WrittenLogFormat>,
    pub maxconn: Option<u32>,
    pub fullconn: Option<u32>,
    pub backlog: Option<u32>,
    pub session_rate_limit: u32,
    pub grace: Option<std::time::Duration>,
    pub workers: Option<Vec<WorkerSet>>,
    pub default_backend: Option<(String, Location)>,
    pub tcp_rules: TcpRules,
    pub balance: BalanceAlgorithm,
    pub hash_type: HashType,
    pub hash_balance_factor: u32,
    pub retries: Option<u32>,
    pub source: Option<SourceAddress>,
    pub http: HttpSettings,
    pub forwarding: Forwarding,
    pub unique_id: Option<LogFormat>,
    pub unique_id_header: Option<String>,
    pub compression: Compression,
    pub filters: Vec<WrittenFilter>,
    pub cookie: Option<CookieSettings>,
    pub dynamic_cookie_key: Option<String>,
    pub persist_on_down_server: bool,
    pub rdp_persistence: Option<(String, Location)>,
    pub captures: Captures,
    pub stats: Option<StatsSettings>,
    pub check_kind: CheckKind,
    pub tcp_check: Vec<TcpCheckRule>,
    /// The comment that rules from here on carry.
    pub tcp_check_comment: Option<String>,
    pub http_check: Option<HttpCheck>,
    /// Empty: the default.
    pub smtp_hello: String,
    pub default_server: ServerSettings,
    pub error_pages: Vec<WrittenErrorPages>,
    pub http_rules: WrittenHttpRules,
    pub monitor_uri: Option<String>,
    pub monitor_network: Option<Network>,
    pub monitor_fail: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckKind {
    #[default]
    Connect,
    Tcp,
    Http,
    Smtp,
}

/// A `filter` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenFilter {
    Cache(String, Location),
    Compression,
}

/// A `log` line of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenLog {
    /// `log global`
    Global(Location),
    Target(LogTarget),
}

/// Which log line a proxy writes; the last of `option tcplog`, `option httplog` and `log-format` wins.
#[derive(Clone, Debug, Default)]
pub struct WrittenLogFormat {
    pub choice: LogFormatChoice,
    pub location: Location,
    /// The source line and the column of the format's text, for the caret.
    pub excerpt: Option<(String, u32)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogFormatChoice {
    #[default]
    Default,
    Tcp {
        clf: bool,
    },
    Http {
        clf: bool,
    },
    Text(String),
}

/// A `bind` line: its addresses, and what holds for each of them.
#[derive(Clone, Debug)]
pub struct WrittenBind {
    pub addresses: Vec<BindAddress>,
    pub location: Location,
    pub settings: BindSettings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    pub address: ListenAddress,
    /// The part of the line that names it.
    pub written: String,
}

#[derive(Clone, Debug, Default)]
pub struct BindSettings {
    pub name: Option<String>,
    pub id: Option<u32>,
    pub maxconn: Option<u32>,
    pub backlog: Option<u32>,
    pub interface: Option<String>,
    pub transparent: bool,
    pub tfo: bool,
    pub accept_proxy: bool,
    pub defer_accept: bool,
    pub mss: Option<u16>,
    pub tcp_user_timeout: Option<std::time::Duration>,
    pub processes: Vec<WorkerSet>,
    pub threads: Vec<WorkerSet>,
    pub mode: Option<u32>,
    pub user: Option<UserOrGroup>,
    pub group: Option<UserOrGroup>,
    pub nice: Option<i32>,
    pub v4v6: bool,
    pub v6only: bool,
    pub level: Option<RuntimeLevel>,
}
