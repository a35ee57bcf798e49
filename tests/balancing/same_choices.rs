//! The same configuration, the same clients: the same servers.

use crate::haproxy::{self, Running};
use crate::machine::{self, Machine};
use ringway::policy::assign::Assignment;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LETTERS: [char; 5] = ['a', 'b', 'c', 'd', 'e'];

struct Setup {
    text: String,
    /// (section's name, port)
    sections: Vec<(String, u16)>,
}

/// One `listen` per (lines, weights); servers are named by letter, a weight written as text may hold further words.
fn setup(sections: &[(&str, &[&str])]) -> Setup {
    let origins = LETTERS.map(haproxy::origin);
    let mut text = String::from(
        "global\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n",
    );
    let mut names = Vec::new();
    for (index, (lines, servers)) in sections.iter().enumerate() {
        let (name, port) = (format!("s{index}"), crate::ports::free_port());
        text += &format!("listen {name}\n  bind 127.0.0.1:{port}\n");
        for line in lines.split(';') {
            text += &format!("  {}\n", line.trim());
        }
        for ((server, letter), origin) in servers.iter().zip(LETTERS).zip(origins) {
            text += &format!("  server {letter} 127.0.0.1:{origin} weight {server}\n");
        }
        names.push((name, port));
    }
    // Connecting tells that HAProxy is up, and must not take anyone's turn.
    let port = crate::ports::free_port();
    text += &format!("listen up\n  bind 127.0.0.1:{port}\n  server x 127.0.0.1:{}\n", origins[0]);
    names.push(("up".into(), port));
    Setup { text, sections: names }
}

fn start(name: &str, setup: &Setup) -> (Running, Machine) {
    let running = Running::start(name, &setup.text, setup.sections.last().unwrap().1);
    (running, Machine::new(&machine::shared(&setup.text, 1), 0))
}

/// 127.x.y.z addresses that differ in all bytes.
fn clients(count: u32) -> impl Iterator<Item = Ipv4Addr> {
    (1..=count).map(|number| {
        let mixed = number.wrapping_mul(0x9e37_79b1) ^ (number << 3);
        Ipv4Addr::from_bits(0x7f00_0000 | (mixed & 0x00ff_ffff).clamp(2, 0x00ff_fffd))
    })
}

#[test]
fn a_client_lands_on_the_same_server() {
    if !haproxy::is_installed() {
        return;
    }
    let setup = setup(&[
        ("balance source", &["1", "1", "1"]),
        ("balance source", &["5", "3", "1", "2"]),
        ("balance source", &["256", "100", "7", "20", "1"]),
        ("balance source", &["4", "0", "6", "2"]),
        ("balance source", &["10", "20 disabled", "30", "10"]),
        ("balance source; hash-type map-based sdbm avalanche", &["5", "3", "1", "2"]),
        ("balance source; hash-type map-based djb2", &["5", "3", "1", "2"]),
        ("balance source; hash-type consistent", &["1", "1", "1"]),
        ("balance source; hash-type consistent", &["5", "3", "1", "2"]),
        ("balance source; hash-type consistent wt6", &["1", "1", "1"]),
        ("balance source; hash-type consistent crc32 avalanche", &["256", "100", "7", "20", "1"]),
        ("balance source; hash-type consistent", &["3 id 77", "3 id 5000000", "3", "2 id 2"]),
        ("balance source; hash-type consistent", &["1", "1 disabled", "1", "1"]),
        ("balance source; hash-type consistent; option allbackups", &["1 disabled", "3 backup", "2 backup"]),
        ("balance source", &["1 disabled", "3 backup", "2 backup"]),
    ]);
    let (_running, machine) = start("source", &setup);
    for (name, port) in &setup.sections {
        let backend = machine.backend(name);
        for client in clients(150) {
            let (theirs, _) = haproxy::visit(*port, client);
            let ours = machine.assign(backend, Some(IpAddr::V4(client)), 0);
            let Assignment::Server(lease) = ours else { panic!("{name} {client}: {ours:?}") };
            if name != "up" {
                assert_eq!(machine.name(lease.server()), theirs.to_string(), "{name}, client {client}");
            }
        }
    }
}

#[test]
fn turns_come_in_the_same_order() {
    if !haproxy::is_installed() {
        return;
    }
    let weights: [&[&str]; 9] = [
        &["1", "1", "1"],
        &["5", "1", "1"],
        &["3", "2", "2"],
        &["10", "7", "3", "1"],
        &["1", "2", "3", "4"],
        &["100", "50", "25"],
        &["2", "0", "1", "1 disabled", "2"],
        &["1 disabled", "1 backup", "2 backup"],
        &["13", "8", "8", "5", "3"],
    ];
    let mut sections: Vec<(&str, &[&str])> = Vec::new();
    for algorithm in ["balance roundrobin", "balance static-rr"] {
        sections.extend(weights.iter().map(|&servers| (algorithm, servers)));
        sections.push((algorithm, &["1 disabled", "1 backup", "2 backup"]));
    }
    sections.push(("balance roundrobin; option allbackups", &["1 disabled", "1 backup", "2 backup", "1 backup"]));
    let setup = setup(&sections);
    let (_running, machine) = start("turns", &setup);
    for ((name, port), section) in setup.sections.iter().zip(&sections) {
        let backend = machine.backend(name);
        let turns =
            2 * section.1.iter().filter_map(|words| words.split(' ').next()?.parse::<usize>().ok()).sum::<usize>();
        let theirs: String = (0..turns).map(|_| haproxy::visit(*port, Ipv4Addr::LOCALHOST).0).collect();
        let ours: String = (0..turns)
            .map(|_| match machine.assign(backend, None, 0) {
                Assignment::Server(lease) => machine.name(lease.server()).to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ours, theirs, "{section:?}");
    }
}

#[test]
fn held_connections_spread_alike() {
    if !haproxy::is_installed() {
        return;
    }
    let sections: [(&str, &[&str]); 8] = [
        ("balance leastconn", &["1", "1", "1"]),
        ("balance leastconn", &["3", "2", "1"]),
        ("balance leastconn", &["10", "1", "5", "2"]),
        ("balance leastconn", &["1 maxconn 3", "1", "4 maxconn 2"]),
        ("balance leastconn", &["1 disabled", "1 backup", "1 backup"]),
        ("balance leastconn; option allbackups", &["1 disabled", "1 backup", "2 backup"]),
        ("balance first", &["1 maxconn 2", "1 maxconn 3 id 9", "1 id 4", "1 id 3 maxconn 1"]),
        ("balance source; hash-type consistent; hash-balance-factor 125", &["1", "1", "2"]),
    ];
    let setup = setup(&sections);
    let (_running, machine) = start("held", &setup);
    for ((name, port), section) in setup.sections.iter().zip(&sections) {
        let backend = machine.backend(name);
        let (mut theirs, mut ours, mut streams, mut leases) = (String::new(), String::new(), Vec::new(), Vec::new());
        for (number, client) in clients(30).enumerate() {
            // Now and then an older one leaves, in both.
            if number % 7 == 6 {
                haproxy::leave(streams.remove(number / 3));
                drop(leases.remove(number / 3));
                std::thread::sleep(Duration::from_millis(60));
            }
            let (letter, stream) = haproxy::visit(*port, client);
            theirs.push(letter);
            streams.push(stream);
            match machine.assign(backend, Some(IpAddr::V4(client)), 0) {
                Assignment::Server(lease) => {
                    ours += machine.name(lease.server());
                    leases.push(lease);
                }
                other => panic!("{section:?}: {other:?} after {ours}"),
            }
        }
        assert_eq!(ours, theirs, "{section:?}");
    }
}
