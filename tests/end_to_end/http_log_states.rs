//! Termination states (configuration.txt section 8.5) beside HAProxy's: those that the scenarios of failures, time-outs
//! and limits do not come to, because it takes an operator, a rule or a client's leave at the right moment.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::support::origin::BlackHole;
use crate::support::*;

same_as_haproxy!(
    answered_by_the_proxy,
    an_answer_that_a_rule_denies,
    client_that_leaves_within_an_answer,
    client_that_leaves_within_its_upload,
    client_that_leaves_while_connecting,
    killed_while_waiting,
    killed_within_an_answer,
    server_marked_down,
);

/// An origin that sends half of its answer at once, and the other half never.
fn half() -> HttpOrigin {
    HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
        let _ = exchange.echo_all();
        Next::Close
    })
}

fn states(lab: Lab, count: usize) -> Vec<String> {
    let notes = lab.finish(count);
    let lines: Vec<String> = notes.into_iter().filter(|note| note.starts_with("log: ")).collect();
    assert_eq!(lines.len(), count);
    lines
}

/// `LR`: a page of its own, a redirection, an answer made by a rule.
fn answered_by_the_proxy(flavour: Flavour) -> Vec<String> {
    let lines = "    stats enable\n    stats uri /figures\n    monitor-uri /alive\n\
        \x20   http-request redirect location /there if { path /here }\n\
        \x20   http-request return status 418 if { path /pot }\n    redirect prefix /a if { path /old }";
    let lab = Lab::plain(flavour, lines);
    for target in ["/figures", "/here", "/pot", "/old", "/alive"] {
        lab.client().get(target);
        lab.settle();
    }
    states(lab, 4)
}

/// `PH`
fn an_answer_that_a_rule_denies(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    http-response deny if { status 404 }");
    let response = lab.client().get("/?status=404");
    lab.note_local(&response);
    states(lab, 1)
}

/// `CD`
fn client_that_leaves_within_an_answer(flavour: Flavour) -> Vec<String> {
    // It goes on: that nobody reads any more shows when more is written.
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while exchange.stream().write_all(b"more").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    client.send(get("/"));
    client.wire.fill().expect("the head");
    reset(client.wire.stream);
    states(lab, 1)
}

fn client_that_leaves_within_its_upload(flavour: Flavour) -> Vec<String> {
    let lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf");
    lab.proxy.wait_for_number(15, "px", "s1", "scur", 1);
    drop(client);
    states(lab, 1)
}

fn client_that_leaves_while_connecting(flavour: Flavour) -> Vec<String> {
    let hole = BlackHole::start();
    let lines = format!(
        "    option abortonclose\n    timeout connect 20s\n    retries 0\n    server s1 127.0.0.1:{}",
        hole.port()
    );
    let lab = Lab::listen(flavour, Vec::new(), &lines);
    let mut client = lab.client();
    client.send(get("/"));
    lab.proxy.wait_for_number(15, "px", "s1", "scur", 1);
    drop(client);
    states(lab, 1)
}

/// `K`: `shutdown sessions server`.
fn killed_while_waiting(flavour: Flavour) -> Vec<String> {
    let lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    client.send(get("/?delay=20000"));
    lab.origin().wait_for_requests(15, 1);
    lab.proxy.command("shutdown sessions server px/s1");
    let _ = client.try_response("GET");
    drop(client);
    states(lab, 1)
}

fn killed_within_an_answer(flavour: Flavour) -> Vec<String> {
    let lab = Lab::listen(flavour, vec![half()], "");
    let mut client = lab.client();
    client.send(get("/"));
    client.wire.fill().expect("the head");
    lab.settle();
    lab.proxy.command("shutdown sessions server px/s1");
    client.try_response("GET").expect_err("it is cut");
    drop(client);
    states(lab, 1)
}

/// `D`: `on-marked-down shutdown-sessions`.
fn server_marked_down(flavour: Flavour) -> Vec<String> {
    let origin = half();
    let port = ports::free_port();
    let lines = format!(
        "listen px\n    bind 127.0.0.1:{{port}}\n    server s1 {} check port {port} inter 100 fall 1 rise 1 \
         on-marked-down shutdown-sessions\n",
        origin.address()
    );
    let check = Origin::start_on(([127, 0, 0, 1], port).into(), |_| {});
    let lab = Lab::start(flavour, vec![origin], &lines);
    lab.proxy.wait_for_status(15, "px", "s1", "UP");
    let mut client = lab.client();
    client.send(get("/"));
    client.wire.fill().expect("the head");
    lab.settle();
    drop(check);
    client.try_response("GET").expect_err("it is cut");
    drop(client);
    states(lab, 1)
}
