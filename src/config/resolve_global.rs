//! The `global` section's numbers and the workers they make.

use super::diagnostics::{Diagnostics, Severity};
use super::load::Overrides;
use super::model::*;
use super::written::*;
use std::collections::BTreeMap;

/// More workers than this have no use, and `process`/`thread` sets could not name them.
const WORKERS_MAX: u32 = 4096;

/// How workers, counted from 0, are called by HAProxy's processes and threads, counted from 1.
#[derive(Clone, Copy, Debug)]
pub struct WorkerLayout {
    processes: u32,
    threads: Option<u32>,
    /// `None`: as many as there are CPUs, known at start.
    pub workers: Option<u32>,
}

impl WorkerLayout {
    pub fn of(global: &WrittenGlobal) -> Self {
        let workers = match (global.nbproc, global.nbthread) {
            (None, None) => None,
            (processes, threads) => Some(processes.unwrap_or(1).saturating_mul(threads.unwrap_or(1)).min(WORKERS_MAX)),
        };
        // With `nbproc` alone, every process is one thread.
        let threads = global.nbthread.or(global.nbproc.map(|_| 1));
        WorkerLayout { processes: global.nbproc.unwrap_or(1), threads, workers }
    }

    /// The process and thread numbers of `worker`.
    fn names(&self, worker: u32) -> (u32, u32) {
        match self.threads {
            Some(threads) if threads > 0 => (worker / threads + 1, worker % threads + 1),
            _ => (1, worker + 1),
        }
    }

    /// The workers of the sets; `None` means all. Empty sets stand for "all", several for their union.
    pub fn select(&self, processes: &[WorkerSet], threads: &[WorkerSet]) -> Option<Vec<u32>> {
        let within = |sets: &[WorkerSet], number| sets.is_empty() || sets.iter().any(|set| set.contains(number));
        // Without a count, 64 is the highest number that a set can name.
        let count = self.workers.unwrap_or(64);
        let chosen: Vec<u32> = (0..count)
            .filter(|worker| {
                let (process, thread) = self.names(*worker);
                within(processes, process) && within(threads, thread)
            })
            .collect();
        (chosen.len() < count as usize).then_some(chosen)
    }
}

/// The model's `global`.
pub fn resolve_global(
    written: &WrittenGlobal,
    layout: &WorkerLayout,
    overrides: &Overrides,
    diagnostics: &mut Diagnostics,
) -> Global {
    let mut global = written.model.clone();
    global.workers = layout.workers;
    global.nbproc = layout.processes;
    global.maxconn = overrides.maxconn.or(global.maxconn);
    global.maxrewrite_bytes = global.maxrewrite_bytes.min(global.bufsize_bytes / 2);
    global.log = LogSettings { targets: written.log_targets.clone() };
    global.cpu_map = cpu_map(&written.cpu_maps, layout);
    if let Some((name, location)) = &written.header_spellings_file {
        super::section_case_adjust::read(name, location, &mut global.header_spellings, diagnostics);
    }
    if global.daemon && global.debug {
        let text = "'daemon' and 'debug' are both set: 'debug' wins, and the process stays in the foreground.";
        diagnostics.general(Severity::Warning, text);
    }
    global
}

/// Later lines replace earlier ones worker by worker.
fn cpu_map(lines: &[CpuMap], layout: &WorkerLayout) -> BTreeMap<u32, Vec<u32>> {
    let mut map = BTreeMap::new();
    for line in lines {
        let sets = (std::slice::from_ref(&line.processes), std::slice::from_ref(&line.threads));
        let workers = layout.select(sets.0, sets.1).unwrap_or_else(|| (0..layout.workers.unwrap_or(64)).collect());
        for (index, worker) in workers.into_iter().enumerate() {
            let cpus = match line.automatic {
                false => line.cpus.clone(),
                true => line.cpus.get(index).map(|cpu| vec![*cpu]).unwrap_or_default(),
            };
            if !cpus.is_empty() {
                map.insert(worker, cpus);
            }
        }
    }
    map
}
