//! epoll, edge-triggered, for the tools' own sockets.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;

pub struct Poller {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poller {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Poller { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, events: vec![EpollEvent::empty(); 1024] })
    }

    /// Reports `index` whenever the socket becomes readable or writable. Closing the socket ends it.
    pub fn add(&self, socket: impl AsFd, index: usize) -> anyhow::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(socket, EpollEvent::new(flags, index as u64))?;
        Ok(())
    }

    /// Waits (milliseconds, -1: for ever) and lists what is ready.
    pub fn wait(&mut self, timeout_ms: i32, ready: &mut Vec<usize>) -> anyhow::Result<()> {
        ready.clear();
        let timeout = EpollTimeout::try_from(timeout_ms).unwrap_or(EpollTimeout::NONE);
        let count = match self.epoll.wait(&mut self.events, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        ready.extend(self.events[..count].iter().map(|event| event.data() as usize));
        Ok(())
    }
}
