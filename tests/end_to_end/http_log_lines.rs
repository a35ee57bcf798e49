//! Formats of log lines, levels, and what is logged at all, side by side with HAProxy. What each kind of end writes is
//! compared with the scenarios of failures, time-outs and limits.

use std::thread;
use std::time::Duration;

use crate::support::*;

same_as_haproxy!(
    tags_of_the_request,
    tags_of_addresses_dates_and_times,
    counts_of_connections,
    numbers_of_requests,
    captures_in_every_style,
    flags_quote_and_escape,
    expressions,
    common_log_format,
    structured_data,
    error_log_format,
    levels,
    log_separate_errors,
    dontlog_normal,
    dontlognull,
    http_ignore_probes,
    logasap,
    a_sample_of_the_lines,
    a_long_request_line,
);

/// What the proxy logged for `script`, without dates and names of processes: `lines` go into the frontend. Each format
/// must begin with `LINE`, so that the start messages of either proxy stay out.
fn logged(flavour: Flavour, lines: &str, count: usize, script: impl FnOnce(&Lab)) -> Vec<String> {
    let text = format!(
        "frontend px\n    bind 127.0.0.1:{{port}}\n    default_backend b\n    timeout http-request 20s\n    {}\n\
         backend b\n    server s1 {{s1}}\n",
        lines.replace(';', "\n    ")
    );
    let mut setup = Setup::new(flavour);
    let text = text.replace("{syslog}", &setup.syslog.address().to_string());
    setup.defaults.push("timeout client 20s".to_string());
    let lab = Lab::start_with(setup, vec![HttpOrigin::named("s1")], &text);
    script(&lab);
    let found = || {
        let lines = lab.proxy.syslog().lines();
        lines.iter().filter(|line| line.contains("LINE")).map(|line| undated(line)).collect::<Vec<_>>()
    };
    eventually(20, &format!("{count} lines"), || {
        if found().len() >= count { Ok(()) } else { Err(format!("{:#?}", lab.proxy.syslog().lines())) }
    });
    thread::sleep(Duration::from_millis(200));
    let mut found = found();
    found.push(format!("{} lines", found.len()));
    found
}

/// Priority and message.
fn undated(line: &str) -> String {
    let priority = line.split_once('>').map_or("", |(priority, _)| priority);
    let message = line.split_once("]: ").or_else(|| line.split_once(" - ")).map_or(line, |(_, message)| message);
    // RFC 5424: the process, before the structured data.
    let message = match message.split_once(" - ") {
        Some((process, message)) if process.starts_with("haproxy ") => message,
        _ => message,
    };
    format!("{priority}> {}", message.trim_end())
}

/// One request, after which the connection is closed; its answer is read whole.
fn ask(lab: &Lab, request: impl AsRef<[u8]>) {
    lab.client().ask(request);
}

fn bad(lab: &Lab) {
    let mut client = lab.client();
    client.send("GET / /x HTTP/1.1\r\n\r\n");
    let _ = client.try_response("GET");
}

const ODD: &str = "GET /p]a%23;x?q=1\"\\]{|} HTTP/1.1\r\nHost: test\r\nX-More: a\"#{b}|\\]c\r\nX-Odd: x\ty \"#{|}\\]\u{e9} z\r\n\
    Cookie: sess=v\"]\\#{1}\r\n\r\n";

fn tags_of_the_request(flavour: Flavour) -> Vec<String> {
    let format = "log-format \"LINE %HM|%HU|%HP|%HPO|%HQ|%HV|%r|%ST|%ts|%tsc|%f|%ft|%b|%s|%rc|%sq|%bq|%lc|%%\"";
    logged(flavour, format, 4, |lab| {
        ask(lab, ODD);
        ask(lab, get("/?"));
        ask(lab, "HEAD http://test/a/b?c HTTP/1.1\r\nHost: test\r\n\r\n");
        ask(lab, "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
    })
}

/// What differs from run to run is reduced to its form: digits of dates, ports, numbers of processes. Times are long (the
/// server's three seconds are in them) or not.
fn tags_of_addresses_dates_and_times(flavour: Flavour) -> Vec<String> {
    let format = "unique-id-format id-%[src];log-format \"LINE addresses %ci %fi %si %H %ID %sslc %sslv counts \
        %ac %fc %bc %sc %lc %rt times %Th %Ti %TR %Tq %Tw %Tc %Tr %Td %Ta %Tt %Tu masked %cp %fp %sp %pid %B %U %t %tr \
        %T %Tl %trg %trl %Ts %ms\"";
    let lines = logged(flavour, format, 1, |lab| ask(lab, get("/?delay=3000")));
    let masked = |line: &String| {
        let mut part = "";
        let words = line.split(' ').map(|word| {
            part = ["times", "masked"].into_iter().find(|name| *name == word).unwrap_or(part);
            match (part, word.parse::<i64>()) {
                ("times", Ok(0..1500)) => "short".to_string(),
                ("times", Ok(1500..)) => "long".to_string(),
                ("masked", Ok(_)) => "number".to_string(),
                ("masked", Err(_)) => word.replace(|character: char| character.is_ascii_digit(), "9"),
                _ => word.to_string(),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    lines.iter().map(masked).collect()
}

/// One after the other, then two at once that have their servers and wait for the last byte of their own requests.
fn counts_of_connections(flavour: Flavour) -> Vec<String> {
    logged(flavour, "log-format \"LINE %HU %ac/%fc/%bc/%sc/%rc %sq/%bq\"", 4, |lab| {
        ask(lab, get("/first"));
        ask(lab, get("/second"));
        let mut clients = [lab.client(), lab.client()];
        for (others, client) in clients.iter_mut().enumerate() {
            client.send(format!("POST /{others} HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n"));
            lab.proxy.wait_for_number(15, "b", "s1", "scur", others as u64 + 1);
        }
        for client in &mut clients {
            lab.settle();
            client.send("x");
            assert_eq!(client.response("POST").status, 200);
        }
    })
}

/// Requests on one connection have numbers of their own, which make identifiers unique.
fn numbers_of_requests(flavour: Flavour) -> Vec<String> {
    let format = "unique-id-format %{+X}o%rt-%fi;log-format \"LINE %HU %rt %lc %ID\"";
    logged(flavour, format, 5, |lab| {
        for connection in ["a", "b"] {
            let mut client = lab.client();
            for number in 0..2 {
                client.get(&format!("/{connection}/{number}"));
            }
        }
        ask(lab, get("/last"));
    })
}

const CAPTURES: &str = "capture request header X-More len 20;capture request header X-Odd len 30;\
    capture request header None len 9;capture cookie sess len 30;capture response header X-Server len 9";

fn captures_in_every_style(flavour: Flavour) -> Vec<String> {
    let format = "log-format \"LINE %hr %hs %hrl %hsl %{+Q}hr %{+Q}hs %{+Q}hrl %{+Q}hsl %CC %CS %{+Q}CC %{+Q}CS\"";
    logged(flavour, &format!("{CAPTURES};{format}"), 3, |lab| {
        ask(lab, ODD);
        ask(lab, get("/?cookie=sess:1"));
        bad(lab);
    })
}

fn flags_quote_and_escape(flavour: Flavour) -> Vec<String> {
    let format = "log-format \"LINE %{+Q,+E}o %hr %hrl %CC %r %HU %b %{-Q}r %{-E}CC %{-Q,-E}hrl\"";
    logged(flavour, &format!("{CAPTURES};{format}"), 1, |lab| ask(lab, ODD))
}

fn expressions(flavour: Flavour) -> Vec<String> {
    let lines = "log-format \"LINE %[src] %[var(txn.b)] %{+Q}[var(txn.b)] %{+Q}[capture.req.uri,upper] \
        %[capture.req.uri] %[capture.req.method] %[int(-5)] %[bool(true)]\"";
    logged(flavour, lines, 1, |lab| ask(lab, get("/a?b")))
}

fn common_log_format(flavour: Flavour) -> Vec<String> {
    // Its own format has dates and ports: what stands between them.
    let format = "log-format \"LINE %{+Q}o %{-Q}ci - - %r %ST \\\"\\\" %ft %b %s %tsc %rc %sq %bq %CC %CS %hrl %hsl\"";
    logged(flavour, &format!("{CAPTURES};{format}"), 2, |lab| {
        ask(lab, ODD);
        ask(lab, get("/?status=404"));
    })
}

fn structured_data(flavour: Flavour) -> Vec<String> {
    let lines = "no log;log {syslog} format rfc5424 local3;log {syslog} format short local3;\
        capture request header X-Odd len 30;log-format \"LINE %ST\";\
        log-format-sd \"[x@1 status=\\\"%ST\\\"  odd=\\\"%{+E}[capture.req.hdr(0)]\\\"]\"";
    let mut found = logged(flavour, lines, 2, |lab| ask(lab, "GET / HTTP/1.1\r\nHost: test\r\nX-Odd: a\"]\\b\r\n\r\n"));
    found.sort();
    found
}

fn error_log_format(flavour: Flavour) -> Vec<String> {
    let lines = "log-format \"LINE %ST %r\";error-log-format \"LINE error %ST %r %ts %b/%s\"";
    logged(flavour, lines, 3, |lab| {
        ask(lab, get("/"));
        ask(lab, get("/?status=503"));
        bad(lab);
    })
}

fn levels(flavour: Flavour) -> Vec<String> {
    let mut found = Vec::new();
    for (level, count) in [("warning", 1), ("silent", 0), ("emerg", 1)] {
        // HAProxy writes a format without anything of the answer before it runs the rules.
        let lines = format!("http-request set-log-level {level};log-format \"LINE %HP %ST %Tt\"");
        found.extend(logged(flavour, &lines, count, |lab| ask(lab, get("/"))));
    }
    // The times are not compared.
    found.iter().map(|line| line.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect()
}

fn log_separate_errors(flavour: Flavour) -> Vec<String> {
    logged(flavour, "option log-separate-errors;log-format \"LINE %ST %ts\"", 4, |lab| {
        ask(lab, get("/"));
        ask(lab, get("/?status=404"));
        ask(lab, get("/?status=500"));
        bad(lab);
    })
}

fn dontlog_normal(flavour: Flavour) -> Vec<String> {
    logged(flavour, "option dontlog-normal;log-format \"LINE %ST %ts\"", 2, |lab| {
        ask(lab, get("/"));
        ask(lab, get("/?status=404"));
        ask(lab, get("/?status=500"));
        bad(lab);
    })
}

/// Connections that say nothing and leave, half a request, silence until `timeout http-request`, a request and nothing
/// after it. Each is over before the next comes.
fn probes(flavour: Flavour, option: &str, count: usize) -> Vec<String> {
    logged(flavour, &format!("{option};timeout http-request 4s;log-format \"LINE %ST %ts %r\""), count, |lab| {
        let is_over = || {
            lab.proxy.wait_for_number(15, "px", "FRONTEND", "scur", 0);
            lab.settle();
        };
        drop(lab.client());
        is_over();
        let mut half = lab.client();
        half.send("GET / HT");
        lab.proxy.wait_for_number(15, "px", "FRONTEND", "scur", 1);
        drop(half);
        is_over();
        // Silent until the proxy has had enough, with or without a word.
        let _ = lab.client().try_response("GET");
        is_over();
        lab.client().get("/");
        is_over();
    })
}

fn dontlognull(flavour: Flavour) -> Vec<String> {
    probes(flavour, "option dontlognull", 2)
}

fn http_ignore_probes(flavour: Flavour) -> Vec<String> {
    probes(flavour, "option http-ignore-probes", 2)
}

fn logasap(flavour: Flavour) -> Vec<String> {
    logged(flavour, "option logasap;log-format \"LINE %ST %ts %r\"", 2, |lab| {
        let mut client = lab.client();
        client.get("/?stall=100");
        client.get("/2");
    })
}

fn a_sample_of_the_lines(flavour: Flavour) -> Vec<String> {
    let lines = "no log;log {syslog} sample 3,5-6:7 local3;log-format \"LINE %HU %Tt %B\"";
    let sampled = logged(flavour, lines, 6, |lab| {
        for number in 0..14 {
            ask(lab, get(&format!("/{number}")));
        }
    });
    // The times are not compared.
    sampled.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
}

fn a_long_request_line(flavour: Flavour) -> Vec<String> {
    logged(flavour, "log-format \"LINE %HM %HU %HV %ST %{+Q}r\"", 1, |lab| {
        ask(lab, get(&format!("/{}", "a".repeat(1200))))
    })
}
