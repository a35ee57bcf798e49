//! What a run of the load generator says: one JSON object, and a table for people.

use super::arguments::Executor;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One run of `ringway-bench load`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadRecord {
    /// As on the command line: `tcp-ping-pong`, `mqtt` and so on.
    pub kind: String,
    pub executor: Executor,
    pub processes: u64,
    /// Executors of all processes together.
    pub executors: u64,
    /// Connections asked for.
    pub connections: u64,
    /// Connections that were open when the measurement began; the kinds that close theirs have none.
    pub connections_at_start: u64,
    /// Connections that were open when it ended.
    pub connections_at_end: u64,
    /// From the first connect to the beginning of the measurement (and of what precedes it).
    pub ramp_seconds: f64,
    /// How long was measured.
    pub seconds: f64,
    /// Operations a second that were intended, if the loop was open.
    pub rate: Option<f64>,
    /// Operations that were completed while measured.
    pub operations: u64,
    pub operations_per_second: f64,
    /// What went wrong from the first connect on, by kind; empty if nothing did.
    pub errors: BTreeMap<String, u64>,
    /// While measured.
    pub bytes_sent: u64,
    /// While measured.
    pub bytes_received: u64,
    /// Of the operations that were completed while measured, in microseconds; of idle connections that of being
    /// opened, with their first exchange.
    pub latency_us: Latency,
    /// Of parts and other things, by name, in microseconds: `connect` (of all connects, the ramp's too), `lag` (how
    /// much later than intended an open loop sent), `connack`, `suback`, `ping`, `publish`, `delivery`, `reconnect`.
    #[serde(default)]
    pub latencies_us: BTreeMap<String, Latency>,
    /// Other counts, by name: `opened` (connections in all), `pings`, `publishes`, `deliveries`, `lost`, `reconnects`.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// User and system CPU time of the generator's executors while measured.
    pub own_cpu_seconds: f64,
    /// What the watched processes used.
    #[serde(default)]
    pub watched: Vec<Watched>,
    /// With `--histograms`: name to HdrHistogram V2, deflated, base64, in nanoseconds. `operation` is `latency_us`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub histograms: BTreeMap<String, String>,
}

/// Percentiles in microseconds; zeros if `count` is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

impl Latency {
    /// From nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Latency::default();
        }
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Latency {
            count: histogram.len(),
            min: histogram.min() as f64 / 1000.0,
            mean: (histogram.mean() / 10.0).round() / 100.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

/// What a process of `--watch` used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    pub pid: u32,
    /// User and system CPU time of all its threads while measured.
    pub cpu_seconds: f64,
    /// Resident memory before the first connection, when the measurement began, and at its end.
    pub resident_bytes_before: u64,
    pub resident_bytes_at_start: u64,
    pub resident_bytes_at_end: u64,
}

impl LoadRecord {
    /// All errors together.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl fmt::Display for LoadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = |value: u64| if self.seconds > 0.0 { value as f64 / self.seconds } else { 0.0 };
        writeln!(
            f,
            "{}: {} connections ({} at the start, {} at the end), {} x {:?}, ramp {:.2} s, measured {:.2} s",
            self.kind,
            self.connections,
            self.connections_at_start,
            self.connections_at_end,
            self.executors,
            self.executor,
            self.ramp_seconds,
            self.seconds
        )?;
        let intended = self.rate.map_or(String::new(), |rate| format!(" (intended {rate:.0}/s)"));
        writeln!(f, "operations  {} = {:.0}/s{intended}", self.operations, self.operations_per_second)?;
        writeln!(
            f,
            "bytes       {} sent = {:.1} MB/s, {} received = {:.1} MB/s",
            self.bytes_sent,
            per_second(self.bytes_sent) / 1e6,
            self.bytes_received,
            per_second(self.bytes_received) / 1e6
        )?;
        writeln!(f, "own CPU     {:.2} s", self.own_cpu_seconds)?;
        for watched in &self.watched {
            writeln!(
                f,
                "process {}: CPU {:.3} s, resident {:.1} MB before, {:.1} MB at the start, {:.1} MB at the end",
                watched.pid,
                watched.cpu_seconds,
                watched.resident_bytes_before as f64 / 1e6,
                watched.resident_bytes_at_start as f64 / 1e6,
                watched.resident_bytes_at_end as f64 / 1e6
            )?;
        }
        for (name, count) in &self.counts {
            writeln!(f, "{name:11} {count}")?;
        }
        writeln!(
            f,
            "{:11} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "latency us", "count", "mean", "p50", "p90", "p99", "p99.9", "max"
        )?;
        let all = std::iter::once(("operation", &self.latency_us))
            .chain(self.latencies_us.iter().map(|(name, latency)| (name.as_str(), latency)));
        for (name, l) in all {
            writeln!(
                f,
                "{name:11} {:>10} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
                l.count, l.mean, l.p50, l.p90, l.p99, l.p99_9, l.max
            )?;
        }
        if self.errors.is_empty() {
            return write!(f, "errors      none");
        }
        write!(f, "errors      {}", self.error_count())?;
        for (kind, count) in &self.errors {
            write!(f, "\n  {count:>9} {kind}")?;
        }
        Ok(())
    }
}
