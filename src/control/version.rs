//! What `-v`, `-vv` and a misunderstood command line print. Scripts and packages read these: the first line and the
//! blocks are laid out as HAProxy's (operations.md section 1), what they say is true of this program.

use super::engine;
use crate::config::condition::{FEATURES, LANGUAGE_VERSION};
use std::fmt::Write as _;

/// The HAProxy whose configuration language and reports this program speaks: what tools that compare versions compare,
/// and what `version_atleast()` sees.
pub const COMPATIBLE_VERSION: &str = LANGUAGE_VERSION;

/// Its branch, `X.Y`.
pub fn compatible_branch() -> &'static str {
    COMPATIBLE_VERSION.rsplit_once('.').map_or(COMPATIBLE_VERSION, |(branch, _)| branch)
}

/// Our own name and version.
pub const OWN_NAME: &str = concat!("Ringway ", env!("CARGO_PKG_VERSION"));

/// The lines of `-v`.
pub fn banner() -> String {
    format!(
        "HAProxy version {COMPATIBLE_VERSION} - spoken by the program that the next line names\n\
         {OWN_NAME} - reads the configuration language of HAProxy 1.8 to 3.4\n\
         Status: TCP mode is complete, HTTP mode serves the statistics page only.\n\
         Running on: {}\n",
        system()
    )
}

/// Name, release, version and machine of the running kernel, as `uname -srvm` has them.
fn system() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| {
            let parts = [name.sysname(), name.release(), name.version(), name.machine()];
            parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
        },
    )
}

/// What HAProxy has a name for and this program has not. What it has is [`FEATURES`], which `feature()` reads, too.
const MISSING: [&str; 12] =
    ["KQUEUE", "LUA", "NS", "OPENSSL", "OT", "PCRE", "PCRE2", "PROMEX", "QUIC", "SLZ", "WURFL", "ZLIB"];

/// The lines of `-vv`: the banner, then HAProxy's blocks.
pub fn build_report() -> String {
    let mut report = banner();
    let cpus = crate::sys::affinity::allowed_cpus().len();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let _ = writeln!(report, "Build options :");
    let _ = writeln!(
        report,
        "  TARGET  = {}-{}",
        std::env::consts::OS,
        if cfg!(target_env = "musl") { "musl" } else { "glibc" }
    );
    let _ = writeln!(report, "  CPU     = {}", std::env::consts::ARCH);
    let _ = writeln!(report, "  CC      = rustc, at least {}", env!("CARGO_PKG_RUST_VERSION"));
    let _ = writeln!(report, "  CFLAGS  = {profile} profile");
    let _ = write!(report, "\nFeature list :");
    let missing = MISSING.iter().filter(|feature| !FEATURES.contains(feature));
    let mut features: Vec<_> =
        FEATURES.iter().map(|feature| ('+', feature)).chain(missing.map(|feature| ('-', feature))).collect();
    features.sort_unstable_by_key(|(_, feature)| *feature);
    for (sign, feature) in features {
        let _ = write!(report, " {sign}{feature}");
    }
    let _ = writeln!(report, "\n\nDefault settings :\n  bufsize = 16384, maxrewrite = 1024, maxpollevents = 1024\n");
    let _ = writeln!(report, "Built with multi-threading support (one worker per CPU, default={cpus}).");
    let _ = writeln!(report, "Built with transparent proxy support using: IP_TRANSPARENT IPV6_TRANSPARENT");
    let _ = writeln!(report, "Built without TLS, Lua, compression, tracing and the Prometheus exporter.");
    report.push_str(&engines());
    let _ = writeln!(report, "\nAvailable multiplexer protocols :");
    let _ = writeln!(report, "(protocols marked as <default> cannot be specified using 'proto' keyword)");
    let _ = writeln!(report, "  <default> : mode=TCP   side=FE|BE  mux=PASS  flags=");
    let _ = writeln!(report, "  <default> : mode=HTTP  side=FE     mux=H1    flags=");
    let _ = writeln!(report, "\nAvailable services : none");
    let _ = writeln!(report, "Available filters : none");
    report
}

/// The block of `-vv` that says which engines work here; it tries each.
pub fn engines() -> String {
    let mut report = String::new();
    let _ = writeln!(report, "\nAvailable polling systems :");
    let engines = engine::test_all();
    for (name, preference, outcome) in &engines {
        let outcome = match outcome {
            Ok(()) => "OK".to_owned(),
            Err(reason) => format!("FAILED ({reason})"),
        };
        let _ = writeln!(report, "{name:>11} : pref={preference},  test result {outcome}");
    }
    let usable: Vec<_> = engines.iter().filter(|(_, _, outcome)| outcome.is_ok()).map(|(name, _, _)| *name).collect();
    let _ = writeln!(
        report,
        "Total: {} ({} usable), will use {}.",
        engines.len(),
        usable.len(),
        usable.first().unwrap_or(&"none")
    );
    report
}

/// How to call the program, for whoever called it otherwise.
pub fn usage(program: &str) -> String {
    format!(
        "Usage : {program} -f <file or directory> [more options] [-- <files>]\n\
         \n\
         What to do:\n\
         \x20       -f <path>     load this file, or the *.cfg files of this directory; may be repeated\n\
         \x20       -- <paths>    everything that follows is a file or directory to load\n\
         \x20       -c            check the configuration and exit: 0 valid, 1 errors, 2 nothing to listen on\n\
         \x20       -cc <cond>    evaluate the condition of an .if line and exit: 0 true, 1 false, 2 error\n\
         \x20       -v, -vv       show the version, or the whole report on this build; -vq the number alone\n\
         \x20       doctor -f <path>  predict what breaks first at maxconn on this machine (`doctor --help`)\n\
         \x20       --support-matrix  list every keyword and whether it is supported, as Markdown\n\
         How to run:\n\
         \x20       -D            in the background; -db keep the foreground; -d the foreground, with engine details\n\
         \x20       -W, -Ws       under a service manager; -Ws tells systemd when it serves\n\
         \x20       -C <dir>      change to this directory first\n\
         \x20       -p <file>     write the process id there (-D, -W)\n\
         \x20       -q, -V        print nothing; print in spite of 'quiet'\n\
         \x20       -sf, -st [pid]*  once it serves, have these processes finish or terminate\n\
         Limits and switches:\n\
         \x20       -n <number>   global maxconn, whatever the file says\n\
         \x20       -N <number>   maxconn of frontends that set none\n\
         \x20       -L <name>     local peer name, $HAPROXY_LOCALPEER in the file\n\
         \x20       -dS           never splice\n\
         \x20       -dR           one listening socket for all workers (no SO_REUSEPORT)\n\
         \x20       -dr           start with server names that do not resolve\n\
         \x20       -dW           refuse to start on warnings\n\
         \x20       -dD           mention what looks suspicious, too\n\
         Accepted for HAProxy's sake, without effect: -m -S -x -4 -de -dp -dk -dG -dV -dT -dZ -dF -dI -dL -dc -dM -dA -dK\n\
         \x20       -dC -dt\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_find_the_version() {
        let banner = banner();
        let first = banner.lines().next().unwrap();
        let number = first.strip_prefix("HAProxy version ").unwrap().split(' ').next().unwrap();
        assert_eq!(number, COMPATIBLE_VERSION);
        assert_eq!(number.split('.').filter_map(|part| part.parse::<u32>().ok()).count(), 3);
        assert!(number.starts_with(compatible_branch()));
        assert!(banner.lines().nth(1).unwrap().starts_with(OWN_NAME));
    }

    #[test]
    fn every_option_is_in_the_usage() {
        let usage = usage("haproxy");
        for option in ["-f", "-c", "-cc", "-D", "-db", "-Ws", "-sf", "-st", "-dM", "-dC", "-4", "-x", "-m", "-N", "-L"]
        {
            assert!(usage.contains(&format!("{option} ")) || usage.contains(&format!("{option},")), "{option}");
        }
    }
}
