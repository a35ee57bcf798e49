//! The command line, in HAProxy's language (management.txt section 3): single dashes, several letters.
//!
//! Written by hand because that language is no getopt's: `-db` is one option, `-sf` takes a list that ends at the
//! next dash, `-dM0x50,no-merge` has its argument glued on.

use std::path::PathBuf;

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `-v`
    Version,
    /// `-vv`
    BuildReport,
    /// `-vq`, `-vqs`
    BareVersion,
    /// `-vqb`: the branch, `X.Y`
    BareBranch,
    /// `--support-matrix`: the keyword table as Markdown, for the README.
    SupportMatrix,
    /// `-cc <condition>`
    Condition(String),
    /// `-c`: check the configuration and exit.
    Check,
    /// Load and serve.
    Run,
}

/// The signal that `-sf` and `-st` send to the processes they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldProcesses {
    /// `-sf`: SIGUSR1, serve what they have and leave.
    Finish,
    /// `-st`: SIGTERM, leave now.
    Terminate,
}

/// An option that HAProxy has and that changes nothing here, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutEffect {
    /// As typed.
    pub option: String,
    pub why: &'static str,
}

/// The parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// `argv[0]`, which HAProxy puts into messages of its main function.
    pub program: String,
    pub action: Action,
    /// `-f` and what follows `--`, in order.
    pub sources: Vec<PathBuf>,
    /// `-C`
    pub directory: Option<PathBuf>,
    /// `-D`
    pub daemon: bool,
    /// `-db`
    pub foreground: bool,
    /// `-d`
    pub debug: bool,
    /// `-W`, `-Ws`
    pub master_worker: bool,
    /// `-Ws`
    pub systemd: bool,
    /// `-q`
    pub quiet: bool,
    /// `-V`: reverts `-q` and `quiet`.
    pub verbose: bool,
    /// `-p`
    pub pidfile: Option<PathBuf>,
    /// `-n`: wins over the file's global maxconn.
    pub maxconn: Option<u32>,
    /// `-N`: per-proxy maxconn for proxies that set none.
    pub proxy_maxconn: Option<u32>,
    /// `-L`
    pub local_peer: Option<String>,
    /// `-dr`: servers whose name does not resolve start without an address.
    pub ignore_unresolved: bool,
    /// `-dS`
    pub no_splice: bool,
    /// `-dR`
    pub no_reuse_port: bool,
    /// `-dW`
    pub warnings_are_fatal: bool,
    /// `-dD`
    pub diagnostics: bool,
    pub old_processes: OldProcesses,
    /// The pids of `-sf`/`-st`; HAProxy's last one decides the signal.
    pub old_pids: Vec<i32>,
    pub without_effect: Vec<WithoutEffect>,
}

/// The arguments cannot be understood: the banner and the usage go to stderr and the exit code is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    /// What is wrong, one line. Empty when there were no arguments at all.
    pub text: String,
}

impl UsageError {
    fn new(text: impl Into<String>) -> Self {
        UsageError { text: text.into() }
    }
}

/// Options without an argument of their own that change nothing here.
const WITHOUT_EFFECT: [(&str, &str); 12] = [
    ("-de", "io_uring is preferred by itself and epoll is the only other engine"),
    ("-dp", "poll() is never used"),
    ("-dk", "kqueue is not on Linux"),
    ("-dG", "names are resolved by the system resolver only"),
    ("-dV", "TLS to servers is not there yet"),
    ("-dT", "kernel TLS is not there yet"),
    ("-dZ", "copying or splicing is chosen per direction; -dS turns splicing off"),
    ("-dF", "there is no separate fast path to turn off"),
    ("-dI", "no external process is ever started"),
    ("-dL", "the binary loads no objects at run time"),
    ("-dc", "CPU placement is what the start-up line says"),
    ("-4", "use an IPv4 address or an ipv4@ prefix in the configuration"),
];

/// The same for options whose argument is glued on.
const WITHOUT_EFFECT_PREFIXES: [(&str, &str); 5] = [
    ("-dM", "memory is never used before it is initialised"),
    ("-dA", "the binary loads no objects at run time"),
    ("-dK", "--support-matrix prints the keyword table"),
    ("-dC", "the configuration is not printed back"),
    ("-dt", "traces are not there yet"),
];

/// Parses `arguments`, the first of which is the program's name.
///
/// # Errors
/// No arguments, an unknown option, an option without its argument, a stray word, a number that is none, or no
/// configuration file where one is needed.
pub fn parse<I: IntoIterator<Item = String>>(arguments: I) -> Result<CommandLine, UsageError> {
    let mut arguments = arguments.into_iter().peekable();
    let mut parsed = CommandLine::of(arguments.next().unwrap_or_else(|| "ringway".to_owned()));
    if arguments.peek().is_none() {
        return Err(UsageError::new(""));
    }
    while let Some(option) = arguments.next() {
        let mut argument = || arguments.next().ok_or_else(|| UsageError::new(format!("'{option}' needs an argument")));
        match option.as_str() {
            "-f" => parsed.sources.push(argument()?.into()),
            "-C" => parsed.directory = Some(argument()?.into()),
            "-p" => parsed.pidfile = Some(argument()?.into()),
            "-L" => parsed.local_peer = Some(argument()?),
            "-n" => parsed.maxconn = positive(&option, &argument()?)?,
            "-N" => parsed.proxy_maxconn = positive(&option, &argument()?)?,
            "-cc" => parsed.action = Action::Condition(argument()?),
            "-m" => {
                let megabytes = argument()?;
                positive(&option, &megabytes)?;
                parsed.ignore(
                    format!("-m {megabytes}"),
                    "memory is bounded by maxconn and the buffer sizes; use the unit's MemoryMax= for a hard limit",
                );
            }
            "-S" => {
                let address = argument()?;
                parsed.ignore(format!("-S {address}"), "there is no separate master process; use `stats socket`");
            }
            "-x" => {
                // `-x /dev/null` is how HAProxy's own scripts say "no transfer": nothing to mention.
                let path = argument()?;
                if path != "/dev/null" {
                    parsed.ignore(
                        format!("-x {path}"),
                        "listeners are bound anew beside the old process's (SO_REUSEPORT), none is taken over",
                    );
                }
            }
            "-sf" | "-st" => {
                parsed.old_processes = if option == "-sf" { OldProcesses::Finish } else { OldProcesses::Terminate };
                while let Some(pid) = arguments.next_if(|word| !word.starts_with('-')) {
                    // A shell hands over "$(cat pidfile)" quoted as often as not.
                    for pid in pid.split_whitespace() {
                        parsed.old_pids.push(pid_of(&option, pid)?);
                    }
                }
            }
            "--" => parsed.sources.extend(arguments.by_ref().map(PathBuf::from)),
            "--support-matrix" => parsed.action = Action::SupportMatrix,
            "-c" => parsed.action = Action::Check,
            "-D" => parsed.daemon = true,
            "-W" => parsed.master_worker = true,
            "-Ws" => (parsed.master_worker, parsed.systemd) = (true, true),
            "-q" => parsed.quiet = true,
            "-V" => parsed.verbose = true,
            "-d" => parsed.debug = true,
            "-db" => parsed.foreground = true,
            "-dr" => parsed.ignore_unresolved = true,
            "-dS" => parsed.no_splice = true,
            "-dR" => parsed.no_reuse_port = true,
            "-dW" => parsed.warnings_are_fatal = true,
            "-dD" => parsed.diagnostics = true,
            other => parsed.less_common(other)?,
        }
        // HAProxy answers these at once, whatever follows.
        if matches!(
            parsed.action,
            Action::Version | Action::BuildReport | Action::BareVersion | Action::BareBranch | Action::SupportMatrix
        ) {
            return Ok(parsed);
        }
    }
    if parsed.sources.is_empty() && matches!(parsed.action, Action::Check | Action::Run) {
        return Err(UsageError::new("no configuration file: give one with -f"));
    }
    Ok(parsed)
}

impl CommandLine {
    fn of(program: String) -> Self {
        CommandLine {
            program,
            action: Action::Run,
            sources: Vec::new(),
            directory: None,
            daemon: false,
            foreground: false,
            debug: false,
            master_worker: false,
            systemd: false,
            quiet: false,
            verbose: false,
            pidfile: None,
            maxconn: None,
            proxy_maxconn: None,
            local_peer: None,
            ignore_unresolved: false,
            no_splice: false,
            no_reuse_port: false,
            warnings_are_fatal: false,
            diagnostics: false,
            old_processes: OldProcesses::Finish,
            old_pids: Vec::new(),
            without_effect: Vec::new(),
        }
    }

    /// What HAProxy calls itself in messages of its main function: `[haproxy.main()] …`.
    pub fn main_function(&self) -> String {
        format!("[{}.main()]", self.program)
    }

    fn ignore(&mut self, option: String, why: &'static str) {
        self.without_effect.push(WithoutEffect { option, why });
    }

    fn less_common(&mut self, option: &str) -> Result<(), UsageError> {
        if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(name, _)| *name == option) {
            self.ignore(option.to_owned(), why);
            return Ok(());
        }
        if let Some((_, why)) = WITHOUT_EFFECT_PREFIXES.iter().find(|(prefix, _)| option.starts_with(prefix)) {
            self.ignore(option.to_owned(), why);
            return Ok(());
        }
        self.action = match option {
            "-vv" => Action::BuildReport,
            "-vq" | "-vqs" => Action::BareVersion,
            "-vqb" => Action::BareBranch,
            // HAProxy looks at the letter after the v only for the reports it knows.
            version if version.starts_with("-v") => Action::Version,
            word if word.starts_with('-') => return Err(UsageError::new(format!("unknown option '{word}'"))),
            word => {
                return Err(UsageError::new(format!("unexpected word '{word}': files are given with -f or after --")));
            }
        };
        Ok(())
    }
}

/// A count: 0 or less is HAProxy's "not given".
fn positive(option: &str, text: &str) -> Result<Option<u32>, UsageError> {
    let number: i64 = text.parse().map_err(|_| UsageError::new(format!("'{option}' needs a number, not '{text}'")))?;
    Ok(u32::try_from(number).ok().filter(|number| *number > 0))
}

fn pid_of(option: &str, text: &str) -> Result<i32, UsageError> {
    // 0 and negative numbers would signal whole process groups.
    text.parse()
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| UsageError::new(format!("'{option}': '{text}' is not a pid")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse_words(words: &str) -> Result<CommandLine, UsageError> {
        parse(std::iter::once("haproxy".to_owned()).chain(words.split_whitespace().map(str::to_owned)))
    }

    #[test]
    fn files_come_in_the_order_given() {
        let parsed = parse_words("-f a -D -f b -- c -d").unwrap();
        let names: Vec<_> = parsed.sources.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["a", "b", "c", "-d"]);
        assert!(parsed.daemon && !parsed.debug);
        assert_eq!(parsed.action, Action::Run);
    }

    #[test]
    fn the_units_of_debian_are_understood() {
        let start =
            parse_words("-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock").unwrap();
        assert!(start.master_worker && start.systemd);
        assert_eq!(start.without_effect.len(), 1);
        let reload = parse_words("-Ws -f a.cfg -c -q -S /run/haproxy-master.sock").unwrap();
        assert_eq!(reload.action, Action::Check);
        assert!(reload.quiet);
    }

    #[test]
    fn old_pids_end_at_the_next_option() {
        let parsed = parse_words("-f a -sf 12 34 -D").unwrap();
        assert_eq!((parsed.old_pids, parsed.old_processes), (vec![12, 34], OldProcesses::Finish));
        assert!(parsed.daemon);
        assert_eq!(parse_words("-f a -st").unwrap().old_pids, Vec::<i32>::new());
        assert_eq!(parse_words("-f a -st 1").unwrap().old_processes, OldProcesses::Terminate);
        let quoted = parse(["haproxy", "-f", "a", "-sf", "1 2\n"].map(str::to_owned)).unwrap();
        assert_eq!(quoted.old_pids, [1, 2]);
        assert!(parse_words("-f a -sf 0").is_err());
        assert!(parse_words("-f a -sf x").is_err());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for words in ["", "-Z", "--help", "-f", "-f a stray", "-c", "-D", "-f a -n many", "-cc", "-cx"] {
            assert!(parse_words(words).is_err(), "{words}");
        }
    }

    #[test]
    fn version_reports() {
        assert_eq!(parse_words("-v").unwrap().action, Action::Version);
        assert_eq!(parse_words("-v -Z").unwrap().action, Action::Version);
        assert_eq!(parse_words("-vv").unwrap().action, Action::BuildReport);
        assert_eq!(parse_words("-vq").unwrap().action, Action::BareVersion);
        assert_eq!(parse_words("-vqs").unwrap().action, Action::BareVersion);
        assert_eq!(parse_words("-vqb").unwrap().action, Action::BareBranch);
        assert_eq!(parse_words("-f a -vx").unwrap().action, Action::Version);
    }

    #[test]
    fn options_without_effect_say_why() {
        let parsed = parse_words("-f a -dM0x50,no-merge -de -dp -m 100 -x /dev/null -x /run/s -4 -dKall").unwrap();
        let options: Vec<_> = parsed.without_effect.iter().map(|option| option.option.as_str()).collect();
        assert_eq!(options, ["-dM0x50,no-merge", "-de", "-dp", "-m 100", "-x /run/s", "-4", "-dKall"]);
        assert!(parsed.without_effect.iter().all(|option| !option.why.is_empty()));
    }

    #[test]
    fn zero_is_not_a_limit() {
        assert_eq!(parse_words("-f a -n 0").unwrap().maxconn, None);
        assert_eq!(parse_words("-f a -n 500").unwrap().maxconn, Some(500));
        assert_eq!(parse_words("-f a -N -1").unwrap().proxy_maxconn, None);
    }

    proptest! {
        /// Nothing typed makes the parser panic, and what it accepts to run has a file.
        #[test]
        fn any_words(words in proptest::collection::vec("-?[a-zA-Z0-9,/=]{0,5}", 0..12)) {
            let line = std::iter::once("haproxy".to_owned()).chain(words);
            if let Ok(parsed) = parse(line) {
                prop_assert!(!matches!(parsed.action, Action::Run | Action::Check) || !parsed.sources.is_empty());
                prop_assert!(parsed.old_pids.iter().all(|pid| *pid > 0));
            }
        }
    }
}
