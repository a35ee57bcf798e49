//! Every HTTP time-out, side by side with HAProxy: what the client is told and what the log says.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::origin::BlackHole;
use crate::support::*;

same_as_haproxy!(
    request_that_never_comes,
    request_that_stops_in_its_head,
    request_that_drips,
    keep_alive_that_idles,
    client_timeout_between_requests,
    client_that_does_not_read,
    server_that_never_answers,
    server_that_stops_in_its_head,
    server_that_stops_in_its_body,
    server_that_is_a_black_hole,
    queue_that_is_too_slow,
    tarpit,
    tunnel_that_idles,
    client_that_leaves_while_waiting,
    client_that_leaves_with_abortonclose,
    client_that_leaves_the_queue,
);

on_each_engine!(request_body_that_stops);

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// Reads what the proxy says of its own accord, then its end.
fn own_words(lab: &mut Lab, client: &mut HttpClient, method: &str) {
    match client.try_response(method) {
        Ok(response) => lab.note_local(&response),
        Err(problem) => lab.note(problem),
    }
    client.expect_end();
}

fn request_that_never_comes(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout http-request 1s");
    let mut client = lab.client();
    own_words(&mut lab, &mut client, "GET");
    lab.finish(1)
}

fn request_that_stops_in_its_head(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout http-request 1s");
    let mut client = lab.client();
    client.send("GET / HTTP/1.1\r\nHost: te");
    own_words(&mut lab, &mut client, "GET");
    assert!(lab.origin().seen().is_empty());
    lab.finish(1)
}

/// A byte now and then keeps no connection alive: the time is that of the whole head.
fn request_that_drips(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout http-request 1s\n    timeout client 1s");
    let mut client = lab.client();
    client.drip("GET / HTTP/1.1\r\nHost: test\r\nX: ".repeat(2).as_bytes(), Duration::from_millis(40));
    own_words(&mut lab, &mut client, "GET");
    lab.finish(1)
}

/// HAProxy 2.6 waits for the server's time-out here; `timeout client` is "when the client is expected to send data"
/// (section 4.2), which it is.
fn request_body_that_stops(flavour: Flavour) {
    let lab = Lab::plain(flavour, "    timeout http-request 1s\n    timeout client 2s");
    let mut client = lab.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    if let Ok(response) = client.try_response("POST") {
        assert_eq!(response.status, 408);
    }
    client.expect_end();
    let logs = lab.proxy.syslog().wait_for_exchanges(15, "px", 1);
    assert!(logs[0].termination.starts_with('c'), "{:?}", logs[0]);
    assert!(lab.origin().seen().is_empty(), "half a request is no request");
}

fn keep_alive_that_idles(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout http-keep-alive 1s");
    let mut client = lab.client();
    let started = Instant::now();
    let response = client.get("/");
    lab.note_answer(&response);
    let is_closed = client.is_closed_within(Duration::from_secs(20));
    lab.note(format!("closed: {is_closed}"));
    assert!(started.elapsed() > Duration::from_millis(950), "{:?}", started.elapsed());
    lab.finish(1)
}

fn client_timeout_between_requests(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout client 1s");
    let mut client = lab.client();
    let response = client.get("/");
    lab.note_answer(&response);
    client.send("GET /second HTTP/1.1\r\n");
    own_words(&mut lab, &mut client, "GET");
    lab.finish(2)
}

fn client_that_does_not_read(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout client 1s\n    timeout server 10s");
    let mut client = lab.client();
    client.send(get("/?size=60000000"));
    let logs = lab.proxy.syslog().wait_for_exchanges(15, "px", 1);
    lab.note(format!("{} {}", logs[0].status, logs[0].termination));
    drop(client);
    // How much went before the buffers were full is each proxy's own; so is the second at which it noticed.
    lab.finish(1).into_iter().filter(|note| !note.starts_with("log: ")).collect()
}

fn server_that_never_answers(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout server 1s");
    let mut client = lab.client();
    client.send(get("/?delay=3000"));
    let response = client.response("GET");
    lab.note_local(&response);
    assert_eq!(response.status, 504);
    lab.finish(1)
}

fn server_that_stops_in_its_head(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nX-Ser");
        pause(3000);
        Next::Close
    });
    let mut lab = Lab::listen(flavour, vec![origin], "    timeout server 1s");
    let mut client = lab.client();
    client.send(get("/"));
    let response = client.response("GET");
    lab.note_local(&response);
    lab.finish(1)
}

fn server_that_stops_in_its_body(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
        pause(3000);
        Next::Close
    });
    let mut lab = Lab::listen(flavour, vec![origin], "    timeout server 1s");
    let mut client = lab.client();
    client.send(get("/"));
    let problem = client.try_response("GET").expect_err("a cut answer");
    lab.note(problem);
    client.wire.pending.clear();
    client.expect_end();
    lab.finish(1)
}

fn server_that_is_a_black_hole(flavour: Flavour) -> Vec<String> {
    let hole = BlackHole::start();
    let lines = format!("    timeout connect 1s\n    retries 1\n    server s1 127.0.0.1:{}", hole.port());
    let mut lab = Lab::listen(flavour, Vec::new(), &lines);
    let mut client = lab.client();
    client.send(get("/"));
    let response = client.response("GET");
    lab.note_local(&response);
    assert_eq!(response.status, 503);
    lab.finish(1)
}

fn queue_that_is_too_slow(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::named("s1");
    let lines = format!("    timeout queue 1s\n    server s1 {} maxconn 1", origin.address());
    let text = format!("listen px\n    bind 127.0.0.1:{{port}}\n{lines}\n");
    let mut lab = Lab::start(flavour, vec![origin], &text);
    let (mut first, mut second) = (lab.client(), lab.client());
    first.send(get("/?delay=3000"));
    lab.origin().wait_for_requests(15, 1);
    second.send(get("/queued"));
    let response = second.response("GET");
    lab.note_local(&response);
    assert_eq!(response.status, 503);
    let response = first.response("GET");
    lab.note_answer(&response);
    lab.finish(2)
}

fn tarpit(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    timeout tarpit 1s\n    http-request tarpit if { path /pit }");
    let mut client = lab.client();
    let started = Instant::now();
    client.send(get("/pit"));
    let response = client.response("GET");
    lab.note_local(&response);
    assert!(started.elapsed() > Duration::from_millis(950), "{:?}", started.elapsed());
    let is_closed = client.is_closed_within(Duration::from_secs(10));
    lab.note(format!("closed: {is_closed}"));
    lab.finish(1)
}

fn tunnel_that_idles(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n");
        exchange.echo_all()
    });
    // The tunnel's time is its own: the other two are shorter.
    let lines = "    timeout tunnel 4s\n    timeout client 1s\n    timeout server 1s";
    let mut lab = Lab::listen(flavour, vec![origin], lines);
    let mut client = lab.client();
    let response = client.ask("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n");
    assert_eq!(response.status, 101);
    pause(1500);
    client.send("still there");
    assert_eq!(client.wire.exactly(11).expect("echoed"), b"still there");
    let is_closed = client.is_closed_within(Duration::from_secs(20));
    lab.note(format!("closed: {is_closed}"));
    lab.finish(1)
}

fn client_that_leaves_while_waiting(flavour: Flavour) -> Vec<String> {
    let lab = Lab::plain(flavour, "    no option abortonclose");
    let mut client = lab.client();
    client.send(get("/?delay=2000"));
    lab.origin().wait_for_requests(15, 1);
    drop(client);
    lab.finish(1)
}

fn client_that_leaves_with_abortonclose(flavour: Flavour) -> Vec<String> {
    let lab = Lab::plain(flavour, "    option abortonclose");
    let mut client = lab.client();
    client.send(get("/?delay=3000"));
    pause(1000);
    drop(client);
    let notes = lab.finish(1);
    assert!(notes.iter().any(|note| note.contains("CH--")), "{notes:#?}");
    notes
}

fn client_that_leaves_the_queue(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::named("s1");
    let lines = format!("    option abortonclose\n    server s1 {} maxconn 1", origin.address());
    let text = format!("listen px\n    bind 127.0.0.1:{{port}}\n{lines}\n");
    let mut lab = Lab::start(flavour, vec![origin], &text);
    let (mut first, mut second) = (lab.client(), lab.client());
    first.send(get("/?delay=4000"));
    lab.origin().wait_for_requests(15, 1);
    second.send(get("/queued"));
    lab.proxy.wait_for_number(15, "px", "BACKEND", "qcur", 1);
    pause(1000);
    drop(second);
    let response = first.response("GET");
    lab.note_answer(&response);
    lab.finish(2)
}
