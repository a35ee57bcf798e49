//! Real MQTT brokers: Debian's Mosquitto on its own ports, with a retained message that tells which one it is.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rumqttc::QoS;
use tempfile::TempDir;

use super::mqtt::{self, Client};
use super::{eventually, ports};

/// The topic whose retained message is the broker's name.
pub const WHO: &str = "test/who";

pub struct Broker {
    name: String,
    address: SocketAddr,
    directory: TempDir,
    child: Option<Child>,
}

impl Broker {
    pub fn start(name: &str) -> Broker {
        Broker::start_on(name, SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::free_port()).into())
    }

    pub fn start_on(name: &str, address: SocketAddr) -> Broker {
        let directory = TempDir::new().expect("a directory");
        let file = format!(
            "listener {} {}\nallow_anonymous true\npersistence false\nuser root\nlog_dest none\n\
             max_inflight_messages 0\nmax_queued_messages 0\n",
            address.port(),
            address.ip()
        );
        fs::write(directory.path().join("mosquitto.conf"), file).expect("the file is written");
        let mut broker = Broker { name: name.to_string(), address, directory, child: None };
        broker.revive();
        broker
    }

    /// Starts the process (again) and waits until it answers.
    pub fn revive(&mut self) {
        assert!(self.child.is_none(), "{} already runs", self.name);
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/sbin/mosquitto", "-c"])
            .arg(self.directory.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed (scripts/test does)");
        self.child = Some(child);
        let address = self.address;
        eventually(10, "the broker accepts", || {
            std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1))
                .map(drop)
                .map_err(|error| error.to_string())
        });
        let name = self.name.clone();
        mqtt::run_apart(async move {
            let mut client = Client::connect(address, &format!("setup-{name}")).await.expect("the broker takes us");
            client.publish(WHO, QoS::AtLeastOnce, true, name.into_bytes()).await.expect("its name is kept");
            client.disconnect().await;
        });
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// SIGSTOP: connections stay, the kernel still accepts, nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("signalled");
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
