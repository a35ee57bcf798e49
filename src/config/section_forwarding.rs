//! `option forwardfor`, `option originalto`, `option forwarded`, `unique-id-format`, `unique-id-header` (configuration.txt section 4.2).

use super::keywords::Modifier;
use super::log_format::{FormatPlace, compile};
use super::model::*;
use super::section_http::{is_header_name, note_http};
use super::statement::{LineParser, Statement};
use super::written::*;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("option forwardfor", forward_for),
    ("option originalto", original_to),
    ("option forwarded", forwarded),
    ("unique-id-format", unique_id_format),
    ("unique-id-header", unique_id_header),
];

fn unique_id_format(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    let Some(text) = statement.required(0, "a format") else { return };
    if !statement.rest(1).is_empty() {
        return statement.error(1, "unique-id-format expects only one argument, don't forget to escape spaces!");
    }
    let format = compile(text, FormatPlace::UniqueId).map_err(|error| format!("'unique-id-format' : {error}"));
    if let Some(format) = statement.accept(0, format) {
        proxy.settings.unique_id = Some(format);
    }
}

fn unique_id_header(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    let Some(name) = statement.required(0, "a header name") else { return };
    if !is_header_name(name) {
        return statement.error(0, format!("'unique-id-header' : '{name}' is not a header name."));
    }
    proxy.settings.unique_id_header = Some(name.to_owned());
    statement.ignores_after(1);
}

fn forward_for(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    if let Some(settings) = address(statement, true) {
        proxy.settings.forwarding.forward_for = Some(settings);
    }
}

fn original_to(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    if let Some(settings) = address(statement, false) {
        proxy.settings.forwarding.original_to = Some(settings);
    }
}

/// `[except <network>] [header <name>] [if-none]`
fn address(statement: &mut Statement, with_if_none: bool) -> Option<ForwardAddress> {
    let keyword = statement.keyword;
    let mut settings = ForwardAddress::default();
    let mut index = 0;
    while index < statement.arguments.len() {
        match statement.text(index) {
            "except" => {
                let network = parse_network(statement.text(index + 1))
                    .map_err(|_| format!("'{keyword} except' expects <address>[/mask] as argument."));
                settings.except = Some(statement.accept(index + 1, network)?);
                index += 1;
            }
            "header" => {
                let name = statement.text(index + 1);
                if !is_header_name(name) {
                    statement.error(index + 1, format!("'{keyword} header' expects <header_name> as argument."));
                    return None;
                }
                settings.header = Some(name.to_owned());
                index += 1;
            }
            "if-none" if with_if_none => settings.if_none = true,
            other => {
                let values = if with_if_none { "'except', 'header' and 'if-none'" } else { "'except' and 'header'" };
                statement.error(index, format!("'{keyword}' only supports optional values: {values}, not '{other}'."));
                return None;
            }
        }
        index += 1;
    }
    Some(settings)
}

/// `option forwarded [proto] [host] [by] [by_port] [for] [for_port]`; without any: `proto for`.
fn forwarded(statement: &mut Statement, proxy: &mut WrittenProxy) {
    note_http(statement, proxy);
    if statement.modifier != Modifier::None {
        proxy.settings.forwarding.forwarded = None;
        return;
    }
    let mut settings = Forwarded::default();
    for index in 0..statement.arguments.len() {
        let flag = match statement.text(index) {
            "proto" => &mut settings.protocol,
            "host" => &mut settings.host,
            "by" => &mut settings.by,
            "by_port" => &mut settings.by_port,
            "for" => &mut settings.from,
            "for_port" => &mut settings.from_port,
            option @ ("host-expr" | "by-expr" | "by_port-expr" | "for-expr" | "for_port-expr") => {
                let text = format!(
                    "'option forwarded {option}' is not supported; write the header with 'http-request add-header \
                     Forwarded …'."
                );
                return statement.error(index, text);
            }
            other => {
                let text = format!(
                    "'option forwarded' does not know '{other}'; it supports 'proto', 'host', 'by', 'by_port', 'for' \
                     and 'for_port'."
                );
                return statement.error(index, text);
            }
        };
        *flag = true;
    }
    if statement.arguments.is_empty() {
        settings = Forwarded { protocol: true, from: true, ..settings };
    }
    if (settings.by_port && !settings.by) || (settings.from_port && !settings.from) {
        return statement.error(0, "'option forwarded' : 'by_port' needs 'by', and 'for_port' needs 'for'.");
    }
    proxy.settings.forwarding.forwarded = Some(settings);
}
