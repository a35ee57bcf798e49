//! eventfd: one thread wakes another.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// A counter that polls readable while it is not 0. Every [`EventFd::signal`] makes a new edge, so a poller that is
/// told of edges need not drain it.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let number = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the kernel has just made it, so nobody else owns it.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// From any thread that shares the descriptor table. A full counter (2^64 - 2 wakes unread) still polls readable,
    /// so a failure needs no answer.
    pub fn signal(&self) {
        let one: u64 = 1;
        // SAFETY: eight bytes of our own for the call.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Sets the counter to 0; what it was.
    pub fn drain(&self) -> u64 {
        let mut count: u64 = 0;
        // SAFETY: eight bytes of our own for the call.
        let read = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
        if read == size_of::<u64>() as libc::ssize_t { count } else { 0 }
    }

    /// The same event for a thread whose descriptor table is another: pass the duplicate before it unshares.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(EventFd(self.0.try_clone()?))
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_add_up_until_drained() {
        let event = EventFd::new().unwrap();
        assert_eq!(event.drain(), 0);
        event.signal();
        event.try_clone().unwrap().signal();
        assert_eq!(event.drain(), 2);
        assert_eq!(event.drain(), 0);
    }
}
