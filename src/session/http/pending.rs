//! Neutral answers of policies that are still on their way.

pub mod switching {
    use crate::config::model::{ProxyId, ServerId};
    use crate::policy::exchange::Scope;
    pub fn choose_backend(scope: &mut Scope) -> Option<ProxyId> {
        let proxy = scope.shared.config.proxy(scope.proxy);
        let default = proxy.frontend.as_ref().and_then(|frontend| frontend.default_backend);
        default.or(proxy.backend.is_some().then_some(scope.proxy))
    }
    pub fn choose_server(_: &mut Scope) -> Option<ServerId> {
        None
    }
}
