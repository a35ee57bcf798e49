//! `cookie`, `dynamic-cookie-key`, `option persist`, `capture` and `declare capture` (configuration.txt section 4.2).

use super::keywords::Modifier;
use super::model::*;
use super::section_http::{is_header_name, note_http};
use super::statement::{LineParser, Statement};
use super::values::{DefaultUnit, parse_time, parse_u32};
use super::written::*;
use std::net::SocketAddr;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("cookie", cookie),
    ("dynamic-cookie-key", dynamic_cookie_key),
    ("option persist", persist),
    ("capture cookie", capture_cookie),
    ("capture request header", |s, p| capture_header(s, p, true)),
    ("capture response header", |s, p| capture_header(s, p, false)),
    ("declare capture", declare_capture),
];

/// The longest capture; HAProxy's limit for a header is its buffer.
const CAPTURE_LENGTH_MAX: u32 = 65_535;

fn persist(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.at_most(0) {
        note_http(statement, proxy);
        proxy.settings.persist_on_down_server = statement.modifier == Modifier::None;
    }
}

fn cookie(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(name) = statement.required(0, "<cookie_name> as argument") else { return };
    note_http(statement, proxy);
    if !is_header_name(name) {
        return statement
            .error(0, format!("'cookie' : '{name}' cannot be the name of a cookie (RFC 6265 section 4.1.1)."));
    }
    let mut options =
        Options { settings: CookieSettings { name: name.to_owned(), ..Default::default() }, ..Default::default() };
    let mut index = 1;
    while index < statement.arguments.len() {
        match options.read(statement, index) {
            Some(taken) => index += taken,
            None => return,
        }
    }
    let modes = options.modes;
    if modes.len() > 1 {
        return statement.error(0, "cookie 'rewrite', 'insert' and 'prefix' modes are incompatible.");
    }
    let mut settings = options.settings;
    settings.mode = modes.first().copied().unwrap_or_default();
    if settings.mode == CookieMode::Rewrite && settings.indirect {
        return statement.error(0, "cookie 'rewrite' and 'indirect' modes are incompatible.");
    }
    if settings.preserve && settings.mode != CookieMode::Insert && !settings.indirect {
        return statement.error(0, "cookie 'preserve' requires at least 'insert' or 'indirect'.");
    }
    for domain in options.domains {
        settings.attributes += &format!("; domain={domain}");
    }
    if options.http_only {
        settings.attributes += "; HttpOnly";
    }
    if options.secure {
        settings.attributes += "; Secure";
    }
    for attribute in options.attributes {
        settings.attributes += &format!("; {attribute}");
    }
    proxy.settings.cookie = Some(settings);
}

/// A `cookie` line on its way.
#[derive(Default)]
struct Options {
    settings: CookieSettings,
    /// Each named once.
    modes: Vec<CookieMode>,
    domains: Vec<String>,
    attributes: Vec<String>,
    http_only: bool,
    secure: bool,
}

impl Options {
    /// Reads the option at `index`; gives the number of words it took, or `None` if an error was reported.
    fn read(&mut self, statement: &mut Statement, index: usize) -> Option<usize> {
        let settings = &mut self.settings;
        let flag = match statement.text(index) {
            "rewrite" => return Some(self.mode(CookieMode::Rewrite)),
            "insert" => return Some(self.mode(CookieMode::Insert)),
            "prefix" => return Some(self.mode(CookieMode::Prefix)),
            "indirect" => &mut settings.indirect,
            "nocache" => &mut settings.nocache,
            "postonly" => &mut settings.post_only,
            "preserve" => &mut settings.preserve,
            "dynamic" => &mut settings.is_dynamic,
            "httponly" => &mut self.http_only,
            "secure" => &mut self.secure,
            "domain" => {
                self.domains.push(domain(statement, index + 1)?);
                return Some(2);
            }
            "attr" => {
                self.attributes.push(attribute(statement, index + 1)?);
                return Some(2);
            }
            "maxidle" => {
                settings.idle_max_s = seconds(statement, index)?;
                return Some(2);
            }
            "maxlife" => {
                settings.life_max_s = seconds(statement, index)?;
                return Some(2);
            }
            other => {
                let text = format!(
                    "'cookie' does not know '{other}'; it supports 'rewrite', 'insert', 'prefix', 'indirect', \
                     'nocache', 'postonly', 'preserve', 'httponly', 'secure', 'domain', 'maxidle', 'maxlife', \
                     'dynamic' and 'attr'."
                );
                statement.error(index, text);
                return None;
            }
        };
        *flag = true;
        Some(1)
    }

    fn mode(&mut self, mode: CookieMode) -> usize {
        if !self.modes.contains(&mode) {
            self.modes.push(mode);
        }
        1
    }
}

fn domain(statement: &mut Statement, index: usize) -> Option<String> {
    let domain = statement.text(index);
    if domain.is_empty() {
        statement.error(index, "'domain' expects <domain> as argument.");
        return None;
    }
    let bad = domain.chars().find(|character| !character.is_ascii_alphanumeric() && !"-._:".contains(*character));
    if let Some(bad) = bad {
        statement.error(index, format!("character '{bad}' is not permitted in domain name '{domain}'."));
        return None;
    }
    if !domain.contains('.') {
        let text = format!(
            "domain '{domain}' contains no embedded dot, this configuration may not work properly (see RFC6265#5.2.3)."
        );
        statement.warning(index, text);
    }
    Some(domain.to_owned())
}

fn attribute(statement: &mut Statement, index: usize) -> Option<String> {
    let value = statement.text(index);
    if value.is_empty() {
        statement.error(index, "'attr' expects <value> as argument.");
        return None;
    }
    if let Some(bad) = value.bytes().find(|byte| byte.is_ascii_control() || *byte == b';') {
        statement.error(index, format!("character '%x{bad:02X}' is not permitted in attribute value."));
        return None;
    }
    Some(value.to_owned())
}

/// A time whose unit is the second.
fn seconds(statement: &mut Statement, index: usize) -> Option<u32> {
    let option = statement.text(index);
    let time = parse_time(statement.text(index + 1), DefaultUnit::Seconds, option);
    let time = statement.accept(index + 1, time)?;
    Some(u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
}

fn dynamic_cookie_key(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(key) = statement.required(0, "<secret_key> as argument") else { return };
    note_http(statement, proxy);
    proxy.settings.dynamic_cookie_key = Some(key.to_owned());
    statement.ignores_after(1);
}

/// The cookie of a server of a `dynamic` backend: the same on every balancer with the same key (HAProxy's, measured on
/// 2.6: XXH64 of key, address, and port as a 32-bit number, both in network order).
pub fn dynamic_cookie(address: SocketAddr, key: &str) -> String {
    let mut bytes = key.as_bytes().to_vec();
    match address {
        SocketAddr::V4(address) => bytes.extend_from_slice(&address.ip().octets()),
        SocketAddr::V6(address) => bytes.extend_from_slice(&address.ip().octets()),
    }
    bytes.extend_from_slice(&u32::from(address.port()).to_be_bytes());
    format!("{:016x}", xxhash_rust::xxh64::xxh64(&bytes, 0))
}

/// Argument `index` and the one after: `len <length>`.
fn length(statement: &mut Statement, index: usize) -> Option<u32> {
    if statement.text(index) != "len" || statement.text(index + 1).is_empty() {
        let keyword = statement.keyword;
        statement.error(index, format!("'{keyword}' expects 'len' and the longest text to keep."));
        return None;
    }
    let length = parse_u32(statement.text(index + 1), 1, CAPTURE_LENGTH_MAX, "len");
    statement.accept(index + 1, length)
}

/// `capture cookie <name> len <length>`: one per frontend, the last one written.
fn capture_cookie(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(name) = statement.required(0, "<cookie_name> 'len' <len>") else { return };
    let Some(length_max) = length(statement, 1) else { return };
    if statement.at_most(3) {
        note_http(statement, proxy);
        proxy.settings.captures.cookie = Some(CookieCapture { name: name.to_owned(), length_max });
    }
}

fn capture_header(statement: &mut Statement, proxy: &mut WrittenProxy, of_request: bool) {
    let Some(name) = statement.required(0, "<header_name> 'len' <len>") else { return };
    if !is_header_name(name) {
        let keyword = statement.keyword;
        return statement.error(0, format!("'{keyword}' : '{name}' is not a header name."));
    }
    let Some(length_max) = length(statement, 1) else { return };
    if statement.at_most(3) {
        note_http(statement, proxy);
        slots(proxy, of_request).push(HeaderCapture { name: Some(name.to_owned()), length_max });
    }
}

/// `declare capture request|response len <length>`: a slot for rules.
fn declare_capture(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let of_request = match statement.text(0) {
        "request" => true,
        "response" => false,
        _ => return statement.error(0, "'declare capture' requires a direction ('request' or 'response')."),
    };
    let Some(length_max) = length(statement, 1) else { return };
    if statement.at_most(3) {
        slots(proxy, of_request).push(HeaderCapture { name: None, length_max });
    }
}

fn slots(proxy: &mut WrittenProxy, of_request: bool) -> &mut Vec<HeaderCapture> {
    let captures = &mut proxy.settings.captures;
    if of_request { &mut captures.request } else { &mut captures.response }
}

#[cfg(test)]
mod tests {
    use super::super::load::load_text;
    use super::*;

    fn cookie_of(line: &str) -> Option<CookieSettings> {
        let config = load_text("t.cfg", &format!("backend b\n mode http\n {line}\n")).config?;
        config.proxies[0].backend.as_ref()?.cookie.clone()
    }

    #[test]
    fn attributes_come_in_haproxys_order() {
        let line = "cookie A secure attr X attr SameSite=None insert domain .a.b httponly domain c.d maxidle 5m";
        let cookie = cookie_of(line).expect("a good line");
        assert_eq!(cookie.attributes, "; domain=.a.b; domain=c.d; HttpOnly; Secure; X; SameSite=None");
        assert_eq!((cookie.mode, cookie.idle_max_s, cookie.life_max_s), (CookieMode::Insert, 300, 0));
    }

    #[test]
    fn modes_that_contradict_each_other_are_refused() {
        for line in ["cookie A rewrite insert", "cookie A rewrite indirect", "cookie A preserve", "cookie A;B insert"] {
            assert_eq!(cookie_of(line), None, "{line}");
        }
        assert!(cookie_of("cookie A indirect preserve").is_some_and(|cookie| cookie.is_reported()));
        assert!(cookie_of("cookie A").is_some_and(|cookie| !cookie.is_reported()));
    }
}
