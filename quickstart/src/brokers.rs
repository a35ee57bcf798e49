//! The two MQTT brokers of the tutorial, embedded: each tells which clients it serves.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use rumqttd::{Broker, Config, ConnectionSettings, Notification, RouterConfig, ServerSettings};

/// Client id -> name of the broker that saw its messages.
pub type Landed = Arc<Mutex<BTreeMap<String, String>>>;

/// Topics of the quickstart's clients: this, then the client's id.
pub const TOPIC: &str = "quickstart/";

/// Starts a broker on its own threads; it runs until the process ends. Notes in `landed` who publishes to it.
pub fn start(name: &str, listen: SocketAddr, landed: &Landed) -> Result<(), String> {
    let server = ServerSettings {
        name: name.to_string(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 60_000,
            max_payload_size: 1 << 20,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let router = RouterConfig {
        max_connections: 10_000,
        max_outgoing_packet_count: 200,
        max_segment_size: 16 << 20,
        max_segment_count: 4,
        ..RouterConfig::default()
    };
    let mut broker = Broker::new(Config {
        id: 0,
        router,
        v4: Some(HashMap::from([(name.to_string(), server)])),
        v5: None,
        ws: None,
        cluster: None,
        console: None,
        bridge: None,
        prometheus: None,
        metrics: None,
    });
    let (mut requests, mut notifications) = broker.link(name).map_err(|error| format!("broker {name}: {error}"))?;
    requests.subscribe(format!("{TOPIC}#")).map_err(|error| format!("broker {name}: {error}"))?;
    let thread_name = name.to_string();
    thread::spawn(move || {
        if let Err(error) = broker.start() {
            eprintln!("broker {thread_name}: {error}");
        }
    });
    let (name, landed) = (name.to_string(), Arc::clone(landed));
    thread::spawn(move || {
        // Keeps the subscription alive as long as somebody reads it.
        let _requests = requests;
        while let Ok(notification) = notifications.recv() {
            let Some(Notification::Forward(forward)) = notification else { continue };
            let topic = String::from_utf8_lossy(&forward.publish.topic).into_owned();
            if let (Some(client), Ok(mut landed)) = (topic.strip_prefix(TOPIC), landed.lock()) {
                landed.insert(client.to_string(), name.clone());
            }
        }
    });
    Ok(())
}
