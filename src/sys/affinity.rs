//! Which CPUs a thread may run on.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPUs that the calling thread may use, ascending. Never empty on a machine that runs us; empty on an error.
pub fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// Pins the calling thread to `cpus`. EINVAL where none of them may be used.
pub fn pin(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_pins_itself_to_one_of_its_cpus() {
        std::thread::spawn(|| {
            let all = allowed_cpus();
            let last = *all.last().unwrap();
            pin(&[last]).unwrap();
            assert_eq!(allowed_cpus(), [last]);
            assert!(pin(&[]).is_err());
            assert!(pin(&[usize::MAX]).is_err());
        })
        .join()
        .unwrap();
    }
}
