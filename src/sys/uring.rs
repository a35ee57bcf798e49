//! io_uring with owned memory: what the kernel may read or write during an operation is held here until it is done with
//! it, so that the functions are safe to call.
//!
//! Receives write only into [`Region`]s of a buffer group, which live as long as the ring. Addresses and bytes of sends
//! are read when the operation is submitted (sends are MSG_DONTWAIT, so they never outlive the submission); what is not
//! in a region is held until then. With DEFER_TASKRUN the kernel writes only inside [`Ring::enter`].

use bytes::Bytes;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode};

use super::address::KernelAddress;
use super::memory::Region;

// <linux/io_uring.h>: flags of a receive, in the SQE's ioprio. The crate's multishot receive cannot take the first.
const RECVSEND_POLL_FIRST: u16 = 1 << 0;
const RECV_MULTISHOT: u16 = 1 << 1;

/// A completion as the kernel posted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingCompletion {
    pub user_data: u64,
    pub result: i32,
    pub flags: u32,
}

impl RingCompletion {
    /// The operation stays armed.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }
    /// After a receive: the socket has more to give.
    pub fn socket_nonempty(&self) -> bool {
        cqueue::sock_nonempty(self.flags)
    }
    /// The number, in its group, of the buffer that the kernel took.
    pub fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

/// Buffers that the kernel takes from by itself.
struct Group {
    memory: Rc<Region>,
    stride: usize,
    buffer_bytes: u32,
    /// The ring of free buffers, shared with the kernel.
    entries: Region,
    mask: u16,
    /// Our next entry; published by [`Ring::publish`].
    tail: u16,
}

pub struct Ring {
    ring: IoUring,
    groups: Vec<Group>,
    /// Addresses of connects that are queued; boxed, since the kernel reads them at submission.
    #[allow(clippy::vec_box)]
    addresses: Vec<Box<KernelAddress>>,
    addresses_used: usize,
    /// Bytes of queued sends that are in no region.
    held: Vec<Rc<[u8]>>,
    /// The same of bytes that other threads have a share in.
    held_shared: Vec<Bytes>,
    /// What the next `enter` is to report.
    broken: Option<io::Error>,
}

/// Errors of io_uring_enter after which one just goes on: a timeout, a signal, a full completion queue, no memory now.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

impl Ring {
    /// A ring for the calling thread only: it must be made in the thread that uses it. Errors: ENOSYS (no io_uring),
    /// EPERM (`kernel.io_uring_disabled`, seccomp), EINVAL (kernel before 6.1), ENOMEM (RLIMIT_MEMLOCK).
    pub fn new(submissions: u32, completions: u32) -> io::Result<Self> {
        let build = |without_index_array: bool| {
            let mut builder = IoUring::builder();
            builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all().setup_clamp().dontfork();
            builder.setup_cqsize(completions);
            if without_index_array {
                builder.setup_no_sqarray();
            }
            builder.build(submissions)
        };
        // The array of indexes is one more cache line per submission; kernels before 6.6 insist on it.
        let ring = build(true).or_else(|_| build(false))?;
        let params = ring.params();
        if !params.is_feature_ext_arg() || !params.is_feature_nodrop() || !params.is_feature_submit_stable() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(Ring {
            ring,
            groups: Vec::new(),
            addresses: Vec::new(),
            addresses_used: 0,
            held: Vec::new(),
            held_shared: Vec::new(),
            broken: None,
        })
    }

    /// Adds a group of buffers: number `n` is `buffer_bytes` bytes at `n * stride` of `memory`. `entries` (a power of
    /// two, at most 32768) bounds how many the kernel can be given at once. Returns the group's number.
    pub fn add_group(&mut self, memory: Rc<Region>, stride: usize, buffer_bytes: u32, entries: u16) -> io::Result<u16> {
        let number = u16::try_from(self.groups.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        if !entries.is_power_of_two() || (buffer_bytes as usize) > stride {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let shared = Region::new(usize::from(entries) * size_of::<BufRingEntry>())?;
        let address = shared.address(0, shared.length()).map_or(0, |address| address as u64);
        // SAFETY: the entries' region is page-aligned, as long as the count says, and is kept in `groups` until the ring
        // is gone (see `Drop`).
        unsafe { self.ring.submitter().register_buf_ring_with_flags(address, entries, number, 0) }?;
        self.groups.push(Group { memory, stride, buffer_bytes, entries: shared, mask: entries - 1, tail: 0 });
        Ok(number)
    }

    /// Gives the kernel buffer `number` of the group, from the next [`Ring::publish`] on. The caller keeps count: more
    /// than the group's entries would overwrite the oldest. A number outside the region is refused.
    pub fn provide(&mut self, group: u16, number: u16) -> bool {
        let Some(group) = self.groups.get_mut(usize::from(group)) else { return false };
        let offset = usize::from(number) * group.stride;
        let Some(address) = group.memory.address(offset, group.buffer_bytes as usize) else { return false };
        let slot = usize::from(group.tail & group.mask) * size_of::<BufRingEntry>();
        let Some(entry) = group.entries.address(slot, size_of::<BufRingEntry>()) else { return false };
        // SAFETY: the slot lies in the entries' region, is aligned (16 bytes in a page-aligned region) and not yet
        // published, so the kernel does not look at it. Only address, length and number are written: the first slot's
        // last field is the tail.
        let entry = unsafe { &mut *entry.cast::<BufRingEntry>() };
        entry.set_addr(address as u64);
        entry.set_len(group.buffer_bytes);
        entry.set_bid(number);
        group.tail = group.tail.wrapping_add(1);
        true
    }

    /// Makes the buffers provided so far the kernel's.
    pub fn publish(&mut self, group: u16) {
        let Some(group) = self.groups.get(usize::from(group)) else { return };
        let Some(base) = group.entries.address(0, size_of::<BufRingEntry>()) else { return };
        // SAFETY: the base is the first entry of a registered buffer ring; its tail is an aligned u16 in memory that is
        // never moved, which the kernel only reads.
        let tail = unsafe { &*BufRingEntry::tail(base.cast()).cast::<AtomicU16>() };
        tail.store(group.tail, Ordering::Release);
    }

    fn push(&mut self, entry: Entry) {
        // SAFETY: all callers are the functions below; each says why its memory outlives the operation.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            // The queue is full: hand over what is in it.
            match self.ring.submit() {
                Ok(_) => self.let_go(),
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    // The ring is unusable (made by another thread, say): no operation will complete any more.
                    self.broken = Some(error);
                    return;
                }
            }
        }
    }

    /// Connections until cancelled; results are non-blocking, close-on-exec descriptors.
    pub fn accept(&mut self, listener: RawFd, user_data: u64) {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        self.push(opcode::AcceptMulti::new(Fd(listener)).flags(flags).build().user_data(user_data));
    }

    /// Receives into a buffer of the group once something is there: once, or (`multishot`) until end, error or cancel.
    /// The first look is a poll: usually nothing is there yet, and the attempt to receive would be for nothing.
    pub fn receive(&mut self, socket: RawFd, group: u16, multishot: bool, user_data: u64) {
        let multishot = if multishot { RECV_MULTISHOT } else { 0 };
        // No memory is named: the kernel takes it from the group, which lives as long as the ring.
        let entry = opcode::Recv::new(Fd(socket), std::ptr::null_mut(), 0)
            .buf_group(group)
            .ioprio(multishot | RECVSEND_POLL_FIRST)
            .build()
            .flags(Flags::BUFFER_SELECT);
        self.push(entry.user_data(user_data));
    }

    /// Sends from a group's region; never waits. EINVAL as a completion cannot be had for a range outside: `false`.
    pub fn send_from_group(&mut self, socket: RawFd, group: u16, offset: usize, length: u32, user_data: u64) -> bool {
        let Some(group) = self.groups.get(usize::from(group)) else { return false };
        let Some(address) = group.memory.address(offset, length as usize) else { return false };
        // The region is mapped as long as the ring lives.
        self.push(send_entry(socket, address, length, user_data));
        true
    }

    /// Sends `bytes[offset..][..length]`; never waits. `false` for a range outside.
    pub fn send_bytes(&mut self, socket: RawFd, bytes: &Rc<[u8]>, offset: usize, length: u32, user_data: u64) -> bool {
        let Some(part) = offset.checked_add(length as usize).and_then(|end| bytes.get(offset..end)) else {
            return false;
        };
        let entry = send_entry(socket, part.as_ptr(), length, user_data);
        // Held until the submission, in which the kernel reads it; after, not before the push, which may submit.
        self.push(entry);
        self.held.push(Rc::clone(bytes));
        true
    }

    /// As [`Ring::send_bytes`], of bytes that threads share.
    pub fn send_shared(&mut self, socket: RawFd, bytes: &Bytes, offset: usize, length: u32, user_data: u64) -> bool {
        let Some(part) = offset.checked_add(length as usize).and_then(|end| bytes.get(offset..end)) else {
            return false;
        };
        let entry = send_entry(socket, part.as_ptr(), length, user_data);
        self.push(entry);
        self.held_shared.push(bytes.clone());
        true
    }

    pub fn connect(&mut self, socket: RawFd, address: &KernelAddress, user_data: u64) {
        if self.addresses_used == self.addresses.len() {
            self.addresses.push(Box::new(KernelAddress::empty()));
        }
        let Some(slot) = self.addresses.get_mut(self.addresses_used) else { return };
        **slot = *address;
        let entry = opcode::Connect::new(Fd(socket), slot.as_ptr(), slot.length).build().user_data(user_data);
        // The box is not written again before the submission, in which the kernel copies the address. When the push
        // has to submit first, the count starts anew, and the slot must still be counted.
        let used = self.addresses_used;
        self.push(entry);
        self.addresses_used = self.addresses_used.max(used + 1);
    }

    /// Completes once, with the poll(2) events that hold.
    pub fn poll(&mut self, socket: RawFd, events: i16, user_data: u64) {
        self.push(opcode::PollAdd::new(Fd(socket), u32::from(events as u16)).build().user_data(user_data));
    }

    /// Completes whenever the descriptor becomes readable anew.
    pub fn poll_always(&mut self, descriptor: RawFd, user_data: u64) {
        let events = libc::POLLIN as u32;
        self.push(opcode::PollAdd::new(Fd(descriptor), events).multi(true).build().user_data(user_data));
    }

    /// Cancels the operation with `target` as its user data. A completion under `user_data` only when there is none.
    pub fn cancel(&mut self, target: u64, user_data: u64) {
        let entry = opcode::AsyncCancel::new(target).build().flags(Flags::SKIP_SUCCESS);
        self.push(entry.user_data(user_data));
    }

    /// Submits what is queued and waits until at least one completion is there or the timeout is over. `Some(0)` does
    /// not wait. A signal, a timeout and a full completion queue are no errors.
    pub fn enter(&mut self, timeout_us: Option<u64>) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let queued = self.ring.submission().len();
        let to_submit = u32::try_from(queued).unwrap_or(u32::MAX);
        // GETEVENTS always: it is what runs the deferred work and flushes an overflown completion queue.
        let get_events = EnterFlags::GETEVENTS.bits();
        let result = match timeout_us {
            // SAFETY: no argument is passed.
            Some(0) => unsafe { self.ring.submitter().enter::<()>(to_submit, 0, get_events, None) },
            // SAFETY: as above.
            None => unsafe { self.ring.submitter().enter::<()>(to_submit, 1, get_events, None) },
            Some(us) => {
                let time = Timespec::new().sec(us / 1_000_000).nsec((us % 1_000_000) as u32 * 1_000);
                let arguments = SubmitArgs::new().timespec(&time);
                let flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits();
                // SAFETY: the argument is what EXT_ARG announces; it and the time it points to outlive the call.
                unsafe { self.ring.submitter().enter(to_submit, 1, flags, Some(&arguments)) }
            }
        };
        self.let_go();
        match result {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Appends what has completed.
    pub fn completions(&mut self, to: &mut Vec<RingCompletion>) {
        let queue = self.ring.completion();
        to.extend(queue.map(|entry| RingCompletion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }

    /// Drops what was held for the submission, when all of it has been submitted.
    fn let_go(&mut self) {
        if self.ring.submission().is_empty() {
            self.addresses_used = 0;
            self.held.clear();
            self.held_shared.clear();
        }
    }
}

fn send_entry(socket: RawFd, bytes: *const u8, length: u32, user_data: u64) -> Entry {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    opcode::Send::new(Fd(socket), bytes, length).flags(flags).build().user_data(user_data)
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Closing the ring cancels its operations some time later; until then they may write into the groups' memory.
        // So everything is cancelled here first, and if that fails, the memory stays mapped for good.
        let limit = Timespec::new().sec(1);
        let cancelled = self.ring.submitter().register_sync_cancel(Some(limit), CancelBuilder::any());
        let quiet = match cancelled {
            Ok(()) => true,
            Err(error) => error.raw_os_error() == Some(libc::ENOENT),
        };
        if !quiet {
            std::mem::forget(std::mem::take(&mut self.groups));
        }
    }
}
