//! A client connection on glommio: opened, written, read; ended for good when dropped.

use super::board::{Board, Client, Ended, Socket};
use super::tally::Timed;
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use glommio::timer::sleep;
use nix::sys::socket::{Shutdown, shutdown};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::ready;
use std::time::{Duration, Instant};

pub struct Connection {
    stream: TcpStream,
    board: Rc<Board>,
    socket: Rc<Socket>,
    started: Instant,
    connect_timed: bool,
}

impl Connection {
    /// A connect is under way when this returns; what is written waits for it.
    pub fn open(client: &Client) -> io::Result<Self> {
        let started = Instant::now();
        let stream = client.board.routes.connect(client.number)?;
        client.socket.set(Some(stream.as_raw_fd()));
        client.socket.awaits(true);
        client.board.tally.borrow_mut().count("opened");
        Ok(Connection {
            stream: TcpStream::from(socket2::Socket::from(stream)),
            board: Rc::clone(&client.board),
            socket: Rc::clone(&client.socket),
            started,
            connect_timed: false,
        })
    }

    /// When its connect began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Waits for the connect where nothing is to be written or read yet. Loopback's are there at once.
    pub async fn established(&mut self) -> io::Result<()> {
        let mut pause = Duration::from_micros(200);
        while self.stream.peer_addr().is_err() {
            self.check()?;
            if let Some(error) = take_error(&self.stream)? {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        self.connect_is_over();
        self.socket.awaits(false);
        Ok(())
    }

    /// Writes it all.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            written += self.write_some(rest).await?;
        }
        Ok(())
    }

    /// Writes what is taken at once, a byte at least.
    pub async fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = poll_fn(|context| Pin::new(&mut self.stream).poll_write(context, bytes)).await;
        self.check()?;
        let count = count?;
        self.connect_is_over();
        if self.board.measuring() {
            self.board.tally.borrow_mut().bytes_sent += count as u64;
        }
        Ok(count)
    }

    /// Hands what has come to `take`; nothing (an empty slice) when the other side has ended.
    pub async fn read<R>(&mut self, mut take: impl FnMut(&[u8]) -> R) -> io::Result<R> {
        let board = Rc::clone(&self.board);
        let result = poll_fn(|context| {
            let mut buffer = board.buffer.borrow_mut();
            let count = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            std::task::Poll::Ready(count.map(|count| {
                if board.measuring() {
                    board.tally.borrow_mut().bytes_received += count as u64;
                }
                take(&buffer[..count])
            }))
        })
        .await;
        self.check()?;
        self.connect_is_over();
        result
    }

    /// The clock of the answer's timeout starts, or stops.
    pub fn awaits(&self, answer: bool) {
        self.socket.awaits(answer);
    }

    fn connect_is_over(&mut self) {
        if !std::mem::replace(&mut self.connect_timed, true) {
            self.board.tally.borrow_mut().time(Timed::Connect, self.started.elapsed());
        }
    }

    fn check(&self) -> io::Result<()> {
        match self.socket.ended() {
            None => Ok(()),
            Some(Ended::Overdue) => Err(io::ErrorKind::TimedOut.into()),
            Some(Ended::Storm) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "dropped in a storm")),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.socket.set(None);
        // A poll of the ring that is still armed would keep the socket, and its end, back.
        shutdown(self.stream.as_raw_fd(), Shutdown::Both).ok();
    }
}

/// Why a connect failed.
fn take_error(stream: &TcpStream) -> io::Result<Option<io::Error>> {
    // Reading tells it, and is harmless while there is nothing to read.
    let mut byte = [0u8; 1];
    match nix::sys::socket::recv(
        stream.as_raw_fd(),
        &mut byte,
        nix::sys::socket::MsgFlags::MSG_PEEK | nix::sys::socket::MsgFlags::MSG_DONTWAIT,
    ) {
        Ok(_) | Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ENOTCONN) => Ok(None),
        Err(error) => Ok(Some(error.into())),
    }
}

/// The other side ended where it should not have.
pub fn closed_early() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
