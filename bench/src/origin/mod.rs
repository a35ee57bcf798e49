//! The servers behind the proxy.

pub mod epoll;

use crate::Scenario;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;

/// `ringway-bench origin`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What to serve
    #[arg(value_enum)]
    kind: OriginKind,
    /// Where to listen; several addresses are served alike. The port is told on standard output if it is 0.
    #[arg(long, required = true, value_delimiter = ',', value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// Size of an answer's body where the path doesn't say (/bytes/N does)
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

/// What an origin does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OriginKind {
    /// Sends back what comes.
    TcpEcho,
    /// Sends as fast as it is taken.
    TcpSource,
    /// Answers GET requests.
    Http,
}

/// Serves until killed.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scenario = match arguments.kind {
        OriginKind::TcpEcho => Scenario::Pingpong,
        OriginKind::TcpSource => Scenario::Bulk,
        OriginKind::Http => Scenario::HttpKeepalive,
    };
    let mut threads = Vec::new();
    for address in &arguments.listen {
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
