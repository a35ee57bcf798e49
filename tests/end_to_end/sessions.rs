//! Differential: the same event on HAProxy and on us gives the same log line, field by field.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::support::http_log::is_same;
use crate::support::origin::BlackHole;
use crate::support::syslog::TcpLog;
use crate::support::*;

/// For each scenario: the termination states that it must give, in the order of the sessions' ends. HAProxy's lines
/// are taken in the same run and ours must equal them.
macro_rules! same_lines {
    ($($name:ident => [$($termination:literal),*]),* $(,)?) => { $(
        mod $name {
            use crate::support::Flavour;
            fn compare(flavour: Flavour) {
                super::compare(flavour, super::$name, &[$($termination),*]);
            }
            mod on {
                on_each_proxy!(@one compare, io_uring, IoUring, 120);
                on_each_proxy!(@one compare, epoll, Epoll, 120);
                on_each_proxy!(@one compare, haproxy, HaProxy, 120);
            }
        }
    )* };
}

same_lines!(
    client_closes_first => ["--"],
    server_closes_first => ["--"],
    server_speaks_then_closes => ["--"],
    client_says_nothing_and_leaves => ["--"],
    client_resets => ["CD"],
    client_resets_with_data_unread => ["CD"],
    server_resets => ["SD"],
    server_resets_before_any_data => ["SD"],
    refused => ["SC"],
    refused_after_two_retries => ["SC"],
    redispatched_to_the_server_that_works => ["--"],
    connect_timeout => ["sC"],
    connect_timeout_with_a_retry => ["sC"],
    client_leaves_while_connecting => ["CC"],
    client_idle_timeout => ["cD"],
    server_idle_timeout => ["sD"],
    client_half_closed_timeout => ["cD"],
    server_half_closed_timeout => ["sD"],
    tunnel_timeout => ["cD"],
    no_server_available => ["SC"],
    all_servers_in_maintenance => ["SC"],
    queue_timeout => ["sQ", "--"],
    client_leaves_the_queue => ["CQ", "--"],
    queue_positions => ["--", "--", "--"],
    queue_is_full => ["SQ", "--", "--"],
    a_backup_takes_over => ["--"],
    sessions_shut_down_with_their_server => ["D-"],
    backup_sessions_shut_down_when_the_first_returns => ["U-"],
    only_uploads => ["--"],
    logged_as_soon_as_possible => ["--"],
    null_sessions_are_not_logged => ["--"],
    normal_sessions_are_not_logged => ["cD"],
    a_frontend_and_a_backend => ["--"],
);

fn compare(flavour: Flavour, scenario: fn(Flavour) -> Vec<TcpLog>, terminations: &[&str]) {
    let theirs: Vec<String> = scenario(Flavour::HaProxy).iter().map(normalised).collect();
    let ours_raw = scenario(flavour);
    let ours: Vec<String> = ours_raw.iter().map(normalised).collect();
    let are_same = ours.len() == theirs.len() && theirs.iter().zip(&ours).all(|(theirs, ours)| is_same(theirs, ours));
    assert!(are_same, "ours: {ours:#?}\nHAProxy's: {theirs:#?}");
    assert_eq!(ours_raw.iter().map(|log| log.termination.as_str()).collect::<Vec<_>>(), terminations);
}

/// All that must be equal, addresses and dates left out, in the form whose times [`is_same`] compares with a tolerance:
/// every scenario's own waits are whole seconds.
fn normalised(log: &TcpLog) -> String {
    format!(
        "log: {} {}/{} {}/{}/{} {} {} {} {}",
        log.frontend,
        log.backend,
        log.server,
        log.queue_ms,
        log.connect_ms,
        log.total,
        log.bytes,
        log.termination,
        log.connections,
        log.queues
    )
}

/// `listen px` with `body`, one worker (so that queue positions and counts have one order).
fn listen(flavour: Flavour, body: &str) -> (Running, u16) {
    let port = ports::free_port();
    let mut setup = Setup::new(flavour);
    setup.workers = 1;
    (setup.start(&format!("listen px\n    bind 127.0.0.1:{port}\n{body}"), &[port]), port)
}

fn logged(proxy: &Running, count: usize) -> Vec<TcpLog> {
    let sessions = proxy.syslog().wait_for_sessions(15, "px", count);
    // One more than expected would be a difference too.
    thread::sleep(Duration::from_millis(100));
    assert_eq!(proxy.syslog().sessions("px").len(), count);
    sessions
}

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

fn client_closes_first(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    exchange(&mut client, &[1; 1000]);
    pause(1000);
    drop(client);
    logged(&proxy, 1)
}

fn server_closes_first(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::start(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = stream.write_all(b"bye");
    });
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    client.write_all(b"hello").expect("sent");
    assert_eq!(read_end(&mut client), (b"bye".to_vec(), End::Closed));
    drop(client);
    logged(&proxy, 1)
}

fn server_speaks_then_closes(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::start(|mut stream| {
        let _ = stream.write_all(&[2; 100_000]);
    });
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    assert_eq!(read_end(&mut client).0.len(), 100_000);
    drop(client);
    logged(&proxy, 1)
}

fn client_says_nothing_and_leaves(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let client = connect(port);
    pause(1000);
    drop(client);
    logged(&proxy, 1)
}

fn client_resets(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    pause(100);
    reset(client);
    logged(&proxy, 1)
}

fn client_resets_with_data_unread(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    client.write_all(b"hello").expect("sent");
    pause(200);
    // The kernel answers an ordinary close with RST when something was left unread.
    drop(client);
    logged(&proxy, 1)
}

fn server_resets(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::start(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = stream.write_all(b"half an ans");
        pause(100);
        reset(stream);
    });
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    client.write_all(b"hello").expect("sent");
    read_end(&mut client);
    logged(&proxy, 1)
}

fn server_resets_before_any_data(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::start(|stream| {
        pause(1000);
        reset(stream);
    });
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    read_end(&mut client);
    logged(&proxy, 1)
}

fn refused(flavour: Flavour) -> Vec<TcpLog> {
    let (proxy, port) = listen(flavour, &format!("    retries 0\n    server s1 127.0.0.1:{}\n", ports::free_port()));
    read_end(&mut connect(port));
    logged(&proxy, 1)
}

fn refused_after_two_retries(flavour: Flavour) -> Vec<TcpLog> {
    let (proxy, port) = listen(flavour, &format!("    retries 2\n    server s1 127.0.0.1:{}\n", ports::free_port()));
    read_end(&mut connect(port));
    logged(&proxy, 1)
}

fn redispatched_to_the_server_that_works(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::named("b");
    let (proxy, port) = listen(
        flavour,
        &format!(
            "    balance roundrobin\n    retries 2\n    option redispatch\n    server s1 127.0.0.1:{}\n    server s2 {}\n",
            ports::free_port(),
            origin.address()
        ),
    );
    let mut client = connect(port);
    assert_eq!(read_line(&mut client), "b");
    drop(client);
    logged(&proxy, 1)
}

fn connect_timeout(flavour: Flavour) -> Vec<TcpLog> {
    let hole = BlackHole::start();
    let body = format!("    timeout connect 1s\n    retries 0\n    server s1 127.0.0.1:{}\n", hole.port());
    let (proxy, port) = listen(flavour, &body);
    read_end(&mut connect(port));
    logged(&proxy, 1)
}

fn connect_timeout_with_a_retry(flavour: Flavour) -> Vec<TcpLog> {
    let hole = BlackHole::start();
    let body = format!("    timeout connect 1s\n    retries 1\n    server s1 127.0.0.1:{}\n", hole.port());
    let (proxy, port) = listen(flavour, &body);
    read_end(&mut connect(port));
    logged(&proxy, 1)
}

fn client_leaves_while_connecting(flavour: Flavour) -> Vec<TcpLog> {
    let hole = BlackHole::start();
    let body = format!(
        "    timeout connect 3s\n    retries 0\n    option abortonclose\n    server s1 127.0.0.1:{}\n",
        hole.port()
    );
    let (proxy, port) = listen(flavour, &body);
    let client = connect(port);
    pause(1000);
    drop(client);
    logged(&proxy, 1)
}

fn client_idle_timeout(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    timeout client 1s\n    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    assert_eq!(read_end(&mut client).1, End::Closed);
    logged(&proxy, 1)
}

fn server_idle_timeout(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    timeout server 1s\n    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    assert_eq!(read_end(&mut client).1, End::Closed);
    drop(client); // The client's own half would go on until it closes.
    logged(&proxy, 1)
}

fn server_half_closed_timeout(flavour: Flavour) -> Vec<TcpLog> {
    // The client has ended its half, which the server was told; the server does not end its own.
    let origin = Origin::start(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
        pause(6000);
    });
    let (proxy, port) = listen(flavour, &format!("    timeout server-fin 1s\n    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    client.write_all(b"hello").expect("sent");
    client.shutdown(Shutdown::Write).expect("half-closed");
    read_end(&mut client);
    drop(client);
    logged(&proxy, 1)
}

fn client_half_closed_timeout(flavour: Flavour) -> Vec<TcpLog> {
    // The server has ended its half, which the client was told; the client does not end its own.
    let origin = Origin::start(|stream| {
        let _ = stream.shutdown(Shutdown::Write);
        pause(6000);
    });
    let (proxy, port) = listen(flavour, &format!("    timeout client-fin 1s\n    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    assert_eq!(read_end(&mut client).1, End::Closed);
    let sessions = logged(&proxy, 1);
    drop(client);
    sessions
}

fn tunnel_timeout(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let body = format!(
        "    timeout client 10s\n    timeout server 10s\n    timeout tunnel 1s\n    server s1 {}\n",
        origin.address()
    );
    let (proxy, port) = listen(flavour, &body);
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    assert_eq!(read_end(&mut client).1, End::Closed);
    logged(&proxy, 1)
}

fn no_server_available(flavour: Flavour) -> Vec<TcpLog> {
    let (proxy, port) = listen(flavour, "");
    read_end(&mut connect(port));
    logged(&proxy, 1)
}

fn all_servers_in_maintenance(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    server s1 {} disabled\n", origin.address()));
    read_end(&mut connect(port));
    logged(&proxy, 1)
}

fn queue_timeout(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) =
        listen(flavour, &format!("    timeout queue 1s\n    server s1 {} maxconn 1\n", origin.address()));
    let mut first = connect(port);
    exchange(&mut first, b"hello");
    read_end(&mut connect(port));
    drop(first);
    logged(&proxy, 2)
}

fn client_leaves_the_queue(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let body =
        format!("    timeout queue 10s\n    option abortonclose\n    server s1 {} maxconn 1\n", origin.address());
    let (proxy, port) = listen(flavour, &body);
    let mut first = connect(port);
    exchange(&mut first, b"hello");
    let second = connect(port);
    pause(1000);
    drop(second);
    proxy.syslog().wait_for_sessions(15, "px", 1);
    drop(first);
    logged(&proxy, 2)
}

fn queue_positions(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::named("s");
    let (proxy, port) =
        listen(flavour, &format!("    timeout queue 10s\n    server s1 {} maxconn 1\n", origin.address()));
    let mut first = connect(port);
    assert_eq!(read_line(&mut first), "s");
    // No server has a free slot, so that they wait for any of them, in the backend's queue.
    let mut second = connect(port);
    proxy.wait_for_number(15, "px", "BACKEND", "qcur", 1);
    let mut third = connect(port);
    proxy.wait_for_number(15, "px", "BACKEND", "qcur", 2);
    drop(first);
    assert_eq!(read_line(&mut second), "s");
    drop(second);
    assert_eq!(read_line(&mut third), "s");
    drop(third);
    logged(&proxy, 3)
}

fn queue_is_full(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::named("s");
    // A hash names one server, whose own queue it is then, and which has a limit.
    let (proxy, port) = listen(
        flavour,
        &format!(
            "    balance source\n    timeout queue 10s\n    server s1 {} maxconn 1 maxqueue 1\n",
            origin.address()
        ),
    );
    let mut first = connect(port);
    assert_eq!(read_line(&mut first), "s");
    let mut second = connect(port);
    proxy.wait_for_number(15, "px", "s1", "qcur", 1);
    let mut third = connect(port);
    assert_eq!(read_end(&mut third), (Vec::new(), End::Closed));
    drop(third);
    proxy.syslog().wait_for_sessions(15, "px", 1);
    drop(first);
    assert_eq!(read_line(&mut second), "s");
    drop(second);
    logged(&proxy, 3)
}

fn a_backup_takes_over(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::named("spare");
    let body =
        format!("    server s1 127.0.0.1:{} disabled\n    server s2 {} backup\n", ports::free_port(), origin.address());
    let (proxy, port) = listen(flavour, &body);
    let mut client = connect(port);
    assert_eq!(read_line(&mut client), "spare");
    drop(client);
    logged(&proxy, 1)
}

fn sessions_shut_down_with_their_server(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(
        flavour,
        &format!("    server s1 {} check inter 10s on-marked-down shutdown-sessions\n", origin.address()),
    );
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    proxy.command("set server px/s1 state maint");
    read_end(&mut client);
    logged(&proxy, 1)
}

fn backup_sessions_shut_down_when_the_first_returns(flavour: Flavour) -> Vec<TcpLog> {
    let (main, spare) = (Origin::echo(), Origin::echo());
    let body = format!(
        "    server s1 {} disabled check inter 200ms on-marked-up shutdown-backup-sessions\n    server s2 {} backup\n",
        main.address(),
        spare.address()
    );
    let (proxy, port) = listen(flavour, &body);
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    proxy.command("set server px/s1 state ready");
    read_end(&mut client);
    logged(&proxy, 1)
}

fn only_uploads(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::start(|mut stream| {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let (proxy, port) = listen(flavour, &format!("    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    client.write_all(&[3; 300_000]).expect("sent");
    drop(client);
    let sessions = logged(&proxy, 1);
    assert_eq!(proxy.stats().number("px", "s1", "bin"), 300_000);
    sessions
}

fn logged_as_soon_as_possible(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    option logasap\n    server s1 {}\n", origin.address()));
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    let sessions = logged(&proxy, 1);
    drop(client);
    pause(300);
    assert_eq!(proxy.syslog().sessions("px").len(), 1, "it is not logged again at its end");
    sessions
}

fn null_sessions_are_not_logged(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let (proxy, port) = listen(flavour, &format!("    option dontlognull\n    server s1 {}\n", origin.address()));
    for _ in 0..3 {
        drop(connect(port));
    }
    proxy.wait_for_number(15, "px", "FRONTEND", "stot", 3);
    proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    exchange(&mut connect(port), b"hello");
    logged(&proxy, 1)
}

fn normal_sessions_are_not_logged(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let body = format!("    option dontlog-normal\n    timeout client 1s\n    server s1 {}\n", origin.address());
    let (proxy, port) = listen(flavour, &body);
    for _ in 0..3 {
        exchange(&mut connect(port), b"hello");
    }
    proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    let mut idle = connect(port);
    exchange(&mut idle, b"hello");
    read_end(&mut idle);
    logged(&proxy, 1)
}

fn a_frontend_and_a_backend(flavour: Flavour) -> Vec<TcpLog> {
    let origin = Origin::echo();
    let port = ports::free_port();
    let mut setup = Setup::new(flavour);
    setup.workers = 1;
    let sections = format!(
        "frontend px\n    bind 127.0.0.1:{port}\n    default_backend farm\nbackend farm\n    server s1 {}\n",
        origin.address()
    );
    let proxy = setup.start(&sections, &[port]);
    exchange(&mut connect(port), b"hello");
    logged(&proxy, 1)
}

on_each_engine!(custom_log_formats_are_equal, default_log_format_is_equal);

/// The tags that mean something in TCP and have the same value in two runs, or one that can be normalised.
const FORMAT: &str = "%ci|%fi:%fp|%si:%sp|%f|%ft|%b|%s|%B|%U|%ST|%ts|%tsc|%ac|%fc|%bc|%sc|%rc|%sq|%bq|%Th|%pid|%%";

/// The captured line of a session with a custom format, without what differs between any two runs.
fn custom_line(flavour: Flavour, format: &str) -> String {
    let origin = Origin::echo();
    let (proxy, port) =
        listen(flavour, &format!("    log-format \"custom {format}\"\n    server s1 {}\n", origin.address()));
    exchange(&mut connect_from(Ipv4Addr::new(127, 3, 4, 5), port), b"hello");
    let line = proxy.syslog().wait_for(15, "the line", |line| line.contains("custom "));
    let line = line.split_once("custom ").expect("it is there").1.trim_end().to_string();
    line.replace(&format!(":{port}"), ":FRONT")
        .replace(&format!(":{}", origin.port()), ":BACK")
        .replace(&proxy.pid().to_string(), "PID")
}

fn custom_log_formats_are_equal(flavour: Flavour) {
    assert_eq!(custom_line(flavour, FORMAT), custom_line(Flavour::HaProxy, FORMAT));
}

fn default_log_format_is_equal(flavour: Flavour) {
    let line = |flavour: Flavour| {
        let origin = Origin::echo();
        let port = ports::free_port();
        let mut setup = Setup::new(flavour);
        setup.log_option = "";
        let sections = format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 {}\n", origin.address());
        let proxy = setup.start(&sections, &[port]);
        let mut client = connect(port);
        let from: SocketAddr = client.local_addr().expect("its address");
        exchange(&mut client, b"hello");
        drop(client);
        let line = proxy.syslog().wait_for(15, "the line", |line| line.contains("Connect from"));
        let text = line.split_once("]: ").expect("a tag").1.trim_end().to_string();
        text.replace(&from.to_string(), "CLIENT").replace(&format!(":{port}"), ":FRONT")
    };
    assert_eq!(line(flavour), line(Flavour::HaProxy));
}
