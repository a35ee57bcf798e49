//! Chunked bodies (RFC 9112 section 7.1). Line ends are CR LF and nothing else here: this is where readers that
//! disagree are exploited.

use super::split_field_line;

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
    Extension,
    SizeLineFeed,
    Data,
    DataCarriageReturn,
    DataLineFeed,
    Trailer,
    TrailerLineFeed,
    Done,
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
        }
    }
}

impl ChunkedDecoder {
    /// Hands the data in `input` to `sink` and returns how many bytes of `input` belong to the body. Fewer than all
    /// only when the body is complete.
    pub fn decode(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, ChunkError> {
        let mut rest = input;
        while let [byte, after @ ..] = rest {
            match self.state {
                State::Done => break,
                State::Data => {
                    let take = rest.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                    let (data, left) = rest.split_at(take);
                    sink(data);
                    self.remaining -= data.len() as u64;
                    if self.remaining == 0 {
                        self.state = State::DataCarriageReturn;
                    }
                    rest = left;
                    continue;
                }
                _ => self.state = self.take_byte(*byte)?,
            }
            rest = after;
        }
        Ok(input.len() - rest.len())
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
            (State::Size { .. } | State::AfterSize, b';') => self.extension_byte(),
            (State::Size { .. } | State::AfterSize, b' ' | b'\t') => self.extension_byte().map(|_| State::AfterSize),
            (State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.extension_byte(),
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
                split_field_line(&line).map(|_| State::Trailer).ok_or(ChunkError)
            }
            _ => Err(ChunkError),
        }
    }

    fn extension_byte(&mut self) -> Result<State, ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX { Err(ChunkError) } else { Ok(State::Extension) }
    }
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
        let whole = b"5;a=b\r\nhello\r\n1 \t\r\n!\r\n0\r\nX: y\r\n\r\nGET /";
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
            let quoted_extension_is_open = *case == b"5;a=\"\r\n";
            assert_eq!(decode(&[case]).is_err(), !quoted_extension_is_open, "{}", case.escape_ascii());
        }
        let mut long = b"5;".to_vec();
        long.extend(std::iter::repeat_n(b'x', EXTENSION_BYTES_MAX));
        assert_eq!(decode(&[&long]), Err(ChunkError));
        let mut trailer = b"0\r\nx: ".to_vec();
        trailer.extend(std::iter::repeat_n(b'x', TRAILER_BYTES_MAX));
        assert_eq!(decode(&[&trailer]), Err(ChunkError));
    }

    proptest! {
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
