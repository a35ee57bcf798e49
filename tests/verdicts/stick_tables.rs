//! Lines about stick tables, in a `listen` section that has one, beside others.
//!
//! A line of `stick_tables.txt` is a verdict that both share. Behind `ringway only:` and `haproxy only:` stand the lines
//! on which they differ on purpose; the comment above says why.

use super::{haproxy_accepts, ringway_accepts};
use std::io::Write;

const BEFORE: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                      backend ip\n stick-table type ip size 10 store gpc0,http_req_rate(10s)\n\
                      backend text\n stick-table type string size 10 store gpc0\n\
                      backend number\n stick-table type integer size 10 store gpc0\n\
                      backend none\n";
const LISTEN: &str = "listen l\n bind 127.0.0.1:19999\n";
const BACKEND: &str = "backend b\n";

#[test]
fn stick_table_lines() {
    let mut found = Vec::new();
    for line in include_str!("stick_tables.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (line, differs) = match (line.strip_prefix("ringway only: "), line.strip_prefix("haproxy only: ")) {
            (Some(line), _) => (line, Some((false, true))),
            (_, Some(line)) => (line, Some((true, false))),
            _ => (line, None),
        };
        let text = match line.strip_prefix("backend: ") {
            Some(line) => format!("{BEFORE}{BACKEND} {line}\n"),
            None => format!("{BEFORE}{LISTEN} {line}\n"),
        };
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("writing it");
        let Some(theirs) = haproxy_accepts(file.path()) else {
            eprintln!("haproxy is not installed: nothing compared");
            return;
        };
        let ours = ringway_accepts(&text);
        if (theirs, ours) != differs.unwrap_or((theirs, theirs)) {
            found.push(format!("'{line}': haproxy accepts: {theirs}, ringway accepts: {ours}"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
