//! The dates in a persistence cookie: quarters of the Unix time in seconds, 30 bits, as five base64 characters, most
//! significant first. HAProxy reads ours and we read its.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Length of a date.
pub const LENGTH: usize = 5;

/// Appends `seconds`, rounded up to the next four.
pub fn write(seconds: u64, output: &mut Vec<u8>) {
    let quarters = seconds.saturating_add(3) >> 2;
    output.extend((0..LENGTH).rev().map(|digit| ALPHABET[(quarters >> (6 * digit) & 0x3f) as usize]));
}

/// The date at the start of `text` in seconds; `None` if there is none, or it is zero.
pub fn read(text: &[u8]) -> Option<u64> {
    let digits = text.get(..LENGTH)?;
    let quarters = digits.iter().try_fold(0, |number: u64, digit| {
        let value = ALPHABET.iter().position(|other| other == digit)?;
        Some(number << 6 | value as u64)
    })?;
    (quarters > 0).then_some(quarters << 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(seconds in 1u64..4_294_967_200) {
            let mut text = Vec::new();
            write(seconds, &mut text);
            prop_assert_eq!(read(&text), Some(seconds.div_ceil(4) * 4));
        }

        #[test]
        fn nothing_panics(text in prop::collection::vec(any::<u8>(), 0..9)) {
            let _ = read(&text);
        }
    }

    #[test]
    fn the_alphabet_is_base64s() {
        let mut text = Vec::new();
        write(0x3fff_ffff << 2, &mut text);
        assert_eq!(text, b"/////");
        assert_eq!((read(b"AAAAB"), read(b"AAAAA"), read(b"AAA B"), read(b"AAAA")), (Some(4), None, None, None));
    }
}
