//! The thread's descriptor table.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sched::{CloneFlags, unshare};

/// Gives the calling thread a descriptor table of its own, a copy of the process's. RLIMIT_NOFILE then bounds this
/// thread alone, and descriptor numbers no longer mean the same in other threads.
pub fn unshare_files() -> io::Result<()> {
    Ok(unshare(CloneFlags::CLONE_FILES)?)
}

/// How many descriptors the calling thread's table holds.
pub fn count() -> io::Result<usize> {
    // One of them is the directory being read.
    Ok(std::fs::read_dir("/proc/thread-self/fd")?.count().saturating_sub(1))
}

/// The descriptors of the calling thread's table, ascending.
pub fn list() -> io::Result<Vec<RawFd>> {
    let mut found: Vec<RawFd> = std::fs::read_dir("/proc/thread-self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| is_open(*number))
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Closes every descriptor of the calling thread's table but the standard ones and those in `keep`.
///
/// For a thread that has just called [`unshare_files`]: its table is a copy of its parent's, and a socket whose owner
/// closes it lives on as long as a copy does. Refused (EINVAL) where the table is still the process's.
pub fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    if shares_table_with_main_thread() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for number in list()? {
        if number > libc::STDERR_FILENO && !keep.contains(&number) {
            // SAFETY: the call takes no pointer. The table is this thread's own, and what is closed in it are copies:
            // the `OwnedFd`s with these numbers belong to other threads and mean those threads' tables.
            unsafe { libc::close(number) };
        }
    }
    Ok(())
}

/// kcmp(2) with the main thread. Where it is not allowed (seccomp) the answer is yes: then nothing is closed.
fn shares_table_with_main_thread() -> bool {
    const KCMP_FILES: libc::c_long = 2;
    // SAFETY: no call takes a pointer.
    unsafe {
        let (main, own) = (libc::c_long::from(libc::getpid()), libc::syscall(libc::SYS_gettid));
        libc::syscall(libc::SYS_kcmp, main, own, KCMP_FILES, 0 as libc::c_long, 0 as libc::c_long) <= 0
    }
}

pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes no pointer.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Takes over a descriptor that the process was started with (`fd@N`). EBADF where there is none.
/// To be called once per number: the result closes it.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if !is_open(number) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is open, and per the contract above nobody else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

pub fn set_nonblocking(number: RawFd) -> io::Result<()> {
    // SAFETY: the two fcntl commands take no pointer.
    let flags = super::check(unsafe { libc::fcntl(number, libc::F_GETFL) })?;
    // SAFETY: as above.
    super::check(unsafe { libc::fcntl(number, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(|_| ())
}

pub fn set_close_on_exec(number: RawFd, on: bool) -> io::Result<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: the command takes no pointer.
    super::check(unsafe { libc::fcntl(number, libc::F_SETFD, flags) }).map(|_| ())
}

/// A duplicate with the next free number at or above `at_least`, close-on-exec.
pub fn duplicate(descriptor: &impl AsRawFd, at_least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the command takes no pointer.
    let number = super::check(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at_least) })?;
    // SAFETY: the kernel has just made it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_closed_in_a_table_of_ones_own_only() {
        assert!(close_all_but(&[]).is_err());
        let (kept, closed) = (std::fs::File::open("/dev/null").unwrap(), std::fs::File::open("/dev/null").unwrap());
        let (keep, close) = (kept.as_raw_fd(), closed.as_raw_fd());
        std::thread::spawn(move || {
            unshare_files().unwrap();
            if close_all_but(&[keep]).is_ok() {
                assert!(is_open(keep) && is_open(0) && !is_open(close));
            }
        })
        .join()
        .unwrap();
        assert!(is_open(keep) && is_open(close));
    }

    #[test]
    fn a_thread_with_its_own_table_does_not_see_what_others_open() {
        std::thread::spawn(|| {
            unshare_files().unwrap();
            let before = count().unwrap();
            let kept = std::fs::File::open("/dev/null").unwrap();
            assert_eq!(count().unwrap(), before + 1);
            assert!(list().unwrap().contains(&kept.as_raw_fd()));
            let copy = duplicate(&kept, 900).unwrap();
            assert!(copy.as_raw_fd() >= 900);
            let number = copy.as_raw_fd();
            let seen_outside = std::thread::spawn(move || is_open(number));
            // A thread started from here shares this table.
            assert!(seen_outside.join().unwrap());
        })
        .join()
        .unwrap();
        assert!(!is_open(900));
        assert!(take_inherited(999_999).is_err());
    }
}
