//! The fuzz targets of fuzz/, for a few seconds in every test run, on generated input (proptest: the seed of a failure
//! is kept and tried first the next time).

mod bodies;
mod http_bodies;
mod http_twin;

use proptest::prelude::*;

/// Words of the language and what people write around them.
const WORDS: &[&str] = &[
    "global",
    "defaults",
    "frontend f",
    "backend b",
    "listen l",
    "bind",
    "*:80",
    "127.0.0.1:1-9",
    ":::80",
    "unix@/x",
    "server s 127.0.0.1:1",
    "check",
    "inter",
    "10s",
    "weight",
    "256",
    "maxconn",
    "-1",
    "99999999999999999999",
    "balance",
    "leastconn",
    "random(2)",
    "random(",
    "hash-type consistent sdbm avalanche",
    "timeout",
    "client",
    "3h",
    "1d1",
    "mode",
    "tcp",
    "http",
    "health",
    "option",
    "no option",
    "tcplog",
    "httpchk GET /",
    "tcp-check",
    "tcp-check expect string",
    "\"",
    "'",
    "\\",
    "\\x4",
    "${HOME}",
    "${X-y}",
    "\"${X[*]}\"",
    "#",
    ".if",
    "defined(X)",
    ".else",
    ".endif",
    ".elif",
    "streq(a,\"b\")",
    ".notice x",
    "log",
    "stdout",
    "local0",
    "ring@r",
    "stats",
    "uri /",
    "auth a:b",
    "admin if TRUE",
    "refresh",
    "acl a src 1.1.1.1",
    "use_backend b if a",
    "default_backend b",
    "default-server",
    "server-template s 1-",
    "track b/s",
    "\u{ff0c}",
    "\u{201c}",
    "\u{0}",
    "\r",
    "nbproc",
    "2",
    "cpu-map",
    "1/all",
    "0-63",
    "log-format",
    "\"%ci %[src] %{+Q}o %t\"",
    "%",
    "source 0.0.0.0:1-2",
    "id",
    "0",
    "disabled",
    "user",
    "root",
    "chroot /",
    "daemon",
];

fn configuration() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::collection::vec(prop::sample::select(WORDS), 0..6).prop_map(|words| words.join(" "));
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n").into_bytes())
}

/// The tutorial's file with a few bytes changed, lost or doubled.
fn damaged_tutorial() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    prop::collection::vec(change, 1..12).prop_map(|changes| {
        let mut bytes = include_bytes!("../../configs/mqtt.cfg").to_vec();
        for (index, byte, kind) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

fn request_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET ",
        "/ ",
        "HTTP/1.1",
        "\r\n",
        "\n",
        "\r",
        "Host: x",
        "host",
        ":",
        " ",
        "\t",
        "Content-Length: 5",
        "a: b\r\n c",
        "\u{0}",
        "HTTP/9.9",
        "POST /stats;csv HTTP/1.0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "é",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Any of these pieces, and now and then a few bytes of anything.
fn pieces(words: Vec<&'static str>) -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let piece = prop_oneof![12 => word, 1 => prop::collection::vec(any::<u8>(), 1..3)];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST http://a/ HTTP/1.1\r\nHost: a\r\n",
        "GET /  HTTP/1.1\r\n",
        "GET /\r\n",
        "HEAD /# HTTP/1.0\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n",
    ]);
    let headers = pieces(vec![
        "Content-Length: 5\r\n",
        "content-length: 05\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: h2c, foo\r\n",
        "X: y\r\n",
        " fold\r\n",
        "Host: a\r\n",
        "TE: trailers\r\n",
        "Expect: 100-continue\r\n",
        "Odd@ : 1\n",
        "\r\n",
        ":",
    ]);
    (line, headers).prop_map(|(line, headers)| [line.as_bytes(), &headers, b"\r\n\r\n"].concat())
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200\r\n",
        "HTTP/1.1 204 No\r\n",
        "HTTP/1.1 304 \r\n",
        "HTTP/1.1 101 Switching\r\n",
        "HTTP/1.1 100 Continue\r\n",
    ]);
    let headers = pieces(vec![
        "Content-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x\r\n",
        "Connection: keep-alive\r\n",
        "Upgrade: h2\r\n",
        "X: y\r\n",
        "\tfold\n",
        "Keep-Alive: 5\r\n",
        "\r\n",
    ]);
    (line, headers).prop_map(|(line, headers)| [line.as_bytes(), &headers, b"\r\n\r\n"].concat())
}

fn chunks() -> impl Strategy<Value = Vec<u8>> {
    pieces(vec![
        "1\r\na\r\n",
        "3;x=\"y\"\r\nabc\r\n",
        "0\r\n",
        "\r\n",
        "X: y\r\n",
        "Host: b\r\n",
        "0\r\n\r\n",
        "\n",
        "f",
        ";",
        " ",
    ])
}

fn acl_line() -> impl Strategy<Value = Vec<u8>> {
    pieces(vec![
        "path_beg ",
        "hdr(host) ",
        "hdr_cnt(",
        "src ",
        "req.hdr(a,-1),lower ",
        "-i ",
        "-m ",
        "beg ",
        "reg ",
        "ip ",
        "int ",
        "gt 5 ",
        "1:9 ",
        "-- ",
        "127.0.0.0/8 ",
        "::1/",
        "^a(b|",
        "{ ",
        "} ",
        "!",
        "or ",
        "|| ",
        "METH_GET ",
        "a ",
        "TRUE ",
        ")",
        ",",
        "-n ",
        "-u 7 ",
        "\"",
        "\\",
        "var(txn.x) ",
        "found ",
        "bool ",
        "len 3 ",
    ])
}

fn cookie_lines() -> impl Strategy<Value = Vec<u8>> {
    let lines = pieces(vec![
        "SRV=one",
        "SRV=two~x",
        "SRV=one|",
        "SRV=",
        "SRV",
        "a=b",
        "; ",
        ";",
        ",",
        "=",
        "\"",
        "$Path=/",
        "\\",
        " ",
        "~",
        "|AAAAA|AAAAA",
        "; Path=/; HttpOnly",
        "expires=Mon, 1",
    ]);
    (any::<u8>(), lines, cookie_value())
        .prop_map(|(choice, request, response)| [&[choice][..], &request, &[0xff], response.as_bytes()].concat())
}

fn cookie_value() -> impl Strategy<Value = String> {
    "(SRV=|one|two|[ -~]{0,4}|; |, ){0,6}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn configurations_load_or_say_why(bytes in configuration()) {
        bodies::config(&bytes);
    }

    #[test]
    fn damaged_files_load_or_say_why(bytes in damaged_tutorial()) {
        bodies::config(&bytes);
    }

    #[test]
    fn any_bytes_as_a_configuration(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        bodies::config(&bytes);
    }

    #[test]
    fn log_formats_compile_or_are_refused(text in "(%|%\\{|[+-][QXE],?|\\}|ci|ts|Tw|\\[|\\]|src|lua\\.x|[a-z \"\\\\\u{e9}]){0,30}") {
        bodies::log_format(text.as_bytes());
    }

    #[test]
    fn request_heads_are_read_alike_however_cut(bytes in request_head()) {
        bodies::http1_head(&bytes);
    }

    #[test]
    fn any_bytes_as_a_request_head(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        bodies::http1_head(&bytes);
    }

    #[test]
    fn requests_have_one_reading(bytes in request()) {
        http_bodies::http1_request(&bytes);
    }

    #[test]
    fn responses_have_one_reading(bytes in response()) {
        http_bodies::http1_response(&bytes);
    }

    #[test]
    fn chunked_bodies_have_one_reading(bytes in chunks()) {
        http_bodies::http1_chunked(&bytes);
    }

    #[test]
    fn another_reader_agrees_about_requests(bytes in prop_oneof![request(), request_head()]) {
        http_twin::http1_request_twin(&bytes);
    }

    #[test]
    fn another_reader_agrees_about_responses(bytes in response()) {
        http_twin::http1_response_twin(&bytes);
    }

    #[test]
    fn another_reader_agrees_about_chunks(bytes in chunks()) {
        http_twin::http1_chunk_twin(&bytes);
    }

    #[test]
    fn acl_lines_are_read_or_refused(bytes in acl_line()) {
        http_bodies::acl(&bytes);
    }

    #[test]
    fn rewritten_cookies_are_headers_still(bytes in cookie_lines()) {
        http_bodies::cookies(&bytes);
    }

    #[test]
    fn probes_end_whatever_the_server_says(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..12u8], 0..200)) {
        bodies::probe(&bytes);
    }
}

/// Found by the fuzzer: with the cookie that is inserted the head has one header more than a head that comes may have.
#[test]
fn a_cookie_beside_as_many_headers_as_there_may_be() {
    let lines = [b"\x01SRV=one".as_slice(), b"\xff", b"a=b", &b"\r\nx: y".repeat(99)].concat();
    http_bodies::cookies(&lines);
}
