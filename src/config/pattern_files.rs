//! The files of patterns that one configuration names: each is read once, and known by number afterwards.
//!
//! ACLs, map converters and rules name files from deep inside a line; they find the list of the configuration that is
//! being read by the thread that reads it.

use super::model::{MatchMethod, PatternFile, PatternFileId, PatternView, Patterns};
use std::cell::RefCell;
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

/// Runs `load` and gives the files that it named, too.
pub fn collect<T>(load: impl FnOnce() -> T) -> (T, Vec<PatternFile>) {
    let outer = OPEN.replace(Some(Registry::default()));
    let result = load();
    let registry = OPEN.replace(outer).unwrap_or_default();
    (result, registry.files.into_iter().map(|registered| registered.file).collect())
}

/// Reads `name` (once) to be compared as `method` says.
/// # Errors
/// Why the file or one of its lines cannot be used.
pub fn open(name: &str, columns: Columns, method: MatchMethod, ignore_case: bool) -> Result<PatternView, String> {
    OPEN.with_borrow_mut(|open| open.get_or_insert_default().open(name, columns, method, ignore_case))
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
        files.filter(|registered| registered.text.is_none()).map(|registered| registered.file.name.clone()).collect()
    })
}

impl Registry {
    fn number_of(&mut self, name: &str) -> usize {
        if let Some(index) = self.files.iter().position(|registered| registered.file.name == name) {
            return index;
        }
        let file = PatternFile { name: name.to_owned(), is_map: false, views: Vec::new() };
        self.files.push(Registered { file, text: None });
        self.files.len() - 1
    }

    fn open(
        &mut self,
        name: &str,
        columns: Columns,
        method: MatchMethod,
        ignore_case: bool,
    ) -> Result<PatternView, String> {
        let index = self.number_of(name);
        let Some(registered) = self.files.get_mut(index) else { return Err(format!("'{name}' is not known")) };
        let text = match &registered.text {
            Some(text) => text.clone(),
            None => {
                let text: Arc<[u8]> = std::fs::read(name)
                    .map_err(|error| format!("failed to open pattern file <{name}>: {error}"))?
                    .into();
                registered.file.is_map = columns == Columns::KeyAndValue;
                registered.text.insert(text).clone()
            }
        };
        if (columns == Columns::KeyAndValue) != registered.file.is_map {
            return Err(format!(
                "The file \"{name}\" is already used as {}; give the two uses a file each",
                if registered.file.is_map { "map" } else { "a list without values" }
            ));
        }
        let view = match registered.file.view_of(method, ignore_case) {
            Some(view) => view,
            None => {
                registered.file.views.push(compile(name, &text, columns, method, ignore_case)?);
                u16::try_from(registered.file.views.len() - 1).unwrap_or(u16::MAX)
            }
        };
        Ok(PatternView { file: PatternFileId(index as u32), view })
    }
}

fn compile(
    name: &str,
    text: &[u8],
    columns: Columns,
    method: MatchMethod,
    ignore_case: bool,
) -> Result<Patterns, String> {
    let mut patterns = Patterns::new(method, ignore_case);
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
            let first = open(name, Columns::Pattern, MatchMethod::Begin, false);
            let again = open(name, Columns::Pattern, MatchMethod::Begin, false);
            (first, again, open(name, Columns::Pattern, MatchMethod::Exact, true))
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
        let (view, files) = collect(|| open(name, Columns::KeyAndValue, MatchMethod::Exact, false));
        assert!(view.is_ok());
        let value = |key: &[u8]| files[0].views[0].find_bytes(key).and_then(|entry| entry.value.as_deref());
        assert_eq!(value(b"a"), Some(&b"b c "[..]));
        assert_eq!(value(b"d"), Some(&b""[..]));
        let (error, _) = collect(|| {
            let _ = open(name, Columns::KeyAndValue, MatchMethod::Exact, false);
            open(name, Columns::Pattern, MatchMethod::Exact, false)
        });
        assert!(error.is_err_and(|text| text.contains("already used")));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let written = file("10.0.0.0/8\nx\n");
        let name = written.path().to_str().expect("a path");
        let ((missing, wrong, unread), _) = collect(|| {
            let missing = open("/nonexistent/list", Columns::Pattern, MatchMethod::Exact, false);
            let wrong = open(name, Columns::Pattern, MatchMethod::Address, false);
            reference("/only/referred");
            (missing, wrong, unread())
        });
        assert!(missing.is_err_and(|text| text.contains("/nonexistent/list")));
        assert!(wrong.is_err_and(|text| text.contains("at line 2")));
        assert!(unread.contains(&"/only/referred".to_owned()));
    }
}
