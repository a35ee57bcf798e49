//! Persistence by cookie (configuration.txt section 4.2, `cookie`): which server a request wants, what of the cookie
//! the server sees, and what the client gets back. The cookies that `capture cookie` keeps are seen on the way.

use super::cookie_date;
use super::cookie_text::{self, Fate, Pair, ResponseFate};
use super::exchange::{Exchange, Scope};
use crate::config::model::{Backend, Config, CookieCapture, CookieMode, CookieSettings, ServerId};
use crate::shared::server::RunState;
use std::cell::Cell;

/// Between a server's cookie and the application's in prefix mode.
const PREFIX_DELIMITER: u8 = b'~';
/// Between a server's cookie and the dates.
const DATE_DELIMITER: u8 = b'|';
/// A cookie from the future is only believed when a wrong time zone may explain it.
const FUTURE_MAX_S: i64 = 86_400;

/// What an exchange remembers between its cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The server that a cookie or a `use-server` rule chose.
    pub server: Option<ServerId>,
    /// `ignore-persist` held.
    pub is_ignored: bool,
    /// Of the client's cookie, in seconds.
    last_date_s: Option<u64>,
    first_date_s: Option<u64>,
}

/// What was decided about the server before the cookie is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// By a `use-server` rule: the cookie has no say then.
    pub server: Option<ServerId>,
    /// An `ignore-persist` rule holds.
    pub is_persistence_ignored: bool,
    /// A `force-persist` rule holds: servers that are down are fine.
    pub is_persistence_forced: bool,
}

thread_local! {
    /// The line that is being edited: one allocation for all requests.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads the request's cookies, once its backend and the rules' choice are known: the server to keep to (see
/// `AssignRequest::keep_whatever_state`), or `None` to balance. Takes out of the request what the server must not see
/// (`indirect`, `prefix`), captures the frontend's cookie, and sets the exchange's first cookie state.
pub fn read_request(scope: &mut Scope, selection: Selection) -> Option<ServerId> {
    let shared = scope.shared;
    let config = &shared.config;
    let exchange = &mut *scope.exchange;
    exchange.persistence =
        Memory { server: selection.server, is_ignored: selection.is_persistence_ignored, ..Memory::default() };
    let capture = capture_of(config, scope.client.frontend);
    let backend = config.proxy(exchange.backend.unwrap_or(scope.proxy)).backend.as_ref();
    let settings = backend.and_then(|backend| backend.cookie.as_ref());
    exchange.cookie_states = if settings.is_some_and(CookieSettings::is_reported) { *b"NN" } else { *b"--" };
    if capture.is_none() && settings.is_none() {
        return selection.server;
    }
    let mut reader = RequestReader {
        is_up: |server: ServerId| shared.server(server).run_state() != RunState::Stopped,
        config,
        backend,
        settings,
        capture,
        selection,
        now_s: (scope.wall_us / 1_000_000) as i64,
        memory: exchange.persistence,
        state: b'N',
        captured: None,
    };
    LINE.with(|cell| {
        let mut line = cell.take();
        let mut index = 0;
        while index < exchange.request.header_count() {
            let (name, value) = exchange.request.header(index);
            if !name.eq_ignore_ascii_case(b"cookie") || !reader.concerns(value) {
                index += 1;
                continue;
            }
            line.clear();
            line.extend_from_slice(value);
            let is_left = cookie_text::edit_request(&mut line, |pair| reader.judge(pair));
            if !is_left {
                exchange.request.remove_header_at(index);
                continue;
            }
            if line != exchange.request.header(index).1 {
                exchange.request.replace_value(index, &line);
            }
            index += 1;
        }
        cell.set(line);
    });
    exchange.persistence = reader.memory;
    if reader.captured.is_some() {
        exchange.captured_request_cookie = reader.captured;
    }
    if settings.is_some_and(CookieSettings::is_reported) {
        exchange.cookie_states[0] = reader.state;
    }
    exchange.persistence.server
}

/// A server was chosen. When it is not the cookie's (which could not be reached), the cookie's state says so from now
/// on, and the client gets another one.
pub fn assigned(exchange: &mut Exchange, server: ServerId) {
    if exchange.persistence.server.is_some_and(|wanted| wanted != server) {
        exchange.persistence.server = None;
        if exchange.cookie_states[0] == b'V' {
            exchange.cookie_states[0] = b'D';
        }
    }
}

fn capture_of(config: &Config, frontend: Option<crate::config::model::ProxyId>) -> Option<&CookieCapture> {
    config.proxy(frontend?).frontend.as_ref()?.captures.cookie.as_ref()
}

/// The start of `name=value`, if it is what is to be captured.
fn captured(capture: Option<&CookieCapture>, pair: Pair) -> Option<Vec<u8>> {
    let capture = capture?;
    let text = pair.whole;
    let length = text.len().min(capture.length_max as usize);
    text.starts_with(capture.name.as_bytes()).then(|| text.get(..length).unwrap_or_default().to_vec())
}

struct RequestReader<'a, F> {
    config: &'a Config,
    backend: Option<&'a Backend>,
    settings: Option<&'a CookieSettings>,
    capture: Option<&'a CookieCapture>,
    selection: Selection,
    is_up: F,
    now_s: i64,
    memory: Memory,
    state: u8,
    captured: Option<Vec<u8>>,
}

impl<F: Fn(ServerId) -> bool> RequestReader<'_, F> {
    /// Whether a line may hold a cookie that matters, seen at a glance.
    fn concerns(&self, line: &[u8]) -> bool {
        let has = |name: &str| memchr::memmem::find(line, name.as_bytes()).is_some();
        self.settings.is_some_and(|settings| has(&settings.name))
            || self.capture.is_some_and(|capture| has(&capture.name))
    }

    fn judge(&mut self, pair: Pair) -> Fate {
        if self.captured.is_none() {
            self.captured = captured(self.capture, pair);
        }
        let Some(settings) = self.settings.filter(|settings| settings.name.as_bytes() == pair.name) else {
            return Fate::Keep;
        };
        let delimiter = if settings.mode == CookieMode::Prefix { PREFIX_DELIMITER } else { DATE_DELIMITER };
        let found = memchr::memchr(delimiter, pair.value);
        let server_length = found.unwrap_or(pair.value.len());
        let mut wanted = pair.value.get(..server_length).unwrap_or_default();
        if settings.mode != CookieMode::Prefix && self.is_outdated(settings, pair.value.get(server_length..)) {
            wanted = b"";
        }
        self.look_up(wanted);
        match settings.mode {
            CookieMode::Prefix if found.is_some() => Fate::Strip(server_length + 1),
            _ if settings.is_removed_from_requests() => Fate::Delete,
            _ => Fate::Keep,
        }
    }

    /// Reads `|<last>[|<first>]` and compares it with `maxlife` and `maxidle`.
    fn is_outdated(&mut self, settings: &CookieSettings, dates: Option<&[u8]>) -> bool {
        if let Some([DATE_DELIMITER, dates @ ..]) = dates {
            self.memory.last_date_s = cookie_date::read(dates).or(self.memory.last_date_s);
            let first = memchr::memchr(DATE_DELIMITER, dates).and_then(|bar| dates.get(bar + 1..));
            self.memory.first_date_s = first.and_then(cookie_date::read).or(self.memory.first_date_s);
        }
        let now_s = self.now_s;
        let is_beyond = |date: Option<u64>, limit_s: u32| {
            date.is_some_and(|date| {
                let age_s = now_s - date as i64;
                limit_s > 0 && (age_s > i64::from(limit_s) || age_s < -FUTURE_MAX_S)
            })
        };
        let state = if is_beyond(self.memory.first_date_s, settings.life_max_s) {
            b'O'
        } else if is_beyond(self.memory.last_date_s, settings.idle_max_s) {
            b'E'
        } else {
            return false;
        };
        self.state = state;
        (self.memory.first_date_s, self.memory.last_date_s) = (None, None);
        true
    }

    /// The first server with this cookie that may be used. An empty cookie is nobody's.
    fn look_up(&mut self, wanted: &[u8]) {
        let is_skipped = self.selection.is_persistence_ignored || self.memory.server.is_some();
        if !wanted.is_empty() && !is_skipped {
            let servers = self.backend.map_or(&[][..], |backend| &backend.servers);
            let even_down = self.selection.is_persistence_forced
                || self.backend.is_some_and(|backend| backend.persist_on_down_server);
            for &id in servers {
                if self.config.server(id).cookie.as_deref().map(str::as_bytes) != Some(wanted) {
                    continue;
                }
                let is_up = (self.is_up)(id);
                self.state = if is_up { b'V' } else { b'D' };
                if is_up || even_down {
                    self.memory.server = Some(id);
                    return;
                }
            }
        }
        if !matches!(self.state, b'V' | b'D' | b'E' | b'O') {
            self.state = if is_skipped { b'U' } else { b'I' };
        }
    }
}

/// Works on the response's cookies, after the response rules: takes out, renames or keeps what the server set, adds the
/// balancer's, says `Cache-Control: private` where `nocache` wants it, captures the frontend's cookie, and sets the
/// exchange's second cookie state.
pub fn write_response(scope: &mut Scope) {
    let config = &scope.shared.config;
    let exchange = &mut *scope.exchange;
    let capture = capture_of(config, scope.client.frontend);
    let backend = config.proxy(exchange.backend.unwrap_or(scope.proxy)).backend.as_ref();
    let settings = backend.and_then(|backend| backend.cookie.as_ref());
    if exchange.response.status() < 200 || (capture.is_none() && settings.is_none()) {
        return;
    }
    let is_direct = exchange.persistence.server.is_some();
    let server_cookie = exchange.server.map(|server| config.server(server).cookie.as_deref());
    let state = edit_responses(exchange, settings, capture, is_direct, server_cookie);
    let Some(settings) = settings else { return };
    let state = match server_cookie {
        Some(cookie) if must_insert(exchange, settings, is_direct, state, scope.wall_us) => {
            let line = set_cookie_line(settings, cookie, exchange.persistence.first_date_s, scope.wall_us / 1_000_000);
            exchange.response.add_header(b"Set-Cookie", &line);
            if settings.nocache && is_cacheable(exchange) {
                exchange.response.add_header(b"Cache-Control", b"private");
            }
            if cookie.is_some() && is_direct { b'U' } else { b'I' }
        }
        _ => state,
    };
    if settings.is_reported() {
        exchange.cookie_states[1] = state;
    }
}

/// What the server set itself; gives the state that follows: none, provided, deleted or rewritten.
fn edit_responses(
    exchange: &mut Exchange,
    settings: Option<&CookieSettings>,
    capture: Option<&CookieCapture>,
    is_direct: bool,
    server_cookie: Option<Option<&str>>,
) -> u8 {
    let mut state = b'N';
    let mut index = 0;
    while index < exchange.response.header_count() {
        let (name, value) = exchange.response.header(index);
        let names = [settings.map(|settings| &settings.name), capture.map(|capture| &capture.name)];
        let concerns = names.into_iter().flatten().any(|name| memchr::memmem::find(value, name.as_bytes()).is_some());
        if !name.eq_ignore_ascii_case(b"set-cookie") || !concerns {
            index += 1;
            continue;
        }
        let mut line = value.to_vec();
        let mut seen = None;
        let is_left = cookie_text::edit_response(&mut line, |pair| {
            seen = captured(capture, pair);
            let Some(settings) = settings.filter(|settings| settings.name.as_bytes() == pair.name) else {
                return ResponseFate::Keep;
            };
            state = b'P';
            if settings.preserve {
                return ResponseFate::Keep;
            }
            let is_inserted = server_cookie.is_some() && settings.mode == CookieMode::Insert;
            if is_inserted || (is_direct && settings.indirect) {
                state = b'D';
                return ResponseFate::Delete;
            }
            match (server_cookie.flatten(), settings.mode) {
                (Some(cookie), CookieMode::Rewrite) => {
                    state = b'R';
                    ResponseFate::Replace(cookie.as_bytes())
                }
                (Some(cookie), CookieMode::Prefix) => {
                    state = b'R';
                    ResponseFate::Prefix(cookie.as_bytes())
                }
                _ => ResponseFate::Keep,
            }
        });
        if exchange.captured_response_cookie.is_none() {
            exchange.captured_response_cookie = seen;
        }
        if is_left {
            if line != exchange.response.header(index).1 {
                exchange.response.replace_value(index, &line);
            }
            index += 1;
        } else {
            exchange.response.remove_header_at(index);
        }
    }
    state
}

/// Whether the client needs a cookie: its server is not the one it asked for, or its dates have to move.
fn must_insert(exchange: &Exchange, settings: &CookieSettings, is_direct: bool, state: u8, wall_us: u64) -> bool {
    let memory = &exchange.persistence;
    let (idle, life) = (settings.idle_max_s > 0, settings.life_max_s > 0);
    let is_date_past = memory.last_date_s.is_none_or(|date_s| date_s < wall_us / 1_000_000);
    let must_refresh = (idle || memory.last_date_s.is_some()) && is_date_past;
    settings.mode == CookieMode::Insert
        && !(state == b'P' && settings.preserve)
        && (!is_direct || must_refresh || life != memory.first_date_s.is_some())
        && (!settings.post_only || exchange.request.method() == b"POST")
        && !memory.is_ignored
}

/// A server without a cookie has the client forget its own.
fn set_cookie_line(settings: &CookieSettings, cookie: Option<&str>, first_date_s: Option<u64>, now_s: u64) -> Vec<u8> {
    let mut line = [settings.name.as_bytes(), b"="].concat();
    match cookie {
        None => line.extend_from_slice(b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/"),
        Some(cookie) => {
            line.extend_from_slice(cookie.as_bytes());
            if settings.idle_max_s > 0 || settings.life_max_s > 0 {
                line.push(DATE_DELIMITER);
                cookie_date::write(now_s, &mut line);
            }
            if settings.life_max_s > 0 {
                line.push(DATE_DELIMITER);
                cookie_date::write(first_date_s.unwrap_or(now_s), &mut line);
            }
            line.extend_from_slice(b"; path=/");
        }
    }
    line.extend_from_slice(settings.attributes.as_bytes());
    line
}

/// Whether a shared cache may keep the response as it is (RFC 9111 section 3, as HAProxy reads it).
fn is_cacheable(exchange: &Exchange) -> bool {
    let response = &exchange.response;
    let by_status = matches!(response.status(), 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
    let mut is_cacheable = by_status;
    let mut has_cache_control = false;
    let items = response.values(b"cache-control").flat_map(|value| value.split(|byte| *byte == b','));
    for item in items.map(crate::proto::http1::trim_blanks) {
        has_cache_control = true;
        let is = |text: &str| item.eq_ignore_ascii_case(text.as_bytes());
        let starts =
            |text: &str| item.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()));
        if is("private") || is("no-cache") || is("no-store") || is("max-age=0") || is("s-maxage=0") {
            is_cacheable = false;
        } else if is("public") || starts("max-age=") || starts("s-maxage=") {
            is_cacheable = true;
        }
    }
    let has_pragma = response.values(b"pragma").any(|value| value.eq_ignore_ascii_case(b"no-cache"));
    is_cacheable && (has_cache_control || !has_pragma)
}
