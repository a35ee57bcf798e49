//! The control thread's loop on the simulated driver: schedules in virtual time, connections that go wrong, leaks.

use super::event_loop::{Control, ControlSetup};
use super::supervision::{Progress, Supervision};
use crate::config::model::*;
use crate::io::sim::{Faults, Network, OriginBehaviour, Peer, PeerRead, SimDriver};
use crate::io::{DriverSettings, Moment, Socket, SocketAddress};
use crate::policy::health::fixture::{add, proxy, server};
use crate::policy::health::{self, AdminChange};
use crate::policy::state_log::StateLog;
use crate::shared::Shared;
use crate::shared::mailbox::Message;
use crate::shared::server::{CheckStatus, RunState};
use crate::worker::log_sink::LogSink;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const BACKEND: ProxyId = ProxyId(0);

struct Nobody;
impl Supervision for Nobody {
    fn descriptors(&self) -> Vec<Socket> {
        Vec::new()
    }
    fn attend(&mut self, _: Moment, _: &mut Vec<StateLog>) -> Progress {
        Progress::Continue
    }
    fn deadline_us(&self) -> Option<u64> {
        None
    }
}

struct World {
    network: Network,
    shared: Arc<Shared>,
    control: Control<SimDriver>,
    started_us: u64,
}

impl World {
    fn new(config: Config, seed: u64, faults: Faults, runtime: Option<SocketAddress>) -> World {
        super::messages::set_quiet(true);
        let network = Network::new(seed, faults);
        let started_us = network.now_us();
        let shared = Arc::new(Shared::new(Arc::new(config), 1, started_us, 0));
        health::start(&shared, started_us);
        let setup = ControlSetup {
            runtime_listeners: runtime.into_iter().map(|address| (0, network.open_listener(address))).collect(),
            log_sink: LogSink::new(&shared),
            hostname: "here".into(),
            first_logs: Vec::new(),
            shared: shared.clone(),
        };
        let driver = SimDriver::new(&network, &DriverSettings::default()).unwrap();
        World { control: Control::new(driver, setup, &[]).unwrap(), network, shared, started_us }
    }

    /// Lets virtual time pass until so long after the start.
    fn until(&mut self, after_us: u64) {
        let end_us = self.started_us + after_us;
        // A message that the control thread ignores: only a completion ends the driver's wait.
        let shared = self.shared.clone();
        self.network.at(end_us, move |_| shared.control().mailbox.send(Message::LimitLifted));
        let mut completions = Vec::new();
        let mut turns = 0;
        while self.network.now_us() < end_us {
            self.control.turn(&mut Nobody, &mut completions).unwrap();
            turns += 1;
            assert!(turns < 2_000_000, "the loop spins");
        }
    }

    fn state(&self, id: ServerId) -> &crate::shared::server::ServerState {
        self.shared.server(id)
    }

    fn status(&self, id: ServerId) -> CheckStatus {
        CheckStatus::from_number(self.state(id).check_status.load(Ordering::Relaxed))
    }

    /// How many connections the origin got since the last call.
    fn connections(&self, address: SocketAddr) -> usize {
        std::iter::from_fn(|| self.network.origin_accept(address)).count()
    }
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 1883))
}

fn checked(number: u16, change: impl FnOnce(&mut ServerCheck)) -> Server {
    let mut one = server(BACKEND, &format!("s{number}"));
    one.address = Some(ServerAddress::Ip(address(number)));
    if let Some(check) = &mut one.check {
        check.inter = Duration::from_secs(2);
        change(check);
    }
    one
}

fn one(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    add(&mut config, proxy("b", false), vec![checked(0, |_| {})]);
    change(&mut config);
    config
}

fn check_of(config: &mut Config) -> &mut ServerCheck {
    config.servers[0].check.as_mut().unwrap()
}

const S: ServerId = ServerId(0);

#[test]
fn intervals_follow_the_state() {
    let config = one(|config| {
        let check = check_of(config);
        (check.fastinter, check.downinter) = (Some(Duration::from_millis(500)), Some(Duration::from_secs(10)));
    });
    let mut world = World::new(config, 1, Faults::default(), None);
    world.network.set_origin(address(0), OriginBehaviour::Accept);
    world.until(SECOND / 2);
    assert_eq!((world.connections(address(0)), world.status(S)), (1, CheckStatus::Layer4Ok));
    world.until(19 * SECOND + SECOND / 2);
    assert_eq!(world.connections(address(0)), 9, "one each 2 s when fully up");
    world.network.set_origin(address(0), OriginBehaviour::Refuse);
    // The third failure follows 2 × fastinter after the first, which comes within inter.
    world.until(21 * SECOND + SECOND / 10);
    assert_eq!((world.state(S).run_state(), world.status(S)), (RunState::Stopped, CheckStatus::Layer4ConnectionError));
    assert_eq!(world.state(S).check_failures.load(Ordering::Relaxed), 3);
    world.network.set_origin(address(0), OriginBehaviour::Accept);
    world.until(30 * SECOND);
    assert_eq!(world.connections(address(0)), 0, "downinter is 10 s");
    world.until(34 * SECOND);
    assert_eq!(world.connections(address(0)), 3, "then fastinter until it is up, and inter again");
    assert_eq!(world.state(S).run_state(), RunState::Running);
    assert_eq!(world.control.driver().sockets_open(), 0);
}

#[test]
fn silence_times_out_as_configured() {
    for (check, connect, expected_ms) in
        [(None, Some(500), 2000), (Some(300), Some(500), 500), (Some(300), Some(5000), 2000), (Some(300), None, 2000)]
    {
        let config = one(|config| {
            config.proxies[0].timeouts.check = check.map(Duration::from_millis);
            config.proxies[0].timeouts.connect = connect.map(Duration::from_millis);
        });
        let mut world = World::new(config, 1, Faults::default(), None);
        world.network.set_origin(address(0), OriginBehaviour::Silent);
        world.until(3 * SECOND);
        assert_eq!(world.status(S), CheckStatus::Layer4Timeout);
        let took_ms = world.state(S).check_duration_ms.load(Ordering::Relaxed);
        assert!((expected_ms..expected_ms + 3).contains(&took_ms), "{took_ms} instead of {expected_ms} ms");
    }
}

#[test]
fn the_read_timeout_begins_with_the_connection() {
    let config = one(|config| {
        config.proxies[0].timeouts.check = Some(Duration::from_millis(300));
        config.proxies[0].backend.as_mut().unwrap().check = CheckMethod::Tcp(vec![expecting("+OK")]);
    });
    let mut world = World::new(config, 1, Faults::default(), None);
    world.network.set_origin(address(0), OriginBehaviour::AcceptAfterUs(400_000));
    world.until(SECOND);
    assert_eq!(world.status(S), CheckStatus::Layer7Timeout);
    let took_ms = world.state(S).check_duration_ms.load(Ordering::Relaxed);
    assert!((700..705).contains(&took_ms), "{took_ms}");
    assert_eq!(*world.state(S).check_description.lock().unwrap(), " at step 1 of tcp-check (expect string '+OK')");
}

fn expecting(text: &str) -> TcpCheckRule {
    let expect = Expect {
        pattern: ExpectPattern::Text(text.into()),
        negate: false,
        min_receive_bytes: None,
        ok_status: None,
        error_status: None,
        timeout_status: None,
        on_success: None,
        on_error: None,
    };
    TcpCheckRule { step: TcpCheckStep::Expect(expect), comment: None }
}

/// Thousands of servers: the first checks are spread over the interval, nothing leaks, and all get checked.
#[test]
fn many_servers_share_the_time() {
    let mut config = Config::default();
    config.global.spread_checks_percent = 50;
    let servers = (0..3000).map(|number| checked(number, |_| {})).collect();
    add(&mut config, proxy("b", false), servers);
    let mut world = World::new(config, 7, Faults::default(), None);
    for number in 0..3000 {
        world.network.set_origin(address(number), OriginBehaviour::Accept);
    }
    world.until(SECOND);
    let after_half = (0..3000).filter(|number| world.connections(address(*number)) > 0).count();
    assert!((1400..1600).contains(&after_half), "{after_half} of 3000 after half the interval");
    world.until(8 * SECOND);
    for number in 0..3000 {
        let got = world.connections(address(number));
        assert!((1..=8).contains(&got), "server {number} was checked {got} times");
        assert_eq!(world.status(ServerId(u32::from(number))), CheckStatus::Layer4Ok);
    }
    assert_eq!(world.control.driver().buffers_held(), 0);
    assert!(world.control.driver().sockets_open() < 50);
}

/// A conversation under every harmless fault, many seeds: always the right verdict, never a leak.
#[test]
fn faults_of_a_healthy_machine_change_no_verdict() {
    for seed in 0..40 {
        let config = one(|config| {
            config.proxies[0].backend.as_mut().unwrap().check = CheckMethod::Tcp(vec![
                expecting("+OK"),
                TcpCheckRule { step: TcpCheckStep::Send(b"PING\r\n".to_vec()), comment: None },
                expecting("+PONG"),
            ]);
        });
        let mut world = World::new(config, seed, Faults::harmless(), None);
        world.network.set_origin(address(0), OriginBehaviour::Accept);
        let mut peers: Vec<Peer> = Vec::new();
        for step in 0..300 {
            world.until(step * 20_000);
            while let Some(peer) = world.network.origin_accept(address(0)) {
                peer.send(b"+OK ready\r\n");
                peers.push(peer);
            }
            for peer in &peers {
                if matches!(peer.receive(), PeerRead::Bytes(_)) {
                    peer.send(b"+PONG\r\n");
                }
            }
        }
        assert_eq!(world.status(S), CheckStatus::Layer7Ok, "seed {seed}");
        assert_eq!(world.state(S).run_state(), RunState::Running, "seed {seed}");
        assert_eq!(world.state(S).check_failures.load(Ordering::Relaxed), 0, "seed {seed}");
        assert_eq!(world.control.driver().buffers_held(), 0, "seed {seed}");
        assert!(world.control.driver().sockets_open() <= 1, "seed {seed}");
        // A check ends with FIN, not with RST.
        assert!(peers.iter().filter(|peer| peer.receive() == PeerRead::End).count() + 1 >= peers.len(), "seed {seed}");
    }
}

#[test]
fn maintenance_pauses_checks_and_ready_resumes_them() {
    let mut world = World::new(one(|_| {}), 3, Faults::default(), None);
    world.network.set_origin(address(0), OriginBehaviour::Accept);
    world.until(SECOND);
    let now_us = world.network.now_us();
    health::set_admin(&world.shared, S, AdminChange::Maint, now_us, "").unwrap();
    world.connections(address(0));
    world.until(9 * SECOND);
    assert_eq!(world.connections(address(0)), 0);
    health::set_admin(&world.shared, S, AdminChange::Ready, world.network.now_us(), "").unwrap();
    world.until(12 * SECOND);
    assert!(world.connections(address(0)) >= 1);
    assert_eq!(world.status(S), CheckStatus::Layer4Ok);
}

#[test]
fn observed_errors_hurry_the_next_check() {
    let config = one(|config| {
        let check = check_of(config);
        (check.inter, check.fastinter) = (Duration::from_secs(60), Some(Duration::from_secs(1)));
        (config.servers[0].observe, config.servers[0].error_limit) = (Observe::Layer4, 2);
    });
    let mut world = World::new(config, 3, Faults::default(), None);
    world.network.set_origin(address(0), OriginBehaviour::Accept);
    world.until(10 * SECOND);
    assert_eq!(world.connections(address(0)), 1);
    let now_us = world.network.now_us();
    for _ in 0..2 {
        health::observe_error(&world.shared, S, now_us);
    }
    world.until(12 * SECOND);
    assert_eq!(world.connections(address(0)), 1);
    assert_eq!(world.status(S), CheckStatus::Layer4Ok);
}

#[test]
fn slow_start_steps_with_time() {
    let config = one(|config| {
        config.servers[0].slowstart = Some(Duration::from_secs(10));
        config.servers[0].weight = 16;
        check_of(config).rise = 1;
        check_of(config).fall = 1;
    });
    let mut world = World::new(config, 3, Faults::default(), None);
    world.until(SECOND);
    assert_eq!(world.state(S).run_state(), RunState::Stopped);
    world.network.set_origin(address(0), OriginBehaviour::Accept);
    world.until(3 * SECOND);
    let weight = |world: &World| world.state(S).effective_weight.load(Ordering::Relaxed);
    assert_eq!(world.state(S).run_state(), RunState::Starting);
    let early = weight(&world);
    world.until(8 * SECOND);
    assert!(early < weight(&world) && weight(&world) < 256, "{early} {}", weight(&world));
    world.until(14 * SECOND);
    assert_eq!((world.state(S).run_state(), weight(&world)), (RunState::Running, 256));
}

fn runtime_config(maxconn: u32) -> (Config, SocketAddress) {
    let address = SocketAddress::Ip("127.0.0.1:9999".parse().unwrap());
    let listen = ListenAddress::Ip { address: "127.0.0.1:9999".parse().unwrap(), v6only: None };
    let mut config = one(|_| {});
    config.global.stats_maxconn = maxconn;
    config.global.stats_timeout = Some(Duration::from_secs(10));
    config.global.runtime_sockets.push(RuntimeSocket {
        address: listen,
        level: RuntimeLevel::Admin,
        mode: None,
        user: None,
        group: None,
        backlog: None,
        maxconn: None,
        name: None,
        location: Location::default(),
    });
    (config, address)
}

#[test]
fn runtime_sockets_hold_their_limits() {
    let (config, at) = runtime_config(3);
    let mut world = World::new(config, 5, Faults::default(), Some(at.clone()));
    let clients: Vec<Peer> = (0..5).map(|_| world.network.connect_client(&at).unwrap()).collect();
    world.until(9 * SECOND);
    assert!(world.control.runtime_sessions() >= 3);
    assert!(clients.iter().all(|client| client.receive() == PeerRead::Nothing));
    world.until(30 * SECOND);
    assert!(clients.iter().all(|client| client.receive() == PeerRead::End), "`stats timeout` is 10 s");
    assert_eq!(world.control.runtime_sessions(), 0);
}

#[test]
fn runtime_sessions_answer_a_client_that_half_closes_at_once() {
    for seed in 0..20 {
        let (config, at) = runtime_config(10);
        let mut world = World::new(config, seed, Faults::harmless(), Some(at.clone()));
        let client = world.network.connect_client(&at).unwrap();
        client.send(b"show version; show stat; show info\n");
        client.shutdown_write();
        let mut answer = Vec::new();
        for step in 1..100 {
            world.until(step * 20_000);
            if let PeerRead::Bytes(bytes) = client.receive_at_most(400) {
                answer.extend(bytes);
            }
        }
        assert_eq!(client.receive(), PeerRead::End, "seed {seed}");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("# pxname,svname") && answer.contains("\nNbproc:"), "seed {seed}: {answer}");
        assert_eq!(world.control.runtime_sessions(), 0, "seed {seed}");
        assert_eq!(world.control.driver().buffers_held(), 0, "seed {seed}");
    }
}

/// A client that asks for much and reads little: the loop neither spins nor piles answers up, and all of it arrives.
#[test]
fn a_slow_reader_of_big_answers_gets_them_all() {
    let mut config = Config::default();
    let servers = (0..300).map(|number| checked(number, |_| {})).collect();
    add(&mut config, proxy("b", false), servers);
    let (settings, at) = runtime_config(10);
    config.global = settings.global;
    let mut world = World::new(config, 11, Faults::harmless(), Some(at.clone()));
    let client = world.network.connect_client(&at).unwrap();
    const QUESTIONS: usize = 40;
    client.send(format!("prompt\n{}", "show stat\n".repeat(QUESTIONS)).as_bytes());
    client.shutdown_write();
    let mut answer = Vec::new();
    for step in 1..2000 {
        world.until(step * 1000);
        assert!(world.control.runtime_unsent_bytes() < 1024 * 1024, "answers pile up");
        match client.receive_at_most(8000) {
            PeerRead::Bytes(bytes) => answer.extend(bytes),
            PeerRead::End => break,
            _ => {}
        }
    }
    let headers = memchr::memmem::find_iter(&answer, b"# pxname").count();
    assert_eq!(headers, QUESTIONS);
    assert_eq!(world.control.driver().buffers_held(), 0);
}
