//! A client connection of a `mode health` proxy, or of `monitor-net`: it is answered at once, heard out for a moment, and
//! closed.

use super::surroundings::Surroundings;
use super::tcp::{Accepted, Step};
use super::token::{Direction, Operation};
use crate::config::model::{CheckMethod, Config};
use crate::io::{BufferClass, BufferId, Completion, Driver};

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const WRITABLE: u8 = 4;
const RECEIVE_CANCELLED: u8 = 8;

/// How 1.8's `mode health` answers a connection.
const HEALTH_ANSWER: &[u8] = b"OK\n";
/// The same with `option httpchk`, and for `monitor-net` in HTTP mode.
const HEALTH_ANSWER_HTTP: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// How long, and for how many bytes, a client is heard out after its last answer.
const LINGER_US: u64 = 1_000_000;
const LINGER_BYTES_MAX: u64 = 1 << 20;

/// See the module's text.
pub struct LocalSession {
    pub accepted: Accepted,
    answer: &'static [u8],
    output: BufferId,
    output_offset: u32,
    output_length: u32,
    armed: u8,
    lingering_since_us: Option<u64>,
    lingered_bytes: u64,
    closing: bool,
    active_us: u64,
}

impl LocalSession {
    /// For a client of a `mode health` proxy.
    pub fn new(accepted: Accepted, config: &Config) -> Self {
        let backend = config.proxy(accepted.frontend).backend.as_ref();
        let http = backend.is_some_and(|backend| matches!(backend.check, CheckMethod::Http(_)));
        LocalSession::with_answer(accepted, if http { HEALTH_ANSWER_HTTP } else { HEALTH_ANSWER })
    }

    /// For a client of `monitor-net`.
    pub fn for_monitor(accepted: Accepted) -> Self {
        LocalSession::with_answer(accepted, HEALTH_ANSWER_HTTP)
    }

    fn with_answer(accepted: Accepted, answer: &'static [u8]) -> Self {
        LocalSession {
            active_us: accepted.monotonic_us,
            accepted,
            answer,
            output: BufferId::NONE,
            output_offset: 0,
            output_length: 0,
            armed: 0,
            lingering_since_us: None,
            lingered_bytes: 0,
            closing: false,
        }
    }

    pub fn begin<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.output = around.driver.buffer_from(self.answer);
        self.output_length = self.answer.len() as u32;
        self.send(around)
    }

    fn arm_receive<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        if self.armed & RECEIVE == 0 {
            self.armed |= RECEIVE;
            let token = around.key.token(Operation::Receive(Direction::Request));
            around.driver.receive(self.accepted.client, BufferClass::Small, token);
        }
    }

    fn pause<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        if self.armed & (RECEIVE | RECEIVE_CANCELLED) == RECEIVE {
            self.armed |= RECEIVE_CANCELLED;
            around.driver.cancel(self.accepted.client, around.key.token(Operation::Receive(Direction::Request)));
        }
    }

    /// An operation of this session completed.
    pub fn completed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        operation: Operation,
        completion: &Completion,
    ) -> Step {
        match operation {
            Operation::Receive(_) => self.received(around, completion),
            Operation::Send(_) => self.sent(around, completion.result),
            Operation::Writable(_) => {
                self.armed &= !WRITABLE;
                if self.closing { Step::Continue } else { self.send(around) }
            }
            _ => Step::Continue,
        }
    }

    fn received<D: Driver>(&mut self, around: &mut Surroundings<D>, completion: &Completion) -> Step {
        if !completion.more {
            self.armed &= !(RECEIVE | RECEIVE_CANCELLED);
        }
        if completion.buffer.is_some() {
            around.driver.release(completion.buffer);
        }
        if self.closing {
            return Step::Continue;
        }
        let cancelled = -completion.result == libc::ECANCELED;
        self.lingered_bytes += u64::from(completion.result.max(0) as u32);
        if completion.result <= 0 && !cancelled || self.lingered_bytes > LINGER_BYTES_MAX {
            return self.over(around);
        }
        self.arm_receive(around);
        Step::Continue
    }

    fn send<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.armed |= SEND;
        let token = around.key.token(Operation::Send(Direction::Response));
        around.driver.send(self.accepted.client, self.output, self.output_offset, self.output_length, token);
        Step::Continue
    }

    fn sent<D: Driver>(&mut self, around: &mut Surroundings<D>, result: i32) -> Step {
        self.armed &= !SEND;
        if self.closing {
            self.drop_output(around.driver);
            return Step::Continue;
        }
        if result < 0 && -result != libc::EAGAIN {
            return self.over(around);
        }
        let count = (result.max(0) as u32).min(self.output_length);
        if count > 0 {
            self.active_us = around.now.monotonic_us;
        }
        self.output_offset += count;
        self.output_length -= count;
        if self.output_length > 0 {
            self.armed |= WRITABLE;
            let token = around.key.token(Operation::Writable(Direction::Response));
            around.driver.poll_writable(self.accepted.client, token);
            return Step::Continue;
        }
        self.drop_output(around.driver);
        self.linger(around)
    }

    /// The answer is on its way. Closing now, with bytes of the client unread, would make a reset that can overtake it
    /// (RFC 9112 section 9.6): the end is sent, and what still comes is read and thrown away, for a while.
    fn linger<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.lingering_since_us = Some(around.now.monotonic_us);
        around.driver.shutdown_write(self.accepted.client);
        self.arm_receive(around);
        Step::Continue
    }

    fn drop_output<D: Driver>(&mut self, driver: &mut D) {
        if self.output.is_some() {
            driver.release(self.output);
            self.output = BufferId::NONE;
        }
    }

    /// When the present wait is over, monotonic microseconds.
    pub fn deadline_us(&self, config: &Config) -> Option<u64> {
        if self.closing {
            return None;
        }
        if let Some(since_us) = self.lingering_since_us {
            return Some(since_us + LINGER_US);
        }
        let timeout = config.proxy(self.accepted.frontend).timeouts.client;
        timeout.map(|timeout| self.active_us.saturating_add(timeout.as_micros() as u64))
    }

    pub fn timer_fired<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let is_due =
            self.deadline_us(around.config()).is_some_and(|deadline_us| deadline_us <= around.now.monotonic_us);
        if is_due { self.over(around) } else { Step::Continue }
    }

    pub fn over<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.closing {
            return Step::Continue;
        }
        self.closing = true;
        self.pause(around);
        if self.armed & WRITABLE != 0 {
            around.driver.cancel(self.accepted.client, around.key.token(Operation::Writable(Direction::Response)));
        }
        if self.armed & SEND == 0 {
            self.drop_output(around.driver);
        }
        // What the client may still be sending must not turn the answer into a reset.
        around.driver.shutdown_write(self.accepted.client);
        Step::Over
    }

    pub fn is_over(&self) -> bool {
        self.closing
    }

    pub fn is_idle(&self) -> bool {
        self.armed & (RECEIVE | SEND | WRITABLE) == 0
    }

    pub fn close<D: Driver>(&mut self, driver: &mut D) {
        driver.close(self.accepted.client);
    }
}
