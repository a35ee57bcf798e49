//! Actions on entries of stick tables: `track-sc0` …, `sc-inc-gpc0` …, `sc-set-gpt0` …: the same in all rule sets.

use super::format;
use crate::config::expression::{self, references};
use crate::config::model::*;
use crate::config::section_http_rules::Context;
use crate::config::statement::Statement;
use crate::config::values::parse_integer;

/// The action as an http-… rule.
pub fn parse(statement: &mut Statement, context: &mut Context) -> Option<(HttpAction, usize)> {
    let (action, used) = action(statement, format::place_of(context))?;
    Some((HttpAction::Table(Box::new(action)), used))
}

/// Whether [`action`] is for the keyword's last word.
pub fn is_one(name: &str) -> bool {
    name.starts_with("track-sc") || name.starts_with("sc-")
}

/// The action of the keyword's last word, and how many arguments it took. `None` if an error was reported.
pub fn action(statement: &mut Statement, place: Place) -> Option<(TableAction, usize)> {
    let name = statement.keyword.rsplit(' ').next().unwrap_or_default();
    match name {
        "track-sc0" => track(statement, 0, place),
        "track-sc1" => track(statement, 1, place),
        "track-sc2" => track(statement, 2, place),
        "sc-inc-gpc0" => Some((add(GeneralCounter::Gpc0, counter(statement)?, None), 0)),
        "sc-inc-gpc1" => Some((add(GeneralCounter::Gpc1, counter(statement)?, None), 0)),
        "sc-inc-gpc" => {
            let (element, counter) = element_and_counter(statement)?;
            Some((add(GeneralCounter::Element(element), counter, None), 0))
        }
        "sc-add-gpc" => {
            let (element, counter) = element_and_counter(statement)?;
            let (amount, used) = number(statement, place)?;
            Some((add(GeneralCounter::Element(element), counter, Some(amount)), used))
        }
        "sc-set-gpt0" => {
            let counter = counter(statement)?;
            let (value, used) = number(statement, place)?;
            Some((TableAction::SetTag { counter, tag: GeneralTag::Gpt0, value }, used))
        }
        "sc-set-gpt" => {
            let (element, counter) = element_and_counter(statement)?;
            let (value, used) = number(statement, place)?;
            Some((TableAction::SetTag { counter, tag: GeneralTag::Element(element), value }, used))
        }
        other => {
            statement.error(usize::MAX, format!("'{other}' is no action here."));
            None
        }
    }
}

fn add(gpc: GeneralCounter, counter: u8, amount: Option<Expression>) -> TableAction {
    TableAction::Add { counter, gpc, amount }
}

/// `<key> [table <name>]`
fn track(statement: &mut Statement, counter: u8, place: Place) -> Option<(TableAction, usize)> {
    let (key, mut next) = expression::parse_words(statement, 0, place)?;
    let mut name = None;
    if statement.text(next) == "table" {
        name = Some(statement.required(next + 1, "a table's name behind 'table'")?.to_owned());
        next += 2;
    }
    references::note_table(&format!("rule 'track-sc{counter}'"), name.clone(), Some(key.output));
    let table = TableReference { name, ..Default::default() };
    Some((TableAction::Track { counter, key, table }, next))
}

/// What stands in the parentheses of the keyword's last word.
fn numbers(statement: &mut Statement) -> Vec<i64> {
    let words = &statement.line.words;
    let word = words.len().checked_sub(statement.arguments.len() + 1).and_then(|index| words.get(index));
    let written = word.map_or("", |word| word.as_str());
    let inside = written.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default();
    let numbers: Result<Vec<i64>, _> = inside.split(',').map(str::parse).collect();
    numbers.unwrap_or_default()
}

fn counter_of(statement: &mut Statement, number: i64) -> Option<u8> {
    let counter = u8::try_from(number).ok().filter(|counter| usize::from(*counter) < TRACKED_COUNTERS);
    if counter.is_none() {
        let text = format!("invalid stick table track ID '{number}': it is 0, 1 or 2, as in 'track-sc0'.");
        statement.error(usize::MAX, text);
    }
    counter
}

/// `(<counter>)`
fn counter(statement: &mut Statement) -> Option<u8> {
    let keyword = statement.keyword;
    match numbers(statement)[..] {
        [number] => counter_of(statement, number),
        _ => {
            statement.error(usize::MAX, format!("'{keyword}' expects the number of a counter: {keyword}(0)."));
            None
        }
    }
}

/// `(<element>,<counter>)`
fn element_and_counter(statement: &mut Statement) -> Option<(u32, u8)> {
    let keyword = statement.keyword;
    match numbers(statement)[..] {
        [element, counter] if (0..i64::from(ARRAY_ELEMENTS_MAX)).contains(&element) => {
            Some((element as u32, counter_of(statement, counter)?))
        }
        _ => {
            let text = format!("'{keyword}' expects an element below 100 and the number of a counter: {keyword}(5,0).");
            statement.error(usize::MAX, text);
            None
        }
    }
}

/// A number that is written, or an expression.
fn number(statement: &mut Statement, place: Place) -> Option<(Expression, usize)> {
    let text = statement.required(0, "an integer or an expression")?;
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return expression::parse_words(statement, 0, place);
    }
    let number = parse_integer(text, 0, i64::from(u32::MAX), statement.keyword);
    let number = statement.accept(0, number)?;
    Some((statement.accept(0, expression::parse(&format!("int({number})"), Place::ANY))?, 1))
}
