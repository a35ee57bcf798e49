//! HTTP/1: heads in and out, chunked bodies.

use super::Path;
use super::world::{REQUEST, RESPONSE, read_request};
use ringway::proto::http1::chunked::ChunkedDecoder;
use ringway::proto::http1::exchange_framing::{RequestRules, finish_request, request_framing, response_framing};
use ringway::proto::http1::head::HeadParser;
use ringway::proto::http1::message::Message;
use ringway::proto::http1::response_head::ResponseHeadParser;
use std::hint::black_box;

const SMALL: &[u8] = b"GET /bench/object?id=1 HTTP/1.1\r\nHost: bench.test\r\nAccept: */*\r\n\r\n";

pub fn paths() -> Vec<Path> {
    vec![
        request("http/request head, 3 lines", SMALL),
        request("http/request head, 9 lines", REQUEST),
        response(),
        chunks(),
    ]
}

/// A request from bytes to bytes: read, decided about, made canonical, written.
fn request(name: &'static str, bytes: &'static [u8]) -> Path {
    let (mut parser, mut message, mut output) = (HeadParser::default(), Message::default(), Vec::new());
    Path::new(name, move || {
        parser.restart();
        message.clear();
        output.clear();
        assert_eq!(parser.advance_into(black_box(bytes), &mut message), Ok(Some(bytes.len())));
        let mut framing = request_framing(&mut message, RequestRules::default()).expect("a sound request");
        let (body, keep_alive) = (framing.body, framing.keep_alive);
        finish_request(&mut message, &mut framing, body, keep_alive);
        message.write_to(&mut output);
        black_box(&output);
    })
}

fn response() -> Path {
    let mut request = Message::default();
    read_request(&mut request);
    let asked = request_framing(&mut request, RequestRules::default()).expect("a sound request");
    let (mut parser, mut message, mut output) = (ResponseHeadParser::default(), Message::default(), Vec::new());
    Path::new("http/response head, 8 lines", move || {
        parser.restart();
        message.clear();
        output.clear();
        assert_eq!(parser.advance_into(black_box(RESPONSE), &mut message), Ok(Some(RESPONSE.len())));
        black_box(response_framing(&mut message, &asked).expect("a sound response"));
        message.write_to(&mut output);
        black_box(&output);
    })
}

fn chunks() -> Path {
    let mut body = Vec::new();
    for _ in 0..64 {
        body.extend_from_slice(b"200;name=value\r\n");
        body.extend_from_slice(&[b'c'; 0x200]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    Path::new("http/chunked body, 64 chunks", move || {
        let (mut decoder, mut bytes) = (ChunkedDecoder::default(), 0);
        let taken = decoder.decode(black_box(&body), |part| bytes += part.len());
        assert_eq!((taken.ok(), bytes), (Some(body.len()), 64 * 0x200));
        black_box(decoder.is_done());
    })
}
