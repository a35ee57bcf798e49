//! The worker threads: started, told to go, watched, started again when one fails.

use super::engine::{self, Engine};
use super::listeners::{self, BindFailure, SharedListeners};
use crate::config::model::LogAddress;
use crate::io::{DriverSettings, Socket, WakeEvent};
use crate::session::source_ports::SourcePorts;
use crate::shared::Shared;
use crate::sys;
use crate::sys::event::EventFd;
use crate::sys::handover::HandoverChannel;
use crate::worker::Setup;
use crate::worker::handover;
use crate::worker::log_sink::LogSink;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::IntoRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

/// What all workers are made from.
pub struct Blueprint {
    pub shared: Arc<Shared>,
    pub engine: Engine,
    /// A worker whose io_uring cannot be made takes epoll.
    pub may_fall_back: bool,
    pub driver: DriverSettings,
    /// Client connections one worker's descriptors carry.
    pub connections_max: u32,
    /// By worker number; empty where there is nobody to hand over to.
    pub channels: Arc<[HandoverChannel]>,
    /// What the kernel gives to outgoing connections, both ends included; read before a chroot.
    pub ephemeral_ports: Option<(u16, u16)>,
    /// Each worker binds sockets of its own (SO_REUSEPORT); otherwise all share those of the control thread.
    pub reuse_port: bool,
    /// By worker number.
    pub wakes: Vec<WakeEvent>,
    /// The control thread's.
    pub control_wake: WakeEvent,
    /// By worker number: the CPUs to run on; empty = wherever the system likes.
    pub cpus: Vec<Vec<usize>>,
    pub hostname: String,
    /// A daemon: once it serves, the standard descriptors of each table go to /dev/null. A copy left open would keep a
    /// shell waiting that reads our output.
    pub background: bool,
}

/// What a worker thread tells the control thread.
#[derive(Debug)]
pub enum Report {
    /// Its driver is there and its listeners are bound.
    Ready { number: u16, engine: Engine },
    /// It cannot serve: every listener that could not be bound.
    BindFailed { number: u16, failures: Vec<BindFailure> },
    /// It cannot serve for another reason.
    Failed { number: u16, reason: String },
    /// It served and has ended.
    Ended { number: u16, ending: Ending },
}

/// How a worker that served ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Finished,
    /// Its driver failed.
    DriverFailed(String),
    Panicked(String),
}

struct WorkerThread {
    handle: Option<JoinHandle<()>>,
    /// Sent once; dropped unsent, the thread ends.
    go: Option<Sender<()>>,
}

/// The threads and their reports.
pub struct WorkerThreads {
    blueprint: Arc<Blueprint>,
    threads: Vec<WorkerThread>,
    reports: Receiver<Report>,
    reporter: Sender<Report>,
    /// Signalled with each report.
    bell: Arc<EventFd>,
}

impl WorkerThreads {
    /// Starts all workers; each then waits for [`WorkerThreads::go`]. The number of workers is that of wake events.
    ///
    /// # Errors
    /// A thread could not be made.
    pub fn start(blueprint: Blueprint, shared_listeners: &SharedListeners) -> io::Result<WorkerThreads> {
        let (reporter, reports) = mpsc::channel();
        let mut workers = WorkerThreads {
            blueprint: Arc::new(blueprint),
            threads: Vec::new(),
            reports,
            reporter,
            bell: Arc::new(EventFd::new()?),
        };
        for number in 0..workers.blueprint.wakes.len() {
            let number = u16::try_from(number).map_err(|_| io::Error::other("more than 65535 workers"))?;
            let thread = workers.spawn(number, shared_listeners)?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Polls readable when [`WorkerThreads::next_report`] has something.
    pub fn descriptor(&self) -> Socket {
        Socket(self.bell.as_raw_fd())
    }

    /// The next report, without waiting.
    pub fn next_report(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// To be called when [`WorkerThreads::descriptor`] was readable, before the reports are read.
    pub fn hush(&self) {
        self.bell.drain();
    }

    /// Waits for the next report.
    pub fn wait_report(&self) -> Option<Report> {
        self.reports.recv().ok()
    }

    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Lets every worker that waits begin to serve.
    pub fn go(&mut self) {
        for thread in &mut self.threads {
            if let Some(go) = thread.go.take() {
                // A thread that is gone has reported why.
                let _ = go.send(());
            }
        }
    }

    /// Starts worker `number` again after it ended. It reports [`Report::Ready`] or why not, and serves without
    /// further ado.
    pub fn restart(&mut self, number: u16, shared_listeners: &SharedListeners) -> io::Result<()> {
        let mut thread = self.spawn(number, shared_listeners)?;
        if let Some(go) = thread.go.take() {
            let _ = go.send(());
        }
        if let Some(place) = self.threads.get_mut(usize::from(number)) {
            *place = thread;
        }
        Ok(())
    }

    /// Waits for the thread of a worker that has reported its end.
    pub fn join(&mut self, number: u16) {
        if let Some(handle) = self.threads.get_mut(usize::from(number)).and_then(|thread| thread.handle.take()) {
            // Panics were caught and reported inside.
            let _ = handle.join();
        }
    }

    fn spawn(&self, number: u16, shared_listeners: &SharedListeners) -> io::Result<WorkerThread> {
        let (go, may_go) = mpsc::channel();
        let config = &self.blueprint.shared.config;
        let apprentice = Apprentice {
            number,
            blueprint: self.blueprint.clone(),
            shared_listeners: shared_listeners.of_worker(config, u32::from(number)),
            may_go,
            reporter: self.reporter.clone(),
            bell: self.bell.clone(),
        };
        let handle = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || apprentice.run())?;
        Ok(WorkerThread { handle: Some(handle), go: Some(go) })
    }
}

/// A worker thread before it serves.
struct Apprentice {
    number: u16,
    blueprint: Arc<Blueprint>,
    shared_listeners: Vec<(crate::config::model::ListenerId, Socket)>,
    may_go: Receiver<()>,
    reporter: Sender<Report>,
    bell: Arc<EventFd>,
}

impl Apprentice {
    fn run(self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.live()));
        let ending = match outcome {
            Ok(Some(ending)) => ending,
            // Said already.
            Ok(None) => return,
            Err(payload) => Ending::Panicked(panic_text(payload.as_ref())),
        };
        self.report(Report::Ended { number: self.number, ending });
    }

    fn report(&self, report: Report) {
        // The control thread outlives the workers but for the moment in which the process exits.
        let _ = self.reporter.send(report);
        self.bell.signal();
    }

    fn fail(&self, reason: String) -> Option<Ending> {
        self.report(Report::Failed { number: self.number, reason });
        None
    }

    /// Serves until told to end. `None`: did not come to serve, which was reported.
    fn live(&self) -> Option<Ending> {
        let Blueprint { shared, driver, .. } = &*self.blueprint;
        if let Err(error) = sys::files::unshare_files() {
            return self.fail(format!("cannot get a descriptor table of its own: {error}"));
        }
        // Copies of others' sockets would keep them open. Where it is not allowed they do no other harm.
        let _ = sys::files::close_all_but(&self.kept_descriptors());
        if let Some(cpus) = self.blueprint.cpus.get(usize::from(self.number)).filter(|cpus| !cpus.is_empty()) {
            // A CPU that was taken away meanwhile is no reason not to serve.
            let _ = sys::affinity::pin(cpus);
        }
        let own = match listeners::open_own(&shared.config, u32::from(self.number), self.blueprint.reuse_port) {
            Ok(own) => own,
            Err(failures) => {
                self.report(Report::BindFailed { number: self.number, failures });
                return None;
            }
        };
        let settings =
            DriverSettings { wake: self.blueprint.wakes.get(usize::from(self.number)).cloned(), ..driver.clone() };
        let built = match engine::build(self.blueprint.engine, self.blueprint.may_fall_back, &settings) {
            Ok(built) => built,
            Err(error) => return self.fail(format!("cannot set up {}: {error}", self.blueprint.engine.name())),
        };
        let mut listeners = self.shared_listeners.clone();
        // From here on the driver closes them, by number.
        listeners.extend(own.into_iter().map(|(id, socket)| (id, Socket(socket.into_raw_fd()))));
        let mut log_sink = LogSink::new(shared);
        self.report(Report::Ready { number: self.number, engine: built.engine() });
        if self.may_go.recv().is_err() {
            return Some(Ending::Finished);
        }
        if self.blueprint.background {
            // Failing that, the terminal merely stays open.
            let _ = sys::process::silence_standard_descriptors();
            log_sink.leave_standard_descriptors();
        }
        let setup = Setup {
            number: self.number,
            shared: shared.clone(),
            listeners,
            log_sink,
            connections_max: self.blueprint.connections_max,
            channels: self.blueprint.channels.clone(),
            hostname: self.blueprint.hostname.clone(),
            source_ports: SourcePorts::new(
                self.blueprint.ephemeral_ports,
                self.number,
                shared.workers.len() as u16,
                RandomState::new().hash_one(self.number),
            ),
        };
        let ended = built.run(setup);
        Some(ended.map_or_else(|error| Ending::DriverFailed(error.to_string()), |()| Ending::Finished))
    }

    /// What this thread uses of the descriptors that the control thread had when it unshared.
    fn kept_descriptors(&self) -> Vec<i32> {
        let config = &self.blueprint.shared.config;
        let targets = std::iter::once(&config.global.log).chain(config.proxies.iter().map(|proxy| &proxy.log));
        let logs = targets.flat_map(|log| &log.targets).filter_map(|target| match target.address {
            LogAddress::Descriptor(number) => Some(number),
            _ => None,
        });
        let wakes = self.blueprint.wakes.iter().chain([&self.blueprint.control_wake]).map(|wake| wake.descriptor().0);
        let channels = handover::kept_descriptors(&self.blueprint.channels, usize::from(self.number));
        let shared = self.shared_listeners.iter().map(|(_, socket)| socket.0);
        wakes.chain(shared).chain(channels).chain(logs).chain([self.bell.as_raw_fd()]).collect()
    }
}

/// What a panic said.
fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
