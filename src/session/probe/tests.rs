//! Requests, statuses and sentences are those of HAProxy 2.6.12 for the same servers.

use super::*;
use crate::config::model::{CheckMethod, Expect, ExpectPattern, HttpCheck, TcpCheckRule, TcpCheckStep};
use CheckStatus::*;
use proptest::prelude::*;

fn expect(pattern: ExpectPattern) -> Expect {
    Expect {
        pattern,
        negate: false,
        min_receive_bytes: None,
        ok_status: None,
        error_status: None,
        timeout_status: None,
        on_success: None,
        on_error: None,
    }
}
fn text(text: &str) -> Expect {
    expect(ExpectPattern::Text(text.into()))
}
fn regex(source: &str) -> Expect {
    expect(ExpectPattern::Regex(source.into()))
}
fn not(mut expect: Expect) -> Expect {
    expect.negate = true;
    expect
}
fn rule(step: TcpCheckStep) -> TcpCheckRule {
    TcpCheckRule { step, comment: None }
}
fn connect() -> TcpCheckRule {
    rule(TcpCheckStep::Connect { port: None, address: None })
}
fn send(bytes: &str) -> TcpCheckRule {
    rule(TcpCheckStep::Send(bytes.into()))
}
fn expecting(expect: Expect) -> TcpCheckRule {
    rule(TcpCheckStep::Expect(expect))
}
fn http() -> HttpCheck {
    HttpCheck {
        method: "OPTIONS".into(),
        uri: "/".into(),
        version: "HTTP/1.0".into(),
        headers: vec![],
        body: vec![],
        expect: vec![],
        disable_on_404: false,
        send_state: false,
    }
}
fn http_expecting(expect: Expect) -> CheckMethod {
    CheckMethod::Http(HttpCheck { expect: vec![expect], ..http() })
}

/// What the other side does once it is connected: bytes of each reply, then an end.
#[derive(Clone, Copy)]
enum End {
    Close,
    Silence,
    Reset,
}

/// Plays the server: each reply answers one send (the first comes at once when the check does not begin by sending).
fn play(method: &CheckMethod, replies: &[&str], end: End) -> (CheckStatus, u16, String) {
    play_with(method, Context { server_is_up: true, server_state: None }, replies, end)
}

fn play_with(method: &CheckMethod, context: Context, replies: &[&str], end: End) -> (CheckStatus, u16, String) {
    let script = Arc::new(Script::compile(method).unwrap());
    let (mut probe, mut command) = Probe::start(script, context, 1_000_000);
    let mut replies = replies.iter();
    let mut sent = true;
    for _ in 0..100 {
        command = match command {
            Command::Connect(_) => {
                sent = true;
                probe.on(Event::Connected, 1_000_500)
            }
            Command::Send(_) => {
                sent = true;
                probe.on(Event::Sent, 1_001_000)
            }
            Command::Receive => match (sent.then(|| replies.next()).flatten(), end) {
                (Some(reply), _) => {
                    sent = false;
                    probe.on(Event::Received(reply.as_bytes()), 1_002_000)
                }
                (None, End::Close) => probe.on(Event::EndOfInput, 1_003_000),
                (None, End::Silence) => probe.on(Event::Timeout, 1_400_000),
                (None, End::Reset) => probe.on(Event::Failed(libc::ECONNRESET), 1_003_000),
            },
            Command::Done(report) | Command::Impossible(report) => {
                return (report.status, report.code, report.description);
            }
        };
    }
    panic!("the check does not end");
}

fn fails_to_connect(method: &CheckMethod, event: Event) -> Command {
    let script = Arc::new(Script::compile(method).unwrap());
    let (mut probe, command) = Probe::start(script, Context::default(), 0);
    assert!(matches!(command, Command::Connect(_)));
    probe.on(event, 300_999)
}

fn found(status: CheckStatus, code: u16, text: &str) -> (CheckStatus, u16, String) {
    (status, code, text.to_string())
}

const BANNER: &[&str] = &["+OK hello\r\nSECOND 123\r\n"];

#[test]
fn a_connection_alone() {
    assert_eq!(play(&CheckMethod::Connect, &[], End::Silence), found(Layer4Ok, 0, ""));
    assert_eq!(play(&CheckMethod::Tcp(vec![]), &[], End::Silence), found(Layer4Ok, 0, ""));
    assert_eq!(play(&CheckMethod::Tcp(vec![connect()]), &[], End::Silence), found(Layer4Ok, 0, "(tcp-check)"));
    assert_eq!(play(&CheckMethod::Tcp(vec![send("X")]), &[], End::Silence), found(Layer7Ok, 0, "(tcp-check)"));
}

#[test]
fn connections_that_fail() {
    let refused = Event::Failed(libc::ECONNREFUSED);
    let done = |status, text: &str| {
        Command::Done(CheckReport { status, code: 0, duration_ms: Some(300), description: text.to_string() })
    };
    let with_comment = CheckMethod::Tcp(vec![TcpCheckRule { comment: Some("cc".into()), ..connect() }]);
    let with_port = CheckMethod::Tcp(vec![rule(TcpCheckStep::Connect { port: Some(46325), address: None })]);
    let implicit = CheckMethod::Tcp(vec![send("X")]);
    for (method, event, status, description) in [
        (&CheckMethod::Connect, refused, Layer4ConnectionError, "Connection refused"),
        (&CheckMethod::Http(http()), refused, Layer4ConnectionError, "Connection refused"),
        (&CheckMethod::Http(http()), Event::Timeout, Layer4Timeout, ""),
        (&CheckMethod::Connect, Event::Timeout, Layer4Timeout, ""),
        (
            &with_comment,
            refused,
            Layer4ConnectionError,
            "Connection refused at step 1 of tcp-check (connect) comment: 'cc'",
        ),
        (&with_port, refused, Layer4ConnectionError, "Connection refused at step 1 of tcp-check (connect port 46325)"),
        (&with_port, Event::Timeout, Layer4Timeout, " at step 1 of tcp-check (connect port 46325)"),
        (&implicit, refused, Layer4ConnectionError, "Connection refused at initial connection step of tcp-check"),
        (&implicit, Event::Timeout, Layer4Timeout, " at initial connection step of tcp-check"),
    ] {
        assert_eq!(fails_to_connect(method, event), done(status, description));
    }
    for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EADDRNOTAVAIL] {
        assert!(matches!(fails_to_connect(&CheckMethod::Connect, Event::Failed(errno)), Command::Impossible(_)));
    }
}

#[test]
fn tcp_expectations() {
    let tcp = |expect: Expect| CheckMethod::Tcp(vec![connect(), expecting(expect)]);
    let ok = found(Layer7Ok, 0, "(tcp-check)");
    let invalid = |text: &str| found(Layer7InvalidResponse, 0, text);
    let late = |text: &str| found(Layer7Timeout, 0, text);
    for (expect, replies, end, result) in [
        (text("+OK"), BANNER, End::Silence, ok.clone()),
        (regex("^.OK"), BANNER, End::Silence, ok.clone()),
        (expect(ExpectPattern::Binary(b"+OK".to_vec())), BANNER, End::Silence, ok.clone()),
        (text("NOPE"), BANNER, End::Silence, late(" at step 2 of tcp-check (expect string 'NOPE')")),
        (text("NOPE"), BANNER, End::Close, invalid("TCPCHK did not match content 'NOPE' at step 2")),
        (regex("^X"), BANNER, End::Silence, late(" at step 2 of tcp-check (expect regex)")),
        (regex("^X"), BANNER, End::Close, invalid("TCPCHK did not match content (regex) at step 2")),
        (
            expect(ExpectPattern::Binary(b"+OL".to_vec())),
            BANNER,
            End::Silence,
            late(" at step 2 of tcp-check (expect binary '+OL')"),
        ),
        (
            expect(ExpectPattern::Binary(b"+OL".to_vec())),
            BANNER,
            End::Close,
            invalid("TCPCHK did not match content (binary) at step 2"),
        ),
        (not(text("+OK")), BANNER, End::Silence, invalid("TCPCHK matched unwanted content '+OK' at step 2")),
        (not(regex("OK")), BANNER, End::Silence, invalid("TCPCHK matched unwanted content (regex) at step 2")),
        (not(text("ZZZ")), BANNER, End::Silence, late(" at step 2 of tcp-check (expect string 'ZZZ')")),
        (not(text("ZZZ")), BANNER, End::Close, ok.clone()),
        (text("+OK"), &[], End::Close, invalid("TCPCHK got an empty response at step 2")),
        (not(text("ZZZ")), &[], End::Close, invalid("TCPCHK got an empty response at step 2")),
        (
            text("+OK"),
            &[],
            End::Reset,
            found(SocketError, 0, "Connection reset by peer at step 2 of tcp-check (expect string '+OK')"),
        ),
        (Expect { min_receive_bytes: Some(500), ..text("+OK") }, BANNER, End::Close, ok.clone()),
        (
            Expect { min_receive_bytes: Some(500), ..text("+OK") },
            BANNER,
            End::Silence,
            late(" at step 2 of tcp-check (expect string '+OK')"),
        ),
        (
            Expect { on_success: Some("yes man".into()), ..text("+OK") },
            BANNER,
            End::Silence,
            found(Layer7Ok, 0, "yes man"),
        ),
        (
            Expect { ok_status: Some("L7OKC".into()), ..text("+OK") },
            BANNER,
            End::Silence,
            found(Layer7OkConditional, 0, "(tcp-check)"),
        ),
        (
            Expect { timeout_status: Some("L4TOUT".into()), ..text("NO") },
            &[],
            End::Silence,
            found(Layer4Timeout, 0, " at step 2 of tcp-check (expect string 'NO')"),
        ),
        (
            Expect { on_error: Some("on err".into()), error_status: Some("L7STS".into()), ..text("no") },
            BANNER,
            End::Close,
            found(Layer7Status, 0, "on err"),
        ),
    ] {
        let method = tcp(expect);
        assert_eq!(play(&method, replies, end), result, "{method:?}");
    }
}

#[test]
fn steps_follow_each_other() {
    let two = |second: &str| CheckMethod::Tcp(vec![connect(), expecting(text("SSH")), expecting(text(second))]);
    assert_eq!(play(&two("2.0"), &["SSH-2.0-x\r\n"], End::Close), found(Layer7Ok, 0, "(tcp-check)"));
    assert_eq!(
        play(&two("2.0-y"), &["SSH-2.0-x\r\n"], End::Close),
        found(Layer7InvalidResponse, 0, "TCPCHK did not match content '2.0-y' at step 3")
    );
    // What came before a send is no answer to it.
    let asks = |wanted: &str| {
        CheckMethod::Tcp(vec![
            expecting(text("+OK")),
            send("X"),
            TcpCheckRule { comment: Some("c2".into()), ..expecting(text(wanted)) },
        ])
    };
    assert_eq!(play(&asks("MORE"), &["+OK\r\n", "MORE"], End::Silence), found(Layer7Ok, 0, "(tcp-check)"));
    assert_eq!(
        play(&asks("OK"), &["+OK\r\n", "MORE"], End::Silence),
        found(Layer7Timeout, 0, " at step 3 of tcp-check (expect string 'OK') comment: 'c2'")
    );
    assert_eq!(
        play(&asks("OK"), &["+OK\r\n", "MORE"], End::Close),
        found(Layer7InvalidResponse, 0, "TCPCHK did not match content 'OK' at step 3 comment: c2")
    );
    let reconnects = CheckMethod::Tcp(vec![
        connect(),
        expecting(text("+")),
        rule(TcpCheckStep::Connect { port: Some(1), address: None }),
        expecting(text("Sx")),
    ]);
    assert_eq!(
        play(&reconnects, &["+OK", "SSH"], End::Close),
        found(Layer7InvalidResponse, 0, "TCPCHK did not match content 'Sx' at step 4")
    );
}

#[test]
fn an_answer_may_overtake_the_end_of_the_send() {
    let method = CheckMethod::Tcp(vec![expecting(text("+OK")), send("PING"), expecting(text("+PONG"))]);
    let (mut probe, _) = Probe::start(Arc::new(Script::compile(&method).unwrap()), Context::default(), 0);
    assert_eq!(probe.on(Event::Connected, 0), Command::Receive);
    assert_eq!(probe.on(Event::Received(b"+OK"), 0), Command::Send(b"PING".to_vec()));
    assert_eq!(probe.on(Event::Received(b"+PO"), 0), Command::Receive);
    assert_eq!(probe.on(Event::Received(b"NG"), 0), Command::Receive);
    assert!(matches!(probe.on(Event::Sent, 0), Command::Done(report) if report.status == Layer7Ok));
}

#[test]
fn http_requests_byte_for_byte() {
    let bytes = |check: HttpCheck, state: Option<&str>| {
        let script = Arc::new(Script::compile(&CheckMethod::Http(check)).unwrap());
        let context = Context { server_is_up: true, server_state: state.map(str::to_string) };
        let (mut probe, _) = Probe::start(script, context, 0);
        match probe.on(Event::Connected, 0) {
            Command::Send(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let header = |name: &str, value: &str| (name.to_string(), value.to_string());
    let of = |method: &str, uri: &str, version: &str| HttpCheck {
        method: method.into(),
        uri: uri.into(),
        version: version.into(),
        ..http()
    };
    assert_eq!(bytes(http(), None), "OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(bytes(of("GET", "/", "HTTP/1.1"), None), "GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert_eq!(bytes(of("POST", "/x", "HTTP/1.0"), None), "POST /x HTTP/1.0\r\ncontent-length: 0\r\n\r\n");
    let post = HttpCheck {
        headers: vec![header("Host", "foo"), header("X-A", "b")],
        body: b"abc".to_vec(),
        ..of("POST", "/x", "HTTP/1.1")
    };
    assert_eq!(
        bytes(post, None),
        "POST /x HTTP/1.1\r\nhost: foo\r\nx-a: b\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
    );
    let with_state =
        HttpCheck { headers: vec![header("Host", "foo")], send_state: true, ..of("GET", "/x", "HTTP/1.1") };
    assert_eq!(
        bytes(with_state, Some("UP 1/3; name=b/s")),
        "GET /x HTTP/1.1\r\nhost: foo\r\nx-haproxy-server-state: UP 1/3; name=b/s\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn http_answers() {
    let plain = CheckMethod::Http(http());
    let invalid = found(Layer7InvalidResponse, 0, "");
    let hello = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let open = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    let oops = "HTTP/1.1 500 Internal Oops\r\nContent-Length: 0\r\n\r\n";
    for (reply, end, result) in [
        (hello, End::Silence, found(Layer7Ok, 200, "")),
        ("HTTP/1.0 302 Found\r\n\r\n", End::Silence, found(Layer7Ok, 302, "")),
        ("HTTP/2.0 200 OK\r\n\r\n", End::Close, found(Layer7Ok, 200, "")),
        ("HTTP/1.0 200 OK\n\n", End::Close, found(Layer7Ok, 200, "")),
        (open, End::Silence, found(Layer7Ok, 200, "")),
        (oops, End::Silence, found(Layer7Status, 500, "Internal Oops")),
        ("HTTP/1.1 500\r\n\r\n", End::Close, found(Layer7Status, 500, "")),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", End::Close, found(Layer7Status, 100, "Continue")),
        ("HTTP/1.1 500 caf\u{e9}\r\n\r\n", End::Close, found(Layer7Status, 500, "caf<C3><A9>")),
        ("garbage\r\n\r\n", End::Silence, invalid.clone()),
        ("HT", End::Close, invalid.clone()),
        ("HTTP/1.0 200 OK\r\nFoo: bar\r\n", End::Close, invalid.clone()),
        ("HTTP/1.0 200 OK\r\nFoo: bar\r\n", End::Silence, found(Layer7Timeout, 0, "")),
        ("", End::Close, invalid.clone()),
        ("", End::Reset, found(SocketError, 0, "Connection reset by peer")),
    ] {
        let replies = if reply.is_empty() { vec![] } else { vec![reply] };
        assert_eq!(play(&plain, &replies, end), result, "{reply:?}");
    }
    let status = |low, high| expect(ExpectPattern::Status(vec![(low, high)]));
    let bad = |text: &str| found(Layer7InvalidResponse, 0, text);
    let no_match = "HTTP content check did not match";
    for (expectation, reply, end, result) in [
        (status(200, 200), oops, End::Close, found(Layer7Status, 500, "Internal Oops")),
        (status(500, 510), oops, End::Close, found(Layer7Ok, 500, "")),
        (not(status(500, 500)), oops, End::Close, found(Layer7Status, 500, "Internal Oops")),
        (expect(ExpectPattern::StatusRegex("^5".into())), oops, End::Close, found(Layer7Ok, 500, "")),
        (expect(ExpectPattern::StatusRegex("^2".into())), oops, End::Close, found(Layer7Status, 500, "Internal Oops")),
        (text("hello"), hello, End::Silence, found(Layer7Ok, 200, "")),
        (text("hello"), open, End::Silence, found(Layer7Ok, 200, "")),
        (text("hellox"), hello, End::Silence, bad(no_match)),
        (text("nope"), open, End::Silence, found(Layer7Timeout, 0, "")),
        (not(text("nope")), open, End::Silence, found(Layer7Timeout, 0, "")),
        (not(text("nope")), hello, End::Silence, found(Layer7Ok, 200, "")),
        (not(text("hello")), hello, End::Silence, bad("HTTP check matched unwanted content")),
        (regex("h[ae]llo$"), hello, End::Silence, found(Layer7Ok, 200, "")),
        (regex("^x"), hello, End::Silence, bad(no_match)),
        (text("hello"), oops, End::Close, bad("HTTP content check could not find a response body")),
        (text("zebra"), "HTTP/1.1 200 OK\r\nX-A: zebra\r\nContent-Length: 2\r\n\r\nhi", End::Close, bad(no_match)),
        (
            text("hello"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            End::Silence,
            found(Layer7Ok, 200, ""),
        ),
        (text("world"), "HTTP/1.1 200 OK\r\n\r\nhello world", End::Silence, found(Layer7Ok, 200, "")),
        (
            Expect { on_success: Some("fine".into()), ..status(200, 200) },
            hello,
            End::Close,
            found(Layer7Ok, 200, "fine"),
        ),
        (
            Expect { on_error: Some("bad one".into()), error_status: Some("L7RSP".into()), ..status(200, 200) },
            oops,
            End::Close,
            bad("bad one"),
        ),
    ] {
        let method = http_expecting(expectation);
        assert_eq!(play(&method, &[reply], end), result, "{method:?} {reply:?}");
    }
}

#[test]
fn not_found_is_a_polite_goodbye_of_servers_that_are_up() {
    let method = CheckMethod::Http(HttpCheck { disable_on_404: true, ..http() });
    let reply = ["HTTP/1.0 404 Not found here\r\n\r\n"];
    let up = Context { server_is_up: true, server_state: None };
    assert_eq!(play_with(&method, up, &reply, End::Close), found(Layer7OkConditional, 404, ""));
    let down = Context::default();
    assert_eq!(play_with(&method, down, &reply, End::Close), found(Layer7Status, 404, "Not found here"));
    assert_eq!(play(&CheckMethod::Http(http()), &reply, End::Close), found(Layer7Status, 404, "Not found here"));
}

#[test]
fn bad_regular_expressions_are_told() {
    let error = Script::compile(&http_expecting(regex("a("))).unwrap_err();
    assert!(error.contains("'a('"), "{error}");
}

proptest! {
    /// Any bytes in any pieces: no panic, bounded memory, and the verdict does not depend on how they were cut.
    #[test]
    fn answers_may_come_in_any_pieces(
        bytes in prop::collection::vec(prop_oneof![Just(b'H'), Just(b'\n'), Just(b'\r'), Just(b' '), Just(b':'), Just(b'2'), any::<u8>()], 0..300),
        head in any::<bool>(),
        cut in 1usize..20,
        which in 0usize..4,
    ) {
        let method = [
            CheckMethod::Http(http()),
            http_expecting(not(text("\n"))),
            CheckMethod::Tcp(vec![connect(), expecting(text("2:"))]),
            CheckMethod::Tcp(vec![connect(), expecting(not(regex("\\x00")))]),
        ][which].clone();
        let mut all = if head { b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec() } else { vec![] };
        all.extend(bytes);
        let verdict = |pieces: Vec<&[u8]>| {
            let (mut probe, _) = Probe::start(Arc::new(Script::compile(&method).unwrap()), Context::default(), 0);
            let mut command = probe.on(Event::Connected, 0);
            if let Command::Send(_) = command {
                command = probe.on(Event::Sent, 0);
            }
            for piece in pieces {
                if let Command::Receive = command {
                    command = probe.on(Event::Received(piece), 0);
                }
            }
            if let Command::Receive = command { probe.on(Event::EndOfInput, 0) } else { command }
        };
        let whole = verdict(vec![&all[..]]);
        let cut = verdict(all.chunks(cut).collect());
        prop_assert!(matches!(whole, Command::Done(_)));
        // A negated body match may be decided before the rest that would have matched is there; HAProxy does the same.
        if which != 1 {
            prop_assert_eq!(whole, cut);
        }
    }
}

#[test]
fn smtp_servers() {
    let method = CheckMethod::Smtp("HELO localhost".into());
    let greeting = "220 mx ESMTP ready\r\n";
    let of = |replies: &[&str], end| play(&method, replies, end);
    assert_eq!(of(&[greeting, "250 mx\r\n", "221 bye\r\n"], End::Silence), found(Layer7Ok, 221, "bye"));
    let several = "250-mx\r\n250-SIZE 1\r\n250 OK\r\n";
    assert_eq!(of(&[greeting, several, "221 bye\r\n"], End::Close), found(Layer7Ok, 221, "bye"));
    assert_eq!(of(&["554 go away now\r\n"], End::Silence), found(Layer7Status, 554, "go away now"));
    assert_eq!(of(&["hello there\r\n"], End::Silence), found(Layer7InvalidResponse, 0, "hello there"));
    assert_eq!(of(&[greeting, "250 ok\r\n", "500 no\r\n"], End::Silence), found(Layer7Status, 500, "no"));
    assert_eq!(of(&[], End::Silence), found(Layer7Timeout, 0, ""));
    assert_eq!(of(&[greeting], End::Silence), found(Layer7Timeout, 0, ""));
    let empty = found(Layer7InvalidResponse, 0, "TCPCHK got an empty response at step 2");
    assert_eq!(of(&[], End::Close), empty);
    // HAProxy waits for more until its time is over; a refusal is one.
    assert_eq!(of(&[greeting, "502 5.5.2 no\r\n"], End::Silence), found(Layer7Status, 502, "5.5.2 no"));
}
