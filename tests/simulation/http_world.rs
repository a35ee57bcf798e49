//! One worker in HTTP mode, three origins that answer in all framings, and clients that pipeline what a seed says.
//!
//! Every answer carries its request's number and body: one that reaches another request, or is cut and passed for
//! whole, is found.

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

const LISTEN: &str = "127.0.0.1:8080";
const ORIGINS: [&str; 3] = ["127.0.0.11:80", "127.0.0.12:80", "127.0.0.13:80"];
/// Virtual seconds after which a run that has not ended is stuck.
const STUCK_US: u64 = 3_000 * 1_000_000;

/// A message taken off the front of a byte stream.
struct Taken {
    head: String,
    body: Vec<u8>,
    length: usize,
}

/// Reads one message; `None`: it is not whole yet. `closed`: a body may end with the stream.
fn take_message(bytes: &[u8], closed: bool) -> Option<Taken> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("a head of text");
    let value = |name: &str| {
        let lower = head.to_lowercase();
        let line = lower.lines().find(|line| line.starts_with(&format!("{name}: ")))?;
        Some(line[name.len() + 2..].to_string())
    };
    let rest = &bytes[head_end..];
    if value("transfer-encoding").as_deref() == Some("chunked") {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let line_end = at + rest[at..].windows(2).position(|window| window == b"\r\n")?;
            let size =
                usize::from_str_radix(std::str::from_utf8(&rest[at..line_end]).unwrap(), 16).expect("a bare size");
            if size == 0 {
                // Trailers, and the empty line.
                let end = line_end + rest[line_end..].windows(4).position(|window| window == b"\r\n\r\n")? + 4;
                return Some(Taken { head, body, length: head_end + end });
            }
            let data_end = line_end + 2 + size;
            if rest.len() < data_end + 2 {
                return None;
            }
            assert_eq!(&rest[data_end..data_end + 2], b"\r\n", "the end of a chunk");
            body.extend_from_slice(&rest[line_end + 2..data_end]);
            at = data_end + 2;
        }
    }
    if let Some(length) = value("content-length") {
        let length: usize = length.parse().unwrap();
        let body = rest.get(..length)?.to_vec();
        return Some(Taken { head, body, length: head_end + length });
    }
    if head.starts_with("HTTP/") {
        return closed.then(|| Taken { head: head.clone(), body: rest.to_vec(), length: bytes.len() });
    }
    Some(Taken { head, body: Vec::new(), length: head_end })
}

fn number_of(head: &str) -> usize {
    let line =
        head.lines().find(|line| line.starts_with("X-Number: ")).unwrap_or_else(|| panic!("no number in {head}"));
    line["X-Number: ".len()..].parse().unwrap()
}

fn chunked(body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let take = (1 + random.below(9_000) as usize).min(rest.len());
        let extension = if random.chance(200) { ";name=value" } else { "" };
        out.extend(format!("{take:X}{extension}\r\n").bytes());
        out.extend_from_slice(&rest[..take]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[take..];
    }
    out.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
    out
}

fn random_body(random: &mut Random) -> Vec<u8> {
    let size = match random.below(4) {
        0 => 0,
        1 => random.below(2_000),
        2 => random.below(40_000),
        _ => random.below(300_000),
    };
    (0..size).map(|_| random.next_u64() as u8).collect()
}

/// A client: the requests it sends one behind the other, and the answers it got.
struct Client {
    peer: Peer,
    to_send: Vec<u8>,
    sent: usize,
    /// Numbers and bodies of its requests.
    requests: Vec<(usize, Vec<u8>)>,
    answered: usize,
    got: Vec<u8>,
    ended: bool,
    died: bool,
    refused: bool,
    /// The last answer said that it is the last.
    told_to_leave: bool,
}

impl Client {
    fn step(&mut self, random: &mut Random) {
        if self.died || self.ended {
            return;
        }
        if self.sent < self.to_send.len() && random.chance(700) {
            let end = (self.sent + 1 + random.below(30_000) as usize).min(self.to_send.len());
            self.sent += self.peer.send(&self.to_send[self.sent..end]);
        }
        if random.chance(700) {
            let appetite = if random.chance(300) { 3_000 } else { usize::MAX };
            match self.peer.receive_at_most(appetite) {
                PeerRead::Bytes(bytes) => self.got.extend(bytes),
                PeerRead::Nothing => {}
                PeerRead::End => self.ended = true,
                PeerRead::Reset => self.died = true,
            }
        }
        while let Some(answer) = take_message(&self.got, self.ended) {
            self.got.drain(..answer.length);
            self.told_to_leave |= answer.head.contains("Connection: close\r\n");
            if !answer.head.starts_with("HTTP/1.1 200 ") {
                // An error page of the proxy: this request's answer.
                (self.refused, self.answered) = (true, self.answered + 1);
                continue;
            }
            let (number, body) = &self.requests[self.answered];
            assert_eq!(number_of(&answer.head), *number, "an answer to another request: {}", answer.head);
            let expected: Vec<u8> = body.iter().rev().copied().collect();
            assert!(answer.body == expected, "request {number}: {} bytes instead of {}", answer.body.len(), body.len());
            self.answered += 1;
        }
    }

    fn is_over(&self) -> bool {
        self.died || self.ended || self.answered == self.requests.len()
    }
}

/// An origin's end of a connection.
struct Served {
    peer: Peer,
    got: Vec<u8>,
    to_send: Vec<u8>,
    sent: usize,
    close_after: bool,
    /// Closes the connection after this answer, and says so before.
    leaves: bool,
    announces: bool,
    over: bool,
}

impl Served {
    fn step(&mut self, random: &mut Random) {
        if self.over {
            return;
        }
        if random.chance(700) {
            match self.peer.receive_at_most(if random.chance(200) { 5_000 } else { usize::MAX }) {
                PeerRead::Bytes(bytes) => self.got.extend(bytes),
                PeerRead::Nothing => {}
                PeerRead::End | PeerRead::Reset => {
                    self.over = true;
                    return self.peer.close();
                }
            }
        }
        if self.to_send.is_empty()
            && !self.close_after
            && let Some(request) = take_message(&self.got, false)
        {
            self.got.drain(..request.length);
            let number = number_of(&request.head);
            let body: Vec<u8> = request.body.iter().rev().copied().collect();
            let start = format!("HTTP/1.1 200 OK\r\nX-Number: {number}\r\n");
            self.to_send = start.into_bytes();
            self.leaves = random.chance(50);
            if self.leaves && self.announces {
                self.to_send.extend(b"Connection: close\r\n");
            }
            match random.below(4) {
                0 => {
                    self.to_send.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                    self.to_send.extend(chunked(&body, random));
                }
                1 => {
                    self.close_after = true;
                    self.to_send.extend(b"\r\n");
                    self.to_send.extend(&body);
                }
                _ => {
                    self.to_send.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                    self.to_send.extend(&body);
                }
            }
        }
        if self.sent < self.to_send.len() && random.chance(800) {
            let end = (self.sent + 1 + random.below(60_000) as usize).min(self.to_send.len());
            self.sent += self.peer.send(&self.to_send[self.sent..end]);
        }
        if self.sent == self.to_send.len() && self.sent > 0 {
            (self.sent, self.to_send) = (0, Vec::new());
            if self.close_after || self.leaves {
                self.over = true;
                self.peer.close();
            }
        }
    }
}

/// See the module's text.
pub struct HttpWorld {
    network: Network,
    random: Random,
    shared: Arc<Shared>,
    worker: Worker<SimDriver>,
    clients: Vec<Client>,
    served: Vec<Served>,
    completions: Vec<Completion>,
    next_number: usize,
    /// Origins close kept connections without a word; requests then have no body, so that they can be sent again.
    pub unannounced_closes: bool,
}

impl HttpWorld {
    /// `options` are lines of the `listen` section.
    pub fn new(seed: u64, faults: Faults, options: &str) -> HttpWorld {
        let servers: String =
            ORIGINS.iter().enumerate().map(|(n, origin)| format!("  server s{n} {origin}\n")).collect();
        let text = format!(
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 1000s\n  timeout server 1000s\n\
             listen web\n  bind {LISTEN}\n  retries 10\n{options}{servers}"
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
        HttpWorld {
            network,
            random: Random::new(seed ^ 0x477b),
            worker: Worker::new(driver, setup).unwrap(),
            shared,
            clients: Vec::new(),
            served: Vec::new(),
            completions: Vec::new(),
            next_number: 0,
            unannounced_closes: false,
        }
    }

    fn connect(&mut self) {
        let peer = self.network.connect_client(&SocketAddress::Ip(LISTEN.parse().unwrap())).unwrap();
        let (mut to_send, mut requests) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.random.below(6) {
            let number = self.next_number;
            self.next_number += 1;
            let body = if self.unannounced_closes { Vec::new() } else { random_body(&mut self.random) };
            let method = if body.is_empty() { "GET" } else { "PUT" };
            to_send.extend(format!("{method} /{number} HTTP/1.1\r\nHost: a\r\nX-Number: {number}\r\n").bytes());
            if body.is_empty() {
                to_send.extend(b"\r\n");
            } else if self.random.chance(400) {
                to_send.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                to_send.extend(chunked(&body, &mut self.random));
            } else {
                to_send.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                to_send.extend(&body);
            }
            requests.push((number, body));
        }
        self.clients.push(Client {
            peer,
            to_send,
            sent: 0,
            requests,
            answered: 0,
            got: Vec::new(),
            ended: false,
            died: false,
            refused: false,
            told_to_leave: false,
        });
    }

    /// One turn of the worker, which sleeps for so long at most: a message wakes it.
    fn turn_for(&mut self, pause_us: u64) -> bool {
        let shared = self.shared.clone();
        let wake = move |_: &Network| shared.workers[0].mailbox.send(Message::LimitLifted);
        self.network.at(self.network.now_us() + pause_us, wake);
        self.worker.turn(&mut self.completions).unwrap()
    }

    /// A few milliseconds of everybody's life.
    fn tick(&mut self) {
        let pause_us = 1 + self.random.below(3_000);
        self.turn_for(pause_us);
        self.step_origins();
        for client in &mut self.clients {
            client.step(&mut self.random);
        }
    }

    /// The origins accept, read and answer.
    fn step_origins(&mut self) {
        for origin in ORIGINS {
            while let Some(peer) = self.network.origin_accept(origin.parse().unwrap()) {
                let (got, to_send) = (Vec::new(), Vec::new());
                let announces = !self.unannounced_closes;
                let (close_after, leaves, over) = (false, false, false);
                self.served.push(Served { peer, got, to_send, sent: 0, close_after, leaves, announces, over });
            }
        }
        for served in &mut self.served {
            served.step(&mut self.random);
        }
    }

    /// Connects clients at random moments and lets all of them finish.
    pub fn run_clients(&mut self, count: usize) {
        while self.clients.len() < count {
            self.connect();
            for _ in 0..self.random.below(30) {
                self.tick();
            }
        }
        while !self.clients.iter().all(Client::is_over) {
            let waiting: Vec<String> = self
                .clients
                .iter()
                .enumerate()
                .filter(|(_, client)| !client.is_over())
                .map(|(n, c)| {
                    format!("{n}: sent {}/{}, answered {}/{}", c.sent, c.to_send.len(), c.answered, c.requests.len())
                })
                .collect();
            assert!(self.network.now_us() < STUCK_US, "stuck: {waiting:?}");
            self.tick();
        }
    }

    pub fn expect_all_answered(&self) {
        for (index, client) in self.clients.iter().enumerate() {
            assert!(!client.refused, "client {index} got an error page");
            let all = client.requests.len();
            assert!(client.answered == all || client.told_to_leave, "client {index}: {} of {all}", client.answered);
        }
    }

    /// What an origin saw of `maxconn`.
    pub fn expect_open_at_most(&self, limit: usize) {
        for origin in ORIGINS {
            let open_max = self.network.origin_open_max(origin.parse().unwrap());
            assert!(open_max <= limit, "{open_max} connections to {origin} at once, {limit} allowed");
        }
    }

    /// After a soft stop no session, server connection, buffer, pipe, socket or count is left.
    pub fn expect_nothing_left(&mut self) {
        self.network.set_faults(Faults::default());
        for client in &self.clients {
            client.peer.close();
        }
        self.shared.workers[0].mailbox.send(Message::SoftStop);
        let deadline_us = self.network.now_us() + 100 * 1_000_000;
        while self.turn_for(1_000) {
            // A request may be on its way to an origin that has not seen its connection yet.
            self.step_origins();
            assert!(self.network.now_us() < deadline_us, "{} sessions do not end", self.worker.sessions());
        }
        let driver = self.worker.driver();
        assert_eq!(driver.buffers_held(), 0, "buffers");
        assert_eq!(driver.pipes_held(), 0, "pipes");
        assert_eq!(driver.sockets_open(), 0, "sockets");
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
