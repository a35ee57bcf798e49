//! Configurations made by hand, for tests of everything that changes or reads server states.

use crate::config::model::*;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn proxy(name: &str, listen: bool) -> Proxy {
    Proxy {
        name: name.to_string(),
        iid: 2,
        location: Location::default(),
        mode: ProxyMode::Tcp,
        disabled: false,
        description: None,
        log: LogSettings::default(),
        log_tag: None,
        log_format: LogFormat::default(),
        error_log_format: None,
        structured_log_format: None,
        options: ProxyOptions::default(),
        splice: SpliceSettings::default(),
        http: HttpSettings::default(),
        tcp_rules: Default::default(),
        forwarding: Default::default(),
        compression: Default::default(),
        rules: HttpRules::default(),
        old_rules: Default::default(),
        timeouts: Timeouts { connect: Some(Duration::from_millis(500)), ..Default::default() },
        client_keepalive: KeepaliveSettings::default(),
        server_keepalive: KeepaliveSettings::default(),
        stats: None,
        frontend: listen.then(Frontend::default),
        backend: Some(Backend { retries: 3, ..Default::default() }),
    }
}

/// A server of `backend`, on a port where nobody need listen; checked with `rise 2 fall 3 inter 300`.
pub(crate) fn server(backend: ProxyId, name: &str) -> Server {
    Server {
        name: name.to_string(),
        backend,
        sid: 1,
        location: Location::default(),
        address: Some(ServerAddress::Ip(([127, 0, 0, 1], 1883).into())),
        written_host: "127.0.0.1".to_string(),
        port_offset_from_client: None,
        weight: 1,
        backup: false,
        disabled: false,
        maxconn: 0,
        minconn: 0,
        maxqueue: 0,
        slowstart: None,
        check: Some(ServerCheck {
            sends_proxy: None,
            inter: Duration::from_millis(300),
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            port: None,
            address: None,
        }),
        track: None,
        on_marked_down_shutdown_sessions: false,
        on_marked_up_shutdown_backup_sessions: false,
        observe: Observe::None,
        error_limit: 10,
        on_error: OnError::FailCheck,
        source: None,
        tcp_user_timeout: None,
        tfo: false,
        sends_proxy: None,
        cookie: None,
        pool: ServerPool::default(),
    }
}

/// Adds a backend (or `listen`) with these servers; their `backend` and `sid` are filled in.
pub(crate) fn add(config: &mut Config, mut proxy: Proxy, servers: Vec<Server>) -> Vec<ServerId> {
    let backend = ProxyId(config.proxies.len() as u32);
    let first = config.servers.len() as u32;
    for (number, mut server) in servers.into_iter().enumerate() {
        server.backend = backend;
        server.sid = number as u32 + 1;
        config.servers.push(server);
    }
    let ids: Vec<ServerId> = (first..config.servers.len() as u32).map(ServerId).collect();
    if let Some(half) = &mut proxy.backend {
        half.servers.clone_from(&ids);
    }
    config.proxies.push(proxy);
    ids
}

/// One worker, started at time 0.
pub(crate) fn shared(config: Config) -> Arc<Shared> {
    let shared = Arc::new(Shared::new(Arc::new(config), 1, 0, 0));
    super::start(&shared, 0);
    shared
}
