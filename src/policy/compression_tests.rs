use super::*;
use crate::config::load::load_text;
use crate::config::model::{Config, ProxyId};
use crate::policy::exchange::{Client, Sockets, Stage};
use crate::policy::log_format::Endpoint;
use crate::shared::{Shared, ThreadShared};
use CompressionAlgorithm::*;
use proptest::prelude::*;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

struct Nowhere;

impl Sockets for Nowhere {
    fn frontend_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn source_address(&self) -> Endpoint {
        Endpoint::None
    }
    fn round_trip_us(&self, _of_server: bool) -> Option<(u32, u32)> {
        None
    }
}

fn config(lines: &str) -> Config {
    let text = format!("listen l\n mode http\n bind :1\n {}\n", lines.replace(';', "\n "));
    let loaded = load_text("t.cfg", &text);
    loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

/// The response's headers after a request with `accepted` was answered with `headers`; and whether it is compressed.
fn answered(lines: &str, accepted: &str, status: u16, headers: &[(&str, &str)]) -> (bool, Vec<String>, Exchange) {
    let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config(lines)), 1, 1, 1)));
    let mut client = Client { frontend: Some(ProxyId(0)), ..Client::default() };
    let mut exchange = Exchange { backend: Some(ProxyId(0)), ..Exchange::default() };
    exchange.request.start_request(b"GET", b"/", Version::Http11);
    exchange.request.add_header(b"Accept-Encoding", accepted.as_bytes());
    exchange.response.start_response(Version::Http11, status, b"OK");
    exchange.response_content_length = Some(1000);
    for (name, value) in headers {
        exchange.response.add_header(name.as_bytes(), value.as_bytes());
    }
    let mut scope = Scope {
        shared: &shared,
        worker: 0,
        monotonic_us: 0,
        wall_us: 0,
        stage: Stage::Request,
        proxy: ProxyId(0),
        client: &mut client,
        exchange: &mut exchange,
        sockets: &Nowhere,
        payload: b"",
        is_payload_complete: true,
        hostname: "",
    };
    read_request(&mut scope);
    let is_compressed = Compressor::begin(&mut scope).is_some();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let lines = exchange.response.headers().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
    (is_compressed, lines, exchange)
}

#[test]
fn what_the_client_likes_best_is_chosen() {
    let choice = |accepted: &'static str| choose(&[Gzip, RawDeflate], [accepted.as_bytes()].into_iter());
    assert_eq!(choice("gzip, deflate, br"), Some(Gzip));
    assert_eq!(choice("deflate, gzip"), Some(RawDeflate));
    assert_eq!(choice("deflate;q=0.5, GZIP ; q=0.51"), Some(Gzip));
    assert_eq!(choice("gzip;q=0"), None);
    assert_eq!(choice("gzip;q=0.000, *;q=0.1"), Some(Gzip));
    assert_eq!(choice("br"), None);
    assert_eq!(choice("gzipped"), None);
    assert_eq!((quality(b";x=1;q=0.123"), quality(b";q=7"), quality(b";q="), quality(b"")), (123, 1000, 0, 1000));
}

#[test]
fn old_browsers_get_it_plain() {
    assert!(is_old_agent(b"Mozilla/4.08 [en] (X11)"));
    assert!(is_old_agent(b"Mozilla/4.0 (compatible; MSIE 5.5; Windows NT 5.0)"));
    assert!(is_old_agent(b"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"));
    assert!(!is_old_agent(b"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)"));
    assert!(!is_old_agent(b"Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)"));
    assert!(!is_old_agent(b"Mozilla/5.0 (X11; Linux)") && !is_old_agent(b""));
}

#[test]
fn the_head_of_a_compressed_response_says_so() {
    let (is_compressed, lines, _) =
        answered("compression algo gzip", "gzip", 200, &[("ETag", "\"a\""), ("Content-Type", "text/html")]);
    assert!(is_compressed);
    assert_eq!(lines, ["ETag: W/\"a\"", "Content-Type: text/html", "Content-Encoding: gzip", "Vary: Accept-Encoding"]);
}

#[test]
fn what_must_not_be_compressed_is_not() {
    let lines = "compression algo gzip;compression type text/html application/json";
    let html = ("Content-Type", "Text/HTML; charset=utf-8");
    assert!(answered(lines, "gzip", 200, &[html]).0);
    assert!(answered(lines, "gzip", 203, &[("Content-Type", "application/json")]).0);
    /// Name, status and headers of a response.
    type Other<'a> = (&'a str, u16, &'a [(&'a str, &'a str)]);
    let others: &[Other] = &[
        ("br", 200, &[html]),
        ("gzip", 206, &[html]),
        ("gzip", 404, &[html]),
        ("gzip", 200, &[]),
        ("gzip", 200, &[("Content-Type", "image/png")]),
        ("gzip", 200, &[html, ("Content-Encoding", "br")]),
        ("gzip", 200, &[html, ("Cache-Control", "public, No-Transform")]),
        ("gzip", 200, &[html, ("ETag", "a")]),
        ("gzip", 200, &[html, ("ETag", "\"a\""), ("ETag", "\"b\"")]),
    ];
    for (accepted, status, headers) in others {
        assert!(!answered(lines, accepted, *status, headers).0, "{accepted} {status} {headers:?}");
    }
    assert!(!answered("compression algo gzip", "gzip", 200, &[("Content-Type", "multipart/mixed")]).0);
    assert!(!answered("compression algo gzip;compression minsize-res 1001", "gzip", 200, &[]).0);
    assert!(answered("compression algo gzip;compression minsize-res 1000", "gzip", 200, &[]).0);
    assert!(!answered("compression algo identity", "gzip", 200, &[]).0);
    assert!(!answered("compression offload", "gzip", 200, &[]).0);
}

#[test]
fn offload_hides_it_from_the_server() {
    let accepted = |lines: &str, accepted| answered(lines, accepted, 200, &[]).2.request.has(b"accept-encoding");
    assert!(accepted("compression algo gzip", "gzip"));
    assert!(!accepted("compression algo gzip;compression offload", "gzip"));
    assert!(accepted("compression algo gzip;compression offload", "br"));
}

fn decoded(algorithm: CompressionAlgorithm, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    match algorithm {
        Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut data)?,
        Deflate => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut data)?,
        _ => flate2::read::DeflateDecoder::new(bytes).read_to_end(&mut data)?,
    };
    Ok(data)
}

fn global() -> crate::config::model::Global {
    config("").global
}

#[test]
fn what_is_pushed_can_be_read_at_once() {
    let mut compressor = Compressor::new(RawDeflate, &global()).expect("memory");
    let mut output = Vec::new();
    compressor.push(b"first", &mut output);
    let mut first = [0; 5];
    flate2::read::DeflateDecoder::new(&output[..]).read_exact(&mut first).expect("all of it");
    assert_eq!(&first, b"first");
}

#[test]
fn large_bodies_of_zeros_and_of_noise_come_back() {
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(300_000)
    .collect();
    for data in [vec![0; 3_000_000], noise] {
        for algorithm in [Gzip, Deflate, RawDeflate] {
            let mut compressor = Compressor::new(algorithm, &global()).expect("memory");
            let mut output = Vec::new();
            data.chunks(70_000).for_each(|piece| compressor.push(piece, &mut output));
            compressor.finish(&mut output);
            assert!(decoded(algorithm, &output).expect("a good stream") == data, "{algorithm:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pieces_come_back_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        for algorithm in [Gzip, Deflate, RawDeflate] {
            let mut compressor = Compressor::new(algorithm, &global()).expect("memory");
            let mut output = Vec::new();
            pieces.iter().for_each(|piece| compressor.push(piece, &mut output));
            compressor.finish(&mut output);
            prop_assert_eq!(decoded(algorithm, &output).expect("a good stream"), pieces.concat());
        }
    }

    #[test]
    fn no_header_panics(text in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = (choose(&[Gzip], [&text[..]].into_iter()), is_old_agent(&text), is_entity_tag(&text));
        let _ = (quality(&text), has_type(Some(&text), &["text/html".to_owned()]));
    }
}
