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

/// RFC 9110 section 5.6.7; with the part of the second in finer units, as HAProxy has it.
pub fn http_date(number: i64, unit: TimeUnit) -> Option<Vec<u8>> {
    let zoned = timestamp(number, unit)?.to_zoned_datetime(TimeZone::UTC);
    let format = match unit {
        TimeUnit::Seconds => "%a, %d %b %Y %H:%M:%S GMT",
        TimeUnit::Milliseconds => "%a, %d %b %Y %H:%M:%S.%3f GMT",
        TimeUnit::Microseconds => "%a, %d %b %Y %H:%M:%S.%6f GMT",
    };
    jiff::fmt::strtime::format(format, &zoned).ok().map(String::into_bytes)
}

/// strftime(3); `None` when the format has a conversion that is not known.
pub fn format(format: &str, seconds: i64, is_local: bool) -> Option<Vec<u8>> {
    let zone = if is_local { crate::policy::log_date::local_zone().clone() } else { TimeZone::UTC };
    let zoned = timestamp(seconds, TimeUnit::Seconds)?.to_zoned_datetime(zone);
    jiff::fmt::strtime::format(format, &zoned).ok().map(String::into_bytes)
}
