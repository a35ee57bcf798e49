//! The options that follow the address of a `bind`, `server` or `stats socket` line.

use super::keywords::{self, Admitted, Lookup, Section};
use super::lex::Word;
use super::statement::{OptionParser, Statement};

/// Finds `keyword` in a list of parsers.
pub fn parser_of<P: Copy>(parsers: &[(&str, P)], keyword: &str) -> Option<P> {
    parsers.iter().find(|(name, _)| *name == keyword).map(|(_, parser)| *parser)
}

/// Parses the arguments of `statement` from `first` on as options of `section`; each message starts with `label`.
pub fn parse_options<T>(
    statement: &mut Statement,
    first: usize,
    section: Section,
    parsers: &[(&str, OptionParser<T>)],
    label: &str,
    into: &mut T,
) {
    let line = statement.line;
    // Where the arguments start in the whole line.
    let base = line.words.len().saturating_sub(statement.arguments.len());
    let mut index = first;
    let mut lost = false;
    while index < statement.arguments.len() {
        // After an unknown word, the next ones are most likely its arguments: only words that are known are news.
        let rest: Vec<&str> = statement.rest(index).iter().map(Word::as_str).collect();
        let unknown = matches!(keywords::lookup(section, &rest), Lookup::Unknown { .. });
        if lost && unknown {
            index += 1;
            continue;
        }
        lost = unknown;
        let (keyword, words, modifier) = match keywords::admit(section, line, base + index, statement.diagnostics) {
            Admitted::Skip { words } => {
                index += words.max(1);
                continue;
            }
            Admitted::Parse { row, words, modifier } => (row.keyword(), words.max(1), modifier),
        };
        index += words;
        let mut option = Statement {
            line,
            keyword,
            modifier,
            arguments: statement.rest(index),
            label,
            diagnostics: &mut *statement.diagnostics,
            names: statement.names,
        };
        match parser_of(parsers, keyword) {
            Some(parser) => index += parser(&mut option, into),
            None => option.error(usize::MAX, format!("'{keyword}' cannot be used here.")),
        }
    }
}
