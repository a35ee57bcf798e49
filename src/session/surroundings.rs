//! What a session may use while it handles one event.

use super::http::state::HttpState;
use super::relay::Wire;
use super::source_ports::SourcePorts;
use super::token::{Direction, SlotKey};
use crate::config::model::{Config, ListenerId, ProxyId, ServerId};
use crate::io::{Driver, Moment, Socket};
use crate::policy::state_log::StateLog;
use crate::shared::counters::{ListenerCounters, ProxyCounters, ServerCounters};
use crate::shared::mailbox::Waiter;
use crate::shared::{ThreadShared, WorkerState};
use std::sync::Arc;

/// Borrowed from the worker for one call.
pub struct Surroundings<'a, D> {
    pub driver: &'a mut D,
    pub shared: &'a ThreadShared,
    pub worker: u16,
    pub now: Moment,
    pub key: SlotKey,
    /// Set to the errno when descriptors or memory for one more socket have run out: the worker stops accepting for a
    /// while.
    pub shortage: &'a mut Option<i32>,
    /// Server state changes that the call causes (`observe`), for the worker to log.
    pub state_logs: &'a mut Vec<StateLog>,
    /// What HTTP sessions of this worker share.
    pub http: &'a mut HttpState,
    /// Where this worker's connections to servers leave from.
    pub source_ports: &'a mut SourcePorts,
}

impl<D: Driver> Surroundings<'_, D> {
    pub fn config(&self) -> &Arc<Config> {
        &self.shared.config
    }
    fn counters(&self) -> &WorkerState {
        &self.shared.workers[self.worker as usize]
    }
    /// This worker's own counters of a proxy.
    pub fn proxy_counters(&self, id: ProxyId) -> &ProxyCounters {
        &self.counters().proxies[id.index()]
    }
    pub fn server_counters(&self, id: ServerId) -> &ServerCounters {
        &self.counters().servers[id.index()]
    }
    pub fn listener_counters(&self, id: ListenerId) -> &ListenerCounters {
        &self.counters().listeners[id.index()]
    }
    pub fn waiter(&self) -> Waiter {
        Waiter { worker: self.worker, slot: self.key.slot, generation: self.key.generation }
    }
    pub fn wire(&mut self, direction: Direction, client: Socket, server: Socket) -> Wire<'_, D> {
        let (from, to) = match direction {
            Direction::Request => (client, server),
            Direction::Response => (server, client),
        };
        Wire { driver: self.driver, from, to, key: self.key, direction }
    }
}
