//! `tcp-request` and `tcp-response` rules (configuration.txt section 4.2).

use super::model::{Condition, Expression, Location, LogFormat, VariableName};
use std::time::Duration;

/// What one proxy's TCP rules say. Rules run in the order of their list until one ends the list.
#[derive(Clone, Debug, Default)]
pub struct TcpRules {
    /// `tcp-request connection`: at the accept, before anything is read.
    pub connection: Vec<TcpRule>,
    /// `tcp-request session`: when the connection's handshakes are over.
    pub session: Vec<TcpRule>,
    /// `tcp-request content`: on what the client has sent.
    pub request: Vec<TcpRule>,
    /// `tcp-response content`: on what the server has sent.
    pub response: Vec<TcpRule>,
    /// `tcp-request inspect-delay`: how long rules may wait for more bytes; `None`: not at all.
    pub request_inspect_delay: Option<Duration>,
    /// `tcp-response inspect-delay`
    pub response_inspect_delay: Option<Duration>,
}

/// One rule: what to do, and when.
#[derive(Clone, Debug)]
pub struct TcpRule {
    pub action: TcpAction,
    /// `None`: always.
    pub condition: Option<Condition>,
    pub location: Location,
}

/// What a rule does. The manual describes each under its own name.
#[derive(Clone, Debug)]
pub enum TcpAction {
    /// Tracks or changes an entry of a stick table.
    Table(Box<super::model::TableAction>),
    Accept,
    Reject,
    /// `close` of `tcp-response content`: the server's connection is ended.
    Close,
    SilentDrop,
    /// `expect-proxy layer4`: the connection begins with a header of the PROXY protocol.
    ExpectProxy,
    SetVariable {
        name: VariableName,
        value: Expression,
    },
    SetVariableFormat {
        name: VariableName,
        value: LogFormat,
    },
    UnsetVariable(VariableName),
    /// Into slot `slot` of the request captures, at most `length_bytes`.
    Capture {
        value: Expression,
        slot: usize,
        length_bytes: u32,
    },
    SetSource(Expression),
    SetSourcePort(Expression),
    SetDestination(Expression),
    SetDestinationPort(Expression),
    /// 0 to 7 as syslog counts; 8: silent.
    SetLogLevel(u8),
    /// Marks the packets that go to the client (SO_MARK).
    SetMark(u32),
    /// The type of service, or DSCP, of the packets that go to the client.
    SetTos(u8),
    SetPriorityClass(Expression),
    SetPriorityOffset(Expression),
}
