//! From what was written to the model: names to ids, numbers handed out, defaults filled in.
//!
//! Nothing here stops at the first problem: whatever cannot be resolved is reported and left out, so that one run
//! names everything.

use super::diagnostics::{Diagnostics, Severity};
use super::load::Overrides;
use super::model::*;
use super::names::ResolveNames;
use super::resolve_global::{WorkerLayout, resolve_global};
use super::resolve_listeners::resolve_listeners;
use super::resolve_log::{resolve_log, resolve_log_format, resolve_other_format};
use super::resolve_servers::{resolve_servers, resolve_tracking};
use super::section_checks::method_of;
use super::section_options::{options_of, splice_of};
use super::written::*;
use super::{
    resolve_rules, resolve_switching, resolve_warnings, section_cache, section_old_rules, section_options,
    section_userlist,
};
use std::collections::BTreeSet;

/// HAProxy's `retries` without the keyword.
const RETRIES_DEFAULT: u32 = 3;

/// Builds the model. When `diagnostics` has errors afterwards, the result is incomplete and must not be run.
pub fn resolve(
    written: Written,
    overrides: &Overrides,
    names: &dyn ResolveNames,
    diagnostics: &mut Diagnostics,
) -> Config {
    let layout = WorkerLayout::of(&written.global);
    let global = resolve_global(&written.global, &layout, overrides, diagnostics);
    let backends_by_name = resolve_switching::backends_by_name(&written);
    let mut config = Config { global, backends_by_name, ..Config::default() };
    // HAProxy 1.8 knew `grace` per proxy; one process stops at one time, so the longest holds.
    let graces = written.proxies.iter().filter_map(|proxy| proxy.settings.grace);
    config.global.grace = graces.chain(config.global.grace).max();
    let iids = number_proxies(&written, diagnostics);
    for (index, (proxy, iid)) in written.proxies.iter().zip(iids).enumerate() {
        let id = ProxyId(index as u32);
        let frontend = proxy.kind.accepts_connections().then(|| {
            let listeners = resolve_listeners(proxy, id, &layout, &mut config.listeners, diagnostics);
            resolve_frontend(proxy, listeners, &written, overrides, &config.global, diagnostics)
        });
        let backend = proxy.kind.has_servers().then(|| {
            let servers = resolve_servers(proxy, id, overrides, names, &mut config.servers, diagnostics);
            let server_rules = resolve_switching::server_rules(proxy, &servers, &config.servers, diagnostics);
            Backend { server_rules, ..resolve_backend(proxy, servers, diagnostics) }
        });
        config.proxies.push(resolve_proxy(proxy, iid, frontend, backend, &written.global, diagnostics));
    }
    config.caches = section_cache::resolve(&written, diagnostics);
    config.stick_tables = super::resolve_stick_tables::resolve(&written);
    config.userlists = section_userlist::resolve(&written.userlists, diagnostics);
    for (proxy, resolved) in written.proxies.iter().zip(&mut config.proxies) {
        resolved.rules = resolve_rules::resolve(proxy, &written, diagnostics);
        resolved.old_rules = section_old_rules::resolve(proxy, &written, diagnostics);
    }
    resolve_tracking(&written, &mut config, diagnostics);
    set_fullconn(&mut config);
    resolve_warnings::check(&written, &config, diagnostics);
    config
}

/// Hands out `iid`s as HAProxy does: written ones first, then the free numbers in file order. With a runtime socket,
/// 1 is the socket's own frontend (measured on 2.6: the first proxy is then 2).
fn number_proxies(written: &Written, diagnostics: &mut Diagnostics) -> Vec<u32> {
    let mut used: Vec<(u32, &WrittenProxy)> = Vec::new();
    for proxy in &written.proxies {
        let Some(id) = proxy.id else { continue };
        match used.iter().find(|(number, _)| *number == id) {
            Some((_, other)) => diagnostics.about(
                Severity::Alert,
                &proxy.location,
                format!("{} reuses the id {id} of {} declared at {}.", proxy.title(), other.title(), other.location),
            ),
            None => used.push((id, proxy)),
        }
    }
    let written_ids: Vec<Option<u32>> = written.proxies.iter().map(|proxy| proxy.id).collect();
    let first = if written.global.model.runtime_sockets.is_empty() { 1 } else { 2 };
    hand_out_numbers(&written_ids, first)
}

/// Gives each entry its own number or the next free one. The counter moves on with every entry, written or not: that
/// is how HAProxy numbers, and tools remember the numbers.
pub fn hand_out_numbers(written: &[Option<u32>], first: u32) -> Vec<u32> {
    let used: std::collections::HashSet<u32> = written.iter().flatten().copied().collect();
    let mut next = first;
    written
        .iter()
        .map(|number| {
            let number = number.unwrap_or_else(|| {
                while used.contains(&next) {
                    next = next.saturating_add(1);
                }
                next
            });
            next = next.saturating_add(1);
            number
        })
        .collect()
}

fn resolve_frontend(
    proxy: &WrittenProxy,
    listeners: Vec<ListenerId>,
    written: &Written,
    overrides: &Overrides,
    global: &Global,
    diagnostics: &mut Diagnostics,
) -> Frontend {
    let settings = &proxy.settings;
    // Without a maxconn of its own, a frontend may take all that the process may (HAProxy since 2.0; before, 2000).
    // The old default is not kept: it is the limit that surprised the people who wrote these files.
    let maxconn =
        settings.maxconn.or(overrides.proxy_maxconn).map(|own| global.maxconn.map_or(own, |all| own.min(all)));
    let default_backend = settings.default_backend.as_ref().and_then(|(name, location)| {
        let found = resolve_switching::backend_named(proxy, name, location, "default_backend", written, diagnostics);
        if found.is_some() && proxy.kind.has_servers() && *name == proxy.name {
            let text = format!("Proxy '{name}': loop detected for default_backend: '{name}'.");
            diagnostics.about(Severity::Alert, location, text);
        }
        found
    });
    Frontend {
        listeners,
        maxconn: maxconn.or(global.maxconn),
        default_backend,
        backend_rules: resolve_switching::backend_rules(proxy, written, diagnostics),
        session_rate_limit: settings.session_rate_limit,
        backlog: settings.backlog,
        captures: captures(settings, global),
        unique_id: settings.unique_id.clone(),
        unique_id_header: settings.unique_id_header.clone(),
        monitor_network: settings.monitor_network,
    }
}

/// `tune.http.cookielen` limits the captured cookie; it counts the end of the text.
fn captures(settings: &ProxySettings, global: &Global) -> Captures {
    let mut captures = settings.captures.clone();
    if let Some(cookie) = &mut captures.cookie {
        cookie.length_max = cookie.length_max.min(global.cookie_capture_length_max);
    }
    captures
}

fn resolve_backend(proxy: &WrittenProxy, servers: Vec<ServerId>, diagnostics: &mut Diagnostics) -> Backend {
    let settings = &proxy.settings;
    let mut balance = settings.balance.clone();
    if matches!(balance, BalanceAlgorithm::Hash(_)) && settings.mode != ProxyMode::Http {
        let text = format!(
            "proxy '{}' : 'balance hash' in 'mode tcp' is not supported yet; use 'balance source', or 'mode http'.",
            proxy.name
        );
        diagnostics.about(Severity::Alert, &proxy.location, text);
    }
    if balance.needs_http() && settings.mode != ProxyMode::Http {
        let text = format!(
            "Layer 7 hash not possible for proxy '{}' (needs 'mode http'). Falling back to round robin.",
            proxy.name
        );
        diagnostics.about(Severity::Warning, &proxy.location, text);
        balance = BalanceAlgorithm::RoundRobin;
    }
    Backend {
        servers,
        balance,
        hash_type: settings.hash_type,
        hash_balance_factor: settings.hash_balance_factor,
        server_rules: Vec::new(),
        persistence_rules: proxy.switching.persistence.clone(),
        retries: settings.retries.unwrap_or(RETRIES_DEFAULT),
        fullconn: settings.fullconn,
        check: method_of(settings),
        source: settings.source.clone(),
        cookie: settings.cookie.clone().filter(|_| settings.mode == ProxyMode::Http),
        persist_on_down_server: settings.persist_on_down_server,
        rdp_persistence: settings.rdp_persistence.as_ref().map(|(name, _)| name.clone()),
    }
}

fn resolve_proxy(
    proxy: &WrittenProxy,
    iid: u32,
    frontend: Option<Frontend>,
    backend: Option<Backend>,
    global: &WrittenGlobal,
    diagnostics: &mut Diagnostics,
) -> Proxy {
    let settings = &proxy.settings;
    let log = resolve_log(proxy, global);
    Proxy {
        name: proxy.name.clone(),
        iid,
        location: proxy.location.clone(),
        mode: settings.mode,
        disabled: settings.disabled,
        description: proxy.description.clone(),
        log_format: resolve_log_format(proxy, &log, diagnostics),
        error_log_format: resolve_other_format(
            "error-log-format",
            &proxy.settings.error_log_format,
            proxy,
            diagnostics,
        ),
        structured_log_format: resolve_other_format(
            "log-format-sd",
            &proxy.settings.structured_log_format,
            proxy,
            diagnostics,
        ),
        log,
        log_tag: settings.log_tag.clone(),
        options: options_of(settings),
        splice: splice_of(settings),
        http: settings.http.clone(),
        forwarding: settings.forwarding.clone(),
        compression: settings.compression.clone(),
        tcp_rules: settings.tcp_rules.clone(),
        rules: HttpRules::default(),
        old_rules: OldRules::default(),
        timeouts: settings.timeouts,
        client_keepalive: keepalive(settings, settings.client_keepalive, "clitcpka"),
        server_keepalive: keepalive(settings, settings.server_keepalive, "srvtcpka"),
        // Statistics are an HTTP answer.
        stats: settings.stats.clone().filter(|_| settings.mode == ProxyMode::Http),
        frontend,
        backend,
    }
}

fn keepalive(settings: &ProxySettings, times: KeepaliveSettings, option: &'static str) -> KeepaliveSettings {
    KeepaliveSettings { enabled: section_options::is_on(settings, option), ..times }
}

/// `fullconn` without the keyword: a tenth of the maxconns of the frontends that lead to the backend, rounded up, at
/// least 1 (configuration.txt section 4.2 "fullconn"; measured on 2.6). Stays open while the global maxconn is.
fn set_fullconn(config: &mut Config) {
    let mut totals: Vec<Option<u64>> = vec![Some(0); config.proxies.len()];
    for (proxy, id) in config.proxies.iter().zip(config.proxy_ids()) {
        let Some(frontend) = &proxy.frontend else { continue };
        // A `listen` leads to its own servers, too.
        let by_rules = frontend.backend_rules.iter().filter_map(|rule| match rule.target {
            Target::Known(target) => Some(target),
            Target::Named(_) => None,
        });
        let targets: BTreeSet<ProxyId> = by_rules.chain(frontend.default_backend).chain([id]).collect();
        for target in targets {
            if let Some(total) = totals.get_mut(target.index()) {
                *total = total.zip(frontend.maxconn).map(|(total, maxconn)| total + u64::from(maxconn));
            }
        }
    }
    for (proxy, total) in config.proxies.iter_mut().zip(totals) {
        if let (Some(backend), Some(total)) = (&mut proxy.backend, total) {
            let tenth = u32::try_from(total.div_ceil(10)).unwrap_or(u32::MAX).max(1);
            backend.fullconn.get_or_insert(tenth);
        }
    }
}
