//! The stats page and the runtime socket, beside HAProxy's.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::support::stats::{Answer, get, http};
use crate::support::*;

on_each_proxy!(
    the_page_has_the_columns_that_the_tutorial_lists,
    a_password_is_asked_for,
    the_admin_form_works,
    another_sites_form_gets_no_further,
    several_commands_and_a_half_closed_socket,
    the_prompt_keeps_the_socket_open,
    levels_are_enforced,
    servers_are_disabled_and_weighted_from_the_socket,
    counters_are_cleared,
);
on_each_engine!(
    the_csv_has_haproxys_columns_and_values,
    json_names_the_same_fields,
    show_info_names_what_haproxy_does,
    show_servers_state_reads_as_haproxys,
);

fn sections(port: u16, origin: &Origin) -> String {
    format!(
        "listen px\n    bind 127.0.0.1:{port}\n    maxconn 100\n    server s1 {} weight 3 check inter 200 maxconn 50\n\
         \x20   server s2 127.0.0.1:{} backup check inter 200 fall 2\n    server s3 127.0.0.1:1 disabled\n",
        origin.address(),
        ports::free_port()
    )
}

/// A proxy with some traffic behind it: three sessions of 5 bytes each way.
fn busy(flavour: Flavour) -> (Running, Origin) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let proxy = Setup::new(flavour).start(&sections(port, &origin), &[port]);
    for _ in 0..3 {
        exchange(&mut connect(port), b"hello");
        proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    }
    proxy.wait_for_status(15, "px", "s2", "DOWN");
    (proxy, origin)
}

fn page(proxy: &Running, path: &str) -> Answer {
    get(proxy.stats_address(), path)
}

fn the_page_has_the_columns_that_the_tutorial_lists(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    let answer = page(&proxy, "/stats");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|value| value.starts_with("text/html")), "{}", answer.head);
    let columns = [
        "Queue",
        "Session rate",
        "Sessions",
        "Bytes",
        "Denied",
        "Errors",
        "Warnings",
        "Server",
        "Cur",
        "Max",
        "Limit",
        "Total",
        "LbTot",
        "Last",
        "In",
        "Out",
        "Req",
        "Resp",
        "Conn",
        "Retr",
        "Redis",
        "Status",
        "LastChk",
        "Wght",
        "Act",
        "Bck",
        "Chk",
        "Dwn",
        "Dwntme",
        "Thrtle",
    ];
    for column in columns {
        assert!(answer.body.contains(&format!(">{column}<")), "no column {column}");
    }
    for row in ["px", "s1", "s2", "s3", "Frontend", "Backend"] {
        assert!(answer.body.contains(row), "no row {row}");
    }
    assert_eq!(page(&proxy, "/other").status, 503);
    assert!(page(&proxy, "/stats;up").body.contains("s1"));
}

fn a_password_is_asked_for(flavour: Flavour) {
    let port = ports::free_port();
    let sections = format!(
        "listen guarded\n    bind 127.0.0.1:{port}\n    mode http\n    stats uri /stats\n    stats realm The\\ Realm\n\
         \x20   stats auth admin:secret\n    stats auth Frank:Frank\n    stats hide-version\n    stats refresh 7s\n"
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let ask = |credentials: &str| {
        let header =
            if credentials.is_empty() { String::new() } else { format!("Authorization: Basic {credentials}\r\n") };
        http(address, &format!("GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n"))
    };
    let refused = ask("");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"The Realm\""));
    assert_eq!(ask("YWRtaW46d3Jvbmc=").status, 401, "admin:wrong");
    let page = ask("YWRtaW46c2VjcmV0"); // admin:secret
    assert_eq!((page.status, page.header("refresh")), (200, Some("7")));
    assert_eq!(ask("RnJhbms6RnJhbms=").status, 200, "Frank:Frank");
    assert!(!page.body.contains("version 2.6"), "hidden");
    let log = proxy.syslog().lines().join("");
    assert!(!log.contains("secret") && !log.contains("YWRtaW46"), "no credentials in the log: {log}");
}

fn post(proxy: &Running, body: &str, headers: &str) -> Answer {
    let request = format!(
        "POST /stats HTTP/1.1\r\nHost: stats\r\nConnection: close\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    http(proxy.stats_address(), &request)
}

fn the_admin_form_works(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    let done = |body: &str| {
        let answer = post(&proxy, body, "");
        assert_eq!(answer.status, 303, "{}", answer.head);
        answer.header("location").expect("a location").to_string()
    };
    assert_eq!(done("s=s1&action=maint&b=px"), "/stats;st=DONE");
    proxy.wait_for_status(15, "px", "s1", "MAINT");
    assert_eq!(done("s=s1&action=ready&b=px"), "/stats;st=DONE");
    proxy.wait_for_status(15, "px", "s1", "UP");
    assert_eq!(done("s=s1&action=drain&b=px"), "/stats;st=DONE");
    proxy.wait_for_status(15, "px", "s1", "DRAIN");
    assert_eq!(done("s=s1&s=s3&action=ready&b=px"), "/stats;st=DONE");
    proxy.wait_for_status(15, "px", "s3", "no check");
    assert_eq!(done("s=nobody&action=maint&b=px"), "/stats;st=ERRP");
    assert_eq!(done("s=s1&action=nonsense&b=px"), "/stats;st=ERRP");
    assert_eq!(done("action=maint&b=px"), "/stats;st=NONE");
}

fn another_sites_form_gets_no_further(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    // As in HAProxy: what a browser's text/plain form could smuggle is not taken as fields.
    let request = "POST /stats HTTP/1.1\r\nHost: stats\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = http(proxy.stats_address(), request);
    assert!(answer.status == 303 || answer.status >= 400, "{}", answer.head);
    assert_eq!(page(&proxy, "/stats?s=s1&action=maint&b=px").status, 200, "a GET changes nothing");
    assert_eq!(proxy.stats().text("px", "s1", "status"), "UP");
}

fn the_csv_has_haproxys_columns_and_values(flavour: Flavour) {
    let (theirs, _their_origin) = busy(Flavour::HaProxy);
    let (ours, _our_origin) = busy(flavour);
    let answer = page(&ours, "/stats;csv");
    assert!(answer.header("content-type").is_some_and(|value| value.starts_with("text/plain")), "{}", answer.head);
    let (ours, theirs) = (Table::parse(&answer.body), Table::parse(&page(&theirs, "/stats;csv").body));
    // Up to 2.6's last common column; what follows differs from version to version.
    let common: Vec<&String> = theirs.columns.iter().take_while(|name| *name != "-").collect();
    assert_eq!(ours.columns.iter().take(common.len()).collect::<Vec<_>>(), common);
    let names =
        |table: &Table| table.rows.iter().map(|row| format!("{}/{}", row["pxname"], row["svname"])).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    let varying =
        ["lastchg", "downtime", "check_duration", "lastsess", "pid", "addr", "chkfail", "last_chk", "need_conn_est"];
    let timed = ["qtime", "ctime", "rtime", "ttime"];
    for row in theirs.rows.iter().filter(|row| row["pxname"] == "px") {
        for column in &common {
            let by_the_second = column.contains("rate") && column.as_str() != "rate_lim";
            if !by_the_second
                && !varying.contains(&column.as_str())
                && !timed.iter().any(|name| column.starts_with(name))
            {
                let (proxy, name) = (&row["pxname"], &row["svname"]);
                assert_eq!(ours.text(proxy, name, column), row[*column], "{column} of {proxy}/{name}");
            }
        }
    }
}

/// All `"name":"…"` of the typed JSON.
fn field_names(json: &str) -> BTreeSet<String> {
    json.split("\"name\":").skip(1).filter_map(|rest| rest.split('"').nth(1)).map(str::to_string).collect()
}

fn json_names_the_same_fields(flavour: Flavour) {
    let (theirs, _their_origin) = busy(Flavour::HaProxy);
    let (ours, _our_origin) = busy(flavour);
    let (ours, theirs) = (page(&ours, "/stats;json"), page(&theirs, "/stats;json"));
    assert_eq!(ours.header("content-type"), theirs.header("content-type"));
    let body = ours.body.trim();
    assert!(body.starts_with('[') && body.ends_with(']'), "{body}");
    let missing: Vec<_> = field_names(&theirs.body)
        .difference(&field_names(&ours.body))
        .filter(|name| !name.contains("h1_") && !name.contains("h2_") && !name.contains("ssl_"))
        .cloned()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn several_commands_and_a_half_closed_socket(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    let answer = proxy.command("show version;show info;show stat");
    assert!(answer.contains("\nUptime_sec: ") && answer.contains("# pxname,svname,"), "{answer}");
    assert!(proxy.command("help").contains("show stat"));
    assert!(proxy.command("no such thing").contains("Unknown command"));
    assert!(proxy.command("set server px/nobody state ready").contains("No such server"));
}

fn the_prompt_keeps_the_socket_open(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    let mut socket = UnixStream::connect(proxy.stats_socket()).expect("it accepts");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let read_to_prompt = |socket: &mut UnixStream| {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\n> ") {
            assert_eq!(socket.read(&mut byte).expect("more"), 1, "{:?}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        String::from_utf8(text).expect("text")
    };
    socket.write_all(b"prompt\n").expect("sent");
    read_to_prompt(&mut socket);
    for _ in 0..3 {
        socket.write_all(b"show info\n").expect("sent");
        assert!(read_to_prompt(&mut socket).contains("Uptime_sec"));
    }
    socket.write_all(b"quit\n").expect("sent");
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).expect("the end");
    let _ = socket.shutdown(Shutdown::Both);
}

fn levels_are_enforced(flavour: Flavour) {
    let mut setup = Setup::new(flavour);
    let (user, operator) = (setup.path("user.sock"), setup.path("operator.sock"));
    setup.global.push(format!("stats socket {} level user mode 600", user.display()));
    setup.global.push(format!("stats socket {} level operator", operator.display()));
    let origin = Origin::echo();
    let port = ports::free_port();
    let proxy = setup.start(&sections(port, &origin), &[port]);
    for socket in [&user, &operator] {
        let answer = stats::command(socket, "disable server px/s1");
        assert!(answer.contains("Permission denied"), "{answer}");
        assert!(stats::command(socket, "show stat").contains("# pxname"));
    }
    assert_ne!(proxy.stats().text("px", "s1", "status"), "MAINT");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&user).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn servers_are_disabled_and_weighted_from_the_socket(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    proxy.command("disable server px/s1");
    proxy.wait_for_status(15, "px", "s1", "MAINT");
    proxy.command("enable server px/s1");
    proxy.wait_for_status(15, "px", "s1", "UP");
    proxy.command("set server px/s1 state drain");
    proxy.wait_for_status(15, "px", "s1", "DRAIN");
    proxy.command("set server px/s1 state ready");
    proxy.command("set server px/s1 weight 7");
    assert_eq!(proxy.stats().number("px", "s1", "weight"), 7);
    proxy.command("set server px/s1 weight 100%");
    assert_eq!(proxy.stats().number("px", "s1", "weight"), 3);
    assert!(!proxy.command("set server px/s1 weight 999").trim().is_empty(), "refused with a reason");
}

fn counters_are_cleared(flavour: Flavour) {
    let (proxy, _origin) = busy(flavour);
    assert_eq!(proxy.stats().number("px", "FRONTEND", "smax"), 1);
    proxy.command("clear counters all");
    let stats = proxy.stats();
    for column in ["stot", "bin", "bout", "smax"] {
        assert_eq!(stats.number("px", "FRONTEND", column), 0, "{column}");
    }
}

/// Keys of `key: value` lines.
fn keys(info: &str) -> Vec<String> {
    info.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key.to_string()).collect()
}

fn show_info_names_what_haproxy_does(flavour: Flavour) {
    let (theirs, _their_origin) = busy(Flavour::HaProxy);
    let (ours, _our_origin) = busy(flavour);
    let (ours, theirs) = (ours.command("show info"), theirs.command("show info"));
    let have = keys(&ours);
    // Of HAProxy's own memory pools and debugging, which we have none of; and two rates that no monitor reads.
    let innards = ["PoolAlloc_bytes", "PoolUsed_bytes", "DebugCommandsIssued", "CumRecvLogs", "Tainted"];
    let rates = ["TotalSplicdedBytesOut", "BytesOutRate"];
    let missing: Vec<String> = keys(&theirs)
        .into_iter()
        .filter(|key| !have.contains(key) && !innards.contains(&key.as_str()) && !rates.contains(&key.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} in {ours}");
}

fn show_servers_state_reads_as_haproxys(flavour: Flavour) {
    let (theirs, _their_origin) = busy(Flavour::HaProxy);
    let (ours, _our_origin) = busy(flavour);
    let read = |proxy: &Running| {
        let answer = proxy.command("show servers state px");
        let lines: Vec<Vec<String>> =
            answer.lines().map(|line| line.split(' ').map(str::to_string).collect()).collect();
        lines
    };
    let (ours, theirs) = (read(&ours), read(&theirs));
    assert_eq!(ours.len(), theirs.len(), "{ours:?} {theirs:?}");
    assert_eq!(ours[0], theirs[0], "the format's version");
    assert_eq!(ours[1], theirs[1], "the names");
    let header = &theirs[1];
    // Times, ports and the running health of checks differ between any two runs.
    let varying = ["srv_time_since_last_change", "srv_port", "srv_check_result", "srv_check_health", "srv_check_state"];
    for (our_row, their_row) in ours.iter().zip(&theirs).skip(2).filter(|(_, theirs)| theirs.len() + 1 >= header.len())
    {
        for (index, (ours, theirs)) in our_row.iter().zip(their_row).enumerate() {
            // The header begins with `#`, which is no column.
            let name = header.get(index + 1).map_or("", String::as_str);
            if !varying.contains(&name) {
                assert_eq!(ours, theirs, "{name} of {their_row:?}");
            }
        }
    }
}
