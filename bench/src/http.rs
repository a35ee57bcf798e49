//! As much HTTP/1.1 as the tools speak: GET requests without a body, answers with a Content-Length.

use memchr::memmem;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// A request for `path`: a POST if it has a body, and one that asks for the connection's end if it is the `last`.
pub fn request(path: &str, host: &str, headers: &[String], body_bytes: usize, last: bool) -> Vec<u8> {
    let method = if body_bytes > 0 { "POST" } else { "GET" };
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ringway-bench\r\nAccept: */*\r\n");
    for line in headers {
        request.push_str(line);
        request.push_str("\r\n");
    }
    if body_bytes > 0 {
        request.push_str(&format!("Content-Type: text/plain\r\nContent-Length: {body_bytes}\r\n"));
    }
    if last {
        request.push_str("Connection: close\r\n");
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.resize(request.len() + body_bytes, b'b');
    request
}

/// An answer's head.
pub fn response_head(body_bytes: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n")
        .into_bytes()
}

/// A whole answer with a body of `body_bytes`.
pub fn response(body_bytes: usize) -> Vec<u8> {
    let mut response = response_head(body_bytes);
    response.resize(response.len() + body_bytes, b'b');
    response
}

/// A request as the origin sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The size of body that its path asks for.
    pub bytes: Option<usize>,
    /// It asked for the connection's end.
    pub last: bool,
}

/// Finds the requests in a stream of bytes.
#[derive(Default)]
pub struct RequestReader {
    unfinished: Vec<u8>,
    /// Bytes of a request's body that are still to come.
    body_missing: usize,
    /// The request that they belong to.
    awaiting_body: Option<Request>,
}

impl RequestReader {
    /// Hands each request that is complete with this piece to `take`.
    pub fn read(&mut self, bytes: &[u8], mut take: impl FnMut(Request)) {
        if self.unfinished.is_empty() {
            let taken = self.each(bytes, &mut take);
            self.unfinished.extend_from_slice(&bytes[taken..]);
            return;
        }
        let mut joined = std::mem::take(&mut self.unfinished);
        joined.extend_from_slice(bytes);
        let taken = self.each(&joined, &mut take);
        joined.drain(..taken);
        self.unfinished = joined;
    }

    /// How many bytes it used.
    fn each(&mut self, bytes: &[u8], take: &mut impl FnMut(Request)) -> usize {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            if let Some(request) = self.awaiting_body {
                let body = self.body_missing.min(rest.len());
                taken += body;
                self.body_missing -= body;
                if self.body_missing > 0 {
                    return taken;
                }
                self.awaiting_body = None;
                take(request);
                continue;
            }
            let Some(end) = memmem::find(rest, HEAD_END) else { return taken };
            let head = &rest[..end];
            taken += end + HEAD_END.len();
            self.body_missing = length(head).unwrap_or(0);
            self.awaiting_body = Some(Request {
                bytes: bytes_asked(head),
                last: header(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")),
            });
        }
    }
}

/// N of a path `/bytes/N`, up to a gigabyte.
fn bytes_asked(head: &[u8]) -> Option<usize> {
    let path = head.split(|&byte| byte == b' ').nth(1)?;
    let digits = path.strip_prefix(b"/bytes/")?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|&bytes| bytes <= 1 << 30)
}

fn length(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(header(head, b"content-length")?).ok()?.parse().ok()
}

/// A header's value in a head whose lines are well-formed; the proxies may change the names' case.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

/// Follows one answer through pieces of a stream.
#[derive(Default)]
pub struct ResponseReader {
    head: Vec<u8>,
    /// Bytes of the body that are still to come; none before the head's end.
    missing: Option<usize>,
    status: Option<u16>,
}

/// Where an answer stands after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    Done,
    /// Not a 200 with a length, or more bytes than it said.
    Wrong,
}

impl ResponseReader {
    pub fn read(&mut self, bytes: &[u8]) -> Progress {
        if let Some(missing) = self.missing {
            return self.body(missing, bytes.len());
        }
        if !self.head.is_empty() {
            self.head.extend_from_slice(bytes);
            let joined = std::mem::take(&mut self.head);
            return self.start(&joined);
        }
        self.start(bytes)
    }

    /// What was wrong with the answer, after [`Progress::Wrong`].
    pub fn complaint(&self) -> String {
        match self.status {
            Some(status) if status != 200 => format!("answered with status {status}"),
            _ => "not the expected answer".to_string(),
        }
    }

    fn start(&mut self, bytes: &[u8]) -> Progress {
        let Some(end) = memmem::find(bytes, HEAD_END) else {
            self.head = bytes.to_vec();
            return Progress::More;
        };
        let head = &bytes[..end];
        self.status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        match length(head) {
            Some(length) if head.starts_with(b"HTTP/1.1 200 ") => self.body(length, bytes.len() - end - HEAD_END.len()),
            _ => Progress::Wrong,
        }
    }

    fn body(&mut self, missing: usize, received: usize) -> Progress {
        match missing.checked_sub(received) {
            None => Progress::Wrong,
            Some(0) => {
                *self = ResponseReader::default();
                Progress::Done
            }
            left => {
                self.missing = left;
                Progress::More
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /bench/object?id=1 HTTP/1.1\r\nHost: bench.test\r\nAccept: */*\r\n\r\n";

    #[test]
    fn requests_are_counted_however_they_are_cut() {
        let posted = request("/bytes/7", "bench.test", &["X-A: b".to_string()], 30, false);
        let large = request("/bytes/1000000", "bench.test", &[], 0, true);
        let stream = [REQUEST, &posted, &large].concat();
        let expected = [(None, false), (Some(7), false), (Some(1_000_000), true)];
        for size in 1..stream.len() {
            let (mut reader, mut requests) = (RequestReader::default(), Vec::new());
            for piece in stream.chunks(size) {
                reader.read(piece, |request| requests.push((request.bytes, request.last)));
            }
            assert_eq!(requests, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_path_that_asks_for_no_size_gets_none() {
        for path in ["/", "/bytes/", "/bytes/-1", "/bytes/x", "/bytes/99999999999999999999", "/bytes/2000000000"] {
            let mut asked = Vec::new();
            let bytes = request(path, "bench.test", &[], 0, false);
            RequestReader::default().read(&bytes, |request| asked.push(request.bytes));
            assert_eq!(asked, [None], "{path}");
        }
    }

    #[test]
    fn an_answer_is_followed_however_it_is_cut() {
        let response = response(100);
        for size in 1..=response.len() {
            let mut reader = ResponseReader::default();
            let progress: Vec<Progress> = response.chunks(size).map(|piece| reader.read(piece)).collect();
            let (end, before) = progress.split_last().expect("one piece at least");
            assert_eq!(*end, Progress::Done, "pieces of {size}");
            assert!(before.iter().all(|&progress| progress == Progress::More), "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_such_answer_is_wrong() {
        assert_eq!(ResponseReader::default().read(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), Progress::Wrong);
        assert_eq!(ResponseReader::default().read(b"HTTP/1.1 200 OK\r\n\r\n"), Progress::Wrong);
        assert_eq!(ResponseReader::default().read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"), Progress::Wrong);
    }
}
