//! Sample expressions: `fetch(arguments),converter(arguments),…` (configuration.txt sections 2.2, 7.3).

mod arguments;
mod casts;
mod converter_parts;
mod converter_table;
mod fetch_parts;
mod fetch_table;
pub mod references;
mod refused;
mod stick_table_rows;

use super::model::{Converter, Expression, SampleType};
use super::statement::Statement;
use super::suggest;
use arguments::{Arguments, Cursor, Kind};

pub use super::model::Place;
pub use fetch_parts::variable_name;

/// What a fetch or converter takes, for the check before its own.
struct Signature {
    kinds: &'static [Kind],
    required: usize,
}

/// Compiles one word: a fetch and its converters. `place` says which rule set it stands in.
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse(text: &str, place: Place) -> Result<Expression, String> {
    let mut cursor = Cursor::new(text);
    let mut expression = parse_fetch(&mut cursor, place)?;
    while !cursor.is_at_end() {
        if !cursor.skip_comma() {
            let rest = cursor.rest();
            return Err(format!("unexpected '{rest}' in sample expression '{text}': converters are set off by commas"));
        }
        // A comma at the end is no mistake to HAProxy.
        if cursor.is_at_end() {
            break;
        }
        add_converter(&mut expression, &mut cursor)?;
    }
    expression.text = text.to_owned();
    Ok(expression)
}

/// Compiles argument `index` of a statement; what is wrong with it is reported there.
pub fn parse_at(statement: &mut Statement, index: usize, place: Place) -> Option<Expression> {
    let text = statement.required(index, "a sample expression, such as src or req.hdr(host)")?;
    statement.accept(index, parse(text, place))
}

/// As [`parse_at`], and takes words after it that are converters, too (`src ipmask(24)`), as HAProxy does. Gives the
/// index of the first argument that does not belong to the expression.
pub fn parse_words(statement: &mut Statement, index: usize, place: Place) -> Option<(Expression, usize)> {
    let mut expression = parse_at(statement, index, place)?;
    let mut next = index + 1;
    loop {
        let word = statement.text(next);
        let mut cursor = Cursor::new(word);
        if converter_table::find(cursor.name()).is_none() {
            return Some((expression, next));
        }
        let mut cursor = Cursor::new(word);
        while !cursor.is_at_end() {
            statement.accept(next, add_converter(&mut expression, &mut cursor))?;
            if !cursor.skip_comma() && !cursor.is_at_end() {
                let text = format!("unexpected '{}' in sample expression.", cursor.rest());
                statement.error(next, text);
                return None;
            }
        }
        expression.text = format!("{},{word}", expression.text);
        next += 1;
    }
}

/// The type of what the expression named `name` gives without converters, and whether there is such a fetch at all:
/// for ACLs, whose derivatives (`path_beg`) are made of fetches.
pub fn is_fetch(name: &str) -> bool {
    fetch_table::find(name).is_some() || refused::fetch(name).is_some()
}

fn parse_fetch(cursor: &mut Cursor, place: Place) -> Result<Expression, String> {
    let name = cursor.name();
    if name.is_empty() {
        return Err("missing fetch method: write a sample expression such as src or req.hdr(host)".to_owned());
    }
    let Some(row) = fetch_table::find(name) else {
        if let Some(reason) = refused::fetch(name) {
            return Err(format!("fetch method '{name}' is not available: {reason}"));
        }
        let near = suggest::nearest(name, fetch_table::names());
        return Err(format!("unknown fetch method '{name}'{}", did_you_mean(near)));
    };
    let context = format!("fetch method '{name}'");
    let arguments = arguments::read(cursor, &context, &Signature { kinds: row.kinds, required: row.required })?;
    references::about(&format!("sample fetch keyword '{name}'"));
    let fetch = (row.make)(&arguments).map_err(|text| format!("invalid args in {context}: {text}"))?;
    let places = Place::of_pattern(row.places);
    if !places.meets(place) {
        return Err(format!("{context} is not available in a {place}: it needs a {places}"));
    }
    Ok(Expression { text: String::new(), fetch, converters: Vec::new(), output: row.output, places })
}

fn add_converter(expression: &mut Expression, cursor: &mut Cursor) -> Result<(), String> {
    let name = cursor.name();
    let Some(row) = converter_table::find(name) else {
        if let Some(reason) = refused::converter(name) {
            return Err(format!("converter '{name}' is not available: {reason}"));
        }
        let near = suggest::nearest(name, converter_table::names());
        return Err(format!("unknown converter '{name}'{}", did_you_mean(near)));
    };
    let context = format!("converter '{name}'");
    let arguments = arguments::read(cursor, &context, &Signature { kinds: row.kinds, required: row.required })?;
    let step = (row.make)(&arguments).map_err(|text| format!("invalid args in {context}: {text}"))?;
    if !casts::is_possible(expression.output, row.input) {
        return Err(format!(
            "{context} cannot be applied to {}: it takes {}",
            casts::title(expression.output),
            casts::title(row.input)
        ));
    }
    // A converter that takes anything gives back what it got.
    if row.output != SampleType::Any || row.input != SampleType::Any {
        expression.output = row.output;
    }
    expression.converters.push(Converter { input: row.input, step });
    Ok(())
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
}

/// Reads all arguments of a row by position.
type Make<T> = fn(&Arguments) -> Result<T, String>;

#[cfg(test)]
mod tests;
