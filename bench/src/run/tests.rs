//! The files in `bench/` are right, and what is made of measurements is.

use super::engine::{Engine, Role, Setting};
use super::record::{Measured, Measurement, Run, summarize};
use super::scenario::{Mode, Scenario, Unit};
use super::*;
use clap::Parser;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn scenarios() -> Vec<Scenario> {
    Scenario::read_all(&folder().join("scenarios")).expect("scenarios")
}

fn engines() -> Vec<Engine> {
    Engine::read_all(&folder().join("engines")).expect("engines")
}

#[test]
fn every_scenario_has_its_engines_and_the_generator_knows_it() {
    let engines = engines();
    for scenario in scenarios() {
        let of = engines_of(&scenario, &engines, &[]).expect("engines");
        assert!(of.iter().any(|engine| engine.role == Role::Subject), "{}", scenario.name);
        assert!(of.iter().any(|engine| engine.role == Role::Reference), "{}", scenario.name);
        let load = ["ringway-bench", "load", &scenario.load.kind, "--to", "127.0.0.1:1"].map(str::to_owned);
        let line = load.into_iter().chain(scenario.load.arguments.iter().cloned());
        crate::Arguments::try_parse_from(line).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
        let origin = ["ringway-bench", "origin", &scenario.origin.kind, "--listen", "127.0.0.1:1"].map(str::to_owned);
        let line = origin.into_iter().chain(scenario.origin.arguments.iter().cloned());
        crate::Arguments::try_parse_from(line).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
    }
}

fn prepared(engine: &Engine, mode: Mode, idle: bool, folder: &Path) -> Option<(PathBuf, Vec<String>)> {
    let origins: [SocketAddr; 2] = [([127, 0, 0, 1], 20001).into(), ([127, 0, 0, 1], 20002).into()];
    let setting = Setting {
        mode,
        listen: ([127, 0, 0, 1], 20000).into(),
        origins: &origins,
        connections: 100,
        workers: 2,
        descriptors: 4096,
        idle,
        ringway: Path::new("ringway"),
        bench: Path::new("ringway-bench"),
        folder,
        settings: &engine.settings,
        file: folder.join("proxy.cfg"),
    };
    let templates = self::folder().join("engines/templates");
    let command = engine.prepare(&setting, &templates).unwrap_or_else(|error| panic!("{}: {error:#}", engine.name));
    command.map(|command| (setting.file, command.arguments))
}

/// HAProxy and nginx themselves judge what the templates make.
#[test]
fn configurations_load() {
    let folder = tempfile::tempdir().expect("a folder");
    for engine in engines() {
        for (mode, idle) in [(Mode::Tcp, false), (Mode::Tcp, true), (Mode::Http, false), (Mode::Http, true)] {
            if !engine.supports(mode) {
                continue;
            }
            let Some((file, arguments)) = prepared(&engine, mode, idle, folder.path()) else { continue };
            assert!(!arguments.iter().any(|argument| argument.contains("{{")), "{}: {arguments:?}", engine.name);
            let mut check = match engine.program.as_deref() {
                Some("haproxy") => Command::new("haproxy"),
                Some("nginx") => Command::new("nginx"),
                _ => continue,
            };
            let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
            match engine.name.as_str() {
                "nginx" => check.args(["-t", "-q", "-p"]).arg(folder.path()).arg("-c").arg(&file),
                _ => check.args(["-c", "-q", "-f"]).arg(&file),
            };
            let output = check.env("PATH", path).output().expect("the program is installed");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} {}: {said}", engine.name, mode.name());
        }
    }
}

#[test]
fn what_is_not_known_in_a_template_is_an_error() {
    assert!(engine::render("{{ nobody }}", 1).is_err());
    assert_eq!(engine::render("a {{ b }}\n", std::collections::BTreeMap::from([("b", 2)])).unwrap(), "a 2\n");
}

#[test]
fn scenarios_are_chosen_by_name_or_by_its_beginning() {
    let all = scenarios();
    let names = |arguments: &[&str]| -> Vec<String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let line = Line::parse_from(["run"].iter().chain(arguments));
        let chosen = choose_scenarios(&line.arguments, &all).expect("scenarios");
        chosen.iter().map(|scenario| scenario.name.clone()).collect()
    };
    assert_eq!(names(&["ping-pong-64"]), ["ping-pong-64"]);
    assert_eq!(names(&["ping-pong"]), ["ping-pong-64", "ping-pong-1000", "ping-pong-8000"]);
    assert_eq!(names(&[]).len(), all.len());
    assert_eq!(names(&["--tcp"]).len() + names(&["--http"]).len(), all.len());
}

fn measured(engine: &str, role: Role, cpu_seconds: &[Option<f64>]) -> Measured {
    let round = |cpu: &f64| Measurement {
        seconds: 1.0,
        operations: 1_000_000,
        proxy_cpu_seconds: Some(*cpu),
        ..Measurement::default()
    };
    let rounds = cpu_seconds.iter().map(|cpu| cpu.as_ref().map(round)).collect();
    Measured { engine: engine.to_owned(), role, rounds, failures: Vec::new() }
}

#[test]
fn ratios_are_against_the_better_reference() {
    let scenario = scenarios().into_iter().find(|scenario| scenario.name == "ping-pong-64").expect("it is there");
    assert_eq!(scenario.unit, Unit::Message);
    let run = Run {
        share_of_peak: None,
        rate: None,
        engines: vec![
            measured("ringway-uring", Role::Subject, &[Some(8.0), Some(9.0), Some(30.0)]),
            measured("ringway-epoll", Role::Subject, &[Some(11.0), None, Some(33.0)]),
            measured("haproxy", Role::Reference, &[Some(12.0), Some(13.0), Some(40.0)]),
            measured("nginx", Role::Reference, &[Some(10.0), Some(10.0), Some(30.0)]),
            measured("relay", Role::Floor, &[Some(1.0), Some(1.0), Some(1.0)]),
        ],
    };
    let summary = summarize(&scenario, &run);
    let of = |name: &str| summary.iter().find(|summary| summary.engine == name).expect("summarized");
    let uring = of("ringway-uring");
    assert_eq!(uring.against.as_deref(), Some("nginx"), "the better one; a floor is no reference");
    let ratio = uring.ratio.expect("a ratio");
    assert_eq!((ratio.median, ratio.min, ratio.max), (0.9, 0.8, 1.0), "noise that hits a whole round cancels out");
    assert!(uring.targets.iter().all(|target| target.is_reached), "at most 0.90");
    let epoll = of("ringway-epoll");
    assert_eq!(epoll.ratio.map(|ratio| (ratio.min, ratio.max)), Some((1.1, 1.1)));
    assert!(epoll.targets.iter().all(|target| !target.is_reached), "at most 1.0");
}
