//! Request bodies of either framing, collected up to a bound and drained up to another.

use super::chunked::ChunkedDecoder;
use super::framing::Framing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProgress {
    More,
    Done,
    /// The framing is broken; the connection cannot go on.
    Malformed,
    /// More was sent than is worth reading; close.
    TooLong,
}

#[derive(Clone, Debug)]
enum Reader {
    Length(u64),
    Chunked(ChunkedDecoder),
}

/// Reads one body.
#[derive(Clone, Debug)]
pub struct BodyReader {
    reader: Reader,
    keep_bytes_max: usize,
    drain_bytes_left: u64,
    /// What was kept; see [`BodyReader::is_truncated`].
    content: Vec<u8>,
    truncated: bool,
}

impl BodyReader {
    /// Keeps the first `keep_bytes_max` bytes of content, reads over the rest up to `drain_bytes_max` bytes as sent.
    pub fn new(framing: Framing, keep_bytes_max: usize, drain_bytes_max: u64) -> BodyReader {
        let reader = match framing {
            Framing::Length(length) => Reader::Length(length),
            Framing::Chunked => Reader::Chunked(ChunkedDecoder::default()),
        };
        BodyReader { reader, keep_bytes_max, drain_bytes_left: drain_bytes_max, content: Vec::new(), truncated: false }
    }

    /// Takes what belongs to the body off `input`: returns how many bytes, and how it stands.
    pub fn receive(&mut self, input: &[u8]) -> (usize, BodyProgress) {
        let (content, truncated, keep_bytes_max) = (&mut self.content, &mut self.truncated, self.keep_bytes_max);
        let mut keep = |part: &[u8]| {
            let room = keep_bytes_max.saturating_sub(content.len());
            content.extend_from_slice(part.get(..room).unwrap_or(part));
            *truncated |= part.len() > room;
        };
        let (taken, done) = match &mut self.reader {
            Reader::Length(remaining) => {
                let take = input.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                keep(input.get(..take).unwrap_or_default());
                *remaining -= take as u64;
                (take, *remaining == 0)
            }
            Reader::Chunked(decoder) => match decoder.decode(input, keep) {
                Ok(taken) => (taken, decoder.is_done()),
                Err(_) => return (0, BodyProgress::Malformed),
            },
        };
        match self.drain_bytes_left.checked_sub(taken as u64) {
            _ if done => return (taken, BodyProgress::Done),
            Some(left) => self.drain_bytes_left = left,
            None => return (taken, BodyProgress::TooLong),
        }
        (taken, BodyProgress::More)
    }

    pub fn content(&self) -> &[u8] {
        &self.content
    }
    /// The body was longer than what was kept.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_drains_and_stops() {
        let mut body = BodyReader::new(Framing::Length(6), 4, 100);
        assert_eq!(body.receive(b"ab"), (2, BodyProgress::More));
        assert_eq!(body.receive(b"cdefGET"), (4, BodyProgress::Done));
        assert_eq!((body.content(), body.is_truncated()), (&b"abcd"[..], true));

        let mut body = BodyReader::new(Framing::Length(u64::MAX), 4, 5);
        assert_eq!(body.receive(b"abcdef"), (6, BodyProgress::TooLong));

        let mut body = BodyReader::new(Framing::Chunked, 9, 100);
        assert_eq!(body.receive(b"2\r\nab\r\n0\r\n\r\nGET"), (12, BodyProgress::Done));
        assert_eq!((body.content(), body.is_truncated()), (&b"ab"[..], false));
        assert_eq!(BodyReader::new(Framing::Chunked, 9, 9).receive(b"zz").1, BodyProgress::Malformed);
        assert_eq!(BodyReader::new(Framing::Length(0), 9, 9).receive(b""), (0, BodyProgress::Done));
    }
}
