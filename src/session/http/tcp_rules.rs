//! The `tcp-request` and `tcp-response` rules of proxies in HTTP mode: at the accept, and beside the HTTP rules. By then
//! the head is there: nothing has to be waited for.

use super::HttpSession;
use super::connection::{Connection, Side};
use super::policies::Asked;
use super::work::Work;
use crate::config::model::ProxyId;
use crate::io::{Driver, SocketOption};
use crate::policy::exchange::{Scope, Stage as Asking};
use crate::policy::log_format::Endpoint;
use crate::policy::stick_tables;
use crate::policy::tcp_rules::{self, TcpVerdict};
use crate::proto::proxy_protocol::Announced;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

impl HttpSession {
    /// The connection rules. False: the session is over, without a line, as in HAProxy.
    fn connection_rules<D: Driver>(&mut self, around: &mut Surroundings<D>) -> bool {
        let frontend = self.accepted.frontend;
        if around.shared.config.proxy(frontend).tcp_rules.connection.is_empty()
            || self.is_admitted_by(around, tcp_rules::connection)
        {
            return true;
        }
        around.proxy_counters(frontend).frontend_denied_connections.increment();
        around.listener_counters(self.accepted.listener).denied_connections.increment();
        false
    }

    /// The session rules. False: as above.
    fn session_rules<D: Driver>(&mut self, around: &mut Surroundings<D>) -> bool {
        let frontend = self.accepted.frontend;
        if around.shared.config.proxy(frontend).tcp_rules.session.is_empty()
            || self.is_admitted_by(around, tcp_rules::session)
        {
            stick_tables::count_session(&self.facts, around.now.monotonic_us);
            return true;
        }
        around.proxy_counters(frontend).frontend_denied_sessions.increment();
        around.listener_counters(self.accepted.listener).denied_sessions.increment();
        false
    }

    fn is_admitted_by<D: Driver>(&mut self, around: &mut Surroundings<D>, rules: fn(&mut Scope) -> TcpVerdict) -> bool {
        let mut work = around.http.take_work();
        work.exchange.clear();
        let verdict = self.ask(around, &mut work, self.accepted.frontend, rules);
        around.http.give_back(work);
        if verdict == TcpVerdict::SilentDrop {
            let _ = around.driver.set_option(self.client.socket, &SocketOption::SilentClose);
        }
        (self.source, self.destination) = (self.facts.source, self.facts.destination);
        !matches!(verdict, TcpVerdict::Reject | TcpVerdict::SilentDrop)
    }

    /// The connection rules, at the accept. `Over`: they refuse it.
    pub fn admit<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        // Its slot's name is known only now.
        self.client = Connection::new(self.accepted.client, Side::Client, around.key, self.accepted.monotonic_us);
        if self.connection_rules(around) { Step::Continue } else { self.over(around) }
    }

    /// `expect-proxy` of a connection rule.
    pub fn expects_proxy_header(&self) -> bool {
        self.facts.expects_proxy_header
    }

    /// A header of the PROXY protocol has said whose connection this is.
    pub fn announced(&mut self, announced: Announced) {
        self.facts.source = Endpoint::Ip(announced.source);
        self.facts.destination = Some(Endpoint::Ip(announced.destination));
        (self.source, self.destination) = (self.facts.source, self.facts.destination);
    }

    /// Starts to listen to the client, if the session rules let it.
    pub fn begin<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if !self.session_rules(around) {
            return self.over(around);
        }
        self.client.receive(around.driver);
        Step::Continue
    }

    /// The content rules of `proxy`, before its http-request rules.
    pub(super) fn content_rules<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
    ) -> Asked {
        if around.shared.config.proxy(proxy).tcp_rules.request.is_empty() {
            return Asked::Continue;
        }
        let verdict = self.ask(around, work, proxy, |scope| tcp_rules::content(scope, 0));
        match verdict {
            TcpVerdict::Accept | TcpVerdict::Wait { .. } => return Asked::Continue,
            TcpVerdict::SilentDrop => {
                let _ = around.driver.set_option(self.client.socket, &SocketOption::SilentClose);
            }
            TcpVerdict::Reject | TcpVerdict::Close => {}
        }
        self.count_denied(around, proxy);
        work.forget_request();
        work.termination = Some(Termination::new(Cause::Proxy, Phase::Request));
        Asked::Stop(self.end_without_answer(around, work))
    }

    /// The response content rules of `proxy`. `Some`: the response goes no further.
    pub(super) fn response_content_rules<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
    ) -> Option<Step> {
        if around.shared.config.proxy(proxy).tcp_rules.response.is_empty() {
            return None;
        }
        let verdict = self.ask_at(around, work, proxy, Asking::Response, |scope| tcp_rules::response_content(scope, 0));
        match verdict {
            TcpVerdict::Accept | TcpVerdict::Wait { .. } => return None,
            TcpVerdict::Close => {
                work.server_keeps_alive = false;
                return None;
            }
            TcpVerdict::SilentDrop => {
                let _ = around.driver.set_option(self.client.socket, &SocketOption::SilentClose);
                work.termination = Some(Termination::new(Cause::Proxy, Phase::Headers));
                return Some(self.end_without_answer(around, work));
            }
            TcpVerdict::Reject => {}
        }
        self.count_denied_response(around, work, proxy);
        // The client gets nothing at all (seen with 2.6).
        work.exchange.times.response_ms = -1;
        work.termination = Some(Termination::new(Cause::Proxy, Phase::Data));
        Some(self.end_without_answer(around, work))
    }
}
