//! Typed output and JSON of any list of values (management.txt section 9.2, `show schema json`).

use super::columns::COLUMNS;
use super::row::{Cell, Row};

/// Integers above this lose digits in most JSON readers; the schema's maximum.
const JSON_INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// The type's name in typed output and JSON.
fn type_name(cell: &Cell) -> &'static str {
    match cell {
        Cell::Empty => "",
        Cell::Unsigned32(_) => "u32",
        Cell::Unsigned64(_) => "u64",
        Cell::Signed32(_) => "s32",
        Cell::Text(_) => "str",
    }
}

/// `:MGP:u32:0`, with `:"description"` behind it when given, and the line's end.
pub fn write_typed_value(tags: &str, cell: &Cell, description: Option<&str>, output: &mut String) {
    let value = cell.to_string().replace(['\n', '\r'], " ");
    output.push_str(&format!(":{tags}:{}:{value}", type_name(cell)));
    if let Some(description) = description {
        output.push_str(&format!(":\"{description}\""));
    }
    output.push('\n');
}

/// A line per cell: `S.3.1.17.status.1:SGP:str:UP`.
pub fn write_row(row: &Row, with_description: bool, output: &mut String) {
    for (position, (info, cell)) in COLUMNS.iter().zip(row.cells()).enumerate() {
        if *cell != Cell::Empty {
            let (letter, proxy, service) = (row.kind.letter(), row.proxy_number, row.service_number);
            output.push_str(&format!("{letter}.{proxy}.{service}.{position}.{}.1", info.name));
            write_typed_value(info.tags(row.kind), cell, with_description.then_some(info.description), output);
        }
    }
}

/// A row as a JSON array of its values.
pub fn write_json_row(row: &Row, output: &mut String) {
    let mut separator = "[";
    for (position, (info, cell)) in COLUMNS.iter().zip(row.cells()).enumerate() {
        if *cell != Cell::Empty {
            let (kind, proxy, service) = (row.kind.name(), row.proxy_number, row.service_number);
            output.push_str(&format!(r#"{separator}{{"objType":"{kind}","proxyId":{proxy},"id":{service},"#));
            write_json_value(position, info.name, info.tags(row.kind), cell, output);
            separator = ",";
        }
    }
    output.push(']');
}

/// The part that `show info json` and `show stat json` have in common, the closing brace included.
pub fn write_json_value(position: usize, name: &str, tags: &str, cell: &Cell, output: &mut String) {
    let mut letters = tags.chars();
    let origin = match letters.next() {
        Some('M') => "Metric",
        Some('S') => "Status",
        Some('K') => "Key",
        Some('C') => "Config",
        Some('P') => "Product",
        _ => "Unknown",
    };
    let nature = match letters.next() {
        Some('G') => "Gauge",
        Some('L') => "Limit",
        Some('m') => "Min",
        Some('M') => "Max",
        Some('R') => "Rate",
        Some('C') => "Counter",
        Some('D') => "Duration",
        Some('A') => "Age",
        Some('T') => "Time",
        Some('N') => "Name",
        Some('O') => "Output",
        Some('a') => "Avg",
        _ => "Unknown",
    };
    let scope = match letters.next() {
        Some('C') => "Cluster",
        Some('P') => "Process",
        Some('S') => "Service",
        Some('s') => "System",
        _ => "Unknown",
    };
    let value = match cell {
        Cell::Text(text) => json_string(text),
        Cell::Unsigned64(value) => (*value).min(JSON_INTEGER_MAX).to_string(),
        cell => cell.to_string(),
    };
    let kind = type_name(cell);
    output.push_str(&format!(
        r#""field":{{"pos":{position},"name":{}}},"processNum":1,"tags":{{"origin":"{origin}","nature":"{nature}","scope":"{scope}"}},"value":{{"type":"{kind}","value":{value}}}}}"#,
        json_string(name)
    ));
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
