//! Both directions of an exchange after the request's head has gone out: bodies, the response, the end.

use super::request::milliseconds;
use super::transfer::Progress;
use super::work::Work;
use super::{HttpSession, Stage};
use crate::io::Driver;
use crate::session::surroundings::Surroundings;
use crate::session::tcp::Step;
use crate::session::termination::{Cause, Phase, Termination};
use crate::session::token::SlotKey;

impl HttpSession {
    /// Something moved: does all that can be done now.
    pub(super) fn advance<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = self.advance_with(around, &mut work);
        self.book_continuously(around, &mut work);
        self.keep(around, work, step)
    }

    /// `option contstats`: what has moved is counted at once, not when the exchange is over.
    fn book_continuously<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        let is_under_way = matches!(self.stage, Stage::Response | Stage::HoldingResponse | Stage::Bodies);
        // Another work: this one's exchange is over, and booked.
        if is_under_way && self.work.is_none() && around.config().proxy(self.accepted.frontend).options.contstats {
            self.note_bytes(work);
            self.book_bytes(around, work);
        }
    }

    pub(super) fn advance_with<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        if let Some(step) = self.advance_request(around, work) {
            return step;
        }
        if matches!(self.stage, Stage::Response)
            && let Some(step) = self.read_response(around, work)
        {
            return step;
        }
        match self.stage {
            Stage::HoldingResponse => self.advance_held_response(around, work),
            Stage::Bodies => self.advance_response(around, work),
            _ => Step::Continue,
        }
    }

    /// Client → server.
    fn advance_request<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Option<Step> {
        if work.request_body.is_done() {
            self.request_is_through(around, work);
            return None;
        }
        let server = &mut around.http.servers.get(work.server?)?.connection;
        let before = work.request_body.bytes;
        let progress = work.request_body.advance(around.driver, &mut self.client, server, around.now.monotonic_us);
        work.is_body_begun |= work.request_body.bytes > before;
        match progress {
            Progress::Running => None,
            Progress::Done => {
                self.request_is_through(around, work);
                None
            }
            Progress::Broken => {
                // The client left in the middle of its body.
                Some(self.client_aborted(around, work, Phase::Data))
            }
            Progress::SourceFailed(_) => Some(self.client_aborted(around, work, Phase::Data)),
            Progress::Malformed => {
                around.proxy_counters(self.accepted.frontend).frontend_request_errors.increment();
                work.termination = Some(Termination::new(Cause::Proxy, Phase::Data));
                Some(self.request_broken(around, work))
            }
            Progress::TargetFailed(errno) => {
                let key = work.server?;
                Some(self.server_send_failed_with(around, work, key, errno))
            }
        }
    }

    /// The request is with the server's connection, whole.
    fn request_is_through<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) {
        if work.is_tunnel {
            let Some(server) = work.server.and_then(|key| around.http.servers.get(key)) else { return };
            if !work.is_request_shut && server.connection.is_drained() {
                work.is_request_shut = true;
                around.driver.shutdown_write(server.connection.socket);
            }
            return;
        }
        // The client's next request waits its turn; an end of stream should be seen.
        if self.client.waiting_segments() >= super::connection::WAITING_SEGMENTS_MAX {
            self.client.pause(around.driver);
        } else {
            self.client.receive(around.driver);
        }
    }

    /// Server → client, after the response's head.
    pub(super) fn advance_response<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        if work.response_body.is_stored() {
            if work.response_body.advance_stored(around.driver, &mut self.client) == Progress::Running {
                return Step::Continue;
            }
        } else if !work.response_body.is_done() {
            let Some(key) = work.server else { return Step::Continue };
            let Some(server) = around.http.servers.get(key) else { return Step::Continue };
            let server = &mut server.connection;
            let now_us = around.now.monotonic_us;
            match work.response_body.advance(around.driver, server, &mut self.client, now_us) {
                Progress::Running => return Step::Continue,
                Progress::Done => {}
                Progress::Broken | Progress::SourceFailed(_) | Progress::Malformed => {
                    return self.response_broken(around, work);
                }
                Progress::TargetFailed(_) => return self.client_aborted(around, work, Phase::Data),
            }
        }
        work.response_body.complete_store(around.now.monotonic_us);
        if work.is_tunnel {
            return self.tunnel_progress(around, work);
        }
        if !self.client.is_drained() {
            return Step::Continue;
        }
        if work.request_body.is_done() {
            return self.finish(around, work);
        }
        self.response_before_request_end(around, work)
    }

    /// One direction of a tunnel has ended: its end is passed on; both: it is over.
    fn tunnel_progress<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        if !work.is_response_shut && self.client.is_drained() {
            work.is_response_shut = true;
            around.driver.shutdown_write(self.client.socket);
        }
        if work.is_response_shut && work.is_request_shut {
            return self.finish(around, work);
        }
        Step::Continue
    }

    /// The whole answer is out and the request is still coming. As long as the server takes it, it gets it; a request
    /// that cannot be finished ends the connection.
    fn response_before_request_end<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        let server_ended = work
            .server
            .and_then(|key| around.http.servers.get(key))
            .is_none_or(|server| server.connection.end_of_stream());
        if server_ended || !work.server_keeps_alive || !work.client_keeps_alive {
            work.client_keeps_alive = false;
            return self.finish(around, work);
        }
        Step::Continue
    }

    /// The response cannot be completed: the client must see that (no clean end).
    fn response_broken<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        self.count_abort(around, work, false);
        self.count_response_error(around, work);
        work.termination = Some(Termination::new(Cause::Server, Phase::Data));
        if work.response_body.ends_with_stream() {
            // A clean end would say that this was all.
            let _ = around.driver.set_option(self.client.socket, &crate::io::SocketOption::LingerZero);
        }
        self.end_without_answer(around, work)
    }

    /// The client's chunks are none.
    fn request_broken<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &mut Work) -> Step {
        match self.stage {
            Stage::Response | Stage::HoldingResponse => self.error_answer(around, work, 400),
            _ => self.end_without_answer(around, work),
        }
    }

    /// The client's connection is dead.
    pub(super) fn client_failed<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let phase = match self.stage {
            Stage::Idle => return self.idle_ended(around),
            Stage::Lingering { .. } | Stage::Closing => return self.over(around),
            Stage::Head | Stage::Body { .. } => Phase::Request,
            Stage::Tarpit { .. } => Phase::Tarpit,
            Stage::Queued(_) => Phase::Queue,
            Stage::Connecting | Stage::Abandoning | Stage::TurnAround => Phase::Connect,
            // HAProxy says D here although no response has begun.
            Stage::Response | Stage::HoldingResponse | Stage::Bodies => Phase::Data,
            Stage::Answering => Phase::Last,
        };
        let Some(mut work) = self.work.take() else { return self.over(around) };
        let step = self.client_aborted(around, &mut work, phase);
        self.keep(around, work, step)
    }

    pub(super) fn client_aborted<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        phase: Phase,
    ) -> Step {
        if work.exchange.backend.is_some() {
            self.count_abort(around, work, true);
        }
        if let Stage::Queued(ticket) = &self.stage {
            work.exchange.times.queue_ms = milliseconds(around.now.monotonic_us.saturating_sub(work.head_us));
            work.note_queue_position(ticket);
        }
        match phase {
            Phase::Tarpit => work.note_tarpit(around.now.monotonic_us),
            phase => {
                work.termination.get_or_insert(Termination::new(Cause::Client, phase));
            }
        }
        self.end_without_answer(around, work)
    }

    /// The client sent its end of stream while it waits for an answer. `option abortonclose` makes that an abort.
    pub(super) fn client_half_closed<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let backend = work.exchange.backend.unwrap_or(self.accepted.frontend);
        let abort = around.config().proxy(backend).options.abortonclose || matches!(self.stage, Stage::Tarpit { .. });
        let complete = work.request_body.is_done();
        let phase = match self.stage {
            Stage::Queued(_) => Phase::Queue,
            Stage::Connecting | Stage::Abandoning | Stage::TurnAround => Phase::Connect,
            Stage::Tarpit { .. } => Phase::Tarpit,
            _ => Phase::Headers,
        };
        let step = match abort && complete && !self.client.has_input() {
            // It may still read: it is told (HAProxy answers 400 here).
            true if phase == Phase::Headers => {
                self.count_abort(around, &work, true);
                work.termination = Some(Termination::new(Cause::Client, phase));
                work.client_keeps_alive = false;
                self.error_answer(around, &mut work, 400)
            }
            true => self.client_aborted(around, &mut work, phase),
            false => Step::Continue,
        };
        self.keep(around, work, step)
    }

    /// The server's connection died.
    pub(super) fn server_failed<D: Driver>(&mut self, around: &mut Surroundings<D>, key: SlotKey, _errno: i32) -> Step {
        if self.kept_servers.contains(&key) {
            return self.kept_server_moved(around, key);
        }
        // What it had said before counts; its end is in the connection now.
        self.advance(around)
    }

    pub(super) fn server_send_failed<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        key: SlotKey,
        errno: i32,
    ) -> Step {
        let Some(mut work) = self.work.take() else { return Step::Continue };
        let step = self.server_send_failed_with(around, &mut work, key, errno);
        self.keep(around, work, step)
    }

    /// The server takes no more of the request. It may have answered all the same: its answer is read first.
    fn server_send_failed_with<D: Driver>(
        &mut self,
        around: &mut Surroundings<D>,
        work: &mut Work,
        key: SlotKey,
        _errno: i32,
    ) -> Step {
        work.request_body.discard_rest();
        work.request_body.return_pipe(around.driver);
        work.server_keeps_alive = false;
        work.client_keeps_alive &= work.request_body.is_done();
        if let Some(server) = around.http.servers.get(key) {
            server.connection.drop_output(around.driver);
            if server.connection.end_of_stream() {
                return self.advance_with(around, work);
            }
            server.connection.receive(around.driver);
        }
        Step::Continue
    }

    pub(super) fn count_abort<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &Work, by_client: bool) {
        if let Some(backend) = work.exchange.backend {
            let counters = around.proxy_counters(backend);
            if by_client {
                counters.backend_client_aborts.increment()
            } else {
                counters.backend_server_aborts.increment()
            }
        }
        if let Some(server) = work.exchange.server {
            let counters = around.server_counters(server);
            if by_client { counters.client_aborts.increment() } else { counters.server_aborts.increment() }
        }
    }

    pub(super) fn count_response_error<D: Driver>(&mut self, around: &mut Surroundings<D>, work: &Work) {
        if let Some(backend) = work.exchange.backend {
            around.proxy_counters(backend).backend_response_errors.increment();
        }
        if let Some(server) = work.exchange.server {
            around.server_counters(server).response_errors.increment();
        }
    }
}
