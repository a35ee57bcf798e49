//! Facts in, choice out: no I/O, no clocks.

pub mod assign;
pub mod balance;
pub mod health;
pub mod state_log;
