//! Log targets and compiled log formats (configuration.txt sections 4.2 `log`, 8.2).

use super::model_sample::Expression;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The `log` lines of `global` or of one proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// For a proxy: its own targets with `log global` already replaced by the global ones.
    pub targets: Vec<LogTarget>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    pub address: LogAddress,
    pub format: SyslogFormat,
    /// Syslog facility number (0–23).
    pub facility: u8,
    /// Least severe level sent, 0 (emerg) – 7 (debug). Default 7.
    pub max_level: u8,
    /// Levels more severe than this are lowered to it. Default 0.
    pub min_level: u8,
    /// `len`, default 1024.
    pub length_bytes: u32,
    /// `None`: every line.
    pub sample: Option<LogSample>,
}

/// `sample <ranges>:<size>`: of every `size` lines, those at these places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSample {
    /// Inclusive, from 1, in order and apart.
    pub ranges: Vec<(u32, u32)>,
    pub size: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogAddress {
    Udp(SocketAddr),
    UnixDatagram(PathBuf),
    /// `stdout`, `stderr`, `fd@N`
    Descriptor(i32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogFormat {
    /// No `format` word: as [`SyslogFormat::Local`], with the host name when `log-send-hostname` is set.
    #[default]
    Unspecified,
    /// With the host name, `localhost` without `log-send-hostname`.
    Rfc3164,
    Rfc5424,
    /// rfc3164 without a host name, whatever `log-send-hostname` says.
    Local,
    Short,
    Priority,
    Timed,
    Iso,
    Raw,
}

/// A compiled format: of a log line, or of a text that a rule makes (configuration.txt section 8.2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFormat {
    pub items: Vec<LogItem>,
    /// The source text, for messages.
    pub text: String,
    pub kind: LogFormatKind,
    pub purpose: LogFormatPurpose,
    pub needs: LogFormatNeeds,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormatKind {
    /// No `option tcplog|httplog` and no `log-format`: `Connect from … to …`, written at accept.
    #[default]
    Default,
    Tcp,
    Http,
    Custom,
}

/// What becomes of the text, which decides how samples in it are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormatPurpose {
    /// A log line: control bytes as `#XX`, nothing as `-`, runs of blanks are one.
    #[default]
    LogLine,
    /// Part of a message's head (a header, a URI, a cookie): control bytes as `%XX`, nothing stays nothing.
    Head,
    /// A body, a variable, a name to look up: samples as they are.
    Plain,
}

/// What must be asked for before the format can be written: computed when it is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogFormatNeeds {
    /// There is a `%` tag; without one, expressions and text are all.
    pub tags: bool,
    /// `%fi`, `%fp`: a system call.
    pub frontend_address: bool,
    /// `%bi`, `%bp`: a system call.
    pub source_address: bool,
    /// `%pid`: a system call.
    pub pid: bool,
    /// There is a `%[expression]`.
    pub samples: bool,
}

impl LogFormatNeeds {
    /// What two formats need together.
    pub fn and(self, other: LogFormatNeeds) -> LogFormatNeeds {
        LogFormatNeeds {
            tags: self.tags || other.tags,
            frontend_address: self.frontend_address || other.frontend_address,
            source_address: self.source_address || other.source_address,
            pid: self.pid || other.pid,
            samples: self.samples || other.samples,
        }
    }
}

/// `%{+Q,+X,+E}` before a tag or an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogItemFlags {
    /// `Q`: in double quotes.
    pub quote: bool,
    /// `X`: addresses, ports, counters and timestamps in hexadecimal.
    pub hexadecimal: bool,
    /// `E`: a backslash before `"`, `\\` and `]` (RFC 5424 section 6.3.3).
    pub escape: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogItem {
    Text(String),
    Tag {
        tag: LogTag,
        flags: LogItemFlags,
    },
    /// `%[fetch,converter…]`
    Expression {
        expression: Box<Expression>,
        flags: LogItemFlags,
    },
    /// An unquoted run of blanks is one space in the line.
    Space,
}

/// The `%` tags (section 8.2.6), named as the manual names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[rustfmt::skip]
pub enum LogTag {
    BytesRead /* B */, BytesUploaded /* U */,
    ClientIp /* ci */, ClientPort /* cp */,
    FrontendIp /* fi */, FrontendPort /* fp */,
    BackendSourceIp /* bi */, BackendSourcePort /* bp */,
    ServerIp /* si */, ServerPort /* sp */,
    FrontendName /* f */, FrontendNameTransport /* ft */,
    BackendName /* b */, ServerName /* s */,
    ActiveConnections /* ac */, FrontendConnections /* fc */, BackendConnections /* bc */, ServerConnections /* sc */,
    Retries /* rc */, ServerQueue /* sq */, BackendQueue /* bq */,
    TimeHandshake /* Th */, TimeIdle /* Ti */, TimeRequest /* TR */, TimeClientRequest /* Tq */,
    TimeQueue /* Tw */, TimeConnect /* Tc */, TimeResponse /* Tr */, TimeDownload /* Td */,
    TimeActive /* Ta */, TimeTotal /* Tt */, TimeUser /* Tu */,
    AcceptDate /* t */, AcceptDateGmt /* T */, AcceptDateLocal /* Tl */, AcceptTimestamp /* Ts */, Milliseconds /* ms */,
    RequestDate /* tr */, RequestDateGmt /* trg */, RequestDateLocal /* trl */,
    TerminationState /* ts */, TerminationStateCookie /* tsc */,
    RequestCounter /* rt */, LogCounter /* lc */, Hostname /* H */, Pid /* pid */, UniqueId /* ID */,
    // HTTP ones. HAProxy refuses most of them in a TCP proxy: see `log_format::compile`.
    StatusCode /* ST */, CapturedRequestCookie /* CC */, CapturedResponseCookie /* CS */,
    CapturedRequestHeaders /* hr */, CapturedResponseHeaders /* hs */, RequestLine /* r */,
    CapturedRequestHeaderList /* hrl */, CapturedResponseHeaderList /* hsl */,
    HttpMethod /* HM */, HttpUri /* HU */, HttpPath /* HP */, HttpPathOnly /* HPO */, HttpQuery /* HQ */, HttpVersion /* HV */,
    SslCiphers /* sslc */, SslVersion /* sslv */,
}
