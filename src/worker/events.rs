//! A session's events: what completed, what timed out, and the one place where a session ends.

use super::slots::Tenant;
use super::{Core, Stage, Worker, session_log};
use crate::io::{Completion, Driver};
use crate::session::tcp::Step;
use crate::session::token::{Operation, ServerOperation, SlotKey};

impl<D: Driver> Worker<D> {
    pub(super) fn session_event(&mut self, key: SlotKey, operation: Operation, completion: &Completion) {
        let step = match self.slots.get(key) {
            Some(Tenant::Tcp(session)) => {
                let step = session.completed(&mut self.core.surroundings(key), operation, completion);
                if step == Step::Continue && !session.wants_attention() {
                    return; // a message went through: nothing to book
                }
                step
            }
            Some(Tenant::Local(session)) => session.completed(&mut self.core.surroundings(key), operation, completion),
            Some(Tenant::Http(session)) => session.completed(&mut self.core.surroundings(key), operation, completion),
            Some(Tenant::ProxyHeader(_)) => return self.proxy_header_event(key, completion),
            // The slot is joined before it is freed, so nothing of its last tenant comes here but a buffer's stray owner.
            Some(Tenant::Nobody) | None => {
                if completion.buffer.is_some() {
                    self.core.driver.release(completion.buffer);
                }
                return;
            }
        };
        self.after_event(key, step);
    }

    pub(super) fn timer_event(&mut self, key: SlotKey) {
        let step = match self.slots.get(key) {
            Some(Tenant::Tcp(session)) => session.timer_fired(&mut self.core.surroundings(key)),
            Some(Tenant::Local(session)) => session.timer_fired(&mut self.core.surroundings(key)),
            Some(Tenant::Http(session)) => session.timer_fired(&mut self.core.surroundings(key)),
            Some(Tenant::ProxyHeader(_)) => return self.proxy_header_timed_out(key),
            Some(Tenant::Nobody) | None => return,
        };
        self.after_event(key, step);
    }

    /// An operation on a server's connection in HTTP mode: its session's, if it has one.
    pub(super) fn server_event(&mut self, server: SlotKey, operation: ServerOperation, completion: &Completion) {
        let owner = self.core.http.servers.owner(server);
        if let Some(owner) = owner
            && let Some(Tenant::Http(session)) = self.slots.get(owner)
        {
            let step = session.server_completed(&mut self.core.surroundings(owner), server, operation, completion);
            return self.after_event(owner, step);
        }
        let Core { driver, http, .. } = &mut self.core;
        http.servers.completed_unowned(driver, server, operation, completion);
    }

    /// Books what an event led to: the end of the session, a new deadline, the end of its last operation.
    pub(super) fn after_event(&mut self, key: SlotKey, step: Step) {
        if step == Step::Over {
            self.session_over(key);
        }
        let config = self.core.shared.config.clone();
        let Some(tenant) = self.slots.get(key) else { return };
        let (deadline_us, finished) = match tenant {
            Tenant::Tcp(session) => {
                if session.is_logged_early(&config) {
                    session_log::write_tcp(&mut self.core, session);
                }
                session.deadline_is_set();
                (session.deadline_us(&config), session.termination().is_some() && session.is_idle())
            }
            Tenant::Local(session) => (session.deadline_us(&config), session.is_over() && session.is_idle()),
            Tenant::Http(session) => {
                session_log::write_http(&mut self.core);
                (session.deadline_us(&config), session.is_over() && session.is_idle())
            }
            Tenant::ProxyHeader(wait) => (wait.deadline_us(), wait.is_finished()),
            Tenant::Nobody => return,
        };
        if finished {
            return self.close(key);
        }
        match deadline_us {
            Some(deadline_us) => self.timers.set(key.slot, deadline_us.div_ceil(1000)),
            None => self.timers.clear(key.slot),
        }
    }

    /// The session has ended, its sockets are about to close: counts, log line, and room for the next.
    fn session_over(&mut self, key: SlotKey) {
        match self.slots.get(key) {
            Some(Tenant::Tcp(session)) => {
                session.book_bytes(&mut self.core.surroundings(key));
                session.book_times(&self.core.surroundings(key));
                session_log::write_tcp(&mut self.core, session);
                session.leave();
            }
            Some(Tenant::Local(session)) => session.accepted.places = None,
            Some(Tenant::Http(session)) => {
                session_log::write_http(&mut self.core);
                session.leave();
            }
            Some(Tenant::ProxyHeader(wait)) => wait.leave(&mut self.core.surroundings(key)),
            Some(Tenant::Nobody) | None => return,
        }
        self.timers.clear(key.slot);
    }

    fn close(&mut self, key: SlotKey) {
        match self.slots.get(key) {
            Some(Tenant::Tcp(session)) => session.close(&mut self.core.driver),
            Some(Tenant::Local(session)) => session.close(&mut self.core.driver),
            Some(Tenant::Http(session)) => session.close(&mut self.core.driver),
            Some(Tenant::ProxyHeader(wait)) => wait.close(&mut self.core.driver),
            Some(Tenant::Nobody) | None => return,
        }
        self.timers.clear(key.slot);
        self.slots.remove(key);
        self.room().give_back();
        if self.stage != Stage::Closing && (!self.parked.is_empty() || self.accept_again_us.is_some()) {
            self.room_freed();
        }
    }
}
