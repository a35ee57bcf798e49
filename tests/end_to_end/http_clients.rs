//! Real clients and real servers: curl, wrk, h2load, a browser, nginx, MQTT over WebSocket through Mosquitto.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::*;

on_each_proxy!(
    curl_reuses_its_connection,
    curl_uploads_and_is_asked_to_continue,
    curl_puts_a_file,
    curl_speaks_http_1_0,
    curl_leaves_the_path_as_it_is,
    curl_through_nginx,
    wrk_finds_no_error,
    h2load_finds_no_error,
    mqtt_over_websocket,
);
on_each_engine!(a_browser_loads_a_page_with_pictures);

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).output().expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn curl_reuses_its_connection(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    let address = format!("http://127.0.0.1:{}", lab.port);
    let said = curl(&[
        "-w",
        "%{http_code} %{num_connects}\n",
        "-o",
        "/dev/null",
        &format!("{address}/a"),
        "-o",
        "/dev/null",
        &format!("{address}/b?framing=chunked&size=100000"),
    ]);
    assert_eq!(said, "200 1\n200 0\n");
    let head = curl(&["-I", &format!("{address}/?size=1234")]);
    assert!(head.to_lowercase().contains("content-length: 1234"), "{head}");
}

fn curl_uploads_and_is_asked_to_continue(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        if exchange.head.has_token("expect", "100-continue") {
            exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let length = exchange.body().map_or(0, |body| body.bytes.len());
        exchange.answer("200 OK", "", length.to_string().as_bytes());
        Next::Keep
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&pattern(3_000_000)).expect("written");
    let name = format!("@{}", file.path().display());
    let address = format!("http://127.0.0.1:{}/up", lab.port);
    for header in ["Expect: 100-continue", "Expect:", "Transfer-Encoding: chunked"] {
        assert_eq!(curl(&["--data-binary", &name, "-H", header, &address]), "3000000", "{header}");
    }
}

/// `-T` with curl's own `Expect`, for which it waits a second.
fn curl_puts_a_file(flavour: Flavour) {
    let origin = HttpOrigin::start(|exchange| {
        let expects = exchange.head.has_token("expect", "100-continue");
        if expects {
            exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let length = exchange.body().map_or(0, |body| body.bytes.len());
        let said = format!("{} {} {length} {expects}", exchange.method(), exchange.target());
        exchange.answer("201 Created", "", said.as_bytes());
        Next::Keep
    });
    let lab = Lab::listen(flavour, vec![origin], "");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&pattern(2_000_000)).expect("written");
    let address = format!("http://127.0.0.1:{}/put", lab.port);
    assert_eq!(curl(&["-T", &file.path().display().to_string(), &address]), "PUT /put 2000000 true");
    // A refusal before the body, which curl then does not send.
    let refusing = HttpOrigin::start(|exchange| {
        exchange.answer("413 Content Too Large", "Connection: close\r\n", b"");
        Next::Close
    });
    let lab = Lab::listen(flavour, vec![refusing], "");
    let address = format!("http://127.0.0.1:{}/put", lab.port);
    let said = curl(&["-T", &file.path().display().to_string(), "-w", "%{http_code} %{size_upload}", &address]);
    assert_eq!(said, "413 0");
}

fn curl_speaks_http_1_0(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    let address = format!("http://127.0.0.1:{}", lab.port);
    assert_eq!(curl(&["-0", &format!("{address}/")]), "s1\n");
    assert_eq!(curl(&["-0", &format!("{address}/?framing=close&size=70000")]).len(), 70_000);
    let said = curl(&["-0", "-H", "Connection: keep-alive", "-w", "%{num_connects} ", &address, &address]);
    assert_eq!(said, "s1\n1 s1\n0 ");
}

fn curl_leaves_the_path_as_it_is(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    for path in ["/a/../b/./c//d", "/%2e%2e/x", "/;p=1?q=%00&r#"] {
        curl(&["--path-as-is", &format!("http://127.0.0.1:{}{path}", lab.port)]);
    }
    let seen: Vec<String> = lab.origin().seen().iter().map(|seen| seen.head.word(1).to_string()).collect();
    assert_eq!(seen, ["/a/../b/./c//d", "/%2e%2e/x", "/;p=1?q=%00&r"]);
}

/// Debian's nginx with one small site.
struct Nginx {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl Nginx {
    fn start() -> Nginx {
        let directory = TempDir::new().expect("a directory");
        let port = ports::free_port();
        let path = directory.path();
        let pages = path.join("pages");
        fs::create_dir(&pages).expect("a directory");
        fs::write(pages.join("small.txt"), "small\n").expect("written");
        fs::write(pages.join("large.bin"), pattern(5_000_000)).expect("written");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}; ", path.join(kind).display()))
            .concat();
        let file = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/log;\nevents {{ worker_connections 500; }}\n\
             http {{ access_log off; {temporary}gzip on; gzip_types text/plain; gzip_min_length 1;\n\
             server {{ listen 127.0.0.1:{port}; root {0}/pages; }} }}\n",
            path.display()
        );
        fs::write(path.join("nginx.conf"), file).expect("written");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "/usr/sbin/nginx", "-p"])
            .arg(path)
            .arg("-c")
            .arg(path.join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed (scripts/test does)");
        eventually(10, "nginx listens", || if proxy::is_listening(port) { Ok(()) } else { Err("not yet".to_string()) });
        Nginx { directory, child, port }
    }

    fn page(&self, name: &str) -> PathBuf {
        self.directory.path().join("pages").join(name)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn curl_through_nginx(flavour: Flavour) {
    let nginx = Nginx::start();
    let server = format!("    option httpchk GET /small.txt\n    server s1 127.0.0.1:{} check inter 200", nginx.port);
    let lab = Lab::listen(flavour, Vec::new(), &server);
    lab.proxy.wait_for_status(10, "px", "s1", "UP");
    let address = format!("http://127.0.0.1:{}", lab.port);
    assert_eq!(curl(&[&format!("{address}/small.txt")]), "small\n");
    // gzip makes nginx answer in chunks.
    assert_eq!(curl(&["--compressed", &format!("{address}/small.txt")]), "small\n");
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("{address}/none")]), "404");
    assert_eq!(curl(&["-r", "10-19", &format!("{address}/large.bin")]).len(), 10);
    let copy = nginx.directory.path().join("copy");
    curl(&["-o", &copy.display().to_string(), &format!("{address}/large.bin")]);
    assert!(fs::read(copy).expect("a copy") == fs::read(nginx.page("large.bin")).expect("the page"));
}

fn wrk_finds_no_error(flavour: Flavour) {
    let nginx = Nginx::start();
    let lab = Lab::listen(flavour, Vec::new(), &format!("    server s1 127.0.0.1:{}", nginx.port));
    let output = Command::new("wrk")
        .args(["-t1", "-c32", "-d2s", &format!("http://127.0.0.1:{}/small.txt", lab.port)])
        .output()
        .expect("wrk is installed (scripts/test does)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Requests/sec"), "{said}");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
}

fn h2load_finds_no_error(flavour: Flavour) {
    let nginx = Nginx::start();
    let lab = Lab::listen(flavour, Vec::new(), &format!("    server s1 127.0.0.1:{}", nginx.port));
    // Eight requests in flight on each connection: pipelining.
    let output = Command::new("h2load")
        .args(["--h1", "-n", "5000", "-c", "20", "-m", "8", &format!("http://127.0.0.1:{}/small.txt", lab.port)])
        .output()
        .expect("h2load is installed (scripts/test does)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("status codes: 5000 2xx"), "{said}");
}

/// A masked WebSocket frame of a client (RFC 6455 section 5.2), binary, up to 125 bytes.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mask = [1u8, 2, 3, 4];
    let mut frame = vec![0x82, 0x80 | u8::try_from(payload.len()).expect("a short frame")];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A server's frame: not masked, up to 125 bytes.
fn read_frame(client: &mut HttpClient) -> Vec<u8> {
    let head = client.wire.exactly(2).expect("a frame");
    assert_eq!(head[0], 0x82, "a binary frame, whole");
    client.wire.exactly(usize::from(head[1])).expect("its payload")
}

fn mqtt_over_websocket(flavour: Flavour) {
    let directory = TempDir::new().expect("a directory");
    let port = ports::free_port();
    // Mosquitto 2.0.11 does not count a WebSocket listener as one, and ends if it has no other.
    let file = format!(
        "user root\nlistener {} 127.0.0.1\nlistener {port}\nsocket_domain ipv4\nprotocol websockets\n\
         allow_anonymous true\npersistence false\n",
        ports::free_port()
    );
    let path = directory.path().join("mosquitto.conf");
    fs::write(&path, file).expect("written");
    // Its WebSocket library allocates for each descriptor that it might get.
    let mut broker = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "prlimit", "--nofile=1024:1024", "/usr/sbin/mosquitto", "-c"])
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed (scripts/test does)");
    eventually(
        10,
        "the broker listens",
        || if proxy::is_listening(port) { Ok(()) } else { Err("not yet".to_string()) },
    );

    let lines =
        format!("    timeout tunnel 1h\n    timeout client 1s\n    timeout server 1s\n    server s1 127.0.0.1:{port}");
    let lab = Lab::listen(flavour, Vec::new(), &lines);
    let mut clients: Vec<HttpClient> = (0..2)
        .map(|number| {
            let mut client = lab.client();
            let response = client.ask(
                "GET /mqtt HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
            );
            assert_eq!(response.status, 101);
            assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            // CONNECT of MQTT 3.1.1, clean session, a client identifier of two characters.
            client.send(frame(&[&[0x10, 14, 0, 4][..], b"MQTT", &[4, 2, 0, 60, 0, 2, b'c', b'0' + number]].concat()));
            assert_eq!(read_frame(&mut client), [0x20, 2, 0, 0], "CONNACK");
            client
        })
        .collect();
    let (first, second) = clients.split_at_mut(1);
    let (subscriber, publisher) = (&mut first[0], &mut second[0]);
    subscriber.send(frame(&[0x82, 6, 0, 1, 0, 1, b't', 0]));
    assert_eq!(read_frame(subscriber), [0x90, 3, 0, 1, 0], "SUBACK");
    // Longer than the client's and the server's time-outs, which are not a tunnel's.
    std::thread::sleep(Duration::from_millis(1500));
    publisher.send(frame(&[&[0x30, 8, 0, 1, b't'][..], b"hello"].concat()));
    assert_eq!(read_frame(subscriber), [&[0x30, 8, 0, 1, b't'][..], b"hello"].concat(), "PUBLISH");
    let _ = broker.kill();
    let _ = broker.wait();
}

fn a_browser_loads_a_page_with_pictures(flavour: Flavour) {
    // A picture of one pixel, forty times, as a page of the web does it: many requests at once on few connections.
    const PIXEL: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>";
    let origin = HttpOrigin::start(|exchange| {
        let target = exchange.target().to_string();
        if target.starts_with("/picture") {
            exchange.answer("200 OK", "Content-Type: image/svg+xml\r\n", PIXEL.as_bytes());
        } else if target == "/" {
            let pictures: String = (0..40).map(|number| format!("<img src='/picture/{number}' width=1>")).collect();
            let page = format!("<!doctype html><title>through</title><h1>through the proxy</h1>{pictures}");
            exchange.answer("200 OK", "Content-Type: text/html\r\n", page.as_bytes());
        } else {
            exchange.answer("404 Not Found", "", b"");
        }
        Next::Keep
    });
    let lab = Lab::listen(flavour, vec![origin], "    option forwardfor");
    let browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{}/", lab.port));
    assert_eq!(browser.one("//h1").text(), "through the proxy");
    // And whatever else it likes to ask for: its own icon, for one.
    let seen = eventually(30, "forty pictures", || {
        let seen = lab.origin().seen();
        match seen.iter().filter(|seen| seen.head.word(1).starts_with("/picture")).count() {
            40 => Ok(seen),
            pictures => Err(pictures.to_string()),
        }
    });
    assert!(seen.iter().all(|seen| seen.head.header("x-forwarded-for") == Some("127.0.0.1")));
}
