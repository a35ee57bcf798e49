//! A table of requests that readers have been known to take apart differently, beyond those of [`super::http_messages`]:
//! each is refused and its connection ends, or what the origin gets of it is one strict reading, in one canonical form.
//! RFC 9110 and RFC 9112 are the judges.

use std::thread;
use std::time::Duration;

use super::{http_messages_bodies, http_messages_heads, http_messages_hops};
use crate::support::http_origin::Seen;
use crate::support::http_wire::latin_1;
use crate::support::*;

on_each_engine!(
    each_request_has_one_reading within 180,
    the_same_byte_by_byte within 300,
    the_same_on_kept_connections within 180,
    the_same_with_http_server_close within 180,
    the_same_with_httpclose within 180,
    the_same_behind_a_deny_rule within 180,
    what_is_denied_leaves_nothing_behind within 180,
    an_unfinished_body_never_becomes_a_request,
    floods_end_in_an_error within 120,
);

/// What must become of a case.
pub enum Expect {
    /// An error or no answer, the end of the connection, and no whole request for the origin.
    Refused,
    Passed(Passed),
    /// Either is right; what is passed on must be as said.
    Either(Passed),
}

#[derive(Default)]
pub struct Passed {
    /// The methods of the requests that arrive, one answer for each.
    methods: Vec<&'static str>,
    /// Lower case: what the first head (or its body and trailers) must have, or must not.
    has: &'static [&'static str],
    has_not: &'static [&'static str],
    closes: bool,
}

pub struct Case {
    name: String,
    raw: Vec<u8>,
    expect: Expect,
}

/// One character is one byte.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("one byte")).collect()
}

fn case(name: &str, raw: &str, expect: Expect) -> Case {
    Case { name: name.to_string(), raw: bytes(raw), expect }
}

pub fn refused(name: &str, raw: &str) -> Case {
    case(name, raw, Expect::Refused)
}

pub fn passed(name: &str, raw: &str, has: &'static [&'static str], has_not: &'static [&'static str]) -> Case {
    let method = if raw.trim_start().starts_with("HEAD") { "HEAD" } else { "GET" };
    case(name, raw, Expect::Passed(Passed { methods: vec![method], has, has_not, closes: false }))
}

pub fn passed_then_closed(
    name: &str,
    raw: &str,
    has: &'static [&'static str],
    has_not: &'static [&'static str],
) -> Case {
    case(name, raw, Expect::Passed(Passed { methods: vec!["GET"], has, has_not, closes: true }))
}

pub fn either(name: &str, raw: &str, has: &'static [&'static str], has_not: &'static [&'static str]) -> Case {
    case(name, raw, Expect::Either(Passed { methods: vec!["GET"], has, has_not, closes: false }))
}

pub fn pipeline(name: &str, raw: &str, methods: &[&'static str], closes: bool) -> Case {
    let passed = Passed { methods: methods.to_vec(), has: &[], has_not: &[], closes };
    case(name, raw, Expect::Passed(passed))
}

pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n";

/// A POST with these lines after Host, and what follows its head.
pub fn post(lines: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: t\r\n{lines}\r\n\r\n{body}")
}

pub fn get_with(lines: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: t\r\n{lines}\r\n\r\n")
}

fn all_cases() -> Vec<Case> {
    let tables = [http_messages_bodies::all(), http_messages_heads::all(), http_messages_hops::all()];
    let cases: Vec<Case> = tables.into_iter().flatten().collect();
    assert!(cases.len() > 400, "only {} cases", cases.len());
    cases
}

/// Answers 200 with the target that it was asked for.
fn echoing() -> HttpOrigin {
    HttpOrigin::start(|exchange| {
        if exchange.body().is_err() {
            return Next::Close;
        }
        let line = format!("X-Target: {}\r\n", exchange.target());
        let body: &[u8] = if exchange.method() == "HEAD" { b"" } else { b"ok" };
        exchange.answer("200 OK", &line, body);
        Next::Keep
    })
}

/// What RFC 9112 asks of a sender, beyond what the origin's own reader refuses.
fn assert_strict(name: &str, seen: &Seen) {
    let words: Vec<&str> = seen.head.start.split(' ').collect();
    let is_token = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    assert!(
        words.len() == 3 && is_token(words[0]) && matches!(words[2], "HTTP/1.0" | "HTTP/1.1"),
        "{name}: {:?}",
        seen.head.start
    );
    assert!(words[1].chars().all(|c| c.is_ascii_graphic()) && !words[1].is_empty(), "{name}: {:?}", seen.head.start);
    assert!(seen.head.all("host").len() <= 1, "{name}: two hosts");
    let has_coding = !seen.head.all("transfer-encoding").is_empty();
    assert!(!has_coding || words[2] == "HTTP/1.1", "{name}: chunks in HTTP/1.0");
    for line in latin_1(&seen.head.raw).split("\r\n").skip(1).filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').expect("a colon");
        assert!(is_token(field), "{name}: {line:?}");
        assert!(!value.chars().any(|c| c != '\t' && (c < ' ' || c == '\u{7f}')), "{name}: {line:?}");
    }
    let forbidden = [
        "content-length",
        "transfer-encoding",
        "host",
        "connection",
        "te",
        "trailer",
        "expect",
        "authorization",
        "cookie",
        "content-encoding",
        "content-type",
        "content-range",
        "upgrade",
        "x-forwarded-for",
        "proxy-authorization",
        "keep-alive",
    ];
    for (field, _) in &seen.body.trailers {
        assert!(!forbidden.contains(&field.to_ascii_lowercase().as_str()), "{name}: trailer {field}");
    }
}

/// Everything of a request in one text, in lower case.
fn text_of(seen: &Seen) -> String {
    let trailers: String = seen.body.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{}{}{trailers}", latin_1(&seen.head.raw), latin_1(&seen.body.bytes)).to_ascii_lowercase()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Whole,
    Drip,
    /// Behind a good request, on its connection.
    Second,
}

/// How a mode of the proxy changes what is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    KeepsAlive,
    /// Each connection ends once nothing more is waiting.
    Closes,
}

struct Judge {
    lab: Lab,
    mode: Mode,
    judged: usize,
}

impl Judge {
    fn deliver(&self, case: &Case, delivery: Delivery) -> HttpClient {
        let mut client = self.lab.client();
        if delivery == Delivery::Second {
            assert_eq!(client.get("/good").status, 200);
        }
        match delivery {
            Delivery::Drip => client.drip(&case.raw, Duration::from_micros(20)),
            _ => {
                client.try_send(&case.raw);
            }
        }
        client
    }

    fn judge(&mut self, case: &Case, delivery: Delivery) {
        let before = self.lab.origin().seen().len() + usize::from(delivery == Delivery::Second);
        let mut client = self.deliver(case, delivery);
        match &case.expect {
            Expect::Refused => self.judge_refused(&case.name, &mut client, before, None),
            Expect::Passed(passed) => self.judge_passed(&case.name, &mut client, before, passed, None),
            Expect::Either(passed) => match client.try_response(passed.methods[0]) {
                Ok(response) if response.status < 400 => {
                    self.judge_passed(&case.name, &mut client, before, passed, Some(response));
                }
                Ok(response) => self.judge_refused(&case.name, &mut client, before, Some(response)),
                Err(_) => self.judge_refused(&case.name, &mut client, before, None),
            },
        }
        self.judged += 1;
    }

    fn judge_refused(&self, name: &str, client: &mut HttpClient, before: usize, known: Option<Response>) {
        match known.map_or_else(|| client.try_response("GET"), Ok) {
            Ok(response) => {
                assert!((400..600).contains(&response.status), "{name}: answered {}", response.status);
                assert_eq!(response.header("connection"), Some("close"), "{name}");
            }
            Err(problem) => assert!(!problem.contains("temporarily"), "{name}: {problem}"),
        }
        assert!(client.wire.pending.is_empty(), "{name}: more than one answer");
        assert!(client.is_closed_within(Duration::from_secs(10)), "{name}: the connection stays open");
        let seen = self.lab.origin().seen();
        assert_eq!(seen.len(), before, "{name}: reached the origin: {:#?}", seen.last());
    }

    fn judge_passed(
        &self,
        name: &str,
        client: &mut HttpClient,
        before: usize,
        passed: &Passed,
        known: Option<Response>,
    ) {
        let mut known = known;
        for method in &passed.methods {
            let response = match known.take() {
                Some(response) => response,
                None => final_response(client, method, name),
            };
            assert_eq!(response.status, 200, "{name}: {response:?}");
        }
        let closes = passed.closes || self.mode == Mode::Closes;
        if closes {
            assert!(client.is_closed_within(Duration::from_secs(10)), "{name}: the connection stays open");
            assert!(client.wire.pending.is_empty(), "{name}: more than its answers");
        } else {
            let target = format!("/in-step/{before}");
            client.send(get(&target));
            let response = final_response(client, "GET", name);
            assert_eq!(response.header("x-target"), Some(target.as_str()), "{name}: out of step");
        }
        let seen = self.lab.origin().seen();
        assert_eq!(seen.len(), before + passed.methods.len() + usize::from(!closes), "{name}: {:#?}", &seen[before..]);
        seen[before..].iter().for_each(|seen| assert_strict(name, seen));
        // Modes that close the server's connection say so.
        let text = text_of(&seen[before]).replace("connection: close\r\n", "");
        for wanted in passed.has {
            assert!(text.contains(wanted), "{name}: no {wanted:?} in {text:?}");
        }
        for unwanted in passed.has_not {
            assert!(!text.contains(unwanted), "{name}: {unwanted:?} in {text:?}");
        }
    }

    /// Nothing that was to be hidden has arrived anywhere.
    fn finish(self) {
        assert_eq!(self.lab.client().get("/end").status, 200);
        for seen in self.lab.origin().seen() {
            assert!(!seen.head.start.contains(" /smuggled "), "{:?}", seen.head.start);
        }
        assert!(self.judged > 400, "only {} judged", self.judged);
    }
}

fn final_response(client: &mut HttpClient, method: &str, name: &str) -> Response {
    loop {
        let response = client.try_response(method).unwrap_or_else(|problem| {
            panic!("{name}: no answer: {problem}; all that came: {:?}", latin_1(&client.wire.received))
        });
        if response.status >= 200 {
            return response;
        }
    }
}

fn judge_all(flavour: Flavour, lines: &str, delivery: Delivery, mode: Mode) {
    let limits = "    timeout http-request 10s\n    timeout client 10s\n    timeout http-keep-alive 10s";
    let lab = Lab::listen(flavour, vec![echoing()], &format!("{limits}\n{lines}"));
    let mut judge = Judge { lab, mode, judged: 0 };
    for case in all_cases() {
        judge.judge(&case, delivery);
    }
    judge.finish();
}

fn each_request_has_one_reading(flavour: Flavour) {
    judge_all(flavour, "", Delivery::Whole, Mode::KeepsAlive);
}

fn the_same_byte_by_byte(flavour: Flavour) {
    judge_all(flavour, "", Delivery::Drip, Mode::KeepsAlive);
}

fn the_same_on_kept_connections(flavour: Flavour) {
    judge_all(flavour, "    http-reuse always", Delivery::Second, Mode::KeepsAlive);
}

fn the_same_with_http_server_close(flavour: Flavour) {
    judge_all(flavour, "    option http-server-close", Delivery::Second, Mode::KeepsAlive);
}

/// Requests that have arrived are answered before the connection closes.
fn the_same_with_httpclose(flavour: Flavour) {
    judge_all(flavour, "    option httpclose", Delivery::Whole, Mode::Closes);
}

fn the_same_behind_a_deny_rule(flavour: Flavour) {
    judge_all(flavour, "    http-request deny if { path /never }", Delivery::Second, Mode::KeepsAlive);
}

/// Every request is answered early: bodies that nobody reads must not become requests.
fn what_is_denied_leaves_nothing_behind(flavour: Flavour) {
    let lab = Lab::listen(flavour, vec![echoing()], "    http-request deny unless { path /good /allowed /end }");
    for case in all_cases() {
        let mut client = lab.client();
        client.try_send(&case.raw);
        client.half_close();
        loop {
            match client.try_response("GET") {
                Ok(response) => assert!(response.status >= 400, "{}: {response:?}", case.name),
                Err(problem) => {
                    assert!(problem.contains("end") || problem.contains("reset"), "{}: {problem}", case.name);
                    break;
                }
            }
        }
        assert!(lab.origin().seen().is_empty(), "{}: {:#?}", case.name, lab.origin().seen());
    }
    assert_eq!(lab.client().get("/end").status, 200);
}

/// The client leaves within its body: what the origin gets must not look finished.
fn an_unfinished_body_never_becomes_a_request(flavour: Flavour) {
    let lab = Lab::listen(flavour, vec![echoing()], "    http-reuse always");
    let unfinished = [
        post("Content-Length: 10", "hello"),
        post("Content-Length: 1", ""),
        post("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        post("Transfer-Encoding: chunked", "5\r\nhel"),
        post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"),
        post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nX: y\r\n"),
        post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r"),
        post("Expect: 100-continue\r\nContent-Length: 5", ""),
        "GET /a HTTP/1.1\r\nHost: t\r\n".to_string(),
        "GET /a HTTP/1.1\r\nHost: t\r\n\r".to_string(),
    ];
    for half in [true, false] {
        for raw in &unfinished {
            let mut client = lab.client();
            client.send(raw);
            if half {
                client.half_close();
                match client.try_response("POST") {
                    Ok(response) => assert!(response.status >= 400, "{raw:?}: {response:?}"),
                    Err(problem) => assert!(problem.contains("end") || problem.contains("reset"), "{raw:?}: {problem}"),
                }
            }
            drop(client);
            // A connection to the origin that is out of step would spoil this one.
            assert_eq!(lab.client().get("/in-step").header("x-target"), Some("/in-step"), "{raw:?}");
        }
    }
    assert!(lab.origin().seen().iter().all(|seen| seen.head.start.contains("/in-step")), "{:#?}", lab.origin().seen());
}

/// More than any limit: an error (or the end), and the proxy goes on.
fn floods_end_in_an_error(flavour: Flavour) {
    let lab = Lab::listen(flavour, vec![echoing()], "    timeout http-request 10s\n    timeout client 10s");
    let long = "a".repeat(20_000);
    let floods: Vec<(&str, String, &[u16])> = vec![
        ("a long target", get(&format!("/{long}")), &[414]),
        ("a long method", format!("{long} /a HTTP/1.1\r\nHost: t\r\n\r\n"), &[400, 414]),
        ("a long name", get_with(&format!("{long}: x")), &[400, 431]),
        ("a long value", get_with(&format!("X: {long}")), &[400, 431]),
        ("a long cookie", get_with(&format!("Cookie: {long}")), &[400, 431]),
        ("a long host", format!("GET /a HTTP/1.1\r\nHost: {long}\r\n\r\n"), &[400, 431]),
        ("many headers", get_with(&"a:b\r\n".repeat(10_000)), &[400, 431]),
        ("some headers too many", get_with(&"a:b\r\n".repeat(120)), &[400, 431]),
        ("many folds", get_with(&format!("X: y{}", "\r\n z".repeat(5_000))), &[400, 431]),
        ("many empty lines", "\r\n".repeat(50_000), &[400]),
        ("a long extension", post("Transfer-Encoding: chunked", &format!("5;{long}\r\nhello\r\n0\r\n\r\n")), &[400]),
        ("many extensions", post("Transfer-Encoding: chunked", &"1;abcdefgh\r\nx\r\n".repeat(2_000)), &[400]),
        ("a long trailer", post("Transfer-Encoding: chunked", &format!("0\r\nX: {long}\r\n\r\n")), &[400]),
        (
            "many trailers",
            post("Transfer-Encoding: chunked", &format!("0\r\n{}\r\n", "X: y\r\n".repeat(5_000))),
            &[400],
        ),
        ("garbage without end", "\u{1}\u{2}\u{3}".repeat(10_000), &[400]),
        ("zeros without end", post("Transfer-Encoding: chunked", &"0".repeat(50_000)), &[400]),
    ];
    for (name, raw, statuses) in &floods {
        let mut client = lab.client();
        for piece in bytes(raw).chunks(4096) {
            if !client.try_send(piece) {
                break;
            }
            thread::sleep(Duration::from_micros(200));
        }
        match client.try_response("GET") {
            Ok(response) => assert!(statuses.contains(&response.status), "{name}: {}", response.status),
            Err(problem) => assert!(problem.contains("end") || problem.contains("reset"), "{name}: {problem}"),
        }
        assert!(client.is_closed_within(Duration::from_secs(10)), "{name}: the connection stays open");
    }
    assert!(lab.origin().seen().is_empty(), "{:#?}", lab.origin().seen());
    assert_eq!(lab.client().get("/end").status, 200);
}
