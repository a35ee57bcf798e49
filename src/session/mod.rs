//! Machines: one event in, one transition. They use the driver contract (`io::driver`), never a backend, a clock or
//! a thread: `now` is an argument.

pub mod http;
pub mod local_context;
pub mod local_http;
pub mod local_session;
pub mod probe;
pub mod relay;
pub mod runtime;
pub mod segments;
pub mod server_socket;
mod socket_marks;
pub mod source_ports;
pub mod stats;
pub mod surroundings;
pub mod tcp;
mod tcp_connect;
mod tcp_deadline;
mod tcp_facts;
pub mod tcp_inspect;
pub mod termination;
pub mod token;
