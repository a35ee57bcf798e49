//! The proxy's figures, read as an operator's tools read them: CSV over HTTP, commands over the stats socket.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An HTTP answer: status, head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header's value, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends a request as it stands and reads until the proxy closes.
pub fn http(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the stats page accepts");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("the request is taken");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer, then the end");
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    let answer = Answer { status, head: head.to_string(), body: body.to_string() };
    match answer.header("transfer-encoding") {
        Some("chunked") => Answer { body: unchunk(body), ..answer },
        _ => answer,
    }
}

/// A chunked body's text (RFC 9112 section 7.1).
fn unchunk(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("a chunk's size: {size:?}"));
        if size == 0 {
            break;
        }
        text.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").expect("the chunk's end");
    }
    text
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    http(address, &format!("GET {path} HTTP/1.0\r\nHost: stats\r\n\r\n"))
}

/// One command (or several with `;`) on a stats socket; the whole answer.
pub fn command(socket: &Path, command: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("the stats socket accepts");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(format!("{command}\n").as_bytes()).expect("the command is taken");
    // As socat does with a pipe for its input: no more commands come.
    stream.shutdown(Shutdown::Write).expect("half-closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, then the end");
    answer
}

/// `show stat` by name.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<HashMap<String, String>>,
}

impl Table {
    pub fn parse(csv: &str) -> Table {
        let mut lines = csv.lines().filter(|line| !line.is_empty());
        let header = lines.next().unwrap_or_default();
        assert!(header.starts_with("# pxname,svname,"), "no CSV header: {csv}");
        let columns: Vec<String> = header.trim_start_matches("# ").split(',').map(str::to_string).collect();
        let rows = lines
            .map(|line| {
                let fields = fields(line);
                assert_eq!(fields.len(), columns.len(), "a row as wide as the header: {line}");
                columns.iter().cloned().zip(fields).collect()
            })
            .collect();
        Table { columns, rows }
    }

    /// The row of a proxy's FRONTEND, BACKEND or server.
    pub fn row(&self, proxy: &str, name: &str) -> &HashMap<String, String> {
        self.rows
            .iter()
            .find(|row| row["pxname"] == proxy && row["svname"] == name)
            .unwrap_or_else(|| panic!("no row {proxy}/{name}"))
    }

    pub fn text(&self, proxy: &str, name: &str, column: &str) -> &str {
        self.row(proxy, name).get(column).unwrap_or_else(|| panic!("no column {column}"))
    }

    /// A figure; an empty field counts as 0.
    pub fn number(&self, proxy: &str, name: &str, column: &str) -> u64 {
        let text = self.text(proxy, name, column);
        if text.is_empty() { 0 } else { text.parse().unwrap_or_else(|_| panic!("{column} is {text}")) }
    }
}

/// Splits a CSV line; a field may be quoted, with `""` for a quote inside.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("at least one");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}
