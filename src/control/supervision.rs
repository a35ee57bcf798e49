//! What the control thread's loop serves besides checks and runtime sockets: signals, and workers that ended.

use crate::io::{Moment, Socket};
use crate::policy::state_log::StateLog;

/// Whether the control loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Continue,
    /// All workers are gone: flush the logs and return.
    End,
}

/// The part of the control thread that starts and stops things; the event loop polls for it.
pub trait Supervision {
    /// Descriptors to poll for input, always the same ones. They are never closed while the loop runs.
    fn descriptors(&self) -> Vec<Socket>;

    /// Called when one of them is readable and when the deadline has passed; harmless at any other time.
    /// What belongs into a proxy's logs is appended to `logs`; it has been said on stderr already.
    fn attend(&mut self, now: Moment, logs: &mut Vec<StateLog>) -> Progress;

    /// Monotonic microseconds at which to call [`Supervision::attend`] even if nothing happens.
    fn deadline_us(&self) -> Option<u64>;
}
