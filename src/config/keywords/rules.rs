//! `tcp-request`, `tcp-response`, `http-request`, `http-response`, `http-after-response` and the header rules of
//! HAProxy 1.8 (configuration.txt section 4.2).

use super::row::Row;
use super::status::*;

/// Rows of one rule set that all have the same status.
macro_rules! actions {
    ($($sections:ident $status:ident $set:literal: $($action:literal)*;)*) => {
        &[$($(row($sections, concat!($set, " ", $action), $status),)*)*]
    };
}

pub(super) const ROWS: &[Row] = actions! {
    FRONT TCP_RULES "tcp-request connection": "accept" "reject" "do-log" "expect-netscaler-cip layer4"
        "expect-proxy layer4" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0" "set-dst"
        "set-dst-port" "set-fc-mark" "set-fc-tos" "set-mark" "set-src" "set-src-port" "set-tos" "set-var" "set-var-fmt"
        "silent-drop" "unset-var";
    FRONT STICK_TABLES "tcp-request connection": "track-sc" "track-sc0" "track-sc1" "track-sc2";
    FRONT TCP_RULES "tcp-request session": "accept" "reject" "attach-srv" "do-log" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0"
        "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0" "set-dst" "set-dst-port" "set-fc-mark" "set-fc-tos" "set-mark" "set-src"
        "set-src-port" "set-tos" "set-var" "set-var-fmt" "silent-drop" "unset-var";
    FRONT STICK_TABLES "tcp-request session": "track-sc" "track-sc0" "track-sc1" "track-sc2";
    PROXY TCP_RULES "tcp-request": "inspect-delay";
    PROXY TCP_RULES "tcp-request content": "accept" "reject" "capture" "close" "do-log" "do-resolve" "sc-add-gpc"
        "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0" "set-bandwidth-limit" "set-bc-mark"
        "set-bc-tos" "set-dst" "set-dst-port" "set-fc-mark" "set-fc-tos" "set-log-level" "set-mark" "set-nice"
        "set-priority-class" "set-priority-offset" "set-retries" "set-src" "set-src-port" "set-tos" "set-var"
        "set-var-fmt" "silent-drop" "switch-mode" "unset-var" "use-service";
    PROXY STICK_TABLES "tcp-request content": "track-sc" "track-sc0" "track-sc1" "track-sc2";
    PROXY SPOE "tcp-request content": "send-spoe-group";
    BACK TCP_RULES "tcp-response": "inspect-delay";
    BACK TCP_RULES "tcp-response content": "accept" "reject" "close" "do-log" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0"
        "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0" "set-bandwidth-limit" "set-fc-mark" "set-fc-tos" "set-log-level"
        "set-mark" "set-nice" "set-tos" "set-var" "set-var-fmt" "silent-drop" "unset-var";
    BACK SPOE "tcp-response content": "send-spoe-group";
    PROXY HTTP "http-request": "add-acl" "add-header" "add-headers-bin" "allow" "auth" "cache-use" "capture" "del-acl"
        "del-header" "del-headers-bin" "del-map" "deny" "disable-l7-retry" "do-log" "do-resolve" "early-hint"
        "normalize-uri" "pause" "redirect" "reject" "replace-header" "replace-path" "replace-pathq" "replace-uri"
        "replace-value" "return" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0"
        "set-bandwidth-limit" "set-bc-mark" "set-bc-tos" "set-dst" "set-dst-port" "set-fc-mark" "set-fc-tos"
        "set-header" "set-headers-bin" "set-log-level" "set-map" "set-mark" "set-method" "set-nice" "set-path"
        "set-pathq" "set-priority-class" "set-priority-offset" "set-query" "set-retries" "set-src" "set-src-port"
        "set-timeout" "set-tos" "set-uri" "set-var" "set-var-fmt" "silent-drop" "strict-mode" "tarpit" "unset-var"
        "use-service" "wait-for-body" "wait-for-handshake" "track-sc" "track-sc0" "track-sc1" "track-sc2";
    PROXY SPOE "http-request": "send-spoe-group";
    PROXY HTTP "http-response": "add-acl" "add-header" "add-headers-bin" "allow" "cache-store" "capture" "del-acl"
        "del-header" "del-headers-bin" "del-map" "deny" "do-log" "pause" "redirect" "replace-header" "replace-value"
        "return" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0" "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0" "set-bandwidth-limit"
        "set-fc-mark" "set-fc-tos" "set-header" "set-headers-bin" "set-log-level" "set-map" "set-mark" "set-nice"
        "set-status" "set-timeout" "set-tos" "set-var" "set-var-fmt" "silent-drop" "strict-mode" "unset-var"
        "wait-for-body" "track-sc" "track-sc0" "track-sc1" "track-sc2";
    PROXY SPOE "http-response": "send-spoe-group";
    PROXY HTTP "http-after-response": "add-header" "add-headers-bin" "allow" "capture" "del-acl" "del-header"
        "del-headers-bin" "del-map" "do-log" "replace-header" "replace-value" "sc-add-gpc" "sc-inc-gpc" "sc-inc-gpc0"
        "sc-inc-gpc1" "sc-set-gpt" "sc-set-gpt0" "set-header" "set-headers-bin" "set-log-level" "set-map" "set-status"
        "set-var" "set-var-fmt" "strict-mode" "unset-var";
};

/// Rules of HAProxy 1.8 on request and response lines, dropped by 2.1; their meaning comes with HTTP mode.
pub(super) const OLD_ROWS: &[Row] = &[
    row(NAMED, "block <condition>", HTTP),
    row(PROXY, "reqadd <text> [<condition>]", HTTP),
    row(PROXY, "reqallow <search> [<condition>]", HTTP),
    row(PROXY, "reqdel <search> [<condition>]", HTTP),
    row(PROXY, "reqdeny <search> [<condition>]", HTTP),
    row(PROXY, "reqiallow <search> [<condition>]", HTTP),
    row(PROXY, "reqidel <search> [<condition>]", HTTP),
    row(PROXY, "reqideny <search> [<condition>]", HTTP),
    row(PROXY, "reqipass <search> [<condition>]", HTTP),
    row(PROXY, "reqirep <search> <text> [<condition>]", HTTP),
    row(PROXY, "reqisetbe <search> <backend> [<condition>]", HTTP),
    row(PROXY, "reqitarpit <search> [<condition>]", HTTP),
    row(PROXY, "reqpass <search> [<condition>]", HTTP),
    row(PROXY, "reqrep <search> <text> [<condition>]", HTTP),
    row(PROXY, "reqsetbe <search> <backend> [<condition>]", HTTP),
    row(PROXY, "reqtarpit <search> [<condition>]", HTTP),
    row(PROXY, "rspadd <text> [<condition>]", HTTP),
    row(PROXY, "rspdel <search> [<condition>]", HTTP),
    row(PROXY, "rspdeny <search> [<condition>]", HTTP),
    row(PROXY, "rspidel <search> [<condition>]", HTTP),
    row(PROXY, "rspideny <search> [<condition>]", HTTP),
    row(PROXY, "rspirep <search> <text> [<condition>]", HTTP),
    row(PROXY, "rsprep <search> <text> [<condition>]", HTTP),
];
