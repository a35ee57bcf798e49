//! A whole worker on the simulated driver: virtual time, seeded faults, byte-for-byte oracles.
//!
//! A failure names its seed; `RINGWAY_SEED=<seed> cargo test --test simulation` runs that one again.

mod http;
mod http_world;
mod world;

use ringway::io::sim::Faults;
use world::World;

/// Seeds per test in an ordinary run.
const SEEDS: u64 = 25;

fn for_seeds(test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    if let Some(seed) = std::env::var("RINGWAY_SEED").ok().and_then(|text| text.parse().ok()) {
        return test(seed);
    }
    for seed in 0..SEEDS {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("seed {seed} failed: RINGWAY_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Whatever a healthy machine does: every byte arrives, in order, on the right connection, and nothing is left over.
#[test]
fn every_byte_arrives() {
    for_seeds(|seed| {
        let mut world = World::new(seed, Faults::harmless(), "");
        world.run_clients(12);
        world.expect_all_delivered();
        world.expect_nothing_left();
    });
}

#[test]
fn every_byte_arrives_when_spliced_from_the_first() {
    for_seeds(|seed| {
        let mut world = World::new(seed, Faults::harmless(), "  option splice-request\n  option splice-response\n");
        world.run_clients(8);
        world.expect_all_delivered();
        world.expect_nothing_left();
    });
}

#[test]
fn every_byte_arrives_when_splicing_is_forbidden() {
    for_seeds(|seed| {
        let mut world = World::new(seed, Faults::harmless(), "  no option splice-auto\n");
        world.run_clients(8);
        world.expect_all_delivered();
        world.expect_nothing_left();
    });
}

/// Connections die anywhere: what arrives is a prefix of what was sent, every session ends, every count is given back.
#[test]
fn nothing_is_left_when_connections_die() {
    for_seeds(|seed| {
        let faults = Faults { reset: 15, connect_refused: 200, ..Faults::harmless() };
        let mut world = World::new(seed, faults, "  option redispatch\n");
        world.run_clients(16);
        world.expect_prefixes();
        world.expect_nothing_left();
    });
}

/// One slot per server: the others wait their turn, and all are served.
#[test]
fn a_queue_is_served_to_its_end() {
    for_seeds(|seed| {
        let mut world = World::new(seed, Faults::harmless(), "  default-server maxconn 1\n  timeout queue 500s\n");
        world.run_clients(10);
        world.expect_all_delivered();
        world.expect_open_at_most(1);
        world.expect_nothing_left();
    });
}

/// A server's `maxconn` holds at the server too, whatever becomes of the connection before.
#[test]
fn a_slot_is_passed_on_when_its_connection_is_closed() {
    for_seeds(|seed| {
        let faults = Faults { reset: 15, connect_refused: 100, ..Faults::harmless() };
        let mut world = World::new(seed, faults, "  default-server maxconn 1\n  timeout queue 500s\n");
        world.run_clients(16);
        world.expect_prefixes();
        world.expect_open_at_most(1);
        world.expect_nothing_left();
    });
}

/// More clients than `maxconn`: accepted ones wait, none is lost.
#[test]
fn a_full_frontend_serves_one_after_the_other() {
    for_seeds(|seed| {
        let mut world = World::new(seed, Faults::harmless(), "  maxconn 2\n");
        world.run_clients(10);
        world.expect_all_delivered();
        world.expect_nothing_left();
    });
}

/// Clients that fall silent are cut off by `timeout client`, and leave nothing.
#[test]
fn silent_clients_time_out() {
    for_seeds(|seed| {
        let mut world = World::new(seed, Faults::harmless(), "  timeout client 20s\n  timeout server 30s\n");
        world.abandon_clients(8);
        world.expect_nothing_left();
    });
}
