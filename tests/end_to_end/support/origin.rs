//! Servers behind the proxy, in the test's own process.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::ports;

/// A TCP server with one thread per connection; stops listening when dropped, its connections go on.
pub struct Origin {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// A listener of the loopback network on a free port. A program that knows nothing of the locks may have taken the port
/// since it was looked at: then it is another one.
pub fn listener() -> TcpListener {
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free_port())) {
            Ok(listener) => return listener,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}"),
        }
    }
}

impl Origin {
    /// Runs `serve` on each connection.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Origin {
        Origin::start_listening(listener(), serve)
    }

    pub fn start_on(address: SocketAddr, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Origin {
        Origin::start_listening(TcpListener::bind(address).expect("the origin listens"), serve)
    }

    pub fn start_listening(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Origin {
        let address = listener.local_addr().expect("its address");
        SockRef::from(&listener).set_read_timeout(Some(Duration::from_millis(30))).expect("a timeout");
        let stopping = Arc::new(AtomicBool::new(false));
        let serve = Arc::new(serve);
        let stop = Arc::clone(&stopping);
        let acceptor = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        // Connections inherit the listener's timeout.
                        stream.set_read_timeout(None).expect("no timeout");
                        let serve = Arc::clone(&serve);
                        thread::spawn(move || serve(stream));
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(error) => panic!("the origin cannot accept: {error}"),
                }
            }
            // Nobody connects from here on, even while a process that is just being started has a copy of the socket.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        });
        Origin { address, stopping, acceptor: Some(acceptor) }
    }

    /// Sends back what it gets, and closes when the client does.
    pub fn echo() -> Origin {
        Origin::start(echo)
    }

    /// Says its name and a newline at once, then echoes.
    pub fn named(name: &str) -> Origin {
        let name = format!("{name}\n");
        Origin::start(move |mut stream| {
            if stream.write_all(name.as_bytes()).is_ok() {
                echo(stream);
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn echo(mut stream: TcpStream) {
    let mut bytes = vec![0u8; 65_536];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// An address that neither accepts nor refuses: a listener whose backlog is full, so that SYNs get no answer.
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _filling: Vec<Socket>,
}

impl BlackHole {
    pub fn start() -> BlackHole {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free_port()));
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("bound");
        listener.listen(0).expect("listening");
        let filling = (0..4)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.set_nonblocking(true).expect("non-blocking");
                let _ = socket.connect(&address.into());
                socket
            })
            .collect();
        thread::sleep(Duration::from_millis(50));
        BlackHole { address, _listener: listener, _filling: filling }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}
