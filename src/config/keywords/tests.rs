use super::super::diagnostics::Diagnostics;
use super::super::lex::{Line, Word};
use super::*;
use std::collections::HashSet;

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn status(section: Section, text: &str) -> Status {
    match lookup(section, &words(text)) {
        Lookup::Found { row, .. } => row.status,
        other => panic!("{text}: {other:?}"),
    }
}

fn line(text: &str) -> Line {
    let mut column = 1;
    let mut words = Vec::new();
    for word in text.split(' ') {
        words.push(Word { text: word.to_owned(), column, exact: None });
        column += word.len() as u32 + 1;
    }
    Line { file: "t.cfg".into(), number: 1, raw: text.into(), words }
}

/// What `admit` makes of a line, and its messages.
fn admitted(section: Section, text: &str, first: usize) -> (Admitted, Vec<String>) {
    let mut diagnostics = Diagnostics::default();
    let admitted = admit(section, &line(text), first, &mut diagnostics);
    (admitted, diagnostics.messages.into_iter().map(|message| message.text).collect())
}

fn section_named(name: &str) -> Section {
    Section::ALL.into_iter().find(|section| section.name() == name).unwrap_or_else(|| panic!("{name}"))
}

/// (section, keyword) pairs of a list in which the tests keep HAProxy's names.
fn listed(list: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

#[test]
fn no_row_stands_twice_in_a_section() {
    let mut seen = HashSet::new();
    for row in rows() {
        assert!(!row.keyword().is_empty() && row.syntax.starts_with(row.keyword()), "{}", row.syntax);
        for section in row.sections.iter() {
            assert!(seen.insert((section, row.keyword())), "'{}' twice in {section}", row.keyword());
        }
    }
}

#[test]
fn every_row_is_found_by_its_own_words() {
    for row in rows() {
        for section in row.sections.iter() {
            let found = lookup(section, &words(row.keyword()));
            assert!(matches!(found, Lookup::Found { row: found, .. } if found == row), "{}: {found:?}", row.syntax);
        }
    }
}

#[test]
fn every_argument_row_has_the_keyword_it_is_an_argument_of() {
    for row in rows().filter(|row| row.value) {
        for section in row.sections.iter() {
            let (admitted, _) = admitted(section, row.keyword(), 0);
            if let Admitted::Parse { row: parent, words, .. } = admitted {
                assert!(!parent.value && words == parent.words(), "{}", row.syntax);
            }
            let keyword = row.keyword().rsplit_once(' ').expect("two words").0;
            assert!(rows_of(section).any(|other| other.keyword() == keyword && !other.value), "{}", row.syntax);
        }
    }
}

#[test]
fn knows_every_keyword_of_haproxy_3_4() {
    let missing: Vec<String> = listed(include_str!("haproxy_3_4.txt"))
        .filter(|(section, keyword)| {
            let sections: &[Section] = match *section {
                "listen" => &[Section::Defaults, Section::Frontend, Section::Listen, Section::Backend],
                name => &[section_named(name)],
            };
            // HAProxy lists the first word of a family ('compression', 'timeout') without its members.
            let known = |row: &Row| row.keyword() == *keyword || row.keyword().starts_with(&format!("{keyword} "));
            !sections.iter().any(|section| rows_of(*section).any(known))
        })
        .map(|(section, keyword)| format!("{section}: {keyword}"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn knows_every_proxy_keyword_of_the_2_6_manual_where_it_may_stand() {
    let mut wrong = Vec::new();
    for (sections, keyword) in listed(include_str!("haproxy_2_6_proxies.txt")) {
        for section in sections.split(',').map(section_named) {
            let known = |row: &Row| row.keyword() == keyword || row.keyword().starts_with(&format!("{keyword} "));
            if !rows_of(section).any(known) {
                wrong.push(format!("'{keyword}' is missing in {section}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn knows_every_global_keyword_of_the_2_6_manual() {
    let missing: Vec<&str> = include_str!("haproxy_2_6_global.txt")
        .lines()
        .filter(|name| !name.starts_with('#'))
        .filter(|name| !rows_of(Section::Global).any(|row| row.keyword().split(' ').next() == Some(name)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn knows_the_keywords_that_only_1_8_had() {
    let proxy = "block reqadd reqallow reqiallow reqdel reqidel reqdeny reqideny reqpass reqipass reqrep reqirep \
        reqtarpit reqitarpit rspadd rspdel rspidel rspdeny rspideny rsprep rspirep reqsetbe reqisetbe clitimeout \
        contimeout srvtimeout redisp redispatch appsession bind-process dispatch grace monitor-net";
    for keyword in proxy.split_whitespace() {
        assert!(matches!(lookup(Section::Listen, &[keyword]), Lookup::Found { .. }), "{keyword}");
    }
    for option in ["forceclose", "httpclose", "http-tunnel", "http_proxy", "transparent", "tcpsplice"] {
        assert!(matches!(lookup(Section::Listen, &["option", option]), Lookup::Found { .. }), "{option}");
    }
    for keyword in ["nbproc", "debug", "quiet", "tune.chksize"] {
        assert!(matches!(lookup(Section::Global, &[keyword]), Lookup::Found { .. }), "{keyword}");
    }
}

#[test]
fn the_tutorials_old_spellings_work_with_a_warning() {
    for keyword in ["nbproc 2", "debug", "quiet", "ulimit-n 819200"] {
        assert!(matches!(status(Section::Global, keyword), Status::OldSpelling { .. }), "{keyword}");
    }
    for keyword in ["mode health", "option forceclose", "clitimeout 5000"] {
        assert!(matches!(status(Section::Listen, keyword), Status::OldSpelling { .. }), "{keyword}");
    }
    for keyword in ["reqisetbe ^Host dynamic", "reqrep a b", "rspadd X:\\ y"] {
        assert!(matches!(status(Section::Frontend, keyword), Status::OldSpelling { .. }), "{keyword}");
    }
}

#[test]
fn the_longest_row_wins() {
    let Lookup::Found { row, words, modifier } = lookup(Section::Listen, &["no", "option", "splice-auto", "x"]) else {
        panic!("not found");
    };
    assert_eq!((row.keyword(), words, modifier), ("option splice-auto", 3, Modifier::No));
    assert_eq!(status(Section::Backend, "tcp-check send-binary 00"), Status::Supported);
}

#[test]
fn arguments_in_parentheses_belong_to_the_word() {
    assert!(matches!(status(Section::Backend, "balance hdr(host)"), Status::Supported));
    assert!(matches!(status(Section::Backend, "balance random(3)"), Status::Supported));
    assert!(matches!(status(Section::Frontend, "http-request set-var(txn.a) path"), Status::Supported));
}

#[test]
fn an_argument_row_parses_as_its_keyword() {
    let (admitted, messages) = admitted(Section::Listen, "mode health", 0);
    assert!(matches!(admitted, Admitted::Parse { row, words: 1, .. } if row.keyword() == "mode"), "{admitted:?}");
    assert!(messages[0].contains("'mode health' is an old spelling"), "{messages:?}");
}

#[test]
fn says_what_was_meant_as_haproxy_does() {
    let said = |section, text| admitted(section, text, 0).1.concat();
    let listen = Section::Listen;
    assert_eq!(said(listen, "bindd :80"), "unknown keyword 'bindd' in 'listen' section; did you mean 'bind' maybe ?");
    assert_eq!(
        said(listen, "balnace leastconn"),
        "unknown keyword 'balnace' in 'listen' section; did you mean 'balance' maybe ?"
    );
    assert_eq!(said(listen, "option htplog"), "unknown option 'htplog'; did you mean 'httplog' maybe ?");
    assert_eq!(
        said(listen, "timeout clint 3s"),
        "unknown keyword 'clint' after 'timeout'; did you mean 'client' maybe ?"
    );
    assert_eq!(said(listen, "zork"), "unknown keyword 'zork' in 'listen' section");
    assert_eq!(
        said(Section::Global, "frontnd x"),
        "unknown keyword 'frontnd' in 'global' section; did you mean 'frontend' maybe ?"
    );
    assert_eq!(said(Section::Server, "chek"), "unknown keyword 'chek'; did you mean 'check' maybe ?");
    assert_eq!(said(listen, "no option httpchk"), "negation/default is not supported for option 'httpchk'.");
    assert_eq!(said(listen, "option"), "'option' expects a keyword after it");
    assert!(said(Section::Backend, "bind :80").contains("'bind' not allowed in 'backend' section"));
    assert!(said(Section::Bind, "check").contains("belongs on a 'server' line"));
}

#[test]
fn skipping_leaves_the_options_that_follow() {
    let text = "server s 10.0.0.1:80 resolvers dns check";
    let (admitted, messages) = admitted(Section::Server, text, 3);
    assert_eq!(admitted, Admitted::Skip { words: 2 });
    assert!(messages[0].contains("'resolvers' is not supported yet"), "{messages:?}");
}

#[test]
fn turning_off_what_is_not_there_is_silent() {
    assert_eq!(admitted(Section::Defaults, "no option http-server-close", 0).1, Vec::<String>::new());
}

proptest::proptest! {
    // The whole table is searched for the nearest word each time.
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    #[test]
    fn admit_never_panics_and_always_moves_on(text in ".{0,40}", first in 0usize..4) {
        for section in Section::ALL {
            match admitted(section, &text, first).0 {
                Admitted::Skip { words } | Admitted::Parse { words, .. } => assert!(words > 0),
            }
        }
    }
}
