//! A client connection that this process answers itself: the stats page of a `mode http` proxy, and `mode health`.
//!
//! Moves bytes between the socket and the byte machine ([`LocalHttp`]); one answer is in flight at a time, and while
//! it is, nothing more is read, so that a client that does not read costs one answer's memory.

use super::local_context::{LocalContext, Verdict};
use super::local_http::{HttpPhase, HttpRecord, LocalHttp};
use super::surroundings::Surroundings;
use super::tcp::{Accepted, ClientAddress, Step};
use super::token::{Direction, Operation};
use crate::config::model::{CheckMethod, Config, ProxyMode};
use crate::io::{BufferClass, BufferId, Completion, Driver};
use crate::policy::log_format::Endpoint;

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const WRITABLE: u8 = 4;
const RECEIVE_CANCELLED: u8 = 8;

/// How 1.8's `mode health` answers a connection.
const HEALTH_ANSWER: &[u8] = b"OK\n";
/// The same with `option httpchk`.
const HEALTH_ANSWER_HTTP: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

/// How long, and for how many bytes, a client is heard out after its last answer.
const LINGER_US: u64 = 1_000_000;
const LINGER_BYTES_MAX: u64 = 1 << 20;

/// See the module's text.
pub struct LocalSession {
    pub accepted: Accepted,
    /// `None` in `mode health`.
    http: Option<LocalHttp>,
    output: BufferId,
    output_offset: u32,
    output_length: u32,
    /// Received while an answer was in flight.
    held: Vec<u8>,
    armed: u8,
    close_after_output: bool,
    lingering_since_us: Option<u64>,
    lingered_bytes: u64,
    /// The client's end of stream is still to be told to the machine.
    input_ended: bool,
    closing: bool,
    active_us: u64,
    /// When the present request's first byte came: a drip does not extend `timeout http-request`.
    request_since_us: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl LocalSession {
    pub fn new(accepted: Accepted, config: &Config) -> Self {
        let http = match config.proxy(accepted.frontend).mode {
            ProxyMode::Health => None,
            ProxyMode::Http | ProxyMode::Tcp => Some(LocalHttp::new(accepted.frontend)),
        };
        LocalSession {
            active_us: accepted.monotonic_us,
            request_since_us: accepted.monotonic_us,
            accepted,
            http,
            output: BufferId::NONE,
            output_offset: 0,
            output_length: 0,
            held: Vec::new(),
            armed: 0,
            close_after_output: false,
            lingering_since_us: None,
            lingered_bytes: 0,
            input_ended: false,
            closing: false,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    pub fn begin<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.http.is_none() {
            self.close_after_output = true;
            let backend = around.config().proxy(self.accepted.frontend).backend.as_ref();
            let http = backend.is_some_and(|backend| matches!(backend.check, CheckMethod::Http(_)));
            return self.answer(around, if http { HEALTH_ANSWER_HTTP } else { HEALTH_ANSWER });
        }
        self.arm_receive(around);
        Step::Continue
    }

    fn arm_receive<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        if self.armed & RECEIVE == 0 && !self.input_ended {
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

    /// An operation of this session completed. `hostname` is shown by `stats show-node`.
    pub fn completed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        hostname: &str,
        operation: Operation,
        completion: &Completion,
    ) -> Step {
        match operation {
            Operation::Receive(_) => self.received(around, hostname, completion),
            Operation::Send(_) => self.sent(around, hostname, completion.result),
            Operation::Writable(_) => {
                self.armed &= !WRITABLE;
                if self.closing { Step::Continue } else { self.send(around) }
            }
            _ => Step::Continue,
        }
    }

    fn received<D: Driver>(&mut self, around: &mut Surroundings<D>, hostname: &str, completion: &Completion) -> Step {
        if !completion.more {
            self.armed &= !(RECEIVE | RECEIVE_CANCELLED);
        }
        let count = completion.result.max(0) as usize;
        if count > 0 {
            self.bytes_in += count as u64;
            self.active_us = around.now.monotonic_us;
            if self.held.is_empty() && self.http.as_ref().is_some_and(|http| http.phase() == HttpPhase::Idle) {
                self.request_since_us = self.active_us;
            }
            if !self.closing && self.lingering_since_us.is_none() {
                let bytes = around.driver.bytes(completion.buffer);
                self.held.extend_from_slice(&bytes[..count.min(bytes.len())]);
            }
            around.driver.release(completion.buffer);
        }
        if self.closing {
            return Step::Continue;
        }
        if self.lingering_since_us.is_some() {
            return self.received_while_lingering(around, completion.result);
        }
        match completion.result {
            0 => self.input_ended = true,
            error if error < 0 && -error != libc::ECANCELED => return self.over(around),
            _ => {}
        }
        self.advance(around, hostname)
    }

    /// Feeds the machine what has come, if nothing is in flight.
    fn advance<D: Driver>(&mut self, around: &mut Surroundings<D>, hostname: &str) -> Step {
        if self.output.is_some() {
            self.pause(around);
            return Step::Continue;
        }
        let mut output = Vec::new();
        let (held, ended) = (std::mem::take(&mut self.held), self.input_ended);
        let verdict = self.with_machine(around, hostname, |http, context| {
            let mut verdict = Verdict::Continue;
            if !held.is_empty() || http.has_pending_input() {
                verdict = http.receive(&held, context, &mut output);
            }
            if ended && verdict == Verdict::Continue && !http.has_pending_input() {
                verdict = http.end_of_input(context, &mut output);
            }
            verdict
        });
        self.act(around, verdict, &output)
    }

    fn with_machine<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        hostname: &str,
        act: impl FnOnce(&mut LocalHttp, &mut LocalContext) -> Verdict,
    ) -> Verdict {
        let Some(http) = &mut self.http else { return Verdict::CloseAfterOutput };
        let client_ip = match &self.accepted.address {
            ClientAddress::Ip(address) => Some(address.ip()),
            _ => None,
        };
        let mut context = LocalContext {
            shared: around.shared,
            worker: around.worker as usize,
            now_us: around.now.monotonic_us,
            wall_us: around.now.wall_us,
            pid: std::process::id(),
            hostname,
            client_ip,
            state_logs: around.state_logs,
        };
        act(http, &mut context)
    }

    fn act<D: Driver>(&mut self, around: &mut Surroundings<D>, verdict: Verdict, output: &[u8]) -> Step {
        self.close_after_output |= verdict == Verdict::CloseAfterOutput;
        if !output.is_empty() {
            return self.answer(around, output);
        }
        if self.close_after_output {
            return self.over(around);
        }
        self.arm_receive(around);
        Step::Continue
    }

    fn answer<D: Driver>(&mut self, around: &mut Surroundings<D>, output: &[u8]) -> Step {
        self.output = around.driver.buffer_from(output);
        (self.output_offset, self.output_length) = (0, output.len() as u32);
        self.send(around)
    }

    fn send<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.armed |= SEND;
        let token = around.key.token(Operation::Send(Direction::Response));
        around.driver.send(self.accepted.client, self.output, self.output_offset, self.output_length, token);
        Step::Continue
    }

    fn sent<D: Driver>(&mut self, around: &mut Surroundings<D>, hostname: &str, result: i32) -> Step {
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
        self.bytes_out += count as u64;
        self.output_offset += count;
        self.output_length -= count;
        if self.output_length > 0 {
            self.armed |= WRITABLE;
            let token = around.key.token(Operation::Writable(Direction::Response));
            around.driver.poll_writable(self.accepted.client, token);
            return Step::Continue;
        }
        self.drop_output(around.driver);
        if self.close_after_output {
            return self.linger(around);
        }
        self.advance(around, hostname)
    }

    /// The answer is on its way. Closing now, with bytes of the client unread, would make a reset that can overtake it
    /// (RFC 9112 section 9.6): the end is sent, and what still comes is read and thrown away, for a while.
    fn linger<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.input_ended {
            return self.over(around);
        }
        self.lingering_since_us = Some(around.now.monotonic_us);
        around.driver.shutdown_write(self.accepted.client);
        self.arm_receive(around);
        Step::Continue
    }

    fn received_while_lingering<D: Driver>(&mut self, around: &mut Surroundings<D>, result: i32) -> Step {
        let cancelled = -result == libc::ECANCELED;
        self.lingered_bytes += u64::from(result.max(0) as u32);
        if result <= 0 && !cancelled || self.lingered_bytes > LINGER_BYTES_MAX {
            return self.over(around);
        }
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
        let timeouts = &config.proxy(self.accepted.frontend).timeouts;
        let waiting_to_send = self.output.is_some();
        let (since_us, timeout) = match self.http.as_ref().map(|http| http.phase()) {
            _ if waiting_to_send => (self.active_us, timeouts.client),
            Some(HttpPhase::Idle) => {
                (self.active_us, timeouts.http_keep_alive.or(timeouts.http_request).or(timeouts.client))
            }
            Some(HttpPhase::Head | HttpPhase::Body) => {
                (self.request_since_us, timeouts.http_request.or(timeouts.client))
            }
            None => (self.active_us, timeouts.client),
        };
        timeout.map(|timeout| since_us.saturating_add(timeout.as_micros() as u64))
    }

    pub fn timer_fired<D: Driver>(&mut self, around: &mut Surroundings<D>, hostname: &str) -> Step {
        let config = around.config().clone();
        if self.deadline_us(&config).is_none_or(|deadline_us| deadline_us > around.now.monotonic_us) {
            return Step::Continue;
        }
        if self.output.is_some() || self.close_after_output {
            return self.over(around);
        }
        let mut output = Vec::new();
        let verdict = self.with_machine(around, hostname, |http, context| http.timed_out(context, &mut output));
        self.active_us = around.now.monotonic_us;
        self.act(around, verdict, &output)
    }

    /// The client as the log names it.
    pub fn client_endpoint(&self) -> Endpoint {
        self.accepted.address.endpoint()
    }

    /// One per answered request.
    pub fn take_record(&mut self) -> Option<HttpRecord> {
        let mut record = self.http.as_mut().and_then(|http| http.take_record())?;
        if record.is_null {
            // Nothing ever came: the wait counts from the accept, which the machine does not see.
            record.active_ms += (record.started_us.saturating_sub(self.accepted.monotonic_us) / 1000) as i64;
            (record.started_us, record.started_wall_us) = (self.accepted.monotonic_us, self.accepted.wall_us);
        }
        Some(record)
    }

    /// Between two requests, with nothing to say: may be closed when the process drains.
    pub fn is_between_requests(&self) -> bool {
        self.output == BufferId::NONE && self.http.as_ref().is_none_or(|http| http.phase() == HttpPhase::Idle)
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
