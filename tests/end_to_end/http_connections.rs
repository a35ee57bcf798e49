//! What becomes of connections between exchanges, side by side with HAProxy: connection modes, `Connection` headers,
//! reuse of server connections, pools.

use std::thread;
use std::time::Duration;

use crate::support::*;

same_as_haproxy!(
    mode_keep_alive,
    mode_server_close,
    mode_close,
    mode_forceclose_in_the_backend_only,
    close_asked_by_the_client,
    close_asked_by_the_server,
    http_1_0_keep_alive_with_server_close,
    pretend_keepalive,
    reuse_never,
    reuse_safe,
    reuse_aggressive,
    reuse_always,
    reuse_within_one_client,
    a_kept_connection_that_the_server_closed,
    prefer_last_server,
    forwardfor,
);
on_each_proxy!(idle_server_connections_are_purged, pool_max_conn_limits_idle_connections,);
on_each_engine!(header_names_keep_their_case, connection_headers_go_no_further);

fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// Two requests on one connection as far as it goes, in each version and with each wish of the client.
fn two_requests(flavour: Flavour, lines: &str) -> Vec<String> {
    let mut notes = two_requests_of(flavour, lines, "1.1");
    notes.extend(without_what_was_sent(two_requests_of(flavour, lines, "1.0")));
    notes
}

/// HAProxy sends an HTTP/1.0 request on as such; ours states its own version to servers (RFC 9110 section 2.5), and
/// its own wish for the connection with it.
fn without_what_was_sent(notes: Vec<String>) -> impl Iterator<Item = String> {
    notes.into_iter().filter(|note| !note.starts_with("s1 was sent"))
}

fn two_requests_of(flavour: Flavour, lines: &str, version: &str) -> Vec<String> {
    let mut lab = Lab::plain(flavour, lines);
    let mut answered = 0;
    for wish in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
        let mut client = lab.client();
        for number in 0..2 {
            let request = format!("GET /{number}?size=10 HTTP/{version}\r\nHost: test\r\n{wish}\r\n");
            let response = client.ask(request);
            lab.note_answer(&response);
            answered += 1;
            if client.is_closed_after(&response) {
                lab.note("closed");
                break;
            }
            lab.note("kept");
        }
    }
    let connections = lab.origin().connections();
    lab.note(format!("{connections} connections"));
    lab.finish(answered)
}

fn mode_keep_alive(flavour: Flavour) -> Vec<String> {
    two_requests(flavour, "    option http-keep-alive")
}

fn mode_server_close(flavour: Flavour) -> Vec<String> {
    two_requests(flavour, "    option http-server-close")
}

fn mode_close(flavour: Flavour) -> Vec<String> {
    two_requests(flavour, "    option httpclose")
}

fn mode_forceclose_in_the_backend_only(flavour: Flavour) -> Vec<String> {
    let origins = vec![HttpOrigin::named("s1")];
    // HAProxy 2.6 knows `forceclose` by its other name only.
    let mode = if flavour == Flavour::HaProxy { "httpclose" } else { "forceclose" };
    let text = format!(
        "frontend px\n    bind 127.0.0.1:{{port}}\n    option http-keep-alive\n    default_backend be\n\
         backend be\n    option {mode}\n    server s1 {{s1}}\n"
    );
    let mut lab = Lab::start(flavour, origins, &text);
    let mut client = lab.client();
    let response = client.get("/?size=10");
    lab.note_answer(&response);
    let is_closed = client.is_closed_after(&response);
    lab.note(format!("closed: {is_closed}"));
    lab.finish(1)
}

fn close_asked_by_the_client(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    for wish in ["close", "Close", "close, TE", "TE, close"] {
        let mut client = lab.client();
        let response =
            client.ask(format!("GET / HTTP/1.1\r\nHost: test\r\nConnection: {wish}\r\nTE: trailers\r\n\r\n"));
        lab.note(format!("{wish}: {} {:?}", response.status, response.header("connection")));
        client.expect_end();
    }
    let connections = lab.origin().connections();
    lab.note(format!("{connections} connections"));
    // What `TE` becomes is compared elsewhere.
    lab.finish(4).into_iter().filter(|note| !note.starts_with("s1 was sent")).collect()
}

/// The client's connection outlives the server's.
fn close_asked_by_the_server(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    for number in 0..3 {
        let response = client.get(&format!("/{number}?close=1&size=10"));
        lab.note_answer(&response);
    }
    drop(client);
    let connections = lab.origin().connections();
    lab.note(format!("{connections} connections"));
    lab.finish(3)
}

fn http_1_0_keep_alive_with_server_close(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    option http-server-close");
    let mut client = lab.client();
    for number in 0..3 {
        let request = format!("GET /{number}?size=10 HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
        let response = client.ask(request);
        lab.note_answer(&response);
    }
    drop(client);
    without_what_was_sent(lab.finish(3)).collect()
}

fn pretend_keepalive(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    option http-server-close\n    option http-pretend-keepalive");
    let mut client = lab.client();
    for number in 0..2 {
        let response = client.get(&format!("/{number}?size=10"));
        lab.note_answer(&response);
    }
    drop(client);
    let connections = lab.origin().connections();
    lab.note(format!("{connections} connections"));
    lab.finish(2)
}

/// Ten clients one after the other, two requests each, their connections open to the end.
fn ten_clients(flavour: Flavour, reuse: &str) -> Vec<String> {
    let mut lab = Lab::plain(flavour, &format!("    http-reuse {reuse}"));
    let mut clients = Vec::new();
    for client_number in 0..10 {
        let mut client = lab.client();
        for number in 0..2 {
            let response = client.get(&format!("/{client_number}/{number}"));
            assert_eq!(response.status, 200);
        }
        clients.push(client);
        let connections = lab.origin().connections();
        lab.note(format!("after client {client_number}: {connections} connections"));
    }
    drop(clients);
    // Another one, once the first have left.
    lab.proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
    lab.settle();
    let mut client = lab.client();
    assert_eq!(client.get("/late").status, 200);
    let connections = lab.origin().connections();
    lab.note(format!("at the end: {connections} connections"));
    drop(client);
    lab.finish(21)
}

fn reuse_never(flavour: Flavour) -> Vec<String> {
    ten_clients(flavour, "never")
}

fn reuse_safe(flavour: Flavour) -> Vec<String> {
    ten_clients(flavour, "safe")
}

fn reuse_aggressive(flavour: Flavour) -> Vec<String> {
    ten_clients(flavour, "aggressive")
}

fn reuse_always(flavour: Flavour) -> Vec<String> {
    ten_clients(flavour, "always")
}

/// Two servers by turns: each of the client's requests finds the connection to its server again.
fn reuse_within_one_client(flavour: Flavour) -> Vec<String> {
    let origins = vec![HttpOrigin::named("s1"), HttpOrigin::named("s2")];
    let mut lab = Lab::listen(flavour, origins, "    http-reuse always\n    balance roundrobin");
    let mut client = lab.client();
    for number in 0..6 {
        let response = client.get(&format!("/{number}"));
        lab.note_answer(&response);
    }
    drop(client);
    let counts = (lab.origins[0].connections(), lab.origins[1].connections());
    lab.note(format!("{counts:?} connections"));
    lab.finish(6)
}

/// Nothing is lost when the server has closed an idle connection: the request takes another.
fn a_kept_connection_that_the_server_closed(flavour: Flavour) -> Vec<String> {
    // Says keep-alive, and leaves.
    let origin = HttpOrigin::start(|exchange| {
        exchange.answer("200 OK", "X-Server: s1\r\n", b"once");
        Next::Close
    });
    let mut lab = Lab::listen(flavour, vec![origin], "    http-reuse always");
    let mut client = lab.client();
    for number in 0..5 {
        let response = client.get(&format!("/{number}"));
        lab.note_answer(&response);
        // The proxy has seen the server leave.
        eventually(15, "the origin has closed", || match lab.origin().open_connections() {
            0 => Ok(()),
            open => Err(open.to_string()),
        });
        pause(100);
        lab.settle();
    }
    drop(client);
    lab.finish(5)
}

fn prefer_last_server(flavour: Flavour) -> Vec<String> {
    let origins = vec![HttpOrigin::named("s1"), HttpOrigin::named("s2")];
    let mut lab =
        Lab::listen(flavour, origins, "    option prefer-last-server\n    http-reuse never\n    balance roundrobin");
    for _ in 0..3 {
        let mut client = lab.client();
        for number in 0..4 {
            let response = client.get(&format!("/{number}"));
            lab.note(response.server());
        }
    }
    lab.finish(12)
}

fn forwardfor(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(flavour, "    option forwardfor");
    for own in ["", "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n"] {
        let response = lab.client().ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{own}\r\n"));
        lab.note_answer(&response);
    }
    lab.finish(3)
}

fn idle_server_connections_are_purged(flavour: Flavour) {
    let origin = HttpOrigin::named("s1");
    let server = format!("    http-reuse always\n    server s1 {} pool-purge-delay 500ms\n", origin.address());
    let lab = Lab::start(flavour, vec![origin], &format!("listen px\n    bind 127.0.0.1:{{port}}\n{server}"));
    let mut clients: Vec<HttpClient> = (0..8).map(|_| lab.client()).collect();
    for client in &mut clients {
        client.send(get("/?delay=300"));
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").status, 200);
    }
    assert_eq!(lab.origin().open_connections(), 8);
    eventually(15, "idle connections are closed", || match lab.origin().open_connections() {
        open if open <= 1 => Ok(()),
        open => Err(open.to_string()),
    });
    assert_eq!(clients[0].get("/after").status, 200, "the client's own connection stays");
}

fn pool_max_conn_limits_idle_connections(flavour: Flavour) {
    let origin = HttpOrigin::named("s1");
    let server = format!("    http-reuse always\n    server s1 {} pool-max-conn 2\n", origin.address());
    let lab = Lab::start(flavour, vec![origin], &format!("listen px\n    bind 127.0.0.1:{{port}}\n{server}"));
    let mut clients: Vec<HttpClient> = (0..8).map(|_| lab.client()).collect();
    for client in &mut clients {
        client.send(get("/?delay=300"));
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").status, 200);
    }
    drop(clients);
    eventually(15, "two idle connections are left", || match lab.origin().open_connections() {
        open if open <= 2 => Ok(()),
        open => Err(open.to_string()),
    });
}

/// As HAProxy 1.8 did; today's sends them in lower case.
fn header_names_keep_their_case(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    let response = lab.client().ask("GET / HTTP/1.1\r\nhOsT: test\r\nX-MiXed-Case: a\r\n\r\n");
    assert!(response.head.headers.iter().any(|(name, _)| name == "X-Server"), "{:?}", response.head.headers);
    let seen = lab.origin().wait_for_requests(15, 1);
    assert!(seen[0].head.headers.iter().any(|(name, _)| name == "X-MiXed-Case"), "{:?}", seen[0].head.headers);
}

/// RFC 9110 section 7.6.1: what `Connection` names belongs to this connection.
fn connection_headers_go_no_further(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Content-Length, Host\r\nKeep-Alive: timeout=5\r\n\
                   Proxy-Connection: keep-alive\r\n\r\n";
    let response = lab.client().ask(request);
    let seen = match response.status {
        200 => lab.origin().wait_for_requests(15, 1),
        _ => lab.origin().seen(),
    };
    if response.status == 200 {
        // Framing and routing are not the client's to take away.
        assert_eq!(seen[0].head.header("host"), Some("test"));
    } else {
        assert_eq!((response.status, seen.len()), (400, 0));
    }
}
