use super::*;
use proptest::prelude::*;

fn environment() -> Environment {
    let mut environment = Environment::empty();
    environment.set("PATH", "/usr/bin:/bin");
    environment.set("EMPTY", "");
    environment
}

fn value(text: &str) -> Result<bool, String> {
    evaluate(text, &environment())
}

/// What `haproxy -cc` 2.6.12 answered.
#[test]
fn agrees_with_haproxy() {
    let holds = [
        "defined(PATH)",
        "!defined(NOPE)",
        "1",
        " 1 ",
        "!!1",
        "1 || 0 && 0",
        "(0||1)&&1",
        "-1",
        "2",
        "007",
        "0x10",
        "+1",
        "streq(a,a)",
        "streq(\"a b\",a\\ b)",
        "streq('a b','a b')",
        "streq(\"\",\"\")",
        "streq(\"$NOPE\",)",
        "strneq(a,b)",
        "version_atleast(2.6)",
        "version_atleast(2.6.12)",
        "version_atleast(2.6-dev3)",
        "version_atleast(x)",
        "version_atleast()",
        "version_atleast(2)",
        "version_atleast(2.6-rc1)",
        "version_before(2.7)",
        "version_before(2.6.13-dev1)",
        "feature(THREAD)",
        "!(0)",
        "defined(\"PATH\")",
        "!  !1",
        "(1)||(0)",
        "0 ||1",
        "1  &&  1",
        "99999999999999999999",
        "streq(a\"b\"c,abc)",
        "defined(EMPTY)",
    ];
    let fails = [
        "",
        "0",
        "!1",
        "1&&0",
        "defined(NOPE)",
        "defined()",
        "defined",
        "defined(A B)",
        "defined( PATH)",
        "streq(a, a)",
        "streq( a,a)",
        "version_atleast(2.6.13)",
        "version_atleast(2.6.12-1)",
        "version_before()",
        "version_before(2.6.12)",
        "feature(XX)",
        "feature(EPOL)",
        "feature(epoll)",
        "! 1",
        "streq(\\\"a,b\\\",x)",
    ];
    for text in holds {
        assert_eq!(value(text), Ok(true), "{text}");
    }
    for text in fails {
        assert_eq!(value(text), Ok(false), "{text}");
    }
}

#[test]
fn refuses_what_haproxy_refuses_in_its_words() {
    let cases = [
        ("1a", "unexpected character 'a' at the end of conditional expression '1a'"),
        ("true", "unparsable conditional expression 'true'"),
        ("streq(a,b", "expected ')' in argument 2 of predicate 'streq' used in conditional expression"),
        (
            "streq(a)",
            "missing arguments (got 1/2), type 'string' expected in argument 2 of predicate 'streq' used in conditional expression",
        ),
        ("streq(a,b,c)", "expected ')' before ',c)' in argument 2 of predicate 'streq' used in conditional expression"),
        (
            "defined(a,b)",
            "expected ')' before ',b)' in argument 1 of predicate 'defined' used in conditional expression",
        ),
        ("(1", "expected ')' after conditional expression '(1'"),
        ("1)", "unexpected character ')' at the end of conditional expression '1)'"),
        ("()", "unparsable conditional expression ')'"),
        ("1 1", "unexpected character '1' at the end of conditional expression '1 1'"),
        ("&& 1", "unparsable conditional expression '&& 1'"),
        ("1 & 1", "unexpected character '&' at the end of conditional expression '1 & 1'"),
        ("1 #x", "unexpected character '#' at the end of conditional expression '1 #x'"),
        ("1 || nope(1)", "unparsable conditional expression 'nope(1)'"),
        ("0 && nope(1)", "unparsable conditional expression 'nope(1)'"),
        ("0x", "unexpected character 'x' at the end of conditional expression '0x'"),
        ("--1", "unparsable conditional expression '--1'"),
    ];
    for (text, message) in cases {
        assert_eq!(value(text), Err(format!("Failed to evaluate condition: {message}")), "{text}");
    }
    assert!(value("streq(\"a,b)").is_err_and(|message| message.contains("unmatched quote")));
}

#[test]
fn variables_expand_inside_double_quotes_only() {
    assert_eq!(value("streq(\"$PATH\",/usr/bin:/bin)"), Ok(true));
    assert_eq!(value("streq(\"${NOPE-x}\",x)"), Ok(true));
    assert!(value("$PATH").is_err());
}

#[test]
fn enabled_follows_the_command_line() {
    let mut environment = environment();
    assert_eq!(evaluate("enabled(SPLICE) && !enabled(POLL)", &environment), Ok(true));
    environment.turn_off("SPLICE");
    assert_eq!(evaluate("enabled(SPLICE)", &environment), Ok(false));
}

#[test]
fn depth_is_bounded() {
    let deep = |count: usize| format!("{}1{}", "(".repeat(count), ")".repeat(count));
    assert_eq!(value(&deep(100)), Ok(true));
    assert!(value(&deep(101)).is_err());
    assert_eq!(value(&"!".repeat(100_000)), value("!").map_err(|text| text.replace("'!'", "''")));
}

#[test]
fn the_column_is_that_of_the_word() {
    let words = lex::lex(b".if 1 &&  zork(a)", Hash::Comment, &|_| None).expect("words");
    let error = evaluate_words(&words[1..], &environment()).expect_err("no such predicate");
    assert_eq!(error.column, 11);
}

/// An expression, and what it is worth by construction.
fn expression() -> impl Strategy<Value = (String, bool)> {
    let leaf = prop_oneof![
        Just(("0".to_owned(), false)),
        (1u32..99).prop_map(|number| (number.to_string(), true)),
        ("[a-c]", "[a-c]").prop_map(|(a, b)| (format!("streq({a},{b})"), a == b)),
        Just(("defined(PATH)".to_owned(), true)),
        Just(("feature(LUA)".to_owned(), false)),
    ];
    leaf.prop_recursive(6, 64, 4, |inner| {
        // Each part is in parentheses, so that the naive value needs no precedence.
        prop_oneof![
            inner.clone().prop_map(|(text, value)| (format!("!({text})"), !value)),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| (joined(&parts, " && "), parts.iter().all(|(_, value)| *value))),
            proptest::collection::vec(inner, 1..4)
                .prop_map(|parts| (joined(&parts, "||"), parts.iter().any(|(_, value)| *value))),
        ]
    })
}

fn joined(parts: &[(String, bool)], operator: &str) -> String {
    parts.iter().map(|(text, _)| format!("({text})")).collect::<Vec<_>>().join(operator)
}

proptest! {
    #[test]
    fn agrees_with_a_naive_evaluator((text, naive) in expression()) {
        prop_assert_eq!(value(&text), Ok(naive), "{}", text);
    }

    /// `a && b || c && d` without parentheses is an or of ands.
    #[test]
    fn and_binds_tighter_than_or(rows in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 1..4), 1..4)) {
        let text = rows
            .iter()
            .map(|row| row.iter().map(|bit| if *bit { "1" } else { "0" }).collect::<Vec<_>>().join("&&"))
            .collect::<Vec<_>>()
            .join(" || ");
        prop_assert_eq!(value(&text), Ok(rows.iter().any(|row| row.iter().all(|bit| *bit))), "{}", text);
    }

    #[test]
    fn never_panics(text in "[!&|() a-z0-9,\"'\\\\$é]{0,40}") {
        let _ = value(&text);
    }
}
