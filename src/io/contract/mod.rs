//! The contract suite: what [`super::Driver`] promises, run on every backend.
//!
//! # Ledger: which error arms are proven, and where
//!
//! | arm | case |
//! |---|---|
//! | accept: EMFILE ends it, a later accept finds the connection | `accept_pauses_without_descriptors` |
//! | accept: ECANCELED, and nothing of the backlog is lost | `accept_ends_when_cancelled` |
//! | accept: EINVAL while the listener is stopped | `a_stopped_listener_refuses` |
//! | connect: ECONNREFUSED | `connect_is_refused` |
//! | connect: ECANCELED while nobody answers | `connect_is_cancelled` |
//! | receive: end of stream, before and after the arming | `last_bytes_then_end` |
//! | receive: ECONNRESET, before and after the arming, after all bytes | `last_bytes_then_reset` |
//! | receive: ECANCELED at any moment loses no byte | `cancelling_loses_no_byte` |
//! | receive: no buffer pauses it; release and detach let it go on, in turn | `receives_wait_for_buffers`, `detaching_frees_a_buffer` |
//! | send: short, EAGAIN, then poll_writable | `a_full_socket_says_so` |
//! | send: EPIPE or ECONNRESET to a reset connection | `sending_into_a_reset` |
//! | shutdown_both ends an armed receive | `shutdown_ends_a_receive` |
//! | splice: EAGAIN (empty, full), end, a pipe with bytes is not reused | `splice_moves_all_bytes`, `a_pipe_with_bytes_is_not_reused` |
//! | more completions than the ring's queue holds: none is lost | `more_completions_than_a_queue_holds` |
//! | urgent bytes stay in the stream (real sockets) | `urgent_bytes_are_not_lost` |
//! | a descriptor's number used again knows nothing of the old socket | `descriptors_are_used_again` |
//!
//! Not proven here: ENFILE, ENOBUFS and ENOMEM of accept on real kernels (the simulated one delivers them),
//! ECONNABORTED.

mod accept_and_connect;
mod buffers_and_pipes;
mod streams;
mod world;

use world::World;
use world::{EpollWorld, SimWorld, SingleUringWorld, UringWorld};

macro_rules! contract {
    ($($module:ident: $($case:ident)*;)*) => {
        mod on_uring {
            $($(#[test] fn $case() { super::$module::$case::<super::UringWorld>(); })*)*
        }
        mod on_uring_without_multishot {
            $($(#[test] fn $case() { super::$module::$case::<super::SingleUringWorld>(); })*)*
        }
        mod on_epoll {
            $($(#[test] fn $case() { super::$module::$case::<super::EpollWorld>(); })*)*
        }
        mod on_sim {
            $($(#[test] fn $case() { super::$module::$case::<super::SimWorld>(); })*)*
        }
    };
}

contract! {
    accept_and_connect:
        accept_delivers_every_connection
        accept_ends_when_cancelled
        accept_pauses_without_descriptors
        a_stopped_listener_refuses
        connect_succeeds
        connect_is_refused
        connect_is_cancelled
        descriptors_are_used_again
        waiting_ends_in_time
        another_thread_wakes
        many_connections_at_once;
    streams:
        bytes_arrive_in_order
        last_bytes_then_end
        a_first_receive_loses_nothing what_is_taken_at_once_is_no_more_than_asked_for
        last_bytes_then_reset
        half_close_both_ways
        cancelling_loses_no_byte
        a_full_socket_says_so
        sending_into_a_reset
        shutdown_ends_a_receive
        own_bytes_are_sent
        urgent_bytes_are_not_lost
        an_endless_sender_starves_nobody
        readiness_is_polled
        more_completions_than_a_queue_holds;
    buffers_and_pipes:
        receives_wait_for_buffers
        detaching_frees_a_buffer
        an_idle_receive_holds_no_buffer
        splice_moves_all_bytes
        a_pipe_with_bytes_is_not_reused
        pipes_are_bounded;
}
