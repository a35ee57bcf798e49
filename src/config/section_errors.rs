//! `errorfile`, `errorloc`, `errorfiles`, `http-error`, `http-errors` sections, `monitor-uri` and `monitor-net` (configuration.txt
//! sections 3.8 and 4.2).

use super::model::*;
use super::rules::{format, page_file, reply};
use super::section_header::bad_character;
use super::section_http_rules::RuleSet;
use super::statement::{LineParser, Statement};
use super::written::*;
use crate::proto::http1::response::reason;
use std::sync::Arc;

/// Pages that a line replaces; applied in order when the sections they name are known.
#[derive(Clone, Debug)]
pub enum WrittenErrorPages {
    One {
        status: u16,
        source: ReplySource,
    },
    /// `errorfiles <name> [<code>…]`: no codes means all.
    Section {
        name: String,
        statuses: Vec<u16>,
        location: Location,
    },
}

/// A `http-errors` section.
#[derive(Clone, Debug, Default)]
pub struct HttpErrorsSection {
    pub name: String,
    pub location: Location,
    /// The last page of a status wins.
    pub pages: Vec<(u16, Arc<Page>)>,
}

impl HttpErrorsSection {
    pub fn page(&self, status: u16) -> Option<&Arc<Page>> {
        self.pages.iter().rfind(|(known, _)| *known == status).map(|(_, page)| page)
    }
}

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("errorfile", errorfile),
    ("errorfiles", errorfiles),
    ("errorloc", |statement, proxy| errorloc(statement, proxy, 302)),
    ("errorloc302", |statement, proxy| errorloc(statement, proxy, 302)),
    ("errorloc303", |statement, proxy| errorloc(statement, proxy, 303)),
    ("http-error", http_error),
    ("monitor-uri", monitor_uri),
    ("monitor-net", monitor_net),
];

pub const SECTION_KEYWORDS: &[(&str, LineParser<HttpErrorsSection>)] = &[("errorfile", section_errorfile)];

/// Opens a `http-errors` section.
pub fn open(statement: &mut Statement, others: &[HttpErrorsSection]) -> HttpErrorsSection {
    let name = statement.text(0);
    if name.is_empty() {
        statement.error(usize::MAX, "missing name for http-errors section.");
    } else if let Some(character) = bad_character(name) {
        statement.error(0, format!("character '{character}' is not permitted in 'http-errors' name '{name}'."));
    } else if let Some(other) = others.iter().find(|other| other.name == name) {
        let location = &other.location;
        statement.error(0, format!("http-errors section '{name}' already exists (declared at {location})."));
    }
    statement.ignores_after(1);
    HttpErrorsSection { name: name.to_owned(), location: statement.location(), pages: Vec::new() }
}

fn section_errorfile(statement: &mut Statement, section: &mut HttpErrorsSection) {
    if let Some((status, page)) = status_and_file(statement) {
        section.pages.push((status, page));
    }
}

fn errorfile(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some((status, page)) = status_and_file(statement) {
        set(proxy, status, ReplySource::Page(page));
    }
}

fn set(proxy: &mut WrittenProxy, status: u16, source: ReplySource) {
    proxy.settings.error_pages.push(WrittenErrorPages::One { status, source });
}

/// `<code> <file>`
fn status_and_file(statement: &mut Statement) -> Option<(u16, Arc<Page>)> {
    if statement.text(1).is_empty() {
        statement.error(0, "errorfile : expects <status_code> and <file> as arguments.");
        return None;
    }
    let status = status(statement, 0)?;
    let page = page_file::page(statement.text(1));
    let page = statement.accept(1, page)?;
    statement.ignores_after(2);
    Some((status, Arc::new(page)))
}

/// Argument `index` as a status that has a page.
fn status(statement: &mut Statement, index: usize) -> Option<u16> {
    let (text, keyword) = (statement.text(index), statement.keyword);
    match text.parse::<u16>() {
        Ok(status) if reply::is_error_status(status) => Some(status),
        _ => {
            let known = ERROR_STATUSES.map(|status| status.to_string()).join(", ");
            statement.error(index, format!("{keyword} : status code '{text}' not handled; it must be one of {known}."));
            None
        }
    }
}

/// `errorfiles <section> [<code>…]`
fn errorfiles(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(name) = statement.required(0, "<name> as argument") else { return };
    let mut statuses = Vec::new();
    for index in 1..statement.arguments.len() {
        let Some(status) = status(statement, index) else { return };
        statuses.push(status);
    }
    let pages = WrittenErrorPages::Section { name: name.to_owned(), statuses, location: statement.location() };
    proxy.settings.error_pages.push(pages);
}

/// `errorloc <code> <url>`: a redirection in place of the page.
fn errorloc(statement: &mut Statement, proxy: &mut WrittenProxy, redirection: u16) {
    let keyword = statement.keyword;
    let url = statement.text(1);
    if url.is_empty() {
        return statement.error(0, format!("{keyword} : expects <status_code> and <url> as arguments."));
    }
    let Some(status) = status(statement, 0) else { return };
    statement.ignores_after(2);
    let mut page = Page::new(redirection, None, Arc::default());
    page.reason = reason(redirection).as_bytes().into();
    page.headers.push(((*b"cache-control").into(), (*b"no-cache").into()));
    page.headers.push(((*b"location").into(), url.as_bytes().into()));
    set(proxy, status, ReplySource::Page(Arc::new(page)));
}

/// `http-error status <code> …`
fn http_error(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if !statement.arguments.iter().any(|word| word.as_str() == "status") {
        return statement.error(usize::MAX, "http-error : expects at least a <status> as arguments.");
    }
    let place = format::place(RuleSet::Request, proxy.kind);
    let rules = reply::ReplyRules { status: 0, place, defaults_to_error_page: false };
    let Some(parsed) = reply::parse(statement, 0, rules) else { return };
    if !statement.text(parsed.index).is_empty() {
        let word = statement.text(parsed.index);
        return statement.error(parsed.index, format!("http-error : unknown keyword '{word}'."));
    }
    if !reply::is_error_status(parsed.written_status) {
        let status = parsed.written_status;
        return statement.error(usize::MAX, format!("http-error: status code '{status}' not handled."));
    }
    set(proxy, parsed.written_status, parsed.source);
}

fn monitor_uri(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(uri) = statement.required(0, "an URI")
        && statement.at_most(1)
    {
        proxy.settings.monitor_uri = Some(uri.to_owned());
    }
}

/// `monitor-net <network>` of HAProxy 1.8: who comes from there only wants to know whether this process lives.
fn monitor_net(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "address[/mask]") else { return };
    let network = parse_network(text).map_err(|_| format!("'monitor-net' expects address[/mask], not '{text}'."));
    if let Some(network) = statement.accept(0, network)
        && statement.at_most(1)
    {
        proxy.settings.monitor_network = Some(network);
    }
}
