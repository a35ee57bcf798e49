//! Resource limits and the system's ceilings.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

/// `u64::MAX` for "no limit".
pub const UNLIMITED: u64 = libc::RLIM_INFINITY;

fn get(resource: Resource) -> io::Result<Limit> {
    let (soft, hard) = getrlimit(resource)?;
    Ok(Limit { soft, hard })
}

/// RLIMIT_NOFILE: descriptors of one table (so of one worker, see [`super::files::unshare_files`]).
pub fn descriptors() -> io::Result<Limit> {
    get(Resource::RLIMIT_NOFILE)
}

/// EPERM where the hard limit would rise without CAP_SYS_RESOURCE, or rise above `fs.nr_open`.
pub fn set_descriptors(limit: Limit) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_NOFILE, limit.soft, limit.hard)?)
}

/// RLIMIT_MEMLOCK, bytes: old kernels charge the ring's memory to it.
pub fn locked_memory() -> io::Result<Limit> {
    get(Resource::RLIMIT_MEMLOCK)
}

pub fn set_locked_memory(limit: Limit) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_MEMLOCK, limit.soft, limit.hard)?)
}

/// RLIMIT_CORE to its hard limit (`set-dumpable`).
pub fn raise_core_size() -> io::Result<()> {
    let limit = get(Resource::RLIMIT_CORE)?;
    Ok(setrlimit(Resource::RLIMIT_CORE, limit.hard, limit.hard)?)
}

/// RLIMIT_AS, bytes (`-m`), soft and hard.
pub fn set_address_space(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_AS, bytes, bytes)?)
}

fn sysctl(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

/// `fs.nr_open`: what no process may raise RLIMIT_NOFILE above.
pub fn descriptors_ceiling() -> Option<u64> {
    sysctl("/proc/sys/fs/nr_open")
}

/// `fs.file-max`: open files of the whole machine.
pub fn system_files() -> Option<u64> {
    sysctl("/proc/sys/fs/file-max")
}

/// `net.ipv4.ip_local_port_range`: the ports that the kernel gives to outgoing connections, both ends included.
pub fn ephemeral_ports() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_whitespace().map(|end| end.parse().ok());
    Some((ends.next()??, ends.next()??))
}

/// `net.core.somaxconn`: what a listener's backlog is cut to.
pub fn backlog_ceiling() -> Option<u64> {
    sysctl("/proc/sys/net/core/somaxconn")
}

/// `fs.pipe-max-size`, bytes: what F_SETPIPE_SZ allows without CAP_SYS_RESOURCE.
pub fn pipe_bytes_ceiling() -> Option<u64> {
    sysctl("/proc/sys/fs/pipe-max-size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_and_write_back() {
        let limit = descriptors().unwrap();
        assert!(limit.soft > 0 && limit.soft <= limit.hard);
        set_descriptors(limit).unwrap();
        assert!(set_descriptors(Limit { soft: limit.hard.wrapping_add(1).max(2), hard: 1 }).is_err());
        assert!(descriptors_ceiling().unwrap() > 0);
    }
}
