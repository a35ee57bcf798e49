//! The HTTP side of a frontend that answers by itself: the stats page. One machine per client connection.

use super::local_context::{LocalContext, Verdict};
use crate::config::model::ProxyId;

/// Where the connection stands; tells the caller which timeout applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpPhase {
    /// Between requests, nothing received yet: `timeout http-keep-alive` (before the first one: `timeout http-request`).
    Idle,
    /// A request head has begun: `timeout http-request`.
    Head,
    /// A request body is awaited: `timeout client`.
    Body,
}

/// What one answered (or aborted) request leaves for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRecord {
    /// Sent to the client; 0 = nothing was sent (`option httplog` prints -1 then).
    pub status: u16,
    /// Empty for a request that could not be read (`<BADREQ>`).
    pub method: String,
    pub uri: String,
    /// `HTTP/1.1`
    pub version: String,
    /// Answered by the stats page (`<STATS>`), otherwise no server was available (`<NOSRV>`).
    pub by_stats: bool,
    /// Bytes of this request and of its answer, heads included.
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// Wall clock and monotonic microseconds of the request's first byte.
    pub started_wall_us: u64,
    pub started_us: u64,
    /// From the first byte to the end of the head, milliseconds; -1 = never complete (`%TR`).
    pub request_ms: i64,
    /// From the first byte to the end of the answer, milliseconds (`%Ta`).
    pub active_ms: i64,
    /// HAProxy's termination letters: `LR`, `SC`, `PR`, `cR`, `CR`.
    pub termination: [u8; 2],
}

/// One client connection of a `mode http` frontend that has `stats`.
pub struct LocalHttp {
    frontend: ProxyId,
    records: std::collections::VecDeque<HttpRecord>,
}

impl LocalHttp {
    pub fn new(frontend: ProxyId) -> LocalHttp {
        LocalHttp { frontend, records: Default::default() }
    }

    /// Takes bytes from the client in any pieces; appends answers to `output`.
    pub fn receive(&mut self, input: &[u8], context: &mut LocalContext, output: &mut Vec<u8>) -> Verdict {
        let _ = (input, context, output, self.frontend);
        Verdict::CloseAfterOutput
    }

    /// The client has finished sending, or reset the connection: anything half received is lost.
    pub fn end_of_input(&mut self, context: &mut LocalContext, output: &mut Vec<u8>) -> Verdict {
        let _ = (context, output);
        Verdict::CloseAfterOutput
    }

    /// The timeout of the present [`HttpPhase`] has expired: 408 when a request had begun.
    pub fn timed_out(&mut self, context: &mut LocalContext, output: &mut Vec<u8>) -> Verdict {
        let _ = (context, output);
        Verdict::CloseAfterOutput
    }

    pub fn phase(&self) -> HttpPhase {
        HttpPhase::Idle
    }

    /// One per answered request, in order; call until `None`.
    pub fn take_record(&mut self) -> Option<HttpRecord> {
        self.records.pop_front()
    }
}
