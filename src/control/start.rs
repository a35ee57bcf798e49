//! From the command line to an action: the version, a verdict on a configuration, or [`serve`].

use super::command_line::{self, Action, CommandLine};
use super::placement;
use super::privileges::Privileges;
use super::{descriptors, messages, report, serve, version};
use crate::config::environment::Environment;
use crate::config::load::{LoadRequest, Loaded, Overrides, load};
use crate::config::model::{Config, Global};
use crate::sys;
use std::io;

/// Runs the program with the process's arguments. Returns the exit code, or does not return: a daemon's parent exits
/// when its child serves, and SIGTERM ends the process as if it had not been caught.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> i32 {
    // Without this the first socket could become "stderr".
    let _ = sys::process::fill_standard_descriptors();
    messages::executable();
    let arguments =
        arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().into_iter();
    // The one word that is no option, and only here: HAProxy's command line has none.
    if arguments.as_slice().get(1).is_some_and(|word| word == "doctor") {
        return super::doctor::main(arguments.skip(2));
    }
    let mut options = match command_line::parse(arguments) {
        Ok(options) => options,
        Err(error) => return explain(&error),
    };
    messages::set_quiet(options.quiet && !options.verbose);
    match std::mem::replace(&mut options.action, Action::Run) {
        Action::Version => print(&version::banner()),
        Action::BuildReport => print(&version::build_report()),
        Action::BareVersion => print(&format!("{}\n", version::COMPATIBLE_VERSION)),
        Action::BareBranch => print(&format!("{}\n", version::compatible_branch())),
        Action::SupportMatrix => print(&crate::config::support::support_matrix()),
        Action::Condition(condition) => evaluate(&condition, &options),
        Action::Check => check(&options),
        Action::Run => run(&options).unwrap_or(1),
    }
}

/// The start was given up; why was said.
pub struct Refusal;

/// Says `text` and gives up.
pub fn refuse<T>(text: &str) -> Result<T, Refusal> {
    messages::alert(text);
    Err(Refusal)
}

fn print(text: &str) -> i32 {
    use std::io::Write as _;
    // A reader that closed its end has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    0
}

fn explain(error: &command_line::UsageError) -> i32 {
    let program =
        std::env::args_os().next().map_or_else(|| "ringway".into(), |name| name.to_string_lossy().into_owned());
    let reason = if error.text.is_empty() { String::new() } else { format!("{program}: {}\n", error.text) };
    eprint!("{}{}{reason}", version::banner(), version::usage(&program));
    1
}

fn environment(options: &CommandLine) -> Environment {
    let local_peer = options.local_peer.clone().unwrap_or_else(sys::process::host_name);
    let files: Vec<_> = options.sources.iter().map(|path| path.display().to_string()).collect();
    Environment::of_process(&local_peer, &files)
}

/// `-cc`: 0 true, 1 false, 2 error.
fn evaluate(condition: &str, options: &CommandLine) -> i32 {
    match crate::config::condition::evaluate(condition, &environment(options)) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            messages::alert(&format!("config : {error}"));
            2
        }
    }
}

/// Loads the configuration, says what is wrong with it, and lets the command line have its way.
/// The flag says whether there were warnings.
fn load_configuration(options: &CommandLine) -> Result<(Config, bool), Refusal> {
    if let Some(directory) = &options.directory
        && let Err(error) = sys::process::change_directory(directory)
    {
        return refuse(&format!("Could not change to directory {} : {error}.", directory.display()));
    }
    if let Some(text) = without_effect(options) {
        messages::notice(&text);
    }
    let Loaded { config, diagnostics } = load(&load_request(options));
    report::print(&diagnostics, options.diagnostics);
    let mut config = config.ok_or(Refusal)?;
    override_global(options, &mut config.global);
    if let Err(errors) = Privileges::look_up(&config.global) {
        for error in &errors {
            messages::alert(&format!("config : {error}"));
        }
        return refuse("config : Fatal errors found in configuration.");
    }
    Ok((config, diagnostics.has_warnings()))
}

/// What the command line asks to be loaded.
pub fn load_request(options: &CommandLine) -> LoadRequest {
    LoadRequest {
        sources: options.sources.clone(),
        overrides: Overrides {
            maxconn: options.maxconn,
            proxy_maxconn: options.proxy_maxconn,
            ignore_unresolved: options.ignore_unresolved,
        },
        environment: environment(options),
    }
}

/// Lets the command line have its way with what the file says.
pub fn override_global(options: &CommandLine, global: &mut Global) {
    global.debug |= options.debug;
    global.quiet |= options.quiet;
    global.nosplice |= options.no_splice;
    global.master_worker |= options.master_worker;
    global.daemon |= options.daemon;
    if options.debug || options.foreground || options.systemd || global.debug {
        // configuration.txt, `daemon`: ignored under systemd, which wants to see the process itself.
        global.daemon = false;
    }
    if options.pidfile.is_some() {
        global.pidfile.clone_from(&options.pidfile);
    }
}

/// One line about the options that change nothing.
fn without_effect(options: &CommandLine) -> Option<String> {
    if options.without_effect.is_empty() {
        return None;
    }
    let each: Vec<_> =
        options.without_effect.iter().map(|option| format!("{} ({})", option.option, option.why)).collect();
    Some(format!("Accepted without effect: {}.", each.join(", ")))
}

fn zero_warning(options: &CommandLine, warned: bool) -> Result<(), Refusal> {
    if options.warnings_are_fatal && warned {
        return refuse("config : Some warnings were found and 'zero-warning' is set. Aborting.");
    }
    Ok(())
}

/// `-c`
fn check(options: &CommandLine) -> i32 {
    let Ok((config, mut warned)) = load_configuration(options) else { return 1 };
    let workers = placement::worker_count(&config.global);
    // What this process could get: a service started elsewhere may have other limits, and then its own line.
    if let Ok(situation) = descriptors::Situation::of_process() {
        match descriptors::settle(&config, workers, situation) {
            Ok(settled) => {
                if let Some(shortage) = settled.shortage {
                    messages::warning(&format!("config : {shortage}"));
                    warned = true;
                }
            }
            Err(refusal) => {
                messages::warning(&format!("config : {refusal}"));
                warned = true;
            }
        }
    }
    if zero_warning(options, warned).is_err() {
        return 1;
    }
    report::verdict(&config, warned)
}

fn run(options: &CommandLine) -> Result<i32, Refusal> {
    let (config, warned) = load_configuration(options)?;
    zero_warning(options, warned)?;
    serve::serve(options, config)
}
