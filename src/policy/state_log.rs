//! A server or backend changed state: what the log is to say about it.

use crate::config::model::ProxyId;

/// One line for the log targets of `proxy`, made by whoever changed the state and sent by the thread that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateLog {
    pub proxy: ProxyId,
    /// Syslog level, 0 (emerg) – 7 (debug).
    pub level: u8,
    pub text: String,
}
