//! The HTTP responder.

use super::stream::Stream;
use crate::http::{Request, RequestReader, response, response_head};
use std::io;

/// Up to here an answer is sent in one piece.
const ONE_PIECE: usize = 64 << 10;
static BLOCK: [u8; 64 << 10] = [b'b'; 64 << 10];

/// Answers requests with as many bytes as they ask for, or as `body_bytes` says, until one asks for the end.
pub async fn answer(mut stream: Stream, body_bytes: usize) -> io::Result<()> {
    let mut reader = RequestReader::default();
    let mut requests: Vec<Request> = Vec::new();
    // What was sent last is most often what is sent next.
    let mut small: (usize, Vec<u8>) = (0, response(0));
    while stream.read(|bytes| reader.read(bytes, |request| requests.push(request))).await?.is_some() {
        for request in requests.drain(..) {
            let bytes = request.bytes.unwrap_or(body_bytes);
            if bytes > ONE_PIECE {
                large(&mut stream, bytes).await?;
            } else {
                if small.0 != bytes {
                    small = (bytes, response(bytes));
                }
                stream.write(&small.1).await?;
            }
            if request.last {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn large(stream: &mut Stream, bytes: usize) -> io::Result<()> {
    stream.write(&response_head(bytes)).await?;
    let mut missing = bytes;
    while missing > 0 {
        let piece = missing.min(BLOCK.len());
        stream.write(&BLOCK[..piece]).await?;
        missing -= piece;
    }
    Ok(())
}
