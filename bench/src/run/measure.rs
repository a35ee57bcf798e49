//! One engine under one load, once.

use super::engine::{Engine, Setting};
use super::kernel_memory::Watch;
use super::process::{Server, free_address};
use super::record::Measurement;
use super::scenario::{Judged, Scenario, Unit};
use super::workbench::Workbench;
use crate::load::record::LoadRecord;
use anyhow::{Context, ensure};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// After its start a proxy still sorts itself out.
const SETTLE: Duration = Duration::from_millis(300);
/// Descriptors that no connection may have: listeners, logs, checks, pipes.
const DESCRIPTORS_RESERVED: usize = 1000;
/// The first connections pay for what is allocated once.
const FIRST_CONNECTIONS: usize = 50;

/// What one measurement is of.
pub struct Task<'a> {
    pub scenario: &'a Scenario,
    pub engine: &'a Engine,
    pub origins: &'a [SocketAddr],
    /// Operations a second; none: a closed loop.
    pub rate: Option<f64>,
    pub seconds: f64,
}

/// Starts the engine, puts the load on it, ends it.
pub fn measure(workbench: &Workbench, task: &Task) -> anyhow::Result<Measurement> {
    let Task { scenario, engine, .. } = task;
    let (workers, connections) = room(workbench, task);
    let folder = tempfile::tempdir()?;
    let listen = free_address()?;
    let setting = Setting {
        mode: scenario.mode,
        listen,
        origins: task.origins,
        connections,
        workers,
        descriptors: workbench.descriptors,
        idle: scenario.unit == Unit::IdleConnection,
        ringway: &workbench.ringway,
        bench: &workbench.bench,
        folder: folder.path(),
        settings: &engine.settings,
        file: folder.path().join("proxy.cfg"),
    };
    let Some(command) = engine.prepare(&setting, &workbench.templates)? else {
        return load(workbench, task, task.origins, connections, &[]);
    };
    let mut proxy = Server::start(&engine.name, &command, &workbench.proxy_cpus)?;
    proxy.wait_until_it_listens(&[listen])?;
    sleep(SETTLE);
    load(workbench, task, &[listen], connections, &proxy.pids())
}

/// How many workers the engine is given, and how many connections fit.
fn room(workbench: &Workbench, task: &Task) -> (usize, usize) {
    let Task { scenario, engine, .. } = task;
    let wanted = scenario.load.connections;
    let usable = workbench.descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(1);
    if engine.program.is_none() {
        return (1, wanted);
    }
    if engine.descriptors_per_worker {
        // The proxies themselves reckon with both sides of a connection.
        return (workbench.workers.max((2 * wanted).div_ceil(usable)), wanted);
    }
    (workbench.workers, wanted.min(usable / scenario.descriptors_per_connection.max(1)))
}

fn load(
    workbench: &Workbench,
    task: &Task,
    to: &[SocketAddr],
    connections: usize,
    pids: &[u32],
) -> anyhow::Result<Measurement> {
    let is_memory = task.scenario.judged == Judged::Memory;
    if is_memory {
        let first = FIRST_CONNECTIONS.min(connections);
        generator(workbench, task, to, first, &[], Duration::from_millis(200))?;
        // Time for both sides to forget them.
        sleep(SETTLE);
    }
    let watch = is_memory.then(Watch::start);
    let seconds = Duration::from_secs_f64(task.seconds);
    let record = generator(workbench, task, to, connections, pids, seconds)?;
    let kernel_bytes = watch.and_then(Watch::growth_bytes);
    let watched = &record.watched;
    let latency = &record.latency_us;
    let open = [record.connections_at_end, record.connections_at_start].into_iter().max().unwrap_or(0);
    Ok(Measurement {
        seconds: record.seconds,
        connections: open,
        operations: record.operations,
        bytes: record.bytes_sent.max(record.bytes_received),
        proxy_cpu_seconds: (!pids.is_empty()).then(|| watched.iter().map(|process| process.cpu_seconds).sum()),
        load_cpu_seconds: record.own_cpu_seconds,
        latency_p50: latency.p50,
        latency_p90: latency.p90,
        latency_p99: latency.p99,
        latency_p99_9: latency.p99_9,
        latency_max: latency.max,
        user_bytes: (is_memory && !pids.is_empty()).then(|| {
            let growth = |before: u64, after: u64| after.saturating_sub(before);
            watched.iter().map(|process| growth(process.resident_bytes_before, process.resident_bytes_at_end)).sum()
        }),
        kernel_bytes,
        errors: record.errors,
    })
}

/// Runs `ringway-bench load`, which says what it and the watched processes did.
fn generator(
    workbench: &Workbench,
    task: &Task,
    to: &[SocketAddr],
    connections: usize,
    pids: &[u32],
    duration: Duration,
) -> anyhow::Result<LoadRecord> {
    let join = |items: Vec<String>| items.join(",");
    let load = &task.scenario.load;
    let mut command = Command::new(&workbench.bench);
    command.args(["load", &load.kind, "--quiet", "--json", "-"]);
    command.args(["--to", &join(to.iter().map(SocketAddr::to_string).collect())]);
    command.args(["--connections", &connections.to_string(), "--cores", &workbench.load_cpus]);
    command.args(["--seconds", &duration.as_secs_f64().to_string()]);
    command.args(["--warmup-seconds", &(duration / 5).as_secs_f64().to_string()]);
    if !pids.is_empty() {
        command.args(["--watch", &join(pids.iter().map(u32::to_string).collect())]);
    }
    if let Some(rate) = task.rate {
        command.args(["--rate", &format!("{rate:.3}")]);
    }
    command.args(&load.arguments);
    let output = command.stdin(Stdio::null()).output().context("cannot start the load generator")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the load generator ended with {}: {}", output.status, said.trim());
    serde_json::from_slice(&output.stdout).with_context(|| format!("the load generator's record: {}", said.trim()))
}
