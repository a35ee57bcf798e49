//! The epoll backend: edge-triggered, the call first and readiness after; one `epoll_ctl` in a socket's life.
//!
//! What is known of a socket's readiness is kept in flags. They may say "ready" wrongly (then one call says EAGAIN and
//! they are corrected) but never "not ready" wrongly: an edge that comes after the call sets them again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::buffers::{Buffers, pooled_id};
use super::driver::{
    BufferClass, BufferId, Completion, Driver, DriverKind, Moment, PipeId, Socket, SocketAddress, SocketOption, Token,
    Waker,
};
use super::pipes::{PipeCounts, Pipes};
use super::settings::{DriverSettings, WakeEvent};
use super::trim::TrimClock;
use crate::sys::epoll::{Epoll, Readiness};
use crate::sys::socket::{self, KernelAddress};
use crate::sys::{clock, errno_of, listener};

/// Buffers that one socket may fill in one `wait`, so that one with endless data does not starve the others.
const READS_PER_WAIT: usize = 4;
const ACCEPTS_PER_WAIT: usize = 64;

// What is known of a socket.
const REGISTERED: u16 = 1 << 0;
const READABLE: u16 = 1 << 1;
const WRITABLE: u16 = 1 << 2;
/// The peer will send no more.
const READ_HANGUP: u16 = 1 << 3;
const HANGUP: u16 = 1 << 4;
const ERROR: u16 = 1 << 5;
/// Urgent data was announced: a receive stops at its mark, so a short one does not mean that the socket is empty.
const URGENT: u16 = 1 << 6;
/// A splice moved nothing, and the reason may have been the pipe: ask before believing READABLE.
const DOUBTFUL: u16 = 1 << 7;
/// In the list of those to serve.
const LISTED: u16 = 1 << 8;
const LISTENER: u16 = 1 << 9;
// What is armed.
const RECEIVING: u16 = 1 << 10;
const ACCEPTING: u16 = 1 << 11;
const POLL_READ: u16 = 1 << 12;
const POLL_WRITE: u16 = 1 << 13;
const CONNECTING: u16 = 1 << 14;
/// A receive that waits for a buffer.
const STARVED: u16 = 1 << 15;

const READ_SIDE: u16 = READABLE | READ_HANGUP | HANGUP | ERROR;
const WRITE_SIDE: u16 = WRITABLE | HANGUP | ERROR;
const NOT_DRAINED_BY_SHORT: u16 = READ_HANGUP | HANGUP | ERROR | URGENT;

/// All that the driver keeps of a socket; indexed by descriptor.
#[derive(Clone, Copy)]
struct State {
    /// Of the receive or accept.
    stream: Token,
    poll_read: Token,
    /// Of the connect or the poll for writing.
    write: Token,
    flags: u16,
    class: BufferClass,
}

const NO_STATE: State =
    State { stream: Token(0), poll_read: Token(0), write: Token(0), flags: 0, class: BufferClass::Small };

impl State {
    fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// poll(2) events of the read side, as the kernel would report them.
    fn read_events(&self) -> i32 {
        let mut events = 0;
        for (flag, event) in [
            (READABLE, libc::POLLIN),
            (READ_HANGUP, libc::POLLIN | libc::POLLRDHUP),
            (HANGUP, libc::POLLIN | libc::POLLHUP),
            (ERROR, libc::POLLERR),
        ] {
            if self.has(flag) {
                events |= i32::from(event);
            }
        }
        events
    }

    fn write_events(&self) -> i32 {
        let mut events = 0;
        for (flag, event) in [(WRITABLE, libc::POLLOUT), (HANGUP, libc::POLLHUP), (ERROR, libc::POLLERR)] {
            if self.has(flag) {
                events |= i32::from(event);
            }
        }
        events
    }
}

struct WakeState {
    event: WakeEvent,
    token: Token,
    pending: Arc<AtomicBool>,
}

/// See the module's text.
pub struct EpollDriver {
    epoll: Epoll,
    buffers: Buffers,
    states: Vec<State>,
    /// Sockets with a receive or accept armed and something to take.
    ready: VecDeque<i32>,
    starved: [VecDeque<i32>; 2],
    /// For the next `wait`.
    queued: Vec<Completion>,
    /// The last `wait` gave what was queued without asking the kernel; the next one asks.
    asked_not: bool,
    pipes: Pipes,
    wake_event: Option<WakeEvent>,
    wake: Option<WakeState>,
    now: Moment,
    trim: TrimClock,
}

impl EpollDriver {
    pub fn new(settings: &DriverSettings) -> io::Result<Self> {
        let mut driver = EpollDriver {
            epoll: Epoll::new()?,
            buffers: Buffers::new(settings)?,
            states: Vec::new(),
            ready: VecDeque::new(),
            starved: [VecDeque::new(), VecDeque::new()],
            queued: Vec::new(),
            asked_not: false,
            pipes: Pipes::new(settings.pipes_max, settings.pipe_bytes),
            wake_event: settings.wake.clone(),
            wake: None,
            now: Moment::default(),
            trim: TrimClock::default(),
        };
        driver.refresh_now();
        Ok(driver)
    }

    fn state(&mut self, socket: i32) -> Option<&mut State> {
        let index = usize::try_from(socket).ok()?;
        if index >= self.states.len() {
            self.states.resize(index + 1, NO_STATE);
        }
        self.states.get_mut(index)
    }

    fn flags(&self, socket: i32) -> u16 {
        usize::try_from(socket).ok().and_then(|index| self.states.get(index)).map_or(0, |state| state.flags)
    }

    fn clear(&mut self, socket: i32, flags: u16) {
        if let Some(state) = self.state(socket) {
            state.flags &= !flags;
        }
    }

    fn set(&mut self, socket: i32, flags: u16) {
        if let Some(state) = self.state(socket) {
            state.flags |= flags;
        }
    }

    fn queue(&mut self, token: Token, result: i32) {
        self.queued.push(Completion { token, result, buffer: BufferId::NONE, more: false });
    }

    /// Has the kernel watch the socket, if it does not yet; what holds now is reported by the next wait.
    fn watch(&mut self, socket: i32) -> io::Result<()> {
        let flags = self.flags(socket);
        if flags & REGISTERED != 0 {
            return Ok(());
        }
        if flags & LISTENER != 0 {
            self.epoll.add_readable(socket, true)?
        } else {
            self.epoll.add(socket)?
        }
        self.set(socket, REGISTERED);
        Ok(())
    }

    /// Arms an operation: `armed` and whatever the caller set; on a failure to watch it ends at once.
    fn arm(&mut self, socket: i32, armed: u16, token: Token) {
        match self.watch(socket) {
            Ok(()) => self.set(socket, armed),
            Err(error) => self.queue(token, -errno_of(&error)),
        }
    }

    fn list(&mut self, socket: i32) {
        if self.flags(socket) & LISTED == 0 {
            self.set(socket, LISTED);
            self.ready.push_back(socket);
        }
    }

    fn note(&mut self, readiness: Readiness, completions: &mut Vec<Completion>) {
        let socket = readiness.descriptor;
        if let Some(wake) = self.wake.as_ref().filter(|wake| wake.event.0.as_raw_fd() == socket) {
            if wake.pending.swap(false, Ordering::AcqRel) {
                completions.push(Completion { token: wake.token, result: 0, buffer: BufferId::NONE, more: true });
            }
            return;
        }
        let Some(state) = usize::try_from(socket).ok().and_then(|index| self.states.get_mut(index)) else { return };
        for (event, flag) in [
            (libc::EPOLLIN, READABLE),
            (libc::EPOLLOUT, WRITABLE),
            (libc::EPOLLRDHUP, READ_HANGUP | READABLE),
            (libc::EPOLLHUP, HANGUP | READABLE | WRITABLE),
            (libc::EPOLLERR, ERROR | READABLE | WRITABLE),
            (libc::EPOLLPRI, URGENT | READABLE),
        ] {
            if readiness.events & event as u32 != 0 {
                state.flags |= flag;
            }
        }
        if state.has(CONNECTING) && state.has(WRITE_SIDE) {
            state.flags &= !CONNECTING;
            let error = socket::take_error(socket).unwrap_or_else(|error| errno_of(&error));
            completions.push(Completion { token: state.write, result: -error, buffer: BufferId::NONE, more: false });
        }
        if state.has(POLL_WRITE) && state.has(WRITE_SIDE) {
            state.flags &= !POLL_WRITE;
            let result = state.write_events();
            completions.push(Completion { token: state.write, result, buffer: BufferId::NONE, more: false });
        }
        if state.has(POLL_READ) && state.has(READ_SIDE) {
            // Who polls may read by other means (a signalfd), so what is known now says nothing of the next poll.
            state.flags = state.flags & !POLL_READ | DOUBTFUL;
            let result = state.read_events();
            completions.push(Completion { token: state.poll_read, result, buffer: BufferId::NONE, more: false });
        }
        if state.has(RECEIVING | ACCEPTING) && state.has(READ_SIDE) && !state.has(STARVED) {
            self.list(socket);
        }
    }

    /// Receives or accepts for one listed socket, within its bound.
    fn serve(&mut self, socket: i32, completions: &mut Vec<Completion>) {
        let Some(state) = usize::try_from(socket).ok().and_then(|index| self.states.get_mut(index)) else { return };
        state.flags &= !LISTED;
        if state.has(RECEIVING) {
            self.serve_receive(socket, completions);
        } else if state.has(ACCEPTING) {
            self.serve_accept(socket, completions);
        }
    }

    fn serve_receive(&mut self, socket: i32, completions: &mut Vec<Completion>) {
        let Some(&state) = self.states.get(socket as usize) else { return };
        let class = state.class;
        for _ in 0..READS_PER_WAIT {
            let Some(number) = self.buffers.pool_mut(class).take() else {
                self.set(socket, STARVED);
                self.starved[class as usize].push_back(socket);
                return;
            };
            match self.buffers.receive(class, number, socket) {
                Ok(count) if count > 0 => {
                    let pool = self.buffers.pool_mut(class);
                    pool.hand_out(number);
                    let short = count < pool.buffer_bytes() as usize;
                    self.trim.received();
                    completions.push(Completion {
                        token: state.stream,
                        result: count as i32,
                        buffer: pooled_id(class, number),
                        more: true,
                    });
                    // Whatever arrives after this receive makes a new edge; an end that was announced makes none.
                    if short && !state.has(NOT_DRAINED_BY_SHORT) {
                        return self.clear(socket, READABLE);
                    }
                }
                ended => {
                    self.buffers.pool_mut(class).put_back(number);
                    let result = match ended {
                        Ok(_) => 0,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            return self.clear(socket, READABLE);
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => -errno_of(&error),
                    };
                    self.clear(socket, RECEIVING);
                    completions.push(Completion { token: state.stream, result, buffer: BufferId::NONE, more: false });
                    return;
                }
            }
        }
        self.list(socket);
    }

    fn serve_accept(&mut self, listener: i32, completions: &mut Vec<Completion>) {
        let Some(&state) = self.states.get(listener as usize) else { return };
        let mut completion = Completion { token: state.stream, result: 0, buffer: BufferId::NONE, more: true };
        for _ in 0..ACCEPTS_PER_WAIT {
            match socket::accept(listener) {
                Ok(accepted) => {
                    completion.result = accepted.into_raw_fd();
                    completions.push(completion);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.clear(listener, READABLE),
                Err(error) if super::accept_goes_on(errno_of(&error)) => {}
                Err(error) => {
                    // READABLE stays: nothing new need happen for the next accept to find the connection.
                    self.clear(listener, ACCEPTING);
                    completion.result = -errno_of(&error);
                    completion.more = false;
                    completions.push(completion);
                    return;
                }
            }
        }
        self.list(listener);
    }

    fn revive_starved(&mut self) {
        for class in [BufferClass::Small, BufferClass::Large] {
            let mut available = self.buffers.pool(class).available();
            while available > 0 {
                let Some(socket) = self.starved[class as usize].pop_front() else { break };
                let Some(state) = self.states.get_mut(socket as usize) else { continue };
                // It may have been cancelled or closed since.
                if state.has(STARVED) && state.class == class {
                    state.flags &= !STARVED;
                    available -= 1;
                    self.list(socket);
                }
            }
        }
    }

    /// Takes the writable mark back where a call found that the socket is full.
    fn found_full(&mut self, socket: i32, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.clear(socket, WRITABLE);
        }
    }
}

impl Driver for EpollDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Epoll
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn refresh_now(&mut self) -> Moment {
        self.now = Moment { monotonic_us: clock::monotonic_us(), wall_us: clock::wall_us() };
        self.now
    }

    fn accept(&mut self, listener: Socket, token: Token) {
        let Some(state) = self.state(listener.0) else { return self.queue(token, -libc::EBADF) };
        state.stream = token;
        state.flags |= LISTENER;
        let ready = state.has(READABLE);
        self.arm(listener.0, ACCEPTING, token);
        if ready && self.flags(listener.0) & ACCEPTING != 0 {
            self.list(listener.0);
        }
    }

    fn stop_listening(&mut self, listener: Socket) {
        // It fails only for what is no socket: then there is nothing to stop.
        let _ = listener::stop_listening(listener.0);
    }

    fn listen_again(&mut self, listener: Socket, backlog: u32) -> io::Result<()> {
        listener::listen_again(listener.0, backlog)
    }

    fn connect(&mut self, socket: Socket, address: &SocketAddress, token: Token) {
        let connected = KernelAddress::new(address).and_then(|kernel| socket::connect(socket.0, &kernel));
        match connected {
            Ok(()) => self.queue(token, 0),
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                if let Some(state) = self.state(socket.0) {
                    state.write = token;
                }
                self.arm(socket.0, CONNECTING, token);
            }
            Err(error) => self.queue(token, -errno_of(&error)),
        }
    }

    fn receive(&mut self, socket: Socket, class: BufferClass, token: Token) {
        let Some(state) = self.state(socket.0) else { return self.queue(token, -libc::EBADF) };
        state.stream = token;
        state.class = class;
        let ready = state.has(READ_SIDE);
        self.arm(socket.0, RECEIVING, token);
        if ready && self.flags(socket.0) & RECEIVING != 0 {
            self.list(socket.0);
        }
    }

    fn send(&mut self, socket: Socket, buffer: BufferId, offset: u32, length: u32, token: Token) {
        let part = self.buffers.part(buffer, offset, length);
        let result = if part.len() < length as usize {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        } else {
            socket::send(socket.0, part)
        };
        if let Err(error) = &result {
            self.found_full(socket.0, error);
        }
        let result = result.map_or_else(|error| -errno_of(&error), |count| count as i32);
        self.queue(token, result);
    }

    fn poll_readable(&mut self, socket: Socket, token: Token) {
        let Some(state) = self.state(socket.0) else { return self.queue(token, -libc::EBADF) };
        state.poll_read = token;
        if state.has(DOUBTFUL) {
            state.flags &= !(DOUBTFUL | READABLE);
            let events = libc::POLLIN | libc::POLLRDHUP;
            if socket::poll_now(socket.0, events).is_ok_and(|now| now != 0) {
                state.flags |= READABLE;
            }
        }
        if state.has(READ_SIDE) {
            let events = state.read_events();
            return self.queue(token, events);
        }
        self.arm(socket.0, POLL_READ, token);
    }

    fn poll_writable(&mut self, socket: Socket, token: Token) {
        let Some(state) = self.state(socket.0) else { return self.queue(token, -libc::EBADF) };
        state.write = token;
        if state.has(WRITE_SIDE) {
            let events = state.write_events();
            return self.queue(token, events);
        }
        self.arm(socket.0, POLL_WRITE, token);
    }

    fn cancel(&mut self, socket: Socket, token: Token) {
        let Some(state) = self.state(socket.0) else { return };
        let armed = if state.has(RECEIVING | ACCEPTING) && state.stream == token {
            RECEIVING | ACCEPTING | STARVED
        } else if state.has(POLL_READ) && state.poll_read == token {
            POLL_READ
        } else if state.has(POLL_WRITE | CONNECTING) && state.write == token {
            POLL_WRITE | CONNECTING
        } else {
            return;
        };
        state.flags &= !armed;
        self.queue(token, -libc::ECANCELED);
    }

    fn shutdown_write(&mut self, socket: Socket) {
        let _ = socket::shutdown_write(socket.0);
    }

    fn shutdown_both(&mut self, socket: Socket) {
        let _ = socket::shutdown_both(socket.0);
    }

    fn close(&mut self, socket: Socket) {
        let Some(state) = self.state(socket.0) else { return };
        let (listed, inherited) = (state.has(LISTED), state.has(LISTENER) && state.has(REGISTERED));
        *state = NO_STATE;
        if listed {
            self.ready.retain(|other| *other != socket.0);
        }
        if inherited {
            // A listener that other threads' tables hold too stays open, and watched, when we close our number of it.
            self.epoll.remove(socket.0);
        }
        socket::close(socket.0);
    }

    fn peek_now(&mut self, socket: Socket, into: &mut [u8]) -> io::Result<usize> {
        socket::peek(socket.0, into)
    }

    fn receive_now(&mut self, socket: Socket, into: &mut [u8]) -> io::Result<usize> {
        socket::receive(socket.0, into)
    }

    fn send_now(&mut self, socket: Socket, bytes: &[u8]) -> io::Result<usize> {
        socket::send(socket.0, bytes)
    }

    fn open_stream(&mut self, for_address: &SocketAddress) -> io::Result<Socket> {
        Ok(Socket(socket::open_stream(for_address)?.into_raw_fd()))
    }

    fn set_option(&mut self, socket: Socket, option: &SocketOption) -> io::Result<()> {
        socket::set_option(socket.0, option)
    }

    fn peer_address(&self, socket: Socket) -> io::Result<SocketAddress> {
        socket::peer_address(socket.0)
    }

    fn local_address(&self, socket: Socket) -> io::Result<SocketAddress> {
        socket::local_address(socket.0)
    }

    fn round_trip_us(&self, socket: Socket) -> Option<(u32, u32)> {
        socket::round_trip_us(socket.0)
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
        self.pipes.take()
    }

    fn return_pipe(&mut self, pipe: PipeId) {
        self.pipes.give_back(pipe);
    }

    fn splice_in(&mut self, from: Socket, pipe: PipeId, length_max: usize) -> io::Result<usize> {
        let was_empty = self.pipes.held_bytes(pipe) == 0;
        let moved = self.pipes.fill(from.0, pipe, length_max);
        if moved.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            if was_empty { self.clear(from.0, READABLE) } else { self.set(from.0, DOUBTFUL) }
        }
        moved
    }

    fn splice_out(&mut self, pipe: PipeId, to: Socket, length: usize) -> io::Result<usize> {
        let moved = self.pipes.pour(pipe, to.0, length);
        if let Err(error) = &moved {
            self.found_full(to.0, error);
        }
        moved
    }

    fn pipe_capacity_bytes(&self, pipe: PipeId) -> usize {
        self.pipes.capacity_bytes(pipe)
    }

    fn pipe_counts(&self) -> PipeCounts {
        self.pipes.counts()
    }

    fn buffers_held(&self) -> usize {
        self.buffers.held()
    }

    fn waker(&mut self, token: Token) -> io::Result<Waker> {
        let event = match &self.wake_event {
            Some(event) => event.clone(),
            None => WakeEvent::new()?,
        };
        if self.wake.is_none() {
            self.epoll.add_readable(event.0.as_raw_fd(), false)?;
        }
        let pending = Arc::new(AtomicBool::new(false));
        self.wake = Some(WakeState { event: event.clone(), token, pending: Arc::clone(&pending) });
        self.wake_event = Some(event.clone());
        Ok(super::waker_of(event, pending))
    }

    fn wait(&mut self, timeout_us: Option<u64>, completions: &mut Vec<Completion>) -> io::Result<()> {
        let before = completions.len();
        // Counted from the time that the caller knows, not from a fresh one: that is what it reckoned with.
        let deadline_us = timeout_us.map(|us| self.now.monotonic_us.saturating_add(us));
        completions.append(&mut self.queued);
        self.revive_starved();
        if completions.len() > before && self.ready.is_empty() && !self.asked_not {
            // Results of sends are answer enough; every second time at least the kernel is asked too.
            self.asked_not = true;
            self.refresh_now();
            return Ok(());
        }
        self.asked_not = false;
        loop {
            let at_once = completions.len() > before || !self.ready.is_empty();
            let left_us = deadline_us.map(|deadline| deadline.saturating_sub(self.now.monotonic_us));
            let mut sleep_us = if at_once { Some(0) } else { left_us };
            if sleep_us != Some(0) {
                let (shorter_us, trim) =
                    self.trim.before_sleep(self.now.monotonic_us, sleep_us, self.buffers.created());
                sleep_us = shorter_us;
                if trim {
                    self.buffers.trim();
                }
            }
            let found = self.epoll.wait(sleep_us)?;
            let now = self.refresh_now();
            for index in 0..found {
                if let Some(readiness) = self.epoll.get(index) {
                    self.note(readiness, completions);
                }
            }
            // Those listed while serving wait for the next turn: everybody else comes first.
            for _ in 0..self.ready.len() {
                let Some(socket) = self.ready.pop_front() else { break };
                self.serve(socket, completions);
            }
            if completions.len() > before || deadline_us.is_some_and(|deadline| now.monotonic_us >= deadline) {
                return Ok(());
            }
        }
    }
}
