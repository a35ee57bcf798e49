//! `use_backend`, `use-server`, `force-persist` and `ignore-persist` from the lines of a configuration.

use super::*;
use crate::config::load::load_text;
use crate::policy::health::{AdminChange, set_admin};
use crate::policy::sample::fixture_tests::Fixture;
use crate::shared::Shared;
use std::rc::Rc;
use std::sync::Arc;

const SECTIONS: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                        backend static\n server s 127.0.0.1:9\nbackend api\n server a 127.0.0.1:9\n";

/// A `listen` or `frontend` with these lines after the two backends, and one request.
struct Bench {
    fixture: Fixture,
    proxy: ProxyId,
}

impl Bench {
    fn new(section: &str, request: &str) -> Bench {
        let loaded = load_text("switching.cfg", &format!("{SECTIONS}{section}\n"));
        let config = loaded.config.unwrap_or_else(|| panic!("{section}: {:?}", loaded.diagnostics));
        let proxy = config.proxy_ids().last().expect("a proxy");
        let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, 0)));
        crate::policy::health::start(&shared, 0);
        let mut fixture = Fixture { shared, ..Fixture::new(request.as_bytes()) };
        fixture.client.frontend = Some(proxy);
        Bench { fixture, proxy }
    }

    fn ask<T>(&mut self, with: impl FnOnce(&mut Scope) -> T) -> T {
        let proxy = self.proxy;
        self.fixture.scope_mut(|scope| {
            scope.proxy = proxy;
            with(scope)
        })
    }

    fn backend(&mut self) -> String {
        let shared = self.fixture.shared.clone();
        self.ask(choose_backend).map_or("none".to_owned(), |id| shared.config.proxy(id).name.clone())
    }

    fn server(&mut self) -> String {
        let shared = self.fixture.shared.clone();
        self.ask(choose_server).map_or("none".to_owned(), |id| shared.config.server(id).name.clone())
    }

    fn stop(&mut self, name: &str) {
        let shared = self.fixture.shared.clone();
        let server = shared.config.servers.iter().position(|server| server.name == name).expect("the server");
        let server = ServerId(server as u32);
        set_admin(&shared, server, AdminChange::Maint, 1, "by the test").expect("it can be stopped");
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

#[test]
fn the_first_backend_rule_that_applies_decides() {
    let rules = "frontend fe\n bind :1\n use_backend api if { path_beg /api } || { path_beg /v1 }\n \
                 use_backend static if { path_end .gif }\n use_backend %[urlp(be)] if { urlp(be) -m found }\n \
                 use_backend api unless { path_beg / }\n default_backend static";
    for (target, expected) in [
        ("/api/a.gif", "api"),
        ("/v1", "api"),
        ("/x.gif", "static"),
        ("/?be=api", "api"),
        ("/?be=nobody", "static"),
        ("/?be=", "static"),
        ("/", "static"),
    ] {
        assert_eq!(Bench::new(rules, &get(target)).backend(), expected, "{target}");
    }
    let without_default = rules.replace(" default_backend static", "");
    assert_eq!(Bench::new(&without_default, &get("/")).backend(), "none");
    // A rule that names nobody ends the search, in a `listen` with itself.
    let listen = "listen own\n bind :1\n use_backend %[urlp(be)] if { urlp(be) -m found }\n use_backend api\n server o 127.0.0.1:9";
    assert_eq!(Bench::new(listen, &get("/?be=nobody")).backend(), "own");
    assert_eq!(Bench::new(listen, &get("/?be=static")).backend(), "static");
    assert_eq!(Bench::new(listen, &get("/")).backend(), "api");
}

#[test]
fn a_server_rule_is_passed_over_when_its_server_is_down() {
    let rules = "listen own\n bind :1\n use-server one if { path_beg /1 }\n use-server two if { path_beg /1 }\n \
                 use-server %[urlp(s)] if { urlp(s) -m found }\n use-server two unless { path_beg / }\n \
                 force-persist if { req.hdr(x-force) -m found }\n server one 127.0.0.1:9\n server two 127.0.0.1:9";
    let mut bench = Bench::new(rules, &get("/1"));
    assert_eq!(bench.server(), "one");
    bench.stop("one");
    assert_eq!(bench.server(), "two");
    bench.stop("two");
    assert_eq!(bench.server(), "none");
    assert_eq!(Bench::new(rules, &get("/?s=two")).server(), "two");
    assert_eq!(Bench::new(rules, &get("/?s=s")).server(), "none", "another backend's server");
    assert_eq!(Bench::new(rules, &get("/")).server(), "none");
    let mut bench = Bench::new(rules, "GET /1 HTTP/1.1\r\nHost: test\r\nX-Force: 1\r\n\r\n");
    bench.stop("one");
    assert_eq!(bench.server(), "one", "force-persist");
}

#[test]
fn the_first_persistence_rule_that_applies_decides() {
    let rules = "listen own\n bind :1\n cookie ID insert\n ignore-persist if { path_beg /static }\n \
                 force-persist if { path_beg /static /admin }\n ignore-persist unless { path_beg / }\n \
                 server one 127.0.0.1:9 cookie a";
    for (target, expected) in
        [("/static", Persistence::Ignored), ("/admin", Persistence::Forced), ("/", Persistence::Normal)]
    {
        assert_eq!(Bench::new(rules, &get(target)).ask(|scope| persistence(scope)), expected, "{target}");
    }
}
