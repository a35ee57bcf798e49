//! What is allowed and will hurt later, and what a proxy's parts say against each other.

use super::diagnostics::{Diagnostics, Severity};
use super::model::*;
use super::resolve_listeners::check_duplicates;
use super::written::*;
use std::collections::HashSet;

/// Checks the whole; writes into `diagnostics`.
pub fn check(written: &Written, config: &Config, diagnostics: &mut Diagnostics) {
    check_duplicates(config, diagnostics);
    let used = used_proxies(config);
    for (proxy, id) in written.proxies.iter().zip(config.proxy_ids()) {
        if proxy.settings.disabled {
            continue;
        }
        unbound(proxy, diagnostics);
        missing_timeouts(proxy, diagnostics);
        modes(proxy, config.proxy(id), config, diagnostics);
        ignored_rules(proxy, diagnostics);
        ignored_cookies(proxy, diagnostics);
        ignored_http(proxy, diagnostics);
        ignored_rdp_cookies(proxy, diagnostics);
        ignored_error_format(proxy, diagnostics);
        unused_backend(proxy, id, &used, diagnostics);
        log_without_global(proxy, written, diagnostics);
    }
}

fn warn(proxy: &WrittenProxy, text: String, diagnostics: &mut Diagnostics) {
    diagnostics.about(Severity::Warning, &proxy.location, text);
}

fn unbound(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    if proxy.kind.accepts_connections() && !proxy.own.bind {
        let kind = if proxy.kind == SectionKind::Listen { "proxy" } else { "frontend" };
        let text = format!(
            "{kind} '{}' has no 'bind' directive. Please declare it as a backend if this was intended.",
            proxy.name
        );
        warn(proxy, text, diagnostics);
    }
}

/// HAProxy's wording, lines included: people search for it.
fn missing_timeouts(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    let timeouts = &proxy.settings.timeouts;
    // `timeout tunnel` takes over from `timeout server` once a TCP connection stands.
    let tunnel = timeouts.tunnel.is_some() && proxy.settings.mode == ProxyMode::Tcp;
    let missing = proxy.kind.accepts_connections() && timeouts.client.is_none()
        || !proxy.servers.is_empty() && (timeouts.connect.is_none() || timeouts.server.is_none() && !tunnel);
    if !missing || proxy.settings.mode == ProxyMode::Health {
        return;
    }
    let kind = match proxy.kind {
        SectionKind::Listen => "proxy",
        kind => kind.name(),
    };
    let text = format!(
        "missing timeouts for {kind} '{}'.\n\
         While not properly invalid, you will certainly encounter various problems\n\
         with such a configuration. To fix this, please ensure that all following\n\
         timeouts are set to a non-zero value: 'client', 'connect', 'server'.",
        proxy.name
    );
    warn(proxy, text, diagnostics);
}

fn modes(proxy: &WrittenProxy, resolved: &Proxy, config: &Config, diagnostics: &mut Diagnostics) {
    if proxy.settings.stats.is_some() && proxy.own.stats && proxy.settings.mode != ProxyMode::Http {
        let text = format!("'stats' statement ignored for proxy '{}' as it requires HTTP mode.", proxy.name);
        warn(proxy, text, diagnostics);
    }
    let Some(target) = resolved.frontend.as_ref().and_then(|frontend| frontend.default_backend) else { return };
    let target = config.proxy(target);
    if target.mode != resolved.mode && resolved.mode == ProxyMode::Http {
        let location = proxy.settings.default_backend.as_ref().map_or(&proxy.location, |(_, location)| location);
        let text = format!(
            "{} tries to use incompatible backend '{}' ({}) in a 'default_backend' rule (see 'mode').",
            proxy.title(),
            target.name,
            target.location
        );
        diagnostics.about(Severity::Alert, location, text);
    }
}

/// Cookies are HTTP's.
fn ignored_cookies(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    if proxy.settings.mode == ProxyMode::Http {
        return;
    }
    for server in proxy.servers.iter().filter(|server| server.settings.cookie.is_some()) {
        let text =
            format!("proxy '{}' : ignoring cookie for server '{}' as HTTP mode is disabled.", proxy.name, server.name);
        diagnostics.about(Severity::Warning, &server.location, text);
    }
}

/// What only a request or a response can make act.
fn ignored_http(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    if proxy.settings.mode == ProxyMode::Http {
        return;
    }
    for (keyword, location) in &proxy.own.http {
        let text = format!("'{keyword}' ignored for proxy '{}' as it requires HTTP mode.", proxy.name);
        diagnostics.about(Severity::Warning, location, text);
    }
}

/// What begins an RDP connection begins no request.
fn ignored_rdp_cookies(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    if proxy.settings.mode != ProxyMode::Http || !proxy.kind.has_servers() {
        return;
    }
    if let BalanceAlgorithm::RdpCookie { name } = &proxy.settings.balance {
        let text = format!(
            "proxy '{}' : no request has the cookie of 'balance rdp-cookie({name})', as it requires TCP mode: the \
             servers take turns.",
            proxy.name
        );
        warn(proxy, text, diagnostics);
    }
    if let Some((_, location)) = &proxy.settings.rdp_persistence {
        let text = format!("'persist rdp-cookie' ignored for proxy '{}' as it requires TCP mode.", proxy.name);
        diagnostics.about(Severity::Warning, location, text);
    }
}

/// Only connections that fail before they have a session use it, whatever 2.6's manual says: in TCP mode that takes a
/// handshake, and there is none.
fn ignored_error_format(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    let written = proxy.settings.error_log_format.as_ref().filter(|_| proxy.kind.accepts_connections());
    if let Some(written) = written.filter(|_| proxy.settings.mode == ProxyMode::Tcp) {
        let text = format!(
            "'error-log-format' ignored for proxy '{}' : as with HAProxy 2.6 it is the format of connections that fail \
             before they are served, which none does in TCP mode; 'log-format' is used.",
            proxy.name
        );
        diagnostics.about(Severity::Warning, &written.location, text);
    }
}

fn ignored_rules(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    let kind = proxy.settings.check_kind;
    let name = &proxy.name;
    if proxy.own.tcp_check && kind != CheckKind::Tcp {
        let text = format!("proxy '{name}' uses tcp-check rules without 'option tcp-check', so the rules are ignored.");
        warn(proxy, text, diagnostics);
    }
    if proxy.own.http_check && kind != CheckKind::Http {
        let text = format!("proxy '{name}' uses http-check rules without 'option httpchk', so the rules are ignored.");
        warn(proxy, text, diagnostics);
    }
}

/// The proxies that a frontend leads to, or whose servers others track.
fn used_proxies(config: &Config) -> HashSet<ProxyId> {
    let frontends = || config.proxies.iter().filter_map(|proxy| proxy.frontend.as_ref());
    // A name that is made for each request may be any backend's.
    let is_any = |rule: &BackendRule| matches!(rule.target, Target::Named(_));
    if frontends().any(|frontend| frontend.backend_rules.iter().any(is_any)) {
        return config.proxy_ids().collect();
    }
    let by_rules = frontends().flat_map(|frontend| &frontend.backend_rules).filter_map(|rule| match rule.target {
        Target::Known(backend) => Some(backend),
        Target::Named(_) => None,
    });
    let by_old_rules = config.proxies.iter().flat_map(|proxy| &proxy.old_rules.request).filter_map(|rule| {
        let OldAction::SetBackend(backend) = rule.action else { return None };
        Some(backend)
    });
    let by_default = frontends().filter_map(|frontend| frontend.default_backend);
    let tracked = config.servers.iter().filter_map(|server| {
        let backend = config.server(server.track?).backend;
        (backend != server.backend).then_some(backend)
    });
    by_rules.chain(by_old_rules).chain(by_default).chain(tracked).collect()
}

/// A backend that nothing leads to only costs checks.
fn unused_backend(proxy: &WrittenProxy, id: ProxyId, used: &HashSet<ProxyId>, diagnostics: &mut Diagnostics) {
    if proxy.kind == SectionKind::Backend && !used.contains(&id) {
        warn(proxy, format!("backend '{}' is used by no frontend.", proxy.name), diagnostics);
    }
}

fn log_without_global(proxy: &WrittenProxy, written: &Written, diagnostics: &mut Diagnostics) {
    if !written.global.log_targets.is_empty() || !proxy.kind.accepts_connections() {
        return;
    }
    let found = proxy.settings.log.iter().find_map(|log| match log {
        WrittenLog::Global(location) => Some(location),
        WrittenLog::Target(_) => None,
    });
    if let Some(location) = found {
        let text =
            format!("proxy '{}' says 'log global', but 'global' has no 'log' line: nothing is logged.", proxy.name);
        diagnostics.about(Severity::Warning, location, text);
    }
}
