//! The answers of `http-error`, `return`, `deny` and `tarpit`: status, payload and headers (configuration.txt section
//! 4.2, `http-request return`).

use super::page_file;
use crate::config::model::{ERROR_STATUSES, HeaderLine, Page, PageFormat, Place, ReplySource, TextFormat};
use crate::config::rules::format;
use crate::config::statement::Statement;
use std::sync::Arc;

/// Where the payload comes from, as written.
enum Payload {
    DefaultErrorfiles,
    Errorfile(Page),
    Errorfiles(String),
    /// `file` and `string`
    Raw(Arc<[u8]>),
    /// `lf-file` and `lf-string`
    Format(TextFormat),
}

/// What the rule that holds the answer says about it.
#[derive(Clone, Copy)]
pub struct ReplyRules {
    /// Without `status`.
    pub status: u16,
    pub place: Place,
    /// Nothing but a status means the proxy's own error page (`deny`), not an empty answer.
    pub defaults_to_error_page: bool,
}

/// An answer that was read.
pub struct ParsedReply {
    pub source: ReplySource,
    /// `status`, or the default: an error file may have another one.
    pub written_status: u16,
    /// The argument after the last one that was read.
    pub index: usize,
}

/// Reads the answer's arguments from `index` on, up to `if`, `unless` or the end. `None` if an error was reported.
pub fn parse(statement: &mut Statement, mut index: usize, rules: ReplyRules) -> Option<ParsedReply> {
    let mut status = None;
    let mut content_type: Option<&str> = None;
    let mut payload: Option<(&str, Payload)> = None;
    let mut headers = Vec::new();
    loop {
        let word = statement.text(index);
        match word {
            "" | "if" | "unless" => break,
            "status" | "deny_status" => status = Some(parse_status(statement, index)?),
            "content-type" => content_type = Some(required(statement, index, "<ctype>")?),
            "hdr" => {
                headers.push(parse_header(statement, index, rules.place)?);
                index += 3;
                continue;
            }
            "default-errorfiles" | "errorfile" | "errorfiles" | "file" | "lf-file" | "string" | "lf-string" => {
                if let Some((other, _)) = payload {
                    statement.error(index, format!("unexpected '{word}' argument, '{other}' already defined"));
                    return None;
                }
                payload = Some((word, parse_payload(statement, index, rules.place)?));
                if word == "default-errorfiles" {
                    index += 1;
                    continue;
                }
            }
            _ => {
                statement.error(index, format!("unknown keyword '{word}'."));
                return None;
            }
        }
        index += 2;
    }
    let status_written = status;
    let status = status.unwrap_or(rules.status);
    let payload = payload.map(|(_, payload)| payload);
    if payload.is_none() && rules.defaults_to_error_page && content_type.is_none() && headers.is_empty() {
        let source = match is_error_status(status) {
            true => ReplySource::ErrorPage(status),
            // No page has this status: an answer without a body, as HAProxy sends it.
            false => ReplySource::Page(Arc::new(Page::new(status, None, Arc::default()))),
        };
        return Some(ParsedReply { source, written_status: status, index });
    }
    let from_errors =
        matches!(payload, Some(Payload::DefaultErrorfiles | Payload::Errorfile(_) | Payload::Errorfiles(_)));
    if from_errors && status_written.is_some() && !is_error_status(status) {
        statement.error(usize::MAX, format!("status code '{status}' not handled by default with an error file."));
        return None;
    }
    if from_errors && !headers.is_empty() {
        statement.warning(usize::MAX, "hdr parameters ignored by the http reply when used with an errorfile.");
    }
    let is_empty = match &payload {
        Some(Payload::Raw(bytes)) => bytes.is_empty(),
        Some(Payload::Format(TextFormat::Constant(bytes))) => bytes.is_empty(),
        Some(_) => false,
        None => true,
    };
    if let Some(content_type) = content_type.filter(|_| payload.is_none() || from_errors || is_empty) {
        statement.warning(
            usize::MAX,
            format!("content-type '{content_type}' ignored by the http reply because it has no payload of its own."),
        );
    }
    if !from_errors && !is_empty && content_type.is_none() {
        statement.error(usize::MAX, "a content type must be defined when non-empty payload is configured");
        return None;
    }
    let source = match payload {
        Some(Payload::DefaultErrorfiles) => ReplySource::ErrorPage(status),
        Some(Payload::Errorfile(page)) => ReplySource::Page(Arc::new(page)),
        Some(Payload::Errorfiles(name)) => ReplySource::Section { name, status, location: statement.location() },
        Some(Payload::Raw(body)) => made(status, content_type, headers, TextFormat::Constant((*body).into())),
        Some(Payload::Format(body)) => made(status, content_type, headers, body),
        None => made(status, content_type, headers, TextFormat::Constant(Box::default())),
    };
    Some(ParsedReply { source, written_status: status, index })
}

/// Whether there is a page for this status that a configuration may replace.
pub fn is_error_status(status: u16) -> bool {
    ERROR_STATUSES.contains(&status)
}

/// A page that is the same for all, or the parts of one that is not.
fn made(
    status: u16,
    content_type: Option<&str>,
    headers: Vec<(Box<[u8]>, TextFormat)>,
    body: TextFormat,
) -> ReplySource {
    let content_type = content_type.map(str::as_bytes);
    let constants: Option<Vec<HeaderLine>> = headers
        .iter()
        .map(|(name, value)| match value {
            TextFormat::Constant(value) => Some((name.clone(), value.clone())),
            TextFormat::Format(_) => None,
        })
        .collect();
    if let (TextFormat::Constant(body), Some(constants)) = (&body, constants) {
        let mut page = Page::new(status, content_type, (**body).into());
        page.headers.extend(constants);
        return ReplySource::Page(Arc::new(page));
    }
    ReplySource::Format(Box::new(PageFormat { status, content_type: content_type.map(Into::into), headers, body }))
}

fn required<'a>(statement: &mut Statement<'a>, index: usize, expected: &str) -> Option<&'a str> {
    match statement.text(index + 1) {
        "" => {
            let word = statement.text(index);
            statement.error(index, format!("'{word}' expects {expected} as argument"));
            None
        }
        text => Some(text),
    }
}

fn parse_status(statement: &mut Statement, index: usize) -> Option<u16> {
    let text = required(statement, index, "<status_code>")?;
    match text.parse::<u16>() {
        Ok(status @ 200..=599) => Some(status),
        _ => {
            statement.error(index + 1, format!("Unexpected status code '{text}': it must be from 200 to 599"));
            None
        }
    }
}

fn parse_header(statement: &mut Statement, index: usize, place: Place) -> Option<(Box<[u8]>, TextFormat)> {
    let (name, value) = (statement.text(index + 1), statement.text(index + 2));
    if name.is_empty() || value.is_empty() {
        statement.error(index, "'hdr' expects <name> and <value> as arguments");
        return None;
    }
    let name = super::header_name(statement, index + 1)?;
    Some((name, format::head(statement, index + 2, place)?))
}

fn parse_payload(statement: &mut Statement, index: usize, place: Place) -> Option<Payload> {
    let word = statement.text(index);
    if word == "default-errorfiles" {
        return Some(Payload::DefaultErrorfiles);
    }
    let value = required(statement, index, "an argument")?;
    let at = index + 1;
    Some(match word {
        "errorfile" => Payload::Errorfile(statement.accept(at, page_file::page(value))?),
        "errorfiles" => Payload::Errorfiles(value.to_owned()),
        "file" => Payload::Raw(statement.accept(at, page_file::read(value))?.into()),
        "lf-file" => {
            let bytes = statement.accept(at, page_file::read(value))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("'{value}' is not UTF-8; a file of other bytes follows 'file'."));
            let text = statement.accept(at, text)?;
            Payload::Format(format::body(statement, at, &text, place)?)
        }
        "lf-string" => Payload::Format(format::body(statement, at, value, place)?),
        _ => Payload::Raw(statement.rest(at).first().map_or(&b""[..], |word| word.as_bytes()).into()),
    })
}
