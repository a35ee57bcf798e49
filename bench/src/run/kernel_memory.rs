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

/// The caches that sockets, their files and those who wait for them live in. What everything shares (dentries, kmalloc)
/// is left out: some 200 bytes a socket, and all that any other program does.
const CACHES: [&str; 8] =
    ["TCP", "TCPv6", "sock_inode_cache", "filp", "lsm_file_cache", "eventpoll_epi", "eventpoll_pwq", "io_kiocb"];
/// Socket buffers, by the beginnings of their caches' names.
const BUFFER_CACHES: &str = "skbuff_";

/// Bytes of such objects in use, and of socket buffers; none where /proc/slabinfo may not be read (root may).
pub fn bytes() -> Option<u64> {
    Some(bytes_in_caches(&fs::read_to_string("/proc/slabinfo").ok()?) + socket_buffer_bytes())
}

/// Objects in use, not slabs: the kernel keeps empty slabs of an earlier round.
fn bytes_in_caches(slabinfo: &str) -> u64 {
    // name <active_objs> <num_objs> <objsize> …, after two lines of heading.
    let bytes_of = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| CACHES.contains(name) || name.starts_with(BUFFER_CACHES));
        let active: u64 = name.and(words.next())?.parse().ok()?;
        let size: u64 = words.nth(1)?.parse().ok()?;
        Some(active.saturating_mul(size))
    };
    slabinfo.lines().skip(2).filter_map(bytes_of).sum()
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
    before: Option<u64>,
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
                most = most.max(bytes().unwrap_or(0));
                thread::sleep(POLL);
            }
            most
        });
        Watch { is_over, before, thread }
    }

    /// How much more there was, at most, than at the start.
    pub fn growth_bytes(self) -> Option<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        let most = self.thread.join().ok()?;
        Some(most.saturating_sub(self.before?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_are_counted() {
        let text = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> ...\n\
            TCP 10 12 2368 13 8 : tunables 0 0 0 : slabdata 1 1 0\ndentry 350396 350400 192 21 1 : tunables 0 0 0\n\
            skbuff_head_cache 2 32 256 16 1 : tunables 0 0 0\nTCPv6\nfilp many 1 192\n";
        assert_eq!(bytes_in_caches(text), 10 * 2368 + 2 * 256);
    }
}
