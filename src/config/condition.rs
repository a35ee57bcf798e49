//! Conditions of `.if`, `.elif` and `-cc` (configuration.txt section 2.4).

use super::environment::Environment;
use super::lex::{self, Hash, Word};

/// The HAProxy release whose language this is, as `version_atleast()` and `version_before()` see it.
///
/// 2.6 is the release that every keyword, message and number here was compared with. A higher claim would make files
/// choose keywords that came later; a lower one, spellings that 2.6 had already dropped.
pub const LANGUAGE_VERSION: &str = "2.6.12";

/// What `feature()` says yes to: HAProxy's names for what this program has, in the order `-vv` prints them.
pub const FEATURES: &[&str] = &[
    "ACCEPT4",
    "CPU_AFFINITY",
    "EPOLL",
    "GETADDRINFO",
    "LINUX_SPLICE",
    "LINUX_TPROXY",
    "SPLICE",
    "SYSTEMD",
    "TFO",
    "THREAD",
    "TPROXY",
];

/// What `enabled()` says yes to unless a command-line option turned it off.
const ENABLED: &[&str] = &["EPOLL", "FAST-FORWARD", "GETADDRINFO", "REUSEPORT", "SPLICE"];

/// Parentheses deeper than this are refused, so that no text can exhaust the stack.
const NESTING_MAX: usize = 100;

/// Evaluates a condition as `-cc` gets it: quotes, escapes and `"${NAME}"` first, then the expression.
///
/// The error is the whole message that follows `config : `.
pub fn evaluate(text: &str, environment: &Environment) -> Result<bool, String> {
    let words = lex::lex(text.as_bytes(), Hash::Character, &|name| environment.get(name).map(Into::into)).map_err(
        |errors| {
            let first = errors.into_iter().next().map(|error| error.text).unwrap_or_default();
            format!("Syntax Error in condition: {first}.")
        },
    )?;
    evaluate_words(&words, environment).map_err(|error| format!("Failed to evaluate condition: {}", error.text))
}

/// Why a condition has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    pub text: String,
    /// The column, in the line that the words came from, where the trouble starts.
    pub column: u32,
}

/// Evaluates a condition that was already split into words; several words are one text with single blanks.
pub fn evaluate_words(words: &[Word], environment: &Environment) -> Result<bool, ConditionError> {
    let text = words.iter().map(Word::as_str).collect::<Vec<_>>().join(" ");
    let mut parser = Parser { text: &text, position: 0, depth: 0, environment };
    parser.whole().map_err(|(text, position)| ConditionError { text, column: column_of(words, position) })
}

/// The column of byte `position` of the joined words.
fn column_of(words: &[Word], position: usize) -> u32 {
    let mut start = 0;
    for word in words {
        let end = start + word.text.len();
        if position <= end {
            let ahead = word.text.get(..position - start).map_or(0, |ahead| ahead.chars().count());
            return word.column.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX));
        }
        start = end + 1;
    }
    words.last().map_or(1, |word| word.column)
}

/// A message and the byte where it applies.
type Failure = (String, usize);

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always between characters.
    position: usize,
    depth: usize,
    environment: &'a Environment,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<bool, Failure> {
        self.skip_blanks();
        if self.rest().is_empty() {
            return Ok(false);
        }
        let value = self.either()?;
        match self.rest().chars().next() {
            None => Ok(value),
            Some(character) => {
                let text =
                    format!("unexpected character '{character}' at the end of conditional expression '{}'", self.text);
                Err((text, self.position))
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn skip_blanks(&mut self) {
        self.position += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    /// `a || b`: both sides are read whatever the first one says, so that a misspelling never hides.
    fn either(&mut self) -> Result<bool, Failure> {
        let mut value = self.both()?;
        while self.take("||") {
            self.skip_blanks();
            value |= self.both()?;
        }
        Ok(value)
    }

    fn both(&mut self) -> Result<bool, Failure> {
        let mut value = self.term()?;
        while self.take("&&") {
            self.skip_blanks();
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, Failure> {
        let mut negated = false;
        while self.take("!") {
            negated = !negated;
            self.skip_blanks();
        }
        let value = if self.rest().starts_with('(') {
            self.parenthesis()?
        } else if let Some(value) = self.integer() {
            value
        } else {
            self.predicate()?
        };
        self.skip_blanks();
        Ok(value != negated)
    }

    fn parenthesis(&mut self) -> Result<bool, Failure> {
        let start = self.position;
        if self.depth >= NESTING_MAX {
            return Err((format!("more than {NESTING_MAX} nested parentheses"), start));
        }
        self.depth += 1;
        self.position += 1;
        self.skip_blanks();
        let value = self.either()?;
        self.depth -= 1;
        if !self.take(")") {
            let text = format!("expected ')' after conditional expression '{}'", self.text.get(start..).unwrap_or(""));
            return Err((text, self.position));
        }
        Ok(value)
    }

    /// A number as C reads it with base 0; only whether it is zero matters.
    fn integer(&mut self) -> Option<bool> {
        let rest = self.rest();
        let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let hexadecimal = unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X"));
        let (digits, radix) = match hexadecimal {
            Some(digits) if digits.starts_with(|digit: char| digit.is_ascii_hexdigit()) => (digits, 16),
            _ => (unsigned, if unsigned.starts_with('0') { 8 } else { 10 }),
        };
        let length = digits.find(|digit: char| !digit.is_digit(radix)).unwrap_or(digits.len());
        if length == 0 {
            return None;
        }
        self.position += rest.len() - digits.len() + length;
        Some(digits.get(..length)?.bytes().any(|digit| digit != b'0'))
    }

    fn predicate(&mut self) -> Result<bool, Failure> {
        let start = self.position;
        let rest = self.rest();
        let length = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        let name = rest.get(..length.unwrap_or(rest.len())).unwrap_or("");
        let Some(predicate) = PREDICATES.iter().find(|predicate| predicate.name == name) else {
            return Err((format!("unparsable conditional expression '{rest}'"), start));
        };
        self.position += name.len();
        let arguments =
            if self.take("(") { self.arguments(predicate)? } else { vec![String::new(); predicate.arguments] };
        if arguments.len() < predicate.arguments {
            let text = format!(
                "missing arguments (got {}/{}), type 'string' expected in argument {} of predicate '{name}' used in conditional expression",
                arguments.len(),
                predicate.arguments,
                arguments.len() + 1,
            );
            return Err((text, self.position));
        }
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        Ok((predicate.holds)(self.environment, argument(0), argument(1)))
    }

    /// After `(`: the arguments up to `)`, with a second round of quotes and escapes (section 2.2, at its end).
    fn arguments(&mut self, predicate: &Predicate) -> Result<Vec<String>, Failure> {
        let mut arguments = vec![String::new()];
        let mut quote = None;
        let mut characters = self.rest().char_indices();
        let base = self.position;
        while let Some((index, character)) = characters.next() {
            let count = arguments.len();
            let Some(current) = arguments.last_mut() else { break };
            match (character, quote) {
                ('\\', None | Some('"')) => match characters.next() {
                    Some((_, escaped @ (' ' | '\\' | '"' | '\''))) => current.push(escaped),
                    Some((_, 'n')) => current.push('\n'),
                    Some((_, 'r')) => current.push('\r'),
                    Some((_, 't')) => current.push('\t'),
                    Some((_, other)) => current.extend(['\\', other]),
                    None => current.push('\\'),
                },
                ('"' | '\'', None) => quote = Some(character),
                (closing, Some(open)) if closing == open => quote = None,
                (',', None) if count == predicate.arguments => {
                    let text = format!(
                        "expected ')' before '{}' in argument {} of predicate '{}' used in conditional expression",
                        self.rest().get(index..).unwrap_or(""),
                        count,
                        predicate.name,
                    );
                    return Err((text, base + index));
                }
                (',', None) => arguments.push(String::new()),
                (')', None) => {
                    self.position = base + index + 1;
                    return Ok(arguments);
                }
                _ => current.push(character),
            }
        }
        let what = if quote.is_some() { "unmatched quote" } else { "expected ')'" };
        let text = format!(
            "{what} in argument {} of predicate '{}' used in conditional expression",
            arguments.len(),
            predicate.name,
        );
        Err((text, self.text.len()))
    }
}

struct Predicate {
    name: &'static str,
    arguments: usize,
    holds: fn(&Environment, &str, &str) -> bool,
}

const PREDICATES: &[Predicate] = &[
    Predicate { name: "defined", arguments: 1, holds: |environment, name, _| environment.is_defined(name) },
    Predicate { name: "feature", arguments: 1, holds: |_, name, _| FEATURES.contains(&name) },
    Predicate {
        name: "enabled",
        arguments: 1,
        holds: |environment, name, _| ENABLED.contains(&name) && !environment.is_turned_off(name),
    },
    Predicate { name: "streq", arguments: 2, holds: |_, first, second| first == second },
    Predicate { name: "strneq", arguments: 2, holds: |_, first, second| first != second },
    Predicate { name: "strstr", arguments: 2, holds: |_, text, part| text.contains(part) },
    Predicate { name: "version_atleast", arguments: 1, holds: |_, version, _| !is_older_than(version) },
    Predicate { name: "version_before", arguments: 1, holds: |_, version, _| is_older_than(version) },
    // There is no TLS library, hence none of any version.
    Predicate { name: "openssl_version_atleast", arguments: 1, holds: |_, _, _| false },
    Predicate { name: "openssl_version_before", arguments: 1, holds: |_, _, _| false },
    Predicate { name: "ssllib_name_startswith", arguments: 1, holds: |_, _, _| false },
    Predicate { name: "awslc_api_atleast", arguments: 1, holds: |_, _, _| false },
    Predicate { name: "awslc_api_before", arguments: 1, holds: |_, _, _| false },
];

fn is_older_than(version: &str) -> bool {
    Version::parse(LANGUAGE_VERSION) < Version::parse(version)
}

/// `2.7-dev3`, `2.6.12`, `2.6.12-5`: numbers, then how far from the release.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    numbers: [u64; 4],
    stage: Stage,
    /// Which one of its stage, then commits since.
    step: u64,
    commits: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Development,
    Candidate,
    Release,
}

impl Version {
    /// What cannot be read counts as 0, as in HAProxy.
    fn parse(text: &str) -> Self {
        let mut parts = text.split('-');
        let mut numbers = [0; 4];
        for (slot, number) in numbers.iter_mut().zip(parts.next().unwrap_or("").split('.')) {
            *slot = leading_number(number);
        }
        let mut version = Version { numbers, stage: Stage::Release, step: 0, commits: 0 };
        for part in parts {
            match (part.strip_prefix("dev"), part.strip_prefix("rc")) {
                (Some(step), _) => (version.stage, version.step) = (Stage::Development, leading_number(step)),
                (_, Some(step)) => (version.stage, version.step) = (Stage::Candidate, leading_number(step)),
                _ => version.commits = leading_number(part),
            }
        }
        version
    }
}

fn leading_number(text: &str) -> u64 {
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
