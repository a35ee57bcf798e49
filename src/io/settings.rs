//! What a driver is made with.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::driver::Socket;
use crate::sys::event::EventFd;

/// The event by which other threads wake a driver's thread. Make one per worker before the first worker unshares its
/// descriptor table: a descriptor made later by one thread does not exist in the others' tables.
#[derive(Clone, Debug)]
pub struct WakeEvent(pub(super) Arc<EventFd>);

impl WakeEvent {
    pub fn new() -> io::Result<Self> {
        Ok(WakeEvent(Arc::new(EventFd::new()?)))
    }

    /// Its number, the same in every table that was copied since, for whoever cleans up such a copy.
    pub fn descriptor(&self) -> Socket {
        Socket(self.0.as_raw_fd())
    }

    pub(super) fn signal(&self) {
        self.0.signal();
    }
}

/// Sizes and bounds of one driver. Memory is touched only when used, so generous bounds cost address space alone.
#[derive(Clone, Debug)]
pub struct DriverSettings {
    /// One buffer of [`super::BufferClass::Small`].
    pub small_buffer_bytes: u32,
    pub small_buffers_max: u32,
    /// One buffer of [`super::BufferClass::Large`] (`tune.bufsize` or more).
    pub large_buffer_bytes: u32,
    pub large_buffers_max: u32,
    /// Pipes for splice; each takes two descriptors.
    pub pipes_max: u32,
    /// What F_SETPIPE_SZ is asked for; the kernel's `fs.pipe-max-size` may grant less. A large filling is a few large
    /// segments and one wake-up of the reader: 1 MiB takes a sixth less CPU a gigabyte than 256 KiB (over loopback).
    pub pipe_bytes: u32,
    /// For [`super::Driver::waker`]; `None`: the driver makes one, good only for threads that share its table.
    pub wake: Option<WakeEvent>,
}

impl Default for DriverSettings {
    fn default() -> Self {
        DriverSettings {
            small_buffer_bytes: 4096,
            small_buffers_max: 8192,
            large_buffer_bytes: 65536,
            large_buffers_max: 256,
            pipes_max: 256,
            pipe_bytes: 1 << 20,
            wake: None,
        }
    }
}
