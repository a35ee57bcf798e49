//! Buffers run out and come back; bytes pass through pipes.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::World;
use super::world::{Peer, pattern};
use crate::io::sim::PeerRead;
use crate::io::{BufferClass, Driver, DriverSettings, Socket, Token};

/// Twelve connections, each with a message waiting, and four buffers.
fn twelve_and_four<W: World>() -> (W, Vec<W::Peer>, Vec<Socket>) {
    let mut world = W::new(&DriverSettings { small_buffers_max: 4, ..Default::default() });
    let (mut peers, mut sockets) = (Vec::new(), Vec::new());
    for number in 0..12u8 {
        let (socket, mut peer) = world.pair();
        assert_eq!(peer.send(&[number; 100]), 100);
        peers.push(peer);
        sockets.push(socket);
    }
    for (number, socket) in sockets.iter().enumerate() {
        world.driver().receive(*socket, BufferClass::Small, Token(100 + number as u64));
    }
    (world, peers, sockets)
}

pub fn receives_wait_for_buffers<W: World>() {
    let (mut world, mut peers, sockets) = twelve_and_four::<W>();
    let mut held = Vec::new();
    world.until(&mut held, |seen| seen.len() >= 4);
    world.driver().wait(Some(20_000), &mut held).unwrap();
    assert_eq!(held.len(), 4, "{held:?}");
    let mut heard = BTreeSet::new();
    while heard.len() < 12 {
        assert!(!held.is_empty(), "heard only {heard:?}");
        let completion = held.remove(0);
        assert!(completion.result == 100 && completion.more, "{completion:?}");
        let number = (completion.token.0 - 100) as u8;
        assert_eq!(&world.driver().bytes(completion.buffer)[..100], [number; 100]);
        assert!(heard.insert(number), "{number} was heard twice");
        world.driver().release(completion.buffer);
        if heard.len() <= 8 {
            // One buffer free: just one more is heard.
            world.until(&mut held, |seen| seen.len() >= 4);
        }
    }
    // All are armed as before.
    for (number, peer) in peers.iter_mut().enumerate() {
        assert_eq!(peer.send(b"again"), 5);
        let completion = world.one(Token(100 + number as u64));
        assert!(completion.result == 5 && completion.more);
        world.driver().release(completion.buffer);
    }
    // A receive that waits for a buffer can be cancelled.
    for peer in &mut peers {
        assert_eq!(peer.send(b"x"), 1);
    }
    let mut seen = Vec::new();
    world.until(&mut seen, |seen| seen.len() == 4);
    let served: BTreeSet<u64> = seen.iter().map(|completion| completion.token.0).collect();
    let waiting = (100..112).find(|token| !served.contains(token)).unwrap();
    world.driver().wait(Some(10_000), &mut seen).unwrap();
    let socket = sockets[(waiting - 100) as usize];
    world.driver().cancel(socket, Token(waiting));
    let end = world.one(Token(waiting));
    assert!(end.result == -libc::ECANCELED && !end.more, "{end:?}");
}

pub fn detaching_frees_a_buffer<W: World>() {
    let (mut world, _peers, _) = twelve_and_four::<W>();
    let mut heard = BTreeSet::new();
    while heard.len() < 12 {
        let mut seen = Vec::new();
        world.until(&mut seen, |seen| !seen.is_empty());
        for completion in seen {
            let number = (completion.token.0 - 100) as u8;
            let kept = world.driver().detach(completion.buffer, 90, 10);
            assert_eq!(world.driver().bytes(kept), [number; 10]);
            assert!(heard.insert(number));
        }
    }
}

pub fn an_idle_receive_holds_no_buffer<W: World>() {
    let mut world = W::new(&DriverSettings { small_buffers_max: 2, ..Default::default() });
    let mut connections = Vec::new();
    for number in 0..20 {
        let (socket, peer) = world.pair();
        world.driver().receive(socket, BufferClass::Small, Token(100 + number));
        connections.push(peer);
    }
    world.nothing();
    for (number, peer) in connections.iter_mut().enumerate() {
        peer.send(b"now");
        let completion = world.one(Token(100 + number as u64));
        world.driver().release(completion.buffer);
    }
}

pub fn splice_moves_all_bytes<W: World>() {
    let mut world = W::new(&DriverSettings::default());
    let (from, mut sender) = world.pair();
    let (to, mut reader) = world.pair();
    let Some(pipe) = world.driver().take_pipe() else { panic!("no pipe") };
    let capacity = world.driver().pipe_capacity_bytes(pipe);
    assert!(capacity >= 4096);
    let empty = world.driver().splice_in(from, pipe, capacity);
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::WouldBlock);
    let all = pattern(5_000_000);
    let (mut sent, mut held, mut got, mut ended) = (0, 0, Vec::new(), false);
    let (mut read_polled, mut write_polled) = (false, false);
    for _ in 0..200_000 {
        sent += sender.send(&all[sent..all.len().min(sent + 300_000)]);
        if sent == all.len() && !ended {
            sender.shutdown_write();
        }
        // As a relay does: what can be moved is moved; else the side that blocks is polled, once.
        if held < capacity && !ended && !read_polled {
            match world.driver().splice_in(from, pipe, capacity - held) {
                Ok(0) => ended = true,
                Ok(count) => held += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    world.driver().poll_readable(from, Token(20));
                    read_polled = true;
                }
            }
        }
        if held > 0 && !write_polled {
            match world.driver().splice_out(pipe, to, held) {
                Ok(count) => held -= count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    world.driver().poll_writable(to, Token(21));
                    write_polled = true;
                }
            }
        }
        if let PeerRead::Bytes(bytes) = reader.receive() {
            got.extend(bytes);
        }
        if read_polled || write_polled {
            let mut seen = Vec::new();
            let timeout_us = if got.len() < sent { 0 } else { 100 };
            world.driver().wait(Some(timeout_us), &mut seen).unwrap();
            for completion in seen {
                assert!(completion.result > 0, "{completion:?}");
                if completion.token == Token(20) { read_polled = false } else { write_polled = false }
            }
        }
        if got.len() == all.len() && ended {
            break;
        }
    }
    assert_eq!(got.len(), all.len());
    assert!(got == all && held == 0);
    world.driver().return_pipe(pipe);
}

pub fn a_pipe_with_bytes_is_not_reused<W: World>() {
    let mut world = W::new(&DriverSettings { pipes_max: 1, ..Default::default() });
    let (from, mut sender) = world.pair();
    let (to, mut reader) = world.pair();
    sender.send(b"of another connection");
    let pipe = world.driver().take_pipe().unwrap();
    world.driver().poll_readable(from, Token(20));
    world.one(Token(20));
    assert_eq!(world.driver().splice_in(from, pipe, 1000).unwrap(), 21);
    world.driver().return_pipe(pipe);
    let pipe = world.driver().take_pipe().unwrap();
    let nothing = world.driver().splice_out(pipe, to, 1000);
    assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(reader.receive(), PeerRead::Nothing);
}

pub fn pipes_are_bounded<W: World>() {
    let mut world = W::new(&DriverSettings { pipes_max: 3, ..Default::default() });
    let pipes: Vec<_> = std::iter::from_fn(|| world.driver().take_pipe()).collect();
    assert_eq!(pipes.len(), 3);
    world.driver().return_pipe(pipes[1]);
    assert!(world.driver().take_pipe().is_some());
    assert!(world.driver().take_pipe().is_none());
}
