//! Entries that a connection or a stream counts on (`track-sc0` …).

use super::{Entry, StickTableState};
use crate::config::model::{TRACKED_COUNTERS, TableDataKind, TableSlot};
use std::sync::Arc;

/// Keeps an entry in its table; counts in `conn_cur` meanwhile.
pub struct TrackedEntry {
    table: Arc<StickTableState>,
    entry: Arc<Entry>,
    current: Option<TableSlot>,
}

impl TrackedEntry {
    pub(super) fn new(table: Arc<StickTableState>, entry: Arc<Entry>) -> Self {
        TrackedEntry { table, entry, current: None }
    }
    pub fn table(&self) -> &Arc<StickTableState> {
        &self.table
    }
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Adds to a counter, if the table has it.
    pub fn add(&self, kind: TableDataKind, amount: u64, now_ms: u64) {
        if let Some(slot) = self.table.layout.slot(kind, 0) {
            self.entry.add(slot, amount, now_ms);
        }
    }

    /// Who tracks is a connection to this entry until it ends.
    pub fn count_connection(&mut self, now_ms: u64) {
        self.add(TableDataKind::ConnCnt, 1, now_ms);
        self.add(TableDataKind::ConnRate, 1, now_ms);
        self.current = self.table.layout.slot(TableDataKind::ConnCur, 0);
        self.add(TableDataKind::ConnCur, 1, now_ms);
    }
}

impl Drop for TrackedEntry {
    fn drop(&mut self) {
        if let Some(slot) = self.current {
            self.entry.decrement(slot);
        }
        self.table.release(&self.entry);
    }
}

impl std::fmt::Debug for TrackedEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackedEntry").field("key", &self.entry.key()).finish_non_exhaustive()
    }
}

/// By counter. Nearly nobody tracks anything: that costs a pointer.
#[derive(Debug, Default)]
pub struct Tracked(Option<Box<[Option<TrackedEntry>; TRACKED_COUNTERS]>>);

impl Tracked {
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
    pub fn get(&self, counter: u8) -> Option<&TrackedEntry> {
        self.0.as_ref()?.get(usize::from(counter))?.as_ref()
    }
    /// The counter is free: see [`Tracked::get`].
    pub fn set(&mut self, counter: u8, entry: TrackedEntry) {
        if let Some(place) = self.0.get_or_insert_default().get_mut(usize::from(counter)) {
            *place = Some(entry);
        }
    }
    /// Adds to a counter of each.
    pub fn add(&self, kind: TableDataKind, amount: u64, now_ms: u64) {
        for tracked in self.0.iter().flat_map(|all| all.iter()).flatten() {
            tracked.add(kind, amount, now_ms);
        }
    }
    /// The end of tracking.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}
