//! Stick tables while the process runs: all workers and the runtime socket look up, count and take out.
//!
//! A table is split by its keys' hashes, each part under a lock of its own that is held for one look-up and no longer;
//! small tables are one part, so that the oldest entry of all is the one that has to go. Counting takes no lock.

mod entry;
mod shard;
#[cfg(test)]
mod tests;
mod tracked;

pub use entry::Entry;
pub use tracked::{Tracked, TrackedEntry};

use crate::config::model::{StickTable, TableKeyType, TableLayout};
use crossbeam::utils::CachePadded;
use shard::Shard;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Entries for which a part of its own is worth its while.
const ENTRIES_PER_SHARD: u32 = 512;
const SHARDS_MAX: u32 = 64;
/// Entries that are due and go when another one comes: more than one, so that all go in the end.
const REMOVED_AT_ONCE: usize = 2;

/// See the module's text.
pub struct StickTableState {
    pub layout: TableLayout,
    pub key: TableKeyType,
    size: usize,
    expire_ms: Option<u64>,
    nopurge: bool,
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    entries: AtomicUsize,
    /// Keys are made by clients: none may choose where they go.
    hasher: RandomState,
    /// The clock for who is gone without having said when: its reading at the start, and its latest one.
    started: (Instant, u64),
    latest_ms: AtomicU64,
}

impl StickTableState {
    /// `now_us`: the monotonic clock.
    pub fn new(table: &StickTable, now_us: u64) -> StickTableState {
        let shards = (table.size / ENTRIES_PER_SHARD).clamp(1, SHARDS_MAX).next_power_of_two();
        StickTableState {
            layout: table.layout.clone(),
            key: table.key,
            size: table.size as usize,
            expire_ms: table.expire.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            nopurge: table.nopurge,
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            entries: AtomicUsize::new(0),
            hasher: RandomState::new(),
            started: (Instant::now(), now_us / 1_000),
            latest_ms: AtomicU64::new(now_us / 1_000),
        }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    fn lock(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The low bits place a key within its part.
        let index = (hash >> 48) as usize & (self.shards.len() - 1);
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries last used before that are due.
    fn due_before_ms(&self, now_ms: u64) -> u64 {
        self.expire_ms.map_or(0, |expire_ms| now_ms.saturating_sub(expire_ms))
    }

    fn is_due(&self, entry: &Entry, now_ms: u64) -> bool {
        entry.trackers() == 0 && entry.touched_ms() < self.due_before_ms(now_ms)
    }

    /// How long the entry still has, in milliseconds; 0 where nothing expires.
    pub fn expires_in_ms(&self, entry: &Entry, now_ms: u64) -> u64 {
        let expire_ms = self.expire_ms.unwrap_or(0);
        entry.touched_ms().saturating_add(expire_ms).saturating_sub(now_ms).min(expire_ms)
    }

    /// The entry of `key`, if there is one. It is no older and no younger for it.
    pub fn get(&self, key: &[u8], now_ms: u64) -> Option<Arc<Entry>> {
        let hash = self.hasher.hash_one(key);
        let found = self.lock(hash).get(hash, key).cloned();
        found.filter(|entry| !self.is_due(entry, now_ms))
    }

    /// The entry of `key`, a new one if there is none. `None`: the table is full and may not, or cannot, be purged.
    pub fn get_or_insert(&self, key: &[u8], now_ms: u64) -> Option<Arc<Entry>> {
        let hash = self.hasher.hash_one(key);
        self.latest_ms.fetch_max(now_ms, Ordering::Relaxed);
        let mut shard = self.lock(hash);
        self.find_or_insert(&mut shard, hash, key, now_ms)
    }

    /// As [`StickTableState::get_or_insert`]; the entry stays as long as what this gives.
    pub fn track(self: &Arc<Self>, key: &[u8], now_ms: u64) -> Option<TrackedEntry> {
        let hash = self.hasher.hash_one(key);
        self.latest_ms.fetch_max(now_ms, Ordering::Relaxed);
        let mut shard = self.lock(hash);
        let entry = self.find_or_insert(&mut shard, hash, key, now_ms)?;
        // Under the lock: nobody may take it out in between.
        entry.add_tracker();
        drop(shard);
        Some(TrackedEntry::new(self.clone(), entry))
    }

    fn find_or_insert(&self, shard: &mut Shard, hash: u64, key: &[u8], now_ms: u64) -> Option<Arc<Entry>> {
        if let Some(entry) = shard.get(hash, key).cloned() {
            if !self.is_due(&entry, now_ms) {
                shard.touch(hash, key, now_ms);
                return Some(entry);
            }
            self.note_removed(usize::from(shard.remove(hash, key)));
        }
        let due_before_ms = self.due_before_ms(now_ms);
        self.note_removed(shard.remove_unused_since(due_before_ms, REMOVED_AT_ONCE));
        if self.entries.fetch_add(1, Ordering::AcqRel) >= self.size && !self.make_room(shard, due_before_ms) {
            self.note_removed(1);
            return None;
        }
        let entry = Arc::new(Entry::new(key, hash, self.layout.slots(), now_ms));
        shard.insert(entry.clone());
        Some(entry)
    }

    fn note_removed(&self, count: usize) {
        if count > 0 {
            self.entries.fetch_sub(count, Ordering::AcqRel);
        }
    }

    /// Takes one entry out: the oldest of the shard at hand, or of any that nobody holds.
    fn make_room(&self, own: &mut Shard, due_before_ms: u64) -> bool {
        let remove = |shard: &mut Shard| match self.nopurge {
            true => shard.remove_unused_since(due_before_ms, 1) > 0,
            false => shard.remove_oldest(),
        };
        if remove(own) {
            self.note_removed(1);
            return true;
        }
        // To wait for a second lock while holding one could be for ever.
        let removed = self.shards.iter().filter_map(|shard| shard.try_lock().ok()).any(|mut shard| remove(&mut shard));
        self.note_removed(usize::from(removed));
        removed
    }

    /// Something was done with the entry: it stays for as long again.
    pub fn touch(&self, entry: &Entry, now_ms: u64) {
        self.lock(entry.hash).touch(entry.hash, entry.key(), now_ms);
    }

    /// The end of tracking.
    fn release(&self, entry: &Entry) {
        let now_ms = self.started.1.saturating_add(self.started.0.elapsed().as_millis() as u64);
        let now_ms = self.latest_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms);
        let mut shard = self.lock(entry.hash);
        shard.touch(entry.hash, entry.key(), now_ms);
        entry.remove_tracker();
    }

    /// Takes an entry out, unless it is tracked; whether it is gone.
    pub fn remove(&self, entry: &Entry) -> bool {
        let removed = self.lock(entry.hash).remove(entry.hash, entry.key());
        self.note_removed(usize::from(removed));
        removed
    }

    /// Takes out all entries that are due; gives how many are left.
    pub fn purge(&self, now_ms: u64) -> usize {
        let due_before_ms = self.due_before_ms(now_ms);
        for shard in &self.shards {
            let removed =
                shard.lock().unwrap_or_else(PoisonError::into_inner).remove_unused_since(due_before_ms, usize::MAX);
            self.note_removed(removed);
        }
        self.entries.load(Ordering::Acquire)
    }

    /// All entries, in the order of their keys.
    pub fn entries(&self, now_ms: u64) -> Vec<Arc<Entry>> {
        self.purge(now_ms);
        let mut entries = Vec::new();
        for shard in &self.shards {
            entries.extend(shard.lock().unwrap_or_else(PoisonError::into_inner).entries().cloned());
        }
        entries.sort_by(|one, other| one.key().cmp(other.key()));
        entries
    }
}
