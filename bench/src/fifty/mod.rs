//! The tutorial's `maxconn 50000` held for real: as many MQTT clients through one Ringway, four Mosquitto brokers behind
//! it, and what a bad day brings: a tenth of them comes anew at once, a broker is killed and comes back.
//!
//! Nothing here needs a raised limit. Where RLIMIT_NOFILE is 20,000, a table of descriptors carries not quite 10,000
//! proxied connections; each worker has a table of its own, so six workers carry them on two cores, and the clients are
//! threads with tables of their own.

mod brokers;
mod clients;
mod memory;
mod proxy;
mod record;

use anyhow::bail;
use brokers::Broker;
use clients::{Crowd, Figures};
use memory::Kernel;
use proxy::Proxy;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub const BROKERS: usize = 4;

#[derive(clap::Args)]
pub struct Arguments {
    /// The proxy to run.
    #[arg(long, default_value = "target/release/ringway")]
    ringway: PathBuf,
    /// io_uring or epoll.
    #[arg(long, default_value = "io_uring")]
    engine: String,
    #[arg(long, default_value_t = 50_000)]
    connections: usize,
    /// Workers of the proxy; unless given, as many as the descriptor limit asks for.
    #[arg(long)]
    workers: Option<usize>,
    /// New connections a second while the crowd gathers.
    #[arg(long, default_value_t = 2_000)]
    rate: usize,
    /// Each client pings once in this time.
    #[arg(long, default_value_t = 20)]
    ping_seconds: u64,
    #[arg(long, default_value_t = 18_830)]
    port: u16,
    /// Writes the figures to `<directory>/<host kind>/<date>/fifty.json`, beside those of the other engine.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// One run: starts everything, lets the day pass, prints and records what was seen. An error when somebody was lost.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = tempdir()?;
    let outcome = day(arguments, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    let figures = outcome?;
    println!("{}", serde_json::to_string_pretty(&figures)?);
    if let Some(directory) = &arguments.record {
        record::write(directory, &arguments.engine, &figures)?;
    }
    Ok(())
}

fn tempdir() -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("ringway-fifty-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Two sockets a connection, and a few hundred descriptors a worker for everything else.
fn workers_needed(connections: usize, descriptor_limit: u64) -> usize {
    let each = (descriptor_limit.saturating_sub(700) / 2).max(1) as usize;
    connections.div_ceil(each).max(std::thread::available_parallelism().map_or(1, usize::from))
}

fn day(arguments: &Arguments, folder: &std::path::Path) -> anyhow::Result<Value> {
    let descriptor_limit = memory::raise_descriptor_limit()?;
    let connections = arguments.connections;
    let workers = arguments.workers.unwrap_or_else(|| workers_needed(connections, descriptor_limit));
    let mut brokers = (0..BROKERS)
        .map(|number| {
            let address = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, number as u8 + 1), arguments.port);
            Broker::start(address, folder)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let proxy = Proxy::start(&proxy::Settings {
        binary: &arguments.ringway,
        engine: &arguments.engine,
        workers,
        maxconn: connections,
        port: arguments.port,
        folder,
    })?;
    proxy.wait_until_up(BROKERS)?;
    let empty = Kernel::now()?;
    let empty_bytes = proxy.resident_bytes()?;

    let crowd = Crowd::start(SocketAddrV4::new(Ipv4Addr::LOCALHOST, arguments.port), connections, descriptor_limit)?;
    let mut phases = Vec::new();
    let mut phase = |name: &str, started: Instant, figures: &Figures| -> anyhow::Result<()> {
        let split = proxy.split()?;
        println!("{name}: {:.1} s, {figures}; on the brokers {split:?}", started.elapsed().as_secs_f64());
        phases.push(json!({
            "phase": name,
            "seconds": (started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            "clients": figures.as_json(),
            "connections_by_broker": split,
        }));
        Ok(())
    };

    // All come.
    let started = Instant::now();
    crowd.gather(arguments.rate);
    let gathering = Duration::from_secs((connections / arguments.rate.max(1)) as u64 * 4 + 60);
    let gathered = crowd.wait_for_all(gathering, "the crowd gathers", |_| true);
    phase("ramp", started, &crowd.figures())?;
    gathered?;

    // All stay and ping.
    let started = Instant::now();
    crowd.begin_phase();
    crowd.ping_every(Duration::from_secs(arguments.ping_seconds));
    let held = crowd.wait_for_all(Duration::from_secs(arguments.ping_seconds * 6), "everybody pings", |figures| {
        figures.answered_clients == connections
    });
    // Once more around, so that the latencies are those of a full house.
    std::thread::sleep(Duration::from_secs(arguments.ping_seconds));
    let (full, full_bytes, tables) = (Kernel::now()?, proxy.resident_bytes()?, proxy.descriptors_by_worker()?);
    phase("hold", started, &crowd.figures())?;
    held?;

    // A tenth comes anew, at once.
    let started = Instant::now();
    crowd.begin_phase();
    crowd.storm(10);
    let back = crowd.wait_for_all(Duration::from_secs(120), "a tenth comes anew", |figures| {
        figures.connected_in_phase >= connections / 10
    });
    phase("reconnect 10 %", started, &crowd.figures())?;
    back?;

    // A broker dies; its clients come back within 20 s, each in its own time, as clients do; the broker does after 3 s.
    let started = Instant::now();
    crowd.begin_phase();
    let victims = proxy.split()?[1];
    crowd.return_within(Duration::from_secs(20));
    brokers[1].kill()?;
    std::thread::sleep(Duration::from_secs(3));
    brokers[1].revive()?;
    proxy.wait_until_up(BROKERS)?;
    let back = crowd.wait_for_all(Duration::from_secs(120), "a dead broker's clients return", |figures| {
        figures.connected_in_phase >= victims
    });
    phase("broker killed and revived", started, &crowd.figures())?;
    back?;

    // The day goes on: leastconn evens out what the death has left.
    let started = Instant::now();
    crowd.begin_phase();
    crowd.return_within(Duration::ZERO);
    crowd.storm(10);
    let back = crowd.wait_for_all(Duration::from_secs(120), "a tenth comes anew, again", |figures| {
        figures.connected_in_phase >= connections / 10
    });
    phase("reconnect 10 % after the revival", started, &crowd.figures())?;
    back?;
    let split = proxy.split()?;
    let messages = proxy.messages();
    let errors = proxy.errors()?;
    drop(crowd);

    let spread = split.iter().max().unwrap_or(&0) - split.iter().min().unwrap_or(&0);
    if spread > connections / 100 {
        bail!("the balance is not even: {split:?}");
    }
    let per_connection = |bytes: i64| (bytes as f64 / connections as f64).round();
    Ok(json!({
        "engine": arguments.engine,
        "connections": connections,
        "workers": workers,
        "descriptor_limit_of_a_table": descriptor_limit,
        "descriptors_by_worker": tables,
        "brokers": BROKERS,
        "phases": phases,
        "balance_at_the_end": { "connections_by_broker": split, "spread": spread },
        "proxy_errors": errors,
        "proxy_messages": messages,
        "memory": {
            "proxy_pss_bytes_empty": empty_bytes,
            "proxy_pss_bytes_full": full_bytes,
            "user_bytes_per_connection": per_connection(full_bytes as i64 - empty_bytes as i64),
            "kernel_bytes_per_connection": per_connection(full.total_bytes() - empty.total_bytes()),
            "kernel_note": "slab and socket buffers of the whole machine: per connection four ends of TCP connections \
                            (client, proxy twice, broker) with their files and epoll or ring entries",
            "kernel_slab_bytes": full.slab_bytes - empty.slab_bytes,
            "kernel_tcp_buffer_bytes": full.tcp_bytes - empty.tcp_bytes,
            "tcp_sockets": full.tcp_sockets - empty.tcp_sockets,
            "slab_caches_bytes": full.caches_beyond(&empty),
        },
    }))
}
