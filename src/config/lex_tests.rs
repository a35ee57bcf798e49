use super::*;
use proptest::prelude::*;

fn variables(name: &str) -> Option<Cow<'static, str>> {
    match name {
        "A" => Some(Cow::Borrowed("x \"y  z")),
        "LIST" => Some(Cow::Borrowed("  one two\tthree ")),
        "EMPTY" => Some(Cow::Borrowed("")),
        ".LINE" => Some(Cow::Borrowed("7")),
        _ => None,
    }
}

fn split(raw: &str) -> Vec<String> {
    let words = lex(raw.as_bytes(), Hash::Comment, &variables).unwrap_or_else(|errors| panic!("{raw}: {errors:?}"));
    words.into_iter().map(|word| word.text).collect()
}

fn errors(raw: &[u8]) -> Vec<(u32, String)> {
    let errors = lex(raw, Hash::Comment, &variables).expect_err("an error");
    errors.into_iter().map(|error| (error.column, error.text)).collect()
}

fn first_error(raw: &str) -> (u32, String) {
    errors(raw.as_bytes()).remove(0)
}

/// What HAProxy 2.6.12 made of `.alert <word>`.
#[test]
fn splits_as_haproxy() {
    let cases: &[(&str, &[&str])] = &[
        (r"a\ b", &["a b"]),
        (r"a\qb", &[r"a\qb"]),
        (r#"\"x"#, &["\"x"]),
        (r"\'x", &["'x"]),
        (r#""a\"b\'c\$d\q""#, &[r#"a"b'c$d\q"#]),
        (r"a\$b", &[r"a\$b"]),
        (r"a\#b", &["a#b"]),
        (r"a\nb\tc\rd\x41", &["a\nb\tc\rdA"]),
        ("\\", &["\\"]),
        ("x#y z", &["x"]),
        ("\"x#y\" z", &["x#y", "z"]),
        (r"'a\ b'", &[r"a\ b"]),
        ("\"a\"b\"c\"", &["abc"]),
        ("\"\" ''", &["", ""]),
        ("\"$A\"", &["x \"y  z"]),
        ("\"${A}{\"", &["x \"y  z{"]),
        ("\"$A-b\"", &["x \"y  z-b"]),
        ("\"$NO-def\"", &["-def"]),
        ("\"${NO}\"", &[""]),
        ("\"$.LINE\" \"${.LINE}\"", &["7", "7"]),
        ("$A ${A}", &["$A", "${A}"]),
        ("'$A'", &["$A"]),
        (" \t a \r", &["a"]),
        ("", &[]),
        ("  # nothing", &[]),
        ("a\\\tb", &["a\\", "b"]),
    ];
    for (raw, words) in cases {
        assert_eq!(split(raw), *words, "{raw}");
    }
}

/// What the manual says of defaults (section 2.3).
#[test]
fn defaults_replace_what_is_not_set() {
    assert_eq!(split("\"${NO-127.0.0.1}:514\""), ["127.0.0.1:514"]);
    assert_eq!(split("\"${NO-two words}\""), ["two words"]);
    assert_eq!(split("\"${NO-}\""), [""]);
    assert_eq!(split("\"${EMPTY-default}\""), [""]);
    assert_eq!(split("\"${A-default}\""), ["x \"y  z"]);
    assert_eq!(split("\"${NO[*]-a b}\""), ["a", "b"]);
}

#[test]
fn lists_become_words() {
    assert_eq!(split("a \"${LIST[*]}\" b"), ["a", "one", "two", "three", "b"]);
    assert_eq!(split("\"<${LIST[*]}>\""), ["<one", "two", "three>"]);
    assert_eq!(split("a \"${EMPTY[*]}\" b"), ["a", "b"]);
    assert_eq!(split("\"p${EMPTY[*]}q\""), ["pq"]);
}

#[test]
fn errors_have_haproxys_words_and_a_column() {
    let cases = [
        ("bind \"abc", 6, "unmatched quote"),
        ("bind 'abc", 6, "unmatched quote"),
        (r"bind 'a\'b'", 11, "unmatched quote"),
        (r"bind \xzz", 6, "truncated or invalid hexadecimal sequence"),
        (r#"bind "abc\x4""#, 10, "truncated or invalid hexadecimal sequence"),
        ("bind \"${FOO\"", 7, "unmatched brace in environment variable name"),
        ("bind \"$\"", 8, "forbidden first char in environment variable name"),
        ("bind \"$1\"", 8, "forbidden first char in environment variable name"),
        ("bind \"${A[0]}\"", 10, "truncated or invalid word expansion sequence"),
        ("a\0b", 2, "Stray NUL character"),
        (r"a\x00", 2, "a word cannot hold a NUL byte"),
    ];
    for (raw, column, text) in cases {
        let (at, message) = first_error(raw);
        assert_eq!(at, column, "{raw}: {message}");
        assert!(message.starts_with(text) && message.ends_with(&format!("at position {column}")), "{raw}: {message}");
    }
}

#[test]
fn full_width_punctuation_is_named_with_its_column() {
    let all = errors("stick on req.payload(0，0)，x".as_bytes());
    assert_eq!(all.iter().map(|(column, _)| *column).collect::<Vec<_>>(), [23, 26]);
    assert!(all[0].1.contains("'，' U+FF0C FULLWIDTH COMMA"), "{all:?}");
    assert_eq!(first_error("mode\u{a0}tcp").0, 5);
}

#[test]
fn punctuation_of_any_kind_may_stand_in_quotes_and_comments() {
    assert_eq!(split("log \"a，b\" '“x”' # 注释，（x）"), ["log", "a，b", "“x”"]);
}

#[test]
fn columns_count_characters() {
    let words = lex("\tété \"a b\"  x".as_bytes(), Hash::Comment, &variables).expect("words");
    assert_eq!(words.iter().map(|word| word.column).collect::<Vec<_>>(), [2, 6, 13]);
}

#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let words = lex(b"send \xff\xfe\\xfd ok", Hash::Comment, &variables).expect("words");
    assert_eq!(words[1].as_bytes(), b"\xff\xfe\xfd");
    assert!(words[1].text.contains('\u{fffd}'));
    assert_eq!((words[2].as_bytes(), words[2].exact.is_none()), (&b"ok"[..], true));
    assert_eq!(split(r"\xc3\xa9"), ["é"]);
}

#[test]
fn a_very_long_line_is_a_line() {
    let long = format!("a {} b", "y".repeat(1_000_000));
    assert_eq!(split(&long).len(), 3);
    assert_eq!(split(&"x ".repeat(100_000)).len(), 100_000);
}

#[test]
fn a_hash_is_a_character_in_conditions() {
    let words = lex(b"1 #x", Hash::Character, &variables).expect("words");
    assert_eq!(words[1].text, "#x");
}

/// A splitter for lines of plain words, written with none of the lexer's code.
fn naive(raw: &str) -> Vec<String> {
    let code = raw.split('#').next().unwrap_or("");
    code.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = lex(&raw, Hash::Comment, &variables);
        prop_assert_eq!(text_of(&raw).chars().count(), units_of(&raw).len());
    }

    #[test]
    fn never_panics_on_what_is_special(raw in "[ \"'\\\\$#{}\\[\\]*xn0A.\\-_é，\t]{0,40}") {
        if let Err(errors) = lex(raw.as_bytes(), Hash::Comment, &variables) {
            for error in errors {
                prop_assert!(error.column >= 1 && error.column as usize <= raw.chars().count() + 1);
            }
        }
    }

    #[test]
    fn plain_words_split_as_a_naive_splitter(raw in "[a-z0-9:.\\-# \t]{0,60}") {
        prop_assert_eq!(split(&raw), naive(&raw));
    }

    #[test]
    fn what_is_quoted_comes_back(words in proptest::collection::vec(proptest::collection::vec(1u8.., 0..20), 1..5)) {
        let raw = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let back = lex(raw.as_bytes(), Hash::Comment, &variables).expect("quoted words split");
        prop_assert_eq!(back.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>(), words);
    }
}
