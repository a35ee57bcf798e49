//! Maps: a key is looked up in a file that may change while the process runs (configuration.txt section 7.3.1, `map`).

use super::{Sample, cast, texts};
use crate::config::model::{MapOutput, MapUse, Patterns};
use crate::policy::exchange::Scope;

/// The value of the key that the sample matches, else the default. The value is copied: the map may be replaced by
/// another thread meanwhile.
pub fn look_up<'a>(of: &'a MapUse, sample: Sample, scope: &Scope) -> Option<Sample<'a>> {
    let file = scope.shared.pattern_files.get(of.view.file.0 as usize)?;
    let value = file.with(of.view.view, |patterns| value_of(of, &sample, patterns)).flatten();
    let found = value.and_then(|value| match of.output {
        MapOutput::Text => Some(Sample::owned_text(value)),
        MapOutput::Integer => cast::leading_integer(&value).map(Sample::Integer),
        MapOutput::Address => cast::address_of_text(&value).map(Sample::Address),
    });
    found.or_else(|| of.default.as_ref().map(Sample::of_value))
}

fn value_of(of: &MapUse, sample: &Sample, patterns: &Patterns) -> Option<Vec<u8>> {
    let entry = match sample {
        Sample::Integer(number) => patterns.find_integer(*number)?,
        Sample::Address(address) => patterns.find_address(*address)?,
        Sample::Text(text) => patterns.find_bytes(text)?,
        _ => return None,
    };
    let value = entry.value.as_deref()?;
    if let (true, Sample::Text(text)) = (of.has_groups, sample) {
        let captures = patterns.regex_of(entry)?.captures(text)?;
        let mut expanded = Vec::with_capacity(value.len());
        texts::expand(value, &captures, &mut expanded);
        return Some(expanded);
    }
    Some(value.to_vec())
}
