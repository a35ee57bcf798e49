//! Where bodies end, which of them there are, and whether a connection goes on: decided once for a request and once
//! for its response (RFC 9112 sections 6 and 9), on the [`Message`] that is written afterwards. The message is
//! normalised to say exactly what was decided: one Content-Length in plain digits, or one `Transfer-Encoding:
//! chunked`, or neither, and nothing that was meant for the previous hop.

use super::authority::check_host;
use super::connection::{ConnectionOptions, Upgrade, drop_hop_by_hop, normalize_upgrade, write_connection};
use super::framing::parse_length;
use super::head::{RequestError, Version};
use super::known_headers::{Known, Survey};
use super::message::Message;
use super::response_head::ResponseError;

/// How a message's body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// The message ends with its head, whatever the head says.
    #[default]
    None,
    /// Bytes, may be 0.
    Length(u64),
    Chunked,
    /// A response that ends when the server closes.
    UntilClose,
    /// No HTTP any more, in both directions.
    Tunnel,
}

impl Body {
    /// Whether nothing follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Body::None | Body::Length(0))
    }
}

/// What a proxy's options change about reading requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestRules {
    /// `option accept-invalid-http-request`
    pub accept_invalid: bool,
    /// `option http-use-proxy-header`
    pub use_proxy_header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFraming {
    /// `None`, `Length` or `Chunked`.
    pub body: Body,
    pub version: Version,
    /// The client lets the connection stay open.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// What the client asks to switch to; `101` is right only then.
    pub upgrade: Option<Upgrade>,
    pub is_connect: bool,
    pub is_head: bool,
    /// The same of the request as it was sent: a rule may have changed the method.
    pub is_head_sent: bool,
    /// Proxy-Connection is used in place of Connection, in this request and its response.
    pub uses_proxy_header: bool,
}

impl Default for RequestFraming {
    /// Of a request that was never read: its answer closes.
    fn default() -> RequestFraming {
        RequestFraming {
            body: Body::None,
            version: Version::Http11,
            keep_alive: false,
            expects_continue: false,
            upgrade: None,
            is_connect: false,
            is_head: false,
            is_head_sent: false,
            uses_proxy_header: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFraming {
    /// How the server delimits it.
    pub body: Body,
    /// How it goes on to the client: an HTTP/1.0 client gets no chunks.
    pub sent: Body,
    /// The server lets the connection stay open, and nothing about the response makes that unsafe.
    pub keep_alive: bool,
    /// 1xx but 101: another response follows. HTTP/1.0 clients must not see it.
    pub is_interim: bool,
}

/// Decides about a request and normalises it. The connection closes after an error's answer.
pub fn request_framing(message: &mut Message, rules: RequestRules) -> Result<RequestFraming, RequestError> {
    let survey = Survey::of(message);
    let version = message.version();
    let is_connect = message.method() == b"CONNECT";
    let length = agreed_length(message, &survey).map_err(|NotOne| RequestError::Malformed)?;
    let chunked = is_chunked(message, &survey).map_err(|NotOne| RequestError::Malformed)?;
    let old_and_chunked = chunked && version == Version::Http10;
    let both = chunked && length.is_some();
    if old_and_chunked || (both && !rules.accept_invalid) {
        return Err(RequestError::Malformed);
    }
    check_host(message, &survey, rules.accept_invalid)?;
    let body = match length {
        _ if chunked => Body::Chunked,
        Some(length) => Body::Length(length),
        None => Body::None,
    };
    if !body.is_empty() {
        let method = message.method();
        if is_connect {
            return Err(RequestError::Malformed);
        }
        if version == Version::Http10 && !rules.accept_invalid && [&b"GET"[..], b"HEAD", b"DELETE"].contains(&method) {
            return Err(RequestError::UnexpectedBody);
        }
    }
    let uses_proxy_header = rules.use_proxy_header && !matches!(message.target(), [b'/' | b'*', ..]);
    // The headers may have moved when a second Host went.
    let survey = if survey.count(Known::Host) > 1 { Survey::of(message) } else { survey };
    let options = match uses_proxy_header {
        true => ConnectionOptions::read(message, &survey, Known::ProxyConnection),
        false => ConnectionOptions::read(message, &survey, Known::Connection),
    };
    let may_upgrade = options.upgrade && version == Version::Http11 && !is_connect;
    let upgrade = if may_upgrade { normalize_upgrade(message, &survey) } else { None };
    // The same when a second Upgrade went.
    let survey = if survey.count(Known::Upgrade) > 1 { Survey::of(message) } else { survey };
    if upgrade == Some(Upgrade::WebSocket) && !rules.accept_invalid {
        let mut keys = message.values(b"Sec-WebSocket-Key");
        if keys.next().is_none_or(<[u8]>::is_empty) || keys.next().is_some() {
            return Err(RequestError::Malformed);
        }
    }
    let expects_continue = version == Version::Http11
        && !body.is_empty()
        && survey.values(Known::Expect, message).any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    drop_hop_by_hop(message, &survey, &options, upgrade.is_some());
    write_framing(message, if is_connect { Body::None } else { body });
    Ok(RequestFraming {
        body: if is_connect { Body::None } else { body },
        version,
        keep_alive: !both && stays_open(version, &options),
        expects_continue,
        upgrade,
        is_connect,
        is_head: message.method() == b"HEAD",
        is_head_sent: message.method() == b"HEAD",
        uses_proxy_header,
    })
}

/// Decides about the response to a request that was `sent_request` when it was sent, and normalises it.
pub fn response_framing(
    message: &mut Message,
    sent_request: &RequestFraming,
) -> Result<ResponseFraming, ResponseError> {
    let survey = Survey::of(message);
    let status = message.status();
    let length = agreed_length(message, &survey).map_err(|NotOne| ResponseError::Malformed)?;
    let chunked = is_chunked(message, &survey).map_err(|NotOne| ResponseError::Malformed)?;
    let options = ConnectionOptions::read(message, &survey, Known::Connection);
    let switches = status == 101;
    if switches && (sent_request.upgrade.is_none() || message.version() == Version::Http10) {
        return Err(ResponseError::UnrequestedUpgrade);
    }
    let bodiless = (100..200).contains(&status) || status == 204 || status == 304 || sent_request.is_head;
    let body = match length {
        _ if switches || (sent_request.is_connect && (200..300).contains(&status)) => Body::Tunnel,
        _ if bodiless => Body::None,
        // To the client it is an answer to GET.
        _ if sent_request.is_head_sent => Body::Length(0),
        _ if chunked => Body::Chunked,
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    };
    let sent = match body {
        Body::Chunked if sent_request.version == Version::Http10 => Body::UntilClose,
        other => other,
    };
    let names_a_body = chunked || length.is_some_and(|length| length > 0);
    // A server that announces a body where there cannot be one may send it, too.
    let suspicious = (names_a_body && ((100..200).contains(&status) || status == 204))
        || (status == 304 && chunked)
        || (sent_request.is_head && !sent_request.is_head_sent && body == Body::None && status >= 200)
        || (chunked && (length.is_some() || message.version() == Version::Http10));
    let keep_alive =
        !suspicious && !matches!(body, Body::UntilClose | Body::Tunnel) && stays_open(message.version(), &options);

    let keeps_upgrade = switches || status == 426;
    drop_hop_by_hop(message, &survey, &options, keeps_upgrade);
    match sent {
        // What the same request with GET would have got (RFC 9110 sections 9.3.2 and 15.4.5).
        Body::None if sent_request.is_head && chunked && sent_request.version == Version::Http11 => {
            write_framing(message, Body::Chunked);
        }
        Body::None if (status == 304 || sent_request.is_head) && length.is_some() && !chunked => {
            write_framing(message, length.map_or(Body::None, Body::Length));
        }
        other => write_framing(message, other),
    }
    Ok(ResponseFraming { body, sent, keep_alive, is_interim: (100..200).contains(&status) && !switches })
}

/// The last thing before a request is written: rules may have touched headers that are not theirs. Says what `body`
/// is, and on what terms the server's connection is used: false when it closes after this exchange. An upgrade whose
/// header a rule took away is none any more.
pub fn finish_request(message: &mut Message, framing: &mut RequestFraming, body: Body, keep_alive: bool) -> bool {
    write_framing(message, body);
    framing.is_head_sent = message.method() == b"HEAD";
    framing.is_connect &= message.method() == b"CONNECT";
    if framing.upgrade.is_some() && !message.has(b"Upgrade") {
        framing.upgrade = None;
    }
    let is_old = message.version() == Version::Http10;
    let name = connection_name(framing);
    write_connection(message, name, keep_alive, is_old, !is_old, framing.upgrade.is_some())
}

/// The same for a response. `sent`: how the body really goes out (compression may have changed it). False when the
/// client's connection closes after it.
pub fn finish_response(message: &mut Message, request: &RequestFraming, sent: Body, keep_alive: bool) -> bool {
    let status = message.status();
    match sent {
        Body::None if status == 304 || request.is_head => drop_second_framing(message),
        Body::Chunked => {
            write_framing(message, sent);
            message.set_version(Version::Http11);
        }
        _ => write_framing(message, sent),
    }
    if (100..200).contains(&status) && status != 101 {
        return keep_alive;
    }
    let versions = [request.version, message.version()];
    write_connection(
        message,
        connection_name(request),
        keep_alive && !matches!(sent, Body::UntilClose),
        versions.contains(&Version::Http10) && sent != Body::Tunnel,
        versions.contains(&Version::Http11) && sent != Body::Tunnel,
        status == 101 || status == 426,
    )
}

fn connection_name(framing: &RequestFraming) -> &'static [u8] {
    if framing.uses_proxy_header { b"Proxy-Connection" } else { b"Connection" }
}

fn stays_open(version: Version, options: &ConnectionOptions) -> bool {
    !options.close && (version == Version::Http11 || options.keep_alive)
}

/// Several answers where there must be one, or none that makes sense.
struct NotOne;

/// All Content-Length values agree; a list of the same number is what some senders make of two lines.
fn agreed_length(message: &Message, survey: &Survey) -> Result<Option<u64>, NotOne> {
    let mut agreed = None;
    if !survey.has(Known::ContentLength) {
        return Ok(None);
    }
    let values = survey.values(Known::ContentLength, message).flat_map(|value| value.split(|byte| *byte == b','));
    for value in values {
        let length = parse_length(super::trim_blanks(value)).ok_or(NotOne)?;
        if agreed.is_some_and(|previous| previous != length) {
            return Err(NotOne);
        }
        agreed = Some(length);
    }
    Ok(agreed)
}

/// `chunked` alone is the only transfer coding that is understood.
fn is_chunked(message: &Message, survey: &Survey) -> Result<bool, NotOne> {
    let Some(coding) = survey.first_value(Known::TransferEncoding, message) else { return Ok(false) };
    let alone = survey.count(Known::TransferEncoding) == 1;
    if alone && coding.eq_ignore_ascii_case(b"chunked") { Ok(true) } else { Err(NotOne) }
}

/// Makes the message's framing headers say `body`, in their canonical form and only once; touches nothing when they do.
fn write_framing(message: &mut Message, body: Body) {
    let survey = Survey::of(message);
    let (known, name, text): (_, &[u8], _) = match body {
        Body::Length(length) => (Known::ContentLength, b"Content-Length", Digits::of(length)),
        Body::Chunked => (Known::TransferEncoding, b"Transfer-Encoding", Digits::chunked()),
        Body::None | Body::UntilClose | Body::Tunnel => {
            if survey.has(Known::ContentLength) || survey.has(Known::TransferEncoding) {
                message.retain_headers(|_, name, _| !is_framing(name));
            }
            return;
        }
    };
    let Some(first) = survey.index(known) else {
        message.retain_headers(|_, name, _| !is_framing(name));
        message.add_header(name, text.as_bytes());
        return;
    };
    if message.header(first).1 != text.as_bytes() {
        message.replace_value(first, text.as_bytes());
    }
    if survey.count(Known::ContentLength) + survey.count(Known::TransferEncoding) > 1 {
        message.retain_headers(|index, name, _| index == first || !is_framing(name));
    }
}

/// A response without a body may say how long it would have been, once.
fn drop_second_framing(message: &mut Message) {
    let survey = Survey::of(message);
    let length = agreed_length(message, &survey).unwrap_or(None);
    match length {
        Some(length) => write_framing(message, Body::Length(length)),
        None if matches!(is_chunked(message, &survey), Ok(true)) => write_framing(message, Body::Chunked),
        None => write_framing(message, Body::None),
    }
}

fn is_framing(name: &[u8]) -> bool {
    matches!(Known::of(name), Some(Known::ContentLength | Known::TransferEncoding))
}

/// A number in decimal, or the word `chunked`, without an allocation.
struct Digits {
    text: [u8; 20],
    start: usize,
}

impl Digits {
    fn of(mut number: u64) -> Digits {
        let mut digits = Digits { text: [0; 20], start: 20 };
        for (index, byte) in digits.text.iter_mut().enumerate().rev() {
            *byte = b'0' + (number % 10) as u8;
            number /= 10;
            digits.start = index;
            if number == 0 {
                break;
            }
        }
        digits
    }
    fn chunked() -> Digits {
        let mut text = [0; 20];
        text[13..].copy_from_slice(b"chunked");
        Digits { text, start: 13 }
    }
    fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "exchange_framing_tests.rs"]
mod tests;
