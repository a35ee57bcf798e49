//! The names in `use_backend` and `use-server` rules.

use super::diagnostics::{Diagnostics, Severity};
use super::model::*;
use super::section_switching::{WrittenSwitch, WrittenTarget};
use super::written::{Written, WrittenProxy};
use std::collections::HashMap;

/// Proxies with servers, by name.
pub fn backends_by_name(written: &Written) -> HashMap<Box<[u8]>, ProxyId> {
    let backends = written.proxies.iter().enumerate().filter(|(_, proxy)| proxy.kind.has_servers());
    backends.map(|(index, proxy)| (proxy.name.as_bytes().into(), ProxyId(index as u32))).collect()
}

/// The backend that a frontend's rule or default names; what is wrong with it is reported.
pub fn backend_named(
    proxy: &WrittenProxy,
    name: &str,
    location: &Location,
    keyword: &str,
    written: &Written,
    diagnostics: &mut Diagnostics,
) -> Option<ProxyId> {
    let found = written.proxies.iter().position(|other| other.kind.has_servers() && other.name == name);
    let Some((index, backend)) = found.and_then(|index| Some((index, written.proxies.get(index)?))) else {
        let text = format!("Proxy '{}': unable to find required {keyword}: '{name}'.", proxy.name);
        diagnostics.about(Severity::Alert, location, text);
        return None;
    };
    let (mode, of_backend) = (proxy.settings.mode, backend.settings.mode);
    if mode == ProxyMode::Http && of_backend == ProxyMode::Tcp {
        let text = format!(
            "http frontend '{}' ({}) tries to use incompatible tcp backend '{name}' ({}) in a '{keyword}' rule; give \
             both the same 'mode'.",
            proxy.name, proxy.location, backend.location
        );
        diagnostics.about(Severity::Alert, location, text);
    }
    if mode == ProxyMode::Tcp && of_backend == ProxyMode::Http {
        let text = format!(
            "tcp frontend '{}' ({}) cannot become an HTTP one for the http backend '{name}' ({}) in a '{keyword}' \
             rule; write 'mode http' in the frontend.",
            proxy.name, proxy.location, backend.location
        );
        diagnostics.about(Severity::Alert, location, text);
    }
    Some(ProxyId(index as u32))
}

pub fn backend_rules(proxy: &WrittenProxy, written: &Written, diagnostics: &mut Diagnostics) -> Vec<BackendRule> {
    let resolved = proxy.switching.backends.iter().filter_map(|rule| {
        let target = match &rule.target {
            WrittenTarget::Name(name) => {
                let found = backend_named(proxy, name, &rule.location, "use_backend", written, diagnostics)?;
                if proxy.kind.has_servers() && *name == proxy.name {
                    let text = format!("Proxy '{name}': loop detected for use_backend: '{name}'.");
                    diagnostics.about(Severity::Alert, &rule.location, text);
                }
                Target::Known(found)
            }
            WrittenTarget::Format(format) => Target::Named(format.clone()),
        };
        Some(BackendRule { target, condition: rule.condition.clone() })
    });
    resolved.collect()
}

/// `servers` are the proxy's own, of all in `all`.
pub fn server_rules(
    proxy: &WrittenProxy,
    servers: &[ServerId],
    all: &[Server],
    diagnostics: &mut Diagnostics,
) -> Vec<ServerRule> {
    let find =
        |name: &str| servers.iter().copied().find(|id| all.get(id.index()).is_some_and(|server| server.name == name));
    let resolved = proxy.switching.servers.iter().filter_map(|WrittenSwitch { target, condition, location }| {
        let target = match target {
            WrittenTarget::Name(name) => match find(name) {
                Some(server) => Target::Known(server),
                None => {
                    let text =
                        format!("{}: unable to find server '{name}' referenced in a 'use-server' rule.", proxy.title());
                    diagnostics.about(Severity::Alert, location, text);
                    return None;
                }
            },
            WrittenTarget::Format(format) => Target::Named(format.clone()),
        };
        Some(ServerRule { target, condition: condition.clone() })
    });
    resolved.collect()
}
