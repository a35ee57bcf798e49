//! What a TCP session tells the counters and the log.

use super::surroundings::Surroundings;
use super::tcp::TcpSession;
use crate::io::Driver;

impl TcpSession {
    /// Adds the bytes since the last time to the counters of frontend, listener, backend and server.
    pub fn book_bytes<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        let bytes_in = self.request.bytes - self.booked_request;
        let bytes_out = self.response.bytes - self.booked_response;
        (self.booked_request, self.booked_response) = (self.request.bytes, self.response.bytes);
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
