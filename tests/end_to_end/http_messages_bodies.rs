//! Requests whose bodies end where readers may disagree: lengths, codings, chunks (RFC 9112 sections 6 and 7).

use super::http_messages_more::{Case, SMUGGLED, either, get_with, passed, pipeline, post, refused};
use crate::support::get;

pub fn all() -> Vec<Case> {
    [lengths(), codings(), chunks()].into_iter().flatten().collect()
}

fn lengths() -> Vec<Case> {
    let wrong = [
        ("two numbers", "5 5"),
        ("a tab within", "5\t5"),
        ("a fraction", "5.0"),
        ("a comma alone", ","),
        ("a leading comma", ",5"),
        ("a list of two", "5, 6"),
        ("an empty element", "5,,5"),
        ("the third differs", "5, 5, 6"),
        ("quoted", "\"5\""),
        ("escaped", "%35"),
        ("full width", "\u{ef}\u{bc}\u{95}"),
        ("arabic", "\u{d9}\u{a5}"),
        ("behind a no-break space", "\u{a0}5"),
        ("behind a form feed", "\u{c}5"),
        ("before a vertical tab", "5\u{b}"),
        ("octal", "0o5"),
        ("binary", "0b101"),
        ("a letter behind", "5a"),
        ("a suffix", "5L"),
        ("2^64", "18446744073709551616"),
        ("minus zero", "-0"),
        ("plus zero", "+0"),
        ("empty", ""),
        ("blank", " \t "),
        ("a parameter", "5; a"),
        ("a group", "(5)"),
        ("a NUL behind", "5\0"),
        ("a bare CR behind", "5\r"),
        ("folded", "1\r\n 0"),
        ("folded before", "\r\n 5"),
        ("an empty fold behind", "5\r\n\t"),
    ];
    let mut cases: Vec<Case> = wrong
        .iter()
        .map(|(name, value)| refused(&format!("length: {name}"), &post(&format!("Content-Length: {value}"), "hello")))
        .collect();
    cases.extend([
        refused(
            "length: the second line is empty",
            &post("Content-Length: 5\r\nContent-Length:", &format!("hello{SMUGGLED}")),
        ),
        refused("length: list and line differ", &post("Content-Length: 5, 5\r\nContent-Length: 6", "hello!")),
        refused("length: NUL in the name", &post("Content-Length\0: 5", "hello")),
        refused("length: semicolon in the name", &post("Content-Length;: 5", "hello")),
        refused("length: blank before the name", "POST /a HTTP/1.1\r\n Content-Length: 5\r\nHost: t\r\n\r\nhello"),
        refused("length: form feed before the colon", &post("Content-Length\u{c}: 5", "hello")),
        refused("length: another one behind a bare CR", &post("Content-Length: 5\rContent-Length: 0", "hello")),
        refused("length: another one behind a bare LF", &post("Content-Length: 5\nContent-Length: 0", "hello")),
        refused("length: hidden behind a NUL", &post("X: a\0\r\nContent-Length: 5", "hello")),
        passed(
            "length: three lines that agree",
            &post("Content-Length: 5\r\ncontent-length: 5\r\nCONTENT-LENGTH: 05", "hello"),
            &["content-length: 5\r\n"],
            &["05"],
        ),
        passed(
            "length: a list that agrees",
            &post("Content-Length: 5, 5,5 ,\t5", "hello"),
            &["content-length: 5\r\n"],
            &[","],
        ),
        passed(
            "length: zeros before it",
            &post("Content-Length: 000000000000000000000000000000005", "hello"),
            &["content-length: 5\r\n"],
            &[],
        ),
        passed(
            "length: of a GET",
            &get_with("Content-Length: 5").replace("\r\n\r\n", "\r\n\r\nhello"),
            &["hello"],
            &[],
        ),
        passed(
            "length: underscore is another header",
            &post("Content_Length: 5", ""),
            &["content_length: 5"],
            &["content-length: 5"],
        ),
        passed(
            "length: a longer name is another header",
            &post("Content-Lengths: 5", ""),
            &["content-lengths: 5"],
            &[],
        ),
        refused("length: of CONNECT", "CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\nContent-Length: 5\r\n\r\nhello"),
        pipeline(
            "length: none, and the next",
            &format!("{}{}", post("Content-Length: 0", ""), get("/b")),
            &["POST", "GET"],
            false,
        ),
    ]);
    cases
}

fn codings() -> Vec<Case> {
    let wrong = [
        ("chunked and gzip", "chunked, gzip"),
        ("identity before", "identity, chunked"),
        ("a parameter", "chunked;q=1"),
        ("a list with another", "chunked, foo"),
        ("a form feed behind", "chunked\u{c}"),
        ("a no-break space before", "\u{a0}chunked"),
        ("next line before", "\u{85}chunked"),
        ("twice without comma", "chunked chunked"),
        ("a blank within", "chunk ed"),
        ("a comma before", ",chunked"),
        ("an empty element", "chunked, , chunked"),
        ("empty", ""),
        ("a comma alone", ","),
        ("trailers", "trailers"),
        ("quoted", "'chunked'"),
        ("compress", "compress"),
        ("a long s", "chunked\u{c5}\u{bf}"),
        ("the Kelvin sign", "chun\u{e2}\u{84}\u{aa}ed"),
        ("a bare CR before", "\rchunked"),
        ("a bare CR behind", "chunked\r"),
        ("a NUL before", "\0chunked"),
        ("folded", "\r\n chunked"),
        ("a folded comma", "chunked\r\n\t,"),
        ("deflate and chunked", "deflate, chunked"),
        ("a comment", "chunked (x)"),
        ("an escape", "chunke%64"),
    ];
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let mut cases: Vec<Case> = Vec::new();
    for (name, value) in wrong {
        let line = format!("Transfer-Encoding: {value}");
        cases.push(refused(&format!("coding: {name}"), &post(&line, &body)));
        let with_length = format!("{line}\r\nContent-Length: {}", body.len());
        cases.push(refused(&format!("coding: {name}, and a length"), &post(&with_length, &body)));
    }
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", body.len());
    cases.extend([
        refused("coding: behind a length", &post(&both, &body)),
        refused("coding: before a length of 0", &post("Transfer-Encoding: chunked\r\nContent-Length: 0", &body)),
        refused(
            "coding: a tab behind, and a length",
            &post("Transfer-Encoding: chunked\t\r\nContent-Length: 5", &body),
        ),
        refused("coding: an empty second line", &post("Transfer-Encoding: chunked\r\nTransfer-Encoding:", &body)),
        refused("coding: an empty first line", &post("Transfer-Encoding:\r\nTransfer-Encoding: chunked", &body)),
        refused("coding: blank before the colon", &post("Transfer-Encoding : chunked", &body)),
        refused("coding: tab before the colon", &post("Transfer-Encoding\t: chunked", &body)),
        refused("coding: colon on the next line", &post("Transfer-Encoding\r\n: chunked", &body)),
        refused("coding: NUL in the name", &post("Transfer-\0Encoding: chunked", &body)),
        refused(
            "coding: behind a bare LF, and a length",
            &post("X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5", &body),
        ),
        refused("coding: behind a bare CR", &post("X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5", &body)),
        refused(
            "coding: in HTTP/1.0",
            &post("Transfer-Encoding: chunked", &body).replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost"),
        ),
        refused(
            "coding: in HTTP/1.0 that stays open",
            &post("Connection: keep-alive\r\nTransfer-Encoding: chunked", &body)
                .replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost"),
        ),
        refused(
            "coding: in HTTP/1.0 with a length",
            &post(&both, &body).replace("HTTP/1.1\r\nHost", "HTTP/1.0\r\nHost"),
        ),
        refused(
            "coding: of CONNECT",
            "CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        passed(
            "coding: a later version",
            &post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n").replace("/1.1\r\nHost", "/1.2\r\nHost"),
            &["transfer-encoding: chunked", "http/1.1\r\n"],
            &[],
        ),
        passed(
            "coding: of a GET",
            &format!("{}5\r\nhello\r\n0\r\n\r\n", get_with("Transfer-Encoding: chunked")),
            &["hello"],
            &[],
        ),
        passed(
            "coding: of a HEAD",
            &format!("{}5\r\nhello\r\n0\r\n\r\n", get_with("Transfer-Encoding: chunked").replacen("GET", "HEAD", 1)),
            &["hello"],
            &[],
        ),
        passed("coding: TE is not it", &get_with("TE: chunked"), &[], &["te: chunked", "transfer-encoding"]),
        passed(
            "coding: TE with trailers",
            &get_with("TE: trailers, deflate;q=0.5\r\nConnection: TE"),
            &["te: trailers\r\n"],
            &["deflate"],
        ),
        passed(
            "coding: underscore is another header",
            &post("Transfer_Encoding: chunked\r\nContent-Length: 5", "hello"),
            &["content-length: 5", "hello"],
            &["transfer-encoding"],
        ),
        passed(
            "coding: upper case",
            &post("TRANSFER-ENCODING: \tCHUNKED \t", "5\r\nhello\r\n0\r\n\r\n"),
            &["transfer-encoding: chunked\r\n", "hello"],
            &[],
        ),
    ]);
    cases
}

fn chunks() -> Vec<Case> {
    let wrong = [
        ("no line end behind the data", "5\r\nhello0\r\n\r\n"),
        ("a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        ("a bare CR behind the data", "5\r\nhello\r0\r\n\r\n"),
        ("other bytes behind the data", "5\r\nhelloxx0\r\n\r\n"),
        ("two line ends behind the data", "5\r\nhello\r\n\r\n0\r\n\r\n"),
        ("too little data", "6\r\nhello\r\n0\r\n\r\n"),
        ("LF alone everywhere", "5\nhello\n0\n\n"),
        ("a bare LF behind the last size", "5\r\nhello\r\n0\n\r\n"),
        ("a bare LF at the end", "5\r\nhello\r\n0\r\n\n"),
        ("CR CR LF behind a size", "5\r\r\nhello\r\n0\r\n\r\n"),
        ("a line end before the first size", "\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("a blank before a size", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a tab before a size", "\t5\r\nhello\r\n0\r\n\r\n"),
        ("two sizes", "5 5\r\nhello\r\n0\r\n\r\n"),
        ("two sizes and a tab", "5\t5\r\nhello\r\n0\r\n\r\n"),
        ("a vertical tab behind a size", "5\u{b}\r\nhello\r\n0\r\n\r\n"),
        ("a NUL behind a size", "5\0\r\nhello\r\n0\r\n\r\n"),
        ("a comma behind a size", "5,\r\nhello\r\n0\r\n\r\n"),
        ("0x0", "0x0\r\n\r\n"),
        ("an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        ("no hexadecimal", "5g\r\nhello\r\n0\r\n\r\n"),
        ("a full width digit", "\u{ef}\u{bc}\u{95}\r\nhello\r\n0\r\n\r\n"),
        ("a quote", "\"5\"\r\nhello\r\n0\r\n\r\n"),
        ("a point", "5.0\r\nhello\r\n0\r\n\r\n"),
        ("2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n"),
        ("2^64 and 5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("2^32 and 5 with a sign", "+100000005\r\nhello\r\n0\r\n\r\n"),
        ("no size before an extension", ";a\r\nhello\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("a NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"),
        ("a vertical tab in an extension", "5;\u{b}a\r\nhello\r\n0\r\n\r\n"),
        ("a DEL in an extension", "5;\u{7f}\r\nhello\r\n0\r\n\r\n"),
        ("a line end within quotes", "5;a=\"\r\nhello\r\n0\r\n\r\n"),
        ("a line end within quotes, which end", "5;a=\"\r\nX: \"\r\nhello\r\n0\r\n\r\n"),
        ("an escaped quote before the line's end", "5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n"),
        ("a trailer without colon", "0\r\nX\r\n\r\n"),
        ("a trailer without name", "0\r\n: y\r\n\r\n"),
        ("a trailer with a blank before the colon", "0\r\nX : y\r\n\r\n"),
        ("a trailer that begins with a blank", "0\r\n X: y\r\n\r\n"),
        ("a folded trailer", "0\r\nX: y\r\n z\r\n\r\n"),
        ("a NUL in a trailer", "0\r\nX: a\0\r\n\r\n"),
        ("a bare CR in a trailer", "0\r\nX: a\rb\r\n\r\n"),
        ("a bare LF behind a trailer", "0\r\nX: y\n\r\n"),
        ("a bare LF behind the trailers", "0\r\nX: y\r\n\n"),
        ("a trailer's odd name", "0\r\nX[]: y\r\n\r\n"),
        ("a request in place of trailers", "0\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"),
    ];
    let mut cases: Vec<Case> = wrong
        .iter()
        .map(|(name, body)| {
            refused(&format!("chunks: {name}"), &post("Transfer-Encoding: chunked", &format!("{body}{SMUGGLED}")))
        })
        .collect();
    let dropped = [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: u",
        "Connection: close",
        "TE: trailers",
        "Trailer: X",
        "Expect: 100-continue",
        "Authorization: Basic YTpi",
        "Cookie: a=b",
        "Content-Encoding: gzip",
        "Content-Type: text/html",
        "Content-Range: bytes 0-1/2",
        "X-Forwarded-For: 127.0.0.1",
        "Upgrade: h2c",
        "Proxy-Authorization: Basic YTpi",
        "Keep-Alive: timeout=5",
    ];
    cases.extend(dropped.iter().map(|line| {
        let body = format!("5\r\nhello\r\n0\r\n{line}\r\nX-Sum: abc\r\n\r\n");
        // The judge knows the trailers that must not go on.
        passed(
            &format!("chunks: trailer {line}"),
            &post("Transfer-Encoding: chunked", &body),
            &["hello", "x-sum: abc"],
            &[],
        )
    }));
    let clear: [(&str, &str, &'static [&'static str]); 8] = [
        ("upper and lower case", "000000a\r\nhellohello\r\n0\r\n\r\n", &["hellohello"]),
        ("extensions", "5;a=b;c;d=\"e;\\\"f\"\r\nhello\r\n0;g=h\r\n\r\n", &["hello"]),
        ("blanks around extensions", "5 ; a = b\r\nhello\r\n0\t;\r\n\r\n", &["hello"]),
        ("bytes above ASCII in an extension", "5;a=\u{e9}\r\nhello\r\n0\r\n\r\n", &["hello"]),
        ("data that looks like chunks", "a\r\n0\r\n\r\nGET /\r\n0\r\n\r\n", &["0\r\n\r\nget /"]),
        ("many of one byte", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n", &["hello"]),
        ("several trailers", "5\r\nhello\r\n0\r\nX-A:1\r\nX-B: \t2 \r\nX-C:\r\n\r\n", &["x-a: 1", "x-b: 2", "x-c: "]),
        ("nothing", "0\r\n\r\n", &["transfer-encoding: chunked"]),
    ];
    cases.extend(clear.iter().map(|(name, body, has)| {
        passed(&format!("chunks: {name}"), &post("Transfer-Encoding: chunked", body), has, &[";"])
    }));
    cases.push(either(
        "chunks: many zeros before a size",
        &post("Transfer-Encoding: chunked", "00000000000000000000005\r\nhello\r\n0\r\n\r\n"),
        &["hello"],
        &[],
    ));
    cases
}
