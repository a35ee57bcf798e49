//! Which pictures the records make: a line per engine.

use crate::run::record::{Measured, Measurement, Record};
use crate::run::scenario::{Judged, Unit};
use crate::run::statistics::Spread;
use std::collections::BTreeMap;

pub struct Picture {
    /// The file's name without its extension.
    pub name: String,
    pub title: String,
    pub below: String,
    pub horizontal: Axis,
    pub vertical: Axis,
    pub lines: Vec<Line>,
}

pub struct Axis {
    pub title: String,
    pub is_logarithmic: bool,
}

/// One engine's points.
pub struct Line {
    pub engine: String,
    pub points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: f64,
    pub value: Spread,
}

/// Every picture that has a point.
pub fn of(records: &[Record]) -> Vec<Picture> {
    let mut pictures = Vec::new();
    let mut series: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if let Some(name) = &record.scenario.series {
            series.entry(name).or_default().push(record);
        }
        if record.scenario.open_loop.is_some() {
            pictures.push(latency(record));
        }
    }
    for (name, records) in series {
        pictures.extend(by_connections(name, &records));
    }
    pictures.retain(|picture| !picture.lines.is_empty());
    pictures
}

/// Where and how the figures were got.
fn source(record: &Record) -> String {
    let day = record.date.split('T').next().unwrap_or_default();
    let machine = &record.machine;
    format!(
        "{day}, {} x {}, {}, proxy on one core; medians, bars: all rounds",
        machine.cpus, machine.cpu, machine.kernel
    )
}

/// A series' scenarios differ in their connections.
fn by_connections(name: &str, records: &[&Record]) -> Vec<Picture> {
    let Some(first) = records.first() else { return Vec::new() };
    let scenario = &first.scenario;
    let unit = scenario.unit;
    let picture = |what: &str, title: &str, vertical: &str, figure: &dyn Fn(&Measurement) -> Option<f64>| Picture {
        name: format!("{what}-{name}"),
        title: format!("{title} against connections: {}", in_words(name)),
        below: source(first),
        horizontal: Axis { title: "connections".to_owned(), is_logarithmic: true },
        vertical: Axis { title: vertical.to_owned(), is_logarithmic: false },
        lines: lines(records, figure),
    };
    if scenario.judged == Judged::Memory {
        return vec![
            picture("memory", "User memory of each connection", "bytes", &Measurement::user_bytes_per_connection),
            picture(
                "kernel-memory",
                "Kernel memory of each connection, clients and origin included",
                "bytes",
                &Measurement::kernel_bytes_per_connection,
            ),
        ];
    }
    let per_second = if unit == Unit::Gigabyte { "GB a second" } else { "a second" };
    vec![
        picture("throughput", "Throughput", per_second, &|round| Some(round.units_per_second(unit))),
        picture("cpu", "The proxy's CPU", scenario.figure(), &|round| round.cpu_per_unit(unit)),
    ]
}

fn in_words(series: &str) -> String {
    match series {
        "ping-pong" => "64-byte messages there and back".to_owned(),
        "bulk-down" => "bulk from the server".to_owned(),
        "bulk-up" => "bulk to the server".to_owned(),
        "http-keep-alive" => "small HTTP requests on kept connections".to_owned(),
        "idle-tcp" => "idle TCP connections".to_owned(),
        "idle-http" => "idle HTTP connections".to_owned(),
        other => other.to_owned(),
    }
}

fn lines(records: &[&Record], figure: &dyn Fn(&Measurement) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for record in records {
        for measured in record.judged_run().into_iter().flat_map(|run| &run.engines) {
            // What was open, which may be less than what was asked for.
            let connections = match record.scenario.judged {
                Judged::Memory => measured.spread(|round| Some(round.connections as f64)).map(|spread| spread.median),
                _ => Some(record.scenario.load.connections as f64),
            };
            let value = measured.spread(figure);
            add(&mut lines, measured, connections.zip(value).map(|(at, value)| Point { at, value }));
        }
    }
    // A single point beside lines is a floor of another scale: it would press them together.
    if lines.iter().any(|line| line.points.len() > 1) {
        lines.retain(|line| line.points.len() > 1);
    }
    lines
}

fn add(lines: &mut Vec<Line>, measured: &Measured, point: Option<Point>) {
    let Some(point) = point else { return };
    match lines.iter_mut().find(|line| line.engine == measured.engine) {
        Some(line) => line.points.push(point),
        None => lines.push(Line { engine: measured.engine.clone(), points: vec![point] }),
    }
}

/// The runs at a rate of their own.
fn latency(record: &Record) -> Picture {
    let mut lines = Vec::new();
    let mut runs: Vec<_> = record.runs.iter().filter_map(|run| Some((run.rate?, run))).collect();
    runs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    for (rate, run) in runs {
        for measured in &run.engines {
            let value = measured.spread(|round| Some(round.latency_p99));
            add(&mut lines, measured, value.map(|value| Point { at: rate, value }));
        }
    }
    Picture {
        name: format!("latency-{}", record.scenario.mode.name()),
        title: format!("p99 latency against load: {}", record.scenario.load.kind),
        below: source(record),
        horizontal: Axis { title: "operations a second (open loop)".to_owned(), is_logarithmic: false },
        vertical: Axis { title: "us".to_owned(), is_logarithmic: true },
        lines,
    }
}
