use super::*;
use crate::config::load::load_text;
use crate::config::model::{ProxyId, ServerId};
use crate::policy::exchange::{Client, ExchangeTimes, Sockets, Stage};
use crate::shared::{Shared, ThreadShared};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

const WALL_US: u64 = 1_795_467_168_268_000;

/// Counts who asks.
#[derive(Default)]
struct Asked(Cell<u32>);

impl Sockets for Asked {
    fn frontend_address(&self) -> Endpoint {
        self.0.set(self.0.get() + 1);
        Endpoint::Ip("127.0.0.1:8080".parse().unwrap())
    }
    fn source_address(&self) -> Endpoint {
        self.0.set(self.0.get() + 1);
        Endpoint::Ip("127.0.0.1:37260".parse().unwrap())
    }
    fn round_trip_us(&self, _of_server: bool) -> Option<(u32, u32)> {
        None
    }
}

struct World {
    shared: ThreadShared,
    client: Client,
    exchange: Exchange,
    sockets: Asked,
}

/// One exchange: `GET /p]a%23;x?q=1"\]{|} HTTP/1.1`, answered with 200 by server s of backend b.
fn world(frontend: &str) -> World {
    let text = format!(
        "defaults\n mode http\n log 127.0.0.1:1 local0\nfrontend f\n bind :1\n default_backend b\n {}\nbackend b\n \
         server s 127.0.0.1:42613\n",
        frontend.replace(';', "\n ")
    );
    let loaded = load_text("t.cfg", &text);
    let Some(config) = loaded.config else { panic!("{:#?}", loaded.diagnostics) };
    let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 1, 1)));
    shared.process.connections.store(1, Ordering::Relaxed);
    shared.proxies[0].frontend_connections.store(1, Ordering::Relaxed);
    let client = Client {
        frontend: Some(ProxyId(0)),
        source: Endpoint::Ip("127.0.0.1:48642".parse().unwrap()),
        accept_wall_us: WALL_US,
        sequence: 13,
        exchanges: 1,
        ..Client::default()
    };
    let mut exchange = Exchange::default();
    exchange.clear();
    exchange.request_line = b"GET /p]a%23;x?q=1\"\\]{|} HTTP/1.1".to_vec();
    (exchange.backend, exchange.server) = (Some(ProxyId(1)), Some(ServerId(0)));
    (exchange.status, exchange.bytes_out, exchange.bytes_in) = (200, 90, 120);
    exchange.started_wall_us = WALL_US;
    exchange.times =
        ExchangeTimes { idle_ms: 0, request_ms: 0, queue_ms: 0, connect_ms: 0, response_ms: 1, active_ms: 2 };
    World { shared, client, exchange, sockets: Asked::default() }
}

impl World {
    fn ask<T>(&mut self, question: impl FnOnce(&Scope) -> T) -> T {
        question(&Scope {
            shared: &self.shared,
            worker: 0,
            monotonic_us: 0,
            wall_us: WALL_US,
            stage: Stage::Log,
            proxy: ProxyId(0),
            client: &mut self.client,
            exchange: &mut self.exchange,
            sockets: &self.sockets,
            payload: b"",
            is_payload_complete: true,
            hostname: "vm",
        })
    }

    fn line(&mut self, early: bool) -> (LogDecision, String) {
        let mut out = Vec::new();
        let decision = self.ask(|scope| http_line(scope, early, &mut out));
        (decision, String::from_utf8_lossy(&out).into_owned())
    }
}

/// What a frontend with this `log-format` writes of the exchange.
fn line_of(format: &str, captures: &str) -> String {
    let quoted = format.replace('\\', "\\\\").replace('"', "\\\"");
    let mut world = world(&format!("{captures};log-format \"{quoted}\""));
    world.exchange.unique_id = Some("id-127.0.0.1\"]".to_string());
    world.exchange.request_captures =
        vec![Some(b"a\"#{b}|\\]c".to_vec()), Some(b"x\ty \"#{|}\\]\x80\xff %z".to_vec()), None];
    world.exchange.response_captures = vec![Some(b"o\"#{x}|".to_vec())];
    world.exchange.captured_request_cookie = Some(b"sess=v\"]\\#{1}".to_vec());
    world.exchange.captured_response_cookie = Some(b"sess=abc".to_vec());
    world.line(false).1
}

/// The lines are HAProxy 2.6's for the same exchange.
#[test]
fn tags_as_haproxy_writes_them() {
    const CAPTURES: &str = "capture request header Host len 20;capture request header ctl len 90;\
        capture request header none len 20;capture cookie sess len 20;capture response header Server len 20";
    for (format, expected) in [
        ("%{+Q}hr", r##""{a#22#23#7Bb#7D#7C\]c|x#09y #22#23#7B#7C#7D\]#80#FF %z|}""##),
        ("%hrl", r"a#22#23#7Bb#7D#7C\]c x#09y #22#23#7B#7C#7D\]#80#FF %z -"),
        ("%{+Q}hrl", r##""a#22#23#7Bb#7D#7C\]c" "x#09y #22#23#7B#7C#7D\]#80#FF %z" """##),
        ("%{+E}hr", r"{a#22#23#7Bb#7D#7C\\\]c|x#09y #22#23#7B#7C#7D\\\]#80#FF %z|}"),
        ("%{+Q,+E}CC", r##""sess=v\"\]\\#{1}""##),
        ("%CC", r##"sess=v"]\#{1}"##),
        ("%{+Q}hs", r##""{o#22#23#7Bx#7D#7C}""##),
        ("%{+Q}r", r##""GET /p]a%23;x?q=1#22\]{|} HTTP/1.1""##),
        ("%{+Q,+E}r", r##""GET /p\]a%23;x?q=1#22\\\]{|} HTTP/1.1""##),
        (
            "%HM|%HU|%HP|%HPO|%HQ|%HV|%{+Q}HM|%{+Q}HQ",
            r##"GET|/p]a%23;x?q=1#22\]{|}|/p]a%23;x|/p]a%23;x|?q=1#22\]{|}|HTTP/1.1|"GET"|"?q=1#22\]{|}""##,
        ),
        ("%{+X}ci %{+X}cp %{+X}rt %{+X}lc %{+X}ac %{+X}ST %{+X}B %{+X}Ts", "7F000001 BE02 000D 0000 1 200 90 6B04A7A0"),
        (
            "%{+Q}ci %{+Q}cp %{+Q}B %{+Q}ST %{+Q}ts %{+Q}tsc %{+Q}ms %{+Q}rc",
            r##""127.0.0.1" 48642 90 200 -- ---- 268 0"##,
        ),
        ("%{+Q}ID %{+Q}H %{+Q}f %{+Q}ft %{+Q}b %{+Q}s", r##""id-127.0.0.1"]" "vm" "f" "f" "b" "s""##),
        ("a%ci\"b\" \\[x] {y} %%z", r##"a127.0.0.1"b" \[x] {y} %z"##),
        (" %CS  ", "sess=abc "),
        ("%s %si %sp %bi %bp %sslc %sslv %{+Q}sslc", r##"s 127.0.0.1 42613 127.0.0.1 37260 - - """##),
        ("%{+E}ID %{+E}f", r##"id-127.0.0.1\"\] f"##),
        ("%TR/%Tw/%Tc/%Tr/%Ta/%Tt/%Tq/%Ti/%Th/%Td/%Tu %U", "0/0/0/1/2/2/0/0/0/1/2 120"),
        (
            "%[int(-5)] %[bool(true)] %{+Q}[str(a)] %[src] %{+Q}[var(txn.x)] %[var(txn.x)]",
            "-5 1 \"a\" 127.0.0.1 \"\" -",
        ),
    ] {
        assert_eq!(line_of(format, CAPTURES), expected, "{format}");
    }
    assert_eq!(line_of("%hs %hr %hsl %hrl %b", ""), "b", "nothing is declared");
}

#[test]
fn the_usual_lines() {
    let date = crate::policy::log_date::local(WALL_US, |second| second.slashed.clone());
    let mut world = world("option httplog");
    let expected = format!(
        "127.0.0.1:48642 [{date}.268] f b/s 0/0/0/1/2 200 90 - - ---- 1/1/0/0/0 0/0 \
         \"GET /p]a%23;x?q=1#22\\]{{|}} HTTP/1.1\""
    );
    let written = LogDecision::Write { level: LEVEL_INFO, structured_bytes: 0 };
    assert_eq!(world.line(false), (written, expected.clone()));
    assert_eq!(world.sockets.0.get(), 0, "no system call for a line without those addresses");
    let early = expected.replace("/1/2 200 90", "/1/+2 200 +90");
    assert_eq!(world.line(true), (written, early));
    // The client left before there was an answer.
    (world.exchange.status, world.exchange.bytes_out, world.exchange.termination) = (0, 0, *b"CD");
    assert!(world.line(false).1.contains(" -1 0 - - CD-- "));
    // Nothing that could be read.
    world.exchange.clear();
    (world.exchange.status, world.exchange.termination, world.exchange.times.active_ms) = (400, *b"PR", 7);
    world.exchange.started_wall_us = WALL_US;
    let bad =
        format!("127.0.0.1:48642 [{date}.268] f f/<NOSRV> -1/-1/-1/-1/7 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"");
    assert_eq!(world.line(false).1, bad);
}

#[test]
fn who_is_logged_and_how_loud() {
    let error = Some(LEVEL_ERROR);
    /// Options, what happened, and the level written.
    type Case = (&'static str, fn(&mut Exchange), Option<u8>);
    let cases: [Case; 14] = [
        ("", |_| {}, Some(LEVEL_INFO)),
        ("option log-separate-errors", |_| {}, Some(LEVEL_INFO)),
        ("option log-separate-errors", |exchange| exchange.status = 503, error),
        ("option log-separate-errors", |exchange| exchange.termination = *b"SD", error),
        ("option log-separate-errors", |exchange| exchange.termination = *b"LR", Some(LEVEL_INFO)),
        ("option log-separate-errors", |exchange| exchange.retries = 1, error),
        ("option log-separate-errors", |exchange| exchange.log_level = Some(4), Some(4)),
        ("", |exchange| exchange.log_level = Some(LEVEL_SILENT), None),
        ("option dontlog-normal", |_| {}, None),
        ("option dontlog-normal", |exchange| exchange.status = 500, Some(LEVEL_INFO)),
        ("option dontlog-normal", |exchange| exchange.is_redispatched = true, Some(LEVEL_INFO)),
        ("option dontlognull", null, None),
        ("option http-ignore-probes", null, None),
        (
            "option dontlognull",
            |exchange| {
                null(exchange);
                exchange.bytes_in = 3;
            },
            Some(LEVEL_INFO),
        ),
    ];
    fn null(exchange: &mut Exchange) {
        exchange.clear();
        (exchange.status, exchange.termination) = (400, *b"CR");
    }
    for (options, change, expected) in cases {
        let mut world = world(&format!("option httplog;{options}"));
        change(&mut world.exchange);
        let level = match world.line(false).0 {
            LogDecision::Write { level, .. } => Some(level),
            LogDecision::Skip => None,
        };
        assert_eq!(level, expected, "{options} {:?}", world.exchange);
    }
    let mut silent = world("no log;option httplog");
    assert_eq!(silent.line(false).0, LogDecision::Skip, "no target");
}

#[test]
fn other_formats() {
    let structured = r#"log-format-sd "[a@1 st=\"%ST\" x=\"%{+E}[str('a\"]')]\"]""#;
    let mut world = world(&format!("log-format %ST;{structured};error-log-format \"ERR %ST %r\""));
    let (decision, text) = world.line(false);
    let LogDecision::Write { structured_bytes, .. } = decision else { panic!("{decision:?}") };
    assert_eq!(text.split_at(structured_bytes), (r#"[a@1 st="200" x="a\"\]"]"#, "200"));
    world.exchange.status = 503;
    assert!(world.line(false).1.ends_with("]503"), "2.6 has the other format for broken connections alone");
    world.exchange.clear();
    world.exchange.status = 400;
    assert!(world.line(false).1.ends_with("]ERR 400 <BADREQ>"));
}

/// A format of a rule leaves nothing as nothing, keeps blanks, and quotes tags alone.
#[test]
fn formats_of_rules() {
    use crate::config::log_format::{FormatPlace, compile};
    use crate::config::model::Place;
    let mut world = world("");
    let mut shown = |text: &str, place| {
        let format = compile(text, place).unwrap();
        let mut out = Vec::new();
        world.ask(|scope| render(&format, scope, &mut out));
        String::from_utf8(out).unwrap()
    };
    let place = Place::http_request(true, true);
    let (head, plain) = (FormatPlace::Head(place), FormatPlace::Plain(place));
    assert_eq!(shown("a  b %ci  %[var(txn.x)] %ID %CC|%hr|%b", head), "a  b 127.0.0.1    ||b");
    assert_eq!(shown("%{+Q}[str(a)] %{+Q}CC %{+Q}[var(txn.x)]", head), "a \"\" ");
    assert_eq!(shown("%[bin(410a42)]", head), "A%0AB");
    assert_eq!(shown("%[bin(410a42)]", plain), "A\nB");
    assert_eq!(shown("%[str(']')]%[str(a),regsub([a],b)]", head), "]b");
}

proptest::proptest! {
    /// Whatever a client sends: one line, and no byte that a terminal or a log reader takes for a command.
    #[test]
    fn nobody_forges_a_line(
        line in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        value in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        flags in "[QXE]{0,3}",
    ) {
        let tags = "%r %HM %HU %HP %HPO %HQ %HV %CC %CS %hr %hrl %hs %hsl %ID %[capture.req.hdr(0)] %[capture.req.uri]";
        let captures = "capture request header a len 99;capture response header b len 99";
        let mut world = world(&format!("{captures};log-format \"%{{+{}}}o {tags}\"", flags.chars().map(String::from).collect::<Vec<_>>().join(",+")));
        world.exchange.request_line = line;
        world.exchange.captured_request_cookie = Some(value.clone());
        world.exchange.captured_response_cookie = Some(value.clone());
        world.exchange.request_captures = vec![Some(value.clone())];
        world.exchange.unique_id = Some(String::from_utf8_lossy(&value).into_owned());
        world.exchange.response_captures = vec![Some(value)];
        let mut out = Vec::new();
        world.ask(|scope| http_line(scope, false, &mut out));
        proptest::prop_assert!(out.iter().all(|byte| *byte >= 32 && *byte != 127), "{:?}", String::from_utf8_lossy(&out));
    }
}
