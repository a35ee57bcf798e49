//! A response's head: received, parsed, put to the rules, and written to the client with what has come of its body.

use super::connection::WAITING_SEGMENTS_MAX;
use super::held_response::ResponseRulesAt;
use super::request::milliseconds;
use super::state::LogLine;
use super::transfer::{BULK_LENGTH_BYTES, Encoding, Framing, Transfer};
use super::work::Work;
use super::{HttpSession, Stage};
use crate::config::model::{HttpSettings, ProxyId};
use crate::io::Driver;
use crate::policy::cacheable_cookies;
use crate::policy::exchange::Stage as Asking;
use crate::policy::http_rules::ResponseVerdict;
use crate::policy::old_rules::OldVerdict;
use crate::proto::http1::chunked::ChunkedDecoder;
use crate::proto::http1::exchange_framing::{Body, finish_response, response_framing};
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

/// Interim responses to one request: enough for one each ten seconds over an hour or two.
const INTERIM_RESPONSES_MAX: u32 = 1000;

/// What the next bytes of the server are.
enum Parsed {
    /// More is needed.
    Partial,
    Whole,
    Malformed,
}

impl HttpSession {
    /// Reads the server's answer, as far as it has come. `Some`: the exchange has taken another turn.
    pub(super) fn read_response<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Option<Step> {
        loop {
            if self.client.output_segments() >= WAITING_SEGMENTS_MAX {
                // The client is slower than the interim responses come.
                if let Some(server) = work.server.and_then(|key| around.http.servers.get(key)) {
                    server.connection.pause(around.driver);
                }
                return None;
            }
            match self.parse_response(around, work) {
                Parsed::Whole => {}
                Parsed::Malformed => return Some(self.bad_response(around, work)),
                Parsed::Partial => {
                    let ended = work
                        .server
                        .and_then(|key| around.http.servers.get(key))
                        .is_none_or(|server| server.connection.end_of_stream() && !server.connection.has_input());
                    return ended.then(|| self.no_response(around, work));
                }
            }
            let status = work.exchange.response.status();
            // 101 ends the exchange as HTTP; the others of its class announce a final response.
            if status < 200 && status != 101 {
                work.interim_responses += 1;
                if work.interim_responses > INTERIM_RESPONSES_MAX {
                    return Some(self.bad_response(around, work));
                }
                if let Some(step) = self.pass_informational(around, work) {
                    return Some(step);
                }
                continue;
            }
            return self.response_complete(around, work);
        }
    }

    fn parse_response<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Parsed {
        let Some(server) = work.server.and_then(|key| around.http.servers.get(key)) else { return Parsed::Partial };
        let connection = &mut server.connection;
        while connection.has_input() {
            let front = connection.front(around.driver);
            let (before, count) = (work.head_bytes.len(), front.len());
            let response = &mut work.exchange.response;
            let whole = if before == 0 {
                work.response_parser.advance_into(front, response)
            } else {
                work.head_bytes.extend_from_slice(front);
                work.response_parser.advance_into(&work.head_bytes, response)
            };
            match whole {
                Ok(Some(length)) => {
                    connection.consume(around.driver, length.saturating_sub(before));
                    work.head_bytes.clear();
                    return Parsed::Whole;
                }
                Ok(None) => {
                    if before == 0 {
                        work.head_bytes.extend_from_slice(front);
                    }
                    connection.consume(around.driver, count);
                }
                Err(_) => return Parsed::Malformed,
            }
        }
        connection.receive(around.driver);
        Parsed::Partial
    }

    /// 100, 102, 103: passed on to clients that know them, and the next head is awaited.
    fn pass_informational<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Option<Step> {
        // From now on the client sends its body, whatever the final status.
        work.expects_continue &= work.exchange.response.status() != 100;
        if !work.is_http10() {
            let response = &mut work.exchange.response;
            if response_framing(response, &work.framing).is_err() {
                return Some(self.bad_response(around, work));
            }
            let response = &mut work.exchange.response;
            let mut bytes = Vec::new();
            finish_response(response, &work.framing, Body::None, true);
            response.write_to(&mut bytes);
            self.client.push_bytes(around.driver, &bytes);
        }
        work.exchange.response.clear();
        None
    }

    /// The final response's head is whole.
    fn response_complete<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Option<Step> {
        let backend = work.exchange.backend?;
        let config = around.config().clone();
        let settings = &config.proxy(backend).http;
        let Ok(framing) = response_framing(&mut work.exchange.response, &work.framing) else {
            return Some(self.bad_response(around, work));
        };
        if framing.body == Body::Tunnel && !work.request_body.is_done() {
            // Nobody may change the protocol within a message (RFC 9110 section 7.8).
            return Some(self.bad_response(around, work));
        }
        let now_us = around.now.monotonic_us;
        work.exchange.times.response_ms = milliseconds(now_us.saturating_sub(work.connected_us));
        let status = work.exchange.response.status();
        self.count_status(around, work, status);
        crate::policy::stick_tables::count_status(&self.facts, &work.exchange, now_us);
        if let Some(server) = work.exchange.server {
            self.observe_response(around, server, status < 500 || matches!(status, 501 | 505));
        }
        if settings.retry_on.statuses.contains(&status)
            && let Some(step) = self.retry_if_possible(around, work)
        {
            return Some(step);
        }
        work.server_keeps_alive &= framing.keep_alive;
        work.is_tunnel = framing.body == Body::Tunnel;
        work.response_sent_as = framing.sent;
        let source = match framing.body {
            Body::None => Framing::Nothing,
            Body::Length(length) => {
                work.exchange.response_content_length = Some(length);
                Framing::Length(length)
            }
            Body::Chunked => Framing::Chunked(ChunkedDecoder::default()),
            Body::UntilClose | Body::Tunnel => Framing::UntilClose,
        };
        if let Some(server) = work.server.and_then(|key| around.http.servers.get(key)) {
            server.connection.expect_bulk(matches!(source, Framing::Length(length) if length >= BULK_LENGTH_BYTES));
        }
        let splice = config.proxy(backend).splice.response;
        work.response_body = Transfer::new(source, Encoding::Plain, splice);
        work.exchange.response_body.clear();
        work.exchange.is_response_body_complete = work.response_body.is_done() || work.is_tunnel;
        self.ask_at(around, work, backend, Asking::Response, crate::policy::captures::response);
        if let Some(step) = self.response_rules(around, work, backend, ResponseRulesAt::default()) {
            return Some(step);
        }
        self.send_response(around, work, backend)
    }

    /// The backend's and then the frontend's rules. `Some`: an answer goes out in the response's place, or the body is
    /// waited for.
    pub(super) fn response_rules<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        backend: ProxyId,
        at: ResponseRulesAt,
    ) -> Option<Step> {
        let frontend = self.accepted.frontend;
        let proxies =
            [(!at.of_frontend).then_some((backend, false)), (frontend != backend).then_some((frontend, true))];
        for (proxy, of_frontend) in proxies.into_iter().flatten() {
            let mut from = if of_frontend == at.of_frontend { at.rule } else { 0 };
            if from == 0
                && let Some(step) = self.response_content_rules(around, work, proxy)
            {
                return Some(step);
            }
            loop {
                let verdict = self.ask_at(around, work, proxy, Asking::Response, |scope| {
                    crate::policy::http_rules::response(scope, from)
                });
                match verdict {
                    ResponseVerdict::Continue => break,
                    ResponseVerdict::WaitForBody { time, at_least_bytes, resume } => {
                        let then = ResponseRulesAt { of_frontend, rule: resume };
                        if let Some(step) = self.wait_for_response_body(around, work, time, at_least_bytes, then) {
                            return Some(step);
                        }
                        from = resume;
                    }
                    ResponseVerdict::Answer(reply) => {
                        // The server's answer was none, to HAProxy.
                        work.exchange.times.response_ms = -1;
                        if reply.termination == Some(*b"PH") || reply.status >= 400 {
                            self.count_denied_response(around, work, proxy);
                        }
                        self.drop_server(around, work);
                        work.exchange.response.clear();
                        return Some(self.answer(around, work, reply));
                    }
                    ResponseVerdict::SilentDrop => {
                        let _ = around.driver.set_option(self.client.socket, &crate::io::SocketOption::SilentClose);
                        work.termination = Some(Termination::new(Cause::Proxy, Phase::Headers));
                        return Some(self.end_without_answer(around, work));
                    }
                }
            }
            let verdict = self.ask_at(around, work, proxy, Asking::Response, crate::policy::old_rules::response);
            if verdict != OldVerdict::Continue {
                self.count_denied_response(around, work, proxy);
                work.exchange.times.response_ms = -1;
                work.termination = Some(Termination::new(Cause::Proxy, Phase::Headers));
                self.drop_server(around, work);
                return Some(self.error_answer(around, work, 502));
            }
        }
        if self.ask_at(around, work, backend, Asking::Response, |scope| cacheable_cookies::is_exposed(scope)) {
            return Some(self.block_cacheable_cookie(around, work, backend));
        }
        self.ask_at(around, work, backend, Asking::Response, crate::policy::cookie::write_response);
        None
    }

    /// `option httpclose`, and a process that stops: the connection closes behind this answer. Requests that are here
    /// already are answered before (the option does not change what a message means), so that its client never has to
    /// guess which of them were dropped.
    pub(super) fn close_if_asked<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        let closes = HttpSettings::closes_client(&around.config().proxy(self.accepted.frontend).http);
        let next_is_here = work.request_body.is_done() && self.client.has_input();
        if around.http.is_stopping || closes && !next_is_here {
            work.client_keeps_alive = false;
        }
    }

    /// `option checkcache` found a cookie that caches would keep: the client gets an error, the log an alert.
    fn block_cacheable_cookie<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        backend: ProxyId,
    ) -> Step {
        const ALERT: u8 = 1;
        let config = around.config();
        let server = work.exchange.server.map_or("<NOSRV>", |server| config.server(server).name.as_str());
        let text = format!(
            "Blocking cacheable cookie in response from instance {}, server {server}.",
            config.proxy(backend).name
        );
        around.http.lines.push(LogLine {
            frontend: backend,
            level: ALERT,
            text: text.into_bytes(),
            structured_bytes: 0,
        });
        self.count_denied_response(around, work, backend);
        work.exchange.times.response_ms = -1;
        work.termination = Some(Termination::new(Cause::Proxy, Phase::Headers));
        self.drop_server(around, work);
        self.error_answer(around, work, 502)
    }

    /// The http-after-response rules: the backend's, then the frontend's. False: a rewrite failed, the client gets the
    /// page of 500 instead.
    pub(super) fn after_response<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        backend: ProxyId,
    ) -> bool {
        if work.has_failed_rewrite {
            return true;
        }
        let frontend = self.accepted.frontend;
        for proxy in [Some(backend), (frontend != backend).then_some(frontend)].into_iter().flatten() {
            let rewritten =
                self.ask_at(around, work, proxy, Asking::Response, crate::policy::http_rules::after_response);
            if !rewritten {
                work.has_failed_rewrite = true;
                return false;
            }
        }
        true
    }

    pub(super) fn count_denied_response<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &Work,
        proxy: ProxyId,
    ) {
        around.proxy_counters(self.accepted.frontend).frontend_denied_responses.increment();
        around.listener_counters(self.accepted.listener).denied_responses.increment();
        if proxy != self.accepted.frontend {
            around.proxy_counters(proxy).backend_denied_responses.increment();
        }
        if let Some(server) = work.exchange.server {
            around.server_counters(server).denied_responses.increment();
        }
    }

    /// Writes the response's head to the client, and what has come of its body behind it.
    pub(super) fn send_response<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        backend: ProxyId,
    ) -> Option<Step> {
        let frontend = self.accepted.frontend;
        let config = around.config().clone();
        if !work.is_tunnel && (!work.exchange.response_body.is_empty() || !work.response_body.is_done()) {
            work.response_body.compressor =
                self.ask_at(around, work, backend, Asking::Response, crate::policy::compression::Compressor::begin);
        }
        self.close_if_asked(around, work);
        if work.expects_continue && !work.request_body.is_done() && !work.request_body.has_begun() {
            // A final answer in place of `100 Continue`: whether the body still comes is anybody's guess, so that what
            // comes next must be read neither as it nor as a request.
            (work.client_keeps_alive, work.server_keeps_alive) = (false, false);
        }
        if !work.request_body.is_done() && !work.is_tunnel && !work.server_keeps_alive {
            // The rest of the request will not be read to its end.
            work.client_keeps_alive = false;
        }
        if !self.after_response(around, work, backend) {
            work.termination = Some(Termination::new(Cause::Internal, Phase::Headers));
            self.drop_server(around, work);
            return Some(self.error_answer(around, work, 500));
        }
        if let Some(store) = crate::policy::cache::take_store(&mut work.exchange) {
            work.response_body.keep_in(store, &work.exchange.response_body);
        }
        let sent = sent_body(work);
        if sent == Body::Chunked {
            work.response_body.set_encoding(Encoding::Chunked);
        }
        self.write_client_head(around, work, sent);
        self.stage = Stage::Bodies;
        if config.proxy(frontend).options.logasap {
            work.exchange.times.active_ms = milliseconds(around.now.monotonic_us.saturating_sub(work.begun_us));
            work.exchange.termination = *b"--";
            self.note_bytes(work);
            self.write_log(around, work, true);
        }
        if work.is_tunnel {
            let splice = config.proxy(frontend).splice.request;
            work.request_body = Transfer::new(Framing::UntilClose, Encoding::Plain, splice);
        }
        None
    }

    /// The exchange's response, which may be this program's own, as the client gets it.
    pub(super) fn write_client_head<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, sent: Body) {
        let config = around.config().clone();
        let response = &mut work.exchange.response;
        work.client_keeps_alive = finish_response(response, &work.framing, sent, work.client_keeps_alive);
        work.exchange.status = response.status();
        let mut head = std::mem::take(&mut around.http.scratch);
        head.clear();
        match config.proxy(self.accepted.frontend).http.adjust_case_bogus_client {
            true => response.write_adjusted(&config.global.header_spellings, &mut head),
            false => response.write_to(&mut head),
        }
        // A small body that is here already travels in the same segment.
        if work.holds_response() {
            work.append_held_response(&mut head);
        } else if let Some(server) = work.server.and_then(|key| around.http.servers.get(key)) {
            work.response_body.join(around.driver, &mut server.connection, &mut head);
        }
        self.client.push_bytes(around.driver, &head);
        around.http.scratch = head;
    }

    pub(super) fn count_status<D: Driver>(&mut self, around: &Surroundings<D>, work: &Work, status: u16) {
        if let Some(server) = work.exchange.server {
            let counters = around.server_counters(server);
            counters.requests.increment();
            match status / 100 {
                1 => counters.http_1xx.increment(),
                2 => counters.http_2xx.increment(),
                3 => counters.http_3xx.increment(),
                4 => counters.http_4xx.increment(),
                5 => counters.http_5xx.increment(),
                _ => counters.http_other.increment(),
            }
        }
    }

    /// What came is no response.
    fn bad_response<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let retry = self.retry_settings(around, work).is_some_and(|settings| settings.junk_response);
        if retry && let Some(step) = self.retry_if_possible(around, work) {
            return step;
        }
        self.response_failed(around, work, Cause::Proxy, 502)
    }

    /// The server's connection ended without a response.
    fn no_response<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let silent = work.head_bytes.is_empty() && work.interim_responses == 0;
        // A kept connection may have been closed just when the request went out: that says nothing of the server.
        let raced = silent && work.exchange.is_server_connection_reused;
        if raced && work.may_be_repeated() {
            return self.retry_request(around, work);
        }
        let retry = self.retry_settings(around, work).is_some_and(|settings| settings.empty_response && silent);
        if retry && let Some(step) = self.retry_if_possible(around, work) {
            return step;
        }
        if raced && self.facts.exchanges > 1 {
            return self.leave_retry_to_client(around, work);
        }
        self.response_failed(around, work, Cause::Server, 502)
    }

    fn retry_settings<'a, D: Driver>(
        &self,
        around: &'a Surroundings<D>,
        work: &Work,
    ) -> Option<&'a crate::config::model::RetryOn> {
        Some(&around.shared.config.proxy(work.exchange.backend?).http.retry_on)
    }

    pub(super) fn response_failed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        cause: Cause,
        status: u16,
    ) -> Step {
        self.count_response_error(around, work);
        self.count_abort(around, work, false);
        if let Some(server) = work.exchange.server {
            self.observe_response(around, server, false);
        }
        work.termination = Some(Termination::new(cause, Phase::Headers));
        self.drop_server(around, work);
        work.exchange.response.clear();
        self.error_answer(around, work, status)
    }

    /// `timeout server` before a response.
    pub(super) fn response_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let retry = self.retry_settings(around, &work).is_some_and(|settings| settings.response_timeout);
        let step = match retry.then(|| self.retry_if_possible(around, &mut work)).flatten() {
            Some(step) => step,
            None => self.response_failed(around, &mut work, Cause::ServerTimeout, 504),
        };
        self.keep(around, work, step)
    }
}

/// How the client learns where the body ends. What compression makes has no length that is known.
fn sent_body(work: &Work) -> Body {
    match work.response_body.compressor {
        None => work.response_sent_as,
        Some(_) if work.is_http10() => Body::UntilClose,
        Some(_) => Body::Chunked,
    }
}
