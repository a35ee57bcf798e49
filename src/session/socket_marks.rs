//! `set-mark` and `set-tos`: what rules wish of the client's socket is done here.

use crate::io::{Driver, Socket, SocketOption};
use crate::policy::exchange::SocketMarks;

/// Sets what was asked for since the last time. A kernel that refuses (a mark needs CAP_NET_ADMIN, a unix socket has
/// neither) changes nothing about the connection, as with HAProxy.
pub fn apply<D: Driver>(driver: &mut D, socket: Socket, wishes: &mut SocketMarks) {
    let SocketMarks { mark, tos } = std::mem::take(wishes);
    if let Some(mark) = mark {
        let _ = driver.set_option(socket, &SocketOption::Mark(mark));
    }
    if let Some(tos) = tos {
        let _ = driver.set_option(socket, &SocketOption::Tos(tos));
    }
}
