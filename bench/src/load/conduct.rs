//! The run as a whole: starts the executors, leads them through the phases, shows progress, makes the record.

use super::arguments::{Common, Kind};
use super::members::Members;
use super::orders::{Event, Phase};
use super::record::{LoadRecord, Watched};
use super::tally::{Latencies, Tally, Timed};
use crate::cpu;
use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How long an executor may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Runs the load and returns what it did. Errors of connections are counted in the record; an error here means that
/// there was no run.
pub fn run(kind: &Kind) -> anyhow::Result<LoadRecord> {
    let common = kind.common();
    let mut watched: Vec<Watched> = common
        .watch
        .iter()
        .map(|&pid| Watched { pid, resident_bytes_before: cpu::resident_bytes(pid), ..Watched::default() })
        .collect();
    let (events, inbox) = crossbeam_channel::unbounded();
    let members = Members::start(kind, events)?;
    let mut run = Run::new(kind, inbox, members.executors());

    let ramp = run.until(Instant::now() + common.ramp_seconds, Phase::Ramp, |run| run.ready == run.executors)?;
    members.order(Phase::Warmup);
    run.until(Instant::now() + common.warmup_seconds, Phase::Warmup, |_| false)?;

    let before: Vec<u64> = watched.iter().map(|watched| cpu::nanoseconds(watched.pid)).collect();
    for watched in &mut watched {
        watched.resident_bytes_at_start = cpu::resident_bytes(watched.pid);
    }
    members.order(Phase::Measure);
    let measured = run.until(Instant::now() + common.seconds, Phase::Measure, |_| false)?;
    for (watched, before) in watched.iter_mut().zip(before) {
        watched.cpu_seconds = cpu::nanoseconds(watched.pid).saturating_sub(before) as f64 / 1e9;
        watched.resident_bytes_at_end = cpu::resident_bytes(watched.pid);
    }
    members.order(Phase::Stop);
    run.until(Instant::now() + STOP_LIMIT, Phase::Stop, |run| run.done == run.executors)?;
    run.clear_line();
    if run.done < run.executors {
        bail!("{} of {} executors did not stop", run.executors - run.done, run.executors);
    }
    Ok(record(kind, &members, run.tally, ramp, measured, watched))
}

/// Writes the record where it was asked for.
pub fn publish(record: &LoadRecord, common: &Common) -> anyhow::Result<()> {
    match &common.json {
        Some(path) if path.as_os_str() == "-" => {
            println!("{}", serde_json::to_string(record)?);
            return Ok(());
        }
        Some(path) => {
            let line = serde_json::to_string(record)? + "\n";
            std::fs::write(path, line).with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => {}
    }
    println!("{record}");
    if common.json.is_none() {
        println!("{}", serde_json::to_string(record)?);
    }
    Ok(())
}

fn record(
    kind: &Kind,
    members: &Members,
    tally: Tally,
    ramp: Duration,
    measured: Duration,
    watched: Vec<Watched>,
) -> LoadRecord {
    let common = kind.common();
    let seconds = measured.as_secs_f64();
    let seen = || tally.latencies().filter(|(_, latencies)| latencies.latency().count > 0);
    let named = |(what, latencies): (Timed, &Latencies)| (what.name().to_string(), latencies.latency());
    let histograms = if common.histograms {
        seen().map(|(what, latencies)| (what.name().to_string(), latencies.encoded())).collect()
    } else {
        BTreeMap::new()
    };
    LoadRecord {
        kind: kind.name().to_string(),
        executor: common.executor,
        processes: members.processes(),
        executors: members.executors(),
        connections: common.connections,
        connections_at_start: tally.connections_at_start,
        connections_at_end: tally.connections_at_end,
        ramp_seconds: ramp.as_secs_f64(),
        seconds,
        rate: kind.rate(),
        operations: tally.operations,
        operations_per_second: if seconds > 0.0 { tally.operations as f64 / seconds } else { 0.0 },
        bytes_sent: tally.bytes_sent,
        bytes_received: tally.bytes_received,
        latency_us: tally.latencies().next().map(|(_, latencies)| latencies.latency()).unwrap_or_default(),
        latencies_us: seen().filter(|(what, _)| *what != Timed::Operation).map(named).collect(),
        own_cpu_seconds: tally.own_cpu_ns as f64 / 1e9,
        watched,
        histograms,
        errors: tally.errors.clone(),
        counts: tally.counts.clone(),
    }
}

/// What the executors have said so far.
struct Run {
    inbox: Receiver<Event>,
    executors: u64,
    ready: u64,
    done: u64,
    tally: Tally,
    /// Share to connected, operations, errors.
    progress: BTreeMap<u64, (u64, u64, u64)>,
    connections: u64,
    quiet: bool,
    begun: Instant,
    shown: Instant,
    shown_operations: u64,
}

impl Run {
    fn new(kind: &Kind, inbox: Receiver<Event>, executors: u64) -> Self {
        let common = kind.common();
        Run {
            inbox,
            executors,
            ready: 0,
            done: 0,
            tally: Tally::default(),
            progress: BTreeMap::new(),
            connections: common.connections,
            quiet: common.quiet,
            begun: Instant::now(),
            shown: Instant::now(),
            shown_operations: 0,
        }
    }

    /// Takes in events until the time has come or `enough` holds; how long that was.
    fn until(&mut self, end: Instant, phase: Phase, enough: impl Fn(&Run) -> bool) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            if enough(self) {
                return Ok(begin.elapsed());
            }
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Ok(begin.elapsed());
            };
            match self.inbox.recv_timeout(left.min(Duration::from_millis(200))) {
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if self.done < self.executors {
                        bail!("an executor ended early");
                    }
                    return Ok(begin.elapsed());
                }
            }
            self.show(phase);
        }
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Progress { share, connected, operations, errors } => {
                self.progress.insert(share, (connected, operations, errors));
            }
            Event::Ready { .. } => self.ready += 1,
            Event::Done { tally, .. } => {
                self.done += 1;
                self.tally.merge(&tally);
            }
            Event::Failed { error, .. } => bail!(error),
        }
        Ok(())
    }

    /// One line: rewritten each second on a terminal, a new one every five seconds elsewhere.
    fn show(&mut self, phase: Phase) {
        let terminal = std::io::stderr().is_terminal();
        let since = self.shown.elapsed();
        if self.quiet || since < Duration::from_secs(if terminal { 1 } else { 5 }) {
            return;
        }
        let (connected, operations, errors) =
            self.progress.values().fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
        let rate = operations.saturating_sub(self.shown_operations) as f64 / since.as_secs_f64();
        let line = format!(
            "{:>7.1} s {:8} {connected}/{} connected, {operations} operations ({rate:.0}/s), {errors} errors",
            self.begun.elapsed().as_secs_f64(),
            phase.name(),
            self.connections
        );
        let mut stderr = std::io::stderr().lock();
        // A closed standard error is no reason to stop measuring.
        if terminal {
            write!(stderr, "\r{line}\x1b[K").ok()
        } else {
            writeln!(stderr, "{line}").ok()
        };
        stderr.flush().ok();
        (self.shown, self.shown_operations) = (Instant::now(), operations);
    }

    fn clear_line(&self) {
        if !self.quiet && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}
