//! Requests that say something about their connection: options, upgrades, expectations, what is sent behind them.

use super::http_messages_more::{Case, SMUGGLED, get_with, passed, passed_then_closed, pipeline, post, refused};
use crate::support::get;

pub fn all() -> Vec<Case> {
    [connections()].into_iter().flatten().collect()
}

fn connections() -> Vec<Case> {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut cases = vec![
        passed(
            "connection: names the coding",
            &post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
            &["transfer-encoding: chunked", "hello"],
            &["connection:"],
        ),
        passed(
            "connection: names the length",
            &post("Connection: Content-Length, keep-alive\r\nContent-Length: 5", "hello"),
            &["content-length: 5", "hello"],
            &["connection:"],
        ),
        passed(
            "connection: names a custom header",
            &get_with("Connection: X-Mine\r\nX-Mine: 1\r\nX-Yours: 2"),
            &["x-yours: 2"],
            &["x-mine", "connection:"],
        ),
        passed(
            "connection: names it in another case",
            &get_with("Connection: x-MINE\r\nX-Mine: 1\r\nx-mine: 2"),
            &[],
            &["x-mine"],
        ),
        passed("connection: names Host", &get_with("Connection: Host"), &["host: t"], &["connection:"]),
        passed("connection: names Cookie", &get_with("Connection: Cookie\r\nCookie: a=b"), &["cookie: a=b"], &[]),
        passed(
            "connection: names Authorization",
            &get_with("Connection: Authorization\r\nAuthorization: x"),
            &["authorization: x"],
            &[],
        ),
        passed(
            "connection: names X-Forwarded-For",
            &get_with("Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4"),
            &["x-forwarded-for: 1.2.3.4"],
            &[],
        ),
        passed(
            "connection: names X-Real-IP",
            &get_with("Connection: X-Real-IP\r\nX-Real-IP: 1.2.3.4"),
            &["x-real-ip: 1.2.3.4"],
            &[],
        ),
        passed("connection: empty", &get_with("Connection:"), &[], &["connection:"]),
        passed("connection: commas", &get_with("Connection: , ,,"), &[], &["connection:"]),
        passed("connection: no word of it", &get_with("Connection: closed"), &[], &["connection:"]),
        passed("connection: quoted close", &get_with("Connection: \"close\""), &[], &["connection:"]),
        passed(
            "connection: of the proxy",
            &get_with("Proxy-Connection: close\r\nKeep-Alive: timeout=1"),
            &[],
            &["proxy-connection", "keep-alive"],
        ),
        refused("connection: with a control byte", &get_with("Connection: close\u{b}")),
        passed_then_closed(
            "connection: close among others",
            &format!("{}{SMUGGLED}", get_with("Connection: x,\tCLOSE ,y")),
            &[],
            &["x,"],
        ),
        passed_then_closed(
            "connection: close on a second line",
            &format!("{}{SMUGGLED}", get_with("Connection: keep-alive\r\nConnection: close")),
            &[],
            &[],
        ),
        passed_then_closed(
            "connection: HTTP/1.0 and the next",
            &format!("GET /a HTTP/1.0\r\nHost: t\r\n\r\n{SMUGGLED}"),
            &[],
            &[],
        ),
        passed_then_closed(
            "connection: HTTP/1.0, both words",
            &format!("GET /a HTTP/1.0\r\nHost: t\r\nConnection: keep-alive, close\r\n\r\n{SMUGGLED}"),
            &[],
            &[],
        ),
        passed(
            "connection: HTTP/1.0 that stays open",
            "GET /a HTTP/1.0\r\nHost: t\r\nConnection: Keep-Alive\r\n\r\n",
            &[],
            &[],
        ),
        passed("upgrade: not among the options", &get_with("Upgrade: foo"), &[], &["upgrade"]),
        passed("upgrade: without the header", &get_with("Connection: Upgrade"), &[], &["upgrade"]),
        passed(
            "upgrade: h2c",
            &get_with(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ),
            &[],
            &["upgrade", "h2c", "http2-settings"],
        ),
        passed(
            "upgrade: h2c and another",
            &get_with("Connection: Upgrade\r\nUpgrade: h2c, foo\r\nUpgrade: H2C"),
            &["upgrade: foo\r\n"],
            &["h2c"],
        ),
        passed("upgrade: HTTP/2.0", &get_with("Connection: Upgrade\r\nUpgrade: HTTP/2.0"), &[], &["upgrade"]),
        refused("upgrade: a websocket without key", &get_with(upgrade)),
        refused("upgrade: a websocket with two keys", &get_with(&format!("{upgrade}\r\n{key}\r\n{key}"))),
        refused("upgrade: a websocket with an empty key", &get_with(&format!("{upgrade}\r\nSec-WebSocket-Key:"))),
        pipeline(
            "upgrade: a websocket that is answered otherwise, and the next",
            &format!("{}{}", get_with(&format!("{upgrade}\r\n{key}")), get("/b")),
            &["GET", "GET"],
            false,
        ),
        pipeline(
            "upgrade: with a body, and the next",
            &format!("{}{}", post("Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 5", "hello"), get("/b")),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "upgrade: with chunks, and the next",
            &format!(
                "{}{}",
                post("Connection: Upgrade\r\nUpgrade: foo\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
                get("/b")
            ),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "expect: and the next",
            &format!("{}{}", post("Expect: 100-continue\r\nContent-Length: 5", "hello"), get("/b")),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "expect: in another case, and the next",
            &format!(
                "{}{}",
                post("Expect: 100-CONTINUE\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
                get("/b")
            ),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "expect: something else, and the next",
            &format!("{}{}", post("Expect: 200-ok\r\nContent-Length: 5", "hello"), get("/b")),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "expect: a list, and the next",
            &format!("{}{}", post("Expect: x, 100-continue\r\nContent-Length: 5", "hello"), get("/b")),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "expect: twice, and the next",
            &format!(
                "{}{}",
                post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5", "hello"),
                get("/b")
            ),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "expect: of a GET without body, and the next",
            &format!("{}{}", get_with("Expect: 100-continue"), get("/b")),
            &["GET", "GET"],
            false,
        ),
        refused("expect: with a NUL", &post("Expect: 100-continue\0\r\nContent-Length: 5", "hello")),
        refused("body: of a GET in HTTP/1.0", "GET /a HTTP/1.0\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"),
        refused("body: of a HEAD in HTTP/1.0", "HEAD /a HTTP/1.0\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"),
        passed_then_closed(
            "body: of a POST in HTTP/1.0",
            &format!("POST /a HTTP/1.0\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello{SMUGGLED}"),
            &["hello"],
            &[],
        ),
    ];
    let good = get("/b");
    cases.extend([
        pipeline("pipeline: three", &format!("{}{good}{good}", get("/a")), &["GET", "GET", "GET"], false),
        pipeline("pipeline: twenty", &good.repeat(20), &["GET"; 20], false),
        pipeline(
            "pipeline: HEAD between",
            &format!("{good}{}{good}", good.replacen("GET", "HEAD", 1)),
            &["GET", "HEAD", "GET"],
            false,
        ),
        pipeline(
            "pipeline: a line end between",
            &format!("{}\r\n{good}", post("Content-Length: 5", "hello")),
            &["POST", "GET"],
            false,
        ),
        pipeline(
            "pipeline: a body of each kind",
            &format!(
                "{}{}{good}",
                post("Content-Length: 5", "hello"),
                post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")
            ),
            &["POST", "POST", "GET"],
            false,
        ),
        pipeline(
            "pipeline: the second closes",
            &format!("{good}{}{SMUGGLED}", get_with("Connection: close")),
            &["GET", "GET"],
            true,
        ),
        pipeline(
            "pipeline: HTTP/1.0 after HTTP/1.1",
            &format!("{good}GET /b HTTP/1.0\r\n\r\n{SMUGGLED}"),
            &["GET", "GET"],
            true,
        ),
    ]);
    cases
}
