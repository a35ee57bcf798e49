//! The routing cookie at the start of an RDP connection (MS-RDPBCGR section 2.2.1.1): behind eleven bytes of TPKT and
//! X.224, `Cookie: mstshash=NAME` and CR LF.

use super::exchange::Scope;
use crate::config::model::{Config, ProxyId, ServerAddress, ServerId};
use crate::shared::server::RunState;
use std::net::{Ipv4Addr, SocketAddr};

/// TPKT (4 bytes) and the X.224 connection request (7 bytes).
const HEADERS_LENGTH: usize = 11;

/// What is known of the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RdpCookie<'a> {
    Found(&'a [u8]),
    /// This is no RDP connection, or one without this cookie.
    Missing,
    /// What has come is too short to tell.
    NotYet,
}

/// Looks for the cookie `name` (ASCII case ignored; empty: any) in the first bytes of a connection.
pub fn find<'a>(payload: &'a [u8], name: &[u8]) -> RdpCookie<'a> {
    const WORD: &[u8] = b"Cookie:";
    let Some(rest) = payload.get(HEADERS_LENGTH..).filter(|rest| rest.len() > WORD.len()) else {
        return RdpCookie::NotYet;
    };
    let (word, mut rest) = rest.split_at(WORD.len());
    if !word.eq_ignore_ascii_case(WORD) {
        return RdpCookie::Missing;
    }
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    let line_end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let equals = rest.iter().position(|byte| *byte == b'=');
    let (given, value) = match (equals, line_end) {
        (Some(equals), end) if end.is_none_or(|end| equals < end) => {
            let (given, value) = rest.split_at(equals);
            (given, value.get(1..).unwrap_or_default())
        }
        (_, Some(_)) => return RdpCookie::Missing,
        (_, None) if rest.len() <= name.len() || name.is_empty() => return RdpCookie::NotYet,
        (_, None) => return RdpCookie::Missing,
    };
    if !name.is_empty() && !given.eq_ignore_ascii_case(name) {
        return RdpCookie::Missing;
    }
    match value.iter().position(|byte| *byte == b'\r') {
        Some(end) => match value.get(end + 1) {
            Some(b'\n') => RdpCookie::Found(value.get(..end).unwrap_or_default()),
            Some(_) => RdpCookie::Missing,
            None => RdpCookie::NotYet,
        },
        None => RdpCookie::NotYet,
    }
}

/// `persist rdp-cookie`: the server of `backend` whose address the cookie holds as `<address>.<port>.<reserved>`, both
/// numbers as a little-endian machine prints its network order words. Whether it is usable is not looked at.
pub fn server_of(config: &Config, backend: ProxyId, cookie: &[u8]) -> Option<ServerId> {
    let text = std::str::from_utf8(cookie).ok()?;
    let mut parts = text.split('.');
    let address: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    let _reserved = parts.next()?;
    let wanted = SocketAddr::from((Ipv4Addr::from(address.to_le_bytes()), port.swap_bytes()));
    let servers = &config.proxy(backend).backend.as_ref()?.servers;
    servers.iter().copied().find(|id| config.server(*id).address == Some(ServerAddress::Ip(wanted)))
}

/// The server that the cookie in the connection's first bytes names, if `scope.proxy` has `persist rdp-cookie`. One
/// that is down only with `option persist`.
pub fn persistent_server(scope: &mut Scope) -> Option<ServerId> {
    let shared = scope.shared;
    let backend = shared.config.proxies.get(scope.proxy.index())?.backend.as_ref()?;
    let name = backend.rdp_persistence.as_ref()?;
    let RdpCookie::Found(cookie) = find(scope.payload, name.as_bytes()) else { return None };
    let server = server_of(&shared.config, scope.proxy, cookie)?;
    let is_taken = backend.persist_on_down_server || shared.server(server).run_state() != RunState::Stopped;
    is_taken.then_some(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0";

    fn connection(line: &str) -> Vec<u8> {
        [HEAD, line.as_bytes()].concat()
    }

    #[test]
    fn finds_the_named_cookie() {
        let payload = connection("Cookie: mstshash=alice\r\n\x01\0\x08\0");
        assert_eq!(find(&payload, b"mstshash"), RdpCookie::Found(b"alice"));
        assert_eq!(find(&payload, b"MSTSHASH"), RdpCookie::Found(b"alice"));
        assert_eq!(find(&payload, b""), RdpCookie::Found(b"alice"));
        assert_eq!(find(&payload, b"msts"), RdpCookie::Missing);
        assert_eq!(find(&connection("Cookie: x\r\n"), b""), RdpCookie::Missing);
        assert_eq!(find(&connection("\x01\0\x08\0\0\0\0\0\0\0"), b""), RdpCookie::Missing);
    }

    #[test]
    fn waits_for_the_rest_and_changes_its_mind_about_nothing() {
        let payload = connection("Cookie: mstshash=alice\r\n");
        for end in 0..payload.len() {
            assert_eq!(find(&payload[..end], b"mstshash"), RdpCookie::NotYet, "{end}");
        }
    }

    #[test]
    fn an_address_in_the_cookie_names_its_server() {
        let text = "backend b\n timeout connect 1s\n timeout server 1s\n server a 10.0.0.1:3389\n server c 192.168.12.218:3389\n";
        let config = load_text("t.cfg", text).config.expect("a good file");
        // 218.12.168.192 in network order, and 15629 is 3389 with its bytes swapped.
        let server = |cookie: &[u8]| server_of(&config, ProxyId(0), cookie).map(|id| config.server(id).name.clone());
        assert_eq!(server(b"3658262720.15629.0000"), Some("c".into()));
        assert_eq!(server(b"3658262720.15628.0000"), None);
        assert_eq!(server(b"99999999999.1.0000"), None);
        assert_eq!(server(b"alice"), None);
    }

    proptest! {
        #[test]
        fn never_panics(payload in prop::collection::vec(any::<u8>(), 0..80), name in "[a-z]{0,9}") {
            let _ = find(&payload, name.as_bytes());
            let _ = find(&[HEAD, b"Cookie: ", &payload].concat(), name.as_bytes());
        }
    }
}
