//! Stream sockets: one function per kernel call, all non-blocking. Listeners are made in [`super::listener`], options
//! in [`super::socket_option`]; both are reachable from here too.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub use super::address::{KernelAddress, SocketAddress};
pub use super::listener::{ListenAddress, ListenKeepalive, ListenSpec, UnixPermissions, adopt_listener, open_listener};
use super::socket_option::get_int;
pub use super::socket_option::{SocketOption, set_option};
use super::{check, check_size};

/// Non-blocking and close-on-exec, without an owner yet.
pub(super) fn open(family: libc::c_int, kind: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let number = check(unsafe { libc::socket(family, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A stream socket for an address of this family.
pub fn open_stream(for_address: &SocketAddress) -> io::Result<OwnedFd> {
    open(for_address.family(), libc::SOCK_STREAM)
}

pub(super) fn bind(socket: RawFd, address: &KernelAddress) -> io::Result<()> {
    // SAFETY: the address is ours, as long as it says, and the kernel copies it during the call.
    check(unsafe { libc::bind(socket, address.as_ptr(), address.length) }).map(|_| ())
}

/// EINPROGRESS is the usual answer of a TCP socket.
pub fn connect(socket: RawFd, address: &KernelAddress) -> io::Result<()> {
    // SAFETY: as in `bind`.
    check(unsafe { libc::connect(socket, address.as_ptr(), address.length) }).map(|_| ())
}

/// The next waiting connection, non-blocking and close-on-exec. `WouldBlock` where there is none.
pub fn accept(listener: RawFd) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null pointers say that the peer's address is not wanted.
    let number = check(unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags) })?;
    // SAFETY: the kernel has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

pub fn receive(socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the slice is borrowed for the call, and the kernel writes at most its length.
    check_size(unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) })
}

/// Looks at the first bytes without taking them.
pub fn peek(socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
    // SAFETY: as in `receive`.
    check_size(unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), flags) })
}

/// May send less than all.
pub fn send(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the slice is borrowed for the call, and the kernel reads at most its length.
    check_size(unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// One byte of TCP urgent data.
pub fn send_urgent(socket: RawFd, byte: u8) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_OOB;
    // SAFETY: one byte of our own for the call.
    check_size(unsafe { libc::send(socket, (&raw const byte).cast(), 1, flags) }).map(|_| ())
}

pub fn shutdown_write(socket: RawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::shutdown(socket, libc::SHUT_WR) }).map(|_| ())
}

pub fn shutdown_both(socket: RawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::shutdown(socket, libc::SHUT_RDWR) }).map(|_| ())
}

/// Closes a descriptor that the caller holds by number only. Never retried: on Linux it is closed even on EINTR.
pub fn close(socket: RawFd) {
    if socket >= 0 {
        // SAFETY: the call takes no pointer; the caller owns the number (see the module's text).
        unsafe { libc::close(socket) };
    }
}

/// SO_ERROR: the errno of a finished connect (0: it worked), cleared by the call.
pub fn take_error(socket: RawFd) -> io::Result<i32> {
    get_int(socket, libc::SOL_SOCKET, libc::SO_ERROR)
}

/// poll(2) without waiting: the events of `events` (and POLLERR, POLLHUP) that hold now.
pub fn poll_now(socket: RawFd, events: i16) -> io::Result<i16> {
    let mut entry = libc::pollfd { fd: socket, events, revents: 0 };
    // SAFETY: one entry, ours, for the call.
    check(unsafe { libc::poll(&mut entry, 1, 0) })?;
    Ok(entry.revents)
}

pub fn peer_address(socket: RawFd) -> io::Result<SocketAddress> {
    let mut address = KernelAddress::empty();
    let mut length = address.length;
    // SAFETY: address and length are ours and outlive the call; the kernel writes at most `length` bytes.
    check(unsafe { libc::getpeername(socket, address.as_mut_ptr(), &mut length) })?;
    address.length = length;
    Ok(address.to_address())
}

pub fn local_address(socket: RawFd) -> io::Result<SocketAddress> {
    let mut address = KernelAddress::empty();
    let mut length = address.length;
    // SAFETY: as in `peer_address`.
    check(unsafe { libc::getsockname(socket, address.as_mut_ptr(), &mut length) })?;
    address.length = length;
    Ok(address.to_address())
}

/// Whether `socket` is a listening stream socket (SO_ACCEPTCONN). ENOTSOCK for another kind of descriptor.
pub fn is_listening(socket: &impl AsRawFd) -> io::Result<bool> {
    Ok(get_int(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0)
}

/// TCP_INFO's round-trip time and its variance, microseconds; `None` for other sockets.
pub fn round_trip_us(socket: RawFd) -> Option<(u32, u32)> {
    // SAFETY: all-zero bytes are a valid `tcp_info`.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the structure is ours, as long as we say, and outlives the call.
    let result =
        unsafe { libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut length) };
    (result == 0).then_some((info.tcpi_rtt, info.tcpi_rttvar))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (OwnedFd, SocketAddress) {
        let spec = ListenSpec::new(ListenAddress::Ip { address: "127.0.0.1:0".parse().unwrap(), v6only: None });
        let listener = open_listener(&spec).unwrap();
        let address = local_address(listener.as_raw_fd()).unwrap();
        (listener, address)
    }

    #[test]
    fn options_are_set() {
        let socket = open_stream(&SocketAddress::Ip("127.0.0.1:1".parse().unwrap())).unwrap();
        let number = socket.as_raw_fd();
        use SocketOption as O;
        for option in [
            O::NoDelay(true),
            O::Keepalive(true),
            O::KeepaliveCount(3),
            O::KeepaliveIdleSeconds(60),
            O::KeepaliveIntervalSeconds(10),
            O::UserTimeoutMs(5000),
            O::QuickAck(true),
            O::LingerZero,
            O::ReceiveBufferBytes(65536),
            O::SendBufferBytes(65536),
            O::OobInline,
            O::FastOpenConnect,
            O::BindSource("127.0.0.2:0".parse().unwrap()),
        ] {
            set_option(number, &option).unwrap_or_else(|error| panic!("{option:?}: {error}"));
        }
        assert_eq!(get_int(number, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE).unwrap(), 60);
        assert_eq!(get_int(number, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT).unwrap(), 5000);
        // The port stays open until connect.
        assert_eq!(local_address(number).unwrap(), SocketAddress::Ip("127.0.0.2:0".parse().unwrap()));
        assert!(set_option(number, &O::BindToDevice("no such device".into())).is_err());
        assert!(set_option(-1, &O::NoDelay(true)).is_err());
    }

    #[test]
    fn a_connection_carries_bytes_and_ends() {
        let (listener, address) = listener();
        assert!(is_listening(&listener).unwrap());
        assert_eq!(accept(listener.as_raw_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let client = open_stream(&address).unwrap();
        assert!(!is_listening(&client).unwrap());
        let connected = connect(client.as_raw_fd(), &KernelAddress::new(&address).unwrap());
        assert!(connected.is_ok() || connected.is_err_and(|error| error.raw_os_error() == Some(libc::EINPROGRESS)));
        let server = accept(listener.as_raw_fd()).unwrap();
        assert_eq!(take_error(client.as_raw_fd()).unwrap(), 0);
        assert_eq!(peer_address(client.as_raw_fd()).unwrap(), address);
        assert_eq!(peer_address(server.as_raw_fd()).unwrap(), local_address(client.as_raw_fd()).unwrap());
        assert_eq!(send(client.as_raw_fd(), b"hello").unwrap(), 5);
        shutdown_write(client.as_raw_fd()).unwrap();
        assert!(poll_now(server.as_raw_fd(), libc::POLLIN).unwrap() & libc::POLLIN != 0);
        let mut bytes = [0; 16];
        assert_eq!(peek(server.as_raw_fd(), &mut bytes).unwrap(), 5);
        assert_eq!(receive(server.as_raw_fd(), &mut bytes).unwrap(), 5);
        assert_eq!(receive(server.as_raw_fd(), &mut bytes).unwrap(), 0);
        assert!(round_trip_us(server.as_raw_fd()).is_some());
    }
}
