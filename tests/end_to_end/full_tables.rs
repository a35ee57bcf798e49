//! More connections than one descriptor table holds: each worker has a table of its own, the kernel spreads connections
//! by chance, and a full worker hands over to one that has room.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

on_each_engine!(
    all_tables_fill_to_the_last_place within 120,
    a_narrowed_bind_fills_its_own_workers_only within 120,
);

const TABLE: u64 = 192;

struct House {
    proxy: Running,
    port: u16,
    /// The effective maxconn.
    places: usize,
    _origin: Origin,
}

fn open(flavour: Flavour, bind_options: &str) -> House {
    let origin = Origin::echo();
    let port = ports::free_port();
    let mut setup = Setup::new(flavour);
    setup.workers = 3;
    setup.descriptor_limit = Some(TABLE);
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}{bind_options}\n    timeout client 2m\n    timeout server 2m\n\
         \x20   server s1 {}\n",
        origin.address()
    );
    let proxy = setup.start(&sections, &[port]);
    let information = proxy.command("show info");
    let line = information.lines().find_map(|line| line.strip_prefix("Maxconn: ")).expect("a Maxconn line");
    let places = line.trim().parse().expect("a number");
    assert!(proxy.messages().contains(&format!("the effective maxconn is {places}")), "{}", proxy.messages());
    House { proxy, port, places, _origin: origin }
}

/// Descriptors of each worker's table.
fn tables(proxy: &Running) -> Vec<usize> {
    let tasks = fs::read_dir(format!("/proc/{}/task", proxy.pid())).expect("its threads").filter_map(Result::ok);
    let workers =
        tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("worker-")));
    workers.filter_map(|task| Some(fs::read_dir(task.path().join("fd")).ok()?.count())).collect()
}

/// Each of them talks, those that were handed over and those that were not.
fn crowd(port: u16, count: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for number in 0..count {
        let mut client = connect(port);
        exchange(&mut client, format!("client {number}").as_bytes());
        crowd.push(client);
    }
    crowd
}

fn all_tables_fill_to_the_last_place(flavour: Flavour) {
    let mut house = open(flavour, "");
    let (proxy, port, places) = (&house.proxy, house.port, house.places);
    assert!(places * 2 > 2 * TABLE as usize, "{places} connections need more than two tables");
    for _ in 0..2 {
        let mut clients = crowd(port, places);
        for (number, client) in clients.iter_mut().enumerate() {
            exchange(client, format!("still here {number}").as_bytes());
        }
        assert_eq!(proxy.stats().number("px", "FRONTEND", "scur"), places as u64);
        let tables = tables(proxy);
        assert!(tables.len() == 3 && tables.iter().all(|held| *held * 2 > TABLE as usize), "{tables:?}");

        // The house is full: who comes now waits, and is served when somebody leaves, whichever worker that one was with.
        let mut late: Vec<TcpStream> = (0..12).map(|_| connect(port)).collect();
        for client in &mut late {
            client.write_all(b"late").expect("the kernel takes it");
            client.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
            assert!(client.read(&mut [0; 4]).is_err(), "nobody answers yet");
        }
        clients.drain(..late.len());
        for client in &mut late {
            client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            let mut answer = [0; 4];
            client.read_exact(&mut answer).expect("served in the end");
            assert_eq!(&answer, b"late");
        }
        drop((clients, late));
        proxy.wait_for_number(20, "px", "FRONTEND", "scur", 0);
    }
    let stats = proxy.stats();
    assert_eq!(stats.number("px", "FRONTEND", "stot"), 2 * (places as u64 + 12));
    assert_eq!(stats.number("px", "s1", "econ"), 0);
    // Nothing keeps a worker from ending that has handed over and taken over.
    let client = crowd(port, 1);
    proxy.signal(Signal::SIGUSR1);
    eventually(20, "the workers have stopped listening", || {
        TcpStream::connect(("127.0.0.1", port)).map_or(Ok(()), |_| Err("accepted".to_string()))
    });
    drop(client);
    assert_eq!(house.proxy.wait_code(20), 0);
}

fn a_narrowed_bind_fills_its_own_workers_only(flavour: Flavour) {
    // Two of the three workers, so two tables' worth of places.
    let house = open(flavour, " thread 1-2");
    let whole = open(flavour, "");
    assert!(house.places.abs_diff(whole.places * 2 / 3) <= 2, "{} of {}", house.places, whole.places);
    drop(whole);
    let mut clients = crowd(house.port, house.places);
    for client in &mut clients {
        exchange(client, b"still here");
    }
    let mut tables = tables(&house.proxy);
    tables.sort_unstable();
    assert!(tables[0] * 2 < TABLE as usize && tables[1] * 2 > TABLE as usize, "{tables:?}");
    drop(clients);
    house.proxy.wait_for_number(20, "px", "FRONTEND", "scur", 0);
}
