//! The two clocks.

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours and outlives the call. The two clocks used here exist on every Linux, so it cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000).wrapping_add(time.tv_nsec as u64 / 1_000)
}

/// CLOCK_MONOTONIC, microseconds: what deadlines are made of.
pub fn monotonic_us() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME, microseconds since the Unix epoch: dates in logs.
pub fn wall_us() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// CPU time that this thread has used, microseconds.
pub fn thread_cpu_us() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}
