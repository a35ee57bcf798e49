//! One server as all threads see it.

use crate::config::model::Server;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Operational state (HAProxy's `srv_op_state` numbers, as `show servers state` prints them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RunState {
    Stopped = 0,
    /// Warming up (`slowstart`).
    Starting = 1,
    Running = 2,
    /// Up, but takes no new connections (NOLB: `disable-on-404`, agent drain).
    Stopping = 3,
}

/// Administrative state bits (HAProxy's `srv_admin_state` numbers).
pub mod admin {
    pub const FORCED_MAINT: u8 = 0x01;
    /// Inherited from a tracked server.
    pub const INHERITED_MAINT: u8 = 0x02;
    /// `disabled` in the configuration.
    pub const CONFIGURED_MAINT: u8 = 0x04;
    pub const FORCED_DRAIN: u8 = 0x08;
    pub const INHERITED_DRAIN: u8 = 0x10;
    /// The address could not be resolved.
    pub const RESOLUTION_MAINT: u8 = 0x20;
    /// `CONFIGURED_MAINT` only remembers where a forced maintenance came from, as in HAProxy.
    pub const MAINT: u8 = FORCED_MAINT | INHERITED_MAINT | RESOLUTION_MAINT;
    pub const DRAIN: u8 = FORCED_DRAIN | INHERITED_DRAIN;
}

/// Result codes of checks (the CSV's `check_status`; HAProxy's `show servers state` numbers are in management.txt).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub enum CheckStatus {
    Unknown = 0, Initializing, Start, SocketError, Layer4Ok, Layer4Timeout, Layer4ConnectionError,
    Layer6Ok, Layer6Timeout, Layer6InvalidResponse,
    Layer7Ok, Layer7OkConditional, Layer7Timeout, Layer7InvalidResponse, Layer7Status,
    ProcessError, ProcessTimeout, ProcessOk, HealthAnalysis,
}

impl CheckStatus {
    pub fn from_number(number: u8) -> CheckStatus {
        use CheckStatus::*;
        [
            Unknown,
            Initializing,
            Start,
            SocketError,
            Layer4Ok,
            Layer4Timeout,
            Layer4ConnectionError,
            Layer6Ok,
            Layer6Timeout,
            Layer6InvalidResponse,
            Layer7Ok,
            Layer7OkConditional,
            Layer7Timeout,
            Layer7InvalidResponse,
            Layer7Status,
            ProcessError,
            ProcessTimeout,
            ProcessOk,
            HealthAnalysis,
        ]
        .get(number as usize)
        .copied()
        .unwrap_or(Unknown)
    }
}

/// Weights are scaled by this so that slow start has finer steps (HAProxy's BE_WEIGHT_SCALE).
pub const WEIGHT_SCALE: u32 = 16;

/// All fields are whole-machine truths. Those under "changed with the administration lock held" may be read by anyone.
#[derive(Default)]
pub struct ServerState {
    /// Connections assigned now: `%sc`, scur, leastconn's count. The balancer's lease adds and takes away.
    pub served: AtomicU32,
    pub served_max: AtomicU32,
    /// Waiting in this server's own queue: `%sq`, qcur.
    pub queued: AtomicU32,
    pub queued_max: AtomicU32,
    /// The waiting connections themselves; [`ServerState::queued`] is their number.
    pub queue: super::queue::WaitQueue,
    /// leastconn breaks ties by who changed longest ago.
    pub moved_sequence: AtomicU64,
    pub session_rate: super::rate::Rate,
    /// Wall clock seconds of the last session, 0 = never.
    pub last_session_wall_s: AtomicU64,
    /// Recorded by the worker when a session to this server ends.
    pub session_times: super::averages::SessionTimes,

    // Changed with the administration lock held:
    /// A [`RunState`] number.
    pub run_state: AtomicU8,
    /// Bits of [`admin`].
    pub admin_state: AtomicU8,
    /// Weight as the administrator wants it, 0–256; starts as configured.
    pub user_weight: AtomicU32,
    /// Scaled by [`WEIGHT_SCALE`] and by slow start; 0 = gets no new connection.
    pub effective_weight: AtomicU32,
    /// HAProxy's health counter: 0..rise-1 is down, rise..rise+fall-1 is up.
    pub health: AtomicU32,
    /// Monotonic microseconds of the last UP/DOWN change.
    pub last_change_us: AtomicU64,
    pub downtime_ms: AtomicU64,
    /// Failed checks (chkfail) and UP→DOWN transitions (chkdown).
    pub check_failures: AtomicU64,
    pub down_transitions: AtomicU64,
    /// failed `observe` analyses (hanafail).
    pub health_analysis_failures: AtomicU64,
    /// Errors since the last success, for `error-limit`.
    pub consecutive_errors: AtomicU32,
    /// A [`CheckStatus`] number, the code (HTTP status or errno), and duration of the last finished check.
    pub check_status: AtomicU8,
    pub check_code: AtomicU16,
    pub check_duration_ms: AtomicU64,
    pub check_in_progress: AtomicBool,
    /// Checks are enabled for this server (`disable health` clears it).
    pub check_enabled: AtomicBool,
    /// The last check's description ("Connection refused at step 2 of tcp-check …"), empty when none.
    pub check_description: std::sync::Mutex<String>,
    /// maxconn, writable at run time; 0 = none.
    pub maxconn: AtomicU32,
    /// Monotonic microseconds when slow start began, 0 = not warming up.
    pub slowstart_since_us: AtomicU64,
}

impl ServerState {
    /// A server at start: up (as HAProxy starts), or in configured maintenance.
    pub fn new(server: &Server, now_us: u64) -> ServerState {
        let state = ServerState::default();
        let set = |field: &AtomicU32, value| field.store(value, Ordering::Relaxed);
        set(&state.user_weight, server.weight);
        set(&state.effective_weight, server.weight * WEIGHT_SCALE);
        set(&state.maxconn, server.maxconn);
        state.last_change_us.store(now_us, Ordering::Relaxed);
        state.run_state.store(RunState::Running as u8, Ordering::Relaxed);
        if server.disabled {
            state.admin_state.store(admin::FORCED_MAINT | admin::CONFIGURED_MAINT, Ordering::Relaxed);
            state.run_state.store(RunState::Stopped as u8, Ordering::Relaxed);
        } else if server.address.is_none() {
            state.admin_state.store(admin::RESOLUTION_MAINT, Ordering::Relaxed);
            state.run_state.store(RunState::Stopped as u8, Ordering::Relaxed);
        }
        if let Some(check) = &server.check {
            // One success short of full health: the first result decides (HAProxy starts at `rise`).
            set(&state.health, check.rise);
            state.check_enabled.store(true, Ordering::Relaxed);
            state.check_status.store(CheckStatus::Initializing as u8, Ordering::Relaxed);
        }
        state
    }

    pub fn run_state(&self) -> RunState {
        match self.run_state.load(Ordering::Relaxed) {
            0 => RunState::Stopped,
            1 => RunState::Starting,
            2 => RunState::Running,
            _ => RunState::Stopping,
        }
    }
    pub fn admin_state(&self) -> u8 {
        self.admin_state.load(Ordering::Relaxed)
    }
    /// May take new connections: up and neither in maintenance nor draining. (HAProxy's srv_currently_usable with a
    /// non-zero weight.)
    pub fn is_usable(&self) -> bool {
        matches!(self.run_state(), RunState::Starting | RunState::Running)
            && self.admin_state() & (admin::MAINT | admin::DRAIN) == 0
            && self.effective_weight.load(Ordering::Relaxed) != 0
    }
}
