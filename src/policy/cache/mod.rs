//! `cache-use` and `cache-store`: what may come from a cache and what may go there (configuration.txt section 6).

mod conditional;
mod date;
mod freshness;
mod vary;

use super::exchange::{Exchange, Scope};
use crate::config::model::CacheId;
use crate::proto::http1::head::Version;
use crate::proto::http1::message::Message;
use crate::shared::cache::{Object, Store, StoredHead};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// What an exchange has to do with caches: there once a `cache-use` rule was met.
#[derive(Default)]
pub struct CacheState {
    /// What the response is known by: scheme, host and URI as they were at the rule.
    key: Vec<u8>,
    accepted_encodings: Option<u32>,
    referer: Vec<u8>,
    /// The request's own headers, or its method, keep the response out, unless it says `public`.
    is_storing_unwanted: bool,
    hit: Option<(CacheId, Arc<Object>)>,
    store: Option<Box<Store>>,
}

impl fmt::Debug for CacheState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheState")
            .field("key", &self.key)
            .field("is_hit", &self.hit.is_some())
            .finish_non_exhaustive()
    }
}

/// A hit, for who sends it.
pub struct Hit {
    pub body: Bytes,
    pub is_chunked: bool,
    pub is_not_modified: bool,
}

impl Exchange {
    /// The cache that answers, if one does.
    pub fn answering_cache(&self) -> Option<CacheId> {
        self.cache.as_ref()?.hit.as_ref().map(|(cache, _)| *cache)
    }
}

/// `cache-use`: the first that finds something settles who answers; the rules after it still run.
pub fn look_up(scope: &mut Scope, id: CacheId) {
    let Some(cache) = scope.shared.caches.get(id.0 as usize) else { return };
    let is_of_frontend = scope.client.frontend == Some(scope.proxy);
    let counters = &scope.shared.workers[scope.worker as usize].proxies[scope.proxy.index()];
    let exchange = &mut *scope.exchange;
    if exchange.answering_cache().is_some() {
        return;
    }
    let mut state = exchange.cache.take().unwrap_or_default();
    let request = &exchange.request;
    let wishes = freshness::wishes_of(request);
    state.is_storing_unwanted = wishes.is_storing_unwanted;
    state.key.clear();
    let has_key = write_key(request, &mut state.key);
    (state.accepted_encodings, state.referer) = match cache.settings.processes_vary {
        true => (vary::accepted_encodings(request), request.value(b"referer").unwrap_or_default().to_vec()),
        false => (None, Vec::new()),
    };
    let is_looked_up = has_key
        && !wishes.is_delivery_unwanted
        && request.version() == Version::Http11
        && matches!(request.method(), b"GET" | b"HEAD");
    if is_looked_up {
        let (lookups, hits) = match is_of_frontend {
            true => (&counters.frontend_cache_lookups, &counters.frontend_cache_hits),
            false => (&counters.backend_cache_lookups, &counters.backend_cache_hits),
        };
        lookups.increment();
        let accepts = crate::shared::cache::Accepts {
            encodings: state.accepted_encodings.unwrap_or(vary::IDENTITY),
            referer: &state.referer,
        };
        if let Some(object) = cache.find(&state.key, accepts, scope.monotonic_us) {
            hits.increment();
            state.hit = Some((id, object));
        }
    }
    exchange.cache = Some(state);
}

/// `https://` before what has no scheme, as HAProxy does: HTTP/2 always has one. False: there is no host.
fn write_key(request: &Message, key: &mut Vec<u8>) -> bool {
    let target = request.target();
    if target.first() == Some(&b'/') || target == b"*" {
        let Some(host) = request.value(b"host") else { return false };
        key.extend_from_slice(b"https://");
        key.extend_from_slice(host);
    }
    key.extend_from_slice(target);
    true
}

/// Makes the response a hit's, when there is one. `None`: there is none.
pub fn answer(scope: &mut Scope) -> Option<Hit> {
    let (_, object) = scope.exchange.cache.as_ref()?.hit.clone()?;
    let exchange = &mut *scope.exchange;
    let is_not_modified = conditional::is_not_modified(&exchange.request, &object);
    let response = &mut exchange.response;
    match is_not_modified {
        true => response.start_response(Version::Http11, 304, b"Not Modified"),
        false => response.start_response(Version::Http11, 200, &object.head.reason),
    }
    match object.head.is_chunked {
        true => response.add_header(b"Transfer-Encoding", b"chunked"),
        false => response.add_header(b"Content-Length", itoa::Buffer::new().format(object.body.len()).as_bytes()),
    };
    for (name, value) in object.head.fields() {
        response.add_header(name, value);
    }
    let here_s = scope.monotonic_us.saturating_sub(object.stored_us) / 1_000_000;
    let age = here_s.saturating_add(u64::from(object.head.age_s)).min(freshness::AGE_MAX_S);
    response.add_header(b"Age", itoa::Buffer::new().format(age).as_bytes());
    exchange.response_content_length = Some(object.body.len() as u64);
    Some(Hit { body: object.body.clone(), is_chunked: object.head.is_chunked, is_not_modified })
}

/// `cache-store`: begins to keep the response as it is at the rule, if it may be kept; or forgets what a successful
/// request of an unsafe method has changed (RFC 9111 section 4.4).
pub fn store(scope: &mut Scope, id: CacheId) {
    let Some(cache) = scope.shared.caches.get(id.0 as usize) else { return };
    let exchange = &mut *scope.exchange;
    let Some(state) = exchange.cache.as_mut().filter(|state| state.hit.is_none() && !state.key.is_empty()) else {
        return;
    };
    let (request, response) = (&exchange.request, &exchange.response);
    if request.version() != Version::Http11 {
        return;
    }
    if request.method() != b"GET" {
        let is_safe = matches!(request.method(), b"HEAD" | b"OPTIONS" | b"TRACE");
        if !is_safe && (200..400).contains(&response.status()) {
            cache.invalidate(&state.key);
        }
        return;
    }
    // Where the end of the stream is the end of the body, one that was broken off looks whole.
    let is_chunked = response.has(b"transfer-encoding");
    let length = exchange.response_content_length;
    if state.store.is_some() || response.status() != 200 || length.is_none() && !is_chunked {
        return;
    }
    let wall_s = (scope.wall_us / 1_000_000) as i64;
    let settings = &cache.settings;
    let lifetime = freshness::lifetime(response, state.is_storing_unwanted, wall_s, settings.age_max_s);
    let Some(lifetime) = lifetime else { return };
    let variant = vary::variant(response, settings.processes_vary, state.accepted_encodings, &state.referer);
    let Some(variant) = variant else { return };
    let mut head = StoredHead::default();
    head.reason = response.reason().into();
    head.etag = response.value(b"etag").map(Into::into);
    head.last_modified_s = conditional::last_modified(response, wall_s);
    (head.age_s, head.is_chunked) = (lifetime.age_s, is_chunked);
    for (name, value) in response.headers().filter(|(name, _)| !is_of_connection(name)) {
        head.push(name, value);
    }
    let lifetime_us = u64::from(lifetime.seconds) * 1_000_000;
    state.store = cache.store(&state.key, variant, head, length, lifetime_us);
}

/// Fields that say how a message goes over one connection, and the age, which is counted here.
fn is_of_connection(name: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] = [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"content-length",
        b"trailer",
        b"te",
        b"upgrade",
        b"age",
    ];
    FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// What takes the body on its way, if it is to be kept.
pub fn take_store(exchange: &mut Exchange) -> Option<Box<Store>> {
    exchange.cache.as_mut()?.store.take()
}
