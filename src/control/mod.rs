//! The control thread: what the process is told (options, signals, runtime socket) and what it tells (messages, pid
//! file, service manager). It starts the workers and ends them; no proxied byte passes here.

pub mod command_line;
pub mod daemon;
pub mod descriptors;
pub mod engine;
pub mod limits;
pub mod listeners;
pub mod messages;
pub mod notify;
pub mod pidfile;
pub mod placement;
pub mod privileges;
pub mod report;
pub mod serve;
pub mod start;
pub mod state_lines;
pub mod stop;
pub mod supervision;
pub mod supervisor;
pub mod version;
pub mod workers;
