//! `run` and `plot` as people use them: a small scenario, its record, its picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCENARIO: &str = r#"
title = "a test"
order = 1
mode = "tcp"
engines = ["haproxy", "direct"]
series = "test"
unit = "message"
targets = [{ engine = "haproxy", ratio_at_most = 1.0 }]
[load]
kind = "tcp-ping-pong"
connections = 2
[origin]
kind = "tcp-echo"
[open_loop]
share_of_peak = 0.5
"#;

fn bench(arguments: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let program = env!("CARGO_BIN_EXE_ringway-bench");
    let output = Command::new(program).args(arguments).env("PATH", path).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{said}\n{errors}", output.status);
    said
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files
}

#[test]
fn a_scenario_is_measured_recorded_and_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, record) = (folder.path().join("data"), folder.path().join("record"));
    fs::create_dir_all(data.join("scenarios")).expect("a folder");
    std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("engines"), data.join("engines"))
        .expect("a link");
    fs::write(data.join("scenarios/small.toml"), SCENARIO).expect("a file");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let program = env!("CARGO_BIN_EXE_ringway-bench");
    let said = bench(&[
        "run",
        "small",
        "--rounds",
        "2",
        "--seconds",
        "0.2",
        "--proxy-cpus",
        "0",
        "--load-cpus",
        "0",
        // No scenario here asks for it.
        "--ringway",
        program,
        "--data",
        &text(&data),
        "--record",
        &text(&record),
    ]);
    assert!(said.contains("target: haproxy at most 1 of haproxy: 1.00, reached"), "{said}");
    let records = files(&record);
    let [path] = records.as_slice() else { panic!("one record: {records:?}") };
    let text_of_record = fs::read_to_string(path).expect("a record");
    let json: serde_json::Value = serde_json::from_str(&text_of_record).expect("JSON");
    assert_eq!(json["scenario"]["name"], "small");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(2), "the peak, and half of it");
    let round = &json["runs"][1]["engines"][0]["rounds"][0];
    assert!(round["operations"].as_u64() > Some(0) && round["proxy_cpu_seconds"].as_f64() > Some(0.0), "{round}");
    assert_eq!(json["runs"][1]["engines"][1]["rounds"][0]["proxy_cpu_seconds"], serde_json::Value::Null, "no proxy");
    assert!(!text_of_record.contains(&text(folder.path())), "no paths of this machine");
    let day = path.parent().expect("a folder");
    bench(&["plot", &text(day)]);
    let latency = fs::read_to_string(day.join("latency-tcp.svg")).expect("a picture");
    assert!(latency.starts_with("<svg") && latency.contains("haproxy"), "{latency}");
}
