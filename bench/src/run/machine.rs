//! Where a record was made: what a reader needs to compare, and nothing that names the machine.

use super::engine::Engine;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The folder of its records: whether it is virtual, and how many processors it has.
    pub kind: String,
    pub kernel: String,
    pub cpu: String,
    pub cpus: usize,
    pub memory_bytes: u64,
}

impl Machine {
    pub fn here() -> anyhow::Result<Machine> {
        let cpu = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
        let field = |name: &str| {
            let line = cpu.lines().find(|line| line.split(':').next().is_some_and(|word| word.trim() == name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let is_virtual = field("flags").is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
        let cpus = std::thread::available_parallelism()?.get();
        let system = nix::sys::utsname::uname()?;
        let kernel = format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
        let memory = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
        let memory_kib: u64 = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or(0);
        Ok(Machine {
            kind: format!("{}-{cpus}core", if is_virtual { "vm" } else { "metal" }),
            kernel,
            cpu: field("model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus,
            memory_bytes: memory_kib * 1024,
        })
    }
}

/// The line of what each engine says of itself that names its version.
pub fn versions(engines: &[&Engine], ringway: &str) -> BTreeMap<String, String> {
    let ask = |engine: &Engine| {
        let (program, arguments) = engine.version.as_ref()?.split_first()?;
        let program = if program.contains("{{ ringway }}") { ringway } else { program };
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().find(|line| line.starts_with(&engine.version_begins));
        Some(line.unwrap_or_default().trim().to_owned())
    };
    engines.iter().filter_map(|engine| Some((engine.name.clone(), ask(engine)?))).collect()
}

/// The commit that was measured, with a mark if files differ from it.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    // The records of the same run do not count.
    let changed = git(&["status", "--porcelain", "--", "src", "bench/src", "Cargo.toml", "Cargo.lock"]);
    if changed.is_some_and(|changed| !changed.is_empty()) { format!("{commit}+changes") } else { commit }
}
