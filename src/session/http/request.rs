//! A request's head: received, parsed, counted, and put to the rules, until it has a backend.

use super::connection::WAITING_SEGMENTS_MAX;
use super::policies::Asked;
use super::transfer::{Encoding, Framing, Progress, Transfer};
use super::work::Work;
use super::{HttpSession, Resume, Stage};
use crate::config::model::{HttpSettings, ProxyId};
use crate::io::Driver;
use crate::policy::http_rules::RequestVerdict;
use crate::policy::{reply, stick_tables};
use crate::proto::http1::chunked::ChunkedDecoder;
use crate::proto::http1::exchange_framing::{Body, RequestRules, request_framing};
use crate::proto::http1::head::{HeadLimits, RequestError, Version};
use crate::proto::http1::response;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};
use std::sync::atomic::Ordering;

impl HttpSession {
    /// Reads what has come of the next request, as far as it goes.
    pub(super) fn read_request<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.is_input_spoiled {
            self.client.discard_input(around.driver);
            return Step::Continue;
        }
        while self.client.has_input() {
            if self.work.is_none() {
                self.begin_exchange(around);
            }
            let Some(mut work) = self.work.take() else { return Step::Continue };
            let parsed = self.parse_head(around, &mut work);
            match parsed {
                Ok(true) => {
                    let step = self.head_complete(around, &mut work);
                    return self.keep(around, work, step);
                }
                Ok(false) => self.work = Some(work),
                Err(error) => {
                    let step = self.refuse_request(around, &mut work, error);
                    return self.keep(around, work, step);
                }
            }
        }
        if self.client.end_of_stream() {
            return self.ended_before_request(around);
        }
        self.client.receive(around.driver);
        Step::Continue
    }

    /// Puts the work back, unless the exchange has ended meanwhile.
    pub(super) fn keep<D: Driver>(&mut self, around: &mut Surroundings<D>, work: Box<Work>, step: Step) -> Step {
        if self.work.is_some() || matches!(self.stage, Stage::Idle | Stage::Closing | Stage::Lingering { .. }) {
            around.http.give_back(work);
        } else {
            self.work = Some(work);
        }
        step
    }

    /// The first byte of a request is here.
    fn begin_exchange<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        let global = &around.shared.config.global;
        let limits = HeadLimits {
            head_bytes_max: (global.bufsize_bytes.saturating_sub(global.maxrewrite_bytes)) as usize,
            headers_max: global.http_header_lines_max.saturating_sub(1) as usize,
        };
        let lenient = around.shared.config.proxy(self.accepted.frontend).http.accept_invalid_request;
        let mut work = around.http.take_work();
        let now = around.now;
        work.begin(limits, lenient, now.monotonic_us, now.wall_us);
        work.exchange.times.idle_ms = milliseconds(now.monotonic_us.saturating_sub(self.idle_since_us));
        // What is in the input came with this event; what was counted before belongs to earlier exchanges.
        work.client_bytes_before = self.client.received_bytes - self.input_bytes(around);
        work.client_sent_before = self.client.sent_bytes;
        self.facts.exchanges = self.facts.exchanges.saturating_add(1);
        if self.facts.exchanges > 1 {
            // Each request has its own number: `unique-id-format` counts on it. The first has the connection's.
            self.facts.sequence = around.shared.process.connection_sequence.fetch_add(1, Ordering::Relaxed);
        }
        (self.facts.source, self.facts.destination) = (self.source, self.destination);
        self.stage = Stage::Head;
        self.work = Some(work);
    }

    fn input_bytes<D: Driver>(&mut self, around: &Surroundings<D>) -> u64 {
        self.client.front(around.driver).len() as u64
    }

    /// Looks at the first received segment. True: the head is whole, in the exchange's request.
    fn parse_head<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Result<bool, RequestError> {
        let front = self.client.front(around.driver);
        let (before, count) = (work.head_bytes.len(), front.len());
        let request = &mut work.exchange.request;
        let whole = if before == 0 {
            // Nearly always the whole head is in one buffer and is read where it lies.
            work.parser.advance_into(front, request)?
        } else {
            work.head_bytes.extend_from_slice(front);
            work.parser.advance_into(&work.head_bytes, request)?
        };
        match whole {
            Some(length) => self.client.consume(around.driver, length.saturating_sub(before)),
            None => {
                if before == 0 {
                    work.head_bytes.extend_from_slice(front);
                }
                self.client.consume(around.driver, count);
            }
        }
        Ok(whole.is_some())
    }

    /// The head is whole: framing, counters, rules.
    fn head_complete<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let now = around.now;
        work.head_us = now.monotonic_us;
        work.exchange.times.request_ms = milliseconds(now.monotonic_us.saturating_sub(work.begun_us));
        work.note_request_line();
        let shared = around.shared.clone();
        let frontend = self.accepted.frontend;
        let settings = &shared.config.proxy(frontend).http;
        let rules = RequestRules {
            accept_invalid: settings.accept_invalid_request,
            use_proxy_header: settings.use_proxy_header,
        };
        work.framing = match request_framing(&mut work.exchange.request, rules) {
            Ok(framing) => framing,
            Err(error) => return self.refuse_request(around, work, error),
        };
        self.count_request(around);
        work.expects_continue = work.framing.expects_continue;
        work.client_keeps_alive = work.framing.keep_alive && !around.http.is_stopping;
        let (source, encoding) = match work.framing.body {
            Body::Length(length) => {
                work.exchange.request_content_length = Some(length);
                (Framing::Length(length), Encoding::Plain)
            }
            Body::Chunked => (Framing::Chunked(ChunkedDecoder::default()), Encoding::Chunked),
            Body::None | Body::UntilClose | Body::Tunnel => (Framing::Nothing, Encoding::Plain),
        };
        let splice = shared.config.proxy(frontend).splice.request;
        work.request_body = Transfer::new(source, encoding, splice);
        work.exchange.is_request_body_complete = work.request_body.is_done();
        if let Some(reply) = self.ask(around, work, frontend, |scope| reply::is_monitor(scope)) {
            shared_counter(around, frontend).frontend_intercepted.increment();
            work.is_unlogged = !reply.is_logged;
            return self.answer(around, work, reply);
        }
        self.ask(around, work, frontend, crate::policy::captures::request);
        self.run_rules(around, work, Resume::Frontend(0))
    }

    fn count_request<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        let frontend = self.accepted.frontend;
        around.proxy_counters(frontend).frontend_requests.increment();
        around.shared.proxy(frontend).frontend_request_rate.count(around.now.monotonic_us);
        stick_tables::count_request(&self.facts, around.now.monotonic_us);
    }

    /// Runs rules from `resume` on, until the request has a backend or an answer, or must wait.
    pub(super) fn run_rules<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        resume: Resume,
    ) -> Step {
        let frontend = self.accepted.frontend;
        if let Resume::Statistics(proxy) = resume {
            return self.answer_statistics(around, work, proxy);
        }
        let mut resume = resume;
        if let Resume::Frontend(from) = resume {
            match self.proxy_rules(around, work, frontend, from, Resume::Frontend) {
                Asked::Continue => {}
                Asked::Stop(step) => return step,
            }
            let by_old_rule = work.exchange.backend;
            let backend =
                by_old_rule.or_else(|| self.ask(around, work, frontend, crate::policy::switching::choose_backend));
            let Some(backend) = backend else {
                work.exchange.times.request_ms = -1;
                return self.no_server(around, work, frontend);
            };
            self.enter_backend(around, work, backend);
            if backend == frontend {
                resume = Resume::Server;
            } else {
                resume = Resume::Backend(0);
            }
        }
        let Some(backend) = work.exchange.backend else { return self.no_server(around, work, frontend) };
        if let Resume::Backend(from) = resume {
            match self.proxy_rules(around, work, backend, from, Resume::Backend) {
                Asked::Continue => {}
                Asked::Stop(step) => return step,
            }
        }
        if let Some(step) = self.wait_for_whole_body(around, work, backend) {
            return step;
        }
        self.find_server(around, work, backend)
    }

    /// The rule sets of one proxy, in their order. `resume_as` makes the place to go on at.
    fn proxy_rules<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
        from: usize,
        resume_as: fn(usize) -> Resume,
    ) -> Asked {
        let mut from = from;
        if from == 0
            && let stop @ Asked::Stop(_) = self.content_rules(around, work, proxy)
        {
            return stop;
        }
        loop {
            let verdict = self.ask(around, work, proxy, |scope| crate::policy::http_rules::request(scope, from));
            match verdict {
                RequestVerdict::Continue => break,
                RequestVerdict::WaitForBody { time, at_least_bytes, resume } => {
                    if work.request_body.is_done() {
                        from = resume;
                        continue;
                    }
                    let until_us = around.now.monotonic_us.saturating_add(time.as_micros() as u64);
                    let at_least_bytes = usize::try_from(at_least_bytes).unwrap_or(usize::MAX);
                    return Asked::Stop(self.wait_for_body(around, work, resume_as(resume), until_us, at_least_bytes));
                }
                RequestVerdict::EarlyHint { hint, resume } => {
                    if !work.is_http10() {
                        let mut bytes = Vec::new();
                        hint.write_to(&mut bytes);
                        self.client.push_bytes(around.driver, &bytes);
                    }
                    from = resume;
                }
                verdict => return Asked::Stop(self.act_on_verdict(around, work, proxy, verdict)),
            }
        }
        if !self.ask(around, work, proxy, crate::policy::odd_header_names::restrict) {
            let reply = self.ask(around, work, proxy, |scope| reply::error(scope, 403)).with_termination(*b"PR");
            return Asked::Stop(self.act_on_verdict(around, work, proxy, RequestVerdict::Answer(reply)));
        }
        let verdict = self.ask(around, work, proxy, crate::policy::old_rules::request);
        match self.old_verdict(around, work, proxy, verdict) {
            Asked::Continue => {}
            stop => return stop,
        }
        if let Some(step) = self.statistics(around, work, proxy) {
            return Asked::Stop(step);
        }
        match self.ask(around, work, proxy, crate::policy::http_rules::redirects) {
            None if work.exchange.answering_cache().is_some() => {
                Asked::Stop(self.answer_from_cache(around, work, proxy))
            }
            None => Asked::Continue,
            Some(reply) => Asked::Stop(self.act_on_verdict(around, work, proxy, RequestVerdict::Answer(reply))),
        }
    }

    /// A rule has decided: an answer, a tarpit, or the end.
    pub(super) fn act_on_verdict<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
        verdict: RequestVerdict,
    ) -> Step {
        match verdict {
            RequestVerdict::Answer(reply) => {
                self.count_denied_or_intercepted(around, work, proxy, &reply);
                self.answer(around, work, reply)
            }
            RequestVerdict::Tarpit(reply) => {
                self.count_error(around, work);
                self.count_denied(around, proxy);
                let timeouts = &around.config().proxy(proxy).timeouts;
                let time = timeouts.tarpit.or(timeouts.connect).unwrap_or_default();
                let until_us = around.now.monotonic_us.saturating_add(time.as_micros() as u64);
                self.stage = Stage::Tarpit { until_us, reply: Box::new(reply) };
                Step::Continue
            }
            RequestVerdict::Reject => {
                self.count_denied(around, proxy);
                work.exchange.times.request_ms = -1;
                work.termination = Some(Termination::new(Cause::Proxy, Phase::Request));
                self.end_without_answer(around, work)
            }
            RequestVerdict::SilentDrop => {
                self.count_denied(around, proxy);
                work.exchange.times.request_ms = -1;
                work.termination = Some(Termination::new(Cause::Proxy, Phase::Request));
                let _ = around.driver.set_option(self.client.socket, &crate::io::SocketOption::SilentClose);
                self.end_without_answer(around, work)
            }
            // The caller has looked at these.
            RequestVerdict::Continue | RequestVerdict::WaitForBody { .. } | RequestVerdict::EarlyHint { .. } => {
                Step::Continue
            }
        }
    }

    pub(super) fn count_denied<D: Driver>(&mut self, around: &mut Surroundings<D>, proxy: ProxyId) {
        around.proxy_counters(self.accepted.frontend).frontend_denied_requests.increment();
        around.listener_counters(self.accepted.listener).denied_requests.increment();
        if proxy != self.accepted.frontend {
            around.proxy_counters(proxy).backend_denied_requests.increment();
        }
    }

    /// For stick tables: a request that was answered with a refusal. One that gets no answer is none (seen with 2.6).
    pub(super) fn count_error<D: Driver>(&self, around: &Surroundings<D>, work: &Work) {
        stick_tables::count_error(&self.facts, &work.exchange, around.now.monotonic_us);
    }

    fn count_denied_or_intercepted<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &Work,
        proxy: ProxyId,
        reply: &reply::Reply,
    ) {
        if reply.termination == Some(*b"PR") {
            self.count_error(around, work);
            self.count_denied(around, proxy);
        } else {
            around.proxy_counters(self.accepted.frontend).frontend_intercepted.increment();
            if reply.asks_for_password() {
                self.count_error(around, work);
            }
        }
    }

    /// The request goes to `backend`: it is counted there from now on.
    fn enter_backend<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, backend: ProxyId) {
        work.exchange.backend = Some(backend);
        let (now, state) = (around.now, around.shared.proxy(backend));
        state.backend_session_rate.count(now.monotonic_us);
        state.last_session_wall_s.store(now.wall_us / 1_000_000, Ordering::Relaxed);
        around.proxy_counters(backend).backend_sessions.increment();
        around.proxy_counters(backend).backend_requests.increment();
        work.entry = Some(crate::policy::assign::enter_backend(around.shared, backend));
    }

    /// `option http-buffer-request`, and what else needs the whole body before a server is chosen.
    fn wait_for_whole_body<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        backend: ProxyId,
    ) -> Option<Step> {
        if work.request_body.is_done() || work.is_body_waited_for {
            return None;
        }
        let config = around.config().clone();
        let frontend = &config.proxy(self.accepted.frontend);
        let buffered = HttpSettings::buffers_request(&frontend.http, &config.proxy(backend).http);
        let key_in_body = self.ask(around, work, backend, |scope| crate::policy::balance_key::needs_body(scope));
        // What may be sent twice has to be here whole.
        let repeatable = config.proxy(backend).http.retry_on.needs_request()
            && work.request_body.bytes_left().is_some_and(|left| left <= self.body_bytes_max(around) as u64);
        if !buffered && !key_in_body && !repeatable {
            return None;
        }
        work.is_body_waited_for = true; // waited for at most once
        let timeouts = &frontend.timeouts;
        let until_us = timeouts
            .http_request
            .or(timeouts.client)
            .map_or(u64::MAX, |time| work.begun_us.saturating_add(time.as_micros() as u64));
        Some(self.wait_for_body(around, work, Resume::Server, until_us, 0))
    }

    /// Collects the body for rules; goes on when enough is there.
    pub(super) fn wait_for_body<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        resume: Resume,
        until_us: u64,
        at_least_bytes: usize,
    ) -> Step {
        // Zero means: until it is whole, or the buffer is full (configuration.txt, "http-request wait-for-body").
        let at_least_bytes = if at_least_bytes == 0 { usize::MAX } else { at_least_bytes };
        self.stage = Stage::Body { resume, until_us, at_least_bytes };
        self.send_continue(around, work);
        self.hold_body_of(around, work)
    }

    /// A client that waits for `100 Continue` gets it from here when the body is wanted before there is a server.
    fn send_continue<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        if work.expects_continue && !self.client.has_input() {
            self.client.push_bytes(around.driver, response::CONTINUE);
        }
        if work.expects_continue {
            work.expects_continue = false;
            work.exchange.request.remove_headers(b"expect");
        }
    }

    /// How much of a body rules may ask to see.
    pub(super) fn body_bytes_max<D: Driver>(&self, around: &Surroundings<D>) -> usize {
        let global = &around.shared.config.global;
        global.bufsize_bytes.saturating_sub(global.maxrewrite_bytes) as usize
    }

    pub(super) fn hold_body<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = self.hold_body_of(around, &mut work);
        self.keep(around, work, step)
    }

    fn hold_body_of<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let Stage::Body { resume, at_least_bytes, .. } = self.stage else { return Step::Continue };
        let bytes_max = self.body_bytes_max(around);
        let wanted = at_least_bytes.min(bytes_max);
        let mut held = std::mem::take(&mut work.exchange.request_body);
        let progress = work.request_body.hold(around.driver, &mut self.client, &mut held, bytes_max);
        let enough = held.len() >= wanted;
        work.exchange.request_body = held;
        match progress {
            Progress::Running if !enough => Step::Continue,
            Progress::Running => self.body_is_here(around, work, resume),
            Progress::Done => {
                work.exchange.is_request_body_complete = true;
                self.body_is_here(around, work, resume)
            }
            Progress::Broken => self.client_aborted(around, work, Phase::Request),
            Progress::Malformed | Progress::SourceFailed(_) | Progress::TargetFailed(_) => {
                work.termination = Some(Termination::new(Cause::Proxy, Phase::Request));
                self.error_answer(around, work, 400)
            }
        }
    }

    pub(super) fn body_is_here<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        resume: Resume,
    ) -> Step {
        if self.client.waiting_segments() >= WAITING_SEGMENTS_MAX {
            self.client.pause(around.driver);
        }
        self.run_rules(around, work, resume)
    }

    /// The bytes are no request.
    fn refuse_request<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        error: RequestError,
    ) -> Step {
        work.forget_request();
        self.count_request(around);
        self.count_error(around, work);
        around.proxy_counters(self.accepted.frontend).frontend_request_errors.increment();
        around.listener_counters(self.accepted.listener).request_errors.increment();
        work.termination = Some(Termination::new(Cause::Proxy, Phase::Request));
        work.client_keeps_alive = false;
        self.error_answer(around, work, error.status())
    }

    /// The client's end of stream before a whole head.
    fn ended_before_request<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else {
            return self.idle_ended(around);
        };
        self.count_request(around);
        self.count_error(around, &work);
        around.proxy_counters(self.accepted.frontend).frontend_request_errors.increment();
        work.termination = Some(Termination::new(Cause::Client, Phase::Request));
        work.forget_request();
        let step = self.error_answer(around, &mut work, 400);
        self.keep(around, work, step)
    }
}

pub(super) fn milliseconds(microseconds: u64) -> i64 {
    (microseconds / 1000).min(i64::MAX as u64) as i64
}

fn shared_counter<'a, D: Driver>(
    around: &'a Surroundings<D>,
    proxy: ProxyId,
) -> &'a crate::shared::counters::ProxyCounters {
    around.proxy_counters(proxy)
}

impl Work {
    /// What came is no request: nothing of it is told, and its answer is the last.
    pub(super) fn forget_request(&mut self) {
        self.exchange.request.clear();
        self.exchange.request_line.clear();
        self.exchange.times.request_ms = -1;
        self.client_keeps_alive = false;
        self.is_unreadable = true;
    }

    /// The request line as it came, for `%r`.
    fn note_request_line(&mut self) {
        let exchange = &mut self.exchange;
        exchange.request_line.clear();
        let version: &[u8] = match exchange.request.version() {
            Version::Http10 => b" HTTP/1.0",
            Version::Http11 => b" HTTP/1.1",
        };
        for part in [exchange.request.method(), b" ", exchange.request.target(), version] {
            exchange.request_line.extend_from_slice(part);
        }
    }
}
