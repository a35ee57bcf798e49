//! A connection goes from one thread's descriptor table to another's: SCM_RIGHTS over a pair of unix sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};

/// What travels with a connection.
pub const NOTE_BYTES: usize = 24;
pub type Note = [u8; NOTE_BYTES];

/// One way into a thread's table. Make it before the first thread unshares its table, so that both numbers mean the
/// same in every table.
#[derive(Debug)]
pub struct HandoverChannel {
    giving: OwnedFd,
    taking: OwnedFd,
}

impl HandoverChannel {
    pub fn new() -> io::Result<Self> {
        // Packets, so that a note and its connection stay together; a pair has no limit on packets but the buffer's.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (giving, taking) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok(HandoverChannel { giving, taking })
    }

    /// The number that every thread but the taking one needs.
    pub fn giving_descriptor(&self) -> RawFd {
        self.giving.as_raw_fd()
    }

    /// The number that the taking thread needs.
    pub fn taking_descriptor(&self) -> RawFd {
        self.taking.as_raw_fd()
    }

    /// Gives a copy of `socket` away; the caller still closes its own. EAGAIN: too much is under way; ETOOMANYREFS: more
    /// descriptors are under way than the limit allows.
    pub fn give(&self, socket: RawFd, note: &Note) -> io::Result<()> {
        let rights = [socket];
        let message = [ControlMessage::ScmRights(&rights)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.giving.as_raw_fd(), &[IoSlice::new(note)], &message, flags, None)?;
        Ok(())
    }

    /// The next connection, as a descriptor of the calling thread's table, close-on-exec. EAGAIN as `WouldBlock`: none is
    /// there. ENOBUFS: one was, but the table had no room for it, and it is gone.
    pub fn take(&self) -> io::Result<(OwnedFd, Note)> {
        let mut note = [0; NOTE_BYTES];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let mut parts = [IoSliceMut::new(&mut note)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.taking.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let mut received = None;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = control {
                // SAFETY: the kernel has just made them in this table, so nobody else owns them.
                received = descriptors.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }).next_back();
            }
        }
        let received = received.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOBUFS))?;
        Ok((received, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    #[test]
    fn a_connection_lives_on_in_another_table() {
        let channel = Arc::new(HandoverChannel::new().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        client.write_all(b"sent before").unwrap();
        assert_eq!(channel.take().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let note: Note = std::array::from_fn(|index| index as u8);
        let (unshared, may_give) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let taker = {
            let channel = channel.clone();
            std::thread::spawn(move || {
                files::unshare_files().unwrap();
                unshared.0.send(()).unwrap();
                may_give.1.recv().unwrap();
                let (socket, note) = channel.take().unwrap();
                let mut stream = TcpStream::from(socket);
                let mut bytes = [0; 11];
                stream.read_exact(&mut bytes).unwrap();
                stream.write_all(&bytes).unwrap();
                note
            })
        };
        unshared.1.recv().unwrap();
        channel.give(accepted.as_raw_fd(), &note).unwrap();
        // Ours goes before theirs is taken: the connection is in between.
        drop(accepted);
        may_give.0.send(()).unwrap();
        assert_eq!(taker.join().unwrap(), note);
        let mut answer = [0; 11];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"sent before");
        assert_eq!(client.read(&mut answer).unwrap(), 0, "the taker's was the last copy");
    }

    #[test]
    fn giving_what_is_not_open_fails() {
        let channel = HandoverChannel::new().unwrap();
        assert_eq!(channel.give(987_654, &[0; NOTE_BYTES]).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
