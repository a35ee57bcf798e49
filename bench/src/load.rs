//! The client side: one thread, closed loop.

use crate::Scenario;
use crate::engine::Poller;
use crate::http::{self, Progress, ResponseReader};
use hdrhistogram::Histogram;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const MESSAGE: [u8; 64] = [b'm'; 64];

/// What one run of load did.
pub struct Report {
    /// Exchanges, or bytes in bulk, or connections held.
    pub units: u64,
    pub seconds: f64,
    pub errors: u64,
    pub latency_us: Histogram<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} units in {:.2} s = {:.0}/s, {} errors, latency us p50 {} p99 {} max {}",
            self.units,
            self.seconds,
            self.units as f64 / self.seconds,
            self.errors,
            self.latency_us.value_at_quantile(0.5),
            self.latency_us.value_at_quantile(0.99),
            self.latency_us.max()
        )
    }
}

struct Connection {
    stream: TcpStream,
    received: usize,
    response: ResponseReader,
    /// The answer is complete; only the proxy's end of the connection is still awaited.
    answered: bool,
    sent_at: Instant,
}

/// Connections to one target, spread over source addresses so that ports suffice.
pub struct Load {
    target: SocketAddr,
    scenario: Scenario,
    poller: Poller,
    connections: Vec<Connection>,
    report: Report,
    buffer: Vec<u8>,
}

fn connect(target: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl Load {
    /// Opens the connections and gives each its first message.
    pub fn open(target: SocketAddr, scenario: Scenario, connections: usize) -> anyhow::Result<Load> {
        let report =
            Report { units: 0, seconds: 0.0, errors: 0, latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)? };
        let mut load = Load {
            target,
            scenario,
            poller: Poller::new()?,
            connections: Vec::with_capacity(connections),
            report,
            buffer: vec![0; 256 * 1024],
        };
        for index in 0..connections {
            let stream = connect(target)?;
            load.poller.add(&stream, index)?;
            load.connections.push(Connection {
                stream,
                received: 0,
                response: ResponseReader::default(),
                answered: false,
                sent_at: Instant::now(),
            });
            load.send(index);
            // Not faster than a backlog of a few hundred can take them.
            if index % 64 == 63 {
                load.turn(1)?;
            }
        }
        Ok(load)
    }

    fn send(&mut self, index: usize) {
        let message: &[u8] = match self.scenario {
            Scenario::HttpClose => http::LAST_REQUEST,
            scenario if scenario.is_http() => http::REQUEST,
            _ => &MESSAGE,
        };
        let connection = &mut self.connections[index];
        connection.sent_at = Instant::now();
        connection.received = 0;
        connection.answered = false;
        connection.response = ResponseReader::default();
        if connection.stream.write_all(message).is_err() {
            self.report.errors += 1;
        }
    }

    fn turn(&mut self, timeout_ms: i32) -> anyhow::Result<()> {
        let mut ready = Vec::new();
        self.poller.wait(timeout_ms, &mut ready)?;
        for index in ready {
            self.ready(index)?;
        }
        Ok(())
    }

    fn ready(&mut self, index: usize) -> anyhow::Result<()> {
        loop {
            let connection = &mut self.connections[index];
            match connection.stream.read(&mut self.buffer) {
                Ok(0) if connection.answered && self.scenario == Scenario::HttpClose => {
                    self.done(index);
                    return self.reopen(index, false);
                }
                Ok(0) => return self.reopen(index, true),
                Ok(count) if self.scenario.is_http() => {
                    let whole_buffer = count == self.buffer.len();
                    match connection.response.read(&self.buffer[..count]) {
                        _ if connection.answered => return self.reopen(index, true),
                        Progress::More => {}
                        Progress::Done => self.answered(index),
                        Progress::Wrong => return self.reopen(index, true),
                    }
                    // A short read has emptied the socket; the end of a connection must be asked for.
                    if !whole_buffer && self.scenario != Scenario::HttpClose {
                        return Ok(());
                    }
                }
                Ok(count) if self.scenario == Scenario::Bulk => self.report.units += count as u64,
                Ok(count) => {
                    connection.received += count;
                    if connection.received < MESSAGE.len() {
                        return Ok(());
                    }
                    self.done(index);
                    match self.scenario {
                        Scenario::Churn => return self.reopen(index, false),
                        Scenario::Pingpong => self.send(index),
                        _ => {}
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return self.reopen(index, true),
            }
        }
    }

    /// An exchange is complete.
    fn done(&mut self, index: usize) {
        self.report.units += 1;
        let elapsed = self.connections[index].sent_at.elapsed();
        self.report.latency_us.saturating_record(elapsed.as_micros() as u64);
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

    fn reopen(&mut self, index: usize, failed: bool) -> anyhow::Result<()> {
        self.report.errors += failed as u64;
        let stream = connect(self.target)?;
        self.poller.add(&stream, index)?;
        self.connections[index].stream = stream;
        self.send(index);
        Ok(())
    }

    /// Idle connections whose one exchange has not been completed.
    pub fn unanswered(&self) -> usize {
        let complete = |connection: &Connection| match self.scenario {
            Scenario::HttpIdle => connection.answered,
            _ => connection.received >= MESSAGE.len(),
        };
        self.connections.iter().filter(|connection| !complete(connection)).count()
    }

    /// Runs for a time; what was counted before does not count.
    pub fn run(&mut self, duration: Duration) -> anyhow::Result<Report> {
        (self.report.units, self.report.errors) = (0, 0);
        self.report.latency_us.reset();
        let start = Instant::now();
        while start.elapsed() < duration {
            self.turn(10)?;
        }
        let empty =
            Report { units: 0, seconds: 0.0, errors: 0, latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)? };
        let mut report = std::mem::replace(&mut self.report, empty);
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// Opens, runs, reports.
pub fn run(target: SocketAddr, scenario: Scenario, connections: usize, duration: Duration) -> anyhow::Result<Report> {
    let mut load = Load::open(target, scenario, connections)?;
    load.run(duration)
}
