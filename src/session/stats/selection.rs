//! Which lines and cells a request gets to see.

use crate::config::model::{Config, ProxyId};

/// `show stat [<proxy> <type> <sid>]`, `up`, `no-maint`, `stats scope`.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Only these proxies; `None`: all.
    pub proxies: Option<Vec<ProxyId>>,
    /// 1 frontends, 2 backends, 4 servers, 8 listeners; -1 all.
    pub kinds: i32,
    /// Only this `sid`; -1 all.
    pub service_number: i64,
    /// Leave out servers that are down.
    pub up_only: bool,
    /// Leave out servers in maintenance.
    pub no_maintenance: bool,
    /// Show addresses, cookies and algorithms (`stats show-legends`; operator and admin on the runtime socket).
    pub details: bool,
}

impl Default for Selection {
    fn default() -> Selection {
        Selection {
            proxies: None,
            kinds: -1,
            service_number: -1,
            up_only: false,
            no_maintenance: false,
            details: false,
        }
    }
}

impl Selection {
    pub fn has_proxy(&self, id: ProxyId) -> bool {
        self.proxies.as_ref().is_none_or(|proxies| proxies.contains(&id))
    }
    pub fn has_kind(&self, bit: i32) -> bool {
        self.kinds & bit != 0
    }
    pub fn has_number(&self, number: u32) -> bool {
        self.service_number < 0 || self.service_number == i64::from(number)
    }
}

/// The proxies that `stats scope` names; `.` is the proxy itself. `None` when there is no scope.
pub fn scope(config: &Config, names: &[String], own: ProxyId) -> Option<Vec<ProxyId>> {
    let named = |id: &ProxyId| names.iter().any(|name| *name == config.proxy(*id).name || (name == "." && *id == own));
    (!names.is_empty()).then(|| config.proxy_ids().filter(named).collect())
}
