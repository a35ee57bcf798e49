//! Leases and queues under everything at once: connect, close, give up, redispatch, server down and up, limits
//! changed. What must hold at every quiet moment: counts equal what is held, nobody waits while there is room, the
//! spread is at most one per weight unit; at the end all counts are zero.

use crate::machine::{self, Machine};
use proptest::prelude::*;
use ringway::config::model::{ProxyId, ServerId};
use ringway::policy::assign::{self, Assignment, Lease, Ticket};
use ringway::policy::balance;
use ringway::shared::Shared;
use ringway::shared::mailbox::Message;
use ringway::shared::server::{WEIGHT_SCALE, admin};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

const BACKEND: ProxyId = ProxyId(0);

fn configuration(balance: &str, servers: &[String]) -> String {
    let mut text = format!("backend b\n  {balance}\n  timeout connect 1s\n  timeout server 1s\n");
    for (number, words) in servers.iter().enumerate() {
        text += &format!("  server s{number} 127.0.0.1:{} {words}\n", number + 1);
    }
    text
}

/// Small, fast, seeded (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound.max(1)
    }
}

/// One worker's connections.
struct Worker {
    machine: Machine,
    held: Vec<Lease>,
    waiting: BTreeMap<u32, Ticket>,
    next_slot: u32,
    random: Random,
    /// Connections that were turned away, and that gave up or were granted after waiting.
    refused: u64,
    granted: u64,
}

impl Worker {
    fn new(shared: &Arc<Shared>, number: u16, seed: u64) -> Worker {
        Worker {
            machine: Machine::new(shared, number),
            held: Vec::new(),
            waiting: BTreeMap::new(),
            next_slot: 0,
            random: Random::new(seed ^ u64::from(number) << 40),
            refused: 0,
            granted: 0,
        }
    }

    fn connect(&mut self, keep: Option<ServerId>, avoid: Option<ServerId>) {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.ask(slot, keep, avoid);
    }

    fn ask(&mut self, slot: u32, keep: Option<ServerId>, avoid: Option<ServerId>) {
        let client = Some(IpAddr::V4(Ipv4Addr::from_bits(self.random.below(1 << 20) as u32)));
        match self.machine.assign_with(BACKEND, client, slot, keep, avoid) {
            Assignment::Server(lease) => self.held.push(lease),
            Assignment::Queued(ticket) => drop(self.waiting.insert(slot, ticket)),
            Assignment::NoServer | Assignment::QueueFull(_) => self.refused += 1,
        }
    }

    fn read_mail(&mut self) -> bool {
        let mut any = false;
        while let Some(message) = self.machine.shared.workers[usize::from(self.machine.worker)].mailbox.take() {
            any = true;
            match message {
                Message::QueueGrant { waiter, server } => match self.waiting.remove(&waiter.slot) {
                    Some(ticket) => {
                        self.granted += 1;
                        assert!(ticket.queue_position().position >= 1);
                        self.held.push(ticket.accept(server));
                    }
                    None => assign::return_grant(&self.machine.shared, server),
                },
                Message::QueueRetry { waiter } => {
                    // The same slot asks again: a late grant for the first ticket may reach the second.
                    if let Some(ticket) = self.waiting.remove(&waiter.slot) {
                        drop(ticket);
                        self.ask(waiter.slot, None, None);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        any
    }

    fn step(&mut self, servers: usize, held_max: usize) {
        let roll = self.random.below(100);
        let index = self.random.below(self.held.len());
        if self.held.len() > held_max || (roll < 40 && !self.held.is_empty()) {
            drop(self.held.swap_remove(index));
        } else if roll < 45 && !self.held.is_empty() {
            // A redispatch after a failed connect.
            let server = self.held.swap_remove(index).server();
            self.connect(None, Some(server));
        } else if roll < 48 {
            let server = ServerId(self.random.below(servers) as u32);
            self.connect(Some(server), None);
        } else if roll < 55 || self.waiting.len() > 20 {
            // Tired of waiting, possibly with the grant already under way.
            let slots: Vec<u32> = self.waiting.keys().copied().collect();
            if let Some(slot) = slots.get(self.random.below(slots.len())) {
                self.waiting.remove(slot);
            }
        } else {
            self.connect(None, None);
        }
        if self.random.below(3) == 0 {
            self.read_mail();
        }
    }
}

fn served(shared: &Shared, server: usize) -> u32 {
    shared.servers[server].served.load(Ordering::SeqCst)
}

/// What an administrator or a check does.
fn change_something(shared: &Shared, random: &mut Random) {
    let _administration = shared.administration.lock().unwrap();
    let state = &shared.servers[random.below(shared.servers.len())];
    match random.below(4) {
        0 => state.admin_state.store(admin::FORCED_MAINT, Ordering::Relaxed),
        1 | 2 => state.admin_state.store(0, Ordering::Relaxed),
        _ => {
            let weight = 1 + random.below(8) as u32;
            state.user_weight.store(weight, Ordering::Relaxed);
            state.effective_weight.store(weight * WEIGHT_SCALE, Ordering::Relaxed);
        }
    }
    balance::rebuild(shared, BACKEND);
}

/// All mail read, nothing under way.
fn check_quiet(shared: &Shared, workers: &[Worker]) {
    let mut held = vec![0; shared.servers.len()];
    workers.iter().flat_map(|worker| &worker.held).for_each(|lease| held[lease.server().index()] += 1);
    let mut waiting_own = vec![0; shared.servers.len()];
    let mut waiting_common = 0;
    for ticket in workers.iter().flat_map(|worker| worker.waiting.values()) {
        match ticket.server() {
            Some(server) => waiting_own[server.index()] += 1,
            None => waiting_common += 1,
        }
    }
    let proxy = shared.proxy(BACKEND);
    assert_eq!(proxy.queued.load(Ordering::SeqCst), waiting_common);
    let candidates = &proxy.balance.schedule.load().candidates;
    for (number, state) in shared.servers.iter().enumerate() {
        assert_eq!(served(shared, number), held[number], "server {number}: counted, held");
        assert_eq!(state.queued.load(Ordering::SeqCst), waiting_own[number], "server {number}'s queue");
        let maxconn = state.maxconn.load(Ordering::Relaxed);
        let is_candidate = candidates.iter().any(|candidate| candidate.server.index() == number);
        let has_room = maxconn == 0 || held[number] < maxconn;
        assert!(!(has_room && state.is_usable() && waiting_own[number] > 0), "server {number} has room and a queue");
        assert!(!(has_room && is_candidate && waiting_common > 0), "server {number} has room, the backend a queue");
        assert!(maxconn == 0 || state.served_max.load(Ordering::Relaxed) <= maxconn, "maxconn is strict");
        assert!(state.is_usable() || waiting_own[number] == 0, "nobody waits for a server that is gone");
    }
}

fn settle(workers: &mut [Worker]) {
    while workers.iter_mut().map(Worker::read_mail).filter(|any| *any).count() > 0 {}
}

/// Ends everything and checks that nothing is left.
fn finish(shared: &Shared, workers: &mut [Worker]) {
    for state in &shared.servers {
        state.admin_state.store(0, Ordering::Relaxed);
    }
    {
        let _administration = shared.administration.lock().unwrap();
        balance::rebuild(shared, BACKEND);
    }
    for _ in 0..1_000_000 {
        settle(workers);
        if workers.iter().all(|worker| worker.held.is_empty() && worker.waiting.is_empty()) {
            break;
        }
        // Each release must bring the next waiter in: without that this never ends.
        let before: usize = workers.iter().map(|worker| worker.held.len()).sum();
        assert!(before > 0, "some wait though all slots are free");
        workers.iter_mut().for_each(|worker| worker.held.clear());
    }
    check_quiet(shared, workers);
    assert!((0..shared.servers.len()).all(|server| served(shared, server) == 0));
}

const ALGORITHMS: [&str; 7] = [
    "balance leastconn",
    "balance roundrobin",
    "balance static-rr",
    "balance first",
    "balance source",
    "balance source\n  hash-type consistent",
    "balance random(3)",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// One thread, many workers, any interleaving of whole steps; checked at every quiet moment.
    #[test]
    fn any_interleaving_of_steps(
        seed in any::<u64>(),
        algorithm in 0..ALGORITHMS.len(),
        servers in prop::collection::vec((0u32..5, 1u32..9, 0u32..4), 1..6),
        steps in 1usize..400,
    ) {
        let words: Vec<String> = servers
            .iter()
            .map(|(maxconn, weight, maxqueue)| format!("maxconn {maxconn} weight {weight} maxqueue {maxqueue}"))
            .collect();
        let shared = machine::shared(&configuration(ALGORITHMS[algorithm], &words), 3);
        let mut random = Random::new(seed);
        let mut workers: Vec<Worker> = (0..3).map(|number| Worker::new(&shared, number, seed)).collect();
        for step in 0..steps {
            workers[random.below(3)].step(servers.len(), 20);
            if random.below(25) == 0 {
                change_something(&shared, &mut random);
            }
            if step % 20 == 0 {
                settle(&mut workers);
                check_quiet(&shared, &workers);
            }
        }
        finish(&shared, &mut workers);
    }
}

/// Raised when its thread ends, however that is.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Real threads, each with its own connections, while servers come and go.
#[test]
fn many_threads_and_a_restless_administrator() {
    // More for a soak: RINGWAY_MODEL_STEPS=100000.
    let steps = std::env::var("RINGWAY_MODEL_STEPS").map_or(3_000, |text| text.parse().unwrap());
    for (round, algorithm) in ALGORITHMS.iter().enumerate() {
        let words: Vec<String> =
            (0..5).map(|number| format!("maxconn {} weight {}", 1 + number % 2, 1 + number)).collect();
        let shared = machine::shared(&configuration(algorithm, &words), 4);
        let (done, barrier) = (AtomicBool::new(false), Barrier::new(4));
        let (granted, finished) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (shared, barrier, granted, finished, done) = (&shared, &barrier, &granted, &finished, &done);
                scope.spawn(move || {
                    let _raised = Raised(done);
                    let mut worker = Worker::new(shared, number, round as u64 + 1);
                    barrier.wait();
                    for _ in 0..steps {
                        worker.step(5, 8);
                    }
                    // Then everybody leaves; who still waits must be served by the others' leaving.
                    barrier.wait();
                    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
                    while finished.load(Ordering::SeqCst) < 4 {
                        worker.read_mail();
                        worker.held.clear();
                        if worker.waiting.is_empty() && worker.next_slot != u32::MAX {
                            worker.next_slot = u32::MAX;
                            finished.fetch_add(1, Ordering::SeqCst);
                        }
                        assert!(std::time::Instant::now() < patience, "a waiter was lost: {:?}", worker.waiting);
                        std::thread::yield_now();
                    }
                    worker.read_mail();
                    granted.fetch_add(worker.granted, Ordering::Relaxed);
                });
            }
            let (shared, done) = (&shared, &done);
            scope.spawn(move || {
                let mut random = Random::new(round as u64 + 77);
                while !done.load(Ordering::SeqCst) {
                    change_something(shared, &mut random);
                    // The last word is always "all up", or waiters would rightly stay.
                    for state in &shared.servers {
                        state.admin_state.store(0, Ordering::Relaxed);
                    }
                    balance::rebuild(shared, BACKEND);
                    std::thread::sleep(std::time::Duration::from_micros(300));
                }
            });
        });
        // Grants that were in the mail of a worker that had finished.
        let mut workers: Vec<Worker> = (0..4).map(|number| Worker::new(&shared, number, 1)).collect();
        finish(&shared, &mut workers);
        assert!(granted.into_inner() > 50, "{algorithm}: the queues were hardly used");
    }
}

/// leastconn among threads: with connects alone, at every moment and at the end no server is more than one connection
/// per weight unit ahead of another.
#[test]
fn leastconn_is_exact_among_threads() {
    for weights in [[1, 1, 1, 1], [1, 2, 3, 4], [10, 1, 5, 256]] {
        let words: Vec<String> = weights.iter().map(|weight| format!("weight {weight}")).collect();
        let shared = machine::shared(&configuration("balance leastconn", &words), 4);
        let total: usize = 4 * 5_000;
        std::thread::scope(|scope| {
            for number in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    let mut worker = Worker::new(shared, number, 5);
                    (0..5_000).for_each(|_| worker.connect(None, None));
                    assert_eq!(worker.held.len(), 5_000);
                    // Held for ever, as far as this test goes.
                    std::mem::forget(std::mem::take(&mut worker.held));
                });
            }
        });
        let counts: Vec<u32> = (0..4).map(|server| served(&shared, server)).collect();
        assert_eq!(counts.iter().sum::<u32>() as usize, total);
        for (a, count_a) in counts.iter().enumerate() {
            for (b, count_b) in counts.iter().enumerate() {
                // (n - 1 + 1) / w of the fuller was not above (m + 1) / w of the other when it got its last one.
                let (left, right) = (u64::from(*count_a) * weights[b], (u64::from(*count_b) + 1) * weights[a]);
                assert!(left <= right, "{counts:?} for weights {weights:?}: {a} is ahead of {b}");
            }
        }
    }
}

/// leastconn with closes: whenever a connection comes, it goes to a server that no other beats.
#[test]
fn leastconn_agrees_with_a_naive_twin() {
    let weights = [3u64, 1, 7, 7, 2];
    let words: Vec<String> = weights.iter().map(|weight| format!("weight {weight}")).collect();
    let shared = machine::shared(&configuration("balance leastconn", &words), 1);
    let mut worker = Worker::new(&shared, 0, 1);
    let mut random = Random::new(9);
    // (connections, when it last changed)
    let mut twin = vec![(0u64, 0u64); weights.len()];
    for moment in 1..20_000 {
        if random.below(5) < 2 && !worker.held.is_empty() {
            let lease = worker.held.swap_remove(random.below(worker.held.len()));
            let server = lease.server().index();
            twin[server] = (twin[server].0 - 1, moment);
            continue;
        }
        worker.connect(None, None);
        let least = (0..weights.len())
            .min_by(|&a, &b| {
                let load = |server: usize| if twin[server].0 == 0 { 0 } else { twin[server].0 + 1 };
                (load(a) * weights[b], twin[a].1, a).cmp(&(load(b) * weights[a], twin[b].1, b))
            })
            .unwrap();
        assert_eq!(worker.held.last().unwrap().server().index(), least, "moment {moment}, {twin:?}");
        twin[least] = (twin[least].0 + 1, moment);
    }
}

/// roundrobin among threads: every whole period gives every server exactly its weight.
#[test]
fn roundrobin_is_exact_among_threads() {
    let weights = [5u32, 1, 3, 0, 7];
    let words: Vec<String> = weights.iter().map(|weight| format!("weight {weight}")).collect();
    for algorithm in ["balance roundrobin", "balance static-rr"] {
        let shared = machine::shared(&configuration(algorithm, &words), 4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    let mut worker = Worker::new(shared, number, 5);
                    (0..16 * 250).for_each(|_| worker.connect(None, None));
                    std::mem::forget(std::mem::take(&mut worker.held));
                });
            }
        });
        let counts: Vec<u32> = (0..5).map(|server| served(&shared, server)).collect();
        assert_eq!(counts, weights.map(|weight| weight * 1000), "{algorithm}");
    }
}

/// Who came first is served first, whichever worker it belongs to, and the log's position says so.
#[test]
fn the_queue_is_first_come_first_served_across_workers() {
    for algorithm in ["balance leastconn", "balance source"] {
        let shared = machine::shared(&configuration(algorithm, &["maxconn 1".into()]), 3);
        let mut workers: Vec<Worker> = (0..3).map(|number| Worker::new(&shared, number, 1)).collect();
        workers[0].connect(None, None);
        let order: Vec<usize> = (0..30).map(|number| number * 7 % 3).collect();
        order.iter().for_each(|&worker| workers[worker].connect(None, None));
        // The fourth and the last give up.
        let last = *workers[order[29]].waiting.keys().last().unwrap();
        workers[order[29]].waiting.remove(&last);
        for (number, &worker) in order[..29].iter().enumerate() {
            let holder = workers.iter().position(|worker| !worker.held.is_empty()).unwrap();
            let slot = *workers[worker].waiting.keys().next().unwrap();
            workers[holder].held.clear();
            let position = workers[worker].waiting[&slot].queue_position().position;
            assert_eq!(position as usize, number + 1);
            workers[worker].read_mail();
            assert_eq!(workers[worker].held.len(), 1, "{algorithm}: turn {number} is worker {worker}'s");
        }
        finish(&shared, &mut workers);
    }
}

/// `minconn` follows the load up to `fullconn` (configuration.txt section 5.2, "minconn").
#[test]
fn the_dynamic_limit_follows_the_load() {
    let balance = "balance leastconn\n  fullconn 100";
    let shared = machine::shared(&configuration(balance, &["minconn 2 maxconn 10".into()]), 1);
    let mut worker = Worker::new(&shared, 0, 1);
    let mut limit_at = |connections: u32| {
        shared.proxy(BACKEND).backend_connections.store(connections, Ordering::Relaxed);
        (0..12).for_each(|_| worker.connect(None, None));
        let limit = worker.held.len();
        worker.waiting.clear();
        worker.held.clear();
        settle(std::slice::from_mut(&mut worker));
        worker.held.clear();
        limit
    };
    assert_eq!([0, 20, 30, 55, 99, 100, 500].map(&mut limit_at), [2, 2, 3, 5, 9, 10, 10]);
}

#[test]
fn waiters_of_a_server_that_goes_down_choose_again() {
    let shared = machine::shared(&configuration("balance source", &["maxconn 1".into(), "maxconn 1".into()]), 1);
    let mut worker = Worker::new(&shared, 0, 1);
    (0..12).for_each(|_| worker.connect(None, None));
    assert!(worker.waiting.len() == 10 && worker.waiting.values().all(|ticket| ticket.server().is_some()));
    shared.servers[0].admin_state.store(admin::FORCED_MAINT, Ordering::Relaxed);
    {
        let _administration = shared.administration.lock().unwrap();
        balance::rebuild(&shared, BACKEND);
    }
    settle(std::slice::from_mut(&mut worker));
    assert!(worker.waiting.values().all(|ticket| ticket.server() == Some(ServerId(1))));
    assert_eq!(worker.waiting.len(), 10);
    shared.servers[1].admin_state.store(admin::FORCED_MAINT, Ordering::Relaxed);
    {
        let _administration = shared.administration.lock().unwrap();
        balance::rebuild(&shared, BACKEND);
    }
    settle(std::slice::from_mut(&mut worker));
    assert_eq!((worker.waiting.len(), worker.refused), (0, 10), "no server: told so at once");
    finish(&shared, std::slice::from_mut(&mut worker));
}

#[test]
fn maxqueue_turns_away() {
    let shared = machine::shared(&configuration("balance source", &["maxconn 1 maxqueue 2".into()]), 1);
    let mut worker = Worker::new(&shared, 0, 1);
    (0..5).for_each(|_| worker.connect(None, None));
    assert_eq!((worker.held.len(), worker.waiting.len(), worker.refused), (1, 2, 2));
    finish(&shared, std::slice::from_mut(&mut worker));
}
