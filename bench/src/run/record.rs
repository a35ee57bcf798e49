//! What a run leaves behind: one JSON file a scenario under `bench/record/<host kind>/<date>/`.

use super::engine::Role;
use super::machine::Machine;
use super::scenario::{Judged, Scenario, Unit};
use super::statistics::Spread;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was begun, UTC.
    pub date: String,
    /// What to run to have the same again.
    pub command: String,
    /// Of the repository.
    pub commit: String,
    pub machine: Machine,
    /// Of the engines, by name.
    pub versions: BTreeMap<String, String>,
    /// taskset's lists.
    pub proxy_cpus: String,
    pub load_cpus: String,
    pub scenario: Scenario,
    /// Closed-loop scenarios have one; those at a rate of their own begin with the closed loop that finds the peaks.
    pub runs: Vec<Run>,
    /// Of the run that is judged.
    pub summary: Vec<Summary>,
}

/// Some rounds of all engines under one load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Of the slowest engine's peak; none: a closed loop.
    pub share_of_peak: Option<f64>,
    /// Operations a second, with an open loop.
    pub rate: Option<f64>,
    pub engines: Vec<Measured>,
}

/// One engine's rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub engine: String,
    pub role: Role,
    /// `None`: the round failed, and `failures` says why.
    pub rounds: Vec<Option<Measurement>>,
    pub failures: Vec<String>,
}

/// One round of one engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub seconds: f64,
    /// Connections that were open at the end.
    pub connections: u64,
    pub operations: u64,
    /// Payload in the direction that has most.
    pub bytes: u64,
    pub errors: BTreeMap<String, u64>,
    /// User and system time of the proxy; none without a proxy.
    pub proxy_cpu_seconds: Option<f64>,
    pub load_cpu_seconds: f64,
    /// Microseconds.
    pub latency_p50: f64,
    pub latency_p90: f64,
    pub latency_p99: f64,
    pub latency_p99_9: f64,
    pub latency_max: f64,
    /// Resident memory that the proxy gained while the connections were opened.
    pub user_bytes: Option<u64>,
    /// What the kernel gained for all their sockets, the clients' and the origin's included.
    pub kernel_bytes: Option<u64>,
}

impl Measurement {
    pub fn units(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Gigabyte => self.bytes as f64 / 1e9,
            Unit::IdleConnection => self.connections as f64,
            Unit::Message | Unit::Connection | Unit::Request => self.operations as f64,
        }
    }

    /// µs, or seconds per gigabyte; none without a proxy or without work.
    pub fn cpu_per_unit(&self, unit: Unit) -> Option<f64> {
        let units = self.units(unit);
        let scale = if unit == Unit::Gigabyte { 1.0 } else { 1e6 };
        Some(self.proxy_cpu_seconds? * scale / units).filter(|_| units > 0.0)
    }

    pub fn units_per_second(&self, unit: Unit) -> f64 {
        if self.seconds > 0.0 { self.units(unit) / self.seconds } else { 0.0 }
    }

    pub fn user_bytes_per_connection(&self) -> Option<f64> {
        Some(self.user_bytes? as f64 / self.connections as f64).filter(|_| self.connections > 0)
    }

    pub fn kernel_bytes_per_connection(&self) -> Option<f64> {
        Some(self.kernel_bytes? as f64 / self.connections as f64).filter(|_| self.connections > 0)
    }

    /// The figure that the scenario compares.
    pub fn judged(&self, scenario: &Scenario) -> Option<f64> {
        match scenario.judged {
            Judged::Cpu => self.cpu_per_unit(scenario.unit),
            Judged::P99 => Some(self.latency_p99).filter(|_| self.operations > 0),
            Judged::Memory => self.user_bytes_per_connection(),
        }
    }

    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Measured {
    /// The judged figure, round by round.
    pub fn judged(&self, scenario: &Scenario) -> Vec<Option<f64>> {
        self.rounds.iter().map(|round| round.as_ref().and_then(|round| round.judged(scenario))).collect()
    }

    /// Any figure of the rounds that did not fail.
    pub fn spread(&self, figure: impl Fn(&Measurement) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().filter_map(figure))
    }
}

/// What one engine came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub engine: String,
    /// The judged figure.
    pub value: Option<Spread>,
    /// Which reference was the better one.
    pub against: Option<String>,
    /// Of the reference's figure in the same round.
    pub ratio: Option<Spread>,
    pub targets: Vec<Verdict>,
}

/// A target, and whether it is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub at_most: f64,
    /// The engine that the ratio refers to; none: the figure itself is limited.
    pub against: Option<String>,
    pub median: Option<f64>,
    pub is_reached: bool,
}

/// Ratios and verdicts of one run.
pub fn summarize(scenario: &Scenario, run: &Run) -> Vec<Summary> {
    let figures: Vec<Vec<Option<f64>>> = run.engines.iter().map(|engine| engine.judged(scenario)).collect();
    let spread_of = |index: usize| figures.get(index).and_then(|rounds| Spread::of(rounds.iter().flatten().copied()));
    let references = run.engines.iter().enumerate().filter(|(_, engine)| engine.role == Role::Reference);
    let medians = references.filter_map(|(index, _)| Some((index, spread_of(index)?.median)));
    let best = medians.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index);
    let by_name = |name: &str| run.engines.iter().position(|engine| engine.engine == name);
    let ratio = |ours: usize, theirs: Option<usize>| {
        Spread::of_ratios(figures.get(ours)?.as_slice(), figures.get(theirs?)?.as_slice())
    };
    let name_of = |index: usize| run.engines.get(index).map(|engine| engine.engine.clone());
    let summary = |(index, measured): (usize, &Measured)| {
        let targets = scenario.targets.iter().filter(|target| target.engine == measured.engine);
        let verdict = |target: &super::scenario::Target| {
            let (at_most, against, median) = match (target.ratio_at_most, target.value_at_most) {
                (Some(at_most), _) => {
                    let against = target.against.as_deref().map_or(best, by_name);
                    let median = ratio(index, against).map(|ratio| ratio.median);
                    (at_most, against.and_then(name_of), median)
                }
                (None, at_most) => (at_most?, None, spread_of(index).map(|value| value.median)),
            };
            Some(Verdict { at_most, against, median, is_reached: median.is_some_and(|median| median <= at_most) })
        };
        Summary {
            engine: measured.engine.clone(),
            value: spread_of(index),
            against: best.and_then(name_of),
            ratio: ratio(index, best),
            targets: targets.filter_map(verdict).collect(),
        }
    };
    run.engines.iter().enumerate().map(summary).collect()
}

impl Record {
    /// The run that the summary is of.
    pub fn judged_run(&self) -> Option<&Run> {
        judged_run(&self.scenario, &self.runs)
    }

    /// Writes it below `folder`, in place of an earlier one of the same day; says where.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let day = self.date.split('T').next().unwrap_or_default();
        let folder = folder.join(&self.machine.kind).join(day);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(format!("{}.json", self.scenario.name));
        fs::write(&path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(path)
    }

    pub fn read(path: &Path) -> anyhow::Result<Record> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

pub fn judged_run<'a>(scenario: &Scenario, runs: &'a [Run]) -> Option<&'a Run> {
    let share = scenario.open_loop.as_ref().map(|open_loop| open_loop.share_of_peak);
    runs.iter().find(|run| run.share_of_peak == share)
}
