//! Ringway under test: its start, its figures by its runtime socket, its memory and its descriptor tables.

use anyhow::Context;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONFIGURATION: &str = include_str!("../../scenarios/fifty.cfg");
const WAIT: Duration = Duration::from_secs(30);

pub struct Settings<'a> {
    pub binary: &'a Path,
    pub engine: &'a str,
    pub workers: usize,
    pub maxconn: usize,
    pub port: u16,
    pub folder: &'a Path,
}

pub struct Proxy {
    child: Child,
    folder: PathBuf,
}

impl Proxy {
    pub fn start(settings: &Settings) -> anyhow::Result<Proxy> {
        let Settings { binary, engine, workers, maxconn, port, folder } = settings;
        let file = folder.join("fifty.cfg");
        fs::write(&file, CONFIGURATION)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(binary).arg("-db").arg("-f").arg(&file);
        command.env("RINGWAY_ENGINE", engine).env("FIFTY_DIRECTORY", folder).env("FIFTY_PORT", port.to_string());
        command.env("FIFTY_WORKERS", workers.to_string()).env("FIFTY_MAXCONN", maxconn.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(folder.join("messages"))?);
        let child = command.spawn().with_context(|| format!("{} does not start", binary.display()))?;
        let mut proxy = Proxy { child, folder: folder.to_path_buf() };
        let deadline = Instant::now() + WAIT;
        while TcpStream::connect(("127.0.0.1", *port)).is_err() {
            let ended = proxy.child.try_wait()?.is_some();
            anyhow::ensure!(!ended && Instant::now() < deadline, "the proxy does not listen: {:?}", proxy.messages());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }

    /// What it has said at start and since, without paths and process ids.
    pub fn messages(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("messages")).unwrap_or_default();
        let said = text.lines().filter(|line| line.starts_with('[') && !line.contains('/') || line.contains("Server "));
        said.map(|line| line.split_once(" : ").map_or(line, |(_, message)| message).to_owned()).collect()
    }

    fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut socket = UnixStream::connect(self.folder.join("stats.sock"))?;
        socket.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Rows of `show stat` for the section mqtt, and the columns' names.
    fn table(&self) -> anyhow::Result<Vec<Vec<(String, String)>>> {
        let answer = self.ask("show stat")?;
        let mut lines = answer.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
        let row =
            |line: &str| names.iter().map(|name| name.to_string()).zip(line.split(',').map(str::to_owned)).collect();
        Ok(lines.filter(|line| line.starts_with("mqtt,")).map(row).collect())
    }

    /// Connections on each broker now.
    pub fn split(&self) -> anyhow::Result<Vec<usize>> {
        let table = self.table()?;
        let servers = table.iter().filter(|row| field(row, "svname").starts_with("emq"));
        servers.map(|row| Ok(field(row, "scur").parse()?)).collect()
    }

    pub fn wait_until_up(&self, servers: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + WAIT;
        loop {
            let up = self
                .table()?
                .iter()
                .filter(|row| field(row, "svname").starts_with("emq") && field(row, "status") == "UP")
                .count();
            if up == servers {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{up} of {servers} servers are UP");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the proxy counts as gone wrong, and how many sessions it has had.
    pub fn errors(&self) -> anyhow::Result<Value> {
        let table = self.table()?;
        let of = |name: &str, column: &str| {
            let row = table.iter().find(|row| field(row, "svname") == name);
            row.and_then(|row| field(row, column).parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(json!({
            "sessions": of("FRONTEND", "stot"),
            "refused_requests": of("FRONTEND", "dreq"),
            "connection_errors": of("BACKEND", "econ"),
            "retries": of("BACKEND", "wretr"),
            "redispatches": of("BACKEND", "wredis"),
        }))
    }

    /// Pss: shared pages are not counted twice.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        Ok(line.split_whitespace().next().context("no Pss")?.parse::<u64>()? * 1024)
    }

    /// How full the descriptor table of each worker is.
    pub fn descriptors_by_worker(&self) -> anyhow::Result<Vec<usize>> {
        let mut counts = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))?.flatten() {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if name.starts_with("worker-") {
                counts.push((name, fs::read_dir(task.path().join("fd"))?.count()));
            }
        }
        counts.sort();
        Ok(counts.into_iter().map(|(_, count)| count).collect())
    }
}

fn field<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    row.iter().find(|(column, _)| column == name).map_or("", |(_, value)| value)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
