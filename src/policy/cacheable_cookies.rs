//! `option checkcache` (configuration.txt section 4.2): a cookie in a response that caches may keep would be given to
//! everybody.
//!
//! 2.6 reads the option and never blocks anything (seen with 2.6.12); its manual, and HAProxy 1.8, decide here.

use super::exchange::Scope;
use crate::proto::http1::trim_blanks;

/// Whether the response sets a cookie, and nothing keeps caches from storing it.
pub fn is_exposed(scope: &Scope) -> bool {
    let Some(proxy) = scope.shared.config.proxies.get(scope.proxy.index()) else { return false };
    let exchange = &*scope.exchange;
    if !proxy.http.check_cacheable_cookies {
        return false;
    }
    let response = &exchange.response;
    let sets_cookie = response.has(b"set-cookie") || response.has(b"set-cookie2");
    sets_cookie && is_cacheable(exchange.request.method(), response.status(), response.headers())
}

/// Whether caches may keep the response with its cookie.
fn is_cacheable<'a>(method: &[u8], status: u16, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> bool {
    let by_default = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
        && matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
    let mut is_public = false;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(b"pragma") && directives(value).any(|one| one.eq_ignore_ascii_case(b"no-cache")) {
            return false;
        }
        if !name.eq_ignore_ascii_case(b"cache-control") {
            continue;
        }
        for directive in directives(value) {
            match directive.to_ascii_lowercase().as_slice() {
                b"private" | b"no-store" | b"no-cache" | b"max-age=0" | b"s-maxage=0" => return false,
                // The list of fields has a comma of its own, which the split has taken for the directive's end.
                b"no-cache=\"set-cookie\"" | b"no-cache=\"set-cookie" => return false,
                b"public" => is_public = true,
                _ => {}
            }
        }
    }
    by_default || is_public
}

fn directives(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim_blanks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cacheable(method: &str, status: u16, headers: &[(&str, &str)]) -> bool {
        let pairs = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        is_cacheable(method.as_bytes(), status, pairs)
    }

    #[test]
    fn methods_and_statuses_are_the_manuals() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(cacheable(method, 200, &[]), "{method}");
        }
        for method in ["POST", "PUT", "DELETE", "get"] {
            assert!(!cacheable(method, 200, &[]), "{method}");
            assert!(cacheable(method, 200, &[("Cache-Control", "Public")]), "{method}");
        }
        for status in [203, 204, 206, 300, 301, 404, 405, 410, 414, 501] {
            assert!(cacheable("GET", status, &[]), "{status}");
        }
        for status in [201, 302, 303, 304, 307, 400, 403, 500, 503] {
            assert!(!cacheable("GET", status, &[]), "{status}");
            assert!(cacheable("GET", status, &[("cache-control", "max-age=9, public")]), "{status}");
        }
    }

    #[test]
    fn what_forbids_to_keep_the_cookie() {
        let forbids = |value: &str| !cacheable("GET", 200, &[("Cache-Control", value)]);
        for value in
            ["private", "no-store", "no-cache", "max-age=0", "s-maxage=0", "NO-CACHE=\"Set-Cookie\"", "public, private"]
        {
            assert!(forbids(value), "{value}");
        }
        assert!(forbids("no-cache=\"set-cookie, x-other\""));
        for value in ["public", "max-age=10", "max-age=00", "no-cache=\"x\"", "no-cachex", "no-cache=\"set-cookie2\""] {
            assert!(!forbids(value), "{value}");
        }
        assert!(!cacheable("GET", 200, &[("pragma", "x, No-Cache")]));
        assert!(cacheable("GET", 200, &[("Pragma", "no-cachex")]));
        assert!(!cacheable("GET", 200, &[("Cache-Control", "public"), ("Pragma", "no-cache")]));
    }
}
