//! `set-src`, `set-dst` and their ports (configuration.txt section 4.2).

use crate::config::model::Expression;
use crate::policy::exchange::Scope;
use crate::policy::log_format::Endpoint;
use crate::policy::sample;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// `set-src`: the port stays where the address family did.
pub fn set_source(scope: &mut Scope, expression: &Expression) {
    if let Some(address) = sample::fetch_address(expression, scope) {
        scope.client.source = with_address(&scope.client.source, address);
    }
}

/// `set-src-port`
pub fn set_source_port(scope: &mut Scope, expression: &Expression) {
    if let Some(port) = port(expression, scope) {
        scope.client.source = with_port(&scope.client.source, port);
    }
}

/// `set-dst`
pub fn set_destination(scope: &mut Scope, expression: &Expression) {
    if let Some(address) = sample::fetch_address(expression, scope) {
        scope.client.destination = Some(with_address(&destination(scope), address));
    }
}

/// `set-dst-port`
pub fn set_destination_port(scope: &mut Scope, expression: &Expression) {
    if let Some(port) = port(expression, scope) {
        scope.client.destination = Some(with_port(&destination(scope), port));
    }
}

fn destination(scope: &Scope) -> Endpoint {
    scope.client.destination.unwrap_or_else(|| scope.sockets.frontend_address())
}

/// The low 16 bits of the expression's number, as HAProxy takes them.
fn port(expression: &Expression, scope: &Scope) -> Option<u16> {
    sample::fetch_integer(expression, scope).map(|number| number as u16)
}

fn with_address(endpoint: &Endpoint, address: IpAddr) -> Endpoint {
    let port = match endpoint {
        Endpoint::Ip(old) if old.is_ipv4() == address.is_ipv4() => old.port(),
        _ => 0,
    };
    Endpoint::Ip(SocketAddr::new(address, port))
}

/// Where there is no address that has a port, it becomes 0.0.0.0.
fn with_port(endpoint: &Endpoint, port: u16) -> Endpoint {
    let address = match endpoint {
        Endpoint::Ip(old) => old.ip(),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    Endpoint::Ip(SocketAddr::new(address, port))
}
