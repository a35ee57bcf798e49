//! TLS hello messages in bytes that pass through (RFC 8446 section 4.1.2, RFC 6066, RFC 7301).

use super::Outcome;

pub const SERVER_NAME: u16 = 0;
pub const SUPPORTED_GROUPS: u16 = 10;
pub const ALPN: u16 = 16;
pub const SESSION_TICKET: u16 = 35;

const HANDSHAKE: u8 = 0x16;
const CLIENT_HELLO: u8 = 1;

/// Takes lengths and fields off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
    /// A big-endian number of `bytes` bytes.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
    }
    /// A field with its length before it.
    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(length_bytes)?;
        self.take(length)
    }
}

/// A client hello's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    extensions: &'a [u8],
}

/// The handshake message at the start: its type and what it holds. Only a hello that lies in one record is read, as
/// HAProxy does.
fn handshake(bytes: &[u8]) -> Outcome<(u8, &[u8])> {
    match bytes {
        [] => return Outcome::NotYet,
        [HANDSHAKE, rest @ ..] if rest.first().is_none_or(|major| *major == 3) => {}
        _ => return Outcome::Missing,
    }
    let mut reader = Reader(bytes.get(3..).unwrap_or_default());
    let Some(record) = reader.number(2) else { return Outcome::NotYet };
    let Some(record) = reader.take(record) else { return Outcome::NotYet };
    let mut message = Reader(record);
    let Some(kind) = message.number(1) else { return Outcome::Missing };
    match message.vector(3) {
        Some(body) => Outcome::Found((kind as u8, body)),
        None => Outcome::Missing,
    }
}

/// 1 for a client's hello, 2 for a server's.
pub fn hello_type(bytes: &[u8]) -> Outcome<u8> {
    handshake(bytes).map(|(kind, _)| kind)
}

/// The version of the hello: major times 65536 and minor.
pub fn version(bytes: &[u8]) -> Outcome<i64> {
    match handshake(bytes) {
        Outcome::Found((CLIENT_HELLO, [major, minor, ..])) => {
            Outcome::Found((i64::from(*major) << 16) | i64::from(*minor))
        }
        Outcome::NotYet => Outcome::NotYet,
        _ => Outcome::Missing,
    }
}

/// The client's hello at the start of `bytes`.
pub fn client_hello(bytes: &[u8]) -> Outcome<ClientHello<'_>> {
    match handshake(bytes) {
        Outcome::Found((CLIENT_HELLO, body)) => {
            Outcome::of(extensions(body).map(|extensions| ClientHello { extensions }))
        }
        Outcome::NotYet => Outcome::NotYet,
        _ => Outcome::Missing,
    }
}

fn extensions(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    reader.take(2 + 32)?;
    let _session = reader.vector(1)?;
    let _ciphers = reader.vector(2)?;
    let _compressions = reader.vector(1)?;
    if reader.0.is_empty() { Some(&[]) } else { reader.vector(2) }
}

impl<'a> ClientHello<'a> {
    /// The data of the extension of this number.
    pub fn extension(&self, number: u16) -> Option<&'a [u8]> {
        let mut reader = Reader(self.extensions);
        loop {
            let kind = reader.number(2)?;
            let data = reader.vector(2)?;
            if kind == usize::from(number) {
                return Some(data);
            }
        }
    }

    /// The host name that the client asks for.
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let mut names = Reader(Reader(self.extension(SERVER_NAME)?).vector(2)?);
        while let Some(kind) = names.number(1) {
            let name = names.vector(2)?;
            if kind == 0 {
                return Some(name);
            }
        }
        None
    }

    /// The first protocol that the client offers.
    pub fn alpn(&self) -> Option<&'a [u8]> {
        Reader(Reader(self.extension(ALPN)?).vector(2)?).vector(1)
    }
}
