//! What the HTTP sessions of one worker share.

use super::servers::ServerConnections;
use super::work::Work;
use crate::config::model::ProxyId;

/// A finished log line, on its way to the worker's log sink.
pub struct LogLine {
    pub frontend: ProxyId,
    pub level: u8,
    /// The line; its first `structured_bytes` are for targets with structured data alone.
    pub text: Vec<u8>,
    pub structured_bytes: usize,
}

/// Works kept for the next exchange: more than a burst needs would only hold memory.
const SPARE_WORKS_MAX: usize = 64;
/// One that grew beyond this is not kept.
const SPARE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// One per worker.
#[derive(Default)]
pub struct HttpState {
    pub servers: ServerConnections,
    pub hostname: String,
    /// The process stops softly: connections close after their present exchange.
    pub is_stopping: bool,
    pub lines: Vec<LogLine>,
    // Sessions hold works by a pointer: what goes to and fro must not be copied.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Work>>,
    /// For heads on their way out.
    pub scratch: Vec<u8>,
}

impl HttpState {
    pub fn new(hostname: String) -> Self {
        HttpState { hostname, ..HttpState::default() }
    }

    pub(super) fn take_work(&mut self) -> Box<Work> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, work: Box<Work>) {
        if self.spare.len() < SPARE_WORKS_MAX && work.head_bytes.capacity() <= SPARE_HEAD_BYTES_MAX {
            self.spare.push(work);
        }
    }
}
