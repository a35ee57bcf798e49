//! What the kernel holds, machine-wide: sockets have no owner that could be asked.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often is looked while connections are opened and held.
const POLL: Duration = Duration::from_millis(100);
/// /proc/net/sockstat counts pages.
const PAGE_BYTES: u64 = 4096;

/// Bytes of slab objects in use, and of socket buffers.
pub fn bytes() -> u64 {
    slab_bytes() + socket_buffer_bytes()
}

/// Objects in use, not slabs: the kernel keeps empty slabs of an earlier round. Without /proc/slabinfo (root's) the
/// slabs have to do.
fn slab_bytes() -> u64 {
    let Ok(text) = fs::read_to_string("/proc/slabinfo") else { return slab_of_meminfo().unwrap_or(0) };
    // name <active_objs> <num_objs> <objsize> …, after two lines of heading.
    let bytes_of = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let active: u64 = words.next()?.parse().ok()?;
        let size: u64 = words.nth(1)?.parse().ok()?;
        Some(active.saturating_mul(size))
    };
    text.lines().skip(2).filter_map(bytes_of).sum()
}

fn slab_of_meminfo() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
}

fn socket_buffer_bytes() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let tcp = text.lines().find_map(|line| line.strip_prefix("TCP:"));
    let pages = tcp.and_then(|line| line.split_once(" mem ")?.1.split_whitespace().next()?.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(PAGE_BYTES)
}

/// Looks again and again until asked for the most that it saw.
pub struct Watch {
    is_over: Arc<AtomicBool>,
    before: u64,
    thread: JoinHandle<u64>,
}

impl Watch {
    pub fn start() -> Watch {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let before = bytes();
        let thread = thread::spawn(move || {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(bytes());
                thread::sleep(POLL);
            }
            most
        });
        Watch { is_over, before, thread }
    }

    /// How much more there was, at most, than at the start.
    pub fn growth_bytes(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(0).saturating_sub(self.before)
    }
}
