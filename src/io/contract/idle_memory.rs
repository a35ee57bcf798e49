//! What an idle connection costs in user memory. Alone in its process, since the process's resident memory is measured:
//! `cargo test --lib io::contract::idle_memory -- --ignored --test-threads=1`.

use super::world::{Peer, World};
use super::{EpollWorld, UringWorld};
use crate::io::{BufferClass, Driver, DriverSettings, Socket, Token};

const CONNECTIONS: usize = 8000;

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Bytes per connection that remain after each has received 64 bytes and sent them back.
fn measure<W: World>() -> usize {
    let mut world = W::new(&DriverSettings::default());
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(0));
    let mut accepted = Vec::with_capacity(CONNECTIONS);
    let mut peers = Vec::with_capacity(CONNECTIONS);
    let mut seen = Vec::with_capacity(2 * CONNECTIONS);
    let before = resident_bytes();
    for _ in 0..CONNECTIONS / 100 {
        peers.extend((0..100).map(|_| world.connect_peer(&address)));
        let target = accepted.len() + 100;
        world.until(&mut accepted, |seen| seen.len() == target);
    }
    for completion in &accepted {
        let token = Token(1 + completion.result as u64);
        world.driver().receive(Socket(completion.result), BufferClass::Small, token);
    }
    for peer in &mut peers {
        assert_eq!(peer.send(&[7; 64]), 64);
    }
    seen.clear();
    world.until(&mut seen, |seen| seen.len() == CONNECTIONS);
    for completion in std::mem::take(&mut seen) {
        let socket = Socket((completion.token.0 - 1) as i32);
        let token = Token(1_000_000 + u64::from(completion.buffer.0));
        world.driver().send(socket, completion.buffer, 0, 64, token);
    }
    world.until(&mut seen, |seen| seen.len() == CONNECTIONS);
    for completion in std::mem::take(&mut seen) {
        world.driver().release(crate::io::BufferId((completion.token.0 - 1_000_000) as u32));
    }
    let busy = resident_bytes();
    world.driver().wait(Some(1_200_000), &mut seen).unwrap();
    let idle = resident_bytes();
    println!("busy {} B, idle {} B per connection", (busy - before) / CONNECTIONS, (idle - before) / CONNECTIONS);
    idle.saturating_sub(before) / CONNECTIONS
}

#[test]
#[ignore = "measures the whole process"]
fn idle_connections_are_small() {
    // In threads of their own: the sockets go with the thread's descriptor table.
    let on_uring = std::thread::spawn(measure::<UringWorld>).join().unwrap();
    let on_epoll = std::thread::spawn(measure::<EpollWorld>).join().unwrap();
    for (name, bytes) in [("io_uring", on_uring), ("epoll", on_epoll)] {
        // One socket each here; a proxied connection has two. The rest of its KiB is the session's.
        assert!(bytes < 256, "{name}: {bytes} bytes per socket");
    }
}
