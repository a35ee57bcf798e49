//! Of the client's and the server's connection (configuration.txt section 7.3.3).

use super::Sample;
use crate::config::model::{ConnectionFetch, ServerAddress, TimeUnit};
use crate::policy::exchange::Scope;
use crate::policy::log_format::Endpoint;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

pub fn fetch<'a>(of: ConnectionFetch, scope: &'a Scope) -> Option<Sample<'a>> {
    let config = &scope.shared.config;
    let listener = || scope.client.listener.map(|id| (id, config.listener(id)));
    match of {
        ConnectionFetch::Source => address(scope.client.source),
        ConnectionFetch::SourcePort => port(scope.client.source),
        ConnectionFetch::Destination => address(destination(scope)),
        ConnectionFetch::DestinationPort => port(destination(scope)),
        ConnectionFetch::ListenerConnections => listener()
            .map(|(id, _)| Sample::Integer(i64::from(scope.shared.listener(id).connections.load(Ordering::Relaxed)))),
        ConnectionFetch::ListenerId => listener().map(|(_, listener)| Sample::Integer(i64::from(listener.lid))),
        ConnectionFetch::ListenerName => {
            listener().and_then(|(_, listener)| listener.name.as_ref()).map(|name| Sample::text(name.as_bytes()))
        }
        ConnectionFetch::FrontendHttpMajor | ConnectionFetch::BackendHttpMajor => Some(Sample::Integer(1)),
        ConnectionFetch::ServerDestination => server_address(scope).map(|address| Sample::Address(plain(address.ip()))),
        ConnectionFetch::ServerDestinationPort => {
            server_address(scope).map(|address| Sample::Integer(i64::from(address.port())))
        }
        ConnectionFetch::ServerSource => address(scope.sockets.source_address()),
        ConnectionFetch::ServerSourcePort => port(scope.sockets.source_address()),
        ConnectionFetch::IsReused => {
            scope.exchange.server.map(|_| Sample::Bool(scope.exchange.is_server_connection_reused))
        }
        ConnectionFetch::RoundTrip { of_server, variance, unit } => {
            let (mean_us, variance_us) = scope.sockets.round_trip_us(of_server)?;
            let us = i64::from(if variance { variance_us } else { mean_us });
            Some(Sample::Integer(if unit == TimeUnit::Microseconds { us } else { us / 1_000 }))
        }
    }
}

/// What the client connected to, or what a rule made of it.
fn destination(scope: &Scope) -> Endpoint {
    scope.client.destination.unwrap_or_else(|| scope.sockets.frontend_address())
}

fn server_address(scope: &Scope) -> Option<SocketAddr> {
    match scope.shared.config.server(scope.exchange.server?).address.as_ref()? {
        ServerAddress::Ip(address) => Some(*address),
        ServerAddress::Unix(_) | ServerAddress::Abstract(_) => None,
    }
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        four => four,
    }
}

fn address(of: Endpoint) -> Option<Sample<'static>> {
    match of {
        Endpoint::Ip(address) => Some(Sample::Address(plain(address.ip()))),
        Endpoint::Unix | Endpoint::None => None,
    }
}

fn port(of: Endpoint) -> Option<Sample<'static>> {
    match of {
        Endpoint::Ip(address) => Some(Sample::Integer(i64::from(address.port()))),
        Endpoint::Unix | Endpoint::None => None,
    }
}
