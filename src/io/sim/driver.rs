//! The driver on the simulated network. Nothing happens but in `wait`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::network::Network;
use crate::io::buffers::{Buffers, pooled_id};
use crate::io::driver::{
    BufferClass, BufferId, Completion, Driver, DriverKind, Moment, PipeId, Socket, SocketAddress, SocketOption, Token,
    Waker,
};
use crate::io::pipes::PipeCounts;
use crate::io::settings::DriverSettings;

/// Virtual time starts at this date: 2026-01-01.
const WALL_START_US: u64 = 1_767_225_600_000_000;
const RECEIVES_PER_ROUND: usize = 4;

struct Send {
    buffer: BufferId,
    offset: u32,
    length: u32,
    token: Token,
}

/// When a connect ends, and with which endpoint or errno.
type Outcome = (u64, Result<usize, i32>);

#[derive(Default)]
struct Stream {
    endpoint: Option<usize>,
    source: Option<SocketAddress>,
    /// Close sends a reset.
    linger_zero: bool,
    receive: Option<(Token, BufferClass)>,
    accept: Option<Token>,
    poll_read: Option<Token>,
    poll_write: Option<Token>,
    /// `None` inside: never answered.
    connect: Option<(Token, Option<Outcome>)>,
    sends: VecDeque<Send>,
}

struct SimPipe {
    bytes: VecDeque<u8>,
}

/// See the module's text.
pub struct SimDriver {
    network: Network,
    buffers: Buffers,
    streams: BTreeMap<i32, Stream>,
    queued: Vec<Completion>,
    pipes: Vec<Option<SimPipe>>,
    pipes_max: usize,
    pipe_bytes: usize,
    wake: Option<(Token, Arc<AtomicBool>)>,
    options: Vec<(Socket, SocketOption)>,
}

fn errno(error: i32) -> io::Error {
    io::Error::from_raw_os_error(error)
}

fn last(token: Token, result: i32) -> Completion {
    Completion { token, result, buffer: BufferId::NONE, more: false }
}

impl SimDriver {
    pub fn new(network: &Network, settings: &DriverSettings) -> io::Result<Self> {
        Ok(SimDriver {
            network: network.clone(),
            buffers: Buffers::new(settings)?,
            streams: BTreeMap::new(),
            queued: Vec::new(),
            pipes: Vec::new(),
            pipes_max: settings.pipes_max as usize,
            pipe_bytes: settings.pipe_bytes as usize,
            wake: None,
            options: Vec::new(),
        })
    }

    /// Sockets that the driver's user has not closed, listeners not counted: 0 when nothing leaked.
    pub fn sockets_open(&self) -> usize {
        self.streams.iter().filter(|(number, _)| !self.network.state().listeners.contains_key(number)).count()
    }

    /// Buffers that callers hold, without the trait in scope.
    pub fn buffers_held(&self) -> usize {
        self.buffers.held()
    }

    pub fn pipes_held(&self) -> usize {
        self.pipes.iter().flatten().count()
    }

    /// Every option set, in order, for tests that ask what a session did to its sockets.
    pub fn options_set(&self) -> &[(Socket, SocketOption)] {
        &self.options
    }

    fn stream(&mut self, socket: Socket) -> &mut Stream {
        self.streams.entry(socket.0).or_default()
    }

    fn endpoint(&self, socket: Socket) -> Option<usize> {
        self.streams.get(&socket.0)?.endpoint
    }

    /// One pass over all sockets in random order.
    fn round(&mut self, completions: &mut Vec<Completion>) {
        let mut sockets: Vec<i32> = self.streams.keys().copied().collect();
        self.network.state().random.shuffle(&mut sockets);
        for number in sockets {
            let delayed = {
                let mut state = self.network.state();
                let per_mille = state.faults.delay;
                state.random.chance(per_mille)
            };
            if !delayed {
                self.serve(number, completions);
            }
        }
        if let Some((token, pending)) = &self.wake
            && pending.swap(false, Ordering::AcqRel)
        {
            completions.push(Completion { token: *token, result: 0, buffer: BufferId::NONE, more: true });
        }
    }

    fn serve(&mut self, number: i32, completions: &mut Vec<Completion>) {
        self.serve_connect(number, completions);
        self.serve_sends(number, completions);
        self.serve_accept(number, completions);
        self.serve_receive(number, completions);
        self.serve_polls(number, completions);
    }

    fn serve_connect(&mut self, number: i32, completions: &mut Vec<Completion>) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let now_us = self.network.state().now_us;
        let Some((token, Some((at_us, outcome)))) = stream.connect else { return };
        if at_us > now_us {
            return;
        }
        stream.connect = None;
        completions.push(last(
            token,
            match outcome {
                Ok(endpoint) => {
                    stream.endpoint = Some(endpoint);
                    0
                }
                Err(error) => -error,
            },
        ));
    }

    fn serve_sends(&mut self, number: i32, completions: &mut Vec<Completion>) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let endpoint = stream.endpoint;
        while let Some(send) = stream.sends.pop_front() {
            let part = self.buffers.part(send.buffer, send.offset, send.length);
            let mut state = self.network.state();
            let faults = state.faults.clone();
            let result = match endpoint {
                None => Err(libc::ENOTCONN),
                Some(_) if part.len() < send.length as usize => Err(libc::EINVAL),
                Some(endpoint) => {
                    if state.random.chance(faults.reset) {
                        let other = state.endpoints[endpoint].other;
                        state.reset(other);
                    }
                    if state.random.chance(faults.send_again) {
                        Err(libc::EAGAIN)
                    } else {
                        let short = state.random.chance(faults.short_send);
                        let length =
                            if short { state.random.below(part.len() as u64) as usize + 1 } else { part.len() };
                        state.send(endpoint, &part[..length.min(part.len())])
                    }
                }
            };
            completions.push(last(send.token, result.map_or_else(|error| -error, |count| count as i32)));
        }
    }

    fn serve_accept(&mut self, number: i32, completions: &mut Vec<Completion>) {
        let Some(token) = self.streams.get(&number).and_then(|stream| stream.accept) else { return };
        loop {
            let mut state = self.network.state();
            let Some(listening) = state.listeners.get(&number) else { return };
            if !listening.open {
                drop(state);
                self.stream(Socket(number)).accept = None;
                return completions.push(last(token, -libc::EINVAL));
            }
            if listening.backlog.is_empty() {
                return;
            }
            let per_mille = state.faults.accept_exhausted;
            if state.random.chance(per_mille) {
                let which = state.random.below(4) as usize;
                let error = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM][which];
                drop(state);
                self.stream(Socket(number)).accept = None;
                completions.push(last(token, -error));
                return;
            }
            let accepted = state.listeners.get_mut(&number).and_then(|listening| listening.backlog.pop_front());
            let Some(endpoint) = accepted else { return };
            let descriptor = state.new_descriptor();
            drop(state);
            self.streams.insert(descriptor, Stream { endpoint: Some(endpoint), ..Stream::default() });
            completions.push(Completion { token, result: descriptor, buffer: BufferId::NONE, more: true });
        }
    }

    fn serve_receive(&mut self, number: i32, completions: &mut Vec<Completion>) {
        for _ in 0..RECEIVES_PER_ROUND {
            let Some(stream) = self.streams.get_mut(&number) else { return };
            let Some((token, class)) = stream.receive else { return };
            let Some(endpoint) = stream.endpoint else {
                stream.receive = None;
                return completions.push(last(token, -libc::ENOTCONN));
            };
            let mut state = self.network.state();
            let faults = state.faults.clone();
            if state.random.chance(faults.reset) {
                let other = state.endpoints[endpoint].other;
                state.reset(other);
            }
            if state.endpoints[endpoint].inbox.is_empty() {
                let side = &mut state.endpoints[endpoint];
                let end = match side.error.take() {
                    Some(error) => Some(-error),
                    None => side.ended.then_some(0),
                };
                if let Some(result) = end {
                    stream.receive = None;
                    completions.push(last(token, result));
                }
                return;
            }
            if state.random.chance(faults.no_buffer) {
                return;
            }
            let Some(buffer) = self.buffers.pool_mut(class).take() else { return };
            let there = state.endpoints[endpoint].inbox.len().min(self.buffers.pool(class).buffer_bytes() as usize);
            let short = state.random.chance(faults.short_receive);
            let count = if short { state.random.below(there as u64) as usize + 1 } else { there };
            let bytes: Vec<u8> = state.endpoints[endpoint].inbox.drain(..count.min(there)).collect();
            drop(state);
            let filled = self.buffers.fill(class, buffer, &bytes);
            self.buffers.pool_mut(class).hand_out(buffer);
            completions.push(Completion { token, result: filled as i32, buffer: pooled_id(class, buffer), more: true });
        }
    }

    fn serve_polls(&mut self, number: i32, completions: &mut Vec<Completion>) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let Some(endpoint) = stream.endpoint else { return };
        let state = self.network.state();
        let side = &state.endpoints[endpoint];
        let trouble = if side.reset { libc::POLLERR | libc::POLLHUP } else { 0 };
        if let Some(token) = stream.poll_read {
            let mut events = trouble;
            if !side.inbox.is_empty() {
                events |= libc::POLLIN;
            }
            if side.ended {
                events |= libc::POLLIN | libc::POLLRDHUP;
            }
            if events != 0 {
                stream.poll_read = None;
                completions.push(last(token, i32::from(events)));
            }
        }
        if let Some(token) = stream.poll_write {
            let room = if state.room(endpoint) > 0 || state.endpoints[side.other].closed { libc::POLLOUT } else { 0 };
            let events = trouble | room;
            if events != 0 {
                stream.poll_write = None;
                completions.push(last(token, i32::from(events)));
            }
        }
    }

    /// When something is known to happen by itself.
    fn next_event_us(&self) -> Option<u64> {
        let connects = self.streams.values().filter_map(|stream| match &stream.connect {
            Some((_, Some((at_us, _)))) => Some(*at_us),
            _ => None,
        });
        connects.chain(self.network.next_scheduled_us()).min()
    }

    /// Whether a fault may hold back something that is ready, so that another round can help.
    fn delays_happen(&self) -> bool {
        let state = self.network.state();
        state.faults.delay > 0 || state.faults.no_buffer > 0
    }

    fn pipe(&mut self, pipe: PipeId) -> io::Result<&mut SimPipe> {
        self.pipes.get_mut(pipe.0 as usize).and_then(Option::as_mut).ok_or_else(|| errno(libc::EBADF))
    }
}

impl Driver for SimDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Simulated
    }

    fn now(&self) -> Moment {
        let monotonic_us = self.network.now_us();
        Moment { monotonic_us, wall_us: WALL_START_US + monotonic_us }
    }

    fn refresh_now(&mut self) -> Moment {
        self.now()
    }

    fn accept(&mut self, listener: Socket, token: Token) {
        self.stream(listener).accept = Some(token);
    }

    fn stop_listening(&mut self, listener: Socket) {
        let mut state = self.network.state();
        let Some(listening) = state.listeners.get_mut(&listener.0) else { return };
        listening.open = false;
        for waiting in std::mem::take(&mut listening.backlog) {
            state.reset(waiting);
        }
    }

    fn listen_again(&mut self, listener: Socket, _backlog: u32) -> io::Result<()> {
        let mut state = self.network.state();
        let listening = state.listeners.get_mut(&listener.0).ok_or_else(|| errno(libc::EBADF))?;
        listening.open = true;
        Ok(())
    }

    fn connect(&mut self, socket: Socket, address: &SocketAddress, token: Token) {
        let source = self.stream(socket).source.clone();
        let outcome = self.network.state().connect(address, source);
        self.stream(socket).connect = Some((token, outcome));
    }

    fn receive(&mut self, socket: Socket, class: BufferClass, token: Token) {
        self.stream(socket).receive = Some((token, class));
    }

    fn send(&mut self, socket: Socket, buffer: BufferId, offset: u32, length: u32, token: Token) {
        self.stream(socket).sends.push_back(Send { buffer, offset, length, token });
    }

    fn poll_readable(&mut self, socket: Socket, token: Token) {
        self.stream(socket).poll_read = Some(token);
    }

    fn poll_writable(&mut self, socket: Socket, token: Token) {
        self.stream(socket).poll_write = Some(token);
    }

    fn cancel(&mut self, socket: Socket, token: Token) {
        let stream = self.stream(socket);
        let mut found = false;
        if stream.receive.is_some_and(|(armed, _)| armed == token) {
            stream.receive = None;
            found = true;
        }
        if stream.connect.as_ref().is_some_and(|(armed, _)| *armed == token) {
            // The handshake may be over all the same: then the close is what ends the connection.
            if let Some((_, Some((_, Ok(endpoint))))) = stream.connect.take() {
                stream.endpoint = Some(endpoint);
            }
            found = true;
        }
        for armed in [&mut stream.accept, &mut stream.poll_read, &mut stream.poll_write] {
            if *armed == Some(token) {
                *armed = None;
                found = true;
            }
        }
        if found {
            self.queued.push(last(token, -libc::ECANCELED));
        }
    }

    fn shutdown_write(&mut self, socket: Socket) {
        if let Some(endpoint) = self.endpoint(socket) {
            self.network.state().shutdown_write(endpoint);
        }
    }

    fn shutdown_both(&mut self, socket: Socket) {
        if let Some(endpoint) = self.endpoint(socket) {
            let mut state = self.network.state();
            state.shutdown_write(endpoint);
            state.endpoints[endpoint].ended = true;
        }
    }

    fn close(&mut self, socket: Socket) {
        let Some(stream) = self.streams.remove(&socket.0) else { return };
        let mut state = self.network.state();
        if let Some(endpoint) = stream.endpoint {
            if stream.linger_zero { state.reset(endpoint) } else { state.close(endpoint) }
        }
        if let Some(listening) = state.listeners.remove(&socket.0) {
            for waiting in listening.backlog {
                state.reset(waiting);
            }
        }
        state.free_descriptor(socket.0);
    }

    fn peek_now(&mut self, socket: Socket, into: &mut [u8]) -> io::Result<usize> {
        let endpoint = self.endpoint(socket).ok_or_else(|| errno(libc::ENOTCONN))?;
        let mut state = self.network.state();
        let side = &mut state.endpoints[endpoint];
        if side.inbox.is_empty() {
            if let Some(error) = side.error.take() {
                return Err(errno(error));
            }
            return if side.ended { Ok(0) } else { Err(errno(libc::EAGAIN)) };
        }
        let count = side.inbox.len().min(into.len());
        into.iter_mut().zip(&side.inbox).for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    fn receive_now(&mut self, socket: Socket, into: &mut [u8]) -> io::Result<usize> {
        let count = self.peek_now(socket, into)?;
        if let Some(endpoint) = self.endpoint(socket) {
            self.network.state().endpoints[endpoint].inbox.drain(..count);
        }
        Ok(count)
    }

    fn send_now(&mut self, socket: Socket, bytes: &[u8]) -> io::Result<usize> {
        let endpoint = self.endpoint(socket).ok_or_else(|| errno(libc::ENOTCONN))?;
        self.network.state().send(endpoint, bytes).map_err(errno)
    }

    fn open_stream(&mut self, _for_address: &SocketAddress) -> io::Result<Socket> {
        let descriptor = self.network.state().new_descriptor();
        self.streams.insert(descriptor, Stream::default());
        Ok(Socket(descriptor))
    }

    fn set_option(&mut self, socket: Socket, option: &SocketOption) -> io::Result<()> {
        match option {
            SocketOption::LingerZero => self.stream(socket).linger_zero = true,
            SocketOption::BindSource(source) => self.stream(socket).source = Some(SocketAddress::Ip(*source)),
            _ => {}
        }
        self.options.push((socket, option.clone()));
        Ok(())
    }

    fn peer_address(&self, socket: Socket) -> io::Result<SocketAddress> {
        let endpoint = self.endpoint(socket).ok_or_else(|| errno(libc::ENOTCONN))?;
        Ok(self.network.state().endpoints[endpoint].peer_address.clone())
    }

    fn round_trip_us(&self, socket: Socket) -> Option<(u32, u32)> {
        self.endpoint(socket).map(|_| (0, 0))
    }

    fn local_address(&self, socket: Socket) -> io::Result<SocketAddress> {
        if let Some(listening) = self.network.state().listeners.get(&socket.0) {
            return Ok(listening.address.clone());
        }
        let endpoint = self.endpoint(socket).ok_or_else(|| errno(libc::ENOTCONN))?;
        Ok(self.network.state().endpoints[endpoint].address.clone())
    }

    fn bytes(&self, buffer: BufferId) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    fn buffer_from(&mut self, bytes: &[u8]) -> BufferId {
        self.buffers.add_own(bytes)
    }

    fn buffer_from_shared(&mut self, bytes: bytes::Bytes) -> BufferId {
        self.buffers.add_shared(bytes)
    }

    fn detach(&mut self, buffer: BufferId, offset: u32, length: u32) -> BufferId {
        self.buffers.detach(buffer, offset, length)
    }

    fn release(&mut self, buffer: BufferId) {
        self.buffers.release(buffer);
    }

    fn take_pipe(&mut self) -> Option<PipeId> {
        let refused = {
            let mut state = self.network.state();
            let per_mille = state.faults.no_pipe;
            state.random.chance(per_mille)
        };
        if refused || self.pipes_held() >= self.pipes_max {
            return None;
        }
        let number = self.pipes.iter().position(Option::is_none).unwrap_or(self.pipes.len());
        let pipe = Some(SimPipe { bytes: VecDeque::new() });
        if number == self.pipes.len() {
            self.pipes.push(pipe);
        } else {
            self.pipes[number] = pipe;
        }
        Some(PipeId(number as u32))
    }

    fn return_pipe(&mut self, pipe: PipeId) {
        if let Some(slot) = self.pipes.get_mut(pipe.0 as usize) {
            *slot = None;
        }
    }

    fn splice_in(&mut self, from: Socket, pipe: PipeId, length_max: usize) -> io::Result<usize> {
        let endpoint = self.endpoint(from).ok_or_else(|| errno(libc::ENOTCONN))?;
        let capacity = self.pipe_bytes;
        let network = self.network.clone();
        let pipe = self.pipe(pipe)?;
        let mut state = network.state();
        let per_mille = state.faults.short_splice;
        let room = capacity.saturating_sub(pipe.bytes.len());
        let side = &mut state.endpoints[endpoint];
        if side.inbox.is_empty() {
            if let Some(error) = side.error.take() {
                return Err(errno(error));
            }
            return if side.ended { Ok(0) } else { Err(errno(libc::EAGAIN)) };
        }
        let mut count = side.inbox.len().min(length_max).min(room);
        if count > 0 && state.random.chance(per_mille) {
            count = state.random.below(count as u64 + 1) as usize;
        }
        if count == 0 {
            return Err(errno(libc::EAGAIN));
        }
        pipe.bytes.extend(state.endpoints[endpoint].inbox.drain(..count));
        Ok(count)
    }

    fn splice_out(&mut self, pipe: PipeId, to: Socket, length: usize) -> io::Result<usize> {
        let endpoint = self.endpoint(to).ok_or_else(|| errno(libc::ENOTCONN))?;
        let network = self.network.clone();
        let pipe = self.pipe(pipe)?;
        let mut state = network.state();
        let per_mille = state.faults.short_splice;
        let mut count = pipe.bytes.len().min(length);
        if count > 0 && state.random.chance(per_mille) {
            count = state.random.below(count as u64 + 1) as usize;
        }
        if count == 0 {
            return Err(errno(libc::EAGAIN));
        }
        let bytes: Vec<u8> = pipe.bytes.iter().take(count).copied().collect();
        let sent = state.send(endpoint, &bytes).map_err(errno)?;
        pipe.bytes.drain(..sent);
        Ok(sent)
    }

    fn pipe_capacity_bytes(&self, _pipe: PipeId) -> usize {
        self.pipe_bytes
    }

    fn pipe_counts(&self) -> PipeCounts {
        PipeCounts { used: self.pipes_held() as u32, free: 0, pipes_max: self.pipes_max as u32 }
    }

    fn buffers_held(&self) -> usize {
        self.buffers.held()
    }

    fn waker(&mut self, token: Token) -> io::Result<Waker> {
        let pending = Arc::new(AtomicBool::new(false));
        self.wake = Some((token, Arc::clone(&pending)));
        Ok(Waker::new(move || pending.store(true, Ordering::Release)))
    }

    /// Advances the virtual time to whatever happens next, at most to the timeout. With no timeout and nothing that will
    /// ever happen by itself it returns with nothing: the script's turn.
    fn wait(&mut self, timeout_us: Option<u64>, completions: &mut Vec<Completion>) -> io::Result<()> {
        let before = completions.len();
        let deadline_us = timeout_us.map(|us| self.network.now_us().saturating_add(us));
        self.network.run_scheduled();
        completions.append(&mut self.queued);
        loop {
            // A few rounds, since faults may hold back all that is ready in one.
            let rounds = if self.delays_happen() && timeout_us != Some(0) { 20 } else { 1 };
            for _ in 0..rounds {
                self.round(completions);
                if completions.len() > before {
                    return Ok(());
                }
            }
            let now_us = self.network.now_us();
            let next_us = match (self.next_event_us(), deadline_us) {
                (Some(event), Some(deadline)) => event.min(deadline),
                (Some(event), None) => event,
                (None, Some(deadline)) => deadline,
                (None, None) => return Ok(()),
            };
            if deadline_us.is_some_and(|deadline| now_us >= deadline) {
                return Ok(());
            }
            // At least one microsecond: an event that is due but held back by a fault must not stop the clock.
            self.network.state().now_us = next_us.max(now_us + 1);
            self.network.run_scheduled();
        }
    }
}
