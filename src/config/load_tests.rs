//! Whole configurations through the loader.

use super::diagnostics::Severity;
use super::load::*;
use super::model::*;
use super::names::NoNames;

/// The first half of the tutorial, addresses as written there.
pub const TUTORIAL: &str = "\
global
log 127.0.0.1 local0
log 127.0.0.1 local1 notice
daemon
nbproc 2
maxconn 51200
pidfile /home/hylink/haproxy/sbin/haproxy.pid
defaults
log global
mode http
option httplog
option dontlognull
retries 3
option abortonclose
timeout connect 5000ms
timeout client 30000ms
timeout server 60000ms
balance roundrobin
listen stats
bind *:9080
mode http
option httplog
maxconn 10
stats refresh 30s
stats uri /stats
stats realm Haproxy Manager
stats hide-version
stats admin if TRUE
listen mqtt
bind *:1890
mode tcp
maxconn 50000
option clitcpka # For TCP keep-alive
timeout client 3h #By default TCP keep-alive interval is 2hours in OS kernal, 'cat /proc/sys/net/ipv4/tcp_keepalive_time'
timeout server 3h #By default TCP keep-alive interval is 2hours in OS kernal
option tcplog
balance leastconn
server emq1 172.19.12.231:1883 check inter 10000 fall 2 rise 5 weight 1
server emq2 172.19.12.207:1883 check inter 10000 fall 2 rise 5 weight 1
";

/// Loads `text` without asking a name server.
fn loaded(text: &str) -> Loaded {
    load_text_with("t.cfg", text, &NoNames)
}

fn config(text: &str) -> Config {
    let loaded = loaded(text);
    match loaded.config {
        Some(config) => config,
        None => panic!("{:#?}", loaded.diagnostics),
    }
}

fn texts(loaded: &Loaded, severity: Severity) -> Vec<&str> {
    let found = loaded.diagnostics.messages.iter().filter(|message| message.severity == severity);
    found.map(|message| message.text.as_str()).collect()
}

#[test]
fn the_tutorial_loads_as_written() {
    let loaded = loaded(TUTORIAL);
    assert_eq!(texts(&loaded, Severity::Alert), Vec::<&str>::new());
    let warnings = texts(&loaded, Severity::Warning);
    assert!(warnings.iter().any(|text| text.contains("stats realm Haproxy\\ Manager")), "{warnings:?}");
    let config = loaded.config.unwrap();
    assert_eq!((config.global.workers, config.global.nbproc), (Some(2), 2));
    assert_eq!(config.global.maxconn, Some(51_200));
    assert!(config.global.daemon);
    assert_eq!(config.global.log.targets.len(), 2);
    assert_eq!(config.global.log.targets[1].max_level, 5);
    assert_eq!(config.global.log.targets[1].facility, 17);
    let [stats, mqtt] = config.proxies.as_slice() else { panic!("two proxies") };
    assert_eq!((stats.name.as_str(), stats.iid, stats.mode), ("stats", 1, ProxyMode::Http));
    let page = stats.stats.as_ref().unwrap();
    assert_eq!((page.uri.as_str(), page.realm.as_str(), page.admin), ("/stats", "Haproxy", StatsAdmin::Always));
    assert!(page.hide_version);
    assert_eq!(mqtt.mode, ProxyMode::Tcp);
    assert!(mqtt.stats.is_none());
    assert!(mqtt.client_keepalive.enabled && !mqtt.server_keepalive.enabled);
    assert!(mqtt.options.abortonclose && mqtt.options.dontlognull);
    assert_eq!(mqtt.timeouts.client.unwrap().as_secs(), 3 * 3600);
    assert_eq!(mqtt.timeouts.connect.unwrap().as_millis(), 5000);
    assert_eq!(mqtt.log_format.kind, LogFormatKind::Tcp);
    let backend = mqtt.backend.as_ref().unwrap();
    assert_eq!(backend.balance, BalanceAlgorithm::LeastConnections);
    assert_eq!((backend.retries, backend.fullconn), (3, Some(5000)));
    assert_eq!(mqtt.frontend.as_ref().unwrap().maxconn, Some(50_000));
    assert_eq!(config.servers.len(), 2);
    let server = &config.servers[1];
    assert_eq!((server.name.as_str(), server.sid, server.weight), ("emq2", 2, 1));
    assert_eq!(server.address, Some(ServerAddress::Ip("172.19.12.207:1883".parse().unwrap())));
    let check = server.check.as_ref().unwrap();
    assert_eq!((check.inter.as_millis(), check.fall, check.rise), (10_000, 2, 5));
    assert_eq!(config.listeners.len(), 2);
}
