//! The HTTP cache (configuration.txt section 6), side by side with HAProxy.

use crate::support::http_origin::{Exchange, Next};
use crate::support::*;

same_as_haproxy!(
    hits_and_conditional_requests,
    what_is_stored,
    what_requests_say,
    unsafe_methods_forget,
    variants,
    found_by_the_frontend,
    compressed_on_the_way,
);

on_each_engine!(
    a_body_that_breaks_off_is_not_kept,
    a_variant_by_referer_alone,
    large_objects_and_figures,
    workers_share_what_is_stored,
    a_request_with_a_body_leaves_nothing_behind,
    one_body_for_many_slow_clients,
);

/// A response for each address: headers behind `h=`, blanks as `+`, `|` between lines; the body counts requests.
fn origin() -> HttpOrigin {
    let count = std::sync::atomic::AtomicUsize::new(0);
    HttpOrigin::start(move |exchange: &mut Exchange| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let lines = exchange.query("h").unwrap_or("Cache-Control:+max-age=600").replace('+', " ");
        let headers: String = lines.split('|').map(|line| format!("{line}\r\n")).collect();
        let status = exchange.query("status").unwrap_or("200 OK").replace('+', " ");
        let size = exchange.number("size").unwrap_or(0) as usize;
        let mut body = format!("answer {number} ").into_bytes();
        body.resize(body.len().max(size), b'x');
        if exchange.query("chunked").is_some() {
            let head = format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n{headers}\r\n{:x}\r\n", body.len());
            exchange.send([head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat());
        } else if exchange.query("cut").is_some() {
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len() + 1);
            exchange.send([head.as_bytes(), &body].concat());
            return Next::Close;
        } else {
            exchange.answer(&status, &headers, &body);
        }
        Next::Keep
    })
}

const CACHE: &str =
    "cache c\n    total-max-size 16\n    max-object-size 2000000\n    max-age 600\n    process-vary on\n";
const RULES: &str = "    http-request cache-use c\n    http-response cache-store c\n\
                     \x20   http-response replace-header Age [0-9]+ counted\n\
                     \x20   http-response set-header X-Hit \"%[res.cache_hit] %[res.cache_name]\"\n\
                     \x20   http-after-response set-header X-After yes\n";

fn lab(flavour: Flavour, more: &str) -> Lab {
    let text = format!("{CACHE}listen px\n    bind 127.0.0.1:{{port}}\n{RULES}{more}    server s1 {{s1}}\n");
    Lab::start(flavour, vec![origin()], &text)
}

fn request(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n")
}

fn hits_and_conditional_requests(flavour: Flavour) -> Vec<String> {
    let mut lab = lab(flavour, "");
    let tagged = "/a?h=Cache-Control:+max-age=600|ETag:+\"v1\"|Last-Modified:+Sun,+06+Nov+1994+08:49:37+GMT";
    let mut asked = 0;
    for headers in [
        "",
        "",
        "If-None-Match: \"v1\"\r\n",
        "If-None-Match: \"x\", W/\"v1\"\r\n",
        "If-None-Match: *\r\n",
        "If-None-Match: \"v2\"\r\n",
        "If-None-Match: \"v2\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
        "If-Modified-Since: nonsense\r\n",
        "Connection: close\r\n",
    ] {
        lab.ask(request(tagged, headers));
        asked += 1;
    }
    let mut client = lab.client();
    for target in ["/c?chunked=1", "/c?chunked=1", "/empty?chunked=1", "/d", "/d", "/d"] {
        let response = client.get(target);
        lab.note_answer(&response);
        asked += 1;
    }
    for target in ["/d", "/c?chunked=1"] {
        let response = client.ask(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        lab.note_answer(&response);
        asked += 1;
    }
    drop(client);
    lab.ask("GET /d HTTP/1.1\r\nHost: other\r\n\r\n");
    lab.ask("GET /d HTTP/1.0\r\nHost: test\r\n\r\n");
    lab.finish(asked + 2)
}

fn what_is_stored(flavour: Flavour) -> Vec<String> {
    let mut lab = lab(flavour, "");
    let targets = [
        "/?h=X:+1",
        "/?h=ETag:+\"a\"",
        "/?h=Last-Modified:+Sun,+06+Nov+1994+08:49:37+GMT",
        "/?h=Cache-Control:+public",
        "/?h=Cache-Control:+max-age=0",
        "/?h=Cache-Control:+max-age=0,+s-maxage=60",
        "/?h=Cache-Control:+s-maxage=60",
        "/?h=Cache-Control:+private,+max-age=60",
        "/?h=Cache-Control:+no-store,+max-age=60",
        "/?h=Cache-Control:+max-age=60,+no-cache",
        "/?h=Pragma:+no-cache|ETag:+\"a\"",
        "/?h=Pragma:+no-cache|Cache-Control:+max-age=60",
        "/?h=Expires:+Sun,+06+Nov+1994+08:49:37+GMT",
        "/?h=Expires:+Sun,+06+Nov+2094+08:49:37+GMT",
        "/?h=Expires:+0",
        "/?h=Cache-Control:+max-age=60|Set-Cookie:+a=b",
        "/?status=404+Not+Found",
        "/?status=203+Fine",
        "/?h=Cache-Control:+max-age=60|Vary:+*",
        "/?h=Cache-Control:+max-age=60|Vary:+Cookie",
        "/?size=1999000",
        "/?size=2100000",
    ];
    for target in targets {
        for _ in 0..2 {
            lab.ask(request(target, ""));
        }
    }
    lab.finish(targets.len() * 2)
}

fn what_requests_say(flavour: Flavour) -> Vec<String> {
    let mut lab = lab(flavour, "");
    let headers = [
        "Authorization: Basic eA==\r\n",
        "Cache-Control: no-store\r\n",
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=0\r\n",
        "Pragma: no-cache\r\n",
        "Cache-Control: only-if-cached\r\nPragma: no-cache\r\n",
    ];
    for (index, header) in headers.iter().enumerate() {
        for target in [format!("/{index}"), format!("/{index}?h=Cache-Control:+public,+max-age=60")] {
            lab.ask(request(&target, header));
            lab.ask(request(&target, ""));
            lab.ask(request(&target, header));
        }
    }
    lab.finish(headers.len() * 6)
}

fn unsafe_methods_forget(flavour: Flavour) -> Vec<String> {
    let mut lab = lab(flavour, "");
    let mut asked = 0;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for status in ["200+OK", "500+Broken"] {
            let target = format!("/{method}?s={status}");
            lab.ask(request(&target, ""));
            let other = if status.starts_with('5') { "&status=500+Broken" } else { "" };
            // What failed has another address here: the origin knows it by its query.
            lab.ask(format!("{method} {target}{other} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
            lab.ask(request(&target, ""));
            asked += 3;
        }
    }
    lab.finish(asked)
}

fn variants(flavour: Flavour) -> Vec<String> {
    let mut lab = lab(flavour, "");
    let by_coding = "/a?h=Cache-Control:+max-age=60|Vary:+Accept-Encoding|Content-Encoding:+gzip";
    let by_referer = "/b?h=Cache-Control:+max-age=60|Vary:+accept-encoding,referer";
    let plain = "/c?h=Cache-Control:+max-age=60|Vary:+Accept-Encoding";
    let unknown = "/d?h=Cache-Control:+max-age=60|Vary:+Accept-Encoding|Content-Encoding:+mine";
    let asks = [
        (by_coding, "Accept-Encoding: gzip, br\r\n"),
        (by_coding, "Accept-Encoding: GZIP\r\n"),
        (by_coding, "Accept-Encoding: gzip;q=0.5\r\n"),
        (by_coding, "Accept-Encoding: *\r\n"),
        (by_referer, "Referer: http://a/\r\n"),
        (by_referer, "Referer: http://a/\r\n"),
        (by_referer, "Referer: http://b/\r\n"),
        (by_referer, ""),
        (by_referer, ""),
        (by_referer, "Referer: http://a/\r\n"),
        (plain, "Accept-Encoding: br\r\n"),
        (plain, "Accept-Encoding: gzip\r\n"),
        (plain, ""),
        (unknown, "Accept-Encoding: gzip\r\n"),
        (unknown, "Accept-Encoding: gzip\r\n"),
    ];
    for (target, headers) in asks {
        lab.ask(request(target, headers));
    }
    lab.finish(asks.len())
}

fn found_by_the_frontend(flavour: Flavour) -> Vec<String> {
    let text = format!(
        "{CACHE}frontend px\n    bind 127.0.0.1:{{port}}\n{RULES}    http-request set-header X-Later yes\n\
         \x20   default_backend be\nbackend be\n    cookie SRV insert\n    server s1 {{s1}} cookie s1\n"
    );
    let mut lab = Lab::start(flavour, vec![origin()], &text);
    for _ in 0..3 {
        lab.ask(request("/", ""));
    }
    lab.finish(3)
}

fn compressed_on_the_way(flavour: Flavour) -> Vec<String> {
    let mut lab = lab(flavour, "    compression algo gzip\n    filter cache c\n    filter compression\n");
    for (headers, codings) in [("Accept-Encoding: gzip\r\n", 2), ("", 1), ("Accept-Encoding: gzip\r\n", 1)] {
        for _ in 0..codings {
            let response = lab.client().ask(request("/?size=100000", headers));
            let coding = response.header("content-encoding").unwrap_or("none").to_owned();
            let (hit, is_small) = (response.header("x-hit").map(str::to_owned), response.body.bytes.len() < 50_000);
            lab.note(format!("{} {coding} {hit:?} {is_small}", response.status));
        }
    }
    let sent = lab.origin().seen().len();
    lab.note(format!("{sent} requests for all"));
    let notes = lab.finish(4);
    // Compressed sizes, in the log, are each library's own.
    notes.into_iter().filter(|note| note.contains("Some(") || note.contains("for all")).collect()
}

fn a_body_that_breaks_off_is_not_kept(flavour: Flavour) {
    let lab = lab(flavour, "");
    for number in 1..3 {
        let mut client = lab.client();
        client.send(request("/?cut=1", ""));
        assert!(client.try_response("GET").is_err());
        assert_eq!(lab.origin().seen().len(), number);
    }
}

/// HAProxy 2.6 stores these and never finds them again; RFC 9111 section 4.1 lets them be delivered.
fn a_variant_by_referer_alone(flavour: Flavour) {
    let lab = lab(flavour, "");
    let target = "/b?h=Cache-Control:+max-age=60|Vary:+referer";
    let asks = ["Referer: http://a/\r\n", "Referer: http://a/\r\n", "Referer: http://b/\r\n", "", ""];
    let bodies = asks.map(|headers| lab.client().ask(request(target, headers)).body.bytes);
    assert_eq!(bodies.map(|body| body[7]), *b"00122");
    assert_eq!(lab.origin().seen().len(), 3);
}

/// A body that no server reads must not be taken for the next request.
fn a_request_with_a_body_leaves_nothing_behind(flavour: Flavour) {
    let lab = lab(flavour, "");
    lab.client().get("/");
    let inner = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";
    let outer = format!("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", inner.len());
    // At once, and with the body later than the answer.
    for parts in [vec![format!("{outer}{inner}")], vec![outer, inner.to_owned()]] {
        let mut client = lab.client();
        for part in parts {
            client.try_send(part);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        client.try_send(request("/after", ""));
        while client.try_response("GET").is_ok() {}
    }
    assert!(lab.origin().seen().iter().all(|seen| !seen.head.word(1).contains("smuggled")));
}

/// An object that is pushed out while it is being sent reaches everybody whole.
fn one_body_for_many_slow_clients(flavour: Flavour) {
    let lab = lab(flavour, "");
    let target = "/slow?size=1900000";
    let whole = lab.client().get(target).body.bytes;
    let mut waiting: Vec<_> = (0..20).map(|_| lab.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(request(target, "")));
    for number in 0..9 {
        lab.client().get(&format!("/{number}?size=1900000"));
    }
    for client in &mut waiting {
        assert!(client.try_response("GET").is_ok_and(|response| response.body.bytes == whole));
    }
}

fn large_objects_and_figures(flavour: Flavour) {
    let lab = lab(flavour, "");
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let response = lab.client().get("/?size=1900000");
        assert_eq!(response.status, 200);
        bodies.push(response.body.bytes);
    }
    assert!(bodies[0].len() == 1_900_000 && bodies[1] == bodies[0] && bodies[2] == bodies[0]);
    assert_eq!(lab.origin().seen().len(), 1);
    lab.settle();
    let csv = stats::get(lab.proxy.stats_address(), "/stats;csv").body;
    let table = stats::Table::parse(&csv);
    assert_eq!(table.number("px", "FRONTEND", "cache_lookups"), 3);
    assert_eq!(table.number("px", "FRONTEND", "cache_hits"), 2);
    // Eight more of them do not fit: the first ones go.
    for number in 0..9 {
        lab.client().get(&format!("/{number}?size=1900000"));
    }
    let before = lab.origin().seen().len();
    lab.client().get("/8?size=1900000");
    assert_eq!(lab.origin().seen().len(), before);
    lab.client().get("/0?size=1900000");
    assert_eq!(lab.origin().seen().len(), before + 1);
}

fn workers_share_what_is_stored(flavour: Flavour) {
    let port = ports::free_port();
    let mut setup = Setup::new(flavour);
    setup.workers = 2;
    setup.defaults.insert(0, "mode http".to_string());
    let origin = origin();
    let text = format!("{CACHE}listen px\n    bind 127.0.0.1:{port}\n{RULES}    server s1 {}\n", origin.address());
    let _proxy = setup.start(&text, &[port]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for target in 0..20 {
                    let response = http_client::ask(port, request(&format!("/{target}?size=30000"), ""));
                    assert_eq!((response.status, response.body.bytes.len()), (200, 30_000));
                }
            });
        }
    });
    let before = origin.seen().len();
    for _ in 0..20 {
        http_client::ask(port, request("/7?size=30000", ""));
    }
    assert_eq!(origin.seen().len(), before);
}
