//! A hash map in pieces: a copy shares the pieces, and a change copies only the one it falls into.
//!
//! A key may have several entries, as a list may name it twice: the first one counts, and the next takes its place when
//! that one is taken away.

use super::PatternEntry;
use super::texts::folded;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// What becomes of an entry.
pub enum Edit {
    Keep,
    Replace(Arc<PatternEntry>),
    Remove,
}

/// Asked for each entry in question.
pub type Change<'a> = dyn FnMut(&PatternEntry) -> Edit + 'a;

/// Entries a piece may have before the map is cut into more pieces.
const PIECE_ENTRIES: usize = 512;

#[derive(Clone, Debug)]
pub struct ShardedMap<K> {
    hasher: RandomState,
    /// A power of two of them.
    pieces: Vec<Arc<HashMap<K, Entries>>>,
    /// Keys, not entries.
    count: usize,
}

/// The entries of one key, in the order they were added.
#[derive(Clone, Debug)]
struct Entries {
    first: Arc<PatternEntry>,
    /// Nearly always none: a thin pointer keeps the map small.
    #[allow(clippy::box_collection, reason = "a list takes three words, this one")]
    others: Option<Box<Vec<Arc<PatternEntry>>>>,
}

impl Entries {
    fn of(mut entries: Vec<Arc<PatternEntry>>) -> Option<Entries> {
        if entries.is_empty() {
            return None;
        }
        let others = entries.split_off(1);
        let first = entries.pop()?;
        Some(Entries { first, others: (!others.is_empty()).then(|| Box::new(others)) })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<PatternEntry>> {
        std::iter::once(&self.first).chain(self.others.iter().flat_map(|others| others.iter()))
    }
}

impl<K> Default for ShardedMap<K> {
    fn default() -> Self {
        ShardedMap { hasher: RandomState::new(), pieces: vec![Arc::default()], count: 0 }
    }
}

impl<K: Hash + Eq + Clone> ShardedMap<K> {
    fn piece_of<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        match self.pieces.len() {
            1 => 0,
            pieces => self.hasher.hash_one(key) as usize & (pieces - 1),
        }
    }

    /// False if the key was there: then the entry stands behind the others.
    pub fn insert(&mut self, key: K, entry: Arc<PatternEntry>) -> bool {
        if self.count >= self.pieces.len() * PIECE_ENTRIES {
            self.grow();
        }
        let piece = self.piece_of(&key);
        let Some(piece) = self.pieces.get_mut(piece) else { return false };
        match Arc::make_mut(piece).entry(key) {
            Slot::Occupied(mut slot) => {
                slot.get_mut().others.get_or_insert_default().push(entry);
                false
            }
            Slot::Vacant(slot) => {
                slot.insert(Entries { first: entry, others: None });
                self.count += 1;
                true
            }
        }
    }

    fn grow(&mut self) {
        let wanted = self.pieces.len() * 4;
        let mut pieces: Vec<HashMap<K, Entries>> = vec![HashMap::new(); wanted];
        for (key, entries) in self.pieces.drain(..).flat_map(Arc::unwrap_or_clone) {
            let index = self.hasher.hash_one(&key) as usize & (wanted - 1);
            if let Some(piece) = pieces.get_mut(index) {
                piece.insert(key, entries);
            }
        }
        self.pieces = pieces.into_iter().map(Arc::new).collect();
    }

    /// Changes the entries of one key. How many were changed, and whether the key is gone.
    pub fn change<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, change: &mut Change) -> (usize, bool)
    where
        K: Borrow<Q>,
    {
        let index = self.piece_of(key);
        let Some(piece) = self.pieces.get_mut(index) else { return (0, false) };
        let Some(entries) = piece.get(key) else { return (0, false) };
        let Changed { entries, count } = changed(entries, change);
        if count == 0 {
            return (0, false);
        }
        let piece = Arc::make_mut(piece);
        match (entries, piece.get_mut(key)) {
            (Some(entries), Some(slot)) => *slot = entries,
            (Some(_), None) => {}
            (None, _) => {
                piece.remove(key);
                self.count -= 1;
                return (count, true);
            }
        }
        (count, false)
    }

    /// As [`ShardedMap::change`] for every key, where the key cannot be told from the pattern.
    pub fn change_all(&mut self, change: &mut Change) -> usize {
        let mut total = 0;
        for piece in &mut self.pieces {
            let found: Vec<(K, Option<Entries>)> = piece
                .iter()
                .filter_map(|(key, entries)| {
                    let Changed { entries, count } = changed(entries, change);
                    total += count;
                    (count > 0).then(|| (key.clone(), entries))
                })
                .collect();
            if found.is_empty() {
                continue;
            }
            let piece = Arc::make_mut(piece);
            for (key, entries) in found {
                match entries {
                    Some(entries) => {
                        piece.insert(key, entries);
                    }
                    None => {
                        piece.remove(&key);
                        self.count -= 1;
                    }
                }
            }
        }
        total
    }

    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&PatternEntry>
    where
        K: Borrow<Q>,
    {
        self.pieces.get(self.piece_of(key))?.get(key).map(|entries| &*entries.first)
    }

    /// Whether one of a key's entries is written as `pattern`.
    pub fn has<Q: Hash + Eq + ?Sized>(&self, key: &Q, pattern: &[u8]) -> bool
    where
        K: Borrow<Q>,
    {
        let entries = self.pieces.get(self.piece_of(key)).and_then(|piece| piece.get(key));
        entries.is_some_and(|entries| entries.all().any(|entry| *entry.pattern == *pattern))
    }

    pub fn values(&self) -> impl Iterator<Item = &PatternEntry> {
        self.pieces.iter().flat_map(|piece| piece.values()).flat_map(Entries::all).map(|entry| &**entry)
    }
}

struct Changed {
    /// `None`: none is left.
    entries: Option<Entries>,
    count: usize,
}

fn changed(entries: &Entries, change: &mut Change) -> Changed {
    let mut count = 0;
    let mut left = Vec::new();
    for entry in entries.all() {
        match change(entry) {
            Edit::Keep => left.push(entry.clone()),
            Edit::Replace(new) => {
                left.push(new);
                count += 1;
            }
            Edit::Remove => count += 1,
        }
    }
    Changed { entries: Entries::of(left), count }
}

impl ShardedMap<Box<[u8]>> {
    /// As [`ShardedMap::get`]. A single key, as most ACLs have, is compared without hashing or copying the text.
    pub fn get_folded(&self, text: &[u8], ignore_case: bool) -> Option<&PatternEntry> {
        if self.count == 1 {
            let entry = self.values().next()?;
            let equal = if ignore_case { entry.pattern.eq_ignore_ascii_case(text) } else { *entry.pattern == *text };
            return equal.then_some(entry);
        }
        self.get(&*folded(text, ignore_case))
    }
}
