//! The server behind the proxy: echoes messages, or sends without end. One thread, epoll.

use crate::Scenario;
use crate::engine::Poller;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Serves until the process ends. An error is one of the listener or of epoll itself.
pub fn run(listener: TcpListener, scenario: Scenario) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let mut poller = Poller::new()?;
    const LISTENER: usize = usize::MAX >> 1;
    poller.add(&listener, LISTENER)?;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
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
                    connections[index] = Some(stream);
                }
                continue;
            }
            let Some(stream) = connections.get_mut(index).and_then(|entry| entry.as_mut()) else { continue };
            if !serve(stream, scenario, &mut buffer) {
                connections[index] = None;
                free.push(index);
            }
        }
    }
}

/// False: the connection is over.
fn serve(stream: &mut TcpStream, scenario: Scenario, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            // Answers of a few bytes always fit the socket's buffer.
            Ok(count) if scenario != Scenario::Bulk => {
                if stream.write_all(&buffer[..count]).is_err() {
                    return false;
                }
                if count < buffer.len() {
                    return true;
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
    }
    if scenario == Scenario::Bulk {
        loop {
            match stream.write(buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
    }
    true
}
