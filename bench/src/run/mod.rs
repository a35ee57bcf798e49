//! `ringway-bench run`: scenarios × engines, interleaved over rounds; a table and a record of each.

mod conduct;
mod data;
pub mod engine;
mod kernel_memory;
mod machine;
mod measure;
mod process;
pub mod record;
pub mod scenario;
pub mod statistics;
mod table;
#[cfg(test)]
mod tests;
mod workbench;

use anyhow::{Context, ensure};
use conduct::{Effort, conduct};
use engine::Engine;
use machine::Machine;
use record::{Record, judged_run, summarize};
use scenario::{Mode, Scenario};
use std::path::PathBuf;
use std::time::Instant;
use workbench::Workbench;

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// Scenarios by name, or by the beginning of their names; all unless given
    pub scenarios: Vec<String>,
    /// Engines to measure, of those that a scenario lists
    #[arg(long, value_delimiter = ',')]
    pub engines: Vec<String>,
    /// TCP scenarios only
    #[arg(long, conflicts_with = "http")]
    pub tcp: bool,
    /// HTTP scenarios only
    #[arg(long)]
    pub http: bool,
    /// Rounds of all engines; scenarios may ask for fewer
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How long each measurement lasts; scenarios may ask for less
    #[arg(long)]
    pub seconds: Option<f64>,
    /// One round of half a second: to see that it works. Nothing is recorded.
    #[arg(long)]
    pub quick: bool,
    /// Where records are written, by kind of machine and date
    #[arg(long, default_value = "bench/record")]
    pub record: PathBuf,
    /// Write no records
    #[arg(long)]
    pub no_record: bool,
    /// The folder of scenarios and engines
    #[arg(long, default_value = "bench")]
    pub data: PathBuf,
    #[arg(long, default_value = "target/release/ringway")]
    pub ringway: PathBuf,
    /// Workers of each proxy
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// taskset's list for the proxy
    #[arg(long, default_value = "1")]
    pub proxy_cpus: String,
    /// The same for the load and the origin
    #[arg(long, default_value = "0")]
    pub load_cpus: String,
    /// List the scenarios and the engines, and do nothing
    #[arg(long)]
    pub list: bool,
}

const ROUNDS: usize = 5;
const SECONDS: f64 = 2.0;

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scenarios = Scenario::read_all(&arguments.data.join("scenarios"))?;
    let engines = Engine::read_all(&arguments.data.join("engines"))?;
    if arguments.list {
        scenarios.iter().for_each(|scenario| println!("{:22} {}", scenario.name, scenario.title));
        println!();
        engines.iter().for_each(|engine| println!("{:22} {}", engine.name, engine.about));
        return Ok(());
    }
    let chosen = choose_scenarios(arguments, &scenarios)?;
    for name in &arguments.engines {
        ensure!(engines.iter().any(|engine| engine.name == *name), "there is no engine {name} (see --list)");
    }
    let workbench = Workbench::new(arguments)?;
    let machine = Machine::here()?;
    pin_to(&workbench.load_cpus)?;
    let ringway = workbench.ringway.display().to_string();
    let versions = machine::versions(&engines.iter().collect::<Vec<_>>(), &ringway);
    let commit = machine::commit();
    println!("== {}, {} x {}, commit {commit}", machine.kernel, machine.cpus, machine.cpu);
    versions.iter().for_each(|(engine, version)| println!("   {engine}: {version}"));
    let effort = effort(arguments);
    let start = Instant::now();
    let mut records = Vec::new();
    for scenario in chosen {
        let engines = engines_of(scenario, &engines, &arguments.engines)?;
        if engines.is_empty() {
            continue;
        }
        let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let runs = conduct(&workbench, scenario, &engines, effort)?;
        let summary = judged_run(scenario, &runs).map_or(Vec::new(), |run| summarize(scenario, run));
        let record = Record {
            date,
            command: command(arguments, &scenario.name),
            commit: commit.clone(),
            machine: machine.clone(),
            versions: versions.clone(),
            proxy_cpus: workbench.proxy_cpus.clone(),
            load_cpus: workbench.load_cpus.clone(),
            scenario: scenario.clone(),
            runs,
            summary,
        };
        table::print(&record);
        if !arguments.quick && !arguments.no_record {
            println!("recorded: {}", record.write(&arguments.record)?.display());
        }
        records.push(record);
    }
    conclude(&records, start)
}

fn effort(arguments: &Arguments) -> Effort {
    let (rounds, seconds) = if arguments.quick { (1, 0.5) } else { (ROUNDS, SECONDS) };
    Effort { rounds: arguments.rounds.unwrap_or(rounds), seconds: arguments.seconds.unwrap_or(seconds) }
}

fn choose_scenarios<'a>(arguments: &Arguments, all: &'a [Scenario]) -> anyhow::Result<Vec<&'a Scenario>> {
    for wanted in &arguments.scenarios {
        ensure!(
            all.iter().any(|scenario| scenario.name.starts_with(wanted.as_str())),
            "there is no scenario {wanted} (see --list)"
        );
    }
    let is_named = |scenario: &Scenario| {
        arguments.scenarios.is_empty()
            || arguments.scenarios.iter().any(|wanted| match all.iter().any(|other| other.name == *wanted) {
                true => scenario.name == *wanted,
                false => scenario.name.starts_with(wanted.as_str()),
            })
    };
    let is_of_mode = |mode: Mode| match mode {
        Mode::Tcp => !arguments.http,
        Mode::Http => !arguments.tcp,
    };
    Ok(all.iter().filter(|scenario| is_named(scenario) && is_of_mode(scenario.mode)).collect())
}

fn engines_of<'a>(scenario: &Scenario, all: &'a [Engine], only: &[String]) -> anyhow::Result<Vec<&'a Engine>> {
    let find = |name: &String| {
        let engine = all.iter().find(|engine| engine.name == *name);
        let engine = engine.with_context(|| format!("{}: there is no engine {name}", scenario.name))?;
        ensure!(engine.supports(scenario.mode), "{}: {name} has no {} mode", scenario.name, scenario.mode.name());
        Ok(engine)
    };
    let wanted = scenario.engines.iter().filter(|name| only.is_empty() || only.contains(name));
    wanted.map(find).collect()
}

/// This process and what it starts, the proxies excepted.
fn pin_to(cpus: &str) -> anyhow::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    for part in cpus.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        for cpu in first.parse::<usize>().context("a CPU list")?..=last.parse::<usize>().context("a CPU list")? {
            set.set(cpu)?;
        }
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).context("cannot use these CPUs")
}

/// What repeats it, without this machine's paths.
fn command(arguments: &Arguments, scenario: &str) -> String {
    let Effort { rounds, seconds } = effort(arguments);
    let mut command = format!("scripts/bench {scenario} --rounds {rounds} --seconds {seconds}");
    if !arguments.engines.is_empty() {
        command += &format!(" --engines {}", arguments.engines.join(","));
    }
    let Arguments { workers, proxy_cpus, load_cpus, .. } = arguments;
    command + &format!(" --workers {workers} --proxy-cpus {proxy_cpus} --load-cpus {load_cpus}")
}

/// All targets once more; an error if something did not run.
fn conclude(records: &[Record], start: Instant) -> anyhow::Result<()> {
    println!("\n== targets");
    for record in records {
        for verdict in record.summary.iter().flat_map(table::verdicts) {
            println!("{:22} {verdict}", record.scenario.name);
        }
    }
    println!("\n{} scenarios in {:.0} s", records.len(), start.elapsed().as_secs_f64());
    let engines = records.iter().flat_map(|record| &record.runs).flat_map(|run| &run.engines);
    let failures: usize = engines.map(|engine| engine.failures.len()).sum();
    ensure!(failures == 0, "{failures} measurements failed");
    Ok(())
}
