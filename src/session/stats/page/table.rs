//! The table of a proxy: the columns of HAProxy's page, in its order.

use super::super::backend_figures::algorithm_name;
use super::super::columns::Column;
use super::super::figures::{Snapshot, listen_address};
use super::super::row::{Cell, Row, RowKind};
use super::{duration_text, escape, grouped};
use crate::config::model::{Proxy, ProxyId};
use std::fmt::Write;

/// Groups of columns with the names and meanings of what is in them.
const GROUPS: &[(&str, &[(&str, &str)])] = &[
    ("Queue", &[("Cur", "waiting now"), ("Max", "most that waited at once"), ("Limit", "maxqueue")]),
    ("Session rate", &[("Cur", "sessions in the last second"), ("Max", "most in a second"), ("Limit", "rate limit")]),
    (
        "Sessions",
        &[
            ("Cur", "sessions now"),
            ("Max", "most at once"),
            ("Limit", "maxconn; for a backend its fullconn"),
            ("Total", "sessions since start"),
            ("LbTot", "times chosen by load balancing"),
            ("Last", "time since the last session"),
        ],
    ),
    ("Bytes", &[("In", "from clients"), ("Out", "to clients")]),
    ("Denied", &[("Req", "requests denied by rules"), ("Resp", "responses denied by rules")]),
    (
        "Errors",
        &[
            ("Req", "invalid or broken off requests"),
            ("Conn", "failed connections to servers"),
            ("Resp", "failed responses"),
        ],
    ),
    ("Warnings", &[("Retr", "connections tried again"), ("Redis", "sessions moved to another server")]),
    (
        "Server",
        &[
            ("Status", "state, and for how long"),
            ("LastChk", "result of the last health check"),
            ("Wght", "weight"),
            ("Act", "active servers"),
            ("Bck", "backup servers"),
            ("Chk", "failed checks while up"),
            ("Dwn", "changes from up to down"),
            ("Dwntme", "time spent down"),
            ("Thrtle", "share of the weight reached while warming up"),
        ],
    ),
];

/// The two header lines.
pub fn write_head(with_checkboxes: bool, output: &mut String) {
    output.push_str("<thead><tr>");
    if with_checkboxes {
        output.push_str("<th rowspan=\"2\" class=\"check\"></th>");
    }
    output.push_str("<th rowspan=\"2\" class=\"name\"></th>");
    for (group, columns) in GROUPS {
        let _ = write!(output, "<th colspan=\"{}\" class=\"group\">{group}</th>", columns.len());
    }
    output.push_str("</tr>\n<tr>");
    for (_, columns) in GROUPS {
        for (index, (name, meaning)) in columns.iter().enumerate() {
            let class = match (index, *name) {
                (_, "Status") => " class=\"first text\"",
                (_, "LastChk") => " class=\"text\"",
                (0, _) => " class=\"first\"",
                _ => "",
            };
            let _ = write!(output, "<th{class} title=\"{meaning}\">{name}</th>");
        }
    }
    output.push_str("</tr></thead>\n");
}

/// The colour class of a line, by its status.
fn class_of(row: &Row) -> &'static str {
    let is_backup = *row.get(Column::Backup) == Cell::Unsigned32(1);
    let status = row.text(Column::Status);
    match row.kind {
        RowKind::Frontend => "frontend",
        RowKind::Backend if status == "DOWN" => "backend down",
        RowKind::Backend => "backend",
        RowKind::Listener => "listener",
        RowKind::Server => match status {
            "UP" if is_backup => "backup-up",
            "UP" => "up",
            "DOWN" => "down",
            "no check" => "no-check",
            status if status.starts_with("UP ") => "up-failing",
            status if status.starts_with("DOWN ") => "down-recovering",
            status if status.starts_with("MAINT") => "maint",
            _ => "drain",
        },
    }
}

/// One line of the table.
pub fn write_row(row: &Row, with_checkboxes: bool, output: &mut String) {
    let _ = write!(output, "<tr class=\"{}\">", class_of(row));
    let name = escape(row.text(Column::ServiceName));
    if with_checkboxes && row.kind == RowKind::Server {
        let label = format!("Select server {name}");
        let _ = write!(
            output,
            "<td class=\"check\"><input type=\"checkbox\" name=\"s\" value=\"{name}\" aria-label=\"{label}\"></td>"
        );
    } else if with_checkboxes {
        output.push_str("<td class=\"check\"></td>");
    }
    let shown = match row.kind {
        RowKind::Frontend => "Frontend",
        RowKind::Backend => "Backend",
        RowKind::Server | RowKind::Listener => &name,
    };
    let _ = write!(output, "<th scope=\"row\" class=\"name\">{shown}");
    for column in [Column::Address, Column::Cookie, Column::Tracked] {
        if let text @ [_, ..] = row.text(column).as_bytes() {
            let label = match column {
                Column::Cookie => "cookie ",
                Column::Tracked => "tracks ",
                _ => "",
            };
            let _ = write!(output, "<small>{label}{}</small>", escape(&String::from_utf8_lossy(text)));
        }
    }
    output.push_str("</th>");
    write_figures(row, output);
    write_server_figures(row, output);
    output.push_str("</tr>\n");
}

fn write_figures(row: &Row, output: &mut String) {
    let sessions_title = sessions_title(row);
    let groups: &[&[Column]] = &[
        &[Column::QueueCurrent, Column::QueueMaximum, Column::QueueLimit],
        &[Column::Rate, Column::RateMaximum, Column::RateLimit],
        &[
            Column::SessionsCurrent,
            Column::SessionsMaximum,
            Column::SessionsLimit,
            Column::SessionsTotal,
            Column::Selected,
            Column::LastSession,
        ],
        &[Column::BytesIn, Column::BytesOut],
        &[Column::DeniedRequests, Column::DeniedResponses],
        &[Column::RequestErrors, Column::ConnectionErrors, Column::ResponseErrors],
        &[Column::Retries, Column::Redispatches],
    ];
    for columns in groups {
        for (index, column) in columns.iter().enumerate() {
            let (text, title) = match column {
                Column::LastSession => (last_session(row.get(*column)), String::new()),
                Column::SessionsTotal => (number(row.get(*column)), sessions_title.clone()),
                _ => (number(row.get(*column)), String::new()),
            };
            write_cell(&text, if index == 0 { "first" } else { "" }, &title, output);
        }
    }
}

fn write_server_figures(row: &Row, output: &mut String) {
    let status = row.text(Column::Status);
    let age = match row.get(Column::LastChange) {
        Cell::Unsigned32(seconds) => format!(" <small>{}</small>", duration_text(u64::from(*seconds))),
        _ => String::new(),
    };
    let _ = write!(output, "<td class=\"first status\"><b>{}</b>{age}</td>", escape(status));
    let check = match (row.text(Column::CheckStatus), row.get(Column::CheckDuration)) {
        ("", _) => String::new(),
        (result, Cell::Empty) => result.to_string(),
        (result, duration) => match row.get(Column::CheckCode) {
            Cell::Empty => format!("{result} in {duration}ms"),
            code => format!("{result}/{code} in {duration}ms"),
        },
    };
    let check_title = match (row.text(Column::CheckDescription), row.text(Column::LastCheck)) {
        (description, "") => description.to_string(),
        (description, said) => format!("{description}: {said}"),
    };
    write_cell(&escape(&check), "text", &check_title, output);
    let weight_title = match row.get(Column::UserWeight) {
        Cell::Empty => String::new(),
        weight => format!("set: {weight}"),
    };
    write_cell(&number(row.get(Column::Weight)), "", &weight_title, output);
    for column in [Column::Active, Column::Backup] {
        let text = match (row.kind, row.get(column)) {
            (RowKind::Server, Cell::Unsigned32(1)) => "Y".to_string(),
            (RowKind::Server, _) => "-".to_string(),
            (_, cell) => number(cell),
        };
        write_cell(&text, "", "", output);
    }
    let health_title = match row.get(Column::CheckHealth) {
        Cell::Empty => String::new(),
        health => format!("health {health}, rise {}, fall {}", row.get(Column::CheckRise), row.get(Column::CheckFall)),
    };
    write_cell(&number(row.get(Column::CheckFailures)), "", &health_title, output);
    write_cell(&number(row.get(Column::DownTransitions)), "", "", output);
    let downtime = match row.get(Column::Downtime) {
        Cell::Unsigned32(seconds) => duration_text(u64::from(*seconds)),
        _ => String::new(),
    };
    write_cell(&downtime, "", "", output);
    let throttle = match (row.kind, row.get(Column::Throttle)) {
        (RowKind::Server, Cell::Empty) => "-".to_string(),
        (_, Cell::Empty) => String::new(),
        (_, percent) => format!("{percent} %"),
    };
    write_cell(&throttle, "", "", output);
}

/// `text` is HTML already, `title` is not.
fn write_cell(text: &str, class: &str, title: &str, output: &mut String) {
    output.push_str("<td");
    if !class.is_empty() {
        let _ = write!(output, " class=\"{class}\"");
    }
    if !title.is_empty() {
        let _ = write!(output, " title=\"{}\"", escape(title));
    }
    let _ = write!(output, ">{text}</td>");
}

fn number(cell: &Cell) -> String {
    grouped(&cell.to_string())
}

fn last_session(cell: &Cell) -> String {
    match cell {
        Cell::Signed32(seconds) => u64::try_from(*seconds).map_or("?".to_string(), duration_text),
        _ => String::new(),
    }
}

/// What a total is made of, for those who point at it.
fn sessions_title(row: &Row) -> String {
    let parts = [
        ("connections", Column::ConnectionsTotal),
        ("HTTP requests", Column::RequestsTotal),
        ("intercepted", Column::Intercepted),
        ("1xx", Column::Http1xx),
        ("2xx", Column::Http2xx),
        ("3xx", Column::Http3xx),
        ("4xx", Column::Http4xx),
        ("5xx", Column::Http5xx),
        ("other", Column::HttpOther),
        ("broken off by clients", Column::ClientAborts),
        ("broken off by servers", Column::ServerAborts),
        ("mean queue time, ms", Column::QueueTime),
        ("mean connect time, ms", Column::ConnectTime),
        ("mean response time, ms", Column::ResponseTime),
        ("mean total time, ms", Column::TotalTime),
    ];
    let present = parts.iter().filter(|(_, column)| *row.get(*column) != Cell::Empty);
    present.map(|(name, column)| format!("{name}: {}", row.get(*column))).collect::<Vec<_>>().join("\n")
}

/// `stats show-legends`: addresses and algorithm behind the proxy's name.
pub fn details_of(snapshot: Snapshot, _id: ProxyId, proxy: &Proxy) -> String {
    let config = &snapshot.shared.config;
    let mut text = String::new();
    if let Some(frontend) = &proxy.frontend {
        for listener in &frontend.listeners {
            let _ = write!(text, ", {}", escape(&listen_address(&config.listener(*listener).address)));
        }
    }
    if let Some(backend) = proxy.backend.as_ref().filter(|backend| !backend.servers.is_empty()) {
        let _ = write!(text, ", {}", algorithm_name(&backend.balance));
    }
    let _ = write!(text, ", id {}", proxy.iid);
    text
}
