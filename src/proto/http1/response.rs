//! Answers: heads, and the small pages of HAProxy's built-in errors.

/// The reason phrase of a status this program sends.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        303 => "See Other",
        400 => "Bad request",
        401 => "Unauthorized",
        403 => "Forbidden",
        408 => "Request Time-out",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

/// `HTTP/1.1 100 Continue`, whole.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a head. A header whose value could break out of its line is left out rather than sent.
pub fn render_head(status: u16, headers: &[(&str, &str)], output: &mut Vec<u8>) {
    output.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    for (name, value) in headers {
        if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            continue;
        }
        for part in [name, ": ", value, "\r\n"] {
            output.extend_from_slice(part.as_bytes());
        }
    }
    output.extend_from_slice(b"\r\n");
}

/// The page of an error (configuration.txt section 4.2, `errorfile`, lists what each means).
pub fn error_page(status: u16) -> String {
    let sentence = match status {
        400 => "Your browser sent an invalid request.",
        401 => "You need a valid user and password to access this content.",
        403 => "Request forbidden by administrative rules.",
        408 => "Your browser didn't send a complete request in time.",
        413 => "The request entity exceeds the maximum allowed.",
        414 => "The requested address is too long.",
        431 => "The request headers are too large.",
        503 => "No server is available to handle this request.",
        _ => "An internal server error occurred.",
    };
    format!("<html><body><h1>{status} {}</h1>\n{sentence}\n</body></html>\n", reason(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_injection() {
        let mut output = Vec::new();
        render_head(200, &[("content-length", "0"), ("x", "a\r\nb: c"), ("y", "z")], &mut output);
        assert_eq!(output, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ny: z\r\n\r\n");
    }

    #[test]
    fn pages_have_the_lengths_of_haproxys() {
        assert_eq!([400, 401, 503].map(|status| error_page(status).len()), [90, 112, 107]);
    }
}
