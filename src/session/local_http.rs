//! The HTTP side of a frontend that answers by itself: the stats page. One machine per client connection.

mod exchange;
mod record;
#[cfg(test)]
mod tests;

pub use record::HttpRecord;

use super::local_context::{LocalContext, Verdict};
use crate::config::model::{Proxy, ProxyId};
use crate::proto::http1::body::{BodyProgress, BodyReader};
use crate::proto::http1::framing::{Framing, message_rules};
use crate::proto::http1::head::{HeadLimits, HeadParser, RequestError, RequestHead, absolute_form_path};
use crate::proto::http1::response::{self, error_page};
use exchange::{Answer, Request};
use record::RequestClock;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::Relaxed;

/// Where the connection stands; tells the caller which timeout applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpPhase {
    /// Between requests, nothing received yet: `timeout http-keep-alive` (before the first one: `timeout http-request`).
    Idle,
    /// A request head has begun: `timeout http-request`.
    Head,
    /// A request body is awaited: `timeout http-request`, too.
    Body,
}

/// Answers made in one call stop at this; the rest of the input is taken up again by the next call, so that a client
/// that sends many requests at once and reads nothing costs one answer's memory.
const OUTPUT_BYTES_PER_CALL: usize = 64 * 1024;
/// A body longer than this is not read to its end: the connection closes after the answer.
const DRAIN_BYTES_MAX: u64 = 256 * 1024;

enum State {
    Head,
    /// The request waits for the rest of its body.
    Body {
        request: Box<Request>,
        body: BodyReader,
    },
    Closed,
}

/// One client connection of a `mode http` frontend that has `stats`.
pub struct LocalHttp {
    frontend: ProxyId,
    may_administer: bool,
    state: State,
    parser: HeadParser,
    /// Received and not yet used.
    input: Vec<u8>,
    /// Set from the first byte of a request to its answer.
    clock: Option<RequestClock>,
    requests: u64,
    records: VecDeque<HttpRecord>,
}

/// Whether a request for `target` is for the page of `proxy`.
pub fn is_for_page(proxy: &Proxy, target: &[u8]) -> bool {
    let path = absolute_form_path(target).unwrap_or(target);
    proxy.stats.as_ref().is_some_and(|settings| path.starts_with(settings.uri.as_bytes()))
}

impl LocalHttp {
    /// `may_administer`: a `stats admin` condition holds for the client.
    pub fn new(frontend: ProxyId, may_administer: bool) -> LocalHttp {
        LocalHttp {
            frontend,
            may_administer,
            state: State::Head,
            parser: HeadParser::new(HeadLimits::default()),
            input: Vec::new(),
            clock: None,
            requests: 0,
            records: VecDeque::new(),
        }
    }

    /// Takes bytes from the client in any pieces; appends answers to `output`. When [`LocalHttp::has_pending_input`]
    /// afterwards, call again with no bytes once the output has been sent.
    pub fn receive(&mut self, input: &[u8], context: &mut LocalContext, output: &mut Vec<u8>) -> Verdict {
        if !matches!(self.state, State::Closed) {
            self.input.extend_from_slice(input);
        }
        while output.len() < OUTPUT_BYTES_PER_CALL {
            let verdict = match &self.state {
                State::Closed => Some(Verdict::CloseAfterOutput),
                State::Head => self.advance_head(context, output),
                State::Body { .. } => self.advance_body(context, output),
            };
            match verdict {
                Some(Verdict::Continue) => {}
                Some(Verdict::CloseAfterOutput) => return self.close(),
                None => break,
            }
        }
        Verdict::Continue
    }

    /// The call before stopped at a full output: there is more to answer.
    pub fn has_pending_input(&self) -> bool {
        !self.input.is_empty() && !matches!(self.state, State::Closed) && !self.parser.has_seen_all(&self.input)
    }

    /// The client has finished sending, or reset the connection: anything half received is lost.
    pub fn end_of_input(&mut self, context: &mut LocalContext, _output: &mut Vec<u8>) -> Verdict {
        // A first connection that says nothing is a request that failed, too (unless `dontlognull`); one that closes
        // between two requests is not.
        if self.phase() != HttpPhase::Idle || self.requests == 0 {
            if matches!(self.state, State::Head) {
                self.start_clock(context);
            }
            self.refuse(400, *b"CR", context);
        }
        self.close()
    }

    /// The timeout of the present [`HttpPhase`] has expired: 408 when a request was due.
    pub fn timed_out(&mut self, context: &mut LocalContext, output: &mut Vec<u8>) -> Verdict {
        if let State::Body { request, .. } = std::mem::replace(&mut self.state, State::Head) {
            if let Some(counters) = context.counters().proxies.get(self.frontend.index()) {
                counters.frontend_request_errors.increment();
            }
            self.finish(&request.closing(), Answer::error(408, exchange::AnsweredBy::Stats), context, output);
        } else if self.phase() != HttpPhase::Idle || self.requests == 0 {
            self.start_clock(context);
            render_error(408, output);
            self.refuse(408, *b"cR", context);
        }
        self.close()
    }

    pub fn phase(&self) -> HttpPhase {
        match self.state {
            State::Body { .. } => HttpPhase::Body,
            _ if self.parser.has_begun(&self.input) => HttpPhase::Head,
            _ => HttpPhase::Idle,
        }
    }

    /// One per answered request, in order; call until `None`.
    pub fn take_record(&mut self) -> Option<HttpRecord> {
        self.records.pop_front()
    }

    fn close(&mut self) -> Verdict {
        self.state = State::Closed;
        self.input = Vec::new();
        Verdict::CloseAfterOutput
    }

    fn start_clock(&mut self, context: &LocalContext) {
        self.clock.get_or_insert_with(|| RequestClock::start(context.now_us, context.wall_us));
    }

    /// `None`: more bytes are needed.
    fn advance_head(&mut self, context: &mut LocalContext, output: &mut Vec<u8>) -> Option<Verdict> {
        let parsed = self.parser.advance(&self.input);
        if self.parser.has_begun(&self.input) || !matches!(parsed, Ok(None)) {
            self.start_clock(context);
        }
        let head = match parsed {
            Ok(None) => return None,
            Ok(Some(head)) => head,
            Err(error) => return Some(self.refuse_malformed(error, context, output)),
        };
        let rules = match message_rules(&head, &self.input) {
            Ok(rules) => rules,
            Err(error) => return Some(self.refuse_malformed(error, context, output)),
        };
        if let Some(clock) = &mut self.clock {
            clock.head_complete(context.now_us, head.length_bytes);
        }
        let proxy = &context.shared.config.proxy(self.frontend);
        // A process that stops answers what is asked, and closes.
        let stopping = context.shared.process.stopping.load(Ordering::Relaxed);
        let keep_alive = rules.keep_alive && !proxy.options.httpclose && !stopping;
        let request = Request::read(&head, &self.input, keep_alive, proxy, self.may_administer);
        self.consume_head(&head);
        if rules.framing == Framing::Length(0) {
            return Some(self.answer(request, None, context, output));
        }
        if !request.wants_body() && (rules.expects_continue || !request.is_allowed()) {
            // The client may never send the body now; whether it does cannot be told from a next request.
            return Some(self.answer(request.closing(), None, context, output));
        }
        if rules.expects_continue {
            output.extend_from_slice(response::CONTINUE);
        }
        let body = BodyReader::new(rules.framing, request.body_bytes_max(), DRAIN_BYTES_MAX);
        self.state = State::Body { request: Box::new(request), body };
        Some(Verdict::Continue)
    }

    fn consume_head(&mut self, head: &RequestHead) {
        self.input.drain(..head.length_bytes.min(self.input.len()));
        self.parser = HeadParser::new(HeadLimits::default());
    }

    fn advance_body(&mut self, context: &mut LocalContext, output: &mut Vec<u8>) -> Option<Verdict> {
        let State::Body { body, .. } = &mut self.state else { return None };
        let (taken, progress) = body.receive(&self.input);
        self.input.drain(..taken.min(self.input.len()));
        if let Some(clock) = &mut self.clock {
            clock.add_request_bytes(taken);
        }
        if progress == BodyProgress::More {
            return None;
        }
        let State::Body { request, body } = std::mem::replace(&mut self.state, State::Head) else { return None };
        Some(match progress {
            BodyProgress::Malformed => self.refuse_malformed(RequestError::Malformed, context, output),
            BodyProgress::TooLong => self.answer(request.closing(), Some(&body), context, output),
            BodyProgress::Done | BodyProgress::More => self.answer(*request, Some(&body), context, output),
        })
    }

    fn answer(
        &mut self,
        request: Request,
        body: Option<&BodyReader>,
        context: &mut LocalContext,
        output: &mut Vec<u8>,
    ) -> Verdict {
        let answer = request.answer(self.frontend, body, context);
        self.finish(&request, answer, context, output)
    }

    fn finish(&mut self, request: &Request, answer: Answer, context: &LocalContext, output: &mut Vec<u8>) -> Verdict {
        let before = output.len();
        let keep_alive = answer.render(request, output);
        let clock = self.clock.take().unwrap_or_else(|| RequestClock::start(context.now_us, context.wall_us));
        let record = clock.finish(request, &answer, output.len() - before, context.now_us);
        self.count_answer(&answer, &record, context);
        self.records.push_back(record);
        self.requests += 1;
        if keep_alive { Verdict::Continue } else { Verdict::CloseAfterOutput }
    }

    /// As HAProxy books an answer of its own: bytes on both halves, the rest on the frontend, but a missing server on
    /// the backend. Requests that could not be read book no bytes.
    fn count_answer(&self, answer: &Answer, record: &HttpRecord, context: &LocalContext) {
        let Some(counters) = context.counters().proxies.get(self.frontend.index()) else { return };
        counters.frontend_bytes_in.add(record.request_bytes);
        counters.frontend_bytes_out.add(record.response_bytes);
        if context.shared.config.proxy(self.frontend).backend.is_some() {
            counters.backend_bytes_in.add(record.request_bytes);
            counters.backend_bytes_out.add(record.response_bytes);
            context.shared.proxy(self.frontend).last_session_wall_s.store(context.wall_us / 1_000_000, Relaxed);
        }
        self.count_request(context);
        record::count_frontend_status(counters, answer.status);
        match answer.by {
            exchange::AnsweredBy::Stats => counters.frontend_intercepted.increment(),
            exchange::AnsweredBy::NoServer => {
                let proxy: &Proxy = context.shared.config.proxy(self.frontend);
                if proxy.backend.is_some() {
                    counters.backend_sessions.increment();
                    counters.backend_requests.increment();
                    counters.backend_connection_errors.increment();
                    counters.backend_http_5xx.increment();
                }
            }
        }
    }

    fn count_request(&self, context: &LocalContext) {
        if let Some(counters) = context.counters().proxies.get(self.frontend.index()) {
            counters.frontend_requests.increment();
            context.shared.proxy(self.frontend).frontend_request_rate.count(context.now_us);
        }
    }

    fn refuse_malformed(&mut self, error: RequestError, context: &LocalContext, output: &mut Vec<u8>) -> Verdict {
        render_error(error.status(), output);
        self.refuse(error.status(), *b"PR", context);
        Verdict::CloseAfterOutput
    }

    /// Counts and records a request that never became one.
    fn refuse(&mut self, status: u16, termination: [u8; 2], context: &LocalContext) {
        self.count_request(context);
        if let Some(counters) = context.counters().proxies.get(self.frontend.index()) {
            counters.frontend_request_errors.increment();
            record::count_frontend_status(counters, status);
        }
        let clock = self.clock.take().unwrap_or_else(|| RequestClock::start(context.now_us, context.wall_us));
        let nothing_came = self.input.is_empty() && matches!(self.state, State::Head);
        self.records.push_back(clock.refused(status, termination, self.input.len(), nothing_came, context.now_us));
        self.requests += 1;
    }
}

fn render_error(status: u16, output: &mut Vec<u8>) {
    let page = error_page(status);
    let length = page.len().to_string();
    let headers = [
        ("content-length", length.as_str()),
        ("cache-control", "no-cache"),
        ("connection", "close"),
        ("content-type", "text/html"),
    ];
    response::render_head(status, &headers, output);
    output.extend_from_slice(page.as_bytes());
}
