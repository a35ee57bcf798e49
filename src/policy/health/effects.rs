//! Where a change of state reaches balancing and the queues.

use crate::config::model::{ProxyId, ServerId};
use crate::shared::Shared;

/// Balancing sees the new usability and weights of `backend`. The administration lock is held.
pub(super) fn rebuild(_shared: &Shared, _backend: ProxyId) {}

/// Connections that wait for `server` alone are sent to choose again. Returns how many.
pub(super) fn requeue_waiting(_shared: &Shared, _server: ServerId) -> u32 {
    0
}

/// Connections that wait for any server of `backend` get the new one's free places. Returns how many.
pub(super) fn serve_waiting(_shared: &Shared, _backend: ProxyId) -> u32 {
    0
}
