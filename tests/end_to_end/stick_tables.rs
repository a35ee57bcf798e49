//! Stick tables (configuration.txt section 4.2, `stick-table`): what is counted, what rules and expressions see of it,
//! and the commands on tables.

use std::io::{Read, Write};

use crate::support::*;

same_as_haproxy!(
    counts_of_http,
    counts_of_tcp,
    expressions_on_tables,
    general_counters,
    commands_on_tables,
    keys_of_all_types,
    full_tables,
    requests_are_limited
);

/// The answer without what is another one each time: the entries' addresses, and how long they still live.
fn normalised(answer: &str) -> String {
    let mut lines = Vec::new();
    for line in answer.lines() {
        let words = line.split(' ').map(|word| match word {
            word if word.starts_with("0x") => "0x:".to_string(),
            word if word.starts_with("exp=") && word != "exp=0" => "exp=N".to_string(),
            word => word.to_string(),
        });
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

fn command(lab: &mut Lab, text: &str) {
    let answer = normalised(&lab.proxy.command(text));
    lab.note(format!("{text}\n{answer}"));
}

/// Once nobody tracks anything any more.
fn dump(lab: &mut Lab, tables: &[&str]) {
    lab.settle();
    for table in tables {
        let text = format!("show table {table}");
        let mut answer = normalised(&lab.proxy.command(&text));
        for _ in 0..500 {
            if !answer.lines().any(|line| line.contains(" use=") && !line.contains(" use=0 ")) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            answer = normalised(&lab.proxy.command(&text));
        }
        lab.note(format!("{text}\n{answer}"));
    }
}

const ALL: &str = "gpc0,gpc0_rate(10m),conn_cnt,conn_cur,conn_rate(10m),sess_cnt,sess_rate(10m),http_req_cnt,\
    http_req_rate(10m),http_err_cnt,http_err_rate(10m),http_fail_cnt,http_fail_rate(10m),gpt0";
const BYTES: &str = "bytes_in_cnt,bytes_in_rate(10m),conn_cnt";

/// A `listen` with tables beside it.
fn lab(flavour: Flavour, origins: Vec<HttpOrigin>, lines: &str, tables: &str) -> Lab {
    let text = lab::listen_section(&origins, lines) + tables;
    Lab::start(flavour, origins, &text)
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

fn counts_of_http(flavour: Flavour) -> Vec<String> {
    let lines = "    tcp-request connection track-sc0 src table conn
    tcp-request session track-sc1 src table sess
    http-request track-sc2 path table path
    http-request deny if { path /deny }
    http-request reject if { path /reject }
    http-request auth realm x if { path /auth }
    http-request return status 404 if { path /return }
    http-request redirect location / if { path /redirect }
    http-response deny if { status 402 }";
    let tables = format!(
        "backend conn\n    stick-table type ip size 10 expire 1h store {ALL}\n\
         backend sess\n    stick-table type ip size 10 expire 1h store {ALL}\n\
         backend path\n    stick-table type string len 8 size 20 expire 1h store {ALL}\n\
         backend bytes\n    stick-table type ip size 10 store {BYTES}\n"
    );
    let origin = HttpOrigin::named("s1");
    let mut lab = lab(flavour, vec![origin], lines, &tables);
    for target in ["/a", "/deny", "/auth", "/return", "/redirect", "/late?status=402"] {
        let response = lab.client().ask(get(target));
        lab.note(format!("{target}: {}", response.status));
    }
    let mut client = lab.client();
    client.ask(get("/kept"));
    client.ask(get("/kept"));
    drop(client);
    let mut refused = lab.client();
    refused.send(get("/reject"));
    refused.expect_end();
    drop(refused);
    let response = lab.client().ask("GET  bad\r\n\r\n");
    lab.note(format!("bad: {}", response.status));
    dump(&mut lab, &["path", "conn", "sess", "bytes"]);
    for status in ["404", "401", "500", "501", "503"] {
        lab.client().ask(format!("GET /s{status}?status={status} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    dump(&mut lab, &["conn", "sess", "path"]);
    lab.into_notes()
}

fn counts_of_tcp(flavour: Flavour) -> Vec<String> {
    let origin = Origin::echo();
    let (port, refused) = (ports::free_port(), ports::free_port());
    let sections = format!(
        "listen px\n    bind 127.0.0.1:{port}\n    bind 127.0.0.1:{refused}\n    \
         stick-table type ip size 10 expire 1h store conn_cnt,conn_cur,sess_cnt,bytes_in_cnt,bytes_out_cnt,http_req_cnt\n    \
         tcp-request connection track-sc0 src\n    \
         tcp-request connection reject if {{ dst_port {refused} }}\n    \
         tcp-request content track-sc1 src table other\n    \
         server s1 {}\nbackend other\n    stick-table type ipv6 size 10 store conn_cnt,conn_cur,sess_cnt,bytes_in_cnt\n",
        origin.address()
    );
    let proxy = Setup::new(flavour).start(&sections, &[port]);
    let mut notes = Vec::new();
    let mut client = connect(port);
    exchange(&mut client, b"hello");
    let answer = normalised(&proxy.command("show table px"));
    notes.push(answer.split(" bytes_in_cnt").next().unwrap_or_default().to_string());
    drop(client);
    let mut answer = Vec::new();
    let mut client = connect(refused);
    let _ = client.write_all(b"x");
    let _ = client.read_to_end(&mut answer);
    proxy.syslog().wait_for_sessions(15, "px", 1);
    for table in ["px", "other"] {
        for _ in 0..500 {
            let answer = proxy.command(&format!("show table {table}"));
            if answer.contains("use=0") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        notes.push(normalised(&proxy.command(&format!("show table {table}"))));
    }
    notes
}

fn expressions_on_tables(flavour: Flavour) -> Vec<String> {
    let lines = "    stick-table type ip size 10 expire 1h store conn_cnt,http_req_cnt,http_req_rate(10m),gpt0
    http-request track-sc0 src
    http-request track-sc1 req.hdr(x) table names
    http-request track-sc0 req.hdr(x) table names
    http-request sc-set-gpt0(0) int(7)
    http-request set-header A \"%[sc0_http_req_cnt] %[sc_http_req_rate(0)] [%[sc1_http_req_cnt]] [%[sc2_conn_cnt]]\"
    http-request set-header B \"%[sc0_tracked] %[sc1_tracked] %[sc2_tracked] %[sc0_trackers] [%[sc0_gpc0_rate]]\"
    http-request set-header C \"%[src_http_req_cnt] %[src_http_req_cnt(px)] [%[src_conn_cur]] [%[sc0_conn_cnt(other)]]\"
    http-request set-header D \"%[req.hdr(x),in_table(names)] [%[req.hdr(x),table_http_req_cnt(names)]] [%[req.hdr(x),table_gpc0(names)]]\"
    http-request set-header E \"%[src,in_table(other)] [%[src,table_conn_cnt(other)]] %[table_cnt(other)] %[table_avl(other)] %[src,table_gpt0(px)]\"
    http-request set-header F \"[%[src_inc_gpc0(other)]] [%[src_get_gpc0(other)]] [%[src_clr_gpc0(other)]] [%[src_updt_conn_cnt(other)]]\"
    http-request set-header G \"[%[src,table_expire(other,5)]] [%[int(1),table_idle(other,6)]] [%[int(1),table_expire(other)]]\"
    http-request set-header H \"[%[src_kbytes_out(other)]] [%[src_get_gpt0]] [%[str(x),table_server_id(names)]]\"
    http-request set-header I yes if { src_http_req_cnt gt 1 } { sc0_http_req_rate(px) ge 2 }
    http-request set-header J yes if { sc1_http_req_cnt -m found }";
    let tables = "backend names\n    stick-table type string size 10 expire 1h store http_req_cnt,conn_cnt\n\
                  backend other\n    stick-table type ip size 10 store gpc0,conn_cnt,bytes_out_cnt\n";
    let mut lab = lab(flavour, vec![HttpOrigin::named("s1")], lines, tables);
    for header in ["", "X: one\r\n", "X: two\r\n", "X: one\r\n"] {
        lab.ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{header}\r\n"));
    }
    let mut client = lab.client();
    for _ in 0..2 {
        let response = client.ask(get("/kept"));
        lab.note_answer(&response);
    }
    drop(client);
    dump(&mut lab, &["px", "names", "other"]);
    lab.finish(6)
}

fn general_counters(flavour: Flavour) -> Vec<String> {
    let lines = "    http-request track-sc0 src table single
    http-request track-sc1 src table arrays
    http-request sc-inc-gpc0(0)
    http-request sc-inc-gpc1(0) if { path /one }
    http-request sc-inc-gpc0(1)
    http-request sc-inc-gpc(2,1)
    http-request sc-inc-gpc(9,1)
    http-request sc-inc-gpc0(2)
    http-request sc-set-gpt0(0) 5
    http-request sc-set-gpt0(1) src_port,mul(0),add(9)
    http-request sc-set-gpt(1,1) 6
    http-response sc-inc-gpc1(1)
    http-request set-header A \"%[sc0_get_gpc0] [%[sc0_get_gpc1]] [%[sc0_gpc0_rate]] [%[sc1_get_gpc0]] [%[sc1_gpc0_rate]]\"
    http-request set-header B \"[%[sc_get_gpc(2,1)]] [%[sc_get_gpc(9,1)]] [%[sc_gpc_rate(1,1)]] [%[sc_get_gpt(1,1)]] [%[sc_get_gpc(0,0)]]\"
    http-request set-header C \"[%[sc_inc_gpc(1,1)]] [%[sc1_clr_gpc(1)]] [%[sc0_inc_gpc0]] [%[sc0_clr_gpc0]] [%[sc_get_gpt0(1)]]\"
    http-request set-header D \"[%[src_inc_gpc(0,arrays)]] [%[src_get_gpt(0,arrays)]] [%[src,table_gpc(2,arrays)]] [%[src,table_gpt(1,arrays)]]\"";
    let tables = "backend single\n    stick-table type ip size 10 store gpc0,gpc1,gpt0,gpc0_rate(10m)\n\
                  backend arrays\n    stick-table type ip size 10 store gpc(3),gpt(2) store gpc_rate(2,10m)\n";
    let mut lab = lab(flavour, vec![HttpOrigin::named("s1")], lines, tables);
    for target in ["/", "/one", "/"] {
        lab.ask(get(target));
    }
    dump(&mut lab, &["single", "arrays"]);
    lab.finish(3)
}

fn commands_on_tables(flavour: Flavour) -> Vec<String> {
    let tables = "backend t2\n    stick-table type ip size 10 expire 1h store conn_cnt,conn_cur,conn_rate(10m),bytes_in_cnt\n\
                  backend t3\n    stick-table type string len 8 size 10 expire 1h store conn_cnt\n\
                  backend t5\n    stick-table type integer size 10 store gpc(3),gpt(2),gpc_rate(2,3s)\n\
                  backend t6\n    stick-table type binary len 4 size 1m store gpc0\n";
    let lines = "    tcp-request connection track-sc0 src table t2";
    let mut lab = lab(flavour, vec![HttpOrigin::named("s1")], lines, tables);
    for text in [
        "show table",
        "show table nope",
        "clear table nope",
        "set table nope",
        "clear table",
        "set table",
        "set table t2",
        "set table t2 key",
        "set table t2 foo bar",
        "set table t2 key 1.2.3.4",
        "set table t2 key 1.2.3.4 data.conn_cnt 5 data.conn_cur 7",
        "set table t2 key 1.2.3.4 data.conn_cnt",
        "set table t2 key 1.2.3.4 data.conn_cnt x",
        "set table t2 key 1.2.3.4 data.nonsense 3",
        "set table t2 key 1.2.3.5 data.conn_rate 4 data.bytes_in_cnt 99999999999 data.conn_cnt 99999999999",
        "show table t2 foo",
        "show table t2 data.conn_cnt",
        "show table t2 data.conn_cnt gt 4",
        "show table t2 data.conn_cnt gt x",
        "show table t2 data.conn_cnt zz 4",
        "show table t2 data.gpc0 gt 4",
        "show table t2 data.conn_rate ge 4",
        "show table t2 data.conn_cnt gt 4 data.conn_cur lt 8",
        "show table t2 data.conn_cnt gt 4 data.conn_cur ne 7",
        "show table t2 key 1.2.3.4",
        "show table t2 key 9.9.9.9",
        "clear table t2 key 9.9.9.9",
        "clear table t2 key 1.2.3.4",
        "show table t2",
        "set table t3 key abcdefghijklm data.conn_cnt 5",
        "set table t3 key a=b\\ c\\\\d data.conn_cnt 6",
        "show table t3 key abcdefghijklm",
        "show table t3",
        "clear table t3 data.conn_cnt eq 5",
        "show table t3",
        "set table t5 key -1 data.gpc0 5",
        "set table t5 key x data.gpc0 5",
        "set table t5 key 77 data.gpc 5 data.gpt 4",
        "set table t5 key 9 data.gpc 3",
        "show table t5",
        "set table t6 key abcd data.gpc0 1",
        "show table t6",
        "clear table t5",
        "show table t5",
    ] {
        command(&mut lab, text);
    }
    // One that is tracked stays.
    let mut client = lab.client();
    client.ask(get("/"));
    command(&mut lab, "clear table t2 key 127.0.0.1");
    // HTTP's bytes are counted otherwise there: as HAProxy keeps messages, not as they come.
    let answer = normalised(&lab.proxy.command("show table t2 key 127.0.0.1"));
    lab.note(answer.split(" bytes_in_cnt").next().unwrap_or_default());
    drop(client);
    lab.into_notes()
}

fn keys_of_all_types(flavour: Flavour) -> Vec<String> {
    let lines = "    http-request track-sc0 req.hdr(k) table {table}";
    let mut notes = Vec::new();
    for (kind, values) in [
        ("ip", &["1.2.3.4", "::1", "x", "5"][..]),
        ("ipv6", &["1.2.3.4", "::1", "x", "::ffff:9.9.9.9"]),
        ("integer", &["5", "-1", "x", "99999999999", "7x"]),
        ("string len 6", &["short", "longer-than-that", "a b", "q\\=", "\"x\"", "\u{e9}"]),
        ("string", &["0123456789012345678901234567890123456789"]),
        ("binary len 6", &["short", "longer-than-that", "a"]),
    ] {
        let tables = format!("backend t\n    stick-table type {kind} size 10 store http_req_cnt\n");
        let mut lab = lab(flavour, vec![HttpOrigin::named("s1")], &lines.replace("{table}", "t"), &tables);
        for value in values {
            lab.client().ask(format!("GET / HTTP/1.1\r\nHost: test\r\nK: {value}\r\n\r\n"));
        }
        dump(&mut lab, &["t"]);
        notes.extend(lab.into_notes());
    }
    notes
}

/// The oldest goes, or the newest stays out.
fn full_tables(flavour: Flavour) -> Vec<String> {
    let mut notes = Vec::new();
    for nopurge in ["", "nopurge"] {
        let tables = format!("backend t\n    stick-table type string size 3 {nopurge} store http_req_cnt\n");
        let mut lab = lab(flavour, vec![HttpOrigin::named("s1")], "    http-request track-sc0 path table t", &tables);
        for target in ["/1", "/2", "/3", "/1", "/4", "/5", "/1"] {
            lab.client().ask(get(target));
            lab.settle();
        }
        dump(&mut lab, &["t"]);
        notes.extend(lab.into_notes());
    }
    notes
}

/// What most tables are for.
fn requests_are_limited(flavour: Flavour) -> Vec<String> {
    let lines = "    stick-table type ip size 100k expire 30s store http_req_rate(10m),gpc0
    acl abuser sc0_get_gpc0 gt 0
    acl too_fast sc0_http_req_rate gt 3
    tcp-request connection track-sc0 src
    tcp-request connection reject if { src_get_gpc0 gt 1 }
    http-request deny deny_status 429 if too_fast { sc0_inc_gpc0 gt 0 }
    http-request set-header Abuser yes if abuser";
    let mut lab = lab(flavour, vec![HttpOrigin::named("s1")], lines, "");
    for _ in 0..5 {
        let response = lab.client().ask(get("/"));
        lab.note(response.status.to_string());
    }
    let mut refused = lab.client();
    refused.expect_end();
    drop(refused);
    command(&mut lab, "set table px key 127.0.0.1 data.gpc0 0 data.http_req_rate 0");
    lab.ask(get("/again"));
    lab.finish(6)
}
