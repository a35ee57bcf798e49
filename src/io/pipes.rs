//! The bounded pool of pipes, and the one splice step that both real engines use.

use std::io;

use super::driver::PipeId;
use crate::sys::pipe::Pipe;

/// Free pipes kept open; more are closed when they come back, since each is two descriptors and kernel memory.
const IDLE_MAX: usize = 32;
/// As many pipes at once get the size asked for; those beyond it get [`SMALL_BYTES`] at most. All that a user's pipes
/// could hold counts against `fs.pipe-user-pages-soft` (64 MiB), and past that a new pipe has two pages.
const LARGE_MAX: u32 = 16;
const SMALL_BYTES: usize = 256 * 1024;
/// A pipe that holds less is not worth its system calls: copies through large buffers cost less.
const USEFUL_BYTES: usize = 64 * 1024;

struct Taken {
    pipe: Pipe,
    held_bytes: usize,
}

/// What the pool is doing, for `show info` and the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeCounts {
    pub used: u32,
    pub free: u32,
    pub pipes_max: u32,
}

pub(super) struct Pipes {
    taken: Vec<Option<Taken>>,
    taken_free: Vec<u32>,
    idle: Vec<Pipe>,
    pipes_max: u32,
    pipe_bytes: usize,
    used: u32,
}

fn bad_pipe() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

impl Pipes {
    pub(super) fn new(pipes_max: u32, pipe_bytes: u32) -> Self {
        Pipes {
            taken: Vec::new(),
            taken_free: Vec::new(),
            idle: Vec::new(),
            pipes_max,
            pipe_bytes: pipe_bytes as usize,
            used: 0,
        }
    }

    /// A free pipe or a new one. `None` at the bound, or where the kernel makes none.
    pub(super) fn take(&mut self) -> Option<PipeId> {
        if self.used >= self.pipes_max {
            return None;
        }
        let pipe = match self.idle.pop() {
            Some(pipe) => pipe,
            None => self.make()?,
        };
        let number = match self.taken_free.pop() {
            Some(number) => number,
            None => {
                self.taken.push(None);
                (self.taken.len() - 1) as u32
            }
        };
        *self.taken.get_mut(number as usize)? = Some(Taken { pipe, held_bytes: 0 });
        self.used += 1;
        Some(PipeId(number))
    }

    fn make(&self) -> Option<Pipe> {
        let bytes = if self.used < LARGE_MAX { self.pipe_bytes } else { self.pipe_bytes.min(SMALL_BYTES) };
        let pipe = Pipe::new(bytes).ok()?;
        (pipe.capacity_bytes() >= USEFUL_BYTES.min(self.pipe_bytes)).then_some(pipe)
    }

    pub(super) fn give_back(&mut self, id: PipeId) {
        let Some(taken) = self.taken.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.taken_free.push(id.0);
        self.used -= 1;
        // One that still holds bytes would hand them to the next connection.
        if taken.held_bytes == 0 && self.idle.len() < IDLE_MAX {
            self.idle.push(taken.pipe);
        }
    }

    fn get(&mut self, id: PipeId) -> io::Result<&mut Taken> {
        self.taken.get_mut(id.0 as usize).and_then(Option::as_mut).ok_or_else(bad_pipe)
    }

    /// Socket → pipe.
    pub(super) fn fill(&mut self, from: i32, id: PipeId, length_max: usize) -> io::Result<usize> {
        let taken = self.get(id)?;
        let moved = taken.pipe.fill(from, length_max)?;
        taken.held_bytes += moved;
        Ok(moved)
    }

    /// Pipe → socket.
    pub(super) fn pour(&mut self, id: PipeId, to: i32, length: usize) -> io::Result<usize> {
        let taken = self.get(id)?;
        let moved = taken.pipe.pour(to, length)?;
        taken.held_bytes = taken.held_bytes.saturating_sub(moved);
        Ok(moved)
    }

    pub(super) fn held_bytes(&self, id: PipeId) -> usize {
        self.taken.get(id.0 as usize).and_then(Option::as_ref).map_or(0, |taken| taken.held_bytes)
    }

    /// The kernel grants less than asked for when a user has many.
    pub(super) fn capacity_bytes(&self, id: PipeId) -> usize {
        self.taken.get(id.0 as usize).and_then(Option::as_ref).map_or(0, |taken| taken.pipe.capacity_bytes())
    }

    pub(super) fn counts(&self) -> PipeCounts {
        PipeCounts { used: self.used, free: self.idle.len() as u32, pipes_max: self.pipes_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_pool_is_bounded_and_reuses_empty_pipes_only() {
        let mut pipes = Pipes::new(2, 65536);
        let first = pipes.take().unwrap();
        let second = pipes.take().unwrap();
        assert_eq!(pipes.take(), None);
        let (mut client, inner) = UnixStream::pair().unwrap();
        client.write_all(b"left behind").unwrap();
        assert_eq!(pipes.fill(inner.as_raw_fd(), first, 100).unwrap(), 11);
        assert_eq!(pipes.held_bytes(first), 11);
        pipes.give_back(first);
        pipes.give_back(second);
        pipes.give_back(second);
        assert_eq!(pipes.counts(), PipeCounts { used: 0, free: 1, pipes_max: 2 });
        let again = pipes.take().unwrap();
        assert_eq!(pipes.counts().free, 0);
        let (outer, _server) = UnixStream::pair().unwrap();
        let nothing = pipes.pour(again, outer.as_raw_fd(), 100);
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(pipes.fill(inner.as_raw_fd(), PipeId(77), 1).is_err());
    }

    #[test]
    fn only_the_first_pipes_are_large() {
        let mut pipes = Pipes::new(LARGE_MAX + 4, 1 << 20);
        let taken: Vec<PipeId> = std::iter::from_fn(|| pipes.take()).collect();
        let small = taken.iter().skip(LARGE_MAX as usize);
        assert!(small.clone().count() <= 4 && small.clone().all(|id| pipes.capacity_bytes(*id) <= SMALL_BYTES));
        assert!(taken.iter().all(|id| pipes.capacity_bytes(*id) >= USEFUL_BYTES));
        assert_eq!(pipes.capacity_bytes(PipeId(999)), 0);
    }
}
