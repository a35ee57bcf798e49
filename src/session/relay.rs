//! One direction of a session: bytes from one socket to the other, copied while they are messages, spliced while
//! they are bulk.
//!
//! Copying: a receive stays armed; each completion brings a buffer, which is sent as it is and goes back to the pool.
//! Splicing: readiness, then splice(2) through a pipe that is held only while it has bytes in it. A direction
//! moves to splicing when [`BULK_RUN`] receives in a row fill their buffers, and back when [`QUIET_RUN`] wake-ups in
//! a row move less than a buffer (measured.md: splice costs more than a copy for messages and 2–4 times less for
//! bulk).

use super::segments::{Segment, Segments};
use super::token::{Direction, Operation, SlotKey};
use crate::config::model::SpliceChoice;
use crate::io::{BufferClass, Completion, Driver, PipeId, Socket, Token};
use std::io::ErrorKind;

/// Full buffers in a row that make a direction bulk.
const BULK_RUN: u8 = 4;
/// Small wake-ups in a row that make it a direction of messages again.
const QUIET_RUN: u8 = 16;
/// A splicing wake-up that moves less than this is small.
const QUIET_BYTES: usize = 4096;
/// Received buffers that may wait for a reader before the receive is paused.
const WAITING_SEGMENTS_MAX: usize = 4;
/// The same before the other side is there. One: a client that speaks first costs no cancellation.
const EARLY_SEGMENTS_MAX: usize = 1;
/// Pipe fillings per wake-up, so that one bulk session does not starve the others.
const SPLICE_ROUNDS: usize = 8;
/// And bytes.
pub const SPLICE_BYTES_PER_TURN: usize = 2 << 20;

/// The sockets and names one direction works with.
pub struct Wire<'a, D> {
    pub driver: &'a mut D,
    pub from: Socket,
    pub to: Socket,
    pub key: SlotKey,
    pub direction: Direction,
}

impl<D: Driver> Wire<'_, D> {
    fn receive_token(&self) -> Token {
        self.key.token(Operation::Receive(self.direction))
    }
    fn send_token(&self) -> Token {
        self.key.token(Operation::Send(self.direction))
    }
    fn readable_token(&self) -> Token {
        self.key.token(Operation::Readable(self.direction))
    }
    fn writable_token(&self) -> Token {
        self.key.token(Operation::Writable(self.direction))
    }
}

/// Which end failed, with the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    From(i32),
    To(i32),
}

/// Where a direction stands after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Running,
    /// End of stream was received and everything before it was sent: the caller half-closes the other side.
    Ended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Copy,
    /// Bulk that may not be spliced, or finds no pipe.
    CopyLarge,
    Splice,
}

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const READABLE: u8 = 4;
const WRITABLE: u8 = 8;
const RECEIVE_CANCELLED: u8 = 16;
const READABLE_CANCELLED: u8 = 32;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Relay {
    /// Bytes received so far.
    pub bytes: u64,
    segments: Segments,
    pipe: Option<PipeId>,
    pipe_bytes: u32,
    /// Operations in flight, and cancellations asked for.
    armed: u8,
    mode: Mode,
    /// The mode to change to once the present receive has ended and its bytes are sent.
    next_mode: Mode,
    choice: SpliceChoice,
    run: u8,
    end_of_stream: bool,
    started: bool,
    /// The other end may be written to.
    open: bool,
    ended: bool,
    /// Rules look at what comes: all of it is held, to be shown to them.
    inspected: bool,
}

impl Relay {
    pub fn new(choice: SpliceChoice) -> Self {
        Relay { choice, ..Default::default() }
    }

    /// Nothing in flight: the slot may close the sockets.
    pub fn is_idle(&self) -> bool {
        self.armed & (RECEIVE | SEND | READABLE | WRITABLE) == 0
    }
    /// Waits for the source's bytes (and is not held up by the other side).
    pub fn is_receiving(&self) -> bool {
        self.armed & (RECEIVE | RECEIVE_CANCELLED) == RECEIVE || self.armed & READABLE != 0
    }
    /// End of stream seen on the source.
    pub fn end_of_stream(&self) -> bool {
        self.end_of_stream
    }
    /// Everything was passed on, the end too.
    pub fn ended(&self) -> bool {
        self.ended
    }
    /// Bytes wait for the other side.
    pub fn has_pending(&self) -> bool {
        !self.segments.is_empty() || self.pipe_bytes > 0
    }

    /// Begins to receive before the other side is there: what comes is held, a little of it.
    pub fn start_receiving<D: Driver>(&mut self, wire: &mut Wire<D>) {
        self.started = true;
        if self.choice == SpliceChoice::Always && !self.inspected {
            return; // from its first byte through the pipe, once there is somewhere to go
        }
        self.arm_receive(wire);
    }

    /// The other side is there.
    pub fn open<D: Driver>(&mut self, wire: &mut Wire<D>) -> Result<Flow, RelayError> {
        self.open = true;
        self.started = true;
        let is_idle = self.segments.is_empty() && self.armed & RECEIVE == 0;
        if self.choice == SpliceChoice::Always && self.mode == Mode::Copy && is_idle && !self.end_of_stream {
            (self.mode, self.next_mode) = (Mode::Splice, Mode::Splice);
            return self.splice(wire);
        }
        self.pump(wire)
    }

    /// A receive completed.
    pub fn received<D: Driver>(&mut self, wire: &mut Wire<D>, completion: &Completion) -> Result<Flow, RelayError> {
        if !completion.more {
            self.armed &= !(RECEIVE | RECEIVE_CANCELLED);
        }
        match completion.result {
            0 => self.end_of_stream = true,
            count if count > 0 => {
                self.bytes += count as u64;
                let filled = count as usize >= wire.driver.bytes(completion.buffer).len();
                let segment = Segment { buffer: completion.buffer, offset: 0, length: count as u32 };
                self.segments.push(segment);
                if self.inspected {
                    return Ok(Flow::Running);
                }
                self.meter(wire, filled, count as usize);
                let waiting_max = if self.open { WAITING_SEGMENTS_MAX } else { EARLY_SEGMENTS_MAX };
                if self.segments.len() > waiting_max {
                    self.pause(wire);
                }
            }
            error if -error == libc::ECANCELED => {}
            error => return Err(RelayError::From(-error)),
        }
        self.pump(wire)
    }

    /// While `inspected`, what comes before the other side is there is held, however many receives it takes; whoever
    /// asks for it must see to it that it ends.
    pub fn set_inspected(&mut self, inspected: bool) {
        self.inspected = inspected;
    }

    /// For a session that learns late where it goes.
    pub fn set_splice(&mut self, choice: SpliceChoice) {
        self.choice = choice;
    }

    /// Writes what is held into `text`, in place of what was in it. Many small pieces become one buffer.
    pub fn copy_held<D: Driver>(&mut self, driver: &mut D, text: &mut Vec<u8>) {
        text.clear();
        for segment in self.segments.iter_mut() {
            let (start, length) = (segment.offset as usize, segment.length as usize);
            text.extend_from_slice(driver.bytes(segment.buffer).get(start..start + length).unwrap_or_default());
        }
        if self.segments.len() > WAITING_SEGMENTS_MAX {
            while let Some(segment) = self.segments.pop() {
                driver.release(segment.buffer);
            }
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            self.segments.push(Segment { buffer: driver.buffer_from(text), offset: 0, length });
        }
    }

    /// Decides from one receive whether this is bulk.
    fn meter<D: Driver>(&mut self, wire: &mut Wire<D>, filled: bool, count: usize) {
        match self.mode {
            Mode::Copy if filled => {
                self.run = self.run.saturating_add(1);
                if self.run >= BULK_RUN {
                    self.run = 0;
                    self.next_mode = if self.choice == SpliceChoice::Never { Mode::CopyLarge } else { Mode::Splice };
                    self.pause(wire);
                }
            }
            Mode::CopyLarge if count < QUIET_BYTES => {
                self.run = self.run.saturating_add(1);
                if self.run >= QUIET_RUN {
                    self.run = 0;
                    self.next_mode = Mode::Copy;
                    self.pause(wire);
                }
            }
            _ => self.run = 0,
        }
    }

    /// A send completed.
    pub fn sent<D: Driver>(&mut self, wire: &mut Wire<D>, result: i32) -> Result<Flow, RelayError> {
        self.armed &= !SEND;
        let Some(head) = self.segments.head() else { return Ok(Flow::Running) };
        if result >= head.length as i32 {
            wire.driver.release(head.buffer);
            self.segments.pop();
            return self.pump(wire);
        }
        if result < 0 && -result != libc::EAGAIN {
            return Err(RelayError::To(-result));
        }
        // The reader is slow. Its bytes leave the shared pool, and its writer is stopped.
        let taken = result.max(0) as u32;
        head.offset += taken;
        head.length -= taken;
        self.detach(wire.driver);
        self.pause(wire);
        self.armed |= WRITABLE;
        wire.driver.poll_writable(wire.to, wire.writable_token());
        Ok(Flow::Running)
    }

    /// Takes what waits out of the shared pool: it may wait long.
    pub fn detach<D: Driver>(&mut self, driver: &mut D) {
        if self.armed & SEND == 0 {
            for segment in self.segments.iter_mut() {
                segment.buffer = driver.detach(segment.buffer, segment.offset, segment.length);
                segment.offset = 0;
            }
        }
    }

    /// The source became readable (splicing).
    pub fn readable<D: Driver>(&mut self, wire: &mut Wire<D>, result: i32) -> Result<Flow, RelayError> {
        self.armed &= !(READABLE | READABLE_CANCELLED);
        if result < 0 && -result != libc::ECANCELED {
            return Err(RelayError::From(-result));
        }
        self.step(wire)
    }

    /// The other side takes bytes again.
    pub fn writable<D: Driver>(&mut self, wire: &mut Wire<D>, result: i32) -> Result<Flow, RelayError> {
        self.armed &= !WRITABLE;
        if result < 0 && -result != libc::ECANCELED {
            return Err(RelayError::To(-result));
        }
        self.step(wire)
    }

    fn step<D: Driver>(&mut self, wire: &mut Wire<D>) -> Result<Flow, RelayError> {
        if self.mode == Mode::Splice { self.splice(wire) } else { self.pump(wire) }
    }

    /// Sends what waits; with nothing left, changes mode or receives again.
    fn pump<D: Driver>(&mut self, wire: &mut Wire<D>) -> Result<Flow, RelayError> {
        if !self.open {
            return Ok(Flow::Running);
        }
        if self.armed & (SEND | WRITABLE) != 0 {
            return Ok(Flow::Running);
        }
        if let Some(head) = self.segments.head() {
            self.armed |= SEND;
            let (buffer, offset, length) = (head.buffer, head.offset, head.length);
            wire.driver.send(wire.to, buffer, offset, length, wire.send_token());
            return Ok(Flow::Running);
        }
        if self.armed & RECEIVE != 0 {
            return Ok(Flow::Running);
        }
        if self.end_of_stream {
            self.ended = true;
            return Ok(Flow::Ended);
        }
        self.mode = self.next_mode;
        if self.mode == Mode::Splice {
            return self.splice(wire);
        }
        self.arm_receive(wire);
        Ok(Flow::Running)
    }

    fn arm_receive<D: Driver>(&mut self, wire: &mut Wire<D>) {
        let class = if self.mode == Mode::CopyLarge { BufferClass::Large } else { BufferClass::Small };
        self.armed |= RECEIVE;
        wire.driver.receive(wire.from, class, wire.receive_token());
    }

    /// Stops receiving; what was received before that still comes.
    fn pause<D: Driver>(&mut self, wire: &mut Wire<D>) {
        if self.armed & RECEIVE != 0 && self.armed & RECEIVE_CANCELLED == 0 {
            self.armed |= RECEIVE_CANCELLED;
            wire.driver.cancel(wire.from, wire.receive_token());
        }
    }

    /// Moves bytes through the pipe until one side has no more to give or take.
    fn splice<D: Driver>(&mut self, wire: &mut Wire<D>) -> Result<Flow, RelayError> {
        if !self.open || self.armed & (READABLE | WRITABLE) != 0 {
            return Ok(Flow::Running);
        }
        let mut moved = 0;
        for _ in 0..SPLICE_ROUNDS {
            let drained = self.fill_pipe(wire)?;
            if self.mode != Mode::Splice {
                return self.pump(wire); // no pipe to be had: copy
            }
            if self.pipe_bytes > 0 && !self.empty_pipe(wire, &mut moved)? {
                self.armed |= WRITABLE;
                wire.driver.poll_writable(wire.to, wire.writable_token());
                return Ok(Flow::Running);
            }
            if self.end_of_stream {
                self.return_pipe(wire.driver);
                self.ended = true;
                return Ok(Flow::Ended);
            }
            if drained || moved >= SPLICE_BYTES_PER_TURN {
                break;
            }
        }
        self.return_pipe(wire.driver);
        if moved >= QUIET_BYTES || self.choice == SpliceChoice::Always {
            self.run = 0;
        } else {
            self.run += 1;
            if self.run >= QUIET_RUN {
                self.run = 0;
                (self.mode, self.next_mode) = (Mode::Copy, Mode::Copy);
                self.arm_receive(wire);
                return Ok(Flow::Running);
            }
        }
        // Also after a full set of rounds: the poll completes at once, and the others get their turn first.
        self.armed |= READABLE;
        wire.driver.poll_readable(wire.from, wire.readable_token());
        Ok(Flow::Running)
    }

    /// Source → pipe. True: the source has no more for now.
    fn fill_pipe<D: Driver>(&mut self, wire: &mut Wire<D>) -> Result<bool, RelayError> {
        let Some(pipe) = self.pipe.or_else(|| wire.driver.take_pipe()) else {
            self.run = 0;
            (self.mode, self.next_mode) = (Mode::CopyLarge, Mode::CopyLarge);
            return Ok(true);
        };
        self.pipe = Some(pipe);
        // What the target has not taken yet goes out first.
        if self.end_of_stream || self.pipe_bytes > 0 {
            return Ok(self.end_of_stream);
        }
        let wanted = wire.driver.pipe_capacity_bytes(pipe);
        match wire.driver.splice_in(wire.from, pipe, wanted) {
            Ok(0) => {
                self.end_of_stream = true;
                Ok(true)
            }
            Ok(count) => {
                self.bytes += count as u64;
                self.pipe_bytes += count as u32;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(self.pipe_bytes == 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(RelayError::From(error.raw_os_error().unwrap_or(libc::EIO))),
        }
    }

    /// Pipe → the other side. False: it takes no more for now.
    fn empty_pipe<D: Driver>(&mut self, wire: &mut Wire<D>, moved: &mut usize) -> Result<bool, RelayError> {
        let Some(pipe) = self.pipe else { return Ok(true) };
        while self.pipe_bytes > 0 {
            match wire.driver.splice_out(pipe, wire.to, self.pipe_bytes as usize) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    *moved += count;
                    self.pipe_bytes -= (count as u32).min(self.pipe_bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(RelayError::To(error.raw_os_error().unwrap_or(libc::EIO))),
            }
        }
        Ok(true)
    }

    fn return_pipe<D: Driver>(&mut self, driver: &mut D) {
        if let Some(pipe) = self.pipe.take() {
            driver.return_pipe(pipe);
        }
        self.pipe_bytes = 0;
    }

    /// Asks for the end of everything in flight; [`Relay::is_idle`] tells when it has come.
    pub fn cancel<D: Driver>(&mut self, wire: &mut Wire<D>) {
        self.pause(wire);
        if self.armed & READABLE != 0 && self.armed & READABLE_CANCELLED == 0 {
            self.armed |= READABLE_CANCELLED;
            wire.driver.cancel(wire.from, wire.readable_token());
        }
        if self.armed & WRITABLE != 0 {
            wire.driver.cancel(wire.to, wire.writable_token());
        }
        if self.armed & SEND == 0 {
            self.drop_pending(wire.driver);
        }
    }

    /// After [`Relay::cancel`]: books a completion without acting on it.
    pub fn settle<D: Driver>(&mut self, driver: &mut D, operation: Operation, completion: &Completion) {
        match operation {
            Operation::Receive(_) => {
                if completion.buffer.is_some() {
                    driver.release(completion.buffer);
                }
                if !completion.more {
                    self.armed &= !(RECEIVE | RECEIVE_CANCELLED);
                }
            }
            Operation::Send(_) => {
                self.armed &= !SEND;
                self.drop_pending(driver);
            }
            Operation::Readable(_) => self.armed &= !(READABLE | READABLE_CANCELLED),
            Operation::Writable(_) => self.armed &= !WRITABLE,
            Operation::Connect | Operation::Accept | Operation::Mailbox | Operation::Server(_) => {}
        }
    }

    /// Gives back everything that was not sent.
    fn drop_pending<D: Driver>(&mut self, driver: &mut D) {
        while let Some(segment) = self.segments.pop() {
            driver.release(segment.buffer);
        }
        self.return_pipe(driver);
    }
}
