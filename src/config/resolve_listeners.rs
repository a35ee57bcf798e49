//! `bind` lines to listeners: one per address.

use super::diagnostics::{Diagnostics, Severity};
use super::model::*;
use super::resolve::hand_out_numbers;
use super::resolve_global::WorkerLayout;
use super::written::*;
use std::net::SocketAddr;

/// Adds the listeners of `proxy` to `all`; gives their ids.
pub fn resolve_listeners(
    proxy: &WrittenProxy,
    id: ProxyId,
    layout: &WorkerLayout,
    all: &mut Vec<Listener>,
    diagnostics: &mut Diagnostics,
) -> Vec<ListenerId> {
    let ids: Vec<Option<u32>> =
        proxy.binds.iter().flat_map(|bind| bind.addresses.iter().map(|_| bind.settings.id)).collect();
    check_ids(proxy, diagnostics);
    let mut numbers = hand_out_numbers(&ids, 1).into_iter();
    let mut listeners = Vec::new();
    for bind in &proxy.binds {
        let workers = workers_of(proxy, bind, layout, diagnostics);
        for address in &bind.addresses {
            let settings = &bind.settings;
            listeners.push(ListenerId(all.len() as u32));
            all.push(Listener {
                frontend: id,
                address: with_v6only(address.address.clone(), settings),
                written: address.written.clone(),
                name: settings.name.clone(),
                lid: numbers.next().unwrap_or_default(),
                location: bind.location.clone(),
                maxconn: settings.maxconn,
                backlog: settings.backlog,
                interface: settings.interface.clone(),
                transparent: settings.transparent,
                tfo: settings.tfo,
                accepts_proxy: settings.accept_proxy,
                defer_accept: settings.defer_accept,
                mss: settings.mss,
                tcp_user_timeout: settings.tcp_user_timeout,
                workers: workers.clone(),
                mode: settings.mode,
                user: settings.user.clone(),
                group: settings.group.clone(),
            });
        }
    }
    listeners
}

fn check_ids(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    for (index, bind) in proxy.binds.iter().enumerate() {
        let Some(id) = bind.settings.id else { continue };
        if let Some(other) = proxy.binds.iter().take(index).find(|other| other.settings.id == Some(id)) {
            let text = format!("{}: 'id' : custom id {id} already used at {}.", proxy.title(), other.location);
            diagnostics.about(Severity::Alert, &bind.location, text);
        }
    }
}

fn workers_of(
    proxy: &WrittenProxy,
    bind: &WrittenBind,
    layout: &WorkerLayout,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<u32>> {
    // A `bind`'s own `process` narrows what `bind-process` leaves.
    let of_proxy = layout.select(proxy.settings.workers.as_deref().unwrap_or(&[]), &[]);
    let of_bind = layout.select(&bind.settings.processes, &bind.settings.threads);
    let workers = match (of_proxy, of_bind) {
        (None, workers) | (workers, None) => workers,
        (Some(one), Some(other)) => Some(one.into_iter().filter(|worker| other.contains(worker)).collect()),
    };
    if workers.as_ref().is_some_and(Vec::is_empty) {
        let text = format!(
            "{}: this 'bind' names processes or threads that do not exist: nobody would listen.",
            proxy.title()
        );
        diagnostics.about(Severity::Alert, &bind.location, text);
    }
    workers
}

/// Puts `v4v6`/`v6only` into the address; without either, the system's own default stands.
pub fn with_v6only(address: ListenAddress, settings: &BindSettings) -> ListenAddress {
    match address {
        ListenAddress::Ip { address: address @ SocketAddr::V6(_), .. } if settings.v6only || settings.v4v6 => {
            ListenAddress::Ip { address, v6only: Some(settings.v6only) }
        }
        other => other,
    }
}

/// Reports addresses that are bound twice: whoever comes second would take half of the other's connections, which
/// nobody wants (HAProxy lets it happen).
pub fn check_duplicates(config: &Config, diagnostics: &mut Diagnostics) {
    let live = |listener: &&Listener| !config.proxy(listener.frontend).disabled;
    let mut seen: std::collections::HashMap<String, Vec<&Listener>> = std::collections::HashMap::new();
    for listener in config.listeners.iter().filter(live) {
        let others = seen.entry(key(&listener.address, listener.interface.as_deref())).or_default();
        if let Some(other) = others.iter().find(|other| share_workers(listener, other)) {
            let (here, there) = (config.proxy(listener.frontend), config.proxy(other.frontend));
            if listener.frontend == other.frontend {
                let text =
                    format!("'{}' is already bound at {}; this line adds nothing.", listener.written, other.location);
                diagnostics.about(Severity::Warning, &listener.location, text);
            } else {
                let text = format!(
                    "proxy '{}' binds '{}', which proxy '{}' binds at {}: one address belongs to one frontend.",
                    here.name, listener.written, there.name, other.location
                );
                diagnostics.about(Severity::Alert, &listener.location, text);
            }
        }
        others.push(listener);
    }
}

fn key(address: &ListenAddress, interface: Option<&str>) -> String {
    match address {
        ListenAddress::Ip { address, .. } => format!("{address} {}", interface.unwrap_or_default()),
        other => format!("{other:?}"),
    }
}

fn share_workers(one: &Listener, other: &Listener) -> bool {
    match (&one.workers, &other.workers) {
        (Some(one), Some(other)) => one.iter().any(|worker| other.contains(worker)),
        _ => true,
    }
}
