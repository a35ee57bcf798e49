//! A part of a stick table under one lock: entries by their keys, and in the order of their last use.
//!
//! All entries live equally long after their last use, so this order is that in which they expire: what is due is at
//! its head, and nobody has to look for it.

use super::entry::Entry;
use hashbrown::HashTable;
use std::sync::Arc;

const NONE: u32 = u32::MAX;

struct Node {
    entry: Arc<Entry>,
    previous: u32,
    next: u32,
}

/// See the module's text.
pub(super) struct Shard {
    /// Indices into `nodes`.
    by_key: HashTable<u32>,
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    /// The one whose last use is longest ago.
    head: u32,
    tail: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Shard { by_key: HashTable::new(), nodes: Vec::new(), free: Vec::new(), head: NONE, tail: NONE }
    }
}

impl Shard {
    fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)?.as_ref()
    }
    fn node_mut(&mut self, index: u32) -> Option<&mut Node> {
        self.nodes.get_mut(index as usize)?.as_mut()
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let is_it = |index: &u32| self.node(*index).is_some_and(|node| node.entry.key() == key);
        self.by_key.find(hash, is_it).copied()
    }

    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&Arc<Entry>> {
        self.node(self.find(hash, key)?).map(|node| &node.entry)
    }

    /// The entry was used: it is the last to go.
    pub fn touch(&mut self, hash: u64, key: &[u8], now_ms: u64) {
        if let Some(index) = self.find(hash, key) {
            self.unlink(index);
            self.append(index);
            if let Some(node) = self.node(index) {
                node.entry.touch(now_ms);
            }
        }
    }

    /// Puts a new entry in; its key is not there.
    pub fn insert(&mut self, entry: Arc<Entry>) {
        let hash = entry.hash;
        let node = Some(Node { entry, previous: NONE, next: NONE });
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(place) = self.nodes.get_mut(index as usize) {
                    *place = node;
                }
                index
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        let nodes = &self.nodes;
        let hash_of =
            |index: &u32| nodes.get(*index as usize).and_then(Option::as_ref).map_or(0, |node| node.entry.hash);
        self.by_key.insert_unique(hash, index, hash_of);
        self.append(index);
    }

    /// Takes an entry out, unless it is tracked. Whether it is gone.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> bool {
        match self.find(hash, key) {
            Some(index) if self.node(index).is_some_and(|node| node.entry.trackers() == 0) => {
                self.remove_at(index);
                true
            }
            _ => false,
        }
    }

    /// Takes the entry out that was unused for the longest time, if nobody tracks it; whether there was one. Tracked
    /// ones are in use and go to the end; only so many of them are looked at.
    pub fn remove_oldest(&mut self) -> bool {
        self.remove_head(u64::MAX, 64)
    }

    /// Takes out up to `most` entries whose last use was before `before_ms`; gives their number.
    pub fn remove_unused_since(&mut self, before_ms: u64, most: usize) -> usize {
        (0..most).take_while(|_| self.remove_head(before_ms, 4)).count()
    }

    fn remove_head(&mut self, before_ms: u64, looks: usize) -> bool {
        for _ in 0..looks {
            let head = self.head;
            let Some(node) = self.node(head) else { return false };
            if node.entry.touched_ms() >= before_ms {
                return false;
            }
            if node.entry.trackers() == 0 {
                self.remove_at(head);
                return true;
            }
            self.unlink(head);
            self.append(head);
        }
        false
    }

    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.nodes.iter().flatten().map(|node| &node.entry)
    }

    fn remove_at(&mut self, index: u32) {
        self.unlink(index);
        let Some(node) = self.nodes.get_mut(index as usize).and_then(Option::take) else { return };
        if let Ok(found) = self.by_key.find_entry(node.entry.hash, |other| *other == index) {
            found.remove();
        }
        self.free.push(index);
    }

    fn unlink(&mut self, index: u32) {
        let Some((previous, next)) = self.node(index).map(|node| (node.previous, node.next)) else { return };
        match self.node_mut(previous) {
            Some(node) => node.next = next,
            None => self.head = next,
        }
        match self.node_mut(next) {
            Some(node) => node.previous = previous,
            None => self.tail = previous,
        }
    }

    fn append(&mut self, index: u32) {
        let tail = std::mem::replace(&mut self.tail, index);
        if let Some(node) = self.node_mut(index) {
            (node.previous, node.next) = (tail, NONE);
        }
        match self.node_mut(tail) {
            Some(node) => node.next = index,
            None => self.head = index,
        }
    }
}
