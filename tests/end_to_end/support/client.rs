//! Clients of the proxy: plain TCP, with the rude endings that real ones have.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the proxy accepts");
    limit(stream)
}

/// Connects from a given address of the loopback network.
pub fn connect_from(source: Ipv4Addr, port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into()).expect("a loopback address");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("the proxy accepts");
    limit(socket.into())
}

/// No test waits for ever on a socket.
fn limit(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Closes with a RST instead of a FIN.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(stream);
}

/// Sends, then reads as many bytes back, which must be the same.
pub fn exchange(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("sent");
    let mut back = vec![0u8; bytes.len()];
    stream.read_exact(&mut back).expect("echoed");
    assert_eq!(back, bytes);
}

/// Reads up to and without the next newline.
pub fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0u8; 1];
    loop {
        match stream.read(&mut byte) {
            Ok(1) if byte[0] != b'\n' => line.push(byte[0]),
            Ok(1) => return String::from_utf8(line).expect("text"),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
}

/// How the other side ended: what came before it, and whether it was a clean end.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
}

/// Reads to the end.
pub fn read_end(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (bytes, End::Closed),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (bytes, End::Reset),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("neither data nor an end: {error}, after {} bytes", bytes.len()),
        }
    }
}
