//! Frontends that are paused and resumed: `disable frontend`, SIGTTOU, and their reverse.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

on_each_proxy!(a_paused_frontend_refuses, a_unix_socket_is_not_paused, a_port_taken_meanwhile_stays_paused);
on_each_engine!(a_socket_that_workers_share_pauses_and_resumes);

fn is_refused(port: u16) -> bool {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => false,
        Err(error) => {
            // Reset: its handshake was under way when the socket stopped.
            assert!([ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
            true
        }
    }
}

/// Every worker's socket refuses: which one a connection meets is the kernel's choice, so several are tried.
fn wait_until_refused(port: u16) {
    eventually(15, "clients are refused", || match (0..32).all(|_| is_refused(port)) {
        true => Ok(()),
        false => Err("some are accepted".to_string()),
    });
}

fn serves(port: u16) {
    for _ in 0..32 {
        exchange(&mut connect(port), b"hello");
    }
}

fn wait_until_open(port: u16) {
    eventually(15, "clients are accepted", || match (0..32).any(|_| is_refused(port)) {
        true => Err("some are refused".to_string()),
        false => Ok(()),
    });
}

/// Pauses and resumes in both ways, twice; a client that is connected already does not notice.
fn pause_and_resume(proxy: &Running, port: u16) {
    let mut client = connect(port);
    exchange(&mut client, b"before");
    for _ in 0..2 {
        assert_eq!(proxy.command("disable frontend px").trim(), "");
        wait_until_refused(port);
        proxy.wait_for_status(15, "px", "FRONTEND", "PAUSED");
        exchange(&mut client, b"paused");
        assert_eq!(proxy.command("enable frontend px").trim(), "");
        wait_until_open(port);
        proxy.wait_for_status(15, "px", "FRONTEND", "OPEN");
        serves(port);
        proxy.signal(Signal::SIGTTOU);
        wait_until_refused(port);
        exchange(&mut client, b"paused");
        proxy.signal(Signal::SIGTTIN);
        wait_until_open(port);
        serves(port);
    }
    exchange(&mut client, b"after");
}

fn a_paused_frontend_refuses(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
    let mut proxy = Setup::new(flavour).start(&sections, &[port]);
    pause_and_resume(&proxy, port);
    proxy.command("disable frontend px");
    wait_until_refused(port);
    proxy.signal(Signal::SIGTERM);
    assert_eq!(proxy.wait_code(5), 143, "a paused one ends as any other");
}

fn a_socket_that_workers_share_pauses_and_resumes(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let mut setup = Setup::new(flavour);
    setup.arguments.push("-dR".to_string());
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
    let proxy = setup.start(&sections, &[port]);
    for _ in 0..3 {
        proxy.command("disable frontend px");
        wait_until_refused(port);
        // Until the last of the workers has heard of it, which nobody outside can see.
        thread::sleep(Duration::from_millis(300));
        proxy.command("enable frontend px");
        wait_until_open(port);
        serves(port);
    }
    let log = proxy.syslog().lines().join("");
    assert!(!log.contains("cannot accept"), "a pause is no shortage: {log}");
}

fn a_unix_socket_is_not_paused(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let setup = Setup::new(flavour);
    let path = setup.path("px.sock");
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    bind unix@{}\n    server s1 {}\n",
        path.display(),
        origin.address()
    );
    let proxy = setup.start(&sections, &[port]);
    proxy.command("disable frontend px");
    wait_until_refused(port);
    let mut client = UnixStream::connect(&path).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    client.write_all(b"hello").expect("taken");
    let mut bytes = [0u8; 5];
    client.read_exact(&mut bytes).expect("served");
    assert_eq!(&bytes, b"hello");
}

fn a_port_taken_meanwhile_stays_paused(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    proxy.command("disable frontend px");
    wait_until_refused(port);
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a paused frontend leaves its port to others");
    proxy.command("enable frontend px");
    proxy.wait_for_status(15, "px", "FRONTEND", "PAUSED");
    drop(other);
    wait_until_refused(port);
    proxy.command("enable frontend px");
    wait_until_open(port);
    serves(port);
    proxy.wait_for_status(15, "px", "FRONTEND", "OPEN");
}
