//! The parts of a request's target, and what `set-path`, `set-query` and their like make of it (configuration.txt
//! section 4.2; RFC 9112 section 3.2).

use std::ops::Range;

/// Where scheme and authority end, and the path and the query stand: a target is `before`, path, `?`, query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The path without the query; empty in `*` and in an authority alone.
    pub path: Range<usize>,
    /// What follows the first `?`, without it; `None`: there is no `?`.
    pub query: Option<Range<usize>>,
}

/// Takes a target apart. The path starts at the first slash after an optional scheme and authority.
pub fn parts(target: &[u8]) -> Parts {
    let end = target.len();
    let start = match target.first() {
        Some(b'/') => 0,
        Some(b'*') if end == 1 => return Parts { path: 0..0, query: None },
        _ => {
            let authority = scheme_end(target).unwrap_or(0);
            let rest = target.get(authority..).unwrap_or_default();
            authority + memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len())
        }
    };
    let mark = target.get(start..).and_then(|rest| memchr::memchr(b'?', rest)).map(|at| start + at);
    Parts { path: start..mark.unwrap_or(end), query: mark.map(|mark| mark + 1..end) }
}

/// The path without the query; empty when there is none.
pub fn path(target: &[u8]) -> &[u8] {
    target.get(parts(target).path).unwrap_or_default()
}

/// The path with the query and its `?`; empty when there is neither.
pub fn path_and_query(target: &[u8]) -> &[u8] {
    target.get(parts(target).path.start..).unwrap_or_default()
}

/// Where the authority of an absolute target stands (`http://authority/path`); `None` in other forms.
pub fn authority(target: &[u8]) -> Option<Range<usize>> {
    let start = scheme_end(target)?;
    Some(start..parts(target).path.start)
}

/// What follows the `://` of an absolute target (RFC 3986 section 3.1).
fn scheme_end(target: &[u8]) -> Option<usize> {
    let length = target.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    (length > 0 && target.get(length..)?.starts_with(b"://")).then_some(length + 3)
}

/// The whole target is replaced.
pub fn whole(_: &[u8], target: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(target);
}

/// Appends `target` with another path. Scheme, authority and query stay; a `*` is replaced whole.
pub fn with_path(target: &[u8], path: &[u8], output: &mut Vec<u8>) {
    if target == b"*" {
        return output.extend_from_slice(path);
    }
    let parts = parts(target);
    for part in [&target[..parts.path.start], path, &target[parts.path.end..]] {
        output.extend_from_slice(part);
    }
}

/// Appends `target` with another path and query.
pub fn with_path_and_query(target: &[u8], path_and_query: &[u8], output: &mut Vec<u8>) {
    let start = if target == b"*" { 0 } else { parts(target).path.start };
    for part in [&target[..start], path_and_query] {
        output.extend_from_slice(part);
    }
}

/// Appends `target` with another query; an empty one adds no `?`, and takes none away.
pub fn with_query(target: &[u8], query: &[u8], output: &mut Vec<u8>) {
    match parts(target).query {
        Some(old) => output.extend_from_slice(&target[..old.start]),
        None => {
            output.extend_from_slice(target);
            if !query.is_empty() {
                output.push(b'?');
            }
        }
    }
    output.extend_from_slice(query);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(change: impl Fn(&mut Vec<u8>)) -> String {
        let mut output = Vec::new();
        change(&mut output);
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn takes_targets_apart() {
        let taken = |target: &'static str| {
            let parts = parts(target.as_bytes());
            (&target[parts.path], parts.query.map(|query| &target[query]))
        };
        assert_eq!(taken("/a/b?c=1?d"), ("/a/b", Some("c=1?d")));
        assert_eq!(taken("http://h:1/a"), ("/a", None));
        assert_eq!(taken("http://h"), ("", None));
        assert_eq!(taken("http://h?q"), ("", Some("q")));
        assert_eq!(taken("h:443"), ("", None));
        assert_eq!(taken("/x?u=http://h/p"), ("/x", Some("u=http://h/p")));
        assert_eq!(taken("*"), ("", None));
        assert_eq!(authority(b"http://u@h:1/a"), Some(7..12));
        assert_eq!([&b"/a://b/"[..], b"h:443", b"*", b"a?u=b://c"].map(authority), [None, None, None, None]);
        assert_eq!(taken("/?"), ("/", Some("")));
    }

    #[test]
    fn replaces_parts() {
        assert_eq!(changed(|out| with_path(b"http://h/a?q", b"/new", out)), "http://h/new?q");
        assert_eq!(changed(|out| with_path(b"*", b"/new", out)), "/new");
        assert_eq!(changed(|out| with_path_and_query(b"/a?q", b"/b", out)), "/b");
        assert_eq!(changed(|out| with_query(b"/a?q", b"x=1", out)), "/a?x=1");
        assert_eq!(changed(|out| with_query(b"/a", b"x=1", out)), "/a?x=1");
        assert_eq!(changed(|out| with_query(b"/a", b"", out)), "/a");
        assert_eq!(changed(|out| with_query(b"/a?q", b"", out)), "/a?");
    }

    proptest! {
        #[test]
        fn parts_put_together_are_the_target(target in "[a-z:/?*#%.]{0,20}") {
            let path = path(target.as_bytes()).to_vec();
            prop_assert_eq!(changed(|out| with_path(target.as_bytes(), &path, out)), if target == "*" { String::new() } else { target.clone() });
            if let Some(query) = parts(target.as_bytes()).query {
                prop_assert_eq!(changed(|out| with_query(target.as_bytes(), target[query.clone()].as_bytes(), out)), target.clone());
            }
        }
    }
}
