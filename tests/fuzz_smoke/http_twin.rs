//! A second reader of the same bytes: whatever our strict reader and `httparse` both accept, they must understand alike.
//! What only one of them accepts is no finding, apart from what is said below.

use httparse::{EMPTY_HEADER, Header, Status};
use ringway::proto::http1::chunked::{ChunkedDecoder, Piece};
use ringway::proto::http1::exchange_framing::{
    Body, RequestFraming, RequestRules, ResponseFraming, request_framing, response_framing,
};
use ringway::proto::http1::head::{HeadLimits, HeadParser, Version};
use ringway::proto::http1::message::Message;
use ringway::proto::http1::response_head::ResponseHeadParser;

const HEADERS_MAX: usize = 64;

fn limits() -> HeadLimits {
    HeadLimits { head_bytes_max: 1 << 16, headers_max: HEADERS_MAX }
}

/// All values of one header; a naive search.
fn values<'a>(headers: &'a [Header<'a>], name: &str) -> Vec<&'a [u8]> {
    headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value).collect()
}

/// Where a body ends by the twin's headers, read naively (RFC 9112 section 6.3); `None`: they do not say one thing.
fn twin_body(headers: &[Header]) -> Option<Body> {
    let codings = values(headers, "transfer-encoding");
    let lengths = values(headers, "content-length");
    let mut numbers = Vec::new();
    for value in &lengths {
        for item in std::str::from_utf8(value).ok()?.split(',') {
            let item = item.trim_matches([' ', '\t']);
            let digits = !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit());
            numbers.push(digits.then(|| item.parse::<u64>().ok()).flatten()?);
        }
    }
    match (codings.as_slice(), numbers.as_slice()) {
        ([], []) => Some(Body::None),
        ([], [first, rest @ ..]) => rest.iter().all(|number| number == first).then_some(Body::Length(*first)),
        ([coding], _) => coding.eq_ignore_ascii_case(b"chunked").then_some(Body::Chunked),
        _ => None,
    }
}

fn assert_same_headers(bytes: &[u8], ours: &Message, theirs: &[Header]) {
    let ours: Vec<(&[u8], &[u8])> = ours.headers().collect();
    let trimmed = |value: &'_ [u8]| String::from_utf8_lossy(value).trim_matches([' ', '\t']).to_string();
    assert_eq!(ours.len(), theirs.len(), "{}", bytes.escape_ascii());
    for ((name, value), header) in ours.iter().zip(theirs) {
        assert_eq!(*name, header.name.as_bytes(), "{}", bytes.escape_ascii());
        assert_eq!(String::from_utf8_lossy(value), trimmed(header.value), "{}", bytes.escape_ascii());
    }
}

fn minor(version: Version) -> u8 {
    match version {
        Version::Http10 => 0,
        Version::Http11 => 1,
    }
}

/// A request, by both readers.
pub fn http1_request_twin(bytes: &[u8]) {
    let mut message = Message::default();
    let Ok(Some(length)) = HeadParser::new(limits()).advance_into(bytes, &mut message) else { return };
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut twin = httparse::Request::new(&mut headers);
    let Ok(Status::Complete(twin_length)) = twin.parse(bytes) else { return };
    assert_eq!(length, twin_length, "where the head ends: {}", bytes.escape_ascii());
    assert_eq!(Some(message.method()), twin.method.map(str::as_bytes), "{}", bytes.escape_ascii());
    assert_eq!(Some(message.target()), twin.path.map(str::as_bytes), "{}", bytes.escape_ascii());
    assert_eq!(Some(minor(message.version())), twin.version, "{}", bytes.escape_ascii());
    assert_same_headers(bytes, &message, twin.headers);
    if let Ok(framing) = request_framing(&mut message, RequestRules::default()) {
        check_request_framing(bytes, &framing, &message, twin.headers);
    }
}

/// What we accept has one length by the twin's headers, too, and what goes on says so.
fn check_request_framing(bytes: &[u8], framing: &RequestFraming, message: &Message, headers: &[Header]) {
    let body = twin_body(headers);
    let expected = if framing.is_connect { body.map(|_| Body::None) } else { body };
    assert_eq!(Some(framing.body), expected, "{}", bytes.escape_ascii());
    let hosts = values(headers, "host");
    assert!(hosts.len() <= 1, "{}", bytes.escape_ascii());
    assert_eq!(message.value(b"host"), hosts.first().copied(), "{}", bytes.escape_ascii());
    let both = !values(headers, "transfer-encoding").is_empty() && !values(headers, "content-length").is_empty();
    assert!(!both, "two framings passed: {}", bytes.escape_ascii());
}

/// A response to GET, by both readers.
pub fn http1_response_twin(bytes: &[u8]) {
    let mut message = Message::default();
    let Ok(Some(length)) = ResponseHeadParser::new(limits()).advance_into(bytes, &mut message) else { return };
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut twin = httparse::Response::new(&mut headers);
    let Ok(Status::Complete(twin_length)) = twin.parse(bytes) else { return };
    assert_eq!(length, twin_length, "where the head ends: {}", bytes.escape_ascii());
    assert_eq!(Some(message.status()), twin.code, "{}", bytes.escape_ascii());
    assert_eq!(Some(minor(message.version())), twin.version, "{}", bytes.escape_ascii());
    assert_same_headers(bytes, &message, twin.headers);
    let asked = RequestFraming { keep_alive: true, ..RequestFraming::default() };
    if let Ok(ResponseFraming { body, .. }) = response_framing(&mut message, &asked) {
        let is_bodiless = matches!(message.status(), 100..200 | 204 | 304);
        let expected = match twin_body(twin.headers) {
            Some(_) if is_bodiless => Some(Body::None),
            Some(Body::None) => Some(Body::UntilClose),
            other => other,
        };
        assert_eq!(Some(body), expected, "{}", bytes.escape_ascii());
    }
}

/// The line before a chunk's data: what we take for a size is one for the twin, and the same.
pub fn http1_chunk_twin(bytes: &[u8]) {
    let mut decoder = ChunkedDecoder::default();
    let Ok((Piece::Data(range), _)) = decoder.next_piece(bytes) else { return };
    match httparse::parse_chunk_size(bytes) {
        Ok(Status::Complete((start, size))) => {
            assert_eq!(start, range.start, "{}", bytes.escape_ascii());
            let here = (bytes.len() - start) as u64;
            assert_eq!(size.min(here), range.len() as u64, "{}", bytes.escape_ascii());
        }
        // It knows fewer bytes in extensions than RFC 9110 allows in quoted strings.
        other => assert!(bytes[..range.start].contains(&b';'), "{other:?}: {}", bytes.escape_ascii()),
    }
}
