//! What HAProxy cannot be asked in one answer: occurrences, waiting, bytes of other protocols.

use super::fixture_tests::Fixture;
use super::{Outcome, Sample, Visited, for_each};
use crate::config::expression::{Place, parse};
use crate::config::model::ServerId;
use crate::policy::exchange::Stage;
use proptest::prelude::*;
use std::ops::ControlFlow;

fn visits(fixture: &mut Fixture, text: &str) -> (Vec<Vec<u8>>, Visited) {
    let expression = parse(text, Place::ANY).unwrap_or_else(|error| panic!("{text}: {error}"));
    fixture.scope(|scope| {
        let mut seen = Vec::new();
        let visited = for_each(&expression, scope, &mut |sample| {
            seen.push(sample.into_text().unwrap_or_default().into_owned());
            if seen.last().is_some_and(|text| text == b"stop") {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        (seen, visited)
    })
}

#[test]
fn every_occurrence_is_visited() {
    let request = b"GET /?a=1&a=2 HTTP/1.1\r\nHost: h\r\nX: p, q\r\nX: stop, r\r\nCookie: c=1; c=2\r\n\r\n";
    let mut fixture = Fixture::new(request);
    let texts = |seen: &[Vec<u8>]| String::from_utf8_lossy(&seen.join(&b'|')).into_owned();
    let (seen, visited) = visits(&mut fixture, "req.hdr(x)");
    assert_eq!((texts(&seen).as_str(), visited.is_stopped), ("p|q|stop", true));
    assert_eq!(texts(&visits(&mut fixture, "req.hdr(x),upper").0), "P|Q|STOP|R");
    assert_eq!(texts(&visits(&mut fixture, "req.fhdr(x)").0), "p, q|stop, r");
    assert_eq!(texts(&visits(&mut fixture, "req.hdr(x,2)").0), "q");
    assert_eq!(texts(&visits(&mut fixture, "cook(c)").0), "1|2");
    assert_eq!(texts(&visits(&mut fixture, "urlp(a)").0), "1|2");
    let (seen, visited) = visits(&mut fixture, "req.hdr(no)");
    assert_eq!((seen.len(), visited), (0, Visited::default()));
}

#[test]
fn more_bytes_may_come() {
    let mut fixture = Fixture::new(b"");
    fixture.is_payload_complete = false;
    assert_eq!(fixture.sample("path"), Outcome::NotYet);
    assert_eq!(fixture.sample("wait_end"), Outcome::NotYet);
    assert!(visits(&mut fixture, "req.len").1.may_change);
    fixture.payload = b"\x00\x03abcde".to_vec();
    assert_eq!(fixture.text("req.len"), b"7");
    assert_eq!(fixture.text("req.payload(2,0)"), b"abcde");
    assert_eq!(fixture.sample("req.payload(2,9)"), Outcome::NotYet);
    assert_eq!(fixture.text("req.payload_lv(0,2)"), b"abc");
    assert_eq!(fixture.text("req.payload_lv(0,2,+1)"), b"bcd");
    assert_eq!(fixture.text("req.payload_lv(0,2,4)"), b"cde");
    assert_eq!(fixture.sample("res.payload(0,1)"), Outcome::Missing);
    fixture.is_payload_complete = true;
    assert_eq!(fixture.sample("req.payload(2,9)"), Outcome::Missing);
    assert_eq!(fixture.sample("wait_end"), Outcome::Found(Sample::Bool(true)));
    assert!(!visits(&mut fixture, "req.len").1.may_change);
}

/// A client hello for `name` that offers h2, without tickets.
fn client_hello(name: &str) -> Vec<u8> {
    let vector = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let entry = [&[0][..], &vector(name.as_bytes())].concat();
    let alpn = vector(b"\x02h2\x08http/1.1");
    let extension = |kind: u16, data: &[u8]| [&kind.to_be_bytes()[..], &vector(data)].concat();
    let extensions = [extension(0, &vector(&entry)), extension(16, &alpn), extension(10, &[0, 2, 0, 29])].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &vector(&[0x13, 1]), &[1, 0], &vector(&extensions)].concat();
    let message = [&[1, 0][..], &vector(&body)].concat();
    [&[0x16, 3, 1][..], &vector(&message)].concat()
}

#[test]
fn a_tls_hello_is_read_in_passing() {
    let mut fixture = Fixture::new(b"");
    let hello = client_hello("mqtt.example.org");
    fixture.is_payload_complete = false;
    for length in 0..hello.len() {
        fixture.payload = hello[..length].to_vec();
        assert_eq!(fixture.sample("req.ssl_sni"), Outcome::NotYet, "{length} bytes");
    }
    fixture.payload = hello;
    assert_eq!(fixture.text("req.ssl_sni"), b"mqtt.example.org");
    assert_eq!(fixture.text("req.ssl_alpn"), b"h2");
    assert_eq!(fixture.text("req_ssl_hello_type"), b"1");
    assert_eq!(fixture.text("req.ssl_ver"), (3 * 65536 + 3).to_string().as_bytes());
    assert_eq!(fixture.text("req.ssl_ec_ext"), b"1");
    assert_eq!(fixture.text("req.ssl_st_ext"), b"0");
    fixture.payload = b"GET / HTTP/1.0\r\n\r\n".to_vec();
    assert_eq!(fixture.sample("req.ssl_sni"), Outcome::Missing);
}

#[test]
fn of_the_response_and_the_server() {
    let mut fixture = Fixture::new(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: k=1\r\n\r\n");
    assert_eq!(fixture.sample("status"), Outcome::Missing);
    let response = &mut fixture.exchange.response;
    response.start_response(crate::proto::http1::head::Version::Http10, 302, b"Found");
    response.add_header(b"Set-Cookie", b"k=v; Path=/; x=y");
    response.add_header(b"Set-Cookie", b"m=n");
    fixture.exchange.server = Some(ServerId(1));
    fixture.exchange.backend = Some(crate::config::model::ProxyId(1));
    fixture.stage = Stage::Response;
    for (text, expected) in [
        ("status", "302"),
        ("res.cook(k)", "v"),
        ("res.cook(x)", ""),
        ("res.cook_cnt", "2"),
        ("hdr(set-cookie)", "m=n"),
        ("cookie(m)", "n"),
        ("res.ver", "1.0"),
        ("res.hdr_names", "Set-Cookie,Set-Cookie"),
        ("srv_name", "s2"),
        ("be_name", "be"),
        ("be_server_timeout", "6000"),
        ("capture.res.ver", "HTTP/1.0"),
        ("method", "GET"),
    ] {
        assert_eq!(String::from_utf8_lossy(&fixture.text(text)), expected, "{text}");
    }
}

#[test]
fn maps_are_looked_up_and_may_change() {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"example.org one\n# no\n10.0.0.0/8  7\n^/(\\w+)/ to-\\1\n").expect("written");
    let name = file.path().display().to_string();
    let ((exact, groups), files) = crate::config::pattern_files_collected(|| {
        let exact = parse(&format!("req.hdr(host),map({name},other)"), Place::ANY);
        (exact.expect("a map"), parse(&format!("path,map_regm({name})"), Place::ANY).expect("a map"))
    });
    let mut config = crate::config::load::load_text("maps.cfg", super::fixture_tests::PROXY).config.expect("loads");
    config.pattern_files = files;
    let mut fixture = Fixture::new(b"GET /ab/c HTTP/1.1\r\nHost: example.org\r\n\r\n");
    fixture.shared = std::rc::Rc::new(std::sync::Arc::new(crate::shared::Shared::new(config.into(), 1, 0, 0)));
    let shared = fixture.shared.clone();
    assert_eq!(shared.pattern_files.len(), 1);
    let mut value = |expression| {
        fixture.scope(|scope| super::fetch_text(expression, scope).map(|text| text.into_owned()).unwrap_or_default())
    };
    assert_eq!(value(&exact), b"one");
    assert_eq!(value(&groups), b"to-ab");
    shared.pattern_files[0].set(b"example.org", b"two").expect("a key");
    assert_eq!(value(&exact), b"two");
    shared.pattern_files[0].clear();
    assert_eq!((value(&exact), value(&groups)), (b"other".to_vec(), Vec::new()));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..200), complete in any::<bool>()) {
        let mut fixture = Fixture::new(b"");
        fixture.is_payload_complete = complete;
        fixture.payload = payload;
        for text in [
            "req.ssl_sni", "req.ssl_alpn", "req.payload(0,0),mqtt_is_valid", "req.payload(0,0),fix_is_valid",
            "req.payload(0,0),mqtt_field_value(connect,username)", "req.payload(0,0),mqtt_field_value(2,31)",
            "req.payload(0,0),fix_tag_value(35)", "req.payload_lv(0,8,-3)", "req.rdp_cookie", "req.proto_http",
            "req.payload(0,0),json(utf8ps)", "req.payload(0,0),json(utf8s)", "req.payload(0,0),json_query('$.a')",
            "req.payload(0,0),url_dec(1)", "req.payload(0,0),word(-2,a,2)", "req.payload(0,0),host_only",
            "req.payload(0,0),language(en)", "req.payload(0,0),b64dec", "req.payload(0,0),ub64dec", "req.ssl_st_ext",
        ] {
            fixture.text(text);
        }
    }

    #[test]
    fn no_numbers_make_it_panic(a in any::<i64>(), b in any::<i64>()) {
        let mut fixture = Fixture::new(b"");
        for step in ["add", "sub", "mul", "div", "mod", "and", "or", "xor"] {
            fixture.text(&format!("int({a}),{step}({b})"));
        }
        for step in ["neg", "http_date", "utime(%Y)", "ltime(%H)", "hex", "htonl,hex"] {
            fixture.text(&format!("int({a}),{step}"));
        }
        fixture.text(&format!("int({a}),http_date({b},us)"));
    }

    #[test]
    fn pieces_lie_within_the_text(
        text in "[a_.]{0,12}", index in prop_oneof![-6i64..0, 1i64..6], count in 0i64..5, skipped in any::<bool>()
    ) {
        if let Some((start, end)) = super::texts::piece(text.as_bytes(), index, b"_.", count, skipped) {
            prop_assert!(start <= end && end <= text.len());
        }
    }
}
