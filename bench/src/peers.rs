//! The proxies that are compared: how each is configured and started.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A way to run a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    RingwayUring,
    RingwayEpoll,
    Haproxy,
    HaproxySplice,
    Nginx,
    /// No proxy: the floor.
    Direct,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Peer::RingwayUring => "ringway io_uring",
            Peer::RingwayEpoll => "ringway epoll",
            Peer::Haproxy => "haproxy",
            Peer::HaproxySplice => "haproxy splice",
            Peer::Nginx => "nginx stream",
            Peer::Direct => "direct",
        }
    }

    /// Starts it on `listen` in front of `origin`, pinned to `cpus` (taskset's list); files go to `folder`.
    pub fn start(
        self,
        listen: SocketAddr,
        origin: SocketAddr,
        cpus: &str,
        workers: usize,
        ringway: &Path,
        folder: &Path,
    ) -> anyhow::Result<Option<Child>> {
        let file = folder.join(format!("{self:?}.cfg"));
        let mut command = Command::new("taskset");
        command.args(["-c", cpus]);
        match self {
            Peer::Direct => return Ok(None),
            Peer::Nginx => {
                let processes =
                    if workers > 1 { format!("worker_processes {workers};") } else { "master_process off;".into() };
                let log = folder.join("nginx.log");
                fs::write(
                    &file,
                    format!(
                        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\n{processes}\npid {};\nerror_log {};\n\
                         worker_rlimit_nofile 20000;\nevents {{ worker_connections 19900; }}\n\
                         stream {{ server {{ listen {listen} backlog=4096 reuseport; proxy_pass {origin}; }} }}\n",
                        folder.join("nginx.pid").display(),
                        log.display()
                    ),
                )?;
                command.arg("nginx").arg("-p").arg(folder).arg("-c").arg(&file);
            }
            Peer::Haproxy | Peer::HaproxySplice => {
                // Left alone, HAProxy wants a quarter of maxconn as pipes, which the descriptor limit does not carry.
                let (splice, pipes) = if self == Peer::HaproxySplice {
                    ("  option splice-request\n  option splice-response\n", "  maxpipes 200\n")
                } else {
                    ("", "")
                };
                fs::write(&file, configuration(listen, origin, splice, &format!("  nbthread {workers}\n{pipes}")))?;
                command.arg("haproxy").arg("-db").arg("-f").arg(&file);
            }
            Peer::RingwayUring | Peer::RingwayEpoll => {
                let engine = if self == Peer::RingwayUring { "io_uring" } else { "epoll" };
                fs::write(&file, configuration(listen, origin, "", &format!("  nbthread {workers}\n")))?;
                command.arg(ringway).arg("-db").arg("-f").arg(&file).env("RINGWAY_ENGINE", engine);
            }
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Some(child))
    }
}

fn configuration(listen: SocketAddr, origin: SocketAddr, options: &str, global: &str) -> String {
    format!(
        "global\n  maxconn 9500\n{global}defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
         {options}listen bench\n  bind {listen} backlog 4096\n  server origin {origin}\n"
    )
}
