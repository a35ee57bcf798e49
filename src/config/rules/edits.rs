//! Actions that change a message: its headers, its target, its method, its status.

use super::format;
use crate::config::model::{HeaderNameMatch, HttpAction, Normalizer, Replacement, TextFormat};
use crate::config::section_http_rules::Context;
use crate::config::statement::Statement;
use regex::bytes::{Regex, RegexBuilder};

type Parsed = Option<(HttpAction, usize)>;

pub fn add_header(statement: &mut Statement, context: &mut Context) -> Parsed {
    let name = super::name_and_value(statement)?;
    warn_of_framing(statement, &name);
    let value = format::head(statement, 1, format::place_of(context))?;
    Some((HttpAction::AddHeader { name, value }, 2))
}

pub fn set_header(statement: &mut Statement, context: &mut Context) -> Parsed {
    let name = super::name_and_value(statement)?;
    warn_of_framing(statement, &name);
    let value = format::head(statement, 1, format::place_of(context))?;
    Some((HttpAction::SetHeader { name, value }, 2))
}

/// What delimits a body is written as the body is sent, whatever a rule says.
fn warn_of_framing(statement: &mut Statement, name: &[u8]) {
    if [&b"content-length"[..], b"transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let name = String::from_utf8_lossy(name).into_owned();
        statement.warning(
            0,
            format!("only other rules and logs see this: '{name}' is sent as the body needs it, whatever rules say."),
        );
    }
}

/// `del-header <name> [-m <method>]`
pub fn del_header(statement: &mut Statement, _: &mut Context) -> Parsed {
    let name = statement.text(0);
    if name.is_empty() {
        statement.error(usize::MAX, "expects at least 1 argument, the name of a header.");
        return None;
    }
    let bytes = || name.as_bytes().into();
    let (which, end) = match (statement.text(1), statement.text(2)) {
        ("-m", "str") => (HeaderNameMatch::Exact(bytes()), 3),
        ("-m", "beg") => (HeaderNameMatch::Prefix(bytes()), 3),
        ("-m", "end") => (HeaderNameMatch::Suffix(bytes()), 3),
        ("-m", "sub") => (HeaderNameMatch::Substring(bytes()), 3),
        ("-m", "reg") => (HeaderNameMatch::Pattern(pattern(statement, 0, true)?), 3),
        ("-m", other) => {
            statement
                .error(2, format!("unknown match method '{other}'; expected 'str', 'beg', 'end', 'sub' or 'reg'."));
            return None;
        }
        _ => (HeaderNameMatch::Exact(bytes()), 1),
    };
    if let HeaderNameMatch::Exact(name) = &which {
        warn_of_framing(statement, name);
    }
    Some((HttpAction::DeleteHeaders(which), end))
}

/// Argument `index` as a regular expression on bytes.
fn pattern(statement: &mut Statement, index: usize, ignores_case: bool) -> Option<Regex> {
    let text = statement.text(index);
    let compiled = RegexBuilder::new(text).unicode(false).case_insensitive(ignores_case).build();
    let compiled = compiled.map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        format!("regex '{text}' is invalid: {reason}.")
    });
    statement.accept(index, compiled)
}

/// `<regex> <fmt>` from argument `index` on.
fn replacement(statement: &mut Statement, context: &Context, index: usize) -> Option<Replacement> {
    if statement.text(index).is_empty() || statement.text(index + 1).is_empty() {
        statement.error(
            usize::MAX,
            format!("expects exactly {} arguments, the last two <match-regex> and <replace-fmt>.", index + 2),
        );
        return None;
    }
    let pattern = pattern(statement, index, false)?;
    Some(Replacement { pattern, with: format::head(statement, index + 1, format::place_of(context))? })
}

pub fn replace_header(statement: &mut Statement, context: &mut Context) -> Parsed {
    let name = super::header_name(statement, 0)?;
    warn_of_framing(statement, &name);
    let replacement = replacement(statement, context, 1)?;
    Some((HttpAction::ReplaceHeader { name, replacement }, 3))
}

pub fn replace_value(statement: &mut Statement, context: &mut Context) -> Parsed {
    let name = super::header_name(statement, 0)?;
    warn_of_framing(statement, &name);
    let replacement = replacement(statement, context, 1)?;
    Some((HttpAction::ReplaceValue { name, replacement }, 3))
}

pub fn replace_path(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::ReplacePath(replacement(statement, context, 0)?), 2))
}

pub fn replace_path_and_query(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::ReplacePathAndQuery(replacement(statement, context, 0)?), 2))
}

pub fn replace_uri(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::ReplaceUri(replacement(statement, context, 0)?), 2))
}

/// The only argument: a format.
fn only_format(statement: &mut Statement, context: &Context) -> Option<TextFormat> {
    if statement.text(0).is_empty() {
        statement.error(usize::MAX, "expects exactly 1 argument <format>.");
        return None;
    }
    format::head(statement, 0, format::place_of(context))
}

pub fn set_method(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::SetMethod(only_format(statement, context)?), 1))
}

pub fn set_path(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::SetPath(only_format(statement, context)?), 1))
}

pub fn set_path_and_query(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::SetPathAndQuery(only_format(statement, context)?), 1))
}

pub fn set_query(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::SetQuery(only_format(statement, context)?), 1))
}

pub fn set_uri(statement: &mut Statement, context: &mut Context) -> Parsed {
    Some((HttpAction::SetUri(only_format(statement, context)?), 1))
}

/// `set-status <status> [reason <text>]`
pub fn set_status(statement: &mut Statement, _: &mut Context) -> Parsed {
    let text = statement.text(0);
    let Some(status) = text.parse::<u16>().ok().filter(|status| (100..=999).contains(status)) else {
        statement.error(0, format!("expects an integer status code between 100 and 999, not '{text}'."));
        return None;
    };
    if status < 200 {
        statement.error(0, "1xx announces that another response follows; a final response needs a status from 200 on.");
        return None;
    }
    if statement.text(1) != "reason" {
        return Some((HttpAction::SetStatus { status, reason: None }, 1));
    }
    let reason = statement.text(2);
    if reason.is_empty() {
        statement.error(1, "'reason' expects a text.");
        return None;
    }
    Some((HttpAction::SetStatus { status, reason: Some(reason.as_bytes().into()) }, 3))
}

/// `normalize-uri <normalizer> [full|strict]`
pub fn normalize_uri(statement: &mut Statement, _: &mut Context) -> Parsed {
    let option = statement.text(1);
    let (normalizer, end) = match statement.text(0) {
        "fragment-encode" => (Normalizer::FragmentEncode, 1),
        "fragment-strip" => (Normalizer::FragmentStrip, 1),
        "path-merge-slashes" => (Normalizer::PathMergeSlashes, 1),
        "path-strip-dot" => (Normalizer::PathStripDot, 1),
        "path-strip-dotdot" if option == "full" => (Normalizer::PathStripDotdot { full: true }, 2),
        "path-strip-dotdot" => (Normalizer::PathStripDotdot { full: false }, 1),
        "percent-decode-unreserved" if option == "strict" => (Normalizer::PercentDecodeUnreserved { strict: true }, 2),
        "percent-decode-unreserved" => (Normalizer::PercentDecodeUnreserved { strict: false }, 1),
        "percent-to-uppercase" if option == "strict" => (Normalizer::PercentToUppercase { strict: true }, 2),
        "percent-to-uppercase" => (Normalizer::PercentToUppercase { strict: false }, 1),
        "query-sort-by-name" => (Normalizer::QuerySortByName, 1),
        other => {
            statement.error(0, format!("unknown normalizer '{other}'."));
            return None;
        }
    };
    Some((HttpAction::NormalizeUri(normalizer), end))
}
