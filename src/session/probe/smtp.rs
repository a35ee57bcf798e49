//! Replies of SMTP servers (RFC 5321 section 4.2): three digits, lines that go on with `-`, and one that ends the reply.

/// The first reply in `bytes`.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    Incomplete,
    /// The line that is none.
    Invalid(&'a [u8]),
    /// The code, and the text of the last line.
    Complete {
        code: u16,
        text: &'a [u8],
    },
}

/// `is_last`: no more bytes come, so that a line may lack its end.
pub fn parse(bytes: &[u8], is_last: bool) -> Reply<'_> {
    let mut rest = bytes;
    loop {
        let (line, next) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None if is_last && !rest.is_empty() => (rest, &[][..]),
            None => return Reply::Incomplete,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((digits, after)) =
            line.split_at_checked(3).filter(|(digits, _)| digits.iter().all(u8::is_ascii_digit))
        else {
            return Reply::Invalid(line);
        };
        let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        match after {
            [] => return Reply::Complete { code, text: after },
            [b' ', text @ ..] => return Reply::Complete { code, text },
            [b'-', ..] => rest = next,
            _ => return Reply::Invalid(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies() {
        let complete = |code, text: &'static str| Reply::Complete { code, text: text.as_bytes() };
        assert_eq!(parse(b"220 mx ready\r\n", false), complete(220, "mx ready"));
        assert_eq!(parse(b"250-mx\r\n250-SIZE 1\r\n250 OK\r\nmore", false), complete(250, "OK"));
        assert_eq!(parse(b"221\r\n", false), complete(221, ""));
        assert_eq!(parse(b"250-mx\r\n250-SIZE 1\r\n", false), Reply::Incomplete);
        assert_eq!(parse(b"", true), Reply::Incomplete);
        assert_eq!(parse(b"250 o", false), Reply::Incomplete);
        assert_eq!(parse(b"250 o", true), complete(250, "o"));
        for line in ["hello", "25", "25x ok", "2500", "", "\u{1F980}"] {
            assert_eq!(parse(format!("{line}\r\n").as_bytes(), false), Reply::Invalid(line.as_bytes()));
        }
    }
}
