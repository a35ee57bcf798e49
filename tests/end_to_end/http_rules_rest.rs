//! Rules and options of HTTP mode that act on more than one message's text, side by side with HAProxy: held response
//! bodies, restricted header names, blocked cookies, the order of a queue, marks on the client's packets.

use std::io::Read;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::*;

same_as_haproxy!(
    response_bodies_that_rules_wait_for,
    a_response_body_that_does_not_come,
    a_request_body_that_does_not_come,
    odd_header_names_are_kept,
    odd_header_names_are_deleted,
    odd_header_names_are_refused,
    a_client_keeps_so_many_servers,
);

on_each_proxy!(who_waits_is_served_by_priority, packets_to_the_client_have_a_type_of_service);

on_each_engine!(cacheable_cookies_are_blocked, a_monitors_network_is_answered_unasked, bytes_are_counted_as_they_flow);

fn response_bodies_that_rules_wait_for(flavour: Flavour) -> Vec<String> {
    let rules = "    http-response wait-for-body time 5s\n    http-response set-header x-body %[res.body,length]:%[res.body,bytes(0,9)]\n    \
        http-response deny deny_status 500 if { res.body -m sub 4567 }";
    let mut lab = Lab::plain(flavour, rules);
    let mut client = lab.client();
    for target in [
        "/plain?size=10",
        "/stalled?size=10&stall=200",
        "/chunked?size=3000&framing=chunked&stall=100",
        "/empty?size=0",
        "/empty?size=0&framing=chunked",
        "/none?status=204",
        "/unchanged?status=304",
    ] {
        let response = client.get(target);
        lab.note_answer(&response);
    }
    // More than a buffer: rules see its beginning, the client all of it.
    let response = client.get("/bulk?size=300000");
    lab.note(format!("{} {}", response.status, response.body.bytes == pattern(300_000)));
    let head = client.ask("HEAD /head?size=50 HTTP/1.1\r\nHost: test\r\n\r\n");
    lab.note_answer(&head);
    drop(client);
    let mut client = lab.client();
    let closing = client.get("/closing?size=20&framing=close&stall=100");
    lab.note(format!("{} {:?} {}", closing.status, closing.header("x-body"), closing.body.bytes == pattern(20)));
    drop(client);
    let digits = HttpOrigin::start(|exchange| {
        exchange.answer("200 OK", "", b"0123456789");
        Next::Keep
    });
    let mut denied = Lab::listen(flavour, vec![digits], rules);
    let response = denied.client().get("/denied");
    denied.note_local(&response);
    let mut notes = lab.finish(10);
    notes.extend(denied.finish(1));
    notes
}

fn a_response_body_that_does_not_come(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    http-response wait-for-body time 1s");
    let mut client = lab.client();
    let response = client.get("/stalled?size=10&stall=3000");
    lab.note_local(&response);
    drop(client);
    // Enough of it is here: nobody waits.
    let mut other = Lab::plain(flavour, "    http-response wait-for-body time 1s at-least 3");
    let response = other.client().get("/plain?size=10");
    other.note_answer(&response);
    let mut notes = lab.finish(1);
    notes.extend(other.finish(1));
    notes
}

fn a_request_body_that_does_not_come(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    http-request wait-for-body time 1s");
    let mut client = lab.client();
    client.send("POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    let response = client.response("POST");
    lab.note_local(&response);
    lab.finish(1)
}

const ODD_NAMES: &str = "GET /odd HTTP/1.1\r\nHost: test\r\nX_Real-IP: 1\r\nX-Real-IP: 2\r\nx.y: 3\r\nX-Ok9: 4\r\n\r\n";

fn odd_header_names(flavour: Flavour, policy: &str, in_backend: bool) -> Vec<String> {
    let line = |wanted: bool| {
        if wanted { format!("    option http-restrict-req-hdr-names {policy}\n") } else { String::new() }
    };
    let text = format!(
        "frontend px\n    bind 127.0.0.1:{{port}}\n{}    http-request set-header x-front %[req.hdr(x_real-ip)]\n    \
         default_backend b\nbackend b\n{}    http-request set-header x-back %[req.hdr(x_real-ip)]\n    \
         http-request add-header added_here 1\n    server s1 {{s1}}\n",
        line(!in_backend),
        line(in_backend)
    );
    let mut lab = Lab::start(flavour, vec![HttpOrigin::named("s1")], &text);
    let response = lab.client().ask(ODD_NAMES);
    lab.note(format!("{}", response.status));
    lab.finish(1)
}

fn both_places(flavour: Flavour, policy: &str) -> Vec<String> {
    [odd_header_names(flavour, policy, false), odd_header_names(flavour, policy, true)].concat()
}

fn odd_header_names_are_kept(flavour: Flavour) -> Vec<String> {
    both_places(flavour, "preserve")
}

fn odd_header_names_are_deleted(flavour: Flavour) -> Vec<String> {
    both_places(flavour, "delete")
}

fn odd_header_names_are_refused(flavour: Flavour) -> Vec<String> {
    both_places(flavour, "reject")
}

/// One request holds the only slot; the others come one after the other and are served by class and moved time.
fn who_waits_is_served_by_priority(flavour: Flavour) {
    let origin = HttpOrigin::named("s1");
    let text = format!(
        "listen px\n    bind 127.0.0.1:{{port}}\n    timeout queue 30s\n    \
         http-request set-priority-class req.hdr(x-class) if {{ req.hdr(x-class) -m found }}\n    \
         http-request set-priority-offset req.hdr(x-offset) if {{ req.hdr(x-offset) -m found }}\n    \
         server s1 {} maxconn 1\n",
        origin.address()
    );
    let lab = Lab::start(flavour, vec![origin], &text);
    let mut first = lab.client();
    first.send(get("/first?delay=2000"));
    lab.proxy.wait_for_number(10, "px", "s1", "scur", 1);
    let waiting = [
        ("/late-class", "X-Class: 5\r\n"),
        ("/plain-1", ""),
        ("/plain-2", ""),
        ("/moved-back", "X-Offset: 500000\r\n"),
        ("/moved-ahead", "X-Offset: -500000\r\n"),
        ("/early-class", "X-Class: -3000\r\n"),
        ("/beyond", "X-Class: 99999\r\n"),
    ];
    let mut clients = Vec::new();
    for (index, (target, header)) in waiting.into_iter().enumerate() {
        let mut client = lab.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{header}Connection: close\r\n\r\n"));
        let queued = || {
            let stats = lab.proxy.stats();
            stats.number("px", "s1", "qcur") + stats.number("px", "BACKEND", "qcur")
        };
        eventually(10, "one more waits", || match queued() as usize > index {
            true => Ok(()),
            false => Err(format!("{index}: {}", queued())),
        });
        clients.push(client);
    }
    assert_eq!(first.response("GET").status, 200);
    drop(first);
    for client in &mut clients {
        assert_eq!(client.response("GET").status, 200);
    }
    let order: Vec<String> = lab.origin().seen().iter().skip(1).map(|seen| seen.head.word(1).to_string()).collect();
    let expected = ["/early-class", "/moved-ahead", "/plain-1", "/plain-2", "/moved-back", "/late-class", "/beyond"];
    assert_eq!(order, expected);
}

/// What the kernel says of the proxy's socket towards the client: `tos:0x…` of `ss`.
fn type_of_service(port: u16) -> String {
    let filter = format!("sport = :{port}");
    let output = Command::new("ss").args(["-Htn", "--tos", "state", "established", &filter]).output();
    let text = String::from_utf8_lossy(&output.expect("ss runs (package iproute2)").stdout).into_owned();
    text.split_whitespace().find_map(|word| word.strip_prefix("tos:")).unwrap_or_default().to_string()
}

fn packets_to_the_client_have_a_type_of_service(flavour: Flavour) {
    let rules = "    http-request set-tos 0x48 if { path /request }\n    http-request set-var(txn.path) path\n    \
        http-response set-tos 104 if { var(txn.path) -m str /response }";
    let lab = Lab::plain(flavour, rules);
    let mut client = lab.client();
    client.get("/plain");
    assert_eq!(type_of_service(lab.port), "0");
    client.get("/request");
    assert_eq!(type_of_service(lab.port), "0x48");
    client.get("/response");
    assert_eq!(type_of_service(lab.port), "0x68");
}

/// HAProxy 2.6 reads the option and blocks nothing: the manual is the oracle.
fn cacheable_cookies_are_blocked(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        let headers = exchange.query("headers").unwrap_or("").replace(':', ": ").replace(';', "\r\n");
        exchange.answer("200 OK", &headers, b"body");
        Next::Keep
    });
    let lab = Lab::listen(flavour, vec![origin], "    option checkcache");
    let mut client = lab.client();
    for (method, headers, status) in [
        ("GET", "", 200),
        ("GET", "Set-Cookie:a;", 502),
        ("GET", "Set-Cookie:a;Cache-Control:max-age=60;", 502),
        ("GET", "Set-Cookie:a;Cache-Control:private;", 200),
        ("GET", "Set-Cookie:a;Cache-Control:no-cache=\"set-cookie\";", 200),
        ("POST", "Set-Cookie:a;", 200),
        ("POST", "Set-Cookie:a;Cache-Control:public;", 502),
    ] {
        let response =
            client.ask(format!("{method} /?headers={headers} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(response.status, status, "{method} {headers}");
    }
    drop(client);
    let lines = lab.proxy.syslog().wait_for_exchanges(15, "px", 7);
    let ends: Vec<&str> = lines.iter().map(|line| line.termination.as_str()).collect();
    assert_eq!(ends, ["----", "PH--", "PH--", "----", "----", "----", "PH--"]);
    let alert = "Blocking cacheable cookie in response from instance px, server s1.";
    let alerts = lab.proxy.syslog().lines().iter().filter(|line| line.contains(alert)).count();
    assert_eq!(alerts, 3);
    assert_eq!(lab.proxy.stats().number("px", "s1", "dresp"), 3);
}

/// HAProxy 1.8's `monitor-net`: 2.6 does not know it any more.
fn a_monitors_network_is_answered_unasked(flavour: Flavour) {
    let (http, tcp) = (ports::free_port(), ports::free_port());
    let origin = HttpOrigin::named("s1");
    let text = format!(
        "listen px\n    mode http\n    bind 127.0.0.1:{http}\n    monitor-net 127.0.0.2/31\n    server s1 {0}\n\
         listen tx\n    mode tcp\n    option tcplog\n    bind 127.0.0.1:{tcp}\n    monitor-net 127.0.0.2\n    server s1 {0}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&text, &[http, tcp]);
    for (address, port, answer) in [([127, 0, 0, 3], http, "HTTP/1.0 200 OK\r\n\r\n"), ([127, 0, 0, 2], tcp, "")] {
        let mut stream = connect_from(address.into(), port);
        let mut got = String::new();
        stream.read_to_string(&mut got).expect("an end, not a reset");
        assert_eq!(got, answer);
    }
    // Others are served.
    for port in [http, tcp] {
        assert_eq!(HttpClient::connect(port).get("/").server(), "s1");
    }
    proxy.wait_for_number(10, "px", "FRONTEND", "scur", 0);
    let mine = |line: &&String| line.contains("127.0.0.2:") || line.contains("127.0.0.3:");
    assert_eq!(proxy.syslog().lines().iter().filter(mine).count(), 0);
    assert_eq!(origin.seen().len(), 2);
}

/// `option contstats`: the figures move while a body does.
fn bytes_are_counted_as_they_flow(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        exchange.send(pattern(100_000));
        // The rest comes when the test has looked: its client leaves then.
        let _ = exchange.stream().read(&mut [0]);
        thread::sleep(Duration::from_millis(1));
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "    option contstats");
    let mut client = lab.client();
    client.send(get("/bulk"));
    for (name, column) in [("FRONTEND", "bout"), ("BACKEND", "bout"), ("s1", "bout"), ("s1", "bin")] {
        eventually(20, "bytes are counted while the exchange lasts", || {
            let stats = lab.proxy.stats();
            let bytes = stats.number("px", name, column);
            let least = if column == "bin" { 20 } else { 50_000 };
            if bytes >= least { Ok(()) } else { Err(format!("{column} of {name}: {bytes}")) }
        });
    }
    assert_eq!(lab.proxy.stats().number("px", "FRONTEND", "scur"), 1, "the exchange lasts");
}

/// `http-reuse never`: the connections are the client's own, as many as it may keep.
fn a_client_keeps_so_many_servers(flavour: Flavour) -> Vec<String> {
    let mut notes = Vec::new();
    for limit in ["", "    max-session-srv-conns 1\n", "    max-session-srv-conns 0\n"] {
        let origins = vec![HttpOrigin::named("s1"), HttpOrigin::named("s2")];
        let mut lab = Lab::listen(flavour, origins, &format!("{limit}    http-reuse never\n    balance roundrobin"));
        let mut client = lab.client();
        for _ in 0..6 {
            let response = client.get("/");
            lab.note(response.server().to_string());
        }
        drop(client);
        // `seen` says on which connection each request came.
        notes.extend(lab.finish(6));
    }
    notes
}
