//! Sans-IO machines: events and bytes in, bytes and verdicts out. No sockets, no clocks.

pub mod local_context;
pub mod local_http;
pub mod runtime;
pub mod stats;
