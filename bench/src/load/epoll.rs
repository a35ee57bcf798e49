//! The client side without glommio: one thread, epoll, closed loop.

use super::arguments::{First, Kind};
use super::connect::Routes;
use super::orders::{Event, Orders, Phase, Share};
use super::tally::{Tally, Timed, error_kind};
use crate::engine::Poller;
use crate::http::{Progress, ResponseReader};
use crate::{Scenario, cpu};
use anyhow::bail;
use crossbeam_channel::Sender;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

struct Connection {
    stream: TcpStream,
    /// Which of all connections it is: its source and target follow from it.
    number: u64,
    /// How much of the message has been written; the connect may have to end first.
    written: usize,
    received: usize,
    response: ResponseReader,
    /// The answer is complete; only the proxy's end of the connection is still awaited.
    answered: bool,
    sent_at: Instant,
}

/// The connections of one thread.
pub struct Load {
    routes: Routes,
    scenario: Scenario,
    message: Vec<u8>,
    poller: Poller,
    connections: Vec<Connection>,
    tally: Tally,
    measuring: bool,
    buffer: Vec<u8>,
}

impl Load {
    fn new(routes: Routes, scenario: Scenario, message: Vec<u8>) -> anyhow::Result<Load> {
        Ok(Load {
            routes,
            scenario,
            message,
            poller: Poller::new()?,
            connections: Vec::new(),
            tally: Tally::default(),
            measuring: true,
            buffer: vec![0; 256 * 1024],
        })
    }

    fn open_one(&mut self, number: u64) -> anyhow::Result<()> {
        let stream = self.routes.connect(number)?;
        let index = self.connections.len();
        self.poller.add(&stream, index)?;
        self.connections.push(Connection {
            stream,
            number,
            written: 0,
            received: 0,
            response: ResponseReader::default(),
            answered: false,
            sent_at: Instant::now(),
        });
        self.send(index);
        Ok(())
    }

    fn send(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.sent_at = Instant::now();
        connection.received = 0;
        connection.answered = false;
        connection.written = 0;
        connection.response = ResponseReader::default();
        self.go_on_sending(index);
    }

    /// Errors are met by the read that follows.
    fn go_on_sending(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        while let Some(rest) = self.message.get(connection.written..).filter(|rest| !rest.is_empty()) {
            let Ok(count) = connection.stream.write(rest) else { return };
            connection.written += count;
            if self.measuring {
                self.tally.bytes_sent += count as u64;
            }
        }
    }

    fn turn(&mut self, timeout_ms: i32) -> anyhow::Result<()> {
        let mut ready = Vec::new();
        self.poller.wait(timeout_ms, &mut ready)?;
        for index in ready {
            self.go_on_sending(index);
            self.ready(index)?;
        }
        Ok(())
    }

    fn ready(&mut self, index: usize) -> anyhow::Result<()> {
        loop {
            let connection = &mut self.connections[index];
            let result = connection.stream.read(&mut self.buffer);
            if let (Ok(count), true) = (&result, self.measuring) {
                self.tally.bytes_received += *count as u64;
            }
            match result {
                Ok(0) if connection.answered && self.scenario == Scenario::HttpClose => {
                    self.done(index);
                    return self.reopen(index, None);
                }
                Ok(0) => return self.reopen(index, Some("connection closed early".to_string())),
                Ok(count) if self.scenario.is_http() => {
                    let whole_buffer = count == self.buffer.len();
                    match connection.response.read(&self.buffer[..count]) {
                        Progress::More if !connection.answered => {}
                        Progress::Done if !connection.answered => self.answered(index),
                        _ => return self.reopen(index, Some("not the expected answer".to_string())),
                    }
                    // A short read has emptied the socket; the end of a connection must be asked for.
                    if !whole_buffer && self.scenario != Scenario::HttpClose {
                        return Ok(());
                    }
                }
                Ok(_) if self.scenario == Scenario::Bulk => self.tally.operations += self.measuring as u64,
                Ok(count) => {
                    connection.received += count;
                    if connection.received < self.message.len() {
                        return Ok(());
                    }
                    self.done(index);
                    match self.scenario {
                        Scenario::Churn => return self.reopen(index, None),
                        Scenario::Pingpong => self.send(index),
                        _ => {}
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return self.reopen(index, Some(error_kind(&error))),
            }
        }
    }

    /// An exchange is complete.
    fn done(&mut self, index: usize) {
        if self.measuring {
            let elapsed = self.connections[index].sent_at.elapsed();
            self.tally.operations += 1;
            self.tally.time(Timed::Operation, elapsed);
        }
    }

    /// An HTTP answer is complete.
    fn answered(&mut self, index: usize) {
        match self.scenario {
            Scenario::HttpClose => self.connections[index].answered = true,
            Scenario::HttpIdle => {
                self.done(index);
                self.connections[index].answered = true;
            }
            _ => {
                self.done(index);
                self.send(index);
            }
        }
    }

    fn reopen(&mut self, index: usize, failure: Option<String>) -> anyhow::Result<()> {
        if let Some(failure) = failure {
            self.tally.error(&failure);
        }
        let started = Instant::now();
        let stream = self.routes.connect(self.connections[index].number)?;
        self.poller.add(&stream, index)?;
        self.connections[index].stream = stream;
        self.send(index);
        self.connections[index].sent_at = started;
        Ok(())
    }

    /// Idle connections whose one exchange has not been completed.
    fn unanswered(&self) -> usize {
        let complete = |connection: &Connection| match self.scenario {
            Scenario::HttpIdle => connection.answered,
            _ => connection.received >= self.message.len(),
        };
        self.connections.iter().filter(|connection| !complete(connection)).count()
    }
}

/// The load of `kind` that this thread does, until it is told to stop.
pub fn share(kind: &Kind, share: &Share, orders: &Orders, events: &Sender<Event>) -> anyhow::Result<Tally> {
    if let Some(core) = share.core {
        cpu::pin(core)?;
    }
    if kind.rate().is_some() {
        bail!("an open loop (--rate) needs --executor glommio");
    }
    let message = |bytes: usize| vec![b'm'; bytes];
    let (scenario, message) = match kind {
        Kind::TcpPingPong(kind) => (Scenario::Pingpong, message(kind.bytes)),
        Kind::TcpClose(kind) => (Scenario::Churn, message(kind.bytes)),
        Kind::TcpBulkDown(_) => (Scenario::Bulk, Vec::new()),
        Kind::HttpKeepAlive(kind) => (Scenario::HttpKeepalive, kind.request.bytes_to_send(false)),
        Kind::HttpClose(kind) => (Scenario::HttpClose, kind.request.bytes_to_send(true)),
        Kind::Idle(kind) if kind.first == First::Http => (Scenario::HttpIdle, kind.request.bytes_to_send(false)),
        Kind::Idle(kind) if kind.first == First::Tcp => (Scenario::Idle, message(kind.request.bytes.max(1))),
        _ => bail!("{} needs --executor glommio", kind.name()),
    };
    let common = kind.common();
    let mut load = Load::new(Routes::new(&common.to, common.sources)?, scenario, message)?;
    load.measuring = false;
    let (mut phase, mut cpu_before, mut ready, begun) = (Phase::Ramp, 0, false, Instant::now());
    let mut reported = begun;
    loop {
        let now = orders.phase();
        if now != phase && now == Phase::Measure {
            load.tally.connections_at_start = load.standing();
            load.measuring = true;
            cpu_before = cpu::thread_nanoseconds();
        }
        if now == Phase::Stop {
            break;
        }
        phase = now;
        let opened = load.connections.len() as u64;
        if opened < share.connections {
            let allowed = share.ramp_rate.map_or(u64::MAX, |rate| (begun.elapsed().as_secs_f64() * rate) as u64 + 1);
            for number in opened..share.connections.min(allowed).min(opened + share.window) {
                load.open_one(share.first + number)?;
            }
        } else if !ready && load.standing() == opened {
            ready = true;
            events.send(Event::Ready { share: share.number })?;
        }
        load.turn(1)?;
        if reported.elapsed() >= Duration::from_millis(500) {
            reported = Instant::now();
            events.send(load.progress(share.number))?;
        }
    }
    load.tally.own_cpu_ns = cpu::thread_nanoseconds().saturating_sub(cpu_before);
    load.tally.connections_at_end = load.standing();
    if scenario.is_idle() {
        load.tally.operations = load.tally.connections_at_end;
    }
    Ok(load.tally)
}

impl Load {
    /// Connections that are open: all but those that an idle load still waits for.
    fn standing(&self) -> u64 {
        let waiting = if self.scenario.is_idle() { self.unanswered() } else { 0 };
        (self.connections.len() - waiting) as u64
    }

    fn progress(&self, share: u64) -> Event {
        let errors = self.tally.errors.values().sum();
        Event::Progress { share, connected: self.connections.len() as u64, operations: self.tally.operations, errors }
    }
}
