use super::*;
use crate::config::model::{Location, ProxyId, StoredData, TableDataKind};
use proptest::prelude::*;
use std::time::Duration;

fn table(size: u32, expire_ms: Option<u64>, nopurge: bool) -> Arc<StickTableState> {
    let data = [TableDataKind::Gpc0, TableDataKind::ConnCur, TableDataKind::ConnCnt];
    let data = data.map(|kind| StoredData { kind, elements: 1, period_ms: 0 });
    let table = StickTable {
        name: "t".to_owned(),
        proxy: ProxyId(0),
        key: TableKeyType::Integer,
        size,
        expire: expire_ms.map(Duration::from_millis),
        nopurge,
        layout: TableLayout::new(&data),
        location: Location::default(),
    };
    Arc::new(StickTableState::new(&table, 0))
}

fn keys(table: &StickTableState, now_ms: u64) -> Vec<u8> {
    table.entries(now_ms).iter().map(|entry| entry.key()[0]).collect()
}

#[test]
fn the_oldest_has_to_go() {
    let table = table(3, None, false);
    for key in [1u8, 2, 3, 1, 4] {
        assert!(table.get_or_insert(&[key], 5).is_some());
    }
    assert_eq!(keys(&table, 5), [1, 3, 4]);
    let tracked = table.track(&[3], 5);
    for key in [5u8, 6, 7] {
        assert!(table.get_or_insert(&[key], 5).is_some());
    }
    assert_eq!(keys(&table, 5), [3, 6, 7]);
    drop(tracked);
    assert_eq!(table.purge(5), 3);
}

#[test]
fn nothing_has_to_go_where_that_is_forbidden() {
    let table = table(2, Some(100), true);
    assert!(table.get_or_insert(&[1], 0).is_some() && table.get_or_insert(&[2], 50).is_some());
    assert!(table.get_or_insert(&[3], 60).is_none());
    assert!(table.get_or_insert(&[3], 101).is_some());
    assert_eq!(keys(&table, 101), [2, 3]);
}

#[test]
fn when_all_are_tracked_there_is_no_room() {
    let table = table(1, None, false);
    let tracked = table.track(&[1], 0).expect("there is room");
    assert!(table.track(&[2], 0).is_none());
    assert!(!table.remove(tracked.entry()));
    drop(tracked);
    assert!(table.track(&[2], 0).is_some());
}

#[test]
fn entries_expire() {
    let table = table(10, Some(1_000), false);
    let entry = table.get_or_insert(&[1], 10_000).expect("there is room");
    assert_eq!(table.expires_in_ms(&entry, 10_400), 600);
    assert!(table.get(&[1], 11_000).is_some());
    assert!(table.get(&[1], 11_001).is_none());
    table.touch(&entry, 11_000);
    assert!(table.get(&[1], 12_000).is_some());
    let again = table.get_or_insert(&[1], 13_000).expect("there is room");
    assert!(!Arc::ptr_eq(&entry, &again));
    assert_eq!(table.purge(13_000), 1);
}

#[test]
fn a_connection_counts_while_it_is_there() {
    let table = table(10, None, false);
    let slot = table.layout.slot(TableDataKind::ConnCur, 0).expect("it is stored");
    let mut tracked = table.track(&[1], 0).expect("there is room");
    tracked.count_connection(0);
    let entry = tracked.entry().clone();
    assert_eq!((entry.get(slot, 0), entry.trackers()), (1, 1));
    drop(tracked);
    assert_eq!((entry.get(slot, 0), entry.trackers()), (0, 0));
}

/// Many threads, few places: never more entries than the table may have, and none is lost count of.
#[test]
fn threads_share_a_table() {
    let table = table(2_000, None, false);
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let table = &table;
            scope.spawn(move || {
                for number in 0..5_000u32 {
                    let key = (number.wrapping_mul(2_654_435_761).wrapping_add(thread) % 4_000).to_be_bytes();
                    let tracked = table.track(&key, u64::from(number));
                    if number % 7 == 0 {
                        table.purge(0);
                    }
                    drop(tracked);
                    if let Some(entry) = table.get(&key, 0) {
                        table.remove(&entry);
                    }
                }
            });
        }
    });
    let entries = table.entries(0);
    assert!(entries.len() <= 2_000);
    assert_eq!(entries.len(), table.purge(0));
    assert!(entries.iter().all(|entry| entry.trackers() == 0));
}

proptest! {
    /// A table of one part is a list in the order of last use, cut to its size.
    #[test]
    fn it_is_a_list_by_last_use(
        size in 1u32..8,
        steps in proptest::collection::vec((0u8..12, 0u64..40, any::<bool>()), 0..120),
    ) {
        let table = table(size, Some(100), false);
        let mut model: Vec<(u8, u64)> = Vec::new();
        let mut now_ms = 1_000;
        for (key, step_ms, is_removed) in steps {
            now_ms += step_ms;
            model.retain(|(_, used_ms)| now_ms - used_ms <= 100);
            let known = model.iter().position(|(other, _)| *other == key);
            prop_assert_eq!(table.get(&[key], now_ms).is_some(), known.is_some());
            if is_removed {
                if let Some(entry) = table.get(&[key], now_ms) {
                    prop_assert!(table.remove(&entry));
                }
                known.map(|at| model.remove(at));
                continue;
            }
            prop_assert!(table.get_or_insert(&[key], now_ms).is_some());
            known.map(|at| model.remove(at));
            if known.is_none() && model.len() >= size as usize {
                model.remove(0);
            }
            model.push((key, now_ms));
            let mut expected: Vec<u8> = model.iter().map(|(key, _)| *key).collect();
            expected.sort_unstable();
            prop_assert_eq!(keys(&table, now_ms), expected);
        }
    }
}
