//! `haproxy -c` and Ringway's loader accept and refuse the same lines, but for those where they differ on purpose.
//!
//! `proxy_lines.txt` and `global_lines.txt` hold one line of a section each. HAProxy 2.6 is the oracle (Debian's
//! package `haproxy`); the lists below name each difference with its reason, and a difference that went away is an
//! error, too: the lists stay true.

mod http_rules;
mod http_settings;
mod stick_tables;

use std::io::Write;
use std::process::{Command, Stdio};

const PROXY: &str = "defaults\n mode tcp\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                     listen l\n bind 127.0.0.1:19999\n";
/// HAProxy reads a number with garbage behind or before it as far as it goes, and as 0 otherwise; negative ones and
/// ones that the kernel refuses as well. A limit that was mistyped is better found at once.
const GARBAGE: &[&str] = &[
    "maxconn -1",
    "maxconn 99999999999",
    "maxconn 10x",
    "maxconn x",
    "fullconn -1",
    "retries -1",
    "backlog x",
    "option redispatch x",
    "rate-limit sessions -1",
    "bind :20001 maxconn x",
    "bind :20001 mss -1400",
    "bind unix@",
    "bind abns@",
    "server a 127.0.0.1:80 weight x",
    "server a 127.0.0.1:80 weight",
    "server a 127.0.0.1:80 port 0",
    "server a 127.0.0.1:80 port 70000",
    "server a 127.0.0.1:80 maxconn -1",
    "server-template t 3 127.0.0.1:80 id 4",
    "tcp-check expect min-recv x string x",
    "stats admin if",
    "ulimit-n x",
    "uid x",
    "uid root",
    "gid -1",
    "spread-checks 1.5",
    "maxpipes x",
    "tune.rcvbuf.client x",
    "maxsessrate -1",
    "http-request cache-use c|total-max-size 4;max-age -1",
    "http-request cache-use c|total-max-size 4;max-age 5x",
    "http-request cache-use c|total-max-size 4;max-age",
    "http-request cache-use c|total-max-size 4;process-vary",
    "http-request cache-use c|total-max-size 4;process-vary maybe",
    // A condition without a condition never holds; a variable without a value is none.
    "tcp-request connection accept if",
    "tcp-request connection set-var-fmt(sess.x)",
    // Expressions are matched in linear time: no look-around; a brace is a repetition or escaped.
    "acl a path_reg (?=x)y",
    "acl a path_reg {a}",
    // What these ask of does not exist here yet: TLS, the PROXY protocol, becoming HTTP later.
    "acl a ssl_fc",
    "acl a req_ssl_ver 3.0:3.1",
    "acl a fc_rcvd_proxy",
    "tcp-request content switch-mode http",
    // It reports an error and exits 0 all the same.
    "default-server id 4",
];
/// What HAProxy 1.8 or 3.x takes, or what can only mean one thing.
const LENIENT: &[&str] = &[
    "option tcplog clf",
    "hash-type consistent none",
    "bind :20001 thread 1,2",
    "server a ::1",
    "grace 10",
    // Read, and without effect whatever its value.
    "tcp-request content set-nice",
    "nbproc 1",
    "debug",
];

/// Whether HAProxy takes the file: 0, or 2 for "valid, but nothing to listen on". `None` if it is not installed.
fn haproxy_accepts(file: &std::path::Path) -> Option<bool> {
    let mut command = Command::new("haproxy");
    command.arg("-c").arg("-f").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().ok()?;
    Some(matches!(status.code(), Some(0 | 2)))
}

fn ringway_accepts(text: &str) -> bool {
    ringway::config::load::load_text("verdict.cfg", text).config.is_some()
}

/// The lines on which the two differ and should not, or should and do not.
fn surprises(lines: &str, whole: impl Fn(&str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines.lines().filter(|line| !line.starts_with('#')) {
        let text = whole(line);
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("writing it");
        let Some(theirs) = haproxy_accepts(file.path()) else {
            eprintln!("haproxy is not installed: nothing compared");
            return Vec::new();
        };
        let ours = ringway_accepts(&text);
        let expected = if GARBAGE.contains(&line) {
            (true, false)
        } else if LENIENT.contains(&line) {
            (false, true)
        } else {
            (theirs, theirs)
        };
        if (theirs, ours) != expected {
            found.push(format!("'{line}': haproxy accepts: {theirs}, ringway accepts: {ours}"));
        }
    }
    found
}

#[test]
fn proxy_lines() {
    let found = surprises(include_str!("proxy_lines.txt"), |line| format!("{PROXY} {line}\n"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn global_lines() {
    let found = surprises(include_str!("global_lines.txt"), |line| format!("global\n {line}\n{PROXY}"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn acl_lines() {
    const HTTP: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                        backend other\n server o 127.0.0.1:1\nlisten l\n bind 127.0.0.1:19999\n";
    let found = surprises(include_str!("acl_lines.txt"), |line| format!("{HTTP} {line}\n"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn cache_lines() {
    const HTTP: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                        listen l\n bind 127.0.0.1:19999\n server s 127.0.0.1:1\n";
    // Lines of the section stand behind '|' of those of the proxy.
    let found = surprises(include_str!("cache_lines.txt"), |line| {
        let (proxy, section) = line.split_once('|').unwrap_or((line, "total-max-size 4"));
        format!("{HTTP} {}\ncache c\n {}\n", proxy.replace(';', "\n "), section.replace(';', "\n "))
    });
    assert!(found.is_empty(), "{found:#?}");
}
