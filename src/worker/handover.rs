//! A worker whose descriptor table is full goes on accepting, and hands what it accepts over to one that has room.
//!
//! The kernel spreads connections over the workers' listening sockets by a hash, and knows nothing of their tables. What
//! would wait in the backlog of a full worker is served by another instead; the way goes by a unix socket (SCM_RIGHTS),
//! since a descriptor's number means nothing in another table.

use super::Worker;
use super::room::Parked;
use crate::config::model::ListenerId;
use crate::io::{Driver, Socket};
use crate::shared::mailbox::Message;
use crate::shared::places::Places;
use crate::sys::handover::{HandoverChannel, Note};
use std::io;
use std::os::fd::IntoRawFd;

/// How many connections are taken over between two looks at anything else.
const TAKEN_PER_TURN: usize = 64;

/// What the taker has to know; times are those of the accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Label {
    listener: ListenerId,
    monotonic_us: u64,
    wall_us: u64,
}

impl Label {
    fn to_note(self) -> Note {
        let mut note = Note::default();
        note[..4].copy_from_slice(&self.listener.0.to_ne_bytes());
        note[8..16].copy_from_slice(&self.monotonic_us.to_ne_bytes());
        note[16..].copy_from_slice(&self.wall_us.to_ne_bytes());
        note
    }

    fn of_note(note: &Note) -> Label {
        let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|index| note[at + index]));
        let listener = u32::from_ne_bytes(std::array::from_fn(|index| note[index]));
        Label { listener: ListenerId(listener), monotonic_us: word(8), wall_us: word(16) }
    }
}

impl<D: Driver> Worker<D> {
    /// Gives a connection that this worker has no room for to the one that has most. `false`: nobody has, or the limits
    /// of process or frontend are reached, so that it would wait there as well as here.
    pub(super) fn hand_over(&mut self, parked: &Parked) -> bool {
        let shared = self.core.shared.clone();
        let Some(acceptor) = self.acceptors.get(parked.acceptor) else { return false };
        let listener = acceptor.listener;
        if self.channels.is_empty() || !Places::has_room(&shared, listener) {
            return false;
        }
        let chosen = shared.config.listener(listener).workers.as_ref();
        let others = self.channels.iter().zip(&shared.workers).enumerate().filter(|(number, _)| {
            *number != usize::from(self.core.number)
                && chosen.is_none_or(|chosen| u32::try_from(*number).is_ok_and(|number| chosen.contains(&number)))
        });
        let most = others.map(|(_, other)| other).max_by_key(|(_, state)| state.room.free());
        let Some((channel, taker)) = most else { return false };
        if !taker.room.reserve() {
            return false;
        }
        let label = Label { listener, monotonic_us: parked.monotonic_us, wall_us: parked.wall_us };
        if channel.give(parked.socket.0, &label.to_note()).is_err() {
            // Too much is underway: it waits here and tries again.
            taker.room.give_back();
            return false;
        }
        self.core.driver.close(parked.socket);
        taker.mailbox.send(Message::ConnectionHandedOver);
        true
    }

    /// Serves what others had no room for.
    pub(super) fn take_over(&mut self) {
        let shared = self.core.shared.clone();
        let state = &shared.workers[usize::from(self.core.number)];
        for _ in 0..TAKEN_PER_TURN {
            let Some(channel) = self.channels.get(usize::from(self.core.number)) else { return };
            let (socket, note) = match channel.take() {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    state.room.give_back();
                    if let Some(errno @ (libc::ENOBUFS | libc::EMFILE | libc::ENFILE)) = error.raw_os_error() {
                        self.rest(errno, super::accept::SHORTAGE_PAUSE_US);
                        continue;
                    }
                    return;
                }
            };
            // The place that was kept for it is what it takes now.
            state.room.give_back();
            let label = Label::of_note(&note);
            let socket = Socket(socket.into_raw_fd());
            match self.acceptors.iter().position(|acceptor| acceptor.listener == label.listener) {
                Some(acceptor) => {
                    let (monotonic_us, wall_us) = (label.monotonic_us, label.wall_us);
                    self.admit_or_park(Parked { acceptor, socket, monotonic_us, wall_us });
                }
                None => self.core.driver.close(socket),
            }
        }
        // More may be there.
        state.mailbox.send(Message::ConnectionHandedOver);
    }
}

/// The descriptors that worker `number` needs of all channels.
pub fn kept_descriptors(channels: &[HandoverChannel], number: usize) -> impl Iterator<Item = i32> {
    channels
        .iter()
        .enumerate()
        .map(move |(of, channel)| if of == number { channel.taking_descriptor() } else { channel.giving_descriptor() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_travel_unchanged(listener: u32, monotonic_us: u64, wall_us: u64) {
            let label = Label { listener: ListenerId(listener), monotonic_us, wall_us };
            prop_assert_eq!(Label::of_note(&label.to_note()), label);
        }
    }
}
