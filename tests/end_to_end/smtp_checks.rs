//! `option smtpchk` beside HAProxy: what servers are sent, and what is said of them.

use std::io::{BufRead, BufReader, Write};
use std::sync::{Arc, Mutex};

use crate::support::*;

on_each_proxy!(servers_are_judged_by_their_replies);

/// Sends the greeting, then one answer for each line that comes. What came is kept.
fn server(said: &Arc<Mutex<Vec<String>>>, greeting: &'static str, answers: [&'static str; 2]) -> Origin {
    let said = said.clone();
    Origin::start(move |stream| {
        let Ok(mut writer) = stream.try_clone() else { return };
        let _ = writer.write_all(greeting.as_bytes());
        let mut answers = answers.iter();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            said.lock().expect("lines").push(line);
            let _ = writer.write_all(answers.next().unwrap_or(&"").as_bytes());
        }
    })
}

fn servers_are_judged_by_their_replies(flavour: Flavour) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let greeting = "220 mx ESMTP ready\r\n";
    let good = server(&said, greeting, ["250 mx\r\n", "221 bye\r\n"]);
    let several = server(&said, greeting, ["250-mx\r\n250-SIZE 1\r\n250 OK\r\n", "221 bye\r\n"]);
    let refuses = server(&said, "554 go away now\r\n", ["", ""]);
    let odd = server(&said, "hello there\r\n", ["", ""]);
    let late = server(&said, greeting, ["250 ok\r\n", "500 no\r\n"]);
    let silent = server(&said, "", ["", ""]);
    let sections = format!(
        "defaults\n    mode tcp\n    timeout connect 5s\n    timeout server 5s\n    timeout check 500ms\n    \
         default-server check inter 200ms rise 1 fall 1\n\
         backend one\n    option smtpchk\n    server good {}\n    server several {}\n    server refuses {}\n    \
         server odd {}\n    server late {}\n    server silent {}\n\
         backend two\n    option smtpchk EHLO mail.example.org\n    server good {}\n",
        good.address(),
        several.address(),
        refuses.address(),
        odd.address(),
        late.address(),
        silent.address(),
        good.address(),
    );
    let proxy = Setup::new(flavour).start(&sections, &[]);
    for (backend, name, status, code, text) in [
        ("one", "good", "L7OK", "221", "bye"),
        ("one", "several", "L7OK", "221", "bye"),
        ("one", "refuses", "L7STS", "554", "go away now"),
        ("one", "odd", "L7RSP", "", "hello there"),
        ("one", "late", "L7STS", "500", "no"),
        ("one", "silent", "L7TOUT", "", ""),
        ("two", "good", "L7OK", "221", "bye"),
    ] {
        eventually(20, &format!("{backend}/{name} is judged"), || {
            let stats = proxy.stats();
            let found = ["check_status", "check_code", "last_chk"].map(|column| stats.text(backend, name, column));
            let wanted = [status, code, text].map(str::to_owned);
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }
    let said = said.lock().expect("lines");
    for line in ["HELO localhost", "EHLO mail.example.org", "QUIT"] {
        assert!(said.iter().any(|other| other == line), "{line}: {said:?}");
    }
}
