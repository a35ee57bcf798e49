//! Lines about HTTP connections, cookies, captures and compression, in a `listen` section in `mode http`.
//!
//! A line of `http_settings.txt` is a verdict that both share. Behind `ringway only:` and `haproxy only:` stand the
//! lines on which they differ on purpose; the comment above says why.

use super::{haproxy_accepts, ringway_accepts};
use std::io::Write;

/// Without a server: HTTP has to be loaded for its lines only.
const HTTP: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                    listen l\n bind 127.0.0.1:19999\n";

#[test]
fn http_lines() {
    let mut found = Vec::new();
    for line in include_str!("http_settings.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (line, differs) = match (line.strip_prefix("ringway only: "), line.strip_prefix("haproxy only: ")) {
            (Some(line), _) => (line, Some((false, true))),
            (_, Some(line)) => (line, Some((true, false))),
            _ => (line, None),
        };
        let text = match line.strip_prefix("global: ") {
            Some(line) => format!("global\n {line}\n{HTTP}"),
            None => format!("{HTTP} {line}\n"),
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
