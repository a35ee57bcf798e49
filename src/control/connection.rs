//! One stream socket of the control thread: what is armed on it, what is still to be sent, and its end. Used by checks
//! and by runtime sessions, which only see [`Happened`].

use crate::io::{BufferClass, BufferId, Completion, Driver, Socket, Token};

/// Which operation of a connection a token names; its low three bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Operation {
    Connect = 1,
    Receive = 2,
    Send = 3,
    Writable = 4,
}

const OPERATION_MASK: u64 = 7;

/// What a completion meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Nothing,
    Connected,
    /// The bytes are `driver.bytes(buffer)[..length]`; the buffer is the caller's to release.
    Received {
        buffer: BufferId,
        length: usize,
    },
    EndOfInput,
    /// Everything written so far is with the kernel.
    Written,
    /// An errno.
    Failed(i32),
    /// After [`Connection::close`]: the socket is closed and the connection must be forgotten.
    Closed,
}

/// See the module's text.
pub(super) struct Connection {
    socket: Socket,
    /// Tokens are `base | operation`; the low three bits of `base` are 0.
    base: u64,
    armed: u8,
    /// Waiting behind what is being sent.
    output: Vec<u8>,
    sending: BufferId,
    sent: usize,
    sending_length: usize,
    receive_ended: bool,
    closing: bool,
}

impl Connection {
    pub fn socket(&self) -> Socket {
        self.socket
    }

    /// Takes over `socket`. No other connection of the driver may have the same `base`.
    pub fn new(socket: Socket, base: u64) -> Connection {
        Connection {
            socket,
            base: base & !OPERATION_MASK,
            armed: 0,
            output: Vec::new(),
            sending: BufferId::NONE,
            sent: 0,
            sending_length: 0,
            receive_ended: false,
            closing: false,
        }
    }

    /// The `base` of the connection that a completion belongs to.
    pub fn base_of(token: Token) -> u64 {
        token.0 & !OPERATION_MASK
    }

    fn arm(&mut self, operation: Operation) -> Token {
        self.armed |= 1 << operation as u8;
        Token(self.base | operation as u64)
    }

    fn is_armed(&self, operation: Operation) -> bool {
        self.armed & (1 << operation as u8) != 0
    }

    pub fn connect<D: Driver>(&mut self, driver: &mut D, address: &crate::io::SocketAddress) {
        let token = self.arm(Operation::Connect);
        driver.connect(self.socket, address, token);
    }

    /// Receives from now on. No effect while it does already, or after the end of input.
    pub fn receive<D: Driver>(&mut self, driver: &mut D) {
        if !self.is_armed(Operation::Receive) && !self.receive_ended && !self.closing {
            let token = self.arm(Operation::Receive);
            driver.receive(self.socket, BufferClass::Small, token);
        }
    }

    /// Lets the other side wait. What was received already still arrives.
    pub fn pause_receiving<D: Driver>(&mut self, driver: &mut D) {
        if self.is_armed(Operation::Receive) {
            driver.cancel(self.socket, Token(self.base | Operation::Receive as u64));
        }
    }

    /// Appends to what is to be sent.
    pub fn write<D: Driver>(&mut self, driver: &mut D, bytes: &[u8]) {
        if !self.closing {
            self.output.extend_from_slice(bytes);
            self.send_more(driver);
        }
    }

    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Bytes written but not yet with the kernel.
    pub fn unsent_bytes(&self) -> usize {
        self.output.len() + self.sending_length.saturating_sub(self.sent)
    }

    fn send_more<D: Driver>(&mut self, driver: &mut D) {
        if self.closing || self.is_armed(Operation::Send) || self.is_armed(Operation::Writable) {
            return;
        }
        if !self.sending.is_some() {
            if self.output.is_empty() {
                return;
            }
            self.sending = driver.buffer_from(&self.output);
            (self.sent, self.sending_length) = (0, self.output.len());
            // A big answer must not keep its memory for as long as the connection lives.
            self.output = Vec::new();
        }
        let token = self.arm(Operation::Send);
        let (offset, length) = (self.sent as u32, (self.sending_length - self.sent) as u32);
        driver.send(self.socket, self.sending, offset, length, token);
    }

    /// Ends everything that is armed, then closes: at once (`true`: forget the connection now), or with a later
    /// [`Happened::Closed`].
    #[must_use]
    pub fn close<D: Driver>(&mut self, driver: &mut D) -> bool {
        if !self.closing {
            self.closing = true;
            for operation in [Operation::Connect, Operation::Receive, Operation::Send, Operation::Writable] {
                if self.is_armed(operation) {
                    driver.cancel(self.socket, Token(self.base | operation as u64));
                }
            }
        }
        self.finish_close(driver)
    }

    fn finish_close<D: Driver>(&mut self, driver: &mut D) -> bool {
        if self.armed != 0 {
            return false;
        }
        if self.sending.is_some() {
            driver.release(self.sending);
            self.sending = BufferId::NONE;
        }
        driver.close(self.socket);
        true
    }

    /// Takes a completion whose token has this connection's base.
    pub fn complete<D: Driver>(&mut self, driver: &mut D, completion: &Completion) -> Happened {
        let operation = completion.token.0 & OPERATION_MASK;
        if !completion.more {
            self.armed &= !(1u8 << operation);
        }
        if self.closing {
            if completion.buffer.is_some() {
                driver.release(completion.buffer);
            }
            return if self.finish_close(driver) { Happened::Closed } else { Happened::Nothing };
        }
        let result = completion.result;
        match operation {
            number if number == Operation::Connect as u64 => match result {
                0.. => Happened::Connected,
                errno => Happened::Failed(-errno),
            },
            number if number == Operation::Receive as u64 => self.received(completion),
            number if number == Operation::Send as u64 => self.sent(driver, result),
            number if number == Operation::Writable as u64 => {
                self.send_more(driver);
                Happened::Nothing
            }
            _ => Happened::Nothing,
        }
    }

    fn received(&mut self, completion: &Completion) -> Happened {
        match completion.result {
            length @ 1.. => Happened::Received { buffer: completion.buffer, length: length as usize },
            0 => {
                self.receive_ended = true;
                Happened::EndOfInput
            }
            errno if -errno == libc::ECANCELED => Happened::Nothing,
            errno => {
                self.receive_ended = true;
                Happened::Failed(-errno)
            }
        }
    }

    fn sent<D: Driver>(&mut self, driver: &mut D, result: i32) -> Happened {
        match result {
            0.. => self.sent += result as usize,
            errno if -errno == libc::EAGAIN => {
                let token = self.arm(Operation::Writable);
                driver.poll_writable(self.socket, token);
                return Happened::Nothing;
            }
            errno => return Happened::Failed(-errno),
        }
        if self.sent >= self.sending_length {
            driver.release(self.sending);
            self.sending = BufferId::NONE;
            (self.sent, self.sending_length) = (0, 0);
            if self.output.is_empty() {
                return Happened::Written;
            }
        }
        self.send_more(driver);
        Happened::Nothing
    }
}
