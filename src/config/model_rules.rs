//! Compiled `http-request`, `http-response`, `http-after-response` and `redirect` rules, error pages and monitor
//! answers of a proxy (configuration.txt section 4.2).

use super::model::{
    CacheReference, Condition, Expression, Location, LogFormat, PatternFileId, SetConditions, VariableName,
};
use crate::proto::http1::response::reason;
use std::sync::Arc;
use std::time::Duration;

/// What one proxy's HTTP rules say. Rules run in the order of their list.
#[derive(Clone, Debug, Default)]
pub struct HttpRules {
    /// `block` lines (they came before all others in HAProxy 1.8), then `http-request`.
    pub request: Vec<HttpRule>,
    /// `stats http-request`: asked when the request is for the statistics page.
    pub statistics: Vec<HttpRule>,
    /// `redirect` lines: asked after the request's rules and the statistics page.
    pub redirects: Vec<HttpRule>,
    pub response: Vec<HttpRule>,
    pub after_response: Vec<HttpRule>,
    pub error_pages: ErrorPages,
    /// `monitor-uri`
    pub monitor_uri: Option<Box<[u8]>>,
    /// `monitor fail`: one that holds makes the monitor's answer a 503.
    pub monitor_fail: Vec<Condition>,
}

/// One rule: what to do, and when.
#[derive(Clone, Debug)]
pub struct HttpRule {
    pub action: HttpAction,
    /// `None`: always.
    pub condition: Option<Condition>,
    pub location: Location,
}

/// A text made for each request, or the same for all.
#[derive(Clone, Debug)]
pub enum TextFormat {
    Constant(Box<[u8]>),
    /// Log-format rules (section 8.2.4).
    Format(Box<LogFormat>),
}

/// What a rule does. The manual describes each under its own name.
#[derive(Clone, Debug)]
pub enum HttpAction {
    Allow,
    Deny(ReplySource),
    Tarpit(ReplySource),
    Return(ReplySource),
    /// `reject`: the connection is closed without an answer.
    Reject,
    SilentDrop,
    Redirect(Box<Redirect>),
    /// `auth`: the whole challenge, `Basic realm="…"`.
    Auth {
        challenge: Arc<[u8]>,
    },
    AddHeader {
        name: Box<[u8]>,
        value: TextFormat,
    },
    SetHeader {
        name: Box<[u8]>,
        value: TextFormat,
    },
    DeleteHeaders(HeaderNameMatch),
    /// Whole values that match are replaced.
    ReplaceHeader {
        name: Box<[u8]>,
        replacement: Replacement,
    },
    /// As above for each part of a comma-separated list.
    ReplaceValue {
        name: Box<[u8]>,
        replacement: Replacement,
    },
    SetMethod(TextFormat),
    SetPath(TextFormat),
    SetPathAndQuery(TextFormat),
    SetQuery(TextFormat),
    SetUri(TextFormat),
    ReplacePath(Replacement),
    ReplacePathAndQuery(Replacement),
    ReplaceUri(Replacement),
    NormalizeUri(Normalizer),
    SetStatus {
        status: u16,
        /// `None`: the status's own.
        reason: Option<Box<[u8]>>,
    },
    /// 0 to 7 as syslog counts; 8: silent.
    SetLogLevel(u8),
    SetSource(Expression),
    SetSourcePort(Expression),
    SetDestination(Expression),
    SetDestinationPort(Expression),
    WaitForBody {
        time: Duration,
        /// 0: all of it, or as much as the buffer holds.
        at_least_bytes: u64,
    },
    EarlyHint {
        name: Box<[u8]>,
        value: TextFormat,
    },
    DisableL7Retry,
    SetTimeout {
        which: TimeoutKind,
        value: TimeoutValue,
    },
    StrictMode(bool),
    SetVariable {
        name: VariableName,
        value: VariableValue,
        conditions: SetConditions,
    },
    UnsetVariable(VariableName),
    /// The sample goes to a slot of the frontend's captures.
    Capture {
        sample: Expression,
        slot: usize,
    },
    ChangePatterns(Box<PatternChange>),
    /// Tracks or changes an entry of a stick table.
    Table(Box<super::model::TableAction>),
    /// Marks the packets that go to the client (SO_MARK).
    SetMark(u32),
    /// The type of service, or DSCP, of the packets that go to the client.
    SetTos(u8),
    SetPriorityClass(Expression),
    SetPriorityOffset(Expression),
    /// `cache-use`: answer from the cache, if it can.
    CacheUse(CacheReference),
    /// `cache-store`: keep the response, if it may be kept.
    CacheStore(CacheReference),
}

/// What `set-var` and `set-var-fmt` keep.
#[derive(Clone, Debug)]
pub enum VariableValue {
    Sample(Expression),
    Text(TextFormat),
}

/// `add-acl`, `del-acl`, `set-map`, `del-map`: a change to a file of patterns, in memory only.
#[derive(Clone, Debug)]
pub struct PatternChange {
    pub kind: PatternChangeKind,
    pub file: PatternFileId,
    /// As written, for messages.
    pub file_name: String,
    pub key: TextFormat,
}

#[derive(Clone, Debug)]
pub enum PatternChangeKind {
    AddAcl,
    DeleteAcl,
    /// With the key's new value.
    SetMap(TextFormat),
    DeleteMap,
}

/// Which time-out `set-timeout` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutKind {
    Client,
    Server,
    Tunnel,
}

#[derive(Clone, Debug)]
pub enum TimeoutValue {
    Constant(Duration),
    /// Milliseconds.
    Expression(Expression),
}

/// A regular expression and what replaces its match: a text in which `\1` stands for the first group.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub pattern: regex::bytes::Regex,
    pub with: TextFormat,
}

/// `del-header <name> [-m <method>]`
#[derive(Clone, Debug)]
pub enum HeaderNameMatch {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Substring(Box<[u8]>),
    Pattern(regex::bytes::Regex),
}

/// `normalize-uri`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalizer {
    FragmentEncode,
    FragmentStrip,
    PathMergeSlashes,
    PathStripDot,
    PathStripDotdot { full: bool },
    PercentDecodeUnreserved { strict: bool },
    PercentToUppercase { strict: bool },
    QuerySortByName,
}

/// `redirect` (configuration.txt section 4.2).
#[derive(Clone, Debug)]
pub struct Redirect {
    pub kind: RedirectKind,
    pub target: TextFormat,
    /// The answer without its location: 301, 302, 303, 307 or 308.
    pub page: Arc<Page>,
    pub drop_query: bool,
    pub append_slash: bool,
    /// An empty target: the rule is passed over.
    pub ignore_empty: bool,
    /// The value of the `Set-Cookie` header.
    pub set_cookie: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    Location,
    Prefix,
    Scheme,
}

/// Where an answer comes from.
#[derive(Clone, Debug)]
pub enum ReplySource {
    /// The proxy's own error page for this status.
    ErrorPage(u16),
    /// The same for every request.
    Page(Arc<Page>),
    /// Made for each request.
    Format(Box<PageFormat>),
    /// The page of a `http-errors` section for this status. Only before names are resolved.
    Section { name: String, status: u16, location: Location },
}

/// Name and value.
pub type HeaderLine = (Box<[u8]>, Box<[u8]>);

/// A response that is ready to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub status: u16,
    pub reason: Box<[u8]>,
    /// `content-length` among them where there may be a body.
    pub headers: Vec<HeaderLine>,
    pub body: Arc<[u8]>,
    /// An empty `errorfile` such as /dev/null: the connection is closed without a word.
    pub is_silent: bool,
}

impl Page {
    /// A page of these parts, with the length and the type of its body.
    pub fn new(status: u16, content_type: Option<&[u8]>, body: Arc<[u8]>) -> Page {
        let has_body = status >= 200 && status != 204 && status != 304;
        let body = if has_body { body } else { Arc::default() };
        let mut headers: Vec<HeaderLine> = Vec::new();
        if has_body {
            // RFC 9110 section 8.6: no length where there can be no body.
            headers.push(((*b"content-length").into(), body.len().to_string().into_bytes().into()));
        }
        if let Some(content_type) = content_type.filter(|_| !body.is_empty()) {
            headers.push(((*b"content-type").into(), content_type.into()));
        }
        Page { status, reason: reason(status).as_bytes().into(), headers, body, is_silent: false }
    }
}

/// A response with log-format strings in it.
#[derive(Clone, Debug)]
pub struct PageFormat {
    pub status: u16,
    pub content_type: Option<Box<[u8]>>,
    pub headers: Vec<(Box<[u8]>, TextFormat)>,
    pub body: TextFormat,
}

/// The statuses that this program answers with itself and whose page can be replaced (`errorfile`). HAProxy's, and
/// those that only Ringway sends: 414, 422 and 431.
pub const ERROR_STATUSES: [u16; 20] =
    [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 422, 425, 429, 431, 500, 501, 502, 503, 504];

/// The replaced error pages of a proxy.
#[derive(Clone, Debug, Default)]
pub struct ErrorPages {
    pages: [Option<ErrorPage>; ERROR_STATUSES.len()],
}

#[derive(Clone, Debug)]
pub enum ErrorPage {
    Page(Arc<Page>),
    Format(Box<PageFormat>),
}

impl ErrorPages {
    pub fn get(&self, status: u16) -> Option<&ErrorPage> {
        self.pages.get(position(status)?)?.as_ref()
    }
    /// Replaces the page of a status of [`ERROR_STATUSES`], or takes the replacement away; others are left alone.
    pub fn set(&mut self, status: u16, page: Option<ErrorPage>) {
        if let Some(slot) = position(status).and_then(|index| self.pages.get_mut(index)) {
            *slot = page;
        }
    }
    /// All replaced pages by status.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &ErrorPage)> {
        ERROR_STATUSES.into_iter().zip(&self.pages).filter_map(|(status, page)| Some((status, page.as_ref()?)))
    }
}

fn position(status: u16) -> Option<usize> {
    ERROR_STATUSES.iter().position(|known| *known == status)
}

/// A `userlist` section (configuration.txt section 3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Userlist {
    pub name: String,
    pub users: Vec<User>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: Password,
    /// The groups it is in, by name.
    pub groups: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// `insecure-password`
    Plain(String),
    /// `password`: as crypt(3) writes it, `$5$…`.
    Hashed(String),
    /// Neither was written: no password lets this user in.
    None,
}
