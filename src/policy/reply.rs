//! Answers that come from here and not from a server: error pages, monitor answers, what rules return
//! (configuration.txt section 4.2, `errorfile`, `http-error`, `monitor-uri`).

use super::exchange::Scope;
use super::http_rules::text;
use crate::config::model::*;
use crate::proto::http1::head::Version;
use crate::proto::http1::message::Message;
use crate::proto::http1::response;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// Name and value.
pub type ReplyHeader = (Cow<'static, [u8]>, Arc<[u8]>);

/// An answer ready to be sent. Where it is the same for all requests, making one costs two counters.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line, headers and body.
    pub page: Arc<Page>,
    /// Headers that replace the page's of the same name.
    pub headers: Vec<ReplyHeader>,
    /// The page's; not sent to a `HEAD`.
    pub body: Arc<[u8]>,
    /// The client's connection must not be used again, whatever the request asked for.
    pub close: bool,
    /// The first two letters of the termination state, where this answer settles them.
    pub termination: Option<[u8; 2]>,
    /// False: no line is written for this exchange (monitor requests).
    pub is_logged: bool,
}

impl Reply {
    /// An answer with this page; its connection stays usable.
    pub fn of(page: Arc<Page>) -> Reply {
        let body = page.body.clone();
        Reply { status: page.status, page, headers: Vec::new(), body, close: false, termination: None, is_logged: true }
    }

    pub fn with_termination(mut self, termination: [u8; 2]) -> Reply {
        self.termination = Some(termination);
        self
    }

    /// Made by `auth`.
    pub fn asks_for_password(&self) -> bool {
        self.headers.iter().any(|(name, _)| matches!(&**name, b"www-authenticate" | b"proxy-authenticate"))
    }

    /// Nothing is sent, the connection is closed: the error file was empty (`errorfile 408 /dev/null`).
    pub fn is_silent(&self) -> bool {
        self.page.is_silent
    }

    /// Makes `response` this answer's head, with the body's length in it but without a word on the connection.
    pub fn write_head(&self, response: &mut Message) {
        response.start_response(Version::Http11, self.status, &self.page.reason);
        for (name, value) in &self.page.headers {
            response.add_header(name, value);
        }
        for (name, value) in &self.headers {
            response.set_header(name, value);
        }
    }
}

/// The page for `status`: the backend's, else the frontend's, else the built-in one. `status` outside of
/// [`ERROR_STATUSES`] gives the page of 500.
pub fn error(scope: &Scope, status: u16) -> Reply {
    let mut reply = error_page(scope, status);
    // What broke the framing of the request, or came too late, leaves nothing to read the next request from.
    reply.close = matches!(status, 400 | 408 | 413 | 414 | 431 | 500) || reply.is_silent();
    reply
}

/// As [`error`], for an answer to a request that was read whole.
pub(super) fn error_page(scope: &Scope, status: u16) -> Reply {
    let config = &scope.shared.config;
    let frontend = scope.client.frontend;
    let proxies = [scope.exchange.backend, frontend.or(Some(scope.proxy))];
    let own =
        proxies.into_iter().flatten().find_map(|id| config.proxies.get(id.index())?.rules.error_pages.get(status));
    match own {
        Some(ErrorPage::Page(page)) => Reply::of(page.clone()),
        Some(ErrorPage::Format(format)) => Reply::of(Arc::new(make_page(format, scope))),
        None => Reply::of(built_in(status)),
    }
}

/// The answer that `source` stands for.
pub(super) fn from_source(source: &ReplySource, scope: &Scope) -> Reply {
    match source {
        ReplySource::ErrorPage(status) | ReplySource::Section { status, .. } => error_page(scope, *status),
        ReplySource::Page(page) => Reply::of(page.clone()),
        ReplySource::Format(format) => Reply::of(Arc::new(make_page(format, scope))),
    }
}

/// The answer to a request for `monitor-uri`; `None`: it is for another. It is not logged. Asked before any
/// http-request rule.
pub fn is_monitor(scope: &Scope) -> Option<Reply> {
    let rules = &scope.shared.config.proxies.get(scope.proxy.index())?.rules;
    let wanted = rules.monitor_uri.as_deref()?;
    let target = scope.exchange.request.target();
    // A slash first: the path is compared, so that absolute forms are found (manual, "monitor-uri").
    let given = if wanted.first() == Some(&b'/') { super::http_rules::uri::path_and_query(target) } else { target };
    if given != wanted {
        return None;
    }
    let fails = rules.monitor_fail.iter().any(|condition| super::http_rules::holds(condition, scope));
    let mut reply = error_page(scope, if fails { 503 } else { 200 });
    reply.is_logged = false;
    Some(reply.with_termination(*b"LR"))
}

/// The page of `format` for this request.
fn make_page(format: &PageFormat, scope: &Scope) -> Page {
    let body: Arc<[u8]> = (*text::render(&format.body, scope)).into();
    let mut page = Page::new(format.status, format.content_type.as_deref(), body);
    for (name, value) in &format.headers {
        page.headers.push((name.clone(), (*text::render(value, scope)).into()));
    }
    page
}

/// The page of a status that no configuration replaced.
fn built_in(status: u16) -> Arc<Page> {
    static PAGES: LazyLock<Vec<(u16, Arc<Page>)>> =
        LazyLock::new(|| ERROR_STATUSES.into_iter().map(|status| (status, Arc::new(standard_page(status)))).collect());
    let found =
        PAGES.iter().find(|(known, _)| *known == status).or_else(|| PAGES.iter().find(|(known, _)| *known == 500));
    found.map(|(_, page)| page.clone()).unwrap_or_default()
}

/// HAProxy's answers of its own are not to be cached, are HTML, and ask for a password where that is the point.
fn standard_page(status: u16) -> Page {
    let body: Arc<[u8]> = response::error_page(status).into_bytes().into();
    let mut page = Page::new(status, Some(b"text/html"), body);
    page.headers.insert(1, ((*b"cache-control").into(), (*b"no-cache").into()));
    page
}
