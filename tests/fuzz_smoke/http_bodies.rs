//! What the fuzz targets of HTTP do with their bytes: nothing panics, nothing depends on how the bytes were cut, and
//! what is written is read as the same message again.

use ringway::config::load::load_text_with;
use ringway::config::names::NoNames;
use ringway::policy::cookie::{Selection, read_request, write_response};
use ringway::policy::exchange::{Client, Exchange, Scope, Sockets, Stage};
use ringway::policy::log_format::Endpoint;
use ringway::proto::http1::chunked::{CHUNK_END, ChunkedDecoder, write_chunk_start, write_last_chunk};
use ringway::proto::http1::exchange_framing::{
    RequestFraming, RequestRules, finish_request, finish_response, request_framing, response_framing,
};
use ringway::proto::http1::head::{HeadLimits, HeadParser};
use ringway::proto::http1::message::Message;
use ringway::proto::http1::response_head::ResponseHeadParser;
use ringway::shared::{Shared, ThreadShared};
use std::rc::Rc;
use std::sync::Arc;

fn limits() -> HeadLimits {
    HeadLimits { head_bytes_max: 2048, headers_max: 20 }
}

fn written(message: &Message) -> Vec<u8> {
    let mut output = Vec::new();
    message.write_to(&mut output);
    output
}

/// Gives `parse` the bytes at once, then byte by byte; both must come out the same.
fn read_both_ways<T: std::fmt::Debug>(bytes: &[u8], mut parse: impl FnMut(&[u8], bool) -> Option<T>) -> Option<T> {
    let whole = parse(bytes, true);
    let mut cut = parse(&[], true);
    for end in 1..=bytes.len() {
        if cut.is_some() {
            break;
        }
        cut = parse(&bytes[..end], false);
    }
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"), "whole against byte by byte: {}", bytes.escape_ascii());
    whole
}

/// A request head as it goes on to a server, and what was decided about it.
fn forward_request(bytes: &[u8], rules: RequestRules) -> Option<(Vec<u8>, RequestFraming)> {
    let new = || if rules.accept_invalid { HeadParser::new_lenient(limits()) } else { HeadParser::new(limits()) };
    let mut parser = new();
    let head = read_both_ways(bytes, |bytes, fresh| {
        if fresh {
            parser = new();
        }
        let mut message = Message::default();
        match parser.advance_into(bytes, &mut message) {
            Ok(None) => None,
            done => Some(done.map(|_| written(&message))),
        }
    });
    let head = head?.ok()?;
    let mut message = Message::default();
    // A rewritten head may be longer than what came, so it is read without the limits.
    let roomy = HeadLimits { head_bytes_max: 1 << 20, headers_max: 100 };
    let mut parser = if rules.accept_invalid { HeadParser::new_lenient(roomy) } else { HeadParser::new(roomy) };
    let again = parser.advance_into(&head, &mut message);
    assert_eq!(again, Ok(Some(head.len())), "what is written is a head: {}", head.escape_ascii());
    assert_eq!(written(&message), head, "and the same one");
    let mut framing = request_framing(&mut message, rules).ok()?;
    let (body, keep_alive) = (framing.body, framing.keep_alive);
    framing.keep_alive = finish_request(&mut message, &mut framing, body, keep_alive);
    Some((written(&message), framing))
}

/// A request head, strict and lenient: what goes on is decided about in the same way by who reads it next.
pub fn http1_request(bytes: &[u8]) {
    for accept_invalid in [false, true] {
        let rules = RequestRules { accept_invalid, use_proxy_header: false };
        let Some((first, framing)) = forward_request(bytes, rules) else { continue };
        if first.len() > limits().head_bytes_max {
            continue;
        }
        let again = forward_request(&first, rules).expect("what goes on is a request");
        assert_eq!((first.escape_ascii().to_string(), framing), (again.0.escape_ascii().to_string(), again.1));
    }
}

/// A response head, for each kind of request it may answer.
pub fn http1_response(bytes: &[u8]) {
    let mut parser = ResponseHeadParser::new(limits());
    let head = read_both_ways(bytes, |bytes, fresh| {
        if fresh {
            parser = ResponseHeadParser::new(limits());
        }
        let mut message = Message::default();
        match parser.advance_into(bytes, &mut message) {
            Ok(None) => None,
            done => Some(done.map(|length| (written(&message), length))),
        }
    });
    let Some(Ok((head, _))) = head else { return };
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
    ] {
        let mut message = Message::default();
        HeadParser::default().advance_into(request.as_bytes(), &mut message).expect("a request");
        let request = request_framing(&mut message, RequestRules::default()).expect("a sound request");
        let pass = |head: &[u8]| {
            let mut message = Message::default();
            let mut parser = ResponseHeadParser::new(HeadLimits { head_bytes_max: 1 << 20, headers_max: 100 });
            assert_eq!(parser.advance_into(head, &mut message), Ok(Some(head.len())), "{}", head.escape_ascii());
            let framing = response_framing(&mut message, &request).ok()?;
            finish_response(&mut message, &request, framing.sent, framing.keep_alive);
            Some((written(&message), framing.sent))
        };
        if let Some(first) = pass(&head) {
            let again = pass(&first.0).expect("what goes on is a response");
            assert_eq!(first.1, again.1, "{}", first.0.escape_ascii());
            assert_eq!(first.0.escape_ascii().to_string(), again.0.escape_ascii().to_string());
        }
    }
}

/// The data and trailers of a chunked body, how many bytes it took, whether it ended; and the same body written anew.
#[derive(Debug, PartialEq, Eq)]
struct Chunked {
    data: Vec<u8>,
    trailers: Vec<u8>,
    taken: usize,
    is_done: bool,
    written: Vec<u8>,
}

fn read_chunks<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Chunked> {
    let (mut decoder, mut data, mut taken, mut written) = (ChunkedDecoder::default(), Vec::new(), 0, Vec::new());
    for piece in pieces {
        let decoded = decoder.decode(piece, |part| {
            data.extend_from_slice(part);
            write_chunk_start(part.len(), &mut written);
            written.extend_from_slice(part);
            written.extend_from_slice(CHUNK_END);
        });
        taken += decoded.ok()?;
    }
    if decoder.is_done() {
        write_last_chunk(decoder.trailers(), &mut written);
    }
    Some(Chunked { data, trailers: decoder.trailers().to_vec(), taken, is_done: decoder.is_done(), written })
}

/// A chunked body.
pub fn http1_chunked(bytes: &[u8]) {
    let whole = read_chunks(std::iter::once(bytes));
    let cut = read_chunks(bytes.chunks(1));
    let facts = |chunked: &Option<Chunked>| {
        chunked.as_ref().map(|it| (it.data.clone(), it.trailers.clone(), it.taken, it.is_done))
    };
    assert_eq!(facts(&whole), facts(&cut), "whole against byte by byte: {}", bytes.escape_ascii());
    for chunked in [whole, cut].into_iter().flatten().filter(|chunked| chunked.is_done) {
        let again = read_chunks(std::iter::once(&chunked.written[..])).expect("what is written is a chunked body");
        assert_eq!((&again.data, &again.trailers), (&chunked.data, &chunked.trailers));
        assert_eq!((again.taken, again.is_done), (chunked.written.len(), true));
        assert_eq!(again.written, chunked.written);
    }
}

/// An `acl` line and a condition that uses it: they are read, or refused with a word.
pub fn acl(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes).replace(['\n', '\r', '\0'], " ");
    // No file of this machine is read: `-f` may name anything.
    let line = line.replace("-f", "-i");
    for rule in [format!("acl a {line}\n http-request deny if a"), format!("http-request deny if {line}")] {
        let text = format!(
            "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nfrontend f\n \
             bind 127.0.0.1:1\n {rule}\n default_backend b\nbackend b\n server s 127.0.0.1:2\n"
        );
        let loaded = load_text_with("fuzz.cfg", &text, &NoNames);
        assert!(loaded.config.is_some() || loaded.diagnostics.has_errors(), "refused without a word: {text:?}");
    }
}

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

/// The forms of `cookie` that rewrite.
const COOKIES: [&str; 4] = [
    "cookie SRV prefix",
    "cookie SRV insert indirect nocache maxidle 10s",
    "cookie SRV rewrite",
    "cookie SRV insert preserve",
];

thread_local! {
    static PERSISTENT: Vec<ThreadShared> = COOKIES.iter().map(|cookie| {
        let text = format!(
            "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\nlisten l\n \
             bind 127.0.0.1:1\n {cookie}\n server a 127.0.0.1:2 cookie one\n server b 127.0.0.1:3 cookie two\n"
        );
        let config = load_text_with("cookie.cfg", &text, &NoNames).config.expect("the lines are right");
        Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, 0)))
    }).collect();
}

/// Cookie lines (the first byte chooses the settings) on their way to a server and back.
pub fn cookies(bytes: &[u8]) {
    let Some((choice, value)) = bytes.split_first() else { return };
    let shared = PERSISTENT.with(|all| all[usize::from(*choice) % all.len()].clone());
    let id = shared.config.proxy_ids().next().expect("one proxy");
    let server = shared.config.proxy(id).backend.as_ref().and_then(|backend| backend.servers.first().copied());
    let mut exchange = Exchange { backend: Some(id), server, ..Exchange::default() };
    let mut lines = value.splitn(2, |byte| *byte == 0xff);
    let request = [b"GET / HTTP/1.1\r\nHost: a\r\nCookie: ", lines.next().unwrap_or_default(), b"\r\n\r\n"].concat();
    let response = [b"HTTP/1.1 200 OK\r\nSet-Cookie: ", lines.next().unwrap_or_default(), b"\r\n\r\n"].concat();
    let is_request = HeadParser::default().advance_into(&request, &mut exchange.request);
    let is_response = ResponseHeadParser::default().advance_into(&response, &mut exchange.response);
    if !matches!((is_request, is_response), (Ok(Some(_)), Ok(Some(_)))) {
        return;
    }
    let mut client = Client { frontend: Some(id), ..Client::default() };
    let mut scope = Scope {
        shared: &shared,
        worker: 0,
        monotonic_us: 1,
        wall_us: 1_700_000_000_000_000,
        stage: Stage::Request,
        proxy: id,
        client: &mut client,
        exchange: &mut exchange,
        sockets: &NoSockets,
        payload: &[],
        is_payload_complete: true,
        hostname: "h",
    };
    read_request(&mut scope, Selection::default());
    scope.stage = Stage::Response;
    write_response(&mut scope);
    let mut message = Message::default();
    // A header more than came may be one over the limit, which is for what comes.
    let roomy = HeadLimits { head_bytes_max: 1 << 20, headers_max: 200 };
    let head = written(&exchange.request);
    assert_eq!(
        HeadParser::new(roomy).advance_into(&head, &mut message),
        Ok(Some(head.len())),
        "{}",
        head.escape_ascii()
    );
    assert_eq!(written(&message), head, "the request reads as it was written");
    assert_eq!(message.values(b"host").count(), 1);
    let head = written(&exchange.response);
    let mut parser = ResponseHeadParser::new(roomy);
    assert_eq!(parser.advance_into(&head, &mut message), Ok(Some(head.len())), "{}", head.escape_ascii());
    assert_eq!(written(&message), head, "the response reads as it was written");
}
