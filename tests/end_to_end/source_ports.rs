//! Where connections to servers leave from: every port of the kernel's range is good for one, and no more are asked for.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use crate::support::*;

on_each_proxy!(every_port_of_the_range_carries_a_connection within 120);

/// Outside those that tests listen on.
const RANGE: &str = "50000 51199";
const PORTS: usize = 1200;

/// A network of this thread's own, in which 1,200 ports are all there are. False without the right to make one.
fn enter_small_network() -> bool {
    if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
        return false;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs");
    assert!(up.success());
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", RANGE).expect("the range is the namespace's");
    true
}

fn every_port_of_the_range_carries_a_connection(flavour: Flavour) {
    if !enter_small_network() {
        eprintln!("not run: network namespaces need root");
        return;
    }
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    maxconn 3000\n    retries 0\n    server s1 {}\n",
        origin.address()
    );
    let mut setup = Setup::new(flavour);
    setup.workers = 1;
    let proxy = setup.start(&sections, &[port]);
    let mut held: Vec<TcpStream> = Vec::with_capacity(PORTS);
    // A port or two may be in TIME_WAIT from the start's own probes.
    for _ in 0..PORTS - 20 {
        let mut client = connect(port);
        exchange(&mut client, b"hello");
        held.push(client);
    }
    proxy.wait_for_number(10, "px", "s1", "scur", (PORTS - 20) as u64);
    assert_eq!(proxy.stats().number("px", "s1", "econ"), 0);
}
