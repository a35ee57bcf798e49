//! `show info`: figures of the whole process.

use super::figures::Snapshot;
use super::product;
use super::row::Cell;
use super::typed::{write_json_value, write_typed_value};
use crate::shared::counters::ProxyCounters;
use std::sync::atomic::Ordering::Relaxed;

/// How `show info` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoFormat {
    Plain,
    Typed,
    Json,
}

struct Figure {
    /// HAProxy 2.6's, for those who read typed output by number.
    position: usize,
    name: &'static str,
    tags: &'static str,
    cell: Cell,
    description: &'static str,
}

/// Appends the figures. What this program does not have (TLS, compression, peers, pools) is 0; what it does not
/// measure is left out.
pub fn write_info(
    snapshot: Snapshot,
    pid: u32,
    hostname: &str,
    format: InfoFormat,
    descriptions: bool,
    output: &mut String,
) {
    let mut separator = "[";
    for figure in figures(snapshot, pid, hostname) {
        let Figure { position, name, tags, cell, description } = figure;
        match format {
            InfoFormat::Plain => {
                output.push_str(&format!("{name}: {cell}"));
                if descriptions {
                    output.push_str(&format!(":\"{description}\""));
                }
                output.push('\n');
            }
            InfoFormat::Typed => {
                output.push_str(&format!("{position}.{name}.1"));
                write_typed_value(tags, &cell, descriptions.then_some(description), output);
            }
            InfoFormat::Json => {
                output.push_str(separator);
                output.push('{');
                write_json_value(position, name, tags, &cell, output);
                separator = ",";
            }
        }
    }
    if format == InfoFormat::Json {
        output.push(']');
    }
}

#[rustfmt::skip]
fn figures(snapshot: Snapshot, pid: u32, hostname: &str) -> Vec<Figure> {
    let shared = snapshot.shared;
    let (process, global) = (&shared.process, &shared.config.global);
    let sum = |counter: fn(&ProxyCounters) -> u64| -> u64 {
        shared.config.proxy_ids().map(|id| shared.proxy_sum(id, counter)).sum()
    };
    let workers = shared.workers.len().saturating_sub(1) as u32;
    let started_s = process.started_wall_us.load(Relaxed) / 1_000_000;
    let uptime_s = (snapshot.wall_us / 1_000_000).saturating_sub(started_s);
    let idle: u32 = shared.workers.iter().take(workers as usize).map(|worker| u32::from(worker.idle_percent.load(Relaxed))).sum();
    let connections = process.connections.load(Relaxed);
    let listeners = shared.config.listeners.len() as u32 + global.runtime_sockets.len() as u32;
    let checks = shared.config.servers.iter().filter(|server| server.check.is_some()).count() as u32;
    let short = |value: u64| value.min(u64::from(u32::MAX)) as u32;
    let mut list = Vec::with_capacity(72);
    let mut add = |position, name, tags, cell: Cell, description| {
        list.push(Figure { position, name, tags, cell, description });
    };
    add(0, "Name", "POS", product::NAME.into(), "product");
    add(1, "Version", "POS", product::VERSION.into(), "version of the product");
    add(2, "Release_date", "POS", product::RELEASE_DATE.into(), "when this version was made");
    add(3, "Nbthread", "CGS", workers.into(), "worker threads");
    add(4, "Nbproc", "CGS", 1u32.into(), "processes, always 1");
    add(5, "Process_num", "KGP", 1u32.into(), "number of this process, always 1");
    add(6, "Pid", "SGP", pid.into(), "process id");
    add(7, "Uptime", "MDP", uptime_text(uptime_s).into(), "time since start");
    add(8, "Uptime_sec", "MDP", short(uptime_s).into(), "seconds since start");
    add(9, "Memmax_MB", "CLP", 0u32.into(), "memory limit, 0 for none");
    add(10, "PoolAlloc_MB", "MGP", 0u32.into(), "memory in pools");
    add(11, "PoolUsed_MB", "MGP", 0u32.into(), "memory in pools in use");
    add(12, "PoolFailed", "MCP", 0u32.into(), "failed allocations");
    add(13, "Ulimit-n", "CLP", short(process.ulimit_n.load(Relaxed)).into(), "descriptors each worker may have");
    add(14, "Maxsock", "CLP", process.maxsock.load(Relaxed).into(), "descriptors needed at maxconn");
    add(15, "Maxconn", "CLP", process.maxconn.load(Relaxed).into(), "most client connections at once");
    add(16, "Hard_maxconn", "CLP", process.maxconn_hard.load(Relaxed).into(), "highest maxconn that can be set");
    add(17, "CurrConns", "MGP", connections.into(), "client connections now");
    add(18, "CumConns", "MCP", short(sum(|c| c.frontend_connections.get())).into(), "client connections since start");
    add(19, "CumReq", "MCP", short(sum(|c| c.frontend_requests.get())).into(), "HTTP requests since start");
    for (position, name, tags) in [(20, "MaxSslConns", "MMP"), (21, "CurrSslConns", "MGP"), (22, "CumSslConns", "MCP")] {
        add(position, name, tags, 0u32.into(), "TLS connections");
    }
    let (pipes_used, pipes_free) = snapshot.shared.pipes();
    add(23, "Maxpipes", "CLP", process.maxpipes.load(Relaxed).into(), "most pipes for splicing");
    add(24, "PipesUsed", "MGP", pipes_used.into(), "pipes in use");
    add(25, "PipesFree", "MGP", pipes_free.into(), "pipes kept for use");
    add(26, "ConnRate", "MRP", process.connection_rate.per_second(snapshot.now_us).into(), "connections in the last second");
    add(27, "ConnRateLimit", "CLP", global.maxconnrate.into(), "most connections a second, 0 for no limit");
    add(28, "MaxConnRate", "MMP", process.connection_rate.maximum().into(), "most connections ever in a second");
    add(29, "SessRate", "MRP", process.session_rate.per_second(snapshot.now_us).into(), "sessions in the last second");
    add(30, "SessRateLimit", "CLP", global.maxsessrate.into(), "most sessions a second, 0 for no limit");
    add(31, "MaxSessRate", "MRP", process.session_rate.maximum().into(), "most sessions ever in a second");
    let tls = [
        (32, "SslRate", "MRP"), (33, "SslRateLimit", "CLP"), (34, "MaxSslRate", "MMP"),
        (35, "SslFrontendKeyRate", "MGP"), (36, "SslFrontendMaxKeyRate", "MMP"),
        (37, "SslFrontendSessionReuse_pct", "MGP"), (38, "SslBackendKeyRate", "MRP"),
        (39, "SslBackendMaxKeyRate", "MMP"), (40, "SslCacheLookups", "MCP"), (41, "SslCacheMisses", "MCP"),
    ];
    for (position, name, tags) in tls {
        add(position, name, tags, 0u32.into(), "TLS");
    }
    for (position, name, tags) in [(42, "CompressBpsIn", "MRP"), (43, "CompressBpsOut", "MRP"), (44, "CompressBpsRateLim", "CLP")] {
        add(position, name, tags, 0u32.into(), "compression");
    }
    add(47, "Tasks", "MGP", connections.saturating_add(checks).into(), "connections and health checks");
    add(48, "Run_queue", "MGP", 0u32.into(), "tasks waiting for a processor");
    add(49, "Idle_pct", "MaP", idle.checked_div(workers).unwrap_or(100).into(), "percent of the last second that workers waited");
    add(50, "node", "COS", global.node.as_deref().unwrap_or(hostname).into(), "name of this machine");
    if let Some(description) = &global.description {
        add(51, "description", "COS", description.as_str().into(), "description in the configuration");
    }
    add(52, "Stopping", "MGP", u32::from(process.stopping.load(Relaxed)).into(), "1 while the process stops");
    add(53, "Jobs", "MGP", connections.saturating_add(listeners).into(), "connections and listeners");
    add(54, "Unstoppable Jobs", "MGP", 0u32.into(), "jobs that a stop does not wait for");
    add(55, "Listeners", "MGP", listeners.into(), "listening addresses");
    for (position, name) in [(56, "ActivePeers"), (57, "ConnectedPeers")] {
        add(position, name, "MGP", 0u32.into(), "peers");
    }
    add(58, "DroppedLogs", "MGP", short(process.dropped_logs.load(Relaxed)).into(), "log messages that could not be sent");
    add(59, "BusyPolling", "MGP", 0u32.into(), "1 when workers never sleep");
    add(60, "FailedResolutions", "MGP", 0u32.into(), "failed name resolutions");
    add(61, "TotalBytesOut", "MGP", sum(|c| c.frontend_bytes_out.get()).into(), "bytes sent to clients");
    add(64, "DebugCommandsIssued", "MGP", 0u32.into(), "debugging commands given");
    add(65, "CumRecvLogs", "MCP", 0u32.into(), "log messages received for forwarding");
    add(66, "Build info", "POS", product::VERSION.into(), "version of the build");
    add(67, "Memmax_bytes", "CLP", 0u32.into(), "memory limit, 0 for none");
    add(68, "PoolAlloc_bytes", "MGP", 0u64.into(), "memory in pools");
    add(69, "PoolUsed_bytes", "MGP", 0u64.into(), "memory in pools in use");
    add(70, "Start_time_sec", "MDP", short(started_s).into(), "date of the start, seconds since 1970");
    add(71, "Tainted", "SGP", "0".into(), "unsupported features in use");
    list
}

/// `0d 0h01m50s`
fn uptime_text(seconds: u64) -> String {
    format!("{}d {}h{:02}m{:02}s", seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}
