//! The load generator against its own origins: each kind moves what it says, and says what went wrong.
//!
//! A run's length is no promise on a busy machine: a run that has come to nothing is done again, for longer.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringway-bench");

/// An origin or a relay; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .args(["--listen", "127.0.0.1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        Server { address: address.unwrap_or_else(|| panic!("{arguments:?} said {line:?}")), child }
    }

    fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One run's record.
fn load(to: &str, arguments: &[&str]) -> Value {
    let mut words = arguments.to_vec();
    words.extend(["--to", to, "--json", "-", "--quiet"]);
    for wanted in [("--connections", "4"), ("--seconds", "0.3")] {
        if !arguments.contains(&wanted.0) {
            words.extend([wanted.0, wanted.1]);
        }
    }
    let output = Command::new(PROGRAM).arg("load").args(&words).output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{words:?}: {error} in {text:?}; it said {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// Runs again, longer and longer, until `enough`; the last record.
fn load_until(to: &str, arguments: &[&str], enough: impl Fn(&Value) -> bool) -> Value {
    for seconds in ["0.3", "1", "3", "9"] {
        let mut words = arguments.to_vec();
        words.extend(["--seconds", seconds]);
        let record = load(to, &words);
        if enough(&record) {
            return record;
        }
        eprintln!("again: {record}");
    }
    panic!("{arguments:?} never did what it should");
}

fn number(record: &Value, path: &str) -> u64 {
    record.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}

fn clean(record: &Value) -> bool {
    record["errors"].as_object().is_some_and(serde_json::Map::is_empty)
}

/// It did something, and nothing went wrong.
fn worked(record: &Value) -> bool {
    assert!(clean(record), "{record}");
    number(record, "/operations") > 0
}

#[test]
fn ping_pong_counts_what_it_moves() {
    let origin = Server::start(&["origin", "tcp-echo"]);
    for executor in ["glommio", "epoll"] {
        let arguments = ["tcp-ping-pong", "--bytes", "1000", "--executor", executor];
        let record = load_until(&origin.address(), &arguments, worked);
        let (operations, sent) = (number(&record, "/operations"), number(&record, "/bytes_sent"));
        // At the borders of the measurement a message of each connection is on its way.
        assert!(sent.abs_diff(operations * 1000) <= 4 * 1000, "{record}");
        assert!(number(&record, "/bytes_received").abs_diff(operations * 1000) <= 4 * 1000, "{record}");
        assert_eq!(number(&record, "/latency_us/count"), operations, "{record}");
        assert_eq!((number(&record, "/connections_at_start"), number(&record, "/connections_at_end")), (4, 4));
    }
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let origin = Server::start(&["origin", "tcp-echo"]);
    let record = load_until(&origin.address(), &["tcp-ping-pong", "--rate", "100"], worked);
    let seconds = record["seconds"].as_f64().expect("a number");
    // What the warm-up's stalls held up may come in addition, but nothing beyond the timetable.
    let due = seconds * 100.0 + record["ramp_seconds"].as_f64().expect("a number") * 100.0 + 8.0;
    assert!((number(&record, "/operations") as f64) <= due, "{record}");
    assert!(number(&record, "/latencies_us/lag/count") > 0, "{record}");
}

#[test]
fn bulk_goes_each_way() {
    let (source, sink) = (Server::start(&["origin", "tcp-source"]), Server::start(&["origin", "tcp-sink"]));
    let down = load_until(&source.address(), &["tcp-bulk-down"], worked);
    assert!(number(&down, "/bytes_received") > 0 && number(&down, "/bytes_sent") == 0, "{down}");
    let up = load_until(&sink.address(), &["tcp-bulk-up", "--bytes", "10000"], worked);
    assert!(number(&up, "/bytes_sent") >= 10_000 && number(&up, "/bytes_received") == 0, "{up}");
}

#[test]
fn close_opens_a_connection_for_each_operation() {
    let origin = Server::start(&["origin", "tcp-echo"]);
    let record = load_until(&origin.address(), &["tcp-close", "--sources", "3"], worked);
    assert!(number(&record, "/counts/opened") >= number(&record, "/operations"), "{record}");
}

#[test]
fn http_bodies_of_any_size_come_whole() {
    let origin = Server::start(&["origin", "http"]);
    for kind in ["http-keep-alive", "http-close"] {
        for (executor, bytes) in [("glommio", "0"), ("glommio", "3000000"), ("epoll", "100")] {
            let arguments = [kind, "--bytes", bytes, "--executor", executor];
            let record = load_until(&origin.address(), &arguments, worked);
            let least = number(&record, "/operations").saturating_sub(4) * bytes.parse::<u64>().expect("a number");
            assert!(number(&record, "/bytes_received") >= least, "{record}");
        }
        load_until(&origin.address(), &[kind, "--request-bytes", "5000"], worked);
    }
}

#[test]
fn the_epoll_origin_serves_the_same() {
    let echo = Server::start(&["origin", "tcp-echo", "--executor", "epoll"]);
    load_until(&echo.address(), &["tcp-close"], worked);
    let http = Server::start(&["origin", "http", "--executor", "epoll"]);
    load_until(&http.address(), &["http-keep-alive", "--bytes", "70000"], worked);
    let source = Server::start(&["origin", "tcp-source", "--executor", "epoll"]);
    load_until(&source.address(), &["tcp-bulk-down", "--executor", "epoll"], worked);
}

#[test]
fn an_answer_that_is_no_200_is_an_error_by_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            std::io::Write::write_all(&mut &stream, b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").ok();
        }
    });
    let record = load_until(&address, &["http-keep-alive", "--ramp-seconds", "1"], |record| {
        number(record, "/errors/answered with status 503") > 0
    });
    assert_eq!(number(&record, "/operations"), 0, "{record}");
}

#[test]
fn idle_connections_are_held() {
    let (echo, http) = (Server::start(&["origin", "tcp-echo"]), Server::start(&["origin", "http"]));
    for (to, first) in [(&echo, "nothing"), (&echo, "tcp"), (&http, "http")] {
        let arguments = ["idle", "--first", first, "--connections", "200", "--sources", "2"];
        let record = load(&to.address(), &arguments);
        assert!(clean(&record), "{record}");
        assert_eq!((number(&record, "/operations"), number(&record, "/connections_at_end")), (200, 200), "{record}");
    }
}

#[test]
fn mqtt_clients_ping_publish_and_come_back() {
    let origin = Server::start(&["origin", "mqtt"]);
    for qos in ["0", "1"] {
        let arguments = [
            "mqtt",
            "--connections",
            "50",
            "--ping-seconds",
            "0.1",
            "--publish-rate",
            "200",
            "--qos",
            qos,
            "--storm",
            "10",
            "--storm-after-seconds",
            "0.1",
        ];
        let record = load_until(&origin.address(), &arguments, |record| {
            let all = ["/counts/pings", "/counts/publishes", "/counts/deliveries"];
            all.iter().all(|count| number(record, count) > 0) && number(record, "/counts/reconnects") == 5
        });
        assert!(clean(&record), "{record}");
        assert_eq!(number(&record, "/counts/dropped in the storm"), 5, "{record}");
        assert_eq!(number(&record, "/counts/opened"), 55, "{record}");
        assert_eq!(number(&record, "/connections_at_start"), 50, "{record}");
        assert_eq!(number(&record, "/latencies_us/suback/count"), 55, "{record}");
    }
}

#[test]
fn processes_share_the_work() {
    let origin = Server::start(&["origin", "tcp-echo"]);
    let arguments = ["tcp-ping-pong", "--connections", "10", "--processes", "2", "--cores", "0", "--histograms"];
    let record = load_until(&origin.address(), &arguments, worked);
    assert_eq!((number(&record, "/processes"), number(&record, "/executors")), (2, 2), "{record}");
    assert_eq!((number(&record, "/counts/opened"), number(&record, "/connections_at_end")), (10, 10), "{record}");
    assert!(record.pointer("/histograms/operation").is_some_and(Value::is_string), "{record}");
}

#[test]
fn what_does_not_connect_is_counted() {
    // Bound, but not listening: connects are refused, and nobody else gets the port.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let bound = socket.local_addr().expect("bound");
    let closed = bound.as_socket().expect("an IPv4 address").to_string();
    let arguments = ["tcp-ping-pong", "--ramp-seconds", "0.5"];
    let record = load_until(&closed, &arguments, |record| number(record, "/errors/connection refused") > 0);
    assert_eq!(number(&record, "/errors/not connected when the ramp's time was over"), 4, "{record}");
    assert_eq!(number(&record, "/operations"), 0, "{record}");
}

#[test]
fn a_server_that_says_nothing_runs_into_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let arguments = ["tcp-ping-pong", "--timeout-seconds", "0.2", "--ramp-seconds", "2"];
    load_until(&address, &arguments, |record| number(record, "/errors/timed out") > 0);
}

#[test]
fn a_relay_carries_both_ways_and_ends() {
    let (echo, source) = (Server::start(&["origin", "tcp-echo"]), Server::start(&["origin", "tcp-source"]));
    let relay = Server::start(&["relay", "--to", &echo.address()]);
    load_until(&relay.address(), &["tcp-ping-pong", "--bytes", "300000"], worked);
    load_until(&relay.address(), &["tcp-close"], worked);
    let relay = Server::start(&["relay", "--to", &source.address()]);
    load_until(&relay.address(), &["tcp-bulk-down"], worked);
}

#[test]
fn watched_processes_are_on_the_record() {
    let origin = Server::start(&["origin", "tcp-echo"]);
    let pid = origin.child.id().to_string();
    let record = load_until(&origin.address(), &["tcp-ping-pong", "--watch", &pid], |record| {
        worked(record) && record.pointer("/watched/0/cpu_seconds").and_then(Value::as_f64) > Some(0.0)
    });
    assert!(number(&record, "/watched/0/resident_bytes_at_end") > 100_000, "{record}");
    assert_eq!(record.pointer("/watched/0/pid").and_then(Value::as_u64), Some(origin.child.id().into()), "{record}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for words in [
        &["tcp-ping-pong"][..],
        &["tcp-ping-pong", "--to", "127.0.0.1:1", "--rate", "0"],
        &["tcp-bulk-up", "--to", "127.0.0.1:1", "--rate", "5"],
        &["mqtt", "--to", "127.0.0.1:1", "--executor", "epoll"],
        &["mqtt", "--to", "127.0.0.1:1", "--storm", "101"],
        &["tcp-ping-pong", "--to", "[::1]:1", "--sources", "2"],
        &["idle", "--to", "127.0.0.1:1", "--connections", "9000000", "--processes", "1"],
    ] {
        let output = Command::new(PROGRAM).arg("load").args(words).output().expect("the program runs");
        assert!(!output.status.success() && !output.stderr.is_empty(), "{words:?}");
    }
}
