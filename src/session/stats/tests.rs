use super::columns::{COLUMNS, Column};
use super::row::{Cell, Row, RowKind};
use super::*;
use crate::config::model::Config;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

const CONFIG: &str = "\
global
  maxconn 100
  stats socket /run/x.sock
defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend fe
  bind 127.0.0.1:1890 name one
  bind 127.0.0.1:1891
  option socket-stats
  default_backend be
backend be
  balance leastconn
  server s1 127.0.0.1:1883 check weight 3
  server s2 127.0.0.1:1884 backup maxconn 7
  server s3 127.0.0.1:1885 disabled check
listen stats
  mode http
  bind 127.0.0.1:9080
  stats uri /stats
";

fn written(selection: &Selection, format: RowFormat) -> String {
    static LOADED: LazyLock<Arc<Config>> = LazyLock::new(|| fixture::config(CONFIG));
    let shared = fixture::shared(LOADED.clone());
    shared.workers[0].proxies[0].frontend_bytes_in.add(5);
    shared.workers[1].proxies[0].frontend_bytes_in.add(6);
    let snapshot = Snapshot { shared: &shared, now_us: 1_000_000, wall_us: 1_700_000_001_000_000 };
    let mut output = String::new();
    write_rows(snapshot, selection, format, &mut output);
    output
}

/// Lines as an idle HAProxy 2.6.12 printed them for the same configuration one second after its start, with
/// addresses shown, up to the `-` column. Its estimate of needed connections (`need_conn_est`) counts checks; ours
/// does not.
const HAPROXY: &[&str] = &[
    "fe,FRONTEND,,,0,0,100,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,0,0,0,,,,,,,,,,,0,0,0,,,0,0,0,0,,,,,,,,,,,,,,,,,,,,,tcp,,0,0,0,,0,0,0,,,,,,,,,,,0,,,,,,,,,",
    "fe,one,,,0,0,0,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,1,,,,3,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,127.0.0.1:1890,,tcp,,,,,,0,0,0,,,,,,,,,,,0,,,,,,,,,",
    "fe,sock-2,,,0,0,0,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,2,2,,,,3,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,127.0.0.1:1891,,tcp,,,,,,0,0,0,,,,,,,,,,,0,,,,,,,,,",
    "be,s2,0,0,0,0,7,0,0,0,,0,,0,0,0,0,no check,1,0,1,,,1,,,1,3,2,,0,,2,0,,0,,,,,,,,,,,,,,0,0,,,,,-1,,,0,0,0,0,,,,,,,,,,,,127.0.0.1:1884,,tcp,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,0,1,,,,",
    "be,s3,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT,1,1,0,0,0,1,1,,1,3,3,,0,,2,0,,0,,,,,,,,,,,,,,0,0,,,,,-1,,,0,0,0,0,,,,,,,,,,,,127.0.0.1:1885,,tcp,,,,,,,,0,0,0,,,0,,0,0,0,0,0,0,0,0,0,1,,,,",
    "stats,FRONTEND,,,0,0,100,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,4,0,,,,0,0,0,0,,,,0,0,0,0,0,0,,0,0,0,,,0,0,0,0,,,,,,,,,,,,,,,,,,,,,http,,0,0,0,0,0,0,0,,,0,0,,,,,,,0,,,,,,,,,",
    "stats,BACKEND,0,0,0,0,10,0,0,0,0,0,,0,0,0,0,UP,0,0,0,,0,1,,,1,4,0,,0,,1,0,,0,,,,0,0,0,0,0,0,,,,0,0,0,0,0,0,0,-1,,,0,0,0,0,,,,,,,,,,,,,,http,roundrobin,,,,,,,0,0,0,0,0,,,0,0,0,0,0,,,,,0,0,0,0,",
];

#[test]
fn idle_lines_are_haproxys_field_by_field() {
    let selection = Selection { details: true, ..Default::default() };
    let text = written(&selection, RowFormat::Csv).replace("fe,FRONTEND,,,0,0,100,0,11,", "fe,FRONTEND,,,0,0,100,0,0,");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == header.len()));
    for expected in HAPROXY {
        let expected: Vec<&str> = expected.trim_end_matches(',').split(',').collect();
        let row = rows.iter().find(|row| row[..2] == expected[..2]).unwrap_or_else(|| panic!("{expected:?}"));
        for (index, value) in expected.iter().enumerate() {
            assert_eq!(row[index], *value, "{} of {}/{}", header[index], row[0], row[1]);
        }
    }
    assert_eq!(
        rows.iter().map(|row| row[1]).collect::<Vec<_>>(),
        ["FRONTEND", "one", "sock-2", "s1", "s2", "s3", "BACKEND", "FRONTEND", "BACKEND"]
    );
}

#[test]
fn header_is_haproxys() {
    let text = written(&Selection::default(), RowFormat::Csv);
    let header = text.lines().next().unwrap();
    assert!(header.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,") && header.ends_with(','));
    assert!(header.contains(",agg_check_status,-,ssl_sess,") && header.ends_with(",h1_spliced_bytes_out,"));
    assert_eq!(header.split(',').count(), 129);
}

#[test]
fn counters_are_summed_and_selections_hold() {
    assert!(written(&Selection::default(), RowFormat::Csv).contains("\nfe,FRONTEND,,,0,0,100,0,11,"));
    let names = |selection: Selection| -> Vec<String> {
        let text = written(&selection, RowFormat::Csv);
        text.lines().skip(1).map(|line| line.splitn(3, ',').take(2).collect::<Vec<_>>().join("/")).collect()
    };
    assert_eq!(names(Selection { kinds: 1, ..Default::default() }), ["fe/FRONTEND", "stats/FRONTEND"]);
    assert_eq!(names(Selection { kinds: 4, service_number: 2, ..Default::default() }), ["be/s2"]);
    assert_eq!(names(Selection { kinds: 4, no_maintenance: true, ..Default::default() }), ["be/s1", "be/s2"]);
    assert!(!written(&Selection::default(), RowFormat::Csv).contains("127.0.0.1"));
}

#[test]
fn typed_and_json_agree_with_the_csv() {
    let selection = Selection { kinds: 4, service_number: 2, details: true, ..Default::default() };
    let typed = written(&selection, RowFormat::Typed { with_description: false });
    assert!(typed.starts_with("S.3.2.0.pxname.1:KNS:str:be\nS.3.2.1.svname.1:KNS:str:s2\nS.3.2.2.qcur.1:MGP:u32:0\n"));
    assert!(typed.contains("\nS.3.2.55.lastsess.1:MAP:s32:-1\n"));
    let json: serde_json::Value = serde_json::from_str(&written(&selection, RowFormat::Json)).unwrap();
    assert_eq!(json[0].as_array().unwrap().len(), typed.lines().count());
    assert_eq!(json[0][2]["value"]["value"], 0);
    let none = Selection { proxies: Some(vec![]), ..Default::default() };
    assert_eq!(written(&none, RowFormat::Json), "[]");
}

proptest! {
    #[test]
    fn texts_keep_a_line_one_record(name in "\\PC{0,20}|[a\",\n\r]{0,8}") {
        let mut row = Row::new(RowKind::Server, 2, 1);
        row.set(Column::ServiceName, name.as_str());
        let (mut csv, mut typed, mut json) = (String::new(), String::new(), String::new());
        super::csv::write_row(&row, &mut csv);
        super::typed::write_row(&row, false, &mut typed);
        super::typed::write_json_row(&row, &mut json);
        prop_assert_eq!(csv.matches('\n').count(), 1);
        prop_assert_eq!(typed.matches('\n').count(), 1);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        let unquoted = csv.replace("\"\"", "");
        let outside: String = unquoted.split('"').step_by(2).collect();
        prop_assert_eq!(outside.matches(',').count(), COLUMNS.len() + 1);
        prop_assert_eq!(row.get(Column::Weight), &Cell::Empty);
    }
}
