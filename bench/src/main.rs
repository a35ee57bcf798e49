//! Measures proxies side by side: load generator, origin, and the comparison that interleaves them.

mod cpu;
mod engine;
mod fifty;
mod http;
mod load;
mod mqtt;
mod origin;
mod plot;
mod run;

use clap::{Parser, Subcommand};

/// What the loops on epoll do (`--executor epoll`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Messages there and back on open connections, closed loop.
    Pingpong,
    /// The origin sends as fast as it is taken.
    Bulk,
    /// Connect, one message there and back, close.
    Churn,
    /// Connections that exchange one message and then stay.
    Idle,
    /// HTTP: requests on kept connections, closed loop.
    HttpKeepalive,
    /// HTTP: a connection for each request.
    HttpClose,
    /// HTTP: connections that made one request and then stay.
    HttpIdle,
}

impl Scenario {
    pub fn is_http(self) -> bool {
        matches!(self, Scenario::HttpKeepalive | Scenario::HttpClose | Scenario::HttpIdle)
    }

    pub fn is_idle(self) -> bool {
        matches!(self, Scenario::Idle | Scenario::HttpIdle)
    }
}

#[derive(Parser)]
#[command(about = "Load generator, origin and comparison for TCP and HTTP proxies")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs an origin until killed.
    Origin(origin::Arguments),
    /// Puts load on a target and says what was done, as a table and as one line of JSON.
    #[command(subcommand, args_override_self = true)]
    Load(load::Kind),
    /// A minimal TCP relay on glommio, until killed: why the data plane isn't built on it.
    Relay(origin::relay::Arguments),
    /// Measures scenarios and engines that are described in files, and records what came out.
    Run(run::Arguments),
    /// Draws what the records say, as SVG.
    Plot(plot::Arguments),
    /// 50,000 MQTT clients through one proxy, and a bad day.
    Fifty(fifty::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Origin(arguments) => origin::run(&arguments),
        Command::Load(kind) => load::run(&kind),
        Command::Relay(arguments) => origin::relay::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Plot(arguments) => plot::run(&arguments),
        Command::Fifty(arguments) => fifty::run(&arguments),
    }
}
