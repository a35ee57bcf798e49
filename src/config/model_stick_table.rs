//! Stick tables: entries found by a key, with counters (configuration.txt section 4.2, `stick-table`).

use super::model::{Expression, Location, ProxyId};
use std::sync::OnceLock;
use std::time::Duration;

/// Index into [`Config::stick_tables`](super::model::Config::stick_tables).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StickTableId(pub u32);

/// Counters that one stream may track at a time: `track-sc0` to `track-sc2`.
pub const TRACKED_COUNTERS: usize = 3;
/// Elements that the arrays `gpc`, `gpc_rate` and `gpt` may have.
pub const ARRAY_ELEMENTS_MAX: u32 = 100;

/// One `stick-table` line.
#[derive(Clone, Debug)]
pub struct StickTable {
    /// The name of the proxy whose table it is.
    pub name: String,
    pub proxy: ProxyId,
    pub key: TableKeyType,
    /// Entries at most.
    pub size: u32,
    /// How long an entry lives after its last use; `None`: until its place is needed.
    pub expire: Option<Duration>,
    /// When the table is full, nothing is taken out of it.
    pub nopurge: bool,
    pub layout: TableLayout,
    pub location: Location,
}

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKeyType {
    /// IPv4 alone.
    Ip,
    Ipv6,
    /// 32 bits.
    Integer,
    Text {
        bytes_max: u32,
    },
    /// Shorter ones are filled up with zeros.
    Binary {
        bytes: u32,
    },
}

impl TableKeyType {
    /// As `show table` calls it.
    pub fn name(self) -> &'static str {
        match self {
            TableKeyType::Ip => "ip",
            TableKeyType::Ipv6 => "ipv6",
            TableKeyType::Integer => "integer",
            TableKeyType::Text { .. } => "string",
            TableKeyType::Binary { .. } => "binary",
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal $form:ident,)*) => {
        /// What an entry can store, in the order in which entries are shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum TableDataKind {
            $($kind,)*
        }

        impl TableDataKind {
            pub const ALL: &[TableDataKind] = &[$(TableDataKind::$kind,)*];

            /// As it stands behind `store`.
            pub fn name(self) -> &'static str {
                match self {
                    $(TableDataKind::$kind => $name,)*
                }
            }
            pub fn form(self) -> TableDataForm {
                match self {
                    $(TableDataKind::$kind => TableDataForm::$form,)*
                }
            }
        }
    };
}

/// How a kind of data is written and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableDataForm {
    /// 32 bits.
    Number,
    /// 64 bits.
    Bytes,
    /// Events over a period.
    Rate,
    /// Several numbers.
    Numbers,
    /// Several rates over one period.
    Rates,
}

impl TableDataForm {
    pub fn is_rate(self) -> bool {
        matches!(self, TableDataForm::Rate | TableDataForm::Rates)
    }
    pub fn is_array(self) -> bool {
        matches!(self, TableDataForm::Numbers | TableDataForm::Rates)
    }
}

kinds! {
    ServerId "server_id" Number,
    Gpt0 "gpt0" Number,
    Gpc0 "gpc0" Number,
    Gpc0Rate "gpc0_rate" Rate,
    ConnCnt "conn_cnt" Number,
    ConnRate "conn_rate" Rate,
    ConnCur "conn_cur" Number,
    SessCnt "sess_cnt" Number,
    SessRate "sess_rate" Rate,
    HttpReqCnt "http_req_cnt" Number,
    HttpReqRate "http_req_rate" Rate,
    HttpErrCnt "http_err_cnt" Number,
    HttpErrRate "http_err_rate" Rate,
    BytesInCnt "bytes_in_cnt" Bytes,
    BytesInRate "bytes_in_rate" Rate,
    BytesOutCnt "bytes_out_cnt" Bytes,
    BytesOutRate "bytes_out_rate" Rate,
    Gpc1 "gpc1" Number,
    Gpc1Rate "gpc1_rate" Rate,
    HttpFailCnt "http_fail_cnt" Number,
    HttpFailRate "http_fail_rate" Rate,
    Gpt "gpt" Numbers,
    Gpc "gpc" Numbers,
    GpcRate "gpc_rate" Rates,
}

/// One kind of data that a table stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredData {
    pub kind: TableDataKind,
    /// 1, or the elements of an array.
    pub elements: u32,
    /// Of a rate.
    pub period_ms: u32,
}

/// Where an entry's data is: an entry is a row of 64-bit numbers, two for a rate and one for anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableLayout {
    stored: Vec<(StoredData, u32)>,
    slots: u32,
}

/// One number or one rate of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSlot {
    pub index: u32,
    /// `Some`: a rate over so many milliseconds.
    pub period_ms: Option<u32>,
    /// Counts to 2^64 instead of 2^32.
    pub is_wide: bool,
}

impl TableLayout {
    /// Of what is stored, in any order; of the same kind twice the first counts.
    pub fn new(data: &[StoredData]) -> TableLayout {
        let mut layout = TableLayout::default();
        for kind in TableDataKind::ALL {
            let Some(data) = data.iter().find(|data| data.kind == *kind) else { continue };
            layout.stored.push((*data, layout.slots));
            layout.slots += data.elements * if kind.form().is_rate() { 2 } else { 1 };
        }
        layout
    }

    /// 64-bit numbers of an entry.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }
    pub fn stored(&self) -> impl Iterator<Item = &StoredData> {
        self.stored.iter().map(|(data, _)| data)
    }
    pub fn stores(&self, kind: TableDataKind) -> bool {
        self.stored().any(|data| data.kind == kind)
    }

    /// Element `element` of a kind of data; `None`: it is not stored.
    pub fn slot(&self, kind: TableDataKind, element: u32) -> Option<TableSlot> {
        let (data, first) = self.stored.iter().find(|(data, _)| data.kind == kind)?;
        if element >= data.elements {
            return None;
        }
        let is_rate = kind.form().is_rate();
        Some(TableSlot {
            index: first + element * if is_rate { 2 } else { 1 },
            period_ms: is_rate.then_some(data.period_ms),
            is_wide: kind.form() == TableDataForm::Bytes,
        })
    }

    /// As [`TableLayout::slot`]; where `gpc0`, `gpc1`, `gpt0` and their rates are not stored by these names, the
    /// elements of the arrays are meant.
    pub fn slot_or_element(&self, kind: TableDataKind, element: u32) -> Option<TableSlot> {
        let own = self.slot(kind, element);
        own.or_else(|| match kind {
            TableDataKind::Gpt0 => self.slot(TableDataKind::Gpt, 0),
            TableDataKind::Gpc0 => self.slot(TableDataKind::Gpc, 0),
            TableDataKind::Gpc1 => self.slot(TableDataKind::Gpc, 1),
            TableDataKind::Gpc0Rate => self.slot(TableDataKind::GpcRate, 0),
            TableDataKind::Gpc1Rate => self.slot(TableDataKind::GpcRate, 1),
            _ => None,
        })
    }
}

/// A table named by a rule or an expression; `None`: that of the proxy whose rules are run. The names are checked when
/// all sections have been read; the look-up is made once.
#[derive(Debug, Default)]
pub struct TableReference {
    pub name: Option<String>,
    pub found: OnceLock<Option<StickTableId>>,
}

/// A copy may run in another proxy (rules of `defaults`), where no name means another table.
impl Clone for TableReference {
    fn clone(&self) -> Self {
        TableReference { name: self.name.clone(), found: OnceLock::new() }
    }
}

/// What a rule does to an entry.
#[derive(Clone, Debug)]
pub enum TableAction {
    /// `track-sc0 <key> [table <name>]`
    Track { counter: u8, key: Expression, table: TableReference },
    /// `sc-inc-gpc0(<counter>)` … and, with an amount, `sc-add-gpc(<element>,<counter>)`.
    Add {
        counter: u8,
        gpc: GeneralCounter,
        /// `None`: one.
        amount: Option<Expression>,
    },
    /// `sc-set-gpt0(<counter>) <value>`
    SetTag { counter: u8, tag: GeneralTag, value: Expression },
}

/// A general purpose counter by its old name, or an element of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneralCounter {
    Gpc0,
    Gpc1,
    Element(u32),
}

impl GeneralCounter {
    /// The counter and its rate: each may be stored without the other.
    pub fn slots(self, layout: &TableLayout) -> [Option<TableSlot>; 2] {
        use TableDataKind::*;
        let (count, rate, element) = match self {
            GeneralCounter::Gpc0 => (Gpc0, Gpc0Rate, 0),
            GeneralCounter::Gpc1 => (Gpc1, Gpc1Rate, 0),
            GeneralCounter::Element(element) => (Gpc, GpcRate, element),
        };
        [layout.slot_or_element(count, element), layout.slot_or_element(rate, element)]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneralTag {
    Gpt0,
    Element(u32),
}

/// What a fetch asks of an entry.
#[derive(Clone, Debug)]
pub struct TableFetch {
    pub entry: TableEntryOf,
    pub figure: TableFigure,
    /// For a tracked entry: `None` means the table that it is in.
    pub table: TableReference,
}

/// Whose entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableEntryOf {
    /// `sc0_…`
    Counter(u8),
    /// `src_…`
    Source,
    /// `table_cnt`, `table_avl`: of no entry, of the table.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFigure {
    Data(TableDataKind, u32),
    Kilobytes(TableDataKind),
    /// Counts one up, and gives the new value.
    Increment(GeneralCounter),
    /// Sets to zero, and gives the old value.
    Clear(GeneralCounter),
    IsTracked,
    Trackers,
    /// `src_updt_conn_cnt`
    CountConnection,
    /// `table_cnt`: entries.
    Entries,
    /// `table_avl`: places for more.
    Places,
}

/// `in_table`, `table_…`: the input is the key.
#[derive(Clone, Debug)]
pub struct TableLookup {
    pub figure: LookupFigure,
    pub table: TableReference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFigure {
    IsThere,
    Data(TableDataKind, u32),
    Kilobytes(TableDataKind),
    Trackers,
    /// Milliseconds to live; what to say when there is no entry.
    Expire {
        default: Option<i64>,
    },
    /// Milliseconds since its last use.
    Idle {
        default: Option<i64>,
    },
}
