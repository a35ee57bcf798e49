//! A TCP session that rules look at: `tcp-request`, `tcp-response` and `use_backend` (configuration.txt section 4.2).
//!
//! Before there is a server, what the client sends is held in the request's relay and shown to the rules as one text;
//! nothing is taken out, so that the server gets all of it. The same then happens to the server's first bytes.

use super::socket_marks;
use super::surroundings::Surroundings;
use super::tcp::{ClientAddress, State, Step, TcpSession};
use super::termination::{Cause, Phase, Termination};
use super::token::Direction;
use crate::config::model::{BalanceAlgorithm, Config, Proxy, ProxyId, SpliceChoice, SpliceSettings};
use crate::io::{Driver, Socket, SocketAddress, SocketOption};
use crate::policy::assign;
use crate::policy::exchange::{Client, Exchange, Scope, Sockets, Stage};
use crate::policy::log_session::Endpoint;
use crate::policy::tcp_rules::{self, TcpVerdict};
use crate::policy::{balance_key, rdp_cookie, stick_tables, switching};
use crate::proto::proxy_protocol::Announced;
use crate::shared::queue::QueuePriority;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Which rules are asked next, from which one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// `tcp-request content` of the frontend.
    Frontend(usize),
    /// The same of another proxy that was chosen as backend.
    Backend(usize),
    /// `tcp-response content` of the backend.
    Response(usize),
    /// All have decided.
    Nothing,
}

/// What rules of one session know and have changed.
#[derive(Debug)]
pub(super) struct Inspection {
    client: Client,
    exchange: Exchange,
    asking: Asking,
    /// What the side in question has sent so far, as one text.
    payload: Vec<u8>,
    /// When the rules asked now first had to wait, and how long they may.
    waiting_since_us: Option<u64>,
    wait_at_most: Option<Duration>,
    balance_key: Option<u32>,
    /// The server was named by a cookie, and `option persist` holds: it is tried even while it is down, once.
    is_persistent: bool,
}

/// The two sockets, for questions that cost a system call.
struct OpenSockets<'a, D> {
    driver: &'a D,
    client: Socket,
    server: Option<Socket>,
}

fn endpoint(address: std::io::Result<SocketAddress>) -> Endpoint {
    match address {
        Ok(SocketAddress::Ip(address)) => Endpoint::Ip(address),
        Ok(_) => Endpoint::Unix,
        Err(_) => Endpoint::None,
    }
}

impl<D: Driver> Sockets for OpenSockets<'_, D> {
    fn frontend_address(&self) -> Endpoint {
        endpoint(self.driver.local_address(self.client))
    }
    fn source_address(&self) -> Endpoint {
        self.server.map_or(Endpoint::None, |server| endpoint(self.driver.local_address(server)))
    }
    fn round_trip_us(&self, of_server: bool) -> Option<(u32, u32)> {
        let socket = if of_server { self.server? } else { self.client };
        self.driver.round_trip_us(socket)
    }
}

/// Whether sessions of this frontend are looked at by rules: its own, or those of the backend it always goes to.
pub fn has_rules(config: &Config, frontend: &Proxy) -> bool {
    let of_proxy = |proxy: &Proxy| {
        let rules = &proxy.tcp_rules;
        !rules.request.is_empty()
            || !rules.response.is_empty()
            || proxy.backend.as_ref().is_some_and(|backend| {
                let reads = matches!(backend.balance, BalanceAlgorithm::RdpCookie { .. } | BalanceAlgorithm::Hash(_));
                reads || backend.rdp_persistence.is_some() || !backend.server_rules.is_empty()
            })
    };
    let accepting = frontend.frontend.as_ref();
    let default = accepting.and_then(|accepting| accepting.default_backend);
    of_proxy(frontend)
        || !frontend.tcp_rules.connection.is_empty()
        || !frontend.tcp_rules.session.is_empty()
        || accepting.is_some_and(|accepting| !accepting.backend_rules.is_empty())
        || default.is_some_and(|default| of_proxy(config.proxy(default)))
}

/// How the two directions of a session of `frontend` and `backend` are spliced.
pub fn splice_settings(config: &Config, frontend: &Proxy, backend: Option<ProxyId>) -> SpliceSettings {
    if config.global.nosplice {
        return SpliceSettings { request: SpliceChoice::Never, response: SpliceChoice::Never };
    }
    let other = backend.map_or(frontend.splice, |backend| config.proxy(backend).splice);
    let both = |one: SpliceChoice, two: SpliceChoice| match (one, two) {
        (SpliceChoice::Always, _) | (_, SpliceChoice::Always) => SpliceChoice::Always,
        (SpliceChoice::Never, _) | (_, SpliceChoice::Never) => SpliceChoice::Never,
        _ => SpliceChoice::Adaptive,
    };
    SpliceSettings {
        request: both(frontend.splice.request, other.request),
        response: both(frontend.splice.response, other.response),
    }
}

impl TcpSession {
    /// Has rules look at the session. The backend is known when they have decided.
    pub fn inspect_with_rules(&mut self) {
        let accepted = &self.accepted;
        let client = Client {
            frontend: Some(accepted.frontend),
            listener: Some(accepted.listener),
            source: accepted.address.endpoint(),
            accept_wall_us: accepted.wall_us,
            accept_monotonic_us: accepted.monotonic_us,
            sequence: accepted.sequence,
            exchanges: 1,
            ..Client::default()
        };
        let exchange = Exchange { started_wall_us: accepted.wall_us, ..Exchange::default() };
        self.inspection = Some(Box::new(Inspection {
            client,
            exchange,
            asking: Asking::Frontend(0),
            payload: Vec::new(),
            waiting_since_us: None,
            wait_at_most: None,
            balance_key: None,
            is_persistent: false,
        }));
    }

    /// `set-log-level` of a rule; 8: no line.
    pub fn log_level(&self) -> Option<u8> {
        self.inspection.as_ref().and_then(|inspection| inspection.exchange.log_level)
    }

    /// What rules know of the session, for its log line. With `option logasap` they start anew afterwards.
    pub fn inspected(&mut self) -> (Client, Exchange) {
        self.inspection
            .as_mut()
            .map(|inspection| (std::mem::take(&mut inspection.client), std::mem::take(&mut inspection.exchange)))
            .unwrap_or_default()
    }

    /// Gives back what the session counts on, after its line was written: it is not over for that (`option logasap`).
    pub fn keep_tracked(&mut self, client: Client, exchange: Exchange) {
        if let Some(inspection) = &mut self.inspection {
            (inspection.client.tracked, inspection.exchange.tracked) = (client.tracked, exchange.tracked);
        }
    }

    /// Bytes that have moved since the last time.
    pub(super) fn count_tracked_bytes(&self, bytes_in: u64, bytes_out: u64, now_us: u64) {
        if let Some(inspection) = &self.inspection {
            stick_tables::count_bytes(&inspection.client, &inspection.exchange, bytes_in, bytes_out, now_us);
        }
    }

    /// What the balancing algorithm hashes of the client's first bytes.
    pub(super) fn balance_key(&self) -> Option<u32> {
        self.inspection.as_ref().and_then(|inspection| inspection.balance_key)
    }

    pub(super) fn queue_priority(&self) -> QueuePriority {
        self.inspection.as_ref().map(|inspection| inspection.exchange.queue_priority).unwrap_or_default()
    }

    /// Whether the server to keep is to be tried whatever its state; only once, so that a redispatch may follow.
    pub(super) fn take_persistent(&mut self) -> bool {
        self.inspection.as_mut().is_some_and(|inspection| std::mem::take(&mut inspection.is_persistent))
    }

    /// Whether rules wait for bytes of one side.
    pub(super) fn inspects(&self, direction: Direction) -> bool {
        let asking = self.inspection.as_ref().map(|inspection| inspection.asking);
        match direction {
            Direction::Request => matches!(self.state, State::Inspecting),
            Direction::Response => matches!(asking, Some(Asking::Response(_))),
        }
    }

    /// When the rules may wait no longer.
    pub(super) fn inspection_deadline_us(&self) -> Option<u64> {
        let inspection = self.inspection.as_ref()?;
        let since_us = inspection.waiting_since_us?;
        let delay_us = u64::try_from(inspection.wait_at_most?.as_micros()).unwrap_or(u64::MAX);
        Some(since_us.saturating_add(delay_us))
    }

    /// Asks a question of the policies about this session.
    fn ask<D: Driver, T>(
        &mut self,
        around: &mut Surroundings<D>,
        proxy: ProxyId,
        stage: Stage,
        is_payload_complete: bool,
        question: impl FnOnce(&mut Scope) -> T,
    ) -> Option<T> {
        let server = (self.server != super::tcp::NO_SOCKET).then_some(self.server);
        let inspection = self.inspection.as_deref_mut()?;
        inspection.exchange.backend = self.backend;
        inspection.exchange.server = self.chosen;
        let mut scope = Scope {
            shared: around.shared,
            worker: around.worker,
            monotonic_us: around.now.monotonic_us,
            wall_us: around.now.wall_us,
            stage,
            proxy,
            client: &mut inspection.client,
            exchange: &mut inspection.exchange,
            sockets: &OpenSockets { driver: &*around.driver, client: self.accepted.client, server },
            payload: &inspection.payload,
            is_payload_complete,
            hostname: &around.http.hostname,
        };
        let answer = question(&mut scope);
        socket_marks::apply(around.driver, self.accepted.client, &mut inspection.exchange.socket_marks);
        Some(answer)
    }

    /// The connection rules, at the accept. False: the session is over, without a line, as in HAProxy.
    pub fn admit_connection<D: Driver>(&mut self, around: &mut Surroundings<D>) -> bool {
        let frontend = self.accepted.frontend;
        let verdict = self.ask(around, frontend, Stage::Request, true, tcp_rules::connection);
        self.take_addresses();
        let Some(verdict @ (TcpVerdict::Reject | TcpVerdict::SilentDrop)) = verdict else { return true };
        around.proxy_counters(frontend).frontend_denied_connections.increment();
        around.listener_counters(self.accepted.listener).denied_connections.increment();
        self.refuse(around, verdict);
        false
    }

    /// The session rules, when all handshakes are over. False: as above.
    pub fn admit_session<D: Driver>(&mut self, around: &mut Surroundings<D>) -> bool {
        let frontend = self.accepted.frontend;
        let verdict = self.ask(around, frontend, Stage::Request, true, tcp_rules::session);
        self.take_addresses();
        let Some(verdict @ (TcpVerdict::Reject | TcpVerdict::SilentDrop)) = verdict else {
            if let Some(inspection) = &self.inspection {
                stick_tables::count_session(&inspection.client, around.now.monotonic_us);
            }
            return true;
        };
        around.proxy_counters(frontend).frontend_denied_sessions.increment();
        around.listener_counters(self.accepted.listener).denied_sessions.increment();
        self.refuse(around, verdict);
        false
    }

    fn refuse<D: Driver>(&mut self, around: &mut Surroundings<D>, verdict: TcpVerdict) {
        if verdict == TcpVerdict::SilentDrop {
            self.drop_silently(around);
        }
        self.logged = true;
        self.backend = None;
        self.over(around, Termination::new(Cause::Proxy, Phase::Request));
    }

    /// `expect-proxy` of a connection rule.
    pub fn expects_proxy_header(&self) -> bool {
        self.inspection.as_ref().is_some_and(|inspection| inspection.client.expects_proxy_header)
    }

    /// A header of the PROXY protocol has said whose connection this is.
    pub fn announced(&mut self, announced: Announced) {
        if let Some(inspection) = &mut self.inspection {
            inspection.client.source = Endpoint::Ip(announced.source);
            inspection.client.destination = Some(Endpoint::Ip(announced.destination));
        }
        self.take_addresses();
    }

    /// It ends before it began: nothing was asked of it, and somebody else has logged why.
    pub fn never_began<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        self.logged = true;
        self.backend = None;
        self.over(around, Termination::new(Cause::Client, Phase::Request));
    }

    /// Nobody tells the client: neither an end nor a reset leaves this machine.
    fn drop_silently<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        let _ = around.driver.set_option(self.accepted.client, &SocketOption::SilentClose);
    }

    /// The rules are asked about what has come from the client, until they have decided or must wait.
    pub(super) fn inspect_request<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let frontend = self.accepted.frontend;
        loop {
            let Some(asking) = self.inspection.as_ref().map(|inspection| inspection.asking) else {
                return self.rules_accept(around);
            };
            let (proxy, from) = match asking {
                Asking::Frontend(from) => (frontend, from),
                Asking::Backend(from) => (self.backend.unwrap_or(frontend), from),
                Asking::Response(_) | Asking::Nothing => return self.rules_accept(around),
            };
            self.refresh_payload(around, Direction::Request);
            let complete = self.is_complete(around, Direction::Request, proxy);
            let verdict = self.ask(around, proxy, Stage::Request, complete, |scope| tcp_rules::content(scope, from));
            match verdict {
                Some(TcpVerdict::Wait { at_most: Some(at_most), resume }) if !complete => {
                    let asking = match asking {
                        Asking::Backend(_) => Asking::Backend(resume),
                        _ => Asking::Frontend(resume),
                    };
                    return self.wait_for_bytes(around, asking, at_most);
                }
                Some(verdict @ (TcpVerdict::Reject | TcpVerdict::SilentDrop)) => {
                    if verdict == TcpVerdict::SilentDrop {
                        self.drop_silently(around);
                    }
                    around.proxy_counters(frontend).frontend_denied_requests.increment();
                    around.listener_counters(self.accepted.listener).denied_requests.increment();
                    return self.over(around, Termination::new(Cause::Proxy, Phase::Request));
                }
                _ => {}
            }
            self.stop_waiting();
            if matches!(asking, Asking::Backend(_)) {
                self.set_asking(Asking::Nothing);
                return self.rules_accept(around);
            }
            self.choose_backend(around);
            let rules_of_backend =
                self.backend.filter(|backend| *backend != frontend).map(|backend| around.config().proxy(backend));
            match rules_of_backend.is_some_and(|backend| !backend.tcp_rules.request.is_empty()) {
                true => self.set_asking(Asking::Backend(0)),
                false => self.set_asking(Asking::Nothing),
            }
        }
    }

    fn set_asking(&mut self, asking: Asking) {
        if let Some(inspection) = &mut self.inspection {
            inspection.asking = asking;
        }
    }

    fn stop_waiting(&mut self) {
        if let Some(inspection) = &mut self.inspection {
            (inspection.waiting_since_us, inspection.wait_at_most) = (None, None);
        }
        self.deadline_changed = true;
    }

    /// More may come: the delay counts from the first time that the same rule set had to wait.
    fn wait_for_bytes<D: Driver>(&mut self, around: &Surroundings<D>, asking: Asking, at_most: Duration) -> Step {
        if let Some(inspection) = &mut self.inspection {
            inspection.asking = asking;
            inspection.wait_at_most = Some(at_most);
            inspection.waiting_since_us.get_or_insert(around.now.monotonic_us);
        }
        self.deadline_changed = true;
        Step::Continue
    }

    /// No more bytes are waited for: the side has sent its end, the buffer is full, the delay is over, or none is set.
    fn is_complete<D: Driver>(&self, around: &Surroundings<D>, direction: Direction, proxy: ProxyId) -> bool {
        let config = around.config();
        let rules = &config.proxy(proxy).tcp_rules;
        let (ended, delay) = match direction {
            Direction::Request => (self.request.end_of_stream(), rules.request_inspect_delay),
            Direction::Response => (self.response.end_of_stream(), rules.response_inspect_delay),
        };
        let room = config.global.bufsize_bytes.saturating_sub(config.global.maxrewrite_bytes);
        let held = self.inspection.as_ref().map_or(0, |inspection| inspection.payload.len());
        let expired = self.inspection_deadline_us().is_some_and(|deadline_us| deadline_us <= around.now.monotonic_us);
        ended || delay.is_none() || expired || held >= room as usize
    }

    /// Gathers what is held of one direction as one text.
    fn refresh_payload<D: Driver>(&mut self, around: &mut Surroundings<D>, direction: Direction) {
        let Some(inspection) = &mut self.inspection else { return };
        let relay = match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        };
        relay.copy_held(around.driver, &mut inspection.payload);
    }

    /// The backend by rule, and its counters.
    fn choose_backend<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        let frontend = self.accepted.frontend;
        let chosen = self.ask(around, frontend, Stage::Request, true, switching::choose_backend);
        self.backend = chosen.flatten();
        let Some(backend) = self.backend else { return };
        let state = around.shared.proxy(backend);
        state.backend_session_rate.count(around.now.monotonic_us);
        state.last_session_wall_s.store(around.now.wall_us / 1_000_000, Ordering::Relaxed);
        around.proxy_counters(backend).backend_sessions.increment();
        self.entry = Some(assign::enter_backend(around.shared, backend));
        let config = around.config();
        let splice = splice_settings(config, config.proxy(frontend), Some(backend));
        self.request.set_splice(splice.request);
        self.response.set_splice(splice.response);
    }

    /// Rules have let the request pass: on to a server.
    fn rules_accept<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        self.take_addresses();
        self.request.set_inspected(false);
        self.state = State::TurnAround;
        let Some(backend) = self.backend else { return self.choose_server(around, None, None) };
        let by_rule = self.ask(around, backend, Stage::Request, true, switching::choose_server).flatten();
        let key = self.ask(around, backend, Stage::Request, true, |scope| balance_key::of(scope)).flatten();
        let responses = around.config().proxy(backend).tcp_rules.response.is_empty();
        let by_cookie = match by_rule {
            Some(_) => None,
            None => self.ask(around, backend, Stage::Request, true, rdp_cookie::persistent_server).flatten(),
        };
        let persists = around.config().proxy(backend).backend.as_ref().is_some_and(|own| own.persist_on_down_server);
        if let Some(inspection) = &mut self.inspection {
            inspection.asking = if responses { Asking::Nothing } else { Asking::Response(0) };
            inspection.payload = Vec::new();
            inspection.balance_key = key;
            inspection.is_persistent = persists && by_cookie.is_some();
        }
        let step = self.choose_server(around, by_rule.or(by_cookie), None);
        if step == Step::Continue && self.request.end_of_stream() && !matches!(self.state, State::Closing) {
            return self.client_left_early(around);
        }
        step
    }

    /// `set-src` changes what is logged and hashed; `set-dst` where servers without an address are.
    fn take_addresses(&mut self) {
        let Some(inspection) = &self.inspection else { return };
        if let Endpoint::Ip(source) = inspection.client.source {
            self.accepted.address = ClientAddress::Ip(source);
        }
    }

    /// Where rules say that the client wanted to go.
    pub(super) fn destination_by_rule(&self) -> Option<SocketAddr> {
        match self.inspection.as_ref()?.client.destination {
            Some(Endpoint::Ip(address)) => Some(address),
            _ => None,
        }
    }

    /// The rules are asked about what has come from the server.
    pub(super) fn inspect_response<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let (Some(backend), Some(Asking::Response(from))) =
            (self.backend, self.inspection.as_ref().map(|inspection| inspection.asking))
        else {
            return Step::Continue;
        };
        self.refresh_payload(around, Direction::Response);
        let complete = self.is_complete(around, Direction::Response, backend);
        let silent = self.inspection.as_ref().is_some_and(|inspection| inspection.payload.is_empty());
        let delay = around.config().proxy(backend).tcp_rules.response_inspect_delay;
        if silent && delay.is_none() && !self.response.end_of_stream() {
            return Step::Continue; // nothing to look at yet, and nobody is kept waiting
        }
        let verdict =
            self.ask(around, backend, Stage::Response, complete, |scope| tcp_rules::response_content(scope, from));
        match verdict {
            Some(TcpVerdict::Wait { at_most: Some(at_most), resume }) if !complete => {
                return self.wait_for_bytes(around, Asking::Response(resume), at_most);
            }
            Some(verdict @ (TcpVerdict::Reject | TcpVerdict::SilentDrop)) => {
                if verdict == TcpVerdict::SilentDrop {
                    self.drop_silently(around);
                }
                around.proxy_counters(self.accepted.frontend).frontend_denied_responses.increment();
                around.proxy_counters(backend).backend_denied_responses.increment();
                around.listener_counters(self.accepted.listener).denied_responses.increment();
                if let Some(server) = self.server_in_use() {
                    around.server_counters(server).denied_responses.increment();
                }
                return self.over(around, Termination::new(Cause::Proxy, Phase::Data));
            }
            // What has come still goes to the client; then the server's end is its end.
            Some(TcpVerdict::Close) => around.driver.shutdown_both(self.server),
            _ => {}
        }
        self.stop_waiting();
        self.set_asking(Asking::Nothing);
        if let Some(inspection) = &mut self.inspection {
            inspection.payload = Vec::new();
        }
        self.response.set_inspected(false);
        let (client, server) = (self.accepted.client, self.server);
        let flow = self.response.open(&mut around.wire(Direction::Response, client, server));
        self.flowed(around, Direction::Response, flow)
    }
}
