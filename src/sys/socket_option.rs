//! setsockopt, as values.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::address::{KernelAddress, SocketAddress};
use super::{check, socket};

/// <linux/in.h>; both families read the IPv4 level's option.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

/// Durations are in the unit named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOption {
    NoDelay(bool),
    Keepalive(bool),
    KeepaliveCount(u32),
    KeepaliveIdleSeconds(u32),
    KeepaliveIntervalSeconds(u32),
    /// TCP_USER_TIMEOUT
    UserTimeoutMs(u32),
    /// TCP_QUICKACK
    QuickAck(bool),
    /// SO_LINGER on with 0: close sends RST.
    LingerZero,
    /// The next close tells the peer nothing: neither FIN nor RST leaves this machine (without CAP_NET_ADMIN: the RST
    /// gets no farther than the first router).
    SilentClose,
    ReceiveBufferBytes(u32),
    SendBufferBytes(u32),
    /// Bind before connect. With port 0: IP_BIND_ADDRESS_NO_PORT first, so that one source address is good for more
    /// connections than there are ephemeral ports.
    BindSource(SocketAddr),
    BindToDevice(String),
    /// IP_LOCAL_PORT_RANGE: where connect looks for a source port, both ends included. ENOPROTOOPT before Linux 6.3.
    SourcePorts(u16, u16),
    /// IP_TRANSPARENT or its IPv6 twin: bind to addresses that are not ours. Needs CAP_NET_ADMIN.
    Transparent,
    /// Urgent bytes stay in the stream instead of being lost.
    OobInline,
    /// TCP_FASTOPEN_CONNECT: the connect returns at once, the SYN goes with the first send.
    FastOpenConnect,
    /// SO_MARK. Needs CAP_NET_ADMIN.
    Mark(u32),
    /// IP_TOS or its IPv6 twin: DSCP and ECN of what is sent.
    Tos(u8),
}

/// One `setsockopt` of a plain C value.
pub(super) fn set<T: Copy>(socket: RawFd, level: libc::c_int, name: libc::c_int, value: T) -> io::Result<()> {
    // SAFETY: `value` is ours, is as long as we say, and the kernel copies it during the call.
    check(unsafe {
        libc::setsockopt(socket, level, name, (&raw const value).cast(), size_of::<T>() as libc::socklen_t)
    })
    .map(|_| ())
}

/// One `getsockopt` of an int.
pub(super) fn get_int(socket: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: value and length are ours and outlive the call; the kernel writes at most `length` bytes.
    check(unsafe { libc::getsockopt(socket, level, name, (&raw mut value).cast(), &mut length) })?;
    Ok(value)
}

fn int(value: u32) -> libc::c_int {
    libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX)
}

fn is_v6(socket: RawFd) -> bool {
    get_int(socket, libc::SOL_SOCKET, libc::SO_DOMAIN).is_ok_and(|domain| domain == libc::AF_INET6)
}

pub(super) fn bind_to_device(socket: RawFd, name: &str) -> io::Result<()> {
    let name = CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let bytes = name.as_bytes_with_nul();
    // SAFETY: the name is ours, as long as we say, and the kernel copies it during the call.
    check(unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
        )
    })
    .map(|_| ())
}

pub(super) fn set_transparent(socket: RawFd) -> io::Result<()> {
    if is_v6(socket) {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1i32)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1i32)
    }
}

fn bind_source(socket: RawFd, source: &SocketAddr) -> io::Result<()> {
    if source.port() == 0 {
        // Both families read the IPv4 level's option. Kernels without it (before 4.2) bind a port now: still right.
        let _ = set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1i32);
    } else {
        // A port named by the user is taken again while old connections from it are in TIME_WAIT.
        set(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1i32)?;
    }
    socket::bind(socket, &KernelAddress::new(&SocketAddress::Ip(*source))?)
}

fn set_tos(socket: RawFd, tos: u8) -> io::Result<()> {
    let for_v4 = set(socket, libc::IPPROTO_IP, libc::IP_TOS, i32::from(tos));
    // A socket of the newer family may carry connections of the older.
    if is_v6(socket) { set(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, i32::from(tos)) } else { for_v4 }
}

fn silent_close(socket: RawFd) -> io::Result<()> {
    // A socket under repair is forgotten without a word.
    if set(socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1i32).is_ok() {
        return Ok(());
    }
    if is_v6(socket) {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, 1i32)?;
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_TTL, 1i32)?;
    }
    set(socket, libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 })
}

/// Sets one option of an open socket.
pub fn set_option(socket: RawFd, option: &SocketOption) -> io::Result<()> {
    use SocketOption as O;
    let (tcp, sol) = (libc::IPPROTO_TCP, libc::SOL_SOCKET);
    match option {
        O::NoDelay(on) => set(socket, tcp, libc::TCP_NODELAY, i32::from(*on)),
        O::Keepalive(on) => set(socket, sol, libc::SO_KEEPALIVE, i32::from(*on)),
        O::KeepaliveCount(count) => set(socket, tcp, libc::TCP_KEEPCNT, int(*count)),
        O::KeepaliveIdleSeconds(seconds) => set(socket, tcp, libc::TCP_KEEPIDLE, int(*seconds)),
        O::KeepaliveIntervalSeconds(seconds) => set(socket, tcp, libc::TCP_KEEPINTVL, int(*seconds)),
        O::UserTimeoutMs(ms) => set(socket, tcp, libc::TCP_USER_TIMEOUT, int(*ms)),
        O::QuickAck(on) => set(socket, tcp, libc::TCP_QUICKACK, i32::from(*on)),
        O::LingerZero => set(socket, sol, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 }),
        O::SilentClose => silent_close(socket),
        O::ReceiveBufferBytes(bytes) => set(socket, sol, libc::SO_RCVBUF, int(*bytes)),
        O::SendBufferBytes(bytes) => set(socket, sol, libc::SO_SNDBUF, int(*bytes)),
        O::BindSource(source) => bind_source(socket, source),
        O::SourcePorts(first, last) => {
            set(socket, libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, u32::from(*last) << 16 | u32::from(*first))
        }
        O::BindToDevice(name) => bind_to_device(socket, name),
        O::Transparent => set_transparent(socket),
        O::OobInline => set(socket, sol, libc::SO_OOBINLINE, 1i32),
        O::FastOpenConnect => set(socket, tcp, libc::TCP_FASTOPEN_CONNECT, 1i32),
        O::Mark(mark) => set(socket, sol, libc::SO_MARK, *mark),
        O::Tos(tos) => set_tos(socket, *tos),
    }
}
