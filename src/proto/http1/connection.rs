//! Headers that speak to the next hop only (RFC 9110 section 7.6): read once, taken out, and written anew for the
//! connection that a message goes out on.

use super::known_headers::{Known, Survey};
use super::message::Message;

/// What the Connection header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionOptions {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// Other names in it: headers meant for this hop only. Lower case.
    nominated: Vec<Vec<u8>>,
}

impl ConnectionOptions {
    /// Reads the header of this kind: Connection, or Proxy-Connection in its place.
    pub fn read(message: &Message, survey: &Survey, known: Known) -> ConnectionOptions {
        let mut options = ConnectionOptions::default();
        for item in survey.items(known, message) {
            if item.eq_ignore_ascii_case(b"close") {
                options.close = true;
            } else if item.eq_ignore_ascii_case(b"keep-alive") {
                options.keep_alive = true;
            } else if item.eq_ignore_ascii_case(b"upgrade") {
                options.upgrade = true;
            } else if Known::of(item).is_none() && !is_end_to_end(item) {
                options.nominated.push(item.to_ascii_lowercase());
            }
        }
        options
    }
}

/// Headers that are for the last recipient whatever a Connection header says (RFC 9110 section 7.6.1 forbids to name
/// them). A client that could have them removed could take away what a proxy before this one had added for the origin.
fn is_end_to_end(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 14] = [
        b"content-",
        b"x-forwarded",
        b"x-real",
        b"x-client",
        b"x-original",
        b"x-ssl",
        b"x-auth",
        b"x-user",
        b"x-remote",
        b"x-request",
        b"remote-",
        b"ssl-",
        b"sec-",
        b"if-",
    ];
    const NAMES: [&[u8]; 22] = [
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"age",
        b"authorization",
        b"cache-control",
        b"cookie",
        b"date",
        b"etag",
        b"expires",
        b"forwarded",
        b"from",
        b"last-modified",
        b"location",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"set-cookie",
        b"user-agent",
        b"vary",
        b"via",
    ];
    NAMES.iter().any(|other| name.eq_ignore_ascii_case(other))
        || PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// Takes out what was for this hop: Connection, Proxy-Connection, Keep-Alive, HTTP2-Settings, what Connection names,
/// Upgrade unless `keeps_upgrade`, and TE unless it says `trailers`.
pub(super) fn drop_hop_by_hop(
    message: &mut Message,
    survey: &Survey,
    options: &ConnectionOptions,
    keeps_upgrade: bool,
) {
    use Known::{Connection, Http2Settings, KeepAlive, ProxyConnection, Te, Upgrade};
    let present = [Connection, ProxyConnection, KeepAlive, Http2Settings, Te, Upgrade].map(|known| survey.has(known));
    if !present.contains(&true) {
        return;
    }
    let accepts_trailers = survey.items(Te, message).any(|item| item.eq_ignore_ascii_case(b"trailers"));
    message.retain_headers(|_, name, _| match Known::of(name) {
        Some(Connection | ProxyConnection | KeepAlive | Http2Settings | Te) => false,
        Some(Upgrade) => keeps_upgrade,
        Some(_) => true,
        None => !options.nominated.iter().any(|other| name.eq_ignore_ascii_case(other)),
    });
    if accepts_trailers {
        message.add_header(b"TE", b"trailers");
    }
}

/// What an Upgrade header asks for, without h2c: a tunnel of HTTP/2 would pass all rules by. `None`: nothing is left.
/// The message then has one Upgrade header at most.
pub(super) fn normalize_upgrade(message: &mut Message, survey: &Survey) -> Option<Upgrade> {
    let first = survey.index(Known::Upgrade)?;
    let mut kept: Vec<u8> = Vec::new();
    let mut upgrade = None;
    for item in survey.items(Known::Upgrade, message).filter(|item| !is_http2(item)) {
        let separator: &[u8] = if kept.is_empty() { b"" } else { b", " };
        kept.extend_from_slice(separator);
        kept.extend_from_slice(item);
        upgrade = Some(match upgrade {
            None if item.eq_ignore_ascii_case(b"websocket") => Upgrade::WebSocket,
            _ => Upgrade::Other,
        });
    }
    let upgrade = upgrade?;
    if message.header(first).1 != kept {
        message.replace_value(first, &kept);
    }
    if survey.count(Known::Upgrade) > 1 {
        message.retain_headers(|index, name, _| index <= first || Known::of(name) != Some(Known::Upgrade));
    }
    Some(upgrade)
}

/// `h2c`, `h2`, and `HTTP/2.0` as some spell it.
fn is_http2(protocol: &[u8]) -> bool {
    let starts = |with: &[u8]| protocol.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    starts(b"h2") || starts(b"http/2") || starts(b"http/3")
}

/// What a client asks to switch to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// `websocket` and nothing else.
    WebSocket,
    Other,
}

/// Writes the Connection header for the connection a message goes out on; false when the message itself (a rule's
/// header) asks for a close.
///
/// `either_is_old`: one side speaks HTTP/1.0, where staying open must be said; `either_is_new`: one speaks 1.1, where
/// closing must.
pub(super) fn write_connection(
    message: &mut Message,
    name: &'static [u8],
    keep_alive: bool,
    either_is_old: bool,
    either_is_new: bool,
    keeps_upgrade: bool,
) -> bool {
    let survey = Survey::of(message);
    let known = if name == b"Connection" { Known::Connection } else { Known::ProxyConnection };
    let mut options: Vec<u8> = Vec::new();
    let mut keep_alive = keep_alive;
    let mut add = |option: &[u8]| {
        let separator: &[u8] = if options.is_empty() { b"" } else { b", " };
        options.extend_from_slice(separator);
        options.extend_from_slice(option);
    };
    for item in survey.items(known, message) {
        if item.eq_ignore_ascii_case(b"close") {
            keep_alive = false;
        } else if Known::of(item).is_none() && !item.eq_ignore_ascii_case(b"keep-alive") {
            add(item);
        }
    }
    if keeps_upgrade && survey.has(Known::Upgrade) {
        add(b"Upgrade");
    }
    if survey.has(Known::Te) {
        add(b"TE");
    }
    match keep_alive {
        true if either_is_old => add(b"keep-alive"),
        false if either_is_new => add(b"close"),
        _ => (),
    }
    if survey.has(known) {
        message.retain_headers(|_, other, _| Known::of(other) != Some(known));
    }
    if !options.is_empty() {
        message.add_header(name, &options);
    }
    keep_alive
}
