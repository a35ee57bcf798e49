//! Every converter: its arguments, what it takes and gives (HAProxy 2.6: `haproxy -dKcnv`).

use super::super::model::*;
use super::Make;
use super::arguments::Kind::{self, Integer as I, Text as T};
use super::converter_parts::*;
use super::fetch_parts::variable_name;
use super::stick_table_rows::{LOOKUPS, OTHER_LOOKUPS};
use SampleType::{Address, Any, Binary, Bool, Integer, Text};

/// One converter.
pub struct ConverterRow {
    pub name: &'static str,
    pub kinds: &'static [Kind],
    pub required: usize,
    pub input: SampleType,
    pub output: SampleType,
    pub make: Make<Step>,
}

const fn row(
    name: &'static str,
    (kinds, required): (&'static [Kind], usize),
    (input, output): (SampleType, SampleType),
    make: Make<Step>,
) -> ConverterRow {
    ConverterRow { name, kinds, required, input, output, make }
}

pub fn find(name: &str) -> Option<&'static ConverterRow> {
    rows().find(|row| row.name == name)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    rows().map(|row| row.name)
}

fn rows() -> impl Iterator<Item = &'static ConverterRow> {
    ROWS.iter().chain(MAPS).chain(LOOKUPS).chain(OTHER_LOOKUPS)
}

const NO_ARGUMENTS: (&[Kind], usize) = (&[], 0);
/// An optional number.
const NUMBER: (&[Kind], usize) = (&[I], 0);
const ONE: (&[Kind], usize) = (&[T], 1);
const IN_INTEGER: (SampleType, SampleType) = (Integer, Integer);
const HASHED: (SampleType, SampleType) = (Binary, Integer);

/// A file and a default.
const MAP: (&[Kind], usize) = (&[T, T], 1);

const ROWS: &[ConverterRow] = &[
    row("add", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::Add, a)),
    row("add_item", (&[T, T, T], 2), (Text, Text), add_item),
    row("and", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::And, a)),
    row("b64dec", NO_ARGUMENTS, (Text, Binary), |_| Ok(Step::Base64Decode)),
    row("base64", NO_ARGUMENTS, (Binary, Text), |_| Ok(Step::Base64)),
    row("be2dec", (&[T, I, I], 1), (Binary, Text), decimals),
    row("be2hex", (&[T, I, I], 0), (Binary, Text), |a| Ok(Step::ToHex(grouping(a, usize::MAX)?))),
    row("bool", NO_ARGUMENTS, (Integer, Bool), |_| Ok(Step::IsNonZero)),
    row("bytes", (&[I, I], 1), (Binary, Binary), bytes),
    row("concat", (&[T, T, T], 0), (Text, Text), concat),
    row("cpl", NO_ARGUMENTS, IN_INTEGER, |_| Ok(Step::Complement)),
    row("crc32", NUMBER, HASHED, |a| hash(HashKind::Crc32 { avalanche: avalanche(a) })),
    row("crc32c", NUMBER, HASHED, |a| hash(HashKind::Crc32c { avalanche: avalanche(a) })),
    row("cut_crlf", NO_ARGUMENTS, (Text, Text), |_| Ok(Step::CutAtLineEnd)),
    row("digest", ONE, (Binary, Binary), digest),
    row("div", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::Divide, a)),
    row("djb2", NUMBER, HASHED, |a| hash(HashKind::Djb2 { avalanche: avalanche(a) })),
    row("even", NO_ARGUMENTS, (Integer, Bool), |_| Ok(Step::IsEven)),
    row("field", (&[I, T, I], 2), (Text, Text), |a| piece(a, false)),
    row("fix_is_valid", NO_ARGUMENTS, (Binary, Bool), |_| Ok(Step::FixIsValid)),
    row("fix_tag_value", ONE, (Binary, Binary), fix_tag),
    row("hex", NO_ARGUMENTS, (Binary, Text), |_| Ok(Step::Hex)),
    row("hex2i", NO_ARGUMENTS, (Text, Integer), |_| Ok(Step::HexToInteger)),
    row("hmac", (&[T, T], 2), (Binary, Binary), hmac),
    row("host_only", NO_ARGUMENTS, (Text, Text), |_| Ok(Step::HostOnly)),
    row("htonl", NO_ARGUMENTS, (Integer, Binary), |_| Ok(Step::NetworkOrder)),
    row("http_date", (&[I, T], 0), (Integer, Text), http_date),
    row("iif", (&[T, T], 2), (Bool, Text), |a| Ok(Step::Choose { yes: a.bytes(0), no: a.bytes(1) })),
    row("ipmask", (&[T, T], 1), (Address, Address), ip_mask),
    row("json", (&[T], 0), (Text, Text), json),
    row("json_query", (&[T, T], 1), (Text, Any), json_query),
    row("language", (&[T, T], 1), (Text, Text), language),
    row("length", NO_ARGUMENTS, (Text, Integer), |_| Ok(Step::Length)),
    row("lower", NO_ARGUMENTS, (Text, Text), |_| Ok(Step::Lower)),
    row("ltime", (&[T, I], 1), (Integer, Text), |a| format_time(a, true)),
    row("ltrim", ONE, (Text, Text), |a| Ok(Step::TrimStart(a.bytes(0)))),
    row("mod", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::Remainder, a)),
    row("mqtt_field_value", (&[T, T], 2), (Binary, Text), mqtt_field),
    row("mqtt_is_valid", NO_ARGUMENTS, (Binary, Bool), |_| Ok(Step::MqttIsValid)),
    row("mul", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::Multiply, a)),
    row("nbsrv", NO_ARGUMENTS, (Text, Integer), |_| Ok(Step::UsableServers)),
    row("neg", NO_ARGUMENTS, IN_INTEGER, |_| Ok(Step::Negate)),
    row("not", NO_ARGUMENTS, (Integer, Bool), |_| Ok(Step::IsZero)),
    row("odd", NO_ARGUMENTS, (Integer, Bool), |_| Ok(Step::IsOdd)),
    row("or", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::Or, a)),
    row("port_only", NO_ARGUMENTS, (Text, Integer), |_| Ok(Step::PortOnly)),
    row("regsub", (&[T, T, T], 2), (Text, Text), regsub),
    row("rtrim", ONE, (Text, Text), |a| Ok(Step::TrimEnd(a.bytes(0)))),
    row("sdbm", NUMBER, HASHED, |a| hash(HashKind::Sdbm { avalanche: avalanche(a) })),
    row("secure_memcmp", ONE, (Binary, Bool), |a| Ok(Step::SecureCompare(variable(a)?))),
    row("set-var", (&[T, T, T, T, T], 1), (Any, Any), set_variable),
    row("sha1", NO_ARGUMENTS, (Binary, Binary), |_| Ok(Step::Digest(DigestKind::Sha1))),
    row("sha2", NUMBER, (Binary, Binary), sha2),
    row("srv_queue", NO_ARGUMENTS, (Text, Integer), |_| Ok(Step::ServerQueue)),
    row("strcmp", ONE, (Text, Integer), |a| Ok(Step::Compare(variable(a)?))),
    row("sub", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::Subtract, a)),
    row("ub64dec", NO_ARGUMENTS, (Text, Binary), |_| Ok(Step::Base64UrlDecode)),
    row("ub64enc", NO_ARGUMENTS, (Binary, Text), |_| Ok(Step::Base64Url)),
    row("unset-var", ONE, (Any, Any), unset_variable),
    row("upper", NO_ARGUMENTS, (Text, Text), |_| Ok(Step::Upper)),
    row("url_dec", NUMBER, (Text, Text), |a| Ok(Step::UrlDecode { is_form: a.integer(0).unwrap_or(0) != 0 })),
    row("url_enc", (&[T], 0), (Text, Text), url_encode),
    row("utime", (&[T, I], 1), (Integer, Text), |a| format_time(a, false)),
    row("word", (&[I, T, I], 2), (Text, Text), |a| piece(a, true)),
    row("wt6", NUMBER, HASHED, |a| hash(HashKind::Wt6 { avalanche: avalanche(a) })),
    row("xor", ONE, IN_INTEGER, |a| arithmetic(Arithmetic::ExclusiveOr, a)),
    row("xxh3", NUMBER, HASHED, |a| hash(HashKind::Xxh3 { seed: a.integer(0).unwrap_or(0) as u64 })),
    row("xxh32", NUMBER, HASHED, |a| hash(HashKind::Xxh32 { seed: a.integer(0).unwrap_or(0) as u32 })),
    row("xxh64", NUMBER, HASHED, |a| hash(HashKind::Xxh64 { seed: a.integer(0).unwrap_or(0) as u64 })),
];

/// configuration.txt section 7.3.1, `map`
const MAPS: &[ConverterRow] = &[
    row("map", MAP, (Text, Text), |a| map(a, MatchMethod::Exact, MapOutput::Text, false)),
    row("map_beg", MAP, (Text, Text), |a| map(a, MatchMethod::Begin, MapOutput::Text, false)),
    row("map_beg_int", MAP, (Text, Integer), |a| map(a, MatchMethod::Begin, MapOutput::Integer, false)),
    row("map_beg_ip", MAP, (Text, Address), |a| map(a, MatchMethod::Begin, MapOutput::Address, false)),
    row("map_dir", MAP, (Text, Text), |a| map(a, MatchMethod::Directory, MapOutput::Text, false)),
    row("map_dir_int", MAP, (Text, Integer), |a| map(a, MatchMethod::Directory, MapOutput::Integer, false)),
    row("map_dir_ip", MAP, (Text, Address), |a| map(a, MatchMethod::Directory, MapOutput::Address, false)),
    row("map_dom", MAP, (Text, Text), |a| map(a, MatchMethod::Domain, MapOutput::Text, false)),
    row("map_dom_int", MAP, (Text, Integer), |a| map(a, MatchMethod::Domain, MapOutput::Integer, false)),
    row("map_dom_ip", MAP, (Text, Address), |a| map(a, MatchMethod::Domain, MapOutput::Address, false)),
    row("map_end", MAP, (Text, Text), |a| map(a, MatchMethod::End, MapOutput::Text, false)),
    row("map_end_int", MAP, (Text, Integer), |a| map(a, MatchMethod::End, MapOutput::Integer, false)),
    row("map_end_ip", MAP, (Text, Address), |a| map(a, MatchMethod::End, MapOutput::Address, false)),
    row("map_int", MAP, (Integer, Text), |a| map(a, MatchMethod::Integer, MapOutput::Text, false)),
    row("map_int_int", MAP, (Integer, Integer), |a| map(a, MatchMethod::Integer, MapOutput::Integer, false)),
    row("map_int_ip", MAP, (Integer, Address), |a| map(a, MatchMethod::Integer, MapOutput::Address, false)),
    row("map_ip", MAP, (Address, Text), |a| map(a, MatchMethod::Address, MapOutput::Text, false)),
    row("map_ip_int", MAP, (Address, Integer), |a| map(a, MatchMethod::Address, MapOutput::Integer, false)),
    row("map_ip_ip", MAP, (Address, Address), |a| map(a, MatchMethod::Address, MapOutput::Address, false)),
    row("map_reg", MAP, (Text, Text), |a| map(a, MatchMethod::Regex, MapOutput::Text, false)),
    row("map_reg_int", MAP, (Text, Integer), |a| map(a, MatchMethod::Regex, MapOutput::Integer, false)),
    row("map_reg_ip", MAP, (Text, Address), |a| map(a, MatchMethod::Regex, MapOutput::Address, false)),
    row("map_str", MAP, (Text, Text), |a| map(a, MatchMethod::Exact, MapOutput::Text, false)),
    row("map_str_int", MAP, (Text, Integer), |a| map(a, MatchMethod::Exact, MapOutput::Integer, false)),
    row("map_str_ip", MAP, (Text, Address), |a| map(a, MatchMethod::Exact, MapOutput::Address, false)),
    row("map_sub", MAP, (Text, Text), |a| map(a, MatchMethod::Substring, MapOutput::Text, false)),
    row("map_sub_int", MAP, (Text, Integer), |a| map(a, MatchMethod::Substring, MapOutput::Integer, false)),
    row("map_sub_ip", MAP, (Text, Address), |a| map(a, MatchMethod::Substring, MapOutput::Address, false)),
    row("map_regm", MAP, (Text, Text), |a| map(a, MatchMethod::Regex, MapOutput::Text, true)),
];

fn variable(arguments: &super::Arguments) -> Result<VariableName, String> {
    variable_name(arguments.text(0).unwrap_or_default())
}
