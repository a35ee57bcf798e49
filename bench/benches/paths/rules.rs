//! Conditions, rules and log lines.

use super::Path;
use super::world::{World, read_request};
use ringway::config::model::{ProxyId, ServerId};
use ringway::policy::exchange::Stage;
use ringway::policy::http_rules::{self, RequestVerdict};
use ringway::policy::{log_facts, switching};
use std::hint::black_box;

const DEFAULTS: &str =
    "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n log 127.0.0.1:1 local0\n";
const BACKENDS: &str = "backend one\n server s 127.0.0.1:2\nbackend two\n server t 127.0.0.1:3\n";

pub fn paths() -> Vec<Path> {
    vec![hosts(), files_and_expressions(), edits(), log("log/httplog", "option httplog"), log("log/log-format", FORMAT)]
}

/// A log format with samples in it, as people write them.
const FORMAT: &str = "capture request header Host len 40\n capture request header User-Agent len 128\n \
    log-format \"%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %tsc %hr %{+Q}r %[src] %[capture.req.hdr(0),lower]\"";

/// A frontend that routes by name: the request is for the last of twenty hosts.
fn hosts() -> Path {
    let mut text = format!("{DEFAULTS}frontend web\n bind 127.0.0.1:1\n default_backend one\n");
    for number in 1..20 {
        text += &format!(" acl host{number} hdr(host) -i host{number}.example.org\n use_backend one if host{number}\n");
    }
    text += " acl www hdr(host) -i www.example.org www.example.com\n use_backend two if www\n";
    let mut world = World::new(&(text + BACKENDS));
    Path::new("acl/use_backend by 20 hosts", move || {
        let backend = world.ask(Stage::Request, switching::choose_backend);
        assert_eq!(black_box(backend), Some(ProxyId(2)));
    })
}

/// Prefixes, suffixes, regular expressions, networks and headers, negated and joined, none of which applies.
fn files_and_expressions() -> Path {
    let suffixes = ".gif .jpg .png .css .woff .woff2 .svg .ico .mp4 .webm";
    let networks = "192.168.0.0/16 172.16.0.0/12 203.0.113.0/24 198.51.100.0/24";
    let text = format!(
        "{DEFAULTS}frontend web\n bind 127.0.0.1:1\n default_backend one\n acl image path_end -i {suffixes}\n \
         acl inner src {networks}\n acl api path_beg /api/ /v1/ /v2/\n acl bot hdr_reg(user-agent) -i (bot|crawl|spider)\n \
         acl logged_in req.cook(session) -m found\n http-request deny if image !logged_in or inner or bot\n \
         http-request deny if api !{{ method GET POST }}\n http-request deny if {{ path_reg ^/admin/[0-9]+ }}\n{BACKENDS}"
    );
    let mut world = World::new(&text);
    Path::new("acl/three rules of many kinds", move || {
        let verdict = world.ask(Stage::Request, |scope| http_rules::request(scope, 0));
        assert!(matches!(black_box(verdict), RequestVerdict::Continue));
    })
}

fn edits() -> Path {
    let text = format!(
        "{DEFAULTS}frontend web\n bind 127.0.0.1:1\n default_backend one\n \
         http-request set-header X-Forwarded-Proto http\n http-request del-header X-Secret\n \
         http-request add-header X-Client %[src]\n http-request set-var(txn.host) req.hdr(host),lower\n \
         http-request replace-path ^/static/(.*) /assets/\\1\n{BACKENDS}"
    );
    let mut world = World::new(&text);
    Path::new("rules/five edits of a request", move || {
        world.exchange.request.clear();
        read_request(&mut world.exchange.request);
        let verdict = world.ask(Stage::Request, |scope| http_rules::request(scope, 0));
        assert!(matches!(verdict, RequestVerdict::Continue));
        black_box(&world.exchange.request);
    })
}

fn log(name: &'static str, lines: &str) -> Path {
    let text = format!("{DEFAULTS}frontend web\n bind 127.0.0.1:1\n default_backend one\n {lines}\n{BACKENDS}");
    let mut world = World::new(&text);
    (world.exchange.backend, world.exchange.server) = (Some(ProxyId(1)), Some(ServerId(0)));
    world.exchange.request_captures = vec![Some(b"www.example.org".to_vec()), Some(b"Mozilla/5.0 (X11)".to_vec())];
    let mut line = Vec::new();
    Path::new(name, move || {
        line.clear();
        let decision = world.ask(Stage::Log, |scope| log_facts::http_line(scope, false, &mut line));
        assert!(line.len() > 100, "{decision:?}");
        black_box(&line);
    })
}
