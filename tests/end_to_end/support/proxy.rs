//! The proxy under test: a generated file, a process, its figures and its end.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::stats::{self, Table};
use super::{Syslog, eventually, ports};

/// What is run: Ringway on one of its engines, or HAProxy as the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    IoUring,
    Epoll,
    HaProxy,
}

impl Flavour {
    /// RINGWAY_TEST_PROXIES names those to run (`io_uring,epoll,haproxy`): a machine whose kernel has no usable
    /// io_uring leaves it out by name, never silently.
    pub fn is_wanted(self) -> bool {
        match std::env::var("RINGWAY_TEST_PROXIES") {
            Ok(wanted) => wanted.split(',').any(|name| name == self.name()),
            Err(_) => true,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Flavour::IoUring => "io_uring",
            Flavour::Epoll => "epoll",
            Flavour::HaProxy => "haproxy",
        }
    }

    pub fn is_ringway(self) -> bool {
        self != Flavour::HaProxy
    }

    pub fn binary(self) -> PathBuf {
        match self {
            Flavour::HaProxy => ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/sbin/haproxy"]
                .iter()
                .map(PathBuf::from)
                .find(|path| path.exists())
                .expect("haproxy is installed (scripts/test does)"),
            _ => PathBuf::from(env!("CARGO_BIN_EXE_ringway")),
        }
    }

    /// A command that runs the proxy and dies with the test's thread, whatever becomes of the test.
    pub fn command(self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(self.binary());
        match self {
            Flavour::IoUring => command.env("RINGWAY_ENGINE", "io_uring"),
            Flavour::Epoll => command.env("RINGWAY_ENGINE", "epoll"),
            Flavour::HaProxy => &mut command,
        };
        command
    }
}

/// A test's surroundings: a directory, a syslog catcher, the ports of its proxy.
pub struct Setup {
    pub flavour: Flavour,
    pub directory: TempDir,
    pub syslog: Syslog,
    pub stats_port: u16,
    /// Lines added to the generated `global` and `defaults`.
    pub global: Vec<String>,
    pub defaults: Vec<String>,
    pub workers: u16,
    pub log_option: &'static str,
    /// Soft and hard RLIMIT_NOFILE of the proxy.
    pub descriptor_limit: Option<u64>,
    pub arguments: Vec<String>,
}

impl Setup {
    pub fn new(flavour: Flavour) -> Setup {
        Setup {
            flavour,
            directory: TempDir::new().expect("a directory"),
            syslog: Syslog::start(),
            stats_port: ports::free_port(),
            global: Vec::new(),
            defaults: Vec::new(),
            workers: 2,
            log_option: "option tcplog",
            descriptor_limit: None,
            arguments: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn stats_socket(&self) -> PathBuf {
        self.path("stats.sock")
    }

    /// A whole file: our `global`, `defaults` and stats page, then `sections`.
    pub fn file(&self, sections: &str) -> String {
        let extra = |lines: &[String]| lines.iter().map(|line| format!("    {line}\n")).collect::<String>();
        let maxconn =
            if self.global.iter().any(|line| line.starts_with("maxconn ")) { "" } else { "    maxconn 8000\n" };
        format!(
            "global\n    log {log} local0\n    nbthread {workers}\n{maxconn}    stats socket {socket} level admin\n\
             {global}\ndefaults\n    log global\n    mode tcp\n    {log_option}\n    timeout connect 5s\n\
             \x20   timeout client 30s\n    timeout server 30s\n{defaults}\nlisten stats\n    bind 127.0.0.1:{port}\n\
             \x20   mode http\n    stats enable\n    stats uri /stats\n    stats admin if TRUE\n\n{sections}",
            log = self.syslog.address(),
            workers = self.workers,
            log_option = self.log_option,
            socket = self.stats_socket().display(),
            global = extra(&self.global),
            defaults = extra(&self.defaults),
            port = self.stats_port,
        )
    }

    /// Starts the proxy on our file with `sections` and waits until it listens on the stats page and on `listening`.
    pub fn start(self, sections: &str, listening: &[u16]) -> Running {
        let file = self.file(sections);
        let mut ports = vec![self.stats_port];
        ports.extend(listening);
        self.start_file(&file, &ports)
    }

    /// Starts the proxy on exactly `file` and waits until it listens on all of `listening`.
    pub fn start_file(self, file: &str, listening: &[u16]) -> Running {
        let path = self.path("proxy.cfg");
        fs::write(&path, file).expect("the file is written");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(limit) = self.descriptor_limit {
            command.arg("prlimit").arg(format!("--nofile={limit}:{limit}"));
        }
        command.arg(self.flavour.binary()).arg("-db").arg("-f").arg(&path).args(&self.arguments);
        if self.flavour.is_ringway() {
            command.env("RINGWAY_ENGINE", self.flavour.name());
        }
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the proxy starts");
        let messages = Arc::new(Mutex::new(String::new()));
        let mut stderr = child.stderr.take().expect("a pipe");
        let collected = Arc::clone(&messages);
        thread::spawn(move || {
            let mut bytes = [0u8; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut bytes) {
                collected.lock().expect("messages").push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        let mut running = Running { setup: self, child, messages, finished: false };
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if listening.iter().all(|&port| is_listening(port)) {
                return running;
            }
            if let Some(status) = running.child.try_wait().expect("its state") {
                running.finished = true;
                thread::sleep(Duration::from_millis(50));
                panic!("the proxy ended at start, {status}: {}\n{file}", running.messages());
            }
            assert!(Instant::now() < deadline, "not listening within 20 s: {}\n{file}", running.messages());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether some socket listens on a TCP port, of any address. Asked of the kernel, since a connection to find out
/// would be one more session in the proxy's logs and figures.
pub fn is_listening(port: u16) -> bool {
    let is_listener = |socket: &TcpSocket| socket.state == LISTEN && socket.local == port;
    sockets("tcp", port).iter().any(is_listener) || sockets("tcp6", port).iter().any(is_listener)
}

/// The clients, by port, of the IPv4 connections to `port` that the proxy has not closed.
pub fn clients_of(port: u16) -> Vec<u16> {
    let sockets = sockets("tcp", port);
    let is_open = |end: &&TcpSocket| end.local == port && [ESTABLISHED, CLOSE_WAIT].contains(&end.state);
    sockets.iter().filter(is_open).map(|end| end.remote).collect()
}

// States as the kernel numbers them (include/net/tcp_states.h).
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;

/// A line of the kernel's table of TCP sockets.
struct TcpSocket {
    local: u16,
    remote: u16,
    state: u8,
}

/// The sockets of a table (of this thread's network) that have to do with a port.
fn sockets(table: &str, port: u16) -> Vec<TcpSocket> {
    let number = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, ..] = words.as_slice() else { return None };
        let state = u8::from_str_radix(state, 16).ok()?;
        Some(TcpSocket { local: number(local)?, remote: number(remote)?, state })
    };
    let text = fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    // Most of the thousands of lines are not read word by word.
    let needle = format!(":{port:04X} ");
    text.lines().skip(1).filter(|line| line.contains(&needle)).filter_map(parse).collect()
}

/// A proxy that runs; killed when dropped.
pub struct Running {
    pub setup: Setup,
    pub child: Child,
    messages: Arc<Mutex<String>>,
    finished: bool,
}

impl Running {
    pub fn syslog(&self) -> &Syslog {
        &self.setup.syslog
    }

    /// What it has written to standard error.
    pub fn messages(&self) -> String {
        self.messages.lock().expect("messages").clone()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the proxy is there to be signalled");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Waits for the process's end.
    pub fn wait(&mut self, seconds: u64) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually(seconds, "the proxy ends", || {
            child.try_wait().expect("its state").ok_or_else(|| "it runs".to_string())
        });
        self.finished = true;
        status
    }

    /// As a shell shows it: the exit code, or 128 and the signal.
    pub fn wait_code(&mut self, seconds: u64) -> i32 {
        let status = self.wait(seconds);
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    pub fn stats_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.setup.stats_port))
    }

    pub fn stats_socket(&self) -> PathBuf {
        self.setup.stats_socket()
    }

    pub fn command(&self, command: &str) -> String {
        stats::command(&self.stats_socket(), command)
    }

    /// All figures, over the stats socket (over HTTP they are the same, but one stats session more each time).
    pub fn stats(&self) -> Table {
        Table::parse(&self.command("show stat"))
    }

    /// Waits until a figure is `value`.
    pub fn wait_for_number(&self, seconds: u64, proxy: &str, name: &str, column: &str, value: u64) {
        eventually(seconds, &format!("{column} of {proxy}/{name} is {value}"), || {
            let found = self.stats().number(proxy, name, column);
            if found == value { Ok(()) } else { Err(found.to_string()) }
        });
    }

    /// Waits until a server's or proxy's status is `status`.
    pub fn wait_for_status(&self, seconds: u64, proxy: &str, name: &str, status: &str) {
        eventually(seconds, &format!("{proxy}/{name} is {status}"), || {
            let table = self.stats();
            let found = table.text(proxy, name, "status");
            if found == status { Ok(()) } else { Err(found.to_string()) }
        });
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// User and system time used so far by all of its threads, in milliseconds.
    pub fn cpu_ms(&self) -> u64 {
        cpu_ms(Path::new(&format!("/proc/{}/stat", self.child.id())))
    }
}

fn cpu_ms(stat: &Path) -> u64 {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    // Fields 14 and 15 of proc(5), in the kernel's 100 Hz ticks; the two before the name are cut off.
    (ticks(11) + ticks(12)) * 10
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!(
                "--- {} said:\n{}--- its log:\n{}",
                self.setup.flavour.name(),
                self.messages(),
                self.setup.syslog.lines().join("")
            );
        }
    }
}
