//! `option http-restrict-req-hdr-names` (configuration.txt section 4.2): applications that turn header names into
//! variables read `X_Real-IP` and `X-Real-IP` as one, and rules don't.

use super::exchange::Scope;
use crate::config::model::OddHeaderNames;

/// Does to the request what `scope.proxy` wants done, after its http-request rules. False: the request is refused.
pub fn restrict(scope: &mut Scope) -> bool {
    let Some(proxy) = scope.shared.config.proxies.get(scope.proxy.index()) else { return true };
    let request = &mut scope.exchange.request;
    match proxy.http.odd_header_names {
        OddHeaderNames::Preserve => {}
        OddHeaderNames::Delete => request.retain_headers(|_, name, _| !is_odd(name)),
        OddHeaderNames::Reject => return !request.headers().any(|(name, _)| is_odd(name)),
    }
    true
}

fn is_odd(name: &[u8]) -> bool {
    !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}
