//! HTTP/1 exchanges side by side with HAProxy: framing, keep-alive, pipelining, interim answers, tunnels.

use std::io::Read;
use std::time::Duration;

use crate::support::http_wire::Framing;
use crate::support::*;

same_as_haproxy!(
    keep_alive,
    pipelined_requests,
    requests_byte_by_byte,
    answers_without_a_body,
    chunked_both_ways_with_trailers,
    answers_that_end_with_the_connection,
    http_1_0,
    expect_100_continue,
    interim_answers,
    early_answers_to_an_upload,
    connect_tunnels,
    a_refused_connect,
    upgrades,
    a_refused_upgrade,
    absolute_targets,
    large_bodies,
    leading_empty_lines,
);

on_each_engine!(no_chunks_for_http_1_0, the_log_counts_the_bytes_that_were_sent);

fn keep_alive(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    for number in 0..5 {
        let response = client.get(&format!("/{number}?size={}", number * 100));
        lab.note_answer(&response);
    }
    drop(client);
    lab.note(format!("{} connections", lab.origin().connections()));
    lab.finish(5)
}

fn pipelined_requests(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    let mut requests = String::new();
    for number in 0..10 {
        requests.push_str(&get(&format!("/{number}?delay={}", (number % 3) * 20)));
    }
    requests.push_str("POST /post HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    requests.push_str("POST /post HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    requests.push_str("GET /last HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.send(requests);
    for _ in 0..13 {
        let response = client.response("GET");
        lab.note_answer(&response);
    }
    client.expect_end();
    lab.finish(13)
}

fn requests_byte_by_byte(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    let requests = "GET /one HTTP/1.1\r\nHost: test\r\nX-Folded-Not: a b\t c\r\n\r\n\
        POST /two HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0B\r\nhello world\r\n0\r\nX-T: 1\r\n\r\n\
        POST /three HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nConnection: close\r\n\r\n1234";
    client.drip(requests, Duration::from_micros(200));
    for _ in 0..3 {
        let response = client.response("GET");
        lab.note_answer(&response);
    }
    client.expect_end();
    lab.finish(3)
}

fn answers_without_a_body(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    // The lengths they announce are of bodies that don't come: whoever waits for them hangs here.
    for (method, target) in [
        ("HEAD", "/head?size=1000"),
        ("HEAD", "/head?size=1000&framing=chunked"),
        ("GET", "/none?status=204"),
        ("GET", "/unchanged?status=304&size=77"),
        ("GET", "/empty?size=0"),
        ("GET", "/body?size=10"),
    ] {
        let response = client.ask(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        lab.note_answer(&response);
    }
    drop(client);
    lab.finish(6)
}

fn chunked_both_ways_with_trailers(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        let Ok(body) = exchange.body().cloned() else { return Next::Close };
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
        exchange.send(chunked(&body.bytes, 777, &[("X-Sum", "17"), ("X-More", "m")]));
        Next::Keep
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    for size in [0, 1, 776, 777, 778, 50_000] {
        client.send("POST /up HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n");
        client.send(chunked(&pattern(size), 1234, &[("X-Check", "yes")]));
        let response = client.response("POST");
        assert_eq!(response.body.bytes, pattern(size));
        assert_eq!(response.framing, Some(Framing::Chunked));
        lab.note_answer(&response);
    }
    drop(client);
    // The sizes of chunks may differ, and with them the bytes that are logged; the rest is compared by `seen`.
    let seen = lab.origin().wait_for_requests(15, 6);
    assert_eq!(seen[5].body.bytes, pattern(50_000));
    assert_eq!(
        seen[5].body.trailers,
        [("x-check".to_string(), "yes".to_string())].map(|pair| match flavour {
            Flavour::HaProxy => pair,
            _ => ("X-Check".to_string(), pair.1),
        })
    );
    lab.finish(6).into_iter().filter(|note| !note.starts_with("log: ")).collect()
}

fn answers_that_end_with_the_connection(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    for size in [0, 10, 100_000] {
        let mut client = lab.client();
        let response = client.get(&format!("/?framing=close&size={size}"));
        lab.note(format!("{}", response.body.bytes == pattern(size)));
        // HAProxy ends its client's connection, too; ours sends chunks and keeps it, where the client knows them.
        if response.framing == Some(Framing::Close) {
            client.expect_end();
        }
    }
    lab.finish(3)
}

fn http_1_0(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    // Closed without being asked; kept when asked for.
    for head in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
        for target in ["/", "/?framing=close&size=30"] {
            let mut client = lab.client();
            let response = client.ask(format!("GET {target} HTTP/1.0\r\nHost: test\r\n{head}\r\n"));
            lab.note_answer(&response);
            let is_kept = !client.is_closed_after(&response);
            lab.note(format!("kept: {is_kept}"));
        }
    }
    // What version the server is spoken to in is each proxy's own.
    lab.finish(6).into_iter().filter(|note| !note.starts_with("s1 was sent")).collect()
}

/// HAProxy 2.6 passes them on, which such a client cannot read (RFC 9112 section 6.1).
fn no_chunks_for_http_1_0(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    for head in ["", "Connection: keep-alive\r\n"] {
        let mut client = lab.client();
        let request = format!("GET /?framing=chunked&size=2500 HTTP/1.0\r\nHost: test\r\n{head}\r\n");
        let response = client.ask(request);
        assert_ne!(response.framing, Some(Framing::Chunked));
        assert_eq!(response.header("transfer-encoding"), None);
        assert!(response.body.bytes == pattern(2500));
    }
}

fn the_log_counts_the_bytes_that_were_sent(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    let mut received = 0;
    let mut client = lab.client();
    for (index, target) in ["/", "/?size=100000", "/?framing=chunked&size=5000", "/?status=204"].iter().enumerate() {
        client.get(target);
        let log = lab.proxy.syslog().wait_for_exchanges(10, "px", index + 1).pop().expect("a line");
        assert_eq!(log.bytes, (client.wire.received.len() - received).to_string(), "{target}");
        received = client.wire.received.len();
    }
}

fn expect_100_continue(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        if exchange.target() == "/no" {
            exchange.answer("417 Expectation Failed", "Connection: close\r\n", b"");
            return Next::Close;
        }
        exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        let Ok(body) = exchange.body().cloned() else { return Next::Close };
        exchange.answer("200 OK", "", &body.bytes);
        Next::Keep
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    for _ in 0..2 {
        client.send("POST /yes HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        let interim = client.response("POST");
        lab.note_answer(&interim);
        assert_eq!(interim.status, 100);
        client.send("hello");
        let response = client.response("POST");
        lab.note_answer(&response);
    }
    client.send("POST /no HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    // Whether the connection goes on without the body is each proxy's own choice.
    let refusal = client.response("POST");
    lab.note(format!("{}", refusal.status));
    drop(client);
    // The client leaves without its body: whether that still belongs to the exchange is a matter of moments.
    lab.finish(3).into_iter().filter(|note| !note.contains("/no HTTP")).collect()
}

fn interim_answers(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        exchange.answer("200 OK", "", b"done");
        Next::Keep
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    for _ in 0..2 {
        client.send(get("/"));
        for status in [102, 103, 200] {
            let response = client.response("GET");
            assert_eq!(response.status, status);
            lab.note_answer(&response);
        }
    }
    drop(client);
    lab.finish(2)
}

fn early_answers_to_an_upload(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.answer("403 Forbidden", "Connection: close\r\n", b"no");
        // Until the proxy leaves: a close with bytes unread would be a reset, which may overtake the answer.
        let _ = exchange.stream().read_to_end(&mut Vec::new());
        Next::Close
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    client.send("POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000\r\n\r\n");
    client.send([b'x'; 1000]);
    let response = client.response("POST");
    lab.note(format!("{} {}", response.status, response.text()));
    drop(client);
    let log = lab.proxy.syslog().wait_for_exchanges(10, "px", 1);
    lab.note(format!("logged {} {}", log[0].status, log[0].server));
    lab.origin().wait_for_requests(20, 1);
    lab.finish(1).into_iter().filter(|note| !note.starts_with("log: ")).collect()
}

fn connect_tunnels(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 200 Connection established\r\nX-Far: end\r\n\r\nhello first\n");
        exchange.echo_all()
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    client.send("CONNECT far.test:8443 HTTP/1.1\r\nHost: far.test:8443\r\n\r\n");
    let response = client.response("CONNECT");
    assert_eq!(response.status, 200);
    lab.note_answer(&response);
    lab.note(latin(&mut client, 12));
    for size in [1, 1000, 200_000] {
        let bytes = pattern(size);
        client.send(&bytes);
        lab.note(format!("{size} echoed: {}", client.wire.exactly(size).expect("echoed") == bytes));
    }
    // What looks like a request is no request any more.
    client.send(get("/not-a-request"));
    lab.note(latin(&mut client, get("/not-a-request").len()));
    client.half_close();
    client.expect_end();
    lab.finish(1)
}

fn latin(client: &mut HttpClient, length: usize) -> String {
    String::from_utf8_lossy(&client.wire.exactly(length).expect("as many bytes")).into_owned()
}

fn a_refused_connect(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| match exchange.method() {
        "CONNECT" => {
            exchange.answer("405 Method Not Allowed", "", b"no tunnels");
            Next::Keep
        }
        _ => {
            exchange.answer("200 OK", "", b"but requests");
            Next::Keep
        }
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    let response = client.ask("CONNECT far.test:8443 HTTP/1.1\r\nHost: far.test:8443\r\n\r\n");
    assert_eq!((response.status, response.text().as_str()), (405, "no tunnels"));
    lab.note(format!("{} {}", response.status, response.text()));
    lab.finish(1)
}

const UPGRADE: &str = "GET /mqtt HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

fn upgrades(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        );
        exchange.echo_all()
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    let response = client.ask(UPGRADE);
    assert_eq!(response.status, 101);
    lab.note_answer(&response);
    for size in [1, 1000, 200_000] {
        let bytes = pattern(size);
        client.send(&bytes);
        lab.note(format!("{size} echoed: {}", client.wire.exactly(size).expect("echoed") == bytes));
    }
    client.half_close();
    client.expect_end();
    lab.finish(1)
}

fn a_refused_upgrade(flavour: Flavour) -> Vec<String> {
    let origin = HttpOrigin::start(|exchange| {
        exchange.answer("200 OK", "", b"still HTTP");
        Next::Keep
    });
    let mut lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    for _ in 0..2 {
        let response = client.ask(UPGRADE);
        lab.note_answer(&response);
    }
    let response = client.get("/next");
    lab.note_answer(&response);
    drop(client);
    // Which connections are used again behind a refusal is each proxy's own.
    let without_number = |note: String| (0..3).fold(note, |note, n| note.replace(&format!("on connection {n}"), ""));
    lab.finish(3).into_iter().map(without_number).collect()
}

fn absolute_targets(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    for (target, host) in [
        ("http://test/a?size=3", "test"),
        ("http://test:8080/b", "test:8080"),
        ("http://TEST/c", "test"),
        ("*", "test"),
    ] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let response = client.ask(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        lab.note_answer(&response);
    }
    drop(client);
    lab.finish(4)
}

fn large_bodies(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    for size in [16_383, 16_384, 16_385, 1_000_000, 20_000_000] {
        let response = client.get(&format!("/?size={size}"));
        assert!(response.body.bytes == pattern(size), "{size}");
        lab.note_answer(&response);
        let body = pattern(size);
        client.send(format!("PUT /up HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n\r\n"));
        client.send(&body);
        let response = client.response("PUT");
        lab.note_answer(&response);
    }
    drop(client);
    // How long twenty megabytes take is the machine's affair.
    lab.finish(10).into_iter().filter(|note| !note.starts_with("log: ")).collect()
}

fn leading_empty_lines(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    for _ in 0..2 {
        client.send("\r\n\r\n");
        let response = client.get("/");
        lab.note_answer(&response);
    }
    drop(client);
    lab.finish(2)
}
