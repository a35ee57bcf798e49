//! How a session ended: the two letters of `%ts` (configuration.txt section 8.5), set once, by the first cause.

/// The first letter: who or what ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `-` both sides closed normally.
    Normal,
    /// `C` the client aborted.
    Client,
    /// `S` the server aborted or refused.
    Server,
    /// `P` the proxy refused (limit, denied, bad request).
    Proxy,
    /// `R` a local resource ran out (descriptors, ports, memory).
    Resource,
    /// `I` an internal error.
    Internal,
    /// `D` the server was found down.
    Down,
    /// `U` an active server came back and the backup's sessions were closed.
    BackupReplaced,
    /// `K` killed by an administrator.
    Killed,
    /// `L` answered locally.
    Local,
    /// `c` the client's time-out.
    ClientTimeout,
    /// `s` the server's time-out.
    ServerTimeout,
}

/// The second letter: what the session was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Request,
    Queue,
    Connect,
    Headers,
    Data,
    Last,
    Tarpit,
    /// `-` after the end of both directions.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    pub cause: Cause,
    pub phase: Phase,
}

impl Termination {
    pub const NORMAL: Termination = Termination { cause: Cause::Normal, phase: Phase::Finished };

    pub fn new(cause: Cause, phase: Phase) -> Self {
        Termination { cause, phase }
    }

    /// What the letters stand for; letters that mean nothing are an internal error.
    pub fn from_letters(letters: [u8; 2]) -> Self {
        let causes = [
            Cause::Normal,
            Cause::Client,
            Cause::Server,
            Cause::Proxy,
            Cause::Resource,
            Cause::Internal,
            Cause::Down,
            Cause::BackupReplaced,
            Cause::Killed,
            Cause::Local,
            Cause::ClientTimeout,
            Cause::ServerTimeout,
        ];
        let phases = [
            Phase::Request,
            Phase::Queue,
            Phase::Connect,
            Phase::Headers,
            Phase::Data,
            Phase::Last,
            Phase::Tarpit,
            Phase::Finished,
        ];
        let all = causes.into_iter().flat_map(|cause| phases.map(|phase| Termination { cause, phase }));
        all.into_iter()
            .find(|termination| termination.letters() == letters)
            .unwrap_or(Termination { cause: Cause::Internal, phase: Phase::Finished })
    }

    /// The two characters of `%ts`.
    pub fn letters(self) -> [u8; 2] {
        let cause = match self.cause {
            Cause::Normal => b'-',
            Cause::Client => b'C',
            Cause::Server => b'S',
            Cause::Proxy => b'P',
            Cause::Resource => b'R',
            Cause::Internal => b'I',
            Cause::Down => b'D',
            Cause::BackupReplaced => b'U',
            Cause::Killed => b'K',
            Cause::Local => b'L',
            Cause::ClientTimeout => b'c',
            Cause::ServerTimeout => b's',
        };
        let phase = match self.phase {
            Phase::Request => b'R',
            Phase::Queue => b'Q',
            Phase::Connect => b'C',
            Phase::Headers => b'H',
            Phase::Data => b'D',
            Phase::Last => b'L',
            Phase::Tarpit => b'T',
            Phase::Finished => b'-',
        };
        [cause, phase]
    }
}
