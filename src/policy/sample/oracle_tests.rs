//! What HAProxy 2.6 makes of an expression is the expectation: it answers each request with all values.

use super::fixture_tests::Fixture;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends its HAProxy with itself.
struct Oracle {
    child: Child,
    _configuration: tempfile::NamedTempFile,
    address: std::net::SocketAddr,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A word in double quotes.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|character| ['\\'].into_iter().filter(move |_| "\\\"$".contains(character)).chain([character]))
        .collect();
    format!("\"{escaped}\"")
}

impl Oracle {
    /// `None`, said aloud, where HAProxy is not installed.
    fn start(expressions: &[&str]) -> Option<Oracle> {
        let version = Command::new("haproxy").arg("-v").output().ok()?;
        if !String::from_utf8_lossy(&version.stdout).contains("version 2.6") {
            return None;
        }
        let values: Vec<String> = expressions.iter().map(|text| format!("<%[{text}]>")).collect();
        let answer = quoted(&values.join("|"));
        let text = format!(
            "global\n maxconn 20\n{}defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 6s\n \
             option http-buffer-request\nfrontend fe\n bind fd@0\n http-request set-var(txn.n) int(7)\n \
             http-request set-var(txn.t) str(three)\n http-request set-var(txn.k) str(c2VjcmV0)\n \
             http-request return status 200 content-type text/plain lf-string {answer}\n \
             default_backend be\nbackend be\n server s1 127.0.0.1:2 weight 7 maxconn 9 maxqueue 4\n \
             server s2 127.0.0.1:3\n",
            " nbthread 1\n tune.bufsize 65536\n"
        );
        let mut configuration = tempfile::NamedTempFile::new().ok()?;
        configuration.write_all(text.as_bytes()).ok()?;
        let listener = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = listener.local_addr().ok()?;
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(configuration.path())
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        Some(Oracle { child, _configuration: configuration, address })
    }

    fn ask(&self, request: &[u8]) -> Vec<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).expect("the listener is there before HAProxy");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        stream.write_all(request).expect("sent");
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
            if let Some(end) = answer.windows(4).position(|part| part == b"\r\n\r\n") {
                let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
                let length: usize = length.expect("a length").parse().expect("a number");
                let body = &answer[end + 4..];
                if body.len() >= length {
                    assert!(text.starts_with("http/1.1 200"), "{text}");
                    // Values may hold anything; `>|<` they do not.
                    let inner = &body[1..length - 1];
                    return split(inner, b">|<");
                }
            }
            let count = stream.read(&mut buffer).expect("HAProxy answers");
            assert!(count > 0, "HAProxy closed: {text}");
            answer.extend_from_slice(&buffer[..count]);
        }
    }
}

fn split(text: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(separator) {
            parts.push(Vec::new());
            at += separator.len();
        } else {
            parts.last_mut().expect("one").push(text[at]);
            at += 1;
        }
    }
    parts
}

/// Compares on every request; one panic names all that differ.
fn compare(expressions: &[&str], requests: &[&[u8]]) {
    let Some(oracle) = Oracle::start(expressions) else {
        eprintln!("SKIPPED: HAProxy 2.6 is not installed; expressions were not compared with it");
        return;
    };
    let mut different = Vec::new();
    for request in requests {
        let theirs = oracle.ask(request);
        assert_eq!(theirs.len(), expressions.len());
        let mut fixture = Fixture::new(request);
        for (name, value) in [("n", "int(7)"), ("t", "str(three)"), ("k", "str(c2VjcmV0)")] {
            fixture.text(&format!("{value},set-var(txn.{name})"));
        }
        for (text, theirs) in expressions.iter().zip(theirs) {
            let ours = fixture.text(text);
            if ours != theirs {
                let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
                let (ours, theirs) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
                different.push(format!("{line}: {text}\n   ours   {ours:?}\n   HAProxy {theirs:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

const REQUESTS: &[&[u8]] = &[
    b"GET http://ex.com:81/a/b?x=1&y=2;z=3&y=4&=5&e=&n HTTP/1.1\r\nHost: ex.com:81\r\nX-F: 1.2.3.4, 5.6.7.8:99 , , zz\r\n\
      X-F: 9.9.9.9\r\nN: 12, abc, 7x\r\nUser-Agent: a, b\r\nCookie: a=1; b=\"2;3\"; a=3;c\r\nCookie: d=4 ;a=\r\n\
      Authorization: Basic dXNlcjpwYTpzcw==\r\nAl: da, en-gb;q=0.8, en;q=0.7\r\nE:\r\nQ: \"a,b\", c\r\n\
      X-V6: [::1]:80, ::2\r\nD: a%20b+c?d+e%2f\r\nJ: {\"a\":{\"b\":[1,\"x\",2.5]},\"t\":true,\"n\":12,\"s\":\"12x\"}\r\n\r\n",
    b"GET /x.php?x=1&id=77 HTTP/1.0\r\nHost: [2001:db8::1]:8080\r\nX-F: 2001:db8::5\r\nAuthorization: Bearer abc.def\r\n\
      Al: fr;q=0.3,en;q=0.9\r\nD: 100%\r\nJ: [1\r\n\r\n",
    b"POST http://10.1.2.3/ HTTP/1.1\r\nHost: 10.1.2.3\r\nContent-Length: 16\r\n\r\nid=5&x=%20&id=6 ",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PATCH /%41/../b//c;p=1 HTTP/1.1\r\nHost: UP.Example.ORG\r\nCookie: a = 5 ; =x; sp= y z \r\n\r\n",
];

#[test]
fn fetches_of_requests() {
    let expressions = [
        "url",
        "path",
        "pathq",
        "query",
        "base",
        "baseq",
        "base32",
        "base32+src,hex",
        "url32",
        "url32+src,hex",
        "url_ip",
        "url_port",
        "urlp(x)",
        "urlp(y)",
        "urlp(z)",
        "urlp(e)",
        "urlp(n)",
        "urlp()",
        "urlp_val(id)",
        "urlp(b,/)",
        "urlp(p,;)",
        "req.hdr(x-f)",
        "req.hdr(x-f,1)",
        "req.hdr(x-f,2)",
        "req.hdr(x-f,3)",
        "req.hdr(x-f,-2)",
        "req.hdr(x-f,-9)",
        "req.fhdr(x-f)",
        "req.fhdr(x-f,1)",
        "req.hdr_cnt(x-f)",
        "req.fhdr_cnt(x-f)",
        "req.hdr_cnt",
        "req.fhdr_cnt",
        "req.hdr_ip(x-f)",
        "req.hdr_ip(x-f,2)",
        "req.hdr_ip(x-f,4)",
        "req.hdr_val(n)",
        "req.hdr_val(n,1)",
        "req.hdr_val(n,2)",
        "req.hdr(e),length",
        "req.hdr(q)",
        "req.hdr(q,1)",
        "req.hdr_ip(x-v6,1)",
        "req.hdr_ip(x-v6)",
        "req.cook(a)",
        "req.cook(b)",
        "req.cook(c)",
        "req.cook(d)",
        "req.cook(sp)",
        "req.cook",
        "req.cook_cnt(a)",
        "req.cook_cnt",
        "req.cook_val(d)",
        "cookie(a)",
        "hdr(x-f)",
        "http_auth_user",
        "http_auth_pass",
        "http_auth_type",
        "http_auth_bearer",
        "req.ver",
        "method",
        "capture.req.uri",
        "capture.req.method",
        "capture.req.ver",
        "http_first_req",
        "fc_http_major",
        "req.proto_http",
        "req.body_len",
        "req.body_size",
        "req.body",
        "req.body_param(id)",
        "req.body_param",
        "req.body_param(x)",
        "thread",
        "proc",
        "nbproc",
        "src",
        "fe_name",
        "fe_defbe",
        "dst",
        "unique-id",
        "fe_client_timeout",
        "stopping",
        "nbsrv(be)",
        "srv_weight(be/s1)",
        "srv_iweight(be/s1)",
        "srv_uweight(be/s2)",
        "srv_is_up(be/s1)",
        "srv_conn_free(be/s1)",
        "srv_conn_free(be/s2)",
        "be_conn_free(be)",
        "connslots(be)",
        "avg_queue(be)",
        "queue(be)",
        "be_conn(be)",
        "var(txn.n)",
        "var(txn.no)",
        "var(txn.no,dflt)",
        "var(sess.n)",
        "req.hdr_cnt(e)",
        "so_name",
        "http_auth_type,length",
        "req.hdr(),length",
        "wait_end",
        "date_us,mul(0)",
        "always_true",
        "last_rule_line",
        "srv_id",
        "be_name",
    ];
    // Not available in a frontend's request rules, which is what HAProxy is asked.
    let expressions: Vec<&str> = expressions.into_iter().filter(|text| !["srv_id", "be_name"].contains(text)).collect();
    compare(&expressions, REQUESTS);
}

#[test]
fn converters_of_texts() {
    compare(
        &[
            "req.hdr(host),lower",
            "req.hdr(host),upper",
            "req.hdr(host),host_only",
            "req.hdr(host),port_only",
            "str(f1_f2_f3__f5),field(5,_)",
            "str(f1_f2_f3__f5),field(2,_,0)",
            "str(f1_f2_f3__f5),field(2,_,2)",
            "str(f1_f2_f3__f5),field(-2,_,3)",
            "str(f1_f2_f3__f5),field(-3,_,0)",
            "str(f1_f2_f3__f5),field(4,_)",
            "str(f1_f2_f3__f5),field(9,_)",
            "str(f1_f2_f3__f5),field(-9,_)",
            "str(f1_f2_f3__f5),word(4,_)",
            "str(f1_f2_f3__f5),word(2,_,0)",
            "str(f1_f2_f3__f5),word(3,_,2)",
            "str(f1_f2_f3__f5),word(-2,_,3)",
            "str(f1_f2_f3__f5),word(-3,_,0)",
            "str(/f1/f2/f3/f4),word(1,/)",
            "str(abc),word(2,/)",
            "str(),field(1,/)",
            "str(__a__),word(1,_)",
            "str(__a__),word(-1,_)",
            "str(a.b-c),field(2,.-)",
            "str(abc),bytes(1)",
            "str(abc),bytes(1,1)",
            "str(abc),bytes(3)",
            "str(abc),bytes(9)",
            "str(abc),bytes(1,9)",
            "str(abc),length",
            "str(),length",
            "str(xxabxx),ltrim(x)",
            "str(xxabxx),rtrim(x)",
            "str(xx),rtrim(x)",
            "path,regsub(/+,_)",
            "path,regsub(/+,_,g)",
            "path,regsub(B,z,i)",
            "path,regsub('(a)(.)','\\2\\1')",
            "str(aaa),regsub(x*,-,g)",
            "str(abc),regsub(b,)",
            "str(abc),regsub(q,z)",
            "str(a),concat(-,txn.n,+)",
            "str(a),concat(-,txn.no,+)",
            "str(a),concat(,txn.t)",
            "str(a),add_item(',',txn.n,x)",
            "str(),add_item(',',txn.n)",
            "str(a),add_item(',',txn.no)",
            "str(a),add_item(',',,q)",
            "str(three),strcmp(txn.t)",
            "str(two),strcmp(txn.t)",
            "str(thr),strcmp(txn.t)",
            "str(z),strcmp(txn.no)",
            "str(three),secure_memcmp(txn.t)",
            "str(thref),secure_memcmp(txn.t)",
            "req.fhdr(d),url_dec",
            "req.fhdr(d),url_dec(1)",
            "req.fhdr(d),url_enc",
            "url,url_enc",
            "req.fhdr(j),json",
            "req.fhdr(j),json(utf8s)",
            "bin(c3a9ff2f22),json(utf8s)",
            "bin(c3a9ff),json(utf8)",
            "bin(c0af41),json(utf8ps)",
            "bin(e282ac),json(utf8)",
            "bin(f09f9880),json(utf8s)",
            "bin(c3a9),json",
            "req.fhdr(j),json_query('$.n')",
            "req.fhdr(j),json_query('$.n','int')",
            "req.fhdr(j),json_query('$.t')",
            "req.fhdr(j),json_query('$.s')",
            "req.fhdr(j),json_query('$.no')",
            "req.fhdr(al),language(en;da)",
            "req.fhdr(al),language(en-gb)",
            "req.fhdr(al),language(fr,xx)",
            "req.fhdr(al),language(fr;en)",
            "str(1),iif(yes,no)",
            "int(0),iif(yes,no)",
            "str(x),iif(yes,no)",
            "bool(true),iif(yes,)",
            "req.hdr(no),iif(yes,no)",
            "bin(610a62),cut_crlf",
            "str(be),nbsrv",
            "str(nope),nbsrv",
            "str(be/s1),srv_queue",
            "str(be/no),srv_queue",
            "str(a\\ b)",
            "str('a,b)')",
            "str( a b )",
            "str(a\\\\b),length",
            "meth(FOO)",
            "env(SURELY_NOT_SET)",
        ],
        REQUESTS,
    );
}

#[test]
fn converters_of_numbers_bytes_and_addresses() {
    compare(
        &[
            "int(7),add(3)",
            "int(7),sub(txn.n)",
            "int(7),mul(-3)",
            "int(7),div(2)",
            "int(-7),div(2)",
            "int(7),div(0)",
            "int(-7),div(0)",
            "int(7),mod(4)",
            "int(-7),mod(4)",
            "int(7),mod(0)",
            "int(6),and(3)",
            "int(6),or(1)",
            "int(6),xor(3)",
            "int(6),cpl",
            "int(6),neg",
            "int(6),odd",
            "int(6),even",
            "int(6),bool",
            "int(6),not",
            "int(0),not",
            "int(9223372036854775807),add(1)",
            "int(-9223372036854775807),sub(9)",
            "int(9223372036854775807),mul(2)",
            "int(9223372036854775807),mul(-2)",
            "int(3),add(txn.t)",
            "int(3),add(txn.no)",
            "int(1),hex",
            "bool(1),hex",
            "src,hex",
            "ipv6(::1),hex",
            "int(258),htonl,hex",
            "int(-1),htonl,hex",
            "str(ff),hex2i",
            "str(fffffffffffffffff),hex2i",
            "str(xyz),hex2i",
            "str(f),hex2i",
            "str(),hex2i",
            "bin(01020304050607),be2dec(:,2)",
            "bin(01020304050607),be2dec(-,2,1)",
            "bin(01020304050607),be2dec(,2,1)",
            "bin(7f000001),be2dec(.,1)",
            "bin(01020304050607),be2hex",
            "bin(01020304050607),be2hex(:,2)",
            "bin(01020304050607),be2hex(--,2,1)",
            "bin(0102030405060708),be2hex(,3,1)",
            "str(abc),base64",
            "str(ab),base64",
            "str(YWI=),b64dec",
            "str(YWI),b64dec",
            "str(YQ??),b64dec",
            "bin(fbff),ub64enc",
            "str(-_8),ub64dec,hex",
            "str(abc),crc32",
            "str(abc),crc32(1)",
            "str(abc),crc32c",
            "str(abc),djb2",
            "str(abc),djb2(1)",
            "str(abc),sdbm",
            "str(abc),sdbm(1)",
            "str(abc),wt6",
            "str(abc),wt6(1)",
            "str(abc),xxh32",
            "str(abc),xxh32(5)",
            "str(abc),xxh64",
            "str(abc),xxh64(5)",
            "str(abc),xxh3",
            "str(abc),xxh3(5)",
            "url,crc32",
            "url,xxh64",
            "url,wt6",
            "str(abc),sha1,hex",
            "str(abc),sha2,hex",
            "str(abc),sha2(224),hex",
            "str(abc),sha2(512),hex",
            "str(abc),digest(sha384),hex",
            "str(abc),digest(md5),hex",
            "str(abc),hmac(sha256,c2VjcmV0),hex",
            "str(abc),hmac(sha1,txn.k),hex",
            "str(1.2.3.4),ipmask(16)",
            "str(1.2.3.4),ipmask(255.255.255.0)",
            "str(1:2:3:4:5::6),ipmask(24,64)",
            "str(1:2:3:4:5::6),ipmask(24)",
            "str(::ffff:1.2.3.4),ipmask(24)",
            "int(16909060),ipmask(32)",
            "str(1.2.3.4:80),ipmask(24)",
            "str(x),ipmask(24)",
            "str(12abc),neg",
            "str(abc),neg",
            "str(),neg",
            "str(-7),neg",
            "str(+7),neg",
            "str(99999999999999999999),neg",
            "ipv4(1.2.3.4),neg",
            "bin(610062)",
            "bin(610062),length",
            "bin(610062),hex",
            "int(0),http_date",
            "int(1700000000),http_date(10)",
            "int(1700000000123),http_date(0,ms)",
            "int(1700000000123456),http_date(-1000000,us)",
            "int(1700000000),utime(%Y%m%d%H%M%S)",
            "int(1700000000),utime(%d/%b/%Y:%T,3600)",
            "int(5),lower",
            "int(1700000000),utime('%a %j %s')",
            "int(5),set-var(txn.q),add(1)",
            "var(txn.q),unset-var(txn.q)",
            "var(txn.q)",
            "int(5),set-var(txn.z,ifnotset)",
            "int(6),set-var(txn.z,ifnotset)",
            "var(txn.z)",
            "int(9),set-var(txn.z,iflt),neg",
            "var(txn.z)",
            "int(2),set-var(txn.z,ifgt)",
            "var(txn.z)",
        ],
        &REQUESTS[..1],
    );
}

const CONNECT_311: &str = "10200004 4d515454 04c2003c 0005 636c694964 0005 616c696365 0006 736563726574";

#[test]
fn mqtt_and_fix() {
    let packets = [
        CONNECT_311,
        // MQTT 5 with a will and properties.
        "10 3c 0004 4d515454 05 ce 0005 08 11 0000000a 21 0014 0003 616263 05 18 00000005 0002 7477 0003 706179 0004 75736572 \
         0004 70617373",
        "10 0f 0006 4d5149736470 03 02 003c 0001 61",
        "10 0c 0004 4d515454 04 03 003c 0000",
        "10 0c 0004 4d515454 04 02 003c 0000",
        "10 0c 0004 4d515455 04 02 003c 0000",
        "10 0c 0004 4d515454 04 40 003c 0000",
        "10 0c 0004 4d515454 04 02 003c 0000 ff",
        "10 0c 0004 4d51",
        "20 02 01 00",
        "20 02 02 00",
        "20 08 00 87 05 1f 0002 6e6f",
        "30 02 00 00",
        "00",
    ];
    let fields = [
        "flags",
        "protocol_name",
        "protocol_version",
        "client_identifier",
        "will_topic",
        "will_payload",
        "username",
        "password",
        "keepalive",
        "17",
        "33",
        "24",
    ];
    let mut expressions = Vec::new();
    for packet in packets {
        let packet: String = packet.split(' ').collect();
        expressions.push(format!("bin({packet}),mqtt_is_valid"));
        expressions.extend(fields.iter().map(|field| format!("bin({packet}),mqtt_field_value(connect,{field})")));
        for field in ["flags", "protocol_version", "reason_code", "31"] {
            expressions.push(format!("bin({packet}),mqtt_field_value(2,{field})"));
        }
    }
    let hex = |byte: u8| if byte == b'|' { "01".to_owned() } else { format!("{byte:02x}") };
    for message in [
        "8=FIX.4.4|9=5|35=0|10=163|",
        "8=FIX.4.4|9=5|35=0|10=161|",
        "8=FIX.4.4|9=6|35=0|10=163|",
        "8=FIX.9.9|9=5|35=0|10=163|",
        "9=5|35=0|",
        "8=FIX.4.4|9=5|35",
        "8=FIX.4.4|9=10|35=A|49=ME|10=001|",
    ] {
        let message: String = message.bytes().map(hex).collect();
        expressions.push(format!("bin({message}),fix_is_valid"));
        expressions.push(format!("bin({message}),fix_tag_value(MsgType)"));
        expressions.push(format!("bin({message}),fix_tag_value(49)"));
    }
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    compare(&expressions, &REQUESTS[..1]);
}
