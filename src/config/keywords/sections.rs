//! The words that open a section, and the keywords of the sections that come later or not at all.

use super::row::{Row, Section, Sections, Status};
use super::status::*;

const PEERS_SECTION: Sections = Sections::of(&[Section::Peers]);
const RESOLVERS_SECTION: Sections = Sections::of(&[Section::Resolvers]);
const USERLIST: Sections = Sections::of(&[Section::Userlist]);
const MAILERS: Sections = Sections::of(&[Section::Mailers]);
const CACHE_SECTION: Sections = Sections::of(&[Section::Cache]);
const RING: Sections = Sections::of(&[Section::Ring]);
const HTTP_ERRORS: Sections = Sections::of(&[Section::HttpErrors]);
const LOG_FORWARD: Sections = Sections::of(&[Section::LogForward]);
const FCGI_APP: Sections = Sections::of(&[Section::FcgiApp]);
const PROGRAM: Sections = Sections::of(&[Section::Program]);
const TRACES: Sections = Sections::of(&[Section::Traces]);
const LOG_PROFILE: Sections = Sections::of(&[Section::LogProfile]);
const CRT_STORE: Sections = Sections::of(&[Section::CrtStore]);
const CRT_LIST: Sections = Sections::of(&[Section::CrtList]);
const ACME: Sections = Sections::of(&[Section::Acme]);
const HEALTHCHECK: Sections = Sections::of(&[Section::Healthcheck]);

const LOG_FORWARDING: Status =
    Status::Later { what: "forwarding of logs", meanwhile: "let rsyslog or syslog-ng receive and forward them" };
const TRACING: Status =
    Status::Later { what: "traces", meanwhile: "start with '-d' to see what happens to connections" };

const SUPPORTED: Status = Status::Supported;

/// Rows of one section that all have the same status.
macro_rules! keywords {
    ($($sections:ident $status:ident: $($syntax:literal)*;)*) => { &[$($(row($sections, $syntax, $status),)*)*] };
}

pub(super) const HEADERS: &[Row] = &[
    supported(HEADER, "global"),
    supported(HEADER, "defaults [<name>] [from <defaults>]"),
    supported(HEADER, "frontend <name> [from <defaults>]"),
    supported(HEADER, "listen <name> [from <defaults>]"),
    supported(HEADER, "backend <name> [from <defaults>]"),
    row(HEADER, "acme <name>", CERTIFICATE_SERVICES),
    supported(HEADER, "cache <name>"),
    row(HEADER, "crt-store [<name>]", CERTIFICATE_SERVICES),
    row(HEADER, "fcgi-app <name>", FASTCGI),
    row(HEADER, "healthcheck <name>", CHECK_PROTOCOLS),
    supported(HEADER, "http-errors <name>"),
    row(HEADER, "log-forward <name>", LOG_FORWARDING),
    row(HEADER, "log-profile <name>", LOG_PROFILES),
    row(HEADER, "mailers <name>", EMAIL),
    row(HEADER, "peers <name>", PEERS),
    row(HEADER, "program <name>", EXTERNAL_PROGRAMS),
    row(HEADER, "resolvers <name>", RESOLVERS),
    row(HEADER, "ring <name>", RINGS),
    row(HEADER, "traces", TRACING),
    supported(HEADER, "userlist <name>"),
];

pub(super) const ROWS: &[Row] = keywords! {
    PEERS_SECTION PEERS: "bind <address> [<options>]" "default-bind <options>" "default-server <options>" "disabled"
        "enabled" "log <address> <facility>" "peer <name> <address>:<port> [<options>]" "server <name> [<address>]"
        "shards <number>" "table <name> <options>";
    RESOLVERS_SECTION RESOLVERS: "accepted_payload_size <bytes>" "hold <state> <time>" "nameserver <name> <address>"
        "parse-resolv-conf" "resolve_retries <number>" "timeout resolve <time>" "timeout retry <time>";
    USERLIST SUPPORTED: "group <name> [users <users>]" "user <name> <kind> <password> [groups <groups>]";
    MAILERS EMAIL: "mailer <name> <address>:<port>" "timeout mail <time>";
    CACHE_SECTION SUPPORTED: "max-age <seconds>" "max-object-size <bytes>" "max-secondary-entries <number>"
        "process-vary <switch>" "total-max-size <megabytes>";
    RING RINGS: "backing-file <file>" "description <text>" "format <format>" "maxlen <bytes>" "server <name> <address>"
        "size <bytes>" "timeout connect <time>" "timeout server <time>";
    HTTP_ERRORS SUPPORTED: "errorfile <code> <file>";
    LOG_FORWARD LOG_FORWARDING: "backlog <connections>" "bind <address> [<options>]" "dgram-bind <address> [<options>]"
        "log <address> <facility>" "maxconn <connections>" "option assume-rfc6587-ntf" "option dont-parse-log"
        "option host <strategy>" "timeout client <time>";
    FCGI_APP FASTCGI: "acl <name> <criterion>" "docroot <path>" "index <name>" "log-stderr <address>"
        "option get-values" "option keep-conn" "option max-reqs <number>" "option mpxs-conns" "pass-header <name>"
        "path-info <pattern>" "set-param <name> <format>";
    PROGRAM EXTERNAL_PROGRAMS: "command <command>" "group <name>" "option start-on-reload" "user <name>";
    TRACES TRACING: "trace <source> <options>";
    LOG_PROFILE LOG_PROFILES: "log-tag <tag>" "on <step> <options>";
    CRT_STORE CERTIFICATE_SERVICES: "crt-base <directory>" "key-base <directory>" "load <options>";
    CRT_LIST CERTIFICATE_SERVICES: "allow-0rtt" "alpn <protocols>" "ca-file <file>" "ca-verify-file <file>"
        "ciphers <ciphers>" "ciphersuites <ciphersuites>" "client-sigalgs <algorithms>" "crl-file <file>"
        "curves <curves>" "ecdhe <curve>" "ktls <switch>" "no-alpn" "no-ca-names" "npn <protocols>"
        "sigalgs <algorithms>" "ssl-max-ver <version>" "ssl-min-ver <version>" "verify <mode>";
    ACME CERTIFICATE_SERVICES: "account-key <file>" "acme-vars <variables>" "bits <number>" "challenge <type>"
        "challenge-ready <options>" "contact <address>" "curves <curves>" "directory <url>" "dns-delay <time>"
        "dns-timeout <time>" "eab-key-id <text>" "eab-mac-alg <algorithm>" "eab-mac-key <key>" "keytype <type>"
        "map <name>" "profile <name>" "provider-name <name>" "reuse-key <switch>";
    HEALTHCHECK CHECK_PROTOCOLS: "type <protocol>" "http-check <rule>" "tcp-check <rule>";
};
