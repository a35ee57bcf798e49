//! Check results by number, as `show servers state` writes them.

use crate::policy::health::status::{Outcome, outcome};
use crate::shared::server::CheckStatus;

/// What HAProxy's `show servers state` numbers a result, as in its file format version 1.
pub fn state_file_number(status: CheckStatus) -> u32 {
    match status {
        CheckStatus::Unknown => 0,
        CheckStatus::Initializing => 1,
        CheckStatus::Start => 2,
        CheckStatus::HealthAnalysis => 4,
        CheckStatus::SocketError => 5,
        CheckStatus::Layer4Ok => 6,
        CheckStatus::Layer4Timeout => 7,
        CheckStatus::Layer4ConnectionError => 8,
        CheckStatus::Layer6Ok => 9,
        CheckStatus::Layer6Timeout => 10,
        CheckStatus::Layer6InvalidResponse => 11,
        CheckStatus::Layer7Timeout => 12,
        CheckStatus::Layer7InvalidResponse => 13,
        CheckStatus::Layer7Ok => 15,
        CheckStatus::Layer7OkConditional => 16,
        CheckStatus::Layer7Status => 17,
        CheckStatus::ProcessError => 18,
        CheckStatus::ProcessTimeout => 19,
        CheckStatus::ProcessOk => 20,
    }
}

/// Whether a check has ended with this result, so that its duration means something.
pub fn is_finished(status: CheckStatus) -> bool {
    !matches!(status, CheckStatus::Unknown | CheckStatus::Initializing | CheckStatus::Start)
}

/// HAProxy's `CHK_RES_*`: 0 unknown, 2 failed, 3 passed, 4 conditionally passed.
pub fn result_number(status: CheckStatus) -> u32 {
    match outcome(status) {
        Outcome::Neutral => 0,
        Outcome::Failed => 2,
        Outcome::Passed => 3,
        Outcome::PassedConditionally => 4,
    }
}
