//! Ports that nobody else uses: outside the kernel's ephemeral range, so that no outgoing connection of a test
//! can sit on one, and handed out once per process.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port on which nothing listens, on any address. Successive calls give different ports.
pub fn free_port() -> u16 {
    free_range(1)
}

/// The first of `count` successive free ports.
pub fn free_range(count: u16) -> u16 {
    // Test processes that run side by side start at different places.
    let start = std::process::id().wrapping_mul(613);
    for _ in 0..COUNT {
        let offset = NEXT.fetch_add(u32::from(count), Ordering::Relaxed).wrapping_add(start) % COUNT;
        let first = u16::try_from(FIRST + offset).expect("ports fit");
        if (first..first + count).all(|port| TcpListener::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).is_ok())
        {
            return first;
        }
    }
    panic!("no free port");
}
