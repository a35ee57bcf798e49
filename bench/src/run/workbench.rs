//! What all measurements of a run share.

use super::Arguments;
use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit};
use std::path::PathBuf;

pub struct Workbench {
    pub ringway: PathBuf,
    /// This program: it is load generator, origin and relay as well.
    pub bench: PathBuf,
    pub templates: PathBuf,
    /// taskset's lists.
    pub proxy_cpus: String,
    pub load_cpus: String,
    /// Threads or processes of each proxy.
    pub workers: usize,
    /// The limit on the descriptors of a process.
    pub descriptors: usize,
}

impl Workbench {
    pub fn new(arguments: &Arguments) -> anyhow::Result<Workbench> {
        let ringway = arguments.ringway.canonicalize();
        let (_, descriptors) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Workbench {
            ringway: ringway.with_context(|| format!("{} (build it first)", arguments.ringway.display()))?,
            bench: std::env::current_exe()?,
            templates: arguments.data.join("engines/templates"),
            proxy_cpus: arguments.proxy_cpus.clone(),
            load_cpus: arguments.load_cpus.clone(),
            workers: arguments.workers.max(1),
            descriptors: usize::try_from(descriptors).unwrap_or(usize::MAX).min(1 << 20),
        })
    }
}
