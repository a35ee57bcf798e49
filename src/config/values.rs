//! Numbers, times and sizes of configuration lines (configuration.txt section 2.4, "Time format").

use std::time::Duration;

/// The longest time HAProxy's clock arithmetic carries, about 24.8 days. Kept, so that a file means the same in both.
const TIME_MAX_MS: u64 = i32::MAX as u64;

/// The unit of a time that is written without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultUnit {
    Milliseconds,
    Seconds,
}

/// Reads a time such as `3h`, `5000`, `1500us`.
///
/// Finer than a millisecond is rounded up, as a timer that fires early would cut what was allowed.
/// # Errors
/// What is wrong with `text`, worded to follow "… in " / to stand before " in argument to '<keyword>'".
pub fn parse_time(text: &str, default_unit: DefaultUnit, keyword: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_us: u64 = match unit {
        "" if digits == 0 => return Err(format!("'{keyword}' expects a time, such as 30s or 1500ms")),
        "" => match default_unit {
            DefaultUnit::Milliseconds => 1_000,
            DefaultUnit::Seconds => 1_000_000,
        },
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(unexpected_character(unit, &["us", "ms", "s", "m", "h", "d"], keyword)),
    };
    if digits == 0 {
        return Err(unexpected_character(text, &[], keyword));
    }
    let overflow = || {
        format!(
            "timer overflow in argument '{text}' to '{keyword}' (maximum value is {TIME_MAX_MS} ms or about 24.8 days)"
        )
    };
    let total_us = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_us)).ok_or_else(overflow)?;
    let total_ms = total_us.div_ceil(1_000);
    if total_ms > TIME_MAX_MS {
        return Err(overflow());
    }
    Ok(Duration::from_millis(total_ms))
}

/// Names the first character of `rest` that no unit explains.
fn unexpected_character(rest: &str, units: &[&str], keyword: &str) -> String {
    // `30sec`: the `s` is fine, the `e` is what surprises.
    let known = units.iter().filter(|unit| rest.starts_with(*unit)).map(|unit| unit.len()).max().unwrap_or(0);
    let at = rest.get(known..).unwrap_or(rest);
    let character = at.chars().next().unwrap_or('?');
    format!("unexpected character '{character}' in argument to '{keyword}' (units are us, ms, s, m, h, d)")
}

/// Reads a size such as `16384`, `64k`, `1m`, `2g` (powers of 1024), up to 2^32-1 bytes.
/// # Errors
/// What is wrong with `text`.
pub fn parse_size(text: &str, keyword: &str) -> Result<u32, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if digits == 0 {
        return Err(format!("'{keyword}' expects a size, such as 16384 or 64k"));
    }
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => {
            let character = unit.chars().next().unwrap_or('?');
            return Err(format!("unexpected character '{character}' in size argument '{text}' to '{keyword}'"));
        }
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| format!("size '{text}' of '{keyword}' is larger than 4294967295 bytes"))
}

/// Reads a decimal integer from `minimum` to `maximum`, both allowed.
/// # Errors
/// What is wrong with `text`.
pub fn parse_integer(text: &str, minimum: i64, maximum: i64, keyword: &str) -> Result<i64, String> {
    let number: i64 = text
        .parse()
        .map_err(|_| format!("'{keyword}' expects an integer from {minimum} to {maximum}, not '{text}'"))?;
    if (minimum..=maximum).contains(&number) {
        Ok(number)
    } else {
        Err(format!("'{keyword}' must be from {minimum} to {maximum}, but {text} was given"))
    }
}

/// [`parse_integer`] for the common unsigned 32-bit field.
/// # Errors
/// What is wrong with `text`.
pub fn parse_u32(text: &str, minimum: u32, maximum: u32, keyword: &str) -> Result<u32, String> {
    parse_integer(text, minimum.into(), maximum.into(), keyword).map(|number| number.unsigned_abs() as u32)
}

/// Reads a TCP port from 1 to 65535 (0 where `allow_zero`).
/// # Errors
/// What is wrong with `text`.
pub fn parse_port(text: &str, allow_zero: bool, keyword: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(0) if !allow_zero => Err(format!("'{keyword}' needs a port from 1 to 65535, not 0")),
        Ok(port) => Ok(port),
        Err(_) => Err(format!("'{text}' is not a port number for '{keyword}' (1 to 65535)")),
    }
}

/// Reads a byte string in hexadecimal, as `send-binary` takes it.
/// # Errors
/// What is wrong with `text`.
pub fn parse_hexadecimal(text: &str) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err(format!("the binary string has {} hexadecimal digits; it must have an even number", text.len()));
    }
    let nibble = |byte: u8| {
        (byte as char)
            .to_digit(16)
            .ok_or_else(|| format!("'{}' is not a hexadecimal digit", char::from(byte).escape_default()))
    };
    text.as_bytes().chunks_exact(2).map(|pair| Ok((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn milliseconds(text: &str) -> Result<u64, String> {
        parse_time(text, DefaultUnit::Milliseconds, "timeout client").map(|time| time.as_millis() as u64)
    }

    #[test]
    fn times_have_units_and_a_default() {
        assert_eq!(milliseconds("5000"), Ok(5000));
        assert_eq!(milliseconds("3h"), Ok(10_800_000));
        assert_eq!(milliseconds("1d"), Ok(86_400_000));
        assert_eq!(milliseconds("2m"), Ok(120_000));
        assert_eq!(milliseconds("30s"), Ok(30_000));
        assert_eq!(milliseconds("1us"), Ok(1));
        assert_eq!(milliseconds("1001us"), Ok(2));
        assert_eq!(parse_time("10", DefaultUnit::Seconds, "stats refresh"), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn bad_times_say_what_is_wrong() {
        assert!(milliseconds("1.5s").unwrap_err().starts_with("unexpected character '.' in"));
        assert!(milliseconds("30sec").unwrap_err().starts_with("unexpected character 'e' in"));
        assert!(milliseconds("-1").unwrap_err().starts_with("unexpected character '-' in"));
        assert!(milliseconds("s").unwrap_err().starts_with("unexpected character 's' in"));
        assert!(milliseconds("25d").unwrap_err().starts_with("timer overflow in argument '25d' to 'timeout client'"));
        assert!(milliseconds("99999999999999999999").unwrap_err().starts_with("timer overflow"));
        assert_eq!(milliseconds("2147483647"), Ok(2_147_483_647));
        assert!(milliseconds("2147483648").is_err());
        assert!(milliseconds("").is_err());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("16384", "tune.bufsize"), Ok(16384));
        assert_eq!(parse_size("64k", "tune.bufsize"), Ok(65536));
        assert_eq!(parse_size("1m", "x"), Ok(1 << 20));
        assert_eq!(parse_size("3g", "x"), Ok(3 << 30));
        assert!(parse_size("4g", "x").is_err());
        assert!(parse_size("12x", "x").unwrap_err().contains("unexpected character 'x'"));
        assert!(parse_size("k", "x").is_err());
    }

    #[test]
    fn hexadecimal_needs_pairs_of_digits() {
        assert_eq!(parse_hexadecimal("00fFa0"), Ok(vec![0, 255, 160]));
        assert!(parse_hexadecimal("abc").is_err());
        assert!(parse_hexadecimal("zz").is_err());
        assert!(parse_hexadecimal("éa").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = parse_time(&text, DefaultUnit::Seconds, "x");
            let _ = parse_size(&text, "x");
            let _ = parse_integer(&text, -5, 5, "x");
            let _ = parse_hexadecimal(&text);
        }

        #[test]
        fn every_time_in_range_is_read(number in 0u64..2_147_483_647) {
            prop_assert_eq!(milliseconds(&format!("{number}ms")), Ok(number));
        }
    }
}
