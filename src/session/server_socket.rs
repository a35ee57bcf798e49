//! A socket on its way to a server: its address, its options, its source (configuration.txt section 5.2 `source`,
//! section 4.2 `option srvtcpka`, `option tcp-smart-connect`), why an attempt failed, and whether the next one goes
//! elsewhere.

use super::surroundings::Surroundings;
use super::tcp::ClientAddress;
use super::termination::Cause;
use crate::config::model::{
    BalanceAlgorithm, Config, KeepaliveSettings, Proxy, ProxyId, ProxyVersion, Server, ServerAddress, ServerId,
    SourceAddress, UseSource,
};
use crate::io::{Driver, Socket, SocketAddress, SocketOption};
use crate::proto::proxy_protocol::{self, Announced};
use crate::shared::Shared;
use crate::shared::server::RunState;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

/// Source ports tried for one connection before it fails.
const SOURCE_PORT_ATTEMPTS: u32 = 64;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Refused, unreachable, reset.
    Refused,
    TimedOut,
    /// No source port here.
    Resource,
    /// No descriptor or memory here: one is free when a connection has ended.
    Shortage,
}

impl Failure {
    pub fn cause(self) -> Cause {
        match self {
            Failure::Refused => Cause::Server,
            Failure::TimedOut => Cause::ServerTimeout,
            Failure::Resource | Failure::Shortage => Cause::Resource,
        }
    }

    pub fn from_errno(errno: i32) -> Failure {
        match errno {
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => Failure::Shortage,
            libc::EADDRNOTAVAIL | libc::EADDRINUSE | libc::EAGAIN => Failure::Resource,
            libc::ETIMEDOUT => Failure::TimedOut,
            _ => Failure::Refused,
        }
    }
}

/// What the socket of a server takes from the client's side.
pub struct Opening<'a> {
    pub client: Socket,
    pub client_address: &'a ClientAddress,
    /// Where the client wanted to go, as rules have changed it: for servers whose address is `0.0.0.0` or whose port is
    /// relative.
    pub destination: Option<SocketAddr>,
    /// Where in a range of source ports the search begins: any number that differs between connections.
    pub seed: u64,
    /// Ports of `source …:first-last`, or windows of [`super::source_ports`], that turned out to be in use by a
    /// connection to the same server.
    pub source_ports_tried: u16,
}

impl Opening<'_> {
    /// A socket with the server's options set, and where to connect it.
    pub fn open<D: Driver>(
        &self,
        around: &mut Surroundings<D>,
        config: &Config,
        id: ServerId,
    ) -> io::Result<(Socket, SocketAddress)> {
        let server = config.server(id);
        let proxy = config.proxy(server.backend);
        let address = self.server_address(around.driver, server)?;
        let socket = around.driver.open_stream(&address)?;
        let prepared = match address {
            SocketAddress::Ip(ip) => self.prepare(around, socket, ip, server, proxy),
            _ => Ok(()),
        };
        match prepared {
            Ok(()) => Ok((socket, address)),
            Err(error) => {
                around.driver.close(socket);
                Err(error)
            }
        }
    }

    fn server_address<D: Driver>(&self, driver: &D, server: &Server) -> io::Result<SocketAddress> {
        match &server.address {
            Some(ServerAddress::Ip(address)) => {
                let mut address = *address;
                if !address.ip().is_unspecified() && server.port_offset_from_client.is_none() {
                    return Ok(SocketAddress::Ip(address));
                }
                let wanted = match (self.destination, driver.local_address(self.client)?) {
                    (Some(wanted), _) | (None, SocketAddress::Ip(wanted)) => wanted,
                    (None, _) => return Ok(SocketAddress::Ip(address)),
                };
                if address.ip().is_unspecified() {
                    address.set_ip(wanted.ip());
                }
                if let Some(offset) = server.port_offset_from_client {
                    address.set_port((i32::from(wanted.port()) + offset).clamp(0, u16::MAX as i32) as u16);
                }
                Ok(SocketAddress::Ip(address))
            }
            Some(ServerAddress::Unix(path)) => Ok(SocketAddress::Unix(path.clone())),
            Some(ServerAddress::Abstract(name)) => Ok(SocketAddress::Abstract(name.clone())),
            None => Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH)),
        }
    }

    fn prepare<D: Driver>(
        &self,
        around: &mut Surroundings<D>,
        socket: Socket,
        to: SocketAddr,
        server: &Server,
        proxy: &Proxy,
    ) -> io::Result<()> {
        let driver = &mut *around.driver;
        driver.set_option(socket, &SocketOption::NoDelay(true))?;
        set_keepalive(driver, socket, &proxy.server_keepalive)?;
        if let Some(timeout) = server.tcp_user_timeout {
            driver
                .set_option(socket, &SocketOption::UserTimeoutMs(timeout.as_millis().min(u32::MAX as u128) as u32))?;
        }
        let global = &around.shared.config.global;
        if let Some(bytes) = global.rcvbuf_server_bytes {
            driver.set_option(socket, &SocketOption::ReceiveBufferBytes(bytes))?;
        }
        if let Some(bytes) = global.sndbuf_server_bytes {
            driver.set_option(socket, &SocketOption::SendBufferBytes(bytes))?;
        }
        if proxy.options.tcp_smart_connect {
            // The acknowledgement of the handshake travels with the client's first bytes.
            driver.set_option(socket, &SocketOption::QuickAck(false))?;
        }
        if server.tfo {
            driver.set_option(socket, &SocketOption::FastOpenConnect)?;
        }
        let source = server.source.as_ref().or(proxy.backend.as_ref().and_then(|backend| backend.source.as_ref()));
        if self.source_ports_tried == 0 && source.is_none_or(|source| source.ports.is_none()) {
            // With no free port in its window the next attempt is left to the kernel, which searches all of them.
            if let Some((first, last)) = around.source_ports.window()
                && driver.set_option(socket, &SocketOption::SourcePorts(first, last)).is_err()
            {
                around.source_ports.give_up();
            }
        }
        match source {
            Some(source) => self.bind_source(driver, socket, to, source),
            None => Ok(()),
        }
    }

    /// `source …`: the address and port that the server sees.
    fn bind_source<D: Driver>(
        &self,
        driver: &mut D,
        socket: Socket,
        to: SocketAddr,
        source: &SourceAddress,
    ) -> io::Result<()> {
        if let Some(interface) = &source.interface {
            driver.set_option(socket, &SocketOption::BindToDevice(interface.clone()))?;
        }
        let client = match self.client_address {
            ClientAddress::Ip(address) => Some(*address),
            _ => None,
        };
        let transparent = match (source.use_client, client) {
            (UseSource::Client, client) => client,
            (UseSource::ClientIp, Some(client)) => Some(SocketAddr::new(client.ip(), 0)),
            (UseSource::Address(address), _) => Some(address),
            _ => None,
        };
        if let Some(address) = transparent {
            driver.set_option(socket, &SocketOption::Transparent)?;
            return driver.set_option(socket, &SocketOption::BindSource(address));
        }
        if source.address.is_ipv4() != to.is_ipv4() && !is_any(source.address) {
            return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
        }
        let Some((first, last)) = source.ports.filter(|(first, last)| first <= last) else {
            if is_any(source.address) {
                return Ok(());
            }
            return driver.set_option(socket, &SocketOption::BindSource(SocketAddr::new(source.address, 0)));
        };
        let span = u32::from(last - first) + 1;
        // Where the last search ended does not matter much: start anywhere, take the first that is free.
        let start = (self.seed + u64::from(self.source_ports_tried)) as u32 % span;
        let mut failure = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
        for attempt in 0..span.min(SOURCE_PORT_ATTEMPTS) {
            let port = first + ((start + attempt) % span) as u16;
            match driver.set_option(socket, &SocketOption::BindSource(SocketAddr::new(source.address, port))) {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// A bound port may be some other connection's to the same server, which only connect() finds out: whether there is
/// another one to try after `tried` of them.
pub fn has_next_source_port(config: &Config, id: ServerId, errno: i32, tried: u16) -> bool {
    let server = config.server(id);
    let backend = config.proxy(server.backend).backend.as_ref();
    let source = server.source.as_ref().or(backend.and_then(|backend| backend.source.as_ref()));
    let tried = u32::from(tried);
    let span = source.and_then(|source| source.ports).map(|(first, last)| u32::from(last.saturating_sub(first)));
    matches!(errno, libc::EADDRNOTAVAIL | libc::EADDRINUSE)
        && match span {
            Some(span) => tried <= span && tried < SOURCE_PORT_ATTEMPTS,
            // After the window, once the kernel's own search.
            None => tried == 1,
        }
}

/// HAProxy's rule for another server after retry number `retries` (from 1): the server is down, or it is the retry that
/// `option redispatch <interval>` names, or any other server is as good (a round robin with more than one of them).
pub fn may_redispatch(shared: &Shared, backend_id: ProxyId, retries: i32, server: ServerId) -> bool {
    let proxy = shared.config.proxy(backend_id);
    let (Some(interval), Some(backend)) = (proxy.options.redispatch_interval, &proxy.backend) else { return false };
    let at_interval = match interval {
        0 => false,
        every if every > 0 => retries % every == 0,
        from_last => {
            let period = backend.retries as i32 + 1 + from_last;
            period > 0 && retries % period == 0
        }
    };
    let active = shared.proxy(backend_id).active_servers.load(Ordering::Relaxed);
    let round_robin = matches!(
        backend.balance,
        BalanceAlgorithm::RoundRobin | BalanceAlgorithm::StaticRoundRobin | BalanceAlgorithm::Random { .. }
    );
    let running = matches!(shared.server(server).run_state(), RunState::Running);
    !running || at_interval || (round_robin && active > 1)
}

fn is_any(address: IpAddr) -> bool {
    address.is_unspecified()
}

/// `option srvtcpka` and its numbers.
fn set_keepalive<D: Driver>(driver: &mut D, socket: Socket, settings: &KeepaliveSettings) -> io::Result<()> {
    if !settings.enabled {
        return Ok(());
    }
    driver.set_option(socket, &SocketOption::Keepalive(true))?;
    if let Some(count) = settings.count {
        driver.set_option(socket, &SocketOption::KeepaliveCount(count))?;
    }
    if let Some(idle) = settings.idle {
        driver.set_option(socket, &SocketOption::KeepaliveIdleSeconds(idle.as_secs().min(u32::MAX as u64) as u32))?;
    }
    if let Some(interval) = settings.interval {
        let seconds = interval.as_secs().min(u32::MAX as u64) as u32;
        driver.set_option(socket, &SocketOption::KeepaliveIntervalSeconds(seconds))?;
    }
    Ok(())
}

/// The header of the PROXY protocol that `server` is to get for a client (`send-proxy`, `send-proxy-v2`). `None`: none.
/// `source` and `destination`: as rules or a header have changed them; else the socket is asked.
pub fn proxy_header<D: Driver>(
    driver: &D,
    server: &Server,
    client: Socket,
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
) -> Option<Vec<u8>> {
    let version = server.sends_proxy?;
    let ip = |address: io::Result<SocketAddress>| match address {
        Ok(SocketAddress::Ip(address)) => Some(address),
        _ => None,
    };
    let source = source.or_else(|| ip(driver.peer_address(client)));
    let destination = destination.or_else(|| ip(driver.local_address(client)));
    let announced = source.zip(destination).map(|(source, destination)| Announced { source, destination });
    Some(match version {
        ProxyVersion::V1 => proxy_protocol::v1_header(announced),
        ProxyVersion::V2 => proxy_protocol::v2_header(announced),
    })
}
