//! Statistics: the figures of every frontend, listener, backend and server as a page, CSV, JSON or typed lines.
//!
//! [`figures`] makes the rows; [`csv`], [`typed`] and [`page`] write them. [`process`] is `show info`.

pub mod authorization;
pub mod backend_figures;
pub mod check_numbers;
pub mod columns;
pub mod csv;
pub mod figures;
#[cfg(test)]
#[path = "fixture_tests.rs"]
pub(crate) mod fixture;
pub mod form;
pub mod page;
pub mod process;
pub mod product;
pub mod request;
pub mod row;
pub mod selection;
pub mod server_status;
pub mod typed;

use figures::Snapshot;
use selection::Selection;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    Csv,
    Typed { with_description: bool },
    Json,
}

/// All selected rows, whole, as the runtime socket and the HTTP page hand them out.
pub fn write_rows(snapshot: Snapshot, selection: &Selection, format: RowFormat, output: &mut String) {
    match format {
        RowFormat::Csv => {
            csv::write_header(output);
            figures::for_each_row(snapshot, selection, &mut |row| csv::write_row(&row, output));
        }
        RowFormat::Typed { with_description } => {
            figures::for_each_row(snapshot, selection, &mut |row| typed::write_row(&row, with_description, output));
        }
        RowFormat::Json => {
            let mut separator = "[";
            figures::for_each_row(snapshot, selection, &mut |row| {
                output.push_str(separator);
                separator = ",";
                typed::write_json_row(&row, output);
            });
            output.push_str(if separator == "[" { "[]" } else { "]" });
        }
    }
}

#[cfg(test)]
mod tests;
