//! The whole binary, from outside: real sockets, real MQTT brokers, real signals.
//!
//! Most tests run three times: on Ringway's io_uring engine, on its epoll engine, and on HAProxy itself, which
//! proves that the test asks for what HAProxy does and not for what we believe it does.

#[macro_use]
mod support;

mod acl_runtime;
mod balance;
mod binds;
mod browser;
mod doctor;
mod figures;
mod full_tables;
mod http_cache;
mod http_clients;
mod http_connections;
mod http_exchanges;
mod http_failures;
mod http_limits;
mod http_log_lines;
mod http_log_states;
mod http_messages;
mod http_messages_answers;
mod http_messages_bodies;
mod http_messages_heads;
mod http_messages_hops;
mod http_messages_more;
mod http_retries;
mod http_rewrites;
mod http_rules_rest;
mod http_stats;
mod http_timeouts;
mod limits;
mod log_targets;
mod mqtt;
mod options;
mod pause;
mod process;
mod proxy_protocol;
mod sessions;
mod smtp_checks;
mod source_ports;
mod stick_tables;
mod stock;
mod tcp;
mod tcp_rules;
mod tutorial;
mod web_tutorial;
