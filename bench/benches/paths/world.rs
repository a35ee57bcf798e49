//! A configuration as a worker has it, and one exchange on it.

use ringway::config::load::load_text_with;
use ringway::config::model::ProxyId;
use ringway::config::names::NoNames;
use ringway::policy::balance;
use ringway::policy::exchange::{Client, Exchange, ExchangeTimes, Scope, Sockets, Stage};
use ringway::policy::log_format::Endpoint;
use ringway::proto::http1::head::HeadParser;
use ringway::proto::http1::message::Message;
use ringway::shared::{Shared, ThreadShared};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// What a browser sends: the size of head that a proxy meets all day.
pub const REQUEST: &[u8] = b"GET /static/app/main.js?v=20261123 HTTP/1.1\r\n\
Host: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Referer: http://www.example.org/index.html\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
Connection: keep-alive\r\n\r\n";

pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Date: Mon, 23 Nov 2026 17:46:31 GMT\r\n\
Server: bench\r\n\
Content-Type: application/javascript\r\n\
Content-Length: 1024\r\n\
Cache-Control: max-age=3600\r\n\
ETag: \"5f2b-61e0\"\r\n\
Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
Vary: Accept-Encoding\r\n\r\n";

/// 17:46:31 on 23 November 2026: the same for every run, so that the same digits are written.
pub const WALL_US: u64 = 1_795_455_991_268_000;

/// Addresses without a system call.
struct KnownSockets;

impl Sockets for KnownSockets {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 8080)))
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 37260)))
    }
    fn round_trip_us(&self, _of_server: bool) -> Option<(u32, u32)> {
        None
    }
}

pub struct World {
    pub shared: ThreadShared,
    pub client: Client,
    pub exchange: Exchange,
}

impl World {
    /// Loads `text` and gives its first proxy a client whose request head is [`REQUEST`].
    pub fn new(text: &str) -> World {
        let loaded = load_text_with("bench.cfg", text, &NoNames);
        let config = loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics.messages));
        let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, WALL_US)));
        balance::rebuild_all(&shared);
        let client = Client {
            frontend: Some(ProxyId(0)),
            source: Endpoint::Ip(SocketAddr::from(([10, 1, 2, 3], 48642))),
            accept_wall_us: WALL_US,
            exchanges: 1,
            ..Client::default()
        };
        let mut exchange = Exchange::default();
        exchange.clear();
        read_request(&mut exchange.request);
        exchange.request_line = b"GET /static/app/main.js?v=20261123 HTTP/1.1".to_vec();
        (exchange.status, exchange.bytes_out, exchange.bytes_in) = (200, 1300, 430);
        exchange.started_wall_us = WALL_US;
        exchange.times =
            ExchangeTimes { idle_ms: 3, request_ms: 0, queue_ms: 0, connect_ms: 1, response_ms: 12, active_ms: 14 };
        World { shared, client, exchange }
    }

    pub fn ask<T>(&mut self, stage: Stage, question: impl FnOnce(&mut Scope) -> T) -> T {
        question(&mut Scope {
            shared: &self.shared,
            worker: 0,
            monotonic_us: 1_000_000,
            wall_us: WALL_US,
            stage,
            proxy: ProxyId(0),
            client: &mut self.client,
            exchange: &mut self.exchange,
            sockets: &KnownSockets,
            payload: b"",
            is_payload_complete: true,
            hostname: "bench",
        })
    }
}

/// Parses [`REQUEST`] into `message`.
pub fn read_request(message: &mut Message) {
    let taken = HeadParser::default().advance_into(REQUEST, message);
    assert_eq!(taken, Ok(Some(REQUEST.len())));
}
