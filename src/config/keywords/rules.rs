//! `tcp-request`, `tcp-response`, `http-request`, `http-response`, `http-after-response` and the header rules of
//! HAProxy 1.8 (configuration.txt section 4.2).

use super::row::{Row, Status};
use super::status::*;

/// Rows of one rule set that all have the same status.
macro_rules! actions {
    ($($sections:ident $status:ident $set:literal: $($action:literal)*;)*) => {
        &[$($(row($sections, concat!($set, " ", $action), $status),)*)*]
    };
}

pub(super) const ROWS: &[Row] = actions! {
    FRONT SUPPORTED "tcp-request connection": "accept" "reject" "set-dst" "set-dst-port" "set-src" "set-src-port" "set-var"
        "set-var-fmt" "silent-drop" "unset-var";
    FRONT PROXY_PROTOCOL "tcp-request connection": "expect-netscaler-cip layer4";
    FRONT SUPPORTED "tcp-request connection": "expect-proxy layer4";
    FRONT SUPPORTED "tcp-request connection": "set-mark" "set-tos";
    FRONT MARKS "tcp-request connection": "set-fc-mark" "set-fc-tos";
    FRONT NEW_ACTIONS "tcp-request connection": "do-log";
    FRONT SUPPORTED "tcp-request connection": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt"
        "sc-set-gpt0" "track-sc0" "track-sc1" "track-sc2";
    FRONT SUPPORTED "tcp-request session": "accept" "reject" "set-dst" "set-dst-port" "set-src" "set-src-port" "set-var"
        "set-var-fmt" "silent-drop" "unset-var";
    FRONT SUPPORTED "tcp-request session": "set-mark" "set-tos";
    FRONT MARKS "tcp-request session": "set-fc-mark" "set-fc-tos";
    FRONT NEW_ACTIONS "tcp-request session": "attach-srv" "do-log";
    FRONT SUPPORTED "tcp-request session": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt"
        "sc-set-gpt0" "track-sc0" "track-sc1" "track-sc2";
    PROXY SUPPORTED "tcp-request": "inspect-delay";
    PROXY SUPPORTED "tcp-request content": "accept" "reject" "capture" "set-dst" "set-dst-port" "set-log-level" "set-src"
        "set-src-port" "set-var" "set-var-fmt" "silent-drop" "unset-var";
    PROXY SWITCH_MODE "tcp-request content": "switch-mode";
    PROXY NICE "tcp-request content": "set-nice";
    PROXY SUPPORTED "tcp-request content": "set-mark" "set-priority-class" "set-priority-offset" "set-tos";
    PROXY MARKS "tcp-request content": "set-bc-mark" "set-bc-tos" "set-fc-mark" "set-fc-tos";
    PROXY NEW_ACTIONS "tcp-request content": "close" "do-log" "set-retries";
    PROXY BANDWIDTH "tcp-request content": "set-bandwidth-limit";
    PROXY LUA "tcp-request content": "use-service";
    PROXY RESOLVERS "tcp-request content": "do-resolve";
    PROXY SUPPORTED "tcp-request content": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt"
        "sc-set-gpt0" "track-sc0" "track-sc1" "track-sc2";
    PROXY SPOE "tcp-request content": "send-spoe-group";
    BACK SUPPORTED "tcp-response": "inspect-delay";
    BACK SUPPORTED "tcp-response content": "accept" "reject" "close" "set-log-level" "set-var" "set-var-fmt" "silent-drop"
        "unset-var";
    BACK NICE "tcp-response content": "set-nice";
    BACK SUPPORTED "tcp-response content": "set-mark" "set-tos";
    BACK MARKS "tcp-response content": "set-fc-mark" "set-fc-tos";
    BACK NEW_ACTIONS "tcp-response content": "do-log";
    BACK BANDWIDTH "tcp-response content": "set-bandwidth-limit";
    BACK SUPPORTED "tcp-response content": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt"
        "sc-set-gpt0";
    BACK SPOE "tcp-response content": "send-spoe-group";
    PROXY SUPPORTED "http-request": "add-header" "allow" "auth" "del-header" "deny" "disable-l7-retry" "early-hint"
        "normalize-uri" "redirect" "reject" "replace-header" "replace-path" "replace-pathq" "replace-uri"
        "replace-value" "return" "set-dst" "set-dst-port" "set-header" "set-log-level" "set-method" "set-path"
        "set-pathq" "set-query" "set-src" "set-src-port" "set-timeout" "set-uri" "silent-drop" "strict-mode" "tarpit"
        "wait-for-body";
    PROXY SUPPORTED "http-request": "add-acl" "capture" "del-acl" "del-map" "set-map" "set-var" "set-var-fmt" "unset-var";
    PROXY NICE "http-request": "set-nice";
    PROXY SUPPORTED "http-request": "set-mark" "set-priority-class" "set-priority-offset" "set-tos";
    PROXY MARKS "http-request": "set-bc-mark" "set-bc-tos" "set-fc-mark" "set-fc-tos";
    PROXY NEW_ACTIONS "http-request": "add-headers-bin" "del-headers-bin" "do-log" "pause" "set-headers-bin" "set-retries";
    PROXY BANDWIDTH "http-request": "set-bandwidth-limit";
    PROXY LUA "http-request": "use-service";
    PROXY RESOLVERS "http-request": "do-resolve";
    PROXY TLS "http-request": "wait-for-handshake";
    PROXY SUPPORTED "http-request": "cache-use";
    PROXY SUPPORTED "http-request": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0"
        "track-sc0" "track-sc1" "track-sc2";
    FRONT TRACK_UNNUMBERED "tcp-request connection": "track-sc";
    FRONT TRACK_UNNUMBERED "tcp-request session": "track-sc";
    PROXY TRACK_UNNUMBERED "tcp-request content": "track-sc";
    PROXY TRACK_UNNUMBERED "http-request": "track-sc";
    PROXY TRACK_UNNUMBERED "http-response": "track-sc";
    PROXY SPOE "http-request": "send-spoe-group";
    PROXY SUPPORTED "http-response": "add-header" "allow" "del-header" "deny" "redirect" "replace-header" "replace-value"
        "return" "set-header" "set-log-level" "set-status" "silent-drop" "strict-mode";
    PROXY SUPPORTED "http-response": "add-acl" "capture" "del-acl" "del-map" "set-map" "set-var" "set-var-fmt" "unset-var";
    PROXY NICE "http-response": "set-nice";
    PROXY SUPPORTED "http-response": "set-mark" "set-tos" "wait-for-body";
    PROXY MARKS "http-response": "set-fc-mark" "set-fc-tos";
    PROXY NEW_ACTIONS "http-response": "add-headers-bin" "del-headers-bin" "do-log" "pause" "set-headers-bin"
        "set-timeout";
    PROXY BANDWIDTH "http-response": "set-bandwidth-limit";
    PROXY SUPPORTED "http-response": "cache-store";
    PROXY SUPPORTED "http-response": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt"
        "sc-set-gpt0" "track-sc0" "track-sc1" "track-sc2";
    PROXY SPOE "http-response": "send-spoe-group";
    PROXY SUPPORTED "http-after-response": "add-header" "allow" "del-header" "replace-header" "replace-value"
        "set-header" "set-log-level" "set-status" "strict-mode";
    PROXY SUPPORTED "http-after-response": "capture" "del-acl" "del-map" "set-map" "set-var" "set-var-fmt" "unset-var";
    PROXY NEW_ACTIONS "http-after-response": "add-headers-bin" "del-headers-bin" "do-log" "set-headers-bin";
    PROXY SUPPORTED "http-after-response": "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt"
        "sc-set-gpt0";
};

const SUPPORTED: Status = Status::Supported;
const TRACK_UNNUMBERED: Status = Status::Refused {
    reason: "a rule names the counter in its keyword",
    instead: "'track-sc0', 'track-sc1' or 'track-sc2'",
};
const SWITCH_MODE: Status = Status::Refused {
    reason: "a connection is TCP or HTTP from its first byte",
    instead: "'mode http' in the frontend, and 'mode tcp' in one of its own for the rest",
};
const NICE: Status = Status::Accepted {
    why: "it orders tasks in HAProxy's scheduler; a worker here serves events in the order they came",
};
const MARKS: Status = Status::Refused {
    reason: "HAProxy 3.0 brought it, with marks that are computed; Ringway marks what goes to the client, by number",
    instead: "'set-mark' or 'set-tos' towards clients; towards servers the firewall (nftables 'meta mark set')",
};
const NEW_ACTIONS: Status = Status::Later { what: "rules of HAProxy 3.x", meanwhile: "leave it out" };
const BANDWIDTH: Status = Status::Refused {
    reason: "Ringway does not limit bandwidth",
    instead: "limit it at the servers, or with the kernel's traffic control (tc)",
};

/// What a search of the whole head found is found by one of its parts.
const SWITCHING: &str =
    "use_backend with a condition, like 'if { hdr_beg(host) -i img }' or 'if { path_reg -i ^/(img|css)/ }'";

/// Rules of HAProxy 1.8 on request and response lines, dropped by 2.1.
pub(super) const OLD_ROWS: &[Row] = &[
    old(NAMED, "block <condition>", "http-request deny"),
    old(NAMED, "reqadd <text> [<condition>]", "http-request add-header"),
    old(NAMED, "reqallow <search> [<condition>]", "http-request allow"),
    old(NAMED, "reqdel <search> [<condition>]", "http-request del-header"),
    old(NAMED, "reqdeny <search> [<condition>]", "http-request deny"),
    old(NAMED, "reqiallow <search> [<condition>]", "http-request allow"),
    old(NAMED, "reqidel <search> [<condition>]", "http-request del-header"),
    old(NAMED, "reqideny <search> [<condition>]", "http-request deny"),
    old(NAMED, "reqipass <search> [<condition>]", "conditions on the http-request rules after it"),
    old(NAMED, "reqirep <search> <text> [<condition>]", "http-request replace-path, replace-uri or replace-header"),
    old(FRONT_NAMED, "reqisetbe <search> <backend> [<condition>]", SWITCHING),
    old(NAMED, "reqitarpit <search> [<condition>]", "http-request tarpit"),
    old(NAMED, "reqpass <search> [<condition>]", "conditions on the http-request rules after it"),
    old(NAMED, "reqrep <search> <text> [<condition>]", "http-request replace-path, replace-uri or replace-header"),
    old(FRONT_NAMED, "reqsetbe <search> <backend> [<condition>]", SWITCHING),
    old(NAMED, "reqtarpit <search> [<condition>]", "http-request tarpit"),
    old(NAMED, "rspadd <text> [<condition>]", "http-response add-header"),
    old(NAMED, "rspdel <search> [<condition>]", "http-response del-header"),
    old(NAMED, "rspdeny <search> [<condition>]", "http-response deny"),
    old(NAMED, "rspidel <search> [<condition>]", "http-response del-header"),
    old(NAMED, "rspideny <search> [<condition>]", "http-response deny"),
    old(NAMED, "rspirep <search> <text> [<condition>]", "http-response replace-header or set-status"),
    old(NAMED, "rsprep <search> <text> [<condition>]", "http-response replace-header or set-status"),
];
