//! One request and its answer.

use crate::config::model::{Proxy, ProxyId};
use crate::proto::http1::body::BodyReader;
use crate::proto::http1::head::{RequestHead, Version, absolute_form_path};
use crate::proto::http1::response::{error_page, render_head};
use crate::session::local_context::LocalContext;
use crate::session::stats::authorization::{self, FormOrigin};
use crate::session::stats::figures::Snapshot;
use crate::session::stats::form::{self, FormResult};
use crate::session::stats::page::{self, PageContext};
use crate::session::stats::request::{PageFormat, PageOptions};
use crate::session::stats::selection::{Selection, scope};
use crate::session::stats::{RowFormat, write_rows};

/// Bytes of a form that are read; HAProxy's bound is its buffer.
const FORM_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// GET or HEAD of the page.
    Page,
    /// The admin form.
    Form,
    /// Something for a server, and there is none.
    Forward,
}

/// What a head said, with everything decided that needs its headers.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    version: String,
    http_1_0: bool,
    keep_alive: bool,
    purpose: Purpose,
    /// Who asked is one of the `stats auth`, or nobody has to be.
    is_allowed: bool,
    options: PageOptions,
    /// `stats admin` holds for this client, and a form was sent from the page itself.
    may_administer: bool,
    from_same_site: bool,
}

impl Request {
    pub fn read(head: &RequestHead, buffer: &[u8], keep_alive: bool, proxy: &Proxy, may_administer: bool) -> Request {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let method = text(head.method.of(buffer));
        let target = text(head.target.of(buffer));
        let path = absolute_form_path(target.as_bytes()).map_or(target.clone(), text);
        let mut request = Request {
            version: text(head.version_written.of(buffer)),
            http_1_0: head.version == Version::Http10,
            keep_alive,
            purpose: Purpose::Forward,
            is_allowed: true,
            options: PageOptions::default(),
            may_administer: false,
            from_same_site: false,
            method,
            target,
        };
        let Some((settings, rest)) =
            proxy.stats.as_ref().and_then(|settings| Some((settings, path.strip_prefix(settings.uri.as_str())?)))
        else {
            return request;
        };
        request.purpose = match request.method.as_str() {
            "GET" | "HEAD" => Purpose::Page,
            "POST" => Purpose::Form,
            _ => return request,
        };
        let first = |name: &'static str| head.values(name, buffer).next();
        request.is_allowed = authorization::is_allowed(settings, first("authorization"));
        request.options = PageOptions::parse(rest);
        request.may_administer = may_administer;
        request.from_same_site = authorization::is_same_site(FormOrigin {
            host: first("host"),
            sec_fetch_site: first("sec-fetch-site"),
            origin: first("origin"),
            referer: first("referer"),
        });
        request
    }

    pub fn method(&self) -> &str {
        &self.method
    }
    pub fn target(&self) -> &str {
        &self.target
    }
    pub fn version(&self) -> &str {
        &self.version
    }
    pub fn is_allowed(&self) -> bool {
        self.is_allowed
    }
    /// A form is answered only when its body is there.
    pub fn wants_body(&self) -> bool {
        self.purpose == Purpose::Form && self.is_allowed()
    }
    pub fn body_bytes_max(&self) -> usize {
        if self.wants_body() { FORM_BYTES_MAX } else { 0 }
    }
    /// The same, but the connection ends after the answer.
    pub fn closing(self) -> Request {
        Request { keep_alive: false, ..self }
    }

    pub fn answer(&self, frontend: ProxyId, body: Option<&BodyReader>, context: &mut LocalContext) -> Answer {
        match self.purpose {
            Purpose::Forward => Answer::error(503, AnsweredBy::NoServer),
            _ if !self.is_allowed => self.ask_for_password(frontend, context),
            Purpose::Page => self.page(frontend, context),
            Purpose::Form => self.form(frontend, body, context),
        }
    }

    fn ask_for_password(&self, frontend: ProxyId, context: &LocalContext) -> Answer {
        let settings = context.shared.config.proxy(frontend).stats.as_ref();
        let realm = settings.map(|settings| settings.realm.as_str()).unwrap_or_default();
        let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let mut answer = Answer::error(401, AnsweredBy::Stats);
        answer.headers.push(("www-authenticate", format!("Basic realm=\"{quoted}\"")));
        answer
    }

    fn page(&self, frontend: ProxyId, context: &LocalContext) -> Answer {
        let Some(settings) = &context.shared.config.proxy(frontend).stats else {
            return Answer::error(503, AnsweredBy::NoServer);
        };
        let snapshot = Snapshot { shared: context.shared, now_us: context.now_us, wall_us: context.wall_us };
        let mut selection = Selection {
            proxies: scope(&context.shared.config, &settings.scope, frontend),
            details: settings.show_legends,
            ..Default::default()
        };
        self.options.narrow(&mut selection);
        let mut text = String::new();
        let content_type = match self.options.format {
            PageFormat::Csv => {
                write_rows(snapshot, &selection, RowFormat::Csv, &mut text);
                "text/plain"
            }
            PageFormat::Json => {
                write_rows(snapshot, &selection, RowFormat::Json, &mut text);
                "application/json"
            }
            PageFormat::Html => {
                let page = PageContext {
                    snapshot,
                    settings,
                    options: &self.options,
                    selection: &selection,
                    may_administer: self.may_administer,
                    pid: context.pid,
                    hostname: context.hostname,
                };
                page::write(&page, &mut text);
                "text/html; charset=utf-8"
            }
        };
        let mut headers = vec![("cache-control", "no-cache".to_string()), ("content-type", content_type.to_string())];
        if let (Some(refresh), false) = (settings.refresh, self.options.no_refresh) {
            headers.push(("refresh", refresh.as_secs().max(1).to_string()));
        }
        if self.options.format == PageFormat::Html {
            // The page is one file with no scripts: nothing else may run in it, frame it, or take its form elsewhere.
            headers.push(("content-security-policy", page::CONTENT_SECURITY_POLICY.to_string()));
            headers.push(("x-frame-options", "DENY".to_string()));
            headers.push(("x-content-type-options", "nosniff".to_string()));
            headers.push(("referrer-policy", "same-origin".to_string()));
        }
        Answer { status: 200, by: AnsweredBy::Stats, headers, body: text.into_bytes() }
    }

    fn form(&self, frontend: ProxyId, body: Option<&BodyReader>, context: &mut LocalContext) -> Answer {
        let config = context.shared.config.clone();
        let Some(settings) = &config.proxy(frontend).stats else {
            return Answer::error(503, AnsweredBy::NoServer);
        };
        let content = body.map(BodyReader::content).unwrap_or_default();
        let result = if !self.may_administer || !self.from_same_site {
            FormResult::Denied
        } else if body.is_some_and(BodyReader::is_truncated) {
            FormResult::TooLong
        } else {
            form::apply(content, scope(&config, &settings.scope, frontend).as_deref(), context)
        };
        let location = format!("{};st={}{}", settings.uri, result.code(), self.options.kept());
        Answer {
            status: 303,
            by: AnsweredBy::Stats,
            headers: vec![
                ("cache-control", "no-cache".to_string()),
                ("content-type", "text/plain".to_string()),
                ("location", location),
            ],
            body: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    Stats,
    /// There is nowhere to forward to.
    NoServer,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub by: AnsweredBy,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub fn error(status: u16, by: AnsweredBy) -> Answer {
        Answer {
            status,
            by,
            headers: vec![("cache-control", "no-cache".to_string()), ("content-type", "text/html".to_string())],
            body: error_page(status).into_bytes(),
        }
    }

    /// Appends head and body. Returns whether the connection stays open: it does not after 401, so that guessing
    /// passwords costs a connection each.
    pub fn render(&self, request: &Request, output: &mut Vec<u8>) -> bool {
        let keep_alive = request.keep_alive && self.status != 401;
        let length = self.body.len().to_string();
        let mut headers: Vec<(&str, &str)> = vec![("content-length", &length)];
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        match (keep_alive, request.http_1_0) {
            (false, _) => headers.push(("connection", "close")),
            (true, true) => headers.push(("connection", "keep-alive")),
            (true, false) => {}
        }
        render_head(self.status, &headers, output);
        if request.method != "HEAD" {
            output.extend_from_slice(&self.body);
        }
        keep_alive
    }
}
