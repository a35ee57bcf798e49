//! The record: one file a day and kind of machine, with what both engines did.

use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Adds `figures` under the engine's name. Neither host name nor paths are written.
pub fn write(directory: &Path, engine: &str, figures: &Value) -> anyhow::Result<()> {
    let folder = directory.join(host_kind()).join(today()?);
    fs::create_dir_all(&folder)?;
    let file = folder.join("fifty.json");
    let mut record = match fs::read_to_string(&file).map(|text| serde_json::from_str(&text)) {
        Ok(Ok(Value::Object(record))) => record,
        _ => Map::new(),
    };
    record.insert("command".to_string(), json!("scripts/fifty"));
    record.insert("kernel".to_string(), json!(first_line("/proc/sys/kernel/osrelease")));
    record.insert("cpu".to_string(), json!(cpu_model()));
    record.insert("cpus".to_string(), json!(std::thread::available_parallelism().map_or(1, usize::from)));
    record.insert(engine.to_string(), figures.clone());
    fs::write(&file, serde_json::to_string_pretty(&record)? + "\n")?;
    println!("recorded in {}", file.display());
    Ok(())
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, model)| model.trim()).to_owned()
}

/// `vm-2core`: what sort of machine, not which.
fn host_kind() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kind = if text.split_whitespace().any(|word| word == "hypervisor") { "vm" } else { "metal" };
    format!("{kind}-{}core", std::thread::available_parallelism().map_or(1, usize::from))
}

/// Universal time, as `date` has it.
fn today() -> anyhow::Result<String> {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
