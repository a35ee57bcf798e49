//! The section sets and statuses that rows share.

use super::row::{Row, Section, Sections, Status};

pub(super) const GLOBAL: Sections = Sections::of(&[Section::Global]);
/// Every proxy section.
pub(super) const PROXY: Sections =
    Sections::of(&[Section::Defaults, Section::Frontend, Section::Listen, Section::Backend]);
/// As [`PROXY`] but for `defaults`.
pub(super) const NAMED: Sections = Sections::of(&[Section::Frontend, Section::Listen, Section::Backend]);
pub(super) const FRONT: Sections = Sections::of(&[Section::Defaults, Section::Frontend, Section::Listen]);
pub(super) const FRONT_NAMED: Sections = Sections::of(&[Section::Frontend, Section::Listen]);
pub(super) const BACK: Sections = Sections::of(&[Section::Defaults, Section::Listen, Section::Backend]);
pub(super) const BACK_NAMED: Sections = Sections::of(&[Section::Listen, Section::Backend]);
pub(super) const BIND: Sections = Sections::of(&[Section::Bind]);
pub(super) const BIND_AND_STATS: Sections = Sections::of(&[Section::Bind, Section::StatsSocket]);
pub(super) const STATS_SOCKET: Sections = Sections::of(&[Section::StatsSocket]);
pub(super) const SERVER: Sections = Sections::of(&[Section::Server]);
pub(super) const HEADER: Sections = Sections::of(&[Section::Header]);

pub(super) const fn row(sections: Sections, syntax: &'static str, status: Status) -> Row {
    Row { sections, syntax, status, negatable: false, value: false }
}

pub(super) const fn supported(sections: Sections, syntax: &'static str) -> Row {
    row(sections, syntax, Status::Supported)
}

/// A supported switch that `no` turns off.
pub(super) const fn switch(sections: Sections, syntax: &'static str) -> Row {
    Row { sections, syntax, status: Status::Supported, negatable: true, value: false }
}

pub(super) const fn old(sections: Sections, syntax: &'static str, modern: &'static str) -> Row {
    row(sections, syntax, Status::OldSpelling { modern })
}

pub(super) const fn accepted(sections: Sections, syntax: &'static str, why: &'static str) -> Row {
    row(sections, syntax, Status::Accepted { why })
}

pub(super) const fn refused(
    sections: Sections,
    syntax: &'static str,
    reason: &'static str,
    instead: &'static str,
) -> Row {
    row(sections, syntax, Status::Refused { reason, instead })
}

impl Row {
    /// The same with `no` and `default` allowed before it.
    pub(super) const fn or_no(self) -> Row {
        Row { negatable: true, ..self }
    }
}

pub(super) const HTTP: Status = Status::Later {
    what: "HTTP mode",
    meanwhile: "balance this service in 'mode tcp', or keep its HTTP rules where they run now",
};
pub(super) const TCP_RULES: Status = Status::Later {
    what: "ACLs and tcp-request rules",
    meanwhile: "filter by address in the firewall, or give each rule's traffic its own 'bind'",
};
pub(super) const TLS: Status = Status::Later {
    what: "TLS",
    meanwhile: "'mode tcp' passes TLS through untouched, so the servers can end it themselves",
};
pub(super) const STICK_TABLES: Status = Status::Later {
    what: "servers that are kept by a stick table",
    meanwhile: "'balance source' keeps a client's address on one server",
};
pub(super) const RESOLVERS: Status = Status::Later {
    what: "resolving names while running",
    meanwhile: "names are resolved once, at start; use 'init-addr' to say what to do when that fails",
};
pub(super) const PROXY_PROTOCOL: Status = Status::Later {
    what: "this part of the PROXY protocol",
    meanwhile: "use 'accept-proxy' and 'send-proxy-v2', which tell the client's addresses",
};
pub(super) const PEERS: Status = Status::Later {
    what: "peers (sharing stick tables between balancers)",
    meanwhile: "'balance source' with 'hash-type consistent' chooses the same server on every balancer",
};
pub(super) const AGENT: Status = Status::Later {
    what: "agent checks",
    meanwhile: "set weights and states through the stats socket: 'set server <backend>/<server> weight 50'",
};
pub(super) const CHECK_PROTOCOLS: Status = Status::Later {
    what: "checks of this protocol",
    meanwhile: "'option tcp-check' with send and expect rules can speak it, or use a plain connection check",
};
pub(super) const EMAIL: Status = Status::Later {
    what: "email alerts",
    meanwhile: "alert on the state changes that go to syslog ('log ... notice')",
};
pub(super) const RINGS: Status = Status::Later {
    what: "ring buffers for logs",
    meanwhile: "log to a local syslog socket or a UDP address, which queue and forward",
};
pub(super) const LOG_PROFILES: Status =
    Status::Later { what: "log profiles", meanwhile: "'log-format' sets the line of a session's end" };
pub(super) const VARIABLES: Status = Status::Later {
    what: "variables",
    meanwhile: "'setenv' and \"${NAME}\" put a value into several places of the configuration",
};
pub(super) const RELOAD: Status = Status::Later {
    what: "reload without losing a connection",
    meanwhile: "start the new process with '-sf' and the old one's pid: the old serves its connections to their end",
};

pub(super) const LUA: Status =
    Status::Refused { reason: "Ringway has no Lua", instead: "use its own rules, or an HTTP service of your own" };
pub(super) const SPOE: Status =
    Status::Refused { reason: "Ringway has no filters that ask other processes (SPOE)", instead: "leave it out" };
pub(super) const FASTCGI: Status = Status::Refused {
    reason: "Ringway does not speak FastCGI",
    instead: "put the application's own HTTP server or nginx between and balance HTTP",
};
pub(super) const QUIC: Status =
    Status::Refused { reason: "Ringway does not speak QUIC", instead: "leave it out; clients fall back to TCP" };
pub(super) const NAMESPACES: Status = Status::Refused {
    reason: "Ringway opens its sockets in the network namespace it was started in",
    instead: "start it there, with 'ip netns exec <name>'",
};
pub(super) const EXTERNAL_PROGRAMS: Status = Status::Refused {
    reason: "Ringway starts no programs",
    instead: "check with 'option tcp-check' or 'option httpchk', and run other programs from the service manager",
};
pub(super) const DEVICE_DATABASES: Status =
    Status::Refused { reason: "Ringway has no device detection database", instead: "leave it out" };
pub(super) const CERTIFICATE_SERVICES: Status = Status::Later {
    what: "TLS (with certificate stores)",
    meanwhile: "'mode tcp' passes TLS through untouched, so the servers can end it themselves",
};

/// For keywords that tune TLS, which stays out of `mode tcp`: a stock file has them although it uses no TLS.
pub(super) const WITHOUT_TLS: &str = "it only sets defaults for TLS, and no line that turns TLS on is accepted yet";
/// For keywords that tune HTTP/1, HTTP/2, compression, Lua or QUIC.
pub(super) const WITHOUT_IT: &str = "it only tunes a feature that no accepted line can turn on yet";
/// For keywords that tune HAProxy's own machinery.
pub(super) const OWN_MACHINERY: &str = "it tunes HAProxy's own internals, which Ringway does not have";

pub(super) const LOG_BACKENDS: Status =
    Status::Later { what: "balancing logs", meanwhile: "point each 'log' line at one address" };

/// The status of one argument of a keyword whose other arguments are supported. Last word of `syntax`: the argument.
pub(super) const fn value(sections: Sections, syntax: &'static str, status: Status) -> Row {
    Row { sections, syntax, status, negatable: false, value: true }
}

pub(super) const fn value_old(sections: Sections, syntax: &'static str, modern: &'static str) -> Row {
    value(sections, syntax, Status::OldSpelling { modern })
}

pub(super) const SOCKS: Status = Status::Later {
    what: "connecting through a SOCKS proxy",
    meanwhile: "route to the servers directly, or run a local redirector",
};
