//! Which fields may follow a chunked body (RFC 9110 section 6.5.1). A reader that takes trailers for headers must not
//! learn another length, host, sender or kind of content from them.

/// Appends the line, when it may go on.
pub(super) fn keep_allowed(name: &[u8], value: &[u8], output: &mut Vec<u8>) {
    if !is_forbidden(name) {
        for part in [name, b": ", value, b"\r\n"] {
            output.extend_from_slice(part);
        }
    }
}

fn is_forbidden(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 36] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"connection",
        b"cookie",
        b"cookie2",
        b"date",
        b"expect",
        b"expires",
        b"forwarded",
        b"from",
        b"front-end-https",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"retry-after",
        b"set-cookie",
        b"set-cookie2",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"user-agent",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
        b"authentication-info",
        b"x-real-ip",
        b"x-http-method-override",
    ];
    // `content-md5` is what a trailer is for.
    const PREFIXES: [&[u8]; 7] =
        [b"content-", b"proxy-", b"if-", b"x-forwarded", b"accept", b"access-control-", b"sec-"];
    let starts_with = |prefix: &&[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let is_digest = name.eq_ignore_ascii_case(b"content-md5") || name.eq_ignore_ascii_case(b"content-digest");
    !is_digest && (NAMES.iter().any(|other| name.eq_ignore_ascii_case(other)) || PREFIXES.iter().any(starts_with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_about_the_message_goes_on() {
        for name in ["X-Sum", "Content-MD5", "ETag", "Server-Timing", "grpc-status", "Digest", "Content-Digest"] {
            assert!(!is_forbidden(name.as_bytes()), "{name}");
        }
        for name in ["Host", "TE", "Content-Length", "Transfer-Encoding", "Cookie", "Content-Type", "X-Forwarded-For"] {
            assert!(is_forbidden(name.as_bytes()) && is_forbidden(name.to_lowercase().as_bytes()), "{name}");
        }
    }
}
