//! A syslog server in the test: catches the proxy's datagrams and reads its session lines.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub struct Syslog {
    address: SocketAddr,
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Syslog {
    pub fn start() -> Syslog {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a datagram socket");
        // A burst of sessions must not be lost to the default receive buffer while this thread waits for a core.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20);
        let address = socket.local_addr().expect("its address");
        let lines = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let catcher = Arc::downgrade(&lines);
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        thread::spawn(move || {
            let mut datagram = [0u8; 65_536];
            loop {
                let received = socket.recv(&mut datagram);
                let Some(lines) = catcher.upgrade() else { return };
                let Ok(length) = received else { continue };
                lines.0.lock().expect("lines").push(String::from_utf8_lossy(&datagram[..length]).into_owned());
                lines.1.notify_all();
            }
        });
        Syslog { address, lines }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All datagrams so far, as they came, priority and date included.
    pub fn lines(&self) -> Vec<String> {
        self.lines.0.lock().expect("lines").clone()
    }

    /// The first line that `wanted` accepts, waiting for it up to `seconds`.
    pub fn wait_for(&self, seconds: u64, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut lines = self.lines.0.lock().expect("lines");
        loop {
            if let Some(line) = lines.iter().find(|line| wanted(line)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no log line within {seconds} s: {what}; have: {lines:#?}");
            lines = self.lines.1.wait_timeout(lines, left).expect("lines").0;
        }
    }

    /// The tcplog lines of a frontend so far.
    pub fn sessions(&self, frontend: &str) -> Vec<TcpLog> {
        self.lines().iter().filter_map(|line| TcpLog::parse(line)).filter(|log| log.frontend == frontend).collect()
    }

    /// Waits until a frontend has logged `count` sessions, and gives them in the order of their end.
    pub fn wait_for_sessions(&self, seconds: u64, frontend: &str, count: usize) -> Vec<TcpLog> {
        super::eventually(seconds, &format!("{count} session lines of {frontend}"), || {
            let sessions = self.sessions(frontend);
            if sessions.len() >= count { Ok(sessions) } else { Err(format!("{:#?}", self.lines())) }
        })
    }
}

/// One line of `option tcplog`, in the manual's field names (section 8.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpLog {
    pub client: String,
    pub frontend: String,
    pub backend: String,
    pub server: String,
    pub queue_ms: i64,
    pub connect_ms: i64,
    pub total: String,
    pub bytes: u64,
    pub termination: String,
    /// actconn / feconn / beconn / srv_conn / retries
    pub connections: String,
    /// srv_queue / backend_queue
    pub queues: String,
}

impl TcpLog {
    /// Reads a syslog datagram; none if it isn't a tcplog line.
    pub fn parse(datagram: &str) -> Option<TcpLog> {
        let message = datagram.split_once("]: ")?.1.trim_end();
        let words: Vec<&str> = message.split(' ').collect();
        let [client, date, frontend, target, times, bytes, termination, connections, queues] = words.as_slice() else {
            return None;
        };
        if !date.starts_with('[') || !client.contains(':') {
            return None;
        }
        let (backend, server) = target.split_once('/')?;
        let mut times = times.splitn(3, '/');
        Some(TcpLog {
            client: client.to_string(),
            frontend: frontend.to_string(),
            backend: backend.to_string(),
            server: server.to_string(),
            queue_ms: times.next()?.parse().ok()?,
            connect_ms: times.next()?.parse().ok()?,
            total: times.next()?.to_string(),
            bytes: bytes.trim_start_matches('+').parse().ok()?,
            termination: termination.to_string(),
            connections: connections.to_string(),
            queues: queues.to_string(),
        })
    }
}
