//! The io_uring backend: one `io_uring_enter` per `wait`, receives and accepts armed once, buffers provided ahead.
//!
//! A completion's user data is the caller's token, but for receives and accepts: those are named by their socket, since
//! the driver must find them again to go on where the kernel ended them (no buffer left, completion queue full).

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::buffers::{Buffers, Place, pooled_id};
use super::driver::{
    BufferClass, BufferId, Completion, Driver, DriverKind, Moment, PipeId, Socket, SocketAddress, SocketOption, Token,
    Waker,
};
use super::pipes::{PipeCounts, Pipes};
use super::settings::{DriverSettings, WakeEvent};
use super::trim::TrimClock;
use super::uring_groups::Groups;
use crate::sys::socket::{self, KernelAddress};
use crate::sys::uring::{Ring, RingCompletion};
use crate::sys::{clock, errno_of, listener};

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;

// The driver's own user data: 0xff, a kind, and 48 bits that name something.
const OWN: u64 = 0xff << 56;
const KIND_SHIFT: u32 = 48;
const NAME_MASK: u64 = (1 << KIND_SHIFT) - 1;
const KIND_RECEIVE: u64 = 1;
const KIND_ACCEPT: u64 = 2;
const KIND_CANCEL: u64 = 3;
const KIND_WAKE: u64 = 4;

const fn own(kind: u64, name: u64) -> u64 {
    OWN | (kind << KIND_SHIFT) | (name & NAME_MASK)
}

fn user_data_of_receive(socket: i32) -> u64 {
    own(KIND_RECEIVE, u64::from(socket as u32))
}

fn user_data_of_accept(listener: i32) -> u64 {
    own(KIND_ACCEPT, u64::from(listener as u32))
}

/// Whether turn `turn` is not before `other`; turns wrap. A receive armed half the turns ago may be taken for a new one,
/// which costs one needless look at it.
fn is_since(turn: u16, other: u16) -> bool {
    turn.wrapping_sub(other) < 1 << 15
}

/// The streaming operation (receive or accept) of one socket; indexed by descriptor. 16 bytes, since it is all that the
/// driver keeps of a connection.
#[derive(Clone, Copy)]
struct Stream {
    token: Token,
    armed: bool,
    /// A cancel was asked for: what the kernel ends now has ended.
    cancelled: bool,
    /// Waits for a buffer; nothing is armed in the kernel.
    starved: bool,
    accepts: bool,
    /// Ends with its first bytes: see [`super::Driver::receive_first`].
    once: bool,
    /// No byte has come since it was armed.
    fresh: bool,
    /// Cancelled by the driver itself, to look at the socket anew.
    renewing: bool,
    class: BufferClass,
    /// The turn in which it was armed.
    armed_turn: u16,
}

const NO_STREAM: Stream = Stream {
    token: Token(0),
    armed: false,
    cancelled: false,
    starved: false,
    accepts: false,
    once: false,
    fresh: false,
    renewing: false,
    class: BufferClass::Small,
    armed_turn: 0,
};

/// The kernel does about twenty pieces of deferred work per call and leaves the rest to the next one. After a call with
/// fewer completions than this nothing is left, in particular of what arming receives found.
const COMPLETIONS_OF_A_FULL_CALL: usize = 8;

struct WakeState {
    event: WakeEvent,
    token: Token,
    /// Set by the waker, so that many wakes cost one system call.
    pending: Arc<AtomicBool>,
}

/// See the module's text. Make it in the thread that runs it: the kernel lets no other use the ring.
pub struct UringDriver {
    ring: Ring,
    buffers: Buffers,
    groups: Groups,
    streams: Vec<Stream>,
    /// For the next `wait`: what ended without the kernel's help.
    queued: Vec<Completion>,
    arrived: Vec<RingCompletion>,
    pipes: Pipes,
    wake_event: Option<WakeEvent>,
    wake: Option<WakeState>,
    now: Moment,
    trim: TrimClock,
    multishot: bool,
    /// Counts the calls of the kernel; wraps.
    turn: u16,
    /// Receives armed before this turn have done with what their arming found.
    settled_turn: u16,
}

/// Whether this process can use io_uring as this driver needs it; if not, why, for the line logged at start.
pub fn is_available() -> Result<(), String> {
    let settings = DriverSettings { small_buffers_max: 64, large_buffers_max: 4, ..Default::default() };
    match UringDriver::new(&settings) {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &io::Error) -> String {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel has none, or a seccomp filter hides it".to_string(),
        Some(libc::EPERM | libc::EACCES) => match disabled.as_deref().map(str::trim) {
            Ok("1" | "2") => "kernel.io_uring_disabled forbids it".to_string(),
            _ => "not permitted (seccomp or a security module)".to_string(),
        },
        Some(libc::EINVAL) => "the kernel is older than 6.1".to_string(),
        Some(libc::ENOMEM) => "too little lockable memory (ulimit -l)".to_string(),
        _ => error.to_string(),
    }
}

impl UringDriver {
    /// Errors as [`Ring::new`]'s, and those of mapping the buffers.
    pub fn new(settings: &DriverSettings) -> io::Result<Self> {
        let mut ring = Ring::new(SUBMISSIONS, COMPLETIONS)?;
        let buffers = Buffers::new(settings)?;
        let groups = Groups::new(&mut ring, &buffers)?;
        let mut driver = UringDriver {
            ring,
            buffers,
            groups,
            streams: Vec::new(),
            queued: Vec::new(),
            arrived: Vec::new(),
            pipes: Pipes::new(settings.pipes_max, settings.pipe_bytes),
            wake_event: settings.wake.clone(),
            wake: None,
            now: Moment::default(),
            trim: TrimClock::default(),
            multishot: true,
            turn: 0,
            settled_turn: 0,
        };
        driver.refresh_now();
        driver.prove()?;
        Ok(driver)
    }

    /// Finds out whether multishot receives work, and whether they may be trusted: kernels without a fix of 2026 lose the
    /// end of a stream that follows its last bytes before the receiver has run (both wake-ups are taken for one). Then
    /// each receive is armed anew by this driver, which costs a submission per message. One try tells more than a
    /// version number, since vendors carry fixes back.
    fn prove(&mut self) -> io::Result<()> {
        let results = self.receive_last_words()?;
        if results == [1] {
            self.multishot = false;
            return Ok(());
        }
        match results.as_slice() {
            [1, 0] => Ok(()),
            [.., error] if *error < 0 => Err(io::Error::from_raw_os_error(-error)),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
    }

    /// Lets a peer send one byte and close while a receive is armed: what the receive then says.
    fn receive_last_words(&mut self) -> io::Result<Vec<i32>> {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
        let (socket, token) = (Socket(ours.as_raw_fd()), Token(0));
        let mut seen = Vec::new();
        self.receive(socket, BufferClass::Small, token);
        self.wait(Some(0), &mut seen)?;
        std::io::Write::write_all(&mut theirs, b"?")?;
        drop(theirs);
        let over = |seen: &[Completion]| seen.last().is_some_and(|completion| !completion.more);
        for _ in 0..4 {
            if !over(&seen) {
                self.wait(Some(20_000), &mut seen)?;
            }
        }
        let results = seen.iter().map(|completion| completion.result).collect();
        if !over(&seen) {
            self.cancel(socket, token);
            self.wait(Some(1_000_000), &mut seen)?;
        }
        for completion in seen.iter().filter(|completion| completion.buffer.is_some()) {
            self.buffers.release(completion.buffer);
        }
        self.forget(socket.0);
        Ok(results)
    }

    /// As if `prove` had found a kernel that loses the end of a stream.
    #[cfg(test)]
    pub(super) fn distrust_multishot(&mut self) {
        self.multishot = false;
    }

    /// Whether a receive is armed once for the whole stream (see the kernel's bug at `prove`).
    pub fn receives_are_multishot(&self) -> bool {
        self.multishot
    }

    fn stream(&mut self, socket: i32) -> Option<&mut Stream> {
        let index = usize::try_from(socket).ok()?;
        if index >= self.streams.len() {
            self.streams.resize(index + 1, NO_STREAM);
        }
        self.streams.get_mut(index)
    }

    fn forget(&mut self, socket: i32) {
        if let Some(stream) = usize::try_from(socket).ok().and_then(|index| self.streams.get_mut(index)) {
            *stream = NO_STREAM;
        }
    }

    fn queue(&mut self, token: Token, result: i32) {
        self.queued.push(Completion { token, result, buffer: BufferId::NONE, more: false });
    }

    /// Ends a stream and returns its last completion.
    fn end(stream: &mut Stream, result: i32) -> Completion {
        let token = stream.token;
        *stream = NO_STREAM;
        Completion { token, result, buffer: BufferId::NONE, more: false }
    }

    fn received(&mut self, socket: i32, arrived: RingCompletion, completions: &mut Vec<Completion>) {
        let Some(stream) = self.streams.get_mut(socket as usize).filter(|stream| stream.armed) else { return };
        let class = stream.class;
        if let Some(number) = arrived.buffer() {
            self.groups.taken(class);
            if arrived.result <= 0 {
                self.buffers.pool_mut(class).put_back(number);
            } else {
                self.buffers.pool_mut(class).hand_out(number);
                self.trim.received();
                let goes_on = arrived.more() || !(stream.cancelled || stream.once);
                let completion = Completion {
                    token: stream.token,
                    result: arrived.result,
                    buffer: pooled_id(class, number),
                    more: goes_on,
                };
                completions.push(completion);
                if !goes_on {
                    *stream = NO_STREAM;
                } else if !arrived.more() {
                    // Ended for the kernel's reasons (completion queue full, or not a multishot), not the stream's.
                    self.arm_receive(socket, class);
                } else if std::mem::take(&mut stream.fresh) && is_since(stream.armed_turn, self.settled_turn) {
                    if arrived.socket_nonempty() {
                        // The kernel is still at what the arming found.
                        stream.fresh = true;
                        stream.armed_turn = self.turn;
                    } else if !stream.cancelled {
                        self.look_for_end(socket);
                    }
                }
                return;
            }
        }
        if arrived.more() {
            return;
        }
        if stream.renewing && !stream.cancelled && arrived.result == -libc::ECANCELED {
            stream.renewing = false;
            return self.arm_receive(socket, class);
        }
        if arrived.result == -libc::ENOBUFS {
            if stream.cancelled {
                completions.push(Self::end(stream, -libc::ECANCELED));
            } else {
                stream.starved = true;
                self.groups.starve(class, socket);
            }
            return;
        }
        completions.push(Self::end(stream, arrived.result));
    }

    fn arm_receive(&mut self, socket: i32, class: BufferClass) {
        let mut multishot = self.multishot;
        if let Some(stream) = self.streams.get_mut(socket as usize) {
            stream.fresh = true;
            stream.armed_turn = self.turn;
            multishot &= !stream.once;
        }
        self.ring.receive(socket, class as u16, multishot, user_data_of_receive(socket));
    }

    /// A multishot receive whose arming found bytes and the stream's end at once delivers the bytes and then waits for an
    /// event that has been: the kernel counts one wake-up for both. So after the first bytes that the arming may have
    /// found, the driver looks for the end itself, and arms anew where there is one.
    fn look_for_end(&mut self, socket: i32) {
        let Some(stream) = self.streams.get_mut(socket as usize) else { return };
        let ends = libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR;
        if socket::poll_now(socket, libc::POLLRDHUP).is_ok_and(|events| events & ends != 0) {
            stream.renewing = true;
            self.ring.cancel(user_data_of_receive(socket), own(KIND_CANCEL, 0));
        }
    }

    fn accepted(&mut self, listener: i32, arrived: RingCompletion, completions: &mut Vec<Completion>) {
        let Some(stream) = self.streams.get_mut(listener as usize).filter(|stream| stream.armed) else { return };
        if arrived.result >= 0 {
            let more = arrived.more() || !stream.cancelled;
            completions.push(Completion { token: stream.token, result: arrived.result, buffer: BufferId::NONE, more });
            if !more {
                *stream = NO_STREAM;
            } else if !arrived.more() {
                self.ring.accept(listener, user_data_of_accept(listener));
            }
        } else if !arrived.more() {
            if !stream.cancelled && super::accept_goes_on(-arrived.result) {
                self.ring.accept(listener, user_data_of_accept(listener));
            } else {
                completions.push(Self::end(stream, arrived.result));
            }
        }
    }

    fn woken(&mut self, arrived: RingCompletion, completions: &mut Vec<Completion>) {
        let Some(wake) = &self.wake else { return };
        if !arrived.more() {
            self.ring.poll_always(wake.event.0.as_raw_fd(), own(KIND_WAKE, 0));
        }
        if wake.pending.swap(false, Ordering::AcqRel) {
            completions.push(Completion { token: wake.token, result: 0, buffer: BufferId::NONE, more: true });
        }
    }

    fn handle(&mut self, arrived: RingCompletion, completions: &mut Vec<Completion>) {
        if arrived.user_data >= OWN {
            let name = (arrived.user_data & NAME_MASK) as u32 as i32;
            match (arrived.user_data & !OWN) >> KIND_SHIFT {
                KIND_RECEIVE => self.received(name, arrived, completions),
                KIND_ACCEPT => self.accepted(name, arrived, completions),
                KIND_WAKE => self.woken(arrived, completions),
                _ => {}
            }
        } else {
            completions.push(Completion {
                token: Token(arrived.user_data),
                result: arrived.result,
                buffer: BufferId::NONE,
                more: arrived.more(),
            });
        }
    }

    /// Fills the kernel's rings of buffers and lets starved receives go on, as many as there are buffers.
    fn provide(&mut self) {
        for class in [BufferClass::Small, BufferClass::Large] {
            let mut revivable = self.groups.fill(class, &mut self.ring, &mut self.buffers);
            while revivable > 0 {
                let Some(socket) = self.groups.next_starved(class) else { break };
                let Some(stream) = self.streams.get_mut(socket as usize) else { continue };
                // It may have been cancelled, and even armed anew with another class, since it starved.
                if stream.starved && stream.class == class {
                    stream.starved = false;
                    self.arm_receive(socket, class);
                    revivable -= 1;
                }
            }
        }
    }

    /// How long to sleep at most; gives memory back first when it is time for that.
    fn before_sleep(&mut self, timeout_us: Option<u64>) -> Option<u64> {
        let (sleep_us, trim) = self.trim.before_sleep(self.now.monotonic_us, timeout_us, self.buffers.created());
        if trim {
            self.groups.shrink();
            self.buffers.trim();
        }
        sleep_us
    }
}

impl Driver for UringDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::IoUring
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn refresh_now(&mut self) -> Moment {
        self.now = Moment { monotonic_us: clock::monotonic_us(), wall_us: clock::wall_us() };
        self.now
    }

    fn accept(&mut self, listener: Socket, token: Token) {
        let Some(stream) = self.stream(listener.0) else { return self.queue(token, -libc::EBADF) };
        *stream = Stream { token, armed: true, accepts: true, ..NO_STREAM };
        self.ring.accept(listener.0, user_data_of_accept(listener.0));
    }

    fn stop_listening(&mut self, listener: Socket) {
        // It fails only for what is no socket: then there is nothing to stop.
        let _ = listener::stop_listening(listener.0);
    }

    fn listen_again(&mut self, listener: Socket, backlog: u32) -> io::Result<()> {
        listener::listen_again(listener.0, backlog)
    }

    fn connect(&mut self, socket: Socket, address: &SocketAddress, token: Token) {
        let kernel = match KernelAddress::new(address) {
            Ok(kernel) => kernel,
            Err(error) => return self.queue(token, -errno_of(&error)),
        };
        if matches!(address, SocketAddress::Ip(_)) {
            self.ring.connect(socket.0, &kernel, token.0);
        } else {
            // A unix connect never has to wait for a network; a full backlog is EAGAIN, which the ring would turn into
            // a worker thread that blocks.
            let result = socket::connect(socket.0, &kernel);
            self.queue(token, result.map_or_else(|error| -errno_of(&error), |()| 0));
        }
    }

    fn receive(&mut self, socket: Socket, class: BufferClass, token: Token) {
        let Some(stream) = self.stream(socket.0) else { return self.queue(token, -libc::EBADF) };
        *stream = Stream { token, armed: true, class, ..NO_STREAM };
        self.groups.want(class);
        self.arm_receive(socket.0, class);
    }

    /// A receive for ever would take bulk into buffers faster than anyone can cancel it.
    fn receive_first(&mut self, socket: Socket, class: BufferClass, token: Token) {
        let Some(stream) = self.stream(socket.0) else { return self.queue(token, -libc::EBADF) };
        *stream = Stream { token, armed: true, once: true, class, ..NO_STREAM };
        self.groups.want(class);
        self.arm_receive(socket.0, class);
    }

    fn send(&mut self, socket: Socket, buffer: BufferId, offset: u32, length: u32, token: Token) {
        let queued = match self.buffers.place(buffer) {
            Place::Pooled { class, offset: start } => {
                let fits = u64::from(offset) + u64::from(length) <= u64::from(self.buffers.pool(class).buffer_bytes());
                let start = start + offset as usize;
                fits && self.ring.send_from_group(socket.0, class as u16, start, length, token.0)
            }
            Place::Own(bytes) => self.ring.send_bytes(socket.0, bytes, offset as usize, length, token.0),
            Place::Shared(bytes) => self.ring.send_shared(socket.0, bytes, offset as usize, length, token.0),
            Place::Nowhere => false,
        };
        if !queued {
            self.queue(token, -libc::EINVAL);
        }
    }

    fn poll_readable(&mut self, socket: Socket, token: Token) {
        self.ring.poll(socket.0, libc::POLLIN | libc::POLLRDHUP, token.0);
    }

    fn poll_writable(&mut self, socket: Socket, token: Token) {
        self.ring.poll(socket.0, libc::POLLOUT, token.0);
    }

    fn cancel(&mut self, socket: Socket, token: Token) {
        let stream = usize::try_from(socket.0).ok().and_then(|index| self.streams.get_mut(index));
        let Some(stream) = stream.filter(|stream| stream.armed && stream.token == token) else {
            return self.ring.cancel(token.0, own(KIND_CANCEL, 0));
        };
        if stream.cancelled {
            return;
        }
        if stream.starved {
            let ended = Self::end(stream, -libc::ECANCELED);
            self.queued.push(ended);
            return;
        }
        stream.cancelled = true;
        let target = if stream.accepts { user_data_of_accept(socket.0) } else { user_data_of_receive(socket.0) };
        self.ring.cancel(target, own(KIND_CANCEL, 0));
    }

    fn shutdown_write(&mut self, socket: Socket) {
        let _ = socket::shutdown_write(socket.0);
    }

    fn shutdown_both(&mut self, socket: Socket) {
        let _ = socket::shutdown_both(socket.0);
    }

    fn close(&mut self, socket: Socket) {
        self.forget(socket.0);
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
        self.pipes.fill(from.0, pipe, length_max)
    }

    fn splice_out(&mut self, pipe: PipeId, to: Socket, length: usize) -> io::Result<usize> {
        self.pipes.pour(pipe, to.0, length)
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
        let pending = Arc::new(AtomicBool::new(false));
        if self.wake.is_none() {
            self.ring.poll_always(event.0.as_raw_fd(), own(KIND_WAKE, 0));
        }
        self.wake = Some(WakeState { event: event.clone(), token, pending: Arc::clone(&pending) });
        self.wake_event = Some(event.clone());
        Ok(super::waker_of(event, pending))
    }

    fn wait(&mut self, timeout_us: Option<u64>, completions: &mut Vec<Completion>) -> io::Result<()> {
        let before = completions.len();
        // Counted from the time that the caller knows, not from a fresh one: that is what it reckoned with.
        let deadline_us = timeout_us.map(|us| self.now.monotonic_us.saturating_add(us));
        completions.append(&mut self.queued);
        loop {
            self.provide();
            let left_us = deadline_us.map(|deadline| deadline.saturating_sub(self.now.monotonic_us));
            let sleep_us = if completions.len() > before { Some(0) } else { left_us };
            let sleep_us = if sleep_us == Some(0) { sleep_us } else { self.before_sleep(sleep_us) };
            self.ring.enter(sleep_us)?;
            self.turn = self.turn.wrapping_add(1);
            let now = self.refresh_now();
            let mut arrived = std::mem::take(&mut self.arrived);
            self.ring.completions(&mut arrived);
            let arrived_count = arrived.len();
            for completion in arrived.drain(..) {
                self.handle(completion, completions);
            }
            if arrived_count < COMPLETIONS_OF_A_FULL_CALL {
                self.settled_turn = self.turn;
            }
            self.arrived = arrived;
            // Completions of the driver's own (a receive out of buffers, a cancel that came late) are no answer.
            if completions.len() > before || deadline_us.is_some_and(|deadline| now.monotonic_us >= deadline) {
                return Ok(());
            }
        }
    }
}
