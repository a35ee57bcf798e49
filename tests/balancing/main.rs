//! The balancer as a library: against the installed HAProxy, choice by choice, and as a model under many threads.

mod haproxy;
mod hashes;
mod lines;
mod machine;
mod model;
#[path = "../end_to_end/support/ports.rs"]
mod ports;
mod same_choices;
mod same_cookies;
mod same_requests;
