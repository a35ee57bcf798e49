//! Ringway's shared state for a configuration, without workers.

use ringway::config::load::load_text;
use ringway::config::model::{ProxyId, ServerId};
use ringway::policy::assign::{self, AssignRequest, Assignment};
use ringway::policy::balance;
use ringway::shared::mailbox::Waiter;
use ringway::shared::{Shared, ThreadShared};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

pub fn shared(text: &str, workers: usize) -> Arc<Shared> {
    let loaded = load_text("test.cfg", text);
    let Some(config) = loaded.config else { panic!("{:#?}\n{text}", loaded.diagnostics) };
    let shared = Shared::new(Arc::new(config), workers, 1, 1);
    balance::rebuild_all(&shared);
    Arc::new(shared)
}

/// A thread's view of it.
pub struct Machine {
    pub shared: ThreadShared,
    pub worker: u16,
}

impl Machine {
    pub fn new(shared: &Arc<Shared>, worker: u16) -> Machine {
        Machine { shared: Rc::new(shared.clone()), worker }
    }

    pub fn backend(&self, name: &str) -> ProxyId {
        self.shared.config.backend_named(name).unwrap()
    }

    pub fn name(&self, server: ServerId) -> &str {
        &self.shared.config.server(server).name
    }

    pub fn waiter(&self, slot: u32) -> Waiter {
        Waiter { worker: self.worker, slot, generation: 1 }
    }

    pub fn assign(&self, backend: ProxyId, client_ip: Option<IpAddr>, slot: u32) -> Assignment {
        self.assign_with(backend, client_ip, slot, None, None)
    }

    pub fn assign_by_key(&self, backend: ProxyId, key: Option<u32>, slot: u32) -> Assignment {
        let (shared, waiter) = (&self.shared, self.waiter(slot));
        let (client_ip, keep, avoid) = (None, None, None);
        assign::assign(&AssignRequest {
            shared,
            backend,
            client_ip,
            key,
            waiter,
            keep,
            keep_whatever_state: false,
            avoid,
            priority: Default::default(),
            now_us: 0,
        })
    }

    pub fn assign_with(
        &self,
        backend: ProxyId,
        client_ip: Option<IpAddr>,
        slot: u32,
        keep: Option<ServerId>,
        avoid: Option<ServerId>,
    ) -> Assignment {
        let (shared, waiter) = (&self.shared, self.waiter(slot));
        assign::assign(&AssignRequest {
            shared,
            backend,
            client_ip,
            key: None,
            waiter,
            keep,
            keep_whatever_state: false,
            avoid,
            priority: Default::default(),
            now_us: 0,
        })
    }
}
