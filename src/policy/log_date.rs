//! Dates of log lines, in the local time zone and in UTC. Formatting is cached per second and thread.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::OnceLock;

static LOCAL: OnceLock<TimeZone> = OnceLock::new();

/// Reads the time zone (TZ, /etc/localtime). Call it before chroot: afterwards the files may be out of reach. UTC
/// when there is none.
pub fn load_time_zone() {
    local_zone();
}

pub(crate) fn local_zone() -> &'static TimeZone {
    LOCAL.get_or_init(|| TimeZone::try_system().unwrap_or(TimeZone::UTC))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One second, broken down and spelled the ways that logs need.
#[derive(Clone, Debug, Default)]
pub struct Second {
    unix_s: u64,
    is_filled: bool,
    /// `23/Nov/2026:17:46:31`
    pub slashed: String,
    /// `+0100`
    pub offset: String,
    /// `Nov  3 17:46:31`
    pub syslog: String,
    /// `2026-11-23T17:46:31`
    iso: String,
    /// `+01:00`
    iso_offset: String,
}

impl Second {
    fn fill(&mut self, unix_s: u64, zone: &TimeZone) {
        let timestamp = i64::try_from(unix_s).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let timestamp = timestamp.unwrap_or(Timestamp::UNIX_EPOCH);
        let offset = zone.to_offset(timestamp);
        let date = Offset::to_datetime(offset, timestamp);
        let month = MONTHS.get(usize::try_from(date.month() - 1).unwrap_or(0)).unwrap_or(&"Jan");
        let clock = format!("{:02}:{:02}:{:02}", date.hour(), date.minute(), date.second());
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        let (year, day) = (date.year(), date.day());
        self.unix_s = unix_s;
        self.is_filled = true;
        self.slashed = format!("{day:02}/{month}/{year}:{clock}");
        self.offset = format!("{sign}{hours:02}{minutes:02}");
        self.syslog = format!("{month} {day:2} {clock}");
        self.iso = format!("{year:04}-{:02}-{day:02}T{clock}", date.month());
        self.iso_offset = format!("{sign}{hours:02}:{minutes:02}");
    }

    /// `2026-11-23T17:46:31.557699+00:00`, RFC 5424 section 6.2.3.
    pub fn write_iso(&self, microseconds: u64, out: &mut String) {
        let _ = write!(out, "{}.{:06}{}", self.iso, microseconds % 1_000_000, self.iso_offset);
    }
}

/// Runs `with` on the second of `wall_us` in the local zone.
pub fn local<R>(wall_us: u64, with: impl FnOnce(&Second) -> R) -> R {
    thread_local!(static CACHE: RefCell<Second> = RefCell::new(Second::default()));
    cached(&CACHE, wall_us, local_zone(), with)
}

/// The same in UTC.
pub fn utc<R>(wall_us: u64, with: impl FnOnce(&Second) -> R) -> R {
    thread_local!(static CACHE: RefCell<Second> = RefCell::new(Second::default()));
    cached(&CACHE, wall_us, &TimeZone::UTC, with)
}

fn cached<R>(
    cache: &'static std::thread::LocalKey<RefCell<Second>>,
    wall_us: u64,
    zone: &TimeZone,
    with: impl FnOnce(&Second) -> R,
) -> R {
    cache.with_borrow_mut(|second| {
        let unix_s = wall_us / 1_000_000;
        if !second.is_filled || second.unix_s != unix_s {
            second.fill(unix_s, zone);
        }
        with(second)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_a_second() {
        let mut second = Second::default();
        second.fill(1_795_456_098, &TimeZone::UTC);
        assert_eq!(second.slashed, "23/Nov/2026:17:48:18");
        assert_eq!(second.offset, "+0000");
        assert_eq!(second.syslog, "Nov 23 17:48:18");
        let mut text = String::new();
        second.write_iso(42, &mut text);
        assert_eq!(text, "2026-11-23T17:48:18.000042+00:00");
        second.fill(1_795_456_098 - 20 * 86_400, &TimeZone::fixed(Offset::from_seconds(-12_600).unwrap()));
        assert_eq!(second.slashed, "03/Nov/2026:14:18:18");
        assert_eq!(second.offset, "-0330");
        assert_eq!(second.syslog, "Nov  3 14:18:18");
        second.fill(u64::MAX, &TimeZone::UTC);
        assert_eq!(second.slashed, "01/Jan/1970:00:00:00", "nonsense is no panic");
    }

    #[test]
    fn the_cache_follows_the_clock() {
        let at = |wall_us| utc(wall_us, |second| second.slashed.clone());
        assert_eq!(at(0), "01/Jan/1970:00:00:00");
        assert_eq!(at(999_999), "01/Jan/1970:00:00:00");
        assert_eq!(at(1_000_000), "01/Jan/1970:00:00:01");
        assert_eq!(at(0), "01/Jan/1970:00:00:00", "clocks are set back, too");
    }
}
