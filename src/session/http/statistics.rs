//! The statistics page among a proxy's other requests: what `stats uri` names is answered by [`LocalHttp`].

use super::work::Work;
use super::{HttpSession, Resume, Stage};
use crate::config::model::ProxyId;
use crate::io::Driver;
use crate::policy::condition::applies;
use crate::policy::http_rules::RequestVerdict;
use crate::session::local_context::{LocalContext, Verdict};
use crate::session::local_http::{self, LocalHttp};
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

impl HttpSession {
    /// `Some`: the request was for the page of `proxy`, and is answered.
    pub(super) fn statistics<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
    ) -> Option<Step> {
        let config = around.config().clone();
        if !local_http::is_for_page(config.proxy(proxy), work.exchange.request.target()) {
            return None;
        }
        work.by_stats = true;
        let verdict = self.ask(around, work, proxy, crate::policy::http_rules::statistics);
        if !matches!(verdict, RequestVerdict::Continue) {
            // The page is its own server: it queues and connects in no time (HAProxy logs zeros).
            (work.exchange.times.queue_ms, work.exchange.times.connect_ms) = (0, 0);
            return Some(self.act_on_verdict(around, work, proxy, verdict));
        }
        if !work.request_body.is_done() {
            // The form of `stats admin` is read whole before it is acted on.
            let resume = Resume::Statistics(proxy);
            let timeouts = &config.proxy(self.accepted.frontend).timeouts;
            let wait = timeouts.http_request.or(timeouts.client);
            let until_us = wait.map_or(u64::MAX, |wait| work.begun_us.saturating_add(wait.as_micros() as u64));
            return Some(self.wait_for_body(around, work, resume, until_us, 0));
        }
        Some(self.answer_statistics(around, work, proxy))
    }

    /// The machine reads the request as the client would have sent it with nothing but its own framing.
    pub(super) fn answer_statistics<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
    ) -> Step {
        let may_administer = self.ask(around, work, proxy, |scope| {
            let settings = scope.shared.config.proxy(proxy).stats.as_ref();
            settings.is_some_and(|settings| settings.admin.iter().any(|condition| applies(Some(condition), scope)))
        });
        let request = &mut work.exchange.request;
        request.remove_headers(b"transfer-encoding");
        let length = work.exchange.request_body.len();
        if length > 0 {
            request.set_header(b"Content-Length", length.to_string().as_bytes());
        }
        let mut input = Vec::new();
        request.write_to(&mut input);
        input.extend_from_slice(&work.exchange.request_body);
        let mut page = LocalHttp::new(proxy, may_administer);
        let mut output = Vec::new();
        let client_ip = self.client_ip();
        let mut context = LocalContext {
            shared: around.shared,
            worker: around.worker as usize,
            now_us: around.now.monotonic_us,
            wall_us: around.now.wall_us,
            pid: std::process::id(),
            hostname: &around.http.hostname,
            client_ip,
            state_logs: around.state_logs,
        };
        let mut verdict = page.receive(&input, &mut context, &mut output);
        while page.has_pending_input() && verdict == Verdict::Continue {
            verdict = page.receive(&[], &mut context, &mut output);
        }
        if let Some(record) = page.take_record() {
            work.exchange.status = record.status;
        }
        work.client_keeps_alive &= verdict == Verdict::Continue && !work.is_http10();
        work.termination = Some(Termination::new(Cause::Local, Phase::Request));
        let times = &mut work.exchange.times;
        (times.queue_ms, times.connect_ms, times.response_ms) = (0, 0, 0);
        self.stage = Stage::Answering;
        self.client.push_bytes(around.driver, &output);
        Step::Continue
    }
}
