//! HTTP dates in their three forms (RFC 9110 section 5.6.7).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Behind the day of the week.
const FORMS: [&str; 3] = [", %d %b %Y %H:%M:%S GMT", ", %d-%b-%y %H:%M:%S GMT", " %b %e %H:%M:%S %Y"];

/// Seconds since the Unix epoch. A day of the week that is not the date's does no harm: it says nothing new.
pub fn parse(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    let text = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let date = FORMS.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    Some(TimeZone::UTC.to_timestamp(date).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn three_forms_of_one_date() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 2094 08:49:37 GMT"), parse(b"Sat, 06 Nov 2094 08:49:37 GMT"));
        for text in ["", "0", "Sun, 06 Nov 1994", "Mon, 99 Nov 1994 08:49:37 GMT", "\u{1F980}"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
