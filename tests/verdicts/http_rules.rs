//! `http-request`, `http-response`, `redirect`, error pages and userlists.
//!
//! A line of the two lists is a verdict that both share. Behind `ringway only:` and `haproxy only:` stand the lines on
//! which they differ on purpose; the comment above says why.

use super::{haproxy_accepts, ringway_accepts};
use std::io::Write;

const HTTP: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                    listen l\n bind 127.0.0.1:19999\n";

/// The lines on which the two differ and should not, or should and do not.
fn surprises(lines: &str, whole: impl Fn(&str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (line, differs) = match (line.strip_prefix("ringway only: "), line.strip_prefix("haproxy only: ")) {
            (Some(line), _) => (line, Some((false, true))),
            (_, Some(line)) => (line, Some((true, false))),
            _ => (line, None),
        };
        let text = whole(line);
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("writing it");
        let Some(theirs) = haproxy_accepts(file.path()) else {
            eprintln!("haproxy is not installed: nothing compared");
            return Vec::new();
        };
        let ours = ringway_accepts(&text);
        if (theirs, ours) != differs.unwrap_or((theirs, theirs)) {
            found.push(format!("'{line}': haproxy accepts: {theirs}, ringway accepts: {ours}"));
        }
    }
    found
}

#[test]
fn http_rule_lines() {
    let found = surprises(include_str!("http_rules.txt"), |line| format!("{HTTP} {line}\n"));
    assert!(found.is_empty(), "{found:#?}");
}

/// Several lines of a section stand apart by `; `.
#[test]
fn userlist_lines() {
    let found =
        surprises(include_str!("userlists.txt"), |line| format!("userlist ul\n {}\n{HTTP}", line.replace("; ", "\n ")));
    assert!(found.is_empty(), "{found:#?}");
}
