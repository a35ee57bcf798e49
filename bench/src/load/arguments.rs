//! The command line of `ringway-bench load`.

use crate::http;
use clap::{Args, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is asked of the target.
#[derive(Clone, Debug, Subcommand)]
pub enum Kind {
    /// One message there and back, over and over, on open connections (origin: tcp-echo).
    ///
    /// An operation is one round trip; its latency runs from the send to the last byte of the echo.
    TcpPingPong(TcpExchange),
    /// Sends as fast as it is taken (origin: tcp-sink).
    ///
    /// An operation is one filled write of `--bytes`; bytes_sent is what counts.
    TcpBulkUp(TcpBulk),
    /// Receives as fast as it comes (origin: tcp-source).
    ///
    /// An operation is one read; bytes_received is what counts.
    TcpBulkDown(TcpBulk),
    /// Connect, one message there and back, close; over and over (origin: tcp-echo).
    ///
    /// The latency runs from before the connect to the last byte of the echo.
    TcpClose(TcpExchange),
    /// Requests on kept connections (origin: http).
    HttpKeepAlive(HttpExchange),
    /// A connection for each request (origin: http).
    ///
    /// The latency runs from before the connect to the end that follows the answer.
    HttpClose(HttpExchange),
    /// MQTT 3.1.1 clients: CONNECT, SUBSCRIBE, then PINGREQ and PUBLISH (origin: mqtt, or real brokers).
    ///
    /// They connect (ramp), stay (hold, --seconds), and, if asked, some of them reconnect at once (storm). A client
    /// whose connection ends comes back by itself after --reconnect-delay-ms. An operation is an answered PINGREQ or
    /// PUBLISH; deliveries to the subscriptions are counted apart.
    Mqtt(Mqtt),
    /// Connections that stay open and do nothing (origin: tcp-echo or http).
    ///
    /// An operation is a connection that was still open at the end.
    Idle(Idle),
}

impl Kind {
    /// The kind's name as on the command line and in the record.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::TcpPingPong(_) => "tcp-ping-pong",
            Kind::TcpBulkUp(_) => "tcp-bulk-up",
            Kind::TcpBulkDown(_) => "tcp-bulk-down",
            Kind::TcpClose(_) => "tcp-close",
            Kind::HttpKeepAlive(_) => "http-keep-alive",
            Kind::HttpClose(_) => "http-close",
            Kind::Mqtt(_) => "mqtt",
            Kind::Idle(_) => "idle",
        }
    }

    /// What all kinds have.
    pub fn common(&self) -> &Common {
        match self {
            Kind::TcpPingPong(kind) | Kind::TcpClose(kind) => &kind.common,
            Kind::TcpBulkUp(kind) | Kind::TcpBulkDown(kind) => &kind.common,
            Kind::HttpKeepAlive(kind) | Kind::HttpClose(kind) => &kind.common,
            Kind::Mqtt(kind) => &kind.common,
            Kind::Idle(kind) => &kind.common,
        }
    }

    /// Operations a second of all connections together, if the loop is open.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Kind::TcpPingPong(kind) | Kind::TcpClose(kind) => kind.open_loop.rate,
            Kind::HttpKeepAlive(kind) | Kind::HttpClose(kind) => kind.open_loop.rate,
            Kind::Mqtt(kind) => kind.publish_rate,
            Kind::TcpBulkUp(_) | Kind::TcpBulkDown(_) | Kind::Idle(_) => None,
        }
    }
}

#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Where to connect to; several addresses are taken in turn
    #[arg(long, required = true, value_delimiter = ',', value_name = "ADDRESS:PORT")]
    pub to: Vec<SocketAddr>,
    /// Connections of all processes and cores together
    #[arg(long, short = 'c', default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub connections: u64,
    /// How long to measure, or to hold
    #[arg(long, short = 's', default_value = "3", value_parser = seconds)]
    pub seconds: Duration,
    /// Load before the measurement that doesn't count
    #[arg(long, default_value = "0", value_parser = seconds)]
    pub warmup_seconds: Duration,
    /// Local addresses to connect from: 127.1.0.1, 127.1.0.2 and so on, taken in turn; 0 leaves it to the kernel.
    /// One address has some 28,000 ports for each target.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=4_000_000))]
    pub sources: u32,
    /// One executor on each of these CPUs; all that the process may use unless given
    #[arg(long, value_delimiter = ',', value_name = "CPU")]
    pub cores: Vec<usize>,
    /// Processes to share the connections; 0: as few as the descriptor limit allows
    #[arg(long, default_value_t = 0)]
    pub processes: usize,
    /// What moves the bytes; epoll is the existing loop of this tool, for comparison with glommio
    #[arg(long, value_enum, default_value_t = Executor::Glommio)]
    pub executor: Executor,
    /// Connections being opened at once, of all cores together
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    pub ramp_window: u64,
    /// Connections to open a second at most
    #[arg(long, value_parser = rate)]
    pub ramp_rate: Option<f64>,
    /// How long opening may take before the measurement begins without the rest (they are counted as errors)
    #[arg(long, default_value = "120", value_parser = seconds)]
    pub ramp_seconds: Duration,
    /// How long a connection or an answer may take before it counts as an error
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub timeout_seconds: Duration,
    /// Processes whose CPU time and memory to record over the measurement (the proxy)
    #[arg(long, value_delimiter = ',', value_name = "PID")]
    pub watch: Vec<u32>,
    /// Where to write the record as one line of JSON; - is the standard output, and no table is printed then
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Put the latency histograms into the record (HdrHistogram V2, deflated, base64; nanoseconds)
    #[arg(long)]
    pub histograms: bool,
    /// No progress lines
    #[arg(long, short)]
    pub quiet: bool,
    /// This process is one of several and takes its orders from the first (used by --processes).
    #[arg(long, hide = true)]
    pub member: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    Glommio,
    Epoll,
}

#[derive(Args, Clone, Debug)]
pub struct OpenLoop {
    /// Operations a second of all connections together (open loop: latency counts from the intended time, so that a
    /// stalled proxy is not spared the requests it held up). Closed loop unless given: each connection sends as soon
    /// as its last answer is there.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
}

#[derive(Args, Clone, Debug)]
pub struct TcpExchange {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub open_loop: OpenLoop,
    /// Size of a message
    #[arg(long, default_value_t = 64, value_parser = message_bytes)]
    pub bytes: usize,
}

#[derive(Args, Clone, Debug)]
pub struct TcpBulk {
    #[command(flatten)]
    pub common: Common,
    /// Size of a read or write
    #[arg(long, default_value_t = 262_144, value_parser = message_bytes)]
    pub bytes: usize,
}

#[derive(Args, Clone, Debug)]
pub struct HttpExchange {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub open_loop: OpenLoop,
    #[command(flatten)]
    pub request: HttpRequest,
}

#[derive(Args, Clone, Debug)]
pub struct HttpRequest {
    /// Size of the answer's body, asked for as /bytes/N (100 unless given); not checked against what comes
    #[arg(long, default_value_t = 100, value_parser = body_bytes)]
    pub bytes: usize,
    /// Size of the request's body; a POST if it isn't 0
    #[arg(long, default_value_t = 0, value_parser = body_bytes)]
    pub request_bytes: usize,
    /// The path to ask for instead of /bytes/N
    #[arg(long)]
    pub path: Option<String>,
    /// The Host header
    #[arg(long, default_value = "bench.test")]
    pub host: String,
    /// A header line to add, as "Name: value"; may be given again
    #[arg(long = "header", value_name = "LINE")]
    pub headers: Vec<String>,
}

impl HttpRequest {
    /// The request as it is sent; `last` asks for the connection's end.
    pub fn bytes_to_send(&self, last: bool) -> Vec<u8> {
        let path = self.path.clone().unwrap_or_else(|| format!("/bytes/{}", self.bytes));
        http::request(&path, &self.host, &self.headers, self.request_bytes, last)
    }
}

#[derive(Args, Clone, Debug)]
pub struct Mqtt {
    #[command(flatten)]
    pub common: Common,
    /// A client sends PINGREQ this often; 0: never
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub ping_seconds: Duration,
    /// Keep-alive seconds said in CONNECT; 0: none
    #[arg(long, default_value_t = 60)]
    pub keep_alive: u16,
    /// PUBLISH messages a second of all clients together, each to its own topic; none unless given
    #[arg(long, value_parser = rate)]
    pub publish_rate: Option<f64>,
    /// Quality of service of publishes and subscriptions. Latency is that of PUBACK with 1, of the delivery with 0.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: u8,
    /// Size of a published payload (16 bytes of it say who sent it and when)
    #[arg(long, default_value_t = 64, value_parser = payload_bytes)]
    pub bytes: usize,
    /// Percent of the clients that drop their connection and come back at once
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    pub storm: f64,
    /// When the storm comes, after the ramp; half of --seconds unless given
    #[arg(long, value_parser = seconds)]
    pub storm_after_seconds: Option<Duration>,
    /// How long a client that lost its connection waits before it comes back, half of it again at random
    #[arg(long, default_value_t = 1000)]
    pub reconnect_delay_ms: u64,
    /// The client identifiers' beginning; a number follows
    #[arg(long, default_value = "bench")]
    pub client_prefix: String,
    /// Don't subscribe
    #[arg(long)]
    pub no_subscribe: bool,
    /// The user name of CONNECT
    #[arg(long)]
    pub username: Option<String>,
    /// The password of CONNECT
    #[arg(long, requires = "username")]
    pub password: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct Idle {
    #[command(flatten)]
    pub common: Common,
    /// What each connection does before it rests
    #[arg(long, value_enum, default_value_t = First::Tcp)]
    pub first: First,
    #[command(flatten)]
    pub request: HttpRequest,
}

/// What an idle connection does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum First {
    /// Nothing: it is connected and no more.
    Nothing,
    /// One message of --bytes there and back.
    Tcp,
    /// One HTTP request on a connection that is kept.
    Http,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    if !(0.0..=1_000_000.0).contains(&seconds) {
        return Err("from 0 to 1000000 seconds".to_string());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        Ok(_) => Err("from 0.001 to 1000000000 a second".to_string()),
        Err(_) => Err("not a number a second".to_string()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("from 0 to 100 percent".to_string()),
    }
}

fn sized(text: &str, low: usize, high: usize) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(bytes) if (low..=high).contains(&bytes) => Ok(bytes),
        _ => Err(format!("from {low} to {high} bytes")),
    }
}

fn message_bytes(text: &str) -> Result<usize, String> {
    sized(text, 1, 16 << 20)
}

fn body_bytes(text: &str) -> Result<usize, String> {
    sized(text, 0, 1 << 30)
}

fn payload_bytes(text: &str) -> Result<usize, String> {
    sized(text, 16, 1 << 20)
}
