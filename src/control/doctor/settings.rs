//! What is set: engine, workers, time-outs, what the start needs of the file system and of rights, logs.

use super::Case;
use super::finding::{Finding, Fix, Severity, human_bytes};
use crate::config::model::{EngineChoice, KeepaliveSettings, ListenAddress, Proxy, ProxyMode};
use crate::control::privileges;
use std::time::Duration;

/// MQTT clients send something every 60 s unless told otherwise, and brokers allow half as much again.
const QUIET_CLIENT: Duration = Duration::from_secs(90);
/// Longer than this nobody wants to hold a place for a client that is gone.
const VANISHED_MAX: Duration = Duration::from_secs(15 * 60);
/// Names of sections that a message lists.
const NAMES_MAX: usize = 3;

pub fn examine(case: &Case, findings: &mut Vec<Finding>) {
    start(case, findings);
    engine(case, findings);
    workers(case, findings);
    endless(case, findings);
    vanished_clients(case, findings);
    quiet_connections(case, findings);
    logs(case, findings);
}

/// The engine that the workers will get, and why; `Err`: it does not start.
pub fn engine_of(case: &Case) -> Result<(&'static str, String), String> {
    match (&case.wanted_engine, &case.machine.io_uring) {
        (Err(error), _) => Err(error.clone()),
        (Ok(EngineChoice::Epoll), _) => Ok(("epoll", "it is asked for".into())),
        (Ok(EngineChoice::IoUring), Ok(())) => Ok(("io_uring", "it is asked for".into())),
        (Ok(EngineChoice::Automatic), Ok(())) => {
            Ok(("io_uring", format!("Linux {} has what it needs", case.machine.kernel)))
        }
        (Ok(EngineChoice::IoUring), Err(reason)) => Err(format!("io_uring is asked for, but {reason}")),
        (Ok(EngineChoice::Automatic), Err(reason)) => Ok(("epoll", format!("no io_uring: {reason}"))),
    }
}

fn engine(case: &Case, findings: &mut Vec<Finding>) {
    let sysctl =
        (case.machine.io_uring_disabled != 0).then(|| Fix::Command("sudo sysctl -w kernel.io_uring_disabled=0".into()));
    let remark = (case.machine.io_uring_disabled == 1).then(|| {
        "or for one group only: sudo sysctl -w kernel.io_uring_group=$(getent group haproxy | cut -d: -f3)".to_owned()
    });
    match engine_of(case) {
        Err(text) => findings.push(Finding {
            severity: Severity::Breaks,
            subject: "engine",
            at_connections: Some(0),
            text: format!("It does not start: {text}."),
            fix: Some(sysctl.unwrap_or_else(|| Fix::Command("unset RINGWAY_ENGINE".into()))),
            remark,
        }),
        Ok(("epoll", reason)) if case.wanted_engine == Ok(EngineChoice::Automatic) => {
            let memory_locked = reason.contains("lockable");
            let locked = match memory_locked {
                true => format!(", it is {}", human_bytes(case.machine.locked_memory_bytes)),
                false => String::new(),
            };
            let unlock = || Fix::Command("sudo prlimit --pid $$ --memlock=unlimited:unlimited".into());
            findings.push(Finding {
                severity: Severity::Hint,
                subject: "engine",
                at_connections: None,
                text: format!("It runs on epoll ({reason}{locked}): the same service for more CPU."),
                fix: if memory_locked { Some(unlock()) } else { sysctl },
                remark,
            });
        }
        Ok(_) => {}
    }
}

fn workers(case: &Case, findings: &mut Vec<Finding>) {
    let (workers, cpus) = (case.workers, case.machine.cpus);
    let keyword = if case.config.global.nbproc > 1 { "nbproc" } else { "nbthread" };
    let text = if workers > cpus {
        format!(
            "{workers} workers share {cpus} CPUs: no faster, and less even; what they do give is a descriptor table each."
        )
    } else if workers < cpus {
        format!("{workers} of {cpus} CPUs get a worker.")
    } else {
        return;
    };
    findings.push(Finding {
        severity: Severity::Hint,
        subject: "workers",
        at_connections: None,
        text,
        fix: Some(Fix::Configuration(format!("global\n    {keyword} {cpus}"))),
        remark: Some("or no such line at all: a worker for each CPU".into()).filter(|_: &String| workers < cpus),
    });
}

fn proxies<'a>(case: &'a Case) -> impl Iterator<Item = &'a Proxy> {
    case.config.proxies.iter().filter(|proxy| !proxy.disabled)
}

fn serves(proxy: &Proxy) -> bool {
    proxy.backend.as_ref().is_some_and(|backend| !backend.servers.is_empty())
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// No time-out at all: what never ends stays.
fn endless(case: &Case, findings: &mut Vec<Finding>) {
    let client = |proxy: &&Proxy| proxy.frontend.is_some() && proxy.timeouts.client.is_none();
    let server = |proxy: &&Proxy| serves(proxy) && proxy.timeouts.server.is_none() && proxy.timeouts.tunnel.is_none();
    let names: Vec<&str> = proxies(case)
        .filter(|proxy| proxy.mode != ProxyMode::Health && (client(proxy) || server(proxy)))
        .map(|proxy| proxy.name.as_str())
        .collect();
    if !names.is_empty() {
        findings.push(Finding {
            severity: Severity::Risk,
            subject: "time-outs",
            at_connections: None,
            text: format!(
                "Without 'timeout client' and 'timeout server' ({}) a connection whose peer is gone is held for ever: \
                 sooner or later they are all of maxconn.",
                listed(&names)
            ),
            fix: Some(Fix::Configuration("defaults\n    timeout client 3h\n    timeout server 3h".into())),
            remark: None,
        });
    }
}

/// How long a client that left without a word is held by keepalive probes.
fn probed(case: &Case, settings: &KeepaliveSettings) -> Duration {
    let kernel = case.machine.keepalive;
    let idle = settings.idle.unwrap_or(Duration::from_secs(kernel.idle_seconds));
    let interval = settings.interval.unwrap_or(Duration::from_secs(kernel.interval_seconds));
    let count = settings.count.map_or(kernel.probes, u64::from);
    idle.saturating_add(interval.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)))
}

/// After a network outage clients come back while their old connections still hold their places.
fn vanished_clients(case: &Case, findings: &mut Vec<Finding>) {
    let worst = proxies(case)
        .filter(|proxy| proxy.mode == ProxyMode::Tcp && proxy.frontend.is_some())
        .filter_map(|proxy| {
            let timeout = proxy.timeouts.client?;
            let keepalive = &proxy.client_keepalive;
            let held = if keepalive.enabled { timeout.min(probed(case, keepalive)) } else { timeout };
            Some((held, proxy))
        })
        .max_by_key(|(held, _)| *held);
    let Some((held, proxy)) = worst.filter(|(held, _)| *held > VANISHED_MAX) else { return };
    let why = if proxy.client_keepalive.enabled {
        "the kernel's keepalive asks that late"
    } else {
        "nobody asks whether they are there"
    };
    findings.push(Finding {
        severity: Severity::Risk,
        subject: "vanished clients",
        at_connections: None,
        text: format!(
            "Clients of {} that lose their network without a word keep their places for {} ({why}): when all come back \
             over another address, maxconn is full of the dead.",
            proxy.name,
            duration(held)
        ),
        fix: Some(Fix::Configuration(format!(
            "{} {}\n    option clitcpka\n    clitcpka-idle 60s\n    clitcpka-intvl 15s\n    clitcpka-cnt 4",
            if proxy.is_listen() { "listen" } else { "frontend" },
            proxy.name
        ))),
        remark: Some("found out after two minutes".into()),
    });
}

/// Connections that are quiet by nature, and are cut for it.
fn quiet_connections(case: &Case, findings: &mut Vec<Finding>) {
    let shortest = |proxy: &Proxy| {
        let timeouts = &proxy.timeouts;
        timeouts.tunnel.or_else(|| [timeouts.client, timeouts.server].into_iter().flatten().min())
    };
    let cut = |mode: ProxyMode| -> Vec<(&Proxy, Duration)> {
        proxies(case)
            .filter(|proxy| proxy.mode == mode && serves(proxy))
            .filter_map(|proxy| Some((proxy, shortest(proxy).filter(|timeout| *timeout < QUIET_CLIENT)?)))
            .collect()
    };
    for (mode, what, line) in [
        (ProxyMode::Tcp, "A connection", "    timeout client 3h\n    timeout server 3h"),
        (ProxyMode::Http, "A WebSocket (MQTT over one, too)", "    timeout tunnel 3h"),
    ] {
        let cut = cut(mode);
        let Some((proxy, least)) = cut.iter().min_by_key(|(_, timeout)| *timeout) else { continue };
        let names: Vec<&str> = cut.iter().map(|(proxy, _)| proxy.name.as_str()).collect();
        let section = match cut.as_slice() {
            [_] if proxy.is_listen() => format!("listen {}", proxy.name),
            [_] => format!("backend {}", proxy.name),
            _ => "defaults".to_owned(),
        };
        findings.push(Finding {
            severity: Severity::Hint,
            subject: if mode == ProxyMode::Tcp { "quiet connections" } else { "tunnels" },
            at_connections: None,
            text: format!("{what} that is quiet for {} is cut: {}.", duration(*least), listed(&names)),
            fix: Some(Fix::Configuration(format!("{section}\n{line}"))),
            remark: Some("if such connections are meant to live".into()),
        });
    }
}

/// What keeps it from starting at all.
fn start(case: &Case, findings: &mut Vec<Finding>) {
    let (rights, global) = (case.machine.rights, &case.config.global);
    let mut refuse = |subject: &'static str, text: String, fix: Option<Fix>, remark: Option<String>| {
        findings.push(Finding { severity: Severity::Breaks, subject, at_connections: Some(0), text, fix, remark });
    };
    if let Some(error) = &case.machine.paths.pidfile_error {
        let folder = global.pidfile.as_ref().and_then(|path| path.parent());
        let missing = error.ends_with("does not exist");
        let make = folder.filter(|_| missing).map(|folder| format!("sudo mkdir -p {}", quoted(folder)));
        let fix = make.map_or_else(|| Fix::Configuration("global\n    pidfile /run/haproxy.pid".into()), Fix::Command);
        refuse(
            "pid file",
            format!("It does not start, because it cannot write its pid file: {error}."),
            Some(fix),
            None,
        );
    }
    if let Some(error) = &case.machine.paths.chroot_error {
        let folder = global.chroot.as_deref().map(quoted).unwrap_or_default();
        let fix = Fix::Command(format!("sudo mkdir -p {folder}"));
        refuse("chroot", format!("It does not start, because it cannot chroot: {error}."), Some(fix), None);
    }
    let other_user =
        global.user.as_ref().and_then(|user| privileges::user_id(user).ok()).is_some_and(|user| user != rights.user_id);
    if !rights.is_root() && (global.chroot.is_some() || other_user) {
        let text = "It does not start for this user: only root may 'chroot' and change 'user'.".to_owned();
        refuse("rights", text, Some(Fix::Command(format!("sudo ringway {}", case.arguments()))), None);
    }
    let low = |port: u16| port != 0 && port < rights.unprivileged_port_start;
    let ports = case.config.listeners.iter().filter(|listener| !case.config.proxy(listener.frontend).disabled);
    let lowest = ports
        .filter_map(|listener| match listener.address {
            ListenAddress::Ip { address, .. } => Some(address.port()).filter(|port| low(*port)),
            _ => None,
        })
        .min();
    if let Some(port) = lowest.filter(|_| !rights.may_bind_low_ports) {
        let start = rights.unprivileged_port_start;
        refuse(
            "rights",
            format!("It does not start for this user: ports below {start} are root's, and it listens on {port}."),
            Some(Fix::Command(format!("sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}"))),
            Some("or start it as root with 'user' in the global section".into()),
        );
    }
}

fn logs(case: &Case, findings: &mut Vec<Finding>) {
    let deaf = &case.machine.paths.deaf_logs;
    let Some(first) = deaf.first() else { return };
    // What the tutorial's machine lacks, too: rsyslog does not listen on UDP unless told to.
    let fix = if first.ends_with(":514") {
        Fix::Command(
            r#"printf 'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="514")\n' | sudo tee /etc/rsyslog.d/10-udp.conf && sudo systemctl restart rsyslog"#
                .into(),
        )
    } else {
        Fix::Configuration("global\n    log stdout format raw local0".into())
    };
    findings.push(Finding {
        severity: Severity::Hint,
        subject: "logs",
        at_connections: None,
        text: format!("Nobody receives log lines at {}: they are lost.", deaf.join(", ")),
        fix: Some(fix),
        remark: None,
    });
}

/// For a shell.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// `2 h 11 min`, `30 s`, `500 ms`
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |high: u64, high_unit: &str, low: u64, low_unit: &str| match low {
        0 => format!("{high} {high_unit}"),
        _ => format!("{high} {high_unit} {low} {low_unit}"),
    };
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_people() {
        let texts = [0, 30, 60, 90, 7875, 3 * 3600, 100_000].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 ms", "30 s", "1 min", "1 min 30 s", "2 h 11 min", "3 h", "1 d 3 h"]);
    }

    #[test]
    fn names_and_paths() {
        assert_eq!(listed(&["a", "b", "c"]), "a, b, c");
        assert_eq!(listed(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
        assert_eq!(quoted(std::path::Path::new("/run/haproxy-1")), "/run/haproxy-1");
        assert_eq!(quoted(std::path::Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
