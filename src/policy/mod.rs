//! Facts in, choice out: no I/O, no clocks.

pub mod assign;
pub mod balance;
pub mod balance_key;
pub mod captures;
pub mod condition;
pub mod cookie;
mod cookie_date;
mod cookie_text;
pub mod exchange;
pub mod forwarding;
pub mod health;
pub mod http_rules;
pub mod log_date;
pub mod log_facts;
pub mod log_format;
pub mod log_session;
pub mod log_text;
pub mod rdp_cookie;
pub mod reply;
pub mod sample;
mod seam;
pub mod state_log;
pub mod switching;
pub mod syslog;
pub mod tcp_rules;
pub mod userlist;
pub mod variables;
