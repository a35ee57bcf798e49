//! The words of check results, as HAProxy 2.6 says them.

use super::script::{Kind, Pattern, Script, Step};

/// Longest description kept, bytes (HAProxy: 128 with the terminator).
const DESCRIPTION_BYTES_MAX: usize = 127;

/// `Connection refused at step 1 of tcp-check (connect)`; just `message` for checks without steps.
pub fn trouble(script: &Script, current: usize, message: &str) -> String {
    if script.kind != Kind::Tcp {
        return message.to_string();
    }
    let number = number(script, current);
    if number == 0 {
        return format!("{message} at initial connection step of tcp-check");
    }
    let Some(entry) = script.steps.get(current) else { return message.to_string() };
    let step = match &entry.step {
        Step::Connect(target) => {
            let address = target.address.map(|address| format!(" addr {}", address.ip())).unwrap_or_default();
            let port = target.port.map(|port| format!(" port {port}")).unwrap_or_default();
            format!("connect{port}{address}")
        }
        Step::Send(_) | Step::Request(_) => "send".to_string(),
        Step::Expect(expectation) => match &expectation.pattern {
            Pattern::Text(bytes) => format!("expect string '{}'", printable(bytes)),
            Pattern::Binary(bytes) => format!("expect binary '{}'", printable(bytes)),
            Pattern::Regex(_) => "expect regex".to_string(),
            Pattern::Status(_) | Pattern::StatusRegex(_) => "expect HTTP status".to_string(),
            Pattern::SmtpReply => "expect SMTP reply".to_string(),
        },
    };
    let comment = entry.comment.as_ref().map(|comment| format!(" comment: '{comment}'")).unwrap_or_default();
    format!("{message} at step {number} of tcp-check ({step}){comment}")
}

/// The step's number as HAProxy counts: written rules from 1; 0 is a connection that no rule asked for.
pub fn number(script: &Script, current: usize) -> usize {
    if script.implicit_connect { current } else { current + 1 }
}

/// `'TEXT'`, `(regex)` or `(binary)`.
pub fn content(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Text(bytes) => format!("'{}'", printable(bytes)),
        Pattern::Binary(_) => "(binary)".to_string(),
        Pattern::Regex(_) | Pattern::Status(_) | Pattern::StatusRegex(_) | Pattern::SmtpReply => "(regex)".to_string(),
    }
}

/// Bytes from outside as text: what is no printable ASCII becomes `<XX>`.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("<{other:02X}>")),
        }
    }
    text
}

/// The kernel's words for an errno.
pub fn errno(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// A failure to connect that says something about this process, not about the server.
pub fn is_own_shortage(errno: i32) -> bool {
    use libc::{EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    [EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(&errno)
}

/// Cuts a description at the length HAProxy keeps.
pub fn bounded(mut text: String) -> String {
    if text.len() > DESCRIPTION_BYTES_MAX {
        let mut end = DESCRIPTION_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
