//! The state of one exchange: taken when a request begins, given back when it is over.

use super::held_response::HeldResponse;
use super::transfer::Transfer;
use crate::config::model::ServerId;
use crate::policy::assign::{BackendEntry, Lease};
use crate::policy::exchange::Exchange;
use crate::proto::http1::exchange_framing::{Body, RequestFraming};
use crate::proto::http1::head::{HeadLimits, HeadParser, Version};
use crate::proto::http1::response_head::ResponseHeadParser;
use crate::session::termination::Termination;
use crate::session::token::SlotKey;

/// See the module's text.
pub struct Work {
    pub exchange: Exchange,
    pub parser: HeadParser,
    pub response_parser: ResponseHeadParser,
    pub limits: HeadLimits,
    is_lenient: bool,
    /// A head that came in pieces, until it is whole.
    pub head_bytes: Vec<u8>,
    pub request_body: Transfer,
    pub response_body: Transfer,
    /// The body was waited for once, for the backend's sake.
    pub is_body_waited_for: bool,
    /// Counts the exchange in its backend while it lives.
    pub entry: Option<BackendEntry>,
    /// The server's slot.
    pub lease: Option<Lease>,
    pub server: Option<SlotKey>,
    pub wanted_server: Option<ServerId>,
    pub avoid_server: Option<ServerId>,
    /// The server is the one a cookie named: it is not left while it works (`option persist`).
    pub is_persistent: bool,
    /// `force-persist`: no other server, however often this one refuses.
    pub is_persistence_forced: bool,
    pub source_ports_tried: u16,
    pub termination: Option<Termination>,
    pub client_keeps_alive: bool,
    pub server_keeps_alive: bool,
    /// What was decided about the request, and is held to until its response is out.
    pub framing: RequestFraming,
    /// How the response's body goes on to the client, if nothing changes it.
    pub response_sent_as: Body,
    /// While rules wait for the response's body.
    pub held_response: HeldResponse,
    pub expects_continue: bool,
    pub is_tunnel: bool,
    /// 1xx responses that have come for this request.
    pub interim_responses: u32,
    /// The request's head has been handed to the server's connection.
    pub is_request_sent: bool,
    /// Bytes of the body are on their way: it cannot be sent again.
    pub is_body_begun: bool,
    pub is_request_shut: bool,
    pub is_response_shut: bool,
    /// A rewrite of http-after-response failed: these rules are not run again.
    pub has_failed_rewrite: bool,
    pub is_logged: bool,
    /// No request could be read: the error page is not counted in the log, as with HAProxy.
    pub is_unreadable: bool,
    /// Not to be logged at all (monitor requests).
    pub is_unlogged: bool,
    /// This exchange is answered by the statistics page.
    pub by_stats: bool,
    pub begun_us: u64,
    pub head_us: u64,
    /// When the present wait (queue, connect, turn-around, response) began.
    pub since_us: u64,
    pub queued_us: u64,
    pub connected_us: u64,
    pub client_bytes_before: u64,
    pub client_sent_before: u64,
    pub booked_in: u64,
    pub booked_out: u64,
    /// The server's last activity, as of the last look at the deadline.
    pub server_active_us: u64,
}

impl Default for Work {
    fn default() -> Self {
        Work {
            exchange: Exchange::default(),
            parser: HeadParser::default(),
            response_parser: ResponseHeadParser::default(),
            limits: HeadLimits::default(),
            is_lenient: false,
            head_bytes: Vec::new(),
            request_body: Transfer::nothing(),
            response_body: Transfer::nothing(),
            is_body_waited_for: false,
            entry: None,
            lease: None,
            server: None,
            wanted_server: None,
            avoid_server: None,
            is_persistent: false,
            is_persistence_forced: false,
            source_ports_tried: 0,
            termination: None,
            client_keeps_alive: false,
            server_keeps_alive: false,
            framing: RequestFraming::default(),
            response_sent_as: Body::None,
            held_response: HeldResponse::default(),
            expects_continue: false,
            is_tunnel: false,
            interim_responses: 0,
            is_request_sent: false,
            is_body_begun: false,
            is_request_shut: false,
            is_response_shut: false,
            has_failed_rewrite: false,
            is_logged: false,
            is_unreadable: false,
            is_unlogged: false,
            by_stats: false,
            begun_us: 0,
            head_us: 0,
            since_us: 0,
            queued_us: 0,
            connected_us: 0,
            client_bytes_before: 0,
            client_sent_before: 0,
            booked_in: 0,
            booked_out: 0,
            server_active_us: 0,
        }
    }
}

impl Work {
    pub fn is_http10(&self) -> bool {
        self.framing.version == Version::Http10
    }

    /// As new, with the memory of the last exchange's texts.
    pub fn begin(&mut self, limits: HeadLimits, lenient: bool, now_us: u64, wall_us: u64) {
        let mut exchange = std::mem::take(&mut self.exchange);
        exchange.clear();
        exchange.started_wall_us = wall_us;
        let mut head_bytes = std::mem::take(&mut self.head_bytes);
        head_bytes.clear();
        let mut parser = std::mem::take(&mut self.parser);
        let mut response_parser = std::mem::take(&mut self.response_parser);
        if self.limits == limits && !self.is_lenient && !lenient {
            parser.restart();
            response_parser.restart();
        } else {
            parser = if lenient { HeadParser::new_lenient(limits) } else { HeadParser::new(limits) };
            response_parser = ResponseHeadParser::new(limits);
        }
        *self = Work {
            exchange,
            head_bytes,
            parser,
            response_parser,
            limits,
            is_lenient: lenient,
            begun_us: now_us,
            since_us: now_us,
            ..Work::default()
        };
    }
}
