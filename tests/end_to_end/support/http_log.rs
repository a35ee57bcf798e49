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

    /// All that must be equal for the same event on two proxies, but the times, which [`is_same`] compares with a
    /// tolerance. The size is left out: HAProxy 2.x counts its own representation of a message, which is some bytes
    /// more or less than what it sends. Of the counts of connections only the retries stand: who else is there at this
    /// instant is compared where the script sees to it (`http_log_lines::counts_of_connections`).
    pub fn normalised(&self) -> String {
        format!(
            "log: {} {}/{} {} {} {} {} {} {} {} {:?} {:?}",
            self.frontend,
            self.backend,
            self.server,
            self.timers.join("/"),
            self.status,
            self.request_cookie,
            self.response_cookie,
            self.termination,
            self.retries(),
            self.queues,
            self.captures,
            self.request
        )
    }

    /// `3`, or `+1` with a redispatch.
    pub fn retries(&self) -> &str {
        self.connections.rsplit('/').next().unwrap_or_default()
    }
}

/// How far two proxies' times for the same wait may be apart, in milliseconds: nearly as much as the second that the
/// scenarios' own waits differ by, since a busy machine holds up whom it likes.
const TOLERANCE_MS: i64 = 900;

/// Whether two notes tell the same; of a log line ([`HttpLog::normalised`]) the times may differ a little.
pub fn is_same(theirs: &str, ours: &str) -> bool {
    let words = |note: &str| note.split(' ').map(str::to_string).collect::<Vec<_>>();
    let (theirs, ours) = (words(theirs), words(ours));
    if theirs.first().is_none_or(|word| word != "log:") {
        return theirs == ours;
    }
    // log: frontend backend/server timers …
    theirs.len() == ours.len()
        && theirs.iter().zip(&ours).enumerate().all(|(index, (theirs, ours))| match index {
            3 => are_same_times(theirs, ours),
            _ => theirs == ours,
        })
}

fn are_same_times(theirs: &str, ours: &str) -> bool {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.split('/').collect(), ours.split('/').collect());
    theirs.len() == ours.len()
        && theirs.iter().zip(ours).all(|(theirs, ours)| {
            // `+`: logged before the end.
            theirs.starts_with('+') == ours.starts_with('+')
                && match (theirs.parse::<i64>(), ours.parse::<i64>()) {
                    // Not reached, on both.
                    (Ok(theirs), Ok(ours)) if theirs < 0 || ours < 0 => theirs == ours,
                    (Ok(theirs), Ok(ours)) => (theirs - ours).abs() <= TOLERANCE_MS,
                    _ => *theirs == ours,
                }
        })
}

#[test]
fn times_may_differ_by_less_than_a_second() {
    let line = |times: &str| format!("log: px px/s1 {times} 200 - - ---- 0 0/0 \"\" \"GET / HTTP/1.1\"");
    assert!(is_same(&line("0/0/1/1003/1004"), &line("0/1/0/1890/1890")));
    assert!(!is_same(&line("0/0/0/1000/1000"), &line("0/0/0/3/3")), "a second's wait did not take place");
    assert!(!is_same(&line("0/0/0/-1/5"), &line("0/0/0/0/5")), "what was not reached has no time");
    assert!(!is_same(&line("0/0/0/1/+5"), &line("0/0/0/1/5")));
    assert!(!is_same(&line("0/0/0/1/1"), &line("0/0/0/1/1").replace("200", "404")));
    assert!(!is_same("closed: true", "closed: false"));
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
