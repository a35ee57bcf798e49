//! Options that change how a session's sockets are treated.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;

on_each_proxy!(
    httpclose_closes_after_each_answer,
    smart_accept_and_connect_carry_bytes,
    client_buffer_sizes_reach_the_sockets,
);

// HAProxy 2.6 resets a `nolinger` client as soon as it has half-closed, and its answer is lost. It lets a busy direction
// keep the other alive with `independent-streams`, too. The manual decides.
on_each_engine!(
    nolinger_resets_at_the_end,
    independent_streams_time_out_a_silent_client,
    mode_health_answers_and_closes,
    an_answer_is_not_overtaken_by_a_reset,
);

fn one_server(flavour: Flavour, origin: &Origin, options: &str) -> (Running, u16) {
    let port = ports::free_port();
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n{options}    server s1 {}\n", origin.address());
    (Setup::new(flavour).start(&sections, &[port]), port)
}

/// With nothing more to come from the client, the end of the answer is the end of the connection: a reset.
fn nolinger_resets_at_the_end(flavour: Flavour) {
    let origin = Origin::start(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = stream.write_all(b"bye");
        thread::sleep(Duration::from_millis(200));
    });
    for (option, end) in [("", End::Closed), ("    option nolinger\n", End::Reset)] {
        let (_proxy, port) = one_server(flavour, &origin, option);
        let mut client = connect(port);
        client.shutdown(Shutdown::Write).expect("half-closed");
        assert_eq!(read_end(&mut client), (b"bye".to_vec(), end), "{option:?}");
    }
}

/// A client that only listens is silent, however much it is told: `timeout client` ends it.
fn independent_streams_time_out_a_silent_client(flavour: Flavour) {
    let origin = Origin::start(|mut stream| {
        while stream.write_all(b".").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    for (option, cut_off) in [("", false), ("    option independent-streams\n", true)] {
        let (proxy, port) = one_server(flavour, &origin, &format!("    timeout client 2s\n{option}"));
        let mut client = connect(port);
        let (start, mut byte) = (Instant::now(), [0u8; 1]);
        let mut ended = false;
        while start.elapsed() < Duration::from_secs(5) && !ended {
            ended = !matches!(client.read(&mut byte), Ok(1));
        }
        assert_eq!(ended, cut_off, "{option:?}");
        if cut_off {
            assert_eq!(proxy.syslog().wait_for_sessions(15, "px", 1)[0].termination, "cD");
        }
    }
}

fn httpclose_closes_after_each_answer(flavour: Flavour) {
    let port = ports::free_port();
    for (option, closes) in [("", false), ("    option httpclose\n", true)] {
        let sections = format!("listen page\n    bind 127.0.0.1:{port}\n    mode http\n    stats uri /s\n{option}");
        let _proxy = Setup::new(flavour).start(&sections, &[port]);
        let mut client = connect(port);
        client.write_all(b"GET /s;csv HTTP/1.1\r\nHost: a\r\n\r\n").expect("asked");
        let mut head = Vec::new();
        let mut byte = [0u8; 1];
        while !head.ends_with(b"\r\n\r\n") && matches!(client.read(&mut byte), Ok(1)) {
            head.push(byte[0].to_ascii_lowercase());
        }
        let head = String::from_utf8(head).expect("text");
        assert_eq!(head.contains("connection: close"), closes, "{option:?}: {head}");
    }
}

fn smart_accept_and_connect_carry_bytes(flavour: Flavour) {
    let origin = Origin::echo();
    let options = "    option tcp-smart-accept\n    option tcp-smart-connect\n";
    let (_proxy, port) = one_server(flavour, &origin, options);
    for round in 0..20 {
        exchange(&mut connect(port), format!("round {round}").as_bytes());
    }
}

/// A client that does not read, a server that does not stop: what is taken in between is what the buffers hold.
fn client_buffer_sizes_reach_the_sockets(flavour: Flavour) {
    let taken_by = |setup: Setup| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let origin = Origin::start(move |mut stream| {
            stream.set_nonblocking(true).expect("non-blocking");
            let (mut taken, start) = (0, Instant::now());
            while start.elapsed() < Duration::from_secs(1) {
                match stream.write(&[0u8; 65_536]) {
                    Ok(length) => taken += length,
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
            let _ = sender.send(taken);
        });
        let port = ports::free_port();
        let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
        let _proxy = setup.start(&sections, &[port]);
        let _client = connect(port);
        receiver.recv_timeout(Duration::from_secs(10)).expect("the origin tells")
    };
    let mut small = Setup::new(flavour);
    small.global.push("tune.sndbuf.client 8192".to_string());
    small.global.push("tune.rcvbuf.server 8192".to_string());
    let (small, usual) = (taken_by(small), taken_by(Setup::new(flavour)));
    assert!(small < usual, "{small} bytes with small buffers, {usual} without");
}

/// HAProxy has dropped the mode; 1.8's manual decides.
fn mode_health_answers_and_closes(flavour: Flavour) {
    let port = ports::free_port();
    for (option, answer) in [("", "OK\n"), ("    option httpchk\n", "HTTP/1.0 200 OK\r\n\r\n")] {
        let sections = format!("listen alive\n    bind 127.0.0.1:{port}\n    mode health\n{option}");
        let _proxy = Setup::new(flavour).start(&sections, &[port]);
        let mut client = connect(port);
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("asked");
        assert_eq!(read_end(&mut client), (answer.as_bytes().to_vec(), End::Closed), "{option:?}");
    }
}

/// A refused request with more behind it: the client reads the refusal, not a reset.
fn an_answer_is_not_overtaken_by_a_reset(flavour: Flavour) {
    let port = ports::free_port();
    let sections = format!("listen page\n    bind 127.0.0.1:{port}\n    mode http\n    stats uri /s\n");
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    for _ in 0..20 {
        let mut client = connect(port);
        client.write_all(b"not http\r\n\r\n").expect("sent");
        for _ in 0..5 {
            let _ = client.write_all(&[b'x'; 10_000]);
            thread::sleep(Duration::from_millis(2));
        }
        let (answer, end) = read_end(&mut client);
        assert!(answer.starts_with(b"HTTP/1.") && end == End::Closed, "{end:?} after {} bytes", answer.len());
    }
    proxy.wait_for_number(15, "page", "FRONTEND", "scur", 0);
}
