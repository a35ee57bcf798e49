//! How a session asks the policies: everything they may see, gathered for one call.

use super::HttpSession;
use super::work::Work;
use crate::config::model::ProxyId;
use crate::io::{Driver, Socket, SocketAddress};
use crate::policy::exchange::{Scope, Sockets, Stage as Asking};
use crate::policy::log_format::Endpoint;
use crate::policy::old_rules::OldVerdict;
use crate::session::socket_marks;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};

/// Whether the way goes on after a question.
pub(super) enum Asked {
    Continue,
    /// The question has settled the request.
    Stop(Step),
}

/// The two sockets, for questions that cost a system call.
struct OpenSockets<'a, D> {
    driver: &'a D,
    client: Socket,
    server: Option<Socket>,
}

fn endpoint(address: std::io::Result<SocketAddress>) -> Endpoint {
    match address {
        Ok(SocketAddress::Ip(address)) => Endpoint::Ip(address),
        Ok(_) => Endpoint::Unix,
        Err(_) => Endpoint::None,
    }
}

impl<D: Driver> Sockets for OpenSockets<'_, D> {
    fn frontend_address(&self) -> Endpoint {
        endpoint(self.driver.local_address(self.client))
    }
    fn source_address(&self) -> Endpoint {
        self.server.map_or(Endpoint::None, |server| endpoint(self.driver.local_address(server)))
    }
    fn round_trip_us(&self, of_server: bool) -> Option<(u32, u32)> {
        let socket = if of_server { self.server? } else { self.client };
        self.driver.round_trip_us(socket)
    }
}

impl HttpSession {
    /// Asks about the request.
    pub(super) fn ask<D: Driver, T>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
        question: impl FnOnce(&mut Scope) -> T,
    ) -> T {
        self.ask_at(around, work, proxy, Asking::Request, question)
    }

    /// Asks at the given stage.
    pub(super) fn ask_at<D: Driver, T>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
        stage: Asking,
        question: impl FnOnce(&mut Scope) -> T,
    ) -> T {
        let server = work.server.and_then(|key| around.http.servers.get(key)).map(|server| server.connection.socket);
        let sockets = OpenSockets { driver: &*around.driver, client: self.client.socket, server };
        let mut scope = Scope {
            shared: around.shared,
            worker: around.worker,
            monotonic_us: around.now.monotonic_us,
            wall_us: around.now.wall_us,
            stage,
            proxy,
            client: &mut self.facts,
            exchange: &mut work.exchange,
            sockets: &sockets,
            payload: &[],
            is_payload_complete: true,
            hostname: &around.http.hostname,
        };
        let answer = question(&mut scope);
        socket_marks::apply(around.driver, self.client.socket, &mut work.exchange.socket_marks);
        answer
    }

    /// Acts on what the rules of HAProxy 1.8 have decided.
    pub(super) fn old_verdict<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        proxy: ProxyId,
        verdict: OldVerdict,
    ) -> Asked {
        let status = match verdict {
            OldVerdict::Continue => return Asked::Continue,
            OldVerdict::Deny => 403,
            OldVerdict::BadRequest => 400,
            OldVerdict::Tarpit => {
                let reply = self.ask(around, work, proxy, |scope| crate::policy::reply::error(scope, 500));
                let reply = reply.with_termination(*b"PT");
                let verdict = crate::policy::http_rules::RequestVerdict::Tarpit(reply);
                return Asked::Stop(self.act_on_verdict(around, work, proxy, verdict));
            }
        };
        self.count_error(around, work);
        self.count_denied(around, proxy);
        work.termination = Some(Termination::new(Cause::Proxy, Phase::Request));
        Asked::Stop(self.error_answer(around, work, status))
    }
}
