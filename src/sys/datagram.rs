//! Datagram sockets for logs and for the service manager: non-blocking, sent in batches.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::address::{KernelAddress, SocketAddress};
use super::{check, check_size, socket};

/// Messages handed to the kernel in one call.
const BATCH_MAX: usize = 64;

/// A connected datagram socket (UDP or unix).
#[derive(Debug)]
pub struct DatagramSocket(OwnedFd);

impl DatagramSocket {
    /// Non-blocking, close-on-exec. Unix: ENOENT or ECONNREFUSED where nobody listens; UDP never finds out here.
    pub fn connect(to: &SocketAddress) -> io::Result<Self> {
        let opened = socket::open(to.family(), libc::SOCK_DGRAM)?;
        socket::connect(opened.as_raw_fd(), &KernelAddress::new(to)?)?;
        Ok(DatagramSocket(opened))
    }

    /// Sends one message. `WouldBlock` or ENOBUFS: the receiver is slow; ECONNREFUSED, ENOTCONN: it is gone.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        socket::send(self.0.as_raw_fd(), message).map(|_| ())
    }

    /// Sends the messages in order with one kernel call per 64: how many went. The error that stopped the rest is
    /// returned only when none went.
    pub fn send_batch<M: AsRef<[u8]>>(&self, messages: &[M]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < messages.len() {
            let end = messages.len().min(sent + BATCH_MAX);
            match self.send_some(&messages[sent..end]) {
                Ok(0) => break,
                Ok(count) => sent += count,
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn send_some<M: AsRef<[u8]>>(&self, messages: &[M]) -> io::Result<usize> {
        // SAFETY: all-zero bytes are a valid `iovec` and `mmsghdr` (null pointers, no lengths).
        let mut vectors: [libc::iovec; BATCH_MAX] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH_MAX] = unsafe { std::mem::zeroed() };
        let count = messages.len().min(BATCH_MAX);
        for ((vector, header), message) in vectors.iter_mut().zip(headers.iter_mut()).zip(messages) {
            let bytes = message.as_ref();
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: headers, vectors and the borrowed messages outlive the call, which only reads the messages; `count`
        // entries are filled in.
        let sent =
            check(unsafe { libc::sendmmsg(self.0.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, flags) })?;
        Ok(usize::try_from(sent).unwrap_or(0))
    }

    pub fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        socket::receive(self.0.as_raw_fd(), into)
    }
}

impl AsRawFd for DatagramSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// One unconnected unix datagram, as sd_notify(3) wants it (`NOTIFY_SOCKET`: a path, or an abstract name).
pub fn send_to(to: &SocketAddress, message: &[u8]) -> io::Result<()> {
    let opened = socket::open(to.family(), libc::SOCK_DGRAM)?;
    let address = KernelAddress::new(to)?;
    // SAFETY: message and address are ours or borrowed, as long as we say, for the call.
    check_size(unsafe {
        libc::sendto(
            opened.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            libc::MSG_NOSIGNAL,
            address.as_ptr(),
            address.length,
        )
    })
    .map(|_| ())
}

/// Writes without blocking to a descriptor of any kind (a log line to stdout or `fd@N`): one call, so that a line to
/// a pipe is whole up to PIPE_BUF. `WouldBlock` where it is full and was made non-blocking.
pub fn write_descriptor(number: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the slice is borrowed for the call, and the kernel reads at most its length.
    check_size(unsafe { libc::write(number, bytes.as_ptr().cast(), bytes.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn batches_arrive_in_order() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = DatagramSocket::connect(&receiver.local_addr().unwrap().into()).unwrap();
        let messages: Vec<String> = (0..150).map(|number| format!("message {number}")).collect();
        assert_eq!(sender.send_batch(&messages).unwrap(), 150);
        let mut bytes = [0; 64];
        for message in &messages {
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], message.as_bytes());
        }
        assert_eq!(sender.send_batch::<&[u8]>(&[]).unwrap(), 0);
    }

    #[test]
    fn a_full_unix_receiver_takes_some_and_a_missing_one_is_an_error() {
        let path = std::env::temp_dir().join(format!("ringway-datagram-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let address = SocketAddress::Unix(path.clone());
        assert!(DatagramSocket::connect(&address).is_err());
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = DatagramSocket::connect(&address).unwrap();
        let messages = vec![[b'x'; 4000]; 10_000];
        let sent = sender.send_batch(&messages).unwrap();
        assert!(sent > 0 && sent < messages.len());
        assert_eq!(sender.send_batch(&messages).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(receiver);
        assert!(sender.send(b"gone").is_err());
        std::fs::remove_file(&path).unwrap();
        let receiver = UnixDatagram::bind(&path).unwrap();
        send_to(&address, b"READY=1").unwrap();
        let mut bytes = [0; 64];
        let length = receiver.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1");
        std::fs::remove_file(&path).unwrap();
    }
}
