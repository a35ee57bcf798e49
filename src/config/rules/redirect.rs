//! `redirect` (configuration.txt section 4.2).

use super::format;
use crate::config::model::{HttpAction, Page, Redirect, RedirectKind, TextFormat};
use crate::config::section_http_rules::{Context, RuleSet};
use crate::config::statement::Statement;
use std::sync::Arc;

/// What was read so far.
#[derive(Default)]
struct Written {
    kind: Option<(RedirectKind, usize)>,
    status: Option<u16>,
    drop_query: bool,
    append_slash: bool,
    ignore_empty: bool,
    set_cookie: Option<Box<[u8]>>,
}

/// Reads the arguments of a redirection. Only rules of http-request and http-response take formats; a bare `redirect`
/// line means its text as it stands.
pub fn parse(statement: &mut Statement, context: &mut Context) -> Option<(HttpAction, usize)> {
    let mut written = Written::default();
    let mut index = 0;
    loop {
        let value = statement.text(index + 1);
        let word = statement.text(index);
        match word {
            "" | "if" | "unless" => break,
            "drop-query" => written.drop_query = true,
            "append-slash" => written.append_slash = true,
            "ignore-empty" => written.ignore_empty = true,
            "location" | "prefix" | "scheme" | "code" | "set-cookie" | "clear-cookie" if value.is_empty() => {
                statement.error(index, format!("missing argument for '{word}'."));
                return None;
            }
            "location" => written.kind = Some((RedirectKind::Location, index + 1)),
            "prefix" => written.kind = Some((RedirectKind::Prefix, index + 1)),
            "scheme" => written.kind = Some((RedirectKind::Scheme, index + 1)),
            "code" => written.status = Some(status(statement, index + 1)?),
            "set-cookie" => written.set_cookie = Some(format!("{value}; path=/;").into_bytes().into()),
            "clear-cookie" => written.set_cookie = Some(format!("{value}; path=/; Max-Age=0;").into_bytes().into()),
            _ => {
                statement.error(
                    index,
                    format!(
                        "expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', \
                         'ignore-empty' or 'append-slash' (was '{word}')."
                    ),
                );
                return None;
            }
        }
        index += if matches!(word, "drop-query" | "append-slash" | "ignore-empty") { 1 } else { 2 };
    }
    Some((HttpAction::Redirect(Box::new(finish(statement, context, written)?)), index))
}

fn status(statement: &mut Statement, index: usize) -> Option<u16> {
    let text = statement.text(index);
    match text.parse() {
        Ok(status @ (301 | 302 | 303 | 307 | 308)) => Some(status),
        _ => {
            statement
                .error(index, format!("unsupported HTTP code '{text}': it must be one of 301, 302, 303, 307 or 308."));
            None
        }
    }
}

fn finish(statement: &mut Statement, context: &Context, written: Written) -> Option<Redirect> {
    let Some((kind, at)) = written.kind else {
        statement.error(usize::MAX, "redirection type expected ('prefix', 'location', or 'scheme').");
        return None;
    };
    if context.set == RuleSet::Response && kind != RedirectKind::Location {
        statement.error(
            at.saturating_sub(1),
            "prefix and scheme redirects need the request: a response has only 'location'.",
        );
        return None;
    }
    let text = statement.text(at);
    let target = match (kind, text) {
        // The manual: to be sent to the same address again, for instance with a cookie.
        (RedirectKind::Prefix, "/") => TextFormat::Constant(Box::default()),
        _ if context.set == RuleSet::Bare => TextFormat::Constant(text.as_bytes().into()),
        _ => format::head(statement, at, format::place_of(context))?,
    };
    let status = written.status.unwrap_or(302);
    let mut page = Page::new(status, None, Arc::default());
    if matches!(status, 302 | 303 | 307) {
        page.headers.push(((*b"cache-control").into(), (*b"no-cache").into()));
    }
    Some(Redirect {
        kind,
        target,
        page: Arc::new(page),
        drop_query: written.drop_query,
        append_slash: written.append_slash,
        ignore_empty: written.ignore_empty,
        set_cookie: written.set_cookie,
    })
}
