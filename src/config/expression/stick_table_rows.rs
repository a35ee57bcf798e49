//! Fetches and converters that ask stick tables (configuration.txt sections 7.3.1 and 7.3.3).

use super::super::model::*;
use super::arguments::Arguments;
use super::arguments::Kind::{Integer as I, Text as T};
use super::converter_table::ConverterRow;
use super::fetch_table::FetchRow;
use super::references::{self, Named};
use TableDataKind::*;
use TableFigure::{Clear, CountConnection, Data, Increment, IsTracked, Kilobytes, Trackers};

const TRACKED: &str = "YYYYYYYYYYYYYYYYYYYY.Y";
/// Bytes are not known for a check.
const TRACKED_BYTES: &str = "YYYYYYYYYYYYYYYYYYYY..";
const CLIENT: &str = "YYYYYYYYYYYYYYYYYYYY..";

fn figure_with(figure: TableFigure, arguments: &Arguments, index: usize) -> Result<TableFigure, String> {
    let element = || {
        let element = arguments.integer(index).unwrap_or(-1);
        u32::try_from(element)
            .ok()
            .filter(|element| *element < ARRAY_ELEMENTS_MAX)
            .ok_or_else(|| format!("'{element}' is no element of an array: they count from 0 to 99"))
    };
    Ok(match figure {
        Data(kind, _) if kind.form().is_array() => Data(kind, element()?),
        Increment(GeneralCounter::Element(_)) => Increment(GeneralCounter::Element(element()?)),
        Clear(GeneralCounter::Element(_)) => Clear(GeneralCounter::Element(element()?)),
        other => other,
    })
}

/// `sc0_…([table])`, `sc1_clr_gpc(element[,table])`
fn of_counter(counter: u8, figure: TableFigure, has_element: bool, arguments: &Arguments) -> Result<Fetch, String> {
    let figure = figure_with(figure, arguments, 0)?;
    let name = arguments.written(usize::from(has_element)).map(str::to_owned);
    if name.is_some() {
        references::note(Named::Table { name: name.clone(), key: None });
    }
    let table = TableReference { name, ..Default::default() };
    Ok(Fetch::Table(Box::new(TableFetch { entry: TableEntryOf::Counter(counter), figure, table })))
}

/// `sc_…([element,]counter[,table])`
fn of_numbered(figure: TableFigure, has_element: bool, arguments: &Arguments) -> Result<Fetch, String> {
    let first = usize::from(has_element);
    let figure = figure_with(figure, arguments, 0)?;
    let counter = arguments.integer(first).unwrap_or(-1);
    let counter = u8::try_from(counter)
        .ok()
        .filter(|counter| usize::from(*counter) < TRACKED_COUNTERS)
        .ok_or_else(|| format!("'{counter}' is no counter: they are 0, 1 and 2, as in 'track-sc0'"))?;
    let name = arguments.written(first + 1).map(str::to_owned);
    if name.is_some() {
        references::note(Named::Table { name: name.clone(), key: None });
    }
    let table = TableReference { name, ..Default::default() };
    Ok(Fetch::Table(Box::new(TableFetch { entry: TableEntryOf::Counter(counter), figure, table })))
}

/// `src_…([element,][table])`
fn of_source(figure: TableFigure, has_element: bool, arguments: &Arguments) -> Result<Fetch, String> {
    let figure = figure_with(figure, arguments, 0)?;
    let name = arguments.written(usize::from(has_element)).map(str::to_owned);
    references::note(Named::Table { name: name.clone(), key: Some(SampleType::Address) });
    let table = TableReference { name, ..Default::default() };
    Ok(Fetch::Table(Box::new(TableFetch { entry: TableEntryOf::Source, figure, table })))
}

macro_rules! fetches {
    ($($name:literal $figure:expr, $places:ident $output:ident;)*) => {
        &[$(
            FetchRow { name: concat!("sc_", $name), kinds: &[I, T], required: 1, output: SampleType::$output, places: $places, make: |a| of_numbered($figure, false, a) },
            FetchRow { name: concat!("sc0_", $name), kinds: &[T], required: 0, output: SampleType::$output, places: $places, make: |a| of_counter(0, $figure, false, a) },
            FetchRow { name: concat!("sc1_", $name), kinds: &[T], required: 0, output: SampleType::$output, places: $places, make: |a| of_counter(1, $figure, false, a) },
            FetchRow { name: concat!("sc2_", $name), kinds: &[T], required: 0, output: SampleType::$output, places: $places, make: |a| of_counter(2, $figure, false, a) },
        )*]
    };
}

/// Of what a counter tracks.
pub const OF_COUNTERS: &[FetchRow] = fetches! {
    "bytes_in_rate" Data(BytesInRate, 0), TRACKED Integer;
    "bytes_out_rate" Data(BytesOutRate, 0), TRACKED Integer;
    "clr_gpc0" Clear(GeneralCounter::Gpc0), TRACKED Integer;
    "clr_gpc1" Clear(GeneralCounter::Gpc1), TRACKED Integer;
    "conn_cnt" Data(ConnCnt, 0), TRACKED Integer;
    "conn_cur" Data(ConnCur, 0), TRACKED Integer;
    "conn_rate" Data(ConnRate, 0), TRACKED Integer;
    "get_gpc0" Data(Gpc0, 0), TRACKED Integer;
    "get_gpc1" Data(Gpc1, 0), TRACKED Integer;
    "get_gpt0" Data(Gpt0, 0), TRACKED Integer;
    "gpc0_rate" Data(Gpc0Rate, 0), TRACKED Integer;
    "gpc1_rate" Data(Gpc1Rate, 0), TRACKED Integer;
    "http_err_cnt" Data(HttpErrCnt, 0), TRACKED Integer;
    "http_err_rate" Data(HttpErrRate, 0), TRACKED Integer;
    "http_fail_cnt" Data(HttpFailCnt, 0), TRACKED Integer;
    "http_fail_rate" Data(HttpFailRate, 0), TRACKED Integer;
    "http_req_cnt" Data(HttpReqCnt, 0), TRACKED Integer;
    "http_req_rate" Data(HttpReqRate, 0), TRACKED Integer;
    "inc_gpc0" Increment(GeneralCounter::Gpc0), TRACKED Integer;
    "inc_gpc1" Increment(GeneralCounter::Gpc1), TRACKED Integer;
    "kbytes_in" Kilobytes(BytesInCnt), TRACKED_BYTES Integer;
    "kbytes_out" Kilobytes(BytesOutCnt), TRACKED_BYTES Integer;
    "sess_cnt" Data(SessCnt, 0), TRACKED Integer;
    "sess_rate" Data(SessRate, 0), TRACKED Integer;
    "tracked" IsTracked, TRACKED Bool;
    "trackers" Trackers, TRACKED Integer;
};

macro_rules! source_fetches {
    ($($name:literal $figure:expr;)*) => {
        &[$(
            FetchRow { name: concat!("src_", $name), kinds: &[T], required: 0, output: SampleType::Integer, places: CLIENT, make: |a| of_source($figure, false, a) },
        )*]
    };
}

/// Of the client's address.
pub const OF_SOURCE: &[FetchRow] = source_fetches! {
    "bytes_in_rate" Data(BytesInRate, 0);
    "bytes_out_rate" Data(BytesOutRate, 0);
    "clr_gpc0" Clear(GeneralCounter::Gpc0);
    "clr_gpc1" Clear(GeneralCounter::Gpc1);
    "conn_cnt" Data(ConnCnt, 0);
    "conn_cur" Data(ConnCur, 0);
    "conn_rate" Data(ConnRate, 0);
    "get_gpc0" Data(Gpc0, 0);
    "get_gpc1" Data(Gpc1, 0);
    "get_gpt0" Data(Gpt0, 0);
    "gpc0_rate" Data(Gpc0Rate, 0);
    "gpc1_rate" Data(Gpc1Rate, 0);
    "http_err_cnt" Data(HttpErrCnt, 0);
    "http_err_rate" Data(HttpErrRate, 0);
    "http_fail_cnt" Data(HttpFailCnt, 0);
    "http_fail_rate" Data(HttpFailRate, 0);
    "http_req_cnt" Data(HttpReqCnt, 0);
    "http_req_rate" Data(HttpReqRate, 0);
    "inc_gpc0" Increment(GeneralCounter::Gpc0);
    "inc_gpc1" Increment(GeneralCounter::Gpc1);
    "kbytes_in" Kilobytes(BytesInCnt);
    "kbytes_out" Kilobytes(BytesOutCnt);
    "sess_cnt" Data(SessCnt, 0);
    "sess_rate" Data(SessRate, 0);
    "updt_conn_cnt" CountConnection;
};

macro_rules! element_fetches {
    ($($name:literal $figure:expr;)*) => {
        &[$(
            FetchRow { name: concat!("sc_", $name), kinds: &[I, I, T], required: 2, output: SampleType::Integer, places: TRACKED, make: |a| of_numbered($figure, true, a) },
            FetchRow { name: concat!("sc0_", $name), kinds: &[I, T], required: 1, output: SampleType::Integer, places: TRACKED, make: |a| of_counter(0, $figure, true, a) },
            FetchRow { name: concat!("sc1_", $name), kinds: &[I, T], required: 1, output: SampleType::Integer, places: TRACKED, make: |a| of_counter(1, $figure, true, a) },
            FetchRow { name: concat!("sc2_", $name), kinds: &[I, T], required: 1, output: SampleType::Integer, places: TRACKED, make: |a| of_counter(2, $figure, true, a) },
            FetchRow { name: concat!("src_", $name), kinds: &[I, T], required: 1, output: SampleType::Integer, places: CLIENT, make: |a| of_source($figure, true, a) },
        )*]
    };
}

/// Of the arrays. The element is put in when the arguments are read.
pub const OF_ELEMENTS: &[FetchRow] = element_fetches! {
    "clr_gpc" Clear(GeneralCounter::Element(0));
    "get_gpc" Data(Gpc, 0);
    "get_gpt" Data(Gpt, 0);
    "gpc_rate" Data(GpcRate, 0);
    "inc_gpc" Increment(GeneralCounter::Element(0));
};

/// Of tables as a whole.
pub const OF_TABLES: &[FetchRow] = &[
    FetchRow {
        name: "table_avl",
        kinds: &[T],
        required: 0,
        output: SampleType::Integer,
        places: TRACKED,
        make: |a| of_table(TableFigure::Places, a),
    },
    FetchRow {
        name: "table_cnt",
        kinds: &[T],
        required: 0,
        output: SampleType::Integer,
        places: TRACKED,
        make: |a| of_table(TableFigure::Entries, a),
    },
];

fn of_table(figure: TableFigure, arguments: &Arguments) -> Result<Fetch, String> {
    let name = arguments.written(0).map(str::to_owned);
    references::note(Named::Table { name: name.clone(), key: None });
    let table = TableReference { name, ..Default::default() };
    Ok(Fetch::Table(Box::new(TableFetch { entry: TableEntryOf::Nobody, figure, table })))
}

/// The table is argument `index`.
fn lookup(figure: LookupFigure, index: usize, arguments: &Arguments) -> Result<Step, String> {
    let name = arguments.written(index).map(str::to_owned);
    references::note(Named::Table { name: name.clone(), key: None });
    let table = TableReference { name, ..Default::default() };
    Ok(Step::Table(Box::new(TableLookup { figure, table })))
}

fn element_lookup(kind: TableDataKind, arguments: &Arguments) -> Result<Step, String> {
    let element = arguments.integer(0).unwrap_or(-1);
    let element = u32::try_from(element)
        .ok()
        .filter(|element| *element < ARRAY_ELEMENTS_MAX)
        .ok_or_else(|| format!("'{element}' is no element of an array: they count from 0 to 99"))?;
    lookup(LookupFigure::Data(kind, element), 1, arguments)
}

macro_rules! converters {
    ($($name:literal $figure:expr;)*) => {
        &[$(
            ConverterRow { name: $name, kinds: &[T], required: 0, input: SampleType::Any, output: SampleType::Integer, make: |a| lookup($figure, 0, a) },
        )*]
    };
}

/// The input is the key.
pub const LOOKUPS: &[ConverterRow] = converters! {
    "table_bytes_in_rate" LookupFigure::Data(BytesInRate, 0);
    "table_bytes_out_rate" LookupFigure::Data(BytesOutRate, 0);
    "table_conn_cnt" LookupFigure::Data(ConnCnt, 0);
    "table_conn_cur" LookupFigure::Data(ConnCur, 0);
    "table_conn_rate" LookupFigure::Data(ConnRate, 0);
    "table_gpc0" LookupFigure::Data(Gpc0, 0);
    "table_gpc0_rate" LookupFigure::Data(Gpc0Rate, 0);
    "table_gpc1" LookupFigure::Data(Gpc1, 0);
    "table_gpc1_rate" LookupFigure::Data(Gpc1Rate, 0);
    "table_gpt0" LookupFigure::Data(Gpt0, 0);
    "table_http_err_cnt" LookupFigure::Data(HttpErrCnt, 0);
    "table_http_err_rate" LookupFigure::Data(HttpErrRate, 0);
    "table_http_fail_cnt" LookupFigure::Data(HttpFailCnt, 0);
    "table_http_fail_rate" LookupFigure::Data(HttpFailRate, 0);
    "table_http_req_cnt" LookupFigure::Data(HttpReqCnt, 0);
    "table_http_req_rate" LookupFigure::Data(HttpReqRate, 0);
    "table_kbytes_in" LookupFigure::Kilobytes(BytesInCnt);
    "table_kbytes_out" LookupFigure::Kilobytes(BytesOutCnt);
    "table_server_id" LookupFigure::Data(TableDataKind::ServerId, 0);
    "table_sess_cnt" LookupFigure::Data(SessCnt, 0);
    "table_sess_rate" LookupFigure::Data(SessRate, 0);
    "table_trackers" LookupFigure::Trackers;
};

/// Those with other arguments or another result.
pub const OTHER_LOOKUPS: &[ConverterRow] = &[
    ConverterRow {
        name: "in_table",
        kinds: &[T],
        required: 0,
        input: SampleType::Any,
        output: SampleType::Bool,
        make: |a| lookup(LookupFigure::IsThere, 0, a),
    },
    ConverterRow {
        name: "table_expire",
        kinds: &[T, I],
        required: 0,
        input: SampleType::Any,
        output: SampleType::Integer,
        make: |a| lookup(LookupFigure::Expire { default: a.integer(1) }, 0, a),
    },
    ConverterRow {
        name: "table_idle",
        kinds: &[T, I],
        required: 0,
        input: SampleType::Any,
        output: SampleType::Integer,
        make: |a| lookup(LookupFigure::Idle { default: a.integer(1) }, 0, a),
    },
    ConverterRow {
        name: "table_gpc",
        kinds: &[I, T],
        required: 1,
        input: SampleType::Any,
        output: SampleType::Integer,
        make: |a| element_lookup(Gpc, a),
    },
    ConverterRow {
        name: "table_gpc_rate",
        kinds: &[I, T],
        required: 1,
        input: SampleType::Any,
        output: SampleType::Integer,
        make: |a| element_lookup(GpcRate, a),
    },
    ConverterRow {
        name: "table_gpt",
        kinds: &[I, T],
        required: 1,
        input: SampleType::Any,
        output: SampleType::Integer,
        make: |a| element_lookup(Gpt, a),
    },
];
