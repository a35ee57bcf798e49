//! The same session, the same line: HAProxy writes all facts of a session plainly and then in the format under test;
//! ours must make the same bytes of the facts.

use crate::haproxy::{self, Running};
use ringway::config::log_format::{self, FormatPlace, HTTPLOG, HTTPLOG_CLF, TCPLOG};
use ringway::config::model::ProxyMode;
use ringway::policy::log_format::{Endpoint, HttpFacts, RequestFacts, ServerName, SessionFacts, Times, render};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const TCP_FACTS: [&str; 29] = [
    "ci", "cp", "fi", "fp", "bi", "bp", "si", "sp", "f", "b", "s", "ac", "fc", "bc", "sc", "rc", "sq", "bq", "Th",
    "Tw", "Tc", "Tt", "B", "U", "Ts", "ms", "ts", "rt", "pid",
];
const HTTP_FACTS: [&str; 8] = ["Ti", "TR", "Tr", "ST", "tsc", "HM", "HU", "HV"];
/// Every tag that the other formats do not have, and every flag.
const TCP_REST: &str = "%t %T %Tl %Ts %ms %lc %H %ID %ft %Tu %sslc %sslv %hr%hs %{+X}ci %{+X}cp %{+X}si %{+X}sp \
     %{+X}Ts %{+X}ms %{+X}rt %{+X}pid %{+Q}s %{+Q}ci %{+Q}cp %{+Q}ID %{+Q}sslv %{+E}b 100%% %{+Q}o %f %b %{-Q}s %B";
const HTTP_REST: &str =
    "%tr %trg %trl %Tq %Ta %Tu %HP %HPO %HQ %{+Q}HU %{+Q}HP %{+Q}CC %CS %{+Q}r %{+E}r %hrl %hsl %tsc";

fn plain(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}=%{name}|")).collect()
}

/// Renders with the facts that `line` begins with; returns the whole line as Ringway would write it.
fn ours(text: &str, mode: ProxyMode, line: &str, log_counter: u64) -> String {
    let (facts, _) = line.rsplit_once('|').expect("facts end in |");
    let facts: BTreeMap<&str, &str> = facts.split('|').filter_map(|fact| fact.split_once('=')).collect();
    let get = |name: &str| *facts.get(name).unwrap_or(&"-1");
    let number = |name: &str| get(name).trim_start_matches('+').parse::<i64>().unwrap_or(-1);
    let count = |name: &str| u32::try_from(number(name)).unwrap_or(0);
    let endpoint = |ip: &str, port: &str| match get(ip) {
        "unix" => Endpoint::Unix,
        "-" => Endpoint::None,
        ip => Endpoint::Ip(SocketAddr::new(ip.parse().unwrap(), get(port).parse().unwrap())),
    };
    let state = get("ts").as_bytes();
    let is_request = get("HM") != "<BADREQ>";
    let request =
        RequestFacts { method: get("HM").as_bytes(), uri: get("HU").as_bytes(), version: get("HV").as_bytes() };
    let hostname = ringway::sys::process::host_name();
    let session = SessionFacts {
        mode,
        client: endpoint("ci", "cp"),
        frontend_address: endpoint("fi", "fp"),
        source_address: endpoint("bi", "bp"),
        server_address: endpoint("si", "sp"),
        listener_id: count("cp"),
        accept_wall_us: count("Ts") as u64 * 1_000_000 + u64::from(count("ms")) * 1000,
        frontend_name: get("f"),
        is_tls: false,
        backend_name: get("b"),
        server: match get("s") {
            "<NOSRV>" => ServerName::None,
            "<STATS>" => ServerName::Stats,
            name => ServerName::Named(name),
        },
        bytes_read: number("B") as u64,
        bytes_uploaded: number("U") as u64,
        times: Times {
            handshake_ms: number("Th"),
            idle_ms: if mode == ProxyMode::Http { number("Ti") } else { 0 },
            request_ms: if mode == ProxyMode::Http { number("TR") } else { 0 },
            queue_ms: number("Tw"),
            connect_ms: number("Tc"),
            response_ms: number("Tr"),
            total_ms: number("Tt"),
        },
        termination: [state[0], state[1]],
        termination_cookie: None,
        active_connections: count("ac"),
        frontend_connections: count("fc"),
        backend_connections: count("bc"),
        server_connections: count("sc"),
        retries: count("rc"),
        redispatched: get("rc").starts_with('+'),
        server_queue: count("sq"),
        backend_queue: count("bq"),
        as_soon_as_possible: get("B").starts_with('+'),
        pid: count("pid"),
        log_counter,
        request_counter: u64::from(count("rt")),
        hostname: &hostname,
        unique_id: None,
        http: (mode == ProxyMode::Http).then_some(HttpFacts {
            status: number("ST") as i32,
            request: if is_request { request } else { RequestFacts::default() },
            ..HttpFacts::default()
        }),
    };
    let mut out = Vec::new();
    render(&log_format::compile(text, FormatPlace::Log(mode)).unwrap(), &session, None, &mut out);
    String::from_utf8(out).unwrap()
}

struct Case {
    lines: String,
    format: String,
    mode: ProxyMode,
    /// What the client says.
    request: Vec<u8>,
    by_unix: bool,
}

#[test]
fn a_session_has_the_same_line() {
    if !haproxy::is_installed() {
        return;
    }
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (origin, dead) = (haproxy::origin('o'), crate::ports::free_port());
    let server = format!("server srv 127.0.0.1:{origin}");
    let mut cases = Vec::new();
    let tcp_variants = [
        server.clone(),
        format!("option logasap\n  {server}"),
        format!("option redispatch 1\n  balance first\n  server dead 127.0.0.1:{dead}\n  {server}"),
        format!("retries 1\n  server dead 127.0.0.1:{dead}"),
        "server none 127.0.0.1:9 disabled".to_string(),
    ];
    for format in [TCPLOG, TCP_REST] {
        for lines in &tcp_variants {
            for by_unix in [false, true] {
                let mut format = format!("{}{format}", plain(&TCP_FACTS));
                if by_unix {
                    // HAProxy 2.6 breaks the line off where it should print a unix client in hexadecimal.
                    format = format.replace("%{+X}ci %{+X}cp ", "");
                }
                let (lines, request) = (lines.clone(), b"hello".to_vec());
                cases.push(Case { lines, format, mode: ProxyMode::Tcp, request, by_unix });
            }
        }
    }
    let requests: [&[u8]; 6] = [
        b"GET /s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /s;csv?q='&~!$()*+,;=:@^`{}\\<> HTTP/1.0\r\n\r\n",
        b"GET http://host.name/s?scope HTTP/1.1\r\nHost: host.name\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /elsewhere HTTP/1.0\r\n\r\n",
        b"no request\r\n\r\n",
    ];
    for format in [HTTPLOG, HTTPLOG_CLF, HTTP_REST] {
        for request in requests {
            let format = format!("{}{}{format}", plain(&TCP_FACTS), plain(&HTTP_FACTS));
            let lines = "stats enable\n  stats uri /s".to_string();
            cases.push(Case { lines, format, mode: ProxyMode::Http, request: request.to_vec(), by_unix: false });
        }
    }

    let log = receiver.local_addr().unwrap();
    let mut text = format!(
        "global\n  nbthread 1\n  log {log} len 8192 format raw local0\ndefaults\n  log global\n  timeout connect 300\n  \
         timeout client 10s\n  timeout server 10s\n  timeout queue 100\n"
    );
    let directory = std::env::temp_dir();
    let mut places: Vec<(u16, PathBuf)> = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let (port, path) =
            (crate::ports::free_port(), directory.join(format!("ringway-lines-{}-{number}", std::process::id())));
        let mode = if case.mode == ProxyMode::Http { "http" } else { "tcp" };
        let quoted = case.format.replace('\\', "\\\\").replace('"', "\\\"");
        text +=
            &format!("listen proxy{number}\n  mode {mode}\n  bind 127.0.0.1:{port}\n  bind unix@{}\n", path.display());
        text += &format!("  {}\n  log-format \"{quoted}\"\n", case.lines);
        places.push((port, path));
    }
    // Waiting for it writes no line.
    let up = crate::ports::free_port();
    text += &format!("listen up\n  bind 127.0.0.1:{up}\n  {server}\n  no log\n");
    let _running = Running::start("lines", &text, up);
    let mut bytes = vec![0; 16384];
    for (case, (port, path)) in cases.iter().zip(&places) {
        if case.by_unix {
            talk(UnixStream::connect(path).unwrap(), &case.request);
        } else {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            talk(stream, &case.request);
        }
        let length = receiver.recv(&mut bytes).unwrap();
        let theirs = String::from_utf8_lossy(&bytes[..length]).trim_end_matches('\n').to_string();
        assert_eq!(ours(&case.format, case.mode, &theirs, 0), theirs, "{}", case.lines);
        let _ = std::fs::remove_file(path);
    }
}

fn talk(mut stream: impl Read + Write, request: &[u8]) {
    let _ = stream.write_all(request);
    // The origin says one byte and ends after it has read.
    let _ = stream.read_to_end(&mut Vec::new());
}

/// `option tcplog` and its like stand for the texts that we say.
#[test]
fn the_built_in_texts_are_haproxys() {
    let manual = std::process::Command::new("zcat").arg("/usr/share/doc/haproxy/configuration.txt.gz").output();
    let Ok(manual) = manual.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) else { return };
    if manual.is_empty() {
        eprintln!("\n*** haproxy's manual is not installed: the comparison with it was SKIPPED ***\n");
        return;
    }
    let folded: String = manual.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [TCPLOG, HTTPLOG] {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(folded.contains(&text), "{text}");
    }
}
