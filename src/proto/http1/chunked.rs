//! Chunked bodies (RFC 9112 section 7.1), taken apart and written anew. Line ends are CR LF and nothing else here: this
//! is where readers that disagree are exploited. What goes on is data in chunks of this program's making, without
//! extensions, and the trailers that may stand there.

use super::{split_field_line, trailers};
use std::ops::Range;

/// Bytes of chunk extensions in one message.
const EXTENSION_BYTES_MAX: usize = 4096;
/// Bytes of trailers in one message.
const TRAILER_BYTES_MAX: usize = 8192;
/// Hexadecimal digits of a size: 2^60 - 1 bytes and no overflow to think about.
const SIZE_DIGITS_MAX: u8 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
    },
    /// Blanks between the size and `;` or the line's end.
    AfterSize,
    Extension(Quote),
    SizeLineFeed,
    Data,
    DataCarriageReturn,
    DataLineFeed,
    Trailer,
    TrailerLineFeed,
    Done,
}

/// Where an extension's quoted value stands. A line end within one is refused: some readers take it for the end of the
/// line and some do not (RFC 9112 section 7.1.1 allows none there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

impl Quote {
    fn after(self, byte: u8) -> Quote {
        match (self, byte) {
            (Quote::Outside, b'"') | (Quote::Escaped, _) => Quote::Inside,
            (Quote::Inside, b'"') => Quote::Outside,
            (Quote::Inside, b'\\') => Quote::Escaped,
            (quote, _) => quote,
        }
    }
}

/// Takes a chunked body apart.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// The size being read, then what is left of the chunk, bytes.
    remaining: u64,
    last_chunk: bool,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_line: Vec<u8>,
    /// Those that go on, as lines.
    trailers: Vec<u8>,
}

/// What [`ChunkedDecoder::next_piece`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Data, at this place of the input. Call again with what comes after it.
    Data(Range<usize>),
    /// The input was all frame: more is needed.
    More,
    /// The body is complete; [`ChunkedDecoder::trailers`] has its trailers.
    End,
}

impl Default for ChunkedDecoder {
    fn default() -> ChunkedDecoder {
        ChunkedDecoder {
            state: State::Size { digits: 0 },
            remaining: 0,
            last_chunk: false,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_line: Vec::new(),
            trailers: Vec::new(),
        }
    }
}

impl ChunkedDecoder {
    /// Reads on in `input` up to the end of the next piece of data; also says how many bytes of `input` were taken,
    /// which are not to be given again.
    pub fn next_piece(&mut self, input: &[u8]) -> Result<(Piece, usize), ChunkError> {
        let mut position = 0;
        while let Some(byte) = input.get(position) {
            match self.state {
                State::Done => break,
                State::Data => {
                    let take = (input.len() - position).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                    self.remaining -= take as u64;
                    if self.remaining == 0 {
                        self.state = State::DataCarriageReturn;
                    }
                    return Ok((Piece::Data(position..position + take), position + take));
                }
                _ => self.state = self.take_byte(*byte)?,
            }
            position += 1;
        }
        Ok((if self.is_done() { Piece::End } else { Piece::More }, position))
    }

    /// Hands the data in `input` to `sink` and returns how many bytes of `input` belong to the body. Fewer than all
    /// only when the body is complete.
    pub fn decode(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, ChunkError> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            let (piece, bytes) = self.next_piece(rest)?;
            taken += bytes;
            match piece {
                Piece::Data(range) => sink(rest.get(range).unwrap_or_default()),
                Piece::More | Piece::End => return Ok(taken),
            }
        }
    }

    /// The trailers that go on, as lines (`Name: value`, CR LF) without the empty one; complete when the body is.
    /// What must not stand there (RFC 9110 section 6.5.1) is not among them.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// One byte of the frame around the data.
    fn take_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() => {
                if digits >= SIZE_DIGITS_MAX {
                    return Err(ChunkError);
                }
                let digit = char::from(byte).to_digit(16).ok_or(ChunkError)?;
                self.remaining = self.remaining * 16 + u64::from(digit);
                Ok(State::Size { digits: digits + 1 })
            }
            (State::Size { digits: 0 }, _) => Err(ChunkError),
            (State::Size { .. } | State::AfterSize, b'\r') => Ok(State::SizeLineFeed),
            (State::Size { .. } | State::AfterSize, b';') => self.extension_byte(State::Extension(Quote::Outside)),
            (State::Size { .. } | State::AfterSize, b' ' | b'\t') => self.extension_byte(State::AfterSize),
            (State::Extension(Quote::Outside), b'\r') => Ok(State::SizeLineFeed),
            (State::Extension(quote), b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_byte(State::Extension(quote.after(byte)))
            }
            (State::SizeLineFeed, b'\n') => {
                self.last_chunk = self.remaining == 0;
                Ok(if self.last_chunk { State::Trailer } else { State::Data })
            }
            (State::DataCarriageReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size { digits: 0 }),
            (State::Trailer, b'\r') => Ok(State::TrailerLineFeed),
            (State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(ChunkError);
                }
                self.trailer_line.push(byte);
                Ok(State::Trailer)
            }
            (State::TrailerLineFeed, b'\n') => {
                let line = std::mem::take(&mut self.trailer_line);
                if line.is_empty() {
                    return Ok(State::Done);
                }
                let (name_bytes, value) = split_field_line(&line).ok_or(ChunkError)?;
                trailers::keep_allowed(line.get(..name_bytes).unwrap_or_default(), value, &mut self.trailers);
                Ok(State::Trailer)
            }
            _ => Err(ChunkError),
        }
    }

    fn extension_byte(&mut self, next: State) -> Result<State, ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX { Err(ChunkError) } else { Ok(next) }
    }
}

/// What stands before a chunk's data: its size in bare hexadecimal digits, and CR LF. No chunk of 0 bytes: see
/// [`write_last_chunk`].
pub fn write_chunk_start(length_bytes: usize, output: &mut Vec<u8>) {
    let shift_max = (usize::BITS - length_bytes.max(1).leading_zeros() - 1) / 4 * 4;
    for shift in (0..=shift_max).rev().step_by(4) {
        let digit = ((length_bytes >> shift) & 0xf) as u8;
        output.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
    output.extend_from_slice(b"\r\n");
}

/// What stands after a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The end of a chunked body. `trailers`: lines as [`ChunkedDecoder::trailers`] has them; empty: none.
pub fn write_last_chunk(trailers: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(b"0\r\n");
    output.extend_from_slice(trailers);
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The data, the bytes taken, and whether the body ended.
    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let mut decoder = ChunkedDecoder::default();
        let (mut data, mut taken) = (Vec::new(), 0);
        for piece in pieces {
            taken += decoder.decode(piece, |part| data.extend_from_slice(part))?;
        }
        Ok((data, taken, decoder.is_done()))
    }

    #[test]
    fn reads_chunks_extensions_and_trailers() {
        let whole = b"5;a=\"b;\\\"\"\r\nhello\r\n1 \t\r\n!\r\n0\r\nX: y\r\n\r\nGET /";
        assert_eq!(decode(&[whole]), Ok((b"hello!".to_vec(), whole.len() - 5, true)));
        assert_eq!(decode(&[b"0\r\n\r\n"]), Ok((vec![], 5, true)));
        assert_eq!(decode(&[b"A\r\n012"]), Ok((b"012".to_vec(), 6, false)));
    }

    #[test]
    fn refuses_what_others_were_tricked_by() {
        let cases: &[&[u8]] = &[
            b"FFFFFFFFFFFFFFF0\r\n",
            b"00000000000000000\r\n",
            b"-1\r\n",
            b"+5\r\n",
            b"0x5\r\n",
            b"0_2e\r\n",
            b"\r\n",
            b"5\n",
            b"5;a\n",
            b"5;a=\"\r\n",
            b"5;a=\"\\\"\r\n",
            b"5\r\nhellox\r\n",
            b"5\r\nhello\n",
            b"5\r\nhello\r\r",
            b" 5\r\n",
            b"5;\0\r\n",
            b"0\r\n: x\r\n",
            b"0\r\n x\r\n",
            b"0\r\nx : y\r\n",
            b"0\r\nx\n",
            b"5 5\r\n",
            b"5\x0b\r\n",
        ];
        for case in cases {
            assert_eq!(decode(&[case]), Err(ChunkError), "{}", case.escape_ascii());
        }
        let mut long = b"5;".to_vec();
        long.extend(std::iter::repeat_n(b'x', EXTENSION_BYTES_MAX));
        assert_eq!(decode(&[&long]), Err(ChunkError));
        let mut trailer = b"0\r\nx: ".to_vec();
        trailer.extend(std::iter::repeat_n(b'x', TRAILER_BYTES_MAX));
        assert_eq!(decode(&[&trailer]), Err(ChunkError));
    }

    /// The same body in this program's chunks, one for each piece of data as it came.
    fn reframe(pieces: &[&[u8]]) -> Result<Vec<u8>, ChunkError> {
        let (mut decoder, mut output) = (ChunkedDecoder::default(), Vec::new());
        for piece in pieces {
            let decoded = decoder.decode(piece, |data| {
                write_chunk_start(data.len(), &mut output);
                output.extend_from_slice(data);
                output.extend_from_slice(CHUNK_END);
            });
            decoded?;
        }
        if decoder.is_done() {
            write_last_chunk(decoder.trailers(), &mut output);
        }
        Ok(output)
    }

    #[test]
    fn writes_bare_chunks_and_allowed_trailers() {
        let body: &[u8] =
            b"00A;x=\"1;\"\r\n0123456789\r\n5 \r\nhello\r\n0;y\r\nX-Sum:abc \r\nHost: b\r\ncontent-length: 9\r\n\r\n";
        let expected = b"a\r\n0123456789\r\n5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n";
        assert_eq!(reframe(&[body]), Ok(expected.to_vec()));
        let mut decoder = ChunkedDecoder::default();
        assert_eq!(decoder.next_piece(b"3\r\nab"), Ok((Piece::Data(3..5), 5)));
        assert_eq!(decoder.next_piece(b"c\r\n0"), Ok((Piece::Data(0..1), 1)));
        assert_eq!(decoder.next_piece(b"\r\n0"), Ok((Piece::More, 3)));
        assert_eq!(decoder.next_piece(b"\r\n\r\nGET"), Ok((Piece::End, 4)));
        assert_eq!(decoder.next_piece(b"GET"), Ok((Piece::End, 0)));
        for (length, digits) in [(0, "0"), (1, "1"), (15, "f"), (16, "10"), (255, "ff"), (65536, "10000")] {
            let mut output = Vec::new();
            write_chunk_start(length, &mut output);
            assert_eq!(output, format!("{digits}\r\n").as_bytes());
        }
        let mut output = Vec::new();
        write_chunk_start(usize::MAX, &mut output);
        assert_eq!(output, format!("{:x}\r\n", usize::MAX).as_bytes());
    }

    proptest! {
        #[test]
        fn what_is_written_is_the_same_body(input in proptest::collection::vec(prop_oneof![
            4 => proptest::sample::select(vec!["1\r\na\r\n", "2;x\r\nbc\r\n", "0\r\n", "\r\n", "A: b\r\n", "Te: b\r\n"]),
            1 => proptest::sample::select(vec!["1", "a", "\n", "\r", ":", " "])], 0..9), cut in 0usize..40) {
            let input = input.concat().into_bytes();
            let (first, second) = input.split_at(cut.min(input.len()));
            if let (Ok(written), Ok((data, _, done))) = (reframe(&[first, second]), decode(&[&input])) {
                let bytes = written.len();
                prop_assert_eq!(decode(&[&written]), Ok((data, bytes, done)));
                prop_assert_eq!(reframe(&[&written]), Ok(written));
            }
        }

        #[test]
        fn byte_by_byte_is_the_same(input in proptest::collection::vec(
            prop_oneof![4 => proptest::sample::select(b"0123aAfF\r\n; x:".to_vec()), 1 => any::<u8>()], 0..80)) {
            let pieces: Vec<&[u8]> = input.chunks(1).collect();
            prop_assert_eq!(decode(&[&input]), decode(&pieces));
        }

        #[test]
        fn well_formed_bodies_come_back(chunks in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..40), 0..8), cut in 0usize..400) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let (first, second) = body.split_at(cut.min(body.len()));
            prop_assert_eq!(decode(&[first, second]), Ok((chunks.concat(), body.len(), true)));
        }
    }
}
