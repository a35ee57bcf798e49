//! The command line against the installed HAProxy: exit codes, and what goes to stdout, for the same arguments and
//! files. Without a `haproxy` the comparisons are left out loudly; what must hold anyway is checked in any case.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RINGWAY: &str = env!("CARGO_BIN_EXE_ringway");

const VALID: &str = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nlisten a\n  bind 127.0.0.1:19999\n  server s 127.0.0.1:1\n";
const NO_LISTENER: &str = "global\n  maxconn 100\n";
const WARNED: &str =
    "global\n  maxconn 100\ndefaults\n  mode tcp\nlisten a\n  bind 127.0.0.1:19999\n  server s 127.0.0.1:1\n";
const UNKNOWN_WORD: &str = "global\n  maxconn 100\nlisten a\n  bind 127.0.0.1:19999\n  balnce roundrobin\n";
const OUT_OF_SECTION: &str = "maxconn 100\n";

/// A folder with the files above in it.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [
            ("valid.cfg", VALID),
            ("no_listener.cfg", NO_LISTENER),
            ("warned.cfg", WARNED),
            ("unknown_word.cfg", UNKNOWN_WORD),
            ("out_of_section.cfg", OUT_OF_SECTION),
            ("comment.cfg", "# nothing here\n"),
        ] {
            std::fs::write(folder.path().join(name), text).expect("a file in it");
        }
        Files { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, program: &str, arguments: &str) -> Output {
        Command::new(program)
            .args(arguments.split_whitespace())
            .current_dir(self.path())
            .output()
            .unwrap_or_else(|error| panic!("{program} {arguments}: {error}"))
    }
}

fn haproxy() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("haproxy"))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no haproxy installed, nothing to compare with");
    }
    found
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn checks_end_as_haproxys() {
    let Some(haproxy) = haproxy() else { return };
    let files = Files::new();
    for arguments in [
        "-c -f valid.cfg",
        "-c -V -f valid.cfg",
        "-c -q -f valid.cfg",
        "-c -q -V -f valid.cfg",
        "-c -f warned.cfg",
        "-c -q -f warned.cfg",
        "-c -dW -f warned.cfg",
        "-c -dW -f valid.cfg",
        "-c -f no_listener.cfg",
        "-c -q -f no_listener.cfg",
        "-c -f unknown_word.cfg",
        "-c -q -f unknown_word.cfg",
        "-c -f out_of_section.cfg",
        "-c -f missing.cfg",
        "-c -f valid.cfg -f missing.cfg",
        "-c -f valid.cfg -f comment.cfg",
        "-c -f comment.cfg",
        "-c -- valid.cfg",
        "-c -f valid.cfg -sf",
        "-c -f valid.cfg -sf 1 2 -D",
        "-c -Ws -q -f valid.cfg",
        "-f no_listener.cfg",
    ] {
        let theirs = files.run(haproxy.to_str().expect("a path in UTF-8"), arguments);
        let ours = files.run(RINGWAY, arguments);
        assert_eq!(ours.status.code(), theirs.status.code(), "{arguments}\n{}", stderr(&ours));
        assert_eq!(stdout(&ours), stdout(&theirs), "{arguments}");
        // Nothing to say in the one is nothing to say in the other.
        assert_eq!(
            ours.stderr.is_empty(),
            theirs.stderr.is_empty(),
            "{arguments}\n{}{}",
            stderr(&ours),
            stderr(&theirs)
        );
    }
}

#[test]
fn conditions_end_as_haproxys() {
    let Some(haproxy) = haproxy() else { return };
    let files = Files::new();
    for condition in [
        "1",
        "0",
        "",
        "streq(a,a)",
        "streq(a,b)",
        "strneq(a,b)",
        "!streq(a,b)",
        "defined(PATH)",
        "defined(NO_SUCH_THING)",
        "version_atleast(2.0)",
        "version_atleast(99.0)",
        "feature(EPOLL)",
        "feature(KQUEUE)",
        "nonsense(",
        "streq(a",
        "nonsense(a)",
        "1&&0",
        "1||0",
        "(1)",
    ] {
        let run = |program: &Path| {
            let output = Command::new(program).args(["-cc", condition]).current_dir(files.path()).output();
            output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
        };
        let (theirs, ours) = (run(&haproxy), run(Path::new(RINGWAY)));
        assert_eq!(ours.status.code(), theirs.status.code(), "-cc {condition:?}\n{}", stderr(&ours));
        assert_eq!(stdout(&ours), stdout(&theirs), "-cc {condition:?}");
    }
}

#[test]
fn misunderstood_options_end_as_haproxys() {
    let Some(haproxy) = haproxy() else { return };
    let files = Files::new();
    for arguments in ["", "-Z", "--help", "-hello", "-cx", "-c", "-D", "-f", "-n", "-sf", "-f valid.cfg stray", "-cc"] {
        let theirs = files.run(haproxy.to_str().expect("a path in UTF-8"), arguments);
        let ours = files.run(RINGWAY, arguments);
        assert_eq!((ours.status.code(), theirs.status.code()), (Some(1), Some(1)), "{arguments:?}");
        // Since HAProxy 3.0 the banner goes where the usage goes; the installed one may still have it on stdout.
        assert!(ours.stdout.is_empty(), "{arguments:?}: {}", stdout(&ours));
        assert!(stderr(&ours).starts_with("HAProxy version ") && stderr(&ours).contains("Usage : "), "{arguments:?}");
    }
}

#[test]
fn versions_are_found_where_tools_look() {
    let files = Files::new();
    let first_line = |program: &str| stdout(&files.run(program, "-v")).lines().next().unwrap_or_default().to_owned();
    let number = |line: &str| {
        let rest = line.strip_prefix("HAProxy version ").or_else(|| line.strip_prefix("HA-Proxy version "));
        let number = rest.expect("the product's name").split([' ', '-']).next().unwrap_or_default();
        assert_eq!(number.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{line}");
        number.to_owned()
    };
    let ours = number(&first_line(RINGWAY));
    assert!(stdout(&files.run(RINGWAY, "-v")).contains(concat!("Ringway ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(stdout(&files.run(RINGWAY, "-vq")), format!("{ours}\n"));
    let report = stdout(&files.run(RINGWAY, "-vv"));
    let mut blocks = vec!["Build options :", "Feature list :", "Default settings :", "Available polling systems :"];
    if let Some(haproxy) = haproxy() {
        let haproxy = haproxy.to_str().expect("a path in UTF-8");
        number(&first_line(haproxy));
        let theirs = stdout(&files.run(haproxy, "-vv"));
        blocks.retain(|block| {
            assert!(theirs.contains(block), "HAProxy has no block {block:?}");
            true
        });
    }
    for block in blocks {
        assert!(report.contains(block), "{block:?} is not in\n{report}");
    }
    assert!(report.contains(" usable), will use "), "{report}");
}

#[test]
fn bind_failures_are_said_as_haproxy_says_them() {
    let files = Files::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address");
    std::fs::write(files.path().join("taken.cfg"), VALID.replace("127.0.0.1:19999", &address.to_string()))
        .expect("a file");
    let last_lines = |program: &str| {
        let output = files.run(program, "-f taken.cfg");
        assert_eq!(output.status.code(), Some(1), "{program}");
        let text = stderr(&output);
        let alerts = text.lines().filter_map(|line| line.strip_prefix("[ALERT]")?.split_once(") : "));
        alerts.map(|(_, text)| text.replace("ringway", "haproxy").replace(RINGWAY, "haproxy")).collect::<Vec<_>>()
    };
    let ours = last_lines(RINGWAY);
    let said =
        format!("Binding [taken.cfg:9] for proxy a: cannot bind socket (Address already in use) for [{address}]");
    assert_eq!(ours[0], said);
    assert_eq!(ours.len(), 2, "each address once, however many workers: {ours:?}");
    if let Some(haproxy) = haproxy() {
        let theirs = last_lines(haproxy.to_str().expect("a path in UTF-8"));
        assert_eq!(ours[0], theirs[0]);
        let rest = |line: &str| line.split_once("] ").map(|(_, rest)| rest.to_owned());
        assert_eq!(rest(&ours[1]), rest(&theirs[1]));
    }
}
