//! From a fetch's arguments to what is kept of them.

use super::super::model::*;
use super::arguments::Arguments;
use super::references::{self, Named};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Reads `scope.name`.
/// # Errors
/// What is wrong with it.
pub fn variable_name(text: &str) -> Result<VariableName, String> {
    let (scope, name) = text.split_once('.').unwrap_or((text, ""));
    let scope = match scope {
        "proc" => VariableScope::Process,
        "sess" => VariableScope::Session,
        "txn" => VariableScope::Transaction,
        "req" => VariableScope::Request,
        "res" => VariableScope::Response,
        "check" => return Err(format!("variable '{text}': checks have no variables; use the scope 'proc'")),
        _ => {
            return Err(format!(
                "invalid variable name '{text}': a name starts with its scope: proc., sess., txn., req. or res."
            ));
        }
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_') {
        return Err(format!(
            "invalid variable name '{text}': after the scope come characters of a-z, A-Z, 0-9, '.' and '_'"
        ));
    }
    Ok(VariableName::new(scope, name))
}

pub fn variable(arguments: &Arguments) -> Result<Fetch, String> {
    let name = variable_name(arguments.text(0).unwrap_or_default())?;
    let default = arguments.text(1).map(|text| Value::Text(text.as_bytes().into()));
    Ok(Fetch::Variable { name, default })
}

pub fn constant(value: Value) -> Result<Fetch, String> {
    Ok(Fetch::Constant(value))
}

pub fn text(arguments: &Arguments) -> Result<Fetch, String> {
    constant(Value::Text((*arguments.bytes(0)).into()))
}

pub fn method(arguments: &Arguments) -> Result<Fetch, String> {
    constant(Value::Method((*arguments.bytes(0)).into()))
}

pub fn binary(arguments: &Arguments) -> Result<Fetch, String> {
    let digits = arguments.text(0).unwrap_or_default().as_bytes();
    let pairs = digits.chunks(2);
    let bytes: Option<Vec<u8>> = pairs.map(hex_pair).collect();
    let bytes = bytes.ok_or("an even number of hexadecimal digits is expected")?;
    constant(Value::Binary(bytes.into()))
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: &u8| (*byte as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

pub fn boolean(arguments: &Arguments) -> Result<Fetch, String> {
    match arguments.text(0).unwrap_or_default() {
        "true" | "1" => constant(Value::Bool(true)),
        "false" | "0" => constant(Value::Bool(false)),
        other => Err(format!("'{other}' is neither 'true' nor 'false', '1' nor '0'")),
    }
}

pub fn integer(arguments: &Arguments) -> Result<Fetch, String> {
    constant(Value::Integer(arguments.integer(0).unwrap_or_default()))
}

pub fn ipv4(arguments: &Arguments) -> Result<Fetch, String> {
    let text = arguments.text(0).unwrap_or_default();
    let address: Ipv4Addr = text.parse().map_err(|_| format!("'{text}' is no IPv4 address"))?;
    constant(Value::Address(address.into()))
}

pub fn ipv6(arguments: &Arguments) -> Result<Fetch, String> {
    let text = arguments.text(0).unwrap_or_default();
    let address: Ipv6Addr = text.parse().map_err(|_| format!("'{text}' is no IPv6 address"))?;
    constant(Value::Address(address.into()))
}

pub fn environment(arguments: &Arguments) -> Result<Fetch, String> {
    let name = arguments.text(0).unwrap_or_default();
    Ok(Fetch::Environment { name: name.into() })
}

pub fn unit(text: Option<&str>) -> Result<TimeUnit, String> {
    match text {
        None | Some("s") => Ok(TimeUnit::Seconds),
        Some("ms") => Ok(TimeUnit::Milliseconds),
        Some("us") => Ok(TimeUnit::Microseconds),
        Some(other) => Err(format!("expects 's', 'ms' or 'us', got '{other}'")),
    }
}

pub fn date(arguments: &Arguments) -> Result<Fetch, String> {
    let offset = arguments.integer(0).unwrap_or(0);
    Ok(Fetch::Process(ProcessFetch::Date { offset, unit: unit(arguments.text(1))? }))
}

pub fn random(arguments: &Arguments) -> Result<Fetch, String> {
    let range = arguments.integer(0).unwrap_or(0);
    let range = u32::try_from(range).map_err(|_| format!("'{range}' is no range from 0 to 4294967295"))?;
    Ok(Fetch::Process(ProcessFetch::Random { range }))
}

pub fn uuid(arguments: &Arguments) -> Result<Fetch, String> {
    match arguments.integer(0) {
        None | Some(4) => Ok(Fetch::Process(ProcessFetch::Uuid)),
        Some(other) => Err(format!("'{other}' is no version of UUID that can be made; write 4 or nothing")),
    }
}

pub fn round_trip(arguments: &Arguments, of_server: bool, variance: bool) -> Result<Fetch, String> {
    // Milliseconds when nothing is said.
    let unit = match arguments.text(0) {
        None | Some("ms") => TimeUnit::Milliseconds,
        Some("us") => TimeUnit::Microseconds,
        Some(other) => return Err(format!("expects 'us' or 'ms', got '{other}'")),
    };
    Ok(Fetch::Connection(ConnectionFetch::RoundTrip { of_server, variance, unit }))
}

pub fn frontend(figure: FrontendFigure, arguments: &Arguments) -> Result<Fetch, String> {
    let name = arguments.written(0).map(str::to_owned);
    references::note(Named::Frontend(name.clone()));
    Ok(Fetch::Frontend(figure, ProxyReference { name, ..Default::default() }))
}

/// The frontend that the client came in by.
pub fn own_frontend(figure: FrontendFigure) -> Result<Fetch, String> {
    Ok(Fetch::Frontend(figure, ProxyReference::default()))
}

pub fn backend(figure: BackendFigure, arguments: &Arguments) -> Result<Fetch, String> {
    let name = arguments.written(0).map(str::to_owned);
    references::note(Named::Backend(name.clone()));
    Ok(Fetch::Backend(figure, ProxyReference { name, ..Default::default() }))
}

/// The backend that the exchange goes to.
pub fn own_backend(figure: BackendFigure) -> Result<Fetch, String> {
    Ok(Fetch::Backend(figure, ProxyReference::default()))
}

pub fn server(figure: ServerFigure, arguments: &Arguments) -> Result<Fetch, String> {
    let text = arguments.text(0).unwrap_or_default();
    let (backend, server) = match text.split_once('/') {
        Some((backend, server)) => (Some(backend.to_owned()), server),
        None => (None, text),
    };
    references::note(Named::Server { backend: backend.clone(), server: server.to_owned() });
    Ok(Fetch::Server(figure, ServerReference { backend, server: server.to_owned(), ..Default::default() }))
}

pub fn capture(arguments: &Arguments, make: fn(usize) -> ExchangeFetch) -> Result<Fetch, String> {
    let slot = arguments.integer(0).unwrap_or(-1);
    let slot = usize::try_from(slot).map_err(|_| format!("'{slot}' is no capture's number, counted from 0"))?;
    Ok(Fetch::Exchange(make(slot)))
}

pub fn header(arguments: &Arguments, side: MessageSide, is_whole_line: bool, asked: Asked) -> Result<Fetch, String> {
    let (name, occurrence) = (arguments.name(0), arguments.integer(1).unwrap_or(0));
    if name.is_none() && occurrence != 0 {
        return Err("an occurrence needs a header name before it".to_owned());
    }
    // 10 in HAProxy, whose history of values is that long.
    if occurrence < -10 {
        return Err("an occurrence counted from the end is at most -10".to_owned());
    }
    Ok(Fetch::Header(HeaderFetch { side, name, occurrence, is_whole_line, asked }))
}

pub fn header_names(arguments: &Arguments, side: MessageSide) -> Result<Fetch, String> {
    let delimiter = arguments.text(0).and_then(|text| text.bytes().next()).unwrap_or(b',');
    Ok(Fetch::Message(side, MessagePart::HeaderNames { delimiter }))
}

pub fn cookie(arguments: &Arguments, side: MessageSide, asked: Asked) -> Result<Fetch, String> {
    Ok(Fetch::Cookie(CookieFetch { side, name: arguments.name(0), asked }))
}

pub fn parameter(arguments: &Arguments, is_in_body: bool, is_integer: bool) -> Result<Fetch, String> {
    let delimiter = match arguments.text(1).map(str::as_bytes) {
        None => b'?',
        Some([delimiter]) => *delimiter,
        Some(_) => return Err("the delimiter must be exactly one character".to_owned()),
    };
    Ok(Fetch::Parameter(ParameterFetch { is_in_body, name: arguments.name(0), delimiter, is_integer }))
}

pub fn payload(arguments: &Arguments, side: MessageSide) -> Result<Fetch, String> {
    let number = |index| offset(arguments.integer(index).unwrap_or(0));
    Ok(Fetch::Payload(PayloadFetch::Bytes { side, offset: number(0)?, length: number(1)? }))
}

fn offset(number: i64) -> Result<u64, String> {
    u64::try_from(number).map_err(|_| format!("'{number}' is negative, and counts bytes"))
}

pub fn payload_lv(arguments: &Arguments, side: MessageSide) -> Result<Fetch, String> {
    let length_at = offset(arguments.integer(0).unwrap_or(0))?;
    let length_bytes = offset(arguments.integer(1).unwrap_or(0))?;
    if length_bytes == 0 {
        return Err("the length must have at least one byte".to_owned());
    }
    let value = match arguments.written(2) {
        None => ValueAt::Behind(0),
        Some(text) => {
            let number: i64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
            if text.starts_with(['+', '-']) { ValueAt::Behind(number) } else { ValueAt::Offset(offset(number)?) }
        }
    };
    if let ValueAt::Behind(distance) = value
        && length_at.saturating_add(length_bytes).checked_add_signed(distance).is_none()
    {
        return Err("the value would begin before the first byte".to_owned());
    }
    Ok(Fetch::Payload(PayloadFetch::LengthValue { side, length_at, length_bytes, value }))
}

pub fn rdp_cookie(arguments: &Arguments, count: bool) -> Result<Fetch, String> {
    Ok(Fetch::Payload(PayloadFetch::RdpCookie { name: arguments.name(0), count }))
}

pub fn userlist(arguments: &Arguments, make: fn(String) -> AuthorizationFetch) -> Result<Fetch, String> {
    let name = arguments.text(0).unwrap_or_default().to_owned();
    references::note(Named::Userlist(name.clone()));
    Ok(Fetch::Authorization(make(name)))
}

pub fn bearer(arguments: &Arguments) -> Result<Fetch, String> {
    Ok(Fetch::Authorization(AuthorizationFetch::Bearer { header: arguments.name(0) }))
}
