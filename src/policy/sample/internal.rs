//! Of the process, its clock, the exchange (configuration.txt sections 7.3.2, 7.3.6).

use super::{Sample, cast};
use crate::config::model::{ExchangeFetch, ProcessFetch, TimeUnit, Value, VariableName};
use crate::policy::exchange::Scope;
use crate::policy::variables;
use std::borrow::Cow;
use std::time::Duration;

pub fn variable<'a>(name: &VariableName, default: Option<&'a Value>, scope: &Scope) -> Option<Sample<'a>> {
    match variables::get(name, scope) {
        Some(value) => Some(Sample::of_value(&value).into_owned()),
        None => default.map(Sample::of_value),
    }
}

pub fn process<'a>(of: &ProcessFetch, scope: &Scope<'a>) -> Sample<'a> {
    match of {
        ProcessFetch::Date { offset, unit } => {
            let divisor = match unit {
                TimeUnit::Seconds => 1_000_000,
                TimeUnit::Milliseconds => 1_000,
                TimeUnit::Microseconds => 1,
            };
            Sample::Integer(((scope.wall_us / divisor) as i64).saturating_add(*offset))
        }
        ProcessFetch::DateMicroseconds => Sample::Integer((scope.wall_us % 1_000_000) as i64),
        ProcessFetch::Hostname => Sample::text(scope.hostname.as_bytes()),
        ProcessFetch::Random { range } => {
            let number = u64::from(fastrand::u32(..));
            Sample::Integer(if *range == 0 { number as i64 } else { ((number * u64::from(*range)) >> 32) as i64 })
        }
        ProcessFetch::Uuid => Sample::owned_text(uuid()),
        ProcessFetch::Thread => Sample::Integer(i64::from(scope.worker)),
        ProcessFetch::Stopping => {
            Sample::Bool(scope.shared.process.stopping.load(std::sync::atomic::Ordering::Relaxed))
        }
    }
}

/// RFC 4122 version 4.
fn uuid() -> String {
    let mut number = fastrand::u128(..);
    number = number & !(0xf << 76) | (0x4 << 76);
    number = number & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    parts.join("-")
}

fn milliseconds(time: Option<Duration>) -> Option<Sample<'static>> {
    Some(Sample::Integer(time.map_or(0, |time| time.as_millis() as i64)))
}

fn captured(slots: &[Option<Vec<u8>>], slot: usize) -> Option<Sample<'_>> {
    slots.get(slot)?.as_deref().map(Sample::text)
}

pub fn exchange<'a>(of: ExchangeFetch, scope: &'a Scope) -> Option<Sample<'a>> {
    let (exchange, config) = (&*scope.exchange, &scope.shared.config);
    match of {
        ExchangeFetch::ServerId => exchange.server.map(|server| Sample::Integer(i64::from(config.server(server).sid))),
        ExchangeFetch::ServerName => exchange.server.map(|server| Sample::text(config.server(server).name.as_bytes())),
        ExchangeFetch::IsCacheHit => Some(Sample::Bool(exchange.answering_cache().is_some())),
        ExchangeFetch::CacheName => {
            let cache = exchange.answering_cache().and_then(|cache| config.caches.get(cache.0 as usize));
            Some(Sample::text(cache.map_or(b"", |cache| cache.name.as_bytes())))
        }
        ExchangeFetch::IsFirstRequest => Some(Sample::Bool(scope.client.exchanges <= 1)),
        ExchangeFetch::UniqueId => exchange.unique_id.as_deref().map(|id| Sample::text(id.as_bytes())),
        ExchangeFetch::LastRuleFile => {
            exchange.last_rule.and_then(|rule| rule.location(config)).map(|rule| Sample::text(rule.file.as_bytes()))
        }
        ExchangeFetch::LastRuleLine => {
            exchange.last_rule.and_then(|rule| rule.location(config)).map(|rule| Sample::Integer(i64::from(rule.line)))
        }
        ExchangeFetch::CurrentClientTimeout => {
            let own = scope.client.frontend.and_then(|frontend| config.proxy(frontend).timeouts.client);
            milliseconds(exchange.timeouts.client.or(own))
        }
        ExchangeFetch::CurrentServerTimeout => {
            let own = exchange.backend.and_then(|backend| config.proxy(backend).timeouts.server);
            milliseconds(exchange.timeouts.server.or(own))
        }
        ExchangeFetch::CurrentTunnelTimeout => {
            let own = exchange.backend.and_then(|backend| config.proxy(backend).timeouts.tunnel);
            milliseconds(exchange.timeouts.tunnel.or(own))
        }
        ExchangeFetch::CapturedRequestHeader(slot) => captured(&exchange.request_captures, slot),
        ExchangeFetch::CapturedResponseHeader(slot) => captured(&exchange.response_captures, slot),
        ExchangeFetch::CapturedMethod => line_part(&exchange.request_line, 0).map(Sample::text),
        ExchangeFetch::CapturedUri => {
            let target = line_part(&exchange.request_line, 1)?;
            super::url::path_and_query(target).map(Sample::text)
        }
        ExchangeFetch::CapturedRequestVersion => {
            (!exchange.request.is_empty()).then(|| Sample::text(version(exchange.request.version())))
        }
        ExchangeFetch::CapturedResponseVersion => {
            (!exchange.response.is_empty()).then(|| Sample::text(version(exchange.response.version())))
        }
    }
}

fn version(of: crate::proto::http1::head::Version) -> &'static [u8] {
    match of {
        crate::proto::http1::head::Version::Http10 => b"HTTP/1.0",
        crate::proto::http1::head::Version::Http11 => b"HTTP/1.1",
    }
}

/// Method or target of a request line.
fn line_part(line: &[u8], index: usize) -> Option<&[u8]> {
    line.split(|byte| *byte == b' ').nth(index).filter(|part| !part.is_empty())
}

/// The variable as a number.
pub fn integer_variable(name: &VariableName, scope: &Scope) -> Option<i64> {
    Sample::of_value(&variables::get(name, scope)?).as_integer()
}

/// The variable as text.
pub fn text_variable(name: &VariableName, scope: &Scope) -> Option<Vec<u8>> {
    match variables::get(name, scope)? {
        Value::Integer(number) => Some(cast::decimal(number)),
        value => Sample::of_value(&value).into_text().map(Cow::into_owned),
    }
}
