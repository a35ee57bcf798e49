//! Compressing responses on their way to clients that understand it (configuration.txt section 4.2, `compression`).

mod encoder;

pub use encoder::Compressor;

use super::exchange::{Exchange, Scope};
use crate::config::model::{Compression, CompressionAlgorithm};
use crate::proto::http1::head::Version;
use crate::proto::http1::{is_token_byte, trim_blanks};

/// The backend's settings and the frontend's: in each point the backend's count where it says something.
struct Sides<'a> {
    frontend: &'a Compression,
    backend: &'a Compression,
}

impl<'a> Sides<'a> {
    fn of(scope: &Scope<'a>) -> Self {
        let shared = scope.shared;
        let of = |proxy: Option<_>| &shared.config.proxy(proxy.unwrap_or(scope.proxy)).compression;
        Sides { frontend: of(scope.client.frontend), backend: of(scope.exchange.backend) }
    }

    fn algorithms(&self) -> &'a [CompressionAlgorithm] {
        let own = &self.backend.algorithms;
        if own.is_empty() { &self.frontend.algorithms } else { own }
    }

    fn types(&self) -> &'a [String] {
        if self.backend.types.is_empty() { &self.frontend.types } else { &self.backend.types }
    }

    fn is_offloaded(&self) -> bool {
        self.frontend.is_offloaded || self.backend.is_offloaded
    }

    fn response_bytes_min(&self) -> u64 {
        let own = self.backend.response_bytes_min;
        if own == 0 { self.frontend.response_bytes_min } else { own }
    }
}

/// Chooses from what the request accepts, when its backend is known and all rules have run; with `offload`, the server
/// does not get to know.
pub fn read_request(scope: &mut Scope) {
    let sides = Sides::of(scope);
    let exchange = &mut *scope.exchange;
    exchange.compression = None;
    if sides.algorithms().is_empty() || is_old_agent(exchange.request.value(b"user-agent").unwrap_or_default()) {
        return;
    }
    exchange.compression = choose(sides.algorithms(), exchange.request.values(b"accept-encoding"));
    if exchange.compression.is_some() && sides.is_offloaded() {
        exchange.request.remove_headers(b"accept-encoding");
    }
}

/// Browsers that say they are `Mozilla/4` cannot be relied on, but for MSIE 6 of Windows XP SP2 and later ones.
fn is_old_agent(agent: &[u8]) -> bool {
    if !agent.starts_with(b"Mozilla/4") {
        return false;
    }
    match agent.get(25..).and_then(|rest| rest.strip_prefix(b"MSIE ")).and_then(|rest| rest.first()) {
        Some(b'6') => agent.get(51..54) != Some(b"SV1"),
        Some(version) => *version < b'6',
        None => true,
    }
}

/// The algorithm that the client likes best, and of equals the first it names.
fn choose<'a>(
    algorithms: &[CompressionAlgorithm],
    accepted: impl Iterator<Item = &'a [u8]>,
) -> Option<CompressionAlgorithm> {
    let mut best = None;
    let mut best_quality = 0;
    for item in accepted.flat_map(|line| line.split(|byte| *byte == b',')).map(trim_blanks) {
        let length = item.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, parameters) = item.split_at(length);
        let quality = quality(parameters);
        if quality <= best_quality {
            continue;
        }
        let found = algorithms.iter().find(|algorithm| token == b"*" || token.eq_ignore_ascii_case(algorithm.token()));
        if let Some(algorithm) = found {
            (best, best_quality) = (Some(*algorithm), quality);
        }
    }
    best
}

/// `;q=0.5` in thousandths (RFC 9110 section 12.4.2); 1000 without it.
fn quality(parameters: &[u8]) -> u32 {
    for parameter in parameters.split(|byte| *byte == b';').map(trim_blanks) {
        let [b'q' | b'Q', b'=', number @ ..] = parameter else { continue };
        let digit = |at: usize| number.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
        let whole = digit(0).unwrap_or(0);
        let mut thousandths = 0;
        if number.get(1) == Some(&b'.') {
            for (at, scale) in [(2, 100), (3, 10), (4, 1)] {
                let Some(digit) = digit(at) else { break };
                thousandths += digit * scale;
            }
        }
        return (whole * 1000 + thousandths).min(1000);
    }
    1000
}

/// Whether the response may be compressed: what the manual lists, in its order.
fn is_compressible(exchange: &Exchange, sides: &Sides) -> bool {
    let (request, response) = (&exchange.request, &exchange.response);
    let items = |name: &'static [u8]| {
        response.values(name).flat_map(|value| value.split(|byte| *byte == b',')).map(trim_blanks)
    };
    let length = exchange.response_content_length;
    let is_framed = length.is_some() || response.has(b"transfer-encoding");
    let mut tags = response.values(b"etag");
    let tag = tags.next();
    response.version() == Version::Http11
        && request.version() == Version::Http11
        && request.method() != b"HEAD"
        && matches!(response.status(), 200..=203)
        && is_framed
        && length.is_none_or(|length| length > 0 && length >= sides.response_bytes_min())
        && !response.has(b"content-encoding")
        && !items(b"cache-control").any(|item| item.eq_ignore_ascii_case(b"no-transform"))
        && tag.is_none_or(is_entity_tag)
        && tags.next().is_none()
        && has_type(response.value(b"content-type"), sides.types())
}

/// RFC 9110 section 8.8.3
fn is_entity_tag(tag: &[u8]) -> bool {
    let strong = tag.strip_prefix(b"W/").unwrap_or(tag);
    matches!(strong, [b'"', text @ .., b'"'] if text.iter().all(|byte| *byte == 0x21 || *byte >= 0x23 && *byte != 0x7f))
}

fn has_type(given: Option<&[u8]>, types: &[String]) -> bool {
    let starts = |given: &[u8], with: &str| {
        given.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    match given {
        None => types.is_empty(),
        Some(given) => {
            !starts(given, "multipart") && (types.is_empty() || types.iter().any(|wanted| starts(given, wanted)))
        }
    }
}

impl Compressor {
    /// The compressor for the body of the response that is about to go to the client, if it is to be compressed; the
    /// head says so then. The body's length is not known any more: it must go in chunks.
    pub fn begin(scope: &mut Scope) -> Option<Box<Compressor>> {
        let algorithm = scope.exchange.compression?;
        let sides = Sides::of(scope);
        if algorithm == CompressionAlgorithm::Identity || !is_compressible(scope.exchange, &sides) {
            return None;
        }
        let compressor = Compressor::new(algorithm, &scope.shared.config.global)?;
        let response = &mut scope.exchange.response;
        response.add_header(b"Content-Encoding", algorithm.token());
        response.add_header(b"Vary", b"Accept-Encoding");
        let tag = response
            .headers()
            .position(|(name, value)| name.eq_ignore_ascii_case(b"etag") && value.first() == Some(&b'"'));
        if let Some(index) = tag {
            // What is sent is not the same bytes any more.
            let weak = [b"W/", response.header(index).1].concat();
            response.replace_value(index, &weak);
        }
        Some(Box::new(compressor))
    }
}

#[cfg(test)]
#[path = "compression_tests.rs"]
mod tests;
