use super::*;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

fn line(number: u32, raw: &str, words: &[(&str, u32)]) -> Line {
    let word = |(text, column): &(&str, u32)| Word { text: (*text).to_owned(), column: *column, exact: None };
    Line { file: "t.cfg".into(), number, raw: raw.into(), words: words.iter().map(word).collect() }
}

/// The one message about character `column` of `raw`.
fn shown(raw: &str, column: u32, text: &str) -> String {
    let mut diagnostics = Diagnostics::default();
    let word = Word { text: String::new(), column, exact: None };
    diagnostics.error(&line(7, raw, &[]), Some(&word), text);
    diagnostics.spoken(false).remove(0).text
}

#[test]
fn the_caret_stands_under_the_word() {
    assert_eq!(
        shown("  balnace leastconn", 3, "unknown keyword"),
        "config : parsing [t.cfg:7] : unknown keyword\n   | balnace leastconn\n   | ^"
    );
    assert_eq!(
        shown("\tserver s 1.2.3.4 chek", 18, "unknown"),
        "config : parsing [t.cfg:7] : unknown\n   | server s 1.2.3.4 chek\n   |                 ^"
    );
}

#[test]
fn tabs_and_wide_characters_keep_the_caret_in_place() {
    assert_eq!(shown("a\tb", 3, "x"), "config : parsing [t.cfg:7] : x\n   | a    b\n   |      ^");
    assert_eq!(shown("统计 b，c", 5, "x"), "config : parsing [t.cfg:7] : x\n   | 统计 b，c\n   |       ^");
    assert_eq!(shown("a\u{a0}b", 2, "x"), "config : parsing [t.cfg:7] : x\n   | a\\u{a0}b\n   |  ^");
}

#[test]
fn a_caret_after_the_end_and_an_empty_line_are_fine() {
    assert_eq!(shown("ab", 3, "x"), "config : parsing [t.cfg:7] : x\n   | ab\n   |   ^");
    assert_eq!(shown("ab", 4_000_000_000, "x"), "config : parsing [t.cfg:7] : x\n   | ab\n   |   ^");
    assert_eq!(shown("  ", 1, "x"), "config : parsing [t.cfg:7] : x");
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let text = shown("bind \x1b[2J\u{202e}x", 6, "unknown \x1b]0;evil\x07 'a\rb'");
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    assert!(text.contains("\\x1b]0;evil\\x07") && text.contains("\\x1b[2J\\u{202e}x"), "{text}");
}

#[test]
fn passwords_are_not_repeated() {
    let cases = [
        "stats auth admin:hunter2",
        "stats auth \"admin:hunter2\" surplus",
        "stats auth admin hunter2",
        "user alice insecure-password hunter2",
        "user alice password 'hunter2' groups a",
        "http-check send hdr Authorization \"Basic hunter2\"",
        "stats auth admin:\"hunter2",
        "bind :80 ssl ca-sign-pass hunter2",
    ];
    for raw in cases {
        let column = raw.chars().count() as u32;
        let text = shown(raw, column, "unexpected 'hunter2' in 'admin:hunter2'");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("***"), "{text}");
    }
    assert!(
        shown("stats auth admin:abc", 1, "bad 'admin:abc'")
            .ends_with("bad 'admin:***'\n   | stats auth admin:***\n   | ^")
    );
    assert!(shown("option httpchk", 1, "x").contains("option httpchk"));
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let raw = format!("{} HERE {}", "a".repeat(1000), "b".repeat(1000));
    let text = shown(&raw, 1002, "x");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].len() < 200 && lines[1].contains(" HERE ") && lines[1].ends_with("..."), "{text}");
    assert_eq!(lines[2].find('^'), lines[1].find("HERE"));
}

#[test]
fn what_is_found_after_parsing_names_the_place_as_haproxy_does() {
    let mut diagnostics = Diagnostics::default();
    let location = Location { file: "t.cfg".to_owned(), line: 3 };
    diagnostics.about(Severity::Warning, &location, "'server a/s' : x\nsecond line");
    diagnostics.general(Severity::Warning, "missing timeouts");
    let spoken = diagnostics.spoken(false);
    assert_eq!(spoken[0].text, "config : [t.cfg:3] : 'server a/s' : x\nsecond line");
    assert_eq!(spoken[1].text, "config : missing timeouts");
}

#[test]
fn errors_end_with_haproxys_closing_lines() {
    let mut diagnostics = Diagnostics::default();
    diagnostics.error(&line(1, "a", &[("a", 1)]), None, "x");
    diagnostics.conclude();
    let texts: Vec<_> = diagnostics.spoken(false).into_iter().map(|spoken| spoken.text).collect();
    assert_eq!(texts[1], "config : Error(s) found in configuration file : t.cfg");
    assert_eq!(texts[2], "config : Fatal errors found in configuration.");
    let mut fine = Diagnostics::default();
    fine.conclude();
    assert!(fine.messages.is_empty());
}

#[test]
fn diagnostics_are_for_diagnostic_mode() {
    let mut diagnostics = Diagnostics::default();
    diagnostics.at(Severity::Diagnostic, &line(1, "a", &[]), None, "x");
    assert_eq!((diagnostics.spoken(false).len(), diagnostics.spoken(true).len()), (0, 1));
}

#[test]
fn repeated_messages_are_summed_up() {
    let mut diagnostics = Diagnostics::default();
    for number in 1..=20 {
        diagnostics.error(&line(number, "http-request deny", &[]), None, "later");
    }
    diagnostics.error(&line(30, "zork", &[]), None, "unknown");
    let spoken = diagnostics.spoken(false);
    assert_eq!(spoken.len(), 4);
    assert!(spoken[2].text.ends_with("the same on 17 more line(s): 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, ..."));
}

#[test]
fn a_flood_of_different_messages_is_cut_but_the_verdict_is_told() {
    let mut diagnostics = Diagnostics::default();
    for number in 1..=1000 {
        diagnostics.error(&line(number, "x", &[]), None, format!("unknown {number}"));
    }
    diagnostics.conclude();
    let spoken = diagnostics.spoken(false);
    assert_eq!(spoken.len(), 203);
    assert_eq!(spoken[200].text, "config : 800 more message(s) are not shown");
    assert_eq!(spoken[202].text, "config : Fatal errors found in configuration.");
}

proptest! {
    #[test]
    fn never_panics_and_the_caret_is_never_past_the_line(raw in "\\PC{0,60}|[a-z\t统，\"'\\\\ ]{0,200}", column in 0u32..260) {
        let text = shown(&raw, column, "x");
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() == 3 {
            prop_assert!(lines[2].ends_with('^'));
            prop_assert!(lines[2].width() <= lines[1].width() + 1, "{}", text);
        }
    }

    /// The character over the caret is the one at the column, where lines are short and plain.
    #[test]
    fn the_caret_is_under_the_character(raw in "[a-z统](,?[a-z统]){0,30}", place in 0usize..30) {
        let characters: Vec<char> = raw.chars().collect();
        let place = place % characters.len();
        let text = shown(&raw, place as u32 + 1, "x");
        let lines: Vec<&str> = text.lines().collect();
        let before: String = characters[..place].iter().collect();
        prop_assert_eq!(lines[2].width() - 1, "   | ".len() + before.width());
    }
}

/// A file that is one huge line, or has one huge word, is answered with a screenful, and at once.
#[test]
fn a_huge_line_makes_no_huge_message() {
    let began = std::time::Instant::now();
    let size = 8 << 20;
    for text in ["a".repeat(size), format!("global\n  log {}", "x ".repeat(size / 2)), "\0".repeat(size)] {
        let loaded = crate::config::load::load_text("huge.cfg", &text);
        let printed = loaded.diagnostics.to_string();
        assert!(loaded.config.is_none());
        assert!(printed.len() < 20_000, "{} bytes of messages", printed.len());
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

/// The caret's line is cut on both sides of the word, whatever it is made of.
#[test]
fn a_long_line_is_shown_around_its_word() {
    let long = format!("{} wrong {}", "b".repeat(5_000), "c".repeat(5_000));
    let shown = super::excerpt::with_caret(&long, 5_002);
    let (line, caret) = shown.trim_start_matches("\n   | ").split_once("\n   | ").expect("two lines");
    assert!(line.starts_with("...b") && line.ends_with("c..."), "{line}");
    assert_eq!(line.find("wrong"), caret.find('^'));
}
