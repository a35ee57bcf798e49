//! The fuzz targets of fuzz/, for a few seconds in every test run, on generated input (proptest: the seed of a failure
//! is kept and tried first the next time).

mod bodies;

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
    fn probes_end_whatever_the_server_says(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..12u8], 0..200)) {
        bodies::probe(&bytes);
    }
}
