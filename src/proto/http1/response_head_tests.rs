use super::*;
use proptest::prelude::*;

/// What was read, written again, and the head's length.
type Outcome = Result<Option<(Vec<u8>, usize)>, ResponseError>;

fn outcome(done: Result<Option<usize>, ResponseError>, message: &Message) -> Outcome {
    done.map(|length| {
        length.map(|length| {
            let mut written = Vec::new();
            message.write_to(&mut written);
            (written, length)
        })
    })
}

fn parse(input: &[u8]) -> Outcome {
    let mut message = Message::default();
    let done = ResponseHeadParser::new(HeadLimits::default()).advance_into(input, &mut message);
    outcome(done, &message)
}

fn parse_byte_by_byte(input: &[u8]) -> Outcome {
    let (mut message, mut parser) = (Message::default(), ResponseHeadParser::new(HeadLimits::default()));
    for end in 0..=input.len() {
        if let done @ (Ok(Some(_)) | Err(_)) = parser.advance_into(&input[..end], &mut message) {
            return outcome(done, &message);
        }
    }
    Ok(None)
}

fn written(input: &[u8]) -> String {
    let (text, _) = parse(input).unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn one_form_is_written() {
    assert_eq!(written(b"HTTP/1.1 200 OK\r\nA:b \r\n\r\nbody"), "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
    assert_eq!(written(b"HTTP/1.0 200\r\n\r\n"), "HTTP/1.0 200 \r\n\r\n");
    assert_eq!(written(b"\r\nHTTP/1.1 404 Not  Found\n\n"), "HTTP/1.1 404 Not  Found\r\n\r\n");
    assert_eq!(
        written(b"HTTP/1.1 200 \r\nA: b\r\n\tc\r\n \r\nD:\r\n e\r\n\r\n"),
        "HTTP/1.1 200 \r\nA: b  \tc\r\nD: e\r\n\r\n"
    );
    assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nrest").unwrap().unwrap().1, 19);
}

#[test]
fn what_is_no_response_is_refused() {
    let cases: &[&[u8]] = &[
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.11 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"just text\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na b: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \x0bb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
    ];
    for case in cases {
        assert_eq!(parse(case), Err(ResponseError::Malformed), "{}", case.escape_ascii());
        assert_eq!(parse_byte_by_byte(case), Err(ResponseError::Malformed), "{}", case.escape_ascii());
    }
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(20_000));
    assert_eq!(parse(long.as_bytes()), Err(ResponseError::TooLarge));
}

#[test]
fn the_lenient_parser_takes_odd_names_and_versions() {
    let mut message = Message::default();
    let mut parser = ResponseHeadParser::new_lenient(HeadLimits::default());
    let input = b"HTTP/1.10 200 OK\r\nFoo@ : x\r\n\r\n";
    assert_eq!(parser.advance_into(input, &mut message), Ok(Some(input.len())));
    let mut text = Vec::new();
    message.write_to(&mut text);
    assert_eq!(text, b"HTTP/1.1 200 OK\r\nFoo@: x\r\n\r\n");
    assert_eq!(parser.advance_into(b"ICY 200 OK\r\n", &mut message), Err(ResponseError::Malformed));
}

fn response_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        3 => Just(b"A: b\r\n".to_vec()),
        1 => Just(b"HTTP/1.0 304\n".to_vec()),
        1 => Just(b" fold\r\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b":".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
        1 => "[ -~]{1,12}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn byte_by_byte_is_the_same(input in response_like()) {
        prop_assert_eq!(parse(&input), parse_byte_by_byte(&input));
    }

    #[test]
    fn what_is_written_reads_as_the_same(input in response_like()) {
        if let Ok(Some((written, _))) = parse(&input) {
            prop_assert_eq!(parse(&written), Ok(Some((written.clone(), written.len()))));
        }
    }
}
