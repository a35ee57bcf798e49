//! One health check as a machine: what happened goes in, what to do next comes out (configuration.txt 4.2
//! `option tcp-check`, `tcp-check …`, `option httpchk`, `http-check …`). No sockets, no clocks, no timers: the
//! caller holds the deadline and says when it is over.

mod describe;
mod http;
mod script;
mod smtp;
#[cfg(test)]
mod tests;

pub use script::Script;

use crate::policy::health::{CheckReport, status};
use crate::shared::server::CheckStatus;
use script::{Expectation, Kind, Pattern, Step};
use std::net::SocketAddr;
use std::sync::Arc;

/// Received bytes kept for an expectation; more than this counts as all there is (HAProxy: `tune.bufsize`).
pub const BUFFER_BYTES_MAX: usize = 16384;

/// Where a `tcp-check connect` rule wants to go instead of the server's check address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub port: Option<u16>,
    pub address: Option<SocketAddr>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Connected,
    /// All bytes of the last [`Command::Send`] are on their way.
    Sent,
    Received(&'a [u8]),
    EndOfInput,
    /// An errno, from connect, send or receive.
    Failed(i32),
    /// The deadline is over.
    Timeout,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Close the present connection if there is one, and open a new one.
    Connect(Target),
    Send(Vec<u8>),
    /// Receive, or go on receiving.
    Receive,
    /// Close; the verdict is for [`crate::policy::health::check_finished`].
    Done(CheckReport),
    /// Close; our own resources failed: for [`crate::policy::health::check_impossible`].
    Impossible(CheckReport),
}

/// What the machine must know of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The server is not down: `disable-on-404` applies.
    pub server_is_up: bool,
    /// The value of `X-Haproxy-Server-State` (`http-check send-state`).
    pub server_state: Option<String>,
}

/// A check under way.
pub struct Probe {
    script: Arc<Script>,
    context: Context,
    started_us: u64,
    /// Index of the step under way.
    current: usize,
    received: Vec<u8>,
    end_of_input: bool,
    connected: bool,
    /// A connect or send is under way: what arrives meanwhile is kept for the step after it.
    busy: bool,
}

impl Probe {
    /// Starts a check; the command is always [`Command::Connect`].
    pub fn start(script: Arc<Script>, context: Context, now_us: u64) -> (Probe, Command) {
        let mut probe = Probe {
            script,
            context,
            started_us: now_us,
            current: 0,
            received: Vec::new(),
            end_of_input: false,
            connected: false,
            busy: false,
        };
        let command = probe.advance(now_us);
        (probe, command)
    }

    /// Connecting (the connect timeout counts) or already talking (`timeout check` counts).
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Takes one event. After `Done` or `Impossible` the machine must not be asked again; it would answer the same.
    pub fn on(&mut self, event: Event, now_us: u64) -> Command {
        match event {
            Event::Connected => {
                (self.connected, self.busy) = (true, false);
                self.current += 1;
                self.advance(now_us)
            }
            Event::Sent => {
                self.busy = false;
                self.current += 1;
                self.advance(now_us)
            }
            Event::Received(bytes) => {
                let room = BUFFER_BYTES_MAX - self.received.len().min(BUFFER_BYTES_MAX);
                self.received.extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.advance(now_us)
            }
            Event::EndOfInput => {
                self.end_of_input = true;
                self.advance(now_us)
            }
            Event::Failed(errno) => self.failed(errno, now_us),
            Event::Timeout => {
                let status = match (self.connected, self.step()) {
                    (false, _) => CheckStatus::Layer4Timeout,
                    (true, Some(Step::Expect(expectation))) => expectation.timeout_status,
                    (true, _) => CheckStatus::Layer7Timeout,
                };
                Command::Done(self.report(status, 0, describe::trouble(&self.script, self.current, ""), now_us))
            }
        }
    }

    fn step(&self) -> Option<&Step> {
        self.script.steps.get(self.current).map(|entry| &entry.step)
    }

    /// Goes on from the current step as far as it can without waiting.
    fn advance(&mut self, now_us: u64) -> Command {
        if self.busy {
            return Command::Receive;
        }
        loop {
            let Some(entry) = self.script.steps.get(self.current) else { return self.succeeded(now_us) };
            match &entry.step {
                Step::Connect(target) => {
                    let target = *target;
                    (self.connected, self.end_of_input, self.busy) = (false, false, true);
                    self.received.clear();
                    return Command::Connect(target);
                }
                Step::Send(_) | Step::Request(_) => {
                    let bytes = match &entry.step {
                        Step::Request(request) => request.bytes(self.context.server_state.as_deref()),
                        Step::Send(bytes) => bytes.clone(),
                        Step::Connect(_) | Step::Expect(_) => Vec::new(),
                    };
                    // What came before is no answer to this; what comes while it is sent may be one.
                    self.received.clear();
                    self.busy = true;
                    return Command::Send(bytes);
                }
                Step::Expect(expectation) => match self.evaluate(expectation) {
                    Verdict::Wait if !self.end_of_input => return Command::Receive,
                    Verdict::Wait => return Command::Done(self.mismatch(Mismatch::invalid(""), now_us)),
                    Verdict::Matched => self.current += 1,
                    Verdict::Mismatched(mismatch) => return Command::Done(self.mismatch(mismatch, now_us)),
                    Verdict::NotFound(code) => {
                        return Command::Done(self.report(
                            CheckStatus::Layer7OkConditional,
                            code,
                            String::new(),
                            now_us,
                        ));
                    }
                },
            }
        }
    }

    fn evaluate(&self, expectation: &Expectation) -> Verdict {
        let last = self.end_of_input || self.received.len() >= BUFFER_BYTES_MAX;
        match self.script.kind {
            Kind::Http => self.evaluate_http(expectation, last),
            Kind::Plain | Kind::Tcp => self.evaluate_stream(expectation, last),
            Kind::Smtp => self.evaluate_smtp(last),
        }
    }

    fn evaluate_stream(&self, expectation: &Expectation, last: bool) -> Verdict {
        let number = describe::number(&self.script, self.current);
        if self.received.is_empty() {
            let text = format!("TCPCHK got an empty response at step {number}");
            return if last { Verdict::Mismatched(Mismatch::invalid(&text)) } else { Verdict::Wait };
        }
        if !last && self.received.len() < expectation.min_receive_bytes {
            return Verdict::Wait;
        }
        let found = expectation.pattern.is_in(&self.received);
        let content = describe::content(&expectation.pattern);
        match (found, expectation.negate) {
            (true, false) => Verdict::Matched,
            (true, true) => Verdict::Mismatched(Mismatch::invalid(&format!(
                "TCPCHK matched unwanted content {content} at step {number}"
            ))),
            (false, _) if !last => Verdict::Wait,
            (false, true) => Verdict::Matched,
            (false, false) => Verdict::Mismatched(Mismatch::invalid(&format!(
                "TCPCHK did not match content {content} at step {number}"
            ))),
        }
    }

    fn evaluate_smtp(&self, last: bool) -> Verdict {
        match smtp::parse(&self.received, last) {
            smtp::Reply::Complete { code: 200..=299, .. } => Verdict::Matched,
            smtp::Reply::Complete { code, text } => Verdict::Mismatched(Mismatch {
                status: CheckStatus::Layer7Status,
                code,
                text: describe::printable(text),
            }),
            smtp::Reply::Invalid(line) => Verdict::Mismatched(Mismatch::invalid(&describe::printable(line))),
            smtp::Reply::Incomplete if !last => Verdict::Wait,
            smtp::Reply::Incomplete => {
                let number = describe::number(&self.script, self.current) + 1;
                Verdict::Mismatched(Mismatch::invalid(&format!("TCPCHK got an empty response at step {number}")))
            }
        }
    }

    fn evaluate_http(&self, expectation: &Expectation, last: bool) -> Verdict {
        let response = match http::parse(&self.received, self.end_of_input) {
            http::Parsed::Incomplete if !last => return Verdict::Wait,
            http::Parsed::Incomplete | http::Parsed::Invalid => return Verdict::Mismatched(Mismatch::invalid("")),
            http::Parsed::Response(response) => response,
        };
        if response.status == 404 && self.script.disable_on_404 && self.context.server_is_up {
            return Verdict::NotFound(response.status);
        }
        if let Pattern::Status(_) | Pattern::StatusRegex(_) = &expectation.pattern {
            return match expectation.pattern.is_status(response.status) != expectation.negate {
                true => Verdict::Matched,
                false => Verdict::Mismatched(Mismatch {
                    status: CheckStatus::Layer7Status,
                    code: response.status,
                    text: describe::printable(&response.reason),
                }),
            };
        }
        let complete = response.complete || last;
        if !complete && response.body.len() < expectation.min_receive_bytes {
            return Verdict::Wait;
        }
        match (expectation.pattern.is_in(&response.body), expectation.negate) {
            (true, false) => Verdict::Matched,
            (true, true) => Verdict::Mismatched(Mismatch::invalid("HTTP check matched unwanted content")),
            (false, _) if !complete => Verdict::Wait,
            (false, _) if response.body.is_empty() => {
                Verdict::Mismatched(Mismatch::invalid("HTTP content check could not find a response body"))
            }
            (false, true) => Verdict::Matched,
            (false, false) => Verdict::Mismatched(Mismatch::invalid("HTTP content check did not match")),
        }
    }

    fn mismatch(&self, mismatch: Mismatch, now_us: u64) -> CheckReport {
        let Some(entry) = self.script.steps.get(self.current) else {
            return self.report(mismatch.status, mismatch.code, mismatch.text, now_us);
        };
        let Step::Expect(expectation) = &entry.step else {
            return self.report(mismatch.status, mismatch.code, mismatch.text, now_us);
        };
        let text = match (&expectation.on_error, &entry.comment) {
            (Some(text), _) => text.clone(),
            (None, Some(comment)) if !mismatch.text.is_empty() => format!("{} comment: {comment}", mismatch.text),
            (None, _) => mismatch.text,
        };
        let status = expectation.error_status.unwrap_or(mismatch.status);
        self.report(status, mismatch.code, text, now_us)
    }

    fn succeeded(&self, now_us: u64) -> Command {
        let last = self.script.steps.iter().rev().find_map(|entry| match &entry.step {
            Step::Expect(expectation) => Some(expectation),
            _ => None,
        });
        let talked = self.script.steps.iter().any(|entry| !matches!(entry.step, Step::Connect(_)));
        let status = match (last.and_then(|last| last.ok_status), talked) {
            (Some(status), _) => status,
            (None, true) => CheckStatus::Layer7Ok,
            (None, false) => CheckStatus::Layer4Ok,
        };
        let text = match (last.and_then(|last| last.on_success.as_deref()), self.script.kind) {
            (Some(text), _) => text,
            // The bare option has nothing to say beyond the status.
            (None, Kind::Tcp) if talked || !self.script.implicit_connect => "(tcp-check)",
            (None, Kind::Plain | Kind::Tcp | Kind::Http | Kind::Smtp) => "",
        };
        let mut text = text.to_owned();
        let mut code = match http::parse(&self.received, self.end_of_input) {
            http::Parsed::Response(response) if self.script.kind == Kind::Http => response.status,
            _ => 0,
        };
        if self.script.kind == Kind::Smtp
            && let smtp::Reply::Complete { code: last_code, text: last_text } = smtp::parse(&self.received, true)
        {
            (code, text) = (last_code, describe::printable(last_text));
        }
        Command::Done(self.report(status, code, text, now_us))
    }

    fn failed(&self, errno: i32, now_us: u64) -> Command {
        let message = describe::errno(errno);
        let text = describe::trouble(&self.script, self.current, &message);
        if describe::is_own_shortage(errno) && !self.connected {
            return Command::Impossible(self.report(CheckStatus::SocketError, 0, text, now_us));
        }
        let status = match (self.connected, errno) {
            (false, libc::ETIMEDOUT) => CheckStatus::Layer4Timeout,
            (false, _) => CheckStatus::Layer4ConnectionError,
            (true, _) => CheckStatus::SocketError,
        };
        Command::Done(self.report(status, 0, text, now_us))
    }

    fn report(&self, status: CheckStatus, code: u16, description: String, now_us: u64) -> CheckReport {
        CheckReport {
            status,
            code: if status::has_code(status) { code } else { 0 },
            duration_ms: Some(now_us.saturating_sub(self.started_us) / 1000),
            description: describe::bounded(description),
        }
    }
}

/// What an expectation says of the bytes so far.
enum Verdict {
    Wait,
    Matched,
    Mismatched(Mismatch),
    /// `disable-on-404`: passed on condition.
    NotFound(u16),
}

struct Mismatch {
    status: CheckStatus,
    code: u16,
    text: String,
}

impl Mismatch {
    fn invalid(text: &str) -> Mismatch {
        Mismatch { status: CheckStatus::Layer7InvalidResponse, code: 0, text: text.to_string() }
    }
}
