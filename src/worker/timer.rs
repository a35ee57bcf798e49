//! A hierarchical timing wheel over slot numbers: set, move and clear in constant time, whatever the number of
//! sessions. One deadline per slot; a session that is merely active does not touch it (the slot looks at the last
//! activity when the deadline fires and sets the rest).

const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
/// 64^6 ms is over two years.
const LEVELS: usize = 6;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    /// level * SLOTS + index, or NONE.
    bucket: u32,
    deadline_ms: u64,
}

const FREE: Link = Link { next: NONE, previous: NONE, bucket: NONE, deadline_ms: 0 };

/// Times are milliseconds of the driver's monotonic clock.
pub struct TimerWheel {
    heads: Vec<u32>,
    occupied: [u64; LEVELS],
    links: Vec<Link>,
    /// Everything due at or before this has been reported.
    now_ms: u64,
}

impl TimerWheel {
    pub fn new(now_ms: u64) -> Self {
        TimerWheel { heads: vec![NONE; LEVELS * SLOTS], occupied: [0; LEVELS], links: Vec::new(), now_ms }
    }

    /// Sets (or moves) the slot's deadline. One that has passed fires at the next [`TimerWheel::expire`].
    pub fn set(&mut self, slot: u32, deadline_ms: u64) {
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, FREE);
        }
        self.clear(slot);
        self.links[slot as usize].deadline_ms = deadline_ms;
        self.place(slot);
    }

    /// The slot's deadline, if it has one.
    pub fn deadline_ms(&self, slot: u32) -> Option<u64> {
        self.links.get(slot as usize).filter(|link| link.bucket != NONE).map(|link| link.deadline_ms)
    }

    pub fn clear(&mut self, slot: u32) {
        let Some(&link) = self.links.get(slot as usize) else { return };
        if link.bucket == NONE {
            return;
        }
        if link.previous == NONE {
            self.heads[link.bucket as usize] = link.next;
            if link.next == NONE {
                self.occupied[link.bucket as usize / SLOTS] &= !(1 << (link.bucket as usize % SLOTS));
            }
        } else {
            self.links[link.previous as usize].next = link.next;
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        self.links[slot as usize] = FREE;
    }

    fn place(&mut self, slot: u32) {
        let deadline_ms = self.links[slot as usize].deadline_ms.max(self.now_ms + 1);
        let delay_ms = deadline_ms - self.now_ms;
        let level = (63 - delay_ms.leading_zeros()) / LEVEL_BITS;
        let (level, position) = if level < LEVELS as u32 {
            (level, deadline_ms >> (LEVEL_BITS * level))
        } else {
            // Further than the wheel reaches: as far as it does, to be placed again then.
            let last = LEVELS as u32 - 1;
            (last, (self.now_ms >> (LEVEL_BITS * last)) + SLOTS as u64 - 1)
        };
        let (level, index) = (level as usize, position as usize % SLOTS);
        let bucket = level * SLOTS + index;
        let head = std::mem::replace(&mut self.heads[bucket], slot);
        self.occupied[level] |= 1 << index;
        if head != NONE {
            self.links[head as usize].previous = slot;
        }
        let link = &mut self.links[slot as usize];
        (link.next, link.previous, link.bucket) = (head, NONE, bucket as u32);
    }

    /// When [`TimerWheel::expire`] is to be called next, at the latest.
    pub fn next_ms(&self) -> Option<u64> {
        (0..LEVELS).filter_map(|level| self.next_at(level)).min()
    }

    /// The start of the next occupied bucket of one level.
    fn next_at(&self, level: usize) -> Option<u64> {
        if self.occupied[level] == 0 {
            return None;
        }
        let shift = LEVEL_BITS * level as u32;
        let position = self.now_ms >> shift;
        let index = (position % SLOTS as u64) as u32;
        // Buckets after the present one, wrapping; the present one itself comes last.
        let distance = self.occupied[level].rotate_right((index + 1) % 64).trailing_zeros() as u64 + 1;
        Some((position + distance) << shift)
    }

    /// Moves time on and calls `fire` for each slot whose deadline is at or before `now_ms` (its timer is then clear).
    pub fn expire(&mut self, now_ms: u64, mut fire: impl FnMut(u32)) {
        while let Some(next_ms) = self.next_ms().filter(|next_ms| *next_ms <= now_ms) {
            // Entries of a coarse bucket are placed again, finer, when its time begins; those due fire.
            self.now_ms = next_ms;
            for level in (0..LEVELS).rev() {
                let shift = LEVEL_BITS * level as u32;
                if next_ms & ((1u64 << shift) - 1) != 0 {
                    continue;
                }
                let index = (next_ms >> shift) as usize % SLOTS;
                if self.occupied[level] & (1 << index) == 0 {
                    continue;
                }
                self.occupied[level] &= !(1 << index);
                let mut slot = std::mem::replace(&mut self.heads[level * SLOTS + index], NONE);
                while slot != NONE {
                    let link = std::mem::replace(&mut self.links[slot as usize], FREE);
                    if link.deadline_ms <= next_ms {
                        fire(slot);
                    } else {
                        self.links[slot as usize].deadline_ms = link.deadline_ms;
                        self.place(slot);
                    }
                    slot = link.next;
                }
            }
        }
        self.now_ms = self.now_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map: fires what is due, when it is due, and wakes no later than the earliest deadline.
        #[test]
        fn fires_as_a_sorted_map_would(
            start in 0u64..1 << 40,
            steps in proptest::collection::vec((0u32..20, 0u64..300_000_000, 0u64..50_000, 0u8..4), 1..200),
        ) {
            let mut wheel = TimerWheel::new(start);
            let mut naive: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = start;
            for (slot, delay, advance, what) in steps {
                match what {
                    0 => { wheel.clear(slot); naive.remove(&slot); }
                    1 => { wheel.set(slot, now + delay); naive.insert(slot, now + delay); }
                    _ => { let near = delay % 5000; wheel.set(slot, now + near); naive.insert(slot, now + near); }
                }
                if let Some(earliest) = naive.values().min() {
                    prop_assert!(wheel.next_ms().unwrap() <= (*earliest).max(now + 1));
                } else {
                    prop_assert_eq!(wheel.next_ms(), None);
                }
                now += advance;
                let mut fired = Vec::new();
                wheel.expire(now, |slot| fired.push(slot));
                fired.sort();
                let due: Vec<u32> = naive.iter().filter(|(_, at)| **at <= now).map(|(slot, _)| *slot).collect();
                // A deadline that is already over when set fires one millisecond later at the latest.
                let late: Vec<u32> = due.iter().copied().filter(|slot| !fired.contains(slot)).collect();
                for slot in &late { prop_assert!(naive[slot] <= now && advance == 0); }
                for slot in &fired { prop_assert!(due.contains(slot)); naive.remove(slot); }
            }
        }
    }
}
