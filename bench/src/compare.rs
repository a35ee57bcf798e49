//! Peers side by side, interleaved over rounds: A B C A B C. Ratios within one run hold, absolute times don't.

use crate::load::epoll as load;
use crate::origin::epoll as origin;
use crate::peers::{Peer, Setup};
use crate::{Scenario, cpu};
use anyhow::Context;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    scenario: Scenario,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Size of an HTTP answer's body; the scenario's own unless given.
    #[arg(long)]
    body_bytes: Option<usize>,
    /// Which to compare; the first haproxy in the list is the one that ratios refer to.
    #[arg(long, value_delimiter = ',', default_values_t = [Peer::RingwayUring, Peer::RingwayEpoll, Peer::Haproxy, Peer::Nginx].map(PeerArgument))]
    peers: Vec<PeerArgument>,
    #[arg(long, default_value = "target/release/ringway")]
    ringway: PathBuf,
    /// Threads of each proxy.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// taskset's list for the proxy; the load and the origin stay on CPU 0.
    #[arg(long, default_value = "1")]
    cpus: String,
}

/// A [`Peer`] on the command line.
#[derive(Clone, Copy, Debug)]
pub struct PeerArgument(Peer);

impl std::str::FromStr for PeerArgument {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        clap::ValueEnum::from_str(text, true).map(PeerArgument)
    }
}

impl std::fmt::Display for PeerArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            clap::ValueEnum::to_possible_value(&self.0).map_or(String::new(), |v| v.get_name().to_string()).as_str(),
        )
    }
}

/// One round of one peer.
struct Measurement {
    /// µs per exchange, s per GB, or bytes per connection.
    cost: f64,
    units_per_second: f64,
    p50_us: u64,
    p99_us: u64,
    errors: u64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    cpu::pin(0)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin_address = listener.local_addr()?;
    nix_backlog(&listener)?;
    let scenario = arguments.scenario;
    let body_bytes = arguments.body_bytes.unwrap_or(scenario.body_bytes());
    std::thread::spawn(move || origin::run(listener, scenario, body_bytes));
    let folder = std::env::temp_dir().join(format!("ringway-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut rows: Vec<(Peer, Vec<Measurement>)> = arguments.peers.iter().map(|peer| (peer.0, Vec::new())).collect();
    for round in 1..=arguments.rounds {
        for (peer, measurements) in &mut rows {
            let measurement = measure(*peer, arguments, origin_address, &folder)
                .with_context(|| format!("{} in round {round}", peer.name()))?;
            eprintln!("round {round} {:18} {:10.3} ({} errors)", peer.name(), measurement.cost, measurement.errors);
            measurements.push(measurement);
        }
    }
    std::fs::remove_dir_all(&folder).ok();
    print_table(arguments, &rows);
    Ok(())
}

/// std's listener has a backlog of 128; thousands of clients come at once here.
fn nix_backlog(listener: &TcpListener) -> anyhow::Result<()> {
    Ok(nix::sys::socket::listen(listener, nix::sys::socket::Backlog::new(4096)?)?)
}

fn measure(
    peer: Peer,
    arguments: &Arguments,
    origin: SocketAddr,
    folder: &std::path::Path,
) -> anyhow::Result<Measurement> {
    let listen = match peer {
        Peer::Direct => origin,
        _ => TcpListener::bind("127.0.0.1:0")?.local_addr()?,
    };
    let setup = Setup {
        listen,
        origin,
        scenario: arguments.scenario,
        connections: arguments.connections,
        cpus: &arguments.cpus,
        workers: arguments.workers,
        ringway: &arguments.ringway,
        folder,
    };
    let mut child = peer.start(&setup)?;
    let result = measure_running(child.as_ref().map(|child| child.id()), arguments, listen);
    if let Some(child) = &mut child {
        child.kill().ok();
        child.wait().ok();
    }
    result
}

fn measure_running(pid: Option<u32>, arguments: &Arguments, listen: SocketAddr) -> anyhow::Result<Measurement> {
    wait_until_it_answers(listen)?;
    let duration = Duration::from_secs_f64(arguments.seconds);
    if arguments.scenario.is_idle() {
        return measure_idle(pid, arguments, listen);
    }
    let mut load = load::Load::open(listen, arguments.scenario, arguments.connections)?;
    load.run(duration / 5)?;
    let before_ns = pid.map_or(0, cpu::nanoseconds);
    let report = load.run(duration)?;
    let spent_ns = pid.map_or(0, cpu::nanoseconds) - before_ns;
    let cost = match arguments.scenario {
        Scenario::Bulk => spent_ns as f64 / report.units.max(1) as f64, // ns per byte = s per GB
        _ => spent_ns as f64 / 1000.0 / report.units.max(1) as f64,
    };
    Ok(Measurement {
        cost,
        units_per_second: report.units as f64 / report.seconds,
        p50_us: report.latency_us.value_at_quantile(0.5),
        p99_us: report.latency_us.value_at_quantile(0.99),
        errors: report.errors,
    })
}

fn measure_idle(pid: Option<u32>, arguments: &Arguments, listen: SocketAddr) -> anyhow::Result<Measurement> {
    let pid = pid.context("idle needs a proxy")?;
    // The first few connections pay for what is allocated once.
    let warm = load::Load::open(listen, arguments.scenario, 50)?;
    std::thread::sleep(Duration::from_millis(200));
    let before = cpu::resident_bytes(pid);
    let mut load = load::Load::open(listen, arguments.scenario, arguments.connections)?;
    let report = load.run(Duration::from_secs_f64(arguments.seconds))?;
    let grown = cpu::resident_bytes(pid).saturating_sub(before);
    drop(warm);
    let errors = report.errors + load.unanswered() as u64;
    Ok(Measurement {
        cost: grown as f64 / arguments.connections as f64,
        units_per_second: 0.0,
        p50_us: 0,
        p99_us: 0,
        errors,
    })
}

fn wait_until_it_answers(listen: SocketAddr) -> anyhow::Result<()> {
    let start = Instant::now();
    while TcpStream::connect(listen).is_err() {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(5), "nothing listens on {listen}");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(|one, other| one.total_cmp(other));
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn print_table(arguments: &Arguments, rows: &[(Peer, Vec<Measurement>)]) {
    let unit = match arguments.scenario {
        Scenario::Bulk => "CPU s/GB",
        Scenario::Idle | Scenario::HttpIdle => "bytes/connection",
        _ => "CPU us/exchange",
    };
    println!("{:?}, {} connections, {} rounds", arguments.scenario, arguments.connections, arguments.rounds);
    println!(
        "{:18} {:>16} {:>16} {:>8} {:>8} {:>12} {:>9} {:>9} {:>7}",
        "peer", unit, "spread", "ratio", "/haproxy", "units/s", "p50 us", "p99 us", "errors"
    );
    let lowest = |wanted: &[Peer]| {
        rows.iter()
            .filter(|(peer, _)| wanted.contains(peer))
            .map(|(_, measurements)| median(measurements.iter().map(|m| m.cost).collect()))
            .fold(f64::INFINITY, f64::min)
    };
    let best = lowest(&[Peer::Haproxy, Peer::HaproxySplice, Peer::Nginx]);
    let haproxy = lowest(&[Peer::Haproxy]);
    for (peer, measurements) in rows {
        let costs: Vec<f64> = measurements.iter().map(|m| m.cost).collect();
        let (low, high) =
            costs.iter().fold((f64::INFINITY, 0f64), |(low, high), cost| (low.min(*cost), high.max(*cost)));
        let middle = median(costs);
        println!(
            "{:18} {:>16.3} {:>7.2}-{:<8.2} {:>8.2} {:>8.2} {:>12.0} {:>9} {:>9} {:>7}",
            peer.name(),
            middle,
            low,
            high,
            middle / best,
            middle / haproxy,
            median(measurements.iter().map(|m| m.units_per_second).collect()),
            median(measurements.iter().map(|m| m.p50_us as f64).collect()),
            median(measurements.iter().map(|m| m.p99_us as f64).collect()),
            measurements.iter().map(|m| m.errors).sum::<u64>()
        );
    }
    println!("ratio: against the best of haproxy and nginx in this run; /haproxy: against haproxy without splice");
}
