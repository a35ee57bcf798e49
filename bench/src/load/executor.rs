//! One glommio executor: its connections as tasks.

use super::arguments::Kind;
use super::orders::{Event, Orders, Share};
use super::tally::Tally;
use crossbeam_channel::Sender;

/// Does a share of the load until the phase is Stop.
pub fn run(_kind: &Kind, _share: &Share, _orders: &Orders, _events: &Sender<Event>) -> anyhow::Result<Tally> {
    anyhow::bail!("not with glommio yet: --executor epoll")
}
