//! Mosquitto processes on addresses of their own, to be killed and revived.

use anyhow::Context;
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Broker {
    address: SocketAddrV4,
    file: PathBuf,
    child: Option<Child>,
}

impl Broker {
    /// Starts one and waits until it accepts. Its descriptor limit is this process's.
    pub fn start(address: SocketAddrV4, folder: &Path) -> anyhow::Result<Broker> {
        let file = folder.join(format!("{}.conf", address.ip()));
        let text = format!(
            "listener {} {}\nmax_connections -1\nallow_anonymous true\npersistence false\nuser root\nlog_dest none\n",
            address.port(),
            address.ip()
        );
        std::fs::write(&file, text)?;
        let mut broker = Broker { address, file, child: None };
        broker.revive()?;
        Ok(broker)
    }

    pub fn revive(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "mosquitto", "-c"]).arg(&self.file);
        command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().context("mosquitto does not start")?);
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = TcpStream::connect(self.address) {
            anyhow::ensure!(Instant::now() < deadline, "the broker on {} does not accept: {error}", self.address);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// SIGKILL: its connections are reset or closed by the kernel.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
