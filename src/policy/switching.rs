//! Which backend, and which server of it, rules choose (configuration.txt section 4.2 `use_backend`, `use-server`,
//! `force-persist`, `ignore-persist`).

use super::condition::applies;
use super::exchange::Scope;
use super::log_facts;
use crate::config::model::{LogFormat, Persistence, ProxyId, ServerId, Target};
use crate::shared::ThreadShared;

/// The backend of the first `use_backend` rule of `scope.proxy` that applies; else its default backend; else, in a
/// `listen`, itself. A rule whose name is made at run time and belongs to no backend leads to the default one, as in
/// HAProxy.
pub fn choose_backend(scope: &mut Scope) -> Option<ProxyId> {
    let shared: &ThreadShared = scope.shared;
    let proxy = shared.config.proxies.get(scope.proxy.index())?;
    let frontend = proxy.frontend.as_ref()?;
    let rule = frontend.backend_rules.iter().find(|rule| applies(rule.condition.as_ref(), scope));
    let by_rule = rule.and_then(|rule| match &rule.target {
        Target::Known(backend) => Some(*backend),
        Target::Named(format) => shared.config.backends_by_name.get(&*name(format, scope)).copied(),
    });
    by_rule.or(frontend.default_backend).or(proxy.backend.is_some().then_some(scope.proxy))
}

/// The server of the first `use-server` rule of `scope.proxy` that applies and whose server can be used; a rule whose
/// server is down is passed over.
pub fn choose_server(scope: &mut Scope) -> Option<ServerId> {
    let shared: &ThreadShared = scope.shared;
    let backend = shared.config.proxies.get(scope.proxy.index())?.backend.as_ref()?;
    let forced = || persistence(scope) == Persistence::Forced;
    backend.server_rules.iter().find_map(|rule| {
        if !applies(rule.condition.as_ref(), scope) {
            return None;
        }
        let server = match &rule.target {
            Target::Known(server) => *server,
            Target::Named(format) => {
                let name = name(format, scope);
                let named = |id: &&ServerId| shared.config.server(**id).name.as_bytes() == name;
                *backend.servers.iter().find(named)?
            }
        };
        (shared.server(server).is_usable() || forced()).then_some(server)
    })
}

/// What the first `force-persist` or `ignore-persist` rule of `scope.proxy` that applies says.
pub fn persistence(scope: &Scope) -> Persistence {
    let proxy = scope.shared.config.proxies.get(scope.proxy.index());
    let rules = proxy.and_then(|proxy| proxy.backend.as_ref()).map(|backend| backend.persistence_rules.as_slice());
    let rule = rules.unwrap_or_default().iter().find(|rule| applies(rule.condition.as_ref(), scope));
    rule.map(|rule| rule.persistence).unwrap_or_default()
}

fn name(format: &LogFormat, scope: &Scope) -> Vec<u8> {
    let mut name = Vec::new();
    log_facts::render(format, scope, &mut name);
    name
}

#[cfg(test)]
mod tests;
