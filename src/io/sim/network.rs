//! The in-memory network: listeners, origin servers, connections; and its script.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use super::Faults;
use super::random::Random;
use crate::io::driver::{Socket, SocketAddress};

/// What one side of a connection can take before its reader must read.
const RECEIVE_WINDOW_BYTES: usize = 64 * 1024;

/// What happens to connects to an origin's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginBehaviour {
    Accept,
    /// After this long.
    AcceptAfterUs(u64),
    Refuse,
    /// Nothing answers.
    Silent,
}

/// What a peer's look at its connection finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRead {
    Bytes(Vec<u8>),
    Nothing,
    End,
    Reset,
}

/// One side of a connection.
pub(super) struct Endpoint {
    pub(super) other: usize,
    pub(super) inbox: VecDeque<u8>,
    pub(super) window: usize,
    /// The other side will send no more.
    pub(super) ended: bool,
    /// The connection was reset: this errno once, when the inbox is empty.
    pub(super) error: Option<i32>,
    pub(super) reset: bool,
    /// This side has said that it will send no more.
    pub(super) write_closed: bool,
    pub(super) closed: bool,
    pub(super) address: SocketAddress,
    pub(super) peer_address: SocketAddress,
}

pub(super) struct Listening {
    pub(super) address: SocketAddress,
    /// Not [`crate::io::Driver::stop_listening`]'s doing.
    pub(super) open: bool,
    pub(super) backlog: VecDeque<usize>,
}

struct Origin {
    behaviour: OriginBehaviour,
    waiting: VecDeque<usize>,
    /// The most connections that it has had open at once.
    open_max: usize,
}

type Action = Box<dyn FnOnce(&Network)>;

pub(super) struct State {
    pub(super) random: Random,
    pub(super) faults: Faults,
    pub(super) now_us: u64,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) listeners: BTreeMap<i32, Listening>,
    origins: BTreeMap<SocketAddr, Origin>,
    scheduled: BTreeMap<(u64, u64), Action>,
    scheduled_count: u64,
    next_descriptor: i32,
    free_descriptors: Vec<i32>,
    next_port: u16,
}

/// The network and its script; clones are the same network.
#[derive(Clone)]
pub struct Network(Rc<RefCell<State>>);

/// The far end of one of the driver's connections, played by the test.
#[derive(Clone)]
pub struct Peer {
    network: Network,
    endpoint: usize,
}

impl State {
    pub(super) fn new_descriptor(&mut self) -> i32 {
        // Reused like the kernel's, so that a stale number shows.
        if let Some(descriptor) = self.free_descriptors.pop() {
            return descriptor;
        }
        self.next_descriptor += 1;
        self.next_descriptor
    }

    pub(super) fn free_descriptor(&mut self, descriptor: i32) {
        self.free_descriptors.push(descriptor);
    }

    fn next_address(&mut self) -> SocketAddress {
        self.next_port = self.next_port.checked_add(1).unwrap_or(10_000);
        SocketAddress::Ip(SocketAddr::from(([127, 0, 0, 1], self.next_port)))
    }

    /// Both ends of a new connection: the caller's, and the one at `to`.
    pub(super) fn connection(&mut self, from: Option<SocketAddress>, to: &SocketAddress) -> (usize, usize) {
        let from = from.unwrap_or_else(|| self.next_address());
        let (near, far) = (self.endpoints.len(), self.endpoints.len() + 1);
        for (other, address, peer_address) in [(far, from.clone(), to.clone()), (near, to.clone(), from)] {
            self.endpoints.push(Endpoint {
                other,
                inbox: VecDeque::new(),
                window: RECEIVE_WINDOW_BYTES,
                ended: false,
                error: None,
                reset: false,
                write_closed: false,
                closed: false,
                address,
                peer_address,
            });
        }
        (near, far)
    }

    /// Bytes that `from` can send now.
    pub(super) fn room(&self, from: usize) -> usize {
        let other = &self.endpoints[self.endpoints[from].other];
        other.window.saturating_sub(other.inbox.len())
    }

    /// Sends what there is room for. `Err`: an errno.
    pub(super) fn send(&mut self, from: usize, bytes: &[u8]) -> Result<usize, i32> {
        let endpoint = &mut self.endpoints[from];
        if let Some(error) = endpoint.error.take() {
            return Err(error);
        }
        if endpoint.write_closed || endpoint.reset {
            return Err(libc::EPIPE);
        }
        let other = endpoint.other;
        if self.endpoints[other].closed {
            // Nobody reads any more: the answer to the bytes is a reset.
            let endpoint = &mut self.endpoints[from];
            endpoint.reset = true;
            endpoint.ended = true;
            endpoint.error = Some(libc::ECONNRESET);
            return Ok(bytes.len());
        }
        let count = bytes.len().min(self.room(from));
        if count == 0 && !bytes.is_empty() {
            return Err(libc::EAGAIN);
        }
        self.endpoints[other].inbox.extend(&bytes[..count]);
        Ok(count)
    }

    pub(super) fn shutdown_write(&mut self, from: usize) {
        let endpoint = &mut self.endpoints[from];
        endpoint.write_closed = true;
        let other = endpoint.other;
        self.endpoints[other].ended = true;
    }

    /// Resets the connection as seen by the other side.
    pub(super) fn reset(&mut self, from: usize) {
        let other = self.endpoints[from].other;
        let endpoint = &mut self.endpoints[from];
        endpoint.closed = true;
        endpoint.write_closed = true;
        endpoint.inbox.clear();
        let far = &mut self.endpoints[other];
        if !far.closed {
            far.reset = true;
            far.ended = true;
            far.error = Some(libc::ECONNRESET);
        }
    }

    pub(super) fn close(&mut self, endpoint: usize) {
        // Unread bytes at a close are answered with a reset, as by TCP.
        if self.endpoints[endpoint].inbox.is_empty() {
            self.shutdown_write(endpoint);
            self.endpoints[endpoint].closed = true;
        } else {
            self.reset(endpoint);
        }
    }

    fn listening_at(&self, address: &SocketAddress) -> Option<i32> {
        self.listeners.iter().find(|(_, one)| one.open && one.address == *address).map(|(number, _)| *number)
    }

    /// A connect to `to`: when it completes and with what; `None`: never.
    pub(super) fn connect(
        &mut self,
        to: &SocketAddress,
        from: Option<SocketAddress>,
    ) -> Option<(u64, Result<usize, i32>)> {
        let slow = if self.random.chance(self.faults.connect_slow) { self.random.below(1_000_000) } else { 0 };
        let mut at = self.now_us + slow;
        if self.random.chance(self.faults.connect_refused) {
            return Some((at, Err(libc::ECONNREFUSED)));
        }
        if let Some(listener) = self.listening_at(to) {
            let (near, far) = self.connection(from, to);
            if let Some(listening) = self.listeners.get_mut(&listener) {
                listening.backlog.push_back(far);
            }
            return Some((at, Ok(near)));
        }
        let SocketAddress::Ip(ip) = to else { return Some((at, Err(libc::ENOENT))) };
        match self.origins.get(ip).map(|origin| origin.behaviour) {
            None | Some(OriginBehaviour::Refuse) => return Some((at, Err(libc::ECONNREFUSED))),
            Some(OriginBehaviour::Silent) => return None,
            Some(OriginBehaviour::AcceptAfterUs(us)) => at += us,
            Some(OriginBehaviour::Accept) => {}
        }
        let (near, far) = self.connection(from, to);
        let open = self.open_to(to);
        if let Some(origin) = self.origins.get_mut(ip) {
            origin.waiting.push_back(far);
            origin.open_max = origin.open_max.max(open);
        }
        Some((at, Ok(near)))
    }

    /// Connections to `to` that whoever made them has neither closed nor seen ended both ways.
    fn open_to(&self, to: &SocketAddress) -> usize {
        let is_open = |end: &&Endpoint| end.peer_address == *to && !end.closed && !(end.write_closed && end.ended);
        self.endpoints.iter().filter(is_open).count()
    }
}

impl Network {
    pub fn new(seed: u64, faults: Faults) -> Self {
        Network(Rc::new(RefCell::new(State {
            random: Random::new(seed),
            faults,
            // Not 0, so that a deadline "in the past" can be told from "none".
            now_us: 1_000_000,
            endpoints: Vec::new(),
            listeners: BTreeMap::new(),
            origins: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            scheduled_count: 0,
            next_descriptor: 2,
            free_descriptors: Vec::new(),
            next_port: 10_000,
        })))
    }

    pub(super) fn state(&self) -> std::cell::RefMut<'_, State> {
        self.0.borrow_mut()
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    pub fn now_us(&self) -> u64 {
        self.state().now_us
    }

    /// A random number below `bound` from the run's seed, for scripts.
    pub fn random_below(&self, bound: u64) -> u64 {
        self.state().random.below(bound)
    }

    /// A listener for the driver to accept from.
    pub fn open_listener(&self, address: SocketAddress) -> Socket {
        let mut state = self.state();
        let descriptor = state.new_descriptor();
        state.listeners.insert(descriptor, Listening { address, open: true, backlog: VecDeque::new() });
        Socket(descriptor)
    }

    /// What the driver's connects to this address meet from now on; none set: refused.
    pub fn set_origin(&self, address: SocketAddr, behaviour: OriginBehaviour) {
        let mut state = self.state();
        let origin =
            state.origins.entry(address).or_insert(Origin { behaviour, waiting: VecDeque::new(), open_max: 0 });
        origin.behaviour = behaviour;
    }

    /// The next connection that the driver has made to the origin.
    pub fn origin_accept(&self, address: SocketAddr) -> Option<Peer> {
        let endpoint = self.state().origins.get_mut(&address)?.waiting.pop_front()?;
        Some(Peer { network: self.clone(), endpoint })
    }

    /// The most connections that this origin has had open at once.
    pub fn origin_open_max(&self, address: SocketAddr) -> usize {
        self.state().origins.get(&address).map_or(0, |origin| origin.open_max)
    }

    /// A client connects to a listener of the driver's. `None`: nobody listens there.
    pub fn connect_client(&self, to: &SocketAddress) -> Option<Peer> {
        let mut state = self.state();
        let listener = state.listening_at(to)?;
        let (near, far) = state.connection(None, to);
        state.listeners.get_mut(&listener)?.backlog.push_back(far);
        Some(Peer { network: self.clone(), endpoint: near })
    }

    /// Runs `action` when the time has come, inside the driver's `wait`.
    pub fn at(&self, when_us: u64, action: impl FnOnce(&Network) + 'static) {
        let mut state = self.state();
        state.scheduled_count += 1;
        let key = (when_us, state.scheduled_count);
        state.scheduled.insert(key, Box::new(action));
    }

    pub(super) fn next_scheduled_us(&self) -> Option<u64> {
        self.state().scheduled.first_key_value().map(|(key, _)| key.0)
    }

    /// Runs what is due.
    pub(super) fn run_scheduled(&self) {
        loop {
            let action = {
                let mut state = self.state();
                let now_us = state.now_us;
                match state.scheduled.first_entry() {
                    Some(entry) if entry.key().0 <= now_us => entry.remove(),
                    _ => return,
                }
            };
            action(self);
        }
    }
}

impl Peer {
    /// Sends what fits; how much that was. 0 as well when the connection is gone.
    pub fn send(&self, bytes: &[u8]) -> usize {
        self.network.state().send(self.endpoint, bytes).unwrap_or(0)
    }

    /// Takes all that has arrived.
    pub fn receive(&self) -> PeerRead {
        self.receive_at_most(usize::MAX)
    }

    /// Takes at most so much: a slow reader.
    pub fn receive_at_most(&self, count: usize) -> PeerRead {
        let mut state = self.network.state();
        let endpoint = &mut state.endpoints[self.endpoint];
        if !endpoint.inbox.is_empty() {
            let count = count.min(endpoint.inbox.len());
            return PeerRead::Bytes(endpoint.inbox.drain(..count).collect());
        }
        // Closed by nobody's script: a fault made this peer reset the connection.
        if endpoint.error.take().is_some() || endpoint.reset || endpoint.closed {
            return PeerRead::Reset;
        }
        if endpoint.ended { PeerRead::End } else { PeerRead::Nothing }
    }

    /// How much may wait unread before the sender has to stop.
    pub fn set_window(&self, bytes: usize) {
        self.network.state().endpoints[self.endpoint].window = bytes;
    }

    pub fn shutdown_write(&self) {
        self.network.state().shutdown_write(self.endpoint);
    }

    pub fn reset(&self) {
        self.network.state().reset(self.endpoint);
    }

    pub fn close(&self) {
        self.network.state().close(self.endpoint);
    }

    pub fn address(&self) -> SocketAddress {
        self.network.state().endpoints[self.endpoint].address.clone()
    }
}
