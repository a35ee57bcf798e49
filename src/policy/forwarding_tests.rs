use super::*;
use crate::config::load::load_text;
use crate::policy::exchange::{Client, Exchange, Sockets, Stage};
use crate::proto::http1::head::Version;
use crate::shared::{Shared, ThreadShared};
use std::rc::Rc;
use std::sync::Arc;

struct Here;

impl Sockets for Here {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::Ip("[2001:db8::1]:443".parse().expect("an address"))
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn round_trip_us(&self, _of_server: bool) -> Option<(u32, u32)> {
        None
    }
}

/// The headers of a request from 192.0.2.7:1234 with `headers`, after [`apply`].
fn after(frontend: &str, backend: &str, headers: &[(&str, &str)]) -> Vec<String> {
    let text = format!(
        "defaults\n mode http\nfrontend f\n bind :1\n default_backend b\n {}\nbackend b\n {}\n",
        frontend.replace(';', "\n "),
        backend.replace(';', "\n ")
    );
    let loaded = load_text("t.cfg", &text);
    let Some(config) = loaded.config else { panic!("{:#?}", loaded.diagnostics) };
    let (frontend, backend) = (crate::config::model::ProxyId(0), crate::config::model::ProxyId(1));
    let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 1, 1)));
    let source = Endpoint::Ip("192.0.2.7:1234".parse().expect("an address"));
    let mut client = Client { frontend: Some(frontend), source, ..Client::default() };
    let mut exchange = Exchange { backend: Some(backend), ..Exchange::default() };
    exchange.request.start_request(b"GET", b"/", Version::Http11);
    for (name, value) in headers {
        exchange.request.add_header(name.as_bytes(), value.as_bytes());
    }
    let mut scope = Scope {
        shared: &shared,
        worker: 0,
        monotonic_us: 0,
        wall_us: 0,
        stage: Stage::Request,
        proxy: backend,
        client: &mut client,
        exchange: &mut exchange,
        sockets: &Here,
        payload: b"",
        is_payload_complete: true,
        hostname: "",
    };
    crate::policy::captures::request(&mut scope);
    apply(&mut scope);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    exchange.request.headers().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

#[test]
fn forwardfor_of_frontend_and_backend_merge() {
    let ours = "X-Forwarded-For: 192.0.2.7";
    assert_eq!(after("", "", &[]), [""; 0]);
    assert_eq!(after("option forwardfor", "", &[]), [ours]);
    assert_eq!(after("", "option forwardfor", &[("x-forwarded-for", "1.2.3.4")]), ["x-forwarded-for: 1.2.3.4", ours]);
    assert_eq!(after("option forwardfor header X-Client", "", &[]), ["X-Client: 192.0.2.7"]);
    // A backend that asks names the header, if only the usual one.
    assert_eq!(after("option forwardfor header X-Client", "option forwardfor", &[]), [ours]);
    assert_eq!(after("option forwardfor", "option forwardfor header A", &[]), ["A: 192.0.2.7"]);
    for (frontend, backend) in [
        ("option forwardfor except 192.0.2.0/24", "option forwardfor"),
        ("option forwardfor", "option forwardfor except 192.0.2.7"),
    ] {
        assert_eq!(after(frontend, backend, &[]), [""; 0]);
    }
    assert_eq!(after("option forwardfor except 10.0.0.0/8", "", &[]), [ours]);
    let client = [("X-FORWARDED-FOR", "1.2.3.4")];
    assert_eq!(after("option forwardfor if-none", "", &client).len(), 1);
    assert_eq!(after("option forwardfor if-none", "option forwardfor", &client).len(), 2);
    assert_eq!(after("option forwardfor if-none", "", &[]), [ours]);
}

#[test]
fn originalto_is_the_address_that_the_client_wanted() {
    assert_eq!(after("option originalto", "", &[]), ["X-Original-To: 2001:db8::1"]);
    assert_eq!(after("option originalto", "option originalto header D except 2001:db8::/32", &[]), [""; 0]);
}

#[test]
fn forwarded_is_written_as_rfc_7239_wants_it() {
    let host = [("Host", "a.example:80")];
    let value = |options: &str| after("", options, &host).get(1).cloned();
    assert_eq!(value("option forwarded").as_deref(), Some("Forwarded: proto=http;for=192.0.2.7"));
    assert_eq!(
        value("option forwarded host by by_port for for_port proto").as_deref(),
        Some("Forwarded: proto=http;host=\"a.example:80\";by=\"[2001:db8::1]:443\";for=\"192.0.2.7:1234\"")
    );
    assert_eq!(value("option forwarded by").as_deref(), Some("Forwarded: by=\"[2001:db8::1]\""));
    assert_eq!(value("option forwarded;no option forwarded"), None);
}

#[test]
fn requests_get_a_unique_id() {
    let format = "unique-id-format %{+X}o\\ %ci:%cp-%[req.hdr(a)]";
    assert_eq!(after(&format!("{format};unique-id-header X-Id"), "", &[]), ["X-Id: C0000207:04D2-"]);
    assert_eq!(after(&format!("{format};unique-id-header X-Id"), "", &[("A", "b")])[1], "X-Id: C0000207:04D2-b");
    assert_eq!(after(format, "", &[]), [""; 0]);
}
