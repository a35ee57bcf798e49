//! One line of statistics: a kind, two numbers that identify it, and a cell per column.

use super::columns::{COLUMNS, Column};

/// What a line is about, with the number that the `type` column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    Frontend = 0,
    Backend = 1,
    Server = 2,
    Listener = 3,
}

impl RowKind {
    /// The letter of typed output.
    pub fn letter(self) -> char {
        match self {
            RowKind::Frontend => 'F',
            RowKind::Backend => 'B',
            RowKind::Server => 'S',
            RowKind::Listener => 'L',
        }
    }
    /// `objType` of the JSON schema.
    pub fn name(self) -> &'static str {
        match self {
            RowKind::Frontend => "Frontend",
            RowKind::Backend => "Backend",
            RowKind::Server => "Server",
            RowKind::Listener => "Listener",
        }
    }
}

/// A value with the type that typed output and JSON name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cell {
    /// Does not apply to this line.
    #[default]
    Empty,
    Unsigned32(u32),
    Unsigned64(u64),
    Signed32(i32),
    Text(String),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Empty => Ok(()),
            Cell::Unsigned32(value) => value.fmt(f),
            Cell::Unsigned64(value) => value.fmt(f),
            Cell::Signed32(value) => value.fmt(f),
            Cell::Text(text) => f.write_str(text),
        }
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Cell {
        Cell::Unsigned32(value)
    }
}
impl From<u64> for Cell {
    fn from(value: u64) -> Cell {
        Cell::Unsigned64(value)
    }
}
impl From<i32> for Cell {
    fn from(value: i32) -> Cell {
        Cell::Signed32(value)
    }
}
impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_string())
    }
}
impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

/// A line.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: RowKind,
    /// `iid`
    pub proxy_number: u32,
    /// `sid`; 0 for frontends and backends.
    pub service_number: u32,
    cells: Vec<Cell>,
}

impl Row {
    pub fn new(kind: RowKind, proxy_number: u32, service_number: u32) -> Row {
        Row { kind, proxy_number, service_number, cells: vec![Cell::Empty; COLUMNS.len()] }
    }
    pub fn set(&mut self, column: Column, value: impl Into<Cell>) {
        if let Some(cell) = self.cells.get_mut(column as usize) {
            *cell = value.into();
        }
    }
    /// All of these columns to the same 64-bit count.
    pub fn set_all(&mut self, columns: &[Column], value: u64) {
        for column in columns {
            self.set(*column, value);
        }
    }
    pub fn get(&self, column: Column) -> &Cell {
        self.cells.get(column as usize).unwrap_or(&Cell::Empty)
    }
    /// The text of a cell, empty when it holds none.
    pub fn text(&self, column: Column) -> &str {
        match self.get(column) {
            Cell::Text(text) => text,
            _ => "",
        }
    }
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}
