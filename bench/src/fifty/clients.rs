//! The crowd: MQTT clients that connect, ping and come back, on threads that each have a descriptor table of their own.
//!
//! A client is a socket and eight bytes; epoll and blocking-free calls, so that two cores are left to what is measured.

use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PINGREQ: [u8; 2] = [0xc0, 0];
const PINGRESP: [u8; 2] = [0xd0, 0];
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
/// How long a client waits for its connection and its CONNACK before it tries again.
const PATIENCE: Duration = Duration::from_secs(30);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Clients of one source address: far below its 28,000 ports.
const CLIENTS_PER_SOURCE: usize = 1_000;
/// What a thread keeps free in its descriptor table.
const SPARE_DESCRIPTORS: usize = 500;
/// Connections opened between two looks at what has come.
const OPENINGS_PER_TURN: usize = 200;

enum Order {
    Gather { per_second: usize },
    PingEvery(Duration),
    Storm { one_in: usize },
    ReturnWithin(Duration),
    BeginPhase,
}

/// Written by the threads.
#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    connected_in_phase: AtomicUsize,
    /// Clients that a PINGRESP has reached in this phase.
    answered_clients: AtomicUsize,
    pings: AtomicU64,
    answers: AtomicU64,
    /// Connections that ended without our doing.
    lost: AtomicU64,
    failed_connects: AtomicU64,
    impatient: AtomicU64,
    /// Answers that were not what MQTT says.
    wrong: AtomicU64,
    ping_us: Mutex<Vec<u32>>,
    connect_us: Mutex<Vec<u32>>,
    stop: AtomicBool,
}

/// All clients.
pub struct Crowd {
    orders: Vec<Sender<Order>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    counts: Arc<Counts>,
    size: usize,
}

/// A snapshot.
pub struct Figures {
    pub connected: usize,
    pub connected_in_phase: usize,
    pub answered_clients: usize,
    pings: u64,
    answers: u64,
    lost: u64,
    failed_connects: u64,
    impatient: u64,
    wrong: u64,
    /// Sorted.
    ping_us: Vec<u32>,
    connect_us: Vec<u32>,
}

impl Crowd {
    /// Makes the threads; nobody connects yet.
    pub fn start(target: SocketAddrV4, size: usize, descriptor_limit: u64) -> anyhow::Result<Crowd> {
        let each = (descriptor_limit as usize).saturating_sub(SPARE_DESCRIPTORS).clamp(1, 15_000);
        let (mut orders, mut threads) = (Vec::new(), Vec::new());
        let counts = Arc::new(Counts::default());
        let mut first = 0;
        while first < size {
            let count = each.min(size - first);
            let (order, received) = channel();
            let counts = counts.clone();
            let thread = std::thread::Builder::new().name("clients".to_string()).spawn(move || {
                if let Err(error) = Thread::new(target, first, count, counts, received).and_then(Thread::run) {
                    eprintln!("clients: {error}");
                }
            })?;
            orders.push(order);
            threads.push(thread);
            first += count;
        }
        Ok(Crowd { orders, threads, counts, size })
    }

    fn order(&self, make: impl Fn() -> Order) {
        for thread in &self.orders {
            // One that has failed shows in the counts.
            let _ = thread.send(make());
        }
    }

    pub fn gather(&self, per_second: usize) {
        let each = (per_second / self.orders.len().max(1)).max(1);
        self.order(|| Order::Gather { per_second: each });
    }

    /// Every client pings once in `period`, all of them evenly spread over it.
    pub fn ping_every(&self, period: Duration) {
        self.order(|| Order::PingEvery(period));
    }

    /// One client of every `one_in` closes without a word and connects again at once.
    pub fn storm(&self, one_in: usize) {
        self.order(|| Order::Storm { one_in });
    }

    /// Who loses the connection comes back after a while of its own, at most `longest`.
    pub fn return_within(&self, longest: Duration) {
        self.order(|| Order::ReturnWithin(longest));
    }

    /// Starts the counts of a phase.
    pub fn begin_phase(&self) {
        let counts = &self.counts;
        counts.connected_in_phase.store(0, Ordering::SeqCst);
        counts.answered_clients.store(0, Ordering::SeqCst);
        for count in
            [&counts.pings, &counts.answers, &counts.lost, &counts.failed_connects, &counts.impatient, &counts.wrong]
        {
            count.store(0, Ordering::SeqCst);
        }
        for samples in [&counts.ping_us, &counts.connect_us] {
            samples.lock().expect("no thread panics with it").clear();
        }
        self.order(|| Order::BeginPhase);
    }

    pub fn figures(&self) -> Figures {
        let counts = &self.counts;
        let sorted = |samples: &Mutex<Vec<u32>>| {
            let mut samples = samples.lock().expect("no thread panics with it").clone();
            samples.sort_unstable();
            samples
        };
        Figures {
            connected: counts.connected.load(Ordering::SeqCst),
            connected_in_phase: counts.connected_in_phase.load(Ordering::SeqCst),
            answered_clients: counts.answered_clients.load(Ordering::SeqCst),
            pings: counts.pings.load(Ordering::SeqCst),
            answers: counts.answers.load(Ordering::SeqCst),
            lost: counts.lost.load(Ordering::SeqCst),
            failed_connects: counts.failed_connects.load(Ordering::SeqCst),
            impatient: counts.impatient.load(Ordering::SeqCst),
            wrong: counts.wrong.load(Ordering::SeqCst),
            ping_us: sorted(&counts.ping_us),
            connect_us: sorted(&counts.connect_us),
        }
    }

    /// Waits until all are connected and `holds`; an error when that takes longer than `limit`.
    pub fn wait_for_all(&self, limit: Duration, what: &str, holds: impl Fn(&Figures) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        let mut said = Instant::now();
        loop {
            let figures = self.figures();
            if figures.connected == self.size && holds(&figures) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{what}: not within {} s: {figures}", limit.as_secs());
            if said.elapsed() > Duration::from_secs(2) {
                said = Instant::now();
                eprintln!("{what}: {figures}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn percentile(sorted: &[u32], part: f64) -> u32 {
    let index = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

impl Figures {
    pub fn as_json(&self) -> Value {
        let spread = |samples: &[u32]| {
            json!({
                "count": samples.len(),
                "p50": percentile(samples, 0.5),
                "p99": percentile(samples, 0.99),
                "max": samples.last().copied().unwrap_or(0),
            })
        };
        json!({
            "connected": self.connected,
            "connected_in_phase": self.connected_in_phase,
            "lost": self.lost,
            "failed_connects": self.failed_connects,
            "gave_up_waiting": self.impatient,
            "wrong_answers": self.wrong,
            "pings": self.pings,
            "ping_answers": self.answers,
            "clients_with_an_answer": self.answered_clients,
            "ping_us": spread(&self.ping_us),
            "connect_to_connack_us": spread(&self.connect_us),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connected ({} new, {} lost, {} failed, {} gave up, {} wrong); {} pings, {} answers to {} clients, p99 {} µs; \
             CONNACK after {} µs (p99)",
            self.connected,
            self.connected_in_phase,
            self.lost,
            self.failed_connects,
            self.impatient,
            self.wrong,
            self.pings,
            self.answers,
            self.answered_clients,
            percentile(&self.ping_us, 0.99),
            percentile(&self.connect_us, 0.99),
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Connecting,
    AwaitsConnack,
    Connected,
}

struct Client {
    stream: Option<TcpStream>,
    state: State,
    /// Bytes of the expected answer that are here.
    got: u8,
    answered_in_phase: bool,
    /// When the ping went out that is not answered yet.
    pinged: Option<Instant>,
    since: Instant,
}

struct Thread {
    target: SocketAddrV4,
    first: usize,
    clients: Vec<Client>,
    /// When which client is to connect.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    counts: Arc<Counts>,
    orders: Receiver<Order>,
    epoll: Epoll,
    ping_period: Option<Duration>,
    /// The next to ping, and how many are owed since `pinging_since`.
    next_ping: usize,
    pings_done: u64,
    pinging_since: Instant,
    return_within: Duration,
    storms: usize,
    next_check: usize,
    ping_us: Vec<u32>,
    connect_us: Vec<u32>,
}

impl Thread {
    fn new(
        target: SocketAddrV4,
        first: usize,
        count: usize,
        counts: Arc<Counts>,
        orders: Receiver<Order>,
    ) -> anyhow::Result<Thread> {
        unshare(CloneFlags::CLONE_FILES)?;
        let now = Instant::now();
        let away =
            || Client { stream: None, state: State::Away, got: 0, answered_in_phase: false, pinged: None, since: now };
        Ok(Thread {
            target,
            first,
            clients: std::iter::repeat_with(away).take(count).collect(),
            due: BinaryHeap::new(),
            counts,
            orders,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            ping_period: None,
            next_ping: 0,
            pings_done: 0,
            pinging_since: now,
            return_within: Duration::ZERO,
            storms: 0,
            next_check: 0,
            ping_us: Vec::new(),
            connect_us: Vec::new(),
        })
    }

    fn run(mut self) -> anyhow::Result<()> {
        let mut events = vec![EpollEvent::empty(); 1024];
        while !self.counts.stop.load(Ordering::Relaxed) {
            let found = match self.epoll.wait(&mut events, EpollTimeout::from(5u8)) {
                Ok(found) => found,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            for event in events.iter().take(found) {
                self.event(event.data() as usize, event.events());
            }
            while let Ok(order) = self.orders.try_recv() {
                self.obey(order);
            }
            self.open_due();
            self.ping_due();
            self.lose_patience();
            self.publish();
        }
        Ok(())
    }

    fn publish(&mut self) {
        for (own, all) in [(&mut self.ping_us, &self.counts.ping_us), (&mut self.connect_us, &self.counts.connect_us)] {
            if !own.is_empty() {
                all.lock().expect("no thread panics with it").append(own);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Gather { per_second } => {
                let gap = Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(u32::MAX);
                for index in 0..self.clients.len() {
                    self.due.push(Reverse((now + gap * u32::try_from(index).unwrap_or(u32::MAX), index)));
                }
            }
            Order::PingEvery(period) => {
                (self.ping_period, self.pinging_since, self.pings_done) = (Some(period), now, 0);
            }
            Order::Storm { one_in } => {
                // Others than the last time.
                for index in (self.storms % one_in.max(1)..self.clients.len()).step_by(one_in.max(1)) {
                    if self.clients[index].state == State::Connected {
                        self.leave(index);
                        self.due.push(Reverse((now, index)));
                    }
                }
                self.storms += 1;
            }
            Order::ReturnWithin(longest) => self.return_within = longest,
            Order::BeginPhase => {
                for client in &mut self.clients {
                    client.answered_in_phase = false;
                }
                self.ping_us.clear();
                self.connect_us.clear();
            }
        }
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.state == State::Connected {
            self.counts.connected.fetch_sub(1, Ordering::SeqCst);
        }
        (client.stream, client.state, client.got, client.pinged) = (None, State::Away, 0, None);
    }

    /// Failed or lost: tries again after `pause`.
    fn come_back(&mut self, index: usize, pause: Duration) {
        self.leave(index);
        self.due.push(Reverse((Instant::now() + pause, index)));
    }

    fn open_due(&mut self) {
        let now = Instant::now();
        for _ in 0..OPENINGS_PER_TURN {
            match self.due.peek() {
                Some(Reverse((at, _))) if *at <= now => {}
                _ => return,
            }
            let Some(Reverse((_, index))) = self.due.pop() else { return };
            if self.open(index).is_err() {
                self.counts.failed_connects.fetch_add(1, Ordering::Relaxed);
                self.come_back(index, RETRY);
            }
        }
    }

    /// Sources are spread over 127.16.0.0/12, a thousand clients each.
    fn open(&mut self, index: usize) -> anyhow::Result<()> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let descriptor = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        setsockopt(&descriptor, sockopt::IpBindAddressNoPort, &true)?;
        setsockopt(&descriptor, sockopt::TcpNoDelay, &true)?;
        let source = (self.first + index) / CLIENTS_PER_SOURCE;
        bind(descriptor.as_raw_fd(), &SockaddrIn::new(127, 16 + (source >> 8) as u8, source as u8, 1, 0))?;
        let stream = TcpStream::from(descriptor);
        let target = SockaddrIn::from(self.target);
        match connect(stream.as_raw_fd(), &target) {
            Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(&stream, EpollEvent::new(interest, index as u64))?;
        let client = &mut self.clients[index];
        (client.stream, client.state, client.since) = (Some(stream), State::Connecting, Instant::now());
        Ok(())
    }

    fn event(&mut self, index: usize, events: EpollFlags) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let Some(stream) = &mut client.stream else { return };
        if client.state == State::Connecting && events.intersects(EpollFlags::EPOLLOUT | EpollFlags::EPOLLERR) {
            let refused = !matches!(stream.take_error(), Ok(None));
            if refused || stream.write_all(&connect_packet(self.first + index)).is_err() {
                self.counts.failed_connects.fetch_add(1, Ordering::Relaxed);
                return self.come_back(index, RETRY);
            }
            client.state = State::AwaitsConnack;
        }
        let mut bytes = [0u8; 64];
        loop {
            match stream.read(&mut bytes) {
                Ok(count @ 1..) => {
                    for byte in &bytes[..count] {
                        let expected: &[u8] = if client.state == State::AwaitsConnack { &CONNACK } else { &PINGRESP };
                        if expected.get(usize::from(client.got)) != Some(byte) {
                            self.counts.wrong.fetch_add(1, Ordering::Relaxed);
                            return self.come_back(index, RETRY);
                        }
                        client.got += 1;
                        if usize::from(client.got) < expected.len() {
                            continue;
                        }
                        client.got = 0;
                        if client.state == State::AwaitsConnack {
                            client.state = State::Connected;
                            self.counts.connected.fetch_add(1, Ordering::SeqCst);
                            self.counts.connected_in_phase.fetch_add(1, Ordering::SeqCst);
                            self.connect_us.push(micros(client.since.elapsed()));
                        } else if let Some(at) = client.pinged.take() {
                            self.counts.answers.fetch_add(1, Ordering::Relaxed);
                            self.ping_us.push(micros(at.elapsed()));
                            if !std::mem::replace(&mut client.answered_in_phase, true) {
                                self.counts.answered_clients.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    // Spread evenly over the time, by a multiplication that scatters.
                    let part = (index.wrapping_mul(2_654_435_761) % 1_000) as u32;
                    return self.come_back(index, (self.return_within * part / 1_000).max(Duration::from_millis(100)));
                }
            }
        }
    }

    fn ping_due(&mut self) {
        let Some(period) = self.ping_period.filter(|_| !self.clients.is_empty()) else { return };
        let elapsed = self.pinging_since.elapsed().as_secs_f64();
        let owed = (elapsed / period.as_secs_f64() * self.clients.len() as f64) as u64;
        while self.pings_done < owed {
            self.pings_done += 1;
            let index = self.next_ping;
            self.next_ping = (index + 1) % self.clients.len();
            let client = &mut self.clients[index];
            let (State::Connected, None, Some(stream)) = (client.state, client.pinged, &mut client.stream) else {
                continue;
            };
            if stream.write_all(&PINGREQ).is_ok() {
                client.pinged = Some(Instant::now());
                self.counts.pings.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A few clients a turn are asked whether they have waited too long.
    fn lose_patience(&mut self) {
        for _ in 0..100.min(self.clients.len()) {
            let index = self.next_check;
            self.next_check = (index + 1) % self.clients.len();
            let client = &self.clients[index];
            let waits = matches!(client.state, State::Connecting | State::AwaitsConnack);
            let overdue = client.pinged.is_some_and(|at| at.elapsed() > PATIENCE);
            if overdue || (waits && client.since.elapsed() > PATIENCE) {
                self.counts.impatient.fetch_add(1, Ordering::Relaxed);
                self.come_back(index, RETRY);
            }
        }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// MQTT 3.1.1 section 3.1: clean session, keep-alive 120 s, client identifier by number.
fn connect_packet(number: usize) -> Vec<u8> {
    let name = format!("fifty{number}");
    let mut packet =
        vec![0x10, (12 + name.len()) as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 120, 0, name.len() as u8];
    packet.extend_from_slice(name.as_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_packet_is_as_long_as_it_says() {
        for number in [0, 49_999, 9_999_999] {
            let packet = connect_packet(number);
            assert_eq!(packet.len(), usize::from(packet[1]) + 2);
            assert_eq!(packet[14..], *format!("fifty{number}").as_bytes());
        }
    }

    #[test]
    fn percentiles_of_few_samples() {
        assert_eq!((percentile(&[], 0.5), percentile(&[7], 0.99)), (0, 7));
        assert_eq!(percentile(&(0..100).collect::<Vec<_>>(), 0.99), 99);
    }
}
