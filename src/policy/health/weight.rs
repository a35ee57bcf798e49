//! Effective weights and slow start (configuration.txt 5.2 `weight`, `slowstart`).

use crate::config::model::{Backend, BalanceAlgorithm, HashMethod};
use crate::shared::server::{RunState, WEIGHT_SCALE};
use std::time::Duration;

/// The highest weight.
pub const WEIGHT_MAX: u32 = 256;

/// Whether the algorithm can take a changed weight at run time, so that slow start may scale it. static-rr and
/// map-based hashes use full weights at once (configuration.txt 4.2 `balance`).
pub fn is_dynamic(backend: &Backend) -> bool {
    match backend.balance {
        BalanceAlgorithm::StaticRoundRobin => false,
        ref algorithm if algorithm.is_hash() => backend.hash_type.method == HashMethod::Consistent,
        _ => true,
    }
}

/// The weight that balancing uses, in [`WEIGHT_SCALE`]ths.
/// `warmed_us`: how long ago the server came back; it counts only while [`RunState::Starting`].
pub fn effective(user_weight: u32, state: RunState, slowstart: Option<Duration>, warmed_us: u64, dynamic: bool) -> u32 {
    let full = user_weight.min(WEIGHT_MAX) * WEIGHT_SCALE;
    let Some(slowstart_us) = slowstart.map(|time| time.as_micros()).filter(|us| *us > 0) else { return full };
    if state != RunState::Starting || !dynamic {
        return full;
    }
    // Never 0: a server that comes back gets its first connections at once.
    let steps = (u128::from(WEIGHT_SCALE) * u128::from(warmed_us) + slowstart_us) / slowstart_us;
    user_weight.min(WEIGHT_MAX) * u32::try_from(steps).unwrap_or(WEIGHT_SCALE).min(WEIGHT_SCALE)
}

/// A weight as the runtime API and the stats page take it: `N` (0–256) or `N%` of the configured one.
/// Returns the absolute weight, or HAProxy's answer.
pub fn parse(text: &str, configured_weight: u32) -> Result<u32, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    if number.is_empty() {
        return Err("Empty weight string empty or preceded by garbage".to_string());
    }
    // More digits than fit mean "too large" for an absolute weight and "as much as can be" for a percentage.
    let number = number.parse::<u64>().unwrap_or(u64::MAX);
    match rest {
        "%" if negative => Err("Relative weight must be positive".to_string()),
        "%" => {
            let weight = u128::from(configured_weight) * u128::from(number) / 100;
            Ok(u32::try_from(weight).unwrap_or(WEIGHT_MAX).min(WEIGHT_MAX))
        }
        "" if negative || number > u64::from(WEIGHT_MAX) => {
            Err("Absolute weight can only be between 0 and 256 inclusive.".to_string())
        }
        "" => Ok(number as u32),
        _ => Err("Trailing garbage in weight string".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(warmed_ms: u64) -> u32 {
        effective(10, RunState::Starting, Some(Duration::from_secs(10)), warmed_ms * 1000, true)
    }

    #[test]
    fn slow_start_grows_in_sixteenths_and_never_starts_at_nothing() {
        assert_eq!(slow(0), 10);
        assert_eq!(slow(5_000), 90);
        assert_eq!(slow(9_999), 160);
        assert_eq!(slow(1_000_000), 160);
        assert_eq!(effective(10, RunState::Running, Some(Duration::from_secs(10)), 0, true), 160);
        assert_eq!(effective(10, RunState::Starting, Some(Duration::from_secs(10)), 0, false), 160);
        assert_eq!(effective(0, RunState::Starting, Some(Duration::from_secs(10)), 0, true), 0);
        assert_eq!(effective(u32::MAX, RunState::Running, None, 0, true), 4096);
    }

    #[test]
    fn weights_as_haproxy_answers_them() {
        assert_eq!(parse("20", 10), Ok(20));
        assert_eq!(parse("50%", 10), Ok(5));
        assert_eq!(parse("3000%", 10), Ok(256));
        assert_eq!(parse("1000%", 10), Ok(100));
        assert_eq!(parse("99999999999999999999999%", 10), Ok(256));
        for bad in ["257", "-1", "99999999999999999999999"] {
            assert_eq!(parse(bad, 10), Err("Absolute weight can only be between 0 and 256 inclusive.".into()));
        }
        assert_eq!(parse("x", 10), Err("Empty weight string empty or preceded by garbage".into()));
        assert_eq!(parse("5x", 10), Err("Trailing garbage in weight string".into()));
    }
}
