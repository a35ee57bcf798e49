//! A connection's places in the counts that have limits: process, frontend, listener. Exact across workers, since each
//! connection takes its place before it is served.

use super::ThreadShared;
use crate::config::model::{ListenerId, ProxyId};
use crate::shared::mailbox::Message;
use std::sync::atomic::{AtomicU32, Ordering};

/// The places of one connection. Dropping it gives them back and tells whoever waits for room, on any worker; that it
/// is a Drop keeps the counts right also when a worker panics.
pub struct Places {
    shared: ThreadShared,
    listener: ListenerId,
}

/// Takes a place below `limit` (0: no limit).
fn take(count: &AtomicU32, limit: u32) -> bool {
    let before = count.fetch_add(1, Ordering::AcqRel);
    if limit != 0 && before >= limit {
        count.fetch_sub(1, Ordering::AcqRel);
        return false;
    }
    true
}

impl Places {
    /// All or none. `None`: a limit is reached.
    pub fn take(shared: &ThreadShared, listener: ListenerId) -> Option<Places> {
        let limit = |limit: &AtomicU32| limit.load(Ordering::Relaxed);
        let frontend = shared.config.listener(listener).frontend;
        let (process, proxy, state) = (&shared.process, shared.proxy(frontend), shared.listener(listener));
        if !take(&process.connections, limit(&process.maxconn)) {
            return None;
        }
        if !take(&proxy.frontend_connections, limit(&proxy.frontend_maxconn)) {
            process.connections.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        if !take(&state.connections, limit(&state.maxconn)) {
            proxy.frontend_connections.fetch_sub(1, Ordering::AcqRel);
            process.connections.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Places { shared: shared.clone(), listener })
    }

    /// Whether one would be had now.
    pub fn has_room(shared: &ThreadShared, listener: ListenerId) -> bool {
        let below = |count: &AtomicU32, limit: &AtomicU32| {
            let limit = limit.load(Ordering::Relaxed);
            limit == 0 || count.load(Ordering::Relaxed) < limit
        };
        let frontend = shared.config.listener(listener).frontend;
        let (process, proxy, state) = (&shared.process, shared.proxy(frontend), shared.listener(listener));
        below(&process.connections, &process.maxconn)
            && below(&proxy.frontend_connections, &proxy.frontend_maxconn)
            && below(&state.connections, &state.maxconn)
    }

    pub fn listener(&self) -> ListenerId {
        self.listener
    }
    pub fn frontend(&self) -> ProxyId {
        self.shared.config.listener(self.listener).frontend
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let (shared, frontend) = (&self.shared, self.frontend());
        shared.listener(self.listener).connections.fetch_sub(1, Ordering::AcqRel);
        shared.proxy(frontend).frontend_connections.fetch_sub(1, Ordering::AcqRel);
        shared.process.connections.fetch_sub(1, Ordering::AcqRel);
        if shared.process.workers_waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let waiting = shared.process.workers_waiting.swap(0, Ordering::AcqRel);
        for (number, worker) in shared.workers.iter().enumerate() {
            if waiting & (1 << (number % 64)) != 0 {
                worker.mailbox.send(Message::LimitLifted);
            }
        }
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Places({:?})", self.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::ProxyId;
    use crate::shared::Shared;
    use std::rc::Rc;
    use std::sync::Arc;

    fn shared() -> ThreadShared {
        let text = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                    listen a\n maxconn 2\n bind 127.0.0.1:1\n server s 127.0.0.1:2\n";
        let config = crate::config::load::load_text("places.cfg", text).config.expect("loads");
        Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, 0)))
    }

    #[test]
    fn a_panic_gives_the_places_back() {
        let shared = shared();
        let taken = Places::take(&shared, ListenerId(0));
        let held = std::panic::AssertUnwindSafe(shared.clone());
        let panic = std::panic::catch_unwind(move || {
            let _places = Places::take(&held, ListenerId(0)).expect("room for two");
            assert!(Places::take(&held, ListenerId(0)).is_none(), "maxconn 2");
            panic!("a worker's bug");
        });
        assert!(panic.is_err());
        assert_eq!(shared.process.connections.load(Ordering::Relaxed), 1);
        drop(taken);
        assert_eq!(shared.process.connections.load(Ordering::Relaxed), 0);
        assert_eq!(shared.proxy(ProxyId(0)).frontend_connections.load(Ordering::Relaxed), 0);
    }
}
