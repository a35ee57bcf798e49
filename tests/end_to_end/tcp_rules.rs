//! `tcp-request`, `tcp-response` and `use_backend` in TCP mode: what clients see, what is counted, what is logged.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::*;

on_each_proxy!(
    content_rules_reject_by_the_first_bytes,
    connection_and_session_rules_leave_no_line,
    the_backend_is_chosen_by_content,
    responses_are_rejected_by_their_first_bytes,
    an_rdp_cookie_names_its_server,
);

/// Sends `text` and waits for the end: closed or reset without an answer.
fn is_refused(mut client: TcpStream, text: &[u8]) -> bool {
    let mut answer = Vec::new();
    let _ = client.write_all(text);
    let _ = client.read_to_end(&mut answer);
    answer.is_empty()
}

fn content_rules_reject_by_the_first_bytes(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    tcp-request inspect-delay 5s\n    \
         tcp-request content reject if {{ req.payload(0,3) -m str BAD }}\n    \
         tcp-request content accept if {{ req.len ge 3 }}\n    server s1 {}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    drop(client);
    assert!(is_refused(connect(port), b"BAD"));
    let sessions = proxy.syslog().wait_for_sessions(15, "px", 2);
    let refused = sessions.iter().find(|session| session.termination == "PR").expect("the refused one's line");
    assert_eq!((refused.backend.as_str(), refused.server.as_str(), refused.bytes), ("px", "<NOSRV>", 0));
    let stats = proxy.stats();
    for (name, column, value) in [
        ("FRONTEND", "stot", 2),
        ("FRONTEND", "dreq", 1),
        ("FRONTEND", "bin", 8),
        ("BACKEND", "dreq", 0),
        ("BACKEND", "stot", 1),
        ("s1", "stot", 1),
        ("s1", "bin", 5),
    ] {
        assert_eq!(stats.number("px", name, column), value, "{column} of {name}");
    }
}

fn connection_and_session_rules_leave_no_line(flavour: Flavour) {
    let origin = Origin::echo();
    let (first, second) = (ports::free_port(), ports::free_port());
    let sections = format!(
        "listen early\n    bind 127.0.0.1:{first}\n    tcp-request connection reject if {{ src 127.0.0.0/8 }}\n    \
         server s1 {0}\nlisten late\n    bind 127.0.0.1:{second}\n    tcp-request session reject if LOCALHOST\n    \
         server s1 {0}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[]);
    assert!(is_refused(connect(first), b"x"));
    assert!(is_refused(connect(second), b"x"));
    let stats = proxy.stats();
    for (name, column, value) in [
        ("early", "dcon", 1),
        ("early", "dses", 0),
        ("early", "stot", 0),
        ("late", "dcon", 0),
        ("late", "dses", 1),
        ("late", "stot", 0),
    ] {
        assert_eq!(stats.number(name, "FRONTEND", column), value, "{column} of {name}");
    }
}

fn the_backend_is_chosen_by_content(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "frontend fe\n    bind 127.0.0.1:{port}\n    acl letter_o req.payload(0,1) -m str o\n    \
         tcp-request inspect-delay 5s\n    tcp-request content accept if {{ req.len gt 0 }}\n    \
         use_backend other if letter_o\n    default_backend usual\nbackend usual\n    server u {0}\n\
         backend other\n    server o {0}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    for text in [&b"o1"[..], b"x1"] {
        let mut client = connect(port);
        exchange(&mut client, text);
    }
    // Bytes are counted when a session ends.
    proxy.syslog().wait_for_sessions(15, "fe", 2);
    let stats = proxy.stats();
    assert_eq!(stats.number("other", "o", "bin"), 2);
    assert_eq!(stats.number("usual", "u", "bin"), 2);
    assert_eq!(stats.number("other", "BACKEND", "stot"), 1);
}

fn responses_are_rejected_by_their_first_bytes(flavour: Flavour) {
    let origin = Origin::echo();
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    tcp-response inspect-delay 5s\n    \
         tcp-response content reject if {{ res.payload(0,3) -m str BAD }}\n    \
         tcp-response content accept if {{ res.len ge 3 }}\n    server s1 {}\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    drop(client);
    assert!(is_refused(connect(port), b"BAD"));
    proxy.syslog().wait_for_sessions(15, "px", 2);
    let stats = proxy.stats();
    assert_eq!(stats.number("px", "FRONTEND", "dresp"), 1);
}

/// `persist rdp-cookie`: the cookie holds a server's address, and beats the balancing.
fn an_rdp_cookie_names_its_server(flavour: Flavour) {
    let origins = [Origin::named("s1"), Origin::named("s2")];
    let port = ports::free_port();
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    persist rdp-cookie(msts)\n    tcp-request inspect-delay 5s\n    \
         tcp-request content accept if {{ rdp_cookie(msts) -m found }}\n    server s1 {}\n    server s2 {}\n",
        origins[0].address(),
        origins[1].address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    for name in ["s2", "s2", "s1", "s2", "s1", "s1"] {
        let server = &origins[usize::from(name == "s2")];
        let address = u32::from_le_bytes([127, 0, 0, 1]);
        let cookie = format!("Cookie: msts={address}.{}.0000\r\n", server.port().swap_bytes());
        let mut client = connect(port);
        let request = [b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0", cookie.as_bytes()].concat();
        client.write_all(&request).expect("an RDP request");
        assert_eq!(read_line(&mut client).trim_end(), name);
    }
    let sessions = proxy.syslog().wait_for_sessions(10, "px", 6);
    assert_eq!(sessions.iter().filter(|session| session.server == "s2").count(), 3);
}
