//! What requests leave for the log and the counters.

use super::exchange::{Answer, AnsweredBy, Request};
use crate::shared::counters::ProxyCounters;

/// What one answered (or aborted) request leaves for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRecord {
    /// Sent to the client, or, for a request that broke off, what would have been.
    pub status: u16,
    /// Method, URI and version as sent; all empty for a request that could not be read (`<BADREQ>`).
    pub method: String,
    pub uri: String,
    /// `HTTP/1.1`
    pub version: String,
    /// Answered by the stats page (`<STATS>`), otherwise no server was available (`<NOSRV>`).
    pub by_stats: bool,
    /// Not a byte came (`option dontlognull`).
    pub is_null: bool,
    /// Bytes of this request, and of its answer, heads included. 0 sent for requests that could not be read, as in
    /// HAProxy's log.
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// Wall clock and monotonic microseconds of the request's first byte.
    pub started_wall_us: u64,
    pub started_us: u64,
    /// `%TR %Tw %Tc %Tr`, milliseconds; -1 = not reached.
    pub request_ms: i64,
    pub queue_ms: i64,
    pub connect_ms: i64,
    pub response_ms: i64,
    /// From the first byte to the answer (`%Ta`), milliseconds.
    pub active_ms: i64,
    /// HAProxy's termination letters: `LR`, `SC`, `PR`, `cR`, `CR`.
    pub termination: [u8; 2],
}

/// When the parts of a request came.
pub(super) struct RequestClock {
    started_us: u64,
    started_wall_us: u64,
    head_us: Option<u64>,
    request_bytes: u64,
}

impl RequestClock {
    pub fn start(now_us: u64, wall_us: u64) -> RequestClock {
        RequestClock { started_us: now_us, started_wall_us: wall_us, head_us: None, request_bytes: 0 }
    }
    pub fn head_complete(&mut self, now_us: u64, bytes: usize) {
        self.head_us = Some(now_us);
        self.request_bytes = bytes as u64;
    }
    pub fn add_request_bytes(&mut self, bytes: usize) {
        self.request_bytes += bytes as u64;
    }

    fn milliseconds_to(&self, instant_us: u64) -> i64 {
        (instant_us.saturating_sub(self.started_us) / 1000).min(i64::MAX as u64) as i64
    }

    pub fn finish(self, request: &Request, answer: &Answer, response_bytes: usize, now_us: u64) -> HttpRecord {
        let request_ms = self.milliseconds_to(self.head_us.unwrap_or(now_us));
        let by_stats = answer.by == AnsweredBy::Stats;
        let reached = if by_stats { 0 } else { -1 };
        HttpRecord {
            status: answer.status,
            method: request.method().to_string(),
            uri: request.target().to_string(),
            version: request.version().to_string(),
            by_stats,
            is_null: false,
            request_bytes: self.request_bytes,
            response_bytes: response_bytes as u64,
            started_wall_us: self.started_wall_us,
            started_us: self.started_us,
            request_ms,
            queue_ms: reached,
            connect_ms: reached,
            response_ms: if answer.status < 400 { reached } else { -1 },
            active_ms: self.milliseconds_to(now_us),
            termination: match answer.by {
                AnsweredBy::Stats => *b"LR",
                AnsweredBy::NoServer => *b"SC",
            },
        }
    }

    pub fn refused(
        self,
        status: u16,
        termination: [u8; 2],
        input_bytes: usize,
        is_null: bool,
        now_us: u64,
    ) -> HttpRecord {
        HttpRecord {
            status,
            method: String::new(),
            uri: String::new(),
            version: String::new(),
            by_stats: false,
            is_null,
            request_bytes: self.request_bytes + input_bytes as u64,
            response_bytes: 0,
            started_wall_us: self.started_wall_us,
            started_us: self.started_us,
            request_ms: -1,
            queue_ms: -1,
            connect_ms: -1,
            response_ms: -1,
            active_ms: self.milliseconds_to(now_us),
            termination,
        }
    }
}

pub(super) fn count_frontend_status(counters: &ProxyCounters, status: u16) {
    match status / 100 {
        1 => counters.frontend_http_1xx.increment(),
        2 => counters.frontend_http_2xx.increment(),
        3 => counters.frontend_http_3xx.increment(),
        4 => counters.frontend_http_4xx.increment(),
        5 => counters.frontend_http_5xx.increment(),
        _ => counters.frontend_http_other.increment(),
    }
}
