//! As much HTTP/1.1 as the tools speak: GET requests without a body, answers with a Content-Length.

use memchr::memmem;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// What the clients ask, over and over; the shape of a small browser or API request.
pub const REQUEST: &[u8] =
    b"GET /bench/object?id=1 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: ringway-bench\r\nAccept: */*\r\n\r\n";
/// The same for clients that use a connection once.
pub const LAST_REQUEST: &[u8] =
    b"GET /bench/object?id=1 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: ringway-bench\r\nAccept: */*\r\nConnection: close\r\n\r\n";

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

/// A whole answer with a body of `body_bytes`.
pub fn response(body_bytes: usize) -> Vec<u8> {
    let mut response =
        format!("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n")
            .into_bytes();
    response.resize(response.len() + body_bytes, b'b');
    response
}

/// Counts the requests in a stream of bytes.
#[derive(Default)]
pub struct RequestReader {
    unfinished: Vec<u8>,
}

/// What a piece of a stream held.
#[derive(Default)]
pub struct Requests {
    pub complete: usize,
    /// One of them asked for the connection's end.
    pub last: bool,
}

impl RequestReader {
    pub fn read(&mut self, bytes: &[u8]) -> Requests {
        if self.unfinished.is_empty() {
            let (requests, taken) = count_requests(bytes);
            self.unfinished.extend_from_slice(&bytes[taken..]);
            return requests;
        }
        self.unfinished.extend_from_slice(bytes);
        let (requests, taken) = count_requests(&self.unfinished);
        self.unfinished.drain(..taken);
        requests
    }
}

fn count_requests(mut bytes: &[u8]) -> (Requests, usize) {
    let (mut requests, mut taken) = (Requests::default(), 0);
    while let Some(end) = memmem::find(bytes, HEAD_END) {
        let head = &bytes[..end];
        requests.complete += 1;
        requests.last |= header(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        taken += end + HEAD_END.len();
        bytes = &bytes[end + HEAD_END.len()..];
    }
    (requests, taken)
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

    fn start(&mut self, bytes: &[u8]) -> Progress {
        let Some(end) = memmem::find(bytes, HEAD_END) else {
            self.head = bytes.to_vec();
            return Progress::More;
        };
        let head = &bytes[..end];
        let length = header(head, b"content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        match length {
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

    #[test]
    fn requests_are_counted_however_they_are_cut() {
        let stream = [REQUEST, REQUEST, LAST_REQUEST].concat();
        for size in 1..stream.len() {
            let mut reader = RequestReader::default();
            let (mut complete, mut last) = (0, false);
            for piece in stream.chunks(size) {
                let requests = reader.read(piece);
                complete += requests.complete;
                last |= requests.last;
            }
            assert_eq!((complete, last), (3, true), "pieces of {size}");
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
