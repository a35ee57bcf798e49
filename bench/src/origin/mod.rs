//! The servers behind the proxy, and a relay that could be one.

pub mod epoll;
mod executor;
mod http;
mod mqtt;
pub mod relay;
mod stream;
mod tcp;

use crate::Scenario;
use crate::load::arguments::Executor;
use clap::{Args, ValueEnum};
use std::net::{IpAddr, SocketAddr};

/// `ringway-bench origin`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What to serve
    #[arg(value_enum)]
    kind: OriginKind,
    #[command(flatten)]
    place: Place,
    /// Size of an HTTP answer's body where the path doesn't say (/bytes/N does)
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// What moves the bytes; epoll is one thread for each address
    #[arg(long, value_enum, default_value_t = Executor::Glommio)]
    executor: Executor,
}

/// Where a server is.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Where to listen; several addresses are served alike. Without a port the kernel chooses one. Each address is
    /// told on standard output, as "listening on ADDRESS:PORT".
    #[arg(long, required = true, value_delimiter = ',', value_name = "ADDRESS[:PORT]", value_parser = listen_address)]
    pub listen: Vec<SocketAddr>,
    /// One executor on each of these CPUs; a single one, on any CPU, unless given
    #[arg(long, value_delimiter = ',', value_name = "CPU")]
    pub cores: Vec<usize>,
}

/// What an origin does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OriginKind {
    /// Sends back what comes.
    TcpEcho,
    /// Takes what comes.
    TcpSink,
    /// Sends as fast as it is taken.
    TcpSource,
    /// Answers requests with a body of zeros: --bytes long, or N for a path /bytes/N.
    Http,
    /// A minimal MQTT 3.1.1 responder: CONNACK, SUBACK, PUBACK, PINGRESP; what a client publishes goes to the same
    /// client's subscriptions, and to nobody else.
    Mqtt,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 0));
    }
    text.parse().map_err(|_| "not ADDRESS or ADDRESS:PORT".to_string())
}

/// Serves until killed.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.executor == Executor::Epoll {
        return run_epoll(arguments);
    }
    let (kind, bytes) = (arguments.kind, arguments.bytes);
    executor::serve(&arguments.place, move |stream| async move {
        // How a connection ends is the other side's business.
        let _ended = match kind {
            OriginKind::TcpEcho => tcp::echo(stream).await,
            OriginKind::TcpSink => tcp::sink(stream).await,
            OriginKind::TcpSource => tcp::source(stream).await,
            OriginKind::Http => http::answer(stream, bytes).await,
            OriginKind::Mqtt => mqtt::respond(stream).await,
        };
    })
}

fn run_epoll(arguments: &Arguments) -> anyhow::Result<()> {
    let scenario = match arguments.kind {
        OriginKind::TcpEcho => Scenario::Pingpong,
        OriginKind::TcpSource => Scenario::Bulk,
        OriginKind::Http => Scenario::HttpKeepalive,
        OriginKind::TcpSink | OriginKind::Mqtt => anyhow::bail!("this kind needs --executor glommio"),
    };
    if let Some(&core) = arguments.place.cores.first() {
        crate::cpu::pin(core)?;
    }
    let mut threads = Vec::new();
    for address in &arguments.place.listen {
        let listener = std::net::TcpListener::bind(address)?;
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(4096)?)?;
        println!("listening on {}", listener.local_addr()?);
        let bytes = arguments.bytes;
        threads.push(std::thread::spawn(move || epoll::run(listener, scenario, bytes)));
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("an origin's thread ended"))??;
    }
    Ok(())
}
