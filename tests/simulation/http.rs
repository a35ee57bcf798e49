//! HTTP exchanges on the simulated driver.

use super::for_seeds;
use super::http_world::HttpWorld;
use ringway::io::sim::Faults;

/// Whatever a healthy machine does: every request is answered, in order, with its own answer, whole.
#[test]
fn every_request_gets_its_answer() {
    for_seeds(|seed| {
        let mut world = HttpWorld::new(seed, Faults::harmless(), "");
        world.run_clients(10);
        world.expect_all_answered();
        world.expect_nothing_left();
    });
}

#[test]
fn every_request_gets_its_answer_over_shared_connections() {
    for_seeds(|seed| {
        let mut world = HttpWorld::new(seed, Faults::harmless(), "  http-reuse always\n");
        world.run_clients(10);
        world.expect_all_answered();
        world.expect_nothing_left();
    });
}

#[test]
fn every_request_gets_its_answer_over_connections_of_its_own() {
    for_seeds(|seed| {
        for options in ["  http-reuse never\n", "  option http-server-close\n", "  no option splice-auto\n"] {
            let mut world = HttpWorld::new(seed, Faults::harmless(), options);
            world.run_clients(5);
            world.expect_all_answered();
            world.expect_nothing_left();
        }
    });
}

/// A kept connection that the origin has closed costs no request.
#[test]
fn a_closed_idle_connection_costs_nothing() {
    for_seeds(|seed| {
        let mut world = HttpWorld::new(seed, Faults::harmless(), "  http-reuse always\n");
        world.unannounced_closes = true;
        world.run_clients(20);
        world.expect_all_answered();
        world.expect_nothing_left();
    });
}

/// Connections die anywhere: an answer is a request's own and whole, or there is none.
#[test]
fn no_answer_is_mixed_up_when_connections_die() {
    for_seeds(|seed| {
        let faults = Faults { reset: 15, connect_refused: 200, ..Faults::harmless() };
        let mut world = HttpWorld::new(seed, faults, "  http-reuse always\n  option redispatch\n");
        world.run_clients(14);
        world.expect_nothing_left();
    });
}

/// One slot per server: the others wait their turn, and all are served.
#[test]
fn a_queue_of_requests_is_served_to_its_end() {
    for_seeds(|seed| {
        let options = "  default-server maxconn 1\n  timeout queue 500s\n  http-reuse never\n";
        let mut world = HttpWorld::new(seed, Faults::harmless(), options);
        world.run_clients(8);
        world.expect_all_answered();
        world.expect_open_at_most(8);
        world.expect_nothing_left();
    });
}
