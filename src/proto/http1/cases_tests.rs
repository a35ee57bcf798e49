//! Whole requests and responses through what the data plane does with them: head, framing, body, and what is written.
//! A strict reader of its own then takes apart what would have reached the other side.

use super::chunked::{CHUNK_END, ChunkedDecoder, write_chunk_start, write_last_chunk};
use super::exchange_framing::{
    Body, RequestFraming, RequestRules, finish_request, finish_response, request_framing, response_framing,
};
use super::head::{HeadLimits, HeadParser};
use super::message::Message;
use super::response_head::ResponseHeadParser;
use proptest::prelude::*;

/// How a connection came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All requests complete; the client may send another.
    Open,
    /// All complete, and the last one closes.
    Closed,
    /// Waits for more of a head or a body.
    Waiting,
    /// Refused with this status, then closed.
    Refused(u16),
}

enum Reader {
    Head,
    Length(u64),
    Chunked(ChunkedDecoder),
    Over,
}

/// Everything that happens to one client connection's bytes before policies come in.
struct Gateway {
    parser: HeadParser,
    rules: RequestRules,
    message: Message,
    reader: Reader,
    received: Vec<u8>,
    written: Vec<u8>,
    keep_alive: bool,
    end: End,
}

impl Gateway {
    fn new(rules: RequestRules) -> Gateway {
        let limits = HeadLimits::default();
        let parser = if rules.accept_invalid { HeadParser::new_lenient(limits) } else { HeadParser::new(limits) };
        Gateway {
            parser,
            rules,
            message: Message::default(),
            reader: Reader::Head,
            received: Vec::new(),
            written: Vec::new(),
            keep_alive: true,
            end: End::Open,
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        self.received.extend_from_slice(piece);
        while !self.received.is_empty() && self.step() {}
    }

    /// False when there is nothing to do but wait, or the connection is over.
    fn step(&mut self) -> bool {
        match &mut self.reader {
            Reader::Over => return false,
            Reader::Head => match self.parser.advance_into(&self.received, &mut self.message) {
                Ok(Some(length)) => {
                    self.received.drain(..length);
                    self.begin_request();
                }
                Ok(None) => {
                    self.end = if self.parser.has_begun(&self.received) { End::Waiting } else { self.end };
                    return false;
                }
                Err(error) => self.refuse(error.status()),
            },
            Reader::Length(left) => {
                let take = self.received.len().min(*left as usize);
                self.written.extend(self.received.drain(..take));
                *left -= take as u64;
                if *left == 0 {
                    self.end_request();
                }
            }
            Reader::Chunked(decoder) => {
                let written = &mut self.written;
                let decoded = decoder.decode(&self.received, |data| {
                    write_chunk_start(data.len(), written);
                    written.extend_from_slice(data);
                    written.extend_from_slice(CHUNK_END);
                });
                match decoded {
                    Ok(taken) if decoder.is_done() => {
                        write_last_chunk(decoder.trailers(), written);
                        self.received.drain(..taken);
                        self.end_request();
                    }
                    Ok(taken) => drop(self.received.drain(..taken)),
                    Err(_) => self.refuse(400),
                }
            }
        }
        true
    }

    fn begin_request(&mut self) {
        let mut framing = match request_framing(&mut self.message, self.rules) {
            Ok(framing) => framing,
            Err(error) => return self.refuse(error.status()),
        };
        let body = framing.body;
        finish_request(&mut self.message, &mut framing, body, true);
        self.message.write_to(&mut self.written);
        self.keep_alive = framing.keep_alive;
        self.end = End::Waiting;
        self.reader = match framing.body {
            Body::Length(length) if length > 0 => Reader::Length(length),
            Body::Chunked => Reader::Chunked(ChunkedDecoder::default()),
            _ => return self.end_request(),
        };
    }

    fn end_request(&mut self) {
        (self.reader, self.end) = if self.keep_alive { (Reader::Head, End::Open) } else { (Reader::Over, End::Closed) };
    }

    fn refuse(&mut self, status: u16) {
        (self.reader, self.end) = (Reader::Over, End::Refused(status));
    }
}

/// A message as a strict reader understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Understood {
    first_line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
}

/// Takes bytes apart by the letter of RFC 9112; panics at what it does not allow. The rest is an unfinished message.
fn read_strictly(mut bytes: &[u8]) -> Vec<Understood> {
    let mut messages = Vec::new();
    while let Some(end) = find(bytes, b"\r\n\r\n") {
        let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first_line = lines.next().expect("a first line");
        check_request_line(first_line);
        let headers: Vec<_> = lines.map(read_field).collect();
        bytes = &bytes[end + 4..];
        let values = |name: &str| {
            let of_name = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            of_name.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        let (lengths, codings, hosts) = (values("content-length"), values("transfer-encoding"), values("host"));
        assert!(lengths.len() <= 1 && codings.len() <= 1 && hosts.len() <= 1, "repeated: {headers:?}");
        assert!(lengths.is_empty() || codings.is_empty(), "both framings: {headers:?}");
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if let [coding] = codings[..] {
            assert_eq!(coding, "chunked");
            assert!(!first_line.ends_with(b"1.0"), "chunks in HTTP/1.0");
            let Some(rest) = read_chunks(bytes, &mut body, &mut trailers) else { break };
            bytes = rest;
        } else if let [length] = lengths[..] {
            assert!(length.bytes().all(|digit| digit.is_ascii_digit()) && (length == "0" || !length.starts_with('0')));
            let length: usize = length.parse().expect("a length");
            if bytes.len() < length {
                break;
            }
            body.extend_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
        }
        messages.push(Understood { first_line: text(first_line), headers, body, trailers });
    }
    messages
}

fn read_chunks<'a>(mut bytes: &'a [u8], body: &mut Vec<u8>, trailers: &mut Vec<(String, String)>) -> Option<&'a [u8]> {
    loop {
        let end = find(bytes, b"\r\n")?;
        assert!(
            (1..=15).contains(&end) && bytes[..end].iter().all(u8::is_ascii_hexdigit),
            "size {}",
            text(&bytes[..end])
        );
        let size = usize::from_str_radix(&text(&bytes[..end]), 16).expect("hexadecimal");
        bytes = &bytes[end + 2..];
        if size == 0 {
            break;
        }
        if bytes.len() < size + 2 {
            return None;
        }
        body.extend_from_slice(&bytes[..size]);
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
    }
    loop {
        let end = find(bytes, b"\r\n")?;
        let line = &bytes[..end];
        bytes = &bytes[end + 2..];
        if line.is_empty() {
            return Some(bytes);
        }
        trailers.push(read_field(line));
    }
}

fn check_request_line(line: &[u8]) {
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    assert_eq!(words.len(), 3, "{}", text(line));
    assert!(words[0].iter().all(|byte| super::is_token_byte(*byte)) && !words[0].is_empty());
    assert!(words[1].iter().all(|byte| (0x21..0x7f).contains(byte)) && !words[1].is_empty());
    assert!([&b"HTTP/1.0"[..], b"HTTP/1.1"].contains(&words[2]), "{}", text(line));
}

fn read_field(line: &[u8]) -> (String, String) {
    let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
    let (name, value) = (&line[..colon], line[colon + 1..].strip_prefix(b" ").expect("one blank"));
    assert!(!name.is_empty() && name.iter().all(|byte| super::is_token_byte(*byte)), "name {}", text(name));
    assert!(!value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')), "value {}", text(value));
    (text(name), text(value))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// What becomes of these bytes, in one piece and byte by byte, alone and behind a good request.
fn judge_by(raw: &[u8], rules: RequestRules) -> (End, Vec<Understood>) {
    let whole = pass(&[raw], rules);
    assert_eq!(whole, pass(&raw.chunks(1).collect::<Vec<_>>(), rules), "byte by byte: {}", raw.escape_ascii());
    let first = b"POST /first HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let (end, behind) = pass(&[first, raw], rules);
    let size_counts_from_here = matches!(end, End::Refused(400 | 414 | 431));
    assert!(end == whole.0 || size_counts_from_here, "on a connection that has served: {}", raw.escape_ascii());
    assert_eq!(behind[1..], whole.1, "on a connection that has served: {}", raw.escape_ascii());
    whole
}

fn judge(raw: &[u8]) -> (End, Vec<Understood>) {
    judge_by(raw, RequestRules::default())
}

fn pass(pieces: &[&[u8]], rules: RequestRules) -> (End, Vec<Understood>) {
    let mut gateway = Gateway::new(rules);
    for piece in pieces {
        gateway.receive(piece);
    }
    (gateway.end, read_strictly(&gateway.written))
}

fn with_head(lines: &str) -> Vec<u8> {
    format!("POST /p HTTP/1.1\r\nHost: h.test\r\n{lines}").into_bytes()
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n";

#[test]
fn what_has_two_lengths_reaches_nobody() {
    let lengths = [
        "Content-Length: \r\nContent-Length: 40",
        "Content-Length: 40\r\nContent-Length:",
        "Content-Length: 40,",
        "Content-Length: 40, 41",
        "Content-Length: 40\r\nContent-Length: 0",
        "Content-Length: +40",
        "Content-Length: 0x28",
        "Content-Length: 40;x",
        "Content-Length: 4 0",
        "Content-Length: 40.0",
        "Content-Length: \u{b}40",
        "Content-Length: 40\u{c}",
        "Content-Length: 18446744073709551656",
        "Content-Length : 40",
        "Content-Length\t: 40",
        "Content-Length: 40\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 40",
        "Transfer-Encoding: identity\r\nContent-Length: 40",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: x, chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding\u{b}: chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer_Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n Content-Length: 40",
        "X: y\r\n\tTransfer-Encoding: chunked",
        " Content-Length: 40",
        ": x",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content-Length: 40\r\n :",
        "Content\0-Length: 40",
        "Content-Length: 40\r\nX: \ry",
    ];
    for lines in lengths {
        let (end, seen) = judge(&with_head(&format!("{lines}\r\n\r\n{SMUGGLED}")));
        assert_eq!((end, seen.len()), (End::Refused(400), 0), "{lines:?}");
    }
}

#[test]
fn chunks_that_two_readers_end_elsewhere_reach_nobody() {
    let bodies = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\rX0\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5\t5\r\nhello\r\n0\r\n\r\n",
        "5,\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\nx\r\n",
        "FFFFFFFFFFFFFFF0\r\nx\r\n",
        "10000000000000000\r\nx\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: \0\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\n\rx\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
    ];
    for body in bodies {
        let (end, seen) = judge(&with_head(&format!("Transfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}")));
        assert_eq!((end, seen.len()), (End::Refused(400), 0), "{body:?}");
    }
    for unfinished in ["5\r\nhello\r\n0\r\n", "5\r\nhel", "5", "", "0\r\nx: y\r\n"] {
        let (end, seen) = judge(&with_head(&format!("Transfer-Encoding: chunked\r\n\r\n{unfinished}")));
        assert_eq!((end, seen.len()), (End::Waiting, 0), "{unfinished:?}");
    }
}

#[test]
fn chunks_go_on_bare() {
    let bodies = [
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("A;b=c\r\n0123456789\r\n0;d\r\n\r\n", "0123456789"),
        ("5;\r\nhello\r\n0000\r\n\r\n", "hello"),
        ("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"),
        ("0\r\n\r\n", ""),
        ("00000005\r\nhello\r\n1 \r\n!\r\n0\r\nHost: other\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n", "hello!"),
    ];
    for (body, expected) in bodies {
        let (end, seen) = judge(&with_head(&format!("Transfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}")));
        assert_eq!((end, seen.len()), (End::Open, 2), "{body:?}: the next request is one of its own");
        assert_eq!(text(&seen[0].body), expected);
        assert!(seen[0].trailers.iter().all(|(name, _)| name == "X-Sum"));
    }
}

#[test]
fn request_lines_and_headers_that_are_none() {
    let heads = [
        " GET /g HTTP/1.1\r\nHost: h",
        "GET  /g HTTP/1.1\r\nHost: h",
        "GET\t/g HTTP/1.1\r\nHost: h",
        "GET /g HTTP/1.1 \r\nHost: h",
        "GET /g HTTP/1.1 X\r\nHost: h",
        "GET /g\r\nHost: h",
        "GET /g HTTP/0.9\r\nHost: h",
        "GET /g HTTP/2.0\r\nHost: h",
        "GET /g HTTP/3.0\r\nHost: h",
        "GET /g HTTP/1.10\r\nHost: h",
        "GET /g HTTP/1.\r\nHost: h",
        "GET /g HTTP/01.1\r\nHost: h",
        "GET /g HTTP/1,1\r\nHost: h",
        "GET /g http/1.1\r\nHost: h",
        "GET /g RTSP/1.0\r\nHost: h",
        "GET /g HTTP/1.1\rX: y\r\nHost: h",
        "GET /g#x HTTP/1.1\r\nHost: h",
        "GET g HTTP/1.1\r\nHost: h",
        "GET ?x HTTP/1.1\r\nHost: h",
        "GET * HTTP/1.1\r\nHost: h",
        "GET /\u{e9} HTTP/1.1\r\nHost: h",
        "GET /\u{7f} HTTP/1.1\r\nHost: h",
        "GET /\0 HTTP/1.1\r\nHost: h",
        "G@T /g HTTP/1.1\r\nHost: h",
        "GET /g HTTP/1.1\r\r\nHost: h",
        "CONNECT /g HTTP/1.1\r\nHost: h",
        "CONNECT h HTTP/1.1\r\nHost: h",
        "CONNECT h:1/x HTTP/1.1\r\nHost: h:1",
        "GET http://u@h/ HTTP/1.1\r\nHost: h",
        "GET http://h/ HTTP/1.1\r\nHost: evil",
        "GET http:// HTTP/1.1\r\nHost: h",
        "GET /g HTTP/1.1\r\nX: 1",
        "GET /g HTTP/1.1\r\nHost: h\r\nHost: h",
        "GET /g HTTP/1.1\r\nHost: h\r\nhOST: i",
        "GET /g HTTP/1.1\r\nHost: h, i",
        "GET /g HTTP/1.1\r\nHost: a@h",
        "GET /g HTTP/1.1\r\nHost: h/../x",
        "GET /g HTTP/1.1\r\nHost: h:8:9",
        "GET /g HTTP/1.1\r\nHost: h\r\nFoo Bar: x",
        "GET /g HTTP/1.1\r\nHost: h\r\n\"Foo\": x",
        "GET /g HTTP/1.1\r\nHost: h\r\nFo[o]: x",
        "GET /g HTTP/1.1\r\nHost: h\r\nF\u{f6}o: x",
        "GET /g HTTP/1.1\r\nHost: h\r\nX: a\rb",
        "GET /g HTTP/1.1\r\nHost: h\0.evil",
        "GET /g HTTP/1.1\r\n\tA: 1\r\nHost: h",
        "GET /g HTTP/1.1\r\nHost: h\r\nnothing",
        "GET /g HTTP/1.1\r\nHost: h\r\nX: a\r\n b",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "\u{16}\u{3}\u{1}\0",
        "\u{10}\u{f}\0\u{4}MQTT\u{4}",
        "GET /g HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket",
    ];
    for head in heads {
        let raw: Vec<u8> = head.chars().map(|character| character as u8).chain(*b"\r\n\r\n").collect();
        let (end, seen) = judge(&raw);
        assert_eq!((end, seen.len()), (End::Refused(400), 0), "{head:?}");
    }
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert_eq!(judge(many.as_bytes()).0, End::Refused(400));
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    assert_eq!(judge(long.as_bytes()).0, End::Refused(431));
    let target = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "y".repeat(20_000));
    assert_eq!(judge(target.as_bytes()).0, End::Refused(414));
    assert_eq!(judge(b"GET /g HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").0, End::Refused(413));
}

#[test]
fn good_requests_go_on_as_they_are() {
    let requests = [
        ("\r\nGET /g HTTP/1.1\r\nHost: h\r\n\r\n", End::Open),
        ("\nGET /g HTTP/1.1\nHost: h\n\n", End::Open),
        ("get /g HTTP/1.1\r\nHost: h\r\n\r\n", End::Open),
        ("A!#$%&'*+-.^_`|~1 /g HTTP/1.1\r\nHost: h\r\n\r\n", End::Open),
        ("GET /a\\..\\b HTTP/1.1\r\nHost: h\r\n\r\n", End::Open),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", End::Open),
        ("GET http://h.test HTTP/1.1\r\nHost: h.test\r\n\r\n", End::Open),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", End::Open),
        ("GET /g HTTP/1.0\r\n\r\n", End::Closed),
        ("GET /g HTTP/1.1\r\nHost:\r\n\r\n", End::Open),
        ("GET /g HTTP/1.1\r\nHost: h:65616\r\n\r\n", End::Open),
        ("GET /g HTTP/1.1\r\nHost: h\r\nX: a\tb \u{e9}\r\n\r\n", End::Open),
        ("GET /g HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09aZ: x\r\n\r\n", End::Open),
        ("GET /g HTTP/1.1\r\nHost: h\r\nConnection: close, keep-alive\r\n\r\n", End::Closed),
        ("GET /g HTTP/1.1\r\nHost: h\r\nConnection: close, Host\r\n\r\n", End::Closed),
        ("GET /g HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", End::Closed),
        ("GET /g HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n", End::Open),
        ("POST /g HTTP/1.1\r\nHost: h\r\nExpect: y 100-continue\r\nContent-Length: 2\r\n\r\nok", End::Open),
        ("POST /g HTTP/1.1\r\nHost: h\r\nContent-Length: 0002\r\nConnection: Content-Length\r\n\r\nok", End::Open),
    ];
    for (raw, expected) in requests {
        let raw: Vec<u8> = raw.chars().map(|character| character as u8).collect();
        let (end, seen) = judge(&raw);
        assert_eq!((end, seen.len()), (expected, 1), "{}", raw.escape_ascii());
    }
    let (_, seen) = judge(b"GET /g HTTP/1.1\r\nhOST:h \r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n");
    assert_eq!(seen[0].headers, [("hOST".to_owned(), "h".to_owned())]);
}

/// The response to a request of `head`: what the client gets of it, and whether its connection stays open.
fn answer(head: &str, raw: &[u8]) -> Option<(String, bool)> {
    let mut message = Message::default();
    HeadParser::default().advance_into(head.as_bytes(), &mut message).unwrap().unwrap();
    let request: RequestFraming = request_framing(&mut message, RequestRules::default()).unwrap();
    let taken = ResponseHeadParser::default().advance_into(raw, &mut message).ok()??;
    let framing = response_framing(&mut message, &request).ok()?;
    let stays = finish_response(&mut message, &request, framing.sent, request.keep_alive);
    let mut written = Vec::new();
    message.write_to(&mut written);
    let rest = &raw[taken..];
    match framing.body {
        Body::Chunked => {
            let mut decoder = ChunkedDecoder::default();
            decoder.decode(rest, |data| written.extend_from_slice(data)).ok()?;
        }
        Body::Length(length) => written.extend_from_slice(&rest[..rest.len().min(length as usize)]),
        Body::UntilClose | Body::Tunnel => written.extend_from_slice(rest),
        Body::None => (),
    }
    Some((text(&written), stays))
}

#[test]
fn responses_are_passed_in_one_form_or_not_at_all() {
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let bad = [
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nok",
        "HTTP/1.1 2OO OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "just text\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nFoo : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nFoo: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nFoo: a\rb\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ];
    for raw in bad {
        assert_eq!(answer(get, raw.as_bytes()), None, "{raw:?}");
    }
    let good = [
        (
            "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 EVIL\r\n\r\n",
            "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", false),
        ("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 No\r\n\r\n", true),
        ("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", true),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Foo\r\nKeep-Alive: 5\r\nFoo: 1\r\nUpgrade: h2\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            true,
        ),
    ];
    for (raw, expected, stays) in good {
        assert_eq!(answer(get, raw.as_bytes()), Some((expected.to_owned(), stays)), "{raw:?}");
    }
}

/// Pieces of requests that have been used against proxies, in any order.
fn request_like() -> impl Strategy<Value = Vec<u8>> {
    let line = proptest::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /p HTTP/1.1\r\n",
        "POST /p HTTP/1.0\r\n",
        "GET http://h.test/ HTTP/1.1\r\n",
        "HEAD / HTTP/1.1\r\n",
    ]);
    let header = proptest::sample::select(vec![
        "Content-Length: 5\r\n",
        "Content-Length: 05\r\n",
        "content-length: 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: h.test\n",
        "Transfer-Encoding: identity\r\n",
        "X: y\r\n",
        " fold\r\n",
        "Connection: close\r\n",
        "Connection: host, x\r\n",
        "x : y\r\n",
        "Upgrade: h2c\r\n",
        "Connection: upgrade\r\n",
        "A:\r\n",
        "Expect: 100-continue\r\n",
        "Content-Length: 5, 5\r\n",
        "TE: trailers\r\n",
    ]);
    let body = proptest::sample::select(vec![
        "",
        "hello",
        "5\r\nhello\r\n0\r\n\r\n",
        "2;x\r\nab\r\n0\r\nHost: e\r\n\r\n",
        "0\r\n\r\n",
        "5\nhello",
        "1 \r\nx\r\n0\r\nA: b\r\n\r\n",
    ]);
    let one =
        (line, proptest::collection::vec(header, 0..4), any::<bool>(), body).prop_map(|(line, headers, host, body)| {
            let host = if host { "Host: h.test\r\n" } else { "" };
            format!("{line}{host}{}\r\n{body}", headers.concat())
        });
    (proptest::collection::vec(one, 1..4), proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())))
        .prop_map(|(requests, spoilt)| {
            let mut raw = requests.concat().into_bytes();
            if let Some((index, byte)) = spoilt {
                let index = index.index(raw.len());
                raw[index] = byte;
            }
            raw
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However it is cut, the same requests reach the other side, and what is written passes again without a change.
    #[test]
    fn no_two_readings(raw in request_like()) {
        let (_, seen) = judge(&raw);
        let mut gateway = Gateway::new(RequestRules::default());
        gateway.receive(&raw);
        let complete = read_strictly(&gateway.written);
        let mut again = Gateway::new(RequestRules::default());
        again.receive(&gateway.written);
        prop_assert_eq!(&read_strictly(&again.written), &complete);
        prop_assert_eq!(seen, complete);
    }
}
