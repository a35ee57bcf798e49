//! The process: command line, exit codes, signals, pid file, daemon, messages.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::*;

on_each_engine!(
    exit_codes_are_haproxys,
    version_lines_read_as_haproxys,
    hup_logs_the_servers_as_haproxy_does,
    every_error_of_a_file_is_named,
    the_engine_is_said_once,
);
on_each_proxy!(
    term_and_int_stop_at_once,
    usr1_drains,
    usr1_gives_up_after_hard_stop_after,
    daemon_writes_its_pid_and_returns,
    a_daemon_that_logs_to_stderr_lets_go_of_it,
    an_old_process_is_told_to_finish,
    readiness_is_told_to_the_service_manager,
    a_taken_port_is_an_error_at_start,
);

const PLAIN: &str = "defaults\n    mode tcp\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n";

fn run(flavour: Flavour, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "10"]).arg(flavour.binary()).args(arguments).stdin(Stdio::null());
    if flavour.is_ringway() {
        command.env("RINGWAY_ENGINE", flavour.name());
    }
    command.output().expect("it runs")
}

fn exit_codes_are_haproxys(flavour: Flavour) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let port = ports::free_port();
    let good = file("good.cfg", &format!("{PLAIN}listen px\n    bind 127.0.0.1:{port}\n    server s 127.0.0.1:1\n"));
    let unknown = file("unknown.cfg", &format!("{PLAIN}listen px\n    bind 127.0.0.1:{port}\n    blance leastconn\n"));
    let no_listener = file("none.cfg", &format!("{PLAIN}backend px\n    server s 127.0.0.1:1\n"));
    let empty = file("empty.cfg", "");
    let warns =
        file("warns.cfg", &format!("listen px\n    mode tcp\n    bind 127.0.0.1:{port}\n    server s 127.0.0.1:1\n"));
    let no_end = file("noend.cfg", &format!("{PLAIN}.if defined(X)\nlisten px\n    bind 127.0.0.1:{port}\n"));
    let bad_backend =
        file("nobackend.cfg", &format!("{PLAIN}frontend px\n    bind 127.0.0.1:{port}\n    default_backend zz\n"));
    let missing = directory.path().join("missing.cfg").display().to_string();
    let cases: &[&[&str]] = &[
        &["-c", "-f", &good],
        &["-c", "-q", "-f", &good],
        &["-c", "-V", "-f", &good],
        &["-c", "-f", &unknown],
        &["-f", &unknown],
        &["-c", "-f", &no_listener],
        &["-f", &no_listener],
        &["-c", "-f", &empty],
        &["-c", "-f", &missing],
        &["-c", "-f", &warns],
        &["-dW", "-c", "-f", &warns],
        &["-c", "-f", &no_end],
        &["-c", "-f", &bad_backend],
        &["-v"],
        &["-vv"],
        &[],
        &["-Z"],
        &["-cc", "streq(a,a)"],
        &["-cc", "streq(a,b)"],
        &["-cc", "!streq(a,b)"],
        &["-cc", "defined(NO_SUCH_VARIABLE)"],
        &["-cc", "version_atleast(1.5)"],
        &["-cc", "nonsense("],
    ];
    for arguments in cases {
        let (ours, theirs) = (run(flavour, arguments), run(Flavour::HaProxy, arguments));
        assert_eq!(
            ours.status.code(),
            theirs.status.code(),
            "{arguments:?}: we say {}{}",
            String::from_utf8_lossy(&ours.stdout),
            String::from_utf8_lossy(&ours.stderr)
        );
    }
    let valid = run(flavour, &["-c", "-f", &good]);
    assert!(String::from_utf8_lossy(&valid.stdout).contains("Configuration file is valid"));
    let quiet = run(flavour, &["-c", "-q", "-f", &good]);
    assert!(quiet.stdout.is_empty(), "{}", String::from_utf8_lossy(&quiet.stdout));
}

fn version_lines_read_as_haproxys(flavour: Flavour) {
    let output = run(flavour, &["-v"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default();
    let version = first.strip_prefix("HAProxy version ").or_else(|| first.strip_prefix("HA-Proxy version "));
    let version = version.unwrap_or_else(|| panic!("tools parse the first line: {first}"));
    assert!(version.split('.').take(2).all(|part| part.parse::<u32>().is_ok()), "{version}");
    assert!(text.contains("ingway"), "and it says who it really is: {text}");
}

/// A listener, an origin, and a client that is connected through them.
fn serving(setup: Setup) -> (Running, Origin, u16) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
    let proxy = setup.start(&sections, &[port]);
    (proxy, origin, port)
}

fn term_and_int_stop_at_once(flavour: Flavour) {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let (mut proxy, _origin, port) = serving(Setup::new(flavour));
        let mut client = connect(port);
        exchange(&mut client, b"hello");
        let told = Instant::now();
        proxy.signal(signal);
        assert_eq!(proxy.wait_code(5), code);
        assert!(told.elapsed() < Duration::from_secs(2), "with a client still connected");
        read_end(&mut client);
        assert!(!proxy::is_listening(port));
    }
}

fn usr1_drains(flavour: Flavour) {
    let (mut proxy, _origin, port) = serving(Setup::new(flavour));
    let mut client = connect(port);
    exchange(&mut client, b"before");
    proxy.signal(Signal::SIGUSR1);
    eventually(15, "the listener is gone", || {
        if proxy::is_listening(port) { Err("listening") } else { Ok(()) }.map_err(str::to_string)
    });
    thread::sleep(Duration::from_millis(300));
    assert!(proxy.is_running(), "a client is still served");
    exchange(&mut client, b"while draining");
    drop(client);
    assert_eq!(proxy.wait_code(10), 0);
    proxy
        .syslog()
        .wait_for(15, "the proxy's end", |line| line.contains("Proxy px stopped (cumulated conns: FE: 1, BE: 1)"));
    assert_eq!(proxy.syslog().wait_for_sessions(15, "px", 1)[0].termination, "--");
}

fn usr1_gives_up_after_hard_stop_after(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    setup.global.push("hard-stop-after 1s".to_string());
    let (mut proxy, _origin, port) = serving(setup);
    let mut client = connect(port);
    exchange(&mut client, b"before");
    let told = Instant::now();
    proxy.signal(Signal::SIGUSR1);
    proxy.wait(10);
    let took = told.elapsed();
    assert!((Duration::from_millis(800)..Duration::from_secs(5)).contains(&took), "{took:?}");
    read_end(&mut client);
}

fn hup_logs_the_servers_as_haproxy_does(flavour: Flavour) {
    let lines = |flavour: Flavour| {
        let (proxy, _origin, port) = serving(Setup::new(flavour));
        exchange(&mut connect(port), b"hello");
        proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
        proxy.signal(Signal::SIGHUP);
        proxy.syslog().wait_for(15, "the server's line", |line| line.contains("SIGHUP: Server px/s1"));
        proxy.syslog().wait_for(15, "the proxy's line", |line| line.contains("SIGHUP: Proxy px"));
        let mut lines: Vec<String> = proxy
            .syslog()
            .lines()
            .iter()
            .filter(|line| line.contains("SIGHUP") && line.contains("px"))
            .map(|line| format!("{} {}", &line[..5], line.split_once("]: ").expect("a tag").1.trim_end()))
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(flavour), lines(Flavour::HaProxy));
}

fn every_error_of_a_file_is_named(flavour: Flavour) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.cfg");
    let text = "global\n    maxcon 100\ndefaults\n    mode tcp\n    timeout conect 1s\nlisten px\n    bind 127.0.0.1:1\n\
                \x20   server s 127.0.0.1:2 chek\n    balance leastcon\n";
    fs::write(&path, text).expect("written");
    let output = run(flavour, &["-c", "-f", &path.display().to_string()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for (line, word, meant) in
        [(2, "maxcon", "maxconn"), (5, "conect", "connect"), (8, "chek", "check"), (9, "leastcon", "leastconn")]
    {
        assert!(errors.contains(&format!("{}:{line}]", path.display())), "line {line} is named:\n{errors}");
        assert!(
            errors.contains(&format!("'{word}'")) && errors.contains(&format!("'{meant}'")),
            "{word} → {meant}:\n{errors}"
        );
    }
    assert!(errors.contains('^'), "a caret under the word:\n{errors}");
}

fn the_engine_is_said_once(flavour: Flavour) {
    let (proxy, _origin, _port) = serving(Setup::new(flavour));
    eventually(15, "one line names the engine", || {
        let messages = proxy.messages();
        match messages.lines().filter(|line| line.contains(flavour.name())).count() {
            1 => Ok(()),
            other => Err(format!("{other} lines: {messages}")),
        }
    });
}

/// A daemon is nobody's child: killed by its pid when the test is over.
struct Daemon(Pid);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

fn read_pid(path: &Path) -> Pid {
    let text = fs::read_to_string(path).expect("the pid file is there when the command returns");
    Pid::from_raw(text.trim().parse().unwrap_or_else(|_| panic!("one pid in a line: {text:?}")))
}

fn daemon_writes_its_pid_and_returns(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    let pidfile = setup.path("px.pid");
    setup.global.push("daemon".to_string());
    setup.global.push(format!("pidfile {}", pidfile.display()));
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
    let path = setup.path("px.cfg");
    fs::write(&path, setup.file(&sections)).expect("written");
    let output = run(flavour, &["-f", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let daemon = Daemon(read_pid(&pidfile));
    assert!(proxy::is_listening(port), "it listens when the command returns");
    exchange(&mut connect(port), b"hello");
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.0)).expect("it runs");
    assert!(
        status.contains("PPid:\t1\n") || !status.contains(&format!("PPid:\t{}\n", std::process::id())),
        "nobody's child"
    );
    assert_eq!(setup.syslog.wait_for_sessions(15, "px", 1)[0].termination, "--");
    kill(daemon.0, Signal::SIGUSR1).expect("signalled");
    eventually(10, "it ends", || {
        if Path::new(&format!("/proc/{}", daemon.0)).exists() && !is_zombie(daemon.0) {
            Err("it runs".to_string())
        } else {
            Ok(())
        }
    });
}

/// `haproxy -D -f file 2>&1 | tail` comes back: nobody but the parent holds the pipe, log targets included.
fn a_daemon_that_logs_to_stderr_lets_go_of_it(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    let pidfile = setup.path("px.pid");
    setup.global.push(format!("pidfile {}", pidfile.display()));
    setup.global.push("log stderr local0".to_string());
    setup.global.push("log stdout local0".to_string());
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    log global\n    option tcplog\n    server s1 {}\n",
        origin.address()
    );
    let path = setup.path("px.cfg");
    fs::write(&path, setup.file(&sections)).expect("written");
    // Returns at the end of both pipes only, or when `timeout` has killed the parent alone.
    let (sender, receiver) = std::sync::mpsc::channel();
    let file = path.display().to_string();
    thread::spawn(move || sender.send(run(flavour, &["-D", "-f", &file])));
    eventually(10, "it runs", || if pidfile.exists() { Ok(()) } else { Err("no pid file".to_string()) });
    let output = receiver.recv_timeout(Duration::from_secs(20));
    let daemon = Daemon(read_pid(&pidfile));
    let output = output.expect("the pipes end while the daemon runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    exchange(&mut connect(port), b"hello");
    assert_eq!(setup.syslog.wait_for_sessions(5, "px", 1).len(), 1);
    kill(daemon.0, Signal::SIGTERM).expect("signalled");
}

fn is_zombie(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains("State:\tZ"))
}

fn an_old_process_is_told_to_finish(flavour: Flavour) {
    let (mut old, origin, port) = serving(Setup::new(flavour));
    let mut client = connect(port);
    exchange(&mut client, b"old");
    let mut setup = Setup::new(flavour);
    setup.arguments = vec!["-sf".to_string(), old.pid().to_string()];
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
    let stats_port = setup.stats_port;
    let new = setup.start(&sections, &[port, stats_port]);
    thread::sleep(Duration::from_millis(500));
    exchange(&mut client, b"the old one still serves");
    exchange(&mut connect(port), b"the new one too");
    assert_eq!(new.syslog().wait_for_sessions(15, "px", 1).len(), 1);
    drop(client);
    assert_eq!(old.wait_code(10), 0);
}

fn readiness_is_told_to_the_service_manager(flavour: Flavour) {
    let setup = Setup::new(flavour);
    let socket = setup.path("notify.sock");
    let manager = UnixDatagram::bind(&socket).expect("the manager's socket");
    manager.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let port = ports::free_port();
    let path = setup.path("px.cfg");
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 127.0.0.1:1\n");
    fs::write(&path, setup.file(&sections)).expect("written");
    let mut child = flavour
        .command()
        .args(["-Ws", "-f"])
        .arg(&path)
        .env("NOTIFY_SOCKET", &socket)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut datagram = [0u8; 1024];
    let text = loop {
        // HAProxy says RELOADING=1 first.
        let length = manager.recv(&mut datagram).expect("told");
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        if text.contains("READY=1") {
            break text;
        }
    };
    let listening = proxy::is_listening(port);
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGTERM).expect("signalled");
    child.wait().expect("ended");
    assert!(text.contains("MAINPID=") || text.contains("STATUS="), "{text}");
    assert!(listening, "ready means listening");
}

fn a_taken_port_is_an_error_at_start(flavour: Flavour) {
    let origin = Origin::echo();
    let setup = Setup::new(flavour);
    let path = setup.path("px.cfg");
    let sections = format!("listen px\n    bind {}\n    server s1 127.0.0.1:1\n", origin.address());
    fs::write(&path, setup.file(&sections)).expect("written");
    let output = run(flavour, &["-db", "-f", &path.display().to_string()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("cannot bind socket (Address already in use)"), "{errors}");
    assert!(errors.contains(&origin.port().to_string()), "{errors}");
}
