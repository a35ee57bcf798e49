//! `option tcp-check`, `tcp-check …`, `option httpchk`, `http-check …` (configuration.txt section 4.2).

use super::addresses::parse_ip;
use super::keywords::Modifier;
use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::{parse_hexadecimal, parse_port, parse_u32};
use super::written::{CheckKind, ProxySettings, SectionKind, WrittenProxy};
use std::net::SocketAddr;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("option tcp-check", option_tcp_check),
    ("tcp-check connect", tcp_connect),
    ("tcp-check send", tcp_send),
    ("tcp-check send-binary", tcp_send_binary),
    ("tcp-check expect", tcp_expect),
    ("tcp-check comment", tcp_comment),
    ("option httpchk", option_httpchk),
    ("option smtpchk", option_smtpchk),
    ("http-check disable-on-404", |s, p| http_flag(s, p, |check| check.disable_on_404 = true)),
    ("http-check send-state", |s, p| http_flag(s, p, |check| check.send_state = true)),
    ("http-check comment", http_comment),
    ("http-check send", http_send),
    ("http-check expect", http_expect),
];

impl Default for HttpCheck {
    fn default() -> Self {
        HttpCheck {
            method: "OPTIONS".to_owned(),
            uri: "/".to_owned(),
            version: "HTTP/1.0".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            expect: Vec::new(),
            disable_on_404: false,
            send_state: false,
        }
    }
}

/// The method that `settings` add up to.
pub fn method_of(settings: &ProxySettings) -> CheckMethod {
    match settings.check_kind {
        CheckKind::Connect => CheckMethod::Connect,
        CheckKind::Tcp => CheckMethod::Tcp(settings.tcp_check.clone()),
        CheckKind::Http => CheckMethod::Http(settings.http_check.clone().unwrap_or_default()),
        CheckKind::Smtp if settings.smtp_hello.is_empty() => CheckMethod::Smtp("HELO localhost".to_owned()),
        CheckKind::Smtp => CheckMethod::Smtp(settings.smtp_hello.clone()),
    }
}

fn choose(statement: &Statement, proxy: &mut WrittenProxy, kind: CheckKind) {
    let settings = &mut proxy.settings;
    match statement.modifier {
        Modifier::None => settings.check_kind = kind,
        Modifier::No | Modifier::Default if settings.check_kind == kind => settings.check_kind = CheckKind::Connect,
        Modifier::No | Modifier::Default => {}
    }
}

fn option_tcp_check(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.at_most(0) {
        choose(statement, proxy, CheckKind::Tcp);
    }
}

/// The section's own TCP rules; the first one replaces all that came from the defaults.
fn push_tcp(proxy: &mut WrittenProxy, step: TcpCheckStep, comment: Option<String>) {
    own_tcp(proxy);
    let settings = &mut proxy.settings;
    // A comment holds for what follows it until the next one: messages name the last comment before the failing step.
    if comment.is_some() {
        settings.tcp_check_comment = comment;
    }
    let comment = settings.tcp_check_comment.clone();
    settings.tcp_check.push(TcpCheckRule { step, comment });
}

fn own_tcp(proxy: &mut WrittenProxy) {
    if !std::mem::replace(&mut proxy.own.tcp_check, true) && proxy.kind != SectionKind::Defaults {
        proxy.settings.tcp_check.clear();
        proxy.settings.tcp_check_comment = None;
    }
}

fn tcp_comment(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(comment) = statement.required(0, "a text") {
        own_tcp(proxy);
        proxy.settings.tcp_check_comment = Some(comment.to_owned());
        statement.at_most(1);
    }
}

fn tcp_connect(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let (mut port, mut address, mut comment) = (None, None, None);
    let mut index = 0;
    while index < statement.arguments.len() {
        let word = statement.text(index);
        let value = statement.text(index + 1);
        match word {
            "default" | "linger" => {
                index += 1;
                continue;
            }
            "port" => {
                let parsed = parse_port(value, false, "port");
                let Some(number) = statement.accept(index + 1, parsed) else { return };
                port = Some(number);
            }
            "addr" => {
                let parsed = parse_ip(value, statement.names);
                let Some((ip, its_port)) = statement.accept(index + 1, parsed) else { return };
                port = port.or(its_port);
                address = Some(SocketAddr::new(ip, its_port.unwrap_or(0)));
            }
            "comment" if !value.is_empty() => comment = Some(value.to_owned()),
            "send-proxy" | "via-socks4" | "ssl" | "sni" | "alpn" | "proto" => {
                return statement.error(index, format!("'tcp-check connect {word}' is not supported yet."));
            }
            _ => return statement.error(index, format!("'tcp-check connect' cannot handle '{word}'.")),
        }
        index += 2;
    }
    push_tcp(proxy, TcpCheckStep::Connect { port, address }, comment);
}

fn tcp_send(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(data) = statement.required(0, "a string")
        && let Ok(comment) = trailing_comment(statement, 1)
    {
        push_tcp(proxy, TcpCheckStep::Send(data.as_bytes().to_vec()), comment);
    }
}

fn tcp_send_binary(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a hexadecimal string") else { return };
    let bytes = parse_hexadecimal(text);
    let Some(bytes) = statement.accept(0, bytes) else { return };
    if let Ok(comment) = trailing_comment(statement, 1) {
        push_tcp(proxy, TcpCheckStep::Send(bytes), comment);
    }
}

/// `[comment <text>]` at the end of a rule.
fn trailing_comment(statement: &mut Statement, at: usize) -> Result<Option<String>, ()> {
    match (statement.text(at), statement.text(at + 1)) {
        ("", _) => Ok(None),
        ("comment", "") => {
            statement.error(at, "'comment' expects a text.");
            Err(())
        }
        ("comment", text) => statement.at_most(at + 2).then(|| Some(text.to_owned())).ok_or(()),
        _ => statement.at_most(at).then_some(None).ok_or(()),
    }
}

fn tcp_expect(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some((expect, comment)) = parse_expect(statement, false) {
        push_tcp(proxy, TcpCheckStep::Expect(expect), comment);
    }
}

/// Reads what follows `expect`; `None` if an error was reported.
fn parse_expect(statement: &mut Statement, http: bool) -> Option<(Expect, Option<String>)> {
    let mut expect = Expect {
        pattern: ExpectPattern::Text(Vec::new()),
        negate: false,
        min_receive_bytes: None,
        ok_status: None,
        error_status: None,
        timeout_status: None,
        on_success: None,
        on_error: None,
    };
    let mut comment = None;
    let at = expect_options(statement, 0, &mut expect, &mut comment)?;
    expect.pattern = parse_pattern(statement, at, http, &mut expect.negate)?;
    // HAProxy takes the options after the pattern, too.
    let end = expect_options(statement, at + 2, &mut expect, &mut comment)?;
    statement.at_most(end).then_some((expect, comment))
}

/// Reads options from argument `index` on; gives where they end, or `None` if an error was reported.
fn expect_options(
    statement: &mut Statement,
    mut index: usize,
    expect: &mut Expect,
    comment: &mut Option<String>,
) -> Option<usize> {
    loop {
        let word = statement.text(index);
        let value = statement.text(index + 1);
        let (field, statuses): (_, &[&str]) = match word {
            "!" => {
                expect.negate = !expect.negate;
                index += 1;
                continue;
            }
            "min-recv" => {
                // -1 is "wait for anything", the default.
                if value != "-1" {
                    let bytes = parse_u32(value, 0, i32::MAX as u32, "min-recv");
                    expect.min_receive_bytes = Some(statement.accept(index + 1, bytes)?).filter(|bytes| *bytes > 0);
                }
                index += 2;
                continue;
            }
            "comment" => (&mut *comment, &[]),
            "ok-status" => (&mut expect.ok_status, &["L7OK", "L7OKC", "L6OK", "L4OK"]),
            "error-status" => (&mut expect.error_status, &["L7RSP", "L7STS", "L6RSP", "L4CON"]),
            "tout-status" => (&mut expect.timeout_status, &["L7TOUT", "L6TOUT", "L4TOUT"]),
            "on-success" => (&mut expect.on_success, &[]),
            "on-error" => (&mut expect.on_error, &[]),
            "status-code" => {
                statement.error(index, "'status-code' takes a sample expression, which is not supported yet.");
                return None;
            }
            _ => return Some(index),
        };
        if value.is_empty() {
            statement.error(index, format!("'{word}' expects a value."));
            return None;
        }
        if !statuses.is_empty() && !statuses.contains(&value) {
            let known = statuses.join("', '");
            statement.error(index + 1, format!("'{word}' only supports '{known}', not '{value}'."));
            return None;
        }
        *field = Some(value.to_owned());
        index += 2;
    }
}

fn parse_pattern(statement: &mut Statement, at: usize, http: bool, negate: &mut bool) -> Option<ExpectPattern> {
    let word = statement.text(at);
    // `!` may touch the word.
    let kind = match word.strip_prefix('!') {
        Some(kind) => {
            *negate = !*negate;
            kind
        }
        None => word,
    };
    let pattern = statement.text(at + 1);
    if kind.is_empty() {
        let keyword = statement.keyword;
        statement.error(at, format!("'{keyword}' expects a pattern, such as 'string <text>'."));
        return None;
    }
    if pattern.is_empty() {
        statement.error(at, format!("'{kind}' expects a pattern."));
        return None;
    }
    match (kind, http) {
        ("string", _) => Some(ExpectPattern::Text(pattern.as_bytes().to_vec())),
        ("rstring", _) => regular_expression(statement, at + 1).map(ExpectPattern::Regex),
        ("binary", false) => {
            let bytes = parse_hexadecimal(pattern);
            statement.accept(at + 1, bytes).map(ExpectPattern::Binary)
        }
        ("status", true) => {
            let ranges = parse_status_ranges(pattern);
            statement.accept(at + 1, ranges).map(ExpectPattern::Status)
        }
        ("rstatus", true) => regular_expression(statement, at + 1).map(ExpectPattern::StatusRegex),
        ("rbinary" | "string-lf" | "binary-lf", false) | ("hdr" | "fhdr" | "string-lf", true) => {
            statement.error(at, format!("'expect {kind}' is not supported yet."));
            None
        }
        _ => {
            let known = if http { "'string', 'rstring', 'status', 'rstatus'" } else { "'string', 'rstring', 'binary'" };
            statement.error(at, format!("'expect' does not know '{kind}'; it supports {known}."));
            None
        }
    }
}

/// The pattern at argument `at`, tried so that a broken one is found now and not at the first check.
fn regular_expression(statement: &mut Statement, at: usize) -> Option<String> {
    let pattern = statement.text(at);
    match regex::bytes::Regex::new(pattern) {
        Ok(_) => Some(pattern.to_owned()),
        Err(error) => {
            let reason = error.to_string();
            // The last line says what is wrong; those before draw the place.
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            statement.error(at, format!("regex '{pattern}' is invalid: {reason}."));
            None
        }
    }
}

/// `200,300-399`
fn parse_status_ranges(text: &str) -> Result<Vec<(u16, u16)>, String> {
    let number = |part: &str| match part.parse::<u16>() {
        Ok(number) if number <= 999 => Ok(number),
        _ => Err(format!("'{part}' is not an HTTP status in '{text}'")),
    };
    text.split(',')
        .map(|part| match part.split_once('-') {
            None => number(part).map(|number| (number, number)),
            Some((first, last)) => {
                let range = (number(first)?, number(last)?);
                if range.0 <= range.1 { Ok(range) } else { Err(format!("the range '{part}' is empty")) }
            }
        })
        .collect()
}

/// `option smtpchk [HELO|EHLO <domain>]`; any other word stands for HELO, as the manual says.
fn option_smtpchk(statement: &mut Statement, proxy: &mut WrittenProxy) {
    choose(statement, proxy, CheckKind::Smtp);
    if statement.modifier != Modifier::None || !statement.at_most(2) {
        return;
    }
    let (hello, domain) = (statement.text(0), statement.text(1));
    if domain.bytes().any(|byte| byte.is_ascii_control()) {
        return statement.error(1, "'option smtpchk' : a domain has no control characters.");
    }
    proxy.settings.smtp_hello = match (hello, domain) {
        // One word alone says nothing.
        (_, "") => String::new(),
        ("EHLO", domain) => format!("EHLO {domain}"),
        (_, domain) => format!("HELO {domain}"),
    };
}

/// `option httpchk [[<method>] <uri> [<version>]]`; HAProxy before 2.2 had no other place for headers than the
/// version, written with escaped line ends.
fn option_httpchk(statement: &mut Statement, proxy: &mut WrittenProxy) {
    choose(statement, proxy, CheckKind::Http);
    if statement.modifier != Modifier::None {
        return;
    }
    // `option httpchk /index.html HTTP/1.0`, as tutorials have it: HAProxy sends "/index.html" as the method, which no
    // server understands, and takes them all down.
    if statement.arguments.len() == 2 && statement.text(0).starts_with('/') && statement.text(1).starts_with("HTTP/") {
        let (uri, version) = (statement.text(0).to_owned(), statement.text(1).to_owned());
        statement
            .warning(0, format!("'option httpchk' : '{uri}' is not a method; this is read as 'GET {uri} {version}'."));
        let check = own_http(proxy);
        (check.method, check.uri) = ("GET".to_owned(), uri);
        return version_with_headers(&version, check);
    }
    let check = own_http(proxy);
    match statement.arguments.len() {
        0 => {}
        1 => check.uri = statement.text(0).to_owned(),
        count => {
            check.method = statement.text(0).to_owned();
            check.uri = statement.text(1).to_owned();
            if count > 2 {
                version_with_headers(statement.text(2), check);
            }
        }
    }
    statement.at_most(3);
}

fn version_with_headers(text: &str, check: &mut HttpCheck) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.split("\r\n");
    check.version = lines.next().unwrap_or_default().to_owned();
    for header in lines {
        if let Some((name, value)) = header.split_once(':') {
            check.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    check.body = body.as_bytes().to_vec();
}

/// The section's own HTTP check; its first line lets go of what came from the defaults.
fn own_http(proxy: &mut WrittenProxy) -> &mut HttpCheck {
    if !std::mem::replace(&mut proxy.own.http_check, true) && proxy.kind != SectionKind::Defaults {
        proxy.settings.http_check = None;
    }
    proxy.settings.http_check.get_or_insert_default()
}

fn http_flag(statement: &mut Statement, proxy: &mut WrittenProxy, set: fn(&mut HttpCheck)) {
    if statement.at_most(0) {
        // These two are switches of the proxy, not rules: they do not detach it from its defaults.
        set(proxy.settings.http_check.get_or_insert_default());
    }
}

/// A comment names a step in HAProxy's reports; our HTTP check is one step, which needs no name.
fn http_comment(statement: &mut Statement, _proxy: &mut WrittenProxy) {
    if statement.required(0, "a text").is_some() {
        statement.at_most(1);
    }
}

fn http_send(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if std::mem::replace(&mut proxy.own.http_send, true) {
        return statement.error(
            usize::MAX,
            "a check sends one request: a second 'http-check send' would need an 'http-check connect' before it, which \
             is not supported yet.",
        );
    }
    let mut index = 0;
    let check = own_http(proxy);
    // `option httpchk`, before or after, and `send` fill in one request.
    let mut next = HttpCheck { expect: Vec::new(), headers: Vec::new(), body: Vec::new(), ..check.clone() };
    while index < statement.arguments.len() {
        let word = statement.text(index);
        let value = statement.text(index + 1);
        if value.is_empty() {
            return statement.error(index, format!("'http-check send' : '{word}' expects a value."));
        }
        match word {
            "meth" => next.method = value.to_owned(),
            "uri" => next.uri = value.to_owned(),
            "ver" => next.version = value.to_owned(),
            "body" => next.body = value.as_bytes().to_vec(),
            "hdr" => {
                if statement.arguments.len() < index + 3 {
                    return statement.error(index, "'http-check send' : 'hdr' expects <name> and <value>.");
                }
                let contents = statement.text(index + 2);
                // HAProxy computes these two and drops written ones.
                if !value.eq_ignore_ascii_case("content-length") && !value.eq_ignore_ascii_case("connection") {
                    next.headers.push((value.to_owned(), contents.to_owned()));
                }
                index += 1;
            }
            "comment" => {}
            "uri-lf" | "body-lf" => {
                return statement.error(index, format!("'http-check send {word}' takes a log format, which is not supported here yet."));
            }
            _ => return statement.error(index, format!("'http-check send' does not know '{word}'; it supports 'meth', 'uri', 'ver', 'hdr', 'body', 'comment'.")),
        }
        index += 2;
    }
    let check = own_http(proxy);
    next.expect = std::mem::take(&mut check.expect);
    *check = next;
}

fn http_expect(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some((expect, _comment)) = parse_expect(statement, true) {
        own_http(proxy).expect.push(expect);
    }
}
