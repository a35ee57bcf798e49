//! Brings a checked configuration to life, in HAProxy's order: limits, background, bind, pid file, chroot and user, go;
//! and back to an exit code.

use super::command_line::{CommandLine, OldProcesses};
use super::daemon::{self, Parent};
use super::engine;
use super::event_loop::{Control, ControlSetup};
use super::listeners::{self, BindFailure, SharedListeners};
use super::notify::ServiceManager;
use super::pidfile::Pidfile;
use super::placement;
use super::privileges::Privileges;
use super::replaced::Replaced;
use super::start::{Refusal, refuse};
use super::state_lines;
use super::supervision::{Progress, Supervision};
use super::supervisor::{SIGNALS, Supervisor};
use super::workers::{Blueprint, Report, WorkerThreads};
use super::{descriptors, messages, report, version};
use crate::config::model::Config;
use crate::io::epoll::EpollDriver;
use crate::io::{DriverSettings, Socket, WakeEvent};
use crate::shared::Shared;
use crate::sys;
use crate::sys::handover::HandoverChannel;
use crate::sys::signals::{Signal, SignalSource};
use crate::worker::log_sink::LogSink;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Serves `config` until told to end. Returns the exit code; a daemon's parent and a process ended by SIGTERM or SIGINT
/// do not return.
///
/// # Errors
/// It could not start; why was said.
pub fn serve(options: &CommandLine, mut config: Config) -> Result<i32, Refusal> {
    let main_function = options.main_function();
    let say_refusal = |text: &str| messages::alert(&format!("{main_function} {text}"));
    if !report::has_listener(&config) {
        return refuse(&format!("{main_function} No enabled listener found (check for 'bind' directives) ! Exiting."));
    }
    messages::set_quiet(config.global.quiet && !options.verbose);

    let workers = placement::worker_count(&config.global);
    let settled = descriptors::apply(&config, workers).or_else(|text| refuse(&format!("{main_function} {text}")))?;
    if let Some(shortage) = &settled.shortage {
        messages::warning(&format!("{main_function} {shortage}"));
    }
    if settled.automatic {
        messages::notice(&format!("Automatically setting global.maxconn to {}.", settled.plan.maxconn));
    }
    config.global.maxconn = Some(settled.plan.maxconn);

    raise_locked_memory();
    let wanted = engine::wanted(std::env::var_os("RINGWAY_ENGINE").as_deref(), config.global.engine);
    let privileges = Privileges::look_up(&config.global).map_err(|errors| {
        for error in errors {
            say_refusal(&error);
        }
        Refusal
    })?;
    let (manager, manager_error) = match options.systemd.then(ServiceManager::from_environment) {
        None => (ServiceManager::default(), None),
        Some(Ok(manager)) => (manager, None),
        Some(Err(error)) => (ServiceManager::default(), Some(error)),
    };
    if let Some(error) = manager_error {
        messages::warning(&format!("{main_function} $NOTIFY_SOCKET cannot be reached ({error}): starting without."));
    }

    // Forking is only possible while there is one thread, so before anything that starts one.
    let parent = if config.global.daemon {
        match daemon::go_to_background() {
            Ok(parent) => Some(parent),
            Err(error) => return refuse(&format!("{main_function} Cannot fork: {error}.")),
        }
    } else {
        None
    };

    let chosen = wanted.and_then(engine::choose).or_else(|text| refuse(&format!("{main_function} {text}")))?;
    if let Some(reason) = &chosen.fallback {
        messages::notice(&format!("io_uring is not available ({reason}): using epoll."));
    }

    let serving =
        Serving { options, main_function: &main_function, config: Arc::new(config), settled, chosen, workers };
    serving.start(privileges, manager, parent)
}

/// Kernels before 5.12 charge rings to RLIMIT_MEMLOCK: takes what may be had of it. Too little makes io_uring
/// unavailable, which is said then.
fn raise_locked_memory() {
    if let Ok(limit) = sys::limits::locked_memory() {
        let _ = sys::limits::set_locked_memory(sys::limits::Limit { soft: limit.hard, hard: limit.hard });
    }
}

/// What is known when the first socket is to be opened.
struct Serving<'a> {
    options: &'a CommandLine,
    main_function: &'a str,
    config: Arc<Config>,
    settled: descriptors::Settlement,
    chosen: engine::Chosen,
    workers: u32,
}

impl Serving<'_> {
    fn refuse<T>(&self, text: &str) -> Result<T, Refusal> {
        refuse(&format!("{} {text}", self.main_function))
    }

    fn start(&self, privileges: Privileges, manager: ServiceManager, parent: Option<Parent>) -> Result<i32, Refusal> {
        let failed = |what: &str, error: io::Error| format!("Cannot {what}: {error}.");
        // Before the first thread, so that all inherit it.
        let blocked = sys::signals::block(&SIGNALS).and_then(|()| SignalSource::new(&SIGNALS));
        let signals = blocked.or_else(|error| self.refuse(&failed("take over signals", error)))?;
        let _ = sys::signals::ignore(Signal::SIGPIPE);
        announce_panics();

        let shared = Arc::new(self.shared());
        let reuse_port = !self.options.no_reuse_port;
        let replaced = Replaced::by(&self.config);
        // Everything that is not a worker's first: whoever finds a port open finds the rest, too.
        let runtime_sockets = self.open_runtime_sockets()?;
        let shared_listeners = match SharedListeners::open(&self.config, reuse_port) {
            Ok(listeners) => listeners,
            Err(failures) => return self.refuse_binding(&failures),
        };
        let blueprint =
            self.blueprint(&shared, reuse_port).or_else(|error| self.refuse(&failed("set up workers", error)))?;
        let control_wake = blueprint.control_wake.clone();
        let workers = WorkerThreads::start(blueprint, &shared_listeners)
            .or_else(|error| self.refuse(&failed("start workers", error)))?;
        self.await_workers(&workers, &shared)?;

        let pidfile = self.create_pidfile()?;
        replaced.give_up();
        let now_us = sys::clock::monotonic_us();
        let mut supervisor = Supervisor::new(shared.clone(), signals, workers, shared_listeners, manager, now_us);
        let mut control = self
            .control(&shared, control_wake, runtime_sockets, &supervisor)
            .or_else(|error| self.refuse(&failed("run the control loop", error)))?;
        privileges.drop_for_good().or_else(|text| self.refuse(&text))?;
        if let Some(pidfile) = pidfile
            && let Err(error) = pidfile.write(std::process::id())
        {
            messages::warning(&format!("{} Cannot write the pid file: {error}.", self.main_function));
        }

        supervisor.workers.go();
        self.announce(&supervisor.workers);
        self.signal_old_processes();
        supervisor.manager.ready();
        if let Some(parent) = parent {
            parent.release();
            let _ = sys::process::silence_standard_descriptors();
            control.leave_standard_descriptors();
            messages::set_quiet(true);
        }
        let mut completions = Vec::with_capacity(256);
        loop {
            match control.turn(&mut supervisor, &mut completions) {
                Ok(Progress::Continue) => {}
                Ok(Progress::End) => return Ok(self.exit(&supervisor)),
                Err(error) => return self.refuse(&failed("run the control loop", error)),
            }
        }
    }

    /// The control thread's loop, ready to run. Its connections are checks and runtime sessions, so epoll does whatever
    /// the workers use.
    fn control(
        &self,
        shared: &Arc<Shared>,
        wake: WakeEvent,
        runtime_sockets: Vec<(usize, OwnedFd)>,
        supervisor: &Supervisor,
    ) -> io::Result<Control<EpollDriver>> {
        let driver = EpollDriver::new(&DriverSettings {
            small_buffers_max: 1024,
            large_buffers_max: 16,
            pipes_max: 0,
            wake: Some(wake),
            ..DriverSettings::default()
        })?;
        let enabled = self.config.proxy_ids().filter(|id| !self.config.proxy(*id).disabled);
        let setup = ControlSetup {
            shared: shared.clone(),
            // From here on the driver closes them, by number.
            runtime_listeners: runtime_sockets
                .into_iter()
                .map(|(index, socket)| (index, Socket(socket.into_raw_fd())))
                .collect(),
            log_sink: LogSink::new(shared),
            hostname: sys::process::host_name(),
            first_logs: enabled.map(|id| state_lines::started(&self.config, id)).collect(),
        };
        Control::new(driver, setup, &supervisor.descriptors())
    }

    fn shared(&self) -> Shared {
        let (now_us, wall_us) = (sys::clock::monotonic_us(), sys::clock::wall_us());
        let shared = Shared::new(self.config.clone(), self.workers as usize, now_us, wall_us);
        crate::policy::health::start(&shared, now_us);
        let (process, plan) = (&shared.process, &self.settled.plan);
        process.maxconn.store(plan.maxconn, Ordering::Relaxed);
        process.maxconn_hard.store(plan.maxconn, Ordering::Relaxed);
        // Both are figures of one table: the limit bounds each worker's, not their sum.
        process.maxsock.store(u32::try_from(plan.descriptors).unwrap_or(u32::MAX), Ordering::Relaxed);
        process.ulimit_n.store(self.settled.soft, Ordering::Relaxed);
        process.maxpipes.store(plan.pipes_per_worker.saturating_mul(self.workers), Ordering::Relaxed);
        process.engine.store(self.chosen.engine.number(), Ordering::Relaxed);
        shared
    }

    fn blueprint(&self, shared: &Arc<Shared>, reuse_port: bool) -> io::Result<Blueprint> {
        let global = &self.config.global;
        let mut driver = DriverSettings { pipes_max: self.settled.plan.pipes_per_worker, ..DriverSettings::default() };
        driver.large_buffer_bytes = driver.large_buffer_bytes.max(global.bufsize_bytes);
        if global.pipesize_bytes != 0 {
            driver.pipe_bytes = global.pipesize_bytes;
        }
        Ok(Blueprint {
            shared: shared.clone(),
            engine: self.chosen.engine,
            may_fall_back: self.chosen.automatic,
            driver,
            connections_max: self.settled.plan.connections_per_worker,
            channels: self.channels()?,
            ephemeral_ports: sys::limits::ephemeral_ports(),
            reuse_port,
            wakes: (0..self.workers).map(|_| WakeEvent::new()).collect::<io::Result<_>>()?,
            control_wake: WakeEvent::new()?,
            cpus: placement::place(global, self.workers, &sys::affinity::allowed_cpus()),
            hostname: sys::process::host_name(),
            background: global.daemon,
        })
    }

    /// Ways between the workers' descriptor tables.
    fn channels(&self) -> io::Result<Arc<[HandoverChannel]>> {
        let count = if self.workers > 1 { self.workers } else { 0 };
        (0..count).map(|_| HandoverChannel::new()).collect()
    }

    /// Waits until every worker has bound its listeners.
    fn await_workers(&self, workers: &WorkerThreads, shared: &Shared) -> Result<(), Refusal> {
        let mut refused = Ok(());
        let mut failed: Vec<BindFailure> = Vec::new();
        for _ in 0..workers.count() {
            match workers.wait_report() {
                Some(Report::Ready { engine, number }) if engine != self.chosen.engine => {
                    messages::notice(&format!("Worker {number} cannot have io_uring: it uses epoll."));
                    shared.process.engine.store(engine.number(), Ordering::Relaxed);
                }
                Some(Report::Ready { .. }) => {}
                Some(Report::BindFailed { failures, .. }) => failed.extend(failures),
                Some(Report::Failed { number, reason }) => refused = self.refuse(&format!("Worker {number} {reason}.")),
                other => refused = self.refuse(&format!("A worker ended at once: {other:?}.")),
            }
        }
        if failed.is_empty() { refused } else { self.refuse_binding(&failed) }
    }

    /// Each address once, however many workers could not bind it.
    fn refuse_binding<T>(&self, failures: &[BindFailure]) -> Result<T, Refusal> {
        let mut said = Vec::new();
        for failure in failures {
            if !said.contains(&failure.listener) {
                said.push(failure.listener);
                messages::alert(&failure.message(&self.config));
            }
        }
        self.refuse("Some protocols failed to start their listeners! Exiting.")
    }

    fn open_runtime_sockets(&self) -> Result<Vec<(usize, OwnedFd)>, Refusal> {
        let mut opened = Vec::new();
        for (index, socket) in self.config.global.runtime_sockets.iter().enumerate() {
            match listeners::open_runtime(socket) {
                Ok(listener) => opened.push((index, listener)),
                Err(error) => {
                    messages::alert(&listeners::runtime_failure(socket, &error));
                    return self.refuse("Some protocols failed to start their listeners! Exiting.");
                }
            }
        }
        Ok(opened)
    }

    /// As HAProxy, only for what runs in the background or under a service manager.
    fn create_pidfile(&self) -> Result<Option<Pidfile>, Refusal> {
        let global = &self.config.global;
        let Some(path) = global.pidfile.as_ref().filter(|_| global.daemon || global.master_worker) else {
            return Ok(None);
        };
        match Pidfile::create(path) {
            Ok(pidfile) => Ok(Some(pidfile)),
            Err(error) => self.refuse(&format!("Cannot create pidfile {}: {error}.", path.display())),
        }
    }

    /// The one line of a start that went well.
    fn announce(&self, workers: &WorkerThreads) {
        let (plan, count) = (&self.settled.plan, workers.count());
        let plural = if count == 1 { "" } else { "s" };
        messages::notice(&format!(
            "{}: {count} {} worker{plural}, maxconn {}.",
            version::OWN_NAME,
            self.chosen.engine.name(),
            plan.maxconn,
        ));
    }

    fn signal_old_processes(&self) {
        let signal = match self.options.old_processes {
            OldProcesses::Finish => Signal::SIGUSR1,
            OldProcesses::Terminate => Signal::SIGTERM,
        };
        for pid in &self.options.old_pids {
            // One that is gone already needs no signal.
            let _ = sys::signals::send(*pid, signal);
        }
    }

    /// Under a service manager the end by SIGTERM is a success, as with HAProxy's master; otherwise the process ends by
    /// the signal, so that whoever waits sees 143 or 130.
    fn exit(&self, supervisor: &Supervisor) -> i32 {
        match supervisor.ended_by() {
            None => 0,
            Some(Signal::SIGTERM) if self.config.global.master_worker => 0,
            Some(signal) if self.config.global.master_worker => 128 + signal as i32,
            Some(signal) => sys::signals::die_by(signal),
        }
    }
}

/// A panic is said in the form of every other message; who catches it decides what it means.
fn announce_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        messages::alert(&format!("Thread {} panicked: {panic}", thread.name().unwrap_or("?")));
    }));
}
