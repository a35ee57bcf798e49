//! `ringway doctor -f <file> [--json]`: holds a configuration against the machine, and says what breaks first at
//! maxconn and what to do about it.
//!
//! It only reads: nothing is bound, written or set. Exit code 0: nothing breaks at maxconn (risks and hints may have
//! been named); 1: the configuration or the command line is not valid; 2: something breaks.

mod finding;
mod json;
mod machine;
mod resources;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod traffic;

use super::command_line::{self, CommandLine};
use super::descriptors::Settlement;
use super::limits::Demand;
use super::{engine, messages, placement, report, start};
use crate::config::load::{Loaded, load};
use crate::config::model::{Config, EngineChoice};
use finding::Report;
use machine::Machine;
use traffic::Traffic;

const USAGE: &str = "Usage : ringway doctor -f <file or directory> [-f …] [--json] [-n <maxconn>] [-C <dir>]\n\
    \n\
    Reads the configuration and this machine, starts nothing, and says what breaks first at maxconn.\n\
    Exit code: 0 nothing breaks, 1 the configuration is not valid, 2 something breaks.\n";

/// What is examined: a configuration, a machine, and what follows from the two.
struct Case<'a> {
    config: &'a Config,
    machine: &'a Machine,
    /// The arguments of `-f`.
    files: Vec<String>,
    workers: u32,
    /// What the file asks for, or what the limit gives where it does not say.
    maxconn: u32,
    demand: Demand,
    settlement: Settlement,
    /// `strict-limits` makes the shortage a refusal.
    refused: bool,
    traffic: Traffic,
    wanted_engine: Result<EngineChoice, String>,
}

impl Case<'_> {
    /// How it is started on these files.
    fn arguments(&self) -> String {
        self.files.iter().map(|file| format!("-f {file}")).collect::<Vec<_>>().join(" ")
    }
}

/// Runs with what follows `doctor` on the command line. Returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = String>) -> i32 {
    let mut as_json = false;
    let mut rest = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--json" => as_json = true,
            "--help" | "-h" => return print(USAGE),
            _ => rest.push(argument),
        }
    }
    // The same files, directories and overrides as a start would take.
    let words = ["ringway".to_owned(), "-c".to_owned()].into_iter().chain(rest);
    let options = match command_line::parse(words) {
        Ok(options) => options,
        Err(error) => {
            eprint!("ringway doctor: {}\n{USAGE}", error.text);
            return 1;
        }
    };
    match examine_files(&options) {
        Ok(report) => {
            print(&if as_json { json::render(&report) } else { text::render(&report) });
            report.exit_code()
        }
        Err(text) => {
            if !text.is_empty() {
                messages::alert(&text);
            }
            1
        }
    }
}

fn print(text: &str) -> i32 {
    use std::io::Write as _;
    // A reader that closed its end has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    0
}

/// # Errors
/// What kept it from an opinion; empty where that was said already.
fn examine_files(options: &CommandLine) -> Result<Report, String> {
    if let Some(directory) = &options.directory {
        crate::sys::process::change_directory(directory)
            .map_err(|error| format!("Could not change to directory {} : {error}.", directory.display()))?;
    }
    let Loaded { config, diagnostics } = load(&start::load_request(options));
    let Some(mut config) = config else {
        report::print(&diagnostics, options.diagnostics);
        return Err(String::new());
    };
    start::override_global(options, &mut config.global);
    let machine = Machine::read(&config).map_err(|error| format!("Cannot read this machine's limits: {error}."))?;
    let wanted = engine::wanted(std::env::var_os("RINGWAY_ENGINE").as_deref(), config.global.engine);
    let files = options.sources.iter().map(|path| path.display().to_string()).collect();
    let workers = placement::worker_count(&config.global);
    Ok(examine(&config, &machine, files, workers, wanted))
}

/// The opinion on `config`, run by `workers` workers on `machine`.
fn examine(
    config: &Config,
    machine: &Machine,
    files: Vec<String>,
    workers: u32,
    wanted_engine: Result<EngineChoice, String>,
) -> Report {
    let (settlement, refused) = resources::settle(config, workers, machine.descriptors);
    let maxconn = config.global.maxconn.unwrap_or(settlement.plan.maxconn);
    let case = Case {
        config,
        machine,
        files,
        workers,
        maxconn,
        demand: Demand::of(config, workers),
        settlement,
        refused,
        traffic: Traffic::of(config, u64::from(maxconn)),
        wanted_engine,
    };
    let (mut measures, mut findings) = (Vec::new(), Vec::new());
    resources::examine(&case, &mut measures, &mut findings);
    settings::examine(&case, &mut findings);
    let (engine, engine_reason) = settings::engine_of(&case).unwrap_or_else(|reason| ("none", reason));
    let mut report = Report {
        maxconn: u64::from(case.maxconn),
        automatic_maxconn: config.global.maxconn.is_none(),
        files: case.files,
        workers,
        cpus: machine.cpus,
        engine,
        engine_reason,
        measures,
        findings,
    };
    report.sort();
    report
}
