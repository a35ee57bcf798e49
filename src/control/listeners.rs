//! Binds what the `bind` lines and `stats socket` lines say.

use super::privileges::{group_id, user_id};
use crate::config::model::{
    Config, KeepaliveSettings, ListenAddress, Listener, ListenerId, RuntimeSocket, UserOrGroup,
};
use crate::io::{Socket, SocketOption};
use crate::sys::listener::{self, ListenKeepalive, ListenSpec, UnixPermissions};
use crate::sys::socket::set_option;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A listener that could not be bound.
#[derive(Debug)]
pub struct BindFailure {
    pub listener: ListenerId,
    pub error: io::Error,
}

impl BindFailure {
    /// HAProxy's line about it.
    pub fn message(&self, config: &Config) -> String {
        let listener = config.listener(self.listener);
        let proxy = &config.proxy(listener.frontend).name;
        format!("Binding [{}] for proxy {proxy}: {}", listener.location, what_failed(&self.error, &listener.address))
    }
}

/// HAProxy's line about a `stats socket` that cannot be bound.
pub fn runtime_failure(socket: &RuntimeSocket, error: &io::Error) -> String {
    format!("Binding [{}] for proxy GLOBAL: {}", socket.location, what_failed(error, &socket.address))
}

fn what_failed(error: &io::Error, address: &ListenAddress) -> String {
    let kind = match address {
        ListenAddress::Ip { .. } => "socket",
        ListenAddress::Unix(_) | ListenAddress::Abstract(_) => "UNIX socket",
        ListenAddress::Inherited(_) => "inherited socket",
    };
    format!("cannot bind {kind} ({}) for [{}]", reason(error), shown(address))
}

/// The C library's words for an errno, without Rust's "(os error N)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// An address as messages show it.
pub fn shown(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Ip { address, .. } => match address {
            std::net::SocketAddr::V4(v4) => v4.to_string(),
            // As HAProxy: without brackets of its own inside the message's.
            std::net::SocketAddr::V6(v6) => format!("{}:{}", v6.ip(), v6.port()),
        },
        ListenAddress::Unix(path) => path.display().to_string(),
        ListenAddress::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
        ListenAddress::Inherited(number) => format!("fd@{number}"),
    }
}

/// Listeners that all workers accept from, bound once by the control thread before the workers unshare their tables, so
/// that each table has a copy under the same number: unix sockets and inherited ones, and everything with `-dR`.
#[derive(Default)]
pub struct SharedListeners {
    sockets: Vec<(ListenerId, OwnedFd)>,
}

impl SharedListeners {
    /// Binds all that are shared.
    ///
    /// # Errors
    /// Every one that could not be bound.
    pub fn open(config: &Config, reuse_port: bool) -> Result<SharedListeners, Vec<BindFailure>> {
        let (mut sockets, mut failures) = (Vec::new(), Vec::new());
        for (id, listener) in listeners_of(config) {
            if is_shared(listener, reuse_port) && !config.proxy(listener.frontend).disabled {
                match open(config, listener, false) {
                    Ok(socket) => sockets.push((id, socket)),
                    Err(error) => failures.push(BindFailure { listener: id, error }),
                }
            }
        }
        if failures.is_empty() { Ok(SharedListeners { sockets }) } else { Err(failures) }
    }

    /// Those that worker `number` accepts from, as numbers in every table.
    pub fn of_worker(&self, config: &Config, number: u32) -> Vec<(ListenerId, Socket)> {
        let accepts = |id: &ListenerId| accepts_on(config.listener(*id), number);
        self.sockets
            .iter()
            .filter(|(id, _)| accepts(id))
            .map(|(id, socket)| (*id, Socket(socket.as_raw_fd())))
            .collect()
    }
}

/// Binds the listeners that worker `number` has for itself, in the calling thread's table.
///
/// # Errors
/// Every one that could not be bound.
pub fn open_own(
    config: &Config,
    number: u32,
    reuse_port: bool,
) -> Result<Vec<(ListenerId, OwnedFd)>, Vec<BindFailure>> {
    let (mut sockets, mut failures) = (Vec::new(), Vec::new());
    for (id, listener) in listeners_of(config) {
        let own = !is_shared(listener, reuse_port) && accepts_on(listener, number);
        if own && !config.proxy(listener.frontend).disabled {
            match open(config, listener, true) {
                Ok(socket) => sockets.push((id, socket)),
                Err(error) => failures.push(BindFailure { listener: id, error }),
            }
        }
    }
    if failures.is_empty() { Ok(sockets) } else { Err(failures) }
}

/// Binds a `stats socket`.
pub fn open_runtime(socket: &RuntimeSocket) -> io::Result<OwnedFd> {
    let permissions = permissions(socket.mode, socket.user.as_ref(), socket.group.as_ref())?;
    match &socket.address {
        ListenAddress::Inherited(number) => listener::adopt_listener(*number),
        address => {
            let mut spec = ListenSpec::new(kernel_address(address, permissions));
            // A reload's new process binds beside the old one, as HAProxy's.
            spec.reuse_port = matches!(address, ListenAddress::Ip { .. });
            spec.backlog = socket.backlog.unwrap_or(spec.backlog);
            listener::open_listener(&spec)
        }
    }
}

fn listeners_of(config: &Config) -> impl Iterator<Item = (ListenerId, &Listener)> {
    (0u32..).map(ListenerId).zip(&config.listeners)
}

fn is_shared(listener: &Listener, reuse_port: bool) -> bool {
    !reuse_port || !matches!(listener.address, ListenAddress::Ip { .. })
}

fn accepts_on(listener: &Listener, number: u32) -> bool {
    listener.workers.as_ref().is_none_or(|chosen| chosen.contains(&number))
}

fn open(config: &Config, listener: &Listener, reuse_port: bool) -> io::Result<OwnedFd> {
    if let ListenAddress::Inherited(number) = listener.address {
        return listener::adopt_listener(number);
    }
    let permissions = permissions(listener.mode, listener.user.as_ref(), listener.group.as_ref())?;
    let proxy = config.proxy(listener.frontend);
    let mut spec = ListenSpec::new(kernel_address(&listener.address, permissions));
    spec.backlog = config.backlog_of(listener).unwrap_or(spec.backlog);
    spec.reuse_port = reuse_port;
    spec.interface = listener.interface.clone();
    spec.transparent = listener.transparent;
    spec.fast_open = listener.tfo;
    spec.defer_accept = listener.defer_accept;
    spec.mss = listener.mss;
    spec.user_timeout_ms =
        listener.tcp_user_timeout.map(|timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
    spec.keepalive = keepalive(&proxy.client_keepalive);
    let socket = listener::open_listener(&spec)?;
    // Accepted sockets inherit them.
    let global = &config.global;
    if let Some(bytes) = global.rcvbuf_client_bytes {
        set_option(socket.as_raw_fd(), &SocketOption::ReceiveBufferBytes(bytes))?;
    }
    if let Some(bytes) = global.sndbuf_client_bytes {
        set_option(socket.as_raw_fd(), &SocketOption::SendBufferBytes(bytes))?;
    }
    Ok(socket)
}

fn keepalive(settings: &KeepaliveSettings) -> Option<ListenKeepalive> {
    let seconds = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1);
    settings.enabled.then(|| ListenKeepalive {
        count: settings.count,
        idle_seconds: settings.idle.map(seconds),
        interval_seconds: settings.interval.map(seconds),
    })
}

fn kernel_address(address: &ListenAddress, permissions: UnixPermissions) -> listener::ListenAddress {
    match address {
        ListenAddress::Ip { address, v6only } => listener::ListenAddress::Ip { address: *address, v6only: *v6only },
        ListenAddress::Unix(path) => listener::ListenAddress::Unix { path: path.clone(), permissions },
        ListenAddress::Abstract(name) => listener::ListenAddress::Abstract(name.clone()),
        // Both callers have dealt with this one; an empty abstract name would only make the bind fail.
        ListenAddress::Inherited(_) => listener::ListenAddress::Abstract(Vec::new()),
    }
}

fn permissions(
    mode: Option<u32>,
    user: Option<&UserOrGroup>,
    group: Option<&UserOrGroup>,
) -> io::Result<UnixPermissions> {
    let uid = user.map(user_id).transpose().map_err(io::Error::other)?;
    let gid = group.map(group_id).transpose().map_err(io::Error::other)?;
    Ok(UnixPermissions { mode, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_addresses_as_haproxys() {
        let ip = |text: &str| ListenAddress::Ip { address: text.parse().unwrap(), v6only: None };
        let in_use = io::Error::from_raw_os_error(98);
        assert_eq!(
            what_failed(&in_use, &ip("127.0.0.1:1890")),
            "cannot bind socket (Address already in use) for [127.0.0.1:1890]"
        );
        assert_eq!(shown(&ip("[::1]:80")), "::1:80");
        assert_eq!(shown(&ListenAddress::Inherited(5)), "fd@5");
        assert_eq!(shown(&ListenAddress::Abstract(b"x".to_vec())), "abns@x");
    }

    #[test]
    fn keepalive_only_with_clitcpka() {
        assert!(keepalive(&KeepaliveSettings::default()).is_none());
        let settings = KeepaliveSettings {
            enabled: true,
            idle: Some(std::time::Duration::from_millis(300)),
            ..KeepaliveSettings::default()
        };
        assert_eq!(keepalive(&settings).unwrap().idle_seconds, Some(1));
    }
}
