//! Accepting, connecting, waiting.

use super::World;
use super::world::Peer;
use crate::io::sim::PeerRead;
use crate::io::{BufferClass, Driver, DriverSettings, Socket, Token};

fn world<W: World>() -> W {
    W::new(&DriverSettings::default())
}

pub fn accept_delivers_every_connection<W: World>() {
    let mut world = world::<W>();
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(5));
    let mut accepted = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..3 {
        for _ in 0..4 {
            peers.push(world.connect_peer(&address));
        }
        let target = accepted.len() + 4;
        world.until(&mut accepted, |seen| seen.len() >= target);
    }
    assert_eq!(accepted.len(), 12);
    for completion in &accepted {
        assert!(completion.token == Token(5) && completion.result >= 0 && completion.more, "{completion:?}");
        assert_eq!(world.driver().local_address(Socket(completion.result)).unwrap(), address);
        assert!(world.driver().peer_address(Socket(completion.result)).is_ok());
        world.driver().close(Socket(completion.result));
    }
    for peer in &mut peers {
        assert_eq!(until_something(&mut world, peer), PeerRead::End);
    }
}

fn until_something<W: World>(world: &mut W, peer: &mut W::Peer) -> PeerRead {
    for _ in 0..100 {
        match peer.receive() {
            PeerRead::Nothing => world.driver().wait(Some(1000), &mut Vec::new()).unwrap(),
            read => return read,
        }
    }
    PeerRead::Nothing
}

pub fn accept_ends_when_cancelled<W: World>() {
    let mut world = world::<W>();
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(5));
    let _first = world.connect_peer(&address);
    assert!(world.one(Token(5)).result >= 0);
    world.driver().cancel(listener, Token(5));
    let end = world.one(Token(5));
    assert!(end.result == -libc::ECANCELED && !end.more, "{end:?}");
    let _second = world.connect_peer(&address);
    world.nothing();
    world.driver().accept(listener, Token(6));
    assert!(world.one(Token(6)).result >= 0);
}

pub fn a_stopped_listener_refuses<W: World>() {
    let mut world = world::<W>();
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(5));
    let _before = world.connect_peer(&address);
    let served = Socket(world.one(Token(5)).result);
    world.driver().cancel(listener, Token(5));
    assert!(!world.one(Token(5)).more);
    for round in 0..3 {
        let mut waiting = world.connect_peer(&address);
        world.driver().stop_listening(listener);
        world.driver().stop_listening(listener);
        assert!(matches!(until_something(&mut world, &mut waiting), PeerRead::Reset), "what waits is told");
        assert!(world.try_connect_peer(&address).is_none(), "refused");
        // As in a thread that does not know yet that another has stopped the listener.
        world.driver().accept(listener, Token(6));
        let end = world.one(Token(6));
        assert!(end.result == -libc::EINVAL && !end.more, "{end:?}");
        world.driver().listen_again(listener, 16).unwrap();
        world.driver().accept(listener, Token(7));
        world.nothing();
        let mut after = world.connect_peer(&address);
        let accepted = world.one(Token(7));
        assert!(accepted.result >= 0 && accepted.more, "round {round}: {accepted:?}");
        assert_eq!(after.send(b"hello"), 5);
        world.driver().receive(Socket(accepted.result), BufferClass::Small, Token(8));
        let received = world.one(Token(8));
        assert!(received.result == 5 && received.more, "round {round}: {received:?}");
        world.driver().release(received.buffer);
        world.driver().cancel(Socket(accepted.result), Token(8));
        assert!(!world.one(Token(8)).more);
        world.driver().cancel(listener, Token(7));
        assert!(!world.one(Token(7)).more);
        world.driver().close(Socket(accepted.result));
    }
    assert!(world.driver().peer_address(served).is_ok(), "who was accepted before is not concerned");
}

pub fn accept_pauses_without_descriptors<W: World>() {
    let mut world = world::<W>();
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(5));
    world.nothing();
    let _peer = world.connect_peer(&address);
    // Connected by the kernel already, or found by the next wait: accepting is what needs a descriptor.
    world.set_descriptors_out(true);
    let mut seen = Vec::new();
    world.until(&mut seen, |seen| !seen.is_empty());
    let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    assert!(exhausted.contains(&-seen[0].result) && !seen[0].more, "{seen:?}");
    world.nothing();
    world.set_descriptors_out(false);
    world.driver().accept(listener, Token(6));
    let accepted = world.one(Token(6));
    assert!(accepted.result >= 0 && accepted.more, "{accepted:?}");
}

pub fn connect_succeeds<W: World>() {
    let mut world = world::<W>();
    let address = world.origin();
    let socket = world.driver().open_stream(&address).unwrap();
    world.driver().connect(socket, &address, Token(9));
    let completion = world.one(Token(9));
    assert!(completion.result == 0 && !completion.more);
    assert_eq!(world.driver().peer_address(socket).unwrap(), address);
    world.nothing();
}

pub fn connect_is_refused<W: World>() {
    let mut world = world::<W>();
    let address = world.refusing_address();
    let socket = world.driver().open_stream(&address).unwrap();
    world.driver().connect(socket, &address, Token(9));
    let completion = world.one(Token(9));
    assert!(completion.result == -libc::ECONNREFUSED && !completion.more, "{completion:?}");
    world.driver().close(socket);
}

pub fn connect_is_cancelled<W: World>() {
    let mut world = world::<W>();
    let address = world.silent_address();
    let socket = world.driver().open_stream(&address).unwrap();
    world.driver().connect(socket, &address, Token(9));
    world.nothing();
    world.driver().cancel(socket, Token(9));
    let completion = world.one(Token(9));
    assert!(completion.result == -libc::ECANCELED && !completion.more, "{completion:?}");
    world.driver().close(socket);
    world.nothing();
}

pub fn descriptors_are_used_again<W: World>() {
    let mut world = world::<W>();
    let mut numbers = std::collections::BTreeSet::new();
    let origin = world.origin();
    for round in 0..50u8 {
        let (socket, mut peer) = world.pair_with(&origin);
        numbers.insert(socket.0);
        world.driver().receive(socket, BufferClass::Small, Token(3));
        let mut seen = Vec::new();
        world.driver().wait(Some(0), &mut seen).unwrap();
        assert_eq!(seen, []);
        peer.send(&[round]);
        let completion = world.one(Token(3));
        let mut bytes = Vec::new();
        world.take_bytes(&completion, &mut bytes);
        assert_eq!(bytes, [round]);
        if round % 2 == 0 {
            // Closed with the peer's end unseen by anybody.
            world.driver().cancel(socket, Token(3));
            assert_eq!(world.one(Token(3)).result, -libc::ECANCELED);
            peer.shutdown_write();
        } else {
            peer.shutdown_write();
            assert_eq!(world.one(Token(3)).result, 0);
        }
        world.driver().close(socket);
    }
    assert!(numbers.len() < 50, "no number was used twice: {numbers:?}");
}

pub fn waiting_ends_in_time<W: World>() {
    let mut world = world::<W>();
    let driver = world.driver();
    let before = driver.now();
    let mut seen = Vec::new();
    driver.wait(Some(30_000), &mut seen).unwrap();
    let waited_us = driver.now().monotonic_us - before.monotonic_us;
    assert!(seen.is_empty() && (30_000..2_000_000).contains(&waited_us), "{waited_us}");
    driver.wait(Some(0), &mut seen).unwrap();
    assert!(driver.now().wall_us > 1_700_000_000_000_000);
}

pub fn another_thread_wakes<W: World>() {
    let mut world = world::<W>();
    let waker = world.driver().waker(Token(77)).unwrap();
    for round in 0..20 {
        let other = waker.clone();
        let thread = std::thread::spawn(move || {
            for _ in 0..=round % 3 {
                other.wake();
            }
        });
        if round % 2 == 0 {
            // At times the wake comes before the wait, at times during it.
            thread.join().unwrap();
            let woken = world.one(Token(77));
            assert!(woken.more, "{woken:?}");
        } else {
            let mut seen = Vec::new();
            world.until(&mut seen, |seen| !seen.is_empty());
            thread.join().unwrap();
            assert!(seen.iter().all(|completion| completion.token == Token(77)));
        }
        // Wakes that came while the first was being delivered may be one more.
        world.driver().wait(Some(0), &mut Vec::new()).unwrap();
    }
}

pub fn many_connections_at_once<W: World>() {
    const CONNECTIONS: usize = 300;
    let mut world = world::<W>();
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(0));
    let mut peers: Vec<W::Peer> = (0..CONNECTIONS).map(|_| world.connect_peer(&address)).collect();
    let mut accepted = Vec::new();
    world.until(&mut accepted, |seen| seen.len() == CONNECTIONS);
    for completion in &accepted {
        let token = Token(1 + completion.result as u64);
        world.driver().receive(Socket(completion.result), BufferClass::Small, token);
    }
    for round in 0..5u8 {
        for peer in &mut peers {
            assert_eq!(peer.send(&[round; 64]), 64);
        }
        // All at once: what the kernel holds ready has to grow. Each is echoed from the buffer it came in.
        let mut echoed = 0;
        let mut sent = 0;
        while sent < CONNECTIONS {
            let mut seen = Vec::new();
            world.until(&mut seen, |seen| !seen.is_empty());
            for completion in seen {
                if completion.token.0 >= 1_000_000 {
                    assert_eq!(completion.result, 64);
                    world.driver().release(crate::io::BufferId((completion.token.0 - 1_000_000) as u32));
                    sent += 1;
                } else {
                    assert_eq!(completion.result, 64, "{completion:?}");
                    let socket = Socket((completion.token.0 - 1) as i32);
                    let token = Token(1_000_000 + u64::from(completion.buffer.0));
                    world.driver().send(socket, completion.buffer, 0, 64, token);
                    echoed += 1;
                }
            }
        }
        assert_eq!(echoed, CONNECTIONS);
        for peer in &mut peers {
            assert_eq!(until_something(&mut world, peer), PeerRead::Bytes(vec![round; 64]));
        }
    }
}
