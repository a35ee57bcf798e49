use super::*;
use crate::config::load::load_text;
use crate::config::model::ProxyId;
use crate::policy::exchange::{Client, Sockets, Stage};
use crate::policy::log_format::Endpoint;
use crate::proto::http1::head::HeadParser;
use crate::proto::http1::response_head::ResponseHeadParser;
use crate::shared::Shared;
use std::rc::Rc;
use std::sync::Arc;

struct NoSockets;

impl Sockets for NoSockets {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn round_trip_us(&self, _: bool) -> Option<(u32, u32)> {
        None
    }
}

/// The first proxy of the file has these lines and leads to the second.
fn shared(lines: &str) -> crate::shared::ThreadShared {
    let text = format!(
        "defaults\nmode http\ntimeout client 1s\ntimeout server 1s\ntimeout connect 1s\nfrontend f\nbind 127.0.0.1:1\n\
         default_backend other\n{lines}\nbackend other\nserver s 127.0.0.1:2\nbackend img\nserver s 127.0.0.1:3\n"
    );
    let loaded = load_text("t.cfg", &text);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, 0)))
}

fn run_on(exchange: &mut Exchange, lines: &str, stage: Stage) -> OldVerdict {
    let (shared, mut client) = (shared(lines), Client::default());
    let mut scope = Scope {
        shared: &shared,
        worker: 0,
        monotonic_us: 0,
        wall_us: 0,
        stage,
        proxy: ProxyId(0),
        client: &mut client,
        exchange,
        sockets: &NoSockets,
        payload: &[],
        is_payload_complete: true,
        hostname: "h",
    };
    if stage == Stage::Request { request(&mut scope) } else { response(&mut scope) }
}

const HEAD: &str = "GET /img/a.png HTTP/1.1\r\nHost: img.example\r\nCookie: a=1\r\nX-Real: 7\r\n\r\n";

/// The head after the rules, its lines joined by `|`, or the verdict.
fn requested(lines: &str) -> Result<String, OldVerdict> {
    let mut exchange = Exchange::default();
    HeadParser::default().advance_into(HEAD.as_bytes(), &mut exchange.request).unwrap().unwrap();
    match run_on(&mut exchange, lines, Stage::Request) {
        OldVerdict::Continue => Ok(lines_of(&exchange.request)),
        verdict => Err(verdict),
    }
}

fn responded(lines: &str, head: &str) -> Result<String, OldVerdict> {
    let mut exchange = Exchange::default();
    ResponseHeadParser::default().advance_into(head.as_bytes(), &mut exchange.response).unwrap().unwrap();
    match run_on(&mut exchange, lines, Stage::Response) {
        OldVerdict::Continue => Ok(lines_of(&exchange.response)),
        verdict => Err(verdict),
    }
}

fn lines_of(message: &Message) -> String {
    let mut text = Vec::new();
    message.write_to(&mut text);
    String::from_utf8(text).unwrap().trim_end().replace("\r\n", "|")
}

fn verdict(lines: &str) -> OldVerdict {
    requested(lines).err().unwrap_or(OldVerdict::Continue)
}

#[test]
fn lines_are_replaced_whole() {
    let line = |lines: &str| requested(lines).unwrap();
    assert_eq!(
        line(r"reqrep ^([^\ ]*)\ /img/(.*) \1\ /\2"),
        "GET /a.png HTTP/1.1|Host: img.example|Cookie: a=1|X-Real: 7"
    );
    assert_eq!(
        line(r"reqirep ^host:\ img Host:\ www"),
        "GET /img/a.png HTTP/1.1|Host: www|Cookie: a=1|X-Real: 7",
        "the whole line, not only what was found"
    );
    assert_eq!(line(r"reqrep ^host:\ img Host:\ www"), HEAD.trim_end().replace("\r\n", "|"), "case counts");
    assert_eq!(
        line(r"reqrep ^.*a.*$ \0"),
        HEAD.trim_end().replace("\r\n", "|"),
        "found in the first line, which stays what it was: headers are not searched"
    );
    assert_eq!(
        line(r"reqrep ^(X-Real:.*) \1\nX-More:\ 1"),
        "GET /img/a.png HTTP/1.1|Host: img.example|Cookie: a=1|X-Real: 7|X-More: 1"
    );
}

#[test]
fn no_rule_makes_a_message_that_is_none() {
    for lines in [
        r"reqrep ^GET.* GET\ /\ x\ HTTP/1.1",
        r"reqrep ^GET.* GET\ /",
        r"reqrep ^GET.* nothing",
        r"reqrep ^GET(.*)HTTP/1.1 GET\1HTTP/2.0",
        r"reqrep ^Host.* nothing",
        r"reqrep ^Host.* Ho\ st:\ x",
        r"reqrep ^Host.* A:\ b\n\nGET\ /\ HTTP/1.1",
        r"reqrep ^GET(.*) GET\1\nevil",
    ] {
        assert_eq!(verdict(lines), OldVerdict::BadRequest, "{lines}");
    }
    assert_eq!(responded(r"rsprep ^HTTP.* HTTP/1.1\ 20", "HTTP/1.1 200 OK\r\n\r\n"), Err(OldVerdict::BadRequest));
}

#[test]
fn headers_go_and_come() {
    assert_eq!(requested("reqidel ^(cookie|x-)").unwrap(), "GET /img/a.png HTTP/1.1|Host: img.example");
    assert_eq!(requested("reqdel .").unwrap(), "GET /img/a.png HTTP/1.1", "the first line stays");
    assert_eq!(
        requested("reqadd A:\\ b\nreqdel ^A:").unwrap(),
        format!("{}|A: b", HEAD.trim_end().replace("\r\n", "|")),
        "headers are added when all rules have run"
    );
}

#[test]
fn verdicts_stop_rules_as_they_did() {
    use OldVerdict::{Continue, Deny, Tarpit};
    assert_eq!(verdict(r"reqdeny ^Host:\ img"), Deny);
    assert_eq!(verdict(r"reqdeny ^GET\ /img"), Deny);
    assert_eq!(verdict("reqideny ^host:"), Deny);
    assert_eq!(verdict("reqdeny ^host:"), Continue);
    assert_eq!(verdict("reqtarpit ^Cookie:.*a=1"), Tarpit);
    assert_eq!(verdict("reqallow ^Cookie\nreqdeny ^Host\nreqtarpit ."), Continue);
    assert_eq!(verdict("reqdeny ^Host\nreqallow ."), Deny);
    assert_eq!(verdict("reqpass ^Cookie\nreqdeny ."), Continue);
    assert_eq!(verdict("reqpass ^Absent\nreqitarpit ."), Tarpit);
    assert!(requested("reqallow .\nreqdel ^Cookie").is_ok_and(|lines| !lines.contains("Cookie")), "only denials");
}

#[test]
fn the_first_reqsetbe_decides() {
    let mut exchange = Exchange::default();
    HeadParser::default().advance_into(HEAD.as_bytes(), &mut exchange.request).unwrap().unwrap();
    let lines = "reqisetbe ^host:\\ (img|css) img\nreqsetbe . other\nreqadd A:\\ b";
    assert_eq!(run_on(&mut exchange, lines, Stage::Request), OldVerdict::Continue);
    assert_eq!(exchange.backend, Some(ProxyId(2)));
    assert_eq!(exchange.request.value(b"A"), Some(&b"b"[..]));
}

#[test]
fn responses() {
    let head = "HTTP/1.1 200 OK\r\nServer: x/1\r\nSet-Cookie: a=b\r\n\r\n";
    assert_eq!(
        responded("rspidel ^server:\nrsprep ^(Set-Cookie:.*) \\1;\\ Secure\nrspadd X:\\ y", head).unwrap(),
        "HTTP/1.1 200 OK|Set-Cookie: a=b; Secure|X: y"
    );
    assert_eq!(
        responded("rspirep ^http/1.1\\ 200.* HTTP/1.1\\ 404\\ None", head).unwrap().split('|').next(),
        Some("HTTP/1.1 404 None")
    );
    assert_eq!(responded("rspideny ^set-cookie", head), Err(OldVerdict::Deny));
    assert_eq!(responded("rspadd X:\\ y", "HTTP/1.1 103 Early\r\n\r\n").unwrap(), "HTTP/1.1 103 Early");
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "reqrep a",
        "reqrep ( b",
        "reqrep a b\\",
        "reqrep a b\\xz1",
        "reqadd nothing",
        "reqadd",
        "reqdel",
        "reqsetbe a",
        "reqsetbe a nowhere",
        "reqdeny a b",
        "reqdeny a if nosuchacl",
        "rspadd :x",
        "rspdel [",
    ] {
        let text = format!(
            "frontend f\nmode http\nbind 127.0.0.1:1\ndefault_backend b\n{line}\nbackend b\nmode http\nserver s 127.0.0.1:2\n"
        );
        assert!(load_text("t.cfg", &text).config.is_none(), "{line}");
    }
}
