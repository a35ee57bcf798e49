//! What rules do with stick tables: keys, tracking, counting (configuration.txt section 4.2, `stick-table`, `track-sc`).

use super::exchange::{Client, Exchange, Scope, Stage};
use super::sample::{self, Outcome, Sample};
use crate::config::model::{
    GeneralCounter, GeneralTag, ProxyMode, SampleType, TableAction, TableDataKind, TableKeyType, TableReference,
};
use crate::shared::stick_table::{Entry, StickTableState, TrackedEntry};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// The bytes that an entry is found by.
pub enum TableKey<'a> {
    Short([u8; 16], usize),
    Bytes(Cow<'a, [u8]>),
}

impl std::ops::Deref for TableKey<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            TableKey::Short(bytes, length) => bytes.get(..*length).unwrap_or_default(),
            TableKey::Bytes(bytes) => bytes,
        }
    }
}

fn short<'a>(bytes: &[u8]) -> TableKey<'a> {
    let mut all = [0; 16];
    let length = bytes.len().min(all.len());
    all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    TableKey::Short(all, length)
}

fn cut(bytes: Cow<[u8]>, bytes_max: u32) -> Cow<[u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..bytes_max as usize).unwrap_or(bytes)),
        Cow::Owned(mut bytes) => {
            bytes.truncate(bytes_max as usize);
            Cow::Owned(bytes)
        }
    }
}

fn ipv6_key(sample: Sample<'_>) -> Option<TableKey<'_>> {
    match sample.cast(SampleType::Ipv6)? {
        Sample::Address(IpAddr::V6(address)) => Some(short(&address.octets())),
        _ => None,
    }
}

/// A sample as a key of this type; `None`: it cannot be one.
pub fn key_of(sample: Sample<'_>, of: TableKeyType) -> Option<TableKey<'_>> {
    match of {
        TableKeyType::Ip => match sample.cast(SampleType::Ipv4)? {
            Sample::Address(IpAddr::V4(address)) => Some(short(&address.octets())),
            _ => None,
        },
        TableKeyType::Ipv6 => match sample {
            // A text is an IPv6 address or none; other samples are mapped.
            Sample::Text(text) => {
                let address: std::net::Ipv6Addr = std::str::from_utf8(&text).ok()?.parse().ok()?;
                Some(short(&address.octets()))
            }
            other => ipv6_key(other),
        },
        TableKeyType::Integer => Some(short(&(sample.as_integer()? as u32).to_be_bytes())),
        TableKeyType::Text { bytes_max } => {
            let text = sample.into_text()?;
            // A text ends at its first NUL.
            let length = memchr::memchr(0, &text).unwrap_or(text.len());
            let text = cut(text, u32::try_from(length).unwrap_or(u32::MAX).min(bytes_max));
            // An empty text is nobody's name.
            (!text.is_empty()).then_some(TableKey::Bytes(text))
        }
        TableKeyType::Binary { bytes } => {
            let sample = sample.into_binary();
            if sample.is_empty() {
                return None;
            }
            let mut key = cut(sample, bytes);
            if key.len() < bytes as usize {
                key.to_mut().resize(bytes as usize, 0);
            }
            Some(TableKey::Bytes(key))
        }
    }
}

/// The table that a rule or an expression means.
pub fn table_of<'a>(reference: &TableReference, scope: &Scope<'a>) -> Option<&'a Arc<StickTableState>> {
    let shared = scope.shared;
    let tables = &shared.config.stick_tables;
    let id = match &reference.name {
        // One for all: the look-up is made once.
        Some(name) => *reference.found.get_or_init(|| {
            let position = tables.iter().position(|table| table.name == *name);
            position.map(|index| crate::config::model::StickTableId(index as u32))
        }),
        None => {
            let position = tables.iter().position(|table| table.proxy == scope.proxy);
            position.map(|index| crate::config::model::StickTableId(index as u32))
        }
    };
    shared.stick_tables.get(id?.0 as usize)
}

pub fn now_ms(scope: &Scope) -> u64 {
    scope.monotonic_us / 1_000
}

/// What a counter tracks: of the stream, else of the connection.
pub fn tracked<'a>(scope: &'a Scope, counter: u8) -> Option<&'a TrackedEntry> {
    scope.exchange.tracked.get(counter).or_else(|| scope.client.tracked.get(counter))
}

/// Counts a general purpose counter, and its rate, up; gives the counter's new value, else the rate's. `None`: neither
/// is stored.
pub fn add_to(table: &StickTableState, entry: &Entry, gpc: GeneralCounter, amount: u64, now_ms: u64) -> Option<u64> {
    let [count, rate] = gpc.slots(&table.layout).map(|slot| slot.map(|slot| entry.add(slot, amount, now_ms)));
    if count.is_some() || rate.is_some() {
        table.touch(entry, now_ms);
    }
    count.or(rate)
}

/// Runs an action. False: what its key needs may still come.
pub fn act(action: &TableAction, is_of_connection: bool, scope: &mut Scope) -> bool {
    match action {
        TableAction::Track { counter, key, table } => {
            if tracked(scope, *counter).is_some() {
                return true;
            }
            let sample = match sample::fetch(key, scope) {
                Outcome::Found(sample) => sample,
                Outcome::NotYet => return scope.is_payload_complete,
                Outcome::Missing => return true,
            };
            let Some(table) = table_of(table, scope) else { return true };
            let now_ms = now_ms(scope);
            let tracked = key_of(sample, table.key).and_then(|key| table.track(&key, now_ms));
            if let Some(mut tracked) = tracked {
                tracked.count_connection(now_ms);
                let is_request = scope.stage == Stage::Request && is_http(scope);
                if !is_of_connection && is_request {
                    // Those tracked before had the request counted when it came.
                    count_request_of(&tracked, now_ms);
                }
                match is_of_connection {
                    true => scope.client.tracked.set(*counter, tracked),
                    false => scope.exchange.tracked.set(*counter, tracked),
                }
            }
        }
        TableAction::Add { counter, gpc, amount } => {
            let amount = match amount {
                None => 1,
                Some(amount) => match sample::fetch_integer(amount, scope) {
                    Some(amount) => u64::try_from(amount).unwrap_or(0),
                    None => return true,
                },
            };
            if let Some(tracked) = tracked(scope, *counter) {
                add_to(tracked.table(), tracked.entry(), *gpc, amount, now_ms(scope));
            }
        }
        TableAction::SetTag { counter, tag, value } => {
            let Some(value) = sample::fetch_integer(value, scope) else { return true };
            let Some(tracked) = tracked(scope, *counter) else { return true };
            let layout = &tracked.table().layout;
            let slot = match tag {
                GeneralTag::Gpt0 => layout.slot_or_element(TableDataKind::Gpt0, 0),
                GeneralTag::Element(element) => layout.slot(TableDataKind::Gpt, *element),
            };
            if let Some(slot) = slot {
                let now_ms = now_ms(scope);
                tracked.entry().set(slot, u64::try_from(value).unwrap_or(0), now_ms);
                tracked.table().touch(tracked.entry(), now_ms);
            }
        }
    }
    true
}

fn is_http(scope: &Scope) -> bool {
    let frontend = scope.client.frontend.and_then(|id| scope.shared.config.proxies.get(id.index()));
    frontend.is_some_and(|frontend| frontend.mode == ProxyMode::Http)
}

fn count_request_of(tracked: &TrackedEntry, now_ms: u64) {
    tracked.add(TableDataKind::HttpReqCnt, 1, now_ms);
    tracked.add(TableDataKind::HttpReqRate, 1, now_ms);
}

/// The connection was accepted by its rules.
pub fn count_session(client: &Client, now_us: u64) {
    let now_ms = now_us / 1_000;
    client.tracked.add(TableDataKind::SessCnt, 1, now_ms);
    client.tracked.add(TableDataKind::SessRate, 1, now_ms);
}

/// A request came, good or bad, before its rules were asked.
pub fn count_request(client: &Client, now_us: u64) {
    let now_ms = now_us / 1_000;
    client.tracked.add(TableDataKind::HttpReqCnt, 1, now_ms);
    client.tracked.add(TableDataKind::HttpReqRate, 1, now_ms);
}

fn count_on_both(client: &Client, exchange: &Exchange, kinds: [TableDataKind; 2], amount: u64, now_us: u64) {
    for tracked in [&client.tracked, &exchange.tracked].into_iter().filter(|tracked| !tracked.is_empty()) {
        for kind in kinds {
            tracked.add(kind, amount, now_us / 1_000);
        }
    }
}

/// A request that was bad, refused, or answered with 4xx by a server.
pub fn count_error(client: &Client, exchange: &Exchange, now_us: u64) {
    count_on_both(client, exchange, [TableDataKind::HttpErrCnt, TableDataKind::HttpErrRate], 1, now_us);
}

/// A server's failure.
pub fn count_failure(client: &Client, exchange: &Exchange, now_us: u64) {
    count_on_both(client, exchange, [TableDataKind::HttpFailCnt, TableDataKind::HttpFailRate], 1, now_us);
}

/// A server's response has this status.
pub fn count_status(client: &Client, exchange: &Exchange, now_us: u64) {
    match exchange.response.status() {
        400..=499 => count_error(client, exchange, now_us),
        // What the server cannot do is the client's wish.
        501 | 505 => {}
        500..=599 => count_failure(client, exchange, now_us),
        _ => {}
    }
}

/// Bytes from the client and to it.
pub fn count_bytes(client: &Client, exchange: &Exchange, bytes_in: u64, bytes_out: u64, now_us: u64) {
    if bytes_in > 0 {
        count_on_both(client, exchange, [TableDataKind::BytesInCnt, TableDataKind::BytesInRate], bytes_in, now_us);
    }
    if bytes_out > 0 {
        count_on_both(client, exchange, [TableDataKind::BytesOutCnt, TableDataKind::BytesOutRate], bytes_out, now_us);
    }
}
