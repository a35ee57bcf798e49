//! From text to one immutable [`model::Config`].
//!
//! Life of a line: bytes → words with file, line and column ([`lex`]) → the keyword table → what was written →
//! resolved, cross-checked [`model`].

mod accounts;
mod acl;
mod acl_keywords;
mod addresses;
#[cfg(test)]
mod agreement_tests;
#[cfg(test)]
mod bad_lines_tests;
pub mod condition;
pub mod diagnostics;
pub mod environment;
mod excerpt;
mod expansion;
pub mod expression;
pub mod keywords;
pub mod lex;
pub mod load;
#[cfg(test)]
mod load_tests;
pub mod log_format;
pub mod model;
mod model_acl;
mod model_cache;
mod model_check;
mod model_compression;
mod model_converter;
mod model_cookie;
mod model_forwarding;
mod model_http;
mod model_log;
mod model_old_rules;
mod model_patterns;
mod model_place;
mod model_rules;
mod model_sample;
mod model_stick_table;
mod model_switching;
mod model_tcp_rules;
pub mod names;
mod options;
mod pattern_files;
#[cfg(test)]
pub(crate) use pattern_files::collect as pattern_files_collected;
pub mod preprocess;
mod resolve;
mod resolve_global;
mod resolve_listeners;
mod resolve_log;
mod resolve_rules;
mod resolve_servers;
mod resolve_stick_tables;
mod resolve_switching;
mod resolve_warnings;
mod rules;
mod section_acl;
mod section_balance;
mod section_bind;
mod section_cache;
mod section_case_adjust;
mod section_checks;
mod section_compression;
mod section_cookie;
mod section_errors;
mod section_forwarding;
mod section_global;
mod section_header;
mod section_http;
mod section_http_rules;
mod section_log;
mod section_old_rules;
mod section_options;
mod section_proxy;
mod section_server;
mod section_stats;
mod section_stick_table;
mod section_switching;
mod section_tcp_rules;
mod section_timeouts;
mod section_userlist;
pub mod source;
mod statement;
pub mod suggest;
pub mod support;
mod typography;
mod values;
mod worker_set;
mod written;
mod written_server;
