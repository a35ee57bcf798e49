//! Pipes and splice(2).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{check, check_size};

/// Both ends, non-blocking and close-on-exec.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity_bytes: usize,
}

impl Pipe {
    /// Asks for `bytes` of capacity and takes what the kernel grants: past the user's share of pipe memory
    /// (`fs.pipe-user-pages-soft`) that is a page or two. EMFILE, ENFILE where descriptors are out.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two numbers into our array.
        check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
        // SAFETY: the kernel has just made both, so nobody else owns them.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        // SAFETY: neither command takes a pointer.
        let granted = unsafe {
            let set = libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, wanted);
            if set > 0 { set } else { libc::fcntl(write.as_raw_fd(), libc::F_GETPIPE_SZ) }
        };
        let capacity_bytes = usize::try_from(granted).unwrap_or(65536);
        Ok(Pipe { read, write, capacity_bytes })
    }

    pub fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    /// Socket → pipe: bytes moved, 0 at end of stream, `WouldBlock` where the socket is empty or the pipe full.
    pub fn fill(&self, from: RawFd, length_max: usize) -> io::Result<usize> {
        splice(from, self.write.as_raw_fd(), length_max)
    }

    /// Pipe → socket: bytes moved, `WouldBlock` where the socket is full or the pipe empty. They go out at once: with
    /// SPLICE_F_MORE the end of what a source has said so far would wait up to 200 ms for what it says next.
    pub fn pour(&self, to: RawFd, length: usize) -> io::Result<usize> {
        splice(self.read.as_raw_fd(), to, length)
    }
}

fn splice(from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
    let none = std::ptr::null_mut();
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: null offsets, since neither end is a file with a position.
    check_size(unsafe { libc::splice(from, none, to, none, length, flags) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_pass_from_socket_to_socket() {
        let (mut client, inner) = UnixStream::pair().unwrap();
        let (outer, mut server) = UnixStream::pair().unwrap();
        let pipe = Pipe::new(256 * 1024).unwrap();
        assert!(pipe.capacity_bytes() >= 4096);
        inner.set_nonblocking(true).unwrap();
        assert_eq!(pipe.fill(inner.as_raw_fd(), 100).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"through the pipe").unwrap();
        assert_eq!(pipe.fill(inner.as_raw_fd(), 7).unwrap(), 7);
        assert_eq!(pipe.fill(inner.as_raw_fd(), 100).unwrap(), 9);
        assert_eq!(pipe.pour(outer.as_raw_fd(), 16).unwrap(), 16);
        let mut bytes = [0; 16];
        server.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"through the pipe");
        drop(client);
        assert_eq!(pipe.fill(inner.as_raw_fd(), 100).unwrap(), 0);
    }
}
