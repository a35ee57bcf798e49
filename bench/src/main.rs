//! Measures proxies side by side: load generator, origin, and the comparison that interleaves them.

mod compare;
mod cpu;
mod engine;
mod fifty;
mod http;
mod load;
mod mqtt;
mod origin;
mod peers;
mod plot;
mod run;

use clap::{Parser, Subcommand, ValueEnum};

/// What `compare` does to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 64-byte exchanges on open connections, closed loop.
    Pingpong,
    /// The origin sends as fast as it is taken.
    Bulk,
    /// Connect, exchange 64 bytes, close.
    Churn,
    /// Connections that exchange one message and then stay.
    Idle,
    /// HTTP: small requests on kept connections, closed loop.
    HttpKeepalive,
    /// HTTP: a connection for each small request.
    HttpClose,
    /// HTTP: answers of a megabyte on kept connections, closed loop.
    HttpLarge,
    /// HTTP: connections that made one request and then stay.
    HttpIdle,
}

impl Scenario {
    pub fn is_http(self) -> bool {
        matches!(self, Scenario::HttpKeepalive | Scenario::HttpClose | Scenario::HttpLarge | Scenario::HttpIdle)
    }

    pub fn is_idle(self) -> bool {
        matches!(self, Scenario::Idle | Scenario::HttpIdle)
    }

    /// The size of an HTTP answer's body unless something else is asked for.
    pub fn body_bytes(self) -> usize {
        if self == Scenario::HttpLarge { 1_000_000 } else { 100 }
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
    /// Interleaves engines over rounds and prints CPU per unit of work, and ratios.
    Compare(compare::Arguments),
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
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Plot(arguments) => plot::run(&arguments),
        Command::Fifty(arguments) => fifty::run(&arguments),
    }
}
