//! Rules that choose a backend or a server (configuration.txt section 4.2).

use super::model::{Condition, LogFormat, ProxyId, ServerId};

/// What a rule names: one that is known, or a name made for each request.
#[derive(Clone, Debug)]
pub enum Target<T> {
    Known(T),
    /// A name that nobody has chooses nothing.
    Named(LogFormat),
}

/// `use_backend <backend> [if|unless …]`
#[derive(Clone, Debug)]
pub struct BackendRule {
    pub target: Target<ProxyId>,
    /// `None`: always.
    pub condition: Option<Condition>,
}

/// `use-server <server> if|unless …`
#[derive(Clone, Debug)]
pub struct ServerRule {
    pub target: Target<ServerId>,
    pub condition: Option<Condition>,
}

/// What `force-persist` and `ignore-persist` say of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    #[default]
    Normal,
    /// The cookie's server is used even when it is down.
    Forced,
    /// Cookies are not looked at.
    Ignored,
}

#[derive(Clone, Debug)]
pub struct PersistenceRule {
    pub persistence: Persistence,
    pub condition: Option<Condition>,
}
