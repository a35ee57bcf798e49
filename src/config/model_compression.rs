//! `compression` (configuration.txt section 4.2).

/// How a response's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionAlgorithm {
    Identity,
    Gzip,
    /// In zlib's format, as RFC 9110 section 8.4.1.2 wants it.
    Deflate,
    /// Without it, as browsers understand it.
    RawDeflate,
}

impl CompressionAlgorithm {
    /// As `Accept-Encoding` and `Content-Encoding` name it.
    pub fn token(self) -> &'static [u8] {
        match self {
            CompressionAlgorithm::Identity => b"identity",
            CompressionAlgorithm::Gzip => b"gzip",
            CompressionAlgorithm::Deflate | CompressionAlgorithm::RawDeflate => b"deflate",
        }
    }
}

/// What a frontend or a backend says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// In order of preference; empty: nothing is compressed, unless the other side says so.
    pub algorithms: Vec<CompressionAlgorithm>,
    /// Starts of `Content-Type`; empty: all.
    pub types: Vec<String>,
    /// `offload`: servers are not told that the client understands compressed bodies.
    pub is_offloaded: bool,
    /// `minsize-res`: bodies known to be smaller stay as they are.
    pub response_bytes_min: u64,
}
