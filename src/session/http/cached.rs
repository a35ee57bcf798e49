//! Answers from a cache (configuration.txt section 6): the stored head goes through the response's rules like a server's,
//! the body goes from where it is kept; no server is asked.

use super::held_response::ResponseRulesAt;
use super::transfer::Transfer;
use super::work::Work;
use super::{HttpSession, Stage};
use crate::config::model::ProxyId;
use crate::io::Driver;
use crate::policy::cookie::{self, Selection};
use crate::policy::exchange::Stage as Asking;
use crate::policy::{cache, captures, compression};
use crate::proto::http1::exchange_framing::Body;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

impl HttpSession {
    /// `proxy`: whose rules found the object.
    pub(super) fn answer_from_cache<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
    ) -> Step {
        let frontend = self.accepted.frontend;
        // For the states in the log: nobody is asked for the server.
        self.ask(around, work, proxy, |scope| cookie::read_request(scope, Selection::default()));
        self.ask(around, work, proxy, compression::read_request);
        let Some(hit) = self.ask(around, work, proxy, cache::answer) else { return Step::Continue };
        if proxy == frontend {
            around.proxy_counters(frontend).frontend_intercepted.increment();
        }
        work.termination = Some(Termination::new(Cause::Local, Phase::Request));
        let times = &mut work.exchange.times;
        (times.queue_ms, times.connect_ms, times.response_ms) = (0, 0, 0);
        // A body nobody asked for would be read over for nothing.
        work.client_keeps_alive &= work.request_body.is_done();
        work.request_body.discard_rest();
        work.exchange.response_body.clear();
        work.exchange.is_response_body_complete = true;
        work.response_body = Transfer::nothing();
        self.stage = Stage::Bodies;
        self.ask_at(around, work, proxy, Asking::Response, captures::response);
        if let Some(step) = self.response_rules(around, work, proxy, ResponseRulesAt::default()) {
            return step;
        }
        work.response_sent_as = Body::None;
        if !hit.is_not_modified && !work.framing.is_head {
            work.exchange.is_response_body_complete = hit.body.is_empty() && !hit.is_chunked;
            let length = hit.body.len() as u64;
            work.response_sent_as = if hit.is_chunked { Body::Chunked } else { Body::Length(length) };
            work.response_body = Transfer::of_stored(hit.body, hit.is_chunked);
        }
        if let Some(step) = self.send_response(around, work, proxy) {
            return step;
        }
        self.advance_response(around, work)
    }
}
