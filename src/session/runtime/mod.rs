//! The stats socket's command language (management.txt section 9.3). One machine per connection.

use super::local_context::{LocalContext, Verdict};
use crate::config::model::RuntimeLevel;
use std::time::Duration;

/// One connection to a `stats socket`.
pub struct RuntimeSession {
    level: RuntimeLevel,
    timeout: Option<Duration>,
}

impl RuntimeSession {
    /// `timeout` is `stats timeout`; `set timeout cli` changes this connection's.
    pub fn new(level: RuntimeLevel, timeout: Option<Duration>) -> RuntimeSession {
        RuntimeSession { level, timeout }
    }

    /// Takes bytes in any pieces. `end_of_input`: the client has shut down its side; everything received so far is
    /// answered all the same.
    pub fn receive(
        &mut self,
        input: &[u8],
        end_of_input: bool,
        context: &mut LocalContext,
        output: &mut Vec<u8>,
    ) -> Verdict {
        let _ = (input, end_of_input, context, output, self.level);
        Verdict::CloseAfterOutput
    }

    /// How long the connection may stay silent now.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.timeout
    }
}
