//! Request lines, header lines and hosts that readers may understand differently (RFC 9112 sections 2 to 5).

use super::http_messages_more::{Case, SMUGGLED, get_with, passed, passed_then_closed, refused};
use crate::support::get;

pub fn all() -> Vec<Case> {
    [heads(), first_lines(), hosts()].into_iter().flatten().collect()
}

/// Lines, names and values.
fn heads() -> Vec<Case> {
    let mut cases = Vec::new();
    for byte in "\"(),/;<=>?@[\\]{}".chars().chain(['\u{7f}', '\u{80}', '\u{85}', '\u{a0}', '\u{b}', '\u{1}', '\0']) {
        cases.push(refused(&format!("name: with {byte:?}"), &get_with(&format!("X{byte}Y: z"))));
        cases.push(refused(&format!("method: with {byte:?}"), &get("/a").replacen("GET", &format!("G{byte}T"), 1)));
    }
    for byte in (0..32u8).chain([0x7f]).map(char::from).filter(|byte| !"\t\n\r".contains(*byte)) {
        cases.push(refused(&format!("value: with {byte:?}"), &get_with(&format!("X: a{byte}b"))));
        cases.push(refused(&format!("target: with {byte:?}"), &get(&format!("/a{byte}b"))));
    }
    cases.extend([
        refused("name: a line without colon", &get_with("X-Nothing")),
        refused("name: a colon alone", &get_with(":")),
        refused("name: blank and colon", &get_with("X: y\r\n : z")),
        refused("name: two words", &get_with("X Y: z")),
        refused("name: the first line folded", "GET /a HTTP/1.1\r\n\tX: y\r\nHost: t\r\n\r\n"),
        refused("name: a fold of blanks alone", &get_with("X: y\r\n   ")),
        refused("name: a bare CR starts a line", &get_with("X: y\n\rZ: 1")),
        refused("name: CR CR LF", &get_with("X: y\r")),
        refused("line: CR CR LF for the empty line", "GET /a HTTP/1.1\r\nHost: t\r\n\r\r\n"),
        refused("line: a blank before the request", " \r\nGET /a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: a NUL before the request", "\0GET /a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: a byte order mark", "\u{ef}\u{bb}\u{bf}GET /a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: a bare CR before the request", "\rGET /a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: many empty ones before the request", &format!("{}{}", "\r\n".repeat(20), get("/a"))),
        passed("line: LF alone", "GET /a HTTP/1.1\nHost: t\nX: y\n\n", &["host: t\r\n", "x: y\r\n"], &[]),
        passed("line: LF for the empty line", "GET /a HTTP/1.1\r\nHost: t\r\n\n", &["host: t\r\n"], &[]),
        passed("line: two empty ones before the request", &format!("\r\n\r\n{}", get("/a")), &["host: test"], &[]),
        passed("value: a colon first", &get_with("X:: y"), &["x: : y"], &[]),
        passed("value: none", &get_with("X:"), &["x: \r\n"], &[]),
        passed("value: blanks around", &get_with("X:\t  y z\t "), &["x: y z\r\n"], &[]),
        passed("value: bytes above ASCII", &get_with("X: \u{e9}\u{80}\u{ff}"), &["x: \u{e9}\u{80}\u{ff}\r\n"], &[]),
        passed("value: what looks like a request", &get_with("X: GET /smuggled HTTP/1.1"), &["x: get /smuggled"], &[]),
        passed("name: repeated", &get_with("X: 1\r\nX: 2\r\nx: 3"), &["x: 1\r\nx: 2\r\nx: 3\r\n"], &[]),
    ]);
    cases
}

fn first_lines() -> Vec<Case> {
    let versions = [
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/1.1.1",
        "HTTP/1,1",
        "HTTP/1.1\u{b}",
        "HTTP/a.b",
        "HTTP/1.a",
        "HTTP/3.0",
        "HTTP/0.9",
        "HTTP/2",
        "HTTP/9.9",
        "HTTP/0.0",
        "HTP/1.1",
        "HTTPS/1.1",
        "ICY/1.0",
        "SIP/2.0",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "HTTP/1.1HTTP/1.1",
        "HTTP\\1.1",
        "HTTP/1.1;x",
        "HTTP/1.\u{b9}",
        "Http/1.1",
        "HTTP/1.1\0",
        "HTTP/1.1\t",
        "HTTP / 1.1",
        "1.1",
        "HTTP",
    ];
    let mut cases: Vec<Case> = versions
        .iter()
        .map(|version| {
            refused(&format!("version: {version:?}"), &format!("GET /a {version}\r\nHost: t\r\n\r\n{SMUGGLED}"))
        })
        .collect();
    let targets = [
        "",
        "a",
        "?a",
        "*",
        "a/b",
        "#",
        "/a#b",
        "/a b",
        "/a\tb",
        "/\u{e9}",
        "http:/t/a",
        "http:a",
        "http:",
        "http://",
        "http:///a",
        "http://?a",
        "http://u/a",
        "http://t:81/a",
        "http://t,u/a",
        "http://t\\u/a",
        "http://u@t/a",
        "http://t@u/a",
        "http://t#b/a",
        "http://t:80:81/a",
        "http://t:8a/a",
        "http://[t/a",
        "http://t]/a",
        "http://[]/a",
        "http://t/a#b",
        "//u /a",
        "t:80",
        "\"/a\"",
        "<http://t/a>",
        "javascript:alert(1)",
        "data:,a",
    ];
    cases.extend(targets.iter().map(|target| {
        refused(&format!("target: {target:?}"), &format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n{SMUGGLED}"))
    }));
    cases.extend([
        refused("line: method alone", "GET\r\nHost: t\r\n\r\n"),
        refused("line: HTTP/0.9", "GET /a\r\n"),
        refused("line: HTTP/0.9 with a header", "GET /a\r\nHost: t\r\n\r\n"),
        refused("line: no method", "/a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: no target", "GET HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: two requests in one", "GET /a HTTP/1.1 GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: a bare CR within", "GET /a\rHTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        refused("line: the preface as HTTP/1.1", "PRI * HTTP/1.1\r\nHost: t\r\n\r\nSM\r\n\r\n"),
        refused("line: a response", "HTTP/1.1 200 OK\r\nHost: t\r\n\r\n"),
        refused("line: the PROXY protocol", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nGET /a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("line: SMTP", "EHLO t\r\nMAIL FROM:<a@b>\r\n\r\n"),
        refused("connect: of a path", "CONNECT /a HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("connect: of a URL", "CONNECT http://t:80/ HTTP/1.1\r\nHost: t:80\r\n\r\n"),
        refused("connect: no port", "CONNECT t: HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("connect: no host", "CONNECT :80 HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("connect: a path behind", "CONNECT t:80/a HTTP/1.1\r\nHost: t:80\r\n\r\n"),
        refused("connect: a star", "CONNECT * HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("connect: another host", "CONNECT t:443 HTTP/1.1\r\nHost: u:443\r\n\r\n"),
        refused("connect: another port", "CONNECT t:443 HTTP/1.1\r\nHost: t:444\r\n\r\n"),
        refused("connect: a long port", "CONNECT t:999999 HTTP/1.1\r\nHost: t:999999\r\n\r\n"),
        refused("connect: two ports in HTTP/1.0", "CONNECT t:80:443 HTTP/1.0\r\n\r\n"),
        refused("connect: user information", "CONNECT u@t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n"),
        refused("target: two ports in HTTP/1.0", "GET http://t:80:81/a HTTP/1.0\r\n\r\n"),
        refused("target: brackets in HTTP/1.0", "GET http://[/a HTTP/1.0\r\n\r\n"),
        refused("target: absolute, and no Host", "GET http://t/a HTTP/1.1\r\n\r\n"),
        passed(
            "target: absolute, the same Host",
            "GET HTTP://T:80/a HTTP/1.1\r\nHost: t\r\n\r\n",
            &["host: t\r\n"],
            &[],
        ),
        passed("target: two slashes", "GET //u/a HTTP/1.1\r\nHost: t\r\n\r\n", &["get //u/a http/1.1"], &[]),
        passed(
            "target: a colon in the path",
            "GET /http://u/a HTTP/1.1\r\nHost: t\r\n\r\n",
            &["get /http://u/a http/1.1"],
            &[],
        ),
        passed(
            "target: escapes stay",
            "GET /%00%0d%0a%2e%2e/%zz HTTP/1.1\r\nHost: t\r\n\r\n",
            &["get /%00%0d%0a%2e%2e/%zz http"],
            &[],
        ),
        passed("target: dots stay", "GET /a/../b/./c HTTP/1.1\r\nHost: t\r\n\r\n", &["get /a/../b/./c http"], &[]),
        passed("version: 1.9", "GET /a HTTP/1.9\r\nHost: t\r\n\r\n", &["/a http/1.1\r\n"], &[]),
        passed("method: M-SEARCH", "M-SEARCH /a HTTP/1.1\r\nHost: t\r\n\r\n", &["m-search /a"], &[]),
        passed("method: a digit", "0 /a HTTP/1.1\r\nHost: t\r\n\r\n", &["0 /a"], &[]),
        passed("method: small letters are another one", "head /a HTTP/1.1\r\nHost: t\r\n\r\n", &["head /a"], &[]),
        passed("method: OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n", &["options * http/1.1"], &[]),
        passed("method: TRACE", "TRACE /a HTTP/1.1\r\nHost: t\r\n\r\n", &["trace /a"], &[]),
    ]);
    cases
}

fn hosts() -> Vec<Case> {
    let wrong = [
        "t:80a", "t:-1", "t:+80", "t:8 0", "[::1", "::1", "[]", "[::1]x", "[::1]:x", "t/a", "t\ta", "t u", "t,u",
        "u@t", "t\\u", "t#a", "t?a", "t\"", "<t>", "t:80:81", "\u{e9}", "t\u{b}", "http://t", "{t}", "t|u", "t^",
    ];
    let mut cases: Vec<Case> = wrong
        .iter()
        .map(|host| refused(&format!("host: {host:?}"), &format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n")))
        .collect();
    for host in ["", "t:", "t:80", "T", "a_b", "%41", "[::1]", "[::1]:80", "127.0.0.1", "a.b.", "a;b", "xn--a"] {
        let raw = format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(passed(&format!("host: {host:?}"), &raw, &["host: "], &[]));
    }
    cases.extend([
        refused("host: none", "GET /a HTTP/1.1\r\nX: y\r\n\r\n"),
        refused("host: twice, the second empty", "GET /a HTTP/1.1\r\nHost: t\r\nHost:\r\n\r\n"),
        refused("host: twice, in another case", "GET /a HTTP/1.1\r\nhost: t\r\nHOST: u\r\n\r\n"),
        refused("host: three times the same", "GET /a HTTP/1.1\r\nHost: t\r\nHost: t\r\nHost: t\r\n\r\n"),
        refused("host: blank before the colon", "GET /a HTTP/1.1\r\nHost : t\r\n\r\n"),
        refused("host: folded", "GET /a HTTP/1.1\r\nHost: t\r\n .u\r\n\r\n"),
        refused("host: behind a fold", "GET /a HTTP/1.1\r\nX: y\r\n Host: u\r\nHost: t\r\n\r\n"),
        refused("host: another one behind a bare CR", "GET /a HTTP/1.1\r\nHost: t\rHost: u\r\n\r\n"),
        refused("host: twice in HTTP/1.0", "GET /a HTTP/1.0\r\nHost: t\r\nHost: u\r\n\r\n"),
        passed_then_closed("host: none in HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", &[], &["host:"]),
    ]);
    cases
}
