//! Where the driver meets the sessions: one event loop per core.

pub mod timer;
