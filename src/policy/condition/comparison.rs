//! One sample against one ACL line's patterns (configuration.txt sections 7.1.1 to 7.1.6).

use super::Verdict;
use crate::config::model::{AclTest, Comparison, MatchMethod, PatternEntry, Patterns};
use crate::policy::exchange::Scope;
use crate::policy::sample::{self, Sample};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Whether one of the samples matches one of the patterns.
pub fn test(test: &AclTest, scope: &Scope) -> Verdict {
    let mut visit = |sample: Sample| {
        if matches(test, sample, scope) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let visited = sample::for_each(&test.expression, scope, &mut visit);
    if visited.is_stopped {
        Verdict::Yes
    } else if visited.may_change && !scope.is_payload_complete {
        Verdict::NotYet
    } else {
        Verdict::No
    }
}

fn matches(test: &AclTest, sample: Sample, scope: &Scope) -> bool {
    let method = match test.comparison {
        Comparison::HttpMethod => {
            return in_own_patterns(test, scope, |patterns| matches_http_method(patterns, sample));
        }
        Comparison::Method(method) => method,
    };
    if method == MatchMethod::Found {
        return true;
    }
    if method == MatchMethod::Boolean {
        return sample.as_bool() == Some(true);
    }
    let Some(key) = Key::of(sample, method) else { return false };
    in_own_patterns(test, scope, |patterns| key.find(patterns).is_some())
        || test.files.iter().any(|view| {
            let file = scope.shared.pattern_files.get(view.file.0 as usize);
            file.and_then(|file| file.with(view.view, |patterns| key.find(patterns).is_some())).unwrap_or(false)
        })
}

/// Hands the line's own patterns to `look`: those of the start, until the runtime socket changes them.
fn in_own_patterns(test: &AclTest, scope: &Scope, look: impl FnOnce(&Patterns) -> bool) -> bool {
    match scope.shared.pattern_files.get(test.inline.0 as usize) {
        Some(list) if list.is_changed() => list.with(0, look).unwrap_or(false),
        _ => look(&test.patterns),
    }
}

/// A method that HAProxy knows by number is told from all others, capitals included; only of the rest `-i` holds.
fn matches_http_method(patterns: &Patterns, sample: Sample) -> bool {
    const KNOWN: [&[u8]; 9] = [b"OPTIONS", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PATCH"];
    let Some(method) = sample.into_text() else { return false };
    let Some(entry) = patterns.find_bytes(&method) else { return false };
    *entry.pattern == *method || !KNOWN.contains(&&*method) && !KNOWN.contains(&&*entry.pattern)
}

/// A sample in the form in which patterns of a method are looked up. Maps look keys up in the same way.
pub enum Key<'a> {
    Bytes(Cow<'a, [u8]>),
    Integer(i64),
    Address(std::net::IpAddr),
}

impl<'a> Key<'a> {
    /// `None`: the sample cannot be turned into one, so that nothing matches.
    pub fn of(sample: Sample<'a>, method: MatchMethod) -> Option<Key<'a>> {
        Some(match method {
            MatchMethod::Integer => Key::Integer(sample.as_integer()?),
            MatchMethod::Length => Key::Integer(i64::try_from(sample.into_text()?.len()).ok()?),
            MatchMethod::Address => Key::Address(sample.as_address()?),
            MatchMethod::Binary => Key::Bytes(sample.into_binary()),
            _ => Key::Bytes(sample.into_text()?),
        })
    }

    pub fn find<'p>(&self, patterns: &'p Patterns) -> Option<&'p PatternEntry> {
        match self {
            Key::Bytes(bytes) => patterns.find_bytes(bytes),
            Key::Integer(number) => patterns.find_integer(*number),
            Key::Address(address) => patterns.find_address(*address),
        }
    }
}
