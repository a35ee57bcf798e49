//! `show stat` and `;csv` (management.txt section 9.1).

use super::columns::{COLUMNS, FIXED_COLUMNS};
use super::row::{Cell, Row};

/// `# pxname,svname,…,` and the line's end. The comma at the end is part of the format.
pub fn write_header(output: &mut String) {
    output.push_str("# ");
    for (index, info) in COLUMNS.iter().enumerate() {
        if index == FIXED_COLUMNS {
            output.push_str("-,");
        }
        output.push_str(info.name);
        output.push(',');
    }
    output.push('\n');
}

/// One line.
pub fn write_row(row: &Row, output: &mut String) {
    for (index, cell) in row.cells().iter().enumerate() {
        if index == FIXED_COLUMNS {
            output.push_str("-,");
        }
        match cell {
            Cell::Text(text) => write_text(text, output),
            cell => output.push_str(&cell.to_string()),
        }
        output.push(',');
    }
    output.push('\n');
}

/// Quotes only where a reader would stumble: quotes, commas, line ends.
pub fn write_text(text: &str, output: &mut String) {
    if !text.contains(['"', ',', '\n', '\r']) {
        return output.push_str(text);
    }
    output.push('"');
    for character in text.chars() {
        match character {
            '"' => output.push_str("\"\""),
            // A line end within quotes is correct CSV, and breaks every tool that reads line by line.
            '\n' | '\r' => output.push(' '),
            other => output.push(other),
        }
    }
    output.push('"');
}
