//! What is too much: long heads, many headers, slow drips, floods; and that it all costs bounded memory.

use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;

same_as_haproxy!(a_head_as_large_as_a_buffer_allows, too_many_headers, an_answer_head_that_is_too_large, fewer_headers,);
on_each_proxy!(
    a_head_that_is_too_large,
    a_target_that_is_too_long,
    a_smaller_bufsize,
    slow_drips_are_ended within 120,
    a_gigabyte_passes_in_constant_memory within 300,
    a_gigabyte_upload_passes_in_constant_memory within 300,
    pipelined_floods_are_bounded within 120,
    floods_of_headers_are_bounded within 120,
);

/// The status that each of `requests` gets from the proxy or the origin, and what of them reached the origin.
fn statuses(flavour: Flavour, global: &[&str], requests: &[String]) -> Vec<String> {
    let mut setup = Setup::new(flavour);
    setup.global = global.iter().map(|line| line.to_string()).collect();
    let origins = vec![HttpOrigin::named("s1")];
    let text = lab::listen_section(&origins, "");
    let mut lab = Lab::start_with(setup, origins, &text);
    for (index, request) in requests.iter().enumerate() {
        let mut client = lab.client();
        client.try_send(request);
        match client.try_response("GET") {
            Ok(response) => lab.note(format!("request {index}: {}", response.status)),
            Err(problem) => lab.note(format!("request {index}: {problem}")),
        }
    }
    let reached = lab.origin().seen().len();
    lab.note(format!("{reached} reached the origin"));
    let logs = lab.proxy.syslog().wait_for_exchanges(10, "px", requests.len());
    for log in logs {
        lab.note(format!("{} {} {}", log.status, log.termination, log.server));
    }
    let notes = lab.finish(requests.len());
    notes.into_iter().filter(|note| !note.starts_with("log: ") && !note.starts_with("s1 was sent")).collect()
}

/// A GET whose head has exactly `size` bytes.
fn head_of(size: usize) -> String {
    let frame = "GET / HTTP/1.1\r\nHost: test\r\nX-Fill: \r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nHost: test\r\nX-Fill: {}\r\n\r\n", "f".repeat(size - frame))
}

fn head_with(headers: usize) -> String {
    let lines: String = (1..headers).map(|number| format!("X-{number}: v\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n")
}

/// tune.bufsize 16384 less tune.maxrewrite 1024: well within.
fn a_head_as_large_as_a_buffer_allows(flavour: Flavour) -> Vec<String> {
    statuses(flavour, &[], &[head_of(8000), head_of(14_000)])
}

/// HAProxy 2.6 has one status for all of it; ours says what was too large (RFC 6585 section 5, RFC 9110 section 15.5.15).
fn too_large(flavour: Flavour, ours: u16) -> u16 {
    if flavour == Flavour::HaProxy { 400 } else { ours }
}

fn a_head_that_is_too_large(flavour: Flavour) {
    let notes = statuses(flavour, &[], &[head_of(17_000), head_of(40_000)]);
    let status = too_large(flavour, 431);
    assert_eq!(notes[0], format!("request 0: {status}"));
    assert_eq!(notes[2], "0 reached the origin");
    assert_eq!(notes[3], format!("{status} PR-- <NOSRV>"));
}

/// tune.http.maxhdr is 101.
fn too_many_headers(flavour: Flavour) -> Vec<String> {
    statuses(flavour, &[], &[head_with(90), head_with(150), head_with(500)])
}

fn a_target_that_is_too_long(flavour: Flavour) {
    let targets = [get(&format!("/{}", "t".repeat(10_000))), get(&format!("/{}", "t".repeat(20_000)))];
    let notes = statuses(flavour, &[], &targets);
    let status = too_large(flavour, 414);
    assert_eq!(notes[..3], ["request 0: 200", &format!("request 1: {status}"), "1 reached the origin"]);
}

fn an_answer_head_that_is_too_large(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        let fill = "f".repeat(exchange.number("fill").unwrap_or(0) as usize);
        exchange.answer("200 OK", &format!("X-Fill: {fill}\r\n"), b"");
        Next::Keep
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    for fill in [100, 12_000, 17_000] {
        let response = lab.client().get(&format!("/?fill={fill}"));
        lab.note(format!("{fill}: {}", response.status));
    }
    lab.finish(3).into_iter().filter(|note| !note.starts_with("s1 was sent")).collect()
}

fn a_smaller_bufsize(flavour: Flavour) {
    let notes = statuses(flavour, &["tune.bufsize 8192", "tune.maxrewrite 1024"], &[head_of(6000), head_of(9000)]);
    let status = too_large(flavour, 431);
    assert_eq!(notes[..3], ["request 0: 200", &format!("request 1: {status}"), "1 reached the origin"]);
}

fn fewer_headers(flavour: Flavour) -> Vec<String> {
    statuses(flavour, &["tune.http.maxhdr 20"], &[head_with(15), head_with(30)])
}

fn slow_drips_are_ended(flavour: Flavour) {
    let lab = Lab::plain(flavour, "    timeout http-request 2s\n    timeout client 2s");
    let started = Instant::now();
    let mut clients: Vec<HttpClient> = (0..300)
        .map(|_| {
            let mut client = lab.client();
            client.send("GET / HTTP/1.1\r\nHost: test\r\n");
            client
        })
        .collect();
    // One header after the other, for ever.
    while started.elapsed() < Duration::from_secs(4) {
        for client in &mut clients {
            client.try_send("X-Slow: drip\r\n");
        }
        thread::sleep(Duration::from_millis(200));
    }
    for client in &mut clients {
        match client.try_response("GET") {
            Ok(response) => assert_eq!(response.status, 408),
            // What was sent after the end came back as a reset, which may overtake the answer.
            Err(problem) => assert!(problem.contains("reset"), "{problem}"),
        }
    }
    assert!(lab.origin().seen().is_empty());
    let logs = lab.proxy.syslog().wait_for_exchanges(10, "px", 300);
    assert!(logs.iter().all(|log| log.status == "408" && log.termination == "cR--"), "{:?}", logs[0]);
}

const GIGABYTE: usize = 1 << 30;

fn peak_bytes(lab: &Lab) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", lab.proxy.pid())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

fn a_gigabyte_passes_in_constant_memory(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
        let piece = vec![b'g'; 1 << 20];
        for _ in 0..GIGABYTE / piece.len() {
            if exchange.stream().write_all(&piece).is_err() {
                return Next::Close;
            }
        }
        Next::Keep
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    assert_eq!(lab.client().ask("HEAD / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").status, 200);
    let before = peak_bytes(&lab);
    let mut client = lab.client();
    client.send(get("/"));
    let mut stream = client.wire.stream;
    let (mut received, mut buffer) = (0usize, vec![0u8; 1 << 20]);
    let mut head = Vec::new();
    while received < GIGABYTE {
        let length = stream.read(&mut buffer).expect("the body goes on");
        assert_ne!(length, 0, "cut after {received} bytes");
        if head.ends_with(b"\r\n\r\n") {
            received += length;
            continue;
        }
        for (index, byte) in buffer[..length].iter().enumerate() {
            head.push(*byte);
            if head.ends_with(b"\r\n\r\n") {
                received += length - index - 1;
                break;
            }
        }
    }
    assert_eq!(received, GIGABYTE);
    let grown = peak_bytes(&lab).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

fn a_gigabyte_upload_passes_in_constant_memory(flavour: Flavour) {
    let has_head = Arc::new(AtomicBool::new(false));
    let noticed = Arc::clone(&has_head);
    let origin = HttpOrigin::start(move |exchange| {
        noticed.store(true, Ordering::Release);
        let mut left = GIGABYTE;
        let mut buffer = vec![0u8; 1 << 20];
        // Uploads are slower than the client would send: the proxy must hold it back.
        while left > 0 {
            match exchange.stream().read(&mut buffer) {
                Ok(length @ 1..) => left -= length.min(left),
                _ => return Next::Close,
            }
            if left.is_multiple_of(64) {
                thread::sleep(Duration::from_micros(200));
            }
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    let before = peak_bytes(&lab);
    let mut client = lab.client();
    // The head apart, so that the origin's reader does not take a piece of the body with it.
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {GIGABYTE}\r\n\r\n"));
    eventually(20, "the head has come to the origin", || match has_head.load(Ordering::Acquire) {
        true => Ok(()),
        false => Err("not yet".to_string()),
    });
    let piece = vec![b'u'; 1 << 20];
    for _ in 0..GIGABYTE / piece.len() {
        client.send(&piece);
    }
    assert_eq!(client.response("POST").status, 200);
    let grown = peak_bytes(&lab).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
}

/// Clients that ask without end and read nothing: what they have sent waits in the kernel, not in the proxy.
fn pipelined_floods_are_bounded(flavour: Flavour) {
    let lab = Lab::plain(flavour, "    timeout client 3s");
    assert_eq!(lab.client().get("/").status, 200);
    let before = lab.proxy.resident_bytes();
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect(lab.port);
            thread::spawn(move || {
                let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
                let requests = get("/?size=2000").repeat(100);
                let ends = Instant::now() + Duration::from_secs(4);
                while Instant::now() < ends && stream.write_all(requests.as_bytes()).is_ok() {}
                stream
            })
        })
        .collect();
    let mut peak = 0;
    let ends = Instant::now() + Duration::from_secs(4);
    while Instant::now() < ends {
        peak = peak.max(lab.proxy.resident_bytes());
        thread::sleep(Duration::from_millis(100));
    }
    drop(clients.into_iter().map(|client| client.join().expect("joined")).collect::<Vec<_>>());
    let grown = peak.saturating_sub(before);
    assert!(grown < 50 * (512 << 10), "{grown} bytes for 50 connections");
    assert_eq!(lab.client().get("/").status, 200, "others are served");
}

fn floods_of_headers_are_bounded(flavour: Flavour) {
    let lab = Lab::plain(flavour, "    timeout http-request 10s");
    assert_eq!(lab.client().get("/").status, 200);
    let before = lab.proxy.resident_bytes();
    let mut clients: Vec<HttpClient> = (0..500)
        .map(|_| {
            let mut client = HttpClient::connect(lab.port);
            client.send(format!("GET / HTTP/1.1\r\nHost: test\r\nX-Half: {}", "h".repeat(12_000)));
            client
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let grown = lab.proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 500 * (40 << 10), "{grown} bytes for 500 half heads");
    for client in &mut clients {
        client.try_send("h".repeat(20_000));
    }
    for client in &mut clients {
        match client.try_response("GET") {
            Ok(response) => assert!((400..500).contains(&response.status), "{}", response.status),
            Err(problem) => assert!(problem.contains("reset"), "{problem}"),
        }
    }
    assert_eq!(lab.client().get("/").status, 200, "others are served");
}
