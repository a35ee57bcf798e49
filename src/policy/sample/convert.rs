//! Converters (configuration.txt section 7.3.1): the input is cast to what the converter takes, then changed.

use super::{Sample, bytes, digests, figures, fix, internal, json, maps, mqtt, stick_tables, texts, time};
use crate::config::model::{Arithmetic, Converter, Operand, SetConditions, Step, VariableName};
use crate::policy::exchange::Scope;
use crate::policy::variables;
use std::borrow::Cow;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// Applies all, in order; `None`: one had no result.
pub fn all<'a>(mut sample: Sample<'a>, converters: &'a [Converter], scope: &'a Scope) -> Option<Sample<'a>> {
    for converter in converters {
        sample = one(sample.cast(converter.input)?, &converter.step, scope)?;
    }
    Some(sample)
}

fn one<'a>(sample: Sample<'a>, step: &'a Step, scope: &'a Scope) -> Option<Sample<'a>> {
    match sample {
        sample if matches!(step, Step::Table(_)) => of_any(sample, step, scope),
        Sample::Integer(number) => of_integer(number, step, scope),
        Sample::Bool(truth) if matches!(step, Step::Choose { .. }) => of_bool(truth, step),
        Sample::Address(address) if matches!(step, Step::IpMask(..)) => masked(address, step),
        Sample::Text(text) => of_text(text, step, scope),
        Sample::Binary(binary) => of_binary(binary, step, scope),
        other => of_any(other, step, scope),
    }
}

fn of_bool<'a>(truth: bool, step: &'a Step) -> Option<Sample<'a>> {
    match step {
        Step::Choose { yes, no } => Some(Sample::text(if truth { yes } else { no })),
        _ => None,
    }
}

fn of_integer<'a>(number: i64, step: &'a Step, scope: &'a Scope) -> Option<Sample<'a>> {
    Some(match step {
        Step::Arithmetic(of, operand) => {
            let operand = match operand {
                Operand::Number(number) => *number,
                Operand::Variable(name) => internal::integer_variable(name, scope)?,
            };
            Sample::Integer(calculate(*of, number, operand))
        }
        Step::Negate => Sample::Integer(number.wrapping_neg()),
        Step::Complement => Sample::Integer(!number),
        Step::IsOdd => Sample::Bool(number & 1 == 1),
        Step::IsEven => Sample::Bool(number & 1 == 0),
        Step::IsNonZero => Sample::Bool(number != 0),
        Step::IsZero => Sample::Bool(number == 0),
        Step::NetworkOrder => Sample::Binary(Cow::Owned((number as u32).to_be_bytes().to_vec())),
        Step::HttpDate { offset, unit } => Sample::owned_text(time::http_date(number.saturating_add(*offset), *unit)?),
        Step::FormatTime { format, offset, is_local } => {
            Sample::owned_text(time::format(format, number.saturating_add(*offset), *is_local)?)
        }
        _ => return of_any(Sample::Integer(number), step, scope),
    })
}

/// Results are bounded to 64 bits where HAProxy bounds them.
fn calculate(of: Arithmetic, left: i64, right: i64) -> i64 {
    match of {
        Arithmetic::Add => left.saturating_add(right),
        Arithmetic::Subtract => left.saturating_sub(right),
        Arithmetic::Multiply => left.saturating_mul(right),
        Arithmetic::Divide if right == 0 => i64::MAX,
        Arithmetic::Divide => left.saturating_div(right),
        Arithmetic::Remainder => left.checked_rem(right).unwrap_or(0),
        Arithmetic::And => left & right,
        Arithmetic::Or => left | right,
        Arithmetic::ExclusiveOr => left ^ right,
    }
}

fn masked(address: IpAddr, step: &Step) -> Option<Sample<'static>> {
    let Step::IpMask(mask4, mask6) = step else { return None };
    match address {
        IpAddr::V4(four) => Some(Sample::Address((four & *mask4).into())),
        IpAddr::V6(six) => match (six.to_ipv4_mapped(), mask6) {
            (_, Some(mask)) => Some(Sample::Address((six & *mask).into())),
            (Some(four), None) => Some(Sample::Address((four & *mask4).into())),
            (None, None) => None,
        },
    }
}

fn of_text<'a>(text: Cow<'a, [u8]>, step: &'a Step, scope: &'a Scope) -> Option<Sample<'a>> {
    Some(match step {
        Step::Lower => Sample::Text(texts::changed(text, u8::is_ascii_uppercase, u8::to_ascii_lowercase)),
        Step::Upper => Sample::Text(texts::changed(text, u8::is_ascii_lowercase, u8::to_ascii_uppercase)),
        Step::Length => Sample::Integer(text.len() as i64),
        Step::CutAtLineEnd => {
            let end = memchr::memchr2(b'\r', b'\n', &text).unwrap_or(text.len());
            Sample::Text(texts::cut(text, 0, end))
        }
        Step::TrimStart(set) => {
            let start = text.iter().position(|byte| !set.contains(byte)).unwrap_or(text.len());
            let end = text.len();
            Sample::Text(texts::cut(text, start, end))
        }
        Step::TrimEnd(set) => {
            let end = text.iter().rposition(|byte| !set.contains(byte)).map_or(0, |at| at + 1);
            Sample::Text(texts::cut(text, 0, end))
        }
        Step::Piece { index, delimiters, count, are_delimiters_skipped } => {
            let (start, end) = texts::piece(&text, *index, delimiters, *count, *are_delimiters_skipped)?;
            Sample::Text(texts::cut(text, start, end))
        }
        Step::Concatenate { delimiter, start, variable, end } => {
            let variable = variable.as_ref().and_then(|name| internal::text_variable(name, scope)).unwrap_or_default();
            Sample::owned_text(texts::concatenate(text, delimiter.as_deref(), [start, &variable, end]))
        }
        Step::Replace { regex, with, is_global } => Sample::Text(texts::replace(text, regex, with, *is_global)),
        Step::Compare(name) => {
            let other = internal::text_variable(name, scope)?;
            Sample::Integer(texts::compare(&text, &other))
        }
        Step::HexToInteger => Sample::Integer(bytes::hex_to_integer(&text)?),
        Step::Base64Decode => Sample::Binary(Cow::Owned(bytes::decode_base64(&text)?)),
        Step::Base64UrlDecode => Sample::Binary(Cow::Owned(bytes::decode_base64_url(&text)?)),
        Step::Json(input) => Sample::owned_text(json::escape(&text, *input)?),
        Step::JsonQuery { path, is_integer } => json::query(&text, path, *is_integer)?,
        Step::UrlDecode { is_form } => Sample::Text(texts::url_decode(text, *is_form)?),
        Step::UrlEncode => Sample::Text(texts::url_encode(text)),
        Step::HostOnly => {
            let end = texts::host_end(&text);
            Sample::Text(texts::changed(texts::cut(text, 0, end), u8::is_ascii_uppercase, u8::to_ascii_lowercase))
        }
        Step::PortOnly => Sample::Integer(texts::port(&text)),
        Step::Language { values, default } => Sample::text(texts::language(&text, values).or(default.as_deref())?),
        Step::UsableServers => {
            let backend = scope.shared.config.backend_named(std::str::from_utf8(&text).ok()?)?;
            Sample::Integer(figures::usable_servers(backend, scope))
        }
        Step::ServerQueue => {
            let text = std::str::from_utf8(&text).ok()?;
            let server = match text.split_once('/') {
                Some((backend, server)) => figures::server_named(Some(backend), server, scope),
                None => figures::server_named(None, text, scope),
            };
            let queued = &scope.shared.server(server?).queued;
            Sample::Integer(i64::from(queued.load(std::sync::atomic::Ordering::Relaxed)))
        }
        _ => return of_any(Sample::Text(text), step, scope),
    })
}

fn of_binary<'a>(binary: Cow<'a, [u8]>, step: &'a Step, scope: &'a Scope) -> Option<Sample<'a>> {
    Some(match step {
        Step::Bytes { offset, length } => {
            let offset = usize::try_from(*offset).unwrap_or(usize::MAX);
            let length = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
            let end = offset.saturating_add(length).min(binary.len());
            Sample::Binary(texts::cut(binary, offset, end))
        }
        Step::SecureCompare(name) => {
            let other = variables::get(name, scope)?;
            let other = Sample::of_value(&other).into_binary();
            Sample::Bool(binary.ct_eq(&other).into())
        }
        Step::Hex => Sample::owned_text(bytes::hex(&binary)),
        Step::ToDecimals(grouping) => Sample::owned_text(bytes::to_decimals(&binary, grouping)),
        Step::ToHex(grouping) => Sample::owned_text(bytes::to_hex(&binary, grouping)),
        Step::Base64 => Sample::owned_text(bytes::base64(&binary)),
        Step::Base64Url => Sample::owned_text(bytes::base64_url(&binary)),
        Step::Hash(kind) => Sample::Integer(digests::hash(*kind, &binary)),
        Step::Digest(kind) => Sample::Binary(Cow::Owned(digests::digest(*kind, &binary))),
        Step::Hmac(kind, key) => Sample::Binary(Cow::Owned(digests::hmac(*kind, key, &binary, scope)?)),
        Step::MqttIsValid => Sample::Bool(mqtt::is_valid(&binary)?),
        Step::MqttField(field) => mqtt::field(&binary, *field)?.into_owned(),
        Step::FixIsValid => Sample::Bool(fix::is_valid(&binary)?),
        Step::FixTag(tag) => Sample::Binary(Cow::Owned(fix::tag_value(&binary, *tag)?.to_vec())),
        _ => return of_any(Sample::Binary(binary), step, scope),
    })
}

/// What takes any type.
fn of_any<'a>(sample: Sample<'a>, step: &'a Step, scope: &'a Scope) -> Option<Sample<'a>> {
    match step {
        Step::Map(of) => maps::look_up(of, sample, scope),
        Step::Table(of) => stick_tables::look_up(of, sample, scope),
        Step::SetVariable(name, conditions) => {
            if !may_set(name, &sample, *conditions, scope) {
                return None;
            }
            variables::set(name, &sample, scope);
            Some(sample)
        }
        Step::UnsetVariable(name) => {
            variables::unset(name, scope);
            Some(sample)
        }
        Step::Choose { .. } => of_bool(sample.as_bool()?, step),
        Step::IpMask(..) => masked(sample.as_address()?, step),
        _ => None,
    }
}

/// Whether the conditions of `set-var` hold (also those of the rules of that name).
pub fn may_set(name: &VariableName, sample: &Sample, conditions: SetConditions, scope: &Scope) -> bool {
    let is_empty = match sample {
        Sample::Text(bytes) | Sample::Binary(bytes) | Sample::Method(bytes) => Some(bytes.is_empty()),
        _ => None,
    };
    let is_process = name.scope == crate::config::model::VariableScope::Process;
    let present = variables::get(name, scope);
    let is_set = present.is_some();
    // Names of the scope `proc` exist from the start, set or not.
    let exists = is_set || is_process;
    let numbers = match (&present, sample) {
        (Some(crate::config::model::Value::Integer(old)), Sample::Integer(new)) => Some((*old, *new)),
        _ => None,
    };
    (!conditions.if_exists || exists)
        && (!conditions.if_not_exists || !exists)
        && (!conditions.if_empty || is_empty == Some(true))
        && (!conditions.if_not_empty || is_empty != Some(true))
        && (!conditions.if_set || is_set)
        && (!conditions.if_not_set || !is_set)
        && (!conditions.if_greater || numbers.is_none_or(|(old, new)| old > new))
        && (!conditions.if_less || numbers.is_none_or(|(old, new)| old < new))
}
