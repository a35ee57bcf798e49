//! One socket of an HTTP session: what was received and not yet used, what is to be sent.
//!
//! Receiving stays armed over all exchanges of a connection. What comes piles up in `input`, a little of it: the owner
//! pauses receiving when too much waits. Sending takes one segment at a time, in order.

use crate::io::{BufferClass, BufferId, Completion, Driver, Socket, Token};
use crate::session::segments::{Segment, Segments};
use crate::session::token::{Direction, Operation, ServerOperation, SlotKey};

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const READABLE: u8 = 4;
const WRITABLE: u8 = 8;
const RECEIVE_CANCELLED: u8 = 16;
const READABLE_CANCELLED: u8 = 32;
const WRITABLE_CANCELLED: u8 = 64;

/// Received buffers that may wait before receiving is paused.
pub const WAITING_SEGMENTS_MAX: usize = 4;
/// Full buffers in a row that make a direction bulk.
const BULK_RUN: u8 = 4;
/// Small answers are put together in one buffer up to this size: one send instead of several.
pub const JOINED_BYTES_MAX: usize = 16 * 1024;

/// Whose socket it is: it decides how operations are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// What a receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Bytes,
    /// End of stream.
    End,
    /// The errno; the connection is dead.
    Failed(i32),
    /// A pause has taken effect.
    Paused,
}

/// What a send led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Bytes went out; more may wait.
    Progress,
    /// The peer takes no more for now; sending goes on by itself.
    Blocked,
    Failed(i32),
}

/// See the module's text.
#[derive(Debug)]
pub struct Connection {
    pub socket: Socket,
    key: SlotKey,
    side: Side,
    armed: u8,
    class: BufferClass,
    full_run: u8,
    /// What came last was bulk: the next bytes tell whether the rest goes through a pipe.
    expects_bulk: bool,
    end_of_stream: bool,
    /// The stream did not end, it broke.
    has_failed: bool,
    input: Segments,
    output: Segments,
    /// When bytes last moved, monotonic microseconds.
    pub active_us: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

impl Connection {
    pub fn new(socket: Socket, side: Side, key: SlotKey, now_us: u64) -> Self {
        Connection {
            socket,
            key,
            side,
            armed: 0,
            class: BufferClass::Small,
            full_run: 0,
            expects_bulk: false,
            end_of_stream: false,
            has_failed: false,
            input: Segments::default(),
            output: Segments::default(),
            active_us: now_us,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    fn token(&self, operation: ServerOperation) -> Token {
        let operation = match (self.side, operation) {
            (Side::Server, operation) => Operation::Server(operation),
            (Side::Client, ServerOperation::Receive) => Operation::Receive(Direction::Request),
            (Side::Client, ServerOperation::Send) => Operation::Send(Direction::Response),
            (Side::Client, ServerOperation::Readable) => Operation::Readable(Direction::Request),
            (Side::Client, ServerOperation::Writable) => Operation::Writable(Direction::Response),
            (Side::Client, ServerOperation::Connect) => Operation::Connect,
        };
        self.key.token(operation)
    }

    pub fn end_of_stream(&self) -> bool {
        self.end_of_stream
    }
    /// What was received is not all that the peer sent: it ended with a reset.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }
    /// A splice found the end.
    pub fn set_end_of_stream(&mut self) {
        self.end_of_stream = true;
    }
    /// Nothing in flight: the socket may be closed.
    pub fn is_idle(&self) -> bool {
        self.armed & (RECEIVE | SEND | READABLE | WRITABLE) == 0
    }
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }
    pub fn waiting_segments(&self) -> usize {
        self.input.len()
    }
    /// Bytes received and not used yet.
    pub fn waiting_bytes(&mut self) -> u64 {
        self.input.iter_mut().map(|segment| u64::from(segment.length)).sum()
    }
    /// Everything pushed has been sent.
    pub fn is_drained(&self) -> bool {
        self.output.is_empty()
    }
    pub fn output_segments(&self) -> usize {
        self.output.len()
    }
    pub fn is_receiving(&self) -> bool {
        self.armed & (RECEIVE | RECEIVE_CANCELLED) == RECEIVE || self.armed & READABLE != 0
    }
    /// No receive is in flight, not even one that was cancelled.
    pub fn is_receive_over(&self) -> bool {
        self.armed & RECEIVE == 0
    }
    /// Waits for something to splice.
    pub fn is_polling_readable(&self) -> bool {
        self.armed & READABLE != 0
    }
    /// Waits for its peer to take bytes again.
    pub fn is_polling_writable(&self) -> bool {
        self.armed & WRITABLE != 0
    }
    /// Received buffers in a row were full: there is much more to come.
    pub fn is_bulk(&self) -> bool {
        self.full_run >= BULK_RUN
    }
    pub fn forget_bulk(&mut self) {
        self.full_run = 0;
    }

    /// Receives, unless it does already or the stream has ended.
    pub fn receive<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & (RECEIVE | READABLE) == 0 && !self.end_of_stream {
            self.armed |= RECEIVE;
            let token = self.token(ServerOperation::Receive);
            match self.expects_bulk {
                true => driver.receive_first(self.socket, self.class, token),
                false => driver.receive(self.socket, self.class, token),
            }
        }
    }
    pub fn expect_bulk(&mut self, expects: bool) {
        self.expects_bulk = expects;
    }

    /// Chooses the buffers of receives to come: large ones for bulk that cannot be spliced.
    pub fn set_class(&mut self, class: BufferClass) {
        self.class = class;
    }
    pub fn class(&self) -> BufferClass {
        self.class
    }

    /// Stops receiving; what was received before that still comes.
    pub fn pause<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & (RECEIVE | RECEIVE_CANCELLED) == RECEIVE {
            self.armed |= RECEIVE_CANCELLED;
            driver.cancel(self.socket, self.token(ServerOperation::Receive));
        }
    }

    /// A receive completed.
    pub fn received<D: Driver>(&mut self, driver: &mut D, completion: &Completion, now_us: u64) -> Received {
        if !completion.more {
            self.armed &= !(RECEIVE | RECEIVE_CANCELLED);
        }
        match completion.result {
            0 => {
                self.end_of_stream = true;
                Received::End
            }
            count if count > 0 => {
                self.active_us = now_us;
                self.received_bytes += count as u64;
                let filled = count as usize >= driver.bytes(completion.buffer).len();
                self.full_run = if filled { self.full_run.saturating_add(1) } else { 0 };
                self.input.push(Segment { buffer: completion.buffer, offset: 0, length: count as u32 });
                Received::Bytes
            }
            error if -error == libc::ECANCELED => Received::Paused,
            error => {
                (self.end_of_stream, self.has_failed) = (true, true);
                Received::Failed(-error)
            }
        }
    }

    /// The first received bytes that are not used yet.
    pub fn front<'d, D: Driver>(&mut self, driver: &'d D) -> &'d [u8] {
        let Some(segment) = self.input.head() else { return &[] };
        let bytes = driver.bytes(segment.buffer);
        bytes.get(segment.offset as usize..(segment.offset + segment.length) as usize).unwrap_or_default()
    }

    /// The first `count` bytes of [`Connection::front`] are used up.
    pub fn consume<D: Driver>(&mut self, driver: &mut D, count: usize) {
        let Some(segment) = self.input.head() else { return };
        if count >= segment.length as usize {
            driver.release(segment.buffer);
            self.input.pop();
        } else {
            segment.offset += count as u32;
            segment.length -= count as u32;
        }
    }

    /// Takes the first segment whole.
    pub fn take_front(&mut self) -> Option<Segment> {
        self.input.pop()
    }

    /// Puts bytes back before everything else that was received.
    pub fn unread<D: Driver>(&mut self, driver: &mut D, bytes: &[u8]) {
        if !bytes.is_empty() {
            let buffer = driver.buffer_from(bytes);
            self.input.push_front(Segment { buffer, offset: 0, length: bytes.len() as u32 });
        }
    }

    /// Takes what waits out of the shared pool of receive buffers: it may wait long.
    pub fn detach_input<D: Driver>(&mut self, driver: &mut D) {
        for segment in self.input.iter_mut() {
            segment.buffer = driver.detach(segment.buffer, segment.offset, segment.length);
            segment.offset = 0;
        }
    }

    /// Gives back all that was received and not used.
    pub fn discard_input<D: Driver>(&mut self, driver: &mut D) {
        while let Some(segment) = self.input.pop() {
            driver.release(segment.buffer);
        }
    }

    /// Sends a received segment as it is.
    pub fn push<D: Driver>(&mut self, driver: &mut D, segment: Segment) {
        self.output.push(segment);
        self.send(driver);
    }

    /// Sends a copy of `bytes`.
    pub fn push_bytes<D: Driver>(&mut self, driver: &mut D, bytes: &[u8]) {
        if !bytes.is_empty() {
            let buffer = driver.buffer_from(bytes);
            self.push(driver, Segment { buffer, offset: 0, length: bytes.len() as u32 });
        }
    }

    /// Sends bytes that threads share, from where they are.
    pub fn push_shared<D: Driver>(&mut self, driver: &mut D, bytes: bytes::Bytes) {
        if !bytes.is_empty() {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let buffer = driver.buffer_from_shared(bytes);
            self.push(driver, Segment { buffer, offset: 0, length });
        }
    }

    fn send<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & (SEND | WRITABLE) != 0 {
            return;
        }
        if let Some(head) = self.output.head() {
            let (buffer, offset, length) = (head.buffer, head.offset, head.length);
            self.armed |= SEND;
            driver.send(self.socket, buffer, offset, length, self.token(ServerOperation::Send));
        }
    }

    /// A send completed.
    pub fn sent<D: Driver>(&mut self, driver: &mut D, result: i32, now_us: u64) -> Sent {
        self.armed &= !SEND;
        let Some(head) = self.output.head() else { return Sent::Progress };
        if result < 0 && -result != libc::EAGAIN {
            return Sent::Failed(-result);
        }
        let taken = (result.max(0) as u32).min(head.length);
        if taken > 0 {
            self.active_us = now_us;
            self.sent_bytes += u64::from(taken);
        }
        if taken == head.length {
            driver.release(head.buffer);
            self.output.pop();
            self.send(driver);
            return Sent::Progress;
        }
        // The reader is slow: its bytes leave the shared pool.
        head.offset += taken;
        head.length -= taken;
        for segment in self.output.iter_mut() {
            segment.buffer = driver.detach(segment.buffer, segment.offset, segment.length);
            segment.offset = 0;
        }
        self.poll_writable(driver);
        Sent::Blocked
    }

    pub fn poll_writable<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & WRITABLE == 0 {
            self.armed |= WRITABLE;
            driver.poll_writable(self.socket, self.token(ServerOperation::Writable));
        }
    }
    pub fn poll_readable<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & (READABLE | RECEIVE) == 0 {
            self.armed |= READABLE;
            driver.poll_readable(self.socket, self.token(ServerOperation::Readable));
        }
    }

    /// The peer takes bytes again, or the poll failed.
    pub fn writable<D: Driver>(&mut self, driver: &mut D, result: i32) -> Sent {
        self.armed &= !(WRITABLE | WRITABLE_CANCELLED);
        if result < 0 && -result != libc::ECANCELED {
            return Sent::Failed(-result);
        }
        self.send(driver);
        Sent::Progress
    }

    /// There is something to splice, or the poll failed.
    pub fn readable(&mut self, result: i32) -> Received {
        self.armed &= !(READABLE | READABLE_CANCELLED);
        match -result {
            libc::ECANCELED => Received::Paused,
            error if error > 0 => Received::Failed(error),
            _ => Received::Bytes,
        }
    }

    /// Spliced bytes count like others.
    pub fn note_spliced(&mut self, received: usize, sent: usize, now_us: u64) {
        self.received_bytes += received as u64;
        self.sent_bytes += sent as u64;
        self.active_us = now_us;
    }

    /// Asks for the end of everything in flight; [`Connection::is_idle`] tells when it has come.
    pub fn cancel<D: Driver>(&mut self, driver: &mut D) {
        self.pause(driver);
        if self.armed & (READABLE | READABLE_CANCELLED) == READABLE {
            self.armed |= READABLE_CANCELLED;
            driver.cancel(self.socket, self.token(ServerOperation::Readable));
        }
        if self.armed & (WRITABLE | WRITABLE_CANCELLED) == WRITABLE {
            self.armed |= WRITABLE_CANCELLED;
            driver.cancel(self.socket, self.token(ServerOperation::Writable));
        }
        self.discard_input(driver);
        // A send never waits for its peer: it completes soon.
        if self.armed & SEND == 0 {
            self.discard_output(driver);
        }
    }

    /// What was to be sent is of no use any more: the peer takes nothing.
    pub fn drop_output<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & SEND == 0 {
            self.discard_output(driver);
        }
    }

    fn discard_output<D: Driver>(&mut self, driver: &mut D) {
        while let Some(segment) = self.output.pop() {
            driver.release(segment.buffer);
        }
    }

    /// After [`Connection::cancel`]: books a completion without acting on it.
    pub fn settle<D: Driver>(&mut self, driver: &mut D, operation: ServerOperation, completion: &Completion) {
        match operation {
            ServerOperation::Receive => {
                if completion.buffer != BufferId::NONE {
                    driver.release(completion.buffer);
                }
                if !completion.more {
                    self.armed &= !(RECEIVE | RECEIVE_CANCELLED);
                }
            }
            ServerOperation::Send => {
                self.armed &= !SEND;
                self.discard_output(driver);
            }
            ServerOperation::Readable => self.armed &= !(READABLE | READABLE_CANCELLED),
            ServerOperation::Writable => self.armed &= !(WRITABLE | WRITABLE_CANCELLED),
            ServerOperation::Connect => {}
        }
    }
}
