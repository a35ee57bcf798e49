//! Two real brokers, real clients, and what happens to them when a broker dies, freezes or comes back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rumqttc::{LastWill, QoS};

use crate::support::mqtt::{Client, run};
use crate::support::*;

on_each_proxy!(
    every_quality_of_service_retained_and_will,
    one_megabyte_payloads,
    a_broker_killed_and_revived within 120,
    a_frozen_broker_is_taken_out_and_comes_back within 120,
    both_brokers_gone_then_back within 120,
);
on_each_proxy!(two_thousand_clients_split_evenly within 120);

/// A leastconn `listen mqtt` in front of the brokers, checked often so that a test need not wait.
fn in_front_of(flavour: Flavour, brokers: &[&Broker], extra: &str) -> (Running, SocketAddr) {
    let port = ports::free_port();
    let mut sections = format!(
        "listen mqtt\n    bind 127.0.0.1:{port}\n    balance leastconn\n    option clitcpka\n    retries 3\n\
         \x20   timeout client 3h\n    timeout server 3h\n{extra}"
    );
    for broker in brokers {
        sections +=
            &format!("    server {} {} check inter 200 fall 2 rise 3 weight 1\n", broker.name(), broker.address());
    }
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    (proxy, SocketAddr::from(([127, 0, 0, 1], port)))
}

fn every_quality_of_service_retained_and_will(flavour: Flavour) {
    let broker = Broker::start("one");
    let (proxy, address) = in_front_of(flavour, &[&broker], "");
    run(async {
        let mut subscriber = Client::connect(address, "subscriber").await.expect("connected");
        subscriber.subscribe("news/#", QoS::ExactlyOnce).await.expect("subscribed");
        let mut publisher = Client::connect(address, "publisher").await.expect("connected");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = format!("{qos:?}").into_bytes();
            publisher.publish("news/qos", qos, false, payload.clone()).await.expect("published");
            let message = subscriber.receive().await.expect("received");
            assert_eq!((message.qos, message.payload.to_vec(), message.retain), (qos, payload, false));
        }
        publisher.publish("state/lamp", QoS::AtLeastOnce, true, b"on".to_vec()).await.expect("published");
        let mut late = Client::connect(address, "late").await.expect("connected");
        late.subscribe("state/#", QoS::AtLeastOnce).await.expect("subscribed");
        let kept = late.receive().await.expect("the retained message");
        assert!(kept.retain && &kept.payload[..] == b"on");

        let will = LastWill::new("news/will", "died", QoS::AtLeastOnce, false);
        let mortal = Client::connect_with(address, "mortal", Some(will)).await.expect("connected");
        drop(mortal); // Without DISCONNECT: the broker publishes the will once the proxy has carried the end to it.
        let message = subscriber.receive().await.expect("the will");
        assert_eq!((message.topic.as_str(), &message.payload[..]), ("news/will", &b"died"[..]));
        for client in [subscriber, publisher, late] {
            client.disconnect().await;
        }
    });
    proxy.wait_for_number(10, "mqtt", "FRONTEND", "scur", 0);
    proxy.wait_for_number(10, "mqtt", "one", "scur", 0);
}

fn one_megabyte_payloads(flavour: Flavour) {
    let broker = Broker::start("one");
    let (_proxy, address) = in_front_of(flavour, &[&broker], "");
    run(async {
        let mut subscriber = Client::connect(address, "subscriber").await.expect("connected");
        subscriber.subscribe("big", QoS::ExactlyOnce).await.expect("subscribed");
        let mut publisher = Client::connect(address, "publisher").await.expect("connected");
        for round in 0..8u32 {
            let payload: Vec<u8> =
                (0..1u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> (round + 5)) as u8).collect();
            publisher.publish("big", QoS::ExactlyOnce, false, payload.clone()).await.expect("published");
            let message = subscriber.receive().await.expect("received");
            assert!(message.payload[..] == payload[..], "round {round}: a megabyte, byte for byte");
        }
    });
}

/// Connects `count` clients, 100 at a time, and asks each where it landed.
pub async fn crowd(address: SocketAddr, count: usize, prefix: &'static str) -> Vec<(Client, String)> {
    let mut clients = Vec::with_capacity(count);
    let mut number = 0;
    while number < count {
        let wave: Vec<_> = (number..count.min(number + 100))
            .map(|number| {
                tokio::spawn(async move {
                    let mut client = Client::connect(address, &format!("{prefix}-{number}")).await?;
                    let who = client.who().await?;
                    Ok::<_, String>((client, who))
                })
            })
            .collect();
        number += wave.len();
        for client in wave {
            clients.push(client.await.expect("no panic").expect("a client that learnt its broker's name"));
        }
    }
    clients
}

pub fn split(clients: &[(Client, String)]) -> BTreeMap<String, usize> {
    clients.iter().fold(BTreeMap::new(), |mut split, (_, who)| {
        *split.entry(who.clone()).or_default() += 1;
        split
    })
}

fn two_thousand_clients_split_evenly(flavour: Flavour) {
    let brokers = [Broker::start("emq1"), Broker::start("emq2")];
    let (proxy, address) = in_front_of(flavour, &[&brokers[0], &brokers[1]], "");
    run(async {
        let clients = crowd(address, 2000, "crowd").await;
        let split = split(&clients);
        assert_eq!(split.values().sum::<usize>(), 2000);
        let (least, most) = (split["emq1"].min(split["emq2"]), split["emq1"].max(split["emq2"]));
        // Ours is exact whichever worker a client met; HAProxy's threads may race by a few.
        let allowed = if flavour.is_ringway() { 1 } else { 20 };
        assert!(most - least <= allowed, "{split:?}");
        let stats = proxy.stats();
        assert_eq!(stats.number("mqtt", "FRONTEND", "scur"), 2000);
        assert_eq!(stats.number("mqtt", "emq1", "scur") as usize, split["emq1"]);
        assert_eq!(stats.number("mqtt", "emq2", "scur") as usize, split["emq2"]);
        // Every one of them talks, at once.
        let talks: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, (mut client, _))| {
                tokio::spawn(async move {
                    let topic = format!("own/{number}");
                    client.subscribe(&topic, QoS::AtLeastOnce).await?;
                    client.publish(&topic, QoS::AtLeastOnce, false, topic.clone().into_bytes()).await?;
                    let message = client.receive().await?;
                    client.disconnect().await;
                    if message.topic == topic { Ok(()) } else { Err(format!("{} for {topic}", message.topic)) }
                })
            })
            .collect();
        for talk in talks {
            talk.await.expect("no panic").expect("its own message back");
        }
    });
    for name in ["FRONTEND", "BACKEND", "emq1", "emq2"] {
        proxy.wait_for_number(10, "mqtt", name, "scur", 0);
    }
    assert_eq!(proxy.stats().number("mqtt", "FRONTEND", "stot"), 2000);
}

fn a_broker_killed_and_revived(flavour: Flavour) {
    let (mut first, second) = (Broker::start("emq1"), Broker::start("emq2"));
    let (proxy, address) = in_front_of(flavour, &[&first, &second], "    option redispatch\n");
    run(async {
        let mut clients = crowd(address, 100, "early").await;
        assert_eq!(split(&clients)["emq1"], 50);

        let killed = Instant::now();
        first.kill();
        for (client, who) in &mut clients {
            if who == "emq1" {
                client.wait_for_loss().await.expect("its broker is dead");
            }
        }
        clients.retain(|(_, who)| who == "emq2");
        // Redispatch covers the time until the checks notice: nobody is refused.
        let during = crowd(address, 20, "during").await;
        assert_eq!(split(&during).get("emq2"), Some(&20));
        proxy.wait_for_status(15, "mqtt", "emq1", "DOWN");
        assert!(killed.elapsed() < Duration::from_secs(6), "DOWN after two failed checks 200 ms apart");
        proxy.syslog().wait_for(15, "the change", |line| {
            line.contains("Server mqtt/emq1 is DOWN, reason: Layer4 connection problem")
        });
        for (client, _) in &mut clients {
            assert!(client.is_alive().await, "the other broker's clients notice nothing");
        }
        let after = crowd(address, 20, "after").await;
        assert_eq!(split(&after).get("emq2"), Some(&20));
        assert_eq!(proxy.stats().number("mqtt", "emq1", "scur"), 0);

        first.revive();
        proxy.wait_for_status(10, "mqtt", "emq1", "UP");
        proxy
            .syslog()
            .wait_for(15, "the change", |line| line.contains("Server mqtt/emq1 is UP, reason: Layer4 check passed"));
        // 90 are on emq2 by now: leastconn sends every newcomer to the revived one.
        let late = crowd(address, 40, "late").await;
        assert_eq!(split(&late).get("emq1"), Some(&40));
        for (mut client, _) in clients.into_iter().chain(during).chain(after).chain(late) {
            assert!(client.is_alive().await);
            client.disconnect().await;
        }
    });
    for name in ["FRONTEND", "BACKEND", "emq1", "emq2"] {
        proxy.wait_for_number(10, "mqtt", name, "scur", 0);
    }
    let stats = proxy.stats();
    assert_eq!(stats.number("mqtt", "emq1", "chkdown"), 1);
    assert_eq!(stats.number("mqtt", "emq2", "chkdown"), 0);
    assert_eq!(stats.number("mqtt", "BACKEND", "qcur"), 0);
}

/// An MQTT CONNECT and the CONNACK it must get: what a frozen broker cannot answer, though its kernel still accepts.
const MQTT_CHECK: &str = "    option tcp-check\n    tcp-check connect\n\
    \x20   tcp-check send-binary 100e00044d5154540402003c00026863\n    tcp-check expect binary 20020000\n    timeout check 500ms\n";

fn a_frozen_broker_is_taken_out_and_comes_back(flavour: Flavour) {
    let (first, second) = (Broker::start("emq1"), Broker::start("emq2"));
    let (proxy, address) = in_front_of(flavour, &[&first, &second], MQTT_CHECK);
    run(async {
        let mut clients = crowd(address, 20, "early").await;
        first.freeze();
        proxy.wait_for_status(10, "mqtt", "emq1", "DOWN");
        proxy
            .syslog()
            .wait_for(15, "the change", |line| line.contains("Server mqtt/emq1 is DOWN, reason: Layer7 timeout"));
        for (client, who) in &mut clients {
            if who == "emq2" {
                assert!(client.is_alive().await, "the other broker's clients notice nothing");
            }
        }
        let during = crowd(address, 10, "during").await;
        assert_eq!(split(&during).get("emq2"), Some(&10));
        first.thaw();
        proxy.wait_for_status(10, "mqtt", "emq1", "UP");
        for (client, _) in &mut clients {
            assert!(client.is_alive().await, "a frozen broker's clients were only slow");
        }
    });
}

fn both_brokers_gone_then_back(flavour: Flavour) {
    let (mut first, mut second) = (Broker::start("emq1"), Broker::start("emq2"));
    let (proxy, address) = in_front_of(flavour, &[&first, &second], "");
    first.kill();
    second.kill();
    proxy.wait_for_status(10, "mqtt", "BACKEND", "DOWN");
    proxy.syslog().wait_for(15, "the last one's end", |line| line.contains("proxy mqtt has no server available!"));
    let mut refused = connect(address.port());
    assert!(read_end(&mut refused).0.is_empty(), "closed at once, without a word");
    drop(refused);
    let session = &proxy.syslog().wait_for_sessions(15, "mqtt", 1)[0];
    assert_eq!((session.server.as_str(), session.termination.as_str()), ("<NOSRV>", "SC"));
    assert_eq!((session.queue_ms, session.connect_ms), (-1, -1));
    first.revive();
    second.revive();
    proxy.wait_for_status(10, "mqtt", "emq1", "UP");
    proxy.wait_for_status(10, "mqtt", "emq2", "UP");
    run(async {
        let clients = crowd(address, 10, "back").await;
        assert_eq!(split(&clients).values().copied().collect::<Vec<_>>(), [5, 5]);
    });
    proxy.wait_for_number(10, "mqtt", "FRONTEND", "scur", 0);
}
