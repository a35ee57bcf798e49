//! The architecture, held to: who may use whom, where `unsafe` may stand, how long a file may be, and that the README
//! says of the language what the binary says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder of `src/`, and what of the crate it may name. `io` alone means its contract (the items that `io` itself
/// exports), not an engine's module; `config::model` only that module and what lies beside it under that name.
const MAY_USE: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("io", &["sys"]),
    ("proto", &[]),
    ("config", &["proto"]),
    ("shared", &["config::model", "io::Waker"]),
    ("policy", &["proto", "config::model", "shared"]),
    // The machines speak the driver's contract (sockets and buffers are numbers there); no kernel, no clock.
    ("session", &["proto", "policy", "config::model", "shared", "io"]),
    ("worker", &["sys", "io", "proto", "config", "policy", "shared", "session"]),
    ("control", &["sys", "io", "proto", "config", "policy", "shared", "session", "worker"]),
];

const LINES_MAX: usize = 900;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The code without comments, strings and characters, each replaced by a space (line ends kept).
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if character == '"' {
            string_length(rest)
        } else if rest.starts_with("r#\"") || rest.starts_with("r\"") {
            let hashes = if rest.starts_with("r#") { "\"#" } else { "\"" };
            let start = rest.find('"').unwrap_or(0) + 1;
            rest[start..].find(hashes).map_or(rest.len(), |at| start + at + hashes.len())
        } else if character == '\'' {
            character_length(rest)
        } else {
            0
        };
        if skipped > 0 {
            code.extend(rest[..skipped].chars().filter(|&character| character == '\n'));
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    code
}

fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// 0 for a lifetime.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[2..].find('\'').filter(|&at| at < 10).map_or(0, |at| {
            // An escaped quote is the character itself, its closing quote follows.
            if at == 0 { rest[3..].find('\'').map_or(0, |next| next + 4) } else { at + 3 }
        }),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// What follows `crate::` wherever it stands: the first two segments of each path, groups opened one level.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            paths.extend(split_group(group).iter().map(|item| item.trim().to_string()));
        } else {
            let end = rest
                .find(|character: char| !(character.is_alphanumeric() || "_:{".contains(character)))
                .unwrap_or(rest.len());
            let path = &rest[..end];
            match path.split_once("::{") {
                Some((head, _)) => {
                    let group = &rest[head.len() + "::{".len()..];
                    paths.extend(split_group(group).iter().map(|item| format!("{head}::{}", item.trim())));
                }
                None => paths.push(path.to_string()),
            }
        }
    }
    paths
}

/// The top-level items of a `{…}` group whose opening brace is behind us.
fn split_group(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0usize, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&text[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

fn is_allowed(path: &str, allowed: &[&str]) -> bool {
    let mut segments = path.split("::").map(str::trim);
    let (first, second) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    allowed.iter().any(|rule| match rule.split_once("::") {
        Some((folder, part)) => first == folder && (second == part || second.starts_with(&format!("{part}_"))),
        // An engine's module begins with a small letter; what the contract exports is types.
        None if *rule == "io" && !allowed.contains(&"sys") => {
            first == "io" && !second.starts_with(|character: char| character.is_lowercase())
        }
        None => first == *rule,
    })
}

/// Code that ships: a file's tests may reach further, for instance for the simulated driver.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |at| if code[at..].contains('{') { &code[..at] } else { code })
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    name == "tests" || name.ends_with("_tests") || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn layers_use_only_what_lies_below_them() {
    let source = root().join("src");
    let mut offences = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).expect("under src");
        let layer = inside.components().next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        let layer = layer.trim_end_matches(".rs");
        if matches!(layer, "lib" | "main") || is_test_file(&file) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == layer) else {
            panic!("src/{layer} is in no layer: add it to the table here and in ARCHITECTURE.md");
        };
        let text = fs::read_to_string(&file).expect("text");
        let code = code_of(&text);
        for path in crate_paths(without_tests(&code)) {
            let first = path.split("::").next().unwrap_or_default().trim();
            if first != layer && !is_allowed(&path, allowed) {
                offences.push(format!("src/{}: crate::{path}", inside.display()));
            }
        }
    }
    assert!(
        offences.is_empty(),
        "outside their layer (the table is at the top of this file):\n{}",
        offences.join("\n")
    );
}

#[test]
fn the_layer_test_itself_sees_paths() {
    let code = code_of(
        "use crate::io::{epoll::Epoll, Driver};\n// use crate::control::X;\nlet a = \"crate::control\"; crate::{sys, worker::run}; 'c'; mycrate::no",
    );
    assert_eq!(crate_paths(&code), ["io::epoll::Epoll", "io::Driver", "sys", "worker::run"]);
    let session = MAY_USE.iter().find(|(name, _)| *name == "session").expect("in the table").1;
    assert!(is_allowed("io::Driver", session) && !is_allowed("io::epoll::Epoll", session));
    assert!(is_allowed("config::model::Server", session) && !is_allowed("config::load::load", session));
    assert!(is_allowed("config::model_check::Check", session) && !is_allowed("sys", session));
    assert_eq!(
        code_of("let c = '\"'; let s: &'static str = \"unsafe\"; b'\\''"),
        "let c =  ; let s: &'static str =  ; b "
    );
}

#[test]
fn unsafe_stands_in_sys_alone_and_says_why() {
    let source = root().join("src");
    let mut offences = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).expect("under src").display().to_string();
        let text = fs::read_to_string(&file).expect("text");
        let code = code_of(&text);
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in code.lines().enumerate() {
            let words = line.split(|character: char| !(character.is_alphanumeric() || character == '_'));
            if !words.clone().any(|word| word == "unsafe") || line.contains("unsafe_op_in_unsafe_fn") {
                continue;
            }
            if !inside.starts_with("sys/") {
                offences.push(format!("src/{inside}:{}: unsafe outside src/sys", number + 1));
            } else if !explained(&lines, number) {
                offences.push(format!("src/{inside}:{}: no SAFETY comment", number + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// A `SAFETY:` (or, for an unsafe fn, `# Safety`) in the comment right above, or in the same statement.
fn explained(lines: &[&str], number: usize) -> bool {
    let above = &lines[number.saturating_sub(12)..=number];
    above.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
}

#[test]
fn no_file_outgrows_its_reader() {
    let mut long = Vec::new();
    for folder in ["src", "tests", "bench/src", "quickstart/src"] {
        for file in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&file).expect("text").lines().count();
            if lines > LINES_MAX {
                long.push(format!("{}: {lines}", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "more than {LINES_MAX} lines:\n{}", long.join("\n"));
}

const BEGIN: &str = "<!-- ringway --support-matrix: begin -->\n";
const END: &str = "<!-- end -->";

/// `RINGWAY_UPDATE_README=1 cargo test --test layers` writes the table anew.
#[test]
fn the_readme_says_what_the_binary_supports() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringway")).arg("--support-matrix").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.lines().count() > 100, "a table of every keyword: {table}");
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).expect("README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("the table's begin");
    let (written, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("RINGWAY_UPDATE_README").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("written");
    } else {
        assert!(written == table, "README.md's table is old: RINGWAY_UPDATE_README=1 cargo test --test layers");
    }
}

/// Every file of configs/ loads, and says nothing worse than a warning.
#[test]
fn every_example_configuration_loads() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("configs")).expect("configs/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        count += 1;
        let output =
            Command::new(env!("CARGO_BIN_EXE_ringway")).arg("-c").arg("-f").arg(&path).output().expect("it runs");
        let messages = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {messages}", path.display());
        assert!(!messages.contains("[ALERT]"), "{}: {messages}", path.display());
    }
    assert!(count > 0, "configs/ holds the tutorial's file at least");
}
