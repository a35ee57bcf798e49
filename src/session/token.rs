//! How a worker names its armed operations: slot, generation and operation in one [`Token`].

use crate::io::Token;

/// A direction of a session: which peer's bytes it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// Client → server.
    Request = 0,
    /// Server → client.
    Response = 1,
}

/// What an armed operation does. The relay's four exist once per direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Receive(Direction),
    Send(Direction),
    Readable(Direction),
    Writable(Direction),
    Connect,
    /// Of a server's connection in HTTP mode: `slot` is its place among them (`session::http::servers`).
    Server(ServerOperation),
    /// Not of a slot: `slot` is the worker's listener number.
    Accept,
    /// Not of a slot.
    Mailbox,
}

/// What is armed on a server's connection in HTTP mode, which outlives the sessions that use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ServerOperation {
    Connect = 0,
    Receive = 1,
    Send = 2,
    Readable = 3,
    Writable = 4,
}

impl Operation {
    fn number(self) -> u8 {
        match self {
            Operation::Receive(direction) => direction as u8,
            Operation::Send(direction) => 2 + direction as u8,
            Operation::Readable(direction) => 4 + direction as u8,
            Operation::Writable(direction) => 6 + direction as u8,
            Operation::Connect => 8,
            Operation::Accept => 9,
            Operation::Mailbox => 10,
            Operation::Server(operation) => 11 + operation as u8,
        }
    }

    fn from_number(number: u8) -> Option<Operation> {
        let direction = if number & 1 == 0 { Direction::Request } else { Direction::Response };
        Some(match number {
            0 | 1 => Operation::Receive(direction),
            2 | 3 => Operation::Send(direction),
            4 | 5 => Operation::Readable(direction),
            6 | 7 => Operation::Writable(direction),
            8 => Operation::Connect,
            9 => Operation::Accept,
            10 => Operation::Mailbox,
            11 => Operation::Server(ServerOperation::Connect),
            12 => Operation::Server(ServerOperation::Receive),
            13 => Operation::Server(ServerOperation::Send),
            14 => Operation::Server(ServerOperation::Readable),
            15 => Operation::Server(ServerOperation::Writable),
            _ => return None,
        })
    }
}

/// A slot and the generation that tells its present tenant from the last one. Fits the token's lower 56 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotKey {
    pub slot: u32,
    /// 24 bits.
    pub generation: u32,
}

pub const GENERATION_MASK: u32 = 0x00ff_ffff;

impl SlotKey {
    pub fn token(self, operation: Operation) -> Token {
        Token((operation.number() as u64) << 56 | (self.generation as u64 & 0x00ff_ffff) << 32 | self.slot as u64)
    }

    /// Takes a token apart; `None` for one that this worker never made.
    pub fn parse(token: Token) -> Option<(SlotKey, Operation)> {
        let operation = Operation::from_number((token.0 >> 56) as u8)?;
        Some((SlotKey { slot: token.0 as u32, generation: (token.0 >> 32) as u32 & GENERATION_MASK }, operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_reads_back() {
        let directions = [Direction::Request, Direction::Response];
        let operations = directions
            .into_iter()
            .flat_map(|d| [Operation::Receive(d), Operation::Send(d), Operation::Readable(d), Operation::Writable(d)])
            .chain([Operation::Connect, Operation::Accept, Operation::Mailbox])
            .chain([ServerOperation::Connect, ServerOperation::Receive, ServerOperation::Send].map(Operation::Server))
            .chain([ServerOperation::Readable, ServerOperation::Writable].map(Operation::Server));
        for operation in operations {
            for key in [SlotKey { slot: 0, generation: 0 }, SlotKey { slot: u32::MAX, generation: GENERATION_MASK }] {
                assert_eq!(SlotKey::parse(key.token(operation)), Some((key, operation)));
            }
        }
        assert_eq!(SlotKey::parse(Token(u64::MAX)), None);
    }
}
