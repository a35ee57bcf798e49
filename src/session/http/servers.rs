//! The connections to servers of one worker: each has a place of its own, so that its receive stays armed while it
//! goes from one session to the next.

use super::connection::{Connection, Side};
use crate::config::model::{Config, ServerId};
use crate::io::{Completion, Driver, Socket};
use crate::session::token::{GENERATION_MASK, ServerOperation, SlotKey};
use std::collections::HashMap;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    Connecting,
    /// A session's.
    InUse,
    /// Nobody's: kept for the next request.
    Idle,
    /// Operations in flight are awaited, then it is closed.
    Closing,
}

/// One connection to a server.
#[derive(Debug)]
pub struct ServerConnection {
    pub connection: Connection,
    pub server: ServerId,
    pub state: ServerState,
    pub connect_armed: bool,
    /// The session that uses it.
    pub owner: Option<SlotKey>,
    /// How often it was used again.
    pub exchanges: u32,
    /// The header of the PROXY protocol that it began with: what goes over it is that client's.
    pub proxy_header: Option<Box<[u8]>>,
    idle_since_us: u64,
}

/// Which idle connections a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    Any,
    /// Those that were used again before.
    Proven,
}

/// The connections to one server.
#[derive(Default)]
struct Pool {
    /// The last was used last.
    idle: Vec<SlotKey>,
    /// Connections that sessions have.
    used: u32,
    /// As many were in use at once, lately: more idle ones would only pile up (a client's first request may not reuse
    /// one with `http-reuse safe`, and leaves one behind).
    needed: u32,
}

impl Pool {
    fn use_one(&mut self) {
        self.used += 1;
        self.needed = self.needed.max(self.used);
    }
}

#[derive(Default)]
struct Place {
    generation: u32,
    connection: Option<Box<ServerConnection>>,
}

/// See the module's text.
#[derive(Default)]
pub struct ServerConnections {
    places: Vec<Place>,
    free: Vec<u32>,
    used: u32,
    pools: HashMap<ServerId, Pool>,
    idle_count: u32,
    next_purge_us: Option<u64>,
}

impl ServerConnections {
    /// Connections there are, closing ones included.
    pub fn used(&self) -> u32 {
        self.used
    }
    pub fn idle_count(&self) -> u32 {
        self.idle_count
    }

    /// A place for a socket that is about to connect.
    pub fn insert(&mut self, socket: Socket, server: ServerId, owner: SlotKey, now_us: u64) -> SlotKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        self.used += 1;
        self.pools.entry(server).or_default().use_one();
        let place = &mut self.places[slot as usize];
        let key = SlotKey { slot, generation: place.generation };
        place.connection = Some(Box::new(ServerConnection {
            connection: Connection::new(socket, Side::Server, key, now_us),
            server,
            state: ServerState::Connecting,
            connect_armed: false,
            owner: Some(owner),
            exchanges: 0,
            proxy_header: None,
            idle_since_us: now_us,
        }));
        key
    }

    pub fn get(&mut self, key: SlotKey) -> Option<&mut ServerConnection> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.generation != key.generation { None } else { place.connection.as_deref_mut() }
    }

    /// Whose completion this is.
    pub fn owner(&mut self, key: SlotKey) -> Option<SlotKey> {
        self.get(key).and_then(|connection| connection.owner)
    }

    /// The idle connection to `server` that was used last, for `owner`.
    pub fn take_idle(&mut self, server: ServerId, owner: SlotKey, which: Idle) -> Option<SlotKey> {
        let places = &self.places;
        let pool = self.pools.get_mut(&server)?;
        let is_proven = |key: &SlotKey| {
            let place = places.get(key.slot as usize);
            place.and_then(|place| place.connection.as_ref()).is_some_and(|connection| connection.exchanges > 0)
        };
        let key = match which {
            Idle::Any => pool.idle.pop()?,
            Idle::Proven => {
                let index = pool.idle.iter().rposition(is_proven)?;
                pool.idle.remove(index)
            }
        };
        pool.use_one();
        self.idle_count -= 1;
        let connection = self.get(key)?;
        connection.state = ServerState::InUse;
        connection.owner = Some(owner);
        Some(key)
    }

    /// Nobody needs it for now; it must have nothing to send and nothing received.
    pub fn make_idle<D: Driver>(&mut self, driver: &mut D, config: &Config, key: SlotKey, now_us: u64) {
        let Some(connection) = self.get(key) else { return };
        let server = connection.server;
        let pool = &config.server(server).pool;
        let worn = pool.max_reuse.is_some_and(|max| connection.exchanges > max);
        let state = self.pools.entry(server).or_default();
        let kept = state.idle.len() as u32;
        let spare = kept + state.used > state.needed.saturating_add(pool.low_connections);
        let full = spare || pool.max_connections.is_some_and(|max| kept >= max) || pool.purge_delay.is_zero();
        let Some(connection) = self.get(key) else { return };
        let quiet = !connection.connection.has_input()
            && connection.connection.is_drained()
            && !connection.connection.end_of_stream();
        if worn || full || !quiet {
            return self.close(driver, key);
        }
        connection.state = ServerState::Idle;
        connection.owner = None;
        connection.idle_since_us = now_us;
        connection.connection.receive(driver);
        let state = self.pools.entry(server).or_default();
        state.used = state.used.saturating_sub(1);
        state.idle.push(key);
        self.idle_count += 1;
        let due_us = now_us + pool.purge_delay.as_micros() as u64;
        self.next_purge_us = Some(self.next_purge_us.map_or(due_us, |next_us| next_us.min(due_us)));
    }

    /// Ends a connection, whoever has it.
    pub fn close<D: Driver>(&mut self, driver: &mut D, key: SlotKey) {
        let Some(connection) = self.get(key) else { return };
        let (state, server) = (connection.state, connection.server);
        let pool = self.pools.entry(server).or_default();
        match state {
            ServerState::Idle => {
                pool.idle.retain(|other| *other != key);
                self.idle_count -= 1;
            }
            ServerState::Connecting | ServerState::InUse => pool.used = pool.used.saturating_sub(1),
            ServerState::Closing => {}
        }
        let Some(connection) = self.get(key) else { return };
        connection.owner = None;
        if connection.state != ServerState::Closing {
            connection.state = ServerState::Closing;
            connection.connection.cancel(driver);
            if connection.connect_armed {
                let token = key.token(crate::session::token::Operation::Server(ServerOperation::Connect));
                driver.cancel(connection.connection.socket, token);
            }
        }
        self.free_if_settled(driver, key);
    }

    fn free_if_settled<D: Driver>(&mut self, driver: &mut D, key: SlotKey) {
        let Some(connection) = self.get(key) else { return };
        if connection.state != ServerState::Closing || connection.connect_armed || !connection.connection.is_idle() {
            return;
        }
        driver.close(connection.connection.socket);
        let place = &mut self.places[key.slot as usize];
        place.connection = None;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        self.free.push(key.slot);
        self.used -= 1;
    }

    /// A completion of a connection that no session has: an idle one that ended, or one that is closing.
    pub fn completed_unowned<D: Driver>(
        &mut self,
        driver: &mut D,
        key: SlotKey,
        operation: ServerOperation,
        completion: &Completion,
    ) {
        let Some(connection) = self.get(key) else {
            if completion.buffer.is_some() {
                driver.release(completion.buffer);
            }
            return;
        };
        if operation == ServerOperation::Connect {
            connection.connect_armed = false;
        }
        connection.connection.settle(driver, operation, completion);
        match connection.state {
            // Anything but the end of a cancelled receive is the end of the connection: nobody asked for bytes.
            ServerState::Idle if completion.result != -libc::ECANCELED => self.close(driver, key),
            ServerState::Idle => connection.connection.receive(driver),
            _ => self.free_if_settled(driver, key),
        }
    }

    /// When idle connections are looked at again.
    pub fn next_purge_us(&self) -> Option<u64> {
        self.next_purge_us
    }

    /// `pool-purge-delay`: of the connections that were not used for one delay, half are closed, the oldest first.
    pub fn purge<D: Driver>(&mut self, driver: &mut D, config: &Config, now_us: u64) {
        if self.next_purge_us.is_none_or(|next_us| next_us > now_us) {
            return;
        }
        self.next_purge_us = None;
        let mut closing = Vec::new();
        for (server, state) in &mut self.pools {
            // The need of the last period counts half from now on.
            state.needed = state.used.max(state.needed / 2);
            let keys = &state.idle;
            let pool = &config.server(*server).pool;
            let delay_us = pool.purge_delay.as_micros() as u64;
            let stale = |key: &&SlotKey| {
                let place = self.places.get(key.slot as usize);
                let connection = place.and_then(|place| place.connection.as_ref());
                connection.is_some_and(|connection| connection.idle_since_us + delay_us <= now_us)
            };
            let count = keys.iter().filter(stale).count();
            let spare = keys.len().saturating_sub(pool.low_connections as usize);
            closing.extend(keys.iter().filter(stale).take(count.div_ceil(2).min(spare)).copied());
            if !keys.is_empty() {
                let due_us = now_us + delay_us;
                self.next_purge_us = Some(self.next_purge_us.map_or(due_us, |next_us| next_us.min(due_us)));
            }
        }
        for key in closing {
            self.close(driver, key);
        }
    }

    /// The process ends: idle connections are of no use any more.
    pub fn close_idle<D: Driver>(&mut self, driver: &mut D) {
        let keys: Vec<SlotKey> = self.pools.values().flat_map(|pool| &pool.idle).copied().collect();
        for key in keys {
            self.close(driver, key);
        }
    }
}
