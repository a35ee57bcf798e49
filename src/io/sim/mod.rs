//! The simulated backend: virtual time, an in-memory network, seeded faults. The same seed and script give the same run.
//!
//! A test holds the [`Network`] and plays everybody else with it: clients, origin servers, and what goes wrong. The
//! [`SimDriver`] is a [`super::Driver`] on that network.

mod driver;
mod network;
mod random;
#[cfg(test)]
mod tests;

pub use driver::SimDriver;
pub use network::{Network, OriginBehaviour, Peer, PeerRead};
pub use random::Random;

/// How often things go wrong; each a chance in 1000, tried whenever it could happen. All 0 by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A send takes only some of the bytes.
    pub short_send: u32,
    /// A send says EAGAIN although there is room.
    pub send_again: u32,
    /// A receive yields only some of the bytes that are there.
    pub short_receive: u32,
    /// A receive finds no buffer in this round although there is one.
    pub no_buffer: u32,
    /// A completion is held back for a round, so that another socket's overtakes it.
    pub delay: u32,
    /// A connection is reset under the session at a send or a receive.
    pub reset: u32,
    /// A connect is refused.
    pub connect_refused: u32,
    /// A connect takes up to a second.
    pub connect_slow: u32,
    /// An accept ends with EMFILE, ENFILE, ENOBUFS or ENOMEM.
    pub accept_exhausted: u32,
    /// No pipe is to be had.
    pub no_pipe: u32,
    /// A splice moves only some of the bytes, or says EAGAIN.
    pub short_splice: u32,
}

impl Faults {
    /// Everything that a healthy machine does to a session: no connection is lost by it.
    pub fn harmless() -> Self {
        Faults {
            short_send: 200,
            send_again: 100,
            short_receive: 200,
            no_buffer: 100,
            delay: 300,
            connect_slow: 200,
            accept_exhausted: 50,
            no_pipe: 200,
            short_splice: 200,
            ..Faults::default()
        }
    }
}
