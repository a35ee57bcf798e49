//! A network of the test's own: a namespace with one cable to this host, which can be pulled.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Network {
    name: String,
    cable: String,
    pub host_address: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split_whitespace()).output();
    output.is_ok_and(|output| output.status.success())
}

impl Network {
    /// None without the right to create one.
    pub fn create() -> Option<Network> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = (std::process::id() * 8 + number) % 16_000;
        let (name, cable) = (format!("ringway-{id}"), format!("rw{id}h"));
        if !ip(&format!("netns add {name}")) {
            return None;
        }
        let (high, low) = (id / 64 % 250, id % 64 * 4);
        let network = Network { name, cable, host_address: format!("10.213.{high}.{}", low + 1) };
        let peer = format!("rw{id}n");
        let steps = [
            format!("link add {} type veth peer name {peer} netns {}", network.cable, network.name),
            format!("addr add {}/30 dev {}", network.host_address, network.cable),
            format!("link set {} up", network.cable),
            format!("-n {} addr add 10.213.{high}.{}/30 dev {peer}", network.name, low + 2),
            format!("-n {} link set {peer} up", network.name),
        ];
        for step in steps {
            assert!(ip(&step), "ip {step}");
        }
        Some(network)
    }

    /// Runs a bash script in there.
    pub fn client(&self, script: &str) -> Child {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "ip", "netns", "exec", &self.name, "bash", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ip and bash run")
    }

    /// Nothing crosses any more, and nobody is told.
    pub fn unplug(&self) {
        assert!(ip(&format!("link set {} down", self.cable)));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.cable));
        ip(&format!("netns del {}", self.name));
    }
}
