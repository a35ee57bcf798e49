//! How many buffers the kernel holds ready, and which receives wait for one.
//!
//! The kernel takes buffers from its ring in the order they were put there, so a ring kept full would walk through all
//! memory there is. Only as many are put there as one `wait` may take; the rest stays on a stack whose top is warm. The
//! number doubles whenever it was too small and shrinks when it is quiet.

use std::collections::VecDeque;
use std::io;

use super::buffers::Buffers;
use super::driver::BufferClass;
use crate::sys::uring::Ring;

const SMALL_TARGET_MIN: u32 = 32;
const LARGE_TARGET_MIN: u32 = 4;
const ENTRIES_MAX: u32 = 4096;

struct Group {
    /// In the kernel's ring, as far as completions have told.
    provided: u32,
    target: u32,
    target_min: u32,
    entries: u32,
    /// Receives of this class have been asked for.
    wanted: bool,
    starved: VecDeque<i32>,
}

pub(super) struct Groups {
    groups: [Group; 2],
}

impl Groups {
    /// Registers both groups under the numbers that the classes have as integers.
    pub(super) fn new(ring: &mut Ring, buffers: &Buffers) -> io::Result<Self> {
        let mut make = |class: BufferClass, target_min: u32| {
            let pool = buffers.pool(class);
            let entries = pool.buffers_max().next_power_of_two().min(ENTRIES_MAX);
            let entries_u16 = u16::try_from(entries).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            let memory = std::rc::Rc::clone(pool.memory());
            let number = ring.add_group(memory, pool.stride(), pool.buffer_bytes(), entries_u16)?;
            debug_assert_eq!(number, class as u16);
            let target_min = target_min.min(entries);
            Ok::<Group, io::Error>(Group {
                provided: 0,
                target: target_min,
                target_min,
                entries,
                wanted: false,
                starved: VecDeque::new(),
            })
        };
        let small = make(BufferClass::Small, SMALL_TARGET_MIN)?;
        let large = make(BufferClass::Large, LARGE_TARGET_MIN)?;
        Ok(Groups { groups: [small, large] })
    }

    fn group(&mut self, class: BufferClass) -> &mut Group {
        &mut self.groups[class as usize]
    }

    pub(super) fn want(&mut self, class: BufferClass) {
        self.group(class).wanted = true;
    }

    /// The kernel took one.
    pub(super) fn taken(&mut self, class: BufferClass) {
        let group = self.group(class);
        group.provided = group.provided.saturating_sub(1);
    }

    /// A receive found none.
    pub(super) fn starve(&mut self, class: BufferClass, socket: i32) {
        self.group(class).starved.push_back(socket);
    }

    pub(super) fn next_starved(&mut self, class: BufferClass) -> Option<i32> {
        self.group(class).starved.pop_front()
    }

    /// Fills up the kernel's ring; returns how many starved receives may be armed again.
    pub(super) fn fill(&mut self, class: BufferClass, ring: &mut Ring, buffers: &mut Buffers) -> u32 {
        let group = &mut self.groups[class as usize];
        if !group.wanted {
            return 0;
        }
        if !group.starved.is_empty() {
            // Doubled once per wait that starved somebody, not once per receive.
            group.target = group.target.saturating_mul(2).min(group.entries);
        }
        let mut published = false;
        while group.provided < group.target {
            let Some(number) = buffers.pool_mut(class).take() else { break };
            if !ring.provide(class as u16, number) {
                break;
            }
            group.provided += 1;
            published = true;
        }
        if published {
            ring.publish(class as u16);
        }
        if group.starved.is_empty() { 0 } else { group.provided }
    }

    /// Back to the smallest target. What the kernel holds beyond it is used up, not taken back.
    pub(super) fn shrink(&mut self) {
        for group in &mut self.groups {
            group.target = group.target_min;
        }
    }
}
