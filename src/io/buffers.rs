//! The driver's bytes: two pools of equal buffers for receiving, and buffers of exact size for what this process says
//! itself or sets aside for a stalled peer.

use bytes::Bytes;
use std::io;
use std::rc::Rc;

use super::driver::{BufferClass, BufferId};
use super::settings::DriverSettings;
use crate::sys::memory::Region;

// A BufferId: the two top bits say which kind, the rest is the number.
const KIND_SHIFT: u32 = 30;
const NUMBER_MASK: u32 = (1 << KIND_SHIFT) - 1;
const KIND_OWN: u32 = 2;

/// Buffers start a cache line apart in their pages: at equal offsets, the first lines of all of them, which are all that
/// small messages use, would compete for a few sets of the cache.
const CACHE_LINE: usize = 64;

/// What a buffer number of a pool may be: io_uring names them with 16 bits.
const POOL_MAX: u32 = 65_536;

/// Pools keep this many buffers resident when they are trimmed.
const WARM_BUFFERS: u32 = 32;

/// Equal buffers in one region; memory of those never used is never resident.
pub(super) struct Pool {
    memory: Rc<Region>,
    stride: usize,
    buffer_bytes: u32,
    buffers_max: u32,
    /// Buffers 0..created have been in use.
    created: u32,
    /// Free and ours (not the kernel's); the last is the one used last, so its lines are likely in the cache.
    free: Vec<u16>,
    /// One bit per buffer: the caller has it.
    in_use: Vec<u64>,
    in_use_count: u32,
}

impl Pool {
    fn new(buffer_bytes: u32, buffers_max: u32) -> io::Result<Self> {
        let buffer_bytes = buffer_bytes.clamp(256, 16 * 1024 * 1024);
        let buffers_max = buffers_max.clamp(1, POOL_MAX);
        let stride = (buffer_bytes as usize).next_multiple_of(CACHE_LINE) + CACHE_LINE;
        let memory = Rc::new(Region::new(stride * buffers_max as usize)?);
        Ok(Pool {
            memory,
            stride,
            buffer_bytes,
            buffers_max,
            created: 0,
            free: Vec::new(),
            in_use: Vec::new(),
            in_use_count: 0,
        })
    }

    pub(super) fn memory(&self) -> &Rc<Region> {
        &self.memory
    }
    pub(super) fn stride(&self) -> usize {
        self.stride
    }
    pub(super) fn buffer_bytes(&self) -> u32 {
        self.buffer_bytes
    }
    pub(super) fn buffers_max(&self) -> u32 {
        self.buffers_max
    }
    pub(super) fn offset(&self, number: u16) -> usize {
        usize::from(number) * self.stride
    }

    /// A free buffer, the warmest first; a new one only when none is free. `None`: the bound is reached.
    pub(super) fn take(&mut self) -> Option<u16> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        if self.created >= self.buffers_max {
            return None;
        }
        let number = u16::try_from(self.created).ok()?;
        self.created += 1;
        if self.in_use.len() * 64 < self.created as usize {
            self.in_use.push(0);
        }
        Some(number)
    }

    /// How many [`Pool::take`] would give.
    pub(super) fn available(&self) -> usize {
        self.free.len() + (self.buffers_max - self.created) as usize
    }

    /// Gives back one that was taken but handed to nobody.
    pub(super) fn put_back(&mut self, number: u16) {
        self.free.push(number);
    }

    /// The buffer is the caller's from now on.
    pub(super) fn hand_out(&mut self, number: u16) {
        if let Some(word) = self.in_use.get_mut(usize::from(number) / 64) {
            *word |= 1 << (number % 64);
            self.in_use_count += 1;
        }
    }

    /// The caller gives it back. A number that is not the caller's is refused: freed twice, it would serve two.
    fn release(&mut self, number: u16) -> bool {
        let Some(word) = self.in_use.get_mut(usize::from(number) / 64) else { return false };
        let bit = 1 << (number % 64);
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        self.in_use_count = self.in_use_count.saturating_sub(1);
        self.free.push(number);
        true
    }

    fn is_in_use(&self, number: u32) -> bool {
        self.in_use.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Gives the memory of buffers that hold nothing back to the system. Those given to the kernel to receive into may
    /// be among them: an empty buffer's contents are nobody's.
    fn trim(&mut self) {
        if self.created <= WARM_BUFFERS {
            return;
        }
        // From now on low numbers first, so that the warm ones lie together.
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        let mut start = WARM_BUFFERS;
        while start < self.created {
            let end = (start..self.created).find(|number| self.is_in_use(*number)).unwrap_or(self.created);
            let (from, to) = (start as usize * self.stride, end as usize * self.stride);
            self.memory.discard(from, to - from);
            start = end + 1;
        }
    }
}

/// All buffers of one driver.
pub(super) struct Buffers {
    small: Pool,
    large: Pool,
    own: Vec<Option<OwnBytes>>,
    own_free: Vec<u32>,
}

/// The contents of a buffer outside of the pools.
enum OwnBytes {
    Own(Rc<[u8]>),
    /// Other threads may have a share in them.
    Shared(Bytes),
}

/// Where a buffer's bytes are.
pub(super) enum Place<'a> {
    Pooled { class: BufferClass, offset: usize },
    Own(&'a Rc<[u8]>),
    Shared(&'a Bytes),
    Nowhere,
}

fn class_of(id: BufferId) -> Option<BufferClass> {
    match id.0 >> KIND_SHIFT {
        0 => Some(BufferClass::Small),
        1 => Some(BufferClass::Large),
        _ => None,
    }
}

pub(super) fn pooled_id(class: BufferClass, number: u16) -> BufferId {
    let kind = match class {
        BufferClass::Small => 0,
        BufferClass::Large => 1,
    };
    BufferId((kind << KIND_SHIFT) | u32::from(number))
}

impl Buffers {
    pub(super) fn new(settings: &DriverSettings) -> io::Result<Self> {
        Ok(Buffers {
            small: Pool::new(settings.small_buffer_bytes, settings.small_buffers_max)?,
            large: Pool::new(settings.large_buffer_bytes, settings.large_buffers_max)?,
            own: Vec::new(),
            own_free: Vec::new(),
        })
    }

    pub(super) fn pool(&self, class: BufferClass) -> &Pool {
        match class {
            BufferClass::Small => &self.small,
            BufferClass::Large => &self.large,
        }
    }

    pub(super) fn pool_mut(&mut self, class: BufferClass) -> &mut Pool {
        match class {
            BufferClass::Small => &mut self.small,
            BufferClass::Large => &mut self.large,
        }
    }

    pub(super) fn place(&self, id: BufferId) -> Place<'_> {
        if let Some(class) = class_of(id) {
            let number = (id.0 & NUMBER_MASK) as u16;
            return Place::Pooled { class, offset: self.pool(class).offset(number) };
        }
        match self.own.get((id.0 & NUMBER_MASK) as usize) {
            Some(Some(OwnBytes::Own(bytes))) if id.is_some() => Place::Own(bytes),
            Some(Some(OwnBytes::Shared(bytes))) if id.is_some() => Place::Shared(bytes),
            _ => Place::Nowhere,
        }
    }

    pub(super) fn bytes(&self, id: BufferId) -> &[u8] {
        match self.place(id) {
            Place::Pooled { class, offset } => {
                let pool = self.pool(class);
                pool.memory.bytes(offset, pool.buffer_bytes as usize)
            }
            Place::Own(bytes) => bytes,
            Place::Shared(bytes) => bytes,
            Place::Nowhere => &[],
        }
    }

    /// `bytes(id)[offset..offset + length]`, cut to what there is.
    pub(super) fn part(&self, id: BufferId, offset: u32, length: u32) -> &[u8] {
        let bytes = self.bytes(id);
        let start = (offset as usize).min(bytes.len());
        let end = start.saturating_add(length as usize).min(bytes.len());
        &bytes[start..end]
    }

    pub(super) fn add_own(&mut self, bytes: &[u8]) -> BufferId {
        self.add(OwnBytes::Own(Rc::from(bytes)))
    }

    /// A buffer of these bytes, not of a copy.
    pub(super) fn add_shared(&mut self, bytes: Bytes) -> BufferId {
        self.add(OwnBytes::Shared(bytes))
    }

    fn add(&mut self, value: OwnBytes) -> BufferId {
        let number = match self.own_free.pop() {
            Some(number) => number,
            None => {
                self.own.push(None);
                (self.own.len() - 1) as u32
            }
        };
        if let Some(slot) = self.own.get_mut(number as usize) {
            *slot = Some(value);
        }
        BufferId((KIND_OWN << KIND_SHIFT) | number)
    }

    /// See [`super::Driver::detach`].
    pub(super) fn detach(&mut self, id: BufferId, offset: u32, length: u32) -> BufferId {
        let detached = match self.place(id) {
            // It holds up nobody's pool: what is left of it is named, not copied.
            Place::Shared(bytes) => {
                let start = (offset as usize).min(bytes.len());
                let end = start.saturating_add(length as usize).min(bytes.len());
                OwnBytes::Shared(bytes.slice(start..end))
            }
            _ => OwnBytes::Own(Rc::from(self.part(id, offset, length))),
        };
        self.release(id);
        self.add(detached)
    }

    /// Whether the buffer was the caller's to give back.
    pub(super) fn release(&mut self, id: BufferId) -> bool {
        let number = id.0 & NUMBER_MASK;
        if let Some(class) = class_of(id) {
            let released = u16::try_from(number).is_ok_and(|number| self.pool_mut(class).release(number));
            debug_assert!(released, "a buffer was released twice");
            return released;
        }
        match self.own.get_mut(number as usize) {
            Some(slot) if id.is_some() && slot.is_some() => {
                *slot = None;
                self.own_free.push(number);
                true
            }
            _ => false,
        }
    }

    /// recv(2) into a pooled buffer that was taken.
    pub(super) fn receive(&mut self, class: BufferClass, number: u16, socket: i32) -> io::Result<usize> {
        let pool = self.pool_mut(class);
        let (offset, length) = (pool.offset(number), pool.buffer_bytes as usize);
        match Rc::get_mut(&mut pool.memory) {
            Some(memory) => memory.receive(socket, offset, length),
            // A ring has a share in it: it alone receives.
            None => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        }
    }

    /// Copies into a pooled buffer that was taken, for a driver without a kernel: how many bytes fitted.
    pub(super) fn fill(&mut self, class: BufferClass, number: u16, bytes: &[u8]) -> usize {
        let pool = self.pool_mut(class);
        let (offset, length) = (pool.offset(number), (pool.buffer_bytes as usize).min(bytes.len()));
        let Some(memory) = Rc::get_mut(&mut pool.memory) else { return 0 };
        memory.bytes_mut(offset, length).copy_from_slice(&bytes[..length]);
        length
    }

    /// Pooled buffers that have ever been in use.
    pub(super) fn created(&self) -> u32 {
        self.small.created + self.large.created
    }

    pub(super) fn trim(&mut self) {
        self.small.trim();
        self.large.trim();
    }

    /// Buffers that callers hold: pooled, and of their own size.
    pub(super) fn held(&self) -> usize {
        self.small.in_use_count as usize + self.large.in_use_count as usize + self.own.len() - self.own_free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(small_max: u32) -> Buffers {
        Buffers::new(&DriverSettings { small_buffers_max: small_max, ..Default::default() }).unwrap()
    }

    #[test]
    fn the_last_one_released_is_the_first_one_taken() {
        let mut buffers = buffers(3);
        let pool = buffers.pool_mut(BufferClass::Small);
        let taken: Vec<u16> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken, [0, 1, 2]);
        assert_eq!(pool.available(), 0);
        for number in &taken {
            pool.hand_out(*number);
        }
        assert_eq!(buffers.held(), 3);
        assert!(buffers.release(pooled_id(BufferClass::Small, 1)));
        assert!(buffers.release(pooled_id(BufferClass::Small, 0)));
        assert_eq!(buffers.pool_mut(BufferClass::Small).take(), Some(0));
        assert_eq!(buffers.pool_mut(BufferClass::Small).take(), Some(1));
        assert_eq!(buffers.held(), 1);
    }

    #[test]
    fn detached_bytes_are_a_copy_of_just_their_size() {
        let mut buffers = buffers(4);
        let number = buffers.pool_mut(BufferClass::Small).take().unwrap();
        assert_eq!(buffers.fill(BufferClass::Small, number, b"0123456789"), 10);
        buffers.pool_mut(BufferClass::Small).hand_out(number);
        let id = buffers.detach(pooled_id(BufferClass::Small, number), 3, 4);
        assert_eq!(buffers.bytes(id), b"3456");
        assert_eq!(buffers.held(), 1);
        let again = buffers.detach(id, 1, 100);
        assert_eq!(buffers.bytes(again), b"456");
        assert!(buffers.release(again));
        assert!(!buffers.release(again));
        assert!(!buffers.release(BufferId::NONE));
        assert_eq!(buffers.bytes(again), b"");
        assert_eq!(buffers.bytes(BufferId::NONE), b"");
        assert_eq!(buffers.held(), 0);
    }

    #[test]
    fn shared_bytes_are_cut_without_a_copy() {
        let mut buffers = buffers(4);
        let bytes = Bytes::from(b"0123456789".to_vec());
        let first = buffers.add_shared(bytes.clone());
        assert_eq!(buffers.bytes(first).as_ptr(), bytes.as_ptr());
        let rest = buffers.detach(first, 4, 100);
        assert_eq!(buffers.bytes(rest), b"456789");
        assert_eq!(buffers.bytes(rest).as_ptr(), bytes[4..].as_ptr());
        let none = buffers.detach(rest, 100, 1);
        assert_eq!(buffers.bytes(none), b"");
        assert!(buffers.release(none) && !buffers.release(none));
        assert_eq!(buffers.held(), 0);
    }

    #[test]
    fn trimming_keeps_what_callers_hold() {
        let mut buffers = buffers(300);
        let mut all = Vec::new();
        while let Some(number) = buffers.pool_mut(BufferClass::Small).take() {
            buffers.fill(BufferClass::Small, number, format!("{number:04}").repeat(1000).as_bytes());
            buffers.pool_mut(BufferClass::Small).hand_out(number);
            all.push(pooled_id(BufferClass::Small, number));
        }
        for id in &all {
            if id.0 % 7 != 0 {
                buffers.release(*id);
            }
        }
        buffers.trim();
        for number in (0..300).step_by(7) {
            let text = format!("{number:04}").repeat(1000);
            assert_eq!(&buffers.bytes(all[number])[..4000], text.as_bytes());
        }
        assert_eq!(buffers.bytes(all[150])[2000], 0);
    }
}
