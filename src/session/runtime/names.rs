//! Proxies and servers as commands name them: by name, or by `#` and their numeric id.

use super::Answer;
use crate::config::model::{Config, ProxyId, ServerId};

/// Tells a name from an `#id`.
fn is_called(given: &str, name: &str, number: u32) -> bool {
    match given.strip_prefix('#') {
        Some(digits) => digits.parse() == Ok(number),
        None => given == name,
    }
}

pub fn backend(config: &Config, given: &str) -> Option<ProxyId> {
    config.proxy_ids().find(|id| {
        let proxy = config.proxy(*id);
        proxy.backend.is_some() && is_called(given, &proxy.name, proxy.iid)
    })
}

/// A frontend that is not disabled in the configuration.
pub fn frontend(config: &Config, given: Option<&&str>) -> Result<ProxyId, Answer> {
    let given = given.ok_or_else(|| Answer::error("A frontend name is expected."))?;
    let found = config.proxy_ids().find(|id| {
        let proxy = config.proxy(*id);
        proxy.frontend.is_some() && !proxy.disabled && is_called(given, &proxy.name, proxy.iid)
    });
    found.ok_or_else(|| Answer::error("No such frontend."))
}

/// `backend/server`
pub fn server(config: &Config, given: Option<&&str>) -> Result<ServerId, Answer> {
    let parts = given.and_then(|given| given.split_once('/')).filter(|(_, server)| !server.is_empty());
    let (backend_name, server_name) = parts.ok_or_else(|| Answer::error("Require 'backend/server'."))?;
    let backend = backend(config, backend_name).ok_or_else(|| Answer::error("No such backend."))?;
    let servers = config.proxy(backend).backend.as_ref().map(|half| half.servers.as_slice()).unwrap_or_default();
    let found = servers.iter().copied().find(|id| {
        let server = config.server(*id);
        is_called(server_name, &server.name, server.sid)
    });
    found.ok_or_else(|| Answer::error("No such server."))
}
