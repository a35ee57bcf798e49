//! What happens at each limit: the frontend's, the process's, a server's, and the system's descriptors.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::*;

on_each_proxy!(
    a_full_frontend_makes_newcomers_wait,
    a_full_process_makes_newcomers_wait,
    a_server_never_sees_more_than_its_maxconn,
    a_queue_serves_in_order,
    a_server_that_goes_down_gives_its_queue_back,
);
on_each_engine!(running_out_of_descriptors_pauses_and_resumes within 120);

fn full(flavour: Flavour, setup: Setup, body: &str) -> (Running, u16, Origin) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n{body}    server s1 {}\n", origin.address());
    assert_eq!(setup.flavour, flavour);
    (setup.start(&sections, &[port]), port, origin)
}

/// With two places, a third client is accepted by the kernel, not by the proxy, until one leaves.
fn third_waits(proxy: &Running, port: u16) {
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(port)).collect();
    for client in &mut held {
        exchange(client, b"hello");
    }
    let mut third = connect(port);
    third.write_all(b"let me in").expect("the kernel takes it");
    third.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    assert!(third.read(&mut [0; 16]).is_err(), "nobody answers yet");
    assert_eq!(proxy.stats().number("px", "FRONTEND", "scur"), 2);
    drop(held.pop());
    third.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let mut answer = [0; 9];
    third.read_exact(&mut answer).expect("now it is served");
    assert_eq!(&answer, b"let me in");
    drop((held, third));
    proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    assert_eq!(proxy.stats().number("px", "FRONTEND", "smax"), 2);
}

fn a_full_frontend_makes_newcomers_wait(flavour: Flavour) {
    let (proxy, port, _origin) = full(flavour, Setup::new(flavour), "    maxconn 2\n");
    assert_eq!(proxy.stats().number("px", "FRONTEND", "slim"), 2);
    third_waits(&proxy, port);
}

fn a_full_process_makes_newcomers_wait(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    setup.global.push("maxconn 2".to_string());
    let (proxy, port, _origin) = full(flavour, setup, "");
    third_waits(&proxy, port);
}

/// Counts how many are served at once, and the most ever.
fn counting_origin(now: &Arc<AtomicUsize>, most: &Arc<AtomicUsize>) -> Origin {
    let (now, most) = (Arc::clone(now), Arc::clone(most));
    Origin::start(move |mut stream| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut byte = [0; 1];
        let _ = stream.read(&mut byte);
        thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::SeqCst);
        let _ = stream.write_all(b"!");
    })
}

fn a_server_never_sees_more_than_its_maxconn(flavour: Flavour) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = counting_origin(&now, &most);
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    timeout queue 30s\n    server s1 {} maxconn 3\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let clients: Vec<_> = (0..60)
        .map(|_| {
            thread::spawn(move || {
                let mut client = connect(port);
                client.write_all(b"?").expect("sent");
                assert_eq!(read_end(&mut client), (b"!".to_vec(), End::Closed));
            })
        })
        .collect();
    for client in clients {
        client.join().expect("every one is served in the end");
    }
    // The origin counts one down a moment before the proxy can see the end, so one more may be seen by it.
    assert!(most.load(Ordering::SeqCst) <= 3, "at most {} at once", most.load(Ordering::SeqCst));
    let stats = proxy.stats();
    assert_eq!(stats.number("px", "s1", "smax"), 3);
    assert_eq!(stats.number("px", "s1", "stot"), 60);
    assert!(stats.number("px", "BACKEND", "qmax") > 10);
    for name in ["BACKEND", "s1"] {
        proxy.wait_for_number(15, "px", name, "qcur", 0);
        proxy.wait_for_number(15, "px", name, "scur", 0);
    }
}

fn a_queue_serves_in_order(flavour: Flavour) {
    let origin = Origin::named("s");
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    timeout queue 30s\n    server s1 {} maxconn 1\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut first = connect(port);
    assert_eq!(read_line(&mut first), "s");
    let mut waiting = Vec::new();
    for number in 1..=8 {
        waiting.push(connect(port));
        proxy.wait_for_number(15, "px", "BACKEND", "qcur", number);
    }
    drop(first);
    for mut client in waiting {
        // Only the head of the queue is served: a later one served first would leave this one without its line.
        assert_eq!(read_line(&mut client), "s");
    }
    proxy.wait_for_number(15, "px", "BACKEND", "qcur", 0);
}

fn a_server_that_goes_down_gives_its_queue_back(flavour: Flavour) {
    let (first, second) = (Origin::named("first"), Origin::named("second"));
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    timeout queue 30s\n    option redispatch\n    balance first\n\
         \x20   server first {} maxconn 1\n    server second {} maxconn 1\n",
        first.address(),
        second.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut one = connect(port);
    assert_eq!(read_line(&mut one), "first");
    let mut two = connect(port);
    assert_eq!(read_line(&mut two), "second");
    let mut three = connect(port);
    proxy.wait_for_number(15, "px", "BACKEND", "qcur", 1);
    proxy.command("disable server px/first");
    drop(one);
    drop(two);
    assert_eq!(read_line(&mut three), "second");
    drop(three);
    for name in ["BACKEND", "first", "second"] {
        proxy.wait_for_number(15, "px", name, "scur", 0);
    }
}

fn descriptors(proxy: &Running) -> usize {
    // Each thread has a table of its own.
    let tasks = fs::read_dir(format!("/proc/{}/task", proxy.pid())).expect("its threads");
    tasks
        .filter_map(Result::ok)
        .filter_map(|task| fs::read_dir(task.path().join("fd")).ok())
        .map(Iterator::count)
        .max()
        .unwrap_or(0)
}

fn limit_descriptors(proxy: &Running, limit: usize) {
    let status =
        Command::new("prlimit").arg(format!("--pid={}", proxy.pid())).arg(format!("--nofile={limit}:")).status();
    assert!(status.is_ok_and(|status| status.success()));
}

fn running_out_of_descriptors_pauses_and_resumes(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    setup.workers = 1;
    let (mut proxy, port, _origin) = full(flavour, setup, "    timeout client 60s\n    timeout server 60s\n");
    let mut held: Vec<TcpStream> = (0..20).map(|_| connect(port)).collect();
    for client in &mut held {
        exchange(client, b"before");
    }
    limit_descriptors(&proxy, descriptors(&proxy) + 10);
    // Far more than fit: some get through, some fail, the rest wait in the kernel's backlog.
    let mut crowd: Vec<TcpStream> = (0..60).map(|_| connect(port)).collect();
    thread::sleep(Duration::from_millis(500));
    let before = proxy.cpu_ms();
    thread::sleep(Duration::from_secs(2));
    let spent = proxy.cpu_ms() - before;
    assert!(spent < 400, "waiting for descriptors burns {spent} ms of CPU in 2 s");
    for client in &mut held {
        exchange(client, b"established connections live on");
    }
    assert!(proxy.is_running());
    limit_descriptors(&proxy, 10_000);
    crowd.clear();
    drop(held);
    eventually(20, "it accepts and serves again", || {
        let mut client = connect(port);
        client.set_read_timeout(Some(Duration::from_secs(1))).map_err(|error| error.to_string())?;
        client.write_all(b"after").map_err(|error| error.to_string())?;
        let mut back = [0; 5];
        client.read_exact(&mut back).map_err(|error| error.to_string())
    });
    for name in ["FRONTEND", "BACKEND", "s1"] {
        proxy.wait_for_number(10, "px", name, "scur", 0);
    }
}
