//! The stats page and the figures inside an HTTP proxy that forwards: `stats uri` next to servers.

use crate::support::*;

on_each_proxy!(page_beside_servers, figures_of_http, page_on_a_kept_connection);

fn page_beside_servers(flavour: Flavour) {
    let lines = "    stats enable\n    stats uri /figures\n    stats auth a:b";
    let lab = Lab::plain(flavour, lines);
    assert_eq!(lab.client().get("/").server(), "s1");
    assert_eq!(lab.client().get("/figures").status, 401);
    let authorised = "GET /figures;csv HTTP/1.1\r\nHost: test\r\nAuthorization: Basic YTpi\r\n\r\n";
    let page = lab.client().ask(authorised);
    assert_eq!(page.status, 200);
    assert_eq!(Table::parse(&page.text()).text("px", "s1", "status"), "no check");
    // Only what is not the page's comes to the server.
    let seen: Vec<String> = lab.origin().seen().iter().map(|seen| seen.head.word(1).to_string()).collect();
    assert_eq!(seen, ["/"]);
    assert_eq!(lab.client().get("/other").server(), "s1");
}

fn figures_of_http(flavour: Flavour) {
    let lab = Lab::plain(flavour, "");
    let mut client = lab.client();
    for target in ["/", "/?status=204", "/?status=304", "/?status=404", "/?status=500", "/?status=503"] {
        client.get(target);
    }
    drop(client);
    lab.proxy.syslog().wait_for_exchanges(10, "px", 6);
    let table = lab.proxy.stats();
    for name in ["FRONTEND", "s1", "BACKEND"] {
        let answers: Vec<u64> =
            ["hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"].map(|column| table.number("px", name, column)).to_vec();
        assert_eq!(answers, [2, 1, 1, 2], "{name}");
    }
    assert_eq!(table.number("px", "FRONTEND", "req_tot"), 6);
    assert_eq!(table.number("px", "FRONTEND", "stot"), 1, "one connection");
    assert_eq!(table.number("px", "s1", "stot"), 6, "as many sessions with the server as requests");
}

fn page_on_a_kept_connection(flavour: Flavour) {
    let lab = Lab::plain(flavour, "    stats enable\n    stats uri /figures");
    let mut client = lab.client();
    for target in ["/1", "/figures", "/2"] {
        let response = client.get(target);
        assert_eq!(response.status, 200, "{target}");
        if response.header("connection") == Some("close") {
            client = lab.client();
        }
    }
    assert_eq!(lab.origin().seen().len(), 2);
}
