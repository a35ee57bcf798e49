//! `balance`, `hash-type`, `hash-balance-factor` (configuration.txt section 4.2).

use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::parse_u32;
use super::written::WrittenProxy;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] =
    &[("balance", balance), ("hash-type", hash_type), ("hash-balance-factor", hash_balance_factor)];

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
        "uri" | "url_param" | "rdp-cookie" | "hash" | "sticky" | "log-hash" => return later(statement, text),
        _ if text.starts_with("hdr(") || text.starts_with("rdp-cookie(") => return later(statement, text),
        _ => {
            return statement.error(
                0,
                format!(
                    "balance does not know '{text}'; it supports 'roundrobin', 'static-rr', 'leastconn', 'first', \
                     'source' and 'random(<draws>)' in TCP mode."
                ),
            );
        }
    };
    statement.ignores_after(1);
}

fn later(statement: &mut Statement, text: &str) {
    statement.error(
        0,
        format!("'balance {text}' reads the request and comes with HTTP mode and sample expressions; use 'source' or 'leastconn' meanwhile."),
    );
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
