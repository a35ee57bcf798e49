//! Answers made here: errors, redirects, what rules return; and the end of a connection that has got its last one.

use super::connection::Received;
use super::work::Work;
use super::{HttpSession, Stage};
use crate::io::Driver;
use crate::policy::reply::{self, Reply};
use crate::proto::http1::exchange_framing::Body;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

/// How long, and for how many bytes, a client is heard out after its last answer.
pub(super) const LINGER_US: u64 = 1_000_000;
const LINGER_BYTES_MAX: u64 = 1 << 20;
/// A body longer than this is not read to its end after an early answer: the connection closes.
const DRAIN_BYTES_MAX: u64 = 256 * 1024;

impl HttpSession {
    /// The error page for `status`.
    pub(super) fn error_answer<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        status: u16,
    ) -> Step {
        let proxy = work.exchange.backend.unwrap_or(self.accepted.frontend);
        let reply = self.ask(around, work, proxy, |scope| reply::error(scope, status));
        self.answer(around, work, reply)
    }

    /// Answers the request from here.
    pub(super) fn answer<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work, reply: Reply) -> Step {
        if let Some(key) = work.server.take() {
            around.http.servers.close(around.driver, key);
        }
        work.lease = None;
        if work.termination.is_none() {
            work.termination = Some(match reply.termination {
                Some(letters) => Termination::from_letters(letters),
                None => Termination::new(Cause::Local, Phase::Request),
            });
        }
        work.is_unlogged |= !reply.is_logged;
        if reply.is_silent() {
            return self.end_without_answer(around, work);
        }
        // The request's body: read over if it is short, else the connection ends with this answer.
        let body_left = work.request_body.bytes_left().filter(|left| *left <= DRAIN_BYTES_MAX);
        work.client_keeps_alive &= !reply.close && (work.request_body.is_done() || body_left.is_some());
        self.close_if_asked(around, work);
        if work.expects_continue {
            // The client may send the body or not: nobody knows where the next request would begin.
            work.client_keeps_alive &= work.request_body.is_done();
        }
        if work.exchange.request.is_empty() {
            work.client_keeps_alive = false;
        }
        work.request_body.discard_rest();
        // What was held of the server's answer is not this one's.
        work.exchange.response_body.clear();
        work.exchange.is_response_body_complete = true;
        reply.write_head(&mut work.exchange.response);
        work.exchange.response_content_length = Some(reply.body.len() as u64);
        let frontend = self.accepted.frontend;
        let proxy = work.exchange.backend.unwrap_or(frontend);
        if !self.after_response(around, work, proxy) {
            return self.error_answer(around, work, 500);
        }
        self.stage = Stage::Answering;
        work.response_body = super::transfer::Transfer::nothing();
        let sent = Body::Length(reply.body.len() as u64);
        self.write_client_head(around, work, sent);
        if !work.framing.is_head {
            self.client.push_bytes(around.driver, &reply.body);
        }
        if self.client.is_drained() {
            return self.answered_with(around, work);
        }
        Step::Continue
    }

    /// The answer is out: what is left of the request is read over, then the exchange is finished.
    pub(super) fn answered<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = self.answered_with(around, &mut work);
        self.keep(around, work, step)
    }

    fn answered_with<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        if !work.client_keeps_alive || work.request_body.is_done() {
            return self.finish(around, work);
        }
        let mut dropped = Vec::new();
        use super::transfer::Progress;
        match work.request_body.hold(around.driver, &mut self.client, &mut dropped, usize::MAX) {
            Progress::Done => self.finish(around, work),
            Progress::Running => Step::Continue,
            _ => {
                work.client_keeps_alive = false;
                self.finish(around, work)
            }
        }
    }

    /// While an answer goes out, more of the request came.
    pub(super) fn answering_received<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.client.is_drained() {
            return self.answered(around);
        }
        if self.client.waiting_segments() >= super::connection::WAITING_SEGMENTS_MAX {
            self.client.pause(around.driver);
        }
        Step::Continue
    }

    /// The last answer is on its way. Closing now, with bytes of the client unread, would make a reset that can overtake
    /// it (RFC 9112 section 9.6): the end is sent, and what still comes is read and thrown away, for a while.
    pub(super) fn linger<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.client.end_of_stream() {
            return self.over(around);
        }
        self.client.discard_input(around.driver);
        self.stage = Stage::Lingering { since_us: around.now.monotonic_us, bytes: 0 };
        around.driver.shutdown_write(self.client.socket);
        self.client.receive(around.driver);
        Step::Continue
    }

    pub(super) fn lingering_received<D: Driver>(&mut self, around: &mut Surroundings<D>, received: Received) -> Step {
        let fresh = self.client.front(around.driver).len() as u64;
        self.client.discard_input(around.driver);
        let Stage::Lingering { bytes, .. } = &mut self.stage else { return Step::Continue };
        *bytes += fresh;
        if *bytes > LINGER_BYTES_MAX || received == Received::End {
            return self.over(around);
        }
        self.client.receive(around.driver);
        Step::Continue
    }
}
