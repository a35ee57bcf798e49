//! Check results by name: the CSV's `check_status` words and the sentences of the logs.

use crate::shared::server::CheckStatus;

/// What a result means for the health counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No verdict yet.
    Neutral,
    Failed,
    Passed,
    /// Passed, but the server asks for no new connections (`disable-on-404`, `ok-status L7OKC`).
    PassedConditionally,
}

/// The meaning of `status` for the health counter.
pub fn outcome(status: CheckStatus) -> Outcome {
    use CheckStatus::*;
    match status {
        Unknown | Initializing | Start => Outcome::Neutral,
        Layer4Ok | Layer6Ok | Layer7Ok | ProcessOk => Outcome::Passed,
        Layer7OkConditional => Outcome::PassedConditionally,
        SocketError
        | Layer4Timeout
        | Layer4ConnectionError
        | Layer6Timeout
        | Layer6InvalidResponse
        | Layer7Timeout
        | Layer7InvalidResponse
        | Layer7Status
        | ProcessError
        | ProcessTimeout
        | HealthAnalysis => Outcome::Failed,
    }
}

/// The word in the CSV (management.txt 9.1, column 36).
pub fn name(status: CheckStatus) -> &'static str {
    use CheckStatus::*;
    match status {
        Unknown => "UNK",
        Initializing => "INI",
        Start => "",
        SocketError => "SOCKERR",
        Layer4Ok => "L4OK",
        Layer4Timeout => "L4TOUT",
        Layer4ConnectionError => "L4CON",
        Layer6Ok => "L6OK",
        Layer6Timeout => "L6TOUT",
        Layer6InvalidResponse => "L6RSP",
        Layer7Ok => "L7OK",
        Layer7OkConditional => "L7OKC",
        Layer7Timeout => "L7TOUT",
        Layer7InvalidResponse => "L7RSP",
        Layer7Status => "L7STS",
        ProcessError => "PROCERR",
        ProcessTimeout => "PROCTOUT",
        ProcessOk => "PROCOK",
        HealthAnalysis => "HANA",
    }
}

/// The result whose CSV word is `word` (`ok-status`, `error-status`, `tout-status` of expect rules).
pub fn from_name(word: &str) -> Option<CheckStatus> {
    (0..=CheckStatus::HealthAnalysis as u8)
        .map(CheckStatus::from_number)
        .find(|status| !word.is_empty() && name(*status) == word)
}

/// The words after `reason:` (CSV column `check_desc`).
pub fn description(status: CheckStatus) -> &'static str {
    use CheckStatus::*;
    match status {
        Unknown => "Unknown",
        Initializing => "Initializing",
        Start => "",
        SocketError => "Socket error",
        Layer4Ok => "Layer4 check passed",
        Layer4Timeout => "Layer4 timeout",
        Layer4ConnectionError => "Layer4 connection problem",
        Layer6Ok => "Layer6 check passed",
        Layer6Timeout => "Layer6 timeout",
        Layer6InvalidResponse => "Layer6 invalid response",
        Layer7Ok => "Layer7 check passed",
        Layer7OkConditional => "Layer7 check conditionally passed",
        Layer7Timeout => "Layer7 timeout",
        Layer7InvalidResponse => "Layer7 invalid response",
        Layer7Status => "Layer7 wrong status",
        ProcessError => "External check error",
        ProcessTimeout => "External check timeout",
        ProcessOk => "External check passed",
        HealthAnalysis => "Health analyze",
    }
}

/// Whether the result carries a code worth printing (`code:` in logs, CSV column `check_code`).
pub fn has_code(status: CheckStatus) -> bool {
    use CheckStatus::*;
    matches!(status, Layer7Ok | Layer7OkConditional | Layer7Status | ProcessError | ProcessTimeout | ProcessOk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_one_result() {
        for number in 0..=CheckStatus::HealthAnalysis as u8 {
            let status = CheckStatus::from_number(number);
            if status != CheckStatus::Start {
                assert_eq!(from_name(name(status)), Some(status));
            }
        }
        assert_eq!(from_name(""), None);
        assert_eq!(from_name("L4"), None);
    }
}
