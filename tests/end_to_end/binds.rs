//! `bind` and `server` addresses of every kind.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::support::*;

on_each_proxy!(
    unix_and_abstract_sockets,
    an_inherited_listener,
    several_addresses_ranges_and_both_families,
    a_unix_server,
    a_source_address_and_port_range,
    keep_alive_finds_a_client_that_vanished,
);
on_each_engine!(two_frontends_on_one_address_are_refused);

fn talk(mut stream: impl Read + Write) {
    stream.write_all(b"hello").expect("sent");
    let mut back = [0; 5];
    stream.read_exact(&mut back).expect("echoed");
    assert_eq!(&back, b"hello");
}

fn unix_and_abstract_sockets(flavour: Flavour) {
    let origin = Origin::echo();
    let setup = Setup::new(flavour);
    let path = setup.path("front.sock");
    let name = format!("ringway-test-{}-{}", std::process::id(), setup.stats_port);
    let sections = format!(
        "listen px\n    bind unix@{} mode 600\n    bind abns@{name}\n    server s1 {}\n",
        path.display(),
        origin.address()
    );
    let proxy = setup.start(&sections, &[]);
    for _ in 0..4 {
        talk(UnixStream::connect(&path).expect("the path accepts"));
        // HAProxy's abstract names fill the whole address with zeros behind the name.
        let mut whole = name.clone().into_bytes();
        whole.resize(107, 0);
        let address = UnixAddress::from_abstract_name(&whole).expect("a name");
        talk(UnixStream::connect_addr(&address).expect("the name accepts"));
    }
    let sessions = proxy.syslog().wait_for_sessions(15, "px", 8);
    assert!(sessions.iter().all(|session| session.client.starts_with("unix:")), "{sessions:?}");
}

fn an_inherited_listener(flavour: Flavour) {
    let origin = Origin::echo();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let inherited = OwnedFd::from(listener);
    fcntl(&inherited, FcntlArg::F_SETFD(FdFlag::empty())).expect("it survives exec");
    let sections = format!("listen px\n    bind fd@{}\n    server s1 {}\n", inherited.as_raw_fd(), origin.address());
    let proxy = Setup::new(flavour).start(&sections, &[]);
    fcntl(&inherited, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("and no other test's");
    let clients: Vec<_> = (0..20).map(|_| thread::spawn(move || talk(connect(port)))).collect();
    for client in clients {
        client.join().expect("served");
    }
    proxy.wait_for_number(15, "px", "FRONTEND", "stot", 20);
}

fn several_addresses_ranges_and_both_families(flavour: Flavour) {
    let origin = Origin::echo();
    let first = ports::free_range(3);
    let (second, third) = (ports::free_port(), ports::free_port());
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{first}-{last},127.0.0.2:{second}\n    bind [::]:{third} v4v6\n    server s1 {}\n",
        origin.address(),
        last = first + 2
    );
    let proxy = Setup::new(flavour).start(&sections, &[first, first + 1, first + 2, second, third]);
    for port in first..first + 3 {
        talk(connect(port));
    }
    talk(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), second)).expect("the second address"));
    talk(TcpStream::connect((Ipv6Addr::LOCALHOST, third)).expect("IPv6"));
    talk(TcpStream::connect((Ipv4Addr::LOCALHOST, third)).expect("IPv4 on the same socket"));
    let sessions = proxy.syslog().wait_for_sessions(15, "px", 6);
    assert!(sessions.iter().any(|session| session.client.starts_with("::1:")), "{sessions:?}");
}

fn two_frontends_on_one_address_are_refused(flavour: Flavour) {
    let port = ports::free_port();
    let setup = Setup::new(flavour);
    let path = setup.path("px.cfg");
    let sections = format!(
        "listen one\n    bind 127.0.0.1:{port}\n    server s1 127.0.0.1:1\nlisten two\n    bind 127.0.0.1:{port}\n    server s1 127.0.0.1:1\n"
    );
    std::fs::write(&path, setup.file(&sections)).expect("written");
    let output = flavour.command().args(["-db", "-f"]).arg(&path).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("one") && errors.contains("two") && errors.contains(&port.to_string()), "{errors}");
}

fn a_unix_server(flavour: Flavour) {
    let setup = Setup::new(flavour);
    let path = setup.path("origin.sock");
    let listener = UnixListener::bind(&path).expect("an origin");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut bytes = [0; 64];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
        }
    });
    let port = ports::free_port();
    let sections =
        format!("listen px\n    bind 127.0.0.1:{port}\n    server s1 unix@{} check inter 100\n", path.display());
    let proxy = setup.start(&sections, &[port]);
    talk(connect(port));
    proxy.wait_for_status(15, "px", "s1", "UP");
}

fn a_source_address_and_port_range(flavour: Flavour) {
    let origin = Origin::start(|mut stream| {
        let peer = stream.peer_addr().expect("its address");
        let _ = stream.write_all(format!("{peer}\n").as_bytes());
        let _ = stream.read(&mut [0; 1]);
    });
    let (port, first) = (ports::free_port(), ports::free_range(3));
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    server s1 {} source 127.0.0.9:{first}-{}\n",
        origin.address(),
        first + 2
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut held = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut client = connect(port);
        seen.push(read_line(&mut client));
        held.push(client);
    }
    seen.sort();
    assert_eq!(seen, (first..first + 3).map(|port| format!("127.0.0.9:{port}")).collect::<Vec<_>>());
    // No port is left: this one fails, the others live.
    let mut refused = connect(port);
    assert_eq!(read_end(&mut refused).0, b"");
    for client in &mut held {
        client.write_all(b"x").expect("still there");
    }
    drop(held);
    proxy.wait_for_number(10, "px", "s1", "scur", 0);
}

/// A client in a network of its own, which is then unplugged: no FIN, no RST, nothing.
fn keep_alive_finds_a_client_that_vanished(flavour: Flavour) {
    let Some(network) = Network::create() else {
        eprintln!("not run: network namespaces need root");
        return;
    };
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind {}:{port}\n    option clitcpka\n    clitcpka-idle 1s\n    clitcpka-intvl 1s\n    clitcpka-cnt 2\n\
         \x20   timeout client 1h\n    timeout server 1h\n    server s1 {}\n",
        network.host_address,
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut client =
        network.client(&format!("exec 3<>/dev/tcp/{}/{port}; echo hello >&3; sleep 60", network.host_address));
    proxy.wait_for_number(10, "px", "s1", "scur", 1);
    thread::sleep(Duration::from_millis(300));
    network.unplug();
    let session = &proxy.syslog().wait_for_sessions(30, "px", 1)[0];
    let _ = client.kill();
    let _ = client.wait();
    assert_eq!(session.termination, "CD");
    for name in ["FRONTEND", "BACKEND", "s1"] {
        proxy.wait_for_number(15, "px", name, "scur", 0);
    }
}
