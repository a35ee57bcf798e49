//! Lines of `option httplog`, in the manual's field names (section 8.2.3).

use super::{Syslog, eventually};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLog {
    pub client: String,
    pub frontend: String,
    pub backend: String,
    pub server: String,
    /// TR/Tw/Tc/Tr/Ta
    pub timers: Vec<String>,
    pub status: String,
    pub bytes: String,
    pub request_cookie: String,
    pub response_cookie: String,
    pub termination: String,
    /// actconn / feconn / beconn / srv_conn / retries
    pub connections: String,
    /// srv_queue / backend_queue
    pub queues: String,
    /// What stands between the queues and the request: `{…}` of captured headers.
    pub captures: String,
    /// Without its quotes.
    pub request: String,
}

impl HttpLog {
    /// Reads a syslog datagram; none if it isn't an httplog line.
    pub fn parse(datagram: &str) -> Option<HttpLog> {
        let message = datagram.split_once("]: ")?.1.trim_end();
        let (fields, request) = message.split_once(" \"")?;
        let words: Vec<&str> = fields.split(' ').collect();
        let [client, date, frontend, target, timers, status, bytes, request_cookie, response_cookie, rest @ ..] =
            words.as_slice()
        else {
            return None;
        };
        let [termination, connections, queues, captures @ ..] = rest else { return None };
        if !date.starts_with('[') || timers.split('/').count() != 5 {
            return None;
        }
        let (backend, server) = target.split_once('/')?;
        Some(HttpLog {
            client: client.to_string(),
            frontend: frontend.to_string(),
            backend: backend.to_string(),
            server: server.to_string(),
            timers: timers.split('/').map(str::to_string).collect(),
            status: status.to_string(),
            bytes: bytes.to_string(),
            request_cookie: request_cookie.to_string(),
            response_cookie: response_cookie.to_string(),
            termination: termination.to_string(),
            connections: connections.to_string(),
            queues: queues.to_string(),
            captures: captures.join(" "),
            request: request.strip_suffix('"').unwrap_or(request).to_string(),
        })
    }

    /// All that must be equal for the same event on two proxies. Times are rounded to seconds, which every
    /// scenario's own waits are multiples of. The size is left out: HAProxy 2.x counts its own representation of a
    /// message, which is some bytes more or less than what it sends.
    pub fn normalised(&self) -> String {
        let seconds = |time: &String| {
            let (plus, digits) = time.strip_prefix('+').map_or(("", time.as_str()), |digits| ("+", digits));
            match digits.parse::<i64>() {
                Ok(ms) if ms >= 0 => format!("{plus}{}", (ms + 500) / 1000),
                _ => time.clone(),
            }
        };
        let timers: Vec<String> = self.timers.iter().map(seconds).collect();
        format!(
            "log: {} {}/{} {} {} {} {} {} {} {} {:?} {:?}",
            self.frontend,
            self.backend,
            self.server,
            timers.join("/"),
            self.status,
            self.request_cookie,
            self.response_cookie,
            self.termination,
            self.connections,
            self.queues,
            self.captures,
            self.request
        )
    }
}

impl Syslog {
    /// The httplog lines so far of a frontend.
    pub fn exchanges(&self, frontend: &str) -> Vec<HttpLog> {
        self.lines().iter().filter_map(|line| HttpLog::parse(line)).filter(|log| log.frontend == frontend).collect()
    }

    /// Waits until a frontend has logged `count` requests, and gives them in the order of their end.
    pub fn wait_for_exchanges(&self, seconds: u64, frontend: &str, count: usize) -> Vec<HttpLog> {
        eventually(seconds, &format!("{count} httplog lines of {frontend}"), || {
            let exchanges = self.exchanges(frontend);
            if exchanges.len() >= count { Ok(exchanges) } else { Err(format!("{:#?}", self.lines())) }
        })
    }
}
