//! A hash map in pieces: a copy shares the pieces, and a change copies only the one it falls into.

use super::PatternEntry;
use super::texts::folded;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Entries a piece may have before the map is cut into more pieces.
const PIECE_ENTRIES: usize = 512;

#[derive(Clone, Debug)]
pub struct ShardedMap<K> {
    hasher: RandomState,
    /// A power of two of them.
    pieces: Vec<Arc<HashMap<K, Arc<PatternEntry>>>>,
    count: usize,
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

    /// False if the key was there: then nothing changed.
    pub fn insert(&mut self, key: K, entry: Arc<PatternEntry>) -> bool {
        if self.count >= self.pieces.len() * PIECE_ENTRIES {
            self.grow();
        }
        let piece = self.piece_of(&key);
        let Some(piece) = self.pieces.get_mut(piece) else { return false };
        if piece.contains_key(&key) {
            return false;
        }
        Arc::make_mut(piece).insert(key, entry);
        self.count += 1;
        true
    }

    fn grow(&mut self) {
        let wanted = self.pieces.len() * 4;
        let mut pieces: Vec<HashMap<K, Arc<PatternEntry>>> = vec![HashMap::new(); wanted];
        for (key, entry) in self.pieces.drain(..).flat_map(Arc::unwrap_or_clone) {
            let index = self.hasher.hash_one(&key) as usize & (wanted - 1);
            if let Some(piece) = pieces.get_mut(index) {
                piece.insert(key, entry);
            }
        }
        self.pieces = pieces.into_iter().map(Arc::new).collect();
    }

    /// Whether it was there.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let piece = self.piece_of(key);
        let Some(piece) = self.pieces.get_mut(piece).filter(|piece| piece.contains_key(key)) else { return false };
        Arc::make_mut(piece).remove(key);
        self.count -= 1;
        true
    }

    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&PatternEntry>
    where
        K: Borrow<Q>,
    {
        self.pieces.get(self.piece_of(key))?.get(key).map(|entry| &**entry)
    }

    pub fn values(&self) -> impl Iterator<Item = &PatternEntry> {
        self.pieces.iter().flat_map(|piece| piece.values()).map(|entry| &**entry)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&PatternEntry) -> bool) -> usize {
        let before = self.count;
        for piece in &mut self.pieces {
            if piece.values().any(|entry| !keep(entry)) {
                Arc::make_mut(piece).retain(|_, entry| keep(entry));
            }
        }
        self.count = self.pieces.iter().map(|piece| piece.len()).sum();
        before - self.count
    }
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
