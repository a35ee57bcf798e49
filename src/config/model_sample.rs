//! Compiled sample expressions: a fetch, its arguments, and converters (configuration.txt section 7.3).

use super::model_converter::Converter;
use super::model_place::Place;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// One compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As written, for messages.
    pub text: String,
    pub fetch: Fetch,
    pub converters: Vec<Converter>,
    /// What comes out at the end, as far as it is known before.
    pub output: SampleType,
    /// Where the fetch is available: for ACLs, which are written in one place and used in others.
    pub places: Place,
}

/// Two expressions are the same when they are written the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Expression {}

/// The types of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SampleType {
    /// Known only when it is fetched (variables).
    Any,
    Bool,
    Integer,
    /// IPv4 or IPv6.
    Address,
    Ipv4,
    Ipv6,
    Text,
    Binary,
    /// An HTTP method.
    Method,
}

/// A sample that is kept: constants and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Bool(bool),
    Integer(i64),
    Address(IpAddr),
    Text(Arc<[u8]>),
    Binary(Arc<[u8]>),
    Method(Arc<[u8]>),
}

/// Who sees a variable (configuration.txt section 7.3.2, `var`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableScope {
    /// `proc`
    Process,
    /// `sess`
    Session,
    /// `txn`
    Transaction,
    /// `req`
    Request,
    /// `res`
    Response,
}

/// A variable's name; `hash` is [`VariableName::hash_of`] the name, so that a look-up compares numbers first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableName {
    pub scope: VariableScope,
    pub hash: u64,
    /// Without the scope.
    pub name: Arc<str>,
}

impl VariableName {
    pub fn new(scope: VariableScope, name: &str) -> VariableName {
        VariableName { scope, hash: VariableName::hash_of(name), name: name.into() }
    }

    /// FNV-1a, 64 bits.
    pub fn hash_of(name: &str) -> u64 {
        name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}

/// A number in an arithmetic converter: written, or a variable's at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    Number(i64),
    Variable(VariableName),
}

/// A text that is written in place, or a variable's at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextOperand {
    Text(Arc<[u8]>),
    Variable(VariableName),
}

/// A proxy named by an expression; `None`: the one whose rules are run. The names are checked when all sections have
/// been read; the look-up is made once.
#[derive(Debug, Default)]
pub struct ProxyReference {
    pub name: Option<String>,
    pub found: OnceLock<Option<super::model::ProxyId>>,
}

/// A server named `backend/server`, or `server` in the proxy whose rules are run.
#[derive(Debug, Default)]
pub struct ServerReference {
    pub backend: Option<String>,
    pub server: String,
    pub found: OnceLock<Option<super::model::ServerId>>,
}

/// A copy may run in another proxy (rules of `defaults`), where a name means something else.
impl Clone for ProxyReference {
    fn clone(&self) -> Self {
        ProxyReference { name: self.name.clone(), found: OnceLock::new() }
    }
}
impl Clone for ServerReference {
    fn clone(&self) -> Self {
        ServerReference { backend: self.backend.clone(), server: self.server.clone(), found: OnceLock::new() }
    }
}

/// Which of the two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageSide {
    Request,
    Response,
    /// The one that is being worked on (`hdr`, `payload`).
    Current,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// Where a sample comes from.
#[derive(Clone, Debug)]
pub enum Fetch {
    /// `str`, `int`, `always_true` …
    Constant(Value),
    /// `env`: looked up in [`Config::environment`](super::model::Config::environment).
    Environment {
        name: Box<str>,
    },
    Variable {
        name: VariableName,
        default: Option<Value>,
    },
    Process(ProcessFetch),
    Connection(ConnectionFetch),
    Frontend(FrontendFigure, ProxyReference),
    Backend(BackendFigure, ProxyReference),
    Server(ServerFigure, ServerReference),
    Exchange(ExchangeFetch),
    Payload(PayloadFetch),
    Url(UrlPart),
    Message(MessageSide, MessagePart),
    Header(HeaderFetch),
    Cookie(CookieFetch),
    Parameter(ParameterFetch),
    Authorization(AuthorizationFetch),
    /// An entry of a stick table.
    Table(Box<super::model::TableFetch>),
}

/// Of the process and its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessFetch {
    Date {
        offset: i64,
        unit: TimeUnit,
    },
    /// `date_us`: the microseconds within the second.
    DateMicroseconds,
    Hostname,
    /// 0 to `range` - 1.
    Random {
        range: u32,
    },
    Uuid,
    Thread,
    Stopping,
}

/// Of the client's and the server's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFetch {
    Source,
    SourcePort,
    Destination,
    DestinationPort,
    /// `dst_conn`: connections of the listener.
    ListenerConnections,
    ListenerId,
    ListenerName,
    FrontendHttpMajor,
    BackendHttpMajor,
    /// `bc_dst`, `bc_src`: the two ends of the server's connection.
    ServerDestination,
    ServerDestinationPort,
    ServerSource,
    ServerSourcePort,
    /// `bc_reused`
    IsReused,
    RoundTrip {
        of_server: bool,
        variance: bool,
        unit: TimeUnit,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontendFigure {
    Connections,
    RequestRate,
    SessionRate,
    Id,
    Name,
    DefaultBackend,
    ClientTimeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendFigure {
    AverageQueue,
    Connections,
    FreeConnections,
    SessionRate,
    ConnectionSlots,
    UsableServers,
    Queue,
    Id,
    Name,
    ServerTimeout,
    TunnelTimeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFigure {
    Connections,
    FreeConnections,
    IsUp,
    Queue,
    SessionRate,
    InitialWeight,
    UserWeight,
    Weight,
}

/// Of the exchange that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFetch {
    ServerId,
    ServerName,
    IsFirstRequest,
    UniqueId,
    LastRuleFile,
    LastRuleLine,
    CurrentClientTimeout,
    CurrentServerTimeout,
    CurrentTunnelTimeout,
    CapturedRequestHeader(usize),
    CapturedResponseHeader(usize),
    CapturedMethod,
    CapturedUri,
    CapturedRequestVersion,
    CapturedResponseVersion,
    /// `res.cache_hit`
    IsCacheHit,
    /// `res.cache_name`
    CacheName,
}

/// Of bytes that nobody has consumed (configuration.txt section 7.3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadFetch {
    /// `wait_end`
    WaitEnd,
    /// `req.proto_http`
    IsHttp,
    Length(MessageSide),
    Bytes {
        side: MessageSide,
        offset: u64,
        length: u64,
    },
    LengthValue {
        side: MessageSide,
        length_at: u64,
        length_bytes: u64,
        value: ValueAt,
    },
    RdpCookie {
        name: Option<Box<[u8]>>,
        count: bool,
    },
    TlsHelloType(MessageSide),
    TlsVersion,
    TlsServerName,
    TlsAlpn,
    TlsHasEllipticCurves,
    TlsSessionTicket,
}

/// Where the value of `payload_lv` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueAt {
    /// This many bytes after the length (before it, when negative).
    Behind(i64),
    Offset(u64),
}

/// Of the request's target, and of its host (configuration.txt section 7.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlPart {
    Url,
    Path,
    PathAndQuery,
    Query,
    Base,
    BaseAndQuery,
    Base32,
    Base32AndSource,
    Url32,
    Url32AndSource,
    Address,
    Port,
}

/// Of one message as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagePart {
    Method,
    Status,
    /// `1.1`
    Version,
    HeaderNames {
        delimiter: u8,
    },
    Headers,
    HeadersBinary,
    Body,
    BodyLength,
    BodySize,
}

/// What is asked of a header or a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Text,
    Count,
    Address,
    Integer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFetch {
    pub side: MessageSide,
    /// `None`: any.
    pub name: Option<Box<[u8]>>,
    /// Counted from 1, or from the end with -1; 0: the last, and in ACLs each.
    pub occurrence: i64,
    /// `fhdr`: commas separate nothing.
    pub is_whole_line: bool,
    pub asked: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieFetch {
    pub side: MessageSide,
    pub name: Option<Box<[u8]>>,
    pub asked: Asked,
}

/// `urlp`, `req.body_param`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterFetch {
    pub is_in_body: bool,
    pub name: Option<Box<[u8]>>,
    /// What starts the parameters, and separates them beside `&` and `;`.
    pub delimiter: u8,
    pub is_integer: bool,
}

/// Of the Authorization header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizationFetch {
    /// `http_auth(userlist)`
    IsValid {
        userlist: String,
    },
    /// `http_auth_group(userlist)`: the user's name when the password is right.
    ValidUser {
        userlist: String,
    },
    User,
    Password,
    Type,
    /// `http_auth_bearer`
    Bearer {
        header: Option<Box<[u8]>>,
    },
}
