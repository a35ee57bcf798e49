//! The load generator: connections to one or more targets, in a closed or an open loop, on one executor per core.

pub mod arguments;
mod conduct;
mod connect;
pub mod epoll;
mod executor;
mod members;
mod orders;
pub mod record;
mod tally;

pub use arguments::Kind;

/// Runs `ringway-bench load`.
pub fn run(kind: &Kind) -> anyhow::Result<()> {
    if let Some(member) = kind.common().member {
        return members::serve(kind, member);
    }
    let record = conduct::run(kind)?;
    conduct::publish(&record, kind.common())
}
