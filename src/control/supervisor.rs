//! Signals, the end of workers, and the way to the end of the process (management.txt section 4).

use super::listeners::SharedListeners;
use super::messages::{self, Level};
use super::notify::ServiceManager;
use super::state_lines;
use super::stop::{Order, Stop};
use super::supervision::{Progress, Supervision};
use super::workers::{Ending, Report, WorkerThreads};
use crate::config::model::{ListenerId, ProxyId};
use crate::io::{Moment, Socket};
use crate::policy::state_log::StateLog;
use crate::shared::mailbox::Message;
use crate::shared::{FrontendStatus, Shared};
use crate::sys::signals::{Signal, SignalSource};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The signals that are read as data; blocked in every thread.
pub const SIGNALS: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTTOU,
    Signal::SIGTTIN,
];

/// How long workers may take to close everything after SIGTERM. HAProxy takes none; ours write their last log lines.
const CLOSING_US: u64 = 1_500_000;
/// A worker that fails again sooner than this waits, twice as long each time, before it is started again.
const RESTART_PAUSE_US: u64 = 1_000_000;
const RESTART_PAUSE_MAX_US: u64 = 60_000_000;

/// One worker as the supervisor sees it.
#[derive(Clone, Copy, Debug)]
struct Watch {
    state: WatchState,
    started_us: u64,
    pause_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchState {
    Serving,
    /// Gone, to be started again.
    RestartAt(u64),
    Ended,
}

/// See the module's text.
pub struct Supervisor {
    pub shared: Arc<Shared>,
    pub signals: SignalSource,
    pub workers: WorkerThreads,
    /// Kept open for workers that are started again; `None` once the listeners are to be closed.
    pub shared_listeners: Option<SharedListeners>,
    pub manager: ServiceManager,
    /// `-W`: SIGUSR2 and SIGHUP mean a reload.
    pub master_worker: bool,
    stop: Stop,
    watches: Vec<Watch>,
    /// SIGTERM or SIGINT.
    ended_by: Option<Signal>,
    close_by_us: Option<u64>,
}

impl Supervisor {
    /// All workers serve.
    pub fn new(
        shared: Arc<Shared>,
        signals: SignalSource,
        workers: WorkerThreads,
        shared_listeners: SharedListeners,
        manager: ServiceManager,
        now_us: u64,
    ) -> Supervisor {
        let global = &shared.config.global;
        let watch = Watch { state: WatchState::Serving, started_us: now_us, pause_us: 0 };
        Supervisor {
            stop: Stop::new(global.grace, global.hard_stop_after),
            watches: vec![watch; workers.count()],
            master_worker: global.master_worker,
            shared_listeners: Some(shared_listeners),
            ended_by: None,
            close_by_us: None,
            shared,
            signals,
            workers,
            manager,
        }
    }

    /// The signal that ended the process, `None` after a soft stop.
    pub fn ended_by(&self) -> Option<Signal> {
        self.ended_by
    }

    fn handle_signal(&mut self, signal: Signal, now_us: u64, logs: &mut Vec<StateLog>) {
        match signal {
            Signal::SIGTERM | Signal::SIGINT => {
                self.ended_by = Some(signal);
                if let Some(order) = self.stop.hard() {
                    self.carry_out(order, now_us, logs);
                }
            }
            Signal::SIGUSR1 => {
                if let Some(order) = self.stop.soft(now_us) {
                    self.carry_out(order, now_us, logs);
                }
            }
            Signal::SIGUSR2 | Signal::SIGHUP if self.master_worker => messages::warning(
                "Reloading is not supported yet: the configuration in use stays, all connections are kept. Start a new \
                 process with -sf and this one's pid instead.",
            ),
            Signal::SIGHUP => self.dump(logs),
            Signal::SIGTTOU => self.pause(logs),
            Signal::SIGTTIN => self.resume(logs),
            // HAProxy ignores SIGUSR2 in a worker and frees memory pools on SIGQUIT: there are none here.
            _ => {}
        }
    }

    fn carry_out(&mut self, order: Order, now_us: u64, logs: &mut Vec<StateLog>) {
        self.manager.stopping();
        match order {
            Order::CloseListeners => {
                self.shared.process.stopping.store(true, Ordering::Relaxed);
                let (frontends, backends): (Vec<_>, Vec<_>) =
                    self.enabled_proxies().partition(|id| self.is_frontend(*id));
                for id in frontends.into_iter().chain(backends) {
                    self.shared.proxy(id).frontend_status.store(FrontendStatus::Stopped as u8, Ordering::Relaxed);
                    say(state_lines::stopped(&self.shared, id), logs);
                }
                self.shared_listeners = None;
                self.tell_workers(&Message::SoftStop);
            }
            Order::CloseConnections => {
                if self.ended_by.is_none() {
                    messages::warning("soft-stop running for too long, performing a hard-stop.");
                }
                self.shared.process.stopping.store(true, Ordering::Relaxed);
                self.shared_listeners = None;
                self.close_by_us = Some(now_us.saturating_add(CLOSING_US));
                self.tell_workers(&Message::HardStop);
            }
        }
    }

    fn dump(&self, logs: &mut Vec<StateLog>) {
        messages::warning("SIGHUP received, dumping servers states.");
        for id in self.enabled_proxies() {
            logs.push(state_lines::dump_begins(&self.shared, id));
            for line in state_lines::dump(&self.shared, id) {
                say(line, logs);
            }
        }
    }

    fn pause(&self, logs: &mut Vec<StateLog>) {
        self.change_frontends(FrontendStatus::Open, FrontendStatus::Paused, |id| {
            say(state_lines::paused(&self.shared, id), logs);
            |listener| Message::PauseListener { listener }
        });
    }

    fn resume(&self, logs: &mut Vec<StateLog>) {
        self.change_frontends(FrontendStatus::Paused, FrontendStatus::Open, |id| {
            say(state_lines::resumed(&self.shared, id), logs);
            |listener| Message::ResumeListener { listener }
        });
    }

    /// Moves every frontend in state `from` to `to` and tells all workers about its listeners.
    fn change_frontends<M: Fn(ListenerId) -> Message>(
        &self,
        from: FrontendStatus,
        to: FrontendStatus,
        mut announce: impl FnMut(ProxyId) -> M,
    ) {
        for id in self.enabled_proxies().filter(|id| self.is_frontend(*id)) {
            let status = &self.shared.proxy(id).frontend_status;
            let (from, to) = (from as u8, to as u8);
            if status.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                let message = announce(id);
                let frontend = self.shared.config.proxy(id).frontend.iter();
                for listener in frontend.flat_map(|frontend| &frontend.listeners) {
                    self.tell_workers(&message(*listener));
                }
            }
        }
    }

    fn enabled_proxies(&self) -> impl Iterator<Item = ProxyId> + use<> {
        let shared = self.shared.clone();
        self.shared.config.proxy_ids().filter(move |id| !shared.config.proxy(*id).disabled)
    }

    fn is_frontend(&self, id: ProxyId) -> bool {
        self.shared.config.proxy(id).frontend.is_some()
    }

    fn tell_workers(&self, message: &Message) {
        for worker in self.shared.workers.iter().take(self.workers.count()) {
            worker.mailbox.send(message.clone());
        }
    }

    fn handle_report(&mut self, report: Report, now_us: u64, logs: &mut Vec<StateLog>) {
        match report {
            // A worker that was started again, or a first report that start-up has read already.
            Report::Ready { number, .. } => {
                if let Some(watch) = self.watches.get_mut(usize::from(number)) {
                    watch.state = WatchState::Serving;
                }
            }
            Report::BindFailed { number, failures } => {
                for failure in &failures {
                    self.complain(&failure.message(&self.shared.config), logs);
                }
                self.gone(number, false, now_us, logs);
            }
            Report::Failed { number, reason } => {
                self.complain(&format!("Worker {number}: {reason}."), logs);
                self.gone(number, false, now_us, logs);
            }
            Report::Ended { number, ending } => {
                let told_to = self.stop.is_under_way();
                match &ending {
                    Ending::Finished if told_to => {}
                    Ending::Finished => self.complain(&format!("Worker {number} ended without being told to."), logs),
                    Ending::DriverFailed(reason) => self.complain(&format!("Worker {number} failed: {reason}."), logs),
                    Ending::Panicked(text) => self.complain(
                        &format!("Worker {number} panicked, its connections are lost; the others serve on: {text}."),
                        logs,
                    ),
                }
                self.gone(number, ending == Ending::Finished, now_us, logs);
            }
        }
    }

    /// Worker `number` does not serve any more: it has ended, or is started again.
    fn gone(&mut self, number: u16, finished: bool, now_us: u64, logs: &mut Vec<StateLog>) {
        self.workers.join(number);
        let under_way = self.stop.is_under_way();
        let Some(watch) = self.watches.get_mut(usize::from(number)) else { return };
        if under_way {
            watch.state = WatchState::Ended;
            return;
        }
        let quickly = now_us.saturating_sub(watch.started_us) < RESTART_PAUSE_MAX_US;
        watch.pause_us = match (quickly, watch.pause_us) {
            (false, _) | (true, 0) => RESTART_PAUSE_US,
            (true, pause_us) => (pause_us * 2).min(RESTART_PAUSE_MAX_US),
        };
        // The first failure after a long time is repaired at once.
        let at_us = if quickly || finished { now_us.saturating_add(watch.pause_us) } else { now_us };
        watch.state = WatchState::RestartAt(at_us);
        self.restart_due(now_us, logs);
    }

    fn restart_due(&mut self, now_us: u64, logs: &mut Vec<StateLog>) {
        if self.stop.is_under_way() {
            for watch in &mut self.watches {
                if matches!(watch.state, WatchState::RestartAt(_)) {
                    watch.state = WatchState::Ended;
                }
            }
            return;
        }
        for index in 0..self.watches.len() {
            let (Ok(number), Some(watch)) = (u16::try_from(index), self.watches.get_mut(index)) else { continue };
            if !matches!(watch.state, WatchState::RestartAt(at_us) if at_us <= now_us) {
                continue;
            }
            watch.state = WatchState::Serving;
            watch.started_us = now_us;
            let Some(shared_listeners) = &self.shared_listeners else { continue };
            if let Err(error) = self.workers.restart(number, shared_listeners) {
                self.complain(&format!("Worker {number} cannot be started again: {error}."), logs);
                if let Some(watch) = self.watches.get_mut(index) {
                    watch.state = WatchState::RestartAt(now_us.saturating_add(RESTART_PAUSE_MAX_US));
                }
            }
        }
    }

    /// An alert on stderr and in the log of every frontend: nothing else reaches whoever runs a daemon.
    fn complain(&self, text: &str, logs: &mut Vec<StateLog>) {
        messages::alert(text);
        for proxy in self.enabled_proxies().filter(|id| self.is_frontend(*id)) {
            logs.push(StateLog { proxy, level: 1, text: text.to_owned() });
        }
    }

    fn is_over(&self, now_us: u64) -> bool {
        self.watches.iter().all(|watch| watch.state == WatchState::Ended)
            || self.close_by_us.is_some_and(|close_by_us| close_by_us <= now_us)
    }
}

/// On stderr all of these are warnings, whatever their level in the log.
fn say(line: StateLog, logs: &mut Vec<StateLog>) {
    messages::say(Level::Warning, &line.text);
    logs.push(line);
}

impl Supervision for Supervisor {
    fn descriptors(&self) -> Vec<Socket> {
        vec![Socket(self.signals.as_raw_fd()), self.workers.descriptor()]
    }

    fn attend(&mut self, now: Moment, logs: &mut Vec<StateLog>) -> Progress {
        let now_us = now.monotonic_us;
        while let Ok(Some(received)) = self.signals.next() {
            self.handle_signal(received.signal, now_us, logs);
        }
        self.workers.hush();
        while let Some(report) = self.workers.next_report() {
            self.handle_report(report, now_us, logs);
        }
        if let Some(order) = self.stop.tick(now_us) {
            self.carry_out(order, now_us, logs);
        }
        self.restart_due(now_us, logs);
        if self.stop.is_under_way() && self.is_over(now_us) { Progress::End } else { Progress::Continue }
    }

    fn deadline_us(&self) -> Option<u64> {
        let restarts = self.watches.iter().filter_map(|watch| match watch.state {
            WatchState::RestartAt(at_us) => Some(at_us),
            _ => None,
        });
        restarts.chain(self.stop.deadline_us()).chain(self.close_by_us).min()
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
