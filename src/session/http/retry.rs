//! A request that goes out a second time, or must not: after a server's failure that `retry-on` names, or on a kept
//! connection that the server closed while the request was on its way.
//!
//! RFC 9110 section 9.2.2 forbids a proxy to repeat by itself what is not idempotent: nobody knows whether the server has
//! acted on it. HAProxy repeats nothing without `retry-on`, and closes the client's connection without an answer when it
//! had been kept, which tells the client the same that the server would have told it; so does Ringway with what it may
//! not repeat.

use super::HttpSession;
use super::request::milliseconds;
use super::transfer::{Encoding, Progress};
use super::work::Work;
use crate::io::Driver;
use crate::proto::http1::exchange_framing::Body;
use crate::session::server_socket::may_redispatch;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

impl HttpSession {
    /// A kept connection may turn out to be closed: the body of a request that may be sent twice stays here until the
    /// answer has begun, if all of it has come and it is small.
    pub(super) fn hold_repeatable_body<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        let is_whole = |left: u64| left <= self.client.waiting_bytes();
        if work.request_body.is_done()
            || work.request_body.has_begun()
            || !is_repeatable(work.exchange.request.method())
            || !work.request_body.bytes_left().is_some_and(is_whole)
        {
            return;
        }
        let bytes_max = self.body_bytes_max(around);
        if work.request_body.bytes_left().is_none_or(|left| left > bytes_max as u64) {
            return;
        }
        let mut held = std::mem::take(&mut work.exchange.request_body);
        let progress = work.request_body.hold(around.driver, &mut self.client, &mut held, bytes_max);
        work.exchange.request_body = held;
        work.exchange.is_request_body_complete = progress == Progress::Done;
    }

    /// The same request once more, after a server's failure that `retry-on` names or that a reused connection explains.
    pub(super) fn retry_request<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let (Some(backend), Some(server)) = (work.exchange.backend, work.exchange.server) else {
            return self.no_server(around, work, self.accepted.frontend);
        };
        self.drop_server(around, work);
        // A second choice waits anew.
        work.exchange.times.queue_ms = -1;
        work.is_request_sent = false;
        // A failed send may have given the body up.
        let is_chunked = work.framing.body == Body::Chunked;
        work.request_body.set_encoding(if is_chunked { Encoding::Chunked } else { Encoding::Plain });
        work.exchange.response.clear();
        work.response_parser.restart();
        work.head_bytes.clear();
        if !work.is_persistence_forced && may_redispatch(around.shared, backend, work.exchange.retries as i32, server) {
            work.lease = None;
            work.avoid_server = Some(server);
            return self.choose_server(around, work);
        }
        work.exchange.times.queue_ms = milliseconds(around.now.monotonic_us.saturating_sub(work.head_us));
        self.connect(around, work, server)
    }

    /// `retry-on`: the same request again, if nothing of it is lost and retries are left.
    pub(super) fn retry_if_possible<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
    ) -> Option<Step> {
        let backend = work.exchange.backend?;
        let retries = around.config().proxy(backend).backend.as_ref().map_or(0, |backend| backend.retries);
        if work.exchange.is_l7_retry_disabled
            || work.exchange.retries >= retries
            || !work.request_body_can_be_sent_again()
        {
            return None;
        }
        work.exchange.retries += 1;
        around.proxy_counters(backend).backend_retries.increment();
        if let Some(server) = work.exchange.server {
            around.server_counters(server).retries.increment();
        }
        Some(self.retry_request(around, work))
    }

    /// The client's connection was kept, and ends as the server's has: without an answer. The client knows whether its
    /// request may be sent again.
    pub(super) fn leave_retry_to_client<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        self.count_response_error(around, work);
        self.count_abort(around, work, false);
        work.termination = Some(Termination::new(Cause::Server, Phase::Headers));
        self.end_without_answer(around, work)
    }
}

/// Methods that may be sent twice (RFC 9110 section 9.2.2).
fn is_repeatable(method: &[u8]) -> bool {
    [&b"GET"[..], b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"].contains(&method)
}

impl Work {
    /// Idempotent, and nothing of it is lost.
    pub(super) fn may_be_repeated(&self) -> bool {
        is_repeatable(self.exchange.request.method()) && self.request_body_can_be_sent_again()
    }

    /// All of the body that was read is still here.
    fn request_body_can_be_sent_again(&self) -> bool {
        !self.is_body_begun && (self.request_body.is_done() || !self.request_body.has_begun())
            || self.exchange.is_request_body_complete && !self.exchange.request_body.is_empty()
    }
}
