//! What every fuzz target does with its bytes; the smoke test runs the same with generated ones. Each must return: a
//! panic, a hang or a broken promise is the finding.

use std::sync::Arc;

use ringway::config::load::load_text_with;
use ringway::config::model::{CheckMethod, ProxyMode};
use ringway::config::names::NoNames;
use ringway::proto::http1::head::{HeadLimits, HeadParser};
use ringway::session::probe::{Command, Context, Event, Probe, Script};

/// A configuration file: it loads, or there is an error that says where.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let loaded = load_text_with("fuzz.cfg", &text, &NoNames);
    assert!(loaded.config.is_some() || loaded.diagnostics.has_errors(), "refused without a word: {text:?}");
}

/// A `log-format` string.
pub fn log_format(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for mode in [ProxyMode::Tcp, ProxyMode::Http] {
        let _ = ringway::config::log_format::compile(&text, ringway::config::log_format::FormatPlace::Log(mode));
    }
}

/// A request head: the verdict must not depend on how the bytes were cut.
pub fn http1_head(bytes: &[u8]) {
    let limits = HeadLimits { head_bytes_max: 2048, headers_max: 20 };
    let whole = HeadParser::new(limits).advance(bytes);
    let mut parser = HeadParser::new(limits);
    let mut cut = Ok(None);
    for end in 1..=bytes.len() {
        cut = parser.advance(&bytes[..end]);
        if !matches!(cut, Ok(None)) {
            break;
        }
    }
    assert_eq!(
        format!("{whole:?}"),
        format!("{cut:?}"),
        "whole against byte by byte: {:?}",
        String::from_utf8_lossy(bytes)
    );
}

/// A health check's machine, fed with what a server may answer. The first byte chooses the check, each later chunk
/// (its length in a byte before it) is one event.
pub fn probe(bytes: &[u8]) {
    let Some((choice, mut rest)) = bytes.split_first() else { return };
    let rules = [
        "    option tcp-check\n",
        "    option tcp-check\n    tcp-check send PING\\r\\n\n    tcp-check expect string +PONG\n    tcp-check expect ! rstring ^-\n",
        "    option tcp-check\n    tcp-check connect\n    tcp-check send-binary 1000\n    tcp-check expect binary 2002 min-recv 4\n",
        "    option httpchk GET /health\n",
        "    option httpchk\n    http-check send meth HEAD uri / ver HTTP/1.1 hdr Host x\n    http-check expect rstatus ^2\n",
        "    option httpchk\n    http-check expect ! string broken\n",
    ];
    let rules = rules[usize::from(*choice) % rules.len()];
    let text = format!(
        "defaults\n    timeout client 1s\n    timeout connect 1s\n    timeout server 1s\nbackend b\n{rules}    server s 127.0.0.1:1 check\n"
    );
    let loaded = load_text_with("probe.cfg", &text, &NoNames);
    let config = loaded.config.expect("the rules are right");
    let method: &CheckMethod = config
        .proxies
        .iter()
        .find_map(|proxy| proxy.backend.as_ref().map(|backend| &backend.check))
        .expect("a backend");
    let script = Arc::new(Script::compile(method).expect("the rules compile"));
    let (mut probe, mut command) = Probe::start(script, Context::default(), 0);
    let mut now_us = 0;
    // Bounded: every event uses up bytes of the input, or is the last.
    while !matches!(command, Command::Done(_) | Command::Impossible(_)) {
        now_us += 1000;
        let (length, after) = match rest.split_first() {
            Some((length, after)) => (usize::from(*length).min(after.len()), after),
            None => {
                command = probe.on(Event::Timeout, now_us);
                assert!(matches!(command, Command::Done(_) | Command::Impossible(_)), "a timeout ends it: {command:?}");
                break;
            }
        };
        let (chunk, after) = after.split_at(length);
        rest = after;
        command = match &command {
            Command::Connect(_) if chunk.first() == Some(&0xff) => probe.on(Event::Failed(111), now_us),
            Command::Connect(_) => probe.on(Event::Connected, now_us),
            Command::Send(_) => probe.on(Event::Sent, now_us),
            _ if chunk.is_empty() => probe.on(Event::EndOfInput, now_us),
            _ => probe.on(Event::Received(chunk), now_us),
        };
    }
}
