//! The tutorial's web file, as it stands in configs/web.cfg: each of its lines acts.
//!
//! The file's addresses are replaced by free ports, so that its tests need no port 80 and can run side by side. HAProxy
//! 2.6 has lost `nbproc`, `block` and `reqisetbe`: it is given the modern spelling of these lines, which shows that
//! the expectations below are those of a real HAProxy.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::http_log::HttpLog;
use crate::support::*;

on_each_proxy!(
    acl_web_and_img_choose_webserver_and_imgserver,
    default_backend_dynamic_takes_the_rest,
    weights_5_and_3_of_the_webservers,
    option_httpclose_closes_both_sides,
    option_httplog_writes_the_line,
    option_dontlognull_keeps_probes_out,
    httpchk_of_the_image_servers,
    stats_page_asks_for_its_password,
    stats_admin_if_true,
    tcptest_keeps_a_source_on_one_server,
    acl_denali_policy,
    acl_tm_policy,
    acl_invalid_req,
    acl_timetask_req,
    acl_missing_cl,
    reqisetbe_host_img,
    reqisetbe_img_or_css,
    reqisetbe_admin_stats,
    default_backend_mms,
    by_roundrobin,
    by_static_rr,
    by_leastconn,
    by_source,
    by_uri,
    by_url_param,
    by_hdr,
    by_rdp_cookie,
    error_files,
    retries_2,
    limits_weights_and_checks_are_in_the_figures,
    log_lines_go_to_both_facilities,
    commented_lines_come_to_life,
);
on_each_engine!(
    the_files_as_written_load,
    warnings_say_what_to_write_today,
    the_file_as_it_stands_runs,
    reqisetbe_goes_before_use_backend,
    a_server_without_index_html_is_not_used,
);

fn config(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file running, with an origin for each of its servers.
struct Web {
    proxy: Running,
    /// By the address that the file names.
    ports: HashMap<String, u16>,
    http: BTreeMap<String, HttpOrigin>,
    _tcp: Vec<Origin>,
}

const MAIN: &str = "127.0.0.1:80";
const STATS: &str = "127.0.0.1:1080";
const TCPTEST: &str = "127.0.0.1:5222";
const POLICIES: &str = "127.0.0.1:8081";

impl Web {
    fn start(flavour: Flavour) -> Web {
        Web::edited(flavour, |text| text)
    }

    fn edited(flavour: Flavour, edit: impl FnOnce(String) -> String) -> Web {
        let setup = Setup::new(flavour);
        let written = config("web.cfg");
        let mut ports = HashMap::new();
        let (mut http, mut tcp) = (BTreeMap::new(), Vec::new());
        let mut text = String::new();
        let mut is_tcp = false;
        let mut bound = Vec::new();
        for line in written.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["listen" | "frontend" | "backend", name, ..] => is_tcp = ["tcptest", "by_rdp_cookie"].contains(name),
                ["bind", address, ..] => {
                    let port = *ports.entry(address.to_string()).or_insert_with(ports::free_port);
                    bound.push(port);
                    text.push_str(&line.replacen(address, &format!("127.0.0.1:{port}"), 1));
                    text.push('\n');
                    continue;
                }
                ["server", name, address, ..] => {
                    let port = *ports.entry(address.to_string()).or_insert_with(|| {
                        let port = ports::free_port();
                        let free = SocketAddr::from(([127, 0, 0, 1], port));
                        if is_tcp {
                            tcp.push(Origin::start_on(free, tcp_server(name)));
                        } else {
                            http.insert(name.to_string(), HttpOrigin::named_on(free, name));
                        }
                        port
                    });
                    text.push_str(&line.replacen(address, &format!("127.0.0.1:{port}"), 1));
                    text.push('\n');
                    continue;
                }
                ["log", "127.0.0.1", ..] => {
                    text.push_str(&line.replacen("127.0.0.1", &setup.syslog.address().to_string(), 1));
                    text.push('\n');
                    continue;
                }
                _ => {}
            }
            text.push_str(line);
            text.push('\n');
        }
        let text = edit(text);
        let text = if flavour == Flavour::HaProxy { modern(&text) } else { text };
        Web { proxy: setup.start_file(&text, &bound), ports, http, _tcp: tcp }
    }

    fn port(&self, written: &str) -> u16 {
        self.ports[written]
    }

    fn ask(&self, written: &str, request: &str) -> Response {
        ask(self.port(written), request)
    }

    /// The server that a GET of `host` on `frontend main` comes to.
    fn server_of_host(&self, host: &str) -> String {
        let response = self.ask(MAIN, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.status, 200, "{host}");
        response.server().to_string()
    }

    /// What `frontend policies` does: the backend's first letters, or the status.
    fn policy(&self, target: &str, host: &str) -> String {
        let request = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
        let response = self.ask(POLICIES, &request);
        match response.status {
            200 => response.server().to_string(),
            status => status.to_string(),
        }
    }

    fn last_log(&self, frontend: &str) -> HttpLog {
        self.proxy.syslog().wait_for_exchanges(10, frontend, 1).pop().expect("one")
    }
}

/// As [`Origin::named`], for any address.
fn tcp_server(name: &str) -> impl Fn(std::net::TcpStream) + Send + Sync + 'static {
    let name = format!("{name}\n");
    move |mut stream| {
        if stream.write_all(name.as_bytes()).is_ok() {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// The lines that HAProxy 2.6 dropped, in its own words.
fn modern(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("nbproc"))
        .map(|line| match line.trim() {
            r"reqisetbe ^Host:\ img dynamic" => "use_backend dynamic if { req.hdr(host) -m beg -i img }".to_string(),
            r"reqisetbe ^[^\ ]*\ /(img|css)/ dynamic" => {
                "use_backend dynamic if { path_beg -i /img/ /css/ }".to_string()
            }
            r"reqisetbe ^[^\ ]*\ /admin/stats stats" => "use_backend stats if { path_beg -i /admin/stats }".to_string(),
            other => other.replacen("block if", "http-request deny if", 1),
        })
        .map(|line| line + "\n")
        .collect()
}

/// The tutorial's text had other addresses, which say nothing about whether it loads but must not keep it from that.
fn as_written(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let indented = line.trim_start();
        lines.push(match indented.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["bind", "127.0.0.1:80", ..] => line.replacen("127.0.0.1", "*", 1),
            ["bind", ..] => line.replacen("127.0.0.1", "0.0.0.0", 1),
            ["server", _, address, ..] if address.starts_with("127.168.") => line.replacen("127.168.", "192.168.", 1),
            ["server", _, address, ..] if address.starts_with("127.16.") => line.replacen("127.16.", "10.16.", 1),
            _ => line.to_string(),
        });
    }
    lines.join("\n") + "\n"
}

fn the_files_as_written_load(flavour: Flavour) {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = config("web.cfg");
    let tutorial = whole.split("########ACL策略定义").next().expect("the tutorial's own part");
    assert!(tutorial.contains("listen tcptest") && tutorial.len() < whole.len());
    let texts = [
        whole.clone(),
        as_written(&whole),
        as_written(tutorial),
        config("mqtt-and-web.cfg"),
        as_written(&config("mqtt-and-web.cfg")),
        // As the tutorial prints it: nothing is indented.
        as_written(tutorial).lines().map(|line| line.trim_start().to_owned() + "\n").collect(),
    ];
    for text in texts {
        let path = directory.path().join("web.cfg");
        fs::write(&path, &text).expect("written");
        let output = flavour.command().arg("-c").arg("-f").arg(&path).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}\n{text}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Configuration file is valid"), "{said}");
        assert!(!said.contains("[ALERT]"), "{said}");
    }
}

fn warnings_say_what_to_write_today(flavour: Flavour) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("web.cfg");
    fs::write(&path, config("web.cfg")).expect("written");
    let output = flavour.command().arg("-c").arg("-f").arg(&path).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("[WARNING]")).collect();
    for (old, modern) in [
        ("'nbproc'", "nbthread"),
        ("'block'", "http-request deny"),
        ("'reqisetbe'", "use_backend with a condition"),
        ("'option httpchk'", "GET /index.html HTTP/1.0"),
    ] {
        assert!(warnings.iter().any(|line| line.contains(old) && line.contains(modern)), "{old}: {said}");
    }
    // One for each such line, and nothing that is not so.
    let expected = ["'nbproc'", "'block'", "'reqisetbe'", "'option httpchk'"];
    let other: Vec<_> = warnings.iter().filter(|line| !expected.iter().any(|old| line.contains(old))).collect();
    // This machine's own limits may be too low for the file.
    assert!(other.iter().all(|line| line.contains("FD limit")), "{other:#?}");
    assert_eq!(warnings.len() - other.len(), 1 + 2 + 3 + 1, "{said}");
}

/// On the ports that it names, 80 among them.
fn the_file_as_it_stands_runs(flavour: Flavour) {
    let lock = fs::File::create(std::env::temp_dir().join("ringway-tutorial-ports.lock")).expect("a lock file");
    lock.lock().expect("locked");
    let servers = [("web1", "127.16.0.9:8085"), ("web2", "127.16.0.10:8085"), ("img01", "127.168.137.101:80")];
    let _origins = servers.map(|(name, address)| HttpOrigin::named_on(address.parse().expect("an address"), name));
    for name in ["web.cfg", "mqtt-and-web.cfg"] {
        let mut setup = Setup::new(flavour);
        setup.arguments = vec!["-p".to_string(), setup.path("ringway.pid").display().to_string()];
        let proxy = setup.start_file(&config(name), &[80, 1080, 5222]);
        let web = |host: &str| ask(80, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(web("www.abc.com").server().starts_with("web"), "{}", proxy.messages());
        assert_eq!(ask(1080, get("/stats")).status, 401);
        drop(proxy);
    }
}

fn acl_web_and_img_choose_webserver_and_imgserver(flavour: Flavour) {
    let web = Web::start(flavour);
    for host in ["www.abc.com", "WWW.abc.COM"] {
        assert!(web.server_of_host(host).starts_with("web"), "{host}");
    }
    for host in ["img.abc.com", "IMG.ABC.com"] {
        assert!(web.server_of_host(host).starts_with("img"), "{host}");
    }
    // `hdr(host)` compares all of it.
    for host in ["www.abc.com:80", "www.abc.com.cn", "xwww.abc.com", "ximg.abc.com"] {
        assert!(web.server_of_host(host).starts_with("test"), "{host}");
    }
}

fn default_backend_dynamic_takes_the_rest(flavour: Flavour) {
    let web = Web::start(flavour);
    let mut turns: Vec<String> = (0..4).map(|_| web.server_of_host("other.test")).collect();
    let without_host = web.ask(MAIN, "GET / HTTP/1.0\r\n\r\n");
    assert!(without_host.server().starts_with("test"));
    turns.sort();
    assert_eq!(turns, ["test1", "test1", "test2", "test2"]);
}

fn weights_5_and_3_of_the_webservers(flavour: Flavour) {
    let web = Web::start(flavour);
    let first = (0..16).filter(|_| web.server_of_host("www.abc.com") == "web1").count();
    assert_eq!(first, 10);
    let first = (0..10).filter(|_| web.server_of_host("img.abc.com") == "img01").count();
    assert_eq!(first, 5);
}

fn option_httpclose_closes_both_sides(flavour: Flavour) {
    let web = Web::start(flavour);
    let mut client = HttpClient::connect(web.port(MAIN));
    let response = client.ask("GET / HTTP/1.1\r\nHost: www.abc.com\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_end();
    let origin = &web.http[response.server()];
    let seen = origin.seen().into_iter().find(|seen| seen.head.word(1) == "/").expect("the request");
    assert!(seen.head.has_token("connection", "close"), "{:?}", seen.head.headers);
    assert!(!seen.head.has_token("connection", "keep-alive"), "{:?}", seen.head.headers);
}

fn option_httplog_writes_the_line(flavour: Flavour) {
    let web = Web::start(flavour);
    web.ask(MAIN, "GET /a/b?c=d HTTP/1.1\r\nHost: www.abc.com\r\n\r\n");
    let log = web.last_log("main");
    assert_eq!((log.backend.as_str(), log.status.as_str()), ("webserver", "200"));
    assert!(log.server.starts_with("web"), "{log:?}");
    assert_eq!(log.request, "GET /a/b?c=d HTTP/1.1");
    assert_eq!(log.termination, "----");
}

fn option_dontlognull_keeps_probes_out(flavour: Flavour) {
    let web = Web::start(flavour);
    for _ in 0..5 {
        drop(connect(web.port(MAIN)));
    }
    web.server_of_host("www.abc.com");
    web.last_log("main");
    let lines = web.proxy.syslog().lines();
    let of_main = lines.iter().filter(|line| line.contains(" main") && !line.contains("Proxy main started"));
    assert_eq!(of_main.count(), 1, "{lines:#?}");
}

/// `option httpchk /index.html HTTP/1.0`, `inter 2000 rise 2 fall 3`. HAProxy sends "/index.html" as the method; we read
/// what the author meant.
fn a_server_without_index_html_is_not_used(flavour: Flavour) {
    let mut web = Web::edited(flavour, |text| text.replace("check inter 2000 rise 2", "check inter 100 rise 2"));
    let address = web.http["web1"].address();
    web.http.remove("web1");
    web.http.insert(
        "web1".to_string(),
        HttpOrigin::start_on(address, |exchange| {
            let status = if exchange.target() == "/index.html" { "404 Not Found" } else { "200 OK" };
            exchange.answer(status, "X-Server: web1\r\n", b"");
            Next::Close
        }),
    );
    eventually(30, "web1 is down", || match (0..4).find(|_| web.server_of_host("www.abc.com") == "web1") {
        None => Ok(()),
        Some(_) => Err("web1 is used".to_string()),
    });
    let seen = web.http["web1"].seen();
    let check = seen.iter().find(|seen| seen.head.word(1) == "/index.html").expect("a check");
    assert_eq!(check.head.start, "GET /index.html HTTP/1.0");
    assert!(web.proxy.messages().contains("web1 is DOWN"), "{}", web.proxy.messages());
}

/// `option httpchk /index.php`: the method is the default.
fn httpchk_of_the_image_servers(flavour: Flavour) {
    let web = Web::edited(flavour, |text| text.replace("check inter 2000 fall 3", "check inter 100 fall 3"));
    let seen = web.http["img01"].wait_for_requests(10, 1);
    assert_eq!(seen[0].head.start, "OPTIONS /index.php HTTP/1.0");
}

fn stats_page_asks_for_its_password(flavour: Flavour) {
    let web = Web::start(flavour);
    let refused = web.ask(STATS, &get("/stats"));
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate").expect("a challenge").to_string();
    assert_eq!(challenge, "Basic realm=\"XingCloud Haproxy\"");
    // admin:admin and Frank:Frank; a wrong one.
    for (credentials, status) in [("YWRtaW46YWRtaW4=", 200), ("RnJhbms6RnJhbms=", 200), ("YWRtaW46RnJhbms=", 401)] {
        let request = format!("GET /stats HTTP/1.1\r\nHost: test\r\nAuthorization: Basic {credentials}\r\n\r\n");
        let page = web.ask(STATS, &request);
        assert_eq!(page.status, status, "{credentials}");
        if status == 200 {
            assert_eq!(page.header("refresh"), Some("30"));
            let text = page.text();
            assert!(text.contains("web1") && text.contains("tcptest"), "{text}");
            assert!(!text.contains("HAProxy version"), "`stats hide-version`");
        }
    }
}

fn stats_admin_if_true(flavour: Flavour) {
    let web = Web::start(flavour);
    let form = "s=test1&action=maint&b=dynamic";
    // The backend is named as the page itself does it: `#` and its number in newer versions.
    let head = "Host: test\r\nAuthorization: Basic YWRtaW46YWRtaW4=\r\n";
    let page = web.ask(STATS, &format!("GET /stats HTTP/1.1\r\n{head}\r\n")).text();
    let named = page.split("name=\"b\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    let form = match named.clone().find(|name| *name == "dynamic") {
        Some(_) => form.to_string(),
        None => format!("s=test1&action=maint&b=%23{}", backend_number(&web, "dynamic")),
    };
    let answer = web.ask(STATS, &format!("POST /stats HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{form}", form.len()));
    assert_eq!(answer.status, 303, "{}", answer.text());
    for _ in 0..4 {
        assert_eq!(web.server_of_host("other.test"), "test2");
    }
}

fn backend_number(web: &Web, name: &str) -> String {
    let head = "Host: test\r\nAuthorization: Basic YWRtaW46YWRtaW4=\r\n";
    let csv = web.ask(STATS, &format!("GET /stats;csv HTTP/1.1\r\n{head}\r\n")).text();
    Table::parse(&csv).text(name, "BACKEND", "iid").to_string()
}

fn tcptest_keeps_a_source_on_one_server(flavour: Flavour) {
    let web = Web::start(flavour);
    let server = |host: u8| read_line(&mut connect_from(Ipv4Addr::new(127, 0, host, 1), web.port(TCPTEST)));
    let servers: Vec<String> = (0..20).map(server).collect();
    assert_eq!((0..20).map(server).collect::<Vec<_>>(), servers);
    // Which of the two: the parity of the address's first byte decides, so that all of 127/8 has the same.
    assert!(servers.iter().all(|server| server == "s2"), "{servers:?}");
}

const ALLOWED: &str = "/x?sip_apiname=1";

fn acl_denali_policy(flavour: Flavour) {
    let web = Web::start(flavour);
    for host in ["www.inbank.com", "image.inbank.com", "IMAGE.InBank.com"] {
        assert_eq!(web.policy(ALLOWED, host), "denali1", "{host}");
    }
    for host in ["ftp.inbank.com", "image.inbank.com.cn", "ximage.inbank.com"] {
        assert_eq!(web.policy(ALLOWED, host), "mms1", "{host}");
    }
}

fn acl_tm_policy(flavour: Flavour) {
    let web = Web::start(flavour);
    for host in ["www.inbank.com:8080", "a.www.inbank.com", "A.WWW.INBANK.COM"] {
        assert_eq!(web.policy(ALLOWED, host), "tm1", "{host}");
    }
    assert_eq!(web.policy(ALLOWED, "awww.inbank.com"), "mms1");
}

fn acl_invalid_req(flavour: Flavour) {
    let web = Web::start(flavour);
    assert_eq!(web.policy("/x", "test"), "403");
    assert_eq!(web.policy("/x?SIP_apiname=", "test"), "mms1");
    assert_eq!(web.policy("/sip_apiname=1/x", "test"), "mms1");
    assert_eq!(web.policy("/x?sip_apiname", "test"), "403");
    let logs = web.proxy.syslog().wait_for_exchanges(15, "policies", 4);
    let log = logs.last().expect("a line");
    assert_eq!((log.termination.as_str(), log.server.as_str()), ("PR--", "<NOSRV>"));
}

fn acl_timetask_req(flavour: Flavour) {
    let web = Web::start(flavour);
    assert_eq!(web.policy("/a/timetask/b?sip_apiname=1", "test"), "403");
    assert_eq!(web.policy("/TimeTask?sip_apiname=1", "test"), "403");
    assert_eq!(web.policy("/a/timetasks/b?sip_apiname=1", "test"), "mms1");
}

fn acl_missing_cl(flavour: Flavour) {
    let web = Web::start(flavour);
    assert_eq!(web.ask(POLICIES, &get(ALLOWED)).status, 403);
    assert_eq!(web.policy(ALLOWED, "test"), "mms1");
    assert_eq!(web.http["mms1"].seen().len(), 1, "what is blocked reaches nobody");
}

fn reqisetbe_host_img(flavour: Flavour) {
    let web = Web::start(flavour);
    for host in ["img", "img.test", "IMG2"] {
        assert!(web.policy(ALLOWED, host).starts_with("test"), "{host}");
    }
    assert_eq!(web.policy(ALLOWED, "ximg"), "mms1");
}

fn reqisetbe_img_or_css(flavour: Flavour) {
    let web = Web::start(flavour);
    for target in ["/img/a?sip_apiname=1", "/css/?sip_apiname=1", "/IMG/a?sip_apiname=1"] {
        assert!(web.policy(target, "test").starts_with("test"), "{target}");
    }
    for target in ["/a/img/?sip_apiname=1", "/img?sip_apiname=1", "/imgs/?sip_apiname=1"] {
        assert_eq!(web.policy(target, "test"), "mms1", "{target}");
    }
}

fn reqisetbe_admin_stats(flavour: Flavour) {
    let web = Web::start(flavour);
    // `stats` has no server, and its page is at /stats: who asks for /admin/stats there is told 503.
    assert_eq!(web.policy("/admin/stats?sip_apiname=1", "test"), "503");
    let log = web.last_log("policies");
    assert_eq!((log.backend.as_str(), log.server.as_str(), log.status.as_str()), ("stats", "<NOSRV>", "503"));
}

fn reqisetbe_goes_before_use_backend(flavour: Flavour) {
    let web = Web::start(flavour);
    assert!(web.policy("/img/a?sip_apiname=1", "www.inbank.com").starts_with("test"));
}

fn default_backend_mms(flavour: Flavour) {
    let web = Web::start(flavour);
    assert_eq!(web.policy(ALLOWED, "test"), "mms1");
}

/// Who answers each of `requests`, on a connection of its own, in a section of the algorithms' chapter.
fn answered_by(flavour: Flavour, port: u16, requests: &[String]) -> Vec<String> {
    let web = Web::start(flavour);
    let port = web.port(&format!("127.0.0.1:{port}"));
    requests.iter().map(|request| ask(port, request).server().to_string()).collect()
}

fn gets(count: usize, target: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(|number| get(&target(number))).collect()
}

fn counts(servers: &[String]) -> BTreeMap<&str, usize> {
    servers.iter().fold(BTreeMap::new(), |mut counts, server| {
        *counts.entry(server.as_str()).or_default() += 1;
        counts
    })
}

fn by_roundrobin(flavour: Flavour) {
    let servers = answered_by(flavour, 8101, &gets(12, |_| "/".to_string()));
    assert_eq!(counts(&servers), [("a1", 2), ("a2", 4), ("a3", 6)].into());
}

fn by_static_rr(flavour: Flavour) {
    let servers = answered_by(flavour, 8102, &gets(12, |_| "/".to_string()));
    assert_eq!(counts(&servers), [("a1", 2), ("a2", 4), ("a3", 6)].into());
}

fn by_leastconn(flavour: Flavour) {
    let mut web = Web::start(flavour);
    // Nobody is answered before all twelve are with a server.
    let gate = Arc::new(AtomicBool::new(false));
    for name in ["a1", "a2", "a3"] {
        let address = web.http[name].address();
        web.http.remove(name);
        let shut = Arc::clone(&gate);
        let held = HttpOrigin::start_on(address, move |exchange| {
            while !shut.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(10));
            }
            exchange.answer("200 OK", &format!("X-Server: {name}\r\n"), b"");
            Next::Close
        });
        web.http.insert(name.to_string(), held);
    }
    let port = web.port("127.0.0.1:8103");
    let mut clients: Vec<HttpClient> = (0..12)
        .map(|number| {
            let mut client = HttpClient::connect(port);
            client.send(get(&format!("/{number}")));
            // Each is with its server before the next comes.
            eventually(20, "the request is with a server", || {
                let taken: usize = ["a1", "a2", "a3"].iter().map(|name| web.http[*name].connections()).sum();
                if taken > number { Ok(()) } else { Err(taken.to_string()) }
            });
            client
        })
        .collect();
    gate.store(true, Ordering::Release);
    let servers: Vec<String> = clients.iter_mut().map(|client| client.response("GET").server().to_string()).collect();
    assert_eq!(counts(&servers), [("a1", 2), ("a2", 4), ("a3", 6)].into());
}

fn by_source(flavour: Flavour) {
    let web = Web::start(flavour);
    let port = web.port("127.0.0.1:8104");
    let server =
        |host: u8| HttpClient::connect_from(Ipv4Addr::new(127, 0, host, 1), port).get("/").server().to_string();
    let servers: Vec<String> = (0..20).map(server).collect();
    assert_eq!((0..20).map(server).collect::<Vec<_>>(), servers);
    assert!(counts(&servers).len() > 1, "{servers:?}");
}

/// The same key always comes to the same server, different ones to different servers, and both are where HAProxy
/// puts them.
fn is_where_haproxy_puts_it(flavour: Flavour, port: u16, requests: &[String]) {
    let servers = answered_by(flavour, port, requests);
    assert_eq!(answered_by(flavour, port, requests), servers);
    assert!(counts(&servers).len() == 3, "{servers:?}");
    if flavour != Flavour::HaProxy {
        assert_eq!(servers, answered_by(Flavour::HaProxy, port, requests));
    }
}

fn by_uri(flavour: Flavour) {
    // The query is no part of the key.
    is_where_haproxy_puts_it(flavour, 8105, &gets(40, |number| format!("/page/{}?{number}", number / 2)));
    let servers = answered_by(flavour, 8105, &gets(10, |number| format!("/page?{number}")));
    assert_eq!(counts(&servers).len(), 1, "{servers:?}");
}

fn by_url_param(flavour: Flavour) {
    is_where_haproxy_puts_it(flavour, 8106, &gets(40, |number| format!("/{number}?a=1&user=u{}", number / 2)));
    let servers = answered_by(flavour, 8106, &gets(10, |number| format!("/{number}?user=same")));
    assert_eq!(counts(&servers).len(), 1, "{servers:?}");
    // Without the parameter they take turns.
    let servers = answered_by(flavour, 8106, &gets(12, |_| "/?other=1".to_string()));
    assert_eq!(counts(&servers), [("a1", 2), ("a2", 4), ("a3", 6)].into());
}

fn by_hdr(flavour: Flavour) {
    let request = |customer: String| format!("GET / HTTP/1.1\r\nHost: test\r\nX-Customer: {customer}\r\n\r\n");
    let requests: Vec<String> = (0..40).map(|number| request(format!("c{}", number / 2))).collect();
    is_where_haproxy_puts_it(flavour, 8107, &requests);
    let servers = answered_by(flavour, 8107, &gets(12, |_| "/".to_string()));
    assert_eq!(counts(&servers), [("a1", 2), ("a2", 4), ("a3", 6)].into());
}

/// A Remote Desktop client's connection request with its cookie (MS-RDPBCGR 2.2.1.1).
fn rdp_request(user: &str) -> Vec<u8> {
    let cookie = format!("Cookie: mstshash={user}\r\n");
    let mut request = vec![3, 0, 0, (11 + cookie.len()) as u8, (6 + cookie.len()) as u8, 0xe0, 0, 0, 0, 0, 0];
    request.extend(cookie.into_bytes());
    request
}

fn by_rdp_cookie(flavour: Flavour) {
    let servers = |flavour: Flavour| {
        let web = Web::start(flavour);
        let port = web.port("127.0.0.1:8108");
        (0..30)
            .map(|number| {
                let mut client = connect(port);
                client.write_all(&rdp_request(&format!("user{}", number / 2))).expect("sent");
                read_line(&mut client)
            })
            .collect::<Vec<String>>()
    };
    let ours = servers(flavour);
    assert!(ours.chunks(2).all(|pair| pair[0] == pair[1]), "{ours:?}");
    assert_eq!(counts(&ours).len(), 3, "{ours:?}");
    if flavour != Flavour::HaProxy {
        assert_eq!(ours, servers(Flavour::HaProxy));
    }
}

fn error_files(flavour: Flavour) {
    let directory = tempfile::tempdir().expect("a directory");
    for status in [403, 500, 502, 503, 504] {
        let page =
            format!("HTTP/1.0 {status} Page\r\nContent-Type: text/plain\r\nX-Page: {status}\r\n\r\npage {status}\n");
        fs::write(directory.path().join(format!("{status}.http")), page).expect("written");
    }
    let folder = directory.path().display().to_string();
    let mut web = Web::edited(flavour, |text| {
        // The chapter's lines come to life in the section they are for; the pages are wanted in all sections.
        let lines: String = text
            .lines()
            .filter(|line| line.trim_start().starts_with("#errorfile"))
            .map(|line| {
                line.replace("#errorfile", "errorfile").replace("/home/haproxy/haproxy/errorfiles", &folder) + "\n"
            })
            .collect();
        assert_eq!(lines.lines().count(), 5);
        text.replace("    balance roundrobin #", &format!("{lines}    balance roundrobin #"))
            .replace("timeout server 30000ms", "timeout server 2000ms")
            .replace(
                "    block if missing_cl\n",
                "    http-request deny deny_status 500 if { path /500 }\n    block if missing_cl\n",
            )
    });
    let expect = |response: Response, status: u16| {
        assert_eq!(response.status, status);
        assert_eq!(response.header("x-page"), Some(status.to_string().as_str()), "{:?}", response.head);
        assert_eq!(response.text(), format!("page {status}\n"));
    };
    expect(web.ask(POLICIES, &get("/")), 403);
    // `block` comes before all http-request rules: this request passes it.
    let passes = "POST /500?sip_apiname=1 HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
    expect(web.ask(POLICIES, passes), 500);
    expect(web.ask(MAIN, &get("/?delay=8000")), 504);
    let (mms1, denali1) = (web.http["mms1"].address(), web.http["denali1"].address());
    web.http.remove("mms1");
    web.http.remove("denali1");
    let wrong = HttpOrigin::start_on(mms1, |exchange| {
        exchange.send("this is no HTTP\r\n\r\n");
        Next::Close
    });
    let request = |host: &str| format!("POST {ALLOWED} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    expect(web.ask(POLICIES, &request("test")), 502);
    drop(wrong);
    // Nobody listens there any more.
    assert!(!proxy::is_listening(denali1.port()));
    expect(web.ask(POLICIES, &request("www.inbank.com")), 503);
}

/// `retries 2` in the defaults.
fn retries_2(flavour: Flavour) {
    let mut web = Web::start(flavour);
    web.http.remove("mms1");
    assert_eq!(web.policy(ALLOWED, "test"), "503");
    let log = web.last_log("policies");
    assert_eq!(log.termination, "SC--");
    assert_eq!(log.connections.rsplit('/').next(), Some("2"), "{log:?}");
}

fn figures(web: &Web) -> Table {
    let head = "Host: test\r\nAuthorization: Basic YWRtaW46YWRtaW4=\r\n";
    Table::parse(&web.ask(STATS, &format!("GET /stats;csv HTTP/1.1\r\n{head}\r\n")).text())
}

/// `maxconn`, `weight`, `check`, `balance` and `cookie`, where the stats page shows them.
fn limits_weights_and_checks_are_in_the_figures(flavour: Flavour) {
    let web = Web::start(flavour);
    let table = figures(&web);
    let number = |proxy: &str, name: &str, column: &str| table.number(proxy, name, column);
    assert_eq!(number("stats", "FRONTEND", "slim"), 10);
    assert_eq!(number("main", "FRONTEND", "slim"), 4096);
    assert_eq!((number("webserver", "web1", "weight"), number("webserver", "web2", "weight")), (5, 3));
    assert_eq!((number("dynamic", "test1", "slim"), number("dynamic", "test2", "slim")), (2000, 2000));
    assert_eq!(number("webserver", "web1", "check_rise"), 2);
    assert_eq!(number("webserver", "web1", "check_fall"), 3);
    // `cookie 1` on the server's line is for a `cookie` line in its section, which the file does not have.
    assert_eq!(table.text("webserver", "web1", "cookie"), "");
    // `tcptest` has no checks.
    assert_eq!(table.text("tcptest", "s1", "status"), "no check");
}

/// `log 127.0.0.1 local0` takes everything, `log 127.0.0.1 local1 notice` what is at least a notice.
fn log_lines_go_to_both_facilities(flavour: Flavour) {
    let mut web =
        Web::edited(flavour, |text| text.replace("server test1", "default-server inter 100 fall 1\n    server test1"));
    web.server_of_host("www.abc.com");
    web.last_log("main");
    web.http.remove("test1");
    // local0 is facility 16, local1 is 17; an alert has severity 1, a line of traffic 6.
    let syslog = web.proxy.syslog();
    for priority in ["<129>", "<137>"] {
        syslog.wait_for(20, "the server's end", |line| {
            line.starts_with(priority) && line.contains("Server dynamic/test1 is DOWN")
        });
    }
    let lines = syslog.lines();
    assert!(lines.iter().any(|line| line.starts_with("<134>") && line.contains(" main webserver/")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("<142>")), "{lines:#?}");
}

/// `#option forwardfor`, `#option redispatch` and the time-outs that the file has as comments. (`http-keep-alive10s`
/// lacks a blank.)
fn commented_lines_come_to_life(flavour: Flavour) {
    let mut web = Web::edited(flavour, |text| {
        let mut text = text.replace("#timeout http-keep-alive10s", "#timeout http-keep-alive 10s");
        for line in [
            "option forwardfor",
            "option redispatch",
            "timeout check 2000",
            "timeout http-keep-alive 10s",
            "timeout http-request 10s",
            "timeout queue 1m",
        ] {
            assert!(text.contains(&format!("#{line}")), "{line}");
            text = text.replace(&format!("#{line}"), line);
        }
        // It finds out by itself that a server is gone.
        text.replace("80 check maxconn 2000", "80 maxconn 2000")
            .replace("timeout http-request 10s", "timeout http-request 1s")
    });
    let first = web.server_of_host("other.test");
    let seen = web.http[&first].seen();
    let request = seen.iter().find(|seen| seen.head.word(1) == "/").expect("the request");
    assert_eq!(request.head.header("x-forwarded-for"), Some("127.0.0.1"));
    web.http.remove("test1");
    for _ in 0..4 {
        assert_eq!(web.server_of_host("other.test"), "test2", "another server is tried");
    }
    let mut slow = HttpClient::connect(web.port(MAIN));
    slow.send("GET / HT");
    assert_eq!(slow.response("GET").status, 408);
    slow.expect_end();
}
