//! Folders of TOML files, one thing each, called by the file's name.

use anyhow::Context;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::Path;

/// Reads every `*.toml` of `folder`; `named` is given the name of each.
pub fn read_all<T: DeserializeOwned>(folder: &Path, named: impl Fn(String, &mut T)) -> anyhow::Result<Vec<T>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: &Path| -> anyhow::Result<T> {
        let mut thing = toml::from_str(&fs::read_to_string(path)?)?;
        named(path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), &mut thing);
        Ok(thing)
    };
    paths.iter().map(|path| read(path).with_context(|| path.display().to_string())).collect()
}
