//! The load generator: connections to one or more targets, in a closed or an open loop, on one executor per core.

pub mod arguments;
mod board;
mod conduct;
mod connect;
mod connection;
pub mod epoll;
mod executor;
mod http;
mod idle;
mod members;
mod mqtt;
mod orders;
pub mod record;
mod schedule;
mod tally;
mod tcp;

pub use arguments::Kind;

/// Runs `ringway-bench load`.
pub fn run(kind: &Kind) -> anyhow::Result<()> {
    if let Some(member) = kind.common().member {
        return members::serve(kind, member);
    }
    let record = conduct::run(kind)?;
    conduct::publish(&record, kind.common())
}
