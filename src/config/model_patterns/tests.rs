use super::*;
use proptest::prelude::*;

fn set(method: MatchMethod, ignore_case: bool, patterns: &[&str]) -> Patterns {
    let entries = patterns.iter().map(|pattern| (pattern.as_bytes(), Some(pattern.as_bytes())));
    Patterns::build(method, ignore_case, entries).expect("valid patterns")
}

fn hit(patterns: &Patterns, sample: &str) -> Option<String> {
    patterns.find_bytes(sample.as_bytes()).map(|entry| String::from_utf8_lossy(&entry.pattern).into_owned())
}

#[test]
fn texts_match_as_the_manual_says() {
    let exact = set(MatchMethod::Exact, false, &["www.a.com", "b"]);
    assert_eq!(hit(&exact, "b").as_deref(), Some("b"));
    assert_eq!(hit(&exact, "B"), None);
    assert!(hit(&set(MatchMethod::Exact, true, &["www.A.com"]), "WWW.a.com").is_some());
    assert!(hit(&set(MatchMethod::Exact, true, &["www.A.com", "c"]), "WWW.a.com").is_some());
    let begin = set(MatchMethod::Begin, false, &["/a", "/a/b", ""]);
    assert_eq!(hit(&begin, "/a/b/c").as_deref(), Some("/a/b"));
    assert_eq!(hit(&begin, "x").as_deref(), Some(""));
    let end = set(MatchMethod::End, true, &[".gif", "A.GIF"]);
    assert_eq!(hit(&end, "/a.gif").as_deref(), Some(".gif"), "the first line wins");
    assert_eq!(hit(&end, "gif"), None);
    assert!(hit(&set(MatchMethod::Substring, false, &["bc"]), "abcd").is_some());
    assert_eq!(hit(&set(MatchMethod::Substring, false, &["d", "bc"]), "abcd").as_deref(), Some("d"));
    assert!(hit(&set(MatchMethod::Binary, false, &["00fF"]), "x").is_none());
    assert!(set(MatchMethod::Binary, false, &["00fF"]).find_bytes(&[0, 255]).is_some());
    assert!(Patterns::build(MatchMethod::Binary, false, [(&b"0g"[..], None)]).is_err());
}

#[test]
fn parts_stand_between_delimiters() {
    let directory = set(MatchMethod::Directory, true, &["timetask"]);
    for (sample, expected) in [
        ("/timetask/x", true),
        ("/a/TimeTask", true),
        ("/a/timetask?x=1", true),
        ("/a/timetasks", false),
        ("/a.timetask", false),
    ] {
        assert_eq!(hit(&directory, sample).is_some(), expected, "{sample}");
    }
    let domain = set(MatchMethod::Domain, false, &["inbank.com"]);
    for (sample, expected) in
        [("www.inbank.com:80", true), ("inbank.com", true), ("myinbank.com", false), ("inbank.community", false)]
    {
        assert_eq!(hit(&domain, sample).is_some(), expected, "{sample}");
    }
    assert!(hit(&set(MatchMethod::Directory, false, &["/a/a/"]), "xa/a/a").is_some());
    assert!(hit(&set(MatchMethod::Directory, false, &["///"]), "///").is_none());
}

#[test]
fn expressions_and_what_is_none() {
    let patterns = set(MatchMethod::Regex, true, &["^(www.inbank.com|image.inbank.com)$"]);
    assert!(hit(&patterns, "IMAGE.inbank.com").is_some());
    let many: Vec<String> = (0..20).map(|number| format!("^/{number}/(.*)$")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let patterns = set(MatchMethod::Regex, false, &many);
    let entry = patterns.find_bytes(b"/13/x").expect("found");
    assert_eq!(&*entry.pattern, b"^/13/(.*)$");
    let groups = patterns.regex_of(entry).and_then(|regex| regex.captures(b"/13/x")).expect("groups");
    assert_eq!(&groups[1], b"x");
    assert!(Patterns::build(MatchMethod::Regex, false, [(&b"("[..], None)]).is_err());
}

#[test]
fn numbers_and_networks() {
    let numbers = set(MatchMethod::Integer, false, &["80", "8000:8080", ":-5", "9000:"]);
    for (number, expected) in [(80, true), (81, false), (8080, true), (-5, true), (-4, false), (i64::MAX, true)] {
        assert_eq!(numbers.find_integer(number).is_some(), expected, "{number}");
    }
    assert_eq!(IntegerRange::parse("5-9"), Ok(IntegerRange { minimum: 5, maximum: 9 }));
    for text in ["", ":", "-", "x", "5x", "1:x", "9:5", "9-5", "eq:5"] {
        assert!(IntegerRange::parse(text).is_err(), "{text}");
    }
    let networks =
        set(MatchMethod::Address, false, &["10.0.0.0/8", "10.1.0.0/255.255.0.0", "2001:db8::/32", "192.168"]);
    let find = |text: &str| {
        let entry = networks.find_address(text.parse().expect("an address"));
        entry.map(|entry| String::from_utf8_lossy(&entry.pattern).into_owned())
    };
    assert_eq!(find("10.1.2.3").as_deref(), Some("10.1.0.0/255.255.0.0"));
    assert_eq!(find("10.2.2.3").as_deref(), Some("10.0.0.0/8"));
    assert_eq!(find("::ffff:10.2.2.3").as_deref(), Some("10.0.0.0/8"));
    assert_eq!(find("2002:a01:203::").as_deref(), Some("10.1.0.0/255.255.0.0"));
    assert_eq!(find("2001:db8::1").as_deref(), Some("2001:db8::/32"));
    assert_eq!(find("11.0.0.1"), None);
    assert!(set(MatchMethod::Address, false, &["0.0.0.0/0"]).find_address("1.2.3.4".parse().expect("ip")).is_some());
    for text in ["", "x", "1.2.3.4.5", "1.2.3.4/33", "::/129", "256.1.1.1", "1.2.3.4/255.0.255.0"] {
        assert!(parse_network(text).is_err(), "{text}");
    }
}

#[test]
fn a_long_list_is_changed_without_a_whole_copy() {
    let lines: Vec<String> = (0..100_000).map(|number| format!("host{number}.example")).collect();
    let entries = lines.iter().map(|line| (line.as_bytes(), None));
    let before = Patterns::build(MatchMethod::Exact, false, entries).expect("valid");
    let mut after = before.clone();
    after.insert(b"new.example", Some(b"value")).expect("valid");
    assert_eq!(after.remove(EntrySelection::Pattern(b"host77.example")), 1);
    assert_eq!(after.remove(EntrySelection::Pattern(b"host77.example")), 0);
    after.finish().expect("finished");
    assert!(before.find_bytes(b"host77.example").is_some() && after.find_bytes(b"host77.example").is_none());
    assert_eq!(after.find_bytes(b"new.example").and_then(|entry| entry.value.as_deref()), Some(&b"value"[..]));
    assert!(before.find_bytes(b"new.example").is_none());
    assert_eq!(after.entries().len(), 100_000);
    assert_eq!(&*after.entries()[99_999].pattern, b"new.example");
}

/// The rule of HAProxy's parts, written as a loop over the text.
fn naive_part(pattern: &[u8], sample: &[u8], delimiters: &[u8]) -> bool {
    let delimiter = |byte: &u8| delimiters.contains(byte);
    let Some(start) = pattern.iter().position(|byte| !delimiter(byte)) else { return false };
    let end = pattern.iter().rposition(|byte| !delimiter(byte)).unwrap_or(0) + 1;
    let pattern = &pattern[start..end];
    (0..sample.len()).any(|at| {
        sample[at..].starts_with(pattern)
            && (at == 0 || delimiter(&sample[at - 1]))
            && sample.get(at + pattern.len()).is_none_or(delimiter)
    })
}

proptest! {
    #[test]
    fn lists_find_what_single_comparisons_find(
        patterns in prop::collection::vec("[ab/.]{1,4}", 1..6),
        sample in "[abc/.]{0,10}",
    ) {
        let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
        type Naive = fn(&[u8], &[u8]) -> bool;
        let methods: [(MatchMethod, Naive); 6] = [
            (MatchMethod::Exact, |pattern, sample| pattern == sample),
            (MatchMethod::Begin, |pattern, sample| sample.starts_with(pattern)),
            (MatchMethod::End, |pattern, sample| sample.ends_with(pattern)),
            (MatchMethod::Substring, |pattern, sample| sample.windows(pattern.len()).any(|part| part == pattern)),
            (MatchMethod::Directory, |pattern, sample| naive_part(pattern, sample, b"/?")),
            (MatchMethod::Domain, |pattern, sample| naive_part(pattern, sample, b"/?.:")),
        ];
        for (method, naive) in methods {
            let expected = patterns.iter().any(|pattern| naive(pattern.as_bytes(), sample.as_bytes()));
            for ignore_case in [false, true] {
                let found = set(method, ignore_case, &texts).find_bytes(sample.as_bytes()).is_some();
                prop_assert_eq!(found, expected, "{:?} {} {:?} in {}", method, ignore_case, &texts, &sample);
            }
            // Another one is added and taken away again.
            let mut changed = set(method, false, &texts);
            changed.insert(b"zz", None).expect("valid");
            changed.finish().expect("finished");
            prop_assert!(changed.find_bytes(b"zz").is_some());
            changed.remove(EntrySelection::Pattern(b"zz"));
            changed.finish().expect("finished");
            prop_assert_eq!(changed.find_bytes(sample.as_bytes()).is_some(), expected);
        }
    }
}
