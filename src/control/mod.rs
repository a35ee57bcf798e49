//! The control thread: what the process is told (options, signals, runtime socket) and what it tells (messages, pid
//! file, service manager). It starts the workers and ends them; no proxied byte passes here.

pub mod checks;
pub mod command_line;
mod connection;
pub mod daemon;
pub mod descriptors;
pub mod doctor;
pub mod engine;
pub mod event_loop;
pub mod limits;
pub mod listeners;
pub mod messages;
pub mod notify;
pub mod pidfile;
pub mod placement;
pub mod privileges;
pub mod replaced;
pub mod report;
pub mod runtime_socket;
pub mod serve;
mod server_state;
#[cfg(test)]
mod simulated_tests;
pub mod start;
pub mod state_lines;
pub mod stop;
pub mod supervision;
pub mod supervisor;
pub mod version;
pub mod workers;
