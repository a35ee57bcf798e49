//! `server` lines to servers: addresses looked up, numbers handed out, checks and tracking settled.

use super::diagnostics::{Diagnostics, Severity};
use super::load::Overrides;
use super::model::*;
use super::names::ResolveNames;
use super::resolve::hand_out_numbers;
use super::section_cookie::dynamic_cookie;
use super::written::*;
use super::written_server::*;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `inter` without the keyword.
const INTER_DEFAULT: Duration = Duration::from_secs(2);

/// Adds the servers of `proxy` to `all`; gives their ids.
pub fn resolve_servers(
    proxy: &WrittenProxy,
    id: ProxyId,
    overrides: &Overrides,
    names: &dyn ResolveNames,
    all: &mut Vec<Server>,
    diagnostics: &mut Diagnostics,
) -> Vec<ServerId> {
    check_names(proxy, diagnostics);
    let ids: Vec<Option<u32>> = proxy.servers.iter().map(|server| server.settings.id).collect();
    let numbers = hand_out_numbers(&ids, 1);
    let mut servers = Vec::with_capacity(proxy.servers.len());
    for (server, sid) in proxy.servers.iter().zip(numbers) {
        servers.push(ServerId(all.len() as u32));
        let resolver = Resolver { proxy, server, overrides, names };
        all.push(resolver.server(id, sid, diagnostics));
    }
    servers
}

fn check_names(proxy: &WrittenProxy, diagnostics: &mut Diagnostics) {
    let mut by_name: HashMap<&str, &WrittenServer> = HashMap::new();
    let mut by_id: HashMap<u32, &WrittenServer> = HashMap::new();
    for server in &proxy.servers {
        if let Some(other) = by_name.insert(&server.name, server) {
            let text = format!(
                "proxy '{}', another server named '{}' was already defined at {}, please use distinct names.",
                proxy.name, server.name, other.location
            );
            diagnostics.about(Severity::Alert, &server.location, text);
        }
        let Some(id) = server.settings.id else { continue };
        if let Some(other) = by_id.insert(id, server) {
            let text = format!(
                "'server {}/{}' : the id {id} is already that of server '{}' declared at {}.",
                proxy.name, server.name, other.name, other.location
            );
            diagnostics.about(Severity::Alert, &server.location, text);
        }
    }
}

struct Resolver<'a> {
    proxy: &'a WrittenProxy,
    server: &'a WrittenServer,
    overrides: &'a Overrides,
    names: &'a dyn ResolveNames,
}

impl Resolver<'_> {
    fn report(&self, severity: Severity, text: &str, diagnostics: &mut Diagnostics) {
        let text = format!("'server {}/{}' : {text}", self.proxy.name, self.server.name);
        diagnostics.about(severity, &self.server.location, text);
    }

    fn server(&self, backend: ProxyId, sid: u32, diagnostics: &mut Diagnostics) -> Server {
        let written = self.server;
        let settings = &written.settings;
        let port = match written.port {
            WrittenPort::Fixed(port) => port,
            WrittenPort::Absent | WrittenPort::Relative(_) => 0,
        };
        let address = self.address(port, diagnostics);
        let is_ip = matches!(written.host, WrittenHost::Ip(_) | WrittenHost::Name(..));
        let check = self.check(is_ip && port == 0, diagnostics);
        let cookie = settings.cookie.clone().or_else(|| self.dynamic_cookie(address.as_ref()?));
        Server {
            name: written.name.clone(),
            backend,
            sid,
            location: written.location.clone(),
            address,
            written_host: written.host.text(),
            port_offset_from_client: match written.port {
                WrittenPort::Fixed(_) => None,
                WrittenPort::Relative(offset) => Some(offset),
                WrittenPort::Absent => is_ip.then_some(0),
            },
            weight: settings.weight,
            backup: settings.backup,
            disabled: settings.disabled,
            // A `minconn` above `maxconn` (or without one) is the limit at all times, and so is a `maxconn` alone.
            maxconn: settings.maxconn.max(settings.minconn),
            minconn: if settings.minconn == 0 { settings.maxconn } else { settings.minconn },
            maxqueue: settings.maxqueue,
            slowstart: settings.slowstart,
            check,
            track: None,
            on_marked_down_shutdown_sessions: settings.on_marked_down_shutdown_sessions,
            on_marked_up_shutdown_backup_sessions: settings.on_marked_up_shutdown_backup_sessions,
            observe: self.observe(diagnostics),
            error_limit: settings.error_limit,
            on_error: settings.on_error,
            source: settings.source.clone(),
            tcp_user_timeout: settings.tcp_user_timeout,
            tfo: settings.tfo,
            sends_proxy: settings.proxy_version(),
            cookie,
            pool: settings.pool.clone(),
        }
    }

    /// `cookie … dynamic` gives a cookie to servers without one.
    fn dynamic_cookie(&self, address: &ServerAddress) -> Option<String> {
        let settings = &self.proxy.settings;
        let (Some(cookie), Some(key)) = (&settings.cookie, &settings.dynamic_cookie_key) else { return None };
        match address {
            ServerAddress::Ip(address) if cookie.is_dynamic => Some(dynamic_cookie(*address, key)),
            _ => None,
        }
    }

    fn address(&self, port: u16, diagnostics: &mut Diagnostics) -> Option<ServerAddress> {
        let (name, family) = match &self.server.host {
            WrittenHost::Ip(ip) => return Some(ServerAddress::Ip(SocketAddr::new(*ip, port))),
            WrittenHost::Unix(path) => return Some(ServerAddress::Unix(path.clone())),
            WrittenHost::Abstract(name) => return Some(ServerAddress::Abstract(name.clone())),
            WrittenHost::Name(name, family) => (name, *family),
        };
        self.look_up(name, family, diagnostics).map(|ip| ServerAddress::Ip(SocketAddr::new(ip, port)))
    }

    /// Goes through `init-addr` (section 5.2); without the keyword: `last,libc`.
    fn look_up(&self, name: &str, family: Option<Family>, diagnostics: &mut Diagnostics) -> Option<IpAddr> {
        // Nobody connects to the servers of a disabled proxy.
        if self.proxy.settings.disabled {
            return None;
        }
        let mut methods = self.server.settings.initial_address.as_slice();
        if methods.is_empty() {
            methods = &[InitialAddress::Last, InitialAddress::Libc];
        }
        let mut why = None;
        for method in methods {
            match method {
                // There is no server state file yet, so the last address is unknown.
                InitialAddress::Last => {}
                InitialAddress::Libc => match self.names.resolve(name, family) {
                    Ok(ip) => return Some(ip),
                    Err(error) => why = Some(error),
                },
                InitialAddress::Ip(ip) => {
                    if why.is_some() {
                        let text = format!("could not resolve address '{name}', falling back to configured address.");
                        self.report(Severity::Warning, &text, diagnostics);
                    }
                    return Some(*ip);
                }
                InitialAddress::None => {
                    let text = format!("could not resolve address '{name}': disabled until it is given one.");
                    self.report(Severity::Warning, &text, diagnostics);
                    return None;
                }
            }
        }
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let severity = if self.overrides.ignore_unresolved { Severity::Warning } else { Severity::Alert };
        self.report(severity, &format!("could not resolve address '{name}'{why}."), diagnostics);
        None
    }

    fn check(&self, without_port: bool, diagnostics: &mut Diagnostics) -> Option<ServerCheck> {
        let settings = &self.server.settings;
        if !settings.check {
            return None;
        }
        if settings.track.is_some() {
            self.report(Severity::Alert, "unable to enable checks and tracking at the same time!", diagnostics);
            return None;
        }
        if without_port && settings.check_port.is_none() && !self.rules_have_port() {
            let text = format!("server '{}' has neither service port nor check port.", self.server.name);
            self.report(Severity::Alert, &text, diagnostics);
        }
        Some(ServerCheck {
            inter: settings.inter.unwrap_or(INTER_DEFAULT),
            fastinter: settings.fastinter,
            downinter: settings.downinter,
            rise: settings.rise,
            fall: settings.fall,
            port: settings.check_port,
            address: settings.check_address,
            sends_proxy: settings.check_proxy_version(),
        })
    }

    /// Whether the first TCP rule says where to connect.
    fn rules_have_port(&self) -> bool {
        self.proxy.settings.check_kind == CheckKind::Tcp
            && matches!(
                self.proxy.settings.tcp_check.first().map(|rule| &rule.step),
                Some(TcpCheckStep::Connect { port: Some(_), .. })
            )
    }

    fn observe(&self, diagnostics: &mut Diagnostics) -> Observe {
        let observe = self.server.settings.observe;
        if observe == Observe::Layer7 && self.proxy.settings.mode != ProxyMode::Http {
            self.report(Severity::Alert, "'observe layer7' can only be used in http proxies.", diagnostics);
        }
        observe
    }
}

/// Settles `track [<proxy>/]<server>`: the end of each chain must be checked, and no chain may bite its tail.
pub fn resolve_tracking(written: &Written, config: &mut Config, diagnostics: &mut Diagnostics) {
    let by_name: HashMap<(ProxyId, &str), ServerId> = config
        .servers
        .iter()
        .zip(0u32..)
        .map(|(server, index)| ((server.backend, server.name.as_str()), ServerId(index)))
        .collect();
    let mut tracks: Vec<Option<ServerId>> = vec![None; config.servers.len()];
    let all = written
        .proxies
        .iter()
        .zip(0u32..)
        .flat_map(|(proxy, index)| proxy.servers.iter().map(move |server| (proxy, ProxyId(index), server)));
    for ((proxy, id, server), slot) in all.zip(&mut tracks) {
        let Some(target) = &server.settings.track else { continue };
        let report = |text: String, diagnostics: &mut Diagnostics| {
            let text = format!("'server {}/{}' : {text}", proxy.name, server.name);
            diagnostics.about(Severity::Alert, &server.location, text);
        };
        let (backend, name) = match target.rsplit_once('/') {
            None => (Some(id), target.as_str()),
            Some((backend, name)) => (config.backend_named(backend), name),
        };
        let Some(backend) = backend else {
            let backend = target.rsplit_once('/').map_or("", |(backend, _)| backend);
            report(format!("unable to find required proxy '{backend}' for tracking."), diagnostics);
            continue;
        };
        *slot = by_name.get(&(backend, name)).copied();
        if slot.is_none() {
            report(format!("unable to find required server '{name}' for tracking."), diagnostics);
        }
    }
    for (index, target) in tracks.iter().enumerate() {
        let Some(mut end) = *target else { continue };
        let mut steps = 0;
        while let Some(next) = tracks.get(end.index()).copied().flatten() {
            end = next;
            steps += 1;
            if steps > tracks.len() {
                break;
            }
        }
        let Some(server) = config.servers.get(index) else { continue };
        let backend = config.proxy(server.backend).name.clone();
        let text = if steps > tracks.len() {
            format!("'server {backend}/{}' : the chain of 'track' comes back to itself.", server.name)
        } else if config.server(end).check.is_none() {
            let end = config.server(end);
            format!(
                "'server {backend}/{}' : unable to use {}/{} for tracking as it is not checked.",
                server.name,
                config.proxy(end.backend).name,
                end.name
            )
        } else {
            continue;
        };
        diagnostics.about(Severity::Alert, &server.location, text);
    }
    for (server, track) in config.servers.iter_mut().zip(tracks) {
        server.track = track;
    }
}
