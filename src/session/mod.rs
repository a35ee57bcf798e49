//! Machines: one event in, one transition. They use the driver contract (`io::driver`), never a backend, a clock or
//! a thread: `now` is an argument.

pub mod relay;
pub mod segments;
pub mod termination;
pub mod token;
