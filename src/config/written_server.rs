//! What a `server`, `default-server` or `server-template` line says.

use super::model::*;
use std::time::Duration;

/// One server; templates are expanded already.
#[derive(Clone, Debug)]
pub struct WrittenServer {
    pub name: String,
    pub location: Location,
    pub host: WrittenHost,
    pub port: WrittenPort,
    pub settings: ServerSettings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenHost {
    Ip(std::net::IpAddr),
    /// Resolved at start, in the address family if one was written (`ipv4@`, `ipv6@`).
    Name(String, Option<Family>),
    Unix(std::path::PathBuf),
    Abstract(Vec<u8>),
}

impl WrittenHost {
    /// As written, for messages.
    pub fn text(&self) -> String {
        match self {
            WrittenHost::Ip(address) => address.to_string(),
            WrittenHost::Name(name, _) => name.clone(),
            WrittenHost::Unix(path) => path.display().to_string(),
            WrittenHost::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// The port of a `server` address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenPort {
    /// Left out: the port that the client connected to.
    Absent,
    Fixed(u16),
    /// `+N`/`-N`: the client's destination port, moved.
    Relative(i32),
}

/// The keywords that `default-server` hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    pub id: Option<u32>,
    pub weight: u32,
    pub backup: bool,
    pub disabled: bool,
    pub maxconn: u32,
    pub minconn: u32,
    pub maxqueue: u32,
    pub slowstart: Option<Duration>,
    pub check: bool,
    pub inter: Option<Duration>,
    pub fastinter: Option<Duration>,
    pub downinter: Option<Duration>,
    pub rise: u32,
    pub fall: u32,
    pub check_port: Option<u16>,
    pub check_address: Option<std::net::IpAddr>,
    pub track: Option<String>,
    pub on_marked_down_shutdown_sessions: bool,
    pub on_marked_up_shutdown_backup_sessions: bool,
    pub observe: Observe,
    pub error_limit: u32,
    pub on_error: OnError,
    pub source: Option<SourceAddress>,
    pub tcp_user_timeout: Option<Duration>,
    pub tfo: bool,
    pub send_proxy: bool,
    pub send_proxy_v2: bool,
    pub check_send_proxy: bool,
    pub cookie: Option<String>,
    pub pool: ServerPool,
    /// `init-addr`, in order; empty: `last,libc`.
    pub initial_address: Vec<InitialAddress>,
}

/// A method of `init-addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialAddress {
    /// From a server state file. Until that exists it finds nothing.
    Last,
    Libc,
    None,
    Ip(std::net::IpAddr),
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            id: None,
            weight: 1,
            backup: false,
            disabled: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            slowstart: None,
            check: false,
            inter: None,
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            check_port: None,
            check_address: None,
            track: None,
            on_marked_down_shutdown_sessions: false,
            on_marked_up_shutdown_backup_sessions: false,
            observe: Observe::None,
            error_limit: 10,
            on_error: OnError::FailCheck,
            source: None,
            tcp_user_timeout: None,
            tfo: false,
            send_proxy: false,
            send_proxy_v2: false,
            check_send_proxy: false,
            cookie: None,
            pool: ServerPool::default(),
            initial_address: Vec::new(),
        }
    }
}

impl ServerSettings {
    /// Version 2 where both are asked for, as in HAProxy.
    pub fn proxy_version(&self) -> Option<ProxyVersion> {
        match (self.send_proxy, self.send_proxy_v2) {
            (_, true) => Some(ProxyVersion::V2),
            (true, false) => Some(ProxyVersion::V1),
            (false, false) => None,
        }
    }

    /// Checks do as the traffic does, unless they have a port or an address of their own (5.2 `check-send-proxy`).
    pub fn check_proxy_version(&self) -> Option<ProxyVersion> {
        let goes_elsewhere = self.check_port.is_some() || self.check_address.is_some();
        match (self.check_send_proxy, goes_elsewhere) {
            (true, _) => Some(self.proxy_version().unwrap_or(ProxyVersion::V1)),
            (false, true) => None,
            (false, false) => self.proxy_version(),
        }
    }
}
