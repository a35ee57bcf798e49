//! Which source port a connection to a server leaves from, where the configuration does not say.
//!
//! The kernel searches its whole range for a free port at each connect, over all ports in TIME_WAIT towards that
//! server; at thousands of connections per second that search is a third of what a short connection costs. So each
//! worker walks through the range by itself, by small random steps (RFC 6056 section 3.3.5), and leaves the kernel a
//! window of a few ports to look into (IP_LOCAL_PORT_RANGE, Linux 6.3): those used longest ago.

/// Ports of a window: enough to step over those that others hold.
const WINDOW: u32 = 16;
/// Ranges that are not much larger than a window are left to the kernel.
const RANGE_MIN: u32 = 1024;

/// One worker's walk through the ephemeral ports.
#[derive(Debug, Default)]
pub struct SourcePorts {
    first: u16,
    /// 0: the kernel chooses.
    count: u32,
    next: u32,
    random: u32,
}

impl SourcePorts {
    /// `range`: the kernel's ephemeral ports, both ends included; `worker` of `workers` begins at its part of them, so
    /// that two are seldom at the same place. `seed`: anything that differs between starts.
    pub fn new(range: Option<(u16, u16)>, worker: u16, workers: u16, seed: u64) -> SourcePorts {
        let Some((first, last)) = range.filter(|(first, last)| first <= last) else { return SourcePorts::default() };
        let count = u32::from(last - first) + 1;
        if count < RANGE_MIN {
            return SourcePorts::default();
        }
        let random = (seed ^ (seed >> 32)) as u32 | 1;
        let part = u64::from(count) * u64::from(worker) / u64::from(workers.max(1));
        let next = (part as u32).wrapping_add(random % count) % count;
        SourcePorts { first, count, next, random }
    }

    /// The ports, both ends included, that the next connection may leave from; `None`: any.
    pub fn window(&mut self) -> Option<(u16, u16)> {
        if self.count == 0 {
            return None;
        }
        // xorshift32: unlike a guess, not unlike a secret (RFC 6056 asks for no more).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.next += 1 + (self.random & 1);
        if self.next + WINDOW > self.count {
            self.next = 0;
        }
        let first = self.first + self.next as u16;
        Some((first, first + (WINDOW - 1) as u16))
    }

    /// The kernel knows no windows.
    pub fn give_up(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_or_unknown_ranges_are_the_kernels() {
        assert_eq!(SourcePorts::new(None, 0, 1, 1).window(), None);
        assert_eq!(SourcePorts::new(Some((40_000, 40_100)), 0, 1, 1).window(), None);
        assert_eq!(SourcePorts::new(Some((40_000, 30_000)), 0, 1, 1).window(), None);
        let mut ports = SourcePorts::new(Some((32_768, 60_999)), 0, 1, 1);
        assert!(ports.window().is_some());
        ports.give_up();
        assert_eq!(ports.window(), None);
    }

    proptest! {
        #[test]
        fn windows_lie_in_the_range_and_all_of_it_is_used(
            first in 1024_u16..30_000, count in 1024_u16..30_000, worker in 0_u16..8, seed: u64
        ) {
            let last = first + count;
            let mut ports = SourcePorts::new(Some((first, last)), worker, 8, seed);
            let mut used = vec![false; usize::from(count) + 1];
            for _ in 0..2 * u32::from(count) {
                let (from, to) = ports.window().expect("a window");
                prop_assert!(first <= from && from < to && to <= last);
                used[usize::from(from - first)..=usize::from(to - first)].fill(true);
            }
            let unused = used.iter().filter(|used| !**used).count();
            prop_assert!(unused <= WINDOW as usize, "{unused} ports are never used");
        }
    }
}
