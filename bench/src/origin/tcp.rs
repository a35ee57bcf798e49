//! Echo, sink and source.

use super::stream::Stream;
use std::io;

/// Sends back what comes.
pub async fn echo(mut stream: Stream) -> io::Result<()> {
    let mut message = Vec::new();
    while stream.read(|bytes| message.extend_from_slice(bytes)).await?.is_some() {
        stream.write(&message).await?;
        message.clear();
        // Connections that have had a large message don't hold its size for ever.
        message.shrink_to(4096);
    }
    Ok(())
}

/// Takes what comes.
pub async fn sink(mut stream: Stream) -> io::Result<()> {
    while stream.read(|_| ()).await?.is_some() {}
    Ok(())
}

/// Sends until it isn't taken.
pub async fn source(mut stream: Stream) -> io::Result<()> {
    let block = vec![b's'; 256 << 10];
    loop {
        stream.write(&block).await?;
    }
}
