//! Conditions as they are written, on requests as they come: what HAProxy's manual says of each way to compare, and of
//! how conditions are put together.

use super::{Verdict, holds};
use crate::config::load::load_text;
use crate::config::model::{EntrySelection, ProxyId};
use crate::policy::sample::fixture_tests::Fixture;
use crate::shared::{Shared, ThreadShared};
use proptest::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

/// A request and the proxy whose only rule has the condition that is asked.
fn fixture(acls: &str, condition: &str, request: &str) -> Fixture {
    let text = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
         frontend fe\n bind 127.0.0.1:1\n{acls}\n http-request deny {condition}\n"
    );
    let loaded = load_text("conditions.cfg", &text);
    let config = loaded.config.unwrap_or_else(|| panic!("{acls} {condition}: {:?}", loaded.diagnostics));
    let shared: ThreadShared = Rc::new(Arc::new(Shared::new(Arc::new(config), 1, 0, 0)));
    Fixture { shared, ..Fixture::new(request.as_bytes()) }
}

fn ask(fixture: &mut Fixture) -> Verdict {
    let shared = fixture.shared.clone();
    let rule = &shared.config.proxy(ProxyId(0)).rules.request[0];
    fixture.scope(|scope| holds(rule.condition.as_ref().expect("a condition"), scope))
}

fn verdict(acls: &str, condition: &str, request: &str) -> Verdict {
    ask(&mut fixture(acls, condition, request))
}

const REQUEST: &str = "POST /Images/a/b.gif?x=1;y=2 HTTP/1.1\r\nHost: www.Example.com:8080\r\nX-Ip: 10.1.2.3, 2001:db8::7\r\n\
                       X-Number: 7\r\nX-List: one,two\r\nCookie: id=abc; other=\r\nX-Empty:\r\n\r\n";

#[test]
fn every_way_to_compare() {
    for (criterion, expected) in [
        ("path /Images/a/b.gif", true),
        ("path /images/a/b.gif", false),
        ("path -i /images/a/B.gif", true),
        ("path -i -m beg /images", true),
        ("path_beg /Img /Images", true),
        ("path_beg -i /images -- -i", true),
        ("path_end .gif .jpg", true),
        ("path_end -i .GIF", true),
        ("path_end gi", false),
        ("path_sub ages/a", true),
        ("path_dir a", true),
        ("path_dir Images/a", true),
        ("path_dir -i IMAGES", true),
        ("path_dir ima", false),
        ("url_dir b.gif", true),
        ("hdr_dom(host) Example.com", true),
        ("hdr_dom(host) -i EXAMPLE", true),
        ("hdr_dom(host) ample.com", false),
        ("hdr_dom(host) 8080", true),
        ("path_reg ^/[A-Z][a-z]+/a/", true),
        ("path_reg -i ^/IMAGES", true),
        ("path_reg images", false),
        ("path_len 15", true),
        ("path_len gt 15", false),
        ("path_len ge 15 eq 1", true),
        ("path_len 10:20", true),
        ("path -m len lt 15", false),
        ("req.hdr_val(x-number) 7", true),
        ("req.hdr_val(x-number) eq 6 7", true),
        ("req.hdr_val(x-number) ne 6", true),
        ("req.hdr_val(x-number) ne 7", false),
        ("req.hdr_val(x-number) gt 6 lt 3", true),
        ("req.hdr_val(x-number) lt 7", false),
        ("req.hdr_val(x-number) le 7", true),
        ("req.hdr_val(x-number) ge 8", false),
        ("req.hdr_val(x-number) 1:6 8:", false),
        ("req.hdr_val(x-number) :7", true),
        ("req.hdr_val(x-number) -m str 7", true),
        ("req.hdr(x-number) -m int 7", true),
        ("req.hdr(x-number) -m bool", true),
        ("req.hdr(host) -m int 7", false),
        ("req.hdr_ip(x-ip) 10.0.0.0/8", true),
        ("req.hdr_ip(x-ip) 10.1.2.3", true),
        ("req.hdr_ip(x-ip) 10.1.2.4/31", false),
        ("req.hdr_ip(x-ip) 11.0.0.0/8 2001:db8::/32", true),
        ("req.hdr_ip(x-ip,1) 2001:db8::/32", false),
        ("req.hdr_ip(x-ip) ::ffff:10.1.0.0/112", true),
        ("req.hdr(x-ip) -m ip 10.0.0.0/255.0.0.0", true),
        ("req.hdr(x-list) two", true),
        ("req.hdr(x-list,1) two", false),
        ("req.hdr(x-list,-1) two", true),
        ("req.fhdr(x-list) one,two", true),
        ("req.hdr(x-none) -m found", false),
        ("req.hdr(x-empty) -m found", true),
        ("req.hdr_cnt(x-list) 2", true),
        ("req.cook(id) abc", true),
        ("req.cook(other) -m found", true),
        ("req.cook(none) -m found", false),
        ("urlp(x) 1", true),
        ("urlp(y,;) 2", true),
        ("path,lower -m beg /images", true),
        ("req.hdr(host),field(1,:) www.Example.com", true),
        ("req.hdr(x-number),hex -m str 37", true),
        ("req.hdr(x-number) -m bin 37", true),
        ("req.hdr(x-number) -m bin 3738", false),
        ("method POST", true),
        ("method GET HEAD", false),
        ("method post", false),
        ("method -i post", false),
        ("always_true", true),
        ("always_false", false),
        ("src 127.0.0.0/8", true),
        ("path --", false),
        ("path -- /Images/a/b.gif", true),
        ("req.ver 1.1", true),
    ] {
        let expected = if expected { Verdict::Yes } else { Verdict::No };
        let anonymous = verdict("", &format!("if {{ {criterion} }}"), REQUEST);
        assert_eq!(anonymous, expected, "{criterion}");
        assert_eq!(verdict(&format!(" acl x {criterion}"), "if x", REQUEST), expected, "{criterion}, named");
    }
}

#[test]
fn predefined_ones() {
    for (name, expected) in [
        ("TRUE", true),
        ("FALSE", false),
        ("METH_POST", true),
        ("METH_GET", false),
        ("HTTP_1.1", true),
        ("HTTP_1.0", false),
        ("HTTP_URL_SLASH", true),
        ("HTTP_URL_ABS", false),
        ("HTTP_URL_STAR", false),
        ("HTTP_CONTENT", false),
        ("LOCALHOST", true),
        ("HTTP", true),
        ("WAIT_END", true),
    ] {
        let expected = if expected { Verdict::Yes } else { Verdict::No };
        assert_eq!(verdict("", &format!("if {name}"), REQUEST), expected, "{name}");
    }
}

#[test]
fn files_and_lines_of_one_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let list = file("list", "# comment\n/other\n\n/Images/a/b.gif\n");
    let map = file("map", "/Images/a/b.gif value\n");
    for (acls, expected) in [
        (format!(" acl x path -f {list}"), true),
        (format!(" acl x path -i -f {list} -f {map} none"), true),
        (format!(" acl x path -M -f {map}"), true),
        (format!(" acl x path -f {map}"), false),
        (format!(" acl x path -u 4 -f {list} /none"), true),
        (" acl x path /none\n acl x path_end .gif".to_owned(), true),
        (" acl x path /none\n acl x path_end .jpg".to_owned(), false),
        (" acl x path_end .gif\n acl y path /none\n acl x method GET".to_owned(), true),
    ] {
        let expected = if expected { Verdict::Yes } else { Verdict::No };
        assert_eq!(verdict(&acls, "if x", REQUEST), expected, "{acls}");
    }
}

#[test]
fn what_the_socket_changed_is_compared_with() {
    let mut fixture = fixture(" acl x path_end .jpg -u 5\n acl x method GET", "if x", REQUEST);
    assert_eq!(ask(&mut fixture), Verdict::No);
    let shared = fixture.shared.clone();
    let list = |keyword: &str| {
        let lists = shared.config.pattern_files.iter();
        lists.zip(&shared.pattern_files).find(|(file, _)| file.description.contains(keyword)).expect("a list").1
    };
    list("'path_end'").add(b".gif", None).expect("a pattern");
    assert_eq!(ask(&mut fixture), Verdict::Yes);
    assert!(list("'path_end'").remove(EntrySelection::Pattern(b".gif")));
    assert_eq!(ask(&mut fixture), Verdict::No);
    list("'method'").add(b"POST", None).expect("a pattern");
    assert_eq!(ask(&mut fixture), Verdict::Yes);
    list("'method'").clear();
    assert_eq!(ask(&mut fixture), Verdict::No);
}

#[test]
fn what_may_still_come_leaves_it_open() {
    let ask_with = |condition: &str, payload: &[u8], complete: bool| {
        let mut fixture = fixture("", condition, "");
        fixture.payload = payload.to_vec();
        fixture.is_payload_complete = complete;
        ask(&mut fixture)
    };
    use Verdict::{No, NotYet, Yes};
    for (condition, open, closed) in [
        ("if { req.len gt 4 }", NotYet, No),
        ("if { req.len gt 2 }", Yes, Yes),
        ("unless { req.len gt 4 }", NotYet, Yes),
        ("if !{ req.len gt 4 }", NotYet, Yes),
        ("if { req.len gt 4 } || TRUE", Yes, Yes),
        ("if { req.len gt 4 } FALSE", NotYet, No),
        ("if FALSE { req.len gt 4 }", No, No),
        ("if FALSE || { req.len gt 4 }", NotYet, No),
        ("if WAIT_END", NotYet, Yes),
        ("if { req.payload(0,4) -m found }", NotYet, No),
        ("if { req.payload(0,2) -m bin 6162 }", Yes, Yes),
    ] {
        assert_eq!(
            (ask_with(condition, b"abc", false), ask_with(condition, b"abc", true)),
            (open, closed),
            "{condition}"
        );
    }
}

/// A condition as alternatives of terms: the number of an ACL and whether it is turned round.
fn condition() -> impl Strategy<Value = Vec<Vec<(usize, u8)>>> {
    prop::collection::vec(prop::collection::vec((0usize..4, 0u8..4), 1..4), 1..4)
}

proptest! {
    /// Terms side by side all hold, `or` and `||` separate alternatives, `!` turns one term round, `unless` all of it.
    #[test]
    fn terms_alternatives_and_negations(
        alternatives in condition(),
        truth in any::<[bool; 4]>(),
        unless in any::<bool>(),
        word in any::<bool>(),
    ) {
        let names = ["alpha", "beta", "gamma", "delta"];
        let acls: String = names
            .iter()
            .zip(truth)
            .map(|(name, truth)| format!(" acl {name} {}\n", if truth { "always_true" } else { "always_false" }))
            .collect();
        let term = |(acl, style): &(usize, u8)| match style {
            0 => names[*acl].to_owned(),
            1 => format!("!{}", names[*acl]),
            2 => format!("! {}", names[*acl]),
            _ => format!("!!{}", names[*acl]),
        };
        let side = |terms: &Vec<(usize, u8)>| terms.iter().map(term).collect::<Vec<_>>().join(" ");
        let separator = if word { " or " } else { " || " };
        let text = alternatives.iter().map(side).collect::<Vec<_>>().join(separator);
        let text = format!("{} {text}", if unless { "unless" } else { "if" });
        let value = |(acl, style): &(usize, u8)| truth[*acl] != matches!(style, 1 | 2);
        let expected = alternatives.iter().any(|terms| terms.iter().all(value)) != unless;
        let expected = if expected { Verdict::Yes } else { Verdict::No };
        prop_assert_eq!(verdict(&acls, &text, REQUEST), expected, "{}", text);
    }

    /// Numbers against operators and ranges, as arithmetic says.
    #[test]
    fn operators_are_arithmetic(
        number in -20i64..20,
        tests in prop::collection::vec((0usize..8, -20i64..20, 0i64..10), 1..4),
    ) {
        let mut text = String::new();
        let mut expected = false;
        for (operator, bound, width) in tests {
            let (word, truth) = match operator {
                0 => (format!("eq {bound}"), number == bound),
                1 => (format!("ne {bound}"), number != bound),
                2 => (format!("gt {bound}"), number > bound),
                3 => (format!("ge {bound}"), number >= bound),
                4 => (format!("lt {bound}"), number < bound),
                5 => (format!("le {bound}"), number <= bound),
                6 => (format!("eq {bound}:{}", bound + width), (bound..=bound + width).contains(&number)),
                _ => (format!("gt {bound}:"), number >= bound),
            };
            text.push(' ');
            text.push_str(&word);
            expected |= truth;
        }
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nN: {number}\r\n\r\n");
        let found = verdict("", &format!("if {{ req.hdr_val(n){text} }}"), &request);
        prop_assert_eq!(found == Verdict::Yes, expected, "{}{}", number, text);
    }

    /// No line makes the reader panic.
    #[test]
    fn any_words_are_read(
        words in prop::collection::vec(prop_oneof![
            Just("{".to_owned()), Just("}".to_owned()), Just("!".to_owned()), Just("or".to_owned()), Just("||".to_owned()),
            Just("if".to_owned()), Just("unless".to_owned()), Just("path".to_owned()), Just("-m".to_owned()),
            Just("-f".to_owned()), Just("-i".to_owned()), Just("-u".to_owned()), Just("-M".to_owned()), Just("--".to_owned()),
            Just("req.hdr_val(x)".to_owned()), Just("eq".to_owned()), Just("gt".to_owned()), Just("int".to_owned()),
            Just("src".to_owned()), Just("10.0.0.0/8".to_owned()), Just("5:".to_owned()), Just("TRUE".to_owned()),
            Just("reg".to_owned()), Just("(".to_owned()), Just("9223372036854775807".to_owned()),
            Just("-9223372036854775808".to_owned()), "[ -~&&[^\"'\\\\#$]]{0,6}",
        ], 0..10)
    ) {
        let words = words.join(" ");
        let text = format!("defaults\n mode http\nlisten l\n bind :1\n acl x {words}\n http-request deny {words}\n stats admin {words}\n");
        let _ = load_text("words.cfg", &text);
    }
}
