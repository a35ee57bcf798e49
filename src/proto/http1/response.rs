//! Answers: heads, and the small pages of HAProxy's built-in errors.

/// The reason phrase of a status: HAProxy's where it sends the status itself, else the registered one (RFC 9110
/// section 15 and IANA's list), else the name of its class.
#[rustfmt::skip]
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue", 101 => "Switching Protocols", 102 => "Processing", 103 => "Early Hints",
        200 => "OK", 201 => "Created", 202 => "Accepted", 203 => "Non-Authoritative Information", 204 => "No Content",
        205 => "Reset Content", 206 => "Partial Content", 207 => "Multi-Status", 208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices", 301 => "Moved Permanently", 302 => "Found", 303 => "See Other",
        304 => "Not Modified", 305 => "Use Proxy", 307 => "Temporary Redirect", 308 => "Permanent Redirect",
        400 => "Bad request", 401 => "Unauthorized", 402 => "Payment Required", 403 => "Forbidden",
        404 => "Not Found", 405 => "Method Not Allowed", 406 => "Not Acceptable",
        407 => "Proxy Authentication Required", 408 => "Request Time-out", 409 => "Conflict", 410 => "Gone",
        411 => "Length Required", 412 => "Precondition Failed", 413 => "Payload Too Large", 414 => "URI Too Long",
        415 => "Unsupported Media Type", 416 => "Range Not Satisfiable", 417 => "Expectation Failed",
        418 => "I'm a teapot", 421 => "Misdirected Request", 422 => "Unprocessable Content", 423 => "Locked",
        424 => "Failed Dependency", 425 => "Too Early", 426 => "Upgrade Required", 428 => "Precondition Required",
        429 => "Too Many Requests", 431 => "Request Header Fields Too Large", 451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error", 501 => "Not Implemented", 502 => "Bad Gateway", 503 => "Service Unavailable",
        504 => "Gateway Time-out", 505 => "HTTP Version Not Supported", 506 => "Variant Also Negotiates",
        507 => "Insufficient Storage", 508 => "Loop Detected", 510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => match status / 100 {
            1 => "Informational", 2 => "Success", 3 => "Redirection", 4 => "Client Error", 5 => "Server Error",
            _ => "Unknown",
        },
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
        200 => "The service is up.",
        400 => "Your browser sent an invalid request.",
        401 => "You need a valid user and password to access this content.",
        403 => "Request forbidden by administrative rules.",
        404 => "There is nothing at this address.",
        405 => "This method is not allowed here.",
        407 => "The proxy asks for a valid user and password.",
        410 => "What was at this address is gone for good.",
        408 => "Your browser didn't send a complete request in time.",
        413 => "The request entity exceeds the maximum allowed.",
        414 => "The requested address is too long.",
        422 => "The request was understood but makes no sense.",
        425 => "The request came before the connection was safe against replays.",
        429 => "Too many requests came from you in too short a time.",
        501 => "This server cannot do what the request asks for.",
        502 => "The server's answer was not valid or not complete.",
        504 => "The server did not answer in time.",
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
