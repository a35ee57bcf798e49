//! The kernel as safe functions: the only folder with `unsafe`. It knows sockets, descriptors and processes, and no
//! proxy noun; errors are `io::Error`s with the errno in them.
//!
//! Descriptors that live long are `OwnedFd`s. The per-operation calls in [`socket`] take plain numbers, because the
//! drivers name sockets by number: a wrong number gives an error or hits another of our own sockets, never memory.

pub mod address;
pub mod affinity;
pub mod clock;
pub mod datagram;
pub mod epoll;
pub mod event;
pub mod files;
pub mod handover;
pub mod limits;
pub mod listener;
pub mod memory;
pub mod pipe;
pub mod process;
pub mod signals;
pub mod socket;
pub mod socket_option;
pub mod uring;

use std::io;

/// Turns the kernel's -1 into the errno.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for calls that return a size.
fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The errno of `error`, EIO where it has none: what a completion carries, negated.
pub fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
