//! `ringway doctor`: what it says of files and machines, and that what it predicts is what then happens.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::*;

const RINGWAY: &str = env!("CARGO_BIN_EXE_ringway");
const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");

on_each_engine!(the_descriptors_it_predicts_are_those_it_serves);

fn doctor(arguments: &[&str]) -> Output {
    Command::new(RINGWAY).arg("doctor").args(arguments).output().expect("it runs")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{}", stderr(output)))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn finding<'a>(report: &'a Value, subject: &str) -> Option<&'a Value> {
    report["findings"].as_array()?.iter().find(|finding| finding["subject"] == subject)
}

fn file(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("proxy.cfg");
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn service(global: &str, port: u16) -> String {
    format!(
        "global\n{global}\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout client 10m\n  timeout server 10m\n\
         listen px\n  bind 127.0.0.1:{port}\n  server s1 127.0.0.1:1\n"
    )
}

#[test]
fn the_tutorials_files_get_an_opinion() {
    for name in ["mqtt", "web", "mqtt-and-web"] {
        let path = format!("{CONFIGS}/{name}.cfg");
        let text = doctor(&["-f", &path]);
        let report = json(&doctor(&["--json", "-f", &path]));
        let code = text.status.code();
        assert!(matches!(code, Some(0 | 2)), "{name}: {}{}", stdout(&text), stderr(&text));
        assert_eq!(report["exit_code"].as_i64(), code.map(i64::from), "{name}");
        assert_eq!(report["breaks_first"].is_null(), code == Some(0), "{name}");
        let verdict = if code == Some(0) { "Nothing breaks at maxconn" } else { "What breaks first: " };
        assert!(stdout(&text).contains(verdict), "{}", stdout(&text));
        // Everything that breaks or may break comes with what to do.
        let findings = report["findings"].as_array().expect("findings");
        assert!(findings.iter().all(|finding| finding["severity"] == "hint" || !finding["fix"].is_null()), "{report}");
        assert_eq!(stderr(&text), "", "{name}");
    }
    let report = json(&doctor(&["-f", &format!("{CONFIGS}/mqtt.cfg"), "--json"]));
    assert_eq!((report["maxconn"].as_u64(), report["workers"].as_u64()), (Some(51_200), Some(2)));
}

#[test]
fn exit_codes() {
    let folder = TempDir::new().expect("a folder");
    let good = file(&folder, &service("  maxconn 10\n  nbthread 1", ports::free_port()));
    assert_eq!(doctor(&["-f", &good]).status.code(), Some(0), "{}", stdout(&doctor(&["-f", &good])));
    // No machine has this much of everything.
    let huge = doctor(&["-f", &good, "-n", "4000000000"]);
    assert_eq!(huge.status.code(), Some(2), "{}", stdout(&huge));
    let bad = file(&folder, "global\n  maxcon 10\n");
    let refused = doctor(&["-f", &bad]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    assert!(stderr(&refused).contains("maxcon"), "{}", stderr(&refused));
    for mistake in [&[][..], &["-f"], &["-Z"], &["--json"], &["stray", "-f", &good]] {
        let output = doctor(mistake);
        assert_eq!(output.status.code(), Some(1), "{mistake:?}");
        assert!(stderr(&output).contains("Usage : ringway doctor"), "{mistake:?}");
    }
}

/// HAProxy's command line knows no words: only the first argument is the doctor's, a file of that name stays a file.
#[test]
fn a_file_may_be_called_doctor() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("doctor"), service("  maxconn 10", ports::free_port())).expect("a file");
    for arguments in [&["-c", "-f", "doctor"][..], &["-c", "--", "doctor"]] {
        let output = Command::new(RINGWAY).args(arguments).current_dir(folder.path()).output().expect("it runs");
        assert_eq!(stdout(&output), "Configuration file is valid\n", "{arguments:?}{}", stderr(&output));
    }
    let stray = Command::new(RINGWAY).args(["-c", "doctor"]).output().expect("it runs");
    assert_eq!(stray.status.code(), Some(1));
}

fn the_descriptors_it_predicts_are_those_it_serves(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    setup.global.push("fd-hard-limit 500".into());
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 127.0.0.1:1\n");
    let folder = TempDir::new().expect("a folder");
    let report = json(&doctor(&["--json", "-f", &file(&folder, &setup.file(&sections))]));
    assert_eq!(report["breaks_first"], "descriptors", "{report}");
    let predicted = finding(&report, "descriptors").and_then(|finding| finding["at_connections"].as_u64());
    let predicted = predicted.expect("a figure");
    assert!((100..500).contains(&predicted), "{predicted}");
    let running = setup.start(&sections, &[port]);
    eventually(10, "it says how many it serves", || {
        let messages = running.messages();
        messages.contains(&format!("maxconn {predicted}.")).then_some(()).ok_or(messages)
    });
}

/// A network namespace with loopback only, and few ports for connections.
struct SmallNetwork {
    name: String,
}

impl SmallNetwork {
    fn new(ports: &str) -> Option<SmallNetwork> {
        let name = format!("ringway-doctor-{}", std::process::id());
        let ip = |arguments: &[&str]| {
            Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        if !ip(&["netns", "add", &name]) {
            eprintln!("SKIPPED: no network namespace can be made here");
            return None;
        }
        let network = SmallNetwork { name };
        assert!(ip(&["-n", &network.name, "link", "set", "lo", "up"]));
        let set = format!("echo '{ports}' > /proc/sys/net/ipv4/ip_local_port_range");
        assert!(ip(&["netns", "exec", &network.name, "sh", "-c", &set]));
        Some(network)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.name, RINGWAY]);
        command
    }

    /// Runs `body` in a thread that lives in there.
    fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.name);
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let network = fs::File::open(&path).expect("the namespace");
                setns(network, CloneFlags::CLONE_NEWNET).expect("entered");
                body()
            });
            inside.join().expect("no panic in there")
        })
    }
}

impl Drop for SmallNetwork {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client that comes to an address of its own, since for each the ports are few.
fn client(number: u8) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::new(127, 0, 1, number), 1890))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

#[test]
fn the_ports_it_predicts_are_those_there_are() {
    const PORTS: u64 = 20;
    let Some(network) = SmallNetwork::new("40000 40019") else { return };
    let folder = TempDir::new().expect("a folder");
    let text = service("  maxconn 100\n  nbthread 1", 1890)
        .replace("bind 127.0.0.1", "bind 0.0.0.0")
        .replace("127.0.0.1:1\n", "127.0.0.1:1883\n  retries 0\n");
    let path = file(&folder, &text);
    let output = network.command().args(["doctor", "--json", "-f", &path]).output().expect("it runs");
    let report = json(&output);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(report["breaks_first"], "source ports", "{report}");
    let finding = finding(&report, "source ports").expect("the finding");
    assert_eq!(finding["at_connections"].as_u64(), Some(PORTS));
    assert_eq!(finding["fix"], "sudo sysctl -w net.ipv4.ip_local_port_range='10240 65535'");

    let origin = network.inside(|| TcpListener::bind("127.0.0.1:1883").expect("an origin"));
    thread::spawn(move || {
        for stream in origin.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut byte = [0; 1];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
    let _proxy = Killed(network.command().args(["-db", "-q", "-f", &path]).spawn().expect("it starts"));
    let served = network.inside(|| {
        let first = eventually(20, "it listens", || client(1).map_err(|error| error.to_string()));
        let mut held = vec![first];
        held.extend((2..=30).map(|number| client(number).expect("the kernel takes it")));
        let mut byte = [0; 1];
        let answered = |stream: &mut TcpStream| stream.write_all(b"?").is_ok() && stream.read_exact(&mut byte).is_ok();
        held.iter_mut().map(answered).filter(|answered| *answered).count()
    });
    assert_eq!(served as u64, PORTS);
}
