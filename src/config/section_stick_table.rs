//! `stick-table` (configuration.txt section 4.2).

use super::model::*;
use super::statement::{LineParser, Statement};
use super::suggest;
use super::values::{DefaultUnit, parse_integer, parse_size, parse_time, parse_u32};
use super::written::WrittenProxy;
use std::time::Duration;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[("stick-table", stick_table)];

/// What keys of type `string` and `binary` have without `len`. The 32 bytes of a text hold its end, too.
const TEXT_BYTES_DEFAULT: u32 = 31;
const BINARY_BYTES_DEFAULT: u32 = 32;
/// The longest time that HAProxy's clock can hold.
const TIME_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// A `stick-table` line of a section.
#[derive(Clone, Debug)]
pub struct WrittenStickTable {
    pub key: TableKeyType,
    pub size: u32,
    pub expire: Option<Duration>,
    pub nopurge: bool,
    pub data: Vec<StoredData>,
    pub location: Location,
}

fn stick_table(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(table) = &proxy.stick_table {
        let text = format!("stick-table name '{}' conflicts with the one declared at {}.", proxy.name, table.location);
        return statement.error(usize::MAX, text);
    }
    let (mut key, mut size, mut expire, mut nopurge, mut data) = (None, None, None, false, Vec::new());
    let mut index = 0;
    while !statement.text(index).is_empty() {
        let (word, value) = (statement.text(index), statement.text(index + 1));
        let used = match word {
            "type" => {
                let Some((read, used)) = key_type(statement, index + 1) else { return };
                key = Some(read);
                1 + used
            }
            "size" => {
                let Some(entries) = statement.accept(index + 1, parse_size(value, "size")) else { return };
                if entries == 0 {
                    return statement.error(index + 1, "size: a table needs room for one entry at least.");
                }
                size = Some(entries);
                2
            }
            "expire" => {
                let time = parse_time(value, DefaultUnit::Milliseconds, "expire");
                let Some(time) = statement.accept(index + 1, time) else { return };
                if time.is_zero() || time > TIME_MAX {
                    return statement.error(index + 1, "expire: a time from 1ms to 24 days is expected.");
                }
                expire = Some(time);
                2
            }
            "nopurge" => {
                nopurge = true;
                1
            }
            "store" => {
                for part in split(value) {
                    let Some(part) = statement.accept(index + 1, stored(part)) else { return };
                    add(statement, index + 1, part, &mut data);
                }
                if value.is_empty() {
                    return statement.error(index, "store: missing data type.");
                }
                2
            }
            "peers" => {
                let text = "stick tables are not shared between balancers yet: leave 'peers' out.";
                return statement.error(index, text);
            }
            "srvkey" => {
                // Names servers towards peers; without peers nobody reads it.
                if !matches!(value, "name" | "addr") {
                    return statement.error(index + 1, format!("srvkey: 'name' or 'addr' is expected, not '{value}'."));
                }
                2
            }
            other => {
                let known = ["type", "size", "expire", "nopurge", "store", "srvkey"];
                let near = suggest::nearest(other, known.into_iter());
                let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
                return statement.error(index, format!("unknown argument '{other}'{near}"));
            }
        };
        index += used;
    }
    let Some(key) = key else { return statement.error(usize::MAX, "missing type: write 'type ip', for example.") };
    let Some(size) = size else { return statement.error(usize::MAX, "missing size: write 'size 100k', for example.") };
    exclude(statement, &data);
    proxy.stick_table = Some(WrittenStickTable { key, size, expire, nopurge, data, location: statement.location() });
}

/// The type and `len` behind it, and the number of words.
fn key_type(statement: &mut Statement, index: usize) -> Option<(TableKeyType, usize)> {
    let length = match statement.text(index + 1) {
        "len" => {
            let length = parse_u32(statement.text(index + 2), 1, 1 << 16, "len");
            Some(statement.accept(index + 2, length)?)
        }
        _ => None,
    };
    let words = if length.is_some() { 3 } else { 1 };
    Some(match (statement.text(index), length) {
        ("ip", None) => (TableKeyType::Ip, 1),
        ("ipv6", None) => (TableKeyType::Ipv6, 1),
        ("integer", None) => (TableKeyType::Integer, 1),
        ("string", length) => (TableKeyType::Text { bytes_max: length.unwrap_or(TEXT_BYTES_DEFAULT) }, words),
        ("binary", length) => (TableKeyType::Binary { bytes: length.unwrap_or(BINARY_BYTES_DEFAULT) }, words),
        (name @ ("ip" | "ipv6" | "integer"), Some(_)) => {
            statement.error(index + 1, format!("a key of type '{name}' has no length."));
            return None;
        }
        (other, _) => {
            let text = format!("unknown type '{other}'; expected 'ip', 'ipv6', 'integer', 'string' or 'binary'.");
            statement.error(index, text);
            return None;
        }
    })
}

/// At commas that stand outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0usize);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.extend(text.get(start..index));
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts.retain(|part| !part.is_empty());
    parts
}

/// One data type with its arguments.
fn stored(text: &str) -> Result<StoredData, String> {
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(inside) => (name, inside.split(',').collect()),
            None => return Err(format!("store: missing ')' in '{text}'")),
        },
        None => (text, Vec::new()),
    };
    let Some(kind) = TableDataKind::ALL.iter().find(|kind| kind.name() == name).copied() else {
        let near = suggest::nearest(name, TableDataKind::ALL.iter().map(|kind| kind.name()));
        let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        return Err(format!("unknown store option '{name}'{near}"));
    };
    let form = kind.form();
    let wanted = usize::from(form.is_rate()) + usize::from(form.is_array());
    if arguments.len() < wanted {
        let example = match (form.is_array(), form.is_rate()) {
            (true, true) => "(2,10s)",
            (true, false) => "(2)",
            _ => "(10s)",
        };
        return Err(format!("missing argument to store option '{name}': write {name}{example}, for example"));
    }
    if arguments.len() > wanted {
        return Err(format!("unexpected argument to store option '{text}'"));
    }
    let argument = |index: usize| arguments.get(index).copied().unwrap_or_default();
    let elements =
        if form.is_array() { parse_integer(argument(0), 1, i64::from(ARRAY_ELEMENTS_MAX), name)? as u32 } else { 1 };
    let period_ms = if form.is_rate() {
        let time = parse_time(argument(wanted - 1), DefaultUnit::Milliseconds, name)?;
        u32::try_from(time.as_millis())
            .ok()
            .filter(|period_ms| (1..=i32::MAX as u32).contains(period_ms))
            .ok_or_else(|| format!("'{name}' expects a period from 1ms to 24 days"))?
    } else {
        0
    };
    Ok(StoredData { kind, elements, period_ms })
}

fn add(statement: &mut Statement, index: usize, part: StoredData, data: &mut Vec<StoredData>) {
    if data.iter().any(|other| other.kind == part.kind) {
        let name = part.kind.name();
        return statement.warning(index, format!("store option '{name}' already enabled, ignored."));
    }
    data.push(part);
}

/// The arrays stand in for the single ones.
fn exclude(statement: &mut Statement, data: &[StoredData]) {
    use TableDataKind::*;
    let has = |kind: TableDataKind| data.iter().any(|data| data.kind == kind);
    for (array, singles) in [(Gpc, &[Gpc0, Gpc1][..]), (GpcRate, &[Gpc0Rate, Gpc1Rate][..]), (Gpt, &[Gpt0][..])] {
        if let Some(single) = singles.iter().find(|single| has(array) && has(**single)) {
            let text = format!(
                "'{}' and '{}' cannot be stored in one table: the first elements of the array are the same.",
                array.name(),
                single.name()
            );
            statement.error(usize::MAX, text);
        }
    }
}
