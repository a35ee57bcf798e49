//! `balance`, `hash-type`, `hash-balance-factor` (configuration.txt section 4.2).

use super::expression::parse_words;
use super::model::*;
use super::section_http::is_header_name;
use super::statement::{LineParser, Statement};
use super::values::parse_u32;
use super::written::WrittenProxy;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("balance", balance),
    ("hash-type", hash_type),
    ("hash-balance-factor", hash_balance_factor),
    ("persist rdp-cookie", persist_rdp_cookie),
];

/// The user's name.
const RDP_COOKIE_DEFAULT: &str = "mstshash";

fn balance(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let text = statement.text(0);
    proxy.settings.balance = match text {
        // A bare `balance` is what no `balance` is.
        "" | "roundrobin" => BalanceAlgorithm::RoundRobin,
        "static-rr" => BalanceAlgorithm::StaticRoundRobin,
        "leastconn" => BalanceAlgorithm::LeastConnections,
        "first" => BalanceAlgorithm::First,
        "source" => BalanceAlgorithm::Source,
        "random" | "random()" => BalanceAlgorithm::Random { draws: 2 },
        _ if text.starts_with("random(") => {
            let draws = text.strip_prefix("random(").and_then(|rest| rest.strip_suffix(')')).unwrap_or("");
            // HAProxy takes at most 2^31 - 1; more draws than servers only cost time.
            let draws = parse_u32(draws, 1, i32::MAX as u32, "balance random");
            let Some(draws) = statement.accept(0, draws) else { return };
            BalanceAlgorithm::Random { draws }
        }
        "uri" => {
            if let Some(key) = uri_key(statement) {
                proxy.settings.balance = BalanceAlgorithm::Uri(key);
            }
            return;
        }
        "url_param" => return url_parameter(statement, proxy),
        "hash" => return expression(statement, proxy),
        _ if text.starts_with("hdr(") => return header(statement, proxy),
        "rdp-cookie" => BalanceAlgorithm::RdpCookie { name: RDP_COOKIE_DEFAULT.to_owned() },
        _ if text.starts_with("rdp-cookie(") => match in_parentheses(text) {
            Some(name) => BalanceAlgorithm::RdpCookie { name: name.to_owned() },
            None => return statement.error(0, "balance rdp-cookie : missing cookie name."),
        },
        _ => {
            return statement.error(
                0,
                format!(
                    "balance does not know '{text}'; it supports 'roundrobin', 'static-rr', 'leastconn', 'first', \
                     'source', 'random(<draws>)', 'uri', 'url_param', 'hdr(<name>)', 'rdp-cookie(<name>)' and \
                     'hash <expression>'."
                ),
            );
        }
    };
    statement.ignores_after(1);
}

/// What stands between the parentheses of `hdr(host)`; `None` when that is nothing, or one of them is missing.
fn in_parentheses(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('(')?;
    rest.strip_suffix(')').filter(|name| !name.is_empty())
}

/// `uri [whole] [path-only] [len <n>] [depth <n>]`
fn uri_key(statement: &mut Statement) -> Option<UriKey> {
    let mut key = UriKey::default();
    let mut index = 1;
    while index < statement.arguments.len() {
        match statement.text(index) {
            "whole" => key.whole = true,
            "path-only" => key.path_only = true,
            option @ ("len" | "depth") => {
                let number = parse_u32(statement.text(index + 1), 1, i32::MAX as u32, option).map_err(|_| {
                    let given = statement.text(index + 1);
                    format!("balance uri : '{option}' expects a positive integer (got '{given}').")
                });
                let number = Some(statement.accept(index + 1, number)?);
                *(if option == "len" { &mut key.length_max } else { &mut key.depth_max }) = number;
                index += 1;
            }
            other => {
                let text = format!(
                    "balance uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '{other}')."
                );
                statement.error(index, text);
                return None;
            }
        }
        index += 1;
    }
    Some(key)
}

/// `url_param <name> [check_post [<max_wait>]]`: the last number has no meaning any more, the buffer's size is the limit.
fn url_parameter(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let name = statement.text(1).to_owned();
    if name.is_empty() {
        return statement.error(1, "balance url_param requires an URL parameter name.");
    }
    let check_post = match statement.text(2) {
        "" => false,
        "check_post" => true,
        other => {
            let text = format!("balance url_param only accepts 'check_post' modifier (got '{other}').");
            return statement.error(2, text);
        }
    };
    if !statement.text(3).is_empty() {
        let number = parse_u32(statement.text(3), 0, i32::MAX as u32, "check_post");
        if statement.accept(3, number).is_none() {
            return;
        }
    }
    if statement.at_most(4) {
        proxy.settings.balance = BalanceAlgorithm::UrlParameter { name, check_post };
    }
}

/// `hash <expression>`
fn expression(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some((expression, next)) = parse_words(statement, 1, Place::USE_SERVER) else { return };
    if statement.rest(next).is_empty() {
        proxy.settings.balance = BalanceAlgorithm::Hash(expression);
    } else {
        let surplus = statement.text(next);
        statement.error(next, format!("balance hash takes no other argument (got '{surplus}')."));
    }
}

/// `hdr(<name>) [use_domain_only]`
fn header(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(name) = in_parentheses(statement.text(0)).filter(|name| is_header_name(name)) else {
        return statement.error(0, "balance hdr requires an http header field name.");
    };
    let use_domain_only = match statement.text(1) {
        "" => false,
        "use_domain_only" => true,
        other => {
            let text = format!("balance hdr({name}) only accepts 'use_domain_only' modifier (got '{other}').");
            return statement.error(1, text);
        }
    };
    if statement.at_most(2) {
        proxy.settings.balance = BalanceAlgorithm::Header { name: name.to_owned(), use_domain_only };
    }
}

/// `persist rdp-cookie[(<name>)]`
fn persist_rdp_cookie(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let words = &statement.line.words;
    let word = words.len().checked_sub(statement.arguments.len() + 1).and_then(|index| words.get(index));
    let written = word.map_or("", |word| word.as_str());
    let name = match written.contains('(') {
        true => in_parentheses(written),
        false => Some(RDP_COOKIE_DEFAULT),
    };
    let Some(name) = name else { return statement.error(usize::MAX, "persist rdp-cookie : missing cookie name.") };
    proxy.settings.rdp_persistence = Some((name.to_owned(), statement.location()));
    statement.ignores_after(0);
}

fn hash_type(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let method = match statement.text(0) {
        "map-based" => HashMethod::MapBased,
        "consistent" => HashMethod::Consistent,
        _ => return statement.error(0, "'hash-type' only supports 'consistent' and 'map-based'."),
    };
    let function = match statement.text(1) {
        "" | "sdbm" => HashFunction::Sdbm,
        "djb2" => HashFunction::Djb2,
        "wt6" => HashFunction::Wt6,
        "crc32" => HashFunction::Crc32,
        "none" => HashFunction::None,
        _ => {
            return statement
                .error(1, "'hash-type' only supports the functions 'sdbm', 'djb2', 'wt6', 'crc32' and 'none'.");
        }
    };
    let modifier = match statement.text(2) {
        // `hash-type consistent` alone mixes the key, as the manual does not say; with a function it does not.
        "" if method == HashMethod::Consistent && statement.text(1).is_empty() => HashModifier::Avalanche,
        "" => HashModifier::None,
        "avalanche" => HashModifier::Avalanche,
        _ => return statement.error(2, "'hash-type' only supports the modifier 'avalanche'."),
    };
    proxy.settings.hash_type = HashType { method, function, modifier };
    statement.at_most(3);
}

fn hash_balance_factor(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a percentage: 0 to switch it off, or more than 100") else { return };
    let factor = parse_u32(text, 0, 65_535, "hash-balance-factor");
    let Some(factor) = statement.accept(0, factor) else { return };
    if (1..=100).contains(&factor) {
        return statement.error(0, "'hash-balance-factor' must be 0 (off) or greater than 100.");
    }
    proxy.settings.hash_balance_factor = factor;
    statement.at_most(1);
}
