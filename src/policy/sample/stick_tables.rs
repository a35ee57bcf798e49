//! Of entries in stick tables: `sc_…`, `src_…`, `in_table`, `table_…` (configuration.txt sections 7.3.1 and 7.3.3).

use super::Sample;
use crate::config::model::{LookupFigure, TableEntryOf, TableFetch, TableFigure, TableLookup, TableSlot};
use crate::policy::exchange::Scope;
use crate::policy::log_format::Endpoint;
use crate::policy::stick_tables::{add_to, key_of, now_ms, table_of, tracked};
use crate::shared::stick_table::{Entry, StickTableState};
use std::sync::Arc;

fn number(value: u64) -> Option<Sample<'static>> {
    Some(Sample::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// The value of a slot; 0 without an entry, whatever the table stores.
fn value(slot: Option<TableSlot>, entry: Option<&Entry>, now_ms: u64) -> Option<u64> {
    match entry {
        Some(entry) => Some(entry.get(slot?, now_ms)),
        None => Some(0),
    }
}

/// `None`: the counter tracks nothing, the data is not stored, or there is no such key.
pub fn fetch(of: &TableFetch, scope: &Scope) -> Option<Sample<'static>> {
    let now_ms = now_ms(scope);
    if of.figure == TableFigure::IsTracked {
        return Some(Sample::Bool(find(of, scope).is_some_and(|(_, entry)| entry.is_some())));
    }
    let (table, entry) = find(of, scope)?;
    let layout = &table.layout;
    match of.figure {
        TableFigure::Data(kind, element) => {
            number(value(layout.slot_or_element(kind, element), entry.as_deref(), now_ms)?)
        }
        TableFigure::Kilobytes(kind) => number(value(layout.slot(kind, 0), entry.as_deref(), now_ms)? >> 10),
        TableFigure::Trackers => number(entry.map_or(0, |entry| u64::from(entry.trackers()))),
        TableFigure::Increment(gpc) => {
            let entry = entry.or_else(|| insert(of, table, scope));
            number(entry.and_then(|entry| add_to(table, &entry, gpc, 1, now_ms)).unwrap_or(0))
        }
        TableFigure::Clear(gpc) => {
            let [count, rate] = gpc.slots(layout);
            match entry {
                Some(entry) => number(entry.take(count.or(rate)?, now_ms)),
                None => number(0),
            }
        }
        TableFigure::CountConnection => {
            let slot = layout.slot(crate::config::model::TableDataKind::ConnCnt, 0);
            let entry = entry.or_else(|| insert(of, table, scope))?;
            table.touch(&entry, now_ms);
            number(slot.map(|slot| entry.add(slot, 1, now_ms))?)
        }
        TableFigure::Entries => number(table.purge(now_ms) as u64),
        TableFigure::Places => number(table.size().saturating_sub(table.purge(now_ms)) as u64),
        TableFigure::IsTracked => None,
    }
}

/// The table and the entry in question; `None`: there is nothing to ask about.
fn find<'a>(of: &TableFetch, scope: &'a Scope) -> Option<(&'a Arc<StickTableState>, Option<Arc<Entry>>)> {
    match of.entry {
        TableEntryOf::Counter(counter) => {
            let tracked = tracked(scope, counter)?;
            if of.table.name.is_none() {
                return Some((tracked.table(), Some(tracked.entry().clone())));
            }
            let table = table_of(&of.table, scope)?;
            if Arc::ptr_eq(table, tracked.table()) {
                return Some((table, Some(tracked.entry().clone())));
            }
            Some((table, table.get(tracked.entry().key(), now_ms(scope))))
        }
        TableEntryOf::Source => {
            let table = table_of(&of.table, scope)?;
            let key = key_of(source(scope)?, table.key)?;
            Some((table, table.get(&key, now_ms(scope))))
        }
        TableEntryOf::Nobody => Some((table_of(&of.table, scope)?, None)),
    }
}

fn source(scope: &Scope) -> Option<Sample<'static>> {
    match scope.client.source {
        Endpoint::Ip(address) => Some(Sample::Address(address.ip().to_canonical())),
        Endpoint::Unix | Endpoint::None => None,
    }
}

/// A counter that is to be counted up needs an entry.
fn insert(of: &TableFetch, table: &StickTableState, scope: &Scope) -> Option<Arc<Entry>> {
    let now_ms = now_ms(scope);
    match of.entry {
        TableEntryOf::Counter(counter) => table.get_or_insert(tracked(scope, counter)?.entry().key(), now_ms),
        TableEntryOf::Nobody => None,
        TableEntryOf::Source => table.get_or_insert(&key_of(source(scope)?, table.key)?, now_ms),
    }
}

/// A converter: the sample is the key. No entry is made, and none lives longer for it.
pub fn look_up(of: &TableLookup, sample: Sample, scope: &Scope) -> Option<Sample<'static>> {
    let table = table_of(&of.table, scope)?;
    let now_ms = now_ms(scope);
    let entry = table.get(&key_of(sample, table.key)?, now_ms);
    let entry = entry.as_deref();
    match of.figure {
        LookupFigure::IsThere => Some(Sample::Bool(entry.is_some())),
        LookupFigure::Data(kind, element) => number(value(table.layout.slot_or_element(kind, element), entry, now_ms)?),
        LookupFigure::Kilobytes(kind) => number(value(table.layout.slot(kind, 0), entry, now_ms)? >> 10),
        LookupFigure::Trackers => number(entry.map_or(0, |entry| u64::from(entry.trackers()))),
        LookupFigure::Expire { default } => match entry {
            Some(entry) => number(table.expires_in_ms(entry, now_ms)),
            None => default.map(Sample::Integer),
        },
        LookupFigure::Idle { default } => match entry {
            Some(entry) => number(now_ms.saturating_sub(entry.touched_ms())),
            None => default.map(Sample::Integer),
        },
    }
}
