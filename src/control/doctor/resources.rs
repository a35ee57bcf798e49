//! What is counted: descriptors, open files, ports, memory, tracked connections, the listen queue.

use super::Case;
use super::finding::{Finding, Fix, Measure, Severity, Unit, grouped, human_bytes};
use super::traffic::Path;
use crate::config::model::{Config, ListenAddress, Listener};
use crate::control::descriptors::{self, Settlement};
use crate::control::limits::Demand;
use std::collections::BTreeSet;

// Memory of a proxied connection that is idle, both of its sockets included. Measured on Linux 6.18 with 8,800
// connections that had each exchanged one message (tuning.md, "Memory"), rounded up.
/// User memory in TCP mode: 482 bytes on io_uring, 500 on epoll.
const USER_BYTES_TCP: u64 = 512;
/// User memory in HTTP mode: 951 bytes.
const USER_BYTES_HTTP: u64 = 1024;
/// Kernel memory: 9,266 bytes on io_uring (two of each: socket 2,368, inode 832, file 192, entry 192; armed receives),
/// 8,998 on epoll.
const KERNEL_BYTES: u64 = 9_500;
/// User memory of one worker without a connection, with its share of the buffers: 6.6 MB for worker and control thread.
const WORKER_BYTES: u64 = 8 << 20;
/// Sockets of a connection.
const SOCKETS: u64 = 2;
/// More workers than this are no way out of a descriptor limit.
const WORKERS_MAX: u32 = 64;
/// What a port range is widened to first: above what services listen on by custom.
const WIDE_RANGE: (u16, u16) = (10_240, 65_535);
/// What it can be widened to at most.
const WIDEST_RANGE: (u16, u16) = (1_024, 65_535);
/// The largest `net.core.somaxconn` that every kernel takes.
const BACKLOG_MAX: u64 = 65_535;

pub fn examine(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    descriptors(case, measures, findings);
    open_files(case, measures, findings);
    ports(case, measures, findings);
    memory(case, measures, findings);
    socket_buffers(case, findings);
    conntrack(case, measures, findings);
    backlog(case, measures, findings);
}

/// Descriptors that can be had and what comes of it, whether or not `strict-limits` then refuses to start.
pub fn settle(config: &Config, workers: u32, situation: descriptors::Situation) -> (Settlement, bool) {
    match descriptors::settle(config, workers, situation) {
        Ok(settlement) => (settlement, false),
        Err(_) => {
            let mut lenient = config.clone();
            lenient.global.strict_limits = false;
            let demand = Demand::of(config, workers);
            let hopeless = |_| Settlement {
                plan: demand.fit(situation.hard, config.global.maxconn.unwrap_or(1)),
                soft: situation.hard,
                hard: situation.hard,
                automatic: false,
                shortage: None,
            };
            (descriptors::settle(&lenient, workers, situation).unwrap_or_else(hopeless), true)
        }
    }
}

fn descriptors(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    let need = case.demand.plan(case.maxconn);
    let plan = &case.settlement.plan;
    let global = &case.config.global;
    let has = match global.ulimit_n {
        // What is written is set, up or down.
        Some(_) => case.settlement.soft,
        None => case.machine.descriptors.reachable().min(global.fd_hard_limit.unwrap_or(u64::MAX)),
    };
    measures.push(Measure {
        subject: "descriptors",
        needs: need.descriptors,
        has,
        unit: Unit::Count,
        scope: if case.workers == 1 { "in the worker".into() } else { "in each worker".into() },
        carries_connections: Some(u64::from(case.demand.fit(has, u32::MAX / 4).maxconn)),
    });
    let Some(_) = &case.settlement.shortage else { return };
    let who = if case.workers == 1 { "The worker needs".to_owned() } else { "Each worker needs".to_owned() };
    let outcome = if case.refused {
        "'strict-limits' is set, so it does not start".to_owned()
    } else {
        format!("it serves {} connections, whoever comes then waits", grouped(u64::from(plan.maxconn)))
    };
    let (fix, remark) = descriptor_fix(case, need.descriptors);
    findings.push(Finding {
        severity: Severity::Breaks,
        subject: "descriptors",
        at_connections: Some(if case.refused { 0 } else { u64::from(plan.maxconn) }),
        text: format!(
            "{who} {} descriptors for maxconn {} (a connection takes two) and may have {}: {outcome}.",
            grouped(need.descriptors),
            grouped(u64::from(case.maxconn)),
            grouped(case.settlement.soft),
        ),
        fix: Some(fix),
        remark,
    });
}

fn descriptor_fix(case: &Case, needed: u64) -> (Fix, Option<String>) {
    let (global, situation) = (&case.config.global, case.machine.descriptors);
    if global.ulimit_n.is_some_and(|written| written < needed) {
        return (Fix::Configuration(format!("global\n    ulimit-n {needed}")), Some("or leave 'ulimit-n' out".into()));
    }
    if global.fd_hard_limit.is_some_and(|written| written < needed) {
        return (Fix::Configuration(format!("global\n    fd-hard-limit {needed}")), None);
    }
    let more_workers = (case.workers.saturating_add(1)..=WORKERS_MAX)
        .find(|workers| fits_with(case.config, *workers, situation.hard, case.maxconn))
        .map(|workers| {
            let keyword = if global.nbproc > 1 { "nbproc" } else { "nbthread" };
            format!("global\n    {keyword} {workers}")
        });
    let may_not = case.machine.rights.is_root() && !situation.may_raise_hard;
    if let Some(text) = more_workers.clone().filter(|_| may_not) {
        let remark = "root itself may not raise the limit here (no CAP_SYS_RESOURCE: a container?), but it holds for \
                      each worker, not for the process";
        return (Fix::Configuration(text), Some(remark.into()));
    }
    let raise = if needed > situation.ceiling {
        format!("sudo sysctl -w fs.nr_open={needed} && sudo prlimit --pid $$ --nofile={needed}:{needed}")
    } else {
        format!("sudo prlimit --pid $$ --nofile={needed}:{needed}")
    };
    let mut remark = format!("in the shell that starts it; in a systemd unit: LimitNOFILE={needed}");
    if let Some(text) = more_workers {
        let setting = text.split_once("\n    ").map_or(text.as_str(), |(_, setting)| setting);
        remark.push_str(&format!("; without such rights: '{setting}', the limit holds for each worker"));
    }
    (Fix::Command(raise), Some(remark))
}

fn fits_with(config: &Config, workers: u32, limit: u64, maxconn: u32) -> bool {
    let demand = Demand::of(config, workers);
    let plan = demand.fit(limit, maxconn);
    plan.maxconn == maxconn && plan.connections_per_worker == demand.worker_share(maxconn) && plan.descriptors <= limit
}

fn open_files(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    let Some(files) = case.machine.open_files else { return };
    let plan = case.demand.plan(case.maxconn);
    let beside = plan.descriptors.saturating_sub(SOCKETS * u64::from(plan.connections_per_worker));
    let fixed = beside.saturating_mul(u64::from(case.workers) + 1);
    let needs = fixed.saturating_add(SOCKETS * u64::from(case.maxconn));
    let free = files.max.saturating_sub(files.used);
    let carries = free.saturating_sub(fixed) / SOCKETS;
    measures.push(Measure {
        subject: "open files",
        needs,
        has: free,
        unit: Unit::Count,
        scope: "of the whole machine".into(),
        carries_connections: Some(carries),
    });
    if needs > free {
        findings.push(Finding {
            severity: Severity::Breaks,
            subject: "open files",
            at_connections: Some(carries),
            text: format!(
                "The whole machine may have {} files open and {} are: accept and connect fail with ENFILE.",
                grouped(files.max),
                grouped(files.used)
            ),
            fix: Some(Fix::Command(format!(
                "sudo sysctl -w fs.file-max={}",
                files.max.max(files.used.saturating_add(needs)).saturating_mul(2)
            ))),
            remark: None,
        });
    }
}

/// Connections of the process when a path is full.
fn carried(case: &Case, path_connections: u64, ports: u64) -> u64 {
    if path_connections == 0 {
        return u64::MAX;
    }
    let carried = u128::from(case.traffic.connections) * u128::from(ports) / u128::from(path_connections);
    u64::try_from(carried).unwrap_or(u64::MAX)
}

fn ports_of(case: &Case, path: &Path) -> u64 {
    path.ports.map_or_else(|| case.machine.port_count(), |(low, high)| u64::from(high.saturating_sub(low)) + 1)
}

fn ports(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    let by_need = |need: fn(&Path) -> u64| {
        let paths = case.traffic.paths.iter();
        // The fullest is the one whose ports carry the least of the process's connections.
        paths.min_by_key(|path| carried(case, need(path), ports_of(case, path)))
    };
    let Some(fullest) = by_need(|path| path.connections) else { return };
    let has = ports_of(case, fullest);
    let carries = carried(case, fullest.connections, has);
    measures.push(Measure {
        subject: "source ports",
        needs: fullest.connections,
        has,
        unit: Unit::Count,
        scope: format!("to {}", fullest.servers.join(", ")),
        carries_connections: Some(carries).filter(|carries| *carries < u64::MAX),
    });
    if fullest.connections > has {
        let also = case.traffic.paths.iter().filter(|path| path.connections > ports_of(case, path)).count() - 1;
        let others = if also == 0 { String::new() } else { format!(" ({also} more such servers)") };
        findings.push(Finding {
            severity: Severity::Breaks,
            subject: "source ports",
            at_connections: Some(carries),
            text: format!(
                "{} gets {} of the connections{others}, and from one address there are {} ports to one server: the next \
                 connect fails (EADDRNOTAVAIL).",
                fullest.servers.join(", "),
                grouped(fullest.connections),
                grouped(has)
            ),
            fix: Some(port_fix(case, fullest, fullest.connections)),
            remark: None,
        });
        return;
    }
    dear_ports(case, fullest, has, findings);
    let Some(path) = by_need(|path| path.connections_one_down) else { return };
    let has = ports_of(case, path);
    if path.connections_one_down > has {
        findings.push(Finding {
            severity: Severity::Risk,
            subject: "source ports",
            at_connections: Some(carried(case, path.connections_one_down, has)),
            text: format!(
                "When {} is down, {} gets {} connections, and from one address there are {} ports to one server: the \
                 rest finds no server until it is back.",
                path.worst_down.as_deref().unwrap_or("another server"),
                path.servers.join(", "),
                grouped(path.connections_one_down),
                grouped(has)
            ),
            fix: Some(port_fix(case, path, path.connections_one_down)),
            remark: None,
        });
    }
}

/// The kernel looks for a free port in one half of the range first; when that is used up each connect walks through it,
/// which costs two hundred times as much (tuning.md, "Ports").
fn dear_ports(case: &Case, path: &Path, has: u64, findings: &mut Vec<Finding>) {
    let half = has / 2;
    if path.ports.is_some() || path.connections <= half {
        return;
    }
    findings.push(Finding {
        severity: Severity::Risk,
        subject: "port search",
        at_connections: Some(carried(case, path.connections, half)),
        text: format!(
            "{} gets {} connections, more than half of the {} ports: from {} on each connect costs the worker about a \
             millisecond to find one that is free, instead of five microseconds.",
            path.servers.join(", "),
            grouped(path.connections),
            grouped(has),
            grouped(half)
        ),
        fix: Some(port_fix(case, path, path.connections.saturating_mul(2))),
        remark: None,
    });
}

fn port_fix(case: &Case, path: &Path, needed: u64) -> Fix {
    let listening: BTreeSet<u16> = case.config.listeners.iter().filter_map(port_of).collect();
    if path.ports.is_none() {
        for (low, high) in [WIDE_RANGE, WIDEST_RANGE] {
            // Ports that are listened on must not be given to outgoing connections.
            let all: BTreeSet<u16> = case.machine.reserved_ports.union(&listening).copied().collect();
            let room = u64::from(high - low) + 1 - all.range(low..=high).count() as u64;
            if needed <= room {
                let reserved = port_list(&all.into_iter().filter(|port| *port >= low).collect());
                let reserved = if reserved.is_empty() {
                    String::new()
                } else {
                    format!(" net.ipv4.ip_local_reserved_ports={reserved}")
                };
                return Fix::Command(format!("sudo sysctl -w net.ipv4.ip_local_port_range='{low} {high}'{reserved}"));
            }
        }
    }
    // From several addresses: a server line for each.
    let addresses = needed.div_ceil(ports_of(case, path).max(1));
    let name = path.servers.first().and_then(|name| name.rsplit('/').next()).unwrap_or("server");
    let shown = addresses.min(3);
    let mut lines: Vec<String> = (1..=shown)
        .map(|number| format!("    server {name}-{number} {} … source <own address {number}>", path.destination))
        .collect();
    if addresses > shown {
        lines.push(format!("    … {} lines in all, each with another address of this machine", grouped(addresses)));
    }
    Fix::Configuration(lines.join("\n"))
}

/// `1-3,7`, as the kernel reads it.
fn port_list(ports: &BTreeSet<u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some((_, high)) if high.checked_add(1) == Some(*port) => *high = *port,
            _ => ranges.push((*port, *port)),
        }
    }
    let each = ranges.iter().map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") });
    each.collect::<Vec<_>>().join(",")
}

fn port_of(listener: &Listener) -> Option<u16> {
    match listener.address {
        ListenAddress::Ip { address, .. } => Some(address.port()),
        _ => None,
    }
}

fn memory(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    let Some(available) = case.machine.memory_available_bytes else { return };
    let (all, http) = (case.traffic.connections, case.traffic.http_connections);
    let fixed = WORKER_BYTES.saturating_mul(u64::from(case.workers));
    let user = all.saturating_sub(http).saturating_mul(USER_BYTES_TCP) + http.saturating_mul(USER_BYTES_HTTP);
    let kernel = all.saturating_mul(KERNEL_BYTES);
    let needs = fixed.saturating_add(user).saturating_add(kernel);
    let each = (user + kernel).div_ceil(all.max(1)).max(1);
    let carries = available.saturating_sub(fixed) / each;
    measures.push(Measure {
        subject: "memory",
        needs,
        has: available,
        unit: Unit::Bytes,
        scope: format!("idle: {} program, {} kernel", human_bytes(fixed + user), human_bytes(kernel)),
        carries_connections: Some(carries),
    });
    if needs > available {
        findings.push(Finding {
            severity: Severity::Breaks,
            subject: "memory",
            at_connections: Some(carries),
            text: format!(
                "{} idle connections take {} ({} of it in the kernel) and {} are available: something is killed.",
                grouped(all),
                human_bytes(needs),
                human_bytes(kernel),
                human_bytes(available)
            ),
            fix: Some(Fix::Configuration(format!("global\n    maxconn {}", carries.max(1)))),
            remark: Some("or give the machine, or the control group that it runs in, more memory".into()),
        });
    }
}

/// A page for each socket is the least that waits in a socket that has anything to wait.
fn socket_buffers(case: &Case, findings: &mut Vec<Finding>) {
    let Some(limit) = case.machine.tcp_pressure_bytes else { return };
    let (connections, page) = (case.traffic.connections, case.machine.page_bytes);
    let needs = connections.saturating_mul(SOCKETS).saturating_mul(page);
    if needs > limit {
        let pages = (needs * 2).div_ceil(page);
        findings.push(Finding {
            severity: Severity::Risk,
            subject: "socket buffers",
            at_connections: Some(limit / page / SOCKETS),
            text: format!(
                "When every socket has a page of data waiting, that is {}, and from {} on the kernel shrinks all \
                 windows and drops what does not fit.",
                human_bytes(needs),
                human_bytes(limit)
            ),
            fix: Some(Fix::Command(format!("sudo sysctl -w net.ipv4.tcp_mem='{} {pages} {}'", pages / 2, pages * 2))),
            remark: None,
        });
    }
}

fn conntrack(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    let Some(table) = case.machine.conntrack else { return };
    // The module may be there without a rule that needs it: then nothing is tracked.
    if table.used == 0 {
        return;
    }
    let needs = case.traffic.connections.saturating_mul(SOCKETS);
    let free = table.max.saturating_sub(table.used);
    measures.push(Measure {
        subject: "conntrack",
        needs,
        has: free,
        unit: Unit::Count,
        scope: "entries, two a connection".into(),
        carries_connections: Some(free / SOCKETS),
    });
    if needs > free {
        let max = needs.saturating_add(table.used).next_power_of_two();
        findings.push(Finding {
            severity: Severity::Breaks,
            subject: "conntrack",
            at_connections: Some(free / SOCKETS),
            text: format!(
                "The firewall's table of connections holds {}, {} are taken: new connections are dropped without an \
                 answer ('nf_conntrack: table full' in dmesg).",
                grouped(table.max),
                grouped(table.used)
            ),
            fix: Some(Fix::Command(format!("sudo sysctl -w net.netfilter.nf_conntrack_max={max}"))),
            remark: Some("or do not track these ports at all: tuning.md, \"conntrack\"".into()),
        });
    }
}

fn backlog(case: &Case, measures: &mut Vec<Measure>, findings: &mut Vec<Finding>) {
    let Some(max) = case.machine.backlog_max else { return };
    let served = case.config.listeners.iter().filter(|listener| !case.config.proxy(listener.frontend).disabled);
    let tcp = served.filter(|listener| matches!(listener.address, ListenAddress::Ip { .. }));
    let asked = |listener: &Listener| u64::from(case.config.backlog_of(listener).unwrap_or(case.maxconn));
    let Some(listener) = tcp.max_by_key(|listener| asked(listener)) else { return };
    let needs = asked(listener);
    measures.push(Measure {
        subject: "listen queue",
        needs,
        has: max,
        unit: Unit::Count,
        scope: format!("of {}", case.config.proxy(listener.frontend).name),
        carries_connections: None,
    });
    let wanted = needs.min(BACKLOG_MAX);
    if wanted > max {
        let each = if case.workers == 1 { String::new() } else { format!(" in each of {} workers", case.workers) };
        findings.push(Finding {
            severity: Severity::Risk,
            subject: "listen queue",
            at_connections: None,
            text: format!(
                "{} wants room for {} clients that knock at once and the kernel gives {}{each}: after an outage, who \
                 comes beyond it is dropped and tries again one, three, seven seconds later.",
                case.config.proxy(listener.frontend).name,
                grouped(needs),
                grouped(max),
            ),
            fix: Some(Fix::Command(format!("sudo sysctl -w net.core.somaxconn={BACKLOG_MAX}"))),
            remark: Some("then restart it: the length is set when it starts to listen".into()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_as_the_kernel_reads_them() {
        assert_eq!(port_list(&[].into()), "");
        assert_eq!(port_list(&[80, 1890, 1891, 1892, 65535].into()), "80,1890-1892,65535");
    }
}
