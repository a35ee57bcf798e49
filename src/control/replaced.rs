//! Unix sockets of an older process whose paths this start takes over: they get them back when the start fails, so that
//! a reload that could not bind something leaves the old process reachable.

use crate::config::model::{Config, ListenAddress};
use std::path::{Path, PathBuf};

/// What was at the paths before. Dropped without [`Replaced::give_up`], everything is put back.
#[derive(Default)]
pub struct Replaced {
    /// The path, and the second name of what was there, if anything was.
    paths: Vec<(PathBuf, Option<PathBuf>)>,
}

impl Replaced {
    /// Remembers every unix socket path that `config` binds. To be called before the first is bound.
    pub fn by(config: &Config) -> Replaced {
        let listeners = config.listeners.iter().map(|listener| &listener.address);
        let addresses = listeners.chain(config.global.runtime_sockets.iter().map(|socket| &socket.address));
        let paths = addresses.filter_map(|address| match address {
            ListenAddress::Unix(path) => {
                let kept = second_name(path);
                // What is there and cannot be kept is not ours to remove, either.
                (kept.is_some() || !path.exists()).then(|| (path.clone(), kept))
            }
            _ => None,
        });
        Replaced { paths: paths.collect() }
    }

    /// The start went well: the older sockets are nobody's any more. To be called before chroot.
    pub fn give_up(mut self) {
        for (_, kept) in self.paths.drain(..) {
            if let Some(kept) = kept {
                // A leftover name does no harm.
                let _ = std::fs::remove_file(kept);
            }
        }
    }
}

/// Gives what is at `path` a second name. `None`: nothing is there, or it cannot be kept.
fn second_name(path: &Path) -> Option<PathBuf> {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{}.bak", std::process::id()));
    let name = PathBuf::from(name);
    std::fs::hard_link(path, &name).ok().map(|()| name)
}

impl Drop for Replaced {
    fn drop(&mut self) {
        for (path, kept) in &self.paths {
            // Best effort: this process is about to end with an error of its own.
            let _ = match kept {
                Some(kept) => std::fs::rename(kept, path),
                None => std::fs::remove_file(path),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn replaced(path: &Path) -> Replaced {
        Replaced { paths: vec![(path.to_path_buf(), second_name(path))] }
    }

    #[test]
    fn a_failed_start_gives_the_old_socket_its_path_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stats.sock");
        let old = UnixListener::bind(&path).unwrap();
        let kept = replaced(&path);
        std::fs::remove_file(&path).unwrap();
        let new = UnixListener::bind(&path).unwrap();
        drop((kept, new));
        old.set_nonblocking(true).unwrap();
        UnixStream::connect(&path).unwrap();
        old.accept().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_start_that_went_well_leaves_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stats.sock");
        drop(UnixListener::bind(&path).unwrap());
        let kept = replaced(&path);
        std::fs::remove_file(&path).unwrap();
        let _new = UnixListener::bind(&path).unwrap();
        kept.give_up();
        UnixStream::connect(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_not_there_before_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stats.sock");
        let kept = replaced(&path);
        let _new = UnixListener::bind(&path).unwrap();
        drop(kept);
        assert!(!path.exists());
    }
}
