//! What of the machine decides how many connections fit: read once, into a struct that tests make up.

use crate::config::model::{Config, LogAddress};
use crate::control::descriptors::Situation;
use crate::control::engine::{self, Engine};
use crate::sys;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The facts. What could not be read is `None`, and then nothing is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// RLIMIT_NOFILE of this shell, `fs.nr_open`, and whether the hard limit may be raised.
    pub descriptors: Situation,
    pub open_files: Option<OpenFiles>,
    /// `net.ipv4.ip_local_port_range`, inclusive.
    pub ports: (u16, u16),
    /// `net.ipv4.ip_local_reserved_ports`
    pub reserved_ports: BTreeSet<u16>,
    /// MemAvailable, or what the control group still allows where that is less.
    pub memory_available_bytes: Option<u64>,
    /// `net.ipv4.tcp_mem`: the second figure, in bytes: above it the kernel trims the buffers of all sockets.
    pub tcp_pressure_bytes: Option<u64>,
    pub page_bytes: u64,
    /// `net.core.somaxconn`
    pub backlog_max: Option<u64>,
    pub conntrack: Option<Conntrack>,
    /// `net.ipv4.tcp_keepalive_time`, `_intvl`, `_probes`
    pub keepalive: Keepalive,
    /// CPUs that this process may use.
    pub cpus: u32,
    /// `uname -r`
    pub kernel: String,
    /// Why io_uring cannot be had here, if it cannot.
    pub io_uring: Result<(), String>,
    /// `kernel.io_uring_disabled`: 1 is "only with CAP_SYS_ADMIN or in kernel.io_uring_group", 2 "for nobody".
    pub io_uring_disabled: u8,
    /// RLIMIT_MEMLOCK, hard, bytes.
    pub locked_memory_bytes: u64,
    pub rights: Rights,
    pub paths: Paths,
}

/// `fs.file-max` and the first figure of `fs.file-nr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    pub max: u64,
    pub used: u64,
}

/// `net.netfilter.nf_conntrack_max` and `_count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conntrack {
    pub max: u64,
    pub used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    pub idle_seconds: u64,
    pub interval_seconds: u64,
    pub probes: u64,
}

impl Default for Keepalive {
    /// The kernel's own.
    fn default() -> Self {
        Keepalive { idle_seconds: 7200, interval_seconds: 75, probes: 9 }
    }
}

/// What this user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    pub user_id: u32,
    /// Ports below this one need CAP_NET_BIND_SERVICE.
    pub unprivileged_port_start: u16,
    pub may_bind_low_ports: bool,
}

impl Rights {
    pub fn is_root(&self) -> bool {
        self.user_id == 0
    }
}

/// What became of the paths and addresses that the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Why the pid file could not be written; `None`: it can, or there is none.
    pub pidfile_error: Option<String>,
    pub chroot_error: Option<String>,
    /// Log targets on this machine that nobody receives at.
    pub deaf_logs: Vec<String>,
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn numbers(path: &str) -> Vec<u64> {
    text(path).unwrap_or_default().split_whitespace().map_while(|word| word.parse().ok()).collect()
}

fn number(path: &str) -> Option<u64> {
    numbers(path).first().copied()
}

impl Machine {
    /// Reads what there is, and looks at the paths that `config` names.
    ///
    /// # Errors
    /// The descriptor limit cannot be read.
    pub fn read(config: &Config) -> io::Result<Machine> {
        let status = text("/proc/self/status").unwrap_or_default();
        let range = numbers("/proc/sys/net/ipv4/ip_local_port_range");
        let port =
            |index: usize, default: u16| range.get(index).and_then(|port| u16::try_from(*port).ok()).unwrap_or(default);
        let file_count = number("/proc/sys/fs/file-nr");
        let conntrack = number("/proc/sys/net/netfilter/nf_conntrack_max");
        let pages = numbers("/proc/sys/net/ipv4/tcp_mem");
        let page_bytes = sys::memory::page_bytes();
        let keepalive = Keepalive::default();
        let or = |name: &str, default: u64| number(&format!("/proc/sys/net/ipv4/{name}")).unwrap_or(default);
        Ok(Machine {
            descriptors: Situation::of_process()?,
            open_files: sys::limits::system_files().zip(file_count).map(|(max, used)| OpenFiles { max, used }),
            ports: (port(0, 32768), port(1, 60999)),
            reserved_ports: port_list(&text("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default()),
            memory_available_bytes: available_memory(),
            tcp_pressure_bytes: pages.get(1).map(|pages| pages.saturating_mul(page_bytes)),
            page_bytes,
            backlog_max: sys::limits::backlog_ceiling(),
            conntrack: conntrack
                .zip(number("/proc/sys/net/netfilter/nf_conntrack_count"))
                .map(|(max, used)| Conntrack { max, used }),
            keepalive: Keepalive {
                idle_seconds: or("tcp_keepalive_time", keepalive.idle_seconds),
                interval_seconds: or("tcp_keepalive_intvl", keepalive.interval_seconds),
                probes: or("tcp_keepalive_probes", keepalive.probes),
            },
            cpus: u32::try_from(sys::affinity::allowed_cpus().len()).unwrap_or(u32::MAX).max(1),
            kernel: text("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            io_uring: engine::test(Engine::IoUring),
            io_uring_disabled: number("/proc/sys/kernel/io_uring_disabled")
                .and_then(|value| u8::try_from(value).ok())
                .unwrap_or(0),
            locked_memory_bytes: sys::limits::locked_memory().map_or(0, |limit| limit.hard),
            rights: Rights {
                user_id: sys::process::user_id(),
                unprivileged_port_start: number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
                    .and_then(|port| u16::try_from(port).ok())
                    .unwrap_or(1024),
                may_bind_low_ports: may_bind_low_ports(&status),
            },
            paths: Paths::look_at(config),
        })
    }

    /// Ports that connections to one server may come from, of one address, without a `source` that says which.
    pub fn port_count(&self) -> u64 {
        self.ports_between(self.ports.0, self.ports.1)
    }

    /// As [`Machine::port_count`], of a range.
    pub fn ports_between(&self, low: u16, high: u16) -> u64 {
        if low > high {
            return 0;
        }
        let reserved = self.reserved_ports.range(low..=high).count() as u64;
        (u64::from(high) - u64::from(low) + 1).saturating_sub(reserved)
    }
}

/// CAP_NET_BIND_SERVICE in the text of `/proc/self/status`.
fn may_bind_low_ports(status: &str) -> bool {
    const CAP_NET_BIND_SERVICE: u64 = 1 << 10;
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & CAP_NET_BIND_SERVICE != 0)
}

/// `8080,9000-9010`, as the kernel prints it.
fn port_list(text: &str) -> BTreeSet<u16> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        Some(low.trim().parse::<u16>().ok()?..=high.trim().parse::<u16>().ok()?)
    });
    ranges.flatten().collect()
}

fn available_memory() -> Option<u64> {
    let meminfo = text("/proc/meminfo")?;
    let kibibytes: u64 =
        meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.split_whitespace().next()?.parse().ok()?;
    let machine = kibibytes.saturating_mul(1024);
    let groups = text("/proc/self/cgroup").unwrap_or_default();
    Some(group_memory(&groups, Path::new("/sys/fs/cgroup")).map_or(machine, |group| group.min(machine)))
}

/// What the memory control group of this process and those above it still allow; cgroup v2 or v1, as `groups`
/// (`/proc/self/cgroup`) has it, mounted under `mount`.
fn group_memory(groups: &str, mount: &Path) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (folder, max, used, cache) = if controllers.is_empty() {
            (mount.to_path_buf(), "memory.max", "memory.current", "inactive_file ")
        } else if controllers.split(',').any(|name| name == "memory") {
            (mount.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
        } else {
            continue;
        };
        let own = folder.join(path.trim_start_matches('/'));
        for group in own.ancestors().take_while(|group| group.starts_with(&folder)) {
            let read = |name: &str| fs::read_to_string(group.join(name)).ok();
            let value = |name: &str| read(name)?.trim().parse::<u64>().ok();
            let (Some(max), Some(used)) = (value(max), value(used)) else { continue };
            let statistics = read("memory.stat").unwrap_or_default();
            // File pages that nobody uses are given back before anybody is killed.
            let cached: u64 =
                statistics.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse().ok()).unwrap_or(0);
            let left = max.saturating_sub(used.saturating_sub(cached));
            least = Some(least.map_or(left, |least: u64| least.min(left)));
        }
    }
    least
}

impl Paths {
    fn look_at(config: &Config) -> Paths {
        let global = &config.global;
        // As `serve` does: it is written only where somebody may need it.
        let pidfile = global.pidfile.as_ref().filter(|_| global.daemon || global.master_worker);
        Paths {
            pidfile_error: pidfile.and_then(|path| file_error(path)),
            chroot_error: global.chroot.as_ref().and_then(|path| folder_error(path)),
            deaf_logs: deaf_logs(config),
        }
    }
}

/// Why `path` could not be created or written by this user.
fn file_error(path: &Path) -> Option<String> {
    use nix::unistd::{AccessFlags, access};
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(error) = folder_error(folder) {
        return Some(error);
    }
    let asked = if path.exists() { path } else { folder };
    access(asked, AccessFlags::W_OK).err().map(|error| format!("{}: {}", asked.display(), error.desc()))
}

fn folder_error(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => None,
        Ok(_) => Some(format!("{} is not a directory", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("{} does not exist", path.display())),
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

/// Log targets of this very machine that nothing listens at. What is far away cannot be asked.
fn deaf_logs(config: &Config) -> Vec<String> {
    let receivers: BTreeSet<u16> = ["/proc/net/udp", "/proc/net/udp6"]
        .iter()
        .flat_map(|table| udp_ports(&text(table).unwrap_or_default()))
        .collect();
    let proxies = config.proxies.iter().filter(|proxy| !proxy.disabled).map(|proxy| &proxy.log);
    let targets = std::iter::once(&config.global.log).chain(proxies).flat_map(|log| &log.targets);
    let deaf: BTreeSet<String> = targets
        .filter_map(|target| match &target.address {
            LogAddress::Udp(address) => {
                let deaf = address.ip().is_loopback() && !receivers.contains(&address.port());
                deaf.then(|| format!("UDP {address}"))
            }
            LogAddress::UnixDatagram(path) => (!socket_exists(path)).then(|| path.display().to_string()),
            LogAddress::Descriptor(_) => None,
        })
        .collect();
    deaf.into_iter().collect()
}

fn socket_exists(path: &PathBuf) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// The local ports of `/proc/net/udp`.
fn udp_ports(table: &str) -> Vec<u16> {
    let local = |line: &str| {
        let address = line.split_whitespace().nth(1)?;
        u16::from_str_radix(address.rsplit(':').next()?, 16).ok()
    };
    table.lines().skip(1).filter_map(local).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;

    #[test]
    fn this_machine_can_be_read() {
        let machine = Machine::read(&Config::default()).unwrap();
        assert!(machine.cpus >= 1 && machine.page_bytes >= 4096 && !machine.kernel.is_empty());
        assert!(machine.memory_available_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(machine.port_count() > 0);
        assert_eq!(machine.paths, Paths::default());
    }

    #[test]
    fn reserved_ports_are_not_for_connections() {
        assert_eq!(port_list("8080,9000-9002\n"), [8080, 9000, 9001, 9002].into());
        assert_eq!(port_list("\n"), [].into());
        assert_eq!(port_list("x,70000,5-"), [].into());
        let machine = Machine {
            reserved_ports: port_list("40000-40009"),
            ports: (32768, 60999),
            ..Machine::read(&Config::default()).unwrap()
        };
        assert_eq!((machine.port_count(), machine.ports_between(1, 10), machine.ports_between(9, 1)), (28222, 10, 0));
    }

    #[test]
    fn control_groups_of_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "max\n");
        write("a/b/memory.max", "1000000\n");
        write("a/b/memory.current", "600000\n");
        write("a/b/memory.stat", "anon 1\ninactive_file 100000\n");
        assert_eq!(group_memory("0::/a/b\n", folder.path()), Some(500_000));
        assert_eq!(group_memory("0::/a\n", folder.path()), None);
        write("memory/c/memory.limit_in_bytes", "400000\n");
        write("memory/c/memory.usage_in_bytes", "399000\n");
        assert_eq!(group_memory("4:cpu,memory:/c\n0::/a/b\n", folder.path()), Some(1000));
        assert_eq!(group_memory("nonsense\n", folder.path()), None);
    }

    #[test]
    fn paths_of_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let with = |global: &str| Paths::look_at(&load_text("t.cfg", &format!("global\n{global}\n")).config.unwrap());
        let missing = with("  daemon\n  pidfile /nonexistent/run/haproxy.pid");
        assert_eq!(missing.pidfile_error.as_deref(), Some("/nonexistent/run does not exist"));
        // In the foreground none is written.
        assert_eq!(with("  pidfile /nonexistent/run/haproxy.pid").pidfile_error, None);
        let here = folder.path().display();
        assert_eq!(with(&format!("  daemon\n  pidfile {here}/a.pid")).pidfile_error, None);
        assert_eq!(with("  chroot /nonexistent").chroot_error.as_deref(), Some("/nonexistent does not exist"));
        assert_eq!(with(&format!("  chroot {here}")).chroot_error, None);
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = receiver.local_addr().unwrap();
        assert_eq!(with(&format!("  log {address} local0")).deaf_logs, Vec::<String>::new());
        assert_eq!(with(&format!("  log {here}/log local0")).deaf_logs, [format!("{here}/log")]);
        // Nothing can be known about what is not here.
        assert_eq!(with("  log 192.0.2.1:514 local0").deaf_logs, Vec::<String>::new());
    }

    #[test]
    fn tables_of_the_kernel() {
        let table = "  sl  local_address rem_address\n  1: 0100007F:0202 00000000:0000 07\n  2: broken\n";
        assert_eq!(udp_ports(table), [514]);
        assert!(may_bind_low_ports("CapEff:\t0000000000000400\n"));
        assert!(!may_bind_low_ports("CapEff:\t00000000000003ff\n") && !may_bind_low_ports("CapEff: x\n"));
    }
}
