//! Messages that could be read in two ways: they are refused, or what goes on is one clear form of them. The origin
//! reads strictly and fails the test on anything else; a request for `/smuggled` that reaches it is the worst case.

use std::thread;
use std::time::Duration;

use crate::support::*;

on_each_engine!(
    ambiguous_requests_are_refused within 120,
    the_same_byte_by_byte within 300,
    the_same_after_a_good_request within 120,
    the_same_with_reuse_always within 120,
    the_same_with_httpclose within 120,
    the_same_behind_an_early_deny_rule within 120,
    odd_but_clear_requests_are_passed_on_in_one_form within 120,
    ambiguous_answers_are_not_passed_on within 120,
    answers_nobody_asked_for_reach_nobody,
    answers_to_head_and_without_content_carry_no_body,
);

/// Requests that a strict reader refuses, each with `/smuggled` in the place where a lenient reader would find one.
const REFUSED: &[&str] = &[
    // Two framings, or lengths that are none (RFC 9112 section 6.3).
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\nContent-Length: 5\r\n\r\n012345",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 40\r\nContent-Length: \r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n0000000",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: +3\r\n\r\nabc",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 0x3\r\n\r\nabc",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 3 4\r\n\r\nabc",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 3, 4\r\n\r\nabc",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551618\r\n\r\nabc",
    // Codings that are not the one coding.
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    // Names and lines.
    "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length : 3\r\n\r\nabc",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: t\r\n: no name\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: t\r\nno colon\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: t\r\nX[]: a\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n",
    "GET /a HTTP/1.1\r\n X: first line folded\r\nHost: t\r\n\r\n",
    // The request line.
    "GET  /a HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /a\r\nHost: t\r\n\r\n",
    "GET /a HTTP/1.1 \r\nHost: t\r\n\r\n",
    "GET /a HTTP/11\r\nHost: t\r\n\r\n",
    "GET /a HTTP/1.10\r\nHost: t\r\n\r\n",
    "GET /a HTTP/2.0\r\nHost: t\r\n\r\n",
    "GET /a http/1.1\r\nHost: t\r\n\r\n",
    "G(T /a HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /a\x01 HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET\t/a\tHTTP/1.1\r\nHost: t\r\n\r\n",
    // Hosts.
    "GET /a HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: t u\r\n\r\n",
    // Chunks (section 7.1).
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
];

fn limits() -> &'static str {
    "    timeout http-request 2s\n    timeout client 2s\n    timeout http-keep-alive 2s"
}

enum Delivery {
    Whole,
    Drip,
    AfterAGoodOne,
}

/// Sends each refused request and expects: no origin saw it whole, at most one answer to it, 400 or another error,
/// and the connection is over.
fn refuse_all(flavour: Flavour, lines: &str, delivery: Delivery) {
    let lab = Lab::plain(flavour, &format!("{}\n{lines}", limits()));
    for request in REFUSED {
        let before = lab.origin().seen().len();
        let mut client = lab.client();
        let mut good = 0;
        match delivery {
            Delivery::Whole => {
                client.try_send(request);
            }
            Delivery::Drip => client.drip(request, Duration::from_micros(50)),
            Delivery::AfterAGoodOne => {
                client.send(format!("{}{request}", get("/good")));
                assert_eq!(client.response("GET").status, 200);
                good = 1;
            }
        }
        match client.try_response("GET") {
            Ok(response) => {
                assert!((400..600).contains(&response.status), "{request:?} was answered {}", response.status);
                assert_eq!(response.header("connection"), Some("close"), "{request:?}");
            }
            // A reset may overtake the answer when bytes were still coming.
            Err(problem) => assert!(!problem.contains("temporarily"), "{request:?}: {problem}"),
        }
        assert!(client.wire.pending.is_empty(), "{request:?} got more than one answer");
        assert!(client.is_closed_within(Duration::from_secs(5)), "{request:?} left the connection open");
        let seen = lab.origin().seen();
        assert_eq!(seen.len() - before, good, "{request:?} reached the origin: {seen:#?}");
        assert!(
            !lab.origin().raw().iter().any(|raw| raw.windows(9).any(|window| window == b"/smuggled")),
            "{request:?}"
        );
    }
    assert_eq!(lab.client().get("/still-there").status, 200);
}

fn ambiguous_requests_are_refused(flavour: Flavour) {
    refuse_all(flavour, "", Delivery::Whole);
}

fn the_same_byte_by_byte(flavour: Flavour) {
    refuse_all(flavour, "", Delivery::Drip);
}

fn the_same_after_a_good_request(flavour: Flavour) {
    refuse_all(flavour, "", Delivery::AfterAGoodOne);
}

fn the_same_with_reuse_always(flavour: Flavour) {
    refuse_all(flavour, "    http-reuse always", Delivery::AfterAGoodOne);
}

fn the_same_with_httpclose(flavour: Flavour) {
    refuse_all(flavour, "    option httpclose", Delivery::Whole);
}

fn the_same_behind_an_early_deny_rule(flavour: Flavour) {
    refuse_all(flavour, "    http-request deny if { path /never }", Delivery::Whole);
}

/// What a client may send, and the head lines and the body that the origin must be sent for it.
const PASSED: &[(&str, &str, &[u8])] = &[
    ("POST /a HTTP/1.1\r\nHost: t\r\nContent-Length:5\r\n\r\nhello", "content-length: 5", b"hello"),
    ("POST /a HTTP/1.1\r\nHost: t\r\ncontent-length: \t 5 \t\r\n\r\nhello", "content-length: 5", b"hello"),
    (
        "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "transfer-encoding: chunked",
        b"hello",
    ),
    (
        "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n005;x=y\r\nhello\r\n00\r\n\r\n",
        "transfer-encoding: chunked",
        b"hello",
    ),
    (
        "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhellohello\r\n0\r\n\r\n",
        "transfer-encoding: chunked",
        b"hellohello",
    ),
    ("GET /a?b=%00&c=%0d%0a HTTP/1.1\r\nHost: t\r\n\r\n", "host: t", b""),
    ("GET /a HTTP/1.1\r\nHost: t\r\nX-Empty:\r\nX-High: \u{e9}\r\n\r\n", "x-empty: ", b""),
    ("\r\nGET /a HTTP/1.1\r\nHost: t\r\n\r\n", "host: t", b""),
];

fn odd_but_clear_requests_are_passed_on_in_one_form(flavour: Flavour) {
    for drips in [false, true] {
        let lab = Lab::plain(flavour, limits());
        for (request, line, body) in PASSED {
            let mut client = lab.client();
            match drips {
                true => client.drip(request, Duration::from_micros(50)),
                false => client.send(request),
            }
            assert_eq!(client.response("GET").status, 200, "{request:?}");
            let seen = lab.origin().seen().pop().expect("it arrived");
            let lines = http_wire::sorted(&seen.head.headers);
            assert!(lines.lines().any(|found| found == *line), "{request:?} became {lines}");
            assert_eq!(seen.body.bytes, *body, "{request:?}");
            assert!(client.get("/next").status == 200, "the connection goes on behind {request:?}");
        }
    }
}

/// Answers that are cut, double or no HTTP, and what of them a client may be told.
const WRONG_ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
    "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 20x OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/3.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "hello\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX\0: a\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhiXX\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff2\r\nhi\r\n0\r\n\r\n",
];

fn ambiguous_answers_are_not_passed_on(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        let index = exchange.number("case").unwrap_or(0) as usize;
        let drips = exchange.query("drip").is_some();
        for piece in WRONG_ANSWERS[index].as_bytes().chunks(if drips { 1 } else { 4096 }) {
            exchange.send(piece);
            if drips {
                thread::sleep(Duration::from_micros(100));
            }
        }
        thread::sleep(Duration::from_millis(50));
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], limits());
    for drip in ["", "&drip=1"] {
        for (index, answer) in WRONG_ANSWERS.iter().enumerate() {
            let mut client = lab.client();
            client.send(get(&format!("/?case={index}{drip}")));
            match client.try_response("GET") {
                Ok(response) => assert_eq!(response.status, 502, "{answer:?} became {response:?}"),
                // A body that breaks off can only be cut.
                Err(problem) => assert!(problem.contains("ends") || problem.contains("reset"), "{answer:?}: {problem}"),
            }
        }
    }
}

/// A server that answers once more than it was asked: nobody may get that answer as their own.
fn answers_nobody_asked_for_reach_nobody(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        exchange.answer("200 OK", "X-Server: s1\r\n", exchange.target().to_string().as_bytes());
        thread::sleep(Duration::from_millis(100));
        exchange.answer("200 OK", "X-Server: s1\r\n", b"poison");
        Next::Keep
    });
    let lab = Lab::listen(flavour, vec![origin], "    http-reuse always");
    for number in 0..5 {
        let mut client = lab.client();
        for part in 0..2 {
            let target = format!("/{number}/{part}");
            assert_eq!(client.get(&target).text(), target);
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn answers_to_head_and_without_content_carry_no_body(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        let status = if exchange.method() == "HEAD" { "200 OK" } else { "204 No Content" };
        exchange
            .send(format!("HTTP/1.1 {status}\r\nX-Server: s1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
        thread::sleep(Duration::from_millis(50));
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "    http-reuse always");
    for method in ["HEAD", "GET"] {
        let mut client = lab.client();
        for _ in 0..2 {
            let response = client.ask(format!("{method} / HTTP/1.1\r\nHost: t\r\n\r\n"));
            assert!(response.status != 200 || method == "HEAD", "{response:?}");
            thread::sleep(Duration::from_millis(150));
            assert!(client.wire.pending.is_empty());
        }
    }
}
