//! `scripts/quickstart`: two MQTT brokers in this process, Ringway in front of them with the tutorial's own file,
//! MQTT clients through it; prints who landed where and stays until Ctrl-C.
//!
//! `ringway-quickstart RINGWAY CONFIG [--once]`; with `--once` it ends after the demonstration, for tests.

mod brokers;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Where configs/mqtt.cfg puts the brokers, and what it binds.
const BROKERS: [(&str, Ipv4Addr); 2] = [("emq1", Ipv4Addr::new(127, 0, 0, 11)), ("emq2", Ipv4Addr::new(127, 0, 0, 12))];
const BROKER_PORT: u16 = 1883;
const MQTT_PORT: u16 = 1890;
const STATS_PORT: u16 = 9080;

const CLIENTS: usize = 20;

/// No step of the demonstration takes longer, or something is wrong.
const STEP: Duration = Duration::from_secs(20);

/// The proxy's process; ended with us.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(ringway), Some(config)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("usage: ringway-quickstart RINGWAY CONFIG [--once]");
        return ExitCode::from(2);
    };
    let once = arguments.iter().any(|argument| argument == "--once");
    match demonstrate(ringway, config, once).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate(ringway: &str, config: &str, once: bool) -> Result<(), String> {
    // From here on a Ctrl-C ends us in order, whatever step we are at.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let work = async {
        check_ports()?;
        let landed = brokers::Landed::default();
        for (name, address) in BROKERS {
            brokers::start(name, SocketAddr::from((address, BROKER_PORT)), &landed)?;
        }
        for (_, address) in BROKERS {
            wait_until_listening(SocketAddr::from((address, BROKER_PORT)), None).await?;
        }
        println!("== two MQTT brokers: emq1 on 127.0.0.11:1883, emq2 on 127.0.0.12:1883");
        println!("== ringway -db -f {config}");
        let mut proxy = start_proxy(ringway, config)?;
        wait_until_listening(SocketAddr::from((Ipv4Addr::LOCALHOST, STATS_PORT)), Some(&mut proxy)).await?;
        let clients = run_clients().await?;
        report(&landed)?;
        if !once {
            println!(
                "== running: MQTT on port {MQTT_PORT}, figures at http://127.0.0.1:{STATS_PORT}/stats; Ctrl-C ends it all"
            );
            std::future::pending::<()>().await;
        }
        drop(clients);
        Ok(())
    };
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => { println!("\n== stopped"); Ok(()) }
        _ = terminate.recv() => Ok(()),
    }
}

/// Says which port is taken, instead of half a start.
fn check_ports() -> Result<(), String> {
    let any = Ipv4Addr::UNSPECIFIED;
    let mut wanted = vec![("MQTT", any, MQTT_PORT), ("the stats page", any, STATS_PORT)];
    wanted.extend(BROKERS.map(|(name, address)| (name, address, BROKER_PORT)));
    for (what, address, port) in wanted {
        TcpListener::bind((address, port)).map_err(|error| {
            format!("cannot listen on {address}:{port} for {what}: {error}. configs/mqtt.cfg names this port; free it (`ss -ltnp 'sport = :{port}'` shows who has it) and run this again.")
        })?;
    }
    Ok(())
}

fn start_proxy(ringway: &str, config: &str) -> Result<Proxy, String> {
    // The file's own pidfile lies in a directory of the tutorial's machine; the command line's wins.
    let pidfile = std::env::temp_dir().join(format!("ringway-quickstart-{}.pid", std::process::id()));
    Command::new(ringway)
        .args(["-db", "-f", config, "-p"])
        .arg(pidfile)
        .stdin(Stdio::null())
        .spawn()
        .map(Proxy)
        .map_err(|error| format!("cannot run {ringway}: {error}"))
}

async fn wait_until_listening(address: SocketAddr, mut proxy: Option<&mut Proxy>) -> Result<(), String> {
    let deadline = Instant::now() + STEP;
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(format!("{address} does not answer: {error}")),
            Err(_) => {}
        }
        if let Some(proxy) = proxy.as_deref_mut()
            && let Ok(Some(status)) = proxy.0.try_wait()
        {
            return Err(format!("ringway ended at start: {status}"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Connects the clients through the proxy; each subscribes to a topic of its own, publishes to it and gets its
/// message back. They stay connected until the returned handles are dropped.
async fn run_clients() -> Result<Vec<AsyncClient>, String> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let id = format!("client-{number:02}");
        let topic = format!("{}{id}", brokers::TOPIC);
        let mut options = MqttOptions::new(&id, "127.0.0.1", MQTT_PORT);
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe(&topic, QoS::AtLeastOnce).await.map_err(|error| format!("{id}: {error}"))?;
        let (sender, received) = oneshot::channel();
        let requests = client.clone();
        let (own_topic, text) = (topic.clone(), format!("hello from {id}"));
        let expected = text.clone();
        tokio::spawn(async move {
            let mut sender = Some(sender);
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        let _ = requests.publish(&own_topic, QoS::AtLeastOnce, false, text.clone()).await;
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        if let Some(sender) = sender.take() {
                            let _ = sender.send(Ok(publish.payload.to_vec()));
                        }
                    }
                    Ok(_) => {}
                    Err(error) => match sender.take() {
                        Some(sender) => {
                            let _ = sender.send(Err(error.to_string()));
                            return;
                        }
                        // Later losses (somebody plays with the stats page): rumqttc connects anew.
                        None => sleep(Duration::from_secs(1)).await,
                    },
                }
            }
        });
        let payload = timeout(STEP, received)
            .await
            .map_err(|_| format!("{id}: its message did not come back"))?
            .map_err(|_| format!("{id}: gone"))?
            .map_err(|error| format!("{id}: {error}"))?;
        if payload != expected.as_bytes() {
            return Err(format!("{id}: got {:?} for {expected:?}", String::from_utf8_lossy(&payload)));
        }
        clients.push(client);
    }
    println!("== {CLIENTS} MQTT clients connected to port {MQTT_PORT}; each published a message and received it");
    Ok(clients)
}

/// Prints who landed where, as the brokers saw it, beside the proxy's own figures.
fn report(landed: &Arc<Mutex<BTreeMap<String, String>>>) -> Result<(), String> {
    let landed = landed.lock().map_err(|_| "a broker's thread failed")?.clone();
    let figures = sessions_by_server()?;
    println!("{:<8} {:>8} {:>20}  clients, as the broker saw them", "server", "clients", "sessions (;csv)");
    for (broker, _) in BROKERS {
        let clients: Vec<&str> = landed.iter().filter(|(_, name)| *name == broker).map(|(id, _)| id.as_str()).collect();
        let sessions = figures.get(broker).map_or("?", String::as_str);
        println!("{broker:<8} {:>8} {sessions:>20}  {}", clients.len(), clients.join(" "));
    }
    if landed.len() != CLIENTS {
        return Err(format!("{} of {CLIENTS} clients were seen by a broker", landed.len()));
    }
    Ok(())
}

/// Current sessions of each server of `listen mqtt`, from the stats page's CSV.
fn sessions_by_server() -> Result<BTreeMap<String, String>, String> {
    let read = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, STATS_PORT))?;
        stream.set_read_timeout(Some(STEP))?;
        stream.write_all(b"GET /stats;csv HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = read().map_err(|error| format!("the stats page: {error}"))?;
    // Searched for by name, so that a chunked body needs no decoding.
    let header = answer.lines().find(|line| line.starts_with("# pxname,")).unwrap_or_default();
    let column = header.trim_start_matches("# ").split(',').position(|name| name == "scur");
    let column = column.ok_or_else(|| format!("the stats page gave no CSV: {answer}"))?;
    Ok(answer
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|fields| fields.first() == Some(&"mqtt"))
        .filter_map(|fields| Some((fields.get(1)?.to_string(), fields.get(column)?.to_string())))
        .collect())
}
