use super::*;
use crate::config::load::load_text;
use crate::config::model::{Config, ListenAddress};
use crate::control::engine::Engine;
use crate::control::listeners;
use crate::control::workers::Blueprint;
use crate::io::{DriverSettings, WakeEvent};
use crate::sys::clock::{monotonic_us, wall_us};
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A proxy without servers on a port that `_held` keeps for this test: connections are accepted and closed.
struct World {
    supervisor: Supervisor,
    config: Arc<Config>,
    _held: OwnedFd,
}

fn config() -> (Config, OwnedFd) {
    let text = "defaults\n mode tcp\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
                listen a\n bind 127.0.0.1:1\n server s 127.0.0.1:1 disabled\n";
    let mut config = load_text("test.cfg", text).config.expect("a valid configuration");
    config.listeners[0].address = ListenAddress::Ip { address: "127.0.0.1:0".parse().unwrap(), v6only: None };
    // The first socket takes a free port, and with SO_REUSEPORT the workers' may join it.
    let (_, socket) = listeners::open_own(&config, 0, true).unwrap().pop().unwrap();
    let crate::sys::address::SocketAddress::Ip(address) =
        crate::sys::socket::local_address(socket.as_raw_fd()).unwrap()
    else {
        panic!("a TCP socket")
    };
    config.listeners[0].address = ListenAddress::Ip { address, v6only: None };
    (config, socket)
}

fn world(workers: usize) -> World {
    let (config, held) = config();
    let config = Arc::new(config);
    let shared = Arc::new(Shared::new(config.clone(), workers, monotonic_us(), wall_us()));
    shared.process.maxconn.store(100, Ordering::Relaxed);
    let settings = DriverSettings { small_buffers_max: 16, large_buffers_max: 2, pipes_max: 2, ..Default::default() };
    let blueprint = Blueprint {
        shared: shared.clone(),
        engine: Engine::Epoll,
        may_fall_back: false,
        driver: settings,
        ephemeral_ports: None,
        connections_max: 100,
        channels: Arc::new([]),
        reuse_port: true,
        wakes: (0..workers).map(|_| WakeEvent::new().unwrap()).collect(),
        control_wake: WakeEvent::new().unwrap(),
        cpus: Vec::new(),
        hostname: "test".to_owned(),
        background: false,
    };
    let listeners = SharedListeners::default();
    let mut threads = WorkerThreads::start(blueprint, &listeners).unwrap();
    for _ in 0..workers {
        assert!(matches!(threads.wait_report(), Some(Report::Ready { engine: Engine::Epoll, .. })));
    }
    threads.go();
    // No signal of the test process is taken over: the tests' other threads do not block them.
    let signals = SignalSource::new(&[Signal::SIGWINCH]).unwrap();
    let manager = ServiceManager::default();
    let supervisor = Supervisor::new(shared, signals, threads, listeners, manager, monotonic_us());
    World { supervisor, config, _held: held }
}

impl World {
    fn attend_at(&mut self, monotonic_us: u64) -> (Progress, Vec<String>) {
        let mut logs = Vec::new();
        let progress = self.supervisor.attend(Moment { monotonic_us, wall_us: wall_us() }, &mut logs);
        (progress, logs.into_iter().map(|log| log.text).collect())
    }

    /// Attends until `done`, which is given what was logged so far.
    fn attend_until(&mut self, what: &str, mut done: impl FnMut(Progress, &[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut said = Vec::new();
        loop {
            let (progress, lines) = self.attend_at(monotonic_us());
            said.extend(lines);
            if done(progress, &said) {
                return said;
            }
            assert!(Instant::now() < deadline, "not in time: {what}; said: {said:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn address(&self) -> std::net::SocketAddr {
        match self.config.listeners[0].address {
            ListenAddress::Ip { address, .. } => address,
            _ => panic!("a TCP listener"),
        }
    }
}

#[test]
fn a_worker_that_ends_is_started_again_and_the_others_serve_on() {
    let mut world = world(2);
    world.supervisor.shared.workers[1].mailbox.send(Message::HardStop);
    let said = world.attend_until("worker 1 is gone", |_, said| !said.is_empty());
    assert_eq!(said, ["Worker 1 ended without being told to."]);
    let restart_us = world.supervisor.deadline_us().expect("a time for the next attempt");
    assert!(restart_us > monotonic_us());
    let (progress, said) = world.attend_at(restart_us);
    assert_eq!((progress, said.len()), (Progress::Continue, 0));
    assert_eq!(world.supervisor.deadline_us(), None);
    // It serves again, and ends when all end.
    world.supervisor.handle_signal(Signal::SIGUSR1, monotonic_us(), &mut Vec::new());
    world.attend_until("all have ended", |progress, _| progress == Progress::End);
    assert_eq!(world.supervisor.ended_by(), None);
}

#[test]
fn failures_in_a_row_are_retried_ever_more_slowly() {
    let mut world = world(1);
    // The thread ends for good first: a report is joined with its thread.
    world.supervisor.shared.workers[0].mailbox.send(Message::HardStop);
    world.attend_until("worker 0 is gone", |_, said| !said.is_empty());
    let mut now_us = world.supervisor.deadline_us().unwrap();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let report = Report::Failed { number: 0, reason: "no memory".to_owned() };
        let mut logs = Vec::new();
        world.supervisor.handle_report(report, now_us, &mut logs);
        assert_eq!(logs[0].text, "Worker 0: no memory.");
        let at_us = world.supervisor.deadline_us().unwrap();
        pauses.push((at_us - now_us) / 1_000_000);
        now_us = at_us;
        // Taken as started again, without a thread.
        world.supervisor.watches[0] =
            Watch { state: WatchState::Serving, started_us: now_us, ..world.supervisor.watches[0] };
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn pause_and_resume_are_said_once() {
    let mut world = world(1);
    let mut logs = Vec::new();
    world.supervisor.handle_signal(Signal::SIGTTOU, monotonic_us(), &mut logs);
    world.supervisor.handle_signal(Signal::SIGTTOU, monotonic_us(), &mut logs);
    assert_eq!(logs.iter().map(|log| log.text.as_str()).collect::<Vec<_>>(), ["Paused proxy a."]);
    logs.clear();
    world.supervisor.handle_signal(Signal::SIGTTIN, monotonic_us(), &mut logs);
    assert_eq!(logs.iter().map(|log| log.text.as_str()).collect::<Vec<_>>(), ["Resumed proxy a."]);
    world.supervisor.handle_signal(Signal::SIGTERM, monotonic_us(), &mut Vec::new());
    world.attend_until("the worker has ended", |progress, _| progress == Progress::End);
    assert_eq!(world.supervisor.ended_by(), Some(Signal::SIGTERM));
}

#[test]
fn workers_accept_on_sockets_of_their_own() {
    let mut world = world(2);
    let address = world.address();
    // The test's own socket on that port takes its share of the connections, so only some come through.
    let answered = (0..40)
        .filter(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            matches!(client.read(&mut [0u8; 1]), Ok(0)) || client.take_error().is_ok_and(|error| error.is_some())
        })
        .count();
    assert!(answered >= 10, "{answered} of 40 were accepted by workers");
    world.supervisor.handle_signal(Signal::SIGUSR1, monotonic_us(), &mut Vec::new());
    world.attend_until("all have ended", |progress, _| progress == Progress::End);
}
