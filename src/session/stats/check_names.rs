//! How check results are called (management.txt section 9.1, fields 36 and 65, and `show servers state`).

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

/// `check_status` and `check_desc`.
pub fn check_names(status: CheckStatus) -> (&'static str, &'static str) {
    match status {
        CheckStatus::Unknown => ("UNK", "Unknown"),
        CheckStatus::Initializing => ("INI", "Initializing"),
        CheckStatus::Start => ("INI", "Initializing"),
        CheckStatus::SocketError => ("SOCKERR", "Socket error"),
        CheckStatus::Layer4Ok => ("L4OK", "Layer4 check passed"),
        CheckStatus::Layer4Timeout => ("L4TOUT", "Layer4 timeout"),
        CheckStatus::Layer4ConnectionError => ("L4CON", "Layer4 connection problem"),
        CheckStatus::Layer6Ok => ("L6OK", "Layer6 check passed"),
        CheckStatus::Layer6Timeout => ("L6TOUT", "Layer6 timeout"),
        CheckStatus::Layer6InvalidResponse => ("L6RSP", "Layer6 invalid response"),
        CheckStatus::Layer7Ok => ("L7OK", "Layer7 check passed"),
        CheckStatus::Layer7OkConditional => ("L7OKC", "Layer7 check conditionally passed"),
        CheckStatus::Layer7Timeout => ("L7TOUT", "Layer7 timeout"),
        CheckStatus::Layer7InvalidResponse => ("L7RSP", "Layer7 invalid response"),
        CheckStatus::Layer7Status => ("L7STS", "Layer7 wrong status"),
        CheckStatus::ProcessError => ("PROCERR", "External check error"),
        CheckStatus::ProcessTimeout => ("PROCTOUT", "External check timeout"),
        CheckStatus::ProcessOk => ("PROCOK", "External check passed"),
        CheckStatus::HealthAnalysis => ("HANA", "Health analyze"),
    }
}

/// Whether a check has ended with this result, so that its duration means something.
pub fn is_finished(status: CheckStatus) -> bool {
    !matches!(status, CheckStatus::Unknown | CheckStatus::Initializing | CheckStatus::Start)
}

/// Whether the result carries a code (an HTTP status, an exit code).
pub fn has_code(status: CheckStatus) -> bool {
    state_file_number(status) >= 14
}

/// HAProxy's `CHK_RES_*`: 0 unknown, 1 neutral, 2 failed, 3 passed, 4 conditionally passed.
pub fn result_number(status: CheckStatus) -> u32 {
    match status {
        CheckStatus::Unknown | CheckStatus::Start => 0,
        CheckStatus::Initializing => 0,
        CheckStatus::Layer7OkConditional => 4,
        CheckStatus::Layer4Ok | CheckStatus::Layer6Ok | CheckStatus::Layer7Ok | CheckStatus::ProcessOk => 3,
        _ => 2,
    }
}
