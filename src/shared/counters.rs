//! Counters that one worker writes and anyone sums. A plain load and store, no read-modify-write: each counter has
//! one writer.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count with one writer thread and any readers.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed)
    }
    pub fn increment(&self) {
        self.add(1)
    }
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    /// `clear counters`: zero, from any thread; an increment under way may survive, as in HAProxy.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Default)]
        pub struct $name { $($(#[$field_meta])* pub $field: Counter),* }
        impl $name {
            /// Zeroes all of them.
            pub fn clear(&self) { $(self.$field.clear();)* }
        }
    };
}

/// Both halves of a proxy. Byte directions are the client's: in = from the client.
#[rustfmt::skip]
mod lists {
    use super::*;
    counters! { ProxyCounters {
        // frontend half
        frontend_connections, frontend_sessions, frontend_bytes_in, frontend_bytes_out,
        frontend_denied_connections, frontend_denied_sessions, frontend_denied_requests, frontend_denied_responses,
        frontend_request_errors, frontend_requests, frontend_intercepted,
        frontend_http_1xx, frontend_http_2xx, frontend_http_3xx, frontend_http_4xx, frontend_http_5xx, frontend_http_other,
        frontend_internal_errors, frontend_cache_lookups, frontend_cache_hits,
        // backend half
        backend_sessions, backend_bytes_in, backend_bytes_out,
        backend_denied_requests, backend_denied_responses,
        backend_connection_errors, backend_response_errors, backend_retries, backend_redispatches,
        backend_connects, backend_reuses, backend_selected,
        backend_client_aborts, backend_server_aborts,
        backend_http_1xx, backend_http_2xx, backend_http_3xx, backend_http_4xx, backend_http_5xx, backend_http_other,
        backend_requests, backend_internal_errors, backend_cache_lookups, backend_cache_hits,
    } }
    counters! { ServerCounters {
        sessions, bytes_in, bytes_out, denied_responses,
        connection_errors, response_errors, retries, redispatches,
        connects, reuses, selected, client_aborts, server_aborts,
        http_1xx, http_2xx, http_3xx, http_4xx, http_5xx, http_other, requests, internal_errors,
    } }
    counters! { ListenerCounters {
        connections, sessions, bytes_in, bytes_out,
        denied_connections, denied_sessions, denied_requests, denied_responses, request_errors, internal_errors,
    } }
}
pub use lists::*;
