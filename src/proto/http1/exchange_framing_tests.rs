use super::super::head::{HeadLimits, HeadParser};
use super::super::response_head::ResponseHeadParser;
use super::*;
use proptest::prelude::*;

fn text(message: &Message) -> String {
    let mut written = Vec::new();
    message.write_to(&mut written);
    String::from_utf8_lossy(&written).into_owned()
}

fn read(head: &str, rules: RequestRules) -> Result<(RequestFraming, Message), RequestError> {
    let mut message = Message::default();
    let mut parser = match rules.accept_invalid {
        true => HeadParser::new_lenient(HeadLimits::default()),
        false => HeadParser::default(),
    };
    parser.advance_into(head.as_bytes(), &mut message)?.expect("a complete head");
    Ok((request_framing(&mut message, rules)?, message))
}

fn request(head: &str) -> Result<(RequestFraming, Message), RequestError> {
    read(head, RequestRules::default())
}

/// The headers that go on of `POST / HTTP/1.1` with a Host and these.
fn post(headers: &str) -> Result<(Body, String), u16> {
    let (framing, mut message) =
        request(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).map_err(RequestError::status)?;
    message.remove_headers(b"Host");
    Ok((framing.body, text(&message).replace("POST / HTTP/1.1\r\n", "")))
}

fn sent_for(head: &str) -> RequestFraming {
    request(head).unwrap().0
}

fn get() -> RequestFraming {
    sent_for("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn response(head: &str, request: &RequestFraming) -> Result<(ResponseFraming, String), ResponseError> {
    let mut message = Message::default();
    ResponseHeadParser::default().advance_into(head.as_bytes(), &mut message)?.expect("a complete head");
    let framing = response_framing(&mut message, request)?;
    Ok((framing, text(&message)))
}

#[test]
fn one_length_in_plain_digits_goes_on() {
    for good in ["5", "5, 5", "0000005", "5 \t", "5,05"] {
        let expected = Ok((Body::Length(5), "Content-Length: 5\r\n\r\n".to_owned()));
        assert_eq!(post(&format!("Content-Length: {good}\r\n")), expected, "{good:?}");
    }
    let twice = post("A: b\r\ncontent-LENGTH: 5\r\nC: d\r\nContent-Length: 5\r\n").unwrap();
    assert_eq!(twice.1, "A: b\r\ncontent-LENGTH: 5\r\nC: d\r\n\r\n");
    for bad in [
        "",
        " ",
        ",",
        "5,",
        ",5",
        "5,6",
        "+5",
        "-5",
        "0x5",
        "5e0",
        "1_0",
        "5;x",
        "5 5",
        "5\u{b}",
        "\u{b}5",
        "٥",
        "18446744073709551616",
        "18446744073709551621",
        "9999999999999999999999999999999999999999",
    ] {
        assert_eq!(post(&format!("Content-Length: {bad}\r\n")), Err(400), "{bad:?}");
    }
    assert_eq!(post("Content-Length: 5\r\ncontent-length: 6\r\n"), Err(400));
    assert_eq!(post("Content-Length:\r\nContent-Length: 6\r\n"), Err(400));
    assert_eq!(post("Content-Length: 18446744073709551615\r\n").unwrap().0, Body::Length(u64::MAX));
    assert_eq!(post("").unwrap(), (Body::None, "\r\n".to_owned()));
}

#[test]
fn chunked_alone_goes_on() {
    for good in ["chunked", "Chunked", "\tchunked \t"] {
        let expected = Ok((Body::Chunked, "Transfer-Encoding: chunked\r\n\r\n".to_owned()));
        assert_eq!(post(&format!("Transfer-Encoding: {good}\r\n")), expected, "{good:?}");
    }
    for bad in [
        "",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked, identity",
        "chunked,",
        ",chunked",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "chun ked",
        "cow",
    ] {
        assert_eq!(post(&format!("Transfer-Encoding: {bad}\r\n")), Err(400), "{bad:?}");
        assert_eq!(post(&format!("Transfer-Encoding: {bad}\r\nContent-Length: 5\r\n")), Err(400), "{bad:?}");
    }
    assert_eq!(post("Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n"), Err(400));
    assert_eq!(post("Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n"), Err(400));
    assert_eq!(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Err(400));
    assert_eq!(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err().status(), 400);
    let lenient = RequestRules { accept_invalid: true, ..Default::default() };
    let (framing, message) =
        read("POST / HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", lenient).unwrap();
    assert_eq!((framing.body, framing.keep_alive), (Body::Chunked, false));
    assert_eq!(text(&message), "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
}

#[test]
fn bodies_where_none_belongs() {
    let status = |head: &str| request(head).map(|(framing, _)| framing.body).map_err(RequestError::status);
    for method in ["GET", "HEAD", "DELETE"] {
        assert_eq!(status(&format!("{method} / HTTP/1.0\r\nContent-Length: 1\r\n\r\n")), Err(413));
        assert_eq!(status(&format!("{method} / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")), Ok(Body::Length(0)));
    }
    assert_eq!(status("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n"), Ok(Body::Length(1)));
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"), Ok(Body::Length(1)));
    assert_eq!(status("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\n"), Err(400));
    assert_eq!(status("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(400));
    let (_, message) = request("CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(text(&message), "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn one_host_that_agrees_with_the_target() {
    let ok = |line: &str, host: &str| request(&format!("{line} HTTP/1.1\r\n{host}\r\n")).is_ok();
    for host in
        ["Host: a\r\n", "Host:\r\n", "Host: a:80\r\n", "Host: a:\r\n", "Host: [::1]:80\r\n", "Host: a:65616\r\n"]
    {
        assert!(ok("GET /", host), "{host}");
    }
    for host in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: u@a\r\n",
        "Host: a/b\r\n",
        "Host: a\\b\r\n",
        "Host: a#b\r\n",
        "Host: a?b\r\n",
        "Host: a:80:90\r\n",
        "Host: a:x\r\n",
        "Host: [::1\r\n",
        "Host: \u{e9}\r\n",
        "Host: a:-1\r\n",
    ] {
        assert!(!ok("GET /", host), "{host}");
    }
    for (line, host) in [
        ("GET http://a/x", "a"),
        ("GET http://a:80/x", "A"),
        ("GET http://A", "a:80"),
        ("GET https://a/", "a:443"),
        ("OPTIONS http://a:8", "a:8"),
        ("CONNECT a:443", "a"),
        ("CONNECT a:8", "a:8"),
        ("GET http://[::1]:80/", "[::1]"),
    ] {
        assert!(ok(line, &format!("Host: {host}\r\n")), "{line} {host}");
    }
    for (line, host) in [
        ("GET http://a/x", "b"),
        ("GET http://a:81/x", "a"),
        ("GET http://a/", "a:443"),
        ("GET https://a/", "a:80"),
        ("CONNECT a:8", "b:8"),
        ("CONNECT a:8", "a:9"),
        ("CONNECT a:8", "a"),
    ] {
        assert!(!ok(line, &format!("Host: {host}\r\n")), "{line} {host}");
    }
    assert!(request("GET / HTTP/1.0\r\n\r\n").is_ok());
    let lenient = RequestRules { accept_invalid: true, ..Default::default() };
    let head = "GET / HTTP/1.1\r\nHost: a:1:2\r\nX: y\r\nHost: a:1:2\r\nConnection: X\r\n\r\n";
    let refused = read(head, lenient).map(|_| ()).map_err(RequestError::status);
    assert_eq!(refused, Err(400), "the host itself has a colon then");
    let (_, message) = read("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHost: a\r\nConnection: X\r\n\r\n", lenient).unwrap();
    assert_eq!(text(&message), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn nothing_for_this_hop_goes_on() {
    let passed = |headers: &str| post(headers).unwrap().1;
    assert_eq!(
        passed("Connection: Keep-Alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 3\r\nProxy-Connection: close\r\n"),
        "\r\n"
    );
    assert_eq!(passed("Connection: close, Host, Content-Length\r\nContent-Length: 3\r\n"), "Content-Length: 3\r\n\r\n");
    assert_eq!(
        passed("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n"),
        "Transfer-Encoding: chunked\r\n\r\n"
    );
    assert_eq!(passed("Connection: X-Forwarded-For\r\nX-Forwarded-For: 1\r\n"), "X-Forwarded-For: 1\r\n\r\n");
    assert_eq!(passed("Connection: cookie\r\nCookie: 1\r\n"), "Cookie: 1\r\n\r\n");
    assert_eq!(passed("TE: gzip, trailers\r\nConnection: TE\r\n"), "TE: trailers\r\n\r\n");
    assert_eq!(passed("TE: gzip\r\n"), "\r\n");
    assert_eq!(passed("Upgrade: foo\r\n"), "\r\n", "not named by Connection");
    assert_eq!(passed("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"), "\r\n");
    assert_eq!(passed("Connection: upgrade\r\nUpgrade: h2c, foo\r\nUpgrade: H2C\r\n"), "Upgrade: foo\r\n\r\n");
}

#[test]
fn keep_alive_expect_and_upgrade() {
    let of =
        |line: &str, headers: &str| request(&format!("{line}\r\nHost: a\r\n{headers}\r\n")).map(|(framing, _)| framing);
    let keep_alive = |line, headers| of(line, headers).unwrap().keep_alive;
    assert!(keep_alive("GET / HTTP/1.1", "") && keep_alive("GET / HTTP/1.0", "Connection: x, Keep-Alive\r\n"));
    assert!(
        !keep_alive("GET / HTTP/1.0", "")
            && !keep_alive("GET / HTTP/1.1", "Connection: keep-alive\r\nConnection: Close\r\n")
    );
    assert!(!keep_alive("GET / HTTP/1.0", "Connection: keep-alive, close\r\n"));
    let expects = |headers| of("POST / HTTP/1.1", headers).unwrap().expects_continue;
    assert!(expects("Expect: 100-Continue\r\nContent-Length: 1\r\n"));
    assert!(!expects("Expect: 100-continue\r\n") && !expects("Expect: y 100-continue\r\nContent-Length: 1\r\n"));
    let websocket = "Connection: Upgrade\r\nUpgrade: WebSocket\r\n";
    let with_key = format!("{websocket}Sec-WebSocket-Key: abc\r\n");
    assert_eq!(of("GET / HTTP/1.1", &with_key).unwrap().upgrade, Some(Upgrade::WebSocket));
    assert_eq!(of("GET / HTTP/1.0", &with_key).unwrap().upgrade, None);
    assert!(
        of("GET / HTTP/1.1", websocket).is_err()
            && of("GET / HTTP/1.1", &format!("{with_key}Sec-WebSocket-Key: b\r\n")).is_err()
    );
    assert_eq!(of("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: foo\r\n").unwrap().upgrade, Some(Upgrade::Other));
    assert_eq!(of("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n").unwrap().upgrade, None);
}

/// What stands behind a header that goes is found all the same.
#[test]
fn a_second_upgrade_hides_nothing_behind_it() {
    let (framing, message) = request(
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\nConnection: upgrade, TE\r\nUpgrade: c\r\nExpect: 100-continue\r\n\
         TE: trailers\r\nContent-Length: 5\r\n\r\n",
    )
    .unwrap();
    assert!(framing.expects_continue && framing.upgrade == Some(Upgrade::Other));
    assert_eq!(message.values(b"TE").collect::<Vec<_>>(), [b"trailers"]);
    assert_eq!(message.values(b"Upgrade").collect::<Vec<_>>(), [b"b, c"]);
}

#[test]
fn proxy_connection_takes_over_where_it_is_asked_for() {
    let rules = RequestRules { use_proxy_header: true, ..Default::default() };
    let head = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nProxy-Connection: keep-alive\r\n\r\n")
    };
    let (mut framing, mut message) = read(&head("http://a/"), rules).unwrap();
    assert!(framing.keep_alive && framing.uses_proxy_header);
    assert!(!finish_request(&mut message, &mut framing, Body::None, false));
    assert_eq!(text(&message), "GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n");
    assert!(!read(&head("/"), rules).unwrap().0.keep_alive);
}

#[test]
fn responses_end_where_they_end() {
    let of = |head: &str| response(head, &get()).unwrap();
    let framed = |head: &str| {
        let (framing, _) = of(head);
        (framing.body, framing.keep_alive)
    };
    assert_eq!(framed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), (Body::Length(5), true));
    assert_eq!(framed("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), (Body::Length(5), false));
    assert_eq!(framed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"), (Body::Length(5), false));
    assert_eq!(framed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), (Body::Chunked, true));
    assert_eq!(framed("HTTP/1.1 200 OK\r\n\r\n"), (Body::UntilClose, false));
    assert_eq!(framed("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"), (Body::None, false));
    assert_eq!(framed("HTTP/1.1 204 No\r\n\r\n"), (Body::None, true));
    assert_eq!(framed("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n"), (Body::None, true));
    assert_eq!(of("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n").1, "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(of("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n").1, "HTTP/1.1 204 No\r\n\r\n");
    let (both, written) = of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!((both.body, both.keep_alive), (Body::Chunked, false));
    assert_eq!(written, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (interim, written) = of("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n");
    assert!(interim.is_interim && interim.body == Body::None);
    assert_eq!(written, "HTTP/1.1 100 Continue\r\n\r\n");
    for bad in [
        "Content-Length:\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: foo\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
    ] {
        assert_eq!(
            response(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n"), &get()).unwrap_err(),
            ResponseError::Malformed,
            "{bad}"
        );
    }
}

#[test]
fn responses_to_head_connect_upgrade_and_old_clients() {
    let head = sent_for("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (framing, written) = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &head).unwrap();
    assert_eq!((framing.body, framing.keep_alive), (Body::None, true));
    assert_eq!(written, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let (_, written) = response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &head).unwrap();
    assert_eq!(written, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

    let connect = sent_for("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let (framing, written) = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &connect).unwrap();
    assert_eq!((framing.body, written.as_str()), (Body::Tunnel, "HTTP/1.1 200 OK\r\n\r\n"));
    let (framing, _) = response("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n", &connect).unwrap();
    assert_eq!(framing.body, Body::Length(5));

    let switching = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    assert_eq!(response(switching, &get()).unwrap_err(), ResponseError::UnrequestedUpgrade);
    let asked = sent_for("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
    let (framing, _) = response(switching, &asked).unwrap();
    assert_eq!(framing.body, Body::Tunnel);
    let mut message = Message::default();
    ResponseHeadParser::default().advance_into(switching.as_bytes(), &mut message).unwrap();
    let framing = response_framing(&mut message, &asked).unwrap();
    finish_response(&mut message, &asked, framing.sent, true);
    assert_eq!(text(&message), "HTTP/1.1 101 Switching\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n");

    let old = sent_for("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let (framing, written) = response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &old).unwrap();
    assert_eq!((framing.body, framing.sent), (Body::Chunked, Body::UntilClose));
    assert_eq!(written, "HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn a_changed_method_changes_what_its_answer_is() {
    let sent = |method: &str, as_method: &[u8]| {
        let (mut framing, mut message) = request(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        message.set_method(as_method);
        finish_request(&mut message, &mut framing, Body::None, true);
        framing
    };
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let (framing, written) = response(answer, &sent("GET", b"HEAD")).unwrap();
    assert_eq!((framing.body, framing.keep_alive), (Body::Length(0), true));
    assert_eq!(written, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (framing, written) = response(answer, &sent("HEAD", b"GET")).unwrap();
    assert_eq!((framing.body, framing.keep_alive), (Body::None, false), "the server sends a body that nobody reads");
    assert_eq!(written, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

#[test]
fn what_rules_left_is_made_to_say_what_is_sent() {
    let (mut framing, mut message) = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").unwrap();
    message.set_header(b"Content-Length", b"7");
    message.add_header(b"Transfer-Encoding", b"chunked");
    message.add_header(b"Connection", b"close, X");
    assert!(!finish_request(&mut message, &mut framing, Body::Length(5), true));
    assert_eq!(text(&message), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: X, close\r\n\r\n");
    message.remove_headers(b"Content-Length");
    message.remove_headers(b"Connection");
    assert!(finish_request(&mut message, &mut framing, Body::Length(5), true));
    assert_eq!(text(&message), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");

    let (mut old, mut message) = request("GET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    assert!(finish_request(&mut message, &mut old, Body::None, true));
    assert_eq!(text(&message), "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");

    let mut message = Message::default();
    message.start_response(Version::Http10, 200, b"OK");
    assert!(finish_response(&mut message, &get(), Body::Length(2), true));
    assert_eq!(text(&message), "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n");
    assert!(!finish_response(&mut message, &get(), Body::UntilClose, true));
    assert_eq!(text(&message), "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n");
    message.remove_headers(b"Connection");
    assert!(finish_response(&mut message, &get(), Body::Chunked, true));
    assert_eq!(text(&message), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

fn header_line() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Upgrade",
        "Expect",
        "X-A",
        "Proxy-Connection",
        "HTTP2-Settings",
        "Sec-WebSocket-Key",
    ]);
    let value = proptest::sample::select(vec![
        "a",
        "b",
        "5",
        "6",
        "5, 5",
        "chunked",
        "close",
        "keep-alive",
        "upgrade, x-a",
        "websocket",
        "h2c, foo",
        "trailers",
        "100-continue",
        "",
        "x-a, host, content-length",
    ]);
    (name, value).prop_map(|(name, value)| format!("{name}: {value}\r\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whoever reads what was written comes to the same decision and finds nothing left to normalise.
    #[test]
    fn a_second_reading_is_the_same(
        line in proptest::sample::select(vec!["GET /", "POST /", "HEAD /", "CONNECT a:80", "GET http://a/"]),
        version in proptest::sample::select(vec!["HTTP/1.0", "HTTP/1.1"]),
        headers in proptest::collection::vec(header_line(), 0..6),
        accept_invalid in any::<bool>(), use_proxy_header in any::<bool>(), keep_alive in any::<bool>()) {
        let head = format!("{line} {version}\r\n{}\r\n", headers.concat());
        let rules = RequestRules { accept_invalid, use_proxy_header };
        if let Ok((mut first, mut message)) = read(&head, rules) {
            let (body, stays_open) = (first.body, keep_alive && first.keep_alive);
            let stays = finish_request(&mut message, &mut first, body, stays_open);
            let written = text(&message);
            let (again, mut message) = read(&written, rules).expect("what was written");
            prop_assert_eq!(again, RequestFraming { keep_alive: stays, ..first });
            let mut finished = again;
            finish_request(&mut message, &mut finished, body, stays);
            prop_assert_eq!(text(&message), written);
        }
    }

    #[test]
    fn a_second_reading_of_a_response_is_the_same(
        status in proptest::sample::select(vec![100, 101, 200, 204, 304, 404, 426]),
        version in proptest::sample::select(vec!["HTTP/1.0", "HTTP/1.1"]),
        headers in proptest::collection::vec(header_line(), 0..5),
        to in proptest::sample::select(vec!["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"])) {
        let request = sent_for(to);
        let head = format!("{version} {status} X\r\n{}\r\n", headers.concat());
        let mut message = Message::default();
        ResponseHeadParser::default().advance_into(head.as_bytes(), &mut message).unwrap();
        if let Ok(first) = response_framing(&mut message, &request) {
            finish_response(&mut message, &request, first.sent, first.keep_alive);
            let written = text(&message);
            let mut message = Message::default();
            ResponseHeadParser::default().advance_into(written.as_bytes(), &mut message).unwrap();
            let again = response_framing(&mut message, &request).expect("what was written");
            prop_assert_eq!(again.sent, first.sent);
            finish_response(&mut message, &request, again.sent, first.keep_alive);
            prop_assert_eq!(text(&message), written);
        }
    }
}
