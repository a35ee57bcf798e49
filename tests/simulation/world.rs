//! One worker, three origins, and clients that send what a seed says.

use ringway::config::load::load_text;
use ringway::config::model::{ListenerId, ProxyId, ServerId};
use ringway::io::sim::{Faults, Network, OriginBehaviour, Peer, PeerRead, Random, SimDriver};
use ringway::io::{Completion, DriverSettings, SocketAddress};
use ringway::session::source_ports::SourcePorts;
use ringway::shared::Shared;
use ringway::shared::mailbox::Message;
use ringway::worker::log_sink::LogSink;
use ringway::worker::{Setup, Worker};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const LISTEN: &str = "127.0.0.1:1890";
const ORIGINS: [&str; 3] = ["127.0.0.11:1883", "127.0.0.12:1883", "127.0.0.13:1883"];
/// Virtual seconds after which a run that has not ended is stuck.
const STUCK_US: u64 = 3_000 * 1_000_000;

/// One side's plan: what it sends, how fast it reads, and what it got.
struct Side {
    to_send: Vec<u8>,
    sent: usize,
    got: Vec<u8>,
    /// Bytes read at a time: a slow reader reads little.
    appetite: usize,
    shut: bool,
    ended: bool,
    died: bool,
}

impl Side {
    fn new(random: &mut Random, index: u32) -> Side {
        let size = match random.below(4) {
            0 => random.below(64),
            1 => random.below(5_000),
            2 => random.below(60_000),
            _ => random.below(150_000),
        };
        let mut to_send = index.to_le_bytes().to_vec();
        to_send.extend((0..size).map(|_| random.next_u64() as u8));
        let appetite = if random.chance(300) { 4_000 } else { usize::MAX };
        Side { to_send, sent: 0, got: Vec::new(), appetite, shut: false, ended: false, died: false }
    }

    /// Sends and receives a little on `peer`.
    fn step(&mut self, peer: &Peer, random: &mut Random) {
        if self.died {
            return;
        }
        if self.sent < self.to_send.len() && random.chance(700) {
            let most = 1 + random.below(30_000) as usize;
            let end = (self.sent + most).min(self.to_send.len());
            self.sent += peer.send(&self.to_send[self.sent..end]);
        }
        if self.sent == self.to_send.len() && !self.shut && random.chance(300) {
            self.shut = true;
            peer.shutdown_write();
        }
        if random.chance(600) {
            match peer.receive_at_most(self.appetite) {
                PeerRead::Bytes(bytes) => self.got.extend(bytes),
                PeerRead::Nothing => {}
                PeerRead::End => self.ended = true,
                PeerRead::Reset => self.died = true,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.died || (self.ended && self.shut)
    }
}

/// A client connection and, once it has been recognised, the origin's end of it.
struct Pair {
    client: Peer,
    client_side: Side,
    origin: Option<Peer>,
    origin_side: Side,
}

/// See the module's text.
pub struct World {
    network: Network,
    random: Random,
    shared: Arc<Shared>,
    worker: Worker<SimDriver>,
    pairs: Vec<Pair>,
    /// Origin connections whose first bytes (the pair's number) have not all come.
    strangers: Vec<(Peer, Vec<u8>)>,
    completions: Vec<Completion>,
}

impl World {
    /// `options` are lines of the `listen` section.
    pub fn new(seed: u64, faults: Faults, options: &str) -> World {
        let servers: String =
            ORIGINS.iter().enumerate().map(|(n, origin)| format!("  server s{n} {origin}\n")).collect();
        let text = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1000s\n  timeout server 1000s\n\
             listen mqtt\n  bind {LISTEN}\n  balance leastconn\n  retries 10\n{options}{servers}"
        );
        let loaded = load_text("simulation.cfg", &text);
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics.messages));
        let shared = Arc::new(Shared::new(Arc::new(config), 1, 0, 0));
        let network = Network::new(seed, faults);
        for origin in ORIGINS {
            network.set_origin(origin.parse().unwrap(), OriginBehaviour::Accept);
        }
        let listen: SocketAddr = LISTEN.parse().unwrap();
        let listener = network.open_listener(SocketAddress::Ip(listen));
        let driver = SimDriver::new(&network, &DriverSettings::default()).unwrap();
        let setup = Setup {
            number: 0,
            shared: shared.clone(),
            listeners: vec![(ListenerId(0), listener)],
            log_sink: LogSink::new(&shared),
            connections_max: 1000,
            channels: Arc::new([]),
            hostname: "simulation".to_string(),
            source_ports: SourcePorts::default(),
        };
        World {
            network,
            random: Random::new(seed ^ 0x5eed),
            worker: Worker::new(driver, setup).unwrap(),
            shared,
            pairs: Vec::new(),
            strangers: Vec::new(),
            completions: Vec::new(),
        }
    }

    fn connect(&mut self) {
        let index = self.pairs.len() as u32;
        let client = self.network.connect_client(&SocketAddress::Ip(LISTEN.parse().unwrap())).unwrap();
        let client_side = Side::new(&mut self.random, index);
        let origin_side = Side::new(&mut self.random, index);
        self.pairs.push(Pair { client, client_side, origin: None, origin_side });
    }

    /// One turn of the worker, which sleeps for so long at most: a message wakes it.
    fn turn_for(&mut self, pause_us: u64) {
        let shared = self.shared.clone();
        let wake = move |_: &Network| shared.workers[0].mailbox.send(Message::LimitLifted);
        self.network.at(self.network.now_us() + pause_us, wake);
        self.worker.turn(&mut self.completions).unwrap();
    }

    /// A few milliseconds of everybody's life.
    fn tick(&mut self) {
        let pause_us = 1 + self.random.below(3_000);
        self.turn_for(pause_us);
        for origin in ORIGINS {
            while let Some(peer) = self.network.origin_accept(origin.parse().unwrap()) {
                self.strangers.push((peer, Vec::new()));
            }
        }
        self.recognise();
        for pair in &mut self.pairs {
            pair.client_side.step(&pair.client, &mut self.random);
            if let Some(origin) = &pair.origin {
                pair.origin_side.step(origin, &mut self.random);
            }
        }
    }

    /// The first four bytes tell an origin whose connection it has.
    fn recognise(&mut self) {
        for (peer, mut first) in std::mem::take(&mut self.strangers) {
            match peer.receive_at_most(4 - first.len()) {
                PeerRead::Bytes(bytes) => first.extend(bytes),
                PeerRead::Nothing => {}
                PeerRead::End | PeerRead::Reset => {
                    peer.close();
                    continue;
                }
            }
            let Ok(number) = <[u8; 4]>::try_from(first.as_slice()) else {
                self.strangers.push((peer, first));
                continue;
            };
            let pair = &mut self.pairs[u32::from_le_bytes(number) as usize];
            assert!(pair.origin.is_none(), "one client, two origin connections with bytes");
            pair.origin_side.got = first;
            pair.origin = Some(peer);
        }
    }

    /// Who has not finished, for the message of a run that is stuck.
    fn describe(&self) -> String {
        let side = |side: &Side| {
            let total = side.to_send.len();
            format!(
                "sent {}/{total}, got {}, shut {}, ended {}, died {}",
                side.sent,
                side.got.len(),
                side.shut,
                side.ended,
                side.died
            )
        };
        let unfinished = self.pairs.iter().enumerate().filter(|(_, pair)| !pair.client_side.is_over());
        unfinished
            .map(|(n, pair)| {
                let origin = if pair.origin.is_some() { side(&pair.origin_side) } else { "unknown".to_string() };
                format!("\n  client {n}: {}; origin: {origin}", side(&pair.client_side))
            })
            .collect()
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&World) -> bool) {
        while !done(self) {
            if self.network.now_us() >= STUCK_US {
                panic!("stuck: {what}; {} sessions{}", self.worker.sessions(), self.describe());
            }
            self.tick();
        }
    }

    /// Connects clients at random moments and lets all of them finish or die.
    pub fn run_clients(&mut self, count: usize) {
        while self.pairs.len() < count {
            self.connect();
            for _ in 0..self.random.below(20) {
                self.tick();
            }
        }
        self.run_until("clients still talk", |world| {
            world.pairs.iter().all(|pair| {
                let origin_over = pair.origin.is_none() || pair.origin_side.is_over();
                let client_over = pair.client_side.is_over();
                // A connection that died on one side ends on the other by itself.
                client_over && origin_over
                    || (pair.client_side.died || pair.origin_side.died) && (pair.client_side.ended || client_over)
            })
        });
        self.close_all();
    }

    /// Clients that stop in the middle, without a word.
    pub fn abandon_clients(&mut self, count: usize) {
        for _ in 0..count {
            self.connect();
            for _ in 0..self.random.below(30) {
                self.tick();
            }
        }
        let deadline_us = self.network.now_us() + 200 * 1_000_000;
        while self.worker.sessions() > 0 {
            assert!(self.network.now_us() < deadline_us, "{} silent sessions are still there", self.worker.sessions());
            self.turn_for(100_000);
        }
        self.close_all();
    }

    fn close_all(&mut self) {
        for pair in &self.pairs {
            pair.client.close();
            if let Some(origin) = &pair.origin {
                origin.close();
            }
        }
        for (peer, _) in &self.strangers {
            peer.close();
        }
    }

    pub fn expect_all_delivered(&self) {
        for (index, pair) in self.pairs.iter().enumerate() {
            assert!(!pair.client_side.died && !pair.origin_side.died, "connection {index} died");
            assert!(pair.origin_side.got == pair.client_side.to_send, "connection {index}: request bytes differ");
            assert!(pair.client_side.got == pair.origin_side.to_send, "connection {index}: response bytes differ");
        }
    }

    pub fn expect_prefixes(&self) {
        for (index, pair) in self.pairs.iter().enumerate() {
            let request = pair.client_side.to_send.starts_with(&pair.origin_side.got);
            let response = pair.origin_side.to_send.starts_with(&pair.client_side.got);
            assert!(request && response, "connection {index}: somebody else's bytes");
        }
    }

    /// What an origin saw of `maxconn`: the next in the queue connects when the one before has closed, not sooner.
    pub fn expect_open_at_most(&self, limit: usize) {
        for origin in ORIGINS {
            let open_max = self.network.origin_open_max(origin.parse().unwrap());
            assert!(open_max <= limit, "{open_max} connections to {origin} at once, maxconn is {limit}");
        }
    }

    /// No session, buffer, pipe, socket or count survives its connections.
    pub fn expect_nothing_left(&mut self) {
        self.network.set_faults(Faults::default());
        self.run_until("sessions remain", |world| world.worker.sessions() == 0);
        let driver = self.worker.driver();
        assert_eq!(driver.buffers_held(), 0, "buffers");
        assert_eq!(driver.pipes_held(), 0, "pipes");
        assert_eq!(driver.sockets_open(), 0, "sockets (the listener is not counted)");
        let count = |value: &std::sync::atomic::AtomicU32| value.load(Ordering::Relaxed);
        let proxy = self.shared.proxy(ProxyId(0));
        assert_eq!(count(&self.shared.process.connections), 0, "process connections");
        assert_eq!(count(&proxy.frontend_connections), 0, "frontend connections");
        assert_eq!(count(&proxy.backend_connections), 0, "backend connections");
        assert_eq!(count(&proxy.queued), 0, "queue");
        for number in 0..ORIGINS.len() as u32 {
            assert_eq!(count(&self.shared.server(ServerId(number)).served), 0, "served of server {number}");
        }
    }
}
