//! Dates as text.

use crate::config::model::TimeUnit;
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn timestamp(number: i64, unit: TimeUnit) -> Option<Timestamp> {
    match unit {
        TimeUnit::Seconds => Timestamp::from_second(number).ok(),
        TimeUnit::Milliseconds => Timestamp::from_millisecond(number).ok(),
        TimeUnit::Microseconds => Timestamp::from_microsecond(number).ok(),
    }
}

/// RFC 9110 section 5.6.7.
pub fn http_date(number: i64, unit: TimeUnit) -> Option<Vec<u8>> {
    let zoned = timestamp(number, unit)?.to_zoned_datetime(TimeZone::UTC);
    jiff::fmt::strtime::format("%a, %d %b %Y %H:%M:%S GMT", &zoned).ok().map(String::into_bytes)
}

/// strftime(3); `None` when the format has a conversion that is not known.
pub fn format(format: &str, seconds: i64, is_local: bool) -> Option<Vec<u8>> {
    let zone = if is_local { crate::policy::log_date::local_zone().clone() } else { TimeZone::UTC };
    let zoned = timestamp(seconds, TimeUnit::Seconds)?.to_zoned_datetime(zone);
    jiff::fmt::strtime::format(format, &zoned).ok().map(String::into_bytes)
}
