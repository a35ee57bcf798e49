//! `http-request normalize-uri` (configuration.txt section 4.2; RFC 3986 section 6.2.2).

use super::uri;
use crate::config::model::Normalizer;

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Unchanged,
    /// The output holds the new target.
    Changed,
    /// `strict` was asked for and an escape is none.
    Invalid,
}

/// Normalizes `target` into `output`, which is empty before.
pub fn target(target: &[u8], normalizer: Normalizer, output: &mut Vec<u8>) -> Outcome {
    let parts = uri::parts(target);
    if parts.path.is_empty() {
        return Outcome::Unchanged;
    }
    let path = target.get(parts.path.clone()).unwrap_or_default();
    let path_and_query = target.get(parts.path.start..).unwrap_or_default();
    let before = target.get(..parts.path.start).unwrap_or_default();
    let query = target.get(parts.path.end..).unwrap_or_default();
    output.extend_from_slice(before);
    let is_valid = match normalizer {
        Normalizer::FragmentEncode => encode_fragment(path_and_query, output),
        Normalizer::FragmentStrip => {
            let end = memchr::memchr(b'#', path_and_query).unwrap_or(path_and_query.len());
            output.extend_from_slice(&path_and_query[..end]);
            true
        }
        Normalizer::PathMergeSlashes => with_query(output, query, |output| merge_slashes(path, output)),
        Normalizer::PathStripDot => with_query(output, query, |output| strip_dots(path, output)),
        Normalizer::PathStripDotdot { full } => with_query(output, query, |output| strip_parents(path, full, output)),
        Normalizer::PercentDecodeUnreserved { strict } => escapes(path_and_query, strict, output, decode_unreserved),
        Normalizer::PercentToUppercase { strict } => escapes(path_and_query, strict, output, to_uppercase),
        Normalizer::QuerySortByName => {
            output.extend_from_slice(path);
            sort_query(query, output)
        }
    };
    match is_valid {
        false => Outcome::Invalid,
        true if output.as_slice() == target => Outcome::Unchanged,
        true => Outcome::Changed,
    }
}

fn with_query(output: &mut Vec<u8>, query: &[u8], path: impl FnOnce(&mut Vec<u8>)) -> bool {
    path(output);
    output.extend_from_slice(query);
    true
}

fn encode_fragment(text: &[u8], output: &mut Vec<u8>) -> bool {
    for byte in text {
        match byte {
            b'#' => output.extend_from_slice(b"%23"),
            other => output.push(*other),
        }
    }
    true
}

fn merge_slashes(path: &[u8], output: &mut Vec<u8>) {
    let mut last = 0;
    for byte in path {
        if *byte != b'/' || last != b'/' {
            output.push(*byte);
        }
        last = *byte;
    }
}

/// The segments after the first slash: `/a/b/` has `a`, `b` and an empty one.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/')
}

fn join(segments: &[&[u8]], output: &mut Vec<u8>) {
    for segment in segments {
        output.push(b'/');
        output.extend_from_slice(segment);
    }
}

fn strip_dots(path: &[u8], output: &mut Vec<u8>) {
    let mut kept: Vec<&[u8]> = segments(path).filter(|segment| *segment != b".").collect();
    // A dot at the end names the directory, as a slash at the end does.
    if path.ends_with(b"/.") {
        kept.push(b"");
    }
    join(&kept, output);
}

fn strip_parents(path: &[u8], full: bool, output: &mut Vec<u8>) {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut names_directory = false;
    for segment in segments(path) {
        names_directory = segment == b"..";
        match kept.last() {
            _ if segment != b".." => kept.push(segment),
            Some(last) if *last != b".." => {
                kept.pop();
            }
            _ if full => {}
            _ => {
                kept.push(segment);
                names_directory = false;
            }
        }
    }
    if names_directory {
        kept.push(b"");
    }
    join(&kept, output);
}

/// Copies `text` with each `%XX` changed by `change`. False: an escape is none, and that is not allowed.
fn escapes(text: &[u8], strict: bool, output: &mut Vec<u8>, change: fn([u8; 2], u8, &mut Vec<u8>)) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        output.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let digit = |index: usize| rest.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        match (rest, digit(0).zip(digit(1))) {
            ([high, low, after @ ..], Some((first, second))) => {
                change([*high, *low], (first << 4 | second) as u8, output);
                rest = after;
            }
            _ if strict => return false,
            _ => output.push(b'%'),
        }
    }
    output.extend_from_slice(rest);
    true
}

fn decode_unreserved(digits: [u8; 2], value: u8, output: &mut Vec<u8>) {
    if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
        output.push(value);
    } else {
        output.extend_from_slice(&[b'%', digits[0], digits[1]]);
    }
}

fn to_uppercase(digits: [u8; 2], _: u8, output: &mut Vec<u8>) {
    output.extend_from_slice(&[b'%', digits[0].to_ascii_uppercase(), digits[1].to_ascii_uppercase()]);
}

fn sort_query(query: &[u8], output: &mut Vec<u8>) -> bool {
    let Some(parameters) = query.strip_prefix(b"?") else { return true };
    let mut parameters: Vec<&[u8]> = parameters.split(|byte| *byte == b'&').collect();
    parameters.sort_by_key(|parameter| parameter.split(|byte| *byte == b'=').next());
    output.push(b'?');
    output.extend_from_slice(&parameters.join(&b'&'));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Normalizer; 11] = [
        Normalizer::FragmentEncode,
        Normalizer::FragmentStrip,
        Normalizer::PathMergeSlashes,
        Normalizer::PathStripDot,
        Normalizer::PathStripDotdot { full: false },
        Normalizer::PathStripDotdot { full: true },
        Normalizer::PercentDecodeUnreserved { strict: false },
        Normalizer::PercentDecodeUnreserved { strict: true },
        Normalizer::PercentToUppercase { strict: false },
        Normalizer::PercentToUppercase { strict: true },
        Normalizer::QuerySortByName,
    ];

    #[track_caller]
    fn check(normalizer: Normalizer, pairs: &[(&str, Option<&str>)]) {
        for (given, expected) in pairs {
            let mut output = Vec::new();
            let outcome = target(given.as_bytes(), normalizer, &mut output);
            let result = match outcome {
                Outcome::Unchanged => Some((*given).to_owned()),
                Outcome::Changed => Some(String::from_utf8(output).expect("text")),
                Outcome::Invalid => None,
            };
            assert_eq!(result.as_deref(), *expected, "{given}");
        }
    }

    #[test]
    fn the_manuals_examples() {
        check(Normalizer::FragmentEncode, &[("/#foo", Some("/%23foo"))]);
        check(Normalizer::FragmentStrip, &[("/#foo", Some("/")), ("/a?b#c", Some("/a?b"))]);
        let dots = [
            ("/.", "/"),
            ("/./bar/", "/bar/"),
            ("/a/./a", "/a/a"),
            ("/.well-known/", "/.well-known/"),
            ("/a/.?.", "/a/?."),
        ];
        check(Normalizer::PathStripDot, &dots.map(|(given, expected)| (given, Some(expected))));
        let parents = [
            ("/foo/../", "/"),
            ("/foo/../bar/", "/bar/"),
            ("/foo/bar/../", "/foo/"),
            ("/../bar/", "/../bar/"),
            ("/bar/../../", "/../"),
            ("/foo//../", "/foo/"),
            ("/foo/%2E%2E/", "/foo/%2E%2E/"),
        ];
        check(Normalizer::PathStripDotdot { full: false }, &parents.map(|(given, expected)| (given, Some(expected))));
        check(Normalizer::PathStripDotdot { full: true }, &[("/../bar/", Some("/bar/")), ("/bar/../../", Some("/"))]);
        check(Normalizer::PathMergeSlashes, &[("//", Some("/")), ("/foo//bar?//", Some("/foo/bar?//"))]);
        let decoded = [
            ("/%61dmin", Some("/admin")),
            ("/foo%3Fbar=baz", Some("/foo%3Fbar=baz")),
            ("/%%36%36", Some("/%66")),
            ("/%ZZ", Some("/%ZZ")),
        ];
        check(Normalizer::PercentDecodeUnreserved { strict: false }, &decoded);
        check(
            Normalizer::PercentDecodeUnreserved { strict: true },
            &[("/%%36%36", None), ("/%ZZ", None), ("/%4", None)],
        );
        check(Normalizer::PercentToUppercase { strict: false }, &[("/%6f", Some("/%6F")), ("/%zz", Some("/%zz"))]);
        check(Normalizer::PercentToUppercase { strict: true }, &[("/%zz", None)]);
        let sorted = [
            ("/?c=3&a=1&b=2", Some("/?a=1&b=2&c=3")),
            ("/?aaa=3&a=1&aa=2", Some("/?a=1&aa=2&aaa=3")),
            ("/?a=3&b=4&a=1&b=5&a=2", Some("/?a=3&a=1&a=2&b=4&b=5")),
        ];
        check(Normalizer::QuerySortByName, &sorted);
        check(Normalizer::PathMergeSlashes, &[("http://h//a", Some("http://h/a")), ("*", Some("*"))]);
    }

    proptest! {
        #[test]
        fn a_path_stays_a_path(given in "/[a/.%6?#=&]{0,16}", which in 0..ALL.len()) {
            let mut output = Vec::new();
            if target(given.as_bytes(), ALL[which], &mut output) == Outcome::Changed {
                prop_assert!(output.starts_with(b"/"), "{given} {output:?}");
            }
        }
    }
}
