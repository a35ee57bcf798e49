//! The processes of a run: started on their processors, ended when dropped.

use super::engine::CommandLine;
use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// A program that serves until dropped, with the processes it started.
pub struct Server {
    name: String,
    child: Child,
}

impl Server {
    /// Starts it on `cpus` (taskset's list).
    pub fn start(name: &str, command: &CommandLine, cpus: &str) -> anyhow::Result<Server> {
        // Killed by the kernel should this process end without dropping it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "taskset", "-c", cpus, &command.program])
            .args(&command.arguments)
            .envs(&command.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Server { name: name.to_owned(), child })
    }

    /// Waits until each address takes a connection.
    pub fn wait_until_it_listens(&mut self, addresses: &[SocketAddr]) -> anyhow::Result<()> {
        let start = Instant::now();
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                if let Some(status) = self.child.try_wait()? {
                    bail!("{} ended at once: {status}", self.name);
                }
                ensure!(start.elapsed() < START_LIMIT, "{} does not listen on {address}", self.name);
                sleep(POLL);
            }
        }
        Ok(())
    }

    /// Its process and those below it.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            pids.extend(children(pid));
            next += 1;
        }
        pids
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        // The workers of a master that is killed would stay.
        let pids = self.pids();
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < STOP_LIMIT {
            sleep(POLL);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            for pid in pids {
                let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// A port of this machine that nothing listens on.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
