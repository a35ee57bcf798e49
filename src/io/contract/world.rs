//! A backend together with everybody else: what the cases are generic over.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::time::Duration;

use crate::io::epoll::EpollDriver;
use crate::io::sim::{Faults, Network, OriginBehaviour, PeerRead, SimDriver};
use crate::io::uring::UringDriver;
use crate::io::{BufferId, Completion, Driver, DriverSettings, Socket, SocketAddress, SocketOption, Token};
use crate::sys::socket::{ListenAddress, ListenSpec, open_listener, set_option};

/// The far end of one of the driver's connections.
pub trait Peer {
    /// Sends what fits.
    fn send(&mut self, bytes: &[u8]) -> usize;
    /// False where there is no such thing.
    fn send_urgent(&mut self, byte: u8) -> bool;
    fn receive(&mut self) -> PeerRead;
    fn shutdown_write(&mut self);
    fn reset(self);
}

pub trait World {
    type Driver: Driver;
    type Peer: Peer;

    fn new(settings: &DriverSettings) -> Self;
    fn driver(&mut self) -> &mut Self::Driver;
    /// A listener of the driver's.
    fn listen(&mut self) -> (Socket, SocketAddress);
    /// A client connects to it.
    fn connect_peer(&mut self, to: &SocketAddress) -> Self::Peer {
        self.try_connect_peer(to).expect("somebody listens")
    }
    /// The same; `None`: refused.
    fn try_connect_peer(&mut self, to: &SocketAddress) -> Option<Self::Peer>;
    /// An address where connects succeed.
    fn origin(&mut self) -> SocketAddress;
    fn origin_accept(&mut self, address: &SocketAddress) -> Self::Peer;
    /// Where connects are refused.
    fn refusing_address(&mut self) -> SocketAddress;
    /// Where connects are not answered.
    fn silent_address(&mut self) -> SocketAddress;
    /// From now on, or no more, descriptors are out.
    fn set_descriptors_out(&mut self, out: bool);

    /// Waits, for at most five seconds, until `enough` completions are there.
    fn until(&mut self, seen: &mut Vec<Completion>, mut enough: impl FnMut(&[Completion]) -> bool)
    where
        Self: Sized,
    {
        for _ in 0..500 {
            if enough(seen) {
                return;
            }
            let before = seen.len();
            self.driver().wait(Some(10_000), seen).unwrap();
            if seen.len() == before {
                // Virtual time passes in no time; other threads need some.
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        panic!("still waiting after {seen:?}");
    }

    /// Waits for one completion under the token.
    fn one(&mut self, token: Token) -> Completion
    where
        Self: Sized,
    {
        let mut seen = Vec::new();
        self.until(&mut seen, |seen| !seen.is_empty());
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].token, token, "{seen:?}");
        seen[0]
    }

    /// Lets everything settle, and expects that nothing completes.
    fn nothing(&mut self)
    where
        Self: Sized,
    {
        let mut seen = Vec::new();
        self.driver().wait(Some(20_000), &mut seen).unwrap();
        assert_eq!(seen, []);
    }

    /// A connection: our socket and the peer.
    fn pair(&mut self) -> (Socket, Self::Peer)
    where
        Self: Sized,
    {
        let address = self.origin();
        self.pair_with(&address)
    }

    /// A connection to this origin.
    fn pair_with(&mut self, origin: &SocketAddress) -> (Socket, Self::Peer)
    where
        Self: Sized,
    {
        let socket = self.driver().open_stream(origin).unwrap();
        self.driver().connect(socket, origin, Token(1));
        assert_eq!(self.one(Token(1)).result, 0);
        let peer = self.origin_accept(origin);
        (socket, peer)
    }

    /// Takes a receive's bytes and gives the buffer back.
    fn take_bytes(&mut self, completion: &Completion, into: &mut Vec<u8>) {
        assert!(completion.result > 0 && completion.buffer.is_some(), "{completion:?}");
        let bytes = &self.driver().bytes(completion.buffer)[..completion.result as usize];
        into.extend_from_slice(bytes);
        self.driver().release(completion.buffer);
    }

    /// Receives until the end of the operation: the bytes, and its last result.
    fn drain(&mut self, token: Token) -> (Vec<u8>, i32)
    where
        Self: Sized,
    {
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            let mut seen = Vec::new();
            self.until(&mut seen, |seen| !seen.is_empty());
            for completion in seen {
                assert_eq!(completion.token, token, "{completion:?}");
                if completion.result > 0 {
                    self.take_bytes(&completion, &mut bytes);
                    if completion.more {
                        continue;
                    }
                } else {
                    assert_eq!(completion.buffer, BufferId::NONE);
                }
                assert!(!completion.more, "{completion:?}");
                return (bytes, completion.result);
            }
        }
        panic!("the operation does not end");
    }
}

/// A pattern in which a lost, doubled or misplaced byte shows.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

impl Peer for TcpStream {
    fn send(&mut self, bytes: &[u8]) -> usize {
        self.write(bytes).unwrap_or(0)
    }
    fn send_urgent(&mut self, byte: u8) -> bool {
        crate::sys::socket::send_urgent(self.as_raw_fd(), byte).unwrap();
        true
    }
    fn receive(&mut self) -> PeerRead {
        let mut bytes = vec![0; 65536];
        match self.read(&mut bytes) {
            Ok(0) => PeerRead::End,
            Ok(count) => PeerRead::Bytes(bytes[..count].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => PeerRead::Nothing,
            Err(_) => PeerRead::Reset,
        }
    }
    fn shutdown_write(&mut self) {
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
    fn reset(self) {
        set_option(self.as_raw_fd(), &SocketOption::LingerZero).unwrap();
    }
}

fn nonblocking(stream: TcpStream) -> TcpStream {
    stream.set_nonblocking(true).unwrap();
    stream
}

fn ip(address: &SocketAddress) -> SocketAddr {
    match address {
        SocketAddress::Ip(address) => *address,
        other => panic!("not an IP address: {other}"),
    }
}

/// Real sockets on the loopback interface. `SINGLE`: io_uring as on kernels whose multishot receive is not to be trusted.
pub struct RealWorld<D, const SINGLE: bool> {
    driver: D,
    origins: Vec<TcpListener>,
    /// Keep a silent address silent.
    kept: Vec<TcpStream>,
    /// Keep refusing addresses from being taken.
    refusing: Vec<std::os::fd::OwnedFd>,
    filling: Vec<std::fs::File>,
}

impl<D: Driver, const SINGLE: bool> RealWorld<D, SINGLE> {
    fn with(driver: D) -> Self {
        RealWorld { driver, origins: Vec::new(), kept: Vec::new(), refusing: Vec::new(), filling: Vec::new() }
    }

    fn origin_of(&self, address: &SocketAddress) -> &TcpListener {
        let wanted = ip(address);
        self.origins.iter().find(|origin| origin.local_addr().unwrap() == wanted).unwrap()
    }

    fn set_descriptors_out(&mut self, out: bool) {
        self.filling.clear();
        if out {
            while let Ok(file) = std::fs::File::open("/dev/null") {
                self.filling.push(file);
            }
        }
    }

    /// Bound and not listening: nobody else's listener can take the port while a test expects a refusal.
    fn refusing_address(&mut self) -> SocketAddress {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
        let bound = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(bound.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let address: SockaddrIn = getsockname(bound.as_raw_fd()).unwrap();
        self.refusing.push(bound);
        std::net::SocketAddr::from((address.ip(), address.port())).into()
    }

    fn silent_address(&mut self) -> SocketAddress {
        let loopback = ListenAddress::Ip { address: "127.0.0.1:0".parse().unwrap(), v6only: None };
        let listener = open_listener(&ListenSpec { backlog: 0, ..ListenSpec::new(loopback) }).unwrap();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().unwrap();
        // With its queue full the kernel answers no further SYN.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            self.kept.push(stream);
        }
        self.origins.push(listener);
        address.into()
    }
}

macro_rules! real_world {
    ($driver:ident, $name:ident, $single:literal, $new:expr) => {
        pub type $name = RealWorld<$driver, $single>;

        impl World for $name {
            type Driver = $driver;
            type Peer = TcpStream;

            fn new(settings: &DriverSettings) -> Self {
                // A table of the thread's own: a case may exhaust it without touching the other tests.
                crate::sys::files::unshare_files().unwrap();
                let new: fn(&DriverSettings) -> $driver = $new;
                Self::with(new(settings))
            }
            fn driver(&mut self) -> &mut $driver {
                &mut self.driver
            }
            fn listen(&mut self) -> (Socket, SocketAddress) {
                // A port that the kernel chose is lost when its socket stops listening: one by number, as of a file.
                loop {
                    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                    let loopback = ListenAddress::Ip { address: free, v6only: None };
                    // Unless another test was quicker.
                    if let Ok(listener) = open_listener(&ListenSpec::new(loopback)) {
                        return (Socket(listener.into_raw_fd()), free.into());
                    }
                }
            }
            fn try_connect_peer(&mut self, to: &SocketAddress) -> Option<TcpStream> {
                match TcpStream::connect(ip(to)) {
                    Ok(stream) => Some(nonblocking(stream)),
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
                    Err(error) => panic!("{error}"),
                }
            }
            fn origin(&mut self) -> SocketAddress {
                let origin = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = origin.local_addr().unwrap();
                self.origins.push(origin);
                address.into()
            }
            fn origin_accept(&mut self, address: &SocketAddress) -> TcpStream {
                nonblocking(self.origin_of(address).accept().unwrap().0)
            }
            fn refusing_address(&mut self) -> SocketAddress {
                self.refusing_address()
            }
            fn silent_address(&mut self) -> SocketAddress {
                self.silent_address()
            }
            fn set_descriptors_out(&mut self, out: bool) {
                self.set_descriptors_out(out);
            }
        }
    };
}

real_world!(UringDriver, UringWorld, false, |settings| UringDriver::new(settings).unwrap());
real_world!(UringDriver, SingleUringWorld, true, |settings| {
    let mut driver = UringDriver::new(settings).unwrap();
    driver.distrust_multishot();
    driver
});
real_world!(EpollDriver, EpollWorld, false, |settings| EpollDriver::new(settings).unwrap());

pub struct SimWorld {
    driver: SimDriver,
    network: Network,
    next_port: u16,
}

impl SimWorld {
    fn next_address(&mut self) -> SocketAddr {
        self.next_port += 1;
        SocketAddr::from(([192, 0, 2, 1], self.next_port))
    }
}

impl Peer for crate::io::sim::Peer {
    fn send(&mut self, bytes: &[u8]) -> usize {
        crate::io::sim::Peer::send(self, bytes)
    }
    fn send_urgent(&mut self, _byte: u8) -> bool {
        false
    }
    fn receive(&mut self) -> PeerRead {
        crate::io::sim::Peer::receive(self)
    }
    fn shutdown_write(&mut self) {
        crate::io::sim::Peer::shutdown_write(self);
    }
    fn reset(self) {
        crate::io::sim::Peer::reset(&self);
    }
}

impl World for SimWorld {
    type Driver = SimDriver;
    type Peer = crate::io::sim::Peer;

    fn new(settings: &DriverSettings) -> Self {
        let network = Network::new(7, Faults::default());
        SimWorld { driver: SimDriver::new(&network, settings).unwrap(), network, next_port: 0 }
    }
    fn driver(&mut self) -> &mut SimDriver {
        &mut self.driver
    }
    fn listen(&mut self) -> (Socket, SocketAddress) {
        let address = SocketAddress::Ip(self.next_address());
        (self.network.open_listener(address.clone()), address)
    }
    fn try_connect_peer(&mut self, to: &SocketAddress) -> Option<Self::Peer> {
        self.network.connect_client(to)
    }
    fn origin(&mut self) -> SocketAddress {
        let address = self.next_address();
        self.network.set_origin(address, OriginBehaviour::Accept);
        address.into()
    }
    fn origin_accept(&mut self, address: &SocketAddress) -> Self::Peer {
        self.network.origin_accept(ip(address)).unwrap()
    }
    fn refusing_address(&mut self) -> SocketAddress {
        let address = self.next_address();
        self.network.set_origin(address, OriginBehaviour::Refuse);
        address.into()
    }
    fn silent_address(&mut self) -> SocketAddress {
        let address = self.next_address();
        self.network.set_origin(address, OriginBehaviour::Silent);
        address.into()
    }
    fn set_descriptors_out(&mut self, out: bool) {
        self.network.set_faults(Faults { accept_exhausted: if out { 1000 } else { 0 }, ..Faults::default() });
    }
}
