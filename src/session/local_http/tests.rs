use super::*;
use crate::config::model::Config;
use crate::policy::state_log::StateLog;
use crate::session::stats::fixture;
use crate::shared::Shared;
use crate::shared::server::admin;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

const CONFIG: &str = "\
defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
listen mqtt
  mode tcp
  bind 127.0.0.1:1890
  server emq1 127.0.0.1:1883 check weight 3
  server emq2 127.0.0.1:1884 check
listen stats
  mode http
  bind 127.0.0.1:9080
  stats uri /stats
  stats refresh 30s
  stats realm Ha\\ \\\"x
  stats auth admin:se:cret
  stats admin if TRUE
listen open
  mode http
  bind 127.0.0.1:9081
  stats uri /s
";
/// admin:se:cret
const USER: &str = "Authorization: Basic YWRtaW46c2U6Y3JldA==\r\n";

struct Client {
    shared: Arc<Shared>,
    http: LocalHttp,
    state_logs: Vec<StateLog>,
    last: Verdict,
}

impl Client {
    fn of(frontend: &str) -> Client {
        static LOADED: LazyLock<Arc<Config>> = LazyLock::new(|| fixture::config(CONFIG));
        let shared = fixture::shared(LOADED.clone());
        let id = shared.config.proxy_ids().find(|id| shared.config.proxy(*id).name == frontend).unwrap();
        Client {
            shared,
            http: LocalHttp::new(id, frontend == "stats"),
            state_logs: Vec::new(),
            last: Verdict::Continue,
        }
    }
    fn with<T>(&mut self, act: impl FnOnce(&mut LocalHttp, &mut LocalContext) -> T) -> T {
        let mut context = LocalContext {
            shared: &self.shared,
            worker: 1,
            now_us: 5_000_000,
            wall_us: 1_700_000_005_000_000,
            pid: 4711,
            hostname: "lb",
            client_ip: Some([127, 0, 0, 1].into()),
            state_logs: &mut self.state_logs,
        };
        act(&mut self.http, &mut context)
    }
    /// Everything the client gets back for `input` sent in pieces of `piece` bytes.
    fn send_in_pieces(&mut self, input: &[u8], piece: usize) -> Vec<u8> {
        let mut output = Vec::new();
        for part in input.chunks(piece.max(1)) {
            let mut part = part;
            loop {
                let mut answer = Vec::new();
                self.last = self.with(|http, context| http.receive(part, context, &mut answer));
                output.extend(answer);
                part = &[];
                if self.last == Verdict::CloseAfterOutput {
                    return output;
                }
                if !self.http.has_pending_input() {
                    break;
                }
            }
        }
        output
    }
    fn send(&mut self, input: &str) -> String {
        String::from_utf8(self.send_in_pieces(input.as_bytes(), usize::MAX)).unwrap()
    }
    fn records(&mut self) -> Vec<(u16, [u8; 2], bool)> {
        std::iter::from_fn(|| self.http.take_record()).map(|r| (r.status, r.termination, r.by_stats)).collect()
    }
    fn admin_state(&self, server: usize) -> u8 {
        self.shared.servers[server].admin_state()
    }
    fn post(&mut self, body: &str, headers: &str) -> String {
        let length = body.len();
        self.send(&format!("POST /stats HTTP/1.1\r\nHost: lb\r\n{USER}{headers}Content-Length: {length}\r\n\r\n{body}"))
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("")
}

#[test]
fn asks_for_a_password_and_escapes_the_realm() {
    let mut client = Client::of("stats");
    let answer = client.send("GET /stats HTTP/1.1\r\nHost: lb\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.contains("\r\nwww-authenticate: Basic realm=\"Ha \\\"x\"\r\n"), "{answer}");
    assert_eq!(client.last, Verdict::CloseAfterOutput);
    assert_eq!(client.records(), [(401, *b"LR", true)]);
}

#[test]
fn page_csv_and_json_are_kept_alive() {
    let mut client = Client::of("stats");
    for (target, content_type, expected) in [
        ("/stats", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/statsX", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("/stats;csv", "text/plain", "# pxname,svname,"),
        ("/stats/;csv;norefresh", "text/plain", "# pxname,svname,"),
        ("http://lb/stats;json", "application/json", "[[{\"objType\""),
    ] {
        let answer = client.send(&format!("GET {target} HTTP/1.1\r\nHost: lb\r\n{USER}\r\n"));
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(answer.contains(&format!("\r\ncontent-type: {content_type}\r\n")), "{target}");
        assert!(answer.contains("\r\ncache-control: no-cache\r\n"));
        assert_eq!(answer.contains("\r\nrefresh: 30\r\n"), !target.contains("norefresh"), "{target}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(body.starts_with(expected), "{target}: {body:.60}");
        assert!(!answer.contains("cret"), "a password in the answer");
        assert_eq!(client.last, Verdict::Continue);
    }
    assert_eq!(client.records(), [(200, *b"LR", true); 5]);
    let counters = &client.shared.workers[1].proxies[1];
    assert_eq!((counters.frontend_requests.get(), counters.frontend_intercepted.get()), (5, 5));
    assert_eq!(counters.frontend_http_2xx.get(), 5);
}

#[test]
fn other_paths_and_methods_find_no_server() {
    let mut client = Client::of("open");
    for request in ["GET / HTTP/1.1", "PUT /s HTTP/1.1", "DELETE /s HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        let answer = client.send(&format!("{request}\r\nHost: lb\r\n\r\n"));
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\n"),
            "{request}: {answer}"
        );
    }
    assert_eq!(client.records(), [(503, *b"SC", false); 4]);
    let counters = &client.shared.workers[1].proxies[2];
    assert_eq!((counters.backend_connection_errors.get(), counters.backend_http_5xx.get()), (4, 4));
}

#[test]
fn what_cannot_be_read_is_400_and_close() {
    for bad in ["GARBAGE\r\n\r\n", "GET /s HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /s HTTP/1.1\r\nA : b\r\n\r\n"]
    {
        let mut client = Client::of("open");
        let answer = client.send(bad);
        assert_eq!((status(&answer), client.last), ("400", Verdict::CloseAfterOutput), "{bad}");
        assert_eq!(client.records(), [(400, *b"PR", false)]);
        assert_eq!(client.shared.workers[1].proxies[2].frontend_request_errors.get(), 1);
        assert_eq!(client.send("GET /s HTTP/1.1\r\n\r\n"), "", "nothing is answered after a close");
    }
}

#[test]
fn time_outs_and_ends() {
    let mut output = Vec::new();
    let mut client = Client::of("open");
    client.send("GET /s HTTP/1.1\r\n");
    assert_eq!(client.http.phase(), HttpPhase::Head);
    assert_eq!(client.with(|http, context| http.timed_out(context, &mut output)), Verdict::CloseAfterOutput);
    assert!(output.starts_with(b"HTTP/1.1 408 Request Time-out\r\n"));
    assert_eq!(client.records(), [(408, *b"cR", false)]);

    let mut client = Client::of("open");
    client.send("GET /s HTTP/1.1\r\n");
    output.clear();
    client.with(|http, context| http.end_of_input(context, &mut output));
    assert_eq!((output.len(), client.records()), (0, vec![(400, *b"CR", false)]));

    let mut client = Client::of("open");
    client.with(|http, context| http.end_of_input(context, &mut output));
    assert!(client.http.take_record().unwrap().is_null);

    let mut client = Client::of("open");
    client.send("GET /s;csv HTTP/1.1\r\n\r\n");
    client.records();
    assert_eq!(client.http.phase(), HttpPhase::Idle);
    client.with(|http, context| http.timed_out(context, &mut output));
    assert_eq!((output.len(), client.records()), (0, vec![]), "an idle connection ends without a word");
}

#[test]
fn head_http_1_0_and_pipelining() {
    let mut client = Client::of("open");
    let answer = client.send("HEAD /s;csv HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = client.send("GET /s;csv HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(answer.contains("\r\nconnection: keep-alive\r\n"));
    let answer = client.send(&"GET /s;csv HTTP/1.1\r\n\r\n".repeat(100));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 100);
    assert!(client.send("GET /s;csv HTTP/1.0\r\n\r\n").contains("\r\nconnection: close\r\n"));
    assert_eq!((client.last, client.records().len()), (Verdict::CloseAfterOutput, 103));
}

#[test]
fn one_call_answers_only_so_much() {
    let mut client = Client::of("open");
    let input = "GET /s HTTP/1.1\r\n\r\n".repeat(1000);
    let mut output = Vec::new();
    client.with(|http, context| http.receive(input.as_bytes(), context, &mut output));
    assert!(output.len() < 2 * OUTPUT_BYTES_PER_CALL, "{}", output.len());
    assert!(client.http.has_pending_input());
}

#[test]
fn the_form_changes_servers() {
    let mut client = Client::of("stats");
    let result = |answer: String| {
        let code = answer.split("\r\nlocation: /stats;st=").nth(1).map(|rest| rest[..4].to_string());
        (status(&answer).to_string(), code.unwrap_or(answer))
    };
    let see = |code: &str| ("303".to_string(), code.to_string());
    assert_eq!(result(client.post("s=emq1&action=drain&b=mqtt", "")), see("DONE"));
    assert_eq!(client.admin_state(0), admin::FORCED_DRAIN);
    assert_eq!(client.state_logs.len(), 1);
    let number = client.shared.config.proxies[0].iid;
    assert_eq!(result(client.post(&format!("b=%23{number}&s=emq1&s=emq2&action=ready"), "")), see("DONE"));
    assert_eq!(client.admin_state(0), 0);
    assert_eq!(result(client.post("s=emq1&s=nope&action=maint&b=mqtt", "")), see("PART"));
    assert_eq!(client.admin_state(0), admin::FORCED_MAINT);
    for (body, code) in [
        ("s=nope&action=ready&b=mqtt", "ERRP"),
        ("s=emq1&action=foo&b=mqtt", "ERRP"),
        ("s=emq1&action=&b=mqtt", "ERRP"),
        ("s=emq1&action=ready&b=nope", "ERRP"),
        ("action=ready&b=mqtt", "NONE"),
        ("s=emq1&b=mqtt", "NONE"),
        ("", "NONE"),
        ("s=emq1&action=shutdown&b=mqtt", "DONE"),
        ("%zz=&&&=&s=%ff", "NONE"),
    ] {
        assert_eq!(result(client.post(body, "")), see(code), "{body}");
    }
    let long = format!("s=emq1&action=ready&b=mqtt&x={}", "x".repeat(20_000));
    assert_eq!(result(client.post(&long, "")), see("EXCD"));
    assert_eq!(client.admin_state(0), admin::FORCED_MAINT);
    assert_eq!(client.last, Verdict::Continue);
    let chunked = "Transfer-Encoding: chunked\r\n\r\n1a\r\ns=emq1&action=ready&b=mqtt\r\n0\r\n\r\n";
    let answer = client.send(&format!("POST /stats HTTP/1.1\r\n{USER}{chunked}"));
    assert_eq!((result(answer), client.admin_state(0)), (see("DONE"), 0));
}

#[test]
fn only_administrators_on_the_page_itself_may_send_the_form() {
    let body = "s=emq1&action=maint&b=mqtt";
    let mut client = Client::of("stats");
    for foreign in
        ["Origin: http://evil\r\n", "Origin: null\r\n", "Referer: http://evil/\r\n", "Sec-Fetch-Site: cross-site\r\n"]
    {
        assert!(client.post(body, foreign).contains("st=DENY"), "{foreign}");
    }
    assert_eq!(client.admin_state(0), 0);
    let request = format!("POST /stats HTTP/1.1\r\nHost: lb\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!((status(&client.send(&request)), client.last), ("401", Verdict::CloseAfterOutput));
    assert_eq!(client.admin_state(0), 0);
    let mut client = Client::of("stats");
    assert!(client.post(body, "Origin: http://lb\r\nSec-Fetch-Site: same-origin\r\n").contains("st=DONE"));
    let mut client = Client::of("open");
    assert!(client.send(&request.replace("/stats", "/s")).contains("/s;st=DENY"), "no stats admin there");
}

#[test]
fn continue_is_sent_only_for_a_form_that_will_be_read() {
    let mut client = Client::of("stats");
    let head = format!("POST /stats HTTP/1.1\r\n{USER}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(client.send(&head), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.http.phase(), HttpPhase::Body);
    assert_eq!(status(&client.send("a=b")), "303");
    client.records();
    client.send(&head);
    let mut output = Vec::new();
    assert_eq!(client.with(|http, context| http.timed_out(context, &mut output)), Verdict::CloseAfterOutput);
    assert!(output.starts_with(b"HTTP/1.1 408 "));
    let record = client.http.take_record().unwrap();
    assert_eq!((record.method.as_str(), record.status, record.termination), ("POST", 408, *b"LR"));
    let counters = &client.shared.workers[1].proxies[1];
    assert_eq!(counters.frontend_bytes_in.get(), head.len() as u64 * 2 + 3);
    let mut client = Client::of("stats");
    let answer = client.send(&head.replace(USER, ""));
    assert_eq!((status(&answer), client.last), ("401", Verdict::CloseAfterOutput));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        requests in proptest::collection::vec(prop_oneof![
            Just(format!("GET /stats;csv HTTP/1.1\r\n{USER}\r\n")),
            Just("GET /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody".to_string()),
            Just(format!("POST /stats HTTP/1.1\r\n{USER}Content-Length: 9\r\n\r\nb=mqtt&s=")),
            Just(format!("HEAD /stats HTTP/1.1\r\n{USER}\r\n")),
            Just("\r\n".to_string()),
            "[ -~]{0,8}",
        ], 1..5), piece in 1usize..9) {
        let input = requests.concat();
        let (mut whole, mut cut) = (Client::of("stats"), Client::of("stats"));
        let expected = whole.send_in_pieces(input.as_bytes(), usize::MAX);
        prop_assert_eq!(
            String::from_utf8(cut.send_in_pieces(input.as_bytes(), piece)), String::from_utf8(expected));
        prop_assert_eq!(whole.records(), cut.records());
    }

    #[test]
    fn no_input_is_too_much(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut client = Client::of("stats");
        client.send_in_pieces(&input, 7);
        client.with(|http, context| http.end_of_input(context, &mut Vec::new()));
    }
}
