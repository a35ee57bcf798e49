//! Commands on stick tables (management.txt section 9.3: `show table`, `set table`, `clear table`).

use super::{Answer, RuntimeSession};
use crate::config::model::{RuntimeLevel, StickTable, TableDataKind, TableKeyType, TableLayout, TableSlot};
use crate::policy::sample::Sample;
use crate::policy::stick_tables::{TableKey, key_of};
use crate::session::local_context::LocalContext;
use crate::shared::Shared;
use crate::shared::stick_table::{Entry, StickTableState};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

const FILTERS_MAX: usize = 4;

/// `data.<type> <operator> <value>`
struct Filter {
    slot: TableSlot,
    operator: Operator,
    value: i64,
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
}

impl Operator {
    fn read(text: &str) -> Option<Operator> {
        Some(match text {
            "eq" => Operator::Equal,
            "ne" => Operator::NotEqual,
            "le" => Operator::LessOrEqual,
            "ge" => Operator::GreaterOrEqual,
            "lt" => Operator::Less,
            "gt" => Operator::Greater,
            _ => return None,
        })
    }
    fn holds(self, one: i64, other: i64) -> bool {
        match self {
            Operator::Equal => one == other,
            Operator::NotEqual => one != other,
            Operator::LessOrEqual => one <= other,
            Operator::GreaterOrEqual => one >= other,
            Operator::Less => one < other,
            Operator::Greater => one > other,
        }
    }
}

impl Filter {
    fn matches(&self, entry: &Entry, now_ms: u64) -> bool {
        let value = i64::try_from(entry.get(self.slot, now_ms)).unwrap_or(i64::MAX);
        self.operator.holds(value, self.value)
    }
}

/// Which entries a command is about.
enum Selection<'w> {
    All,
    Key(&'w str),
    Filters(Vec<Filter>),
}

type Table<'a> = (&'a StickTable, &'a Arc<StickTableState>);

fn find<'a>(name: &str, shared: &'a Shared) -> Option<Table<'a>> {
    shared.config.stick_tables.iter().zip(&shared.stick_tables).find(|(table, _)| table.name == name)
}

/// `data.gpc0`: what is stored under this name. The arrays are meant by their first element.
fn slot(word: &str, layout: &TableLayout) -> Option<Result<TableSlot, &'static str>> {
    let name = word.strip_prefix("data.")?;
    let Some(kind) = TableDataKind::ALL.iter().find(|kind| kind.name() == name) else {
        return Some(Err("Unknown data type"));
    };
    Some(layout.slot(*kind, 0).ok_or("Data type not stored in this table"))
}

/// Reads what stands behind the table's name.
fn selection<'w>(words: &[&'w str], layout: &TableLayout) -> Result<Selection<'w>, Answer> {
    match words {
        [] => Ok(Selection::All),
        ["key"] => Err(Answer::error("Key value expected")),
        ["key", key, ..] => Ok(Selection::Key(key)),
        [first, ..] if first.starts_with("data.") => {
            let mut filters = Vec::new();
            let mut rest = words;
            while let [word, behind @ ..] = rest {
                let number = filters.len() + 1;
                if number > FILTERS_MAX {
                    return Err(Answer::error(format!("Too many filters: at most {FILTERS_MAX}")));
                }
                let wrong = |text: &str| Answer::error(format!("Filter entry #{number}: {text}"));
                let slot = match slot(word, layout) {
                    Some(slot) => slot.map_err(wrong)?,
                    None => return Err(wrong("Data type expected: data.<store_data_type>")),
                };
                let operator = behind.first().and_then(|word| Operator::read(word));
                let Some(operator) = operator else {
                    return Err(wrong(r#"Require and operator among "eq", "ne", "le", "ge", "lt", "gt""#));
                };
                let value = behind.get(1).and_then(|value| value.parse().ok());
                let Some(value) = value else {
                    return Err(wrong("Require a valid integer value to compare against"));
                };
                filters.push(Filter { slot, operator, value });
                rest = behind.get(2..).unwrap_or_default();
            }
            Ok(Selection::Filters(filters))
        }
        _ => Err(Answer::error(
            r#"Optional argument only supports "data.<store_data_type>" <operator> <value> and key <key>"#,
        )),
    }
}

/// A key as it is written here.
fn key<'a>(text: &'a str, of: TableKeyType) -> Result<TableKey<'a>, Answer> {
    let invalid = || Answer::error("Invalid key");
    let sample = match of {
        // HAProxy takes what is no address for 0.0.0.0; an entry that nobody meant helps nobody.
        TableKeyType::Ip => Sample::Address(text.parse::<Ipv4Addr>().map_err(|_| invalid())?.into()),
        TableKeyType::Ipv6 => Sample::Address(text.parse::<Ipv6Addr>().map_err(|_| invalid())?.into()),
        TableKeyType::Integer => Sample::Integer(i64::from(text.parse::<u32>().map_err(|_| invalid())?)),
        TableKeyType::Text { .. } => Sample::text(text.as_bytes()),
        TableKeyType::Binary { .. } => {
            return Err(Answer::error(
                "Inserting keys into tables of type other than ip, ipv6, string and integer is not supported",
            ));
        }
    };
    key_of(sample, of).ok_or_else(invalid)
}

/// `show table [<table> [data.<type> <operator> <value>]* | [key <key>]]`
pub fn show(session: &RuntimeSession, words: &[&str], context: &LocalContext) -> Answer {
    let now_ms = context.now_us / 1_000;
    let mut output = String::new();
    let Some((name, words)) = words.split_first() else {
        let shared = context.shared;
        for table in shared.config.stick_tables.iter().zip(&shared.stick_tables).rev() {
            head(table, now_ms, &mut output);
        }
        return Answer::Dump(output);
    };
    let Some((table, state)) = find(name, context.shared) else { return Answer::error("No such table") };
    let selection = match selection(words, &table.layout) {
        Ok(selection) => selection,
        Err(answer) => return answer,
    };
    // Clients' keys may be passwords: only who may change them sees them.
    if session.level < RuntimeLevel::Operator {
        head((table, state), now_ms, &mut output);
        output.push_str("# contents not dumped due to insufficient privileges\n");
        return Answer::Dump(output);
    }
    match selection {
        Selection::Key(text) => {
            let key = match key(text, table.key) {
                Ok(key) => key,
                Err(answer) => return answer,
            };
            if let Some(entry) = state.get(&key, now_ms) {
                head((table, state), now_ms, &mut output);
                write_entry((table, state), &entry, now_ms, &mut output);
            }
        }
        Selection::All => {
            head((table, state), now_ms, &mut output);
            state.entries(now_ms).iter().for_each(|entry| write_entry((table, state), entry, now_ms, &mut output));
        }
        Selection::Filters(filters) => {
            head((table, state), now_ms, &mut output);
            let entries = state.entries(now_ms);
            let chosen = entries.iter().filter(|entry| filters.iter().all(|filter| filter.matches(entry, now_ms)));
            chosen.for_each(|entry| write_entry((table, state), entry, now_ms, &mut output));
        }
    }
    Answer::Dump(output)
}

fn head((table, state): Table, now_ms: u64, output: &mut String) {
    let (name, key) = (&table.name, table.key.name());
    let _ = writeln!(output, "# table: {name}, type: {key}, size:{}, used:{}", state.size(), state.purge(now_ms));
}

/// The address in front only tells two lines apart, as HAProxy's.
fn write_entry((table, state): Table, entry: &Arc<Entry>, now_ms: u64, output: &mut String) {
    let _ = write!(output, "{:p}: key=", Arc::as_ptr(entry));
    write_key(entry.key(), table.key, output);
    let _ = write!(output, " use={} exp={}", entry.trackers(), state.expires_in_ms(entry, now_ms));
    for data in table.layout.stored() {
        let name = data.kind.name();
        let is_array = data.kind.form().is_array();
        for element in 0..data.elements {
            let Some(slot) = table.layout.slot(data.kind, element) else { continue };
            let value = entry.get(slot, now_ms);
            // gpc0, gpc1 …, gpc0_rate, gpc1_rate …
            let (base, tail) = name.split_at(if is_array { 3 } else { name.len() });
            let number = if is_array { element.to_string() } else { String::new() };
            let _ = match slot.period_ms {
                Some(period_ms) => write!(output, " {base}{number}{tail}({period_ms})={value}"),
                None => write!(output, " {base}{number}{tail}={value}"),
            };
        }
    }
    output.push('\n');
}

fn write_key(key: &[u8], of: TableKeyType, output: &mut String) {
    match of {
        TableKeyType::Ip => {
            let octets = <[u8; 4]>::try_from(key).unwrap_or_default();
            let _ = write!(output, "{}", Ipv4Addr::from(octets));
        }
        TableKeyType::Ipv6 => {
            let octets = <[u8; 16]>::try_from(key).unwrap_or_default();
            let _ = write!(output, "{}", Ipv6Addr::from(octets));
        }
        TableKeyType::Integer => {
            let octets = <[u8; 4]>::try_from(key).unwrap_or_default();
            let _ = write!(output, "{}", u32::from_be_bytes(octets));
        }
        // Clients choose these: none may write a line of its own.
        TableKeyType::Text { .. } => {
            for byte in key {
                match byte {
                    b' ' | b'=' | b'\\' => {
                        let _ = write!(output, "\\{}", *byte as char);
                    }
                    0x21..=0x7e => output.push(*byte as char),
                    b'\n' => output.push_str("\\n"),
                    b'\r' => output.push_str("\\r"),
                    b'\t' => output.push_str("\\t"),
                    0x1b => output.push_str("\\e"),
                    _ => {
                        let _ = write!(output, "\\x{byte:02X}");
                    }
                }
            }
        }
        TableKeyType::Binary { .. } => {
            for byte in key {
                let _ = write!(output, "{byte:02X}");
            }
        }
    }
}

/// `clear table <table> [data.<type> <operator> <value>]* | [key <key>]`
pub fn clear(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let now_ms = context.now_us / 1_000;
    let Some((name, words)) = words.split_first() else {
        return Answer::error(
            r#"Required arguments: <table> "data.<store_data_type>" <operator> <value> or <table> key <key>"#,
        );
    };
    let Some((table, state)) = find(name, context.shared) else { return Answer::error("No such table") };
    let selection = match selection(words, &table.layout) {
        Ok(selection) => selection,
        Err(answer) => return answer,
    };
    match selection {
        Selection::Key(text) => {
            let key = match key(text, table.key) {
                Ok(key) => key,
                Err(answer) => return answer,
            };
            if let Some(entry) = state.get(&key, now_ms)
                && !state.remove(&entry)
            {
                return Answer::error("Entry currently in use, cannot remove");
            }
        }
        Selection::All => state.entries(now_ms).iter().for_each(|entry| {
            state.remove(entry);
        }),
        Selection::Filters(filters) => {
            for entry in state.entries(now_ms) {
                if filters.iter().all(|filter| filter.matches(&entry, now_ms)) {
                    state.remove(&entry);
                }
            }
        }
    }
    Answer::Nothing
}

/// `set table <table> key <key> [data.<type> <value>]*`
pub fn set(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    const USAGE: &str = "Required arguments: <table> key <key> [data.<store_data_type> <value>]*";
    let now_ms = context.now_us / 1_000;
    let Some((name, words)) = words.split_first() else { return Answer::error(USAGE) };
    let Some((table, state)) = find(name, context.shared) else { return Answer::error("No such table") };
    let (text, data) = match words {
        [] => return Answer::Nothing,
        ["key"] => return Answer::error("Key value expected"),
        ["key", text, data @ ..] => (*text, data),
        _ => return Answer::error(USAGE),
    };
    let key = match key(text, table.key) {
        Ok(key) => key,
        Err(answer) => return answer,
    };
    // Nothing is done by halves: all is read before anything is set.
    let mut values = Vec::new();
    for pair in data.chunks(2) {
        let slot = match pair.first().and_then(|word| slot(word, &table.layout)) {
            Some(Ok(slot)) => slot,
            Some(Err(text)) => return Answer::error(text),
            None => return Answer::error(r#""data.<type>" followed by a value expected"#),
        };
        match pair.get(1).and_then(|value| value.parse::<i64>().ok()) {
            Some(value) => values.push((slot, value as u64)),
            None => return Answer::error("Require a valid integer value to store"),
        }
    }
    let Some(entry) = state.get_or_insert(&key, now_ms) else {
        return Answer::error("Unable to allocate a new entry");
    };
    for (slot, value) in values {
        entry.set(slot, value, now_ms);
    }
    state.touch(&entry, now_ms);
    Answer::Nothing
}
