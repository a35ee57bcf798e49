//! The simulated backend's own promises: a seed is a run, and harmless faults lose nothing.

use std::collections::BTreeMap;

use super::{Faults, Network, OriginBehaviour, Peer, PeerRead, SimDriver};
use crate::io::{BufferClass, BufferId, Completion, Driver, DriverSettings, Socket, SocketAddress, Token};

const ACCEPT: Token = Token(1);
const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const POLL: u64 = 3 << 32;

#[derive(Default)]
struct Connection {
    /// To be sent, first to last: buffer, offset, length.
    waiting: Vec<(BufferId, u32, u32)>,
    /// A send or a poll is armed.
    busy: bool,
    /// The client has ended.
    ended: bool,
}

/// A server that sends back what it receives, one buffer at a time.
struct Echo {
    driver: SimDriver,
    listener: Socket,
    connections: BTreeMap<i32, Connection>,
    trace: Vec<(Completion, u64)>,
    resumed: usize,
}

impl Echo {
    fn pump(&mut self, socket: i32) {
        let Some(Connection { waiting, busy, ended }) = self.connections.get_mut(&socket) else { return };
        if *busy {
            return;
        }
        if let Some((buffer, offset, length)) = waiting.first() {
            *busy = true;
            self.driver.send(Socket(socket), *buffer, *offset, *length, Token(SEND | socket as u64));
        } else if *ended {
            self.connections.remove(&socket);
            self.driver.shutdown_write(Socket(socket));
            self.driver.close(Socket(socket));
        }
    }

    fn handle(&mut self, completion: Completion) {
        self.trace.push((completion, self.driver.now().monotonic_us));
        let socket = (completion.token.0 & 0xffff_ffff) as i32;
        if completion.token == ACCEPT {
            if completion.result >= 0 {
                let token = Token(RECEIVE | completion.result as u64);
                self.driver.receive(Socket(completion.result), BufferClass::Small, token);
                self.connections.insert(completion.result, Default::default());
            } else {
                self.resumed += 1;
                self.driver.accept(self.listener, ACCEPT);
            }
            return;
        }
        let Some(Connection { waiting, busy, ended }) = self.connections.get_mut(&socket) else {
            panic!("{completion:?}")
        };
        match completion.token.0 & !0xffff_ffff {
            RECEIVE if completion.result > 0 => waiting.push((completion.buffer, 0, completion.result as u32)),
            RECEIVE => {
                assert_eq!(completion.result, 0);
                *ended = true;
            }
            SEND if completion.result == -libc::EAGAIN => {
                return self.driver.poll_writable(Socket(socket), Token(POLL | socket as u64));
            }
            SEND => {
                *busy = false;
                let first = &mut waiting[0];
                first.1 += completion.result as u32;
                first.2 -= completion.result as u32;
                if first.2 == 0 {
                    let (buffer, _, _) = waiting.remove(0);
                    self.driver.release(buffer);
                }
            }
            _ => *busy = false,
        }
        self.pump(socket);
    }
}

/// Ten clients send 40,000 bytes each and read them back, slowly. What happened, and when.
fn run(seed: u64, faults: Faults) -> (Vec<(Completion, u64)>, usize) {
    let network = Network::new(seed, faults);
    let address = SocketAddress::Ip("192.0.2.1:1883".parse().unwrap());
    let listener = network.open_listener(address.clone());
    let settings = DriverSettings { small_buffers_max: 16, ..Default::default() };
    let mut driver = SimDriver::new(&network, &settings).unwrap();
    driver.accept(listener, ACCEPT);
    let mut echo = Echo { driver, listener, connections: BTreeMap::new(), trace: Vec::new(), resumed: 0 };
    let mut clients: Vec<(Peer, usize, Vec<u8>, bool)> = Vec::new();
    let bytes = |client: usize, index: usize| ((index * 31) ^ (client * 7)) as u8;
    for _ in 0..10 {
        clients.push((network.connect_client(&address).unwrap(), 0, Vec::new(), false));
    }
    for _ in 0..20_000 {
        let mut all_done = true;
        for (number, (peer, sent, got, done)) in clients.iter_mut().enumerate() {
            let part: Vec<u8> = (*sent..40_000.min(*sent + 3000)).map(|index| bytes(number, index)).collect();
            *sent += peer.send(&part);
            if *sent == 40_000 {
                peer.shutdown_write();
            }
            match peer.receive_at_most(network.random_below(4000) as usize + 1) {
                PeerRead::Bytes(bytes) => got.extend(bytes),
                PeerRead::End => *done = true,
                PeerRead::Nothing => {}
                PeerRead::Reset => panic!("seed {seed}: reset"),
            }
            all_done &= *done;
        }
        if all_done {
            break;
        }
        let mut seen = Vec::new();
        echo.driver.wait(Some(500), &mut seen).unwrap();
        for completion in seen {
            echo.handle(completion);
        }
    }
    for (number, (_, _, got, done)) in clients.iter().enumerate() {
        assert!(*done, "seed {seed}: client {number} has {} bytes and no end", got.len());
        assert!(got.len() == 40_000 && got.iter().enumerate().all(|(index, byte)| *byte == bytes(number, index)));
    }
    assert_eq!((echo.driver.sockets_open(), echo.driver.buffers_held()), (0, 0), "seed {seed}");
    (echo.trace, echo.resumed)
}

#[test]
fn harmless_faults_lose_nothing_and_leak_nothing() {
    let mut resumed = 0;
    for seed in 0..20 {
        run(seed, Faults::default());
        resumed += run(seed, Faults::harmless()).1;
    }
    assert!(resumed > 0, "no accept was ever out of descriptors");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let first = run(42, Faults::harmless());
    assert!(first == run(42, Faults::harmless()));
    assert!(first != run(43, Faults::harmless()));
}

#[test]
fn connects_take_the_time_that_the_script_says() {
    let network = Network::new(1, Faults::default());
    let origin = "192.0.2.9:80".parse().unwrap();
    network.set_origin(origin, OriginBehaviour::AcceptAfterUs(250_000));
    let mut driver = SimDriver::new(&network, &DriverSettings::default()).unwrap();
    let address = SocketAddress::Ip(origin);
    let socket = driver.open_stream(&address).unwrap();
    let start_us = driver.now().monotonic_us;
    driver.connect(socket, &address, Token(5));
    let mut seen = Vec::new();
    driver.wait(Some(100_000), &mut seen).unwrap();
    assert!(seen.is_empty() && driver.now().monotonic_us == start_us + 100_000);
    driver.wait(None, &mut seen).unwrap();
    assert_eq!((seen[0].result, driver.now().monotonic_us), (0, start_us + 250_000));
    // What is scheduled happens on time, inside a wait.
    let peer = network.origin_accept(origin).unwrap();
    network.at(start_us + 400_000, move |_| peer.reset());
    driver.receive(socket, BufferClass::Small, Token(6));
    seen.clear();
    driver.wait(None, &mut seen).unwrap();
    assert_eq!((seen[0].result, driver.now().monotonic_us), (-libc::ECONNRESET, start_us + 400_000));
}
