//! What an executor counts: merged over executors and processes at the end.

use super::record::Latency;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// What is timed; each has a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// A whole operation, as the kind defines it.
    Operation,
    Connect,
    /// How much later than intended an open loop sent.
    Lag,
    Connack,
    Suback,
    Ping,
    Publish,
    Delivery,
    /// From the loss of a connection, or its being dropped in a storm, to the next subscription (or CONNACK).
    Reconnect,
}

impl Timed {
    pub const ALL: [Timed; 9] = [
        Timed::Operation,
        Timed::Connect,
        Timed::Lag,
        Timed::Connack,
        Timed::Suback,
        Timed::Ping,
        Timed::Publish,
        Timed::Delivery,
        Timed::Reconnect,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Timed::Operation => "operation",
            Timed::Connect => "connect",
            Timed::Lag => "lag",
            Timed::Connack => "connack",
            Timed::Suback => "suback",
            Timed::Ping => "ping",
            Timed::Publish => "publish",
            Timed::Delivery => "delivery",
            Timed::Reconnect => "reconnect",
        }
    }
}

/// An hour, in nanoseconds: the longest latency that is told apart.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Latencies of one name, in nanoseconds, to three digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    /// Records a latency; those of more than an hour count as an hour.
    pub fn record(&mut self, latency: Duration) {
        if let Some(histogram) = self.histogram() {
            histogram.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS).max(1));
        }
    }

    /// A name that nothing is recorded for costs no memory.
    fn histogram(&mut self) -> Option<&mut Histogram<u64>> {
        if self.0.is_none() {
            self.0 = Histogram::new_with_bounds(1, LONGEST_NS, 3).ok();
        }
        self.0.as_mut()
    }

    pub fn merge(&mut self, other: &Latencies) {
        if let (Some(theirs), Some(histogram)) = (&other.0, self.histogram().filter(|_| other.0.is_some())) {
            histogram.add(theirs).ok();
        }
    }

    pub fn latency(&self) -> Latency {
        self.0.as_ref().map_or_else(Latency::default, Latency::of)
    }

    /// HdrHistogram V2, deflated, base64; empty if nothing was recorded.
    pub fn encoded(&self) -> String {
        let mut bytes = Vec::new();
        let written = self.0.as_ref().map(|histogram| V2DeflateSerializer::new().serialize(histogram, &mut bytes));
        if matches!(written, Some(Ok(_))) { BASE64_STANDARD.encode(bytes) } else { String::new() }
    }

    /// The reverse of [`Latencies::encoded`]; what it can't have written is an error.
    pub fn decoded(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Latencies(None));
        }
        let bytes = BASE64_STANDARD.decode(text).map_err(|error| format!("histogram: {error}"))?;
        let read: Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| format!("histogram: {error}"))?;
        Ok(Latencies(Some(read)))
    }
}

/// Everything one executor saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tally {
    pub operations: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub errors: BTreeMap<String, u64>,
    pub counts: BTreeMap<String, u64>,
    pub connections_at_start: u64,
    pub connections_at_end: u64,
    pub own_cpu_ns: u64,
    /// One for each of [`Timed::ALL`].
    #[serde(with = "as_text")]
    latencies: Vec<Latencies>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            operations: 0,
            bytes_sent: 0,
            bytes_received: 0,
            errors: BTreeMap::new(),
            counts: BTreeMap::new(),
            connections_at_start: 0,
            connections_at_end: 0,
            own_cpu_ns: 0,
            latencies: vec![Latencies(None); Timed::ALL.len()],
        }
    }
}

impl Tally {
    pub fn time(&mut self, what: Timed, latency: Duration) {
        if let Some(latencies) = self.latencies.get_mut(what as usize) {
            latencies.record(latency);
        }
    }

    pub fn error(&mut self, kind: &str) {
        add(&mut self.errors, kind, 1);
    }

    pub fn errors_of(&mut self, kind: &str, count: u64) {
        if count > 0 {
            add(&mut self.errors, kind, count);
        }
    }

    pub fn count(&mut self, name: &str) {
        add(&mut self.counts, name, 1);
    }

    pub fn latencies(&self) -> impl Iterator<Item = (Timed, &Latencies)> {
        Timed::ALL.into_iter().zip(&self.latencies)
    }

    /// Adds what another executor saw.
    pub fn merge(&mut self, other: &Tally) {
        self.operations += other.operations;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.connections_at_start += other.connections_at_start;
        self.connections_at_end += other.connections_at_end;
        self.own_cpu_ns += other.own_cpu_ns;
        for (kind, count) in &other.errors {
            add(&mut self.errors, kind, *count);
        }
        for (name, count) in &other.counts {
            add(&mut self.counts, name, *count);
        }
        for (ours, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            ours.merge(theirs);
        }
    }
}

/// Without allocating for a name that is known.
fn add(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(count) => *count += more,
        None => drop(counts.insert(name.to_string(), more)),
    }
}

/// An error's kind in a few words, the same for all that have the same cause.
pub fn error_kind(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "connection refused".to_string(),
        Kind::ConnectionReset => "connection reset".to_string(),
        Kind::BrokenPipe => "connection reset".to_string(),
        Kind::UnexpectedEof => "connection closed early".to_string(),
        Kind::TimedOut => "timed out".to_string(),
        Kind::AddrNotAvailable => "no local port left".to_string(),
        _ => match error.raw_os_error() {
            Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
            None => error.to_string(),
        },
    }
}

mod as_text {
    use super::{Latencies, Timed};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(latencies: &[Latencies], serializer: S) -> Result<S::Ok, S::Error> {
        latencies.iter().map(Latencies::encoded).collect::<Vec<String>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Latencies>, D::Error> {
        let mut texts = Vec::<String>::deserialize(deserializer)?;
        texts.resize(Timed::ALL.len(), String::new());
        texts.iter().map(|text| Latencies::decoded(text).map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(latencies_us: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for latency in latencies_us {
            tally.operations += 1;
            tally.time(Timed::Operation, Duration::from_micros(*latency));
        }
        tally
    }

    proptest! {
        /// Two halves merged, one of them by way of a pipe, are what one executor would have counted.
        #[test]
        fn merged_is_as_if_counted_by_one(
            one in prop::collection::vec(0u64..10_000_000, 0..200),
            other in prop::collection::vec(0u64..10_000_000, 0..200),
        ) {
            let together = tally(&[one.clone(), other.clone()].concat());
            let mut merged = tally(&one);
            let sent = serde_json::to_string(&tally(&other)).expect("serializes");
            merged.merge(&serde_json::from_str(&sent).expect("deserializes"));
            prop_assert_eq!(merged.operations, together.operations);
            let (ours, theirs): (Vec<_>, Vec<_>) = (
                merged.latencies().map(|(_, latencies)| latencies.latency()).collect(),
                together.latencies().map(|(_, latencies)| latencies.latency()).collect(),
            );
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn a_percentile_is_right_to_three_digits(mut values in prop::collection::vec(1u64..1_000_000_000, 1..500)) {
            let latency = tally(&values).latencies().next().expect("the first").1.latency();
            values.sort_unstable();
            let exact = values[(values.len().div_ceil(2)) - 1] as f64;
            prop_assert!((latency.p50 - exact).abs() <= exact * 0.001 + 0.001, "{} for {exact}", latency.p50);
            prop_assert_eq!(latency.count, values.len() as u64);
        }

        #[test]
        fn what_is_no_histogram_is_refused(text in "[A-Za-z0-9+/]{4,64}") {
            let _ = Latencies::decoded(&text);
        }
    }

    #[test]
    fn errors_add_up_by_kind() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.error("connection reset");
        other.error("connection reset");
        other.error("timed out");
        one.merge(&other);
        assert_eq!(one.errors, BTreeMap::from([("connection reset".to_string(), 2), ("timed out".to_string(), 1)]));
    }
}
