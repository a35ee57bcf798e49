//! Who a request is for: the Host header, and the target where it names a host too (RFC 9112 section 3.2).

use super::head::RequestError;
use super::known_headers::{Known, Survey};
use super::message::Message;

/// A host and a port as written; either may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    pub host: &'a [u8],
    pub port: &'a [u8],
}

impl<'a> Authority<'a> {
    /// Splits at the last colon that is outside of brackets.
    pub fn split(text: &'a [u8]) -> Authority<'a> {
        let colon = text.iter().rposition(|byte| matches!(byte, b':' | b']'));
        match colon.filter(|index| text.get(*index) == Some(&b':')) {
            Some(colon) => Authority {
                host: text.get(..colon).unwrap_or_default(),
                port: text.get(colon + 1..).unwrap_or_default(),
            },
            None => Authority { host: text, port: b"" },
        }
    }

    /// Nothing in it that another reader could split in another way.
    fn is_sound(self) -> bool {
        is_host(self.host) && self.port.iter().all(u8::is_ascii_digit)
    }

    /// The same host, and the same port when a missing one is any of `default_ports`.
    fn matches(self, other: Authority, default_ports: &[&[u8]]) -> bool {
        let port = |port: &[u8], other: &[u8]| port.is_empty() && (other.is_empty() || default_ports.contains(&other));
        let same_port = self.port == other.port || port(self.port, other.port) || port(other.port, self.port);
        same_port && self.host.eq_ignore_ascii_case(other.host)
    }
}

/// What a target in absolute form (`http://host:80/path`) is made of; user information is not part of the authority.
pub fn absolute_form(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', target).filter(|colon| *colon > 0)?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host_start = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    Some((scheme, authority.get(host_start..)?))
}

/// Makes sure that there is one Host, that it is one, and that the target does not name another. With
/// `accept_invalid` it may be missing, and repeated when it says the same.
pub(super) fn check_host(message: &mut Message, survey: &Survey, accept_invalid: bool) -> Result<(), RequestError> {
    let by_target = named_by_target(message);
    if by_target.is_some_and(|(named, _)| named.host.is_empty() || !named.is_sound() && !accept_invalid) {
        return Err(RequestError::Malformed);
    }
    let Some(host) = survey.first_value(Known::Host, message) else {
        let may_be_missing = accept_invalid || message.version() == super::head::Version::Http10;
        return if may_be_missing { Ok(()) } else { Err(RequestError::Malformed) };
    };
    let repeated = survey.count(Known::Host) > 1;
    if repeated && !(accept_invalid && survey.values(Known::Host, message).all(|other| other == host)) {
        return Err(RequestError::Malformed);
    }
    let named = Authority::split(host);
    let sound = named.is_sound() || (accept_invalid && is_host(named.host));
    if !sound || by_target.is_some_and(|(other, default_ports)| !other.matches(named, default_ports)) {
        return Err(RequestError::Malformed);
    }
    if repeated {
        let first = survey.index(Known::Host).unwrap_or_default();
        message.retain_headers(|index, name, _| index <= first || Known::of(name) != Some(Known::Host));
    }
    Ok(())
}

/// The authority within the target, and the ports that need not be said: of CONNECT and of the absolute form.
fn named_by_target(message: &Message) -> Option<(Authority<'_>, &'static [&'static [u8]])> {
    let target = message.target();
    if message.method() == b"CONNECT" {
        return Some((Authority::split(target), &[b"80", b"443"]));
    }
    if target.starts_with(b"/") {
        return None;
    }
    let (scheme, authority) = absolute_form(target)?;
    let default_ports: &[&[u8]] = if scheme.eq_ignore_ascii_case(b"https") { &[b"443"] } else { &[b"80"] };
    Some((Authority::split(authority), default_ports))
}

/// A name or an address; nothing that another reader could take for the end of one or the start of another.
fn is_host(host: &[u8]) -> bool {
    if let [b'[', inner @ .., b']'] = host {
        // An IPv6 address, with its zone perhaps (RFC 3986 section 3.2.2, RFC 6874).
        return !inner.is_empty() && inner.iter().all(|byte| byte.is_ascii_alphanumeric() || b":.%-_~".contains(byte));
    }
    host.iter().all(|byte| byte.is_ascii_graphic() && !b":/?#@,\\[]\"<>^`{|}".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, host, port) in [("a", "a", ""), ("a:8", "a", "8"), ("[::1]", "[::1]", ""), ("[::1]:8", "[::1]", "8")]
        {
            let expected = Authority { host: host.as_bytes(), port: port.as_bytes() };
            assert_eq!(Authority::split(text.as_bytes()), expected, "{text}");
        }
        assert!(is_host(b"a_b.example") && is_host(b"[fe80::1]") && is_host(b"") && is_host(b"%41"));
        for bad in ["a b", "a,b", "a/b", "a@b", "a\\b", "a#", "a?", "a:b", "[::1", "[]", "[a,b]", "[[::1]]", "\u{e9}"] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
        assert_eq!(absolute_form(b"http://u@h:1/x"), Some((&b"http"[..], &b"h:1"[..])));
        assert_eq!(absolute_form(b"/x"), None);
    }
}
