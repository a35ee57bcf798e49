//! Where a thread's log lines go. (Shape first; the sockets come with the syslog formats.)

use crate::config::model::{Global, LogTarget};

#[derive(Default)]
pub struct LogSink {}

impl LogSink {
    pub fn new(_global: &Global) -> Self {
        LogSink {}
    }
    pub fn send(&mut self, _targets: &[LogTarget], _tag: &str, _level: u8, _message: &[u8], _wall_us: u64) {}
    pub fn flush(&mut self) {}
}
