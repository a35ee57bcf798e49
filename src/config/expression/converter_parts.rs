//! From a converter's arguments to what is kept of them.

use super::super::model::*;
use super::super::pattern_files::{self, Use};
use super::arguments::Arguments;
use super::fetch_parts::{unit, variable_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::{Ipv4Addr, Ipv6Addr};

pub fn arithmetic(of: Arithmetic, arguments: &Arguments) -> Result<Step, String> {
    let text = arguments.text(0).unwrap_or_default();
    // A number may begin with a sign; a name cannot.
    let operand = match text.parse() {
        Ok(number) => Operand::Number(number),
        Err(_) if text.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '+') => {
            return Err(format!("'{text}' is no 64-bit integer"));
        }
        Err(_) => Operand::Variable(variable_name(text)?),
    };
    Ok(Step::Arithmetic(of, operand))
}

pub fn bytes(arguments: &Arguments) -> Result<Step, String> {
    let (offset, length) = (arguments.integer(0).unwrap_or(0), arguments.integer(1));
    if offset < 0 || length.is_some_and(|length| length < 0) {
        return Err("an offset and a length cannot be negative".to_owned());
    }
    Ok(Step::Bytes { offset, length })
}

pub fn piece(arguments: &Arguments, are_delimiters_skipped: bool) -> Result<Step, String> {
    let index = arguments.integer(0).unwrap_or(0);
    if index == 0 {
        return Err("the index counts from 1, or from -1 for the last".to_owned());
    }
    let delimiters = arguments.bytes(1);
    let count = arguments.integer(2).unwrap_or(1);
    if count < 0 {
        return Err("the count cannot be negative".to_owned());
    }
    Ok(Step::Piece { index, delimiters, count, are_delimiters_skipped })
}

pub fn concat(arguments: &Arguments) -> Result<Step, String> {
    let variable = arguments.written(1).map(variable_name).transpose()?;
    Ok(Step::Concatenate { delimiter: None, start: arguments.bytes(0), variable, end: arguments.bytes(2) })
}

pub fn add_item(arguments: &Arguments) -> Result<Step, String> {
    let variable = arguments.written(1).map(variable_name).transpose()?;
    let end = arguments.bytes(2);
    if variable.is_none() && end.is_empty() {
        return Err("a variable or a suffix is needed behind the delimiter".to_owned());
    }
    Ok(Step::Concatenate { delimiter: Some(arguments.bytes(0)), start: Box::default(), variable, end })
}

pub fn regsub(arguments: &Arguments) -> Result<Step, String> {
    let (source, flags) = (arguments.text(0).unwrap_or_default(), arguments.text(2).unwrap_or_default());
    if let Some(other) = flags.chars().find(|flag| !"gi".contains(*flag)) {
        return Err(format!("unexpected flag '{other}': 'g' replaces all, 'i' ignores case"));
    }
    let regex = regex::bytes::RegexBuilder::new(source)
        .case_insensitive(flags.contains('i'))
        .unicode(false)
        .build()
        .map_err(|error| format!("bad regular expression '{source}': {}", last_line(&error.to_string())))?;
    Ok(Step::Replace { regex, with: arguments.bytes(1), is_global: flags.contains('g') })
}

/// What the regex crate says in its last line; the others draw the place.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

pub fn grouping(arguments: &Arguments, group_bytes_max: usize) -> Result<Grouping, String> {
    let group_bytes = arguments.integer(1).unwrap_or(0);
    let group_bytes = usize::try_from(group_bytes)
        .ok()
        .filter(|bytes| *bytes <= group_bytes_max)
        .ok_or_else(|| format!("the chunk size is at most {group_bytes_max} and not negative, got '{group_bytes}'"))?;
    let is_truncated = arguments.integer(2).unwrap_or(0) != 0;
    let separator = arguments.bytes(0);
    if group_bytes == 0 && (is_truncated || !separator.is_empty()) {
        return Err("a separator and truncation need a chunk size of at least 1".to_owned());
    }
    Ok(Grouping { separator, group_bytes, is_truncated })
}

pub fn decimals(arguments: &Arguments) -> Result<Step, String> {
    let grouping = grouping(arguments, 8)?;
    if grouping.group_bytes == 0 {
        return Err("the chunk size must be at least 1".to_owned());
    }
    Ok(Step::ToDecimals(grouping))
}

pub fn json(arguments: &Arguments) -> Result<Step, String> {
    let utf8 =
        |are_errors_skipped, are_overlong_forms_read| JsonInput::Utf8 { are_errors_skipped, are_overlong_forms_read };
    Ok(Step::Json(match arguments.text(0).unwrap_or_default() {
        "" | "ascii" => JsonInput::Ascii,
        "utf8" => utf8(false, false),
        "utf8s" => utf8(true, false),
        "utf8p" => utf8(false, true),
        "utf8ps" => utf8(true, true),
        other => {
            return Err(format!("unexpected input code '{other}': write ascii, utf8, utf8s, utf8p or utf8ps"));
        }
    }))
}

pub fn json_query(arguments: &Arguments) -> Result<Step, String> {
    let is_integer = match arguments.text(1) {
        None | Some("") => false,
        Some("int") => true,
        Some(other) => return Err(format!("output_type only supports 'int', got '{other}'")),
    };
    Ok(Step::JsonQuery { path: json_path(arguments.text(0).unwrap_or_default())?.into(), is_integer })
}

/// `$.key.other[2].dotted\.key`
fn json_path(text: &str) -> Result<Vec<JsonStep>, String> {
    let wrong = |what: &str| format!("bad JSON path '{text}': {what}; a path looks like $.key or $.list[0].key");
    let mut characters = text.strip_prefix('$').ok_or_else(|| wrong("it does not begin with '$'"))?.chars().peekable();
    let mut steps = Vec::new();
    while let Some(first) = characters.next() {
        match first {
            '.' => {
                let mut key = String::new();
                while let Some(character) = characters.next_if(|next| !matches!(next, '.' | '[')) {
                    let escaped = (character == '\\').then(|| characters.next()).flatten();
                    key.push(escaped.unwrap_or(character));
                }
                if key.is_empty() {
                    return Err(wrong("a key is missing"));
                }
                steps.push(JsonStep::Key(key));
            }
            '[' => {
                let mut index = String::new();
                while let Some(character) = characters.next_if(|next| *next != ']') {
                    index.push(character);
                }
                if characters.next().is_none() {
                    return Err(wrong("']' is missing"));
                }
                steps.push(JsonStep::Index(index.parse().map_err(|_| wrong("an index is no number"))?));
            }
            _ => return Err(wrong("'.' or '[' is expected")),
        }
    }
    Ok(steps)
}

pub fn url_encode(arguments: &Arguments) -> Result<Step, String> {
    match arguments.text(0) {
        None | Some("" | "query") => Ok(Step::UrlEncode),
        Some(other) => Err(format!("unexpected encoding type '{other}': only 'query' is known")),
    }
}

pub fn ip_mask(arguments: &Arguments) -> Result<Step, String> {
    let four = arguments.text(0).unwrap_or_default();
    let wrong = |text: &str, example: &str| format!("'{text}' is no netmask; write it as {example}");
    let mask4 = match four.parse::<u32>() {
        Ok(bits @ 0..=32) => Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - bits).unwrap_or(0)),
        _ => four.parse().map_err(|_| wrong(four, "24 or 255.255.255.0"))?,
    };
    let mask6 = match arguments.written(1) {
        None => None,
        Some(six) => Some(match six.parse::<u32>() {
            Ok(bits @ 0..=128) => Ipv6Addr::from_bits(u128::MAX.checked_shl(128 - bits).unwrap_or(0)),
            _ => six.parse().map_err(|_| wrong(six, "64 or ffff:ffff::"))?,
        }),
    };
    Ok(Step::IpMask(mask4, mask6))
}

pub fn http_date(arguments: &Arguments) -> Result<Step, String> {
    Ok(Step::HttpDate { offset: arguments.integer(0).unwrap_or(0), unit: unit(arguments.text(1))? })
}

pub fn format_time(arguments: &Arguments, is_local: bool) -> Result<Step, String> {
    let format = arguments.text(0).unwrap_or_default().to_owned();
    Ok(Step::FormatTime { format, offset: arguments.integer(1).unwrap_or(0), is_local })
}

/// Whether the optional argument of a hash asks for the avalanche.
pub fn avalanche(arguments: &Arguments) -> bool {
    arguments.integer(0) == Some(1)
}

pub fn hash(of: HashKind) -> Result<Step, String> {
    Ok(Step::Hash(of))
}

pub fn sha2(arguments: &Arguments) -> Result<Step, String> {
    Ok(Step::Digest(match arguments.integer(0).unwrap_or(256) {
        224 => DigestKind::Sha224,
        256 => DigestKind::Sha256,
        384 => DigestKind::Sha384,
        512 => DigestKind::Sha512,
        other => return Err(format!("unsupported number of bits: '{other}'; write 224, 256, 384 or 512")),
    }))
}

fn digest_kind(name: &str) -> Result<DigestKind, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "md5" => DigestKind::Md5,
        "sha1" => DigestKind::Sha1,
        "sha224" => DigestKind::Sha224,
        "sha256" => DigestKind::Sha256,
        "sha384" => DigestKind::Sha384,
        "sha512" => DigestKind::Sha512,
        _ => return Err(format!("algorithm '{name}' is unknown: write md5, sha1, sha224, sha256, sha384 or sha512")),
    })
}

pub fn digest(arguments: &Arguments) -> Result<Step, String> {
    Ok(Step::Digest(digest_kind(arguments.text(0).unwrap_or_default())?))
}

pub fn hmac(arguments: &Arguments) -> Result<Step, String> {
    let kind = digest_kind(arguments.text(0).unwrap_or_default())?;
    let text = arguments.text(1).unwrap_or_default();
    // A scope and a dot make a variable: '.' is no base64.
    let key = match variable_name(text) {
        Ok(name) => TextOperand::Variable(name),
        Err(_) => match STANDARD.decode(text) {
            Ok(key) => TextOperand::Text(key.into()),
            Err(_) => return Err(format!("the key '{text}' is neither base64 nor a variable's name")),
        },
    };
    Ok(Step::Hmac(kind, key))
}

pub fn language(arguments: &Arguments) -> Result<Step, String> {
    let values = arguments.text(0).unwrap_or_default().split(';').map(|value| value.trim().as_bytes().into()).collect();
    Ok(Step::Language { values, default: arguments.text(1).map(|text| text.as_bytes().into()) })
}

pub fn set_variable(arguments: &Arguments) -> Result<Step, String> {
    let name = variable_name(arguments.text(0).unwrap_or_default())?;
    let mut conditions = SetConditions::default();
    for index in 1..=4 {
        let Some(word) = arguments.text(index) else { break };
        let flag = match word {
            "ifexists" => &mut conditions.if_exists,
            "ifnotexists" => &mut conditions.if_not_exists,
            "ifempty" => &mut conditions.if_empty,
            "ifnotempty" => &mut conditions.if_not_empty,
            "ifset" => &mut conditions.if_set,
            "ifnotset" => &mut conditions.if_not_set,
            "ifgt" => &mut conditions.if_greater,
            "iflt" => &mut conditions.if_less,
            _ => {
                return Err(format!(
                    "unknown condition '{word}': write ifexists, ifnotexists, ifempty, ifnotempty, ifset, ifnotset, \
                     ifgt or iflt"
                ));
            }
        };
        *flag = true;
    }
    Ok(Step::SetVariable(name, conditions))
}

pub fn unset_variable(arguments: &Arguments) -> Result<Step, String> {
    Ok(Step::UnsetVariable(variable_name(arguments.text(0).unwrap_or_default())?))
}

pub fn fix_tag(arguments: &Arguments) -> Result<Step, String> {
    let text = arguments.text(0).unwrap_or_default();
    Ok(Step::FixTag(match text {
        "BeginString" => 8,
        "BodyLength" => 9,
        "CheckSum" => 10,
        "MsgType" => 35,
        "SenderCompID" => 49,
        "TargetCompID" => 56,
        _ => text.parse().map_err(|_| format!("unknown FIX tag '{text}': write its number"))?,
    }))
}

pub fn mqtt_field(arguments: &Arguments) -> Result<Step, String> {
    let (packet, field) = (arguments.text(0).unwrap_or_default(), arguments.text(1).unwrap_or_default());
    let name = field.to_ascii_lowercase();
    let property = |known: &[u8]| {
        let number = field.parse::<u8>().ok().filter(|number| known.contains(number));
        number.ok_or_else(|| format!("packet type '{packet}' has no field or property '{field}'"))
    };
    Ok(Step::MqttField(match packet.to_ascii_lowercase().as_str() {
        "connect" | "1" => match name.as_str() {
            "flags" => MqttField::ConnectFlags,
            "protocol_name" => MqttField::ConnectProtocolName,
            "protocol_version" => MqttField::ConnectProtocolVersion,
            "client_identifier" => MqttField::ConnectClientIdentifier,
            "will_topic" => MqttField::ConnectWillTopic,
            "will_payload" => MqttField::ConnectWillPayload,
            "username" => MqttField::ConnectUsername,
            "password" => MqttField::ConnectPassword,
            "keepalive" => MqttField::ConnectKeepalive,
            _ => MqttField::ConnectProperty(property(&[17, 33, 39, 34, 25, 23, 21, 22, 24, 1, 2, 3, 8, 9, 18])?),
        },
        "connack" | "2" => match name.as_str() {
            "flags" => MqttField::ConnackFlags,
            "protocol_version" => MqttField::ConnackProtocolVersion,
            "reason_code" => MqttField::ConnackReasonCode,
            _ => {
                MqttField::ConnackProperty(property(&[17, 33, 36, 37, 39, 18, 34, 31, 40, 41, 42, 19, 26, 28, 21, 22])?)
            }
        },
        _ => return Err(format!("unsupported packet type '{packet}': only CONNECT (1) and CONNACK (2) can be read")),
    }))
}

/// `map_<match>_<output>(file[,default])`
pub fn map(arguments: &Arguments, method: MatchMethod, output: MapOutput, has_groups: bool) -> Result<Step, String> {
    let view = pattern_files::open(arguments.text(0).unwrap_or_default(), Use::map(output), method, false)?;
    let default = match (arguments.text(1), output) {
        (None, _) => None,
        (Some(text), MapOutput::Text) => Some(Value::Text(text.as_bytes().into())),
        (Some(text), MapOutput::Integer) => {
            let number = text.parse().map_err(|_| format!("the default '{text}' is no integer"))?;
            Some(Value::Integer(number))
        }
        (Some(text), MapOutput::Address) => {
            let address = text.parse().map_err(|_| format!("the default '{text}' is no address"))?;
            Some(Value::Address(address))
        }
    };
    Ok(Step::Map(MapUse { view, has_groups, output, default }))
}
