//! ACLs and maps that change while the proxy runs (management.txt section 9.3), and conditions on who may see and
//! change the statistics page.

use std::fs;

use crate::support::*;

same_as_haproxy!(
    commands_on_lists,
    versions_of_lists,
    page_for_some,
    administered_by_some,
    last_rule,
    environment,
    persistence_rules
);

const LISTS: &str = "    acl named path_beg -i -u 77 /a /b
    acl named path_end .gif
    acl listed req.hdr(x) -i -f {dir}/hosts.lst
    acl listed req.hdr(y) -m sub -f {dir}/hosts.lst
    acl network req.hdr_ip(z) -u 79 10.0.0.0/8 ::1
    acl number req.hdr_val(n) -u 80 5 gt 7 10:20
    acl verb method -u 81 PUT
    http-request deny deny_status 401 if named
    http-request deny deny_status 404 if listed or network
    http-request deny deny_status 410 if number || verb
    http-request set-var(txn.word) path,map({dir}/words.map,none)
    http-request set-var(txn.number) path,map_beg_int({dir}/numbers.map,0)
    http-request set-var(txn.address) req.hdr(k),map_reg_ip({dir}/addresses.map)
    http-request return status 200 content-type text/plain lf-string %[var(txn.word)],%[var(txn.number)],%[var(txn.address)]";

fn lists(flavour: Flavour) -> Lab {
    let setup = Setup::new(flavour);
    let write = |name: &str, text: &str| fs::write(setup.path(name), text).expect("the list is written");
    write("hosts.lst", "one\n# no host\nTwo\none\n");
    write("words.map", "/w1 first word\n/w2 second\n/w1 hidden\n");
    write("numbers.map", "/ 1\n/w 2\n");
    write("addresses.map", "^a 10.0.0.1\n^b ::1\n");
    let text = LISTS.replace("{dir}", &setup.directory.path().display().to_string());
    let origins = vec![HttpOrigin::named("s1")];
    let text = lab::listen_section(&origins, &text);
    Lab::start_with(setup, origins, &text)
}

/// Asks the runtime socket, and notes the answer without what is another one each time.
fn command(lab: &mut Lab, text: &str) {
    let directory = lab.proxy.setup.directory.path().display().to_string();
    let answer = lab.proxy.command(&text.replace("{dir}", &directory)).replace(&directory, "{dir}");
    let mut lines: Vec<String> = Vec::new();
    for line in answer.lines().filter(|line| !line.contains("'httpclient'")) {
        let reference = line.split(' ').next().filter(|word| word.starts_with("0x"));
        // The number of entries: HAProxy counts one of a file for each ACL that reads it.
        let line = line.split(" entry_cnt=").next().unwrap_or_default();
        lines.push(reference.map_or(line.to_string(), |reference| line.replacen(reference, "0x", 1)));
    }
    lab.note(format!("{text}\n{}", lines.join("\n")));
}

/// What a request gets now.
fn request(lab: &mut Lab, target: &str, header: &str) {
    let response = lab.client().ask(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{header}\r\n"));
    let text = if response.status == 200 { response.text() } else { String::new() };
    lab.note(format!("{target} {header}: {} {text}", response.status));
}

fn probes(lab: &mut Lab) {
    for (target, header) in [
        ("/A", ""),
        ("/x.gif", ""),
        ("/c", ""),
        ("/", "X: two\r\n"),
        ("/", "Y: someone\r\n"),
        ("/", "Z: 10.1.2.3\r\n"),
        ("/", "Z: 11.1.2.3\r\n"),
        ("/", "N: 8\r\n"),
        ("/", "N: 6\r\n"),
        ("/w1", "K: abc\r\n"),
        ("/w2", "K: bcd\r\n"),
        ("/w3", ""),
    ] {
        request(lab, target, header);
    }
}

fn commands_on_lists(flavour: Flavour) -> Vec<String> {
    let mut lab = lists(flavour);
    probes(&mut lab);
    for text in [
        "show acl",
        "show map",
        "show acl #77",
        "show acl #79",
        "show acl #80",
        "show acl #81",
        "show acl {dir}/hosts.lst",
        "show map {dir}/words.map",
        "show acl {dir}/words.map",
        "show map {dir}/hosts.lst",
        "show acl #4711",
        "show acl #x",
        "show acl nothing",
        "get acl #77 /Abc",
        "get acl #77 /c",
        "get acl {dir}/hosts.lst ONE",
        "get acl #79 10.9.9.9",
        "get acl #79 ::1",
        "get acl #79 x",
        "get acl #80 9",
        "get acl #80 6",
        "get map {dir}/words.map /w1",
        "get map {dir}/words.map /x",
        "get map {dir}/numbers.map /w9",
        "get map {dir}/addresses.map abc",
        "get map {dir}/addresses.map bcd",
        "get acl",
        "get acl #77",
        "add acl #77 /c",
        "add acl #79 11.0.0.0/8",
        "add acl #80 6",
        "add acl {dir}/hosts.lst some",
        "add acl #79 nonsense",
        "add acl",
        "add acl #77",
        "add acl nothing x",
        "add map {dir}/words.map",
        "add map {dir}/words.map x",
        "add map {dir}/words.map /w3 third and more",
        "add map {dir}/numbers.map /w3 x",
        "add acl {dir}/words.map x",
        "set map {dir}/words.map /w1 changed",
        "set map {dir}/words.map /nothing x",
        "set map {dir}/words.map",
        "set map {dir}/words.map /w1",
        "show map {dir}/words.map",
    ] {
        command(&mut lab, text);
    }
    probes(&mut lab);
    for text in [
        "del acl #77 /a",
        "del acl #77 /A",
        "del acl #77",
        "del acl",
        "del acl #79 10.0.0.0/8",
        "del acl {dir}/hosts.lst one",
        "del map {dir}/words.map /w1",
        "del map {dir}/words.map /w1",
        "del map {dir}/words.map #0x1ffffffffff",
        "clear map {dir}/numbers.map",
        "clear acl #80",
        "clear acl",
        "clear map nothing",
        "show acl #77",
        "show acl #80",
        "show acl {dir}/hosts.lst",
        "show map {dir}/words.map",
    ] {
        command(&mut lab, text);
    }
    probes(&mut lab);
    // One of two equal entries, by its reference: the other one counts from then on.
    command(&mut lab, "add map {dir}/words.map /w1 one");
    command(&mut lab, "add map {dir}/words.map /w1 two");
    let map = lab.proxy.setup.path("words.map").display().to_string();
    let list = lab.proxy.command(&format!("show map {map}"));
    let reference = list.lines().find(|line| line.ends_with("/w1 one")).and_then(|line| line.split(' ').next());
    lab.proxy.command(&format!("del map {map} #{}", reference.expect("an entry")));
    command(&mut lab, "show map {dir}/words.map");
    request(&mut lab, "/w1", "");
    // Many at once.
    command(&mut lab, "add map {dir}/words.map <<\n/w4 fourth  word\n/w5 fifth\n");
    command(&mut lab, "add map {dir}/words.map <<\n/w6 sixth\n/w8 eighth\n/w7\n");
    command(&mut lab, "show map {dir}/words.map");
    request(&mut lab, "/w4", "");
    request(&mut lab, "/w6", "");
    request(&mut lab, "/w8", "");
    lab.finish(12 * 3 + 4)
}

fn versions_of_lists(flavour: Flavour) -> Vec<String> {
    let mut lab = lists(flavour);
    for text in [
        "prepare acl",
        "prepare acl nothing",
        "prepare acl #77",
        "prepare acl #77",
        "add acl @1 #77 /one",
        "add acl @2 #77 /two",
        "add acl @3 #77 /three",
        "show acl",
        "show acl @1 #77",
        "show acl @2 #77",
        "show acl @9 #77",
        "show acl @0 #77",
        "show acl #77",
    ] {
        command(&mut lab, text);
    }
    for target in ["/a", "/one", "/two"] {
        request(&mut lab, target, "");
    }
    for text in [
        "clear acl @1 #77",
        "show acl @1 #77",
        "commit acl #77",
        "commit acl @9 #77",
        "commit acl @2",
        "commit acl @2 nothing",
        "commit acl @2 #77",
        "commit acl @2 #77",
        "show acl #77",
        "show acl",
    ] {
        command(&mut lab, text);
    }
    for target in ["/a", "/one", "/two"] {
        request(&mut lab, target, "");
    }
    for text in [
        "prepare map {dir}/words.map",
        "add map @1 {dir}/words.map <<\n/w1 new\n/w9 ninth word\n",
        "show map @1 {dir}/words.map",
        "show map {dir}/words.map",
    ] {
        command(&mut lab, text);
    }
    request(&mut lab, "/w9", "");
    command(&mut lab, "commit map @1 {dir}/words.map");
    command(&mut lab, "show map {dir}/words.map");
    for target in ["/w9", "/w1", "/w2"] {
        request(&mut lab, target, "");
    }
    command(&mut lab, "prepare map {dir}/words.map");
    command(&mut lab, "commit map @2 {dir}/words.map");
    command(&mut lab, "show map {dir}/words.map");
    request(&mut lab, "/w9", "");
    lab.finish(11)
}

fn page_for_some(flavour: Flavour) -> Vec<String> {
    let text = format!(
        "userlist people\n    user ada insecure-password secret\n{}",
        lab::listen_section(
            &[],
            "    stats enable\n    stats uri /figures\n    acl office req.hdr(x-from) office\n    acl banned \
             req.hdr(x-from) -m beg bad\n    stats http-request deny deny_status 404 if banned !METH_POST\n    \
             stats http-request deny if banned\n    stats http-request allow if office || { req.hdr(x-from) -i HOME }\n    \
             stats http-request auth realm figures\\ of\\ px unless { http_auth(people) }\n    \
             http-request return status 202 if { path / }"
        )
    );
    let mut lab = Lab::start(flavour, Vec::new(), &text);
    for (method, target, header) in [
        ("GET", "/", ""),
        ("GET", "/figures", ""),
        ("GET", "/figures", "X-From: office\r\n"),
        ("GET", "/figures;csv", "X-From: home\r\n"),
        ("GET", "/figures", "X-From: badger\r\n"),
        ("POST", "/figures", "X-From: badger\r\nContent-Length: 0\r\n"),
        ("GET", "/figures", "Authorization: Basic YWRhOnNlY3JldA==\r\n"),
        ("GET", "/figures", "Authorization: Basic YWRhOndyb25n\r\n"),
        ("HEAD", "/figures", "X-From: office\r\n"),
    ] {
        let response = lab.client().ask(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{header}\r\n"));
        let realm = response.header("www-authenticate").unwrap_or("none").to_string();
        lab.note(format!("{method} {target} {header}: {} {realm}", response.status));
        lab.note_local(&response);
    }
    // The page's length, and so the bytes of its line, are its own affair.
    let mut notes = lab.finish(9);
    for note in &mut notes {
        // HAProxy 2.6 logs 400 whenever it refuses the page, whatever it answers (which is compared above).
        // log: frontend backend/server times status …
        let mut words: Vec<&str> = note.split(' ').collect();
        let is_page = words[0] == "log:" && words[2].ends_with("/<STATS>");
        *note = match words.get_mut(4) {
            Some(status) if is_page && ["400", "401", "403", "404"].contains(status) => {
                *status = "REFUSED";
                words.join(" ")
            }
            _ => without_bytes(note),
        };
    }
    notes
}

/// A log line without the number of bytes.
fn without_bytes(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.iter().position(|word| *word == "200") {
        Some(at) if at + 1 < words.len() && words[at + 1].parse::<u64>().is_ok() => {
            [&words[..=at], &["BYTES"], &words[at + 2..]].concat().join(" ")
        }
        _ => line.to_string(),
    }
}

fn administered_by_some(flavour: Flavour) -> Vec<String> {
    let lines = "    stats enable\n    stats uri /figures\n    acl operator req.hdr(x-who) -m found\n    \
                 stats admin if operator { req.hdr(x-who) ada } || { path_end ;always }\n    \
                 stats admin unless { req.hdr(x-who) -m reg ^a } || !operator";
    let mut lab = Lab::plain(flavour, lines);
    for (target, header) in [
        ("/figures", ""),
        ("/figures", "X-Who: ada\r\n"),
        ("/figures", "X-Who: abe\r\n"),
        ("/figures", "X-Who: bob\r\n"),
        ("/figures;always", ""),
    ] {
        let page = lab.client().ask(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{header}\r\n"));
        lab.note(format!("{target} {header}: {} form: {}", page.status, page.text().contains("method=\"post\"")));
        for action in ["maint", "ready"] {
            let body = format!("s=s1&b=%23{}&action={action}", backend_number(&lab));
            let response = lab.client().ask(format!(
                "POST {target} HTTP/1.1\r\nHost: test\r\n{header}Content-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            let location = response.header("location").unwrap_or("none").to_string();
            let result = location.split("st=").nth(1).unwrap_or(&location).to_string();
            let status = lab.proxy.stats().text("px", "s1", "status").to_string();
            lab.note(format!("{target} {header} {action}: {} {result} {status}", response.status));
        }
    }
    let notes = lab.finish(15);
    notes.into_iter().filter(|note| note.starts_with('/')).collect()
}

/// The number by which the page's form calls `px`.
fn backend_number(lab: &Lab) -> String {
    lab.proxy.stats().text("px", "BACKEND", "iid").to_string()
}

fn last_rule(flavour: Flavour) -> Vec<String> {
    let mut lab = Lab::plain(
        flavour,
        "    log-format %HU\\ %ST\\ [%[last_rule_line]]\\ [%[last_rule_file,field(-1,/)]]
    tcp-request connection accept if { src 10.0.0.1 }
    tcp-request content reject if { src 10.0.0.1 }
    tcp-request content accept if { path /content }
    http-request set-header X y
    http-request allow if { path /allow }
    http-request deny if { path /deny }
    http-request tarpit if { path /tarpit }
    http-request redirect location /other if { path /redirect }
    http-request auth if { path /auth }
    http-request reject if { path /reject }
    http-request return status 200 if { path /return }
    http-request silent-drop if { path /drop }
    http-request deny if { req.hdr(n) -m found } { path /last }
    timeout tarpit 10ms
    redirect location /other if { path /bare }
    http-response allow if { path /resallow } || { capture.req.uri /resallow }
    http-response deny if { capture.req.uri /resdeny }
    http-response return status 201 if { capture.req.uri /resreturn }
    http-response redirect location /y if { capture.req.uri /resredirect }
    http-response set-header A b
    http-after-response allow if { capture.req.uri /after }
    http-after-response set-header B c",
    );
    let targets = "/ /content /allow /deny /tarpit /redirect /auth /return /bare /resallow /resdeny /resreturn /resredirect \
                   /after /last /reject";
    for (count, target) in (1..).zip(targets.split(' ')) {
        let mut client = lab.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        let status = client.try_response("GET").map_or(0, |response| response.status);
        lab.note(format!("{target}: {status}"));
        let lines = eventually(10, "a log line", || {
            let lines: Vec<String> = lab
                .proxy
                .syslog()
                .lines()
                .iter()
                .filter_map(|line| line.split("]: ").nth(1).map(str::to_string))
                .collect();
            let lines: Vec<String> = lines.into_iter().filter(|line| line.starts_with('/')).collect();
            if lines.len() >= count { Ok(lines) } else { Err(format!("{lines:?}")) }
        });
        lab.note(lines.last().cloned().unwrap_or_default());
    }
    lab.finish(0)
}

/// A cookie leads to a server that nobody listens for: rules say whether another one may be taken.
fn persistence_rules(flavour: Flavour) -> Vec<String> {
    let lines = "    option redispatch 1\n    retries 1\n    cookie ID insert\n    force-persist if { path_beg /force }\n    \
                 ignore-persist if { path_beg /ignore }\n    use-server s1 if { path /use }\n    server dead 127.0.0.1:{dead} cookie a";
    let lines = lines.replace("{dead}", &ports::free_port().to_string());
    let lab = Lab::plain(flavour, &lines.replace("cookie a", "cookie a weight 1"));
    let mut notes = Vec::new();
    for target in ["/force", "/ignore", "/ignore", "/plain", "/use"] {
        let response = lab.client().ask(format!("GET {target} HTTP/1.1\r\nHost: test\r\nCookie: ID=a\r\n\r\n"));
        notes.push(format!("{target}: {}", response.status));
    }
    notes
}

fn environment(flavour: Flavour) -> Vec<String> {
    let mut setup = Setup::new(flavour);
    setup.global.extend(
        [
            "setenv ACL_ONE first",
            "presetenv ACL_ONE second",
            "presetenv ACL_TWO two\\ words",
            "setenv ACL_THREE x",
            "unsetenv ACL_THREE",
            "setenv ACL_LIST \"$ACL_ONE,b\"",
        ]
        .map(str::to_string),
    );
    let text = lab::listen_section(
        &[],
        "    acl one env(ACL_ONE) first\n    acl three env(ACL_THREE) -m found\n    http-request return status 200 \
         content-type text/plain lf-string \"%[env(ACL_ONE)] %[env(ACL_TWO)] [%[env(ACL_THREE)]] %[env(ACL_LIST)] $ACL_ONE\" if one !three",
    );
    let mut lab = Lab::start_with(setup, Vec::new(), &text);
    lab.ask(http_client::get("/"));
    lab.finish(1)
}
