//! Facts in, choice out: no I/O, no clocks.

pub mod state_log;
