//! `h1-case-adjust` and `h1-case-adjust-file` (configuration.txt section 3).

use super::diagnostics::{Diagnostics, Severity};
use super::model::Location;
use super::statement::Statement;
use super::written::WrittenGlobal;
use crate::proto::http1::case_map::{CaseError, CaseMap};

/// `h1-case-adjust <from> <to>`
pub fn name(statement: &mut Statement, global: &mut WrittenGlobal) {
    let (from, to) = (statement.text(0), statement.text(1));
    if from.is_empty() || to.is_empty() {
        return statement
            .error(0, "'h1-case-adjust' expects a header's name in lower case and the same as it is sent.");
    }
    if statement.at_most(2)
        && let Err(error) = global.model.header_spellings.add(from.as_bytes(), to.as_bytes())
    {
        statement.error(0, format!("'h1-case-adjust' : {}", explain(error, from, to)));
    }
}

/// `h1-case-adjust-file <file>`: read when all lines are known, for the last one counts.
pub fn file(statement: &mut Statement, global: &mut WrittenGlobal) {
    let Some(name) = statement.required(0, "the name of a file of header names") else { return };
    if statement.at_most(1) {
        global.header_spellings_file = Some((name.to_owned(), statement.location()));
    }
}

/// Adds the pairs of a file: two names a line; empty lines and those that start with `#` are passed over.
pub fn read(name: &str, location: &Location, spellings: &mut CaseMap, diagnostics: &mut Diagnostics) {
    let text = match std::fs::read_to_string(name) {
        Ok(text) => text,
        Err(error) => {
            let text = format!("'h1-case-adjust-file' : cannot read '{name}': {error}.");
            return diagnostics.about(Severity::Alert, location, text);
        }
    };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let wrong = match (words.next(), words.next(), words.next()) {
            (Some(from), Some(to), None) => {
                spellings.add(from.as_bytes(), to.as_bytes()).err().map(|error| explain(error, from, to))
            }
            _ => Some("there must be two names on a line.".to_owned()),
        };
        if let Some(wrong) = wrong {
            let text = format!("'h1-case-adjust-file' : '{name}', line {}: {wrong}", number + 1);
            diagnostics.about(Severity::Alert, location, text);
        }
    }
}

fn explain(error: CaseError, from: &str, to: &str) -> String {
    match error {
        CaseError::NoName => format!("'{from}' is no header's name."),
        CaseError::Different => format!("'{from}' and '{to}' must not differ except for their case."),
        CaseError::Duplicate => format!("there is a spelling of '{from}' already."),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::load_text;
    use std::io::Write as _;

    #[test]
    fn spellings_come_from_lines_and_from_the_last_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# names\n\n\t etag ETag \nx-a   X-A").unwrap();
        let text = format!(
            "global\nh1-case-adjust host HoSt\nh1-case-adjust-file /nonexistent\nh1-case-adjust-file {}\n",
            file.path().display()
        );
        let spellings = load_text("t.cfg", &text).config.expect("a configuration").global.header_spellings;
        let sent = |name: &'static str| spellings.spelled(name.as_bytes()).to_vec();
        assert_eq!([sent("HOST"), sent("etag"), sent("X-a"), sent("b")], [&b"HoSt"[..], b"ETag", b"X-A", b"b"]);
        writeln!(file, "etag ETAG").unwrap();
        for bad in [
            text.as_str(),
            "global\nh1-case-adjust ho:st HO:ST\n",
            "global\nh1-case-adjust host hosts\n",
            "global\nh1-case-adjust host\n",
            "global\nh1-case-adjust host HOST\nh1-case-adjust host Host\n",
            "global\nh1-case-adjust-file /nonexistent\n",
        ] {
            assert!(load_text("t.cfg", bad).config.is_none(), "{bad}");
        }
    }
}
