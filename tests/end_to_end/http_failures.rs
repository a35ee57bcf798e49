//! A server's death in each phase, retries, redispatch, queues and health checks, side by side with HAProxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::*;

same_as_haproxy!(
    nobody_listens,
    retries_on_a_refused_connection,
    redispatch_to_the_server_that_listens,
    closes_before_an_answer,
    resets_before_an_answer,
    closes_within_the_head,
    closes_within_the_body,
    resets_within_the_body,
    closes_within_a_chunk,
    speaks_no_http,
    no_server_is_up,
    all_servers_in_maintenance,
    retry_on_an_empty_answer,
    retry_on_a_status,
    retry_on_a_timeout,
    no_retry_for_a_post,
    a_full_server_queues,
    a_full_backend_refuses,
    a_full_frontend_waits,
    a_backup_takes_over,
    a_rule_denies,
    cookie_persistence,
    a_cookie_of_a_dead_server,
);
on_each_proxy!(httpchk_by_status, httpchk_with_expect_and_host, mode_health);

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

fn dead() -> String {
    format!("127.0.0.1:{}", ports::free_port())
}

/// One GET that the proxy has to answer itself.
fn refused(lab: &mut Lab, status: u16) {
    let response = lab.client().ask(get("/"));
    assert_eq!(response.status, status);
    lab.note_local(&response);
}

fn nobody_listens(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::listen(flavour, Vec::new(), &format!("    retries 0\n    server s1 {}", dead()));
    refused(&mut lab, 503);
    lab.finish(1)
}

fn retries_on_a_refused_connection(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::listen(flavour, Vec::new(), &format!("    retries 2\n    server s1 {}", dead()));
    refused(&mut lab, 503);
    lab.finish(1)
}

fn redispatch_to_the_server_that_listens(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::named("s2");
    let lines = format!(
        "    option redispatch\n    retries 2\n    balance roundrobin\n    server s1 {}\n    server s2 {}",
        dead(),
        origin.address()
    );
    let text = format!("listen px\n    bind 127.0.0.1:{{port}}\n{lines}\n");
    let mut lab = Lab::start(flavour, vec![origin], &text);
    lab.ask(get("/1"));
    lab.ask(get("/2"));
    lab.finish(2)
}

/// What a client sees, and the log, when a server answers with `bytes` and ends so.
fn broken(flavour: Flavour, bytes: &'static str, end: Next, lines: &str) -> Vec<String> {
    let origin = HttpOrigin::start(move |exchange| {
        exchange.send(bytes);
        if end == Next::Reset {
            // The bytes are on their way before the reset overtakes them.
            pause(600);
        }
        end
    });
    let mut lab = Lab::listen(flavour, vec![origin], lines);
    let mut client = lab.client();
    client.send(get("/"));
    match client.try_response("GET") {
        Ok(response) if response.status == 502 => lab.note_local(&response),
        Ok(response) => lab.note_answer(&response),
        Err(problem) => lab.note(problem),
    }
    client.wire.pending.clear();
    // Each of these answers is the connection's last.
    let is_closed = client.is_closed_within(Duration::from_secs(5));
    lab.note(format!("closed: {is_closed}"));
    lab.finish(1).into_iter().filter(|note| !note.starts_with("s1 was sent")).collect()
}

fn closes_before_an_answer(flavour: Flavour) -> Vec<String> {
    broken(flavour, "", Next::Close, "")
}

fn resets_before_an_answer(flavour: Flavour) -> Vec<String> {
    broken(flavour, "", Next::Reset, "")
}

fn closes_within_the_head(flavour: Flavour) -> Vec<String> {
    broken(flavour, "HTTP/1.1 200 OK\r\nContent-Le", Next::Close, "")
}

fn closes_within_the_body(flavour: Flavour) -> Vec<String> {
    broken(flavour, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", Next::Close, "")
}

fn resets_within_the_body(flavour: Flavour) -> Vec<String> {
    broken(flavour, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", Next::Reset, "")
}

fn closes_within_a_chunk(flavour: Flavour) -> Vec<String> {
    let notes = broken(flavour, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", Next::Close, "");
    // How much of the chunk came through before is each proxy's own; that it is no whole answer is not.
    assert!(!notes[0].starts_with("answer:"), "{notes:#?}");
    notes.into_iter().filter(|note| note.starts_with("log: ")).collect()
}

fn speaks_no_http(flavour: Flavour) -> Vec<String> {
    broken(flavour, "220 mail.test ESMTP\r\n\r\n", Next::Close, "")
}

fn no_server_is_up(flavour: Flavour) -> Vec<String> {
    let lines = format!("    server s1 {} check inter 50 fall 1", dead());
    let mut lab = Lab::listen(flavour, Vec::new(), &lines);
    lab.proxy.wait_for_status(10, "px", "s1", "DOWN");
    refused(&mut lab, 503);
    lab.finish(1)
}

fn all_servers_in_maintenance(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    lab.proxy.command("disable server px/s1");
    refused(&mut lab, 503);
    lab.proxy.command("enable server px/s1");
    lab.ask(get("/"));
    lab.finish(2)
}

/// Two servers of which the first fails as `first` says; `retry-on` decides whether the second is asked.
fn retried(flavour: Flavour, lines: &str, first: fn(&mut Exchange) -> Next, request: &str) -> Vec<String> {
    let origins = vec![HttpOrigin::start(first), HttpOrigin::named("s2")];
    let lines = format!("    balance roundrobin\n    option redispatch 1\n    retries 2\n{lines}");
    let mut lab = Lab::listen(flavour, origins, &lines);
    let response = lab.client().ask(request);
    lab.note(format!("{} {}", response.status, response.server()));
    lab.finish(1)
}

fn retry_on_an_empty_answer(flavour: Flavour) -> Vec<String> {
    let notes = retried(flavour, "    retry-on empty-response", |_| Next::Close, &get("/"));
    assert_eq!(notes[0], "200 s2");
    notes
}

fn retry_on_a_status(flavour: Flavour) -> Vec<String> {
    let fail = |exchange: &mut Exchange| {
        exchange.answer("503 Service Unavailable", "X-Server: s1\r\n", b"not now");
        Next::Keep
    };
    let notes = retried(flavour, "    retry-on 503", fail, &get("/"));
    assert_eq!(notes[0], "200 s2");
    notes
}

fn retry_on_a_timeout(flavour: Flavour) -> Vec<String> {
    let stall = |_: &mut Exchange| {
        pause(3000);
        Next::Close
    };
    let mut notes = retried(flavour, "    timeout server 1s\n    retry-on response-timeout", stall, &get("/"));
    assert_eq!(notes[0], "200 s2");
    // The first server's origin is still asleep in some runs and has noted the request in others.
    notes.retain(|note| !note.starts_with("s1 was sent"));
    notes
}

fn no_retry_for_a_post(flavour: Flavour) -> Vec<String> {
    let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi";
    let lines = "    retry-on empty-response\n    http-request disable-l7-retry if METH_POST";
    let notes = retried(flavour, lines, |_| Next::Close, request);
    assert_eq!(notes[0], "502 ");
    notes
}

fn a_full_server_queues(flavour: Flavour) -> Vec<String> {
    // It answers only when everybody waits: no clock decides about the order.
    let gate = Arc::new(AtomicBool::new(false));
    let shut = gate.clone();
    let origin = HttpOrigin::start(move |exchange| {
        while !shut.load(Ordering::Acquire) {
            pause(10);
        }
        exchange.answer("200", "", b"at last");
        Next::Keep
    });
    let text = format!("listen px\n    bind 127.0.0.1:{{port}}\n    server s1 {} maxconn 1\n", origin.address());
    let mut lab = Lab::start(flavour, vec![origin], &text);
    let mut clients = Vec::new();
    for number in 0..3 {
        let mut client: HttpClient = lab.client();
        client.send(get(&format!("/{number}")));
        match number {
            0 => lab.proxy.wait_for_number(15, "px", "s1", "scur", 1),
            waiting => lab.proxy.wait_for_number(15, "px", "BACKEND", "qcur", waiting),
        }
        clients.push(client);
    }
    gate.store(true, Ordering::Release);
    for client in &mut clients {
        let response = client.response("GET");
        lab.note_answer(&response);
    }
    drop(clients);
    // The waiting clients' times are whole seconds only nearly: their order and their queue positions are compared.
    lab.finish(3)
        .into_iter()
        .map(|note| match note.strip_prefix("log: ") {
            Some(log) => {
                // frontend backend/server times status cookie cookie state retries queues …
                let words: Vec<&str> = log.split(' ').collect();
                format!("log: {} {} {} {}", words[1], words[3], words[6], words[8])
            }
            None => note,
        })
        .collect()
}

fn a_full_backend_refuses(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::named("s1");
    let server = format!("    server s1 {} maxconn 1 maxqueue 1", origin.address());
    let text = format!("listen px\n    bind 127.0.0.1:{{port}}\n    timeout queue 1s\n{server}\n");
    let mut lab = Lab::start(flavour, vec![origin], &text);
    let mut clients: Vec<HttpClient> = (0..2)
        .map(|number| {
            let mut client = lab.client();
            client.send(get(&format!("/{number}?delay=3000")));
            if number == 0 {
                lab.proxy.wait_for_number(15, "px", "s1", "scur", 1);
            }
            client
        })
        .collect();
    let response = clients[1].response("GET");
    lab.note_local(&response);
    let response = clients[0].response("GET");
    lab.note_answer(&response);
    drop(clients);
    lab.finish(2)
}

fn a_full_frontend_waits(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    maxconn 2");
    let mut clients: Vec<HttpClient> = (0..3).map(|_| lab.client()).collect();
    for client in &mut clients[..2] {
        let response = client.get("/");
        assert_eq!(response.status, 200);
    }
    // Accepted by the kernel, not by the proxy.
    clients[2].send(get("/third"));
    let is_waiting = !clients[2].is_closed_within(Duration::from_millis(500)) && clients[2].wire.pending.is_empty();
    lab.note(format!("waiting: {is_waiting}"));
    clients.remove(0);
    let response = clients[1].response("GET");
    lab.note_answer(&response);
    drop(clients);
    lab.finish(3)
}

fn a_backup_takes_over(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::named("spare");
    let lines = format!("    server s1 {} check inter 50 fall 1\n    server spare {} backup", dead(), origin.address());
    let text = format!("listen px\n    bind 127.0.0.1:{{port}}\n{lines}\n");
    let mut lab = Lab::start(flavour, vec![origin], &text);
    lab.proxy.wait_for_status(10, "px", "s1", "DOWN");
    lab.ask(get("/"));
    lab.finish(1)
}

fn a_rule_denies(flavour: Flavour) -> Vec<String> {
    let lines = "    http-request deny if { path_beg /no }\n    http-request deny deny_status 429 if { path /slow }";
    let mut lab = Lab::plain(flavour, lines);
    let mut client = lab.client();
    // A denied request's connection goes on, its body is passed over.
    for request in [
        get("/no"),
        "POST /no HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello".to_string(),
        "POST /no HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_string(),
        get("/slow"),
    ] {
        let response = client.ask(request);
        lab.note(format!("{}", response.status));
        if response.header("connection") == Some("close") {
            client = lab.client();
        }
    }
    let response = client.get("/yes");
    lab.note(format!("{} {}", response.status, response.server()));
    drop(client);
    assert_eq!(lab.origin().seen().len(), 1);
    lab.finish(5)
}

fn cookie_persistence(flavour: Flavour) -> Vec<String> {
    let origins = vec![HttpOrigin::named("s1"), HttpOrigin::named("s2")];
    let text = "listen px\n    bind 127.0.0.1:{port}\n    balance roundrobin\n    cookie SRV insert indirect\n\
                \x20   server s1 {s1} cookie one\n    server s2 {s2} cookie two\n";
    let mut lab = Lab::start(flavour, origins, text);
    for _ in 0..2 {
        lab.ask(get("/"));
    }
    for cookie in ["SRV=two", "a=b; SRV=two; c=d", "SRV=one", "SRV=unknown", "a=b"] {
        lab.ask(format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n\r\n"));
    }
    lab.finish(7)
}

fn a_cookie_of_a_dead_server(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::named("s1");
    let text = format!(
        "listen px\n    bind 127.0.0.1:{{port}}\n    cookie SRV insert indirect\n    option redispatch\n\
         \x20   server s1 {{s1}} cookie one\n    server s2 {} cookie two check inter 50 fall 1\n",
        dead()
    );
    let mut lab = Lab::start(flavour, vec![origin], &text);
    lab.proxy.wait_for_status(10, "px", "s2", "DOWN");
    lab.ask("GET / HTTP/1.1\r\nHost: test\r\nCookie: SRV=two\r\n\r\n");
    lab.finish(1)
}

/// An origin whose `/up` says what a switch in its target's place says.
fn checked(status: &'static str) -> HttpOrigin {
    HttpOrigin::start(move |exchange| {
        exchange.answer(status, "X-Server: s1\r\n", b"state: ok");
        Next::Close
    })
}

fn httpchk_by_status(flavour: Flavour) {
    let origins = vec![checked("200 OK"), checked("302 Found"), checked("404 Not Found"), checked("500 Oops")];
    let mut text = "listen px\n    bind 127.0.0.1:{port}\n    option httpchk GET /up\n".to_string();
    for number in 1..=4 {
        text.push_str(&format!("    server s{number} {{s{number}}} check inter 100 fall 1\n"));
    }
    let lab = Lab::start(flavour, origins, &text);
    lab.proxy.wait_for_status(10, "px", "s3", "DOWN");
    lab.proxy.wait_for_status(10, "px", "s4", "DOWN");
    for name in ["s1", "s2"] {
        lab.proxy.wait_for_status(10, "px", name, "UP");
    }
    assert_eq!(lab.origin().wait_for_requests(15, 1)[0].head.start, "GET /up HTTP/1.0");
    assert_eq!(lab.proxy.stats().number("px", "s3", "check_code"), 404);
}

fn httpchk_with_expect_and_host(flavour: Flavour) {
    let origins = vec![checked("200 OK"), checked("200 OK")];
    let text = "listen px\n    bind 127.0.0.1:{port}\n    option httpchk\n\
                \x20   http-check send meth GET uri /up ver HTTP/1.1 hdr Host www.test\n\
                \x20   http-check expect string ok\n    server s1 {s1} check inter 100 fall 1\n\
                backend other\n    option httpchk\n    http-check expect ! string ok\n\
                \x20   server s2 {s2} check inter 100 fall 1\n";
    let lab = Lab::start(flavour, origins, text);
    lab.proxy.wait_for_status(10, "other", "s2", "DOWN");
    lab.proxy.wait_for_status(10, "px", "s1", "UP");
    let seen = lab.origin().wait_for_requests(15, 1);
    assert_eq!((seen[0].head.start.as_str(), seen[0].head.header("host")), ("GET /up HTTP/1.1", Some("www.test")));
}

/// `mode health` answers whoever connects; HAProxy dropped it in 2.x, where `monitor-uri` says the same.
fn mode_health(flavour: Flavour) {
    let body = match flavour {
        Flavour::HaProxy => "    mode http\n    monitor-uri /",
        _ => "    mode health\n    option httpchk",
    };
    let lab = Lab::start(flavour, Vec::new(), &format!("listen px\n    bind 127.0.0.1:{{port}}\n{body}\n"));
    let mut client = lab.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    client.expect_end();
}
