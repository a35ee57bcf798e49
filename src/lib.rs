//! Ringway: a TCP and HTTP load balancer that reads `haproxy.cfg`.
//!
//! The folders are layers; `ARCHITECTURE.md` says which may use which, and `tests/layers.rs` holds it to that.

pub mod config;
pub mod control;
pub mod io;
pub mod policy;
pub mod proto;
pub mod session;
pub mod shared;
pub mod sys;
pub mod worker;
