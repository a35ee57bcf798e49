//! What other threads ask of this worker.

use super::slots::Tenant;
use super::{Core, Stage, Worker};
use crate::config::model::{ListenerId, ProxyId, ServerId};
use crate::io::Driver;
use crate::policy::assign;
use crate::session::tcp::Step;
use crate::session::token::SlotKey;
use crate::shared::FrontendStatus;
use crate::shared::mailbox::{Message, SessionKill, Waiter};
use std::sync::atomic::Ordering;

impl<D: Driver> Worker<D> {
    pub(super) fn handle_message(&mut self, message: Message) {
        match message {
            Message::QueueGrant { waiter, server } => self.queue_grant(waiter, server),
            Message::QueueRetry { waiter } => {
                let key = SlotKey { slot: waiter.slot, generation: waiter.generation };
                let step = match self.slots.get(key) {
                    Some(Tenant::Tcp(session)) => session.queue_retry(&mut self.core.surroundings(key)),
                    Some(Tenant::Http(session)) => session.queue_retry(&mut self.core.surroundings(key)),
                    _ => return,
                };
                self.after_event(key, step);
            }
            Message::ShutdownServerSessions { server, why } => {
                self.kill_sessions(why, |in_use, _| in_use == Some(server))
            }
            Message::ShutdownBackupSessions { backend } => {
                let shared = self.core.shared.clone();
                self.kill_sessions(SessionKill::BackupReplaced, |in_use, of_backend| {
                    of_backend == Some(backend) && in_use.is_some_and(|server| shared.config.server(server).backup)
                })
            }
            Message::StopFrontend { frontend } => {
                let status = &self.core.shared.proxy(frontend).frontend_status;
                status.store(FrontendStatus::Stopped as u8, Ordering::Relaxed);
                let shared = self.core.shared.clone();
                let of_frontend = |listener| shared.config.listener(listener).frontend == frontend;
                self.for_acceptors(of_frontend, Self::close_acceptor);
            }
            Message::PauseListener { listener } => {
                self.for_acceptors(|acceptor| acceptor == listener, Self::pause_acceptor);
            }
            Message::ResumeListener { listener } => {
                self.for_acceptors(|acceptor| acceptor == listener, Self::resume_acceptor);
                self.arm_acceptors();
            }
            // The control thread's own.
            Message::CheckSoon { .. } => {}
            Message::ConnectionHandedOver => self.take_over(),
            Message::LimitLifted => self.room_freed(),
            Message::SoftStop => self.soft_stop(),
            Message::HardStop => self.hard_stop(),
        }
    }

    fn queue_grant(&mut self, waiter: Waiter, server: ServerId) {
        let key = SlotKey { slot: waiter.slot, generation: waiter.generation };
        let step = match self.slots.get(key) {
            Some(Tenant::Tcp(session)) => session.granted(&mut self.core.surroundings(key), server),
            Some(Tenant::Http(session)) => session.granted(&mut self.core.surroundings(key), server),
            _ => None,
        };
        match step {
            Some(step) => self.after_event(key, step),
            // Timed out or gone in the meantime: the next in the queue gets it.
            None => assign::return_grant(&self.core.shared, server),
        }
    }

    /// `matches` is given the server and the backend of each session.
    fn kill_sessions(&mut self, why: SessionKill, matches: impl Fn(Option<ServerId>, Option<ProxyId>) -> bool) {
        for key in self.slots.keys() {
            let step = match self.slots.get(key) {
                Some(Tenant::Tcp(session)) if matches(session.server_in_use(), session.backend()) => {
                    session.kill(&mut self.core.surroundings(key), why)
                }
                Some(Tenant::Http(session)) if matches(session.server_in_use(), session.backend()) => {
                    session.kill(&mut self.core.surroundings(key), why)
                }
                _ => continue,
            };
            self.after_event(key, step);
        }
    }

    fn for_acceptors(&mut self, matches: impl Fn(ListenerId) -> bool, mut act: impl FnMut(&mut Self, usize)) {
        for index in 0..self.acceptors.len() {
            if matches(self.acceptors[index].listener) {
                act(self, index);
            }
        }
    }

    /// What frontends have become while this worker was being started again after a failure.
    pub(super) fn follow_frontends(&mut self) {
        let shared = self.core.shared.clone();
        for index in 0..self.acceptors.len() {
            let frontend = shared.config.listener(self.acceptors[index].listener).frontend;
            let status = shared.proxy(frontend).frontend_status.load(Ordering::Relaxed);
            if status == FrontendStatus::Stopped as u8 {
                self.close_acceptor(index);
            } else if status == FrontendStatus::Paused as u8 {
                self.pause_acceptor(index);
            }
        }
    }

    /// No new connections; what is there is served to its end.
    fn soft_stop(&mut self) {
        if self.stage == Stage::Serving {
            self.stage = Stage::Draining;
            self.set_open(false);
            self.for_acceptors(|_| true, Self::close_acceptor);
            self.core.http.is_stopping = true;
            let Core { driver, http, .. } = &mut self.core;
            http.servers.close_idle(driver);
            for key in self.slots.keys() {
                let step = match self.slots.get(key) {
                    Some(Tenant::Http(session)) if session.is_between_requests() => {
                        session.over(&mut self.core.surroundings(key))
                    }
                    _ => continue,
                };
                self.after_event(key, step);
            }
        }
    }

    fn hard_stop(&mut self) {
        self.stage = Stage::Closing;
        self.set_open(false);
        self.for_acceptors(|_| true, Self::close_acceptor);
        self.drop_parked();
        self.core.http.is_stopping = true;
        let Core { driver, http, .. } = &mut self.core;
        http.servers.close_idle(driver);
        for key in self.slots.keys() {
            let step = match self.slots.get(key) {
                Some(Tenant::Tcp(session)) => session.kill(&mut self.core.surroundings(key), SessionKill::Killed),
                Some(Tenant::Local(session)) => session.over(&mut self.core.surroundings(key)),
                Some(Tenant::Http(session)) => session.kill(&mut self.core.surroundings(key), SessionKill::Killed),
                Some(Tenant::ProxyHeader(wait)) => wait.over(&mut self.core.surroundings(key)),
                Some(Tenant::Nobody) | None => Step::Continue,
            };
            self.after_event(key, step);
        }
    }

    fn drop_parked(&mut self) {
        for parked in std::mem::take(&mut self.parked) {
            self.core.driver.close(parked.socket);
        }
    }
}
