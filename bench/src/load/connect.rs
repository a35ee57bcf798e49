//! Client sockets: non-blocking, from the next source address, to the next target.

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;

/// The `index`th of the addresses to connect from: 127.1.0.1 onward, 254 in each last byte.
pub fn source_address(index: u32) -> Ipv4Addr {
    let (high, low) = (index / 254, index % 254);
    // Ten bits short of 127/8's end: `--sources` ends at four million.
    Ipv4Addr::new(127, 1u8.saturating_add((high >> 8).min(250) as u8), (high & 255) as u8, low as u8 + 1)
}

/// Where connections go from and to.
#[derive(Clone, Debug)]
pub struct Routes {
    targets: Vec<SocketAddr>,
    sources: u32,
}

impl Routes {
    /// `sources` 0: the kernel chooses.
    pub fn new(targets: &[SocketAddr], sources: u32) -> anyhow::Result<Self> {
        anyhow::ensure!(!targets.is_empty(), "no address to connect to");
        anyhow::ensure!(
            sources == 0 || targets.iter().all(SocketAddr::is_ipv4),
            "--sources needs targets of 127.0.0.0/8"
        );
        Ok(Routes { targets: targets.to_vec(), sources })
    }

    /// Where connection number `index` goes: all sources with one target, then with the next, so that neither the
    /// ports of a pair run out early nor a target is left out.
    pub fn of(&self, index: u64) -> (Option<Ipv4Addr>, SocketAddr) {
        let target = self.targets[(index % self.targets.len() as u64) as usize];
        let source = (self.sources > 0)
            .then(|| source_address(((index / self.targets.len() as u64) % u64::from(self.sources)) as u32));
        (source, target)
    }

    /// A socket whose connect is under way: writing to it waits for it, and reports its failure.
    pub fn connect(&self, index: u64) -> io::Result<TcpStream> {
        let (source, target) = self.of(index);
        let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket::socket(family, SockType::Stream, flags, None)?;
        setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        if let Some(source) = source {
            // Without it bind takes a port for this address and all targets; with it connect does, per target.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddrV4::new(source, 0)))?;
        }
        match socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(target)) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sources_differ_and_are_loopback() {
        let addresses: HashSet<Ipv4Addr> = (0..300_000).map(source_address).collect();
        assert_eq!(addresses.len(), 300_000);
        assert!((0..4_000_000).step_by(997).map(source_address).all(|address| address.is_loopback()));
        assert_eq!(source_address(0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(source_address(254), Ipv4Addr::new(127, 1, 1, 1));
    }

    #[test]
    fn every_source_meets_every_target() {
        let targets: Vec<SocketAddr> = (1..=4).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        let routes = Routes::new(&targets, 8).expect("fits");
        assert_eq!((0..32).map(|index| routes.of(index)).collect::<HashSet<_>>().len(), 32);
    }
}
