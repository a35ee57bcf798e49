//! The server behind the proxy: echoes messages, sends without end, or answers HTTP. One thread, epoll.

use crate::engine::Poller;
use crate::{Scenario, http};
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

/// Answers are kept whole: longer ones than this are asked of the other executor.
const LONGEST_BODY: usize = 64 << 20;

/// What it does with each connection.
enum Service {
    Echo,
    Flood,
    /// An answer of that size unless the path asks for another.
    Http(usize),
}

struct Connection {
    stream: TcpStream,
    requests: http::RequestReader,
    /// Answers that are not wholly written, and what of the first one is.
    owed: VecDeque<Rc<Vec<u8>>>,
    written: usize,
    last: bool,
}

/// Serves until the process ends. An error is one of the listener or of epoll itself.
pub fn run(listener: TcpListener, scenario: Scenario, body_bytes: usize) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let mut responses = HashMap::new();
    let service = match scenario {
        Scenario::Bulk => Service::Flood,
        Scenario::Pingpong | Scenario::Churn | Scenario::Idle => Service::Echo,
        _ => Service::Http(body_bytes),
    };
    let mut poller = Poller::new()?;
    const LISTENER: usize = usize::MAX >> 1;
    poller.add(&listener, LISTENER)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = vec![0u8; 256 * 1024];
    let mut ready = Vec::new();
    loop {
        poller.wait(-1, &mut ready)?;
        for &index in &ready {
            if index == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let index = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    poller.add(&stream, index)?;
                    let requests = http::RequestReader::default();
                    connections[index] =
                        Some(Connection { stream, requests, owed: VecDeque::new(), written: 0, last: false });
                }
                continue;
            }
            let Some(connection) = connections.get_mut(index).and_then(|entry| entry.as_mut()) else { continue };
            let goes_on = match &service {
                Service::Echo => echo(&mut connection.stream, &mut buffer),
                Service::Flood => flood(&mut connection.stream, &mut buffer),
                Service::Http(bytes) => answer(connection, *bytes, &mut responses, &mut buffer),
            };
            if !goes_on {
                connections[index] = None;
                free.push(index);
            }
        }
    }
}

/// False: the connection is over.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            // Answers of a few bytes always fit the socket's buffer.
            Ok(count) => {
                if stream.write_all(&buffer[..count]).is_err() {
                    return false;
                }
                if count < buffer.len() {
                    return true;
                }
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn flood(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
    }
    loop {
        // How much of it went is nobody's business: there is always more.
        if let Err(error) = stream.write_all(buffer) {
            return error.kind() == ErrorKind::WouldBlock;
        }
    }
}

fn answer(
    connection: &mut Connection,
    body_bytes: usize,
    responses: &mut HashMap<usize, Rc<Vec<u8>>>,
    buffer: &mut [u8],
) -> bool {
    loop {
        match connection.stream.read(buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let (owed, last) = (&mut connection.owed, &mut connection.last);
                connection.requests.read(&buffer[..count], |request| {
                    let bytes = request.bytes.unwrap_or(body_bytes).min(LONGEST_BODY);
                    owed.push_back(Rc::clone(responses.entry(bytes).or_insert_with(|| Rc::new(http::response(bytes)))));
                    *last |= request.last;
                });
                if count < buffer.len() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
    }
    while let Some(response) = connection.owed.front() {
        match connection.stream.write(&response[connection.written..]) {
            Ok(count) => connection.written += count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        if connection.written == response.len() {
            connection.owed.pop_front();
            connection.written = 0;
        }
    }
    !connection.last
}
