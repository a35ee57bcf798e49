//! MQTT clients as applications run them (rumqttc), each call waiting for the broker's acknowledgement.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet, Publish, QoS,
};
use tokio::time::timeout;

/// No step of a client may take longer.
const STEP: Duration = Duration::from_secs(20);

/// Runs asynchronous clients from a test's thread.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

/// As `run`, on a thread of its own: callable while other clients of the test are being run.
pub fn run_apart<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| scope.spawn(|| run(work)).join()).expect("no panic")
}

pub struct Client {
    requests: AsyncClient,
    events: EventLoop,
    /// Messages that arrived while something else was awaited.
    received: VecDeque<Publish>,
}

impl Client {
    pub async fn connect(address: SocketAddr, id: &str) -> Result<Client, String> {
        Client::connect_with(address, id, None).await
    }

    pub async fn connect_with(address: SocketAddr, id: &str, will: Option<LastWill>) -> Result<Client, String> {
        let mut options = MqttOptions::new(id, address.ip().to_string(), address.port());
        options.set_keep_alive(Duration::from_secs(120)).set_max_packet_size(4 << 20, 4 << 20);
        if let Some(will) = will {
            options.set_last_will(will);
        }
        let (requests, events) = AsyncClient::new(options, 16);
        let mut client = Client { requests, events, received: VecDeque::new() };
        match client.until(|event| matches!(event, Event::Incoming(Packet::ConnAck(_)))).await? {
            Event::Incoming(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success => Ok(client),
            other => Err(format!("{other:?}")),
        }
    }

    pub async fn subscribe(&mut self, topic: &str, qos: QoS) -> Result<(), String> {
        self.requests.subscribe(topic, qos).await.map_err(|error| error.to_string())?;
        self.until(|event| matches!(event, Event::Incoming(Packet::SubAck(_)))).await.map(drop)
    }

    /// Publishes and waits until the broker has it, as far as `qos` lets one know.
    pub async fn publish(&mut self, topic: &str, qos: QoS, retain: bool, payload: Vec<u8>) -> Result<(), String> {
        self.requests.publish(topic, qos, retain, payload).await.map_err(|error| error.to_string())?;
        self.until(|event| match qos {
            QoS::AtMostOnce => matches!(event, Event::Outgoing(Outgoing::Publish(_))),
            QoS::AtLeastOnce => matches!(event, Event::Incoming(Packet::PubAck(_))),
            QoS::ExactlyOnce => matches!(event, Event::Incoming(Packet::PubComp(_))),
        })
        .await
        .map(drop)
    }

    /// The next message.
    pub async fn receive(&mut self) -> Result<Publish, String> {
        if let Some(publish) = self.received.pop_front() {
            return Ok(publish);
        }
        self.until(|event| matches!(event, Event::Incoming(Packet::Publish(_)))).await?;
        self.received.pop_front().ok_or_else(|| "no message".to_string())
    }

    /// The name of the broker that this client landed on.
    pub async fn who(&mut self) -> Result<String, String> {
        self.subscribe(super::mosquitto::WHO, QoS::AtLeastOnce).await?;
        let publish = self.receive().await?;
        Ok(String::from_utf8_lossy(&publish.payload).into_owned())
    }

    /// Whether the broker at the other end still answers on this connection.
    pub async fn is_alive(&mut self) -> bool {
        self.publish("test/alive", QoS::AtLeastOnce, false, b"?".to_vec()).await.is_ok()
    }

    /// Waits until the connection fails.
    pub async fn wait_for_loss(&mut self) -> Result<String, String> {
        match timeout(STEP, async {
            loop {
                if let Err(error) = self.events.poll().await {
                    return error.to_string();
                }
            }
        })
        .await
        {
            Ok(error) => Ok(error),
            Err(_) => Err("still connected".to_string()),
        }
    }

    pub async fn disconnect(mut self) {
        if self.requests.disconnect().await.is_ok() {
            let _ = self.until(|event| matches!(event, Event::Outgoing(Outgoing::Disconnect))).await;
        }
    }

    /// Polls until an event is `wanted`, keeping the messages that arrive meanwhile.
    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event, String> {
        let step = async {
            loop {
                let event = self.events.poll().await.map_err(|error| error.to_string())?;
                if let Event::Incoming(Packet::Publish(publish)) = &event {
                    self.received.push_back(publish.clone());
                }
                if wanted(&event) {
                    return Ok(event);
                }
            }
        };
        timeout(STEP, step).await.unwrap_or_else(|_| Err("no answer in time".to_string()))
    }
}
