//! Ports that nobody else uses: outside the kernel's ephemeral range, so that no outgoing connection of a test
//! can sit on one, and handed out once per process. Test processes that run side by side take blocks of ports by
//! locking a file each, which the kernel unlocks when the process ends, however it ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Mutex;

use socket2::{Domain, Socket, Type};

const FIRST: u16 = 10_000;
const BLOCK: u16 = 200;
const BLOCKS: u16 = 110;

/// The blocks this process holds, and what is left of the newest.
struct Blocks {
    locks: Vec<File>,
    next: u16,
    left: u16,
}

static BLOCKS_HELD: Mutex<Blocks> = Mutex::new(Blocks { locks: Vec::new(), next: 0, left: 0 });

/// A port on which nothing listens, on any address. Successive calls give different ports.
pub fn free_port() -> u16 {
    free_range(1)
}

/// The first of `count` successive free ports.
pub fn free_range(count: u16) -> u16 {
    assert!(count <= BLOCK, "a range fits a block");
    let mut blocks = BLOCKS_HELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    loop {
        if blocks.left < count {
            let (first, lock) = lock_block(blocks.locks.len());
            blocks.locks.push(lock);
            (blocks.next, blocks.left) = (first, BLOCK);
        }
        let first = blocks.next;
        (blocks.next, blocks.left) = (first + count, blocks.left - count);
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}

/// Bound to see whether it can be, but not listened on: a process that another thread starts at this instant has a copy
/// of the socket for a while, which would keep who is to listen here from it.
fn is_free(port: u16) -> bool {
    let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("beside a socket that lingers");
    socket.bind(&address.into()).is_ok()
}

/// Locks a block that no other process has; `held`: how many this one has (the search goes on from there).
fn lock_block(held: usize) -> (u16, File) {
    let folder = std::env::temp_dir().join("ringway-test-ports");
    fs::create_dir_all(&folder).expect("a folder for locks");
    let start = std::process::id() as usize + held;
    for step in 0..usize::from(BLOCKS) {
        let block = u16::try_from((start + step) % usize::from(BLOCKS)).expect("a block's number fits");
        let path = folder.join(block.to_string());
        let lock = File::options().create(true).append(true).open(path).expect("a lock file");
        // A lock of this process's own counts as taken too: each file is opened anew.
        if lock.try_lock().is_ok() {
            return (FIRST + block * BLOCK, lock);
        }
    }
    panic!("all blocks of test ports are taken");
}
