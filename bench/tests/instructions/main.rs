//! The regression gate: how many instructions each hot path takes, counted by callgrind, held against
//! `bench/instructions.toml`. Instructions, unlike times, come out the same on a busy machine.
//!
//! - `cargo test -p ringway-bench --profile tested --test instructions` counts and compares;
//! - the same with `RINGWAY_UPDATE_INSTRUCTIONS=1` writes what it counted as the new limits.
//!
//! The program runs itself under valgrind, once for each path, and callgrind collects within [`counted`] only.

mod limits;
#[path = "../../benches/paths/mod.rs"]
mod paths;

use anyhow::{Context, bail, ensure};
use limits::Limits;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

/// The word before a path's name that makes this program run that path and nothing else.
const RUN: &str = "run-path";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, name] = &arguments[..]
        && word == RUN
    {
        return run_path(name);
    }
    // What `cargo test NAME` is meant for: another test's name is no reason to spend a minute here.
    let filter = arguments.iter().rfind(|argument| !argument.starts_with('-') && argument.parse::<u64>().is_err());
    if filter.is_some_and(|filter| !"instructions".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    match gate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_path(name: &str) -> ExitCode {
    let Some(mut path) = paths::all().into_iter().find(|path| path.name == name) else { return ExitCode::FAILURE };
    // The first time fills caches and grows buffers.
    (path.operation)();
    counted(path.repeats, &mut path.operation);
    ExitCode::SUCCESS
}

/// Callgrind collects from entering this to leaving it; it is found by its name.
#[inline(never)]
fn counted(repeats: u32, operation: &mut dyn FnMut()) {
    for _ in 0..repeats {
        operation();
    }
}

fn gate() -> anyhow::Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        bail!("valgrind is not installed (scripts/test installs it)");
    }
    let program = std::env::current_exe()?;
    let profile = profile_of(&program)?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    let mut limits = Limits::read(&file)?;
    let counts = count_all(&program)?;
    if std::env::var_os("RINGWAY_UPDATE_INSTRUCTIONS").is_some() {
        limits.set(&profile, counts);
        return limits.write(&file);
    }
    let Some(verdicts) = limits.judge(&profile, &counts) else {
        println!("no limits for the profile {profile}: counted only");
        counts.iter().for_each(|(name, count)| println!("{name:36} {count:>12}"));
        return Ok(());
    };
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    let failed = verdicts.iter().filter(|verdict| verdict.is_failure()).count();
    ensure!(
        failed == 0,
        "{failed} paths are over their limit or have none. If that is meant, and worth it:\n  \
         RINGWAY_UPDATE_INSTRUCTIONS=1 cargo test -p ringway-bench --profile {profile} --test instructions\n\
         and commit bench/instructions.toml with the reason."
    );
    Ok(())
}

/// The folder under `target/` that holds `deps/`: `tested`, `release`, `debug`.
fn profile_of(program: &Path) -> anyhow::Result<String> {
    let folder = program.parent().and_then(Path::parent).and_then(Path::file_name);
    Ok(folder.context("the program's folder has no name")?.to_string_lossy().into_owned())
}

/// Names and counts, in the order of the paths; as many valgrinds at once as there are processors.
fn count_all(program: &Path) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let paths: Vec<(&'static str, u32)> = paths::all().iter().map(|path| (path.name, path.repeats)).collect();
    let lanes = thread::available_parallelism().map_or(1, usize::from).min(paths.len().max(1));
    let mut counts: Vec<(usize, anyhow::Result<u64>)> = thread::scope(|scope| {
        let lane = |first: usize| {
            let mine = paths.iter().enumerate().skip(first).step_by(lanes);
            mine.map(|(index, (name, repeats))| (index, count(program, name, *repeats))).collect::<Vec<_>>()
        };
        let lanes: Vec<_> = (0..lanes).map(|first| scope.spawn(move || lane(first))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a lane")).collect()
    });
    counts.sort_by_key(|(index, _)| *index);
    paths.iter().zip(counts).map(|((name, _), (_, count))| Ok((*name, count.context(*name)?))).collect()
}

/// Instructions of one operation.
fn count(program: &Path, name: &str, repeats: u32) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=instructions::counted*"])
        .arg(program)
        .args([RUN, name])
        // Where memory lies decides how far allocators and tables look.
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind ended with {}:\n{said}", output.status);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, number) = collected.with_context(|| format!("no count from callgrind:\n{said}"))?;
    let total: u64 = number.trim().parse()?;
    ensure!(total > 0, "callgrind did not find the counted function");
    Ok(total / u64::from(repeats.max(1)))
}
