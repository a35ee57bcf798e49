//! A minimal TCP relay on glommio: what a data plane built on it would cost, for the comparison.

use super::Place;
use super::executor::{self, Buffer};
use super::stream::Stream;
use clap::Args;
use glommio::net::TcpStream;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// `ringway-bench relay`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Where connections go; several addresses are taken in turn
    #[arg(long, required = true, value_delimiter = ',', value_name = "ADDRESS:PORT")]
    to: Vec<SocketAddr>,
}

/// Relays until killed.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let targets = arguments.to.clone();
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    executor::serve(&arguments.place, move |stream| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let target = targets[turn % targets.len()];
        async move {
            // A connection that fails ends; there is nobody to tell.
            relay(stream, target).await.ok();
        }
    })
}

/// One way through: bytes that were read and not yet written.
#[derive(Default)]
struct Way {
    pending: Vec<u8>,
    written: usize,
    ended: bool,
}

async fn relay(mut client: Stream, target: SocketAddr) -> io::Result<()> {
    let buffer = client.buffer();
    let server = TcpStream::connect(target).await.map_err(io::Error::from)?;
    server.set_nodelay(true).map_err(io::Error::from)?;
    let mut server = Stream::new(server, client.buffer());
    let (mut up, mut down) = (Way::default(), Way::default());
    poll_fn(|context| {
        let up = up.step(context, &mut client, &mut server, &buffer)?;
        let down = down.step(context, &mut server, &mut client, &buffer)?;
        if up && down { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

impl Way {
    /// Moves what can be moved; true when its end has been passed on.
    fn step(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        buffer: &Buffer,
    ) -> io::Result<bool> {
        while !self.ended {
            while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
                match to.poll_write(context, rest)? {
                    Poll::Ready(count) => self.written += count,
                    Poll::Pending => return Ok(false),
                }
            }
            self.pending = Vec::new();
            self.written = 0;
            let mut buffer = buffer.borrow_mut();
            let Poll::Ready(count) = from.poll_read(context, &mut buffer)? else { return Ok(false) };
            if count == 0 {
                self.ended = true;
                to.end();
                break;
            }
            let mut written = 0;
            while written < count {
                match to.poll_write(context, &buffer[written..count])? {
                    Poll::Ready(more) => written += more,
                    Poll::Pending => break,
                }
            }
            if written < count {
                self.pending = buffer[written..count].to_vec();
                return Ok(false);
            }
        }
        Ok(true)
    }
}
