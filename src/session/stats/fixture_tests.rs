//! Settings and states for the tests of statistics, the stats page and the runtime socket.

use crate::config::model::{Config, StatsSettings};
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) fn settings() -> StatsSettings {
    StatsSettings {
        uri: "/stats".to_string(),
        refresh: None,
        realm: "HAProxy Statistics".to_string(),
        auth: Vec::new(),
        hide_version: false,
        admin: Vec::new(),
        scope: Vec::new(),
        show_legends: false,
        show_node: None,
        show_desc: None,
    }
}

/// The configuration in `text`, which must load.
pub(crate) fn config(text: &str) -> Arc<Config> {
    let loaded = crate::config::load::load_text("test.cfg", text);
    Arc::new(loaded.config.unwrap_or_else(|| panic!("the test configuration does not load: {:?}", loaded.diagnostics)))
}

/// The state of a process with two workers that loaded this configuration at time 0.
pub(crate) fn shared(config: Arc<Config>) -> Arc<Shared> {
    let shared = Arc::new(Shared::new(config, 2, 0, 1_700_000_000_000_000));
    shared.process.maxconn.store(100, Relaxed);
    shared.process.maxconn_hard.store(100, Relaxed);
    crate::policy::health::start(&shared, 0);
    shared
}
