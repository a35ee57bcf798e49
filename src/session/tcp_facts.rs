//! What a TCP session tells the counters and the log.

use super::surroundings::Surroundings;
use super::tcp::{ClientAddress, NO_SOCKET, TcpSession};
use super::termination::{Cause, Termination};
use crate::config::model::{Config, LogFormatNeeds, ServerAddress};
use crate::io::{Driver, SocketAddress};
use crate::policy::log_format::{Endpoint, ServerName, SessionFacts, Times};
use crate::shared::Shared;
use std::sync::atomic::{AtomicU32, Ordering};

impl TcpSession {
    /// The session's times for the means and maxima of server and backend, if it was connected.
    pub fn book_times<D: Driver>(&self, around: &Surroundings<D>) {
        let (Some(backend), Some(server)) = (self.backend, self.chosen) else { return };
        if self.connected_ms < 0 {
            return;
        }
        let milliseconds = |value: i32| value.max(0) as u32;
        let (queue_ms, total_ms) =
            (milliseconds(self.queued_ms), milliseconds(self.elapsed_ms(around.now.monotonic_us)));
        let connect_ms = milliseconds(self.connected_ms - self.queued_ms);
        for times in [&around.shared.proxy(backend).session_times, &around.shared.server(server).session_times] {
            times.record(queue_ms, connect_ms, 0, total_ms);
        }
    }

    /// Adds the bytes since the last time to the counters of frontend, listener, backend and server.
    pub fn book_bytes<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        let bytes_in = self.request.bytes - self.booked_request;
        let bytes_out = self.response.bytes - self.booked_response;
        (self.booked_request, self.booked_response) = (self.request.bytes, self.response.bytes);
        self.count_tracked_bytes(bytes_in, bytes_out, around.now.monotonic_us);
        let frontend = around.proxy_counters(self.accepted.frontend);
        frontend.frontend_bytes_in.add(bytes_in);
        frontend.frontend_bytes_out.add(bytes_out);
        let listener = around.listener_counters(self.accepted.listener);
        listener.bytes_in.add(bytes_in);
        listener.bytes_out.add(bytes_out);
        if let Some(backend) = self.backend {
            let backend = around.proxy_counters(backend);
            backend.backend_bytes_in.add(bytes_in);
            backend.backend_bytes_out.add(bytes_out);
        }
        if let Some(server) = self.chosen {
            let server = around.server_counters(server);
            server.bytes_in.add(bytes_in);
            server.bytes_out.add(bytes_out);
        }
    }
}

fn endpoint(address: std::io::Result<SocketAddress>) -> Endpoint {
    match address {
        Ok(SocketAddress::Ip(address)) => Endpoint::Ip(address),
        Ok(_) => Endpoint::Unix,
        Err(_) => Endpoint::None,
    }
}

impl TcpSession {
    /// The line is due: with `option logasap` as soon as there is a connection, otherwise at the end; never twice.
    pub fn log_is_due(&mut self, config: &Config) -> bool {
        if self.logged {
            return false;
        }
        let options = &config.proxy(self.accepted.frontend).options;
        let due = self.termination.is_some() || (options.logasap && self.connected_ms >= 0);
        self.logged = due;
        due
    }

    /// It is connected, and `option logasap` has its line written now instead of at the end.
    pub fn is_logged_early(&self, config: &Config) -> bool {
        !self.logged && self.connected_ms >= 0 && config.proxy(self.accepted.frontend).options.logasap
    }

    /// HAProxy's idea of a session that went wrong: an error cause, a retry, a redispatch.
    pub fn went_wrong(&self) -> bool {
        let cause = self.termination.map_or(Cause::Normal, |termination| termination.cause);
        !matches!(cause, Cause::Normal | Cause::Local) || self.redispatched || self.retries > 0
    }

    /// Everything that a log line may tell. Counts are those of this moment.
    pub fn facts<'a, D: Driver>(
        &self,
        driver: &D,
        shared: &'a Shared,
        needs: LogFormatNeeds,
        now_us: u64,
    ) -> SessionFacts<'a> {
        let config = &*shared.config;
        let frontend = config.proxy(self.accepted.frontend);
        let backend = self.backend.map(|id| (config.proxy(id), shared.proxy(id)));
        let server = self.chosen.map(|id| (config.server(id), shared.server(id)));
        let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
        let elapsed_ms = i64::from(self.elapsed_ms(now_us));
        let position = self.queue_position;
        let ahead = |of_server: bool| position.filter(|p| p.is_server_queue == of_server).map_or(0, |p| p.position);
        SessionFacts {
            mode: frontend.mode,
            client: self.accepted.address.endpoint(),
            frontend_address: if let Some(destination) = self.destination_by_rule() {
                Endpoint::Ip(destination)
            } else if needs.frontend_address {
                endpoint(driver.local_address(self.accepted.client))
            } else {
                Endpoint::None
            },
            source_address: if self.server != NO_SOCKET && needs.source_address {
                endpoint(driver.local_address(self.server))
            } else {
                Endpoint::None
            },
            server_address: match server.and_then(|(server, _)| server.address.as_ref()) {
                Some(ServerAddress::Ip(address)) => Endpoint::Ip(*address),
                Some(_) => Endpoint::Unix,
                None => Endpoint::None,
            },
            listener_id: config.listener(self.accepted.listener).lid,
            accept_wall_us: self.accepted.wall_us,
            frontend_name: &frontend.name,
            backend_name: backend.map_or(&frontend.name, |(backend, _)| &backend.name),
            server: server.map_or(ServerName::None, |(server, _)| ServerName::Named(&server.name)),
            bytes_read: self.response.bytes,
            bytes_uploaded: self.request.bytes,
            times: Times {
                queue_ms: i64::from(self.queued_ms),
                connect_ms: if self.connected_ms < 0 { -1 } else { i64::from(self.connected_ms - self.queued_ms) },
                total_ms: elapsed_ms,
                ..Times::default()
            },
            termination: self.termination.unwrap_or(Termination::NORMAL).letters(),
            active_connections: count(&shared.process.connections),
            frontend_connections: count(&shared.proxy(self.accepted.frontend).frontend_connections),
            backend_connections: backend.map_or(0, |(_, state)| count(&state.backend_connections)),
            server_connections: match (&self.termination, server) {
                (None, Some((_, state))) => count(&state.served),
                _ => self.left_behind,
            },
            request_counter: self.accepted.sequence,
            retries: u32::from(self.retries),
            redispatched: self.redispatched,
            server_queue: ahead(true),
            backend_queue: ahead(false),
            as_soon_as_possible: self.termination.is_none(),
            ..SessionFacts::default()
        }
    }

    /// The client sent nothing (`option dontlognull`).
    pub fn is_null(&self) -> bool {
        self.request.bytes == 0
    }
}

impl ClientAddress {
    /// As the log names it.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            ClientAddress::Ip(address) => Endpoint::Ip(*address),
            ClientAddress::Unix => Endpoint::Unix,
            ClientAddress::NotAsked => Endpoint::None,
        }
    }
}
