//! What the tasks of one executor share, and what each of them is handed.

use super::connect::Routes;
use super::orders::{Event, Orders, Phase, Share};
use super::schedule::Schedule;
use super::tally::{Tally, Timed, error_kind};
use glommio::sync::StaticPermit;
use glommio::timer::sleep;
use nix::sys::socket::{Shutdown, shutdown};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// How long a client waits after a failure before it tries again; a target that is down is not hammered.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Shared by the tasks of one executor.
pub struct Board {
    pub orders: Orders,
    pub routes: Routes,
    pub tally: RefCell<Tally>,
    /// Connections that have been opened once, and those that are open now.
    pub opened: Cell<u64>,
    pub connected: Cell<u64>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What is received lands here: a task keeps none of it over an await.
    pub buffer: RefCell<Vec<u8>>,
    rate: Option<f64>,
    total: u64,
    begun: Cell<Option<Instant>>,
    waiting: RefCell<Vec<Waker>>,
    sockets: RefCell<Vec<Rc<Socket>>>,
}

/// A client's socket as others may end it.
#[derive(Default)]
pub struct Socket {
    number: u64,
    descriptor: Cell<Option<RawFd>>,
    /// Since when an answer is awaited.
    awaiting: Cell<Option<Instant>>,
    ended: Cell<Option<Ended>>,
}

/// Why the board ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It waited too long.
    Overdue,
    /// A storm wants it to come back.
    Storm,
}

impl Board {
    pub fn new(share: &Share, orders: Orders, routes: Routes, rate: Option<f64>, timeout: Duration) -> Self {
        Board {
            orders,
            routes,
            tally: RefCell::default(),
            opened: Cell::new(0),
            connected: Cell::new(0),
            timeout,
            buffer: RefCell::new(vec![0; 256 << 10]),
            rate,
            total: share.total,
            begun: Cell::new(None),
            waiting: RefCell::default(),
            sockets: RefCell::default(),
        }
    }

    /// What connection `number` (of all) works with.
    pub fn client(self: &Rc<Self>, number: u64, permit: StaticPermit) -> Client {
        let socket = Rc::new(Socket { number, ..Socket::default() });
        self.sockets.borrow_mut().push(Rc::clone(&socket));
        Client { board: Rc::clone(self), number, socket, permit: Some(permit), connected: false }
    }

    /// The ramp is over: who waits at [`Client::ready`] goes on.
    pub fn begin(&self) {
        self.begun.set(Some(Instant::now()));
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    pub fn measuring(&self) -> bool {
        self.orders.phase() == Phase::Measure
    }

    /// The open loop's timetable of a connection, from the moment at which the ramp ended.
    pub fn schedule(&self, number: u64) -> Option<Schedule> {
        Some(Schedule::new(self.begun.get()?, self.rate?, number, self.total))
    }

    /// Ends connections that have waited too long for an answer; their reads and writes fail.
    pub fn end_overdue(&self) {
        for socket in self.sockets.borrow().iter() {
            if socket.awaiting.get().is_some_and(|since| since.elapsed() > self.timeout) {
                socket.end(Ended::Overdue);
            }
        }
    }

    /// Ends that many percent of the connections, evenly spread over all numbers.
    pub fn storm(&self, percent: f64) {
        for socket in self.sockets.borrow().iter().filter(|socket| in_storm(socket.number, percent)) {
            socket.end(Ended::Storm);
        }
    }

    pub fn progress(&self, share: u64) -> Event {
        let tally = self.tally.borrow();
        let errors = tally.errors.values().sum();
        Event::Progress { share, connected: self.connected.get(), operations: tally.operations, errors }
    }
}

/// Whether a connection is among the chosen percent.
fn in_storm(number: u64, percent: f64) -> bool {
    let before = |number: u64| (number as f64 * percent / 100.0).floor();
    before(number + 1) > before(number)
}

impl Socket {
    fn end(&self, why: Ended) {
        if let Some(descriptor) = self.descriptor.get() {
            self.ended.set(Some(why));
            self.awaiting.set(None);
            // Who reads or writes notices; that it was closed already is no harm.
            shutdown(descriptor, Shutdown::Both).ok();
        }
    }

    /// A new connection has this descriptor; None: it is closed.
    pub fn set(&self, descriptor: Option<RawFd>) {
        self.descriptor.set(descriptor);
        self.awaiting.set(None);
        if descriptor.is_some() {
            self.ended.set(None);
        }
    }

    /// An answer is awaited from now on, or no longer.
    pub fn awaits(&self, answer: bool) {
        self.awaiting.set(answer.then(Instant::now));
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }
}

/// One connection's side of the board.
pub struct Client {
    pub board: Rc<Board>,
    /// Which of all connections it is.
    pub number: u64,
    pub socket: Rc<Socket>,
    /// Held while it opens for the first time.
    permit: Option<StaticPermit>,
    connected: bool,
}

impl Client {
    /// It is connected (again).
    pub fn opened(&mut self) {
        if !std::mem::replace(&mut self.connected, true) {
            self.board.connected.set(self.board.connected.get() + 1);
        }
        if self.permit.take().is_some() {
            self.board.opened.set(self.board.opened.get() + 1);
        }
    }

    /// Its connection is gone.
    pub fn lost(&mut self) {
        if std::mem::replace(&mut self.connected, false) {
            self.board.connected.set(self.board.connected.get().saturating_sub(1));
        }
    }

    /// It is connected; waits until all are, or the ramp's time is over.
    pub async fn ready(&mut self) {
        self.opened();
        poll_fn(|context| {
            if self.board.begun.get().is_some() {
                return Poll::Ready(());
            }
            self.board.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Counts a failure and waits a moment.
    pub async fn failed(&mut self, error: &io::Error) {
        self.count_failure(error);
        sleep(AFTER_FAILURE).await;
    }

    /// Counts a failure. The last moments of a run are none: connections end with it.
    pub fn count_failure(&mut self, error: &io::Error) {
        self.lost();
        if self.board.orders.phase() != Phase::Stop {
            self.board.tally.borrow_mut().error(&error_kind(error));
        }
    }

    /// An operation that was due at `intended` is complete.
    pub fn done(&self, intended: Instant) {
        if self.board.measuring() {
            let mut tally = self.board.tally.borrow_mut();
            tally.operations += 1;
            tally.time(Timed::Operation, intended.elapsed());
        }
    }

    /// Times what is of interest only while measured.
    pub fn time(&self, what: Timed, latency: Duration) {
        if self.board.measuring() {
            self.board.tally.borrow_mut().time(what, latency);
        }
    }

    /// When its operations are due.
    pub fn pace(&self) -> Pace {
        Pace { schedule: self.board.schedule(self.number) }
    }
}

/// When a client's operations are due.
pub struct Pace {
    schedule: Option<Schedule>,
}

impl Pace {
    /// Waits until the next operation is due; from when its latency counts. In a closed loop that is now.
    pub async fn next(&mut self, client: &Client) -> Instant {
        let Some(schedule) = &mut self.schedule else { return Instant::now() };
        let intended = schedule.next().unwrap_or_else(Instant::now);
        if let Some(early) = intended.checked_duration_since(Instant::now()).filter(|early| !early.is_zero()) {
            sleep(early).await;
        }
        client.time(Timed::Lag, intended.elapsed());
        intended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_storm_takes_its_percent_evenly(percent in 0.0f64..100.0, total in 1u64..5_000) {
            let chosen = (0..total).filter(|&number| in_storm(number, percent)).count() as f64;
            prop_assert!((chosen - total as f64 * percent / 100.0).abs() <= 1.0);
            let half = (0..total / 2).filter(|&number| in_storm(number, percent)).count() as f64;
            prop_assert!((half - chosen / 2.0).abs() <= 1.5, "{half} of {chosen}");
        }
    }
}
