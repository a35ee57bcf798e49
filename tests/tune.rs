//! `scripts/tune` on a kernel of its own as far as there is one: a network namespace, with settings that belong to it.

use nix::sched::{CloneFlags, setns};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tune")
}

/// A network namespace; deleted when dropped.
struct Namespace {
    name: String,
    folder: tempfile::TempDir,
}

impl Namespace {
    /// None, said loudly, without the right to make one.
    fn new(purpose: &str) -> Option<Namespace> {
        let name = format!("ringway-tune-{purpose}-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).stderr(Stdio::null()).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no network namespace can be made here");
            return None;
        }
        Some(Namespace { name, folder: tempfile::tempdir().expect("a folder") })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = Command::new("ip").args(["netns", "exec", &self.name, program]).args(arguments).output();
        output.unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("kept/tune.state")
    }

    /// Only what belongs to the namespace: `fs` and `kernel` are the host's.
    fn tune(&self, arguments: &[&str]) -> Output {
        let state = self.state();
        let mut all: Vec<&str> = arguments.to_vec();
        all.extend(["--state", state.to_str().expect("a path in UTF-8")]);
        if arguments[0] != "revert" {
            all.extend(["--only", "net."]);
        }
        self.run(script().to_str().expect("a path in UTF-8"), &all)
    }

    fn get(&self, name: &str) -> String {
        let output = self.run("cat", &[&format!("/proc/sys/{}", name.replace('.', "/"))]);
        assert!(output.status.success(), "{name}");
        text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn set(&self, name: &str, value: &str) {
        let command = format!("echo '{value}' > /proc/sys/{}", name.replace('.', "/"));
        assert!(self.run("sh", &["-c", &command]).status.success(), "{name}={value}");
    }

    /// Sockets that listen in there.
    fn listen(&self, ports: &[u16]) -> Vec<TcpListener> {
        let path = format!("/run/netns/{}", self.name);
        thread::scope(|scope| {
            // A thread of its own: entering a network is for the rest of its life.
            let enter = scope.spawn(|| {
                let network = fs::File::open(&path).expect("the namespace");
                setns(network, CloneFlags::CLONE_NEWNET).expect("entered");
                ports.iter().map(|port| TcpListener::bind(("0.0.0.0", *port)).expect("a socket")).collect()
            });
            enter.join().expect("sockets")
        })
    }

    /// Every setting of the namespace's network.
    fn all(&self) -> String {
        // Some figures of /proc/sys/net count and change by themselves.
        let find = "find /proc/sys/net -type f -perm -u=rw ! -name flush ! -name nf_conntrack_count | sort | \
                    while read -r name; do printf '%s=' \"$name\"; tr '\\n\\t' '  ' <\"$name\" 2>/dev/null; echo; done";
        let output = self.run("sh", &["-c", find]);
        let all = text(&output.stdout);
        assert!(all.lines().count() > 100, "{all}");
        all
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_is_applied_is_put_back() {
    let Some(space) = Namespace::new("back") else { return };
    space.set("net.ipv4.ip_local_port_range", "33000 50000");
    space.set("net.ipv4.ip_local_reserved_ports", "20000,20002-20004");
    let before = space.all();

    let shown = said(&space.tune(&["show", "--profile", "web"]));
    assert!(shown.contains("33000 50000 -> 10240 65535"), "{shown}");
    assert_eq!(space.all(), before, "show changes nothing");
    assert!(!space.state().exists());

    let applied = said(&space.tune(&["apply", "--profile", "web"]));
    assert_eq!(space.get("net.ipv4.ip_local_port_range"), "10240 65535", "{applied}");
    assert_eq!(space.get("net.ipv4.tcp_tw_reuse"), "1");
    assert_eq!(space.get("net.ipv4.ip_local_reserved_ports"), "20000,20002-20004");
    let tuned = space.all();
    let kept = fs::read_to_string(space.state()).expect("a state file");
    let changed: Vec<&str> = kept.lines().filter_map(|line| line.split('\t').next()).collect();
    let differing = before.lines().zip(tuned.lines()).filter(|(before, after)| before != after).count();
    assert_eq!(differing, changed.len(), "nothing else was touched: {kept}");

    let again = said(&space.tune(&["apply", "--profile", "web"]));
    assert!(again.contains("nothing to change"), "{again}");
    assert_eq!(fs::read_to_string(space.state()).expect("a state file"), kept);
    assert!(!said(&space.tune(&["show", "--profile", "web"])).contains("change "));

    said(&space.tune(&["revert"]));
    assert_eq!(space.all(), before);
    assert!(!space.state().exists());
    assert!(said(&space.tune(&["revert"])).contains("nothing was applied"));
}

#[test]
fn the_first_value_is_the_one_to_go_back_to() {
    let Some(space) = Namespace::new("first") else { return };
    let name = "net.ipv4.tcp_tw_reuse";
    let before = space.all();
    said(&space.tune(&["apply"]));
    // Another profile on top, and a setting that somebody took away in between.
    space.set("net.core.somaxconn", "100");
    said(&space.tune(&["apply", "--profile", "web"]));
    assert_eq!((space.get(name).as_str(), space.get("net.core.somaxconn").as_str()), ("1", "65535"));
    said(&space.tune(&["revert"]));
    assert_eq!(space.all(), before);
}

#[test]
fn what_somebody_else_has_set_is_left_alone() {
    let Some(space) = Namespace::new("other") else { return };
    let before = space.get("net.core.somaxconn");
    space.set("net.ipv4.tcp_max_syn_backlog", "100000");
    said(&space.tune(&["apply"]));
    assert_eq!(space.get("net.ipv4.tcp_max_syn_backlog"), "100000", "figures are never lowered");
    space.set("net.core.somaxconn", "5000");
    let kept = space.tune(&["revert"]);
    assert_eq!(kept.status.code(), Some(1));
    assert!(text(&kept.stderr).contains("kept    net.core.somaxconn: is '5000'"), "{}", text(&kept.stderr));
    assert_eq!(space.get("net.core.somaxconn"), "5000");
    assert_ne!(space.get("net.ipv4.ip_local_port_range"), "10240 65535", "the others are back");
    said(&space.tune(&["revert", "--force"]));
    assert_eq!(space.get("net.core.somaxconn"), before);
}

#[test]
fn ports_that_are_listened_on_are_reserved() {
    let Some(space) = Namespace::new("ports") else { return };
    let held = space.listen(&[9999, 18083, 18084, 20000]);
    space.set("net.ipv4.ip_local_reserved_ports", "18085");
    said(&space.tune(&["apply"]));
    assert_eq!(space.get("net.ipv4.ip_local_reserved_ports"), "18083-18085,20000");
    drop(held);
    // Nobody listens any more, and still nothing of it is forgotten or taken away.
    assert!(said(&space.tune(&["apply"])).contains("nothing to change"));
    said(&space.tune(&["revert"]));
    assert_eq!(space.get("net.ipv4.ip_local_reserved_ports"), "18085");
}

#[test]
fn mistakes_are_told() {
    for arguments in [&["tune"][..], &[], &["apply", "--profile", "fast"], &["apply", "--only"], &["show", "x"]] {
        let output = Command::new(script()).args(arguments).output().expect("bash");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("scripts/tune show"), "{}", text(&output.stderr));
    }
    let help = Command::new(script()).arg("help").output().expect("bash");
    assert!(help.status.success() && text(&help.stdout).contains("--profile"));
}

/// What is applied for this boot is what the files keep for the next.
#[test]
fn the_files_in_configs_say_the_same() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sysctl.d/ringway.conf");
    let written = fs::read_to_string(&file).expect("configs/sysctl.d/ringway.conf");
    let script = fs::read_to_string(script()).expect("scripts/tune");
    let (table, _) = script.split_once("    case $profile in").expect("the profiles");
    let rows = table.lines().filter_map(|line| {
        let mut cells = line.split('|');
        Some((cells.next()?, cells.next()?, cells.next()?))
    });
    let mut count = 0;
    for (name, value, rule) in rows.filter(|(name, _, _)| name.contains('.') && !name.contains(' ')) {
        // Which ports are listened on is known on the machine only.
        if rule == "ports" {
            continue;
        }
        count += 1;
        let line = written.lines().find_map(|line| line.trim_start_matches(['#', '-']).trim().strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing in configs/sysctl.d/ringway.conf"));
        assert_eq!(line.trim_start_matches([' ', '=']).trim(), value, "{name}");
    }
    assert!(count >= 7, "{count}");
}
