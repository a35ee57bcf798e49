//! Bytes to meaning and back, pure: no sockets, no time, no configuration.

pub mod http1;
pub mod proxy_protocol;
