//! `acl` lines and conditions (configuration.txt sections 7.1 and 7.2).

use super::acl_keywords;
use super::lex::Word;
use super::model::*;
use super::names::ResolveNames;
use super::pattern_files::{self, Columns, Use};
use super::statement::Statement;
use super::suggest;
use std::sync::Arc;

/// The ACLs that a section has declared so far. A copy shares them.
#[derive(Clone, Debug, Default)]
pub struct AclTable {
    acls: Vec<Arc<Acl>>,
}

impl AclTable {
    fn find(&self, name: &str) -> Option<&Arc<Acl>> {
        self.acls.iter().find(|acl| acl.name == name)
    }

    /// Adds a line to the ACL called `name`.
    fn add(&mut self, name: &str, test: AclTest) {
        match self.find(name) {
            Some(acl) => acl.add(test),
            None => self.acls.push(Arc::new(Acl::new(name, test))),
        }
    }
}

/// What is wrong, at which of the words.
struct AclError {
    /// Counted from the criterion.
    word: usize,
    text: String,
}

/// A test, and what to warn about.
struct ParsedTest {
    test: AclTest,
    warning: Option<(usize, String)>,
}

/// Reads an `acl` line into `acls`; its arguments are the name and what defines it.
pub fn parse_acl(statement: &mut Statement, acls: &mut AclTable) {
    let Some(name) = statement.required(0, "a name and a criterion, such as: acl static path_beg /static") else {
        return;
    };
    if let Some(character) = super::section_header::bad_character(name) {
        return statement.error(0, format!("character '{character}' is not permitted in acl name '{name}'."));
    }
    if name.eq_ignore_ascii_case("or") {
        let text = format!(
            "acl name '{name}' will never match. 'or' is used to express a logical disjunction within a condition."
        );
        return statement.error(0, text);
    }
    match parse_test(statement.rest(1), statement.names) {
        Ok(parsed) => {
            if let Some((word, text)) = parsed.warning {
                statement.warning(word + 1, format!("parsing acl '{name}' : {text}"));
            }
            acls.add(name, parsed.test);
        }
        Err(error) => {
            statement.error(error.word + 1, format!("error detected while parsing ACL '{name}' : {}.", error.text));
        }
    }
}

/// The criterion's expression, and how it is compared unless `-m` says otherwise.
fn parse_criterion(word: &str) -> Result<(Expression, Option<Comparison>), String> {
    let name_end = word.find(['(', ',']).unwrap_or(word.len());
    let (name, rest) = word.split_at(name_end);
    if name.is_empty() {
        return Err(format!("missing fetch method in ACL expression '{word}'"));
    }
    let (fetch, method) = match acl_keywords::derived(name) {
        Some((fetch, method)) => (fetch, Some(Comparison::Method(method))),
        None => (name, None),
    };
    let mut expression = super::expression::parse(&format!("{fetch}{rest}"), Place::ANY)?;
    word.clone_into(&mut expression.text);
    let comparison = method.or(match expression.output {
        SampleType::Method => Some(Comparison::HttpMethod),
        SampleType::Bool => Some(Comparison::Method(MatchMethod::Boolean)),
        SampleType::Integer => Some(Comparison::Method(MatchMethod::Integer)),
        SampleType::Address | SampleType::Ipv4 | SampleType::Ipv6 => Some(Comparison::Method(MatchMethod::Address)),
        SampleType::Text => Some(Comparison::Method(MatchMethod::Exact)),
        SampleType::Any | SampleType::Binary => None,
    });
    Ok((expression, comparison))
}

/// Whether samples of a type can be compared so.
fn can_compare(output: SampleType, method: MatchMethod) -> bool {
    match method {
        MatchMethod::Integer | MatchMethod::Boolean => !matches!(output, SampleType::Method | SampleType::Binary),
        MatchMethod::Address => !matches!(output, SampleType::Method | SampleType::Binary | SampleType::Bool),
        _ => true,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    LessOrEqual,
    Less,
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "ge" => Operator::GreaterOrEqual,
        "gt" => Operator::Greater,
        "le" => Operator::LessOrEqual,
        "lt" => Operator::Less,
        _ => return None,
    })
}

/// Reads criterion, flags, operators and patterns.
fn parse_test(words: &[Word], names: &dyn ResolveNames) -> Result<ParsedTest, AclError> {
    let text = |index: usize| words.get(index).map_or("", Word::as_str);
    let at = |word: usize| move |text: String| AclError { word, text };
    let (expression, natural) = parse_criterion(text(0)).map_err(at(0))?;
    let mut flags = Flags { comparison: natural, ignore_case: false, resolve: true, columns: Columns::Pattern };
    let (mut files, mut unique_id, mut index, mut explicit) = (Vec::new(), None, 1, false);
    while text(index).starts_with('-') {
        explicit = true;
        let argument = text(index + 1);
        match text(index) {
            "--" => {
                index += 1;
                break;
            }
            "-i" => flags.ignore_case = true,
            "-n" => flags.resolve = false,
            // Values of maps mean nothing to an ACL, so that a map can be one.
            "-M" => flags.columns = Columns::KeyAndValue,
            "-u" => {
                let Ok(id) = argument.parse::<u32>() else {
                    return Err(at(index + 1)("the argument of -u must be an integer".to_owned()));
                };
                unique_id = Some((index + 1, id));
                index += 1;
            }
            "-m" => {
                let Some(method) = MatchMethod::named(argument) else {
                    let mut text = format!("unknown matching method '{argument}' when parsing ACL expression");
                    let known = "bool int ip bin len str beg sub end dir dom reg found".split(' ');
                    if let Some(meant) = suggest::nearest(argument, known) {
                        text.push_str(&format!("; did you mean '{meant}' maybe ?"));
                    }
                    return Err(at(index + 1)(text));
                };
                if !files.is_empty() {
                    let text = "'-m' must only be specified before patterns and files".to_owned();
                    return Err(at(index)(text));
                }
                if !can_compare(expression.output, method) {
                    let keyword = text(0);
                    let text = format!("matching method '{argument}' cannot be used with fetch keyword '{keyword}'");
                    return Err(at(index + 1)(text));
                }
                flags.comparison = Some(Comparison::Method(method));
                index += 1;
            }
            "-f" => {
                let comparison = flags.comparison.ok_or_else(|| at(0)(needs_method(text(0))))?;
                let opened =
                    pattern_files::open(argument, Use::acl(flags.columns), comparison.method(), flags.ignore_case);
                files.push(opened.map_err(at(index + 1))?);
                index += 1;
            }
            other => {
                let text = format!(
                    "'{other}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'"
                );
                return Err(at(index)(text));
            }
        }
        index += 1;
    }
    let comparison = flags.comparison.ok_or_else(|| at(0)(needs_method(text(0))))?;
    let patterns = parse_patterns(words, index, comparison.method(), &flags, names)?;
    let inline = pattern_files::inline(keyword_of(text(0)), unique_id.map(|(_, id)| id), &patterns);
    let inline = inline.map_err(at(unique_id.map_or(0, |(word, _)| word)))?;
    let warning = if index >= words.len() && !explicit && !comparison.method().takes_no_pattern() {
        let text = "no pattern to match against were provided, so this ACL will never match. If this is what you \
                    intended, please add '--' to get rid of this warning. If you intended to match only for \
                    existence, please use '-m found'. If you wanted to force an int to match as a bool, please use \
                    '-m bool'.";
        Some((0, text.to_owned()))
    } else if text(index).starts_with('(') && text(index.saturating_sub(1)) != "--" {
        let (keyword, pattern) = (text(0), text(index));
        let text = format!(
            "matching '{keyword}' for pattern '{pattern}' is likely a mistake and probably not what you want. Maybe \
             you need to remove the extraneous space before '('. If you are really sure this is not an error, please \
             insert '--' between the match and the pattern to make this warning message disappear."
        );
        Some((index, text))
    } else {
        None
    };
    Ok(ParsedTest { test: AclTest::new(expression, comparison, patterns, inline, files), warning })
}

/// A criterion without arguments and converters.
fn keyword_of(criterion: &str) -> &str {
    criterion.split(['(', ',']).next().unwrap_or_default()
}

fn needs_method(criterion: &str) -> String {
    let keyword = keyword_of(criterion);
    format!("matching method must be specified first (using '-m') when using a sample fetch of this type ('{keyword}')")
}

struct Flags {
    comparison: Option<Comparison>,
    ignore_case: bool,
    resolve: bool,
    columns: Columns,
}

fn parse_patterns(
    words: &[Word],
    from: usize,
    method: MatchMethod,
    flags: &Flags,
    names: &dyn ResolveNames,
) -> Result<Patterns, AclError> {
    let mut patterns = Patterns::new(method, flags.ignore_case);
    let mut operator_in_force = Operator::Equal;
    // An empty word ends the patterns, as it does for HAProxy.
    let rest = words.iter().enumerate().skip(from).take_while(|(_, word)| !word.as_str().is_empty());
    for (index, word) in rest {
        if let Some(operator) = operator(word.as_str()).filter(|_| method.is_numeric()) {
            operator_in_force = operator;
            continue;
        }
        let inserted = match method {
            MatchMethod::Integer | MatchMethod::Length => insert_number(&mut patterns, word, operator_in_force),
            MatchMethod::Address => insert_address(&mut patterns, word, flags, names),
            _ => patterns.insert(word.as_bytes(), None),
        };
        inserted.map_err(|text| AclError { word: index, text })?;
    }
    patterns.finish().map_err(|text| AclError { word: from, text })?;
    Ok(patterns)
}

/// Operators do not change a range, only a number. `ne`, which HAProxy takes for `eq`, means what it says.
fn insert_number(patterns: &mut Patterns, word: &Word, operator: Operator) -> Result<(), String> {
    let text = word.as_str();
    let range = IntegerRange::parse(text)?;
    let number = range.minimum;
    let all = IntegerRange::ALL;
    let below = number.checked_sub(1).map(|maximum| IntegerRange { maximum, ..all });
    let above = number.checked_add(1).map(|minimum| IntegerRange { minimum, ..all });
    let ranges = match operator {
        _ if range.minimum != range.maximum => [Some(range), None],
        Operator::Equal => [Some(range), None],
        Operator::NotEqual => [below, above],
        Operator::GreaterOrEqual => [Some(IntegerRange { minimum: number, ..all }), None],
        Operator::Greater => [above, None],
        Operator::LessOrEqual => [Some(IntegerRange { maximum: number, ..all }), None],
        Operator::Less => [below, None],
    };
    if operator == Operator::Equal || range.minimum != range.maximum {
        patterns.insert_range(text, range);
        return Ok(());
    }
    for range in ranges.into_iter().flatten() {
        patterns.insert_range(&range.text(), range);
    }
    Ok(())
}

/// A network, or a name that is looked up now unless `-n` forbids it.
fn insert_address(patterns: &mut Patterns, word: &Word, flags: &Flags, names: &dyn ResolveNames) -> Result<(), String> {
    let text = word.as_str();
    let network = parse_network(text).or_else(|error| {
        let (host, bits) = match text.split_once('/') {
            Some((host, bits)) => (host, bits.parse::<u8>().ok().filter(|bits| *bits <= 32)),
            None => (text, Some(128)),
        };
        let looks_like_name = host.contains(|character: char| character.is_ascii_alphabetic()) && !host.contains(':');
        if !flags.resolve || !looks_like_name {
            return Err(error);
        }
        let address = names.resolve(host, None).map_err(|_| error.clone())?;
        let bits = bits.ok_or(error)?.min(if address.is_ipv4() { 32 } else { 128 });
        Ok(Network { address, bits })
    })?;
    patterns.insert_network(text, network);
    Ok(())
}

/// Reads `if …` or `unless …` from argument `from` to the end of the line. `Some(None)`: there is nothing; `None`: an
/// error was reported. `acls` are the section's own; `place` says what can be asked for there, and whoever asks for
/// something else is warned that it never matches.
pub fn parse_condition(
    statement: &mut Statement,
    from: usize,
    acls: &AclTable,
    place: Place,
) -> Option<Option<Condition>> {
    let unless = match statement.text(from) {
        "" => return Some(None),
        "if" => false,
        "unless" => true,
        word => {
            let keyword = statement.keyword;
            let text = format!("unexpected keyword '{word}' after '{keyword}', only 'if' and 'unless' are allowed.");
            statement.error(from, text);
            return None;
        }
    };
    let mut condition = Condition { text: statement.joined(from), unless, alternatives: Vec::new() };
    let mut terms: Vec<Term> = Vec::new();
    let mut negated = false;
    let mut index = from + 1;
    while index < statement.arguments.len() {
        let mut word = statement.text(index);
        // Once as a word of its own, any number of times before a name.
        while let Some(rest) = word.strip_prefix('!') {
            negated = !negated;
            word = rest;
        }
        match word {
            "" => {
                index += 1;
                continue;
            }
            "or" | "||" => {
                condition.alternatives.extend(Some(std::mem::take(&mut terms)).filter(|terms| !terms.is_empty()));
                (negated, index) = (false, index + 1);
                continue;
            }
            _ => {}
        }
        let (acl, next) =
            if word == "{" { anonymous(statement, index)? } else { (named(statement, index, word, acls)?, index + 1) };
        warn_of_place(statement, index, &acl, place);
        terms.push(Term { acl, negated });
        (negated, index) = (false, next);
    }
    condition.alternatives.extend(Some(terms).filter(|terms| !terms.is_empty()));
    if condition.alternatives.is_empty() {
        let keyword = statement.keyword;
        statement.error(from, format!("'{keyword}' : a condition is missing after '{}'.", statement.text(from)));
        return None;
    }
    Some(Some(condition))
}

/// `{ criterion … }` at argument `index`; gives the argument after the closing brace, too.
fn anonymous(statement: &mut Statement, index: usize) -> Option<(Arc<Acl>, usize)> {
    let inside = statement.rest(index + 1);
    let Some(length) = inside.iter().position(|word| word.as_str() == "}") else {
        statement.error(index, "error detected while parsing a condition : missing closing '}' in condition.");
        return None;
    };
    match parse_test(inside.get(..length).unwrap_or_default(), statement.names) {
        Ok(parsed) => {
            if let Some((word, text)) = parsed.warning {
                statement
                    .warning(index + 1 + word, format!("parsing acl keyword '{}' : {text}", statement.text(index + 1)));
            }
            Some((Arc::new(Acl::new("", parsed.test)), index + length + 2))
        }
        Err(error) => {
            let text = format!("error detected while parsing a condition : {}.", error.text);
            statement.error(index + 1 + error.word, text);
            None
        }
    }
}

fn named(statement: &mut Statement, index: usize, name: &str, acls: &AclTable) -> Option<Arc<Acl>> {
    if let Some(acl) = acls.find(name) {
        return Some(acl.clone());
    }
    if let Some((_, words)) = acl_keywords::PREDEFINED.iter().find(|(other, _)| *other == name) {
        let words: Vec<Word> =
            words.iter().map(|word| Word { text: (*word).to_owned(), column: 1, exact: None }).collect();
        return match parse_test(&words, statement.names) {
            Ok(parsed) => Some(Arc::new(Acl::new(name, parsed.test))),
            Err(error) => {
                statement.error(index, format!("error in the predefined ACL '{name}' : {}.", error.text));
                None
            }
        };
    }
    let known = acls.acls.iter().map(|acl| acl.name.as_str());
    let known: Vec<&str> = known.chain(acl_keywords::PREDEFINED.iter().map(|(name, _)| *name)).collect();
    let meant = suggest::nearest(name, known.into_iter());
    let meant = meant.map(|meant| format!("; did you mean '{meant}' maybe ?")).unwrap_or_default();
    statement.error(index, format!("error detected while parsing a condition : no such ACL : '{name}'{meant}."));
    None
}

/// An ACL that asks for what is not there never matches, and HAProxy only warns of that.
fn warn_of_place(statement: &mut Statement, index: usize, acl: &Acl, place: Place) {
    let Some(alien) = acl.tests().find(|test| !test.expression.places.meets(place)) else { return };
    let keyword = &alien.expression.text;
    let text = if acl.name.is_empty() {
        format!(
            "anonymous acl will never match because it uses keyword '{keyword}' which is incompatible with '{place}'"
        )
    } else if acl.tests().all(|test| !test.expression.places.meets(place)) {
        let name = &acl.name;
        format!("acl '{name}' will never match because it only involves keywords that are incompatible with '{place}'")
    } else {
        format!("acl '{}' involves keyword '{keyword}' which is incompatible with '{place}'", acl.name)
    };
    statement.warning(index, text);
}
