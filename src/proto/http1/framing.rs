//! Where a request's body ends, and whether the connection goes on after it (RFC 9112 sections 6 and 9.3).

use super::head::{RequestError, RequestHead, Version};
use super::trim_blanks;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Bytes, may be 0.
    Length(u64),
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRules {
    pub framing: Framing,
    /// The client lets the connection stay open.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Reads Content-Length, Transfer-Encoding, Host, Connection and Expect together. Refused: both length headers, two
/// lengths that differ, a length that is not plain digits, any transfer coding but a single `chunked`, one from an
/// HTTP/1.0 client, two hosts.
pub fn message_rules(head: &RequestHead, buffer: &[u8]) -> Result<MessageRules, RequestError> {
    let length = agreed_length(head, buffer)?;
    let chunked = is_chunked(head, buffer)?;
    let mut hosts = head.values("host", buffer);
    let host = hosts.next();
    if hosts.any(|other| Some(other) != host) || host.is_some_and(|host| host.iter().any(|b| b", \t/@\\".contains(b))) {
        return Err(RequestError::Malformed);
    }
    let framing = match (length, chunked) {
        (Some(_), true) => return Err(RequestError::Malformed),
        (None, true) => Framing::Chunked,
        (length, false) => Framing::Length(length.unwrap_or(0)),
    };
    if head.version == Version::Http10
        && framing != Framing::Length(0)
        && [&b"GET"[..], b"HEAD", b"DELETE"].contains(&head.method.of(buffer))
    {
        return Err(RequestError::UnexpectedBody);
    }
    let keep_alive = match head.version {
        Version::Http11 => !head.has_token("connection", "close", buffer),
        Version::Http10 => {
            head.has_token("connection", "keep-alive", buffer) && !head.has_token("connection", "close", buffer)
        }
    };
    let expects_continue = head.version == Version::Http11
        && framing != Framing::Length(0)
        && head.values("expect", buffer).any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    Ok(MessageRules { framing, keep_alive, expects_continue })
}

fn agreed_length(head: &RequestHead, buffer: &[u8]) -> Result<Option<u64>, RequestError> {
    let mut agreed = None;
    for value in head.values("content-length", buffer) {
        let length = parse_length(value).ok_or(RequestError::Malformed)?;
        if agreed.is_some_and(|previous| previous != length) {
            return Err(RequestError::Malformed);
        }
        agreed = Some(length);
    }
    Ok(agreed)
}

/// Plain decimal digits that fit; no sign, no blank, no list.
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

fn is_chunked(head: &RequestHead, buffer: &[u8]) -> Result<bool, RequestError> {
    let mut codings = head.values("transfer-encoding", buffer);
    let Some(coding) = codings.next() else { return Ok(false) };
    let single_chunked = codings.next().is_none() && trim_blanks(coding).eq_ignore_ascii_case(b"chunked");
    if single_chunked && head.version == Version::Http11 { Ok(true) } else { Err(RequestError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::super::head::{HeadLimits, HeadParser};
    use super::*;

    fn rules(head: &str) -> Result<MessageRules, RequestError> {
        let parsed = HeadParser::new(HeadLimits::default()).advance(head.as_bytes())?.expect("a complete head");
        message_rules(&parsed, head.as_bytes())
    }
    fn post(headers: &str) -> Result<MessageRules, RequestError> {
        rules(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
    }

    #[test]
    fn one_way_to_read_a_length() {
        assert_eq!(post("Content-Length: 5\r\n").map(|r| r.framing), Ok(Framing::Length(5)));
        assert_eq!(post("Content-Length: 5\r\nContent-Length: 5\r\n").map(|r| r.framing), Ok(Framing::Length(5)));
        assert_eq!(post("").map(|r| r.framing), Ok(Framing::Length(0)));
        for bad in ["+5", "-1", "5, 5", "5,", "", " ", "0x5", "5 5", "99999999999999999999", "5\u{b}"] {
            let head = format!("Content-Length: {bad}\r\n");
            assert_eq!(post(&head).map_err(|error| error.status()), Err(400), "{bad:?}");
        }
        assert!(post("Content-Length: 5\r\nContent-Length: 6\r\n").is_err());
        assert!(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n").is_err());
    }

    #[test]
    fn only_plain_chunked_is_a_transfer_coding() {
        assert_eq!(post("Transfer-Encoding: Chunked \t\r\n").map(|r| r.framing), Ok(Framing::Chunked));
        for bad in ["", "identity", "gzip, chunked", "chunked, chunked", "chunked,", ",chunked", "x", "chunked;q=1"] {
            assert!(post(&format!("Transfer-Encoding: {bad}\r\n")).is_err(), "{bad:?}");
        }
        assert!(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n").is_err());
        assert!(rules("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn http_1_0_get_with_a_body_is_413() {
        let status = |head| rules(head).map_err(|error| error.status());
        assert_eq!(status("GET / HTTP/1.0\r\nContent-Length: 1\r\n\r\n").unwrap_err(), 413);
        assert!(status("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n").is_ok());
        assert!(status("GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").is_ok());
    }

    #[test]
    fn keep_alive_expect_and_host() {
        assert!(rules("GET / HTTP/1.1\r\n\r\n").unwrap().keep_alive);
        assert!(!rules("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").unwrap().keep_alive);
        assert!(!rules("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
        assert!(rules("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
        assert!(post("Content-Length: 1\r\nExpect: 100-Continue\r\n").unwrap().expects_continue);
        assert!(!post("Expect: 100-continue\r\n").unwrap().expects_continue, "there is no body to wait for");
        assert!(rules("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").is_err());
        assert!(rules("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").is_ok());
        assert!(rules("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n").is_err());
    }
}
