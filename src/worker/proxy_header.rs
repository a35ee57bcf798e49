//! Sessions that have not begun: a header of the PROXY protocol comes first (configuration.txt 5.1 `accept-proxy`, 4.2
//! `tcp-request connection expect-proxy`). HAProxy wants it in one piece; here it may come in as many as it likes.

use super::slots::Tenant;
use super::{Core, Worker, session_log};
use crate::config::model::Proxy;
use crate::io::{Completion, Driver, Socket};
use crate::proto::proxy_protocol::{Announced, Parsed, parse};
use crate::session::surroundings::Surroundings;
use crate::session::tcp::{Accepted, Step};
use crate::session::token::{Direction, Operation, SlotKey};
use std::io::ErrorKind;
use std::time::Duration;

/// Looked at in one go; no header without long TLVs is longer.
const PEEK_BYTES: usize = 256;

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Closed,
    TimedOut,
    NotAHeader,
    Invalid,
}

impl Trouble {
    fn text(self) -> &'static str {
        match self {
            Trouble::Closed => "the connection ended before its PROXY protocol header was complete",
            Trouble::TimedOut => "no complete PROXY protocol header came in time",
            Trouble::NotAHeader => "the first bytes are not a PROXY protocol header",
            Trouble::Invalid => "the PROXY protocol header is invalid",
        }
    }
}

enum Progress {
    Waiting,
    Complete(Option<Announced>),
    Failed(Trouble),
}

/// See the module's text.
pub struct ProxyHeaderWait {
    /// What is in the slot afterwards.
    session: Tenant,
    timeout: Option<Duration>,
    /// Taken so far: all of it is header.
    received: Vec<u8>,
    is_armed: bool,
    is_over: bool,
}

impl ProxyHeaderWait {
    fn new(session: Tenant, timeout: Option<Duration>) -> Self {
        ProxyHeaderWait { session, timeout, received: Vec::new(), is_armed: false, is_over: false }
    }

    fn accepted(&self) -> Option<&Accepted> {
        match &self.session {
            Tenant::Tcp(session) => Some(session.accepted()),
            Tenant::Http(session) => Some(session.accepted()),
            Tenant::Local(session) => Some(&session.accepted),
            Tenant::ProxyHeader(_) | Tenant::Nobody => None,
        }
    }

    fn client(&self) -> Socket {
        self.accepted().map_or(Socket(-1), |accepted| accepted.client)
    }

    fn arm<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        self.is_armed = true;
        around.driver.poll_readable(self.client(), around.key.token(Operation::Readable(Direction::Request)));
    }

    /// Takes what belongs to the header, and not a byte more.
    fn read<D: Driver>(&mut self, driver: &mut D) -> Progress {
        let mut bytes = [0; PEEK_BYTES];
        loop {
            let count = match driver.peek_now(self.client(), &mut bytes) {
                Ok(0) => return Progress::Failed(Trouble::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Progress::Failed(Trouble::Closed),
            };
            let taken = self.received.len();
            self.received.extend_from_slice(bytes.get(..count).unwrap_or_default());
            let parsed = parse(&self.received);
            let (wanted, result) = match parsed {
                Parsed::Incomplete => (count, None),
                Parsed::Header { length_bytes, announced } => {
                    (length_bytes.saturating_sub(taken), Some(Progress::Complete(announced)))
                }
                Parsed::NotAHeader => return Progress::Failed(Trouble::NotAHeader),
                Parsed::Invalid => return Progress::Failed(Trouble::Invalid),
            };
            if driver.receive_now(self.client(), bytes.get_mut(..wanted).unwrap_or_default()).is_err() {
                return Progress::Failed(Trouble::Closed);
            }
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// When its patience ends, monotonic microseconds.
    pub(super) fn deadline_us(&self) -> Option<u64> {
        let timeout_us = u64::try_from(self.timeout?.as_micros()).unwrap_or(u64::MAX);
        let accepted = self.accepted().filter(|_| !self.is_over)?;
        Some(accepted.monotonic_us.saturating_add(timeout_us))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_over && !self.is_armed
    }

    /// Ends it; what is armed is cancelled.
    pub(super) fn over<D: Driver>(&mut self, around: &mut Surroundings<D>) -> Step {
        if self.is_over {
            return Step::Continue;
        }
        self.is_over = true;
        if self.is_armed {
            around.driver.cancel(self.client(), around.key.token(Operation::Readable(Direction::Request)));
        }
        Step::Over
    }

    /// Gives the places under the limits back.
    pub(super) fn leave<D: Driver>(&mut self, around: &mut Surroundings<D>) {
        match &mut self.session {
            Tenant::Tcp(session) => {
                session.never_began(around);
                session.leave();
            }
            Tenant::Http(session) => session.leave(),
            Tenant::Local(session) => session.accepted.places = None,
            Tenant::ProxyHeader(_) | Tenant::Nobody => {}
        }
    }

    pub(super) fn close<D: Driver>(&mut self, driver: &mut D) {
        match &mut self.session {
            Tenant::Tcp(session) => session.close(driver),
            Tenant::Http(session) => session.close(driver),
            Tenant::Local(session) => session.close(driver),
            Tenant::ProxyHeader(_) | Tenant::Nobody => {}
        }
    }
}

impl<D: Driver> Worker<D> {
    /// The session in the slot begins when its header has come.
    pub(super) fn await_proxy_header(&mut self, key: SlotKey, proxy: &Proxy) {
        let timeout = proxy.timeouts.client;
        self.slots.replace_with(key, |session| Tenant::ProxyHeader(Box::new(ProxyHeaderWait::new(session, timeout))));
        let Some(Tenant::ProxyHeader(wait)) = self.slots.get(key) else { return };
        // It has most likely come with the connection.
        let progress = wait.read(&mut self.core.driver);
        self.act_on_header(key, progress);
    }

    pub(super) fn proxy_header_event(&mut self, key: SlotKey, _completion: &Completion) {
        let Some(Tenant::ProxyHeader(wait)) = self.slots.get(key) else { return };
        wait.is_armed = false;
        if wait.is_over {
            return self.after_event(key, Step::Continue);
        }
        let progress = wait.read(&mut self.core.driver);
        self.act_on_header(key, progress);
    }

    pub(super) fn proxy_header_timed_out(&mut self, key: SlotKey) {
        let now_us = self.core.now_us();
        match self.slots.get(key) {
            Some(Tenant::ProxyHeader(wait)) if wait.deadline_us().is_some_and(|at_us| at_us <= now_us) => {
                self.act_on_header(key, Progress::Failed(Trouble::TimedOut));
            }
            _ => {}
        }
    }

    fn act_on_header(&mut self, key: SlotKey, progress: Progress) {
        let Some(Tenant::ProxyHeader(wait)) = self.slots.get(key) else { return };
        let step = match progress {
            Progress::Waiting => {
                wait.arm(&mut self.core.surroundings(key));
                Step::Continue
            }
            Progress::Failed(trouble) => {
                write_trouble(&mut self.core, wait, trouble);
                wait.over(&mut self.core.surroundings(key))
            }
            Progress::Complete(announced) => {
                match (&mut wait.session, announced) {
                    (Tenant::Tcp(session), Some(announced)) => session.announced(announced),
                    (Tenant::Http(session), Some(announced)) => session.announced(announced),
                    _ => {}
                }
                self.timers.clear(key.slot);
                self.slots.replace_with(key, |tenant| match tenant {
                    Tenant::ProxyHeader(wait) => wait.session,
                    other => other,
                });
                return self.begin(key);
            }
        };
        self.after_event(key, step)
    }
}

/// As HAProxy logs a connection whose handshake failed; `option dontlognull`: not if nothing came.
fn write_trouble<D: Driver>(core: &mut Core<D>, wait: &ProxyHeaderWait, trouble: Trouble) {
    let Some(accepted) = wait.accepted() else { return };
    let config = core.shared.config.clone();
    let proxy = config.proxy(accepted.frontend);
    let is_null = wait.received.is_empty() && matches!(trouble, Trouble::Closed | Trouble::TimedOut);
    if proxy.options.dontlognull && is_null {
        return;
    }
    session_log::write_handshake_failure(core, accepted, trouble.text());
}
