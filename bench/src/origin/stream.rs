//! An accepted connection on glommio.

use super::executor::Buffer;
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use nix::sys::socket::{Shutdown, shutdown};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub struct Stream {
    stream: TcpStream,
    buffer: Buffer,
}

impl Stream {
    pub fn new(stream: TcpStream, buffer: Buffer) -> Self {
        Stream { stream, buffer }
    }

    pub fn buffer(&self) -> Buffer {
        self.buffer.clone()
    }

    /// Hands what has come to `take`; None when the other side has ended.
    pub async fn read<R>(&mut self, mut take: impl FnMut(&[u8]) -> R) -> io::Result<Option<R>> {
        let buffer = self.buffer.clone();
        poll_fn(|context| {
            let mut buffer = buffer.borrow_mut();
            let count = ready!(self.poll_read(context, &mut buffer))?;
            Poll::Ready(Ok((count > 0).then(|| take(&buffer[..count]))))
        })
        .await
    }

    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }

    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// Writes it all.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            written += poll_fn(|context| self.poll_write(context, rest)).await?;
        }
        Ok(())
    }

    /// Nothing more will be written.
    pub fn end(&self) {
        shutdown(self.stream.as_raw_fd(), Shutdown::Write).ok();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A poll of the ring that is still armed would keep the socket, and its end, back.
        shutdown(self.stream.as_raw_fd(), Shutdown::Both).ok();
    }
}
