//! What the log says of a session, and of what happens to servers and listeners.

use super::Core;
use crate::config::model::ListenerId;
use crate::io::Driver;
use crate::policy::state_log::StateLog;
use crate::session::local_session::LocalSession;
use crate::session::tcp::TcpSession;

/// A server's or backend's change of state, to the log targets of its proxy.
pub(super) fn write_state<D: Driver>(core: &mut Core<D>, log: &StateLog) {
    let config = core.shared.config.clone();
    let Some(proxy) = config.proxies.get(log.proxy.index()) else { return };
    let tag = proxy.log_tag.as_deref().unwrap_or(&config.global.log_tag);
    let wall_us = core.driver.now().wall_us;
    core.log.send(&proxy.log.targets, tag, log.level, log.text.as_bytes(), wall_us);
}

/// Descriptors, memory or buffers have run out: accepting rests.
pub(super) fn write_shortage<D: Driver>(core: &mut Core<D>, listener: ListenerId, errno: i32) {
    let config = core.shared.config.clone();
    let proxy = config.listener(listener).frontend;
    let text = format!(
        "Proxy {} cannot accept connections for now: {}; accepting goes on as connections end.",
        config.proxy(proxy).name,
        std::io::Error::from_raw_os_error(errno)
    );
    write_state(core, &StateLog { proxy, level: 1, text });
}

pub(super) fn write_tcp<D: Driver>(core: &mut Core<D>, session: &mut TcpSession) {
    let _ = (core, session);
}

pub(super) fn write_local<D: Driver>(core: &mut Core<D>, session: &mut LocalSession) {
    let _ = (core, session);
}
