//! Bytes in and out, ends, resets, cancels.

use super::World;
use super::world::{Peer, pattern};
use crate::io::sim::PeerRead;
use crate::io::{BufferClass, Driver, DriverSettings, Token};

fn world<W: World>() -> W {
    W::new(&DriverSettings::default())
}

const RECEIVE: Token = Token(10);
const SEND: Token = Token(11);
const POLL: Token = Token(12);

pub fn bytes_arrive_in_order<W: World>() {
    for class in [BufferClass::Small, BufferClass::Large] {
        let mut world = world::<W>();
        let (socket, mut peer) = world.pair();
        world.driver().receive(socket, class, RECEIVE);
        let all = pattern(3_000_000);
        let (mut sent, mut got) = (0, Vec::new());
        while got.len() < all.len() {
            sent += peer.send(&all[sent..]);
            let mut seen = Vec::new();
            world.until(&mut seen, |seen| !seen.is_empty());
            for completion in seen {
                assert!(completion.more, "{completion:?}");
                world.take_bytes(&completion, &mut got);
            }
        }
        assert!(got == all);
    }
}

/// Looking takes nothing, taking takes no more than asked for, and a receive armed afterwards has the rest.
pub fn what_is_taken_at_once_is_no_more_than_asked_for<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    let mut bytes = [0; 8];
    let nothing = world.driver().peek_now(socket, &mut bytes).map_err(|error| error.kind());
    assert_eq!(nothing, Err(std::io::ErrorKind::WouldBlock));
    assert_eq!(peer.send(b"abcdef"), 6);
    world.driver().poll_readable(socket, POLL);
    let mut seen = Vec::new();
    world.until(&mut seen, |seen| !seen.is_empty());
    assert_eq!(world.driver().peek_now(socket, &mut bytes).ok(), Some(6));
    assert_eq!(&bytes, b"abcdef\0\0");
    let mut two = [0; 2];
    assert_eq!(world.driver().receive_now(socket, &mut two).ok(), Some(2));
    assert_eq!(&two, b"ab");
    assert_eq!(world.driver().send_now(socket, b"answer").ok(), Some(6));
    peer.shutdown_write();
    world.driver().receive(socket, BufferClass::Small, RECEIVE);
    let mut got = Vec::new();
    loop {
        let mut seen = Vec::new();
        world.until(&mut seen, |seen| !seen.is_empty());
        for completion in seen {
            if completion.result == 0 {
                assert_eq!(got, b"cdef");
                return;
            }
            world.take_bytes(&completion, &mut got);
        }
    }
}

/// Whether it ends with its first bytes or goes on: nothing is lost, and the end is seen.
pub fn a_first_receive_loses_nothing<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    let all = pattern(300_000);
    let (mut sent, mut got, mut armed) = (0, Vec::new(), false);
    loop {
        if !armed {
            world.driver().receive_first(socket, BufferClass::Small, RECEIVE);
        }
        sent += peer.send(&all[sent..]);
        if sent == all.len() {
            peer.shutdown_write();
        }
        let mut seen = Vec::new();
        world.until(&mut seen, |seen| !seen.is_empty());
        for completion in seen {
            armed = completion.more;
            if completion.result == 0 {
                assert!(got == all, "{} bytes", got.len());
                return;
            }
            world.take_bytes(&completion, &mut got);
        }
    }
}

/// Both orders: the receive is armed before the bytes and the end come, or after.
pub fn last_bytes_then_end<W: World>() {
    for armed_before in [true, false] {
        let mut world = world::<W>();
        let (socket, mut peer) = world.pair();
        if armed_before {
            world.driver().receive(socket, BufferClass::Small, RECEIVE);
            world.nothing();
        }
        assert_eq!(peer.send(b"last words"), 10);
        peer.shutdown_write();
        if !armed_before {
            world.nothing();
            world.driver().receive(socket, BufferClass::Small, RECEIVE);
        }
        assert_eq!(world.drain(RECEIVE), (b"last words".to_vec(), 0));
        world.nothing();
        // It is an end that stays.
        world.driver().receive(socket, BufferClass::Small, RECEIVE);
        assert_eq!(world.drain(RECEIVE), (Vec::new(), 0));
    }
}

pub fn last_bytes_then_reset<W: World>() {
    // With small buffers it takes more receives than the kernel makes in one go.
    let variants = [(10, 4096), (50_000, 4096), (50_000, 512)];
    for (armed_before, (length, small_buffer_bytes)) in
        [true, false].into_iter().flat_map(|armed| variants.map(|variant| (armed, variant)))
    {
        let mut world = W::new(&DriverSettings { small_buffer_bytes, ..Default::default() });
        let (socket, mut peer) = world.pair();
        if armed_before {
            world.driver().receive(socket, BufferClass::Small, RECEIVE);
            world.nothing();
        }
        assert_eq!(peer.send(&pattern(length)), length);
        peer.reset();
        if !armed_before {
            world.nothing();
            world.driver().receive(socket, BufferClass::Small, RECEIVE);
        }
        let (bytes, result) = world.drain(RECEIVE);
        assert_eq!(result, -libc::ECONNRESET, "armed before: {armed_before}, {length} bytes");
        assert!(bytes == pattern(length), "armed before: {armed_before}, {length} bytes");
        world.driver().close(socket);
    }
}

pub fn half_close_both_ways<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    world.driver().receive(socket, BufferClass::Small, RECEIVE);
    peer.shutdown_write();
    let end = world.one(RECEIVE);
    assert!(end.result == 0 && !end.more);
    let buffer = world.driver().buffer_from(b"still here");
    world.driver().send(socket, buffer, 0, 10, SEND);
    assert_eq!(world.one(SEND).result, 10);
    world.driver().release(buffer);
    world.driver().shutdown_write(socket);
    assert_eq!(peer.receive(), PeerRead::Bytes(b"still here".to_vec()));
    assert_eq!(peer.receive(), PeerRead::End);

    let (socket, mut peer) = world.pair();
    world.driver().receive(socket, BufferClass::Small, RECEIVE);
    world.driver().shutdown_write(socket);
    world.nothing();
    assert_eq!(peer.receive(), PeerRead::End);
    assert_eq!(peer.send(b"answer"), 6);
    let completion = world.one(RECEIVE);
    assert!(completion.result == 6 && completion.more);
}

pub fn cancelling_loses_no_byte<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    let all = pattern(400_000);
    let (mut sent, mut got) = (0, Vec::new());
    let mut rounds: u64 = 0;
    while got.len() < all.len() {
        rounds += 1;
        let class = if rounds.is_multiple_of(3) { BufferClass::Large } else { BufferClass::Small };
        let token = Token(100 + rounds);
        world.driver().receive(socket, class, token);
        let mut seen = Vec::new();
        if rounds.is_multiple_of(2) {
            world.driver().wait(Some(0), &mut seen).unwrap();
        }
        let end = all.len().min(sent + 9000);
        sent += peer.send(&all[sent..end]);
        if rounds.is_multiple_of(5) {
            world.driver().wait(Some(1000), &mut seen).unwrap();
        }
        world.driver().cancel(socket, token);
        world.until(&mut seen, |seen| seen.iter().any(|completion| !completion.more));
        for completion in &seen {
            assert_eq!(completion.token, token);
            if completion.result > 0 {
                world.take_bytes(completion, &mut got);
            } else {
                assert_eq!(completion.result, -libc::ECANCELED);
            }
        }
        assert!(!seen.last().unwrap().more);
        assert!(rounds < 10_000);
    }
    assert!(got == all);
}

pub fn a_full_socket_says_so<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    let all = pattern(1 << 20);
    let buffer = world.driver().buffer_from(&all);
    let (mut sent, mut rounds) = (0, 0);
    // The peer does not read: sends get short, then none goes.
    let blocked_after = loop {
        let at = sent % all.len();
        world.driver().send(socket, buffer, at as u32, (all.len() - at) as u32, SEND);
        let completion = world.one(SEND);
        assert!(!completion.more);
        if completion.result == -libc::EAGAIN {
            break sent;
        }
        assert!(completion.result > 0, "{completion:?}");
        sent += completion.result as usize;
        rounds += 1;
        assert!(rounds < 1000, "the socket takes everything");
    };
    world.driver().poll_writable(socket, POLL);
    world.nothing();
    let mut got = Vec::new();
    let mut polled = Vec::new();
    for _ in 0..1000 {
        if let PeerRead::Bytes(bytes) = peer.receive() {
            got.extend(bytes);
        }
        if polled.is_empty() {
            world.driver().wait(Some(1000), &mut polled).unwrap();
        }
        if got.len() >= blocked_after && !polled.is_empty() {
            break;
        }
    }
    assert_eq!(got.len(), blocked_after);
    assert!(got.iter().enumerate().all(|(index, byte)| *byte == all[index % all.len()]));
    assert!(polled[0].token == POLL && polled[0].result & i32::from(libc::POLLOUT) != 0 && !polled[0].more);
    world.driver().send(socket, buffer, 0, 5, SEND);
    assert_eq!(world.one(SEND).result, 5);
    world.driver().release(buffer);
}

pub fn sending_into_a_reset<W: World>() {
    let mut world = world::<W>();
    let (socket, peer) = world.pair();
    peer.reset();
    world.nothing();
    let buffer = world.driver().buffer_from(b"to nobody");
    world.driver().send(socket, buffer, 0, 9, SEND);
    let first = world.one(SEND).result;
    world.driver().send(socket, buffer, 0, 9, SEND);
    let second = world.one(SEND).result;
    assert!([-libc::ECONNRESET, -libc::EPIPE].contains(&first), "{first}");
    assert_eq!(second, -libc::EPIPE);
    world.driver().release(buffer);
}

pub fn shutdown_ends_a_receive<W: World>() {
    let mut world = world::<W>();
    let (socket, _peer) = world.pair();
    world.driver().receive(socket, BufferClass::Small, RECEIVE);
    world.nothing();
    world.driver().shutdown_both(socket);
    let end = world.one(RECEIVE);
    assert!(end.result <= 0 && !end.more, "{end:?}");
    world.driver().close(socket);
}

pub fn own_bytes_are_sent<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    let buffer = world.driver().buffer_from(b"0123456789");
    assert_eq!(world.driver().bytes(buffer), b"0123456789");
    world.driver().send(socket, buffer, 4, 3, SEND);
    assert_eq!(world.one(SEND).result, 3);
    // Past its end there is nothing to send.
    world.driver().send(socket, buffer, 8, 3, SEND);
    assert_eq!(world.one(SEND).result, -libc::EINVAL);
    world.driver().release(buffer);
    assert_eq!(peer.receive(), PeerRead::Bytes(b"456".to_vec()));
}

pub fn urgent_bytes_are_not_lost<W: World>() {
    let mut world = world::<W>();
    let (listener, address) = world.listen();
    world.driver().accept(listener, Token(1));
    let mut peer = world.connect_peer(&address);
    let socket = crate::io::Socket(world.one(Token(1)).result);
    world.driver().receive(socket, BufferClass::Small, RECEIVE);
    world.nothing();
    peer.send(b"before ");
    let expected = if peer.send_urgent(b'!') { b"before ! after".as_slice() } else { b"before  after" };
    peer.send(b" after");
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let mut seen = Vec::new();
        world.until(&mut seen, |seen| !seen.is_empty());
        for completion in &seen {
            world.take_bytes(completion, &mut got);
        }
    }
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
}

pub fn an_endless_sender_starves_nobody<W: World>() {
    let mut world = world::<W>();
    let (busy, mut flood) = world.pair();
    let (quiet, mut whisper) = world.pair();
    world.driver().receive(busy, BufferClass::Small, RECEIVE);
    world.driver().receive(quiet, BufferClass::Small, POLL);
    let bytes = pattern(200_000);
    for round in 0..20 {
        flood.send(&bytes);
        assert_eq!(whisper.send(&[round]), 1);
        let (mut heard, mut waits) = (false, 0);
        while !heard {
            flood.send(&bytes);
            let mut seen = Vec::new();
            world.until(&mut seen, |seen| !seen.is_empty());
            for completion in seen {
                heard |= completion.token == POLL;
                world.driver().release(completion.buffer);
            }
            waits += 1;
            assert!(waits < 20, "the flood comes first");
        }
    }
}

pub fn readiness_is_polled<W: World>() {
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    world.driver().poll_readable(socket, POLL);
    world.nothing();
    world.driver().cancel(socket, POLL);
    assert_eq!(world.one(POLL).result, -libc::ECANCELED);
    world.driver().poll_readable(socket, POLL);
    peer.send(b"something");
    let readable = world.one(POLL);
    assert!(readable.result & i32::from(libc::POLLIN) != 0 && !readable.more, "{readable:?}");
    world.driver().receive(socket, BufferClass::Small, RECEIVE);
    let completion = world.one(RECEIVE);
    let mut bytes = Vec::new();
    world.take_bytes(&completion, &mut bytes);
    assert_eq!(bytes, b"something");
    world.driver().cancel(socket, RECEIVE);
    assert_eq!(world.one(RECEIVE).result, -libc::ECANCELED);
    world.driver().poll_readable(socket, POLL);
    world.nothing();
    peer.shutdown_write();
    let ended = world.one(POLL);
    assert!(ended.result & i32::from(libc::POLLRDHUP) != 0, "{ended:?}");
}

pub fn more_completions_than_a_queue_holds<W: World>() {
    const SENDS: usize = 20_000;
    let mut world = world::<W>();
    let (socket, mut peer) = world.pair();
    let all = pattern(SENDS);
    let buffer = world.driver().buffer_from(&all);
    for number in 0..SENDS {
        world.driver().send(socket, buffer, number as u32, 1, Token(1000 + number as u64));
    }
    let mut seen = Vec::new();
    world.until(&mut seen, |seen| seen.len() >= SENDS);
    world.nothing();
    // In order, and all of them: 20,000 bytes fit any socket.
    for (number, completion) in seen.iter().enumerate() {
        assert!(completion.token == Token(1000 + number as u64) && completion.result == 1, "{completion:?}");
    }
    let mut got = Vec::new();
    while let PeerRead::Bytes(bytes) = peer.receive() {
        got.extend(bytes);
    }
    assert!(got == all);
    world.driver().release(buffer);
}
