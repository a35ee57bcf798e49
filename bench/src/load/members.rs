//! The executors: threads of this process, or of several, since descriptors are limited per process.

use super::arguments::{Executor, Kind};
use super::orders::{Event, Orders, Phase, Share};
use super::{epoll, executor};
use anyhow::{Context, bail};
use crossbeam_channel::Sender;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

/// Descriptors that a process needs besides its connections: rings, channels, standard streams.
const OTHER_DESCRIPTORS: u64 = 200;

/// All executors of a run.
pub struct Members {
    executors: u64,
    threads: Option<Orders>,
    processes: Vec<Mutex<Process>>,
}

struct Process {
    child: Child,
    /// Where its orders go; its closing ends the process.
    orders: Option<ChildStdin>,
}

impl Members {
    /// Starts them; they begin to connect at once. Events go to `events`.
    pub fn start(kind: &Kind, events: Sender<Event>) -> anyhow::Result<Self> {
        let common = kind.common();
        let limit = descriptors_allowed()?.saturating_sub(OTHER_DESCRIPTORS).max(1);
        let processes = match common.processes as u64 {
            0 => common.connections.div_ceil(limit),
            given if common.connections.div_ceil(given) <= limit => given,
            _ => bail!(
                "a process may hold {limit} connections: {} processes are needed",
                common.connections.div_ceil(limit)
            ),
        };
        let cores = cores(kind)?;
        let executors = processes * cores.len() as u64;
        if processes == 1 {
            let orders = Orders::default();
            start_threads(kind, 0, 1, &cores, &orders, &events)?;
            return Ok(Members { executors, threads: Some(orders), processes: Vec::new() });
        }
        let processes: anyhow::Result<Vec<Mutex<Process>>> =
            (0..processes).map(|member| Ok(Mutex::new(start_process(member, processes, &events)?))).collect();
        Ok(Members { executors, threads: None, processes: processes? })
    }

    pub fn executors(&self) -> u64 {
        self.executors
    }

    pub fn processes(&self) -> u64 {
        self.processes.len().max(1) as u64
    }

    /// Tells all of them. A process that is gone is noticed by its missing events.
    pub fn order(&self, phase: Phase) {
        if let Some(orders) = &self.threads {
            orders.set(phase);
        }
        for process in &self.processes {
            if let Some(orders) = process.lock().ok().as_mut().and_then(|process| process.orders.as_mut()) {
                writeln!(orders, "{}", phase.name()).and_then(|()| orders.flush()).ok();
            }
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        if let Some(orders) = &self.threads {
            orders.set(Phase::Stop);
        }
        for process in &self.processes {
            if let Ok(mut process) = process.lock() {
                drop(process.orders.take());
                process.child.wait().ok();
            }
        }
    }
}

/// A process of `--processes`: does its share, reports on standard output, takes phases from standard input and ends
/// with it.
pub fn serve(kind: &Kind, member: u64) -> anyhow::Result<()> {
    descriptors_allowed()?;
    let (events, inbox) = crossbeam_channel::unbounded();
    let orders = Orders::default();
    let cores = cores(kind)?;
    start_threads(kind, member, kind.common().processes.max(1) as u64, &cores, &orders, &events)?;
    drop(events);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Some(phase) = Phase::ALL.into_iter().find(|phase| phase.name() == line) {
                orders.set(phase);
            }
        }
        // The conductor is gone: nobody would read what is still to come.
        if orders.phase() != Phase::Stop {
            std::process::exit(1);
        }
    });
    let mut left = cores.len();
    let mut out = std::io::stdout().lock();
    while left > 0 {
        let event = inbox.recv().context("an executor ended early")?;
        left -= matches!(event, Event::Done { .. } | Event::Failed { .. }) as usize;
        writeln!(out, "{}", serde_json::to_string(&event)?)?;
        out.flush()?;
    }
    Ok(())
}

fn start_process(member: u64, processes: u64, events: &Sender<Event>) -> anyhow::Result<Process> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        // The last one given counts: see `args_override_self` on the command.
        .args(["--processes", &processes.to_string(), "--member", &member.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a process for a part of the load")?;
    let orders = child.stdin.take();
    let said = child.stdout.take().context("no pipe from a process")?;
    let events = events.clone();
    std::thread::spawn(move || {
        let mut finished = false;
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line)
                .unwrap_or_else(|error| Event::Failed { share: member, error: format!("process {member}: {error}") });
            finished |= matches!(event, Event::Done { .. });
            if events.send(event).is_err() {
                return;
            }
        }
        if !finished {
            events.send(Event::Failed { share: member, error: format!("process {member} ended early") }).ok();
        }
    });
    Ok(Process { child, orders })
}

fn start_threads(
    kind: &Kind,
    member: u64,
    processes: u64,
    cores: &[usize],
    orders: &Orders,
    events: &Sender<Event>,
) -> anyhow::Result<()> {
    let common = kind.common();
    let of = processes * cores.len() as u64;
    for (position, &core) in cores.iter().enumerate() {
        let number = member * cores.len() as u64 + position as u64;
        let share = Share::new(number, of, common.connections, Some(core), common.ramp_window, common.ramp_rate);
        let (kind, orders, events) = (kind.clone(), orders.clone(), events.clone());
        std::thread::Builder::new().name(format!("load-{number}")).spawn(move || {
            let result = match kind.common().executor {
                Executor::Glommio => executor::run(&kind, &share, &orders, &events),
                Executor::Epoll => epoll::share(&kind, &share, &orders, &events),
            };
            let event = match result {
                Ok(tally) => Event::Done { share: share.number, tally: Box::new(tally) },
                Err(error) => Event::Failed { share: share.number, error: format!("{error:#}") },
            };
            events.send(event).ok();
        })?;
    }
    Ok(())
}

/// The CPUs to use, one executor each.
fn cores(kind: &Kind) -> anyhow::Result<Vec<usize>> {
    let given = &kind.common().cores;
    if !given.is_empty() {
        return Ok(given.clone());
    }
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect();
    // No more executors than there are connections for them.
    let most = usize::try_from(kind.common().connections).unwrap_or(usize::MAX).max(1);
    Ok(cores.into_iter().take(most).collect())
}

/// Raises the soft descriptor limit to the hard one, which is returned.
fn descriptors_allowed() -> anyhow::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
