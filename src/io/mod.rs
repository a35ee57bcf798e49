//! Completion is the interface: [`Driver`] says "do this; here is what completed". The io_uring backend is native
//! to it, the epoll backend tries the call and arms readiness on EAGAIN, the simulated one has virtual time and
//! seeded faults. All three pass the same contract suite.
//!
//! A driver belongs to one thread. It owns every byte that the kernel may write; callers hold [`BufferId`]s.

pub mod driver;
pub mod settings;

pub use driver::{
    BufferClass, BufferId, Completion, Driver, DriverKind, Moment, PipeId, Socket, SocketAddress, SocketOption, Token,
    Waker,
};
pub use settings::{DriverSettings, WakeEvent};
