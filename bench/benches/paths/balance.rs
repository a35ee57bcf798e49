//! A server for a connection, and the place given back.

use super::Path;
use super::world::World;
use ringway::config::model::ProxyId;
use ringway::policy::assign::{AssignRequest, Assignment, assign};
use ringway::policy::balance_key;
use ringway::policy::exchange::Stage;
use ringway::shared::mailbox::Waiter;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

pub fn paths() -> Vec<Path> {
    vec![
        pick("balance/roundrobin", "roundrobin", ""),
        pick("balance/leastconn", "leastconn", ""),
        pick("balance/random", "random(2)", ""),
        pick("balance/source", "source", ""),
        pick("balance/uri, consistent", "uri", " hash-type consistent\n"),
    ]
}

/// One pick among sixteen servers of two weights. Each client has another address.
fn pick(name: &'static str, algorithm: &str, lines: &str) -> Path {
    let mut text = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nlisten web\n \
         bind 127.0.0.1:1\n balance {algorithm}\n{lines}"
    );
    for number in 1..=16 {
        text += &format!(" server s{number} 127.0.0.1:{} weight {}\n", 1000 + number, 1 + number % 2);
    }
    let mut world = World::new(&text);
    let mut client = 0u32;
    Path::new(name, move || {
        client = client.wrapping_add(1);
        let key = world.ask(Stage::Request, |scope| balance_key::of(scope));
        let assignment = assign(&AssignRequest {
            shared: &world.shared,
            backend: ProxyId(0),
            client_ip: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | (client & 0xffff)))),
            key,
            waiter: Waiter { worker: 0, slot: 0, generation: 0 },
            keep: None,
            keep_whatever_state: false,
            avoid: None,
            priority: Default::default(),
            now_us: 1_000_000,
        });
        assert!(matches!(black_box(&assignment), Assignment::Server(_)));
    })
}
