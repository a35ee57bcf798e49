use super::*;
use proptest::prelude::*;

/// Lines with their numbers, messages with theirs, and how it ended.
type Outcome = (Vec<(u32, String)>, Vec<(Severity, u32, String)>, Reading);

/// The lines (numbers and words) that a file comes to, its messages, and how it ended.
fn read(text: &str) -> Outcome {
    read_bytes(text.as_bytes())
}

fn read_bytes(bytes: &[u8]) -> Outcome {
    let source = Source { name: "t.cfg".into(), bytes: bytes.to_vec() };
    let mut environment = Environment::empty();
    environment.set("SET", "1");
    let mut diagnostics = Diagnostics::default();
    let mut lines = Vec::new();
    let reading = each_line(&source, &mut environment, &mut diagnostics, &mut |line, environment, _| {
        let words: Vec<&str> = line.words.iter().map(Word::as_str).collect();
        if let ["setenv", name, value] = words[..] {
            environment.set(name, value);
        }
        lines.push((line.number, words.join(" ")));
    });
    let messages = diagnostics.messages.into_iter();
    let told = messages.map(|message| (message.severity, message.location.map_or(0, |at| at.line), message.text));
    (lines, told.collect(), reading)
}

fn lines(text: &str) -> Vec<String> {
    let (lines, messages, _) = read(text);
    assert_eq!(messages, [], "{text}");
    lines.into_iter().map(|(_, words)| words).collect()
}

#[test]
fn a_branch_is_chosen() {
    let text = |condition: &str| format!(".if {condition}\na\n.elif defined(SET)\nb\n.else\nc\n.endif\nd\n");
    assert_eq!(lines(&text("1")), ["a", "d"]);
    assert_eq!(lines(&text("0")), ["b", "d"]);
    assert_eq!(lines(".if 0\na\n.elif 0\nb\n.else # otherwise\nc\n.endif\n"), ["c"]);
    assert_eq!(lines(".if\na\n.else\nb\n.endif\n"), ["b"]);
}

#[test]
fn conditions_in_a_block_that_is_passed_over_are_not_looked_at() {
    assert_eq!(lines(".if 0\n.if zork\na\n.elif zork\nb\n.else\nc\n.endif\n.bogus\n.alert x\n.endif\nd\n"), ["d"]);
    assert_eq!(lines(".if 1\na\n.elif zork\nb\n.endif\n"), ["a"]);
}

#[test]
fn a_line_sees_the_variables_that_the_line_before_it_set() {
    let text = "setenv X 1\n.if streq(\"$X\",1)\nserver \"s$X\"\n.endif\n";
    assert_eq!(lines(text), ["setenv X 1", "server s1"]);
}

#[test]
fn pseudo_variables_name_the_place() {
    let text = "global\nx \"$.SECTION\"\nlisten mqtt\nx \"${.SECTION} ${.FILE}:${.LINE}\"\n";
    assert_eq!(lines(text), ["global", "x global", "listen mqtt", "x mqtt t.cfg:4"]);
    assert_eq!(lines("x \"<${.SECTION}>\"\n"), ["x <>"]);
}

#[test]
fn messages_of_the_file_itself() {
    let (lines, messages, reading) = read(".diag \"d d\"\n.notice n\n.warning w\n.alert \"a a\"\nx\n");
    let told: Vec<_> = messages.iter().map(|(severity, line, text)| (*severity, *line, text.as_str())).collect();
    assert_eq!(
        told,
        [
            (Severity::Diagnostic, 1, "'d d'"),
            (Severity::Notice, 2, "'n'"),
            (Severity::Warning, 3, "'w'"),
            (Severity::Alert, 4, "'a a'"),
        ]
    );
    assert_eq!((lines.len(), reading), (0, Reading::Stopped));
}

#[test]
fn unbalanced_blocks_are_errors() {
    let cases = [
        (".endif\n", 1, "lone '.endif' with no matching '.if'"),
        (".else\n", 1, "lone '.else' with no matching '.if'"),
        (".elif 1\n", 1, "lone '.elif' with no matching '.if'"),
        ("a\n.if 1\nb\n", 2, "non-terminated '.if' block"),
        (".if 1\n.else\n.else\n.endif\n", 3, "'.else' after '.else' is not permitted"),
        (".if 1\n.else\n.elif 1\n.endif\n", 3, "'.elif' after '.else' is not permitted"),
        (".if 1\n.else y\n.endif\n", 2, "Unexpected argument 'y' for '.else'."),
        (".notice a b\n", 1, "Unexpected argument 'b' for '.notice'. Use quotes if the message should contain spaces."),
        (".if zork\n.endif\n", 1, "unparsable conditional expression 'zork' in '.if'"),
        (
            ".if 0\n.elif streq(\n.endif\n",
            2,
            "expected ')' in argument 1 of predicate 'streq' used in conditional expression in '.elif'",
        ),
    ];
    for (text, line, message) in cases {
        let (_, messages, reading) = read(text);
        assert_eq!(messages, [(Severity::Alert, line, message.to_owned())], "{text}");
        assert_eq!(reading, Reading::Stopped, "{text}");
    }
    let deep = ".if 1\n".repeat(101);
    assert_eq!(read(&deep).1, [(Severity::Alert, 101, "too many nested '.if', max is 100".to_owned())]);
}

#[test]
fn an_unknown_directive_is_an_error_and_the_rest_is_read() {
    let (lines, messages, reading) = read(".ednif\nx\n");
    assert_eq!(messages[0].2, "unknown directive '.ednif'; did you mean '.endif' maybe ?");
    assert_eq!((lines.len(), reading), (1, Reading::Finished));
}

#[test]
fn all_errors_of_a_file_are_told() {
    let (lines, messages, _) = read("a \"b\nc，d，e\nf\n");
    assert_eq!(messages.iter().map(|(_, line, _)| *line).collect::<Vec<_>>(), [1, 2, 2]);
    assert_eq!(lines, [(3, "f".to_owned())]);
}

#[test]
fn crlf_and_a_byte_order_mark_are_no_part_of_the_words() {
    assert_eq!(lines("\u{feff}global\r\n daemon\r\n.if 1\r\n x\r\n.endif\r\n"), ["global", "daemon", "x"]);
}

#[test]
fn a_last_line_without_line_feed_is_read_with_a_warning() {
    let (lines, messages, _) = read("a\nb c");
    assert_eq!(lines.len(), 2);
    assert_eq!((messages[0].0, messages[0].1), (Severity::Warning, 2));
    assert!(messages[0].2.starts_with("Missing LF on last line"));
}

#[test]
fn utf16_is_named_once() {
    let (lines, messages, _) = read_bytes(b"\xff\xfeg\0l\0\n\0");
    assert_eq!((lines.len(), messages.len()), (0, 1));
    assert!(messages[0].2.contains("UTF-16"), "{messages:?}");
}

proptest! {
    #[test]
    fn never_panics(text in "([.](if|elif|else|endif|notice|x) ?[01z(]?|[a-z\"']{0,3}|\u{0})(\n|\r\n|[.]){0,2}{0,8}") {
        let _ = read(&text);
    }

    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_bytes(&bytes);
    }

    /// Nested blocks with constant conditions against a recursive reader.
    #[test]
    fn nested_blocks_agree_with_a_naive_reader(tree in tree()) {
        let (mut text, mut expected) = (String::new(), Vec::new());
        write_tree(&tree, true, &mut text, &mut expected);
        prop_assert_eq!(lines(&text), expected, "{}", text);
    }
}

#[derive(Clone, Debug)]
enum Node {
    Line(u8),
    /// Branches with their conditions, then the `.else` part.
    If(Vec<(bool, Vec<Node>)>, Option<Vec<Node>>),
}

fn tree() -> impl Strategy<Value = Vec<Node>> {
    let leaf = any::<u8>().prop_map(Node::Line);
    let node = leaf.prop_recursive(4, 24, 3, |inner| {
        let nodes = proptest::collection::vec(inner, 0..3);
        (proptest::collection::vec((any::<bool>(), nodes.clone()), 1..4), proptest::option::of(nodes))
            .prop_map(|(branches, otherwise)| Node::If(branches, otherwise))
    });
    proptest::collection::vec(node, 0..4)
}

fn write_tree(nodes: &[Node], active: bool, text: &mut String, expected: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Line(number) => {
                text.push_str(&format!("line{number}\n"));
                if active {
                    expected.push(format!("line{number}"));
                }
            }
            Node::If(branches, otherwise) => {
                let mut open = active;
                for (index, (holds, nodes)) in branches.iter().enumerate() {
                    let word = if index == 0 { ".if" } else { ".elif" };
                    text.push_str(&format!("{word} {}\n", u8::from(*holds)));
                    write_tree(nodes, open && *holds, text, expected);
                    open &= !holds;
                }
                if let Some(nodes) = otherwise {
                    text.push_str(".else\n");
                    write_tree(nodes, open, text, expected);
                }
                text.push_str(".endif\n");
            }
        }
    }
}
