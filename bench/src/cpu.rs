//! What a process costs: CPU time and resident memory, from /proc.

use std::fs;

/// CPU nanoseconds of all threads so far (user and system).
pub fn nanoseconds(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()))
        .sum()
}

/// CPU nanoseconds of the calling thread so far.
pub fn thread_nanoseconds() -> u64 {
    let spent = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    spent.map_or(0, |spent| std::time::Duration::from(spent).as_nanos() as u64)
}

/// Resident memory in bytes (Pss where the kernel tells it: shared pages are not counted twice).
pub fn resident_bytes(pid: u32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { return 0 };
    let line = text.lines().find(|line| line.starts_with("Rss:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Keeps this process and what it starts on the given CPU.
pub fn pin(cpu: usize) -> anyhow::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?;
    Ok(())
}
