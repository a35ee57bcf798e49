//! A real HAProxy on free ports with small origins behind it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Says loudly that a comparison cannot be made here. True: go on.
pub fn is_installed() -> bool {
    let found = Command::new("haproxy").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("\n*** haproxy is not installed: the comparison with it was SKIPPED ***\n");
    }
    found
}

/// Killed when dropped.
pub struct Running {
    child: Child,
    path: std::path::PathBuf,
}

impl Running {
    /// Starts HAProxy on `configuration` and waits until `port` accepts.
    pub fn start(name: &str, configuration: &str, port: u16) -> Running {
        let path = std::env::temp_dir().join(format!("ringway-balancing-{name}-{}.cfg", std::process::id()));
        std::fs::write(&path, configuration).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running { child: command.spawn().unwrap(), path };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = running.child.try_wait().unwrap() {
                let mut text = String::new();
                running.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
                panic!("haproxy ended with {status}: {text}\n{configuration}");
            }
            assert!(Instant::now() < deadline, "haproxy does not listen on {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Greets each connection with its letter and holds it until the client closes. Returns its port.
pub fn origin(letter: char) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let _ = stream.write_all(letter.to_string().as_bytes());
                let _ = stream.read(&mut [0; 16]);
            });
        }
    });
    port
}

/// Connects from `source` (any 127.x.y.z) and returns the origin's letter with the open connection.
pub fn visit(port: u16, source: Ipv4Addr) -> (char, TcpStream) {
    use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
    use std::os::fd::AsRawFd;
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let address = |ip: Ipv4Addr, port| {
        let [a, b, c, d] = ip.octets();
        SockaddrIn::new(a, b, c, d, port)
    };
    socket::bind(socket.as_raw_fd(), &address(source, 0)).unwrap();
    socket::connect(socket.as_raw_fd(), &address(Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut letter = [0];
    stream.read_exact(&mut letter).unwrap_or_else(|error| panic!("no answer through port {port}: {error}"));
    (char::from(letter[0]), stream)
}

/// Ends a connection and waits until HAProxy and the origin have ended it, too.
pub fn leave(mut stream: TcpStream) {
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let left = stream.read(&mut [0; 16]).unwrap_or_else(|error| panic!("HAProxy does not end the connection: {error}"));
    assert_eq!(left, 0, "bytes after the greeting");
}

/// One HTTP/1.0 request; the answer's body.
pub fn get(address: SocketAddr, uri: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {uri} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{uri}: {answer}")).1.to_string()
}
