//! What the server is told about the client: `X-Forwarded-For`, `X-Original-To`, `Forwarded`, a unique id, and its own
//! name
//! (configuration.txt section 4.2).

use super::exchange::Scope;
use super::log_facts;
use super::log_format::Endpoint;
use crate::config::model::{ForwardAddress, Forwarded, Forwarding, Frontend};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

const FORWARD_FOR_HEADER: &str = "X-Forwarded-For";
const ORIGINAL_TO_HEADER: &str = "X-Original-To";

/// Gives the request the id that the frontend's `unique-id-format` makes for it.
pub fn identify(scope: &mut Scope) {
    let Some(format) = frontend_of(scope).and_then(|frontend| frontend.unique_id.as_ref()) else { return };
    let mut id = Vec::new();
    log_facts::render(format, scope, &mut id);
    scope.exchange.unique_id = Some(String::from_utf8_lossy(&id).into_owned());
}

fn frontend_of<'a>(scope: &Scope<'a>) -> Option<&'a Frontend> {
    let shared = scope.shared;
    shared.config.proxy(scope.client.frontend.unwrap_or(scope.proxy)).frontend.as_ref()
}

/// Adds what frontend and backend want the server to know, once all rules have run.
pub fn apply(scope: &mut Scope) {
    let config = &scope.shared.config;
    let frontend = &config.proxy(scope.client.frontend.unwrap_or(scope.proxy)).forwarding;
    let backend = &config.proxy(scope.exchange.backend.unwrap_or(scope.proxy)).forwarding;
    let id_header = frontend_of(scope).and_then(|frontend| frontend.unique_id_header.as_ref());
    if let (Some(header), Some(id)) = (id_header, &scope.exchange.unique_id) {
        scope.exchange.request.add_header(header.as_bytes(), id.as_bytes());
    }
    if let Some(merged) = Merged::of(frontend, backend, |side| side.forward_for.as_ref(), FORWARD_FOR_HEADER)
        && let Endpoint::Ip(client) = scope.client.source
    {
        merged.add(scope, client.ip());
    }
    if let Some(merged) = Merged::of(frontend, backend, |side| side.original_to.as_ref(), ORIGINAL_TO_HEADER)
        && let Endpoint::Ip(destination) = destination(scope)
    {
        merged.add(scope, destination.ip());
    }
    if let Some(forwarded) = &backend.forwarded {
        let value = forwarded_value(scope, forwarded);
        if !value.is_empty() {
            scope.exchange.request.add_header(b"Forwarded", value.as_bytes());
        }
    }
}

/// Adds what depends on the server, each time one was chosen: `http-send-name-header`.
pub fn apply_for_server(scope: &mut Scope) {
    let config = &scope.shared.config;
    let backend = config.proxy(scope.exchange.backend.unwrap_or(scope.proxy));
    if let (Some(header), Some(server)) = (&backend.http.send_name_header, scope.exchange.server) {
        let name = config.server(server).name.as_bytes();
        scope.exchange.request.set_header(header.as_bytes(), name);
    }
}

fn destination(scope: &Scope) -> Endpoint {
    scope.client.destination.unwrap_or_else(|| scope.sockets.frontend_address())
}

/// What the two sides say together: the backend's header name wins, the exceptions of both hold, and `if-none` only
/// when nobody who asks leaves it out.
struct Merged<'a> {
    header: &'a str,
    sides: [Option<&'a ForwardAddress>; 2],
    if_none: bool,
}

impl<'a> Merged<'a> {
    fn of(
        frontend: &'a Forwarding,
        backend: &'a Forwarding,
        part: impl Fn(&'a Forwarding) -> Option<&'a ForwardAddress>,
        default_header: &'a str,
    ) -> Option<Self> {
        let sides = [part(frontend), part(backend)];
        let asking = sides.iter().flatten();
        let header = asking.clone().next_back()?.header.as_deref().unwrap_or(default_header);
        Some(Merged { header, sides, if_none: asking.clone().all(|side| side.if_none) })
    }

    fn add(&self, scope: &mut Scope, address: IpAddr) {
        let request = &mut scope.exchange.request;
        let is_excepted = self.sides.iter().flatten().any(|side| side.excepts(address));
        if is_excepted || (self.if_none && request.has(self.header.as_bytes())) {
            return;
        }
        let mut text = Text { bytes: [0; 48], length: 0 };
        let _ = write!(text, "{address}");
        request.add_header(self.header.as_bytes(), text.as_bytes());
    }
}

/// An address as text, without an allocation. The longest is an IPv6 address that ends as an IPv4 one.
struct Text {
    bytes: [u8; 48],
    length: usize,
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The parameters in HAProxy's order (RFC 7239 section 4).
fn forwarded_value(scope: &Scope, settings: &Forwarded) -> String {
    let mut value = String::new();
    let mut add = |name: &str, text: &str| {
        if !value.is_empty() {
            value.push(';');
        }
        let _ = write!(value, "{name}={text}");
    };
    if settings.protocol {
        add("proto", "http");
    }
    if settings.host
        && let Some(host) = scope.exchange.request.value(b"host")
        && let Ok(host) = std::str::from_utf8(host)
        && !host.contains(['"', '\\'])
    {
        let is_token = host.bytes().all(crate::proto::http1::is_token_byte) && !host.is_empty();
        add("host", &if is_token { host.to_owned() } else { format!("\"{host}\"") });
    }
    if settings.by {
        add("by", &node(destination(scope), settings.by_port));
    }
    if settings.from {
        add("for", &node(scope.client.source, settings.from_port));
    }
    value
}

/// A node identifier (RFC 7239 section 6); a unix socket has none.
fn node(endpoint: Endpoint, with_port: bool) -> String {
    match endpoint {
        Endpoint::Ip(SocketAddr::V4(address)) if with_port => format!("\"{address}\""),
        Endpoint::Ip(SocketAddr::V4(address)) => address.ip().to_string(),
        Endpoint::Ip(SocketAddr::V6(address)) if with_port => format!("\"[{}]:{}\"", address.ip(), address.port()),
        Endpoint::Ip(SocketAddr::V6(address)) => format!("\"[{}]\"", address.ip()),
        Endpoint::Unix | Endpoint::None => "unknown".to_owned(),
    }
}

#[cfg(test)]
#[path = "forwarding_tests.rs"]
mod tests;
