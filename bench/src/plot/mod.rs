//! `ringway-bench plot`: pictures of what the records say.

mod chart;
mod pictures;

use crate::run::record::Record;
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The folder of one day's records (bench/record/KIND/DATE); the latest unless given
    pub folder: Option<PathBuf>,
    /// Where to put the pictures; the folder itself unless given
    #[arg(long)]
    pub to: Option<PathBuf>,
    /// Where records are, by kind of machine and date
    #[arg(long, default_value = "bench/record")]
    pub record: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => latest(&arguments.record)?,
    };
    let records = read_records(&folder)?;
    ensure!(!records.is_empty(), "{}: no records", folder.display());
    let to = arguments.to.as_ref().unwrap_or(&folder);
    fs::create_dir_all(to)?;
    for picture in pictures::of(&records) {
        let path = to.join(format!("{}.svg", picture.name));
        fs::write(&path, chart::draw(&picture)?)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The newest day of any kind of machine; dates sort as text.
fn latest(record: &Path) -> anyhow::Result<PathBuf> {
    let days = folders(record)?.into_iter().map(|kind| folders(&kind)).collect::<anyhow::Result<Vec<_>>>()?;
    let latest = days.into_iter().flatten().max_by(|one, other| one.file_name().cmp(&other.file_name()));
    latest.with_context(|| format!("{}: no records", record.display()))
}

fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| path.is_dir());
    Ok(paths)
}

fn read_records(folder: &Path) -> anyhow::Result<Vec<Record>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    // Other tools keep records of other shapes beside these.
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut records: Vec<Record> = paths.iter().filter_map(|path| Record::read(path).ok()).collect();
    records.sort_by(|one, other| {
        (one.scenario.order, &one.scenario.name).cmp(&(other.scenario.order, &other.scenario.name))
    });
    Ok(records)
}
