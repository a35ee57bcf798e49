//! What is measured: `bench/engines/*.toml`, and the configurations in `bench/engines/templates`.

use super::data;
use super::scenario::Mode;
use anyhow::{Context, ensure};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A proxy and a way to run it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The file's name without its extension.
    #[serde(default)]
    pub name: String,
    pub about: String,
    pub role: Role,
    /// `None`: no proxy, clients talk to the origin.
    pub program: Option<String>,
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// A command that tells what it is, and how the line that does begins.
    pub version: Option<Vec<String>>,
    #[serde(default)]
    pub version_begins: String,
    /// Each worker has the whole descriptor limit for itself.
    #[serde(default)]
    pub descriptors_per_worker: bool,
    /// For its template.
    #[serde(default)]
    pub settings: Settings,
    /// The file for each mode.
    #[serde(default)]
    pub templates: BTreeMap<Mode, String>,
    /// For what needs no file.
    #[serde(default)]
    pub modes: Vec<Mode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Ringway.
    Subject,
    /// The best of these is what ratios refer to.
    Reference,
    /// Shown, and not compared with.
    Floor,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    pub global: Vec<String>,
    #[serde(default)]
    pub defaults: Vec<String>,
}

/// What stands in an engine's file and templates for this run.
#[derive(Clone, Debug, Serialize)]
pub struct Setting<'a> {
    pub mode: Mode,
    pub listen: SocketAddr,
    pub origins: &'a [SocketAddr],
    pub connections: usize,
    pub workers: usize,
    /// The limit on descriptors.
    pub descriptors: usize,
    /// The scenario holds idle connections.
    pub idle: bool,
    /// The programs that this repository builds.
    pub ringway: &'a Path,
    pub bench: &'a Path,
    /// For an engine's files.
    pub folder: &'a Path,
    pub settings: &'a Settings,
    pub file: PathBuf,
}

/// A program with its arguments, ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    pub program: String,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
}

impl Engine {
    pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Engine>> {
        data::read_all(folder, |name, engine: &mut Engine| engine.name = name)
    }

    pub fn supports(&self, mode: Mode) -> bool {
        self.program.is_none() || self.templates.contains_key(&mode) || self.modes.contains(&mode)
    }

    /// Writes its configuration and says how to start it; `None` for no proxy.
    pub fn prepare(&self, setting: &Setting, templates: &Path) -> anyhow::Result<Option<CommandLine>> {
        let Some(program) = &self.program else { return Ok(None) };
        if let Some(template) = self.templates.get(&setting.mode) {
            let path = templates.join(template);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let text = render(&text, setting).with_context(|| path.display().to_string())?;
            fs::write(&setting.file, text)?;
        } else {
            ensure!(self.modes.contains(&setting.mode), "{} has no {} mode", self.name, setting.mode.name());
        }
        let render = |text: &String| render(text, setting).with_context(|| format!("{}: {text}", self.name));
        Ok(Some(CommandLine {
            program: render(program)?,
            arguments: self.arguments.iter().map(render).collect::<anyhow::Result<_>>()?,
            environment: self.environment.clone(),
        }))
    }
}

/// Fills in the names in `{{ }}`; one that is not known is an error.
pub fn render(text: &str, values: impl Serialize) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut rendered = environment.render_str(text, Serde(values))?;
    // It drops the last line's end, which HAProxy insists on.
    if text.ends_with('\n') && !rendered.ends_with('\n') {
        rendered.push('\n');
    }
    Ok(rendered)
}
