//! What `-f` names: files and directories, read whole before the first line is looked at (management.txt section 3).

use super::diagnostics::{Diagnostics, Severity};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One configuration file's bytes.
#[derive(Clone, Debug)]
pub struct Source {
    /// As given to `-f` (or the directory's path with the file's name), shown in messages.
    pub name: Arc<str>,
    pub bytes: Vec<u8>,
}

impl Source {
    /// A configuration that is not a file: tests and fuzzing.
    pub fn from_text(name: &str, text: &str) -> Self {
        Source { name: name.into(), bytes: text.as_bytes().to_vec() }
    }
}

/// Reads the files of `paths`, in order; what cannot be read is an error in `diagnostics` and left out.
pub fn read_sources(paths: &[PathBuf], diagnostics: &mut Diagnostics) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in paths {
        match files_of(path) {
            Ok(files) => sources.extend(files.iter().filter_map(|file| read(file, diagnostics))),
            Err(error) => {
                let text = format!("Cannot open configuration file/directory {} : {}", path.display(), reason(&error));
                diagnostics.general(Severity::Alert, text);
            }
        }
    }
    sources
}

/// The names that `HAPROXY_CFGFILES` lists: every file that [`read_sources`] would read.
pub fn file_names(paths: &[PathBuf]) -> Vec<String> {
    let files = paths.iter().flat_map(|path| files_of(path).unwrap_or_default());
    files.map(|file| file.to_string_lossy().into_owned()).collect()
}

/// The file itself, or the directory's `*.cfg` files in the order of their bytes, without hidden ones.
fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_bytes();
        // A dangling link is kept, so that reading it says what is wrong.
        let is_directory = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        if name.ends_with(b".cfg") && !name.starts_with(b".") && !is_directory {
            files.push(entry.path());
        }
    }
    files.sort_by(|first, second| first.as_os_str().as_bytes().cmp(second.as_os_str().as_bytes()));
    Ok(files)
}

/// The biggest configuration file that is read. A hundred thousand servers take a tenth of it, /dev/zero never ends.
const FILE_BYTES_MAX: u64 = 256 << 20;

fn read(file: &Path, diagnostics: &mut Diagnostics) -> Option<Source> {
    match read_at_most(file, FILE_BYTES_MAX) {
        Ok(bytes) => Some(Source { name: file.to_string_lossy().into(), bytes }),
        Err(error) => {
            let text = format!("Could not open configuration file {} : {}", file.display(), reason(&error));
            diagnostics.general(Severity::Alert, text);
            None
        }
    }
}

/// The whole file; EFBIG when it has more than `bytes_max`.
fn read_at_most(file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > bytes_max {
        true => Err(io::Error::from_raw_os_error(libc::EFBIG)),
        false => Ok(bytes),
    }
}

/// The error as strerror() words it, without Rust's number after it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sources: &[Source]) -> Vec<String> {
        sources.iter().map(|source| source.name.rsplit('/').next().unwrap_or("").to_owned()).collect()
    }

    fn errors(diagnostics: &Diagnostics) -> Vec<&str> {
        diagnostics.messages.iter().map(|message| message.text.as_str()).collect()
    }

    /// A directory that removes itself.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str, files: &[&str]) -> Self {
            let path = std::env::temp_dir().join(format!("ringway-source-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a directory");
            for file in files {
                std::fs::write(path.join(file), *file).expect("a file");
            }
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_directory_gives_its_visible_cfg_files_in_byte_order() {
        let directory =
            Directory::new("order", &["b.cfg", "B.cfg", "10.cfg", "9.cfg", ".h.cfg", "x.conf", "é.cfg", "a.cfg~"]);
        std::fs::create_dir(directory.0.join("dir.cfg")).expect("a directory");
        let mut diagnostics = Diagnostics::default();
        let sources = read_sources(std::slice::from_ref(&directory.0), &mut diagnostics);
        assert_eq!(names(&sources), ["10.cfg", "9.cfg", "B.cfg", "b.cfg", "é.cfg"]);
        assert_eq!(sources[0].bytes, b"10.cfg");
        assert!(diagnostics.messages.is_empty());
        assert_eq!(file_names(std::slice::from_ref(&directory.0)).len(), 5);
    }

    #[test]
    fn files_keep_the_order_of_the_command_line() {
        let directory = Directory::new("list", &["z.cfg", "a.txt"]);
        let paths = [directory.0.join("z.cfg"), directory.0.join("a.txt")];
        let sources = read_sources(&paths, &mut Diagnostics::default());
        assert_eq!(names(&sources), ["z.cfg", "a.txt"]);
    }

    #[test]
    fn an_empty_directory_is_no_error() {
        let directory = Directory::new("empty", &[]);
        let mut diagnostics = Diagnostics::default();
        assert!(read_sources(std::slice::from_ref(&directory.0), &mut diagnostics).is_empty());
        assert!(diagnostics.messages.is_empty());
    }

    #[test]
    fn a_file_without_end_is_too_large() {
        let endless = read_at_most(Path::new("/dev/zero"), 1 << 20).expect_err("no end");
        assert_eq!(reason(&endless), "File too large");
        let directory = Directory::new("large", &["just"]);
        let file = directory.0.join("just");
        assert_eq!(read_at_most(&file, 4).expect("four bytes"), b"just");
        assert!(read_at_most(&file, 3).is_err());
    }

    #[test]
    fn what_cannot_be_opened_is_named_as_haproxy_does() {
        let directory = Directory::new("errors", &[]);
        let link = directory.0.join("l.cfg");
        std::os::unix::fs::symlink("/nonexistent/target", &link).expect("a link");
        let mut diagnostics = Diagnostics::default();
        read_sources(&[PathBuf::from("/nonexistent.cfg"), directory.0.clone()], &mut diagnostics);
        assert_eq!(
            errors(&diagnostics),
            [
                "Cannot open configuration file/directory /nonexistent.cfg : No such file or directory".to_owned(),
                format!("Could not open configuration file {} : No such file or directory", link.display()),
            ]
        );
    }
}
