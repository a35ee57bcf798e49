//! How many connections a configuration lets in, and which way they go: the demand that the machine is held against.

use crate::config::model::{
    Backend, BalanceAlgorithm, Config, OldAction, ProxyId, ProxyMode, Server, ServerAddress, Target, UseSource,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Connections from one address of ours to one address of a server: they share one set of source ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub destination: SocketAddr,
    /// `source`; `None`: the kernel chooses.
    pub source: Option<IpAddr>,
    /// The ports that `source` allows.
    pub ports: Option<(u16, u16)>,
    /// `backend/server`, all that lead there.
    pub servers: Vec<String>,
    /// With all servers up and the process at its maxconn.
    pub connections: u64,
    /// With the worst other server down.
    pub connections_one_down: u64,
    /// Which one that is.
    pub worst_down: Option<String>,
}

/// Connections of clients, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// What all frontends together take at most: never above the process's maxconn.
    pub connections: u64,
    /// The part of them in HTTP mode.
    pub http_connections: u64,
    pub paths: Vec<Path>,
}

impl Traffic {
    /// What `config` lets in when the process takes `maxconn` connections.
    pub fn of(config: &Config, maxconn: u64) -> Traffic {
        let (mut all, mut http) = (0u64, 0u64);
        let mut loads = vec![0u64; config.proxies.len()];
        for (proxy, id) in config.proxies.iter().zip(config.proxy_ids()) {
            let Some(frontend) = proxy.frontend.as_ref().filter(|_| !proxy.disabled) else { continue };
            let taken = frontend.maxconn.map_or(maxconn, |own| u64::from(own).min(maxconn));
            all = all.saturating_add(taken);
            if proxy.mode != ProxyMode::Tcp {
                http = http.saturating_add(taken);
            }
            for target in backends_of(config, id) {
                if let Some(load) = loads.get_mut(target.index()) {
                    *load = load.saturating_add(taken).min(maxconn);
                }
            }
        }
        let connections = all.min(maxconn);
        // As much HTTP as its share: frontends that together may take more than the process do not all fill up.
        let http_connections = if all <= maxconn { http } else { share(maxconn, http, all) };
        Traffic { connections, http_connections, paths: paths(config, &loads, connections) }
    }
}

/// `whole` × `part` ÷ `of`, rounded up.
fn share(whole: u64, part: u64, of: u64) -> u64 {
    let product = u128::from(whole) * u128::from(part);
    u64::try_from(product.div_ceil(u128::from(of.max(1)))).unwrap_or(u64::MAX)
}

/// The backends that a frontend's connections may go to.
fn backends_of(config: &Config, id: ProxyId) -> BTreeSet<ProxyId> {
    let proxy = config.proxy(id);
    let Some(frontend) = &proxy.frontend else { return BTreeSet::new() };
    let named = frontend.backend_rules.iter().any(|rule| matches!(rule.target, Target::Named(_)));
    if named {
        // The name is made for each request: it may be anyone's.
        return config.proxy_ids().collect();
    }
    let known = frontend.backend_rules.iter().filter_map(|rule| match rule.target {
        Target::Known(target) => Some(target),
        Target::Named(_) => None,
    });
    let old = proxy.old_rules.request.iter().filter_map(|rule| match rule.action {
        OldAction::SetBackend(target) => Some(target),
        _ => None,
    });
    known.chain(old).chain(frontend.default_backend).chain([id]).collect()
}

type PathKey = (SocketAddr, Option<IpAddr>, Option<(u16, u16)>);

fn paths(config: &Config, loads: &[u64], maxconn: u64) -> Vec<Path> {
    let mut paths: BTreeMap<PathKey, Path> = BTreeMap::new();
    for (proxy, load) in config.proxies.iter().zip(loads) {
        let Some(backend) = proxy.backend.as_ref().filter(|_| !proxy.disabled) else { continue };
        for (server, expected) in expectations(config, backend, *load) {
            let Some(ServerAddress::Ip(destination)) = server.address else { continue };
            let source = server.source.as_ref().or(backend.source.as_ref());
            if source.is_some_and(|source| source.use_client != UseSource::No) {
                // The clients' addresses have the clients' ports.
                continue;
            }
            let chosen = source.map(|source| source.address).filter(|address| !address.is_unspecified());
            let ports = source.and_then(|source| source.ports);
            let path = paths.entry((destination, chosen, ports)).or_insert_with(|| Path {
                destination,
                source: chosen,
                ports,
                servers: Vec::new(),
                connections: 0,
                connections_one_down: 0,
                worst_down: None,
            });
            path.servers.push(format!("{}/{}", proxy.name, server.name));
            path.connections = path.connections.saturating_add(expected.healthy).min(maxconn);
            path.connections_one_down = path.connections_one_down.saturating_add(expected.one_down).min(maxconn);
            if let Some(down) = expected.down {
                path.worst_down.get_or_insert(down);
            }
        }
    }
    paths.into_values().collect()
}

/// What one server is to carry.
struct Expected {
    healthy: u64,
    one_down: u64,
    /// The server that is down then.
    down: Option<String>,
}

/// The share of each server of a backend that has `load` connections.
fn expectations<'a>(config: &'a Config, backend: &Backend, load: u64) -> Vec<(&'a Server, Expected)> {
    let servers: Vec<&Server> = backend.servers.iter().map(|id| config.server(*id)).collect();
    let usable = |server: &&&Server| !server.disabled && server.weight > 0;
    let (active, backups): (Vec<&Server>, Vec<&Server>) =
        servers.iter().filter(usable).copied().partition(|server| !server.backup);
    let weight = |servers: &[&Server]| servers.iter().map(|server| u64::from(server.weight)).sum::<u64>();
    let capped = |server: &Server, connections: u64| match server.maxconn {
        0 => connections,
        maxconn => connections.min(u64::from(maxconn)),
    };
    // `balance first` fills one server up to its maxconn before it asks the next.
    let shared = backend.balance != BalanceAlgorithm::First;
    let (first_line, second_line) = if active.is_empty() { (&backups, &active) } else { (&active, &backups) };
    let total = weight(first_line);
    let mut expected = Vec::new();
    for (index, server) in first_line.iter().enumerate() {
        let own = u64::from(server.weight);
        let others = first_line.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, server)| server);
        let heaviest = others.max_by_key(|server| server.weight);
        let left = total - heaviest.map_or(0, |server| u64::from(server.weight));
        let (healthy, one_down) = if shared { (share(load, own, total), share(load, own, left)) } else { (load, load) };
        expected.push((
            *server,
            Expected {
                healthy: capped(server, healthy),
                one_down: capped(server, one_down),
                down: heaviest.map(|server| server.name.clone()),
            },
        ));
    }
    // Backups see traffic when the only active server is down; when several are, that is more than one bad thing.
    if let [only] = first_line.as_slice() {
        let chosen = second_line.iter().filter(|server| server.backup).take(1);
        expected.extend(chosen.map(|server| {
            let one_down = capped(server, load);
            (*server, Expected { healthy: 0, one_down, down: Some(only.name.clone()) })
        }));
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;
    use proptest::prelude::*;

    fn traffic(sections: &str, maxconn: u64) -> Traffic {
        let text =
            format!("defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n  mode tcp\n{sections}");
        Traffic::of(&load_text("t.cfg", &text).config.unwrap(), maxconn)
    }

    fn shares(traffic: &Traffic) -> Vec<(String, u64, u64)> {
        traffic.paths.iter().map(|path| (path.servers.join(","), path.connections, path.connections_one_down)).collect()
    }

    #[test]
    fn the_tutorial_halves_its_clients_until_a_broker_is_down() {
        let traffic = traffic(
            "listen mqtt\n  bind :1890\n  maxconn 50000\n  balance leastconn\n  server emq1 10.0.0.1:1883\n  server emq2 10.0.0.2:1883\n",
            51200,
        );
        assert_eq!((traffic.connections, traffic.http_connections), (50000, 0));
        assert_eq!(shares(&traffic), [("mqtt/emq1".into(), 25000, 50000), ("mqtt/emq2".into(), 25000, 50000)]);
        assert_eq!(traffic.paths[0].worst_down.as_deref(), Some("emq2"));
    }

    #[test]
    fn weights_maxconn_backups_and_sources() {
        let weighted = traffic(
            "listen a\n  bind :1\n  server x 10.0.0.1:1 weight 3\n  server y 10.0.0.2:1 maxconn 100\n  server z 10.0.0.3:1 backup\n",
            1000,
        );
        assert_eq!(shares(&weighted), [("a/x".into(), 750, 1000), ("a/y".into(), 100, 100)]);
        let backup = traffic("listen a\n  bind :1\n  server x 10.0.0.1:1\n  server z 10.0.0.3:1 backup\n", 1000);
        assert_eq!(shares(&backup), [("a/x".into(), 1000, 1000), ("a/z".into(), 0, 1000)]);
        let first = traffic(
            "listen a\n  bind :1\n  balance first\n  server x 10.0.0.1:1 maxconn 600\n  server y 10.0.0.2:1\n",
            1000,
        );
        assert_eq!(shares(&first), [("a/x".into(), 600, 600), ("a/y".into(), 1000, 1000)]);
        // Two source addresses to one broker are two sets of ports; the same address twice is one.
        let sources = traffic(
            "listen a\n  bind :1\n  server x 10.0.0.1:1 source 10.1.0.1\n  server y 10.0.0.1:1 source 10.1.0.2\n  server z 10.0.0.1:1 source 10.1.0.2\n",
            900,
        );
        assert_eq!(shares(&sources), [("a/x".into(), 300, 450), ("a/y,a/z".into(), 600, 900)]);
        assert_eq!(sources.paths[0].source, Some("10.1.0.1".parse().unwrap()));
    }

    #[test]
    fn what_rules_lead_to_counts() {
        let sections = "frontend f\n  mode http\n  bind :1\n  maxconn 70\n  use_backend b if { path /b }\n  reqisetbe ^x d\n  default_backend c\n\
             frontend g\n  mode http\n  bind :2\n  maxconn 50\n  default_backend c\n\
             backend b\n  mode http\n  server x 10.0.0.1:1\nbackend c\n  mode http\n  server x 10.0.0.2:1\n\
             backend d\n  mode http\n  server x 10.0.0.3:1\nbackend e\n  mode http\n  server x 10.0.0.4:1\n";
        let all = traffic(sections, 1000);
        assert_eq!((all.connections, all.http_connections), (120, 120));
        let own: Vec<u64> = all.paths.iter().map(|path| path.connections).collect();
        assert_eq!(own, [70, 120, 70, 0]);
        assert_eq!(traffic(sections, 100).paths[1].connections, 100);
        let dynamic = traffic(
            "frontend f\n  mode http\n  bind :1\n  use_backend %[path]\nbackend b\n  mode http\n  server x 10.0.0.1:1\n",
            10,
        );
        assert_eq!(dynamic.paths[0].connections, 10);
    }

    proptest! {
        /// Servers without limits of their own carry all together, a little more for rounding, and none more than all.
        #[test]
        fn nothing_is_lost(weights in proptest::collection::vec(0u32..257, 1..9), load in 0u64..2_000_000) {
            let servers: String = (1..).zip(&weights)
                .map(|(number, weight)| format!("  server s{number} 10.0.0.{number}:1 weight {weight}\n"))
                .collect();
            let traffic = traffic(&format!("listen a\n  bind :1\n{servers}"), load);
            let carried: u64 = traffic.paths.iter().map(|path| path.connections).sum();
            if weights.iter().any(|weight| *weight > 0) {
                prop_assert!(carried >= load && carried <= load + weights.len() as u64);
            }
            prop_assert!(traffic.paths.iter().all(|path|
                path.connections <= load && path.connections_one_down >= path.connections && path.connections_one_down <= load));
        }
    }
}
