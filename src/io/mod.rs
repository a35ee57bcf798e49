//! Completion is the interface: [`Driver`] says "do this; here is what completed". The io_uring backend is native
//! to it, the epoll backend tries the call and arms readiness on EAGAIN, the simulated one has virtual time and
//! seeded faults. All three pass the same contract suite.
//!
//! A driver belongs to one thread. It owns every byte that the kernel may write; callers hold [`BufferId`]s.

mod buffers;
#[cfg(test)]
mod contract;
pub mod driver;
pub mod epoll;
mod pipes;
pub mod settings;
pub mod sim;
mod trim;
pub mod uring;
mod uring_groups;

pub use driver::{
    BufferClass, BufferId, Completion, Driver, DriverKind, Moment, PipeId, Socket, SocketAddress, SocketOption, Token,
    Waker,
};
pub use pipes::PipeCounts;
pub use settings::{DriverSettings, WakeEvent};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether an accept that failed with this errno is to be tried again at once: the error was one connection's, not the
/// listener's (accept(2): errors already pending on the new socket are passed on).
fn accept_goes_on(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNABORTED
            | libc::EINTR
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENONET
            | libc::EPERM
            | libc::ETIMEDOUT
    )
}

/// A waker that signals the event once until the driver has seen it.
fn waker_of(event: WakeEvent, pending: Arc<AtomicBool>) -> Waker {
    Waker::new(move || {
        if !pending.swap(true, Ordering::AcqRel) {
            event.signal();
        }
    })
}
