//! One exchange made by hand, to evaluate expressions on.

use super::{Sample, fetch, fetch_text};
use crate::config::expression::{Place, parse};
use crate::config::load::load_text;
use crate::config::model::{ListenerId, ProxyId};
use crate::policy::exchange::{Client, Exchange, Scope, Sockets, Stage};
use crate::policy::log_format::Endpoint;
use crate::proto::http1::head::{HeadLimits, HeadParser};
use crate::shared::{Shared, ThreadShared};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

pub const PROXY: &str = "defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 6s\n\
     frontend fe\n bind 127.0.0.1:1\n default_backend be\n\
     backend be\n server s1 127.0.0.1:2 weight 7 maxconn 9 maxqueue 4\n server s2 127.0.0.1:3\n";

pub struct Fixture {
    pub shared: ThreadShared,
    pub client: Client,
    pub exchange: Exchange,
    pub payload: Vec<u8>,
    pub is_payload_complete: bool,
    pub stage: Stage,
}

struct NoSockets;

impl Sockets for NoSockets {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 1)))
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn round_trip_us(&self, of_server: bool) -> Option<(u32, u32)> {
        (!of_server).then_some((2_500, 700))
    }
}

impl Fixture {
    /// With a request that has come whole; an empty one for none.
    pub fn new(request: &[u8]) -> Fixture {
        let config = load_text("samples.cfg", PROXY).config.expect("the configuration loads");
        let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, 0)));
        let mut exchange = Exchange::default();
        let limits = HeadLimits { head_bytes_max: 16384, headers_max: 101 };
        let parsed = HeadParser::new(limits).advance_into(request, &mut exchange.request);
        if let Some(length) = parsed.expect("a valid head") {
            exchange.request_body = request[length..].to_vec();
            exchange.is_request_body_complete = true;
            exchange.request_line = request[..request.iter().position(|byte| *byte == b'\r').unwrap_or(0)].to_vec();
        }
        let client = Client {
            frontend: Some(ProxyId(0)),
            listener: Some(ListenerId(0)),
            source: Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 4711))),
            exchanges: 1,
            ..Client::default()
        };
        Fixture { shared, client, exchange, payload: Vec::new(), is_payload_complete: true, stage: Stage::Request }
    }

    /// Runs `with` on the scope.
    pub fn scope<T>(&mut self, with: impl FnOnce(&Scope) -> T) -> T {
        self.scope_mut(|scope| with(scope))
    }

    pub fn scope_mut<T>(&mut self, with: impl FnOnce(&mut Scope) -> T) -> T {
        with(&mut Scope {
            shared: &self.shared,
            worker: 0,
            monotonic_us: 5_000_000,
            wall_us: 1_700_000_000_123_456,
            stage: self.stage,
            proxy: ProxyId(0),
            client: &mut self.client,
            exchange: &mut self.exchange,
            sockets: &NoSockets,
            payload: &self.payload,
            is_payload_complete: self.is_payload_complete,
            hostname: "box",
        })
    }

    /// What `%[text]` prints; empty when there is no sample.
    pub fn text(&mut self, text: &str) -> Vec<u8> {
        let expression = parse(text, Place::ANY).unwrap_or_else(|error| panic!("{text}: {error}"));
        self.scope(|scope| fetch_text(&expression, scope).unwrap_or_default().into_owned())
    }

    pub fn sample(&mut self, text: &str) -> super::Outcome<Sample<'static>> {
        let expression = parse(text, Place::ANY).unwrap_or_else(|error| panic!("{text}: {error}"));
        self.scope(|scope| fetch(&expression, scope).map(Sample::into_owned))
    }
}
