use super::*;
use proptest::prelude::*;

type Outcome = Result<Option<RequestHead>, RequestError>;

fn parse(input: &[u8]) -> Outcome {
    HeadParser::new(HeadLimits::default()).advance(input)
}

fn parse_byte_by_byte(input: &[u8]) -> Outcome {
    let mut parser = HeadParser::new(HeadLimits::default());
    for end in 0..=input.len() {
        if let done @ (Ok(Some(_)) | Err(_)) = parser.advance(&input[..end]) {
            return done;
        }
    }
    Ok(None)
}

#[test]
fn reads_a_request() {
    let input = b"\r\nGET /a?b HTTP/1.1\r\nHost:  x \t\r\nEmpty:\r\n\r\nrest";
    let head = parse(input).unwrap().unwrap();
    assert_eq!(head.method.of(input), b"GET");
    assert_eq!(head.target.of(input), b"/a?b");
    assert_eq!(head.version_written.of(input), b"HTTP/1.1");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.values("HOST", input).collect::<Vec<_>>(), [b"x"]);
    assert_eq!(head.values("empty", input).collect::<Vec<_>>(), [b""]);
    assert_eq!(head.length_bytes, input.len() - 4);
}

#[test]
fn line_feeds_alone_end_head_lines() {
    let input = b"GET / HTTP/1.0\nA: b\n\n";
    let head = parse(input).unwrap().unwrap();
    assert_eq!(head.values("a", input).collect::<Vec<_>>(), [b"b"]);
}

#[test]
fn what_is_ambiguous_is_refused() {
    let cases: &[&[u8]] = &[
        b"GET /a b HTTP/1.1\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET\t/ HTTP/1.1\r\n",
        b" GET / HTTP/1.1\r\n",
        b"GET /\r\n",
        b"GARBAGE\r\n",
        b"G(T / HTTP/1.1\r\n",
        b"GET s HTTP/1.1\r\n",
        b"GET * HTTP/1.1\r\n",
        b"GET /#x HTTP/1.1\r\n",
        b"GET /\xe9 HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.10\r\n",
        b"GET / http/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET http:/// HTTP/1.1\r\n",
        b"GET http://a,b/ HTTP/1.1\r\n",
        b"GET http://u@h/ HTTP/1.1\r\n",
        b"CONNECT http://a/ HTTP/1.1\r\n",
        b"CONNECT a HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n",
        b"GET / HTTP/1.1\r\n:\r\n",
        b"GET / HTTP/1.1\r\nA : x\r\n",
        b"GET / HTTP/1.1\r\nA\t: x\r\n",
        b"GET / HTTP/1.1\r\n a: x\r\n",
        b"GET / HTTP/1.1\r\nA: x\r\n y\r\n",
        b"GET / HTTP/1.1\r\nA: x\0y\r\n",
        b"GET / HTTP/1.1\r\nA: x\ry\r\n",
        b"GET / HTTP/1.1\r\nA: x\r\r\n",
        b"GET / HTTP/1.1\r\nA: x\x0by\r\n",
        b"GET / HTTP/1.1\r\nnocolon\r\n",
        b"GET / HTTP/1.1\r\nA\xe9: x\r\n",
        b"\x16\x03\x01\x02",
        b"\r\r\n",
        b"\rGET",
    ];
    for case in cases {
        assert_eq!(parse(case), Err(RequestError::Malformed), "{}", case.escape_ascii());
        assert_eq!(parse_byte_by_byte(case), Err(RequestError::Malformed), "{}", case.escape_ascii());
    }
}

#[test]
fn forms_of_targets() {
    for good in ["GET /", "OPTIONS *", "GET http://a:80/x?y", "GET HTTPS://a", "CONNECT a:443", "CONNECT [::1]:1"] {
        assert!(parse(format!("{good} HTTP/1.1\r\n\r\n").as_bytes()).unwrap().is_some(), "{good}");
    }
    assert_eq!(absolute_form_path(b"http://a/stats;csv"), Some(&b"/stats;csv"[..]));
    assert_eq!(absolute_form_path(b"http://a"), Some(&b""[..]));
    assert_eq!(absolute_form_path(b"/x"), None);
}

#[test]
fn limits_hold() {
    let long_target = format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000));
    assert_eq!(parse(long_target.as_bytes()), Err(RequestError::TargetTooLong));
    let long_header = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(20_000));
    assert_eq!(parse(long_header.as_bytes()), Err(RequestError::HeadersTooLarge));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(parse(many.as_bytes()), Err(RequestError::Malformed));
    assert!(parse(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100)).as_bytes()).unwrap().is_some());
    assert_eq!(parse(&b"\r\n".repeat(10_000)), Err(RequestError::Malformed));
    // A name of 255 bytes and more stays what it is (CVE-2021-40346).
    let name = format!("Content-Length0{}", "a".repeat(255));
    let input = format!("GET / HTTP/1.1\r\n{name}: 1\r\n\r\n");
    let head = parse(input.as_bytes()).unwrap().unwrap();
    assert_eq!(head.values("content-length", input.as_bytes()).count(), 0);
    assert_eq!(head.values(&name, input.as_bytes()).count(), 1);
}

#[test]
fn begins_with_the_first_byte_of_a_request_line() {
    let mut parser = HeadParser::default();
    assert!(!parser.has_begun(b""));
    parser.advance(b"\r\n").unwrap();
    assert!(!parser.has_begun(b"\r\n"));
    assert!(parser.has_begun(b"\r\nG"));
}

/// What the lenient parser makes of it, written again.
fn lenient(input: &[u8]) -> Result<Option<String>, RequestError> {
    let mut message = Message::default();
    let done = HeadParser::new_lenient(HeadLimits::default()).advance_into(input, &mut message)?;
    Ok(done.map(|_| written(&message)))
}

fn written(message: &Message) -> String {
    let mut text = Vec::new();
    message.write_to(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_lenient_parser_writes_canonically() {
    let good = [
        ("GET  /a\t HTTP/1.1 \r\nA:1\r\n\r\n", "GET /a HTTP/1.1\r\nA: 1\r\n\r\n"),
        ("GET /a#b HTTP/1.1\r\nA : 1\r\n 2\r\n\r\n", "GET /a#b HTTP/1.1\r\nA: 1   2\r\n\r\n"),
        ("GET /a\r\nEvil: 1\r\n\r\n", "GET /a HTTP/1.0\r\n\r\n"),
        ("GET / HTTP/1.12\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
        ("GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
        ("GET / HTTP/0.9\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"),
        ("PLAY rtsp://a/ RTSP/1.0\r\n\r\n", "PLAY rtsp://a/ RTSP/1.0\r\n\r\n"),
        ("GET http://u@h/ HTTP/1.1\r\n(A): 1\r\n\r\n", "GET http://u@h/ HTTP/1.1\r\n(A): 1\r\n\r\n"),
    ];
    for (input, expected) in good {
        assert_eq!(lenient(input.as_bytes()), Ok(Some(expected.to_owned())), "{input:?}");
    }
    let bad = [
        "POST /a\r\n",
        " GET / HTTP/1.1\r\n",
        "GET / HTTP/1\r\n",
        "GET / HTTP/1.\r\n",
        "GET / http/1.1\r\n",
        "GET foo HTTP/1.1\r\n",
        "G(T / HTTP/1.1\r\n",
        "GET / HTTP/1.1 x\r\n",
        "GET / HTTP/1.1\r\n A: 1\r\n",
        "GET / HTTP/1.1\r\nA B: 1\r\n",
        "GET / HTTP/1.1\r\n: 1\r\n",
        "GET / HTTP/1.1\r\nA: 1\0\r\n",
        "CONNECT / HTTP/1.1\r\n",
    ];
    for input in bad {
        assert_eq!(lenient(input.as_bytes()), Err(RequestError::Malformed), "{input:?}");
    }
}

#[test]
fn one_message_takes_many_requests() {
    let (mut message, mut parser) = (Message::default(), HeadParser::default());
    let input = b"\r\nGET /1 HTTP/1.1\r\nA: b\r\n\r\nPOST /2 HTTP/1.0\r\n\r\n";
    let first = parser.advance_into(input, &mut message).unwrap().unwrap();
    assert_eq!(written(&message), "GET /1 HTTP/1.1\r\nA: b\r\n\r\n");
    let rest = &input[first..];
    assert_eq!(parser.advance_into(&rest[..5], &mut message), Ok(None));
    assert_eq!(message.target(), b"/1");
    assert_eq!(parser.advance_into(rest, &mut message), Ok(Some(rest.len())));
    assert_eq!(written(&message), "POST /2 HTTP/1.0\r\n\r\n");
}

fn request_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"Host: a\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"A: ".to_vec()),
        Just(b" ".to_vec()),
        Just(b":".to_vec()),
        proptest::collection::vec(any::<u8>(), 1..4),
        "[ -~]{1,12}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn byte_by_byte_is_the_same(input in request_like()) {
        prop_assert_eq!(parse(&input), parse_byte_by_byte(&input));
    }

    #[test]
    fn what_is_written_reads_as_the_same(input in request_like()) {
        for parser in [HeadParser::default(), HeadParser::new_lenient(HeadLimits::default())] {
            let mut message = Message::default();
            if let Ok(Some(_)) = parser.clone().advance_into(&input, &mut message) {
                let text = written(&message).into_bytes();
                let mut again = Message::default();
                if text.len() <= HeadLimits::default().head_bytes_max && written(&message).is_ascii() {
                    prop_assert_eq!(parser.clone().advance_into(&text, &mut again), Ok(Some(text.len())));
                    prop_assert_eq!(written(&message), written(&again));
                }
            }
        }
    }

    #[test]
    fn sizes_are_told_alike_however_they_are_cut(
        target in 1usize..60, header in 1usize..60, bad in 0usize..130, cut in 0usize..130) {
        let mut input = format!("GET /{} HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(target), "b".repeat(header)).into_bytes();
        if let Some(byte) = input.get_mut(bad) { *byte = 1; }
        let limits = HeadLimits { head_bytes_max: 64, headers_max: 9 };
        let whole = HeadParser::new(limits).advance(&input);
        let mut parser = HeadParser::new(limits);
        let pieces = match parser.advance(&input[..cut.min(input.len())]) {
            Ok(None) => parser.advance(&input),
            done => done,
        };
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn any_bytes_are_survived(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&input);
    }

    #[test]
    fn what_is_accepted_has_no_control_bytes(input in request_like()) {
        if let Ok(Some(head)) = parse(&input) {
            for field in &head.headers {
                prop_assert!(field.value.of(&input).iter().all(|b| *b == b'\t' || *b >= b' ' && *b != 0x7f));
                prop_assert!(!field.name.of(&input).is_empty());
            }
        }
    }
}
