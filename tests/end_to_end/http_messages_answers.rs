//! A table of answers that readers take apart differently: what reaches the client is one clear message or an error, and
//! nothing of it ever becomes the answer to another request (RFC 9112 sections 4 to 7).

use std::thread;
use std::time::Duration;

use crate::support::http_wire::latin_1;
use crate::support::*;

on_each_engine!(
    each_answer_has_one_reading within 180,
    the_same_byte_by_byte within 180,
    the_same_with_reuse_always within 180,
    the_same_with_http_server_close within 180,
    byte_by_byte_with_connections_that_nobody_shares within 180,
    interim_answers_without_end_are_bounded within 120,
    an_early_switch_of_protocols_is_refused,
    an_early_answer_to_an_expectation_closes,
    unsolicited_answers_reach_nobody within 120,
);

/// What the client asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Get,
    Head,
    /// HTTP/1.0 that stays open.
    Old,
    Connect,
}

enum Expect {
    /// 502, or (where the body is wrong) an answer that is visibly cut.
    Refused,
    /// This status and body; `reused`: the server's connection may serve another request.
    Passed {
        status: u16,
        body: &'static str,
        has: &'static [&'static str],
        has_not: &'static [&'static str],
        reused: bool,
    },
    Either {
        status: u16,
        body: &'static str,
    },
}

struct Case {
    name: &'static str,
    asked: Asked,
    raw: String,
    /// The origin closes behind it.
    ends: bool,
    expect: Expect,
}

const EVIL: &str = "HTTP/1.1 200 OK\r\nX-Evil: yes\r\nContent-Length: 4\r\n\r\nevil";

fn refused(name: &'static str, raw: &str) -> Case {
    Case { name, asked: Asked::Get, raw: format!("{raw}{EVIL}"), ends: true, expect: Expect::Refused }
}

fn passed(name: &'static str, raw: &str, status: u16, body: &'static str) -> Case {
    let expect = Expect::Passed { status, body, has: &[], has_not: &[], reused: true };
    Case { name, asked: Asked::Get, raw: raw.to_string(), ends: false, expect }
}

impl Case {
    fn asked(mut self, by: Asked) -> Case {
        self.asked = by;
        self
    }
    fn ends(mut self) -> Case {
        self.ends = true;
        self
    }
    /// The server's connection must not be used again.
    fn spoils(mut self) -> Case {
        if let Expect::Passed { reused, .. } = &mut self.expect {
            *reused = false;
        }
        self
    }
    fn with(mut self, lines: &'static [&'static str], without: &'static [&'static str]) -> Case {
        if let Expect::Passed { has, has_not, .. } = &mut self.expect {
            (*has, *has_not) = (lines, without);
        }
        self
    }
}

fn ok(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{body}")
}

fn either(name: &'static str, raw: String, body: &'static str) -> Case {
    Case { name, asked: Asked::Get, raw, ends: true, expect: Expect::Either { status: 200, body } }
}

fn wrong_heads() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![
        refused("status: four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("status: two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("status: none", "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("status: 000", "HTTP/1.1 000 No\r\nContent-Length: 2\r\n\r\nhi"),
        refused("status: a sign", "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("status: hexadecimal", "HTTP/1.1 0xc OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("status: text behind", "HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: two blanks", "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: a tab", "HTTP/1.1\t200\tOK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: a blank first", " HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: small letters", "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: HTTP/2", "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: HTTP/0.9", "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: another protocol", "ICY 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("line: a bare CR", "HTTP/1.1 200 OK\rX: y\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: a NUL", "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nhi"),
        refused("line: no HTTP at all", "hello\r\n\r\n"),
        refused("name: none", &ok("X: y\r\n: z\r\nContent-Length: 2", "hi")),
        refused("name: a blank within", &ok("X Y: z\r\nContent-Length: 2", "hi")),
        refused("name: no colon", &ok("X\r\nContent-Length: 2", "hi")),
        refused("name: a NUL", &ok("X\0: y\r\nContent-Length: 2", "hi")),
        refused("name: brackets", &ok("X[]: y\r\nContent-Length: 2", "hi")),
        refused("name: the first line folded", "HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 2\r\n\r\nhi"),
        refused("value: a NUL", &ok("X: a\0b\r\nContent-Length: 2", "hi")),
        refused("value: a bare CR", &ok("X: a\rSet-Cookie: b=c\r\nContent-Length: 2", "hi")),
        refused("value: CR CR LF", &ok("X: a\r\r\nContent-Length: 2", "hi")),
        refused("value: an escape", &ok("X: a\u{1b}[2J\r\nContent-Length: 2", "hi")),
        refused(
            "upgrade: not asked for",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
        ),
        refused("upgrade: 101 with a length", "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 2\r\n\r\nhi"),
    ];
    let lengths = [
        "",
        " ",
        "two",
        "+2",
        "-2",
        "2;x",
        "2 2",
        "0x2",
        "2,3",
        "2,",
        ",2",
        "1_0",
        "2\u{b}",
        "18446744073709551618",
        "2.0",
        "\"2\"",
    ];
    cases.extend(lengths.iter().map(|length| refused("length", &ok(&format!("Content-Length: {length}"), "hi"))));
    cases.extend([
        refused("length: two that differ", &ok("Content-Length: 2\r\nContent-Length: 3", "hi!")),
        refused("length: blank before the colon", &ok("Content-Length : 2", "hi")),
        refused("length: a list and a line", &ok("Content-Length: 2, 2\r\ncontent-length: 4", "hi!!")),
    ]);
    let codings = [
        "gzip",
        "identity",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "",
        "xchunked",
        "\u{b}chunked",
        "chunked;q=1",
        "chunked,",
    ];
    cases.extend(
        codings
            .iter()
            .map(|coding| refused("coding", &ok(&format!("Transfer-Encoding: {coding}"), "2\r\nhi\r\n0\r\n\r\n"))),
    );
    cases.push(refused(
        "coding: two lines",
        &ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n"),
    ));
    let chunks = [
        "zz\r\nhi\r\n0\r\n\r\n",
        "2\r\nhiXX0\r\n\r\n",
        "2\nhi\n0\n\n",
        "-2\r\nhi\r\n0\r\n\r\n",
        "+2\r\nhi\r\n0\r\n\r\n",
        "0x2\r\nhi\r\n0\r\n\r\n",
        "ffffffffffffffff2\r\nhi\r\n0\r\n\r\n",
        "8000000000000002\r\nhi\r\n0\r\n\r\n",
        "2 2\r\nhi\r\n0\r\n\r\n",
        "2;a=\"\r\nhi\r\n0\r\n\r\n",
        "2\r\nhi\r\n0\r\n: x\r\n\r\n",
        "2\r\nhi\r\n0\r\nX : y\r\n\r\n",
        "2\r\nhi\r\n0\r\nX: y\n\r\n",
        "2\r\nhi\r\n0\r\n X: y\r\n\r\n",
        "2\r\nhi\r\n\r\n0\r\n\r\n",
        "3\r\nhi\r\n0\r\n\r\n",
    ];
    cases.extend(chunks.iter().map(|body| refused("chunks", &ok("Transfer-Encoding: chunked", body))));
    for (name, raw) in [
        ("cut: in the head", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("cut: before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
        ("cut: in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
        ("cut: in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi"),
        ("cut: before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"),
        ("cut: before the end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"),
        ("cut: behind an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("cut: nothing", ""),
    ] {
        cases.push(Case { name, asked: Asked::Get, raw: raw.to_string(), ends: true, expect: Expect::Refused });
    }
    let long = "a".repeat(20_000);
    cases.push(refused("limit: a long value", &ok(&format!("X: {long}\r\nContent-Length: 2"), "hi")));
    cases.push(refused("limit: a long reason", &format!("HTTP/1.1 200 {long}\r\nContent-Length: 2\r\n\r\nhi")));
    cases.push(refused("limit: many headers", &ok(&format!("{}Content-Length: 2", "a: b\r\n".repeat(200)), "hi")));
    cases.push(refused("limit: trailers", &ok("Transfer-Encoding: chunked", &format!("0\r\nX: {long}\r\n\r\n"))));
    cases.push(refused(
        "limit: an extension",
        &ok("Transfer-Encoding: chunked", &format!("2;{long}\r\nhi\r\n0\r\n\r\n")),
    ));
    cases
}

fn clear_ones() -> Vec<Case> {
    let length = ok("Content-Length: 2", "hi");
    vec![
        passed("plain", &length, 200, "hi"),
        passed("no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"),
        passed("an empty reason", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", 200, "hi"),
        passed("a long number", "HTTP/1.1 299 Odd One\r\nContent-Length: 2\r\n\r\nhi", 299, "hi"),
        passed("status 599", "HTTP/1.1 599 X\r\nContent-Length: 2\r\n\r\nhi", 599, "hi"),
        passed("a later version", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi")
            .with(&["http/1.1 200"], &[]),
        passed("LF alone", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, "hi").with(&["content-length: 2\r\n"], &[]),
        passed("an empty line before", &format!("\r\n{length}"), 200, "hi"),
        passed("folded", &ok("X: a\r\n b\r\n\tc\r\nContent-Length: 2", "hi"), 200, "hi")
            .with(&["x: a"], &["\r\n b", "\r\n\t"]),
        passed("lengths that agree", &ok("Content-Length: 2\r\ncontent-length: 02, 2", "hi"), 200, "hi")
            .with(&["content-length: 2\r\n"], &["02"]),
        passed(
            "chunks",
            &ok("Transfer-Encoding: CHUNKED", "1;a=\"b\"\r\nh\r\n01\r\ni\r\n00\r\nX-Sum: y\r\nHost: u\r\n\r\n"),
            200,
            "hi",
        )
        .with(&["transfer-encoding: chunked\r\n"], &["host"]),
        passed(
            "chunks and a length",
            &ok("Content-Length: 9\r\nTransfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n"),
            200,
            "hi",
        )
        .with(&["transfer-encoding: chunked"], &["content-length"])
        .spoils(),
        passed("chunks for an old client", &ok("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n"), 200, "hi")
            .asked(Asked::Old)
            .with(&[], &["transfer-encoding"]),
        passed(
            "chunks of an old server",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            200,
            "hi",
        )
        .spoils(),
        passed("until it closes", "HTTP/1.1 200 OK\r\n\r\nhi", 200, "hi").ends().spoils(),
        passed("an old server that closes", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi").spoils(),
        passed(
            "an old server that stays",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
            200,
            "hi",
        ),
        passed("close, and more", &format!("{}{EVIL}", ok("Connection: close\r\nContent-Length: 2", "hi")), 200, "hi")
            .spoils(),
        passed("another answer behind a length", &format!("{length}{EVIL}"), 200, "hi").spoils(),
        passed(
            "another answer behind chunks",
            &format!("{}{EVIL}", ok("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n")),
            200,
            "hi",
        )
        .spoils(),
        passed("another answer behind none", &format!("{}{EVIL}", ok("Content-Length: 0", "")), 200, "").spoils(),
        passed("half an answer behind", &format!("{length}HTTP/1.1 2"), 200, "hi").spoils(),
        passed("a line end behind", &format!("{length}\r\n"), 200, "hi").spoils(),
        passed("204 and a body", &format!("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello{EVIL}"), 204, "")
            .with(&[], &["content-length"])
            .spoils(),
        passed("204 and chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 204, "")
            .with(&[], &["transfer-encoding"])
            .spoils(),
        passed("204 alone", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        passed("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", 304, "")
            .with(&["content-length: 100"], &[]),
        passed(
            "304 and a body",
            &format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello{EVIL}"),
            304,
            "",
        )
        .spoils(),
        passed("304 and chunks", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 304, "")
            .spoils(),
        passed("205 with an empty body", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, ""),
        passed("HEAD", &ok("Content-Length: 5", ""), 200, "").asked(Asked::Head).with(&["content-length: 5"], &[]),
        passed("HEAD and a body", &format!("{}{EVIL}", ok("Content-Length: 5", "hello")), 200, "")
            .asked(Asked::Head)
            .spoils(),
        passed("HEAD and chunks", &ok("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), 200, "")
            .asked(Asked::Head)
            .spoils(),
        passed("HEAD without a length", "HTTP/1.1 200 OK\r\n\r\n", 200, "").asked(Asked::Head),
        passed(
            "interim",
            &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{length}"),
            200,
            "hi",
        ),
        passed(
            "interim for an old client",
            &format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{length}"),
            200,
            "hi",
        )
        .asked(Asked::Old),
        passed(
            "interim with a length",
            &format!("HTTP/1.1 102 Processing\r\nContent-Length: 9\r\n\r\n{length}"),
            200,
            "hi",
        ),
        passed(
            "connection names a header",
            &ok("Connection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2", "hi"),
            200,
            "hi",
        )
        .with(&[], &["x-mine", "keep-alive: timeout"]),
        passed("connection names the length", &ok("Connection: Content-Length\r\nContent-Length: 2", "hi"), 200, "hi")
            .with(&["content-length: 2"], &[]),
        passed(
            "connection names Set-Cookie",
            &ok("Connection: Set-Cookie\r\nSet-Cookie: a=b\r\nContent-Length: 2", "hi"),
            200,
            "hi",
        )
        .with(&["set-cookie: a=b"], &[]),
        passed(
            "an upgrade is offered",
            &ok("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2", "hi"),
            200,
            "hi",
        )
        .with(&[], &["upgrade"]),
        passed("CONNECT is refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, "no")
            .asked(Asked::Connect),
        either("blank before a colon", ok("X : y\r\nContent-Length: 2", "hi"), "hi"),
        either("an unknown coding until it closes", ok("Transfer-Encoding: foo", "hi"), "hi"),
    ]
}

fn all_cases() -> Vec<Case> {
    let cases: Vec<Case> = wrong_heads().into_iter().chain(clear_ones()).collect();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    cases
}

/// Sends the case that is asked for, at once or byte by byte; other requests get their target back.
fn origin(cases: Vec<Case>) -> HttpOrigin {
    HttpOrigin::start(move |exchange| {
        let number = exchange.head.header("x-case").and_then(|number| number.parse::<usize>().ok());
        let Some(case) = number.and_then(|number| cases.get(number)) else {
            let target = exchange.target().to_string();
            exchange.answer("200 OK", "", target.as_bytes());
            return Next::Keep;
        };
        let raw: Vec<u8> = case.raw.chars().map(|byte| u8::try_from(u32::from(byte)).expect("a byte")).collect();
        // What comes behind an answer comes with its end: later it might meet the next request, which is nobody's fault.
        let spoils = matches!(case.expect, Expect::Passed { reused: false, .. });
        let head_bytes = case.raw.find("\r\n\r\n").map_or(0, |end| end + 3);
        let dripped = match exchange.head.header("x-drip").is_some() && raw.len() < 4096 {
            true if spoils => head_bytes,
            true => raw.len(),
            false => 0,
        };
        let (slow, rest) = raw.split_at(dripped);
        for byte in slow {
            exchange.send([*byte]);
            thread::sleep(Duration::from_micros(20));
        }
        exchange.send(rest);
        if case.ends { Next::Close } else { Next::Keep }
    })
}

fn request(case: &Case, number: usize, drips: bool) -> (String, &'static str) {
    let drip = if drips { "X-Drip: 1\r\n" } else { "" };
    let (line, method) = match case.asked {
        Asked::Get => ("GET /a HTTP/1.1\r\nHost: t\r\n", "GET"),
        Asked::Head => ("HEAD /a HTTP/1.1\r\nHost: t\r\n", "HEAD"),
        Asked::Old => ("GET /a HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n", "GET"),
        Asked::Connect => ("CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\n", "CONNECT"),
    };
    (format!("{line}X-Case: {number}\r\n{drip}\r\n"), method)
}

/// The final answer, past interim ones.
fn answer(client: &mut HttpClient, method: &str) -> Result<Response, String> {
    loop {
        let response = client.try_response(method)?;
        if response.status >= 200 || response.status == 101 {
            return Ok(response);
        }
    }
}

fn judge_all(flavour: Flavour, lines: &str, drips: bool) {
    let lab = Lab::listen(flavour, vec![origin(all_cases())], lines);
    for (number, case) in all_cases().iter().enumerate() {
        let name = format!("{} ({:.60?})", case.name, case.raw);
        let mut client = lab.client();
        assert_eq!(client.get("/before").text(), "/before", "{name}");
        let (request, method) = request(case, number, drips);
        client.send(request);
        let outcome = answer(&mut client, method);
        judge(&name, &case.expect, &outcome, &client);
        // Whoever comes next gets their own answer: on this connection if it goes on, and on others.
        if outcome.is_ok()
            && client.try_send(get("/behind"))
            && let Ok(response) = answer(&mut client, "GET")
        {
            assert_eq!(response.text(), "/behind", "{name}");
        }
        for _ in 0..2 {
            let mut other = lab.client();
            assert_eq!(other.get("/other").text(), "/other", "{name}");
            assert_eq!(other.get("/another").text(), "/another", "{name}");
        }
        if let Expect::Passed { reused: false, .. } = &case.expect {
            assert_not_reused(&lab, number, &name);
        }
    }
}

fn judge(name: &str, expect: &Expect, outcome: &Result<Response, String>, client: &HttpClient) {
    let is_refused = match outcome {
        Ok(response) => response.status == 502,
        // A body that is wrong somewhere within can only be cut.
        Err(problem) => problem.contains("end") || problem.contains("reset"),
    };
    match (expect, outcome) {
        (Expect::Refused, outcome) => assert!(is_refused, "{name}: {outcome:?}"),
        (Expect::Either { .. }, _) if is_refused => {}
        (Expect::Either { status, body }, Ok(response)) => {
            assert_eq!((response.status, response.text().as_str()), (*status, *body), "{name}");
        }
        (Expect::Passed { status, body, has, has_not, .. }, Ok(response)) => {
            assert_eq!((response.status, response.text().as_str()), (*status, *body), "{name}");
            let head = latin_1(&response.head.raw).to_ascii_lowercase();
            has.iter().for_each(|wanted| assert!(head.contains(wanted), "{name}: no {wanted:?} in {head:?}"));
            has_not.iter().for_each(|unwanted| assert!(!head.contains(unwanted), "{name}: {unwanted:?} in {head:?}"));
        }
        (_, outcome) => panic!("{name}: {outcome:?}"),
    }
    assert!(!latin_1(&client.wire.received).contains("X-Evil"), "{name}: two answers for one request");
}

/// No other request came over the connection on which the origin sent this case.
fn assert_not_reused(lab: &Lab, number: usize, name: &str) {
    let asked = |head: &http_wire::Head| head.header("x-case") == Some(number.to_string().as_str());
    // The origin notes a request when it has said all that it wanted to say.
    let (seen, index) = eventually(20, "the request is noted", || {
        let seen = lab.origin().seen();
        let index = seen.iter().rposition(|seen| asked(&seen.head));
        index.map(|index| (seen, index)).ok_or_else(|| name.to_string())
    });
    // One thread notes what comes over one connection, in its order.
    let again = seen[index + 1..].iter().find(|later| later.connection == seen[index].connection);
    assert!(again.is_none(), "{name}: its connection was used again: {again:?}");
}

fn each_answer_has_one_reading(flavour: Flavour) {
    judge_all(flavour, "", false);
}

fn the_same_byte_by_byte(flavour: Flavour) {
    judge_all(flavour, "", true);
}

fn the_same_with_reuse_always(flavour: Flavour) {
    judge_all(flavour, "    http-reuse always", false);
}

fn the_same_with_http_server_close(flavour: Flavour) {
    judge_all(flavour, "    option http-server-close", false);
}

/// No pool: each request has a connection of its own.
fn byte_by_byte_with_connections_that_nobody_shares(flavour: Flavour) {
    judge_all(flavour, "    option http-server-close\n    http-reuse never", true);
}

/// Interim answers without end, while the client does not even read: an end comes, and the proxy serves others.
fn interim_answers_without_end_are_bounded(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        if exchange.target() != "/flood" {
            exchange.answer("200 OK", "", b"ok");
            return Next::Keep;
        }
        let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(8000));
        for _ in 0..20_000 {
            if std::io::Write::write_all(exchange.stream(), hint.as_bytes()).is_err() {
                break;
            }
        }
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "    timeout server 5s");
    let mut client = lab.client();
    client.send(get("/flood"));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(lab.client().get("/ok").status, 200);
    let mut interim = 0;
    let last = loop {
        match client.try_response("GET") {
            Ok(response) if response.status < 200 => interim += 1,
            last => break last,
        }
    };
    assert!(interim < 2000, "{interim} interim answers passed");
    assert!(last.as_ref().map_or(true, |response| response.status >= 502), "{last:?}");
    assert_eq!(lab.client().get("/ok").status, 200);
}

/// 101 while the request's body is still coming: what follows would be neither body nor tunnel.
fn an_early_switch_of_protocols_is_refused(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n");
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    let mut client = lab.client();
    client.send("POST /a HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(client.response("POST").status, 502);
}

/// A final status in place of `100 Continue`, and a client that goes on with its next request at once: these bytes are
/// neither the body that was announced nor a request.
fn an_early_answer_to_an_expectation_closes(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        let is_expectation = exchange.head.header("expect").is_some();
        exchange.answer(if is_expectation { "417 Expectation Failed" } else { "200 OK" }, "", b"no");
        if is_expectation { Next::Close } else { Next::Keep }
    });
    let lab = Lab::listen(flavour, vec![origin], "    http-reuse always");
    for length in ["Content-Length: 34", "Transfer-Encoding: chunked"] {
        let mut client = lab.client();
        client.send(format!("POST /a HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n{length}\r\n\r\n"));
        let response = client.response("POST");
        assert_eq!((response.status, response.header("connection")), (417, Some("close")));
        client.try_send("GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n");
        assert!(client.is_closed_within(Duration::from_secs(10)));
        assert_eq!(lab.client().get("/next").status, 200);
    }
    assert!(lab.origin().seen().iter().all(|seen| seen.head.word(1) != "/smuggled"), "{:#?}", lab.origin().seen());
}

/// An answer that nobody asked for, at every moment: with the right one, shortly after it, long after it.
fn unsolicited_answers_reach_nobody(flavour: Flavour) {
    for pause_ms in [0, 1, 5, 100] {
        let origin = HttpOrigin::start(move |exchange| {
            let target = exchange.target().to_string();
            exchange.answer("200 OK", "", target.as_bytes());
            thread::sleep(Duration::from_millis(pause_ms));
            exchange.send(EVIL);
            Next::Keep
        });
        let lab = Lab::listen(flavour, vec![origin], "    http-reuse always");
        for number in 0..10 {
            let mut client = lab.client();
            for part in 0..3 {
                let target = format!("/{number}/{part}");
                let response = client.get(&target);
                assert_eq!((response.status, response.text()), (200, target), "after {pause_ms} ms");
                // Such a connection is closed, whatever it was going to be used for.
                eventually(20, "the spoiled connection is closed", || match lab.origin().open_connections() {
                    0 => Ok(()),
                    open => Err(format!("{open} open")),
                });
            }
        }
    }
}
