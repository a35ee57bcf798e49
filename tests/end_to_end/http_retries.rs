//! A server that closes a kept connection just when the next request goes out on it: what may be sent twice is, and what
//! may not (RFC 9110 section 9.2.2) is left to who sent it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::*;

on_each_proxy!(
    a_post_on_kept_connections_ends_without_an_answer,
    a_first_post_over_a_shared_connection_gets_502,
    aggressive_trusts_what_was_reused_before,
);
on_each_engine!(
    what_is_idempotent_is_sent_again,
    a_body_that_has_to_be_waited_for_is_not_lost,
    what_was_buffered_is_sent_again_in_its_chunks,
    an_interim_answer_is_an_answer,
);

/// Answers the first request of each connection, and those for `/ok`; closes instead of answering others.
fn forgetful() -> HttpOrigin {
    let answered = Mutex::new(HashSet::new());
    HttpOrigin::start(move |exchange| {
        if exchange.body().is_err() {
            return Next::Close;
        }
        let is_first = answered.lock().expect("connections").insert(exchange.connection);
        if !is_first && exchange.target() != "/ok" {
            return Next::Close;
        }
        exchange.answer("200 OK", "", b"ok");
        Next::Keep
    })
}

fn request(method: &str, body: Option<&str>) -> String {
    let length = body.map_or_else(String::new, |body| format!("Content-Length: {}\r\n", body.len()));
    format!("{method} /x HTTP/1.1\r\nHost: t\r\n{length}\r\n{}", body.unwrap_or_default())
}

fn a_post_on_kept_connections_ends_without_an_answer(flavour: Flavour) {
    for reuse in ["safe", "aggressive", "always", "never"] {
        for request in [request("POST", Some("hello")), request("POST", Some("")), request("PATCH", Some("x"))] {
            let lab = Lab::listen(flavour, vec![forgetful()], &format!("    http-reuse {reuse}"));
            let mut client = lab.client();
            assert_eq!(client.get("/ok").status, 200);
            client.send(&request);
            client.expect_end();
            let seen = lab.origin().wait_for_requests(10, 2);
            assert_eq!(seen.len(), 2, "sent once: {seen:#?}");
        }
    }
}

fn a_first_post_over_a_shared_connection_gets_502(flavour: Flavour) {
    let lab = Lab::listen(flavour, vec![forgetful()], "    http-reuse always");
    let mut other = lab.client();
    assert_eq!(other.get("/ok").status, 200);
    let mut client = lab.client();
    client.send(request("POST", Some("hello")));
    assert_eq!(client.response("POST").status, 502);
    assert_eq!(lab.origin().seen().len(), 2);
}

/// Nobody has reused the first client's connection yet when the second client comes; the third may have it.
fn aggressive_trusts_what_was_reused_before(flavour: Flavour) {
    let lab = Lab::listen(flavour, vec![forgetful()], "    http-reuse aggressive");
    let mut first = lab.client();
    assert_eq!(first.get("/ok").status, 200);
    assert_eq!(lab.client().get("/ok").status, 200);
    assert_eq!(lab.origin().connections(), 2);
    assert_eq!(first.get("/ok").status, 200);
    assert_eq!(lab.client().get("/ok").status, 200);
    assert_eq!(lab.origin().connections(), 2);
}

fn what_is_idempotent_is_sent_again(flavour: Flavour) {
    let big = "x".repeat(1000);
    let requests = [
        request("GET", None),
        request("HEAD", None),
        request("OPTIONS", None),
        request("DELETE", None),
        request("PUT", Some("hello")),
        request("PUT", Some("")),
        request("PUT", Some(&big)),
        request("DELETE", Some("hello")),
        "PUT /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello".to_string(),
    ];
    for reuse in ["safe", "always", "never"] {
        for request in &requests {
            let lab = Lab::listen(flavour, vec![forgetful()], &format!("    http-reuse {reuse}"));
            let mut client = lab.client();
            assert_eq!(client.get("/ok").status, 200);
            assert_eq!(client.ask(request).status, 200, "{reuse}: {}", request.len());
            let seen = lab.origin().wait_for_requests(10, 3);
            assert_eq!(seen.len(), 3, "{reuse}: {request:.40}");
            assert_eq!(seen[1].head.raw, seen[2].head.raw);
            assert_eq!(seen[1].body, seen[2].body);
            assert_eq!(client.get("/ok").status, 200, "the connection goes on");
        }
    }
}

/// The body comes after its head: it streams through, and is gone when the server closes.
fn a_body_that_has_to_be_waited_for_is_not_lost(flavour: Flavour) {
    let lab = Lab::listen(flavour, vec![forgetful()], "");
    let mut client = lab.client();
    assert_eq!(client.get("/ok").status, 200);
    let whole = request("PUT", Some("hello"));
    let (head, body) = whole.split_at(whole.len() - 3);
    client.send(head);
    std::thread::sleep(Duration::from_millis(100));
    client.send(body);
    // Whether it could be kept or not: one answer, or the end, and never half of it twice.
    match client.try_response("PUT") {
        Ok(response) => assert_eq!(response.status, 200),
        Err(problem) => assert!(problem.contains("end") || problem.contains("reset"), "{problem}"),
    }
    assert!(lab.origin().seen()[1..].iter().all(|seen| seen.body.bytes == b"hello"));
}

/// `retry-on` with a body in chunks: written anew with its frames and trailers.
fn what_was_buffered_is_sent_again_in_its_chunks(flavour: Flavour) {
    let lab = Lab::listen(
        flavour,
        vec![forgetful()],
        "    retry-on empty-response\n    http-reuse always\n    option http-buffer-request",
    );
    let mut client = lab.client();
    assert_eq!(client.get("/ok").status, 200);
    let chunks =
        "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: y\r\n\r\n";
    assert_eq!(client.ask(chunks).status, 200);
    let seen = lab.origin().wait_for_requests(10, 3);
    assert!(
        seen[1].body == seen[2].body && seen[2].body.bytes == b"hello" && seen[2].body.trailers.len() == 1,
        "{seen:#?}"
    );
}

/// The server has said something: it has the request.
fn an_interim_answer_is_an_answer(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        if exchange.target() == "/ok" {
            exchange.answer("200 OK", "", b"ok");
            return Next::Keep;
        }
        exchange.send("HTTP/1.1 102 Processing\r\n\r\n");
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    assert_eq!(client.get("/ok").status, 200);
    client.send(get("/x"));
    assert_eq!(client.response("GET").status, 102);
    assert_eq!(client.response("GET").status, 502);
    assert_eq!(lab.origin().seen().len(), 2);
}
