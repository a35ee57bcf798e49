//! `http-response wait-for-body` (configuration.txt section 4.2): the response's body is held until rules may see it.

use super::transfer::{Encoding, Progress};
use super::work::Work;
use super::{HttpSession, Stage};
use crate::io::Driver;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};
use std::time::Duration;

/// Where the rules on a response go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ResponseRulesAt {
    /// The backend's have run.
    pub of_frontend: bool,
    pub rule: usize,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeldResponse {
    pub then: ResponseRulesAt,
    /// Monotonic.
    pub until_us: u64,
    at_least_bytes: usize,
}

impl HttpSession {
    /// A rule wants the body. `None`: what is here is enough; `Some`: it is waited for, or the exchange is over.
    pub(super) fn wait_for_response_body<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        time: Duration,
        at_least_bytes: u64,
        then: ResponseRulesAt,
    ) -> Option<Step> {
        if work.response_body.is_done() || work.is_tunnel {
            return None;
        }
        // No time is no limit but the server's own (seen with 2.6).
        let until_us = match time.is_zero() {
            true => u64::MAX,
            false => around.now.monotonic_us.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        };
        let at_least_bytes = usize::try_from(at_least_bytes).unwrap_or(usize::MAX);
        let held = HeldResponse { then, until_us, at_least_bytes };
        match self.hold(around, work, held) {
            Ok(true) => None,
            Ok(false) => {
                (self.stage, work.held_response) = (Stage::HoldingResponse, held);
                Some(Step::Continue)
            }
            Err(step) => Some(step),
        }
    }

    /// More of the body may be here.
    pub(super) fn advance_held_response<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let held = work.held_response;
        match self.hold(around, work, held) {
            Ok(false) => Step::Continue,
            Err(step) => step,
            Ok(true) => {
                self.stage = Stage::Response;
                let Some(backend) = work.exchange.backend else { return Step::Continue };
                let answered = self
                    .response_rules(around, work, backend, held.then)
                    .or_else(|| self.send_response(around, work, backend));
                answered.unwrap_or_else(|| self.advance_response(around, work))
            }
        }
    }

    /// Reads what has come of the body. True: rules may go on.
    fn hold<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        held: HeldResponse,
    ) -> Result<bool, Step> {
        let bytes_max = self.body_bytes_max(around);
        let wanted = if held.at_least_bytes == 0 { bytes_max } else { held.at_least_bytes.min(bytes_max) };
        let mut body = std::mem::take(&mut work.exchange.response_body);
        let progress = match work.server.and_then(|key| around.http.servers.get(key)) {
            Some(server) => work.response_body.hold(around.driver, &mut server.connection, &mut body, bytes_max),
            None => Progress::Broken,
        };
        let is_enough = body.len() >= wanted;
        work.exchange.response_body = body;
        match progress {
            Progress::Running => Ok(is_enough),
            Progress::Done => {
                work.exchange.is_response_body_complete = true;
                Ok(true)
            }
            // What is missing is missed when what came has been sent.
            Progress::Broken | Progress::SourceFailed(_) | Progress::TargetFailed(_) => Ok(true),
            Progress::Malformed => Err(self.response_failed(around, work, Cause::Proxy, 502)),
        }
    }

    /// The body did not come in time: 504, as with 2.6.
    pub(super) fn held_response_timed_out<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        work.exchange.times.response_ms = -1;
        work.termination = Some(Termination::new(Cause::ServerTimeout, Phase::Request));
        self.drop_server(around, work);
        work.exchange.response.clear();
        self.error_answer(around, work, 504)
    }
}

impl Work {
    /// Something of the response's body was read before its head is sent: bytes, or that there are none.
    pub(super) fn holds_response(&self) -> bool {
        let exchange = &self.exchange;
        let ends_with_a_chunk = self.response_body.encoding() == Encoding::Chunked;
        !exchange.response_body.is_empty() || exchange.is_response_body_complete && ends_with_a_chunk
    }

    /// Puts it behind the head.
    pub(super) fn append_held_response(&mut self, head: &mut Vec<u8>) {
        let body = std::mem::take(&mut self.exchange.response_body);
        self.response_body.append_held(&body, self.exchange.is_response_body_complete, head);
    }
}
