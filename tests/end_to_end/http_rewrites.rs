//! What rules make of messages, side by side with HAProxy: the bytes that origins are sent, the bytes that clients get
//! (but for the case of header names), and how long variables live.

use std::io::{Read, Write};

use crate::support::*;

same_as_haproxy!(
    headers_of_requests,
    targets_of_requests,
    normalized_targets,
    authorities_of_requests,
    headers_of_responses,
    rules_after_responses,
    answers_of_response_rules,
    addresses_in_headers,
    unique_ids_in_headers,
    variables_live_as_long_as_their_scope,
);

on_each_proxy!(bodies_are_compressed_whole);

const REQUESTS: [&str; 4] = [
    "GET /path/to%20it?a=1&b=2 HTTP/1.1\r\nHost: orig:80\r\nX-List: one, two,one\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n",
    "GET http://orig/abs?q HTTP/1.1\r\nHost: orig\r\nX-List: one\r\n\r\n",
    "GET / HTTP/1.0\r\nX-List: two\r\n\r\n",
    "POST /form HTTP/1.1\r\nHost: orig\r\nContent-Length: 3\r\n\r\nabc",
];

/// Each set of rules in a proxy of its own, each request on a connection of its own.
fn each(flavour: Flavour, rule_sets: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    for rules in rule_sets {
        let lines: String = rules.split(';').map(|rule| format!("    {rule}\n")).collect();
        let mut lab = Lab::plain(flavour, &lines);
        lab.note(format!("rules: {rules}"));
        for request in REQUESTS {
            lab.ask(request);
        }
        notes.extend(lab.finish(REQUESTS.len()));
    }
    notes
}

fn headers_of_requests(flavour: Flavour) -> Vec<String> {
    let sets = [
        "http-request add-header x-twice 3;http-request set-header x-list %[req.hdr(x-list),length]",
        "http-request set-header x-new a%%b\\ %[path]\\ %HM;http-request del-header x-twice",
        "http-request del-header x- -m beg;http-request del-header ICE -m sub",
        "http-request replace-header x-list (.*)one(.*) \\1ONE\\2",
        "http-request replace-value x-list ^o(.*)e$ <\\1>;http-request replace-value x-twice 2 %[method]",
        "http-request set-header x-cap none;http-request set-header x-cap some if { hdr_cnt(x-twice) gt 1 }",
        "http-request set-header x-first %[req.hdr(x-twice,1)];http-request set-header x-last %[req.hdr(x-twice,-1)]",
        "http-request allow if { method POST };http-request set-header x-late 1",
    ];
    each(flavour, &sets)
}

fn targets_of_requests(flavour: Flavour) -> Vec<String> {
    let sets = [
        "http-request set-method PUT if { method POST }",
        "http-request set-path /new%[path]",
        "http-request set-pathq /new?%[query]",
        "http-request set-query x=%[path]",
        "http-request set-query x=1 if { method POST };http-request replace-path /(.*) /pre/\\1",
        "http-request replace-pathq ([^?]*)(\\?.*)? \\1.php\\2",
        "http-request replace-uri ^/(.*)$ /uri/\\1",
    ];
    each(flavour, &sets)
}

fn normalized_targets(flavour: Flavour) -> Vec<String> {
    let mut setup = Setup::new(flavour);
    setup.global.push("expose-experimental-directives".to_string());
    let origins = vec![HttpOrigin::named("s1")];
    let lines = "    http-request normalize-uri path-merge-slashes\n    http-request normalize-uri path-strip-dot\n    \
        http-request normalize-uri path-strip-dotdot\n    http-request normalize-uri percent-to-uppercase\n    \
        http-request normalize-uri percent-decode-unreserved\n    http-request normalize-uri query-sort-by-name";
    let text = lab::listen_section(&origins, lines);
    let mut lab = Lab::start_with(setup, origins, &text);
    let targets = ["/a//b/./c/../d", "/%c3%a4/%7euser?b=2&a=1&b=1", "/../../x", "/y//z/..?z", "/a/..//../b?", "/"];
    for target in targets {
        lab.ask(get(target));
    }
    lab.finish(targets.len())
}

/// Host follows the authority that a rule writes into the target.
fn authorities_of_requests(flavour: Flavour) -> Vec<String> {
    let sets = [
        "http-request set-uri http://new.example/z",
        "http-request set-uri http://new.example:8080/z?q",
        "http-request set-uri https://user@new.example/z",
        "http-request set-uri new.example",
        "http-request set-uri /relative",
        "http-request replace-uri ^([^/:]*://[^/]*)?(.*) http://q.example\\2",
        "http-request set-header host other.example",
        "http-request set-header host other;http-request set-uri http://new.example/z",
        "http-request set-uri http://new.example/z;http-request set-header host third",
        "http-request del-header host",
    ];
    each(flavour, &sets)
}

fn headers_of_responses(flavour: Flavour) -> Vec<String> {
    let sets = [
        "http-response add-header x-server two;http-response set-header x-new %[res.hdr(x-server)]:%[status]",
        "http-response del-header x-server",
        "http-response replace-header x-server s(.*) S-\\1;http-response replace-value x-server 1 one",
        "http-response set-status 503 reason \"Slow Down\" if { status 200 }",
        "http-response set-status 404;http-response set-header x-status %[status]",
        "http-request set-var(txn.path) path;http-response set-header x-path %[var(txn.path)]",
    ];
    each(flavour, &sets)
}

fn rules_after_responses(flavour: Flavour) -> Vec<String> {
    let sets = [
        "http-after-response set-header x-after %[status];http-after-response add-header x-server again",
        "http-after-response del-header x-server;http-after-response set-status 201",
        "http-after-response replace-value x-server 1 one;http-after-response replace-header x-server s(.*) t\\1",
    ];
    let mut notes = each(flavour, &sets);
    // An answer of the proxy's own has them, too.
    let mut lab = Lab::plain(
        flavour,
        "    http-request deny deny_status 429\n    http-after-response set-header x-after %[status]",
    );
    let response = lab.client().get("/");
    lab.note(format!("{} {:?}", response.status, response.header("x-after")));
    notes.extend(lab.finish(1));
    notes
}

fn answers_of_response_rules(flavour: Flavour) -> Vec<String> {
    let rules = "    http-response return status 202 content-type text/plain string body if { status 201 }\n    \
        http-response redirect location /elsewhere if { status 404 }\n    \
        http-response deny deny_status 500 if { status 503 }";
    let mut lab = Lab::plain(flavour, rules);
    for status in [200, 201, 404, 503] {
        let response = lab.client().get(&format!("/?status={status}"));
        match response.status {
            500 => lab.note_local(&response),
            _ => lab.note_answer(&response),
        }
    }
    let mut notes = lab.finish(4);
    // Not a byte for the client of this one.
    let mut lab = Lab::plain(flavour, "    tcp-response content reject");
    let mut client = connect(lab.port);
    client.write_all(get("/").as_bytes()).expect("a request");
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    lab.note(format!("{answer:?}"));
    notes.extend(lab.finish(1));
    notes
}

fn addresses_in_headers(flavour: Flavour) -> Vec<String> {
    let sets = [
        "option forwardfor",
        "option forwardfor header X-Client if-none;http-request set-header x-client given if { method POST }",
        "option forwardfor except 127.0.0.0/8",
        "option originalto",
        "option originalto header X-Dst except 10.0.0.0/8",
        "http-request set-src hdr(x-none);http-request set-src str(192.0.2.7);option forwardfor",
        "http-request set-dst str(192.0.2.9);option originalto",
    ];
    each(flavour, &sets)
}

fn unique_ids_in_headers(flavour: Flavour) -> Vec<String> {
    let sets = [
        "unique-id-format %{+X}o%fi-%[path,length]-%HM;unique-id-header X-Unique",
        "unique-id-format id-%[path];unique-id-header X-Unique;http-response set-header x-id %[unique-id]",
    ];
    each(flavour, &sets)
}

fn variables_live_as_long_as_their_scope(flavour: Flavour) -> Vec<String> {
    let rules = "    http-request set-header x-seen %[var(proc.v)]/%[var(sess.v)]/%[var(txn.v)]/%[var(req.v)]/%[var(res.v)]\n    \
        http-request set-var(proc.v) path\n    http-request set-var(sess.v) path\n    http-request set-var(txn.v) path\n    \
        http-request set-var(req.v) path\n    \
        http-request set-header x-set %[var(proc.v)]/%[var(sess.v)]/%[var(txn.v)]/%[var(req.v)]/%[var(res.v)]\n    \
        http-request unset-var(txn.gone)\n    http-response set-var(res.v) status\n    \
        http-response set-header x-late %[var(proc.v)]/%[var(sess.v)]/%[var(txn.v)]/%[var(req.v)]/%[var(res.v)]\n    \
        capture request header host len 10\n    \
        http-after-response set-header x-last %[var(txn.v)]/%[var(req.v)]/%[var(res.v)]";
    let mut lab = Lab::plain(flavour, rules);
    let (mut one, mut other) = (lab.client(), lab.client());
    for target in ["/a", "/b", "/c"] {
        for client in [&mut one, &mut other] {
            let response = client.get(target);
            lab.note_answer(&response);
            // Its line is written before the next request comes.
            lab.settle();
        }
    }
    drop((one, other));
    lab.finish(6)
}

fn inflated(body: &[u8], raw: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    match raw {
        true => flate2::read::ZlibDecoder::new(body).read_to_end(&mut bytes),
        false => flate2::read::GzDecoder::new(body).read_to_end(&mut bytes),
    }
    .expect("a whole compressed body");
    bytes
}

/// Both algorithms, lengths and chunks, through the whole program; what is not to be compressed is not.
fn bodies_are_compressed_whole(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        let body = pattern(exchange.number("size").unwrap_or(0) as usize);
        let kind = exchange.query("type").unwrap_or("text/plain").to_string();
        if exchange.query("framing") == Some("chunked") {
            exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"));
            exchange.send(chunked(&body, 777, &[]));
        } else {
            exchange.answer("200 OK", &format!("Content-Type: {kind}\r\n"), &body);
        }
        Next::Keep
    });
    let lines = "    compression algo gzip deflate\n    compression type text/plain";
    let lab = Lab::listen(flavour, vec![origin], lines);
    let mut client = lab.client();
    for (accepts, raw) in [("gzip", false), ("deflate", true)] {
        for size in [1, 5000, 300_000] {
            for framing in ["length", "chunked"] {
                let response = client.ask(format!(
                    "GET /?size={size}&framing={framing} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: {accepts}\r\n\r\n"
                ));
                assert_eq!(response.header("content-encoding"), Some(accepts), "{size} {framing}");
                assert!(inflated(&response.body.bytes, raw) == pattern(size), "{accepts} {size} {framing}");
            }
        }
    }
    for (header, kind) in
        [("Accept-Encoding: gzip\r\n", "image/png"), ("", "text/plain"), ("Accept-Encoding: br\r\n", "text/plain")]
    {
        let response = client.ask(format!("GET /?size=5000&type={kind} HTTP/1.1\r\nHost: test\r\n{header}\r\n"));
        assert_eq!(response.header("content-encoding"), None, "{header}{kind}");
        assert!(response.body.bytes == pattern(5000), "{header}{kind}");
    }
}
