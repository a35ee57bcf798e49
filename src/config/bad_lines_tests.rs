//! Lines that are wrong: what is said, and where the caret stands. And lines on which Ringway and `haproxy -c` (2.6)
//! disagree on purpose.

use super::diagnostics::Severity;
use super::load_tests::{loaded, texts};
use super::names::NoNames;
use proptest::prelude::*;

const GLOBAL: &str = "global\n";
const PROXY: &str = "listen l\n bind 127.0.0.1:19999\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";

/// (the line, how the first error starts, the column of its caret)
type Case = (&'static str, &'static str, u32);

#[track_caller]
fn refuses(before: &str, cases: &[Case]) {
    for (line, start, column) in cases {
        let loaded = loaded(&format!("{before}{line}\n"));
        let errors = loaded.diagnostics.messages.iter().filter(|message| message.severity == Severity::Alert);
        let first = errors.into_iter().next().unwrap_or_else(|| panic!("'{line}' is not refused"));
        assert!(first.text.starts_with(start), "'{line}': {}", first.text);
        let number = before.lines().count() as u32 + 1;
        assert_eq!(first.location.as_ref().map(|location| location.line), Some(number), "'{line}'");
        let (raw, caret) = first.excerpt.as_ref().unwrap_or_else(|| panic!("'{line}' is not shown"));
        assert_eq!((raw.as_str(), *caret), (*line, *column), "'{line}': {}", first.text);
    }
}

#[test]
fn proxy_lines() {
    refuses(
        PROXY,
        &[
            ("mode foo", "unknown proxy mode 'foo'", 6),
            ("timeout client 1.5s", "unexpected character '.' in", 16),
            ("timeout client 25d", "timer overflow in argument '25d' to 'timeout client'", 16),
            ("timeout client 1s 2s", "'timeout client' : unexpected extra argument '2s' after value '1s'.", 19),
            ("timeout client", "'timeout client' expects a time", 9),
            ("  maxconn x", "'maxconn' expects an integer", 11),
            ("maxconn 10 11", "'maxconn' cannot handle unexpected argument '11'.", 12),
            ("retries", "'retries' expects an integer argument.", 1),
            ("id 0", "'id' must be from 1 to", 4),
            ("default_backend nope", "Proxy 'l': unable to find required default_backend: 'nope'.", 1),
            ("balance rnd", "balance does not know 'rnd'", 9),
            ("balance random(0)", "'balance random' must be from 1", 9),
            ("hash-type foo", "'hash-type' only supports 'consistent' and 'map-based'.", 11),
            ("hash-type consistent foo", "'hash-type' only supports the functions", 22),
            ("hash-balance-factor 50", "'hash-balance-factor' must be 0 (off) or greater than 100.", 21),
            ("option redispatch x", "'option redispatch' expects an integer", 19),
            ("option abortonclose yes", "'option abortonclose' cannot handle unexpected argument 'yes'.", 21),
            ("option httplog foo", "'option httplog' only supports the option 'clf', not 'foo'.", 16),
            ("log 127.0.0.1", "log : expects <address> and <facility>", 1),
            ("log 127.0.0.1 foo", "log : unknown log facility 'foo'.", 15),
            ("log 127.0.0.1 local0 bar", "log : unknown log level 'bar'", 22),
            ("log 127.0.0.1 len 5 local0", "'len' must be from 80", 19),
            ("log 127.0.0.1 format foo local0", "log : unknown format 'foo'", 22),
            ("log-format %ci\\ %foo", "'log-format' : ", 12),
            ("source 10.0.0.1:1-2", "a port range is only allowed in the 'source' of a server", 8),
            ("rate-limit sessions x", "'rate-limit sessions' expects an integer", 21),
            ("bind-process 65", "'65' is not 'all', 'odd', 'even'", 14),
        ],
    );
}

#[test]
fn bind_and_server_lines() {
    refuses(
        PROXY,
        &[
            ("bind", "'bind' expects {<path>|[<address>]:<port>[-<port>]}", 1),
            ("bind 1.2.3.4", "'bind' : missing port specification in '1.2.3.4'", 6),
            ("bind *:80-70", "'bind' : invalid port range '80-70'", 6),
            ("bind 1.2.3.4;5:80", "'bind' : invalid address: '1.2.3.4;5'", 6),
            ("bind :80 maxconn x", "'bind :80' in section 'listen' : 'maxconn' expects an integer", 18),
            ("bind :80 level root", "'bind :80' in section 'listen' : 'level' only supports", 16),
            ("bind :80,:81 id 3", "'bind :80,:81' in section 'listen' : 'id' can only be used with a single socket", 6),
            (
                "bind :80 user no-such-user",
                "'bind :80' in section 'listen' : cannot find user id for 'no-such-user'",
                15,
            ),
            ("server a", "'server' expects <name> and <addr>[:<port>] as arguments.", 1),
            ("server a 127.0.0.1:70000", "'server l/a' : invalid port '70000'", 10),
            ("server a/b 127.0.0.1:7", "character '/' is not permitted in 'server' name 'a/b'.", 8),
            (
                "server a 127.0.0.1:80 weight 300",
                "'server l/a' : weight of a server is not within 0 and 256 (300).",
                30,
            ),
            ("server a 127.0.0.1:80 check inter 10x", "'server l/a' : unexpected character 'x'", 35),
            ("server a 127.0.0.1:80 rise 0", "'server l/a' : 'rise' must be from 1", 28),
            ("server a 127.0.0.1:80 on-error foo", "'server l/a' : 'on-error' expects 'fastinter'", 32),
            ("server a 127.0.0.1:80 init-addr foo", "'server l/a' : 'init-addr' : unknown method 'foo'", 33),
            ("server-template t x 127.0.0.1:80", "'server-template l/t' : 'x' is not a number of servers", 19),
            ("server-template t 3-1 127.0.0.1:80", "'server-template l/t' : the range '3-1' is empty", 19),
        ],
    );
}

#[test]
fn check_and_statistics_lines() {
    refuses(
        PROXY,
        &[
            ("tcp-check send-binary 5", "the binary string has 1 hexadecimal digits", 23),
            ("tcp-check expect foo bar", "'expect' does not know 'foo'", 18),
            ("tcp-check expect rstring (x", "regex '(x' is invalid", 26),
            ("tcp-check expect ok-status L7RSP string x", "'ok-status' only supports", 28),
            ("tcp-check connect port x", "'x' is not a port number", 24),
            ("http-check expect status 300-200", "the range '300-200' is empty", 26),
            ("http-check send hdr Host", "'http-check send' : 'hdr' expects <name> and <value>.", 17),
            ("stats refresh 10x", "unexpected character 'x' in argument to 'stats refresh'", 15),
            ("stats admin", "'stats admin' requires either 'if' or 'unless'", 7),
            ("stats admin if FOO", "error detected while parsing a condition : no such ACL : 'FOO'", 16),
            ("stats http-request foo", "'stats http-request' expects 'allow', 'deny' or 'auth'.", 20),
        ],
    );
}

#[test]
fn global_lines() {
    refuses(
        GLOBAL,
        &[
            ("nbthread 0", "'nbthread' must be from 1 to 64", 10),
            ("cpu-map auto:1/1-4 0-1", "'cpu-map' : the set of processes and threads", 9),
            ("cpu-map 1 x", "'x' is not a CPU number", 11),
            ("ringway.engine kqueue", "'ringway.engine' expects 'io_uring', 'epoll' or 'automatic'.", 16),
            ("spread-checks 51", "'spread-checks' must be from 0 to 50", 15),
            ("stats timeout 0", "'stats timeout' expects a positive value.", 15),
            ("stats socket 127.0.0.1", "'stats socket' : missing port specification in '127.0.0.1'", 14),
            ("stats socket /x level root", "'stats socket' : 'level' only supports", 23),
            ("user no-such-user", "cannot find user id for 'no-such-user'", 6),
            ("tune.bufsize 0", "'tune.bufsize' expects a positive size", 14),
            ("setenv A", "'setenv' expects a name and a value.", 8),
            ("daemon yes", "'daemon' cannot handle unexpected argument 'yes'.", 8),
        ],
    );
}

#[test]
fn section_lines() {
    refuses(
        "",
        &[
            ("listen", "'listen' expects an <id> argument", 1),
            ("listen a :80", "'listen' cannot handle unexpected argument ':80' after 'a'; write 'bind :80'", 10),
            ("listen é", "character 'é' is not permitted in 'listen' name 'é'.", 8),
            ("listen a from x", "no 'defaults' section named 'x' was found before.", 15),
            ("maxconn 5", "unknown keyword 'maxconn' out of section", 1),
        ],
    );
    refuses(
        "listen a\n bind :1\n timeout client 1s\n",
        &[("backend a", "backend 'a' has the same name as listen 'a'", 9)],
    );
    let twice = "defaults x\ndefaults x\n";
    refuses(twice, &[("listen a from x", "ambiguous defaults section name 'x'", 15)]);
}

/// One run names everything: the errors of all sections and those that only show when names are resolved.
#[test]
fn one_run_names_every_problem() {
    let loaded = loaded(
        "global\n maxconn x\nlisten a\n bind :99999\n mod tcp\n server s 1.2.3.4:5 wieght 3\n server s 1.2.3.4:6\n\
         \x20default_backend nope\nfrontend a\n bind :1\n timeout client y\n",
    );
    let errors = texts(&loaded, Severity::Alert);
    for part in [
        "'maxconn' expects",
        "invalid port '99999'",
        "unknown keyword 'mod'",
        "unknown keyword 'wieght'",
        "another server named 's'",
        "unable to find required default_backend: 'nope'",
        "has the same name as listen 'a'",
        "unexpected character 'y'",
    ] {
        assert!(errors.iter().any(|error| error.contains(part)), "{part} is missing in {errors:#?}");
    }
    assert!(loaded.config.is_none());
    // What only follows from another error is no news: the argument of a misspelled word, the missing bind.
    assert!(!errors.iter().any(|error| error.contains("'3'")), "{errors:#?}");
    assert!(!texts(&loaded, Severity::Warning).iter().any(|warning| warning.contains("no 'bind'")));
}

/// `haproxy -c` 2.6 takes these without a word, reading the number before the garbage, or 0. A limit that was mistyped
/// is better found now.
#[test]
fn stricter_than_haproxy() {
    let lines = ["maxconn 10x", "maxconn -1", "retries -1", "server a 127.0.0.1:80 weight x", "bind :1 maxconn x"];
    for line in lines {
        assert!(loaded(&format!("{PROXY}{line}\n")).config.is_none(), "{line}");
    }
}

/// `haproxy -c` 2.6 refuses these: 1.8 or 3.x take them, or there is only one thing they can mean.
#[test]
fn more_lenient_than_haproxy() {
    for line in [
        "option tcplog clf",
        "hash-type consistent none",
        "server a ::1",
        "grace 10",
        "contimeout 5s",
        "redispatch",
        "bind :1 thread 1,2",
    ] {
        assert!(loaded(&format!("{PROXY}{line}\n")).config.is_some(), "{line}");
    }
    assert!(loaded("global\n nbproc 2\n debug\n quiet\n ulimit-n 5000\n").config.is_some());
}

/// `haproxy -c` 2.6 takes these, and so do we: they look wrong and are not.
#[test]
fn as_lenient_as_haproxy() {
    for line in [
        "balance",
        "balance random()",
        "maxconn 0",
        "timeout client 0",
        "bind 127.0.0.1:20001,",
        "bind 127.0.0.1:20001-20001",
        "log 127.0.0.1:0 local0",
        "server a :80",
        "server a *:80",
        "server a 127.0.0.1:0",
        "server a 127.0.0.1:+80 check port 80",
        "server a 127.0.0.1:80 maxconn 5 minconn 9",
        "tcp-check expect string x comment hi",
        "tcp-check expect !string x",
        "http-check expect status 99",
        "stats enable x",
        "log-tag a b",
        "clitcpka-cnt 200",
    ] {
        let loaded = loaded(&format!("{PROXY}{line}\n"));
        assert!(loaded.config.is_some(), "{line}: {:?}", texts(&loaded, Severity::Alert));
    }
}

/// Words that reach every parser, to be put together at random.
fn keywords() -> Vec<String> {
    let mut words: Vec<String> = super::keywords::rows()
        .flat_map(|row| row.keyword().split(' '))
        .chain("0 -1 1s 99999999999 * :80 127.0.0.1:1-9 [::]:5 if unless ! || from x a/b \"q u\" \\".split(' '))
        .map(str::to_owned)
        .collect();
    words.sort();
    words.dedup();
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "(\\PC{0,40}\n?){0,12}") {
        let _ = super::load::load_text_with("t", &text, &NoNames);
    }

    /// Lines made of the language's own words, in sections.
    #[test]
    fn no_words_panic(lines in prop::collection::vec(prop::collection::vec(prop::sample::select(keywords()), 1..7), 1..12)) {
        let body: String = lines.iter().map(|words| words.join(" ") + "\n").collect();
        for header in ["global", "defaults", "listen l", "frontend f", "backend b"] {
            let _ = super::load::load_text_with("t", &format!("{header}\n{body}"), &NoNames);
        }
    }
}
