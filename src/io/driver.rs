//! The driver contract.

use std::io;

use super::pipes::PipeCounts;
pub use crate::sys::address::SocketAddress;
pub use crate::sys::socket_option::SocketOption;

/// An open socket (or eventfd) of the driver's thread. Plain number: closing is [`Driver::close`]'s, nobody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Socket(pub i32);

/// Names an armed operation; comes back with its completions. The driver gives it no meaning. The caller must not
/// have two operations armed under the same token. Tokens whose top byte is 0xff are the driver's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// A buffer that holds received or to-be-sent bytes. Exactly one owner; goes back with [`Driver::release`].
/// `BufferId::NONE` is "no buffer".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferId(pub u32);

impl BufferId {
    pub const NONE: BufferId = BufferId(u32::MAX);
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// A kernel pipe from the driver's bounded pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PipeId(pub u32);

/// Microseconds. `monotonic` never goes back and is what deadlines are made of; `wall` is the date for logs
/// (since the Unix epoch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub monotonic_us: u64,
    pub wall_us: u64,
}

/// Which buffers a receive may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferClass {
    /// For messages: a few KiB each, many.
    Small,
    /// For bulk that may not be spliced: `tune.bufsize` or more each, few.
    Large,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    pub token: Token,
    /// ≥ 0: the operation's count (bytes; the accepted descriptor; poll events). < 0: `-errno`.
    pub result: i32,
    /// For a receive with `result > 0`: the bytes are `driver.bytes(buffer)[..result]`, and the buffer is now the
    /// caller's. Otherwise `BufferId::NONE`.
    pub buffer: BufferId,
    /// The operation stays armed and will complete again. `false`: it is over, the token is free.
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    IoUring,
    Epoll,
    Simulated,
}

/// See the module's text. All calls are non-blocking but [`Driver::wait`].
///
/// Rules that every backend keeps, and the contract suite checks:
/// - Each arming call leads to completions under its token, the last of which has `more == false`; then none.
///   Completions are delivered only by `wait`, never from inside another call.
/// - Bytes of one socket arrive in order. A receive of 0 bytes is end of stream (`result == 0, more == false`).
///   A reset is `-ECONNRESET`, after all bytes that the kernel delivered before it.
/// - A receive that finds no buffer pauses inside the driver and goes on when buffers are released; the caller never
///   sees ENOBUFS. An idle armed receive holds no buffer.
/// - After [`Driver::cancel`] the operation ends with what it had (a last completion with data, 0, or
///   `-ECANCELED`); data received before the cancellation took effect is never lost: it arrives as completions.
/// - [`Driver::close`] is called only for a socket with nothing armed.
pub trait Driver {
    fn kind(&self) -> DriverKind;

    /// The time as of the last `wait` (cheap; not a syscall).
    fn now(&self) -> Moment;
    /// Reads the clock again and returns it.
    fn refresh_now(&mut self) -> Moment;

    /// Accepts connections until cancelled or an error ends it (`more == false`): `result` is a new socket,
    /// non-blocking and close-on-exec. Per-connection errors (ECONNABORTED …) are retried inside; EMFILE, ENFILE,
    /// ENOBUFS, ENOMEM end it with that errno so that the caller may pause.
    /// EINVAL ends it when the listener does not listen: see [`Driver::stop_listening`].
    fn accept(&mut self, listener: Socket, token: Token);

    /// Makes a TCP listener refuse connections, its address kept; those that wait to be accepted are reset. Only with
    /// nothing armed on it. The socket itself stops, in every thread and process that holds it.
    fn stop_listening(&mut self, listener: Socket);
    /// The reverse, with room for `backlog` waiting connections. EADDRINUSE: the port was taken meanwhile.
    fn listen_again(&mut self, listener: Socket, backlog: u32) -> io::Result<()>;

    /// Connects; completes once with 0 or `-errno`.
    fn connect(&mut self, socket: Socket, address: &SocketAddress, token: Token);

    /// Receives until end of stream, error or cancel: one completion per filled buffer.
    fn receive(&mut self, socket: Socket, class: BufferClass, token: Token);

    /// As [`Driver::receive`], for one who wants to decide after the first bytes how the rest is to come: may end with
    /// them (`more == false`). A backend that gains nothing from it receives on.
    fn receive_first(&mut self, socket: Socket, class: BufferClass, token: Token) {
        self.receive(socket, class, token);
    }

    /// Sends `bytes(buffer)[offset..offset + length]` with MSG_NOSIGNAL | MSG_DONTWAIT: completes once, with the
    /// count sent (may be short) or `-EAGAIN` or `-errno`. The buffer must not be released or written before.
    fn send(&mut self, socket: Socket, buffer: BufferId, offset: u32, length: u32, token: Token);

    /// Waits for readiness once (POLLIN | POLLRDHUP): `result` has the poll events.
    fn poll_readable(&mut self, socket: Socket, token: Token);
    /// Waits once for POLLOUT: `result` has the poll events.
    fn poll_writable(&mut self, socket: Socket, token: Token);

    /// Asks for the end of one operation armed under `token` on `socket`. No effect when it has completed already.
    fn cancel(&mut self, socket: Socket, token: Token);

    /// shutdown(SHUT_WR). Errors (ENOTCONN) are of no interest to anyone.
    fn shutdown_write(&mut self, socket: Socket);
    /// shutdown(SHUT_RDWR): ends armed operations quickly.
    fn shutdown_both(&mut self, socket: Socket);
    fn close(&mut self, socket: Socket);

    /// The first bytes that have arrived, left where they are: at most `into.len()`. 0: the stream has ended.
    /// `WouldBlock`: nothing yet. No receive may be armed.
    fn peek_now(&mut self, socket: Socket, into: &mut [u8]) -> io::Result<usize>;
    /// As [`Driver::peek_now`], and takes them.
    fn receive_now(&mut self, socket: Socket, into: &mut [u8]) -> io::Result<usize>;
    /// Sends at once, before anything else; may be less than all. No send may be armed.
    fn send_now(&mut self, socket: Socket, bytes: &[u8]) -> io::Result<usize>;

    /// A new non-blocking, close-on-exec stream socket for the address's family.
    fn open_stream(&mut self, for_address: &SocketAddress) -> io::Result<Socket>;
    fn set_option(&mut self, socket: Socket, option: &SocketOption) -> io::Result<()>;
    fn peer_address(&self, socket: Socket) -> io::Result<SocketAddress>;
    fn local_address(&self, socket: Socket) -> io::Result<SocketAddress>;
    /// The kernel's estimate of the round trip time and its variance, microseconds; `None` where there is none.
    fn round_trip_us(&self, socket: Socket) -> Option<(u32, u32)>;

    /// The buffer's bytes: all of it for one from the pool, the contents for one made by `buffer_from`.
    fn bytes(&self, buffer: BufferId) -> &[u8];
    /// A buffer of the driver's own with a copy of `bytes`, for what this process itself says.
    fn buffer_from(&mut self, bytes: &[u8]) -> BufferId;
    /// A buffer of the driver's own of bytes that threads share: they are sent from where they are.
    fn buffer_from_shared(&mut self, bytes: bytes::Bytes) -> BufferId;
    /// Moves `bytes(buffer)[offset..offset + length]` out of the shared receive pool into a buffer of its own of just
    /// that size and releases the old one, so that a stalled peer does not starve the others. Offset is 0 in the new one.
    fn detach(&mut self, buffer: BufferId, offset: u32, length: u32) -> BufferId;
    fn release(&mut self, buffer: BufferId);

    /// A pipe from the bounded pool; `None` when all are in use or none can be made (then the caller copies).
    fn take_pipe(&mut self) -> Option<PipeId>;
    /// Gives it back. One that still holds bytes is closed, never reused.
    fn return_pipe(&mut self, pipe: PipeId);
    /// splice(2) socket → pipe, non-blocking: bytes moved; 0 is end of stream; EAGAIN as `WouldBlock` (empty socket or
    /// full pipe: the caller knows which by what it has put in).
    fn splice_in(&mut self, from: Socket, pipe: PipeId, length_max: usize) -> io::Result<usize>;
    /// splice(2) pipe → socket, non-blocking. What is moved goes out at once.
    fn splice_out(&mut self, pipe: PipeId, to: Socket, length: usize) -> io::Result<usize>;
    /// How many bytes the pipe can hold, of whole pages.
    fn pipe_capacity_bytes(&self, pipe: PipeId) -> usize;
    /// For `show info`: pipes in use, kept free, and the bound.
    fn pipe_counts(&self) -> PipeCounts;
    /// Buffers that callers hold: what a leak shows in.
    fn buffers_held(&self) -> usize;

    /// The waker writes from other threads, whose descriptor tables are not this thread's (each worker has called
    /// `unshare(CLONE_FILES)`): its eventfd has to be opened by the control thread *before* the worker unshares and handed
    /// to the backend's constructor, so that its number means the same eventfd in every table. A backend never closes it.
    ///
    /// Makes a waker for this driver's thread, on [`super::DriverSettings::wake`]; other threads call [`Waker::wake`], and
    /// `wait` then delivers one completion under `token` (any number of wakes may fold into one; `more == true`).
    fn waker(&mut self, token: Token) -> io::Result<Waker>;

    /// Submits what is queued, waits until something completes or `timeout_us` from [`Driver::now`] is over (`None`: for
    /// ever; `Some(0)`: does not wait), and appends what completed. Refreshes `now`.
    fn wait(&mut self, timeout_us: Option<u64>, completions: &mut Vec<Completion>) -> io::Result<()>;
}

/// Wakes a driver's `wait` from any thread.
#[derive(Clone)]
pub struct Waker(std::sync::Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Waker(std::sync::Arc::new(wake))
    }
    pub fn wake(&self) {
        (self.0)()
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waker")
    }
}
