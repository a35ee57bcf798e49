//! epoll(7), edge-triggered.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// Events of one `wait`; more are had by the next.
const EVENTS_MAX: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub descriptor: RawFd,
    /// EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLERR, EPOLLHUP (of poll(2)'s values).
    pub events: u32,
}

pub struct Epoll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    found: usize,
}

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer.
        let number = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just made it, so nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Epoll { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX], found: 0 })
    }

    fn add_with(&self, descriptor: RawFd, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: descriptor as u32 as u64 };
        // SAFETY: the event is ours, and the kernel copies it during the call.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event) })?;
        Ok(())
    }

    /// Watches a stream socket for everything, once for its life; closing it ends that. What holds already is reported
    /// by the next `wait`.
    pub fn add(&self, descriptor: RawFd) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.add_with(descriptor, events)
    }

    /// Watches for readability only: a listener that several threads may accept from (one of them is woken), an eventfd.
    pub fn add_readable(&self, descriptor: RawFd, exclusive: bool) -> io::Result<()> {
        let exclusive = if exclusive { libc::EPOLLEXCLUSIVE } else { 0 };
        self.add_with(descriptor, libc::EPOLLIN | libc::EPOLLET | exclusive)
    }

    pub fn remove(&self, descriptor: RawFd) {
        // SAFETY: the command reads no event.
        unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, descriptor, std::ptr::null_mut());
        }
    }

    /// Waits for readiness: how many descriptors have some; then see [`Epoll::get`]. The timeout is rounded up to
    /// milliseconds: waking before the deadline would only mean waiting again.
    pub fn wait(&mut self, timeout_us: Option<u64>) -> io::Result<usize> {
        let timeout_ms =
            timeout_us.map_or(-1, |us| libc::c_int::try_from(us.div_ceil(1000)).unwrap_or(libc::c_int::MAX));
        // SAFETY: the vector has EVENTS_MAX events, which the kernel fills in from the start.
        let found = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), EVENTS_MAX as libc::c_int, timeout_ms)
        };
        self.found = match check(found) {
            Ok(found) => usize::try_from(found).unwrap_or(0).min(EVENTS_MAX),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        Ok(self.found)
    }

    /// Number `index` of what the last `wait` found.
    pub fn get(&self, index: usize) -> Option<Readiness> {
        let event = self.events[..self.found].get(index)?;
        Some(Readiness { descriptor: event.u64 as u32 as RawFd, events: event.events })
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}
