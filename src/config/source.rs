//! What `-f` names: files and directories, read whole before the first line is looked at.

use super::diagnostics::{Diagnostics, Severity};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One configuration file's bytes.
#[derive(Clone, Debug)]
pub struct Source {
    /// As given to `-f` (or the directory's path with the file's name), shown in messages.
    pub name: Arc<str>,
    pub bytes: Vec<u8>,
}

impl Source {
    /// A configuration that is not a file: tests and fuzzing.
    pub fn from_text(name: &str, text: &str) -> Self {
        Source { name: name.into(), bytes: text.as_bytes().to_vec() }
    }
}

/// Reads the files of `paths`, in order; what cannot be read is an error in `diagnostics` and left out.
pub fn read_sources(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in paths {
        for file in files_of(path, diagnostics) {
            match std::fs::read(&file) {
                Ok(bytes) => sources.push(Source { name: file.to_string_lossy().into(), bytes }),
                Err(error) => cannot_open(&file, &error, diagnostics),
            }
        }
    }
    sources
}

fn files_of(path: &Path, _diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    vec![path.to_owned()]
}

fn cannot_open(path: &Path, error: &std::io::Error, diagnostics: &mut Diagnostics) {
    diagnostics.general(Severity::Alert, format!("Could not open configuration file {} : {error}", path.display()));
}
