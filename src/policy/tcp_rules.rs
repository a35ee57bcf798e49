//! Runs `tcp-request` and `tcp-response` rules (configuration.txt section 4.2). No I/O: the caller holds the bytes,
//! watches the time, and does what the verdict says.

use std::time::Duration;

/// What becomes of a connection after its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpVerdict {
    Accept,
    /// Close it; counted as denied.
    Reject,
    /// Forget it so that the client is not told.
    SilentDrop,
    /// `tcp-response content close`: end the server's side.
    Close,
    /// Bytes are missing. Call again from rule `resume` when more have come, when no more will, or when the inspect
    /// delay `at_most` (counted from the first call) is over; with `is_payload_complete` in the last two cases.
    Wait {
        at_most: Option<Duration>,
        resume: usize,
    },
}
