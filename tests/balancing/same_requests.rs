//! The same requests: the same servers, for the algorithms that hash something in the request.

use crate::haproxy::{self, Running};
use crate::machine::{self, Machine};
use ringway::config::model::ProxyId;
use ringway::policy::assign::Assignment;
use ringway::policy::balance_key;
use ringway::policy::exchange::{Client, Exchange, Scope, Sockets, Stage};
use ringway::policy::log_format::Endpoint;
use ringway::proto::http1::head::Version;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

pub struct NoSockets;

impl Sockets for NoSockets {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn round_trip_us(&self, _of_server: bool) -> Option<(u32, u32)> {
        None
    }
}

#[derive(Clone)]
struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    fn get(target: impl Into<String>) -> Request {
        Request { method: "GET", target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    /// The letter of the server that HAProxy sends it to.
    fn send(&self, port: u16) -> char {
        let mut text = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += "Host: test\r\n";
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&[text.as_bytes(), &self.body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}: {}", self.target, String::from_utf8_lossy(&answer));
        char::from(*answer.last().unwrap())
    }

    fn exchange(&self, backend: ProxyId) -> Exchange {
        let mut exchange = Exchange { backend: Some(backend), ..Exchange::default() };
        exchange.request.start_request(self.method.as_bytes(), self.target.as_bytes(), Version::Http11);
        for (name, value) in &self.headers {
            exchange.request.add_header(name.as_bytes(), value.as_bytes());
        }
        exchange.request_body = self.body.clone();
        exchange.is_request_body_complete = true;
        exchange
    }

    fn key(&self, machine: &Machine, backend: ProxyId) -> Option<u32> {
        balance_key::of(&Scope {
            shared: &machine.shared,
            worker: 0,
            monotonic_us: 0,
            wall_us: 0,
            stage: Stage::Request,
            proxy: backend,
            client: &mut Client::default(),
            exchange: &mut self.exchange(backend),
            sockets: &NoSockets,
            payload: b"",
            is_payload_complete: true,
            hostname: "test",
        })
    }
}

/// Answers each request with its letter.
fn origin(letter: char) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut part = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut part) {
                        Ok(length) if length > 0 => head.extend_from_slice(&part[..length]),
                        _ => return,
                    }
                }
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{letter}");
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    port
}

fn compare(name: &str, lines: &[&str], requests: &[Request]) {
    if !haproxy::is_installed() {
        return;
    }
    let origins = ['a', 'b', 'c', 'd'].map(|letter| (letter, origin(letter)));
    let mut text = String::from(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n",
    );
    let mut sections = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let port = crate::ports::free_port();
        text += &format!("frontend f{index}\n  bind 127.0.0.1:{port}\n  default_backend b{index}\nbackend b{index}\n");
        for line in line.split(';') {
            text += &format!("  {}\n", line.trim());
        }
        for ((letter, origin), weight) in origins.iter().zip([5, 3, 1, 2]) {
            text += &format!("  server {letter} 127.0.0.1:{origin} weight {weight}\n");
        }
        sections.push((format!("b{index}"), port));
    }
    let _running = Running::start(name, &text, sections.last().unwrap().1);
    let machine = Machine::new(&machine::shared(&text, 1), 0);
    for ((backend, port), line) in sections.iter().zip(lines) {
        let backend = machine.backend(backend);
        for request in requests {
            let key = request.key(&machine, backend);
            let Assignment::Server(lease) = machine.assign_by_key(backend, key, 0) else { panic!("no server") };
            let ours = machine.name(lease.server()).to_owned();
            let theirs = request.send(*port).to_string();
            let Request { method, target, headers, body } = request;
            assert_eq!(ours, theirs, "{line}: {method} {target} {headers:?} {:?}", String::from_utf8_lossy(body));
        }
    }
}

/// The same numbers each time.
fn numbers(count: u32) -> impl Iterator<Item = u32> {
    (1..=count).map(|number| number.wrapping_mul(0x9e37_79b1) >> 8)
}

#[test]
fn uris() {
    let mut requests: Vec<Request> = Vec::new();
    for number in numbers(60) {
        requests.push(Request::get(format!("/{}/{}/{}.html?x={number}", number % 7, number % 23, number % 101)));
        requests.push(Request::get(format!("/{number}")));
        requests.push(
            Request::get(format!("http://host{}/{}/a?b/c", number % 5, number % 11))
                .with("Host", format!("host{}", number % 5)),
        );
    }
    requests.push(Request::get("/"));
    requests.push(Request::get("//"));
    requests.push(Request::get("/?"));
    requests.push(Request::get("/a?/b?c"));
    compare(
        "uri",
        &[
            "balance uri",
            "balance uri whole",
            "balance uri len 4",
            "balance uri depth 1",
            "balance uri depth 2 len 6",
            "balance uri path-only",
            "balance uri path-only depth 1",
            "balance uri whole len 12",
            "balance uri; hash-type consistent",
            "balance uri; hash-type consistent djb2 avalanche",
            "balance uri; hash-type map-based wt6",
            "balance uri; hash-type map-based crc32 avalanche",
        ],
        &requests,
    );
}

#[test]
fn parameters() {
    let mut requests: Vec<Request> = Vec::new();
    for number in numbers(50) {
        requests.push(Request::get(format!("/a?id={number}")));
        requests.push(Request::get(format!("/a?x={number}&id={}&id=3", number % 13)));
        // Nothing to hash: both take turns.
        requests.push(Request::get(format!("/a?x={number}")));
        requests.push(Request {
            method: "POST",
            target: "/form?x=1".into(),
            headers: vec![("Content-Type", "application/x-www-form-urlencoded".into())],
            body: format!("a=b&id={number}&c=d").into_bytes(),
        });
    }
    for target in ["/?id", "/?id=", "/?idx=1&id=1", "/?ID=1", "/?x=1?id=2", "/id=1", "/?x&id=%31", "/?id=&id=1"] {
        requests.push(Request::get(target));
    }
    for body in ["", "id", "id=", "xid=3", "id= 3", "id=\x01\x02", "id=a b&c", "x=1\r\nid=3", "id=\"q\"", "x=1&id=/a"] {
        requests.push(Request { method: "POST", target: "/".into(), headers: Vec::new(), body: body.into() });
    }
    compare(
        "url_param",
        &["balance url_param id check_post", "balance url_param id check_post; hash-type consistent"],
        &requests,
    );
}

#[test]
fn headers() {
    let mut requests: Vec<Request> = Vec::new();
    for number in numbers(50) {
        let host = format!("www{}.example{}.{}", number % 3, number % 29, ["com", "co.uk", "org"][number as usize % 3]);
        requests.push(Request::get("/").with("Host", host));
        requests.push(Request::get("/").with("host", format!("h{number}:8080")));
        requests.push(Request::get("/").with("Host", format!("a{}.b", number % 31)));
    }
    for host in ["localhost", "a.", ".a", "..", "a..b", "10.0.0.1", "10.0.0.1:80", "[::1]:80", "x.y.z."] {
        requests.push(Request::get("/").with("Host", host));
    }
    compare(
        "hdr-host",
        &[
            "balance hdr(host)",
            "balance hdr(HOST) use_domain_only",
            "balance hdr(host); hash-type consistent",
            "balance hdr(host) use_domain_only; hash-type map-based djb2",
        ],
        &requests,
    );
    let mut requests: Vec<Request> = Vec::new();
    for number in numbers(40) {
        requests.push(Request::get("/").with("X-User", format!("u{number}")).with("x-user", "other"));
        requests.push(Request::get("/").with("X-User", format!("u{number}, b")));
        // Nothing to hash: both take turns.
        requests.push(Request::get("/"));
    }
    for value in ["", ",", " , a", "\"a,b\",c", "\"a\\\",b\",c", "a ,b", "a b", "\t", "\"a,b"] {
        requests.push(Request::get("/").with("X-User", value));
        requests.push(Request::get("/").with("X-User", value).with("X-User", "second"));
    }
    compare("hdr", &["balance hdr(x-user)", "balance hdr(x-user); hash-type consistent"], &requests);
    let expressions = [
        "balance hash req.hdr(x-user)",
        "balance hash req.hdr(x-user),lower,length; hash-type consistent",
        "balance hash req.hdr(x-user),length,mul(1000)",
        "balance hash path",
    ];
    compare("hash", &expressions, &requests);
}
