//! The PROXY protocol: told to servers (`send-proxy`, `send-proxy-v2`), heard from clients (`accept-proxy`,
//! `tcp-request connection expect-proxy`), beside HAProxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::*;

on_each_proxy!(
    servers_are_told_whose_connection_it_is,
    a_chain_of_two_keeps_the_client,
    what_is_no_header_is_refused_and_logged,
    a_rule_decides_who_announces,
    connections_of_several_clients_are_not_mixed,
    checks_announce_themselves,
);

same_as_haproxy!(http_behind_another_balancer, local_and_unknown_change_nothing);

on_each_engine!(a_header_comes_in_any_pieces, whose_header_never_comes_is_closed, many_at_once);

const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 512];
    while !bytes.ends_with(end) {
        let count = stream.read(&mut buffer).expect("an answer in time");
        assert!(count > 0, "the connection ended after {bytes:?}");
        bytes.extend_from_slice(&buffer[..count]);
    }
    bytes
}

fn servers_are_told_whose_connection_it_is(flavour: Flavour) {
    let origin = Origin::echo();
    let (first, second) = (ports::free_port(), ports::free_port());
    let sections = format!(
        "listen one\n    bind 127.0.0.1:{first}\n    server s {0} send-proxy\n\
         listen two\n    bind 127.0.0.1:{second}\n    default-server send-proxy send-proxy-v2\n    server s {0}\n",
        origin.address()
    );
    let _proxy = Setup::new(flavour).start(&sections, &[first, second]);
    let mut client = connect(first);
    let port = client.local_addr().expect("address").port();
    client.write_all(b"hello").expect("sent");
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} {first}\r\nhello");
    assert_eq!(String::from_utf8_lossy(&read_until(&mut client, b"hello")), expected);
    let mut client = connect(second);
    let port = client.local_addr().expect("address").port();
    client.write_all(b"hello").expect("sent");
    let addresses = [&[0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1][..], &port.to_be_bytes(), &second.to_be_bytes()];
    let expected = [V2_START, &addresses.concat(), b"hello"].concat();
    assert_eq!(read_until(&mut client, b"hello"), expected);
}

fn a_chain_of_two_keeps_the_client(flavour: Flavour) {
    let origin = Origin::echo();
    for version in ["send-proxy", "send-proxy-v2"] {
        let (outer, inner) = (ports::free_port(), ports::free_port());
        let sections = format!(
            "listen outer\n    bind 127.0.0.1:{outer}\n    server s 127.0.0.1:{inner} {version}\n\
             listen inner\n    bind 127.0.0.1:{inner} accept-proxy\n    log-format \"inner %ci:%cp %fi:%fp %B\"\n    \
             server s {0}\n",
            origin.address()
        );
        let proxy = Setup::new(flavour).start(&sections, &[outer]);
        let mut client = connect(outer);
        let port = client.local_addr().expect("address").port();
        exchange(&mut client, b"hello");
        drop(client);
        let line = proxy.syslog().wait_for(15, "the inner line", |line| line.contains("inner 127"));
        assert!(line.contains(&format!("inner 127.0.0.1:{port} 127.0.0.1:{outer} 5")), "{line}");
    }
}

fn what_is_no_header_is_refused_and_logged(flavour: Flavour) {
    let origin = Origin::echo();
    let (port, named) = (ports::free_port(), ports::free_port());
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port} accept-proxy\n    bind 127.0.0.1:{named} accept-proxy name web\n    \
         server s {}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[]);
    for (port, name) in [(port, "px/1: "), (named, "px/web: ")] {
        for text in ["nonsense and more", "PROXY TCP4 1.2.3.4\r\n", "PROXY TCP9 1.2.3.4 5.6.7.8 1 2\r\nx"] {
            let mut client = connect(port);
            let from = client.local_addr().expect("address").port();
            client.write_all(text.as_bytes()).expect("sent");
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer);
            assert!(answer.is_empty());
            let wanted = format!("127.0.0.1:{from} [");
            let line = proxy.syslog().wait_for(15, "the refused one's line", |line| line.contains(&wanted));
            assert!(line.starts_with("<134>") && line.contains(name), "{line}");
        }
    }
    // Those were not taken for sessions, and others are served.
    let mut client = connect(port);
    client.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n").expect("sent");
    exchange(&mut client, b"hello");
    drop(client);
    assert_eq!(proxy.stats().number("px", "s", "stot"), 1);
}

fn a_rule_decides_who_announces(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    tcp-request connection expect-proxy layer4 if {{ src 127.0.0.2 }}\n    \
         tcp-request session reject if {{ src 192.0.2.66 }}\n    log-format \"px %ci:%cp %fi:%fp\"\n    server s {}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[]);
    let mut client = connect_from(std::net::Ipv4Addr::new(127, 0, 0, 2), port);
    client.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n").expect("sent");
    exchange(&mut client, b"hello");
    drop(client);
    proxy.syslog().wait_for(15, "the announced address", |line| line.contains("px 192.0.2.1:1000 192.0.2.2:2000"));
    // The session rules see who was announced.
    let mut client = connect_from(std::net::Ipv4Addr::new(127, 0, 0, 2), port);
    client.write_all(b"PROXY TCP4 192.0.2.66 192.0.2.2 1000 2000\r\nhello").expect("sent");
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    assert!(answer.is_empty());
    // Nobody else says anything.
    let mut client = connect(port);
    exchange(&mut client, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    assert_eq!(proxy.stats().number("px", "FRONTEND", "dses"), 1);
}

fn connections_of_several_clients_are_not_mixed(flavour: Flavour) {
    let raw = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let seen = raw.clone();
    let origin = Origin::start(move |mut stream| {
        let index = {
            let mut seen = seen.lock().expect("connections");
            seen.push(Vec::new());
            seen.len() - 1
        };
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let mut seen = seen.lock().expect("connections");
            seen[index].extend_from_slice(&buffer[..count]);
            if seen[index].ends_with(b"\r\n\r\n") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        }
    });
    let port = ports::free_port();
    let mut setup = Setup::new(flavour);
    setup.workers = 1;
    setup.defaults.insert(0, "mode http".to_string());
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    http-reuse always\n    \
         http-request set-src hdr(x-from) if {{ hdr(x-from) -m found }}\n    server s {} send-proxy\n",
        origin.address()
    );
    let _proxy = setup.start(&sections, &[port]);
    let mut clients: Vec<_> = (0..3).map(|_| http_client::HttpClient::connect(port)).collect();
    for round in 0..3 {
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.get(&format!("/{index}/{round}")).status, 200);
        }
    }
    // A balancer in front that shares its connection: each of its clients has one of its own here.
    for from in ["192.0.2.7", "192.0.2.8", "192.0.2.7"] {
        let asked = format!("GET /{from} HTTP/1.1\r\nHost: x\r\nX-From: {from}\r\n\r\n");
        assert_eq!(clients[0].ask(asked).status, 200);
    }
    let raw = raw.lock().expect("connections");
    for bytes in raw.iter() {
        let text = String::from_utf8_lossy(bytes);
        assert!(text.starts_with("PROXY TCP4 ") && text.matches("PROXY TCP4").count() == 1, "{text}");
        let source = text.split(' ').nth(2).expect("the source").to_owned();
        let owners: std::collections::HashSet<&str> =
            text.split("GET /").skip(1).map(|rest| rest.split(['/', ' ']).next().unwrap_or_default()).collect();
        assert_eq!(owners.len(), 1, "{text}");
        if source != "127.0.0.1" {
            assert!(owners.contains(source.as_str()), "{text}");
        }
    }
    let asked: usize = raw.iter().map(|bytes| String::from_utf8_lossy(bytes).matches("GET /").count()).sum();
    assert_eq!(asked, 12);
}

fn checks_announce_themselves(flavour: Flavour) {
    let raw = Arc::new(Mutex::new(Vec::<(u16, Vec<u8>)>::new()));
    let start = |label: u16| {
        let seen = raw.clone();
        Origin::start(move |mut stream| {
            let mut bytes = Vec::new();
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read_to_end(&mut bytes);
            seen.lock().expect("checks").push((label, bytes));
        })
    };
    let origins: Vec<Origin> = (1..5).map(start).collect();
    let sections = format!(
        "backend be\n    server one {} check inter 50ms send-proxy\n    server two {} check inter 50ms send-proxy-v2\n    \
         server three 127.0.0.1:1 check inter 50ms send-proxy-v2 port {}\n    \
         server four 127.0.0.1:1 check inter 50ms check-send-proxy port {}\n",
        origins[0].address(),
        origins[1].address(),
        origins[2].port(),
        origins[3].port()
    );
    let _proxy = Setup::new(flavour).start(&sections, &[]);
    let of = |label: u16| {
        eventually(15, &format!("a check of {label}"), || {
            let seen = raw.lock().expect("checks");
            seen.iter().find(|(number, _)| *number == label).map(|(_, bytes)| bytes.clone()).ok_or("none".to_owned())
        })
    };
    let text = String::from_utf8(of(1)).expect("version 1");
    assert!(text.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{text}");
    assert!(text.ends_with(&format!(" {}\r\n", origins[0].port())), "{text}");
    assert_eq!(of(2), [V2_START, &[0x20, 0, 0, 0]].concat());
    // HAProxy gives such a check up before the server has seen it.
    if flavour.is_ringway() {
        assert_eq!(of(3), b"");
    }
    assert!(of(4).starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 "));
}

fn http_behind_another_balancer(flavour: Flavour) -> Vec<String> {
    let lines = "    option forwardfor\n    option originalto\n    http-request set-header X-Seen \"%[src] %[src_port] %[dst]\"\n    \
                 balance source\n    cookie SRV insert\n";
    let origins = vec![HttpOrigin::named("s1")];
    let text = lab::listen_section(&origins, lines).replace("{port}", "{port} accept-proxy");
    let mut lab = Lab::start(flavour, origins, &text);
    let mut client = lab.client();
    client.send("PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n");
    for target in ["/a", "/b"] {
        let response = client.get(target);
        lab.note_answer(&response);
    }
    drop(client);
    let mut client = lab.client();
    let response = client.ask("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n");
    lab.note_answer(&response);
    drop(client);
    lab.finish(3)
}

fn local_and_unknown_change_nothing(flavour: Flavour) -> Vec<String> {
    let lines = "    option forwardfor\n";
    let origins = vec![HttpOrigin::named("s1")];
    let text = lab::listen_section(&origins, lines).replace("{port}", "{port} accept-proxy");
    let mut lab = Lab::start(flavour, origins, &text);
    let local = [V2_START, &[0x20, 0, 0, 0]].concat();
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), local] {
        let mut client = lab.client();
        client.send([header.as_slice(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
        let response = client.response("GET");
        lab.note_answer(&response);
    }
    lab.finish(2)
}

fn proxied(flavour: Flavour, lines: &str) -> (Running, u16, Origin) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections =
        format!("listen px\n    bind 127.0.0.1:{port} accept-proxy\n{lines}    server s {}\n", origin.address());
    (Setup::new(flavour).start(&sections, &[]), port, origin)
}

/// HAProxy 2.6 refuses a header that comes in two pieces.
fn a_header_comes_in_any_pieces(flavour: Flavour) {
    let (proxy, port, _origin) = proxied(flavour, "");
    let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n".to_vec();
    let tlv = [4u8; 700];
    let length = (12 + tlv.len() as u16).to_be_bytes();
    let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 3, 232, 7, 208];
    let v2 = [V2_START, &[0x21, 0x11], &length, &addresses, &tlv].concat();
    for header in [v1, v2] {
        for size in [1, 7, 255, 256, 257, header.len() - 1, header.len()] {
            let mut client = connect(port);
            client.set_nodelay(true).expect("no delay");
            for part in header.chunks(size) {
                client.write_all(part).expect("sent");
                if size > 1 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            exchange(&mut client, b"hello");
            let mut client = connect(port);
            client.write_all(&[&header[..], b"together"].concat()).expect("sent");
            assert_eq!(read_until(&mut client, b"together"), b"together");
        }
    }
    let lines = proxy.syslog().lines();
    assert!(lines.iter().all(|line| !line.contains("px/1: ")), "{lines:?}");
}

fn whose_header_never_comes_is_closed(flavour: Flavour) {
    let (proxy, port, _origin) = proxied(flavour, "    timeout client 300ms\n");
    let started = Instant::now();
    for text in ["", "PROXY TC"] {
        let mut client = connect(port);
        client.write_all(text.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(answer.is_empty());
        assert!(started.elapsed() >= Duration::from_millis(250));
    }
    proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    // An end before the header is complete is one, too.
    for text in ["", "PROXY TC"] {
        let mut client = connect(port);
        client.write_all(text.as_bytes()).expect("sent");
        client.shutdown(std::net::Shutdown::Write).expect("half-closed");
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
    }
    proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    // A family that is no IP says nothing, which section 2.2 has receivers put up with; 2.6 resets the connection.
    let unspecified = [V2_START, &[0x21, 0x00, 0, 2, 1, 1]].concat();
    for header in [b"PROXY UNKNOWN\r\n", &unspecified[..]] {
        let mut client = connect(port);
        client.write_all(header).expect("sent");
        exchange(&mut client, b"hello");
    }
}

/// Halves of headers, resets and sessions at once; afterwards nothing is held.
fn many_at_once(flavour: Flavour) {
    let (proxy, port, _origin) = proxied(flavour, "");
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            scope.spawn(move || {
                for number in 0..100 {
                    let mut client = connect(port);
                    match (number + thread) % 4 {
                        0 => drop(client.write_all(b"PROXY TCP4 192.0")),
                        1 => drop(client.write_all(b"GET / HTTP/1.1\r\n\r\n")),
                        2 => {}
                        _ => {
                            client.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n").expect("sent");
                            exchange(&mut client, b"hello");
                        }
                    }
                }
            });
        }
    });
    proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    assert_eq!(proxy.stats().number("px", "s", "stot"), 200);
}
