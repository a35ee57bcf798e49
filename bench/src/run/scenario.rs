//! What is done to the proxies: `bench/scenarios/*.toml`.

use super::data;
use anyhow::ensure;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One scenario, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its extension.
    #[serde(default)]
    pub name: String,
    pub title: String,
    /// Scenarios run by this number.
    pub order: u32,
    pub mode: Mode,
    /// Which engines it makes sense for, in the order of a round.
    pub engines: Vec<String>,
    /// Scenarios of a series differ in the number of connections alone: one picture.
    pub series: Option<String>,
    pub unit: Unit,
    #[serde(default)]
    pub judged: Judged,
    /// What is measured is steady: more rounds would tell nothing new.
    pub rounds_max: Option<usize>,
    /// How long to measure, instead of what the command line says.
    pub seconds: Option<f64>,
    /// What a connection costs the proxy.
    #[serde(default = "two")]
    pub descriptors_per_connection: usize,
    #[serde(default)]
    pub targets: Vec<Target>,
    pub load: Load,
    pub origin: Origin,
    pub open_loop: Option<OpenLoop>,
}

fn two() -> usize {
    2
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Tcp,
    Http,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        }
    }
}

/// What costs are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "message")]
    Message,
    #[serde(rename = "connection")]
    Connection,
    #[serde(rename = "request")]
    Request,
    /// Of payload, in the direction that has most.
    #[serde(rename = "gigabyte")]
    Gigabyte,
    #[serde(rename = "idle connection")]
    IdleConnection,
}

/// Which figure is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// The proxy's user and system time per unit: µs, or seconds per gigabyte.
    #[default]
    Cpu,
    /// The 99th percentile of latency, µs.
    P99,
    /// User memory per connection, bytes.
    Memory,
}

/// How little an engine should need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub engine: String,
    /// Of what `against` needs, or the best of the references.
    pub ratio_at_most: Option<f64>,
    pub against: Option<String>,
    /// In the judged figure's own unit.
    pub value_at_most: Option<f64>,
}

/// What `ringway-bench load` is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub kind: String,
    pub connections: usize,
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// What `ringway-bench origin` is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub kind: String,
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// The same load at a rate of its own, whatever the proxy does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenLoop {
    /// The rate that is judged, as a share of the slowest engine's closed-loop peak.
    pub share_of_peak: f64,
    /// Further rates, measured in fewer rounds.
    #[serde(default)]
    pub other_shares: Vec<f64>,
}

impl Scenario {
    /// All scenarios of the folder, in order.
    pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Scenario>> {
        let mut scenarios: Vec<Scenario> = data::read_all(folder, |name, scenario: &mut Scenario| {
            scenario.name = name;
        })?;
        scenarios.sort_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        for scenario in &scenarios {
            scenario.check()?;
        }
        Ok(scenarios)
    }

    fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        ensure!(!self.engines.is_empty(), "{name}: no engines");
        ensure!(self.load.connections > 0, "{name}: no connections");
        for target in &self.targets {
            let engines = std::iter::once(&target.engine).chain(&target.against);
            for engine in engines {
                ensure!(self.engines.contains(engine), "{name}: a target for {engine}, which is not measured");
            }
            let figures = [target.ratio_at_most, target.value_at_most].into_iter().flatten().count();
            ensure!(figures == 1, "{name}: a target is either ratio_at_most or value_at_most");
        }
        if let Some(open_loop) = &self.open_loop {
            let shares = open_loop.other_shares.iter().chain([&open_loop.share_of_peak]);
            ensure!(shares.copied().all(|share| share > 0.0 && share <= 1.0), "{name}: a share is above 0, at most 1");
        }
        ensure!(
            (self.judged == Judged::Memory) == (self.unit == Unit::IdleConnection),
            "{name}: memory is judged per idle connection"
        );
        Ok(())
    }

    /// The judged figure in words.
    pub fn figure(&self) -> &'static str {
        match (self.judged, self.unit) {
            (Judged::Memory, _) => "bytes/connection",
            (Judged::P99, _) => "p99 us",
            (Judged::Cpu, Unit::Gigabyte) => "CPU s/GB",
            (Judged::Cpu, Unit::Message) => "CPU us/message",
            (Judged::Cpu, Unit::Request) => "CPU us/request",
            (Judged::Cpu, Unit::Connection | Unit::IdleConnection) => "CPU us/connection",
        }
    }
}
