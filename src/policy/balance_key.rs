//! What the hashing algorithms of `balance` hash of a request, bit for bit as HAProxy does (configuration.txt section
//! 4.2, `balance`).

use super::balance::hash;
use super::exchange::Scope;
use super::rdp_cookie::{self, RdpCookie};
use super::sample;
use crate::config::model::{BalanceAlgorithm, ProxyId, UriKey};
use crate::proto::http1::{is_token_byte, trim_blanks};

/// The key of the request in its backend, for [`super::assign::AssignRequest::key`]. `None`: the algorithm hashes
/// nothing of the request, or the request has nothing of what it hashes.
pub fn of(scope: &Scope) -> Option<u32> {
    let backend = backend_of(scope);
    let settings = scope.shared.config.proxy(backend).backend.as_ref()?;
    let request = &scope.exchange.request;
    let text = match &settings.balance {
        BalanceAlgorithm::Uri(key) => uri_part(request.target(), key),
        BalanceAlgorithm::UrlParameter { name, .. } => {
            let in_query = query_of(request.target()).and_then(|query| parameter(query, name.as_bytes()));
            match in_query {
                None if request.method() == b"POST" => posted_parameter(&scope.exchange.request_body, name.as_bytes())?,
                found => found?,
            }
        }
        BalanceAlgorithm::Header { name, use_domain_only } => {
            let value = first_item(request.value(name.as_bytes())?);
            if value.is_empty() {
                return None;
            }
            if *use_domain_only { domain(value) } else { value }
        }
        BalanceAlgorithm::RdpCookie { name } => match rdp_cookie::find(scope.payload, name.as_bytes()) {
            RdpCookie::Found(value) if !value.is_empty() => value,
            _ => return None,
        },
        BalanceAlgorithm::Hash(expression) => {
            let sample = sample::fetch(expression, scope).found()?;
            return Some(hash::key(&settings.hash_type, &sample.into_binary()));
        }
        _ => return None,
    };
    Some(hash::key(&settings.hash_type, text))
}

/// Whether [`of`] can say more when the body of the request has come (`url_param … check_post`): wait for it, as for
/// `option http-buffer-request`.
pub fn needs_body(scope: &Scope) -> bool {
    let backend = scope.shared.config.proxy(backend_of(scope)).backend.as_ref();
    let request = &scope.exchange.request;
    backend.is_some_and(|backend| match &backend.balance {
        BalanceAlgorithm::UrlParameter { name, check_post: true } => {
            request.method() == b"POST"
                && query_of(request.target()).and_then(|query| parameter(query, name.as_bytes())).is_none()
        }
        _ => false,
    })
}

fn backend_of(scope: &Scope) -> ProxyId {
    scope.exchange.backend.unwrap_or(scope.proxy)
}

/// The part of a request target that `balance uri` hashes.
fn uri_part<'a>(target: &'a [u8], key: &UriKey) -> &'a [u8] {
    let mut text = if key.path_only { path_and_query(target) } else { target };
    if let Some(length) = key.length_max {
        text = text.get(..length as usize).unwrap_or(text);
    }
    let mut slashes = 0;
    let end = text.iter().position(|byte| match byte {
        b'/' => {
            slashes += 1;
            key.depth_max.is_some_and(|depth| slashes > depth)
        }
        b'?' => !key.whole,
        _ => false,
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// A target without the scheme and authority of an absolute URI; empty for `*` and for an authority alone.
fn path_and_query(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(colon) = target.windows(3).position(|part| part == b"://") else { return b"" };
    let rest = target.get(colon + 3..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'/').and_then(|slash| rest.get(slash..)).unwrap_or_default()
}

fn query_of(target: &[u8]) -> Option<&[u8]> {
    let mark = target.iter().position(|byte| *byte == b'?')?;
    target.get(mark + 1..)
}

/// The value of a parameter, up to the next `&`. Names are compared exactly; a name without `=` has no value.
fn parameter<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.split(|byte| *byte == b'&').find_map(|item| item.strip_prefix(name)?.strip_prefix(b"="))
}

/// The same in a body that may hold anything: one whose value does not start like text is no form.
fn posted_parameter<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = parameter(body, name)?;
    match value.first() {
        Some(first) if is_token_byte(*first) => Some(value),
        Some(b' ' | b'\t' | b'\r' | b'\n') | None => Some(b""),
        Some(_) => None,
    }
}

/// The first of a header's comma-separated values; a comma in quotes does not separate.
fn first_item(value: &[u8]) -> &[u8] {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let end = value.iter().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' => return !is_quoted,
            _ => {}
        }
        false
    });
    trim_blanks(end.and_then(|end| value.get(..end)).unwrap_or(value))
}

/// The label before the last dot: `1wt` of `haproxy.1wt.eu`; the whole when there is no dot, but for one at its start.
/// A label has at least one byte, even when that is a dot.
fn domain(host: &[u8]) -> &[u8] {
    let dot = host.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    let Some(end) = dot else { return host };
    let start = (1..end).rev().find(|start| host.get(start - 1) == Some(&b'.')).unwrap_or(0);
    host.get(start..end).unwrap_or_default()
}

/// Choice by choice against HAProxy itself: `tests/balancing/same_requests.rs`.
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(target: &str, key: UriKey) -> &[u8] {
        uri_part(target.as_bytes(), &key)
    }

    #[test]
    fn a_uri_is_cut_by_query_length_and_depth() {
        let none = UriKey::default();
        assert_eq!(part("/a/b?c", none), b"/a/b");
        assert_eq!(part("/a/b?c", UriKey { whole: true, ..none }), b"/a/b?c");
        assert_eq!(part("/a/b/c", UriKey { depth_max: Some(1), ..none }), b"/a");
        assert_eq!(part("/a/b/c", UriKey { depth_max: Some(2), ..none }), b"/a/b");
        assert_eq!(part("/a/b/c", UriKey { length_max: Some(3), ..none }), b"/a/");
        assert_eq!(part("http://h/a?b", none), b"http://h/a");
        assert_eq!(part("http://h/a?b", UriKey { path_only: true, ..none }), b"/a");
        assert_eq!(part("http://h", UriKey { path_only: true, ..none }), b"");
    }

    #[test]
    fn a_parameter_has_a_whole_name_and_a_value() {
        let value = |query: &'static str| parameter(query.as_bytes(), b"id");
        assert_eq!(value("id=1"), Some(&b"1"[..]));
        assert_eq!(value("xid=1&id=2&id=3"), Some(&b"2"[..]));
        assert_eq!(value("id=&x=1"), Some(&b""[..]));
        assert_eq!(value("id&x=id=1"), None);
        assert_eq!(value("ID=1"), None);
        assert_eq!(posted_parameter(b"a=1&id=\x00\x01", b"id"), None);
        assert_eq!(posted_parameter(b"a=1&id=7&b", b"id"), Some(&b"7"[..]));
    }

    #[test]
    fn a_domain_is_the_label_before_the_last() {
        assert_eq!(domain(b"haproxy.1wt.eu"), b"1wt");
        assert_eq!(domain(b"1wt.eu"), b"1wt");
        assert_eq!(domain(b"localhost"), b"localhost");
        assert_eq!(domain(b"10.0.0.1:80"), b"0");
        assert_eq!((domain(b".a"), domain(b"a."), domain(b"a..b")), (&b".a"[..], &b"a"[..], &b"a."[..]));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in prop::collection::vec(any::<u8>(), 0..60), length in 1u32..20, depth in 1u32..4) {
            for (whole, path_only) in [(false, false), (true, true)] {
                let key = UriKey { whole, path_only, length_max: Some(length), depth_max: Some(depth) };
                prop_assert!(uri_part(&text, &key).len() <= length as usize);
            }
            let _ = (posted_parameter(&text, b"a"), first_item(&text), domain(&text));
        }
    }
}
