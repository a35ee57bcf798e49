//! The stream itself: DEFLATE (RFC 1951), bare, in zlib's (RFC 1950) or in gzip's format (RFC 1952).

use crate::config::model::{CompressionAlgorithm, Global};
use flate2::{Compress, Compression, Crc, FlushCompress};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// What one compressor holds, about: window, hash chains and output.
const BYTES_PER_COMPRESSOR: u64 = 320 * 1024;
/// Idle compressors that a thread keeps for the next response.
const IDLE_MAX: usize = 4;
/// No name, no time, fastest algorithm, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// Compressors at work in the whole process, for `maxzlibmem`.
static AT_WORK: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static IDLE: RefCell<Vec<(bool, Compress)>> = const { RefCell::new(Vec::new()) };
}

/// Compresses one body. What goes in comes out at once, so that nothing waits for more.
pub struct Compressor {
    /// In zlib's format, and the stream; `None` only while it is dropped.
    stream: Option<(bool, Compress)>,
    /// gzip's: the check sum of what went in.
    checksum: Option<Crc>,
    is_begun: bool,
    is_failed: bool,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("is_begun", &self.is_begun).finish_non_exhaustive()
    }
}

impl Compressor {
    /// `None`: `maxzlibmem` is used up.
    pub(super) fn new(algorithm: CompressionAlgorithm, global: &Global) -> Option<Compressor> {
        let at_work = AT_WORK.fetch_add(1, Ordering::Relaxed);
        let limit = global.compression_memory_max_bytes;
        if limit.is_some_and(|limit| (u64::from(at_work) + 1) * BYTES_PER_COMPRESSOR > limit) {
            AT_WORK.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let with_zlib_header = algorithm == CompressionAlgorithm::Deflate;
        let idle = IDLE.with_borrow_mut(|idle| {
            let at = idle.iter().position(|(with_header, _)| *with_header == with_zlib_header)?;
            Some(idle.swap_remove(at))
        });
        let level = Compression::new(global.compression_level_max.min(9));
        let stream = idle.unwrap_or_else(|| (with_zlib_header, Compress::new(level, with_zlib_header)));
        let checksum = (algorithm == CompressionAlgorithm::Gzip).then(Crc::new);
        Some(Compressor { stream: Some(stream), checksum, is_begun: false, is_failed: false })
    }

    /// Appends to `output` what `data` becomes.
    pub fn push(&mut self, data: &[u8], output: &mut Vec<u8>) {
        if data.is_empty() {
            return;
        }
        self.write_header(output);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(data);
        }
        self.run(data, FlushCompress::Sync, output);
    }

    /// Appends the end of the stream. Nothing may be pushed afterwards.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        self.write_header(output);
        self.run(b"", FlushCompress::Finish, output);
        if let Some(checksum) = &self.checksum {
            output.extend_from_slice(&checksum.sum().to_le_bytes());
            output.extend_from_slice(&checksum.amount().to_le_bytes());
        }
    }

    fn write_header(&mut self, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) && self.checksum.is_some() {
            output.extend_from_slice(&GZIP_HEADER);
        }
    }

    fn run(&mut self, mut data: &[u8], flush: FlushCompress, output: &mut Vec<u8>) {
        let Some((_, stream)) = &mut self.stream else { return };
        while !self.is_failed {
            output.reserve(data.len() / 2 + 256);
            let (before_in, before_out) = (stream.total_in(), output.len());
            let status = stream.compress_vec(data, output, flush);
            let taken = (stream.total_in() - before_in) as usize;
            data = data.get(taken..).unwrap_or_default();
            let is_room_left = output.len() < output.capacity();
            let is_stuck = taken == 0 && output.len() == before_out;
            match status {
                Ok(flate2::Status::StreamEnd) => return,
                // All is out once the output was not filled to its end.
                Ok(_) if data.is_empty() && is_room_left && flush != FlushCompress::Finish => return,
                Ok(_) if is_stuck && is_room_left => return,
                Ok(_) => {}
                // Cannot happen to a stream that is used in order; the client sees a body that does not end well.
                Err(_) => self.is_failed = true,
            }
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Ordering::Relaxed);
        if let Some((with_zlib_header, mut stream)) = self.stream.take()
            && !self.is_failed
        {
            stream.reset();
            // The thread may be ending.
            let _ = IDLE.try_with(|idle| {
                if let Ok(mut idle) = idle.try_borrow_mut()
                    && idle.len() < IDLE_MAX
                {
                    idle.push((with_zlib_header, stream));
                }
            });
        }
    }
}
