//! Listening sockets, with every option of a `bind` line that the kernel keeps.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::address::{KernelAddress, SocketAddress};
use super::socket_option::{bind_to_device, set, set_transparent};
use super::{check, files, socket};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Ip {
        address: SocketAddr,
        /// IPV6_V6ONLY to set on an IPv6 address; `None`: the system's default (`net.ipv6.bindv6only`).
        v6only: Option<bool>,
    },
    Unix {
        path: PathBuf,
        permissions: UnixPermissions,
    },
    /// Without the leading NUL.
    Abstract(Vec<u8>),
}

/// Whom a unix socket's file belongs to, and its mode; `None` leaves what the process gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnixPermissions {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Keep-alive of accepted connections; `None` leaves the system's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenKeepalive {
    pub count: Option<u32>,
    pub idle_seconds: Option<u32>,
    pub interval_seconds: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSpec {
    pub address: ListenAddress,
    /// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
    pub backlog: u32,
    /// SO_REUSEPORT: several workers (or processes) each bind a socket of their own.
    pub reuse_port: bool,
    pub interface: Option<String>,
    pub transparent: bool,
    pub fast_open: bool,
    pub defer_accept: bool,
    /// TCP_MAXSEG
    pub mss: Option<u16>,
    pub user_timeout_ms: Option<u32>,
    pub no_delay: bool,
    pub keepalive: Option<ListenKeepalive>,
}

impl ListenSpec {
    /// What a `bind` line without options asks for.
    pub fn new(address: ListenAddress) -> Self {
        ListenSpec {
            address,
            backlog: 4096,
            reuse_port: false,
            interface: None,
            transparent: false,
            fast_open: false,
            defer_accept: false,
            mss: None,
            user_timeout_ms: None,
            no_delay: true,
            keepalive: None,
        }
    }
}

/// A non-blocking, close-on-exec, listening socket. Options that connections inherit (TCP_NODELAY, keep-alive,
/// SO_OOBINLINE, TCP_USER_TIMEOUT, TCP_MAXSEG) are set here once rather than on each connection.
///
/// EADDRINUSE: somebody else listens there. EADDRNOTAVAIL: not an address of this machine.
pub fn open_listener(spec: &ListenSpec) -> io::Result<OwnedFd> {
    match &spec.address {
        ListenAddress::Ip { address, v6only } => open_tcp(spec, *address, *v6only),
        ListenAddress::Unix { path, permissions } => open_unix(spec, path, *permissions),
        ListenAddress::Abstract(name) => {
            let listener = socket::open(libc::AF_UNIX, libc::SOCK_STREAM)?;
            socket::bind(listener.as_raw_fd(), &KernelAddress::new(&SocketAddress::Abstract(name.clone()))?)?;
            listen(&listener, spec.backlog)?;
            Ok(listener)
        }
    }
}

/// Takes over the listening socket with which the process was started (`fd@N`) and makes it non-blocking.
/// EBADF: no such descriptor; ENOTSOCK; EINVAL: a socket that does not listen.
pub fn adopt_listener(number: RawFd) -> io::Result<OwnedFd> {
    let listener = files::take_inherited(number)?;
    match socket::is_listening(&listener) {
        Ok(true) => {}
        refused => {
            // Not ours to close: it was somebody's for another purpose.
            let _ = std::os::fd::IntoRawFd::into_raw_fd(listener);
            return Err(refused.err().unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL)));
        }
    }
    files::set_nonblocking(number)?;
    files::set_close_on_exec(number, true)?;
    Ok(listener)
}

fn listen(listener: &OwnedFd, backlog: u32) -> io::Result<()> {
    listen_again(listener.as_raw_fd(), backlog)
}

/// Linux takes a TCP socket out of its listening state at shutdown(SHUT_RD), with the address still bound: connections
/// are refused, those not yet accepted are reset. Everybody who holds the socket is concerned.
///
/// Once is enough: a second shutdown() would stay with the socket, and every connection that it accepts after
/// [`listen_again`] would begin at its end of stream. So threads with the same socket take turns, and look first.
pub fn stop_listening(listener: RawFd) -> io::Result<()> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !socket::is_listening(&listener)? {
        return Ok(());
    }
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::shutdown(listener, libc::SHUT_RD) }).map(|_| ())
}

/// Begins to listen, or listens again after [`stop_listening`]. EADDRINUSE: somebody else has taken the port meanwhile.
pub fn listen_again(listener: RawFd, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::listen(listener, backlog) }).map(|_| ())
}

fn open_tcp(spec: &ListenSpec, address: SocketAddr, v6only: Option<bool>) -> io::Result<OwnedFd> {
    let address = SocketAddress::Ip(address);
    let listener = socket::open(address.family(), libc::SOCK_STREAM)?;
    let number = listener.as_raw_fd();
    let (tcp, sol) = (libc::IPPROTO_TCP, libc::SOL_SOCKET);
    set(number, sol, libc::SO_REUSEADDR, 1i32)?;
    if spec.reuse_port {
        set(number, sol, libc::SO_REUSEPORT, 1i32)?;
    }
    if let (libc::AF_INET6, Some(only)) = (address.family(), v6only) {
        set(number, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, i32::from(only))?;
    }
    if let Some(interface) = &spec.interface {
        bind_to_device(number, interface)?;
    }
    if spec.transparent {
        set_transparent(number)?;
    }
    set(number, sol, libc::SO_OOBINLINE, 1i32)?;
    set(number, tcp, libc::TCP_NODELAY, i32::from(spec.no_delay))?;
    if let Some(mss) = spec.mss {
        set(number, tcp, libc::TCP_MAXSEG, i32::from(mss))?;
    }
    if let Some(ms) = spec.user_timeout_ms {
        set(number, tcp, libc::TCP_USER_TIMEOUT, libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX))?;
    }
    if let Some(keepalive) = spec.keepalive {
        set_keepalive(number, keepalive)?;
    }
    socket::bind(number, &KernelAddress::new(&address)?)?;
    listen(&listener, spec.backlog)?;
    // These two work on a listener only. Neither is worth refusing to start for: without them connections still come.
    if spec.defer_accept {
        let _ = set(number, tcp, libc::TCP_DEFER_ACCEPT, 1i32);
    }
    if spec.fast_open {
        let queue = libc::c_int::try_from(spec.backlog).unwrap_or(libc::c_int::MAX);
        let _ = set(number, tcp, libc::TCP_FASTOPEN, queue);
    }
    Ok(listener)
}

fn set_keepalive(number: RawFd, keepalive: ListenKeepalive) -> io::Result<()> {
    let tcp = libc::IPPROTO_TCP;
    set(number, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1i32)?;
    for (name, value) in [
        (libc::TCP_KEEPCNT, keepalive.count),
        (libc::TCP_KEEPIDLE, keepalive.idle_seconds),
        (libc::TCP_KEEPINTVL, keepalive.interval_seconds),
    ] {
        if let Some(value) = value {
            set(number, tcp, name, libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX))?;
        }
    }
    Ok(())
}

/// Binds under a temporary name, sets owner and mode, and renames: clients never find a socket that they may not open,
/// nor a moment without one when it replaces an older process's.
fn open_unix(spec: &ListenSpec, path: &Path, permissions: UnixPermissions) -> io::Result<OwnedFd> {
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // A name that only just fits has no room for the suffix; then the socket is bound in place.
    let bind_at = if temporary.as_os_str().len() < 108 { &temporary } else { path };
    let _ = std::fs::remove_file(bind_at);
    let listener = socket::open(libc::AF_UNIX, libc::SOCK_STREAM)?;
    socket::bind(listener.as_raw_fd(), &KernelAddress::new(&SocketAddress::Unix(bind_at.to_path_buf()))?)?;
    let finish = || {
        if let Some(mode) = permissions.mode {
            std::fs::set_permissions(bind_at, std::fs::Permissions::from_mode(mode))?;
        }
        if permissions.uid.is_some() || permissions.gid.is_some() {
            std::os::unix::fs::chown(bind_at, permissions.uid, permissions.gid)?;
        }
        listen(&listener, spec.backlog)?;
        if bind_at == path { Ok(()) } else { std::fs::rename(bind_at, path) }
    };
    match finish() {
        Ok(()) => Ok(listener),
        Err(error) => {
            let _ = std::fs::remove_file(bind_at);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket::{accept, connect, local_address, open_stream};
    use crate::sys::socket_option::get_int;

    fn loopback() -> ListenSpec {
        ListenSpec::new(ListenAddress::Ip { address: "127.0.0.1:0".parse().unwrap(), v6only: None })
    }

    #[test]
    fn accepted_sockets_inherit_what_the_listener_has() {
        let keepalive = ListenKeepalive { count: Some(4), idle_seconds: Some(77), interval_seconds: Some(5) };
        let spec = ListenSpec { keepalive: Some(keepalive), user_timeout_ms: Some(9000), ..loopback() };
        let listener = open_listener(&spec).unwrap();
        let client = std::net::TcpStream::connect(match local_address(listener.as_raw_fd()).unwrap() {
            SocketAddress::Ip(address) => address,
            other => panic!("{other:?}"),
        })
        .unwrap();
        let accepted = accept(listener.as_raw_fd()).unwrap();
        let number = accepted.as_raw_fd();
        assert_eq!(get_int(number, libc::IPPROTO_TCP, libc::TCP_NODELAY).unwrap(), 1);
        assert_eq!(get_int(number, libc::SOL_SOCKET, libc::SO_KEEPALIVE).unwrap(), 1);
        assert_eq!(get_int(number, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE).unwrap(), 77);
        assert_eq!(get_int(number, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT).unwrap(), 9000);
        assert_eq!(get_int(number, libc::SOL_SOCKET, libc::SO_OOBINLINE).unwrap(), 1);
        drop(client);
    }

    #[test]
    fn one_address_is_shared_only_with_reuse_port() {
        let first = open_listener(&ListenSpec { reuse_port: true, ..loopback() }).unwrap();
        let SocketAddress::Ip(address) = local_address(first.as_raw_fd()).unwrap() else { panic!("not an IP address") };
        let same = ListenSpec::new(ListenAddress::Ip { address, v6only: None });
        assert_eq!(open_listener(&same).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        open_listener(&ListenSpec { reuse_port: true, ..same }).unwrap();
    }

    #[test]
    fn v6only_leaves_the_port_to_ipv4() {
        // Somebody else may have a port on IPv4 already, but not all of them.
        let is_left_to_ipv4 = |_| {
            let v6 = ListenAddress::Ip { address: "[::]:0".parse().unwrap(), v6only: Some(true) };
            let Ok(listener) = open_listener(&ListenSpec::new(v6)) else { return true }; // a machine without IPv6
            let SocketAddress::Ip(address) = local_address(listener.as_raw_fd()).unwrap() else { panic!("not IP") };
            let v4 = SocketAddr::new("0.0.0.0".parse().unwrap(), address.port());
            open_listener(&ListenSpec::new(ListenAddress::Ip { address: v4, v6only: None })).is_ok()
        };
        assert!((0..20).any(is_left_to_ipv4));
    }

    #[test]
    fn unix_sockets_replace_their_predecessor_with_mode_and_owner() {
        let path = std::env::temp_dir().join(format!("ringway-listener-{}.sock", std::process::id()));
        let permissions = UnixPermissions { mode: Some(0o600), ..Default::default() };
        let address = SocketAddress::Unix(path.clone());
        for _ in 0..2 {
            let spec = ListenSpec::new(ListenAddress::Unix { path: path.clone(), permissions });
            let listener = open_listener(&spec).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let client = open_stream(&address).unwrap();
            connect(client.as_raw_fd(), &KernelAddress::new(&address).unwrap()).unwrap();
            accept(listener.as_raw_fd()).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn abstract_names_and_inherited_descriptors_listen() {
        let name = format!("ringway-listener-{}", std::process::id()).into_bytes();
        let listener = open_listener(&ListenSpec::new(ListenAddress::Abstract(name.clone()))).unwrap();
        let address = SocketAddress::Abstract(name);
        let client = open_stream(&address).unwrap();
        connect(client.as_raw_fd(), &KernelAddress::new(&address).unwrap()).unwrap();
        let inherited = std::os::fd::IntoRawFd::into_raw_fd(files::duplicate(&listener, 0).unwrap());
        let adopted = adopt_listener(inherited).unwrap();
        accept(adopted.as_raw_fd()).unwrap();
        assert_eq!(adopt_listener(client.as_raw_fd()).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(adopt_listener(987_654).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
