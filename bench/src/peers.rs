//! The proxies that are compared: how each is configured and started.

use crate::Scenario;
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

/// Where and how a proxy runs.
pub struct Setup<'a> {
    pub listen: SocketAddr,
    pub origin: SocketAddr,
    pub scenario: Scenario,
    /// How many clients will come.
    pub connections: usize,
    /// taskset's list.
    pub cpus: &'a str,
    pub workers: usize,
    pub ringway: &'a Path,
    /// For its files.
    pub folder: &'a Path,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Peer::RingwayUring => "ringway io_uring",
            Peer::RingwayEpoll => "ringway epoll",
            Peer::Haproxy => "haproxy",
            Peer::HaproxySplice => "haproxy splice",
            Peer::Nginx => "nginx",
            Peer::Direct => "direct",
        }
    }

    /// Starts it; none for the floor.
    pub fn start(self, setup: &Setup) -> anyhow::Result<Option<Child>> {
        let workers = setup.workers;
        let file = setup.folder.join(format!("{self:?}.cfg"));
        let mut command = Command::new("taskset");
        command.args(["-c", setup.cpus]);
        match self {
            Peer::Direct => return Ok(None),
            Peer::Nginx => {
                fs::write(&file, nginx_configuration(setup))?;
                command.arg("nginx").arg("-p").arg(setup.folder).arg("-c").arg(&file);
            }
            Peer::Haproxy | Peer::HaproxySplice => {
                // Left alone, HAProxy wants a quarter of maxconn as pipes, which the descriptor limit does not carry.
                let (splice, pipes) = if self == Peer::HaproxySplice {
                    ("  option splice-request\n  option splice-response\n", "  maxpipes 200\n")
                } else {
                    ("", "")
                };
                fs::write(&file, configuration(setup, splice, &format!("  nbthread {workers}\n{pipes}")))?;
                command.arg("haproxy").arg("-db").arg("-f").arg(&file);
            }
            Peer::RingwayUring | Peer::RingwayEpoll => {
                let engine = if self == Peer::RingwayUring { "io_uring" } else { "epoll" };
                fs::write(&file, configuration(setup, "", &format!("  nbthread {workers}\n")))?;
                command.arg(setup.ringway).arg("-db").arg("-f").arg(&file).env("RINGWAY_ENGINE", engine);
            }
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Some(child))
    }
}

/// For HAProxy and Ringway alike.
fn configuration(setup: &Setup, options: &str, global: &str) -> String {
    let Setup { listen, origin, scenario, .. } = setup;
    let mode = if scenario.is_http() { "http" } else { "tcp" };
    // Idle clients shall not be measured with a server connection each: the same few serve all.
    let reuse = if *scenario == Scenario::HttpIdle { "  http-reuse always\n" } else { "" };
    let maxconn = setup.connections + 500;
    format!(
        "global\n  maxconn {maxconn}\n{global}defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 1h\n\
         \x20 timeout server 1h\n{reuse}{options}listen bench\n  bind {listen} backlog 4096\n  server origin {origin}\n"
    )
}

fn nginx_configuration(setup: &Setup) -> String {
    let Setup { listen, origin, scenario, workers, folder, .. } = setup;
    let processes =
        if *workers > 1 { format!("worker_processes {workers};") } else { "master_process off;".to_string() };
    let (pid, log) = (folder.join("nginx.pid"), folder.join("nginx.log"));
    let (module, body) = if scenario.is_http() {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {}; ", folder.join(kind).display()))
            .collect();
        // As many requests on a connection, and as long, as the others allow.
        let body = format!(
            "http {{ access_log off; {temporary}keepalive_requests 1000000000; keepalive_timeout 1h;\n\
             upstream origin {{ server {origin}; keepalive 512; keepalive_requests 1000000000; }}\n\
             server {{ listen {listen} backlog=4096 reuseport; location / {{ proxy_pass http://origin;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
        );
        ("", body)
    } else {
        let body = format!("stream {{ server {{ listen {listen} backlog=4096 reuseport; proxy_pass {origin}; }} }}\n");
        ("load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n", body)
    };
    // It counts both sides.
    let connections = 2 * (setup.connections + 450);
    format!(
        "{module}daemon off;\n{processes}\npid {};\nerror_log {};\nworker_rlimit_nofile {};\n\
         events {{ worker_connections {connections}; }}\n{body}",
        pid.display(),
        log.display(),
        connections + 100,
    )
}
