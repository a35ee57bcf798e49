//! Commands on the patterns of ACLs and the entries of maps (management.txt section 9.3: `show acl` and what follows).
//!
//! Every command comes twice, for ACLs and for maps; a list that is both answers to both.

use super::{Answer, INFO, RuntimeSession};
use crate::config::model::{EntrySelection, MapOutput, MatchMethod, PatternFile, Patterns};
use crate::policy::condition::comparison::Key;
use crate::policy::sample::Sample;
use crate::session::local_context::LocalContext;
use crate::shared::Shared;
use crate::shared::patterns::{ChangeError, PatternFileState};
use std::fmt::Write;
use std::net::IpAddr;

/// Which of the two names a command was called by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Acl,
    Map,
}

impl Kind {
    fn upper(self) -> &'static str {
        match self {
            Kind::Acl => "ACL",
            Kind::Map => "map",
        }
    }
    fn lower(self) -> &'static str {
        match self {
            Kind::Acl => "acl",
            Kind::Map => "map",
        }
    }
    fn has(self, file: &PatternFile) -> bool {
        match self {
            Kind::Acl => file.is_acl,
            Kind::Map => file.is_map,
        }
    }

    fn unknown(self) -> Answer {
        Answer::error(format!("Unknown {} identifier. Please use #<id> or <file>.", self.upper()))
    }

    /// By `#id` or by the file's name.
    fn find<'a>(self, given: &str, shared: &'a Shared) -> Option<(&'a PatternFile, &'a PatternFileState)> {
        let id = given.strip_prefix('#').map(|id| id.parse::<u32>().ok());
        let mut lists = shared.config.pattern_files.iter().zip(&shared.pattern_files);
        lists.find(|(file, _)| {
            self.has(file)
                && match id {
                    Some(id) => id == Some(file.unique_id),
                    None => !file.name.is_empty() && file.name == given,
                }
        })
    }
}

/// A leading `@version`, and the words behind it. HAProxy reads what is no number as 0.
fn version<'w>(words: &'w [&'w str]) -> (Option<u32>, &'w [&'w str]) {
    match words {
        [first, rest @ ..] if first.starts_with('@') => (Some(first[1..].parse().unwrap_or(0)), rest),
        words => (None, words),
    }
}

fn error_of(error: ChangeError, kind: Kind) -> Answer {
    Answer::error(match error {
        ChangeError::FutureVersion => {
            format!("Version number in the future, please use 'prepare {}' before.", kind.lower())
        }
        ChangeError::VersionOutOfRange => "Version number out of range.".to_owned(),
        ChangeError::Pattern(text) => format!("{text}."),
    })
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// `show acl|map [@<version>] [<list>]`
pub fn show(kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let (version, words) = version(words);
    let Some(name) = words.first() else {
        return if version.is_some() { kind.unknown() } else { Answer::Dump(overview(kind, context.shared)) };
    };
    let Some((_, state)) = kind.find(name, context.shared) else { return kind.unknown() };
    let entries = version.map_or_else(|| state.entries(), |version| state.entries_at(version));
    let mut output = String::new();
    for entry in entries {
        let _ = write!(output, "{:#x} {}", entry.reference(), text(&entry.pattern));
        if let Some(value) = &entry.value {
            let _ = write!(output, " {}", text(value));
        }
        output.push('\n');
    }
    Answer::Dump(output)
}

fn overview(kind: Kind, shared: &Shared) -> String {
    let mut lists: Vec<_> =
        shared.config.pattern_files.iter().zip(&shared.pattern_files).filter(|(file, _)| kind.has(file)).collect();
    lists.sort_by_key(|(file, _)| file.unique_id);
    let mut output = "# id (file) description\n".to_owned();
    for (file, state) in lists {
        let figures = state.figures();
        let _ = writeln!(
            output,
            "{} ({}) {}. curr_ver={} next_ver={} entry_cnt={}",
            file.unique_id, file.name, file.description, figures.current_version, figures.next_version, figures.entries
        );
    }
    output
}

/// `get acl|map <list> <value>`: what each way of comparing finds.
pub fn get(kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let [name, value, ..] = words else {
        return Answer::error(format!("Missing {} identifier and/or key.", kind.upper()));
    };
    let Some((_, state)) = kind.find(name, context.shared) else { return kind.unknown() };
    let mut output = String::new();
    state.each_view(|view| write_finding(kind, view, value, &mut output));
    Answer::Dump(output)
}

fn write_finding(kind: Kind, view: &Patterns, value: &str, output: &mut String) {
    let case = if view.ignores_case() { "insensitive" } else { "sensitive" };
    let _ = write!(output, "type={}, case={case}, ", view.method().name());
    let sample = Sample::text(value.as_bytes());
    let asked = if kind == Kind::Acl { "match" } else { "found" };
    if view.method() == MatchMethod::Boolean {
        let _ = match sample.as_bool() {
            Some(true) => writeln!(output, "{asked}=yes, idx=list, pattern=unknown"),
            _ => writeln!(output, "{asked}=no"),
        };
        return;
    }
    let Some(entry) = Key::of(sample, view.method()).and_then(|key| key.find(view).cloned()) else {
        let _ = writeln!(output, "{asked}=no");
        return;
    };
    let index = if view.is_searched_as_list() { "list" } else { "tree" };
    let pattern = text(&entry.pattern);
    if kind == Kind::Acl {
        let _ = writeln!(output, "match=yes, idx={index}, pattern=\"{pattern}\"");
        return;
    }
    let _ = write!(output, "found=yes, idx={index}, key=\"{pattern}\", value=");
    let _ = match (view.values(), &entry.value) {
        (Some(values), Some(value)) => {
            let value = text(value);
            writeln!(output, "\"{value}\", type=\"{}\"", type_of(values, &value))
        }
        _ => writeln!(output, "none"),
    };
}

fn type_of(values: MapOutput, value: &str) -> &'static str {
    match values {
        MapOutput::Text => "str",
        MapOutput::Integer => "sint",
        MapOutput::Address if value.parse().is_ok_and(|address: IpAddr| address.is_ipv6()) => "ipv6",
        MapOutput::Address => "ipv4",
    }
}

/// `add acl [@<version>] <list> <pattern>`, `add map [@<version>] <list> <key> <value>`, or a payload of such lines.
pub fn add(session: &mut RuntimeSession, kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let (version, words) = version(words);
    let payload = session.payload.take();
    let lines: Vec<(&[u8], Option<&[u8]>)>;
    let mut missing = None;
    let name = match (kind, words, payload.as_deref()) {
        (Kind::Acl, [name, pattern, ..], _) => {
            lines = vec![(pattern.as_bytes(), None)];
            name
        }
        (Kind::Acl, [name], Some(payload)) if !payload.is_empty() => {
            lines = payload.lines().map(|line| (line.as_bytes(), None)).collect();
            name
        }
        (Kind::Map, [name, key, value, ..], None) => {
            lines = vec![(key.as_bytes(), Some(value.as_bytes()))];
            name
        }
        (Kind::Map, [name], Some(payload)) if !payload.is_empty() => {
            let pairs = payload.lines().map(key_and_value);
            lines = pairs.clone().map_while(|(key, value)| Some((key.as_bytes(), Some(value?.as_bytes())))).collect();
            missing = pairs.filter(|(_, value)| value.is_none()).map(|(key, _)| key).next();
            name
        }
        (Kind::Acl, ..) => {
            return Answer::error("'add acl' expects two parameters: ACL identifier and pattern.");
        }
        (Kind::Map, ..) => {
            return Answer::error(
                "'add map' expects three parameters (map identifier, key and value) or one parameter (map \
                 identifier) and a payload",
            );
        }
    };
    let of_map = (kind == Kind::Acl).then(|| Kind::Map.find(name, context.shared)).flatten();
    if of_map.is_some() {
        return Answer::error(
            "This ACL is shared with a map containing samples. You must use the command 'add map' to add values.",
        );
    }
    let Some((_, state)) = kind.find(name, context.shared) else { return kind.unknown() };
    let added = match version {
        Some(version) => state.add_all_at(version, &lines),
        None => state.add_all(&lines).map_err(ChangeError::Pattern),
    };
    match (added, missing) {
        (Err(error), _) => error_of(error, kind),
        (Ok(()), Some(key)) => Answer::error(format!("Missing value for key '{key}'.")),
        (Ok(()), None) => Answer::Nothing,
    }
}

/// The first word of a line and the rest of it.
fn key_and_value(line: &str) -> (&str, Option<&str>) {
    let line = line.trim_start_matches([' ', '\t']);
    match line.split_once([' ', '\t']) {
        Some((key, value)) => (key, Some(value.trim_start_matches([' ', '\t'])).filter(|value| !value.is_empty())),
        None => (line, None),
    }
}

/// What a `<key>|#<reference>` selects of a list; the pattern of a reference is in `found`.
fn select<'a>(given: &'a str, state: &PatternFileState, found: &'a mut Vec<u8>) -> Option<EntrySelection<'a>> {
    let Some(reference) = given.strip_prefix('#') else { return Some(EntrySelection::Pattern(given.as_bytes())) };
    let digits = reference.strip_prefix("0x").unwrap_or(reference);
    let entry = u64::from_str_radix(digits, 16).ok().and_then(|reference| state.entry(reference))?;
    found.extend_from_slice(&entry.pattern);
    Some(EntrySelection::Reference(found, entry.reference()))
}

/// `del acl|map <list> <key>|#<reference>`
pub fn delete(kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let [name, key, ..] = words else {
        return Answer::error(format!("This command expects two parameters: {} identifier and key.", kind.upper()));
    };
    let Some((_, state)) = kind.find(name, context.shared) else { return kind.unknown() };
    let mut found = Vec::new();
    match select(key, state, &mut found) {
        Some(which) if state.remove(which) => Answer::Nothing,
        _ => Answer::error("Key not found."),
    }
}

/// `set map <list> <key>|#<reference> <value>`
pub fn set(words: &[&str], context: &LocalContext) -> Answer {
    let [name, key, value, ..] = words else {
        return Answer::error("'set map' expects three parameters: map identifier, key and value.");
    };
    let Some((_, state)) = Kind::Map.find(name, context.shared) else { return Kind::Map.unknown() };
    let mut found = Vec::new();
    let Some(which) = select(key, state, &mut found) else { return Answer::error("entry not found.") };
    match state.set_existing(which, value.as_bytes()) {
        Ok(true) => Answer::Nothing,
        Ok(false) => Answer::error("entry not found."),
        Err(text) => Answer::error(format!("{text}.")),
    }
}

/// `clear acl|map [@<version>] <list>`
pub fn clear(kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let (version, words) = version(words);
    let Some(name) = words.first() else {
        return Answer::error(format!("Missing {} identifier.", kind.upper()));
    };
    let Some((_, state)) = kind.find(name, context.shared) else { return kind.unknown() };
    match version {
        Some(version) => state.clear_at(version),
        None => state.clear(),
    }
    Answer::Nothing
}

/// `prepare acl|map <list>`
pub fn prepare(kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let list = words.first().and_then(|name| kind.find(name, context.shared));
    match list {
        Some((_, state)) => Answer::Message(INFO, format!("New version created: {}", state.prepare())),
        None => kind.unknown(),
    }
}

/// `commit acl|map @<version> <list>`
pub fn commit(kind: Kind, words: &[&str], context: &LocalContext) -> Answer {
    let (Some(version), words) = version(words) else { return Answer::error("Missing version number.") };
    let Some(name) = words.first() else {
        return Answer::error(format!("Missing {} identifier.", kind.upper()));
    };
    let Some((_, state)) = kind.find(name, context.shared) else { return kind.unknown() };
    match state.commit(version) {
        Ok(()) => Answer::Nothing,
        Err(error) => error_of(error, kind),
    }
}
