//! Variables in addresses that are written without quotes: `bind fd@${SOCKET}`, `server s $HOST:80`.
//!
//! Everywhere else a variable needs double quotes; HAProxy's address parser expands them once more by itself
//! (configuration.txt section 11), so that these have worked since before there were quotes.

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::lex::{Line, Word};

/// Lines by their first words, and which word of them is an address.
const ADDRESSES: &[(&[&str], usize)] = &[
    (&["bind"], 1),
    (&["dgram-bind"], 1),
    (&["dispatch"], 1),
    (&["log"], 1),
    (&["mailer"], 2),
    (&["nameserver"], 2),
    (&["peer"], 2),
    (&["server"], 2),
    (&["server-template"], 3),
    (&["source"], 1),
    (&["stats", "socket"], 2),
];

/// Options after which an address follows, on the lines that have such options.
const OPTIONS: &[&str] = &["addr", "agent-addr", "socks4", "source", "usesrc"];
const LINES_WITH_OPTIONS: &[&str] = &["default-server", "server", "server-template", "source"];

/// Expands the addresses of `line`; false when nothing is left of one, which is an error in `diagnostics`.
pub fn expand_addresses(line: &mut Line, environment: &Environment, diagnostics: &mut Diagnostics) -> bool {
    // Nearly every line ends here.
    if !line.words.iter().any(|word| word.text.contains('$')) {
        return true;
    }
    for index in address_words(&line.words) {
        let Some(word) = line.words.get(index) else { continue };
        let expanded = environment.expand(&word.text).into_owned();
        if expanded.is_empty() && !word.text.is_empty() {
            let keyword = line.words.first().map_or("", Word::as_str);
            let text =
                format!("'{keyword}' : '{}' resolves to an empty address (environment variable missing?)", word.text);
            diagnostics.error(line, Some(word), text);
            return false;
        }
        if let Some(word) = line.words.get_mut(index) {
            word.text = expanded;
            word.exact = None;
        }
    }
    true
}

fn address_words(words: &[Word]) -> Vec<usize> {
    let mut found = Vec::new();
    let starts =
        |first: &[&str]| first.iter().zip(words).filter(|(wanted, word)| **wanted == word.text).count() == first.len();
    let fixed = ADDRESSES.iter().find(|(first, _)| starts(first)).map(|(_, index)| *index);
    found.extend(fixed);
    if words.first().is_some_and(|word| LINES_WITH_OPTIONS.contains(&word.as_str())) {
        let options = words.iter().enumerate().skip(fixed.map_or(1, |index| index + 1));
        found.extend(options.filter(|(_, word)| OPTIONS.contains(&word.as_str())).map(|(index, _)| index + 1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::lex::{Hash, lex};
    use super::*;

    fn expanded(raw: &str) -> Result<String, String> {
        let mut environment = Environment::empty();
        environment.set("FD", "7");
        environment.set("HOST", "10.0.0.1");
        let words = lex(raw.as_bytes(), Hash::Comment, &|_| None).expect("words");
        let mut line = Line { file: "t.cfg".into(), number: 1, raw: raw.into(), words };
        let mut diagnostics = Diagnostics::default();
        match expand_addresses(&mut line, &environment, &mut diagnostics) {
            true => Ok(line.words.iter().map(Word::as_str).collect::<Vec<_>>().join(" ")),
            false => Err(diagnostics.messages.remove(0).text),
        }
    }

    #[test]
    fn addresses_expand_and_other_words_do_not() {
        let cases = [
            ("bind fd@${FD} name $FD", "bind fd@7 name $FD"),
            (
                "server $FD $HOST:80 cookie $FD source $HOST addr ${HOST}",
                "server $FD 10.0.0.1:80 cookie $FD source 10.0.0.1 addr 10.0.0.1",
            ),
            ("log $HOST:514 local0", "log 10.0.0.1:514 local0"),
            ("stats socket $HOST:9999 level admin", "stats socket 10.0.0.1:9999 level admin"),
            ("stats uri $HOST", "stats uri $HOST"),
            ("server addr $HOST:80", "server addr 10.0.0.1:80"),
            ("log-format $HOST", "log-format $HOST"),
            ("bind :80", "bind :80"),
        ];
        for (raw, words) in cases {
            assert_eq!(expanded(raw).as_deref(), Ok(words), "{raw}");
        }
    }

    #[test]
    fn an_address_of_nothing_is_an_error() {
        let text = expanded("bind $NONE").expect_err("an error");
        assert_eq!(text, "'bind' : '$NONE' resolves to an empty address (environment variable missing?)");
    }
}
