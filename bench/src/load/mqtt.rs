//! MQTT clients: they connect, subscribe, ping and publish, and come back when their connection ends.

use super::arguments::Mqtt;
use super::board::{Client, Ended};
use super::connection::{Connection, closed_early};
use super::schedule::Schedule;
use super::tally::Timed;
use crate::mqtt::{Packet, PacketReader, encode};
use futures_lite::future;
use glommio::timer::sleep;
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

const SUBSCRIBE_ID: u16 = 1;
/// More publishes than this wait for no PUBACK at once; those that are due meanwhile go out late, and count from when
/// they were due.
const IN_FLIGHT: usize = 1_000;
/// How often a client that has nothing else to do looks whether publishing has begun.
const LOOK: Duration = Duration::from_millis(200);

/// Until the end of the run.
pub async fn client(mut client: Client, kind: &Mqtt) {
    let mut session = Session::new(&client, kind);
    // Since when it has wanted to be back.
    let mut gone: Option<Instant> = None;
    for attempt in 0u64.. {
        let Err::<(), io::Error>(error) = session.run(&mut client, &mut gone).await else { continue };
        if session.subscribed {
            gone = Some(Instant::now());
        }
        if client.socket.ended() == Some(Ended::Storm) {
            client.lost();
            client.board.tally.borrow_mut().count("dropped in the storm");
            continue;
        }
        if session.subscribed {
            client.board.tally.borrow_mut().count("lost");
        }
        client.count_failure(&error);
        sleep(delay(kind.reconnect_delay_ms, client.number ^ attempt << 32)).await;
    }
}

/// The delay and up to half of it again; the same seed, the same delay.
fn delay(milliseconds: u64, seed: u64) -> Duration {
    // splitmix64's last steps: neighbours' delays differ.
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40;
    Duration::from_millis(milliseconds).mul_f64(1.0 + (mixed % 1000) as f64 / 2000.0)
}

/// A client over its connections.
struct Session<'a> {
    kind: &'a Mqtt,
    client_id: String,
    topic: String,
    schedule: Option<Schedule>,
    next_publish: Option<Instant>,
    next_ping: Option<Instant>,
    ping_sent: Option<Instant>,
    /// Publishes without PUBACK, and when they were due.
    unacknowledged: VecDeque<(u16, Instant)>,
    last_id: u16,
    reader: PacketReader,
    out: Vec<u8>,
    subscribed: bool,
}

/// What came in, of what is waited for.
#[derive(Default)]
struct Came {
    connack: Option<u8>,
    suback: Option<u8>,
}

impl<'a> Session<'a> {
    fn new(client: &Client, kind: &'a Mqtt) -> Self {
        Session {
            kind,
            client_id: format!("{}-{}", kind.client_prefix, client.number),
            topic: format!("{}/{}", kind.client_prefix, client.number),
            schedule: None,
            next_publish: None,
            next_ping: None,
            ping_sent: None,
            unacknowledged: VecDeque::new(),
            last_id: SUBSCRIBE_ID,
            reader: PacketReader::default(),
            out: Vec::new(),
            subscribed: false,
        }
    }

    /// One connection, from its beginning to its end, which is always an error.
    async fn run(&mut self, client: &mut Client, gone: &mut Option<Instant>) -> io::Result<()> {
        self.subscribed = false;
        self.reader = PacketReader::default();
        self.unacknowledged.clear();
        self.ping_sent = None;
        let mut connection = Connection::open(client)?;
        self.connect(client, &mut connection).await?;
        self.subscribed = true;
        client.opened();
        if let Some(since) = gone.take() {
            let mut tally = client.board.tally.borrow_mut();
            tally.time(Timed::Reconnect, since.elapsed());
            tally.count("reconnects");
        }
        connection.awaits(false);
        if !self.kind.ping_seconds.is_zero() {
            // Spread over the interval, however the connections came.
            let part = (client.number as f64 * 0.618_033_988_749_895).fract();
            self.next_ping = Some(Instant::now() + self.kind.ping_seconds.mul_f64(part));
        }
        loop {
            self.say_what_is_due(client);
            if !self.out.is_empty() {
                let out = std::mem::take(&mut self.out);
                connection.write(&out).await?;
            }
            self.listen(client, &mut connection).await?;
            connection.awaits(self.ping_sent.is_some() || !self.unacknowledged.is_empty());
        }
    }

    async fn connect(&mut self, client: &Client, connection: &mut Connection) -> io::Result<()> {
        let mut packet = Vec::new();
        encode(
            &Packet::Connect {
                client_id: self.client_id.as_bytes(),
                keep_alive: self.kind.keep_alive,
                username: self.kind.username.as_deref().map(str::as_bytes),
                password: self.kind.password.as_deref().map(str::as_bytes),
            },
            &mut packet,
        );
        connection.write(&packet).await?;
        while let came = self.take(client, connection).await?
            && came.connack != Some(0)
        {
            if let Some(code) = came.connack {
                return Err(io::Error::other(format!("CONNACK refuses with code {code}")));
            }
        }
        client.board.tally.borrow_mut().time(Timed::Connack, connection.started().elapsed());
        if self.kind.no_subscribe {
            return Ok(());
        }
        packet.clear();
        let filter = self.topic.as_bytes();
        encode(&Packet::Subscribe { packet_id: SUBSCRIBE_ID, filter, qos: self.kind.qos }, &mut packet);
        let sent = Instant::now();
        connection.awaits(true);
        connection.write(&packet).await?;
        loop {
            match self.take(client, connection).await?.suback {
                None => {}
                Some(code) if code <= 1 => break,
                Some(code) => return Err(io::Error::other(format!("SUBACK refuses with code {code:#x}"))),
            }
        }
        client.board.tally.borrow_mut().time(Timed::Suback, sent.elapsed());
        Ok(())
    }

    /// Waits for what comes, or until something is due.
    async fn listen(&mut self, client: &Client, connection: &mut Connection) -> io::Result<()> {
        let next_publish = self.next_publish.filter(|_| self.unacknowledged.len() < IN_FLIGHT);
        let due = [self.next_ping, next_publish].into_iter().flatten().min();
        let Some(due) = due else { return self.take(client, connection).await.map(drop) };
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let timer = async {
            sleep(left).await;
            Ok(())
        };
        // Reading is safe to abandon: bytes are taken in the same step in which they are handled.
        future::or(async { self.take(client, connection).await.map(drop) }, timer).await
    }

    /// Reads once and handles what came.
    async fn take(&mut self, client: &Client, connection: &mut Connection) -> io::Result<Came> {
        let mut came = Came::default();
        let read = |bytes: &[u8]| {
            if bytes.is_empty() {
                return Err(closed_early());
            }
            let mut reader = std::mem::take(&mut self.reader);
            let result = reader.read(bytes, |packet| self.packet(client, &packet, &mut came));
            self.reader = reader;
            result.map_err(io::Error::other)
        };
        connection.read(read).await??;
        Ok(came)
    }

    fn packet(&mut self, client: &Client, packet: &Packet<'_>, came: &mut Came) {
        match packet {
            Packet::Connack { code } => came.connack = Some(*code),
            Packet::Suback { code, .. } => came.suback = Some(*code),
            Packet::Pingresp => {
                if let Some(sent) = self.ping_sent.take() {
                    client.time(Timed::Ping, sent.elapsed());
                    client.done(sent);
                    count(client, "pings");
                }
            }
            Packet::Puback { packet_id } => {
                let position = self.unacknowledged.iter().position(|(id, _)| id == packet_id);
                if let Some((_, intended)) = position.and_then(|position| self.unacknowledged.remove(position)) {
                    self.published(client, intended);
                }
            }
            Packet::Publish { packet_id, payload, .. } => {
                if let Some(packet_id) = packet_id {
                    encode(&Packet::Puback { packet_id: *packet_id }, &mut self.out);
                }
                count(client, "deliveries");
                let Some(latency) = age(payload) else { return };
                client.time(Timed::Delivery, latency);
                if let (0, Some(intended)) = (self.kind.qos, Instant::now().checked_sub(latency)) {
                    self.published(client, intended);
                }
            }
            _ => {}
        }
    }

    fn published(&self, client: &Client, intended: Instant) {
        client.time(Timed::Publish, intended.elapsed());
        client.done(intended);
        count(client, "publishes");
    }

    /// Puts pings and publishes whose time has come into `out`.
    fn say_what_is_due(&mut self, client: &Client) {
        let now = Instant::now();
        if self.next_ping.is_some_and(|due| due <= now) {
            self.next_ping = Some(now + self.kind.ping_seconds);
            // A second one would hide how long the first one's answer takes.
            if self.ping_sent.is_none() {
                self.ping_sent = Some(now);
                encode(&Packet::Pingreq, &mut self.out);
            }
        }
        if self.kind.publish_rate.is_none() {
            return;
        }
        if self.schedule.is_none() {
            self.schedule = client.board.schedule(client.number);
            self.next_publish = match &mut self.schedule {
                Some(schedule) => schedule.next(),
                None => return self.next_publish = Some(now + LOOK),
            };
        }
        while let Some(intended) = self.next_publish.filter(|due| *due <= now) {
            if self.unacknowledged.len() >= IN_FLIGHT {
                return;
            }
            self.publish(client, intended);
            self.next_publish = self.schedule.as_mut().and_then(Iterator::next);
        }
    }

    fn publish(&mut self, client: &Client, intended: Instant) {
        client.time(Timed::Lag, intended.elapsed());
        let mut payload = vec![b'm'; self.kind.bytes.max(16)];
        let due_ns = monotonic_ns().saturating_sub(intended.elapsed().as_nanos() as u64);
        payload[..8].copy_from_slice(&client.number.to_be_bytes());
        payload[8..16].copy_from_slice(&due_ns.to_be_bytes());
        let packet_id = (self.kind.qos > 0).then(|| {
            // 0 is no packet identifier (section 2.3.1).
            self.last_id = self.last_id.checked_add(1).unwrap_or(SUBSCRIBE_ID + 1);
            self.unacknowledged.push_back((self.last_id, intended));
            self.last_id
        });
        encode(&Packet::Publish { topic: self.topic.as_bytes(), packet_id, payload: &payload }, &mut self.out);
        if packet_id.is_none() && self.kind.no_subscribe {
            // Nothing will ever be heard of it.
            if client.board.measuring() {
                client.board.tally.borrow_mut().operations += 1;
            }
            count(client, "publishes");
        }
    }
}

fn count(client: &Client, name: &str) {
    if client.board.measuring() {
        client.board.tally.borrow_mut().count(name);
    }
}

/// Nanoseconds on the clock that all processes of the machine share.
fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| Duration::from(now).as_nanos() as u64)
}

/// How long ago a payload of ours was due.
fn age(payload: &[u8]) -> Option<Duration> {
    let due_ns = u64::from_be_bytes(payload.get(8..16)?.try_into().ok()?);
    monotonic_ns().checked_sub(due_ns).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_spread_over_half_as_much_again() {
        let delays: Vec<Duration> = (0..1000).map(|seed| delay(1000, seed)).collect();
        assert!(delays.iter().all(|delay| (Duration::from_millis(1000)..Duration::from_millis(1500)).contains(delay)));
        let late = delays.iter().filter(|delay| **delay >= Duration::from_millis(1250)).count();
        assert!((300..700).contains(&late), "{late} of 1000 in the later half");
    }
}
