//! The same requests and responses with cookies: the same server wanted, the same lines to the server and to the
//! client, the same states in the log.

use crate::haproxy::{self, Running};
use crate::machine::{self, Machine};
use crate::same_requests::NoSockets;
use ringway::config::model::{ProxyId, ServerId};
use ringway::policy::cookie::{self, Selection};
use ringway::policy::exchange::{Client, Exchange, Scope, Stage};
use ringway::proto::http1::head::Version;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What an origin is told to answer, and what it saw.
#[derive(Clone, Default)]
struct Script {
    method: &'static str,
    cookies: Vec<String>,
    status: u16,
    response: Vec<String>,
}

/// One exchange's outcome.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The `Cookie` lines that the server saw.
    request: Vec<String>,
    /// The client's `Set-Cookie` and `Cache-Control` lines.
    response: Vec<String>,
    states: String,
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        (stream.read(&mut byte).ok()? > 0).then(|| head.push(byte[0]))?;
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn values(head: &str, names: &[&str]) -> Vec<String> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(name, _)| names.contains(&name.to_lowercase().as_str())).map(|(_, value)| value.into()).collect()
}

/// Answers as the request's `X-Answer` lines say, and tells what it saw in the body.
fn origin(letter: char) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let Some(head) = read_head(&mut stream) else { return };
                let status = values(&head, &["x-status"]).concat();
                let mut answer = format!("HTTP/1.1 {status} X\r\nX-Origin: {letter}\r\nConnection: close\r\n");
                for line in values(&head, &["x-answer"]) {
                    answer += &format!("{line}\r\n");
                }
                for line in values(&head, &["cookie"]) {
                    answer += &format!("X-Saw: {line}\r\n");
                }
                let _ = stream.write_all(format!("{answer}Content-Length: 0\r\n\r\n").as_bytes());
            });
        }
    });
    port
}

struct Setup {
    machine: Machine,
    backend: ProxyId,
    port: u16,
    log: UdpSocket,
    _running: Running,
}

fn setup(name: &str, lines: &str) -> Setup {
    let log = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    log.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (port, log_port) = (crate::ports::free_port(), log.local_addr().unwrap().port());
    let mut text = format!(
        "global\n  nbthread 1\n  log 127.0.0.1:{log_port} local0\ndefaults\n  mode http\n  timeout connect 5s\n  \
         timeout client 60s\n  timeout server 60s\nlisten l\n  bind 127.0.0.1:{port}\n  log global\n  \
         option dontlognull\n  log-format %tsc|%CC|%CS|\n"
    );
    for line in lines.split(';') {
        text += &format!("  {}\n", line.trim());
    }
    for (letter, options) in [('a', "cookie s1"), ('b', "cookie s2"), ('c', "cookie s3 disabled"), ('d', "")] {
        text += &format!("  server {letter} 127.0.0.1:{} {options}\n", origin(letter));
    }
    let running = Running::start(name, &text, port);
    let machine = Machine::new(&machine::shared(&text, 1), 0);
    let backend = machine.backend("l");
    Setup { machine, backend, port, log, _running: running }
}

impl Setup {
    /// HAProxy's outcome, and the server it chose.
    fn theirs(&self, script: &Script) -> (Outcome, char) {
        let mut text = format!("{} / HTTP/1.1\r\nHost: h\r\nX-Status: {}\r\n", script.method, script.status);
        for line in &script.cookies {
            text += &format!("Cookie: {line}\r\n");
        }
        for line in &script.response {
            text += &format!("X-Answer: {line}\r\n");
        }
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(format!("{text}Content-Length: 0\r\n\r\n").as_bytes()).unwrap();
        let head = read_head(&mut stream).unwrap_or_default();
        drop(stream);
        let mut line = [0; 2048];
        let log = loop {
            let length = self.log.recv(&mut line).expect("a log line");
            let text = String::from_utf8_lossy(&line[..length]).into_owned();
            if text.contains('|') {
                break text;
            }
        };
        let states = log.split_once("]: ").map_or("", |(_, text)| text).trim_end().to_owned();
        let letter = values(&head, &["x-origin"]).concat().chars().next().unwrap_or('?');
        let outcome = Outcome {
            request: values(&head, &["x-saw"]),
            response: values(&head, &["set-cookie", "cache-control"]),
            states,
        };
        (outcome, letter)
    }

    /// Ours, when the balancer chooses `letter` where no cookie does.
    fn ours(&self, script: &Script, letter: char, now_s: u64) -> Outcome {
        let shared = &self.machine.shared;
        let mut client = Client { frontend: Some(self.backend), ..Client::default() };
        let mut exchange = Exchange::default();
        exchange.clear();
        exchange.backend = Some(self.backend);
        exchange.request.start_request(script.method.as_bytes(), b"/", Version::Http11);
        for line in &script.cookies {
            exchange.request.add_header(b"Cookie", line.as_bytes());
        }
        let mut scope = Scope {
            shared,
            worker: 0,
            monotonic_us: 0,
            wall_us: now_s * 1_000_000,
            stage: Stage::Request,
            proxy: self.backend,
            client: &mut client,
            exchange: &mut exchange,
            sockets: &NoSockets,
            payload: b"",
            is_payload_complete: true,
            hostname: "test",
        };
        let wanted = cookie::read_request(&mut scope, Selection::default());
        let index = shared.config.servers.iter().position(|server| server.name == letter.to_string()).unwrap();
        scope.exchange.server = wanted.or(Some(ServerId(index as u32)));
        scope.exchange.response.start_response(Version::Http11, script.status, b"X");
        for line in &script.response {
            let (name, value) = line.split_once(": ").unwrap();
            scope.exchange.response.add_header(name.as_bytes(), value.as_bytes());
        }
        scope.stage = Stage::Response;
        cookie::write_response(&mut scope);
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let captured = |value: &Option<Vec<u8>>| value.as_deref().map_or("-".into(), text);
        let is_shown = |name: &[u8]| [&b"set-cookie"[..], b"cache-control"].contains(&&*name.to_ascii_lowercase());
        Outcome {
            request: exchange.request.values(b"cookie").map(text).collect(),
            response: exchange
                .response
                .headers()
                .filter(|(name, _)| is_shown(name))
                .map(|(_, value)| text(value))
                .collect(),
            states: format!(
                "--{}|{}|{}|",
                text(&exchange.cookie_states),
                captured(&exchange.captured_request_cookie),
                captured(&exchange.captured_response_cookie)
            ),
        }
    }

    /// The difference, if there is one.
    fn compare(&self, lines: &str, script: &Script) -> Option<String> {
        let now_s = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let before_s = now_s();
        let (theirs, letter) = self.theirs(script);
        // The clock may have moved on in between.
        let mut ours: Vec<Outcome> = (before_s..=now_s()).map(|now_s| self.ours(script, letter, now_s)).collect();
        // HAProxy 2.6 often leaves out what `nocache` adds; 1.8 and the manual do not.
        if !theirs.response.contains(&"private".to_owned()) {
            ours.iter_mut().for_each(|outcome| outcome.response.retain(|line| line != "private"));
        }
        let Script { method, cookies, status, response } = script;
        (!ours.contains(&theirs)).then(|| {
            let ours = ours.first();
            format!("{lines}: {method} {cookies:?} -> {letter} {status} {response:?}: ours {ours:?}, theirs {theirs:?}")
        })
    }
}

fn request(cookies: &[&str]) -> Script {
    let cookies = cookies.iter().map(|line| line.to_string()).collect();
    Script { method: "GET", cookies, status: 200, response: Vec::new() }
}

fn response(lines: &[&str]) -> Script {
    Script { response: lines.iter().map(|line| line.to_string()).collect(), ..request(&[]) }
}

/// A date as cookies have it, by another way than the code's.
fn date(offset_s: i64) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let quarters = (now_s + offset_s) / 4;
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    (0..5).rev().map(|digit| alphabet[(quarters >> (6 * digit) & 63) as usize]).collect()
}

fn run(name: &str, configurations: &[&str], scripts: &[Script]) {
    if !haproxy::is_installed() {
        return;
    }
    for (index, lines) in configurations.iter().enumerate() {
        let setup = setup(&format!("{name}{index}"), lines);
        let different: Vec<String> = scripts.iter().filter_map(|script| setup.compare(lines, script)).collect();
        assert!(different.is_empty(), "{different:#?}");
    }
}

const MODES: &[&str] = &[
    "cookie A",
    "cookie A indirect",
    "cookie A insert",
    "cookie A insert indirect",
    "cookie A insert indirect nocache httponly secure domain .x.y domain .z.w attr SameSite=Lax attr Foo",
    "cookie A insert indirect preserve",
    "cookie A insert postonly nocache",
    "cookie A rewrite",
    "cookie A prefix",
    "cookie A prefix indirect",
    "cookie A insert indirect; option persist",
    "capture cookie A len 6",
    "cookie A insert indirect; capture cookie B= len 20",
];

#[test]
fn request_lines() {
    let lines: &[&[&str]] = &[
        &[],
        &["A=s1"],
        &["A=s2; B=1"],
        &["B=1; A=s2"],
        &["B=1; A=s2; C=3"],
        &["B=1;A=s2;C=3"],
        &["B=1 ; A=s2 ;  C=3"],
        &["B=1;   A=s2   "],
        &["A=s1; A=s2"],
        &["A=zz; A=s2; B=1"],
        &["A=s3"],
        &["A=s3; B=2; A=s1"],
        &["A="],
        &["A=; B=1"],
        &["A"],
        &["A; B"],
        &["A = s1 ; B = 2"],
        &["A =s1"],
        &["a=s1"],
        &["AA=s1; A=s2"],
        &["$Version=1; A=s1; $Path=/; B=2; $Path=/x"],
        &["B=2; $Path=/; A=s1; $Path=/"],
        &["B=\"x; A=s1\"; C=2"],
        &["A=\"s1\""],
        &["A=s1, B=2"],
        &["A=s1;"],
        &["; A=s1"],
        &[";;A=s1;;B"],
        &["B=1; A=s1; "],
        &["A=s1~x"],
        &["A=s2~x y; B=1"],
        &["A=s1~"],
        &["A=~s1; B=1"],
        &["B=~; A=s2~a~b;C=1"],
        &["A=s1|AAAAB"],
        &["A=s1|x|y; B=1"],
        &["A=s1", "B=2"],
        &["B=2", "A=s2", "C=3"],
        &["A=s1", "A=s2"],
        &["A=s1; B=2; A=s1; A=s2; C"],
        &["A=s1; B; A=s2"],
    ];
    run("cookie-requests", MODES, &lines.iter().map(|lines| request(lines)).collect::<Vec<_>>());
}

#[test]
fn response_lines() {
    let mut scripts: Vec<Script> = Vec::new();
    let lines: &[&[&str]] = &[
        &[],
        &["Set-Cookie: A=1"],
        &["Set-Cookie: A=1; path=/; Expires=Thu, 01-Jan-2030 00:00:00 GMT"],
        &["Set-Cookie: A = 1 ; path=/"],
        &["Set-Cookie: B=1", "Set-Cookie: A=2; HttpOnly", "Set-Cookie: C=A=3"],
        &["Set-Cookie: A=1", "Set-Cookie: A=2"],
        &["Set-Cookie: A"],
        &["Set-Cookie: A="],
        &["Set-Cookie: a=1"],
        &["Set-Cookie: A=\"x;y\"; path=/"],
        &["set-cookie: A=1,B=2; path=/"],
        &["Cache-Control: private"],
        &["Cache-Control: no-store"],
        &["Cache-Control: no-cache"],
        &["Cache-Control: max-age=0"],
        &["Cache-Control: max-age=60"],
        &["Cache-Control: s-maxage=0, public"],
        &["Cache-Control: public, private"],
        &["Cache-Control: no-cache=\"set-cookie\""],
        &["Pragma: no-cache"],
        &["Pragma: no-cache", "Cache-Control: public"],
        &["Cache-Control: Foo"],
    ];
    for lines in lines {
        for cookies in [&[][..], &["A=s1"], &["A=s2"], &["A=zz; B=7"]] {
            scripts.push(Script { cookies: request(cookies).cookies, ..response(lines) });
        }
        scripts.push(Script { method: "POST", ..response(lines) });
        for status in [302, 404, 500, 503] {
            scripts.push(Script { status, ..response(lines) });
        }
    }
    run("cookie-responses", MODES, &scripts);
}

#[test]
fn dates() {
    let mut lines: Vec<String> = Vec::new();
    for last in [-7200, -100, -10, -4, 0, 4, 60, 80_000, 90_000] {
        lines.push(format!("A=s1|{}", date(last)));
        for first in [-10_000, -3000, -20, 20, 90_000] {
            lines.push(format!("A=s2|{}|{}; B=1", date(last), date(first)));
        }
    }
    lines.extend(
        ["A=s1", "A=s1|", "A=s1||", "A=s1|AAAAA", "A=s1|!!!!!", "A=s1||AAAAB", "A=zz|AAAAB|AAAAB"].map(String::from),
    );
    let scripts: Vec<Script> = lines.iter().map(|line| request(&[line])).collect();
    run(
        "cookie-dates",
        &[
            "cookie A insert indirect maxidle 1h",
            "cookie A insert indirect maxlife 2h",
            "cookie A insert maxidle 50 maxlife 1h nocache",
            "cookie A insert indirect",
        ],
        &scripts,
    );
}

#[test]
fn dynamic_cookies() {
    if !haproxy::is_installed() {
        return;
    }
    let lines = "cookie A insert dynamic; dynamic-cookie-key secret";
    let setup = setup("cookie-dynamic", lines);
    let different: Vec<String> = (0..4).filter_map(|_| setup.compare(lines, &request(&[]))).collect();
    assert!(different.is_empty(), "{different:#?}");
}
