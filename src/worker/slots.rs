//! The worker's sessions: slots that are used again under a new generation, so that a completion for the last tenant
//! never reaches the next one.

use super::proxy_header::ProxyHeaderWait;
use crate::session::http::HttpSession;
use crate::session::local_session::LocalSession;
use crate::session::tcp::TcpSession;
use crate::session::token::{GENERATION_MASK, SlotKey};

/// Slots per chunk: growing never moves a session.
const CHUNK: usize = 256;

/// What lives in a slot. A TCP session lives in it whole: one allocation per 256 of them, and none to follow.
#[allow(clippy::large_enum_variant)]
pub enum Tenant {
    Nobody,
    Tcp(TcpSession),
    Local(Box<LocalSession>),
    Http(Box<HttpSession>),
    /// One of the others, when its header of the PROXY protocol has come.
    ProxyHeader(Box<ProxyHeaderWait>),
}

struct Slot {
    generation: u32,
    tenant: Tenant,
}

/// See the module's text.
#[derive(Default)]
pub struct Slots {
    chunks: Vec<Box<[Slot]>>,
    free: Vec<u32>,
    used: u32,
}

impl Slots {
    /// How many sessions there are.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Puts a tenant into a free slot.
    pub fn insert(&mut self, tenant: Tenant) -> SlotKey {
        if self.free.is_empty() {
            let first = (self.chunks.len() * CHUNK) as u32;
            self.chunks.push((0..CHUNK).map(|_| Slot { generation: 0, tenant: Tenant::Nobody }).collect());
            // The lowest number is taken first, so that few sessions stay in few cache lines and timer links.
            self.free.extend((first..first + CHUNK as u32).rev());
        }
        let slot = self.free.pop().unwrap_or_default();
        self.used += 1;
        let place = &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK];
        place.tenant = tenant;
        SlotKey { slot, generation: place.generation }
    }

    /// The tenant of `key`, unless it has gone.
    pub fn get(&mut self, key: SlotKey) -> Option<&mut Tenant> {
        let place = self.chunks.get_mut(key.slot as usize / CHUNK)?.get_mut(key.slot as usize % CHUNK)?;
        if place.generation != key.generation || matches!(place.tenant, Tenant::Nobody) {
            return None;
        }
        Some(&mut place.tenant)
    }

    /// The key of whoever is in the slot now.
    pub fn key_of(&self, slot: u32) -> Option<SlotKey> {
        let place = self.chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?;
        match place.tenant {
            Tenant::Nobody => None,
            _ => Some(SlotKey { slot, generation: place.generation }),
        }
    }

    /// Puts what `wrap` makes of the tenant into the slot, under the same key.
    pub fn replace_with(&mut self, key: SlotKey, wrap: impl FnOnce(Tenant) -> Tenant) {
        if let Some(place) = self.get(key) {
            *place = wrap(std::mem::replace(place, Tenant::Nobody));
        }
    }

    /// Frees the slot; its key is void from now on.
    pub fn remove(&mut self, key: SlotKey) {
        let Some(place) =
            self.chunks.get_mut(key.slot as usize / CHUNK).and_then(|c| c.get_mut(key.slot as usize % CHUNK))
        else {
            return;
        };
        if place.generation == key.generation && !matches!(place.tenant, Tenant::Nobody) {
            place.tenant = Tenant::Nobody;
            place.generation = (place.generation + 1) & GENERATION_MASK;
            self.used -= 1;
            self.free.push(key.slot);
        }
    }

    /// All keys in use now.
    pub fn keys(&self) -> Vec<SlotKey> {
        let count = (self.chunks.len() * CHUNK) as u32;
        (0..count).filter_map(|slot| self.key_of(slot)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product's promise is under 1 KiB a connection, everything included.
    #[test]
    fn a_slot_is_small() {
        assert!(std::mem::size_of::<Slot>() <= 448, "{}", std::mem::size_of::<Slot>());
    }
}
