//! What a session that answers by itself (stats page, runtime socket) needs from its caller.

use crate::policy::state_log::StateLog;
use crate::shared::{Shared, WorkerState};
use std::net::IpAddr;

/// Facts and outputs of one call into [`super::local_http::LocalHttp`] or [`super::runtime::RuntimeSession`].
pub struct LocalContext<'a> {
    pub shared: &'a Shared,
    /// The calling thread's own index into [`Shared::workers`]; its counters are the ones that get written.
    pub worker: usize,
    /// Monotonic clock, microseconds.
    pub now_us: u64,
    /// Microseconds since the Unix epoch.
    pub wall_us: u64,
    pub pid: u32,
    /// The machine's name (`stats show-node`, `node:` of `show info`).
    pub hostname: &'a str,
    /// Who asks; `None` for unix sockets.
    pub client_ip: Option<IpAddr>,
    /// Server state changes made by this call, for the caller to log.
    pub state_logs: &'a mut Vec<StateLog>,
}

impl LocalContext<'_> {
    /// The counters this thread may write. An index out of range falls back to the control thread's.
    pub fn counters(&self) -> &WorkerState {
        self.shared.workers.get(self.worker).unwrap_or_else(|| self.shared.control())
    }
}

/// What the caller does next with the connection, after having sent the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send the output, go on receiving.
    Continue,
    /// Send the output, then close.
    CloseAfterOutput,
}
