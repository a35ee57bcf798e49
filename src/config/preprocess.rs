//! From a file's bytes to the lines that a configuration is made of: `.if` blocks chosen, messages of the file
//! itself (`.notice` …) collected.

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::lex::Line;
use super::source::Source;

/// Calls `handle` with every line of `source` that holds at least one word, in order.
///
/// A line is only split when the one before it was handled, because `setenv` in one changes what `${NAME}` in the
/// next expands to. A line that cannot be split is an error in `diagnostics` and skipped.
pub fn each_line(
    source: &Source,
    environment: &mut Environment,
    diagnostics: &mut Diagnostics,
    handle: &mut dyn FnMut(&Line, &mut Environment, &mut Diagnostics),
) {
    for (index, raw) in source.bytes.split(|byte| *byte == b'\n').enumerate() {
        let raw = String::from_utf8_lossy(raw);
        let mut words = Vec::new();
        for word in raw.split_whitespace() {
            words.push(super::lex::Word { text: word.to_owned(), column: 1, exact: None });
        }
        if words.is_empty() || words[0].text.starts_with('#') {
            continue;
        }
        let line = Line { file: source.name.clone(), number: index as u32 + 1, raw: raw.as_ref().into(), words };
        handle(&line, environment, diagnostics);
    }
}
