//! The lists of patterns that one configuration has: files, each read once, and what stands on ACL lines; all are known
//! by number afterwards.
//!
//! ACLs, map converters and rules name files from deep inside a line; they find the list of the configuration that is
//! being read by the thread that reads it.

use super::expression::references;
use super::model::{MapOutput, MatchMethod, PatternFile, PatternFileId, PatternView, Patterns};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

thread_local! {
    static OPEN: RefCell<Option<Registry>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Registry {
    files: Vec<Registered>,
}

struct Registered {
    file: PatternFile,
    /// `-u`
    unique_id: Option<u32>,
    /// Its bytes, once a line needed them.
    text: Option<Arc<[u8]>>,
}

/// What a line of a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// The whole line is the pattern.
    Pattern,
    /// The first word is the pattern, the rest its value.
    KeyAndValue,
}

/// How a line uses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub columns: Columns,
    pub by_acl: bool,
    /// What a map's values must be.
    pub values: Option<MapOutput>,
}

impl Use {
    /// `-f`, with `-M` if the file has values.
    pub fn acl(columns: Columns) -> Use {
        Use { columns, by_acl: true, values: None }
    }
    pub fn map(values: MapOutput) -> Use {
        Use { columns: Columns::KeyAndValue, by_acl: false, values: Some(values) }
    }
}

/// Runs `load` and gives the lists that it named, too, each with an id of its own.
pub fn collect<T>(load: impl FnOnce() -> T) -> (T, Vec<PatternFile>) {
    let outer = OPEN.replace(Some(Registry::default()));
    let result = load();
    let registry = OPEN.replace(outer).unwrap_or_default();
    (result, registry.numbered())
}

/// Reads `name` (once) to be compared as `method` says.
/// # Errors
/// Why the file or one of its lines cannot be used.
pub fn open(name: &str, usage: Use, method: MatchMethod, ignore_case: bool) -> Result<PatternView, String> {
    OPEN.with_borrow_mut(|open| open.get_or_insert_default().open(name, usage, method, ignore_case))
}

/// The patterns on an ACL's own line, so that the runtime socket can change them; `keyword` is the ACL's criterion.
/// # Errors
/// When `unique_id` (`-u`) is another line's already.
pub fn inline(keyword: &str, unique_id: Option<u32>, patterns: &Patterns) -> Result<PatternFileId, String> {
    OPEN.with_borrow_mut(|open| open.get_or_insert_default().inline(keyword, unique_id, patterns))
}

/// The file that a rule changes (`add-acl(name)`, `set-map(name)`); some ACL or map of the configuration must read it,
/// before or after: ask [`unread`] at the end.
pub fn reference(name: &str) -> PatternFileId {
    OPEN.with_borrow_mut(|open| PatternFileId(open.get_or_insert_default().number_of(name) as u32))
}

/// The files that are only referred to.
pub fn unread() -> Vec<String> {
    OPEN.with_borrow(|open| {
        let files = open.iter().flat_map(|registry| &registry.files);
        let unread = files.filter(|registered| registered.text.is_none() && !registered.file.name.is_empty());
        unread.map(|registered| registered.file.name.clone()).collect()
    })
}

impl Registry {
    fn number_of(&mut self, name: &str) -> usize {
        if let Some(index) = self.files.iter().position(|registered| registered.file.name == name) {
            return index;
        }
        let file = PatternFile { name: name.to_owned(), ..PatternFile::default() };
        self.files.push(Registered { file, unique_id: None, text: None });
        self.files.len() - 1
    }

    fn inline(&mut self, keyword: &str, unique_id: Option<u32>, patterns: &Patterns) -> Result<PatternFileId, String> {
        if unique_id.is_some() && self.files.iter().any(|registered| registered.unique_id == unique_id) {
            return Err("the id is already used".to_owned());
        }
        let location = references::location();
        let file = PatternFile {
            description: format!("acl '{keyword}' file '{}' line {}", location.file, location.line),
            is_acl: true,
            views: vec![patterns.clone()],
            ..PatternFile::default()
        };
        self.files.push(Registered { file, unique_id, text: None });
        Ok(PatternFileId((self.files.len() - 1) as u32))
    }

    fn open(&mut self, name: &str, usage: Use, method: MatchMethod, ignore_case: bool) -> Result<PatternView, String> {
        let index = self.number_of(name);
        let Some(registered) = self.files.get_mut(index) else { return Err(format!("'{name}' is not known")) };
        let file = &mut registered.file;
        let columns = usage.columns;
        let text = match &registered.text {
            Some(text) => text.clone(),
            None => {
                let text: Arc<[u8]> = std::fs::read(name)
                    .map_err(|error| format!("failed to open pattern file <{name}>: {error}"))?
                    .into();
                file.is_map = columns == Columns::KeyAndValue;
                registered.text.insert(text).clone()
            }
        };
        if (columns == Columns::KeyAndValue) != file.is_map {
            return Err(format!(
                "The file \"{name}\" is already used as {}; give the two uses a file each",
                if file.is_map { "map" } else { "a list without values" }
            ));
        }
        let view = match file.view_of(method, ignore_case, usage.values) {
            Some(view) => view,
            None => {
                let empty = Patterns::new(method, ignore_case).with_values(usage.values);
                file.views.push(compile(name, &text, columns, empty)?);
                u16::try_from(file.views.len() - 1).unwrap_or(u16::MAX)
            }
        };
        let what = if file.is_map { "map" } else { "acl" };
        let location = references::location();
        let by = format!("by {what} at file '{}' line {}", location.file, location.line);
        file.description = match file.description.as_str() {
            "" => format!("pattern loaded from file '{name}' used {by}"),
            before => format!("{before}, {by}"),
        };
        file.is_acl |= usage.by_acl;
        Ok(PatternView { file: PatternFileId(index as u32), view })
    }

    /// Gives an id to each list that has none: the smallest that is free, in the order of the lines.
    fn numbered(self) -> Vec<PatternFile> {
        let taken: BTreeSet<u32> = self.files.iter().filter_map(|registered| registered.unique_id).collect();
        let mut free = (0..=u32::MAX).filter(|id| !taken.contains(id));
        let files = self.files.into_iter();
        files
            .map(|registered| {
                let unique_id = registered.unique_id.or_else(|| free.next()).unwrap_or(u32::MAX);
                PatternFile { unique_id, ..registered.file }
            })
            .collect()
    }
}

fn compile(name: &str, text: &[u8], columns: Columns, mut patterns: Patterns) -> Result<Patterns, String> {
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let Some((pattern, value)) = columns_of(line, columns) else { continue };
        let inserted = patterns.insert(pattern, value);
        inserted.map_err(|error| format!("{error} at line {} of file '{name}'", number + 1))?;
    }
    patterns.finish()?;
    Ok(patterns)
}

/// Pattern and value of one line; `None` for comments and empty lines. Blanks before the pattern do not count; those
/// behind it do, where there is no value (as in HAProxy).
fn columns_of(line: &[u8], columns: Columns) -> Option<(&[u8], Option<&[u8]>)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(b"#") {
        return None;
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !blank(byte))?;
    let line = line.get(start..)?;
    if columns == Columns::Pattern {
        return Some((line, None));
    }
    let end = line.iter().position(blank).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let value = rest.iter().position(|byte| !blank(byte)).and_then(|start| rest.get(start..)).unwrap_or_default();
    Some((key, Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LIST: Use = Use { columns: Columns::Pattern, by_acl: true, values: None };
    const MAP: Use = Use { columns: Columns::KeyAndValue, by_acl: false, values: Some(MapOutput::Text) };

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn files_are_read_once_and_compared_in_several_ways() {
        let written = file("# comment\n\n  /static\r\n/img x\n");
        let name = written.path().to_str().expect("a path");
        let ((first, again, other), files) = collect(|| {
            let first = open(name, LIST, MatchMethod::Begin, false);
            let again = open(name, LIST, MatchMethod::Begin, false);
            (first, again, open(name, LIST, MatchMethod::Exact, true))
        });
        assert_eq!(first, again);
        assert_eq!(other.map(|view| view.view), Ok(1));
        assert_eq!((files.len(), files[0].views.len()), (1, 2));
        assert!(files[0].views[0].find_bytes(b"/static/a").is_some());
        assert!(files[0].views[1].find_bytes(b"/IMG X").is_some());
        assert!(files[0].views[1].find_bytes(b"# comment").is_none());
    }

    #[test]
    fn maps_have_values() {
        let written = file("#k v\n a  b c \nd\n");
        let name = written.path().to_str().expect("a path");
        let (view, files) = collect(|| open(name, MAP, MatchMethod::Exact, false));
        assert!(view.is_ok());
        let value = |key: &[u8]| files[0].views[0].find_bytes(key).and_then(|entry| entry.value.as_deref());
        assert_eq!(value(b"a"), Some(&b"b c "[..]));
        assert_eq!(value(b"d"), Some(&b""[..]));
        let (error, _) = collect(|| {
            let _ = open(name, MAP, MatchMethod::Exact, false);
            open(name, LIST, MatchMethod::Exact, false)
        });
        assert!(error.is_err_and(|text| text.contains("already used")));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let written = file("10.0.0.0/8\nx\n");
        let name = written.path().to_str().expect("a path");
        let ((missing, wrong, unread), _) = collect(|| {
            let missing = open("/nonexistent/list", LIST, MatchMethod::Exact, false);
            let wrong = open(name, LIST, MatchMethod::Address, false);
            reference("/only/referred");
            (missing, wrong, unread())
        });
        assert!(missing.is_err_and(|text| text.contains("/nonexistent/list")));
        assert!(wrong.is_err_and(|text| text.contains("at line 2")));
        assert!(unread.contains(&"/only/referred".to_owned()));
    }
}
