//! Health checks as configured (configuration.txt sections 4.2 `option …chk`, `tcp-check`, `http-check`; 5.2).

use std::net::SocketAddr;
use std::time::Duration;

/// How a backend's servers are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CheckMethod {
    /// A TCP connection that is accepted.
    #[default]
    Connect,
    /// `option tcp-check` with its rules, in order; empty = as [`CheckMethod::Connect`].
    Tcp(Vec<TcpCheckRule>),
    /// `option httpchk` and `http-check …`.
    Http(HttpCheck),
    /// `option smtpchk`: the command that greets, such as `HELO localhost`.
    Smtp(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpCheckRule {
    pub step: TcpCheckStep,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpCheckStep {
    Connect { port: Option<u16>, address: Option<SocketAddr> },
    Send(Vec<u8>),
    Expect(Expect),
}

/// `tcp-check expect` and `http-check expect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    pub pattern: ExpectPattern,
    /// `!`
    pub negate: bool,
    /// `min-recv`, bytes to wait for before a verdict.
    pub min_receive_bytes: Option<u32>,
    /// `on-success`, `on-error`, `ok-status`, `error-status`, `tout-status` texts where given.
    pub ok_status: Option<String>,
    pub error_status: Option<String>,
    pub timeout_status: Option<String>,
    pub on_success: Option<String>,
    pub on_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectPattern {
    /// A literal in the reply (tcp: anywhere in the stream; http: in the body).
    Text(Vec<u8>),
    /// tcp only: the same, written in hexadecimal (messages do not print it).
    Binary(Vec<u8>),
    /// A regular expression's source.
    Regex(String),
    /// http only: inclusive status ranges.
    Status(Vec<(u16, u16)>),
    /// http only.
    StatusRegex(String),
}

/// The request that an HTTP check sends and what it expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// Default `OPTIONS`.
    pub method: String,
    /// Default `/`.
    pub uri: String,
    /// Default `HTTP/1.0`.
    pub version: String,
    /// Headers in order, without `Content-Length` and `Connection`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// In order; empty = any 2xx or 3xx status.
    pub expect: Vec<Expect>,
    /// `http-check disable-on-404`
    pub disable_on_404: bool,
    /// `http-check send-state`
    pub send_state: bool,
}

/// `check` and its numbers on a `server` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCheck {
    pub inter: Duration,
    pub fastinter: Option<Duration>,
    pub downinter: Option<Duration>,
    pub rise: u32,
    pub fall: u32,
    pub port: Option<u16>,
    pub address: Option<std::net::IpAddr>,
    /// `check-send-proxy`, or what the server's own connections get, unless the check goes elsewhere.
    pub sends_proxy: Option<super::model::ProxyVersion>,
}
