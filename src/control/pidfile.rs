//! The pid file (management.txt section 3, `-p`; configuration.txt section 3.1, `pidfile`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A pid file that was opened while that was still possible (before chroot and the change of user).
///
/// As HAProxy's it stays when the process ends: init scripts read it after a stop, too.
pub struct Pidfile {
    file: File,
}

impl Pidfile {
    /// Creates or empties `path`.
    pub fn create(path: &Path) -> io::Result<Pidfile> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
        Ok(Pidfile { file })
    }

    /// Writes `pid` on a line of its own: one process, so one line, however many workers it has.
    pub fn write(mut self, pid: u32) -> io::Result<()> {
        self.file.write_all(format!("{pid}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.pid");
        std::fs::write(&path, "1\n2\n3\n").unwrap();
        Pidfile::create(&path).unwrap().write(4242).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "4242\n");
        assert!(Pidfile::create(&folder.path().join("missing/haproxy.pid")).is_err());
    }
}
