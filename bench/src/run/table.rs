//! What people read.

use super::record::{Measured, Record, Run, Summary};
use super::scenario::{Judged, Unit};
use super::statistics::Spread;

/// The judged run of a record, an engine a line.
pub fn print(record: &Record) {
    let scenario = &record.scenario;
    println!("\n== {} ({})", scenario.title, scenario.name);
    let Some(run) = record.judged_run() else { return println!("nothing was measured") };
    if let (Some(rate), Some(share)) = (run.rate, run.share_of_peak) {
        println!("open loop, {rate:.0} a second: {:.0} % of the slowest engine's peak", share * 100.0);
    }
    match scenario.judged {
        Judged::Memory => print_memory(record, run),
        _ => print_load(record, run),
    }
    for verdict in record.summary.iter().flat_map(verdicts) {
        println!("{verdict}");
    }
    for engine in &run.engines {
        for failure in &engine.failures {
            println!("{} FAILED: {failure}", engine.engine);
        }
    }
}

fn print_load(record: &Record, run: &Run) {
    let scenario = &record.scenario;
    let unit = scenario.unit;
    let (busy, loaded) = ("proxy busy", "load busy");
    println!(
        "{:15} {:>17} {:>15} {:>6} {:>13} {:>11} {:>8} {:>8} {:>10} {:>9} {:>7}",
        "engine",
        scenario.figure(),
        "(range)",
        "ratio",
        "(range)",
        if unit == Unit::Gigabyte { "GB/s" } else { "units/s" },
        "p50 us",
        "p99 us",
        busy,
        loaded,
        "errors"
    );
    for (measured, summary) in run.engines.iter().zip(&record.summary) {
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        let digits = if unit == Unit::Gigabyte { 3 } else { 0 };
        println!(
            "{:15} {:>17} {:>15} {:>6} {:>13} {:>11} {:>8} {:>8} {:>10} {:>9} {:>7}",
            measured.engine,
            figure(median(summary.value), 3),
            range(summary.value, 2),
            figure(median(summary.ratio), 2),
            range(summary.ratio, 2),
            figure(median(measured.spread(|round| Some(round.units_per_second(unit)))), digits),
            figure(median(measured.spread(|round| Some(round.latency_p50))), 0),
            figure(median(measured.spread(|round| Some(round.latency_p99))), 0),
            percent(measured.spread(|round| Some(round.proxy_cpu_seconds? / round.seconds))),
            percent(measured.spread(|round| Some(round.load_cpu_seconds / round.seconds))),
            errors(measured)
        );
    }
    let against = record.summary.iter().find_map(|summary| summary.against.as_deref()).unwrap_or("nothing");
    println!("ratio: against {against} in the same round, median of {} rounds", rounds(run));
}

fn print_memory(record: &Record, run: &Run) {
    println!(
        "{:15} {:>12} {:>17} {:>17} {:>6} {:>15} {:>17} {:>7}",
        "engine", "connections", "user bytes each", "(range)", "ratio", "kernel, whole", "of it the proxy's", "errors"
    );
    let kernel =
        |measured: &Measured| measured.spread(|round| round.kernel_bytes_per_connection()).map(|spread| spread.median);
    // What clients and origin cost the kernel is measured without a proxy.
    let without_proxy = run.engines.iter().find(|engine| engine.engine == "direct").and_then(kernel);
    for (measured, summary) in run.engines.iter().zip(&record.summary) {
        let is_proxy = measured.engine != "direct";
        // Without a proxy, a connection is two sockets: the client's and the origin's. With one that shares connections
        // to the origin between clients, the latter is gone.
        let others = record.scenario.descriptors_per_connection as f64 / 2.0;
        let own = kernel(measured).zip(without_proxy).map(|(whole, without)| (whole - without * others).max(0.0));
        println!(
            "{:15} {:>12} {:>17} {:>17} {:>6} {:>15} {:>17} {:>7}",
            measured.engine,
            figure(measured.spread(|round| Some(round.connections as f64)).map(|spread| spread.median), 0),
            figure(summary.value.map(|value| value.median), 0),
            range(summary.value, 0),
            figure(summary.ratio.map(|ratio| ratio.median), 2),
            figure(kernel(measured), 0),
            figure(own.filter(|_| is_proxy), 0),
            errors(measured)
        );
    }
}

/// The lines that say whether targets are reached.
pub fn verdicts(summary: &Summary) -> impl Iterator<Item = String> {
    summary.targets.iter().map(|target| {
        let against = target.against.as_ref().map_or(String::new(), |name| format!(" of {name}"));
        let word = if target.is_reached { "reached" } else { "NOT reached" };
        let digits = if target.against.is_some() { 2 } else { 0 };
        let median = figure(target.median, digits);
        format!("target: {} at most {}{against}: {median}, {word}", summary.engine, target.at_most)
    })
}

fn rounds(run: &Run) -> usize {
    run.engines.iter().map(|engine| engine.rounds.len()).max().unwrap_or(0)
}

fn errors(measured: &Measured) -> String {
    let failed = measured.failures.len();
    let errors: u64 = measured.rounds.iter().flatten().map(|round| round.error_count()).sum();
    if failed > 0 { format!("{errors}+{failed}F") } else { errors.to_string() }
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

fn range(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or(String::new(), |spread| format!("{:.digits$}-{:.digits$}", spread.min, spread.max))
}

fn percent(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |spread| format!("{:.0} %", spread.median * 100.0))
}
