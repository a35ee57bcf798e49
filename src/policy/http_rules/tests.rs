//! Every action on a message, from the lines of a configuration.

use super::*;
use crate::config::load::load_text;
use crate::policy::exchange::{Client, Exchange, Sockets};
use crate::policy::log_format::Endpoint;
use crate::shared::{Shared, ThreadShared};
use proptest::prelude::*;

struct NoSockets;

impl Sockets for NoSockets {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::Ip(([10, 0, 0, 1], 80).into())
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn round_trip_us(&self, _: bool) -> Option<(u32, u32)> {
        None
    }
}

/// A `listen` section with these lines, and one exchange.
struct Bench {
    shared: ThreadShared,
    client: Client,
    exchange: Exchange,
}

impl Bench {
    fn new(lines: &str) -> Bench {
        Bench::with_sections("", lines)
    }

    fn with_sections(sections: &str, lines: &str) -> Bench {
        let text = format!(
            "{sections}\ndefaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
             listen web\n bind 127.0.0.1:20080\n{lines}\n"
        );
        let loaded = load_text("rules.cfg", &text);
        let messages: Vec<_> = loaded.diagnostics.messages.iter().map(|message| &message.text).collect();
        let config = loaded.config.unwrap_or_else(|| panic!("{messages:#?}"));
        let shared = Shared::new(Arc::new(config), 1, 0, 0);
        let mut bench = Bench {
            shared: ThreadShared::new(Arc::new(shared)),
            client: Client::default(),
            exchange: Exchange::default(),
        };
        bench.client.frontend = Some(ProxyId(0));
        bench.exchange.request.start_request(b"GET", b"/a/b?q=1", Version::Http11);
        bench.exchange.request.add_header(b"Host", b"example.org");
        bench
    }

    fn run<T>(&mut self, stage: Stage, with: impl FnOnce(&mut Scope) -> T) -> T {
        let mut scope = Scope {
            shared: &self.shared,
            worker: 0,
            monotonic_us: 1,
            wall_us: 1,
            stage,
            proxy: ProxyId(0),
            client: &mut self.client,
            exchange: &mut self.exchange,
            sockets: &NoSockets,
            payload: b"",
            is_payload_complete: true,
            hostname: "host",
        };
        with(&mut scope)
    }

    fn request(&mut self) -> RequestVerdict {
        self.run(Stage::Request, |scope| request(scope, 0))
    }

    fn response(&mut self) -> ResponseVerdict {
        self.exchange.response.start_response(Version::Http11, 200, b"OK");
        self.exchange.response.add_header(b"Server", b"x");
        self.run(Stage::Response, |scope| response(scope, 0))
    }
}

fn text_of(message: &Message) -> String {
    let mut bytes = Vec::new();
    message.write_to(&mut bytes);
    String::from_utf8(bytes).expect("text")
}

/// The request's head after these lines, without its end.
#[track_caller]
fn request_after(lines: &str) -> String {
    let mut bench = Bench::new(lines);
    assert!(matches!(bench.request(), RequestVerdict::Continue), "{lines}");
    text_of(&bench.exchange.request).trim_end().to_owned()
}

#[track_caller]
fn answer(lines: &str) -> Reply {
    answer_of(Bench::new(lines))
}

#[track_caller]
fn answer_of(mut bench: Bench) -> Reply {
    match bench.request() {
        RequestVerdict::Answer(reply) | RequestVerdict::Tarpit(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn head_of(reply: &Reply) -> String {
    let mut message = Message::default();
    reply.write_head(&mut message);
    text_of(&message)
}

#[test]
fn headers_are_added_set_deleted_and_replaced() {
    let lines = "http-request add-header X-A 1\n http-request add-header X-A 2\n http-request set-header X-B b\n \
                 http-request set-header x-b c\n http-request replace-header X-A ^(.)$ <\\1>\n \
                 http-request add-header X-Del 1\n http-request del-header x-del\n \
                 http-request add-header Gone-1 x\n http-request add-header Gone-2 x\n \
                 http-request del-header gone -m beg";
    assert_eq!(request_after(lines), "GET /a/b?q=1 HTTP/1.1\r\nHost: example.org\r\nX-A: <1>\r\nX-A: <2>\r\nx-b: c");
    let list = "http-request set-header X 'a, b,c'\n http-request replace-value X ^b$ B";
    assert!(request_after(list).ends_with("X: a, B,c"));
}

#[test]
fn targets_and_methods_are_rewritten() {
    let first = |lines: &str| request_after(lines).lines().next().unwrap_or_default().to_owned();
    assert_eq!(first("http-request set-method POST"), "POST /a/b?q=1 HTTP/1.1");
    assert_eq!(first("http-request set-path /x"), "GET /x?q=1 HTTP/1.1");
    assert_eq!(first("http-request set-pathq /x"), "GET /x HTTP/1.1");
    assert_eq!(first("http-request set-query a=b"), "GET /a/b?a=b HTTP/1.1");
    assert_eq!(first("http-request set-uri /z?y"), "GET /z?y HTTP/1.1");
    assert_eq!(first("http-request replace-path (.*) /foo\\1"), "GET /foo/a/b?q=1 HTTP/1.1");
    assert_eq!(first("http-request replace-pathq ([^?]*)(\\?(.*))? \\1/foo\\2"), "GET /a/b/foo?q=1 HTTP/1.1");
    assert_eq!(first("http-request replace-uri ^/a(.*) /A\\1"), "GET /A/b?q=1 HTTP/1.1");
    assert_eq!(first("http-request replace-uri nothing /x"), "GET /a/b?q=1 HTTP/1.1");
    assert_eq!(first("http-request normalize-uri query-sort-by-name"), "GET /a/b?q=1 HTTP/1.1");
}

#[test]
fn a_target_with_an_authority_and_host_say_the_same() {
    let lines = "http-request set-uri http://new.example/p\n http-request set-header X 1";
    assert_eq!(request_after(lines), "GET http://new.example/p HTTP/1.1\r\nHost: new.example\r\nX: 1");
    let mut bench = Bench::new("http-request set-header Host other:81");
    bench.exchange.request.set_target(b"http://example.org/p?q");
    assert!(matches!(bench.request(), RequestVerdict::Continue));
    assert_eq!(text_of(&bench.exchange.request), "GET http://other:81/p?q HTTP/1.1\r\nHost: other:81\r\n\r\n");
}

#[test]
fn a_rewrite_that_cannot_stand_in_a_head_is_an_internal_error_in_strict_mode() {
    for line in ["set-path '/a b'", "set-method 'A B'", "set-uri '/a b'", "set-query 'x y'", "replace-path .* '/ x'"] {
        let reply = answer(&format!("http-request {line}"));
        assert_eq!((reply.status, reply.termination), (500, Some(*b"IR")), "{line}");
        let lines = format!("http-request strict-mode off\n http-request {line}\n http-request set-header X 1");
        assert!(request_after(&lines).starts_with("GET /a/b?q=1 HTTP/1.1\r\n"), "{line}");
    }
}

#[test]
fn denials_and_their_pages() {
    let reply = answer("http-request deny");
    assert_eq!((reply.status, reply.termination, reply.close), (403, Some(*b"PR"), false));
    assert!(head_of(&reply).contains("content-type: text/html\r\n"));
    assert_eq!(answer("http-request deny deny_status 429").status, 429);
    assert_eq!(
        head_of(&answer("http-request deny status 418")),
        "HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n"
    );
    let reply = answer("http-request return status 404 content-type text/plain string hello hdr X-A b");
    assert_eq!(
        head_of(&reply),
        "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\ncontent-type: text/plain\r\nX-A: b\r\n\r\n"
    );
    assert_eq!((&*reply.body, reply.termination), (&b"hello"[..], Some(*b"LR")));
    assert_eq!(head_of(&answer("http-request return status 204")), "HTTP/1.1 204 No Content\r\n\r\n");
    assert!(
        matches!(Bench::new("http-request tarpit").request(), RequestVerdict::Tarpit(reply) if reply.status == 500)
    );
    assert!(matches!(Bench::new("http-request reject").request(), RequestVerdict::Reject));
    assert!(matches!(Bench::new("http-request silent-drop").request(), RequestVerdict::SilentDrop));
}

#[test]
fn allow_ends_the_rules() {
    assert!(matches!(Bench::new("http-request allow\n http-request deny").request(), RequestVerdict::Continue));
}

#[test]
fn passwords_are_asked_for() {
    let reply = answer("http-request auth realm 'a \"b\"'");
    assert_eq!((reply.status, reply.termination), (401, Some(*b"LR")));
    assert!(head_of(&reply).contains("\r\nwww-authenticate: Basic realm=\"a \\\"b\\\"\"\r\n"));
    assert!(head_of(&answer("http-request auth")).contains("Basic realm=\"web\""));
    let mut bench = Bench::new("option http-use-proxy-header\n http-request auth");
    bench.exchange.request.set_target(b"http://example.org/");
    let head = head_of(&answer_of(bench));
    assert!(head.starts_with("HTTP/1.1 407 ") && head.contains("proxy-authenticate: Basic"), "{head}");
}

#[test]
fn redirects_go_where_the_manual_says() {
    let location = |line: &str| {
        let reply = answer(&format!("http-request redirect {line}"));
        let head = head_of(&reply);
        let location = head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
        (reply.status, location.to_owned())
    };
    assert_eq!(location("location /x"), (302, "/x".into()));
    assert_eq!(location("location /x code 301"), (301, "/x".into()));
    assert_eq!(location("prefix http://h"), (302, "http://h/a/b?q=1".into()));
    assert_eq!(location("prefix http://h drop-query"), (302, "http://h/a/b".into()));
    assert_eq!(location("prefix / drop-query append-slash code 308"), (308, "/a/b/".into()));
    assert_eq!(location("scheme https"), (302, "https://example.org/a/b?q=1".into()));
    let head = head_of(&answer("http-request redirect location / set-cookie SEEN=1"));
    assert!(head.contains("set-cookie: SEEN=1; path=/;\r\n") && head.contains("cache-control: no-cache\r\n"), "{head}");
    let head = head_of(&answer("http-request redirect location / clear-cookie ID= code 301"));
    assert!(head.contains("set-cookie: ID=; path=/; Max-Age=0;\r\n") && !head.contains("cache-control"), "{head}");
}

#[test]
fn redirect_lines_come_after_the_rules_and_block_before() {
    let mut bench = Bench::new("redirect location /%[x]\n http-request set-header X 1");
    assert!(matches!(bench.request(), RequestVerdict::Continue));
    let reply = bench.run(Stage::Request, redirects).expect("a redirection");
    assert!(head_of(&reply).contains("location: /%[x]\r\n"), "no format in a bare redirect");
}

#[test]
fn what_a_rule_sets_for_later() {
    let mut bench = Bench::new(
        "http-request set-log-level silent\n http-request disable-l7-retry\n http-request set-timeout server 5s\n \
         http-request set-timeout tunnel 1h\n http-request set-timeout client 2s",
    );
    assert!(matches!(bench.request(), RequestVerdict::Continue));
    let exchange = &bench.exchange;
    assert_eq!((exchange.log_level, exchange.is_l7_retry_disabled), (Some(8), true));
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    let timeouts = exchange.timeouts;
    assert_eq!([timeouts.server, timeouts.tunnel, timeouts.client].map(seconds), [Some(5), Some(3600), Some(2)]);
}

#[test]
fn a_body_is_waited_for_once() {
    let mut bench = Bench::new("http-request wait-for-body time 1s at-least 4\n http-request deny");
    let RequestVerdict::WaitForBody { time, at_least_bytes: 4, resume } = bench.request() else { panic!("no wait") };
    assert_eq!(time, Duration::from_secs(1));
    let verdict = bench.run(Stage::Request, |scope| request(scope, resume));
    assert!(matches!(verdict, RequestVerdict::Answer(_)));
    bench.exchange.request_body = b"1234".to_vec();
    assert!(matches!(bench.request(), RequestVerdict::Answer(_)), "enough is there");
}

#[test]
fn strict_mode_outlives_a_wait() {
    let lines = "http-request strict-mode off\n http-request wait-for-body time 1s\n http-request set-path '/ '";
    let mut bench = Bench::new(lines);
    let RequestVerdict::WaitForBody { resume, .. } = bench.request() else { panic!("no wait") };
    assert!(matches!(bench.run(Stage::Request, |scope| request(scope, resume)), RequestVerdict::Continue));
}

#[test]
fn early_hints_are_responses_of_their_own() {
    let mut bench = Bench::new("http-request early-hint Link '</s>; rel=preload'\n http-request deny");
    let RequestVerdict::EarlyHint { hint, resume } = bench.request() else { panic!("no hint") };
    assert_eq!(text_of(&hint), "HTTP/1.1 103 Early Hints\r\nLink: </s>; rel=preload\r\n\r\n");
    assert!(matches!(bench.run(Stage::Request, |scope| request(scope, resume)), RequestVerdict::Answer(_)));
}

#[test]
fn responses_have_their_rules() {
    let mut bench = Bench::new(
        "http-response set-status 503 reason 'Slow Down'\n http-response del-header server\n \
         http-response set-header X 1",
    );
    assert!(matches!(bench.response(), ResponseVerdict::Continue));
    assert_eq!(text_of(&bench.exchange.response), "HTTP/1.1 503 Slow Down\r\nX: 1\r\n\r\n");
    let mut bench = Bench::new("http-response deny");
    let ResponseVerdict::Answer(reply) = bench.response() else { panic!("no answer") };
    assert_eq!((reply.status, reply.termination), (502, Some(*b"PH")));
    let mut bench = Bench::new("http-response redirect location /moved");
    let ResponseVerdict::Answer(reply) = bench.response() else { panic!("no answer") };
    assert_eq!((reply.status, reply.termination), (302, Some(*b"LH")));
    let mut bench = Bench::new("http-after-response set-header X after\n http-after-response set-status 201");
    assert!(matches!(bench.response(), ResponseVerdict::Continue));
    assert!(bench.run(Stage::Response, after_response));
    assert_eq!(text_of(&bench.exchange.response), "HTTP/1.1 201 Created\r\nServer: x\r\nX: after\r\n\r\n");
}

#[test]
fn error_pages_are_replaced() {
    let lines = "errorloc 403 /sorry\n http-error status 503 content-type text/plain string down\n http-request deny";
    let mut bench = Bench::new(lines);
    let page = |bench: &mut Bench, status| bench.run(Stage::Request, |scope| reply::error(scope, status));
    assert!(head_of(&answer(lines)).contains("location: /sorry\r\n"));
    assert_eq!(&*page(&mut bench, 503).body, b"down");
    assert!(page(&mut bench, 504).body.starts_with(b"<html>"));
    assert!(page(&mut bench, 400).close && !page(&mut bench, 503).close);

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "HTTP/1.0 503 Sorry\nContent-Type: a/b\n\nfrom a file").expect("written");
    let path = file.path().display();
    let sections = format!("http-errors pages\n errorfile 503 {path}\n errorfile 404 {path}\n");
    let mut bench = Bench::with_sections(&sections, "errorfiles pages 503\n errorfile 408 /dev/null");
    assert_eq!(&*page(&mut bench, 503).body, b"from a file");
    assert!(page(&mut bench, 404).body.starts_with(b"<html>"));
    assert!(page(&mut bench, 408).is_silent() && page(&mut bench, 408).close);
    let rule = "http-request deny status 404 errorfiles pages";
    assert_eq!(&*answer_of(Bench::with_sections(&sections, rule)).body, b"from a file");
}

#[test]
fn monitors_are_answered() {
    let mut bench = Bench::new("monitor-uri /alive");
    for target in [&b"/a"[..], b"/alive?x"] {
        bench.exchange.request.set_target(target);
        assert!(bench.run(Stage::Request, |scope| reply::is_monitor(scope)).is_none());
    }
    for target in [&b"/alive"[..], b"http://h/alive"] {
        bench.exchange.request.set_target(target);
        let reply = bench.run(Stage::Request, |scope| reply::is_monitor(scope)).expect("an answer");
        assert_eq!((reply.status, reply.is_logged), (200, false));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_rule_makes_two_lines_of_one(value in "[a-z\\\\0-9%: \r\n\t\u{0}]{1,12}", which in 0usize..8) {
        let rule = ["set-header X", "add-header X", "replace-header Host .*", "replace-value Host .*", "set-path",
            "set-query", "set-uri", "set-method"][which];
        // As a word of the configuration: every byte escaped, so that all of them arrive.
        let word: String = value.bytes().filter(|byte| *byte != 0).map(|byte| format!("\\x{byte:02x}")).collect();
        let word = if word.is_empty() { "x".into() } else { word };
        let text = format!("listen l\n mode http\n bind 127.0.0.1:20080\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n http-request {rule} {word}\n");
        prop_assume!(load_text("rules.cfg", &text).config.is_some());
        let mut bench = Bench::new(&format!("http-request {rule} {word}"));
        match bench.request() {
            RequestVerdict::Continue => {
                let text = text_of(&bench.exchange.request);
                let added = usize::from(which < 2);
                prop_assert_eq!(text.matches("\r\n").count(), 3 + added, "{:?}", text);
                prop_assert_eq!(text.matches(['\r', '\n']).count(), 2 * (3 + added), "{:?}", text);
                prop_assert_eq!(text.lines().next().unwrap_or_default().split(' ').count(), 3, "{:?}", text);
            }
            RequestVerdict::Answer(reply) => prop_assert_eq!(reply.status, 500),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn variables_and_samples_in_texts() {
    let lines = "http-request set-var(txn.a) path\n http-request set-var(txn.a,ifnotexists) str(no)\n \
                 http-request set-var-fmt(req.b) <%[var(txn.a)]>\n http-request set-header X %[var(req.b)]-%[method]\n \
                 http-request unset-var(req.b)\n http-request set-header Y [%[var(req.b)]]";
    let text = request_after(lines);
    assert!(text.ends_with("X: </a/b>-GET\r\nY: []"), "{text}");
}

#[test]
fn captures_are_cut_to_their_slots() {
    let mut bench = Bench::new(
        "declare capture response len 3\n http-request capture path len 2\n http-request capture req.hdr(host) len 99\n \
         http-response capture res.hdr(server),upper id 0",
    );
    assert!(matches!(bench.request(), RequestVerdict::Continue));
    assert!(matches!(bench.response(), ResponseVerdict::Continue));
    assert_eq!(bench.exchange.request_captures, [Some(b"/a".to_vec()), Some(b"example.org".to_vec())]);
    assert_eq!(bench.exchange.response_captures, [Some(b"X".to_vec())]);
}

#[test]
fn addresses_are_changed() {
    let lines = "http-request set-src req.hdr(x-from)\n http-request set-src-port int(99)\n \
                 http-request set-dst-port int(81)\n http-request set-timeout server int(1500)";
    let mut bench = Bench::new(lines);
    bench.client.source = Endpoint::Ip(([1, 2, 3, 4], 5).into());
    bench.exchange.request.add_header(b"X-From", b"9.8.7.6");
    assert!(matches!(bench.request(), RequestVerdict::Continue));
    assert_eq!(bench.client.source, Endpoint::Ip(([9, 8, 7, 6], 99).into()));
    assert_eq!(bench.client.destination, Some(Endpoint::Ip(([10, 0, 0, 1], 81).into())));
    assert_eq!(bench.exchange.timeouts.server, Some(Duration::from_millis(1500)));
}

#[test]
fn lists_change_while_requests_run() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "/old\n/stays\n").expect("written");
    let path = file.path().display();
    let lines = format!(
        "acl known path -f {path}\n http-request add-acl({path}) %[path]\n http-request add-acl({path}) /b\n \
         http-request del-acl({path}) /old"
    );
    let mut bench = Bench::new(&lines);
    for _ in 0..2 {
        assert!(matches!(bench.request(), RequestVerdict::Continue), "what is there is not added again");
    }
    let entries = bench.shared.pattern_files[0].entries();
    let patterns: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.pattern)).collect();
    assert_eq!(patterns, ["/stays", "/a/b", "/b"]);
}

#[test]
fn conditions_decide_about_rules() {
    let lines = "acl under_a path_beg /a\n http-request set-header X yes if under_a\n \
                 http-request set-header Y no unless under_a\n http-request deny if { method POST }";
    assert!(request_after(lines).ends_with("X: yes"));
    let reply = answer("http-request set-method POST\n http-request deny if { method POST }");
    assert_eq!(reply.status, 403);
    let reply = answer("http-request return status 404\n block if TRUE");
    assert_eq!((reply.status, reply.termination), (403, Some(*b"PR")), "block comes first");
    let mut bench = Bench::new("monitor-uri /alive\n monitor fail if { hdr(host) example.org }");
    bench.exchange.request.set_target(b"/alive");
    let reply = bench.run(Stage::Request, |scope| reply::is_monitor(scope)).expect("an answer");
    assert_eq!(reply.status, 503);
}

#[test]
fn users_of_a_list_get_in() {
    let list = "userlist people\n user ada insecure-password secret\n";
    let rule = "http-request auth realm x unless { http_auth(people) }";
    assert_eq!(answer_of(Bench::with_sections(list, rule)).status, 401);
    let mut bench = Bench::with_sections(list, rule);
    bench.exchange.request.add_header(b"Authorization", b"Basic YWRhOnNlY3JldA==");
    assert!(matches!(bench.request(), RequestVerdict::Continue));
}
