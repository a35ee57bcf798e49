//! Headers that are kept for the log (configuration.txt section 4.2, `capture request header`, `capture response
//! header`). Cookies are captured where they are read: [`super::cookie`].

use super::exchange::Scope;
use crate::config::model::{Captures, HeaderCapture};
use crate::proto::http1::message::Message;

/// Keeps the frontend's captures of the request, as it came: before any rule. The request gets its unique id, too, so
/// that rules can use it.
pub fn request(scope: &mut Scope) {
    super::forwarding::identify(scope);
    if let Some(captures) = captures_of(scope).filter(|captures| !captures.request.is_empty()) {
        let exchange = &mut *scope.exchange;
        keep(&captures.request, &exchange.request, &mut exchange.request_captures);
    }
}

/// Keeps the frontend's captures of the response, as the server sent it.
pub fn response(scope: &mut Scope) {
    if let Some(captures) = captures_of(scope).filter(|captures| !captures.response.is_empty()) {
        let exchange = &mut *scope.exchange;
        keep(&captures.response, &exchange.response, &mut exchange.response_captures);
    }
}

fn captures_of<'a>(scope: &Scope<'a>) -> Option<&'a Captures> {
    let shared = scope.shared;
    let frontend = scope.client.frontend?;
    shared.config.proxy(frontend).frontend.as_ref().map(|frontend| &frontend.captures)
}

/// Of several headers with the name, the last one. Slots that rules fill stay as they are.
fn keep(captures: &[HeaderCapture], message: &Message, slots: &mut Vec<Option<Vec<u8>>>) {
    if slots.len() < captures.len() {
        slots.resize(captures.len(), None);
    }
    for (capture, slot) in captures.iter().zip(slots) {
        let Some(name) = &capture.name else { continue };
        if let Some(value) = message.values(name.as_bytes()).next_back() {
            let length = value.len().min(capture.length_max as usize);
            *slot = Some(value.get(..length).unwrap_or_default().to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http1::head::Version;

    #[test]
    fn the_last_header_is_kept_and_cut() {
        let mut message = Message::default();
        message.start_request(b"GET", b"/", Version::Http11);
        message.add_header(b"User-Agent", b"first");
        message.add_header(b"user-agent", b"second one");
        let capture = |name: Option<&str>, length_max| HeaderCapture { name: name.map(String::from), length_max };
        let mut slots = vec![None, Some(b"by a rule".to_vec())];
        keep(&[capture(Some("USER-AGENT"), 6), capture(None, 9), capture(Some("host"), 9)], &message, &mut slots);
        assert_eq!(slots, [Some(b"second".to_vec()), Some(b"by a rule".to_vec()), None]);
    }
}
