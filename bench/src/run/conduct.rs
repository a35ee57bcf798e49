//! A scenario over its rounds, the engines interleaved: A B C A B C. What disturbs the machine disturbs all of them.

use super::engine::{CommandLine, Engine, Role};
use super::measure::{Task, measure};
use super::process::{Server, free_address};
use super::record::{Measured, Measurement, Run};
use super::scenario::{Scenario, Unit};
use super::statistics::Spread;
use super::workbench::Workbench;
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Rounds that only find a peak, or a point of a picture.
const ROUNDS_ASIDE_MAX: usize = 2;
/// Connections to one origin's process at most, below every usual descriptor limit.
const ORIGIN_CONNECTIONS_MAX: usize = 15_000;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    pub seconds: f64,
}

/// All runs of a scenario. A measurement that fails is in the result; an error here is one of the tool.
pub fn conduct(
    workbench: &Workbench,
    scenario: &Scenario,
    engines: &[&Engine],
    effort: Effort,
) -> anyhow::Result<Vec<Run>> {
    let origins = Origins::start(workbench, scenario)?;
    let seconds = effort.seconds.min(scenario.seconds.unwrap_or(effort.seconds));
    let rounds = effort.rounds.min(scenario.rounds_max.unwrap_or(usize::MAX)).max(1);
    let aside = rounds.min(ROUNDS_ASIDE_MAX);
    let run = |rate: Option<f64>, share_of_peak: Option<f64>, rounds: usize| {
        let mut measured: Vec<Measured> = engines.iter().map(|engine| Measured::none(engine)).collect();
        for round in 1..=rounds {
            for (engine, measured) in engines.iter().zip(&mut measured) {
                let task = Task { scenario, engine, origins: &origins.addresses, rate, seconds };
                let outcome = measure(workbench, &task);
                tell(scenario, share_of_peak, round, engine, &outcome);
                measured.add(outcome);
            }
        }
        Run { share_of_peak, rate, engines: measured }
    };
    let Some(open_loop) = &scenario.open_loop else { return Ok(vec![run(None, None, rounds)]) };
    let closed = run(None, None, aside);
    let peak = slowest_peak(&closed).context("no engine has a peak")?;
    let mut runs = vec![closed];
    let others = open_loop.other_shares.iter().map(|&share| (share, aside));
    for (share, rounds) in others.chain([(open_loop.share_of_peak, rounds)]) {
        runs.push(run(Some(peak * share), Some(share), rounds));
    }
    Ok(runs)
}

/// Operations a second of the slowest proxy. Floors do not count: they are there to be seen.
fn slowest_peak(run: &Run) -> Option<f64> {
    let proxies = run.engines.iter().filter(|engine| engine.role != Role::Floor);
    let peak = |engine: &Measured| {
        engine.spread(|round| Some(round.operations as f64 / round.seconds)).map(|spread: Spread| spread.median)
    };
    proxies.filter_map(peak).filter(|peak| *peak > 0.0).min_by(f64::total_cmp)
}

impl Measured {
    fn none(engine: &Engine) -> Measured {
        Measured { engine: engine.name.clone(), role: engine.role, rounds: Vec::new(), failures: Vec::new() }
    }

    fn add(&mut self, outcome: anyhow::Result<Measurement>) {
        match outcome {
            Ok(measurement) => self.rounds.push(Some(measurement)),
            Err(error) => {
                self.rounds.push(None);
                self.failures.push(format!("{error:#}"));
            }
        }
    }
}

/// A line of progress.
fn tell(scenario: &Scenario, share: Option<f64>, round: usize, engine: &Engine, outcome: &anyhow::Result<Measurement>) {
    let load = share.map_or(String::new(), |share| format!(" at {:.0} % of the peak", share * 100.0));
    let head = format!("{}{load}, round {round}: {:14}", scenario.name, engine.name);
    match outcome {
        Ok(measurement) => {
            let figure = measurement.judged(scenario).map_or("-".to_owned(), |figure| format!("{figure:.3}"));
            let errors = measurement.error_count();
            let errors = if errors == 0 { String::new() } else { format!(", {errors} ERRORS") };
            let per_second = measurement.units_per_second(scenario.unit);
            let digits = if scenario.unit == Unit::Gigabyte { 2 } else { 0 };
            eprintln!("{head} {figure:>10} {}, {per_second:.digits$}/s{errors}", scenario.figure());
        }
        Err(error) => eprintln!("{head} FAILED: {error:#}"),
    }
}

/// The servers behind the proxy, as many as their descriptors ask for.
struct Origins {
    addresses: Vec<SocketAddr>,
    _servers: Vec<Server>,
}

impl Origins {
    fn start(workbench: &Workbench, scenario: &Scenario) -> anyhow::Result<Origins> {
        let program = workbench.bench.to_str().context("the path of this program is not text")?;
        let per_process = ORIGIN_CONNECTIONS_MAX.min(workbench.descriptors.saturating_sub(100)).max(1);
        let count = scenario.load.connections.div_ceil(per_process);
        let (mut addresses, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let address = free_address()?;
            let mut arguments = vec!["origin".to_owned(), scenario.origin.kind.clone()];
            arguments.extend(["--listen".to_owned(), address.to_string()]);
            arguments.extend(scenario.origin.arguments.iter().cloned());
            let command = CommandLine { program: program.to_owned(), arguments, environment: BTreeMap::new() };
            let mut server = Server::start("the origin", &command, &workbench.load_cpus)?;
            server.wait_until_it_listens(&[address])?;
            addresses.push(address);
            servers.push(server);
        }
        ensure!(!addresses.is_empty(), "{}: no origin", scenario.name);
        Ok(Origins { addresses, _servers: servers })
    }
}
